# weaving: the landing queue, proofs ahead, conflicts and who resolves them, going back.
load helper

# Each state of main that somebody ever saw, oldest first, by git's own log of the branch.
states_of_main() {
	git reflog show --format=%H main | tac
}

# all_green COMMAND: main passes it at each of its states since $1
all_green() {
	local state
	git worktree add -q --detach "$W/check" "$1"
	for state in $(states_of_main | sed "0,/$1/d"); do
		git -C "$W/check" checkout -q --detach "$state"
		(cd "$W/check" && sh -c "$2") || {
			echo "main was broken at $state" >&2
			return 1
		}
	done
	git worktree remove --force "$W/check"
}

# agent NAME SCRIPT: one more agent of the plan; its prompt's file is $1
agent() {
	printf '%s\n' "$2" >"$W/$1"
	sed -i "s|^agents:\$|agents:\n  $1: {command: [sh, $W/$1, \"{prompt_file}\"], mode: exec}|" pleach.yaml
}

moves() {
	pleach --json events | jq -s 'map(select(.kind == "target.moved")) | length'
}

@test "a queue of 20 with 3 conflicts and 2 failures: 15 moves, green at every step" {
	mkdir parts && touch parts/keep && seq 9 >shared && git add -A && git commit -qm parts
	{
		echo 'target: main'
		echo 'team: 4'
		echo "verify: 'sh ./check'"
		echo 'tasks:'
		for n in $(seq -w 1 20); do
			case $n in
			04 | 09 | 14) echo "  - {id: t$n, prompt: 'sed -i \"s/^5\$/five by $n/\" shared'}" ;;
			02) echo "  - {id: t$n, prompt: 'sed -i \"s/^5\$/five by $n/\" shared'}" ;;
			07 | 12) echo "  - {id: t$n, prompt: 'echo $n >parts/limited$n'}" ;;
			*) echo "  - {id: t$n, prompt: 'echo $n >parts/$n'}" ;;
			esac
		done
	} | plan
	# Each alone has room; merged behind t01 the two limited ones have not.
	printf 'test ! -e parts/01 || ! ls parts | grep -q limited\n' >check
	git add check && git commit -qm check
	expect 0 pleach run --headless >/dev/null
	# What the user has at hand: changed, staged, untracked, ignored.
	echo mine >>file && git add file && echo more >>file
	echo untracked >new && mkdir -p ignored && echo precious >ignored/x
	dirty=$(git status --porcelain --ignored; cat file new ignored/x; git diff --cached)
	before=$(git rev-parse main) since=$(last_seq)

	out=0
	pleach --json merge --all >"$W/merge" || out=$?
	is 1 "$out"
	holds "$(cat "$W/merge")" '(.merged | length) == 15 and (.conflicts | map(.key)) == ["t04", "t09", "t14"]
		and (.conflicts | all(.paths == ["shared"] and .with == ["t02"]))
		and (.verify_failed | map(.key)) == ["t07", "t12"] and .refused == [] and .stopped == []'
	is 15 "$(moves)"
	is 15 "$(states_of_main | sed "0,/$before/d" | wc -l)"
	all_green "$before" 'sh ./check'
	is "15 landed 3 conflict 2 verify_failed" "$(pleach --json task list |
		jq -r '.tasks | group_by(.landing.state) | map("\(length) \(.[0].landing.state)") | sort | join(" ")' |
		sed 's/\(15 landed\) \(2 verify_failed\) \(3 conflict\)/\1 \3 \2/')"
	is "$dirty" "$(git status --porcelain --ignored; cat file new ignored/x; git diff --cached)"
	# Asked again nothing moves, and all is said again.
	expect 1 pleach merge --all >/dev/null
	is 15 "$(moves)"
}

@test "merge: auto lands each task when it has completed; run waits for that" {
	plan <<-'Y'
	merge: auto
	verify: 'test ! -e broken'
	tasks:
	  - {id: a, prompt: 'echo a >fa'}
	  - {id: b, prompt: 'echo b >fb', blocked_by: [a]}
	  - {id: c, prompt: 'echo c >fc'}
	Y
	expect 0 pleach run --headless >/dev/null
	is "a b c" "$(echo $(cat fa fb fc))"
	is 3 "$(moves)"
	holds "$(pleach --json task list)" '.tasks | all(.landing.state == "landed")'
	holds "$(pleach --json status)" '.landings == []'
}

