# landing: what a proof has of its tasks' environment, and what becomes of one that somebody kills.
load helper

@test "verify has a task's own env when it lands, too" {
	plan <<-'Y'
	merge: auto
	verify: 'test -n "$N" && test -e "$N"'
	tasks:
	  - {id: a, prompt: 'echo a >a', env: {N: a}}
	  - {id: b, prompt: 'echo b >b', env: {N: b}}
	  - {id: c, prompt: 'echo c >c', env: {N: c}}
	Y
	expect 0 pleach run --headless >/dev/null
	is "landed landed landed" "$(pleach --json task list | jq -r '[.tasks[].landing.state] | join(" ")')"
}

@test "what resolves a conflict is verified with the env of whose conflict it is" {
	printf 'git checkout -q --theirs . 2>/dev/null; printf "a\\nb\\n" >same\n' >"$W/merge"
	plan <<-'Y'
	merge: auto
	team: 1
	resolve: mend
	verify: 'test -n "$N" && grep -q "$N" same'
	tasks:
	  - {id: a, prompt: 'echo a >same', env: {N: a}}
	  - {id: b, prompt: 'echo b >same', env: {N: b}}
	Y
	sed -i "s|^agents:\$|agents:\n  mend: {command: [sh, $W/merge], mode: exec}|" pleach.yaml
	expect 0 pleach run --headless >/dev/null
	is "landed landed landed" "$(pleach --json task list | jq -r '[.tasks[].landing.state] | join(" ")')"
	is $'a\nb' "$(git show main:same)"
}

@test "verify has the env of its agent when it lands, the task's own before that" {
	raw_plan <<-'Y'
	name: p
	merge: auto
	agents:
	  sh: {command: [sh, "{prompt_file}"], mode: exec, env: {N: agent, M: a}}
	defaults: {agent: sh}
	verify: 'test "$N" = agent && test -e "$M"'
	tasks:
	  - {id: a, prompt: 'echo a >a'}
	  - {id: b, prompt: 'echo b >b', env: {M: b}}
	Y
	expect 0 pleach run --headless >/dev/null
	is "landed landed" "$(pleach --json task list | jq -r '[.tasks[].landing.state] | join(" ")')"
}

@test "what resolves a conflict keeps its env when the plan is submitted again before it has run" {
	plan <<-'Y'
	merge: auto
	team: 1
	resolve: mend
	verify: 'test -z "$N" || grep -q "$N" same'
	tasks:
	  - {id: a, prompt: 'echo a >same', env: {N: a}}
	  - {id: b, prompt: 'echo b >same', env: {N: b}}
	Y
	sed -i "s|^agents:\$|agents:\n  mend: {command: [sh, $W/merge], mode: exec}|" pleach.yaml
	cat >"$W/merge" <<-'S'
	echo >"$W/resolving"; read -r x <"$W/gate"; env | grep ^N= >"$W/env"; printf 'a\nb\n' >same
	S
	gate gate
	gate resolving
	background timeout --foreground -k 5 "$LIMIT" "$PLEACH_BUILD/pleach" run --headless
	run=$BG
	timeout "$LIMIT" cat "$W/resolving"
	expect 0 pleach run --headless --detach >/dev/null
	open_gate gate
	finished "$run"
	pleach wait b
	is N=b "$(cat "$W/env")"
	jq -e '.plans.p.tasks["b-merge"] == {"N": "b"}' "$PLEACH_RUNTIME_DIR"/*/environment.json
}

@test "a proof that somebody kills is proven again: nothing of merge: auto stays behind" {
	plan <<-'Y'
	merge: auto
	target: other
	verify: 'test ! -e first || test ! -e second || test -e "$W/again" || { touch "$W/again"; kill -KILL "$PPID"; }'
	tasks:
	  - {id: a, prompt: 'touch first'}
	  - {id: b, prompt: 'touch second'}
	Y
	git branch other
	expect 0 pleach run --headless >/dev/null
	[[ -e $W/again ]]
	is "landed landed" "$(pleach --json task list | jq -r '[.tasks[].landing.state] | join(" ")')"
	git cat-file -e other:first && git cat-file -e other:second
}

@test "what a killed proof left running is ended before its slot is used again" {
	cat >"$W/verify" <<-'S'
	case $PWD in */integration*) ;; *) exit 0 ;; esac
	for pid in $(cat "$W/tries" 2>/dev/null); do
		! grep -qs '^State:.[^ZX]' "/proc/$pid/status" || echo "$pid" >>"$W/beside"
	done
	echo "$$" >>"$W/tries"
	case $(wc -l <"$W/tries") in
	1) kill -KILL "$PPID"; read -r x <"$W/never" ;;
	2) kill -KILL "$PPID"; exec setsid env -i /bin/sh -c 'read -r x <"$1"' sh "$W/never" ;;
	esac
	S
	gate never
	plan <<-'Y'
	merge: {when: auto, ahead: 1}
	verify: '. "$W/verify"'
	tasks:
	  - {id: a, prompt: 'touch first'}
	  - {id: b, prompt: 'touch second'}
	Y
	expect 0 pleach run --headless >/dev/null
	is 3 "$(wc -l <"$W/tries")"
	[[ ! -e $W/beside ]]
	is "landed landed" "$(pleach --json task list | jq -r '[.tasks[].landing.state] | join(" ")')"
}


