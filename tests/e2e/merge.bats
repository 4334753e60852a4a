# merge: a verified landing that never touches the user's work.
load helper

three_tasks() {
	plan <<-'Y'
	target: main
	verify: 'test ! -e broken'
	tasks:
	  - {id: a, prompt: 'echo a >fa'}
	  - {id: b, prompt: 'echo b >fb', blocked_by: [a]}
	  - {id: c, prompt: 'echo c >fc'}
	Y
	expect 0 pleach run --headless >/dev/null
}

clash() {
	plan <<-'Y'
	tasks:
	  - {id: left, prompt: 'echo left >file'}
	  - {id: right, prompt: 'echo right >file'}
	Y
	expect 0 pleach run --headless >/dev/null
}

@test "merge lands a task with its blockers on the checked-out target" {
	three_tasks
	before=$(git rev-parse main)
	json=$(expect 0 pleach --json merge b)
	holds "$json" ".target == \"main\" and .before == \"$before\" and .merged == [\"a\", \"b\"] and .conflicts == [] and has(\"verify\")"
	is "$(git rev-parse main)" "$(jq -r .after <<<"$json")"
	is "a b" "$(echo $(cat fa fb))"
	[[ ! -e fc ]]
	is "" "$(git status --porcelain --untracked-files=no)"
	holds "$(pleach --json task show b)" '.landing.state == "landed" and .landing.commit != null and .landing.at != null'
	is none "$(task c .landing.state)"
	wait_event '.kind == "target.moved"' >/dev/null
	# Once more: nothing to do.
	after=$(git rev-parse main)
	expect 0 pleach merge b >/dev/null
	is "$after" "$(git rev-parse main)"
}

@test "merge --all lands every completed task that has not landed" {
	three_tasks
	json=$(expect 0 pleach --json merge --all)
	holds "$json" '(.merged | sort) == ["a", "b", "c"]'
	is "a b c" "$(echo $(cat fa fb fc))"
}

@test "what nothing proved is marked when it lands, also where two plans have that key" {
	for name in p q; do
		plan <<-Y
		target: main
		tasks: [{id: a, verify: $([[ $name == p ]] && echo "'true'" || echo none), prompt: 'echo $name >f$name'}]
		Y
		sed -i "s/^name: p/name: $name/" pleach.yaml
		expect 0 pleach run --headless >/dev/null
	done
	out=$(expect 0 pleach merge p/a)
	has "$out" "✓ p/a"
	lacks "$out" unverified
	has "$(expect 0 pleach merge q/a)" "✓ q/a  unverified"
	is "p q" "$(echo $(cat fp fq))"
}

@test "merge --all never takes an unchosen alternative" {
	plan <<-'Y'
	tasks:
	  - id: speed
	    choose: best
	    prompt: 'true'
	    alternatives: [{prompt: 'echo 1 >one'}, {prompt: 'seq 9 >two'}]
	Y
	expect 0 pleach run --headless >/dev/null
	expect 0 pleach merge --all >/dev/null
	[[ -e one && ! -e two ]]
}

@test "a conflict at the second is named, exit 1, and the target stays green" {
	clash
	out=0
	pleach --json merge left right >"$W/merge" 2>"$W/err" || out=$?
	is 1 "$out"
	holds "$(cat "$W/merge")" '.conflicts | length == 1 and .[0].key == "right" and .[0].paths == ["file"]'
	is left "$(git show main:file)"
	is left "$(cat file)"
	is "" "$(git status --porcelain --untracked-files=no)"
	is "landed conflict" "$(task left .landing.state) $(task right .landing.state)"
	holds "$(pleach --json task show right)" '.status == "completed" and .landing.paths == ["file"]'
	expect 1 pleach merge right
	has "$(cat "$BATS_TEST_TMPDIR/out" "$BATS_TEST_TMPDIR/err")" file
}

@test "what does not pass verify together does not land" {
	plan <<-'Y'
	verify: '! { test -e x && test -e y; }'
	tasks:
	  - {id: a, prompt: 'echo x >x'}
	  - {id: b, prompt: 'echo y >y'}
	Y
	expect 0 pleach run --headless >/dev/null
	expect 0 pleach merge a >/dev/null
	before=$(git rev-parse main)
	expect 1 pleach merge b
	is "$before" "$(git rev-parse main)"
	is verify_failed "$(task b .landing.state)"
	[[ ! -e y ]]
}