@test "merge: auto: what conflicts is told, and run ends with 1" {
	plan <<-'Y'
	merge: auto
	tasks:
	  - {id: left, prompt: 'echo left >file'}
	  - {id: right, prompt: 'echo right >file; read x <"$W/gate"'}
	  - {id: after, prompt: 'echo after >fafter', blocked_by: [right]}
	Y
	gate gate
	background timeout --foreground -k 5 "$LIMIT" "$PLEACH_BUILD/pleach" run --headless
	run=$BG
	wait_event '.kind == "target.moved"' >/dev/null
	open_gate gate
	finished "$run"
	is 1 "$STATUS"
	is "left" "$(cat file)"
	holds "$(pleach --json task show right)" '.landing.state == "conflict" and .landing.paths == ["file"] and .landing.with == ["left"]'
	is none "$(task after .landing.state)"
	[[ ! -e fafter ]]
}

@test "resolve: an agent gets the conflict as a task, and its result lands" {
	plan <<-'Y'
	merge: auto
	resolve: mender
	tasks:
	  - {id: left, prompt: 'echo left >file'}
	  - {id: right, prompt: 'echo right >file; read x <"$W/gate"'}
	  - {id: after, prompt: 'echo after >fafter', blocked_by: [right]}
	Y
	agent mender 'cp "$1" "$W/prompt"; cp file "$W/marked"; printf "left\nright\n" >file'
	gate gate
	background timeout --foreground -k 5 "$LIMIT" "$PLEACH_BUILD/pleach" run --headless
	run=$BG
	wait_event '.kind == "target.moved"' >/dev/null
	open_gate gate
	finished "$run"
	is 0 "$STATUS"
	is "left right" "$(echo $(cat file))"
	is after "$(cat fafter)"
	has "$(cat "$W/marked")" "<<<<<<<"
	has "$(cat "$W/prompt")" "conflicts with the work of left"
	is "landed landed landed" "$(task right .landing.state) $(task after .landing.state) $(task right-merge .landing.state)"
	git merge-base --is-ancestor "$(task right .head)" main
}

@test "marks that were left in a file do not land" {
	plan <<-'Y'
	resolve: lazy
	tasks:
	  - {id: left, prompt: 'echo left >file'}
	  - {id: right, prompt: 'echo right >file'}
	Y
	agent lazy 'echo done >note'
	expect 0 pleach run --headless >/dev/null
	json=$(expect 1 pleach --json merge left right)
	resolver=$(jq .conflicts[0].resolve <<<"$json")
	is right-merge "$(task "$resolver" .key)"
	# Once more, and once more; then it is left to a person.
	wait_event '.kind == "task.updated" and .key == "right-merge-3" and .data.landing.state == "conflict"' >/dev/null
	is left "$(cat file)"
	is conflict "$(task right .landing.state)"
	is 3 "$(pleach --json task list | jq '[.tasks[] | select(.key | startswith("right-merge"))] | length')"
}

@test "a conflict that one agent did not resolve goes to another one, of the target as it is then" {
	plan <<-'Y'
	merge: auto
	resolve: late
	tasks:
	  - {id: left, prompt: 'echo left >file'}
	  - {id: right, prompt: 'read -r x <"$W/gate"; echo right >file'}
	Y
	agent late 'if mkdir "$W/first"; then echo done >note; else cp file "$W/marked"; printf "left\nright\n" >file; fi'
	gate gate
	background timeout --foreground -k 5 "$LIMIT" "$PLEACH_BUILD/pleach" run --headless
	run=$BG
	wait_event '.kind == "target.moved"' >/dev/null
	open_gate gate
	finished "$run"
	is 0 "$STATUS"
	is "left right" "$(echo $(cat file))"
	has "$(cat "$W/marked")" "<<<<<<<"
	is "landed conflict landed" "$(echo $(for t in right right-merge right-merge-2; do task $t .landing.state; done))"
}

