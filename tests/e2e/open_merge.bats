# What a person commits on a task's branch, in the worktree that open made, lands with its task.
load helper

# A task, and on top of it another one.
two_tasks() {
	plan <<-'Y'
	target: main
	verify: 'test ! -e broken'
	tasks:
	  - {id: a, prompt: 'echo a >fa'}
	  - {id: b, prompt: 'echo b >fb', blocked_by: [a]}
	Y
	expect 0 pleach run --headless >/dev/null
}

# amend TASK SCRIPT: in its worktree, and commits what that makes
amend() {
	expect 0 pleach open "$1" -- sh -c "$2; git add -A && git commit -qm amended" >/dev/null
}

@test "a conflict that a person resolves on the task's branch lands" {
	for flag in "" --squash; do
		plan <<-Y
		name: p$flag
		target: main
		verify: 'echo . >>$W/proofs'
		tasks:
		  - {id: a, prompt: 'echo a$flag >f'}
		  - {id: b, prompt: 'echo b$flag >f'}
		  - {id: c, prompt: 'echo c$flag >>f', blocked_by: [b]}
		Y
		sed -i '0,/^name: p$/{/^name: p$/d}' pleach.yaml
		expect 0 pleach run --headless >/dev/null
		expect 0 pleach merge $flag a >/dev/null
		expect 1 pleach merge $flag b >/dev/null
		is conflict "$(task b .landing.state)"
		expect 0 pleach open b -- sh -c 'git merge -q main || true; echo resolved >f; git commit -qam res' >/dev/null
		: >"$W/proofs"
		json=$(expect 0 pleach --json merge $flag b)
		holds "$json" '.landed[0] | .key == "b" and .more.commits == 1 and .more.taken'
		tip=$(git rev-parse "pleach/p$flag/b")
		is "$tip" "$(jq -r '.landed[0].more.tip' <<<"$json")"
		is "$(task b .head)" "$(jq -r '.landed[0].head' <<<"$json")"
		is resolved "$(cat f)"
		is . "$(cat "$W/proofs")"
		is "landed $tip" "$(task b '"\(.landing.state) \(.landing.head)"')"
		has "$(expect 0 pleach merge b)" "already in main since"
		# What was built on the old result is merged onto the resolved one: only its own line clashes.
		expect 1 pleach merge $flag c >/dev/null
		has "$(task c '.landing.with | tostring')" b
		expect 0 pleach open c -- sh -c 'git merge -q main || true; echo both >f; git commit -qam res' >/dev/null
		expect 0 pleach merge $flag c >/dev/null
		is both "$(cat f)"
	done
}

@test "a correction lands with its task, is proven, and what stands on the old result lands, too" {
	two_tasks
	amend a 'echo corrected >fa'
	out=$(expect 0 pleach merge --dry-run a)
	has "$out" "✓ a  with 1 commit added to pleach/p/a"
	has "$(expect 0 pleach merge b)" "✓ a  with 1 commit added to pleach/p/a"
	is "corrected b" "$(echo $(cat fa fb))"
	# Undone it is as before; merged again it comes again.
	expect 0 pleach undo a >/dev/null
	[[ ! -e fa && ! -e fb ]]
	expect 0 pleach merge --all >/dev/null
	is "corrected b" "$(echo $(cat fa fb))"
}

@test "so does what is committed in the second worktree of its branch" {
	plan <<-'Y'
	target: main
	tasks: [{id: a, prompt: 'date +%N >fa'}]
	Y
	expect 0 pleach run --headless >/dev/null
	dir=$(expect 0 pleach path a)
	expect 0 pleach run --headless --redo a >/dev/null
	[[ $(expect 0 pleach path a) != "$dir" ]]
	amend a 'echo corrected >fa'
	has "$(expect 0 pleach merge a)" " with 1 commit added to pleach/p/a"
	is corrected "$(cat fa)"
}

@test "what is added is not trusted more than what the attempt made: it has to pass verify" {
	two_tasks
	amend a ': >broken'
	before=$(git rev-parse main)
	out=$(expect 1 pleach merge a)
	has "$out" "with 1 commit added to pleach/p/a"
	is "$before" "$(git rev-parse main)"
	is verify_failed "$(task a .landing.state)"
	amend a 'rm broken'
	has "$(expect 0 pleach merge a)" "✓ a  with 2 commits added to pleach/p/a"
}