@test "the user's uncommitted work stays; overlapping paths refuse" {
	three_tasks
	echo edited >file
	echo mine >untracked
	git add file
	echo more >>file
	expect 0 pleach merge a >/dev/null
	is "edited more" "$(echo $(cat file))"
	is edited "$(git show :file)"
	is mine "$(cat untracked)"
	is a "$(cat fa)"
	# Now what would be overwritten.
	before=$(git rev-parse main)
	echo precious >fc
	run pleach merge c
	[[ $status == 5 || $status == 1 ]]
	has "$output" fc
	is precious "$(cat fc)"
	is "$before" "$(git rev-parse main)"
	rm fc
	expect 0 pleach merge c >/dev/null
	is c "$(cat fc)"
}

@test "an ignored file of the user's is not overwritten" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo theirs >.env; git add -f .env; git commit -qm env'}
	Y
	expect 0 pleach run --headless >/dev/null
	echo precious >.env
	run pleach merge a
	[[ $status != 0 ]]
	is precious "$(cat .env)"
}

@test "--into another branch, which is not checked out" {
	three_tasks
	git branch other
	main=$(git rev-parse main)
	expect 0 pleach merge a --into other >/dev/null
	is a "$(git show other:fa)"
	is "$main" "$(git rev-parse main)"
	[[ ! -e fa ]]
}

@test "a target that there is not is told, also when nothing is to be merged" {
	three_tasks
	expect 4 pleach merge a --into nosuch
	expect 4 pleach merge --all --into nosuch
	has "$(stderr)" "branch nosuch: no such branch"
	expect 0 pleach merge --all >/dev/null
	holds "$(expect 0 pleach --json merge --all)" '.merged == [] and .target == null'
	[[ ! $(pleach events) =~ [0-9]\.[0-9]{10} ]]
	for dry in "" --dry-run; do
		expect 4 pleach merge --all --into nosuch $dry
		has "$(stderr)" "branch nosuch: no such branch"
		holds "$(expect 0 pleach --json merge --all --into main $dry)" ".merged == [] and .target == \"main\" and .dry_run == $([[ -n $dry ]] && echo true || echo false)"
	done
}

@test "a target that moved meanwhile is merged, not overwritten" {
	three_tasks
	echo user >fu && git add fu && git commit -qm user
	expect 0 pleach merge a >/dev/null
	is "a user" "$(echo $(git show main:fa main:fu))"
	git merge-base --is-ancestor "$(task a .head)" main
}

@test "--squash lands one commit; dependents land afterwards without false conflicts" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo 1 >fa; git add fa; git commit -qm 1; echo 2 >fa; git commit -qam 2'}
	  - {id: b, prompt: 'echo 3 >fa', blocked_by: [a]}
	Y
	expect 0 pleach run --headless >/dev/null
	before=$(git rev-parse main)
	expect 0 pleach merge a --squash >/dev/null
	is "$before" "$(git rev-parse main^)"
	is 1 "$(git rev-list --count "$before..main")"
	expect 0 pleach merge b --squash >/dev/null
	is 3 "$(cat fa)"
	is 2 "$(git rev-list --count "$before..main")"
}

@test "what has landed is not landed again, nor is what is written of it changed" {
	plan <<-'Y'
	merge: {when: auto, squash: true}
	verify: 'true'
	tasks:
	  - {id: s1, prompt: 'echo 1 >f1; git add f1; git commit -qm one'}
	  - {id: s2, prompt: 'echo 2 >f2; git add f2; git commit -qm two', blocked_by: [s1]}
	Y
	expect 0 pleach run --headless >/dev/null
	start=$(git rev-parse main~2)
	tip=$(git rev-parse main)
	first=$(task s1 .landing)
	seq=$(last_seq)
	text=$(expect 0 pleach merge s1)
	has "$text" "already in main since $(jq -r '.commit[:7]' <<<"$first")"
	has "$text" "main stays at ${tip:0:7}"
	json=$(expect 0 pleach --json merge s1 s2 --squash)
	holds "$json" ".before == \"$tip\" and .after == \"$tip\" and .merged == [\"s1\", \"s2\"]"
	holds "$json" ".landed | all(.already) and .[0].commit == $(jq .commit <<<"$first")"
	holds "$(pleach --json merge s1 --dry-run)" ".after == \"$tip\" and .landed[0].already"
	is "$tip" "$(git rev-parse main)"
	is "$first" "$(task s1 .landing)"
	is "$seq" "$(last_seq)"
	expect 0 pleach undo s1 >/dev/null
	is "none $start" "$(task s1 .landing.state) $(git rev-parse main)"
	# Undone, or taken out by the user: it lands again. So does what was made anew.
	expect 0 pleach merge s1 >/dev/null
	git reset -q --hard "$start"
	holds "$(expect 0 pleach --json merge s1)" '.landed[0].already == null and .before != .after'
	is 1 "$(cat f1)"
	sed -i 's/echo 1 /echo 3 /' pleach.yaml
	expect 0 pleach run --headless --redo s1 >/dev/null
	is 3 "$(git show main:f1)"
}