@test "a batch lands in one move; one that fails is tried in halves" {
	plan <<-'Y'
	merge: {when: manual, batch: 8, ahead: 1}
	verify: 'echo x >>"$W/proofs"; test ! -e f1 || test ! -e f5'
	tasks:
	  - {id: a1, prompt: 'echo 1 >f1'}
	  - {id: a2, prompt: 'echo 2 >f2'}
	  - {id: a3, prompt: 'echo 3 >f3'}
	  - {id: a4, prompt: 'echo 4 >f4'}
	  - {id: a5, prompt: 'echo 5 >f5'}
	  - {id: a6, prompt: 'echo 6 >f6'}
	Y
	expect 0 pleach run --headless >/dev/null
	: >"$W/proofs"
	expect 0 pleach merge a2 a3 a4 >/dev/null
	is 1 "$(moves)"
	is 1 "$(wc -l <"$W/proofs")"
	json=$(expect 1 pleach --json merge --all)
	holds "$json" '.merged == ["a1", "a6"] and (.verify_failed | map(.key)) == ["a5"]'
	[[ -e f1 && ! -e f5 && -e f6 ]]
}

@test "--squash down a chain: one commit a task, no false conflict" {
	plan <<-'Y'
	merge: {squash: true, message: "{key}: {subject}"}
	tasks:
	  - {id: a, subject: First, prompt: 'echo 1 >fa; git add fa; git commit -qm 1; echo 2 >fa'}
	  - {id: b, subject: Second, prompt: 'echo 3 >fa', blocked_by: [a]}
	  - {id: c, subject: Third, prompt: 'echo 4 >fa', blocked_by: [b]}
	Y
	expect 0 pleach run --headless >/dev/null
	before=$(git rev-parse main)
	expect 0 pleach merge --all >/dev/null
	is 4 "$(cat fa)"
	is "a: First|b: Second|c: Third" "$(git log --reverse --format=%s "$before..main" | paste -sd'|')"
	is "p/a p/b p/c" "$(git log --reverse --format='%(trailers:key=Pleach-Task,valueonly,separator=)' "$before..main" | paste -sd' ')"
}

@test "undo goes back to before the last landing, dirty files and all" {
	plan <<-'Y'
	target: main
	tasks:
	  - {id: a, prompt: 'echo a >fa'}
	  - {id: b, prompt: 'echo b >fb; echo changed >>file'}
	  - {id: c, prompt: 'echo c >fc'}
	Y
	expect 0 pleach run --headless >/dev/null
	expect 4 pleach undo
	expect 0 pleach merge a >/dev/null
	first=$(git rev-parse main)
	expect 0 pleach merge b >/dev/null
	echo staged >.gitignore && git add .gitignore && echo mine >untracked
	json=$(expect 0 pleach --json undo)
	holds "$json" ".target == \"main\" and .after == \"$first\" and .undone == [\"b\"]"
	is "$first" "$(git rev-parse main)"
	[[ ! -e fb ]]
	is "M  .gitignore" "$(git status --porcelain | grep gitignore)"
	is mine "$(cat untracked)"
	is "landed none" "$(task a .landing.state) $(task b .landing.state)"
	# It lands again when asked; what the user has changed since is in the way of going back.
	expect 0 pleach merge b >/dev/null
	echo mine >>file
	expect 5 pleach undo
	has "$(stderr)" file
	git checkout -q file
	# Back through several to before one of them.
	expect 0 pleach merge c >/dev/null
	holds "$(expect 0 pleach --json undo b)" '.undone | sort == ["b", "c"]'
	is "$first" "$(git rev-parse main)"
	# Somebody built on it.
	git add untracked && git commit -qm user
	user=$(git rev-parse main)
	expect 5 pleach undo
	is "$user" "$(git rev-parse main)"
}

@test "an undo under way when the serving process dies is ended by the next one" {
	cat >"$W/smudge" <<-'S'
	cat
	[ -e "$W/slow" ] || exit 0
	rm "$W/slow"
	echo >"$W/undoing"
	read -r x <"$W/gate"
	S
	git config filter.slow.smudge "sh $W/smudge"
	echo '/slowly filter=slow' >.gitattributes
	echo old >slowly
	git add -A && git commit -qm filter
	first=$(git rev-parse main)
	plan <<-'Y'
	target: main
	tasks:
	  - {id: a, prompt: 'echo a >fa; echo new >slowly'}
	Y
	gate undoing
	gate gate
	expect 0 pleach run --headless >/dev/null
	expect 0 pleach merge a >/dev/null
	is new "$(cat slowly)"
	touch "$W/slow"
	background "$PLEACH_BUILD/pleach" undo
	timeout "$LIMIT" cat "$W/undoing"
	kill -KILL "$(serving_pid)"
	# The row says that it goes back; nothing else may move the target before it has.
	open_gate gate
	wait_event '.kind == "target.moved" and .data.undo' >/dev/null
	is "$first" "$(git rev-parse main)"
	is old "$(cat slowly)"
	[[ ! -e fa ]]
	is none "$(task a .landing.state)"
	is 1 "$(pleach --json events | jq -c 'select(.kind == "target.moved" and .data.undo)' | wc -l)"
	expect 0 pleach merge a >/dev/null
	is new "$(cat slowly)"
}