@test "what cannot be merged for want of the surroundings stays in the queue and lands later" {
	plan <<-'Y'
	merge: auto
	target: other
	tasks:
	  - {id: a, prompt: 'touch first'}
	  - {id: b, prompt: 'touch second; read -r x <"$W/gate"'}
	Y
	gate gate
	git branch other
	mkdir -p .git/refs/pleach && : >.git/refs/pleach/landing
	background timeout --foreground -k 5 "$LIMIT" "$PLEACH_BUILD/pleach" run --headless
	run=$BG
	held=$(wait_event '.kind == "landing.changed"')
	holds "$held" '.data.target == "other" and .data.held and (.data.message | startswith("nothing lands on other: "))'
	holds "$(pleach --json status)" '.held | length == 1 and .[0].target == "other"'
	has "$(pleach status)" "! nothing lands on other: "
	open_gate gate
	wait_event '.kind == "task.updated" and .key == "b" and .data.landing.state == "queued"' >/dev/null
	is "queued queued" "$(pleach --json task list | jq -r '[.tasks[].landing.state] | join(" ")')"
	rm .git/refs/pleach/landing
	finished "$run"
	is 0 "$STATUS"
	has "$(cat "$BATS_TEST_TMPDIR/bg.err")" "nothing lands on other: "
	has "$(cat "$BATS_TEST_TMPDIR/bg.err")" "landing goes on"
	is "landed landed" "$(pleach --json task list | jq -r '[.tasks[].landing.state] | join(" ")')"
	holds "$(pleach --json status)" '.held == [] and .landings == []'
}

@test "a target that a person works in: run says so and ends with 3; it lands once that is over" {
	gate go
	plan <<-'Y'
	merge: auto
	base: main
	target: main
	tasks:
	  - {id: a, prompt: 'read line <"$W/go"; touch first'}
	Y
	git checkout -qb work && echo w >file && git commit -qam w
	git checkout -q main && echo m >file && git commit -qam m
	run git rebase work
	[[ $status != 0 ]]
	background pleach run --headless
	run=$BG
	# It was read while it worked, and the next change is read at once: before it is known what holds it up.
	eventually grep -q 'a .*starts on' "$BATS_TEST_TMPDIR/bg.out"
	sleep 0.3
	open_gate go
	finished "$run"
	is 3 "$STATUS"
	has "$(cat "$BATS_TEST_TMPDIR/bg.err")" "not landed yet: main is in a rebase"
	is queued "$(task a .landing.state)"
	git rebase --abort
	wait_event '.kind == "target.moved"' >/dev/null
	git cat-file -e main:first
	holds "$(pleach --json status)" '.held == []'
}

@test "who merges by hand is told why not, and nothing lands behind their back" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'touch first'}
	Y
	expect 0 pleach run --headless >/dev/null
	mkdir -p .git/refs/pleach && : >.git/refs/pleach/landing
	expect 6 pleach merge a
	is none "$(task a .landing.state)"
	holds "$(pleach --json status)" '.landings == []'
	rm .git/refs/pleach/landing
	expect 0 pleach merge a >/dev/null
	holds "$(pleach --json status)" '.held == []'
}