@test "merged twice a task keeps the commit and the proof that it landed with" {
	three_tasks
	echo user >fu && git add fu && git commit -qm user
	expect 0 pleach merge a >/dev/null
	first=$(task a .landing)
	echo more >fu && git commit -qam more
	tip=$(git rev-parse main)
	holds "$(expect 0 pleach --json merge a)" ".merged == [\"a\"] and .before == \"$tip\" and .after == \"$tip\""
	is "$first" "$(task a .landing)"
	holds "$first" '.verify.exit_code == 0'
}

@test "where nothing moved the target's commit is told all the same" {
	clash
	expect 0 pleach merge left >/dev/null
	tip=$(git rev-parse main)
	expect 1 pleach merge right
	lacks "$(cat "$BATS_TEST_TMPDIR/out")" "nothing to merge"
	has "$(cat "$BATS_TEST_TMPDIR/out")" "nothing landed"
	pleach --json merge right >"$W/json" || true
	holds "$(cat "$W/json")" ".before == \"$tip\" and .after == \"$tip\" and .merged == []"
	git checkout -q --detach main
	git branch -f main left 2>/dev/null || git branch -f main "$(task left .head)"
	holds "$(expect 0 pleach --json merge left)" '.before == .after and .after != null'
}

@test "--dry-run tells and moves nothing" {
	clash
	before=$(git rev-parse main)
	json=$(expect 0 pleach --json merge left --dry-run)
	holds "$json" '.merged == ["left"]'
	is "$before" "$(git rev-parse main)"
	is none "$(task left .landing.state)"
	expect 1 pleach merge left right --dry-run
	is "$before" "$(git rev-parse main)"
}

@test "a target in the middle of a rebase is refused" {
	three_tasks
	git checkout -qb work && echo w >file && git commit -qam w
	git checkout -q main && echo m >file && git commit -qam m
	run git rebase work
	[[ $status != 0 ]]
	before=$(git rev-parse main)
	run pleach merge a --into main
	[[ $status == 5 || $status == 6 ]]
	is "$before" "$(git rev-parse main)"
	git rebase --abort
}

@test "what has not completed cannot be merged; diff shows what would be" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'exit 1'}
	  - {id: b, prompt: 'echo changed >>file; echo new >new'}
	Y
	expect 1 pleach run --headless >/dev/null
	expect 5 pleach merge a
	has "$(stderr)" "(pleach retry a)"
	expect 4 pleach merge nobody
	expect 2 pleach merge
	expect 0 pleach diff b >"$W/patch"
	git apply --check "$W/patch"
	has "$(cat "$W/patch")" +changed
	has "$(expect 0 pleach diff b --stat)" new
}

@test "a proof that dies leaves nothing half done in its slot" {
	plan <<-'Y'
	verify: 'case $PWD in */integration*) test -e "$W/died" || { : >"$W/died"; cd "$(git rev-parse --git-dir)"; : >index.lock; : >pleach-slot.half; kill -9 $PPID; } ;; esac'
	tasks:
	  - {id: a, prompt: 'echo a >fa; git add fa; git commit -qm a; echo b >fb'}
	Y
	expect 0 pleach run --headless >/dev/null
	echo user >user && git add user && git commit -qm user
	expect 0 pleach merge a >/dev/null
	[[ -e $W/died ]]
	is "" "$(ls .git/worktrees/integration | grep -e half -e index.lock)"
	is "a b" "$(echo $(cat fa fb))"
}

@test "what a proof left half done goes when the serving process died with it" {
	plan <<-'Y'
	verify: 'case $PWD in */integration-2) : >"$(git rev-parse --git-dir)/index.lock"; echo >"$W/proving"; sleep 1000 ;; esac'
	tasks:
	  - {id: a, prompt: 'echo a >fa'}
	  - {id: b, prompt: 'echo b >fb'}
	Y
	gate proving
	expect 0 pleach run --headless >/dev/null
	echo user >user && git add user && git commit -qm user
	background timeout --foreground -k 5 "$LIMIT" "$PLEACH_BUILD/pleach" merge a b
	merge=$BG
	timeout "$LIMIT" cat "$W/proving"
	wait_event '.kind == "target.moved"' >/dev/null
	kill -KILL "$(serving_pid)"
	finished "$merge"
	is 0 "$STATUS"
	is "a b" "$(echo $(cat fa fb))"
	is "" "$(ls .git/worktrees/integration-2 | grep -e half -e index.lock)"
}