@test "undo of a target that nobody has checked out" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo a >fa'}
	Y
	expect 0 pleach run --headless >/dev/null
	git branch other
	expect 0 pleach merge a --into other >/dev/null
	expect 0 pleach undo >/dev/null
	is "$(git rev-parse main)" "$(git rev-parse other)"
}

@test "status --conflicts names works under way that clash; both are told" {
	plan <<-'Y'
	team: 3
	tasks:
	  - {id: one, prompt: 'echo 1 >file; echo >"$W/ready1"; read x <"$W/gate1"'}
	  - {id: two, prompt: 'echo 2 >file; echo >"$W/ready2"; read x <"$W/gate2"'}
	  - {id: three, prompt: 'echo 3 >other; echo >"$W/ready3"; read x <"$W/gate3"'}
	Y
	for n in 1 2 3; do gate gate$n; gate ready$n; done
	background timeout --foreground -k 5 "$LIMIT" "$PLEACH_BUILD/pleach" run --headless
	run=$BG
	for n in 1 2 3; do timeout "$LIMIT" cat "$W/ready$n"; done
	objects=$(git count-objects)
	json=$(expect 0 pleach --json status --conflicts)
	holds "$json" '(.pairs | length) == 1 and ([.pairs[0].a.key, .pairs[0].b.key] | sort) == ["one", "two"]
		and .pairs[0].paths == ["file"] and .target == []'
	is "$objects" "$(git count-objects)"
	has "$(pleach status --conflicts)" "one and two"
	wait_event '.kind == "task.clash" and .key == "two" and .data.with.key == "one"' >/dev/null
	for n in 1 2 3; do open_gate gate$n; done
	finished "$run"
	is 0 "$STATUS"
	has "$(pleach status --conflicts)" "nothing under way conflicts"
}

@test "a serving process that dies between proofs goes on where it was" {
	plan <<-'Y'
	merge: {ahead: 1}
	verify: 'case $PWD in */integration*) if test -e fb; then echo >"$W/proving"; read x <"$W/gate"; fi ;; esac'
	tasks:
	  - {id: a, prompt: 'echo a >fa'}
	  - {id: b, prompt: 'echo b >fb'}
	  - {id: c, prompt: 'echo c >fc'}
	Y
	gate gate
	gate proving
	expect 0 pleach run --headless >/dev/null
	background timeout --foreground -k 5 "$LIMIT" "$PLEACH_BUILD/pleach" --json merge --all
	merge=$BG
	timeout "$LIMIT" cat "$W/proving"
	# b is proven beside the move to a.
	wait_event '.kind == "task.updated" and .key == "a" and .data.landing.state == "landed"' >/dev/null
	holds "$(pleach --json status)" '.landings | map(.key) == ["b", "c"] and .[0].state == "proving"'
	kill -KILL "$(serving_pid)"
	timeout "$LIMIT" cat "$W/proving"
	open_gate gate
	timeout "$LIMIT" cat "$W/proving"
	open_gate gate
	finished "$merge"
	is 0 "$STATUS"
	is "a b c" "$(echo $(cat fa fb fc))"
	is 3 "$(moves)"
}

@test "down --now ends proofs; what was queued has not landed and nothing runs on" {
	plan <<-'Y'
	verify: 'case $PWD in */integration*) echo $$ >"$W/proving"; sleep 1000 ;; esac'
	tasks:
	  - {id: a, prompt: 'echo a >fa; git add fa; git commit -qm a; echo b >fb'}
	  - {id: b, prompt: 'echo c >fc'}
	Y
	gate proving
	expect 0 pleach run --headless >/dev/null
	echo user >user && git add user && git commit -qm user
	before=$(git rev-parse main)
	background timeout --foreground -k 5 "$LIMIT" "$PLEACH_BUILD/pleach" merge --all
	merge=$BG
	read -r verify < <(timeout "$LIMIT" cat "$W/proving")
	expect 0 pleach down --now >/dev/null
	finished "$merge"
	is 5 "$STATUS"
	process_gone "$verify"
	is "$before" "$(git rev-parse main)"
	is "none none" "$(task a .landing.state) $(task b .landing.state)"
}