@test "a merge whose proof is killed each time is set aside; the others land" {
	plan <<-'Y'
	merge: {when: auto, ahead: 1}
	verify: 'case $PWD in */integration*) test ! -e poison || kill -KILL "$PPID" ;; esac'
	tasks:
	  - {id: a, prompt: 'touch first'}
	  - {id: b, prompt: 'read -r x <"$W/gate"; touch poison', blocked_by: [a], when: settled}
	  - {id: c, prompt: 'touch third'}
	Y
	gate gate
	background timeout --foreground -k 5 "$LIMIT" "$PLEACH_BUILD/pleach" run --headless
	run=$BG
	# Where the target has not moved there is nothing to prove.
	wait_event '.key == "c" and .data.landing.state == "landed"' >/dev/null
	open_gate gate
	finished "$run"
	is 1 "$STATUS"
	is "landed none landed" "$(pleach --json task list | jq -r '[.tasks[].landing.state] | join(" ")')"
	has "$(task b .landing.message)" "Killed"
}

@test "of what waits to land the highest priority comes first, what it waits for before it" {
	plan <<-'Y'
	verify: 'case $PWD in */integration*) test -e "$W/go" || { echo >"$W/proving"; read -r x <"$W/hold"; } ;; esac'
	merge: {ahead: 1}
	target: main
	tasks:
	  - {id: first, prompt: 'touch 1'}
	  - {id: next, prompt: 'touch n'}
	  - {id: low, prompt: 'touch 2'}
	  - {id: under, prompt: 'touch 3'}
	  - {id: high, prompt: 'touch 4', priority: 5, blocked_by: [under]}
	Y
	gate hold
	gate proving
	expect 0 pleach run --headless >/dev/null
	echo user >user && git add user && git commit -qm user
	background "$PLEACH_BUILD/pleach" merge first
	timeout "$LIMIT" cat "$W/proving"
	# That one is merged while the first is proven: it keeps its place.
	background "$PLEACH_BUILD/pleach" merge next
	wait_event '.key == "next" and .data.landing.state == "queued"' >/dev/null
	background "$PLEACH_BUILD/pleach" merge low
	wait_event '.key == "low" and .data.landing.state == "queued"' >/dev/null
	background "$PLEACH_BUILD/pleach" merge high
	wait_event '.key == "high" and .data.landing.state == "queued"' >/dev/null
	holds "$(pleach --json status)" '[.landings[].key] == ["under", "high", "first", "next", "low"]'
	touch "$W/go"
	open_gate hold
	wait_event '.key == "low" and .data.landing.state == "landed"' >/dev/null
	is "first next under high low" "$(pleach --json events | jq -r 'select(.data.landing.state == "landed").key' | paste -sd' ')"
}

@test "merge: auto: what is built on a conflict waits, told so, and lands when that has landed" {
	plan <<-'Y'
	merge: auto
	tasks:
	  - {id: left, prompt: 'echo left >file'}
	  - {id: right, prompt: 'read -r x <"$W/gate"; echo right >file'}
	  - {id: one, prompt: 'touch 1', blocked_by: [right]}
	  - {id: two, prompt: 'touch 2', blocked_by: [one]}
	Y
	gate gate
	background timeout --foreground -k 5 "$LIMIT" "$PLEACH_BUILD/pleach" run --headless
	run=$BG
	wait_event '.kind == "target.moved"' >/dev/null
	open_gate gate
	finished "$run"
	is 1 "$STATUS"
	is '["right"] ["one"]' "$(task one .landing.after) $(task two .landing.after)"
	# Resolved by hand: the user's own merge contains it.
	git merge -q pleach/p/right || { echo both >file; git commit -qam both; }
	expect 0 pleach merge right >/dev/null
	wait_event '.key == "two" and .data.landing.state == "landed"' >/dev/null
	git cat-file -e main:1 && git cat-file -e main:2
}

# damage REV: the loose object is cut short, as a bad disk leaves it; what it was is in $W
damage() {
	local id file
	id=$(git rev-parse "$1")
	file=.git/objects/${id:0:2}/${id:2}
	cp "$file" "$W/$id"
	chmod u+w "$file"
	truncate -s 9 "$file"
}