@test "squashed, it is one commit; what is added after it has landed is told, not landed" {
	two_tasks
	amend a 'echo corrected >fa'
	expect 0 pleach merge --squash a >/dev/null
	is 2 "$(git rev-list --count main)"
	out=$(expect 0 pleach merge --squash a)
	has "$out" "already in main"
	lacks "$out" added
	amend a 'echo later >fa'
	holds "$(expect 0 pleach --json merge --squash a)" '.landed[0] | .already and .more.taken == false'
	is corrected "$(cat fa)"
	# And what is on top of the first result.
	expect 0 pleach merge --squash b >/dev/null
	is "corrected b" "$(echo $(cat fa fb))"
}

@test "what got onto the branch from elsewhere is told, and does not land" {
	two_tasks
	amend a 'echo corrected >fa'
	tip=$(git rev-parse pleach/p/a)
	# As an agent of another task might: the branch moves below the worktree that is open on it.
	evil=$(git commit-tree -p "$tip" -m evil "$(task b .head)^{tree}")
	git update-ref refs/heads/pleach/p/a "$evil"
	json=$(expect 0 pleach --json merge --dry-run a)
	holds "$json" '.landed[0].more | .taken == false and .commits == 2 and .branch == "pleach/p/a"'
	out=$(expect 0 pleach merge a)
	has "$out" "✓ a  without 2 commits added to pleach/p/a (git merge pleach/p/a)"
	is a "$(cat fa)"
	# In a worktree of somebody else's, neither.
	git worktree add -q "$W/else" pleach/p/b
	(cd "$W/else" && echo changed >fb && git commit -qam changed)
	has "$(expect 0 pleach merge b)" "without 1 commit added to pleach/p/b"
	is b "$(cat fb)"
}

@test "a branch that was rewritten or removed: the recorded result lands" {
	two_tasks
	expect 0 pleach open a -- sh -c 'echo other >fa; git commit -qa --amend -m other' >/dev/null
	out=$(expect 0 pleach merge a)
	lacks "$out" added
	is a "$(cat fa)"
	git branch -qD pleach/p/b
	expect 0 pleach merge b >/dev/null
	is b "$(cat fb)"
}

@test "of a choice it is the winner's branch" {
	plan <<-'Y'
	target: main
	tasks: [{id: speed, choose: first, prompt: 'echo 1 >one', alternatives: 2}]
	Y
	expect 0 pleach run --headless >/dev/null
	amend speed 'echo more >one'
	has "$(expect 0 pleach merge speed)" "with 1 commit added to"
	is more "$(cat one)"
}

@test "what lands by itself is the attempt's result" {
	plan <<-'Y'
	merge: auto
	base: main
	target: main
	tasks: [{id: a, prompt: 'echo a >fa'}]
	Y
	git checkout -qb work && echo w >file && git commit -qam w
	git checkout -q main && echo m >file && git commit -qam m
	run git rebase work
	[[ $status != 0 ]]
	expect 3 pleach run --headless >/dev/null
	amend a 'echo halfway >fa'
	git rebase --abort
	wait_event '.kind == "target.moved"' >/dev/null
	is a "$(git show main:fa)"
	has "$(expect 0 pleach merge a)" "without 1 commit added to pleach/p/a (git merge pleach/p/a)"
	git merge -q pleach/p/a
	is halfway "$(cat fa)"
}

@test "with hooks the commit that they make anew has it as its parent" {
	plan <<-'Y'
	merge: {hooks: true}
	target: main
	tasks: [{id: a, prompt: 'echo a >fa'}]
	Y
	printf '#!/bin/sh\necho hooked >>"$1"\n' >.git/hooks/commit-msg
	chmod +x .git/hooks/commit-msg
	expect 0 pleach run --headless >/dev/null
	expect 0 pleach open a -- git -c core.hooksPath=/dev/null commit -q --allow-empty -m more >/dev/null
	expect 0 pleach merge a >/dev/null
	has "$(git log -1 --format=%B main)" hooked
	is "$(git rev-parse pleach/p/a)" "$(git rev-parse main^2)"
}