@test "a plan may ask for signed commits; one that cannot be signed does not land" {
	ssh-keygen -q -t ed25519 -N '' -f "$W/key" || skip "no ssh-keygen"
	git config gpg.format ssh
	git config user.signingkey "$W/key"
	plan <<-'Y'
	merge: {sign: true}
	tasks:
	  - {id: a, prompt: 'echo a >fa'}
	  - {id: b, prompt: 'echo b >fb'}
	Y
	expect 0 pleach run --headless >/dev/null
	expect 0 pleach merge a >/dev/null
	has "$(git cat-file commit main)" "BEGIN SSH SIGNATURE"
	before=$(git rev-parse main)
	rm "$W/key"
	expect 6 pleach merge b
	has "$(stderr)" sign
	is "$before" "$(git rev-parse main)"
}

hook() { # hook NAME SCRIPT
	printf '#!/bin/sh\n%s\n' "$2" >".git/hooks/$1"
	chmod +x ".git/hooks/$1"
}

@test "a plan may ask for the user's hooks: they refuse, add and write; a planted one is not run" {
	mkdir -p .git/hooks
	hook pre-merge-commit 'if test -e bad; then echo "no bad files here"; exit 3; fi; echo formatted >done; git add done'
	hook commit-msg 'echo "Hooked: yes" >>"$1"'
	plan <<-'Y'
	merge: {hooks: true}
	verify: 'case $PWD in */integration*) test -e done ;; esac'
	tasks:
	  - {id: a, prompt: 'echo a >fa'}
	  - {id: b, prompt: 'echo b >bad'}
	  - {id: c, prompt: 'echo c >fc'}
	Y
	expect 0 pleach run --headless >/dev/null
	json=$(expect 1 pleach --json merge --all)
	holds "$json" '.merged == ["a", "c"] and (.verify_failed | map(.key)) == ["b"]
		and .verify_failed[0].exit_code == 3 and (.verify_failed[0].tail | contains("no bad files here"))'
	is formatted "$(cat done)"
	has "$(git log -1 --format=%B main)" "Hooked: yes"
	git merge-base --is-ancestor "$(task a .head)" main
	git merge-base --is-ancestor "$(task c .head)" main
	is "" "$(git status --porcelain --untracked-files=no)"
	# Another file than the user had, as an agent could write it: it is not run, nothing lands.
	plan <<-'Y'
	merge: {hooks: true}
	tasks:
	  - {id: d, prompt: 'echo d >fd'}
	Y
	expect 0 pleach run --headless >/dev/null
	hook commit-msg 'touch "$W/planted"'
	expect 5 pleach merge d
	has "$(stderr)" commit-msg
	[[ ! -e $W/planted ]]
}

@test "killed at every move the queue still lands each task once" {
	{
		echo 'merge: {ahead: 2}'
		echo "verify: 'test -e file'"
		echo 'tasks:'
		for n in 1 2 3 4 5 6; do echo "  - {id: t$n, prompt: 'echo $n >f$n'}"; done
	} | plan
	expect 0 pleach run --headless >/dev/null
	before=$(git rev-parse main)
	background timeout --foreground -k 5 "$LIMIT" "$PLEACH_BUILD/pleach" --json merge --all
	merge=$BG
	since=0
	for n in 1 2 3 4 5; do
		since=$(wait_event '.kind == "target.moved"' "$since" | jq .seq)
		kill -KILL "$(serving_pid)"
	done
	finished "$merge"
	is 0 "$STATUS"
	is "1 2 3 4 5 6" "$(echo $(cat f1 f2 f3 f4 f5 f6))"
	is 6 "$(states_of_main | sed "0,/$before/d" | wc -l)"
	is 6 "$(moves)"
	all_green "$before" 'test -e file'
	holds "$(pleach --json task list)" '.tasks | all(.landing.state == "landed")'
	git fsck --strict 2>&1 | { ! grep -v dangling; }
}