@test "of a task whose objects are damaged nothing lands, and nothing waits for it that is not built on it" {
	plan <<-'Y'
	verify: 'test ! -e broken'
	tasks:
	  - {id: bad, prompt: 'echo bad >bad', priority: 9}
	  - {id: on, prompt: 'echo on >on', blocked_by: [bad], priority: 9}
	  - {id: a, prompt: 'echo a >a'}
	  - {id: b, prompt: 'echo b >b'}
	Y
	expect 0 pleach run --headless >/dev/null
	damage pleach/p/bad:bad
	json=$(expect 5 pleach --json merge --all)
	holds "$json" '(.merged | sort) == ["a", "b"] and (.refused | map(.key)) == ["bad"] and (.stopped | map(.key)) == ["on"]'
	holds "$json" '.refused[0].message | test("bad is damaged, git cannot read it: .* is corrupt")'
	holds "$(pleach --json task show bad)" '.landing.state == "none" and (.landing.message | test("is damaged"))'
	holds "$(pleach --json status)" '.held == [] and .landings == []'
	is "a b" "$(echo $(git ls-tree --name-only main a b bad on))"
	expect 5 pleach merge bad
	has "$(stderr)$(cat "$BATS_TEST_TMPDIR/out")" "is damaged"
	# Healed, it lands like any other.
	id=$(cd "$W" && echo *)
	cp "$W/$id" ".git/objects/${id:0:2}/${id:2}"
	expect 0 pleach merge --all >/dev/null
	is "a b bad on" "$(echo $(git ls-tree --name-only main a b bad on))"
}

@test "merge: auto goes on behind a task whose objects are damaged" {
	plan <<-'Y'
	merge: auto
	tasks:
	  - id: bad
	    prompt: 'echo bad >bad'
	    priority: 9
	    verify: 'o=$(git rev-parse HEAD:bad); cd "$(git rev-parse --git-common-dir)/objects/$(echo $o | cut -c1-2)" && f=$(echo $o | cut -c3-) && chmod u+w $f && truncate -s 9 $f'
	  - {id: a, prompt: 'echo a >a'}
	Y
	expect 1 pleach run --headless >/dev/null
	is "landed none" "$(task a .landing.state) $(task bad .landing.state)"
	has "$(pleach task show bad)" "is damaged"
	holds "$(pleach --json status)" '.held == []'
}

auto_clash() { # left lands, right conflicts with it
	plan <<-'Y'
	merge: auto
	tasks:
	  - {id: left, prompt: 'echo left >file', priority: 1}
	  - {id: right, prompt: 'while ! git -C "$PLEACH_ROOT" show main:file | grep -q left; do sleep .1; done; echo right >file'}
	Y
	sed -i '1a team: 2' pleach.yaml
}

@test "what did not land is shown: run marks and counts it, status says what to do, wait ends with 1" {
	auto_clash
	text=$(expect 1 pleach run --headless)
	has "$text" "! right"
	has "$text" "conflicts with left in file"
	has "$text" "2 completed, 1 landed, 1 conflict"
	has "$text" "pleach merge right"
	has "$(tail -n 1 <(expect 1 pleach --json run --headless))" '"landed":1,"conflicts":1'
	expect 1 pleach wait right >/dev/null
	expect 0 pleach wait left >/dev/null
	has "$(pleach status)" "right         conflicts with left in file (pleach open right · pleach merge right)"
	holds "$(pleach --json status)" '.unlanded | length == 1 and .[0].key == "right" and .[0].landing.state == "conflict"'
	# Merged by a person it needs nobody any more.
	git -c merge.conflictStyle=merge merge -q "$(task right .head)" || true
	echo both >file && git commit -qam both
	expect 0 pleach merge right >/dev/null
	holds "$(pleach --json status)" '.unlanded == []'
	expect 0 pleach wait right >/dev/null
}

@test "where nothing lands by itself, a conflict of merge does not change what wait says" {
	auto_clash
	sed -i '/^merge:/d; s/while.*done; //' pleach.yaml
	expect 0 pleach run --headless >/dev/null
	expect 1 pleach merge left right >/dev/null
	expect 0 pleach wait right >/dev/null
	has "$(pleach status)" "conflicts with left in file"
	# What it conflicts with is taken out: nobody knows of a conflict any more.
	expect 0 pleach undo left >/dev/null
	is "none null" "$(task right '"\(.landing.state) \(.landing.with)"')"
	lacks "$(pleach status)" "conflicts with"
	expect 0 pleach merge right >/dev/null
	is right "$(cat file)"
}

@test "a refused task is shown with what is in its way" {
	auto_clash
	sed -i '/^merge:/d; /id: right/d' pleach.yaml
	expect 0 pleach run --headless >/dev/null
	echo mine >file
	expect 5 pleach merge left
	has "$(pleach status)" "did not land: main is checked out in"
	git checkout -q file
	expect 0 pleach merge left >/dev/null
	lacks "$(pleach status)" "did not land"
}
