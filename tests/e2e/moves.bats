# Where the target of a landing is checked out its user goes on working: switches, locks, filters
# that fail, worktrees that come and go. Only the target moves, and nobody's files are left halfway.
load helper

two_tasks() {
	plan <<-'Y'
	base: main
	target: main
	tasks:
	  - {id: a, prompt: 'echo a >fa; echo more >>file'}
	  - {id: b, prompt: 'echo b >fb'}
	Y
	expect 0 pleach run --headless >/dev/null
}

# held_up DIR COMMAND...: in the background; it meets the lock of a move in DIR
held_up() {
	local dir=$1
	shift
	rm -f "$W/held" "$W/release"
	(exec 9<"$dir" && flock 9 && : >"$W/held" && while [[ ! -e $W/release ]]; do sleep 0.02; done) 3>&- &
	holder=$!
	eventually test -e "$W/held"
	"$@" >"$W/out" 2>&1 3>&- &
	waiting=$!
	eventually grep -q -- "-> FLOCK.*:$(stat -c %i "$dir") " /proc/locks
}

# released STATUS: that of the command
released() {
	local got=0
	: >"$W/release"
	wait "$holder"
	wait "$waiting" || got=$?
	is "$1" "$got"
}

# Of *.big; it fails while $W/offline is there.
filter_that_may_fail() {
	printf '#!/bin/sh\n[ ! -e "$W/offline" ] && exec cat\nexit 1\n' >"$W/smudge"
	chmod +x "$W/smudge"
	git config filter.f.clean cat
	git config filter.f.smudge "$W/smudge"
	git config filter.f.required true
	echo '*.big filter=f' >.gitattributes
}

@test "a user who switches to a new branch while a landing waits keeps it as it was" {
	two_tasks
	before=$(git rev-parse main)
	held_up .git pleach merge b
	git switch -q -c feature
	released 0
	is "$before" "$(git rev-parse feature)"
	is b "$(git show main:fb)"
	is "refs/heads/feature landed" "$(git symbolic-ref HEAD) $(task b .landing.state)"
	is "" "$(git status --porcelain -- . :!pleach.yaml)"
	[[ ! -e fb ]]
	# And back: undo moves main, not what is checked out.
	git switch -q main
	held_up .git pleach undo b
	git switch -q -c wip
	released 0
	is b "$(git show wip:fb)"
	is "$before" "$(git rev-parse main)"
	is "" "$(git status --porcelain -- . :!pleach.yaml)"
}

@test "a user who comes to the target while a landing waits gets its files" {
	two_tasks
	git switch -q -c other
	held_up .git/pleach pleach merge a
	git switch -q main
	released 0
	is "a more" "$(echo $(cat fa) $(tail -n 1 file))"
	is "" "$(git status --porcelain -- . :!pleach.yaml)"
	# Changes of theirs in the way: as if it had not been moved.
	expect 0 pleach undo a >/dev/null
	before=$(git rev-parse main)
	git switch -q other
	held_up .git/pleach pleach merge a
	git switch -q main
	echo mine >>file
	released 5
	is "$before mine" "$(git rev-parse main) $(tail -n 1 file)"
	is " M file" "$(git status --porcelain -- . :!pleach.yaml)"
}

main_moved() {
	[[ $(git rev-parse main) != "$before" ]]
}

@test "a switch to the target that read it before it moved, and has the index no more, gets its files" {
	two_tasks
	git switch -q -c other
	before=$(git rev-parse main)
	: >"$W/hold"
	# Git runs it between the index and HEAD.
	printf '#!/bin/sh\n: >"$W/held"\nwhile [ -e "$W/hold" ]; do sleep 0.02; done\n' >.git/hooks/post-index-change
	chmod +x .git/hooks/post-index-change
	git switch -q main 3>&- &
	switching=$!
	eventually test -e "$W/held"
	[[ ! -e .git/index.lock ]]
	pleach merge a >"$W/out" 2>&1 3>&- &
	merging=$!
	eventually main_moved
	rm "$W/hold"
	wait "$switching"
	wait "$merging"
	is "a more" "$(echo $(cat fa) $(tail -n 1 file))"
	is "" "$(git status --porcelain -- . :!pleach.yaml)"
	# One that stays at work, as a log in its pager, is not waited for again and again.
	git switch -q other
	gate reader
	git cat-file --batch <"$W/reader" >/dev/null 3>&- &
	reading=$!
	exec 9>"$W/reader"
	sleep 3.1
	began=$(date +%s%N)
	expect 0 pleach merge b >/dev/null
	(((($(date +%s%N) - began) / 1000000) < 2500))
	exec 9>&-
	wait "$reading"
}

@test "a git that has the index of the target for a moment is waited for" {
	two_tasks
	echo theirs >.git/index.lock
	(sleep 0.7 && rm .git/index.lock) 3>&- &
	expect 0 pleach merge b >/dev/null
	is b "$(cat fb)"
	is "" "$(git status --porcelain -- . :!pleach.yaml)"
}

@test "switches to and fro beside many landings: all land, no branch of the user's moves" {
	git branch stable
	git commit -q --allow-empty -m ahead
	git switch -q stable
	git commit -q --allow-empty -m other
	tip=$(git rev-parse stable)
	{ printf 'merge: auto\nbase: main\ntarget: main\ntasks:\n'; for i in $(seq 30); do
		echo "  - {id: t$i, prompt: 'mkdir d$i; for k in 1 2 3 4; do echo $i >d$i/f\$k; done'}"; done; } | plan
	(status=0; pleach run --headless --team 2 >"$W/run" 2>&1 || status=$?; echo $status >"$W/done") 3>&- &
	while [[ ! -e $W/done ]]; do
		git switch -q main 2>/dev/null || true
		sleep 0.05
		git switch -q stable 2>/dev/null || true
		sleep 0.05
	done
	is "0 30 completed, 30 landed" "$(cat "$W/done") $(grep landed "$W/run")"
	is "$tip" "$(git rev-parse stable)"
	is "" "$(git status --porcelain -- . :!pleach.yaml)"
	for i in $(seq 30); do git cat-file -e "main:d$i/f4"; done
}

@test "a filter of the user's that fails halfway leaves no file changed, and tells why" {
	filter_that_may_fail
	echo old >old
	git add -A
	git commit -qm filter
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo changed >file; echo n >anew; echo X >model.big; git rm -q old; echo z >znew'}
	Y
	expect 0 pleach run --headless >/dev/null
	before=$(git rev-parse main)
	: >"$W/offline"
	expect 6 pleach merge a
	has "$(stderr)" "smudge filter f failed"
	is "$before" "$(git rev-parse main)"
	is "" "$(git status --porcelain -- . :!pleach.yaml)"
	rm "$W/offline"
	expect 0 pleach merge a >/dev/null
	is "changed n X z" "$(echo $(cat file anew model.big znew))"
}

@test "so does undo" {
	filter_that_may_fail
	echo large >m.big
	git add -A
	git commit -qm filter
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo changed >file; echo n >anew; git rm -q m.big'}
	Y
	expect 0 pleach run --headless >/dev/null
	expect 0 pleach merge a >/dev/null
	after=$(git rev-parse main)
	: >"$W/offline"
	expect 6 pleach undo a
	has "$(stderr)" "smudge filter f failed"
	is "$after changed n" "$(git rev-parse main) $(echo $(cat file anew))"
	is "" "$(git status --porcelain -- . :!pleach.yaml)"
	rm "$W/offline"
	expect 0 pleach undo a >/dev/null
	is large "$(cat m.big)"
	is "" "$(git status --porcelain -- . :!pleach.yaml)"
}

@test "the index that another git has locked stays locked, and nothing moves" {
	two_tasks
	before=$(git rev-parse main)
	echo theirs >.git/index.lock
	expect 5 pleach merge b
	has "$(stderr)" "another git is at work"
	is "theirs $before" "$(cat .git/index.lock) $(git rev-parse main)"
	# Nor is it taken away by who finds the mark of a move that died.
	printf '{"ref":"refs/heads/main","from":"%s","to":"%s"}\n' "$before" "$before" >.git/pleach-moving
	pleach merge b >/dev/null 2>&1 || true
	is theirs "$(cat .git/index.lock)"
	rm .git/index.lock
	expect 0 pleach merge b >/dev/null
	[[ ! -e .git/index.lock && ! -e .git/pleach-moving ]]
}

@test "a target on a worktree that is away or forged is refused; a HEAD that is a link is one" {
	two_tasks
	before=$(git rev-parse main)
	git switch -q -c other
	git worktree add -q "$W/usb" main
	git worktree lock "$W/usb"
	mv "$W/usb" "$W/unplugged"
	expect 5 pleach merge a
	has "$(stderr)" "locked and not there now"
	is "$before" "$(git rev-parse main)"
	mv "$W/unplugged" "$W/usb"
	# Its word for where the repository is: an agent's.
	git clone -q --bare . "$W/evil"
	git -C "$W/evil" config filter.evil.smudge "touch $W/pwned; cat"
	mkdir -p "$W/evil/info"
	echo '* filter=evil' >"$W/evil/info/attributes"
	entry=$(git -C "$W/usb" rev-parse --absolute-git-dir)
	echo "$W/evil" >"$entry/commondir"
	expect 5 pleach merge a
	has "$(stderr)" "not as git made it"
	is "$before $before" "$(git rev-parse main) $(git -C "$W/evil" rev-parse main)"
	echo ../.. >"$entry/commondir"
	expect 0 pleach merge a >/dev/null
	is a "$(cat "$W/usb/fa")"
	is "" "$(git -C "$W/usb" status --porcelain)"
	git worktree unlock "$W/usb"
	git worktree remove "$W/usb"
	git switch -q main
	ln -sfn refs/heads/main .git/HEAD
	expect 0 pleach merge b >/dev/null
	is b "$(cat fb)"
	is "" "$(git status --porcelain -- . :!pleach.yaml)"
	[[ ! -e $W/pwned ]]
}
