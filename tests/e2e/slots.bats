# What a plan says of its slots: paths, fresh, setup_when, copy and link by patterns; many made at
# once; a disk that is too small; and what gc removes.
load helper

# PLEACH_HEAVY=1 takes 16 teammates and 10,000 files; else a size that makes them meet as well.
@test "many teammates on many files: made side by side, no lock in the way, all objects sound" {
	local i team=6 files=2000
	[[ -z ${PLEACH_HEAVY:-} ]] || team=16 files=10000
	{
		printf 'blob\nmark :1\ndata 2\nx\n\ncommit refs/heads/main\n'
		printf 'committer A <a@b> 1700000000 +0000\ndata 1\ns\n'
		seq $files | awk '{printf "M 100644 :1 d%d/f%d\n", $1 % 100, $1}'
	} | git fast-import --quiet --force
	git reset -q --hard
	plan <<-Y
	team: $team
	tasks:
	Y
	for ((i = 1; i <= team; i++)); do
		echo "  - {id: t$i, prompt: 'test \$(ls | wc -l) = 100 && echo $i >d1/new$i && echo \$PWD >>\"\$W/slots\" && until [ \$(wc -l <\"\$W/slots\") -ge $team ]; do sleep 0.05; done'}" >>pleach.yaml
	done
	expect 0 pleach run --headless >/dev/null
	is $team "$(sort -u "$W/slots" | wc -l)"
	is $team "$(pleach --json task list | jq '[.tasks[] | select(.status == "completed" and .attempts == 1)] | length')"
	lacks "$(cat "$XDG_STATE_HOME"/pleach/*/coordinator.log)" "lock"
	is "" "$(git fsck --no-dangling 2>&1 | grep -v '^notice' || true)"
	is $team "$(git worktree list --porcelain | grep -c '^locked pleach')"
}

@test "paths: a slot has these directories alone; the commits have everything" {
	mkdir -p a/b c
	echo 1 >a/b/f
	echo 2 >a/g
	echo 3 >c/h
	git add -A
	git commit -qm dirs
	plan <<-'Y'
	team: 1
	paths: [a/b]
	tasks:
	  - {id: one, prompt: 'test -e a/b/f && test -e a/g && test -e file && test ! -e c && echo x >a/b/x && git add -A && git -c user.name=a -c user.email=b commit -qm own'}
	  - {id: all, prompt: 'test -e c/h', paths: [], blocked_by: [one]}
	  - {id: two, prompt: 'test -e c/h && test ! -e a/b && mkdir -p d && echo y >d/y', paths: [c], blocked_by: [all]}
	Y
	expect 0 pleach run --headless >/dev/null
	is "a/b/f a/b/x a/g c/h" "$(git ls-tree -r --name-only pleach/p/one a c | xargs)"
	is "a/b/f a/b/x a/g c/h d/y" "$(git ls-tree -r --name-only pleach/p/two a c d | xargs)"
	plan <<-'Y'
	tasks: [{id: bad, prompt: x, paths: [../out]}]
	Y
	expect 2 pleach run --headless >/dev/null
}

@test "ignored files stay for the next task; fresh takes them away and sets up again" {
	plan <<-'Y'
	team: 1
	setup: "mkdir -p ignored; echo s >>ignored/setup; echo x >>$W/setups"
	tasks:
	  - {id: a, prompt: 'echo warm >ignored/cache'}
	  - {id: b, prompt: 'test "$(cat ignored/cache)" = warm', blocked_by: [a]}
	  - {id: c, prompt: 'test ! -e ignored/cache && test -e ignored/setup', blocked_by: [b], fresh: true}
	Y
	expect 0 pleach run --headless >/dev/null
	is 2 "$(wc -l <"$W/setups")"
}

@test "setup_when: set up again where a named file is another" {
	echo 1 >lock.json
	git add -A
	git commit -qm lock
	plan <<-'Y'
	team: 1
	setup: "cat lock.json >>$W/setups"
	setup_when: [lock.json, absent]
	tasks:
	  - {id: a, prompt: 'echo more >>file'}
	  - {id: b, prompt: 'echo 2 >lock.json', blocked_by: [a]}
	  - {id: c, prompt: 'true', blocked_by: [b]}
	  - {id: d, prompt: 'true', blocked_by: [c]}
	Y
	expect 0 pleach run --headless >/dev/null
	is "1 2" "$(xargs <"$W/setups")"
}

@test "copy and link by patterns: never committed, not even by the agent, never from outside" {
	mkdir -p conf/deep "$BATS_TEST_TMPDIR/outside"
	echo secret >.env
	echo local >.env.local
	echo one >conf/a.secret
	echo two >conf/deep/b.secret
	echo tracked >conf/c
	echo far >"$BATS_TEST_TMPDIR/outside/d.secret"
	ln -s "$BATS_TEST_TMPDIR/outside" away
	git add conf/c
	git commit -qm conf
	plan <<-'Y'
	copy: [".env*", "**/*.secret"]
	link: ["conf/[a]*"]
	tasks:
	  - id: a
	    prompt: |
	      test "$(cat .env .env.local conf/a.secret conf/deep/b.secret | xargs)" = "secret local one two"
	      test ! -e away || exit 1
	      echo made >made
	      git add -A
	      git -c user.name=a -c user.email=b commit -qm own
	Y
	expect 0 pleach run --headless >/dev/null
	is "conf/c file made .gitignore" "$(git ls-tree -r --name-only pleach/p/a | LC_ALL=C sort -r | sort -f | xargs -n1 | grep -v gitignore | xargs) .gitignore"
	is "" "$(git log --all --format= --name-only | grep -E 'secret|env' || true)"
	is own "$(git log -1 --format=%s pleach/p/a)"
}

@test "a disk that is too small for the tree: said, and nothing is left half made" {
	plan <<-'Y'
	tasks: [{id: a, prompt: 'true'}]
	Y
	PLEACH_TEST_DISK_FREE=4096 expect 1 pleach run --headless >/dev/null
	has "$(task a .error.message)" "the slot needs 1 MB and its disk has 0 MB left"
	expect 0 pleach down >/dev/null
	expect 0 pleach run --headless --retry >/dev/null
	is completed "$(task a .status)"
}

@test "gc: removes slots that nobody has, keeps the rest and says why; never the only copy" {
	plan <<-'Y'
	team: 1
	tasks:
	  - {id: a, prompt: 'git init -q sub && echo i >sub/i && git -C sub add i && git -C sub -c user.name=a -c user.email=b commit -qm i; exit 1'}
	  - {id: b, prompt: 'echo dirty >dirty; exit 1'}
	Y
	expect 1 pleach run --headless >/dev/null
	slots=$(dirname "$(git worktree list --porcelain | sed -n 's/^worktree //p' | tail -n 1)")
	has "$(expect 0 pleach gc)" "a teammate's slot"
	mkdir "$slots/mine"
	echo x >"$slots/mine/x"
	expect 0 pleach down >/dev/null
	out=$(expect 0 pleach gc)
	has "$out" "would remove"
	has "$out" "not a worktree of this repository"
	has "$out" "a repository that an agent made in its slot"
	is 2 "$(git worktree list | wc -l)"
	expect 0 pleach gc --yes >/dev/null
	is 1 "$(git worktree list | wc -l)"
	test -e "$slots/mine/x"
	is dirty "$(git show pleach/p/b:dirty)"
	is i "$(git show "refs/pleach/kept/1-nested:i")"
}

@test "what a lost attempt left: task show names it, open gives it, also without the branch" {
	plan <<-'Y'
	team: 1
	tasks:
	  - {id: a, prompt: 'test ! -e "$W/ready" || exit 0; echo lost >lost; echo ready >"$W/ready"; exec sleep 1000'}
	  - {id: b, prompt: 'exit 0', blocked_by: [a]}
	Y
	expect 0 pleach run --headless --detach >/dev/null
	eventually test -s "$W/ready"
	team '.teammates[].pid' | xargs kill -KILL
	done_again() { [[ $(task b .status) == completed ]]; }
	eventually done_again
	has "$(expect 0 pleach task show a)" "refs/pleach/kept/1"
	is refs/pleach/kept/1 "$(pleach --json task show a | jq -r '.kept_refs[0]')"
	is "[]" "$(pleach --json task show b | jq -c .kept_refs)"
	is lost "$(expect 0 pleach open a --kept 1 -- cat lost)"
	is lost "$(cat "$(expect 0 pleach path a --kept refs/pleach/kept/1)/lost")"
	expect 4 pleach open b --kept 1 -- true >/dev/null
	has "$(stderr)" "nothing of b is kept as 1"
	git branch -qD pleach/p/a
	is lost "$(expect 0 pleach open a -- cat lost)"
}

@test "a task is run again although what open made is on its branch; nothing in there changes" {
	plan <<-'Y'
	team: 1
	tasks:
	  - {id: a, prompt: 'date +%N >made'}
	Y
	expect 0 pleach run --headless >/dev/null
	dir=$(expect 0 pleach path a)
	was=$(git rev-parse pleach/p/a)
	echo mine >"$dir/file"
	echo staged >"$dir/staged"
	git -C "$dir" add staged
	echo new >"$dir/new"
	before=$(git -C "$dir" status --porcelain)
	expect 0 pleach run --headless --redo a >/dev/null
	[[ $(git rev-parse pleach/p/a) != "$was" ]]
	is HEAD "$(git -C "$dir" rev-parse --abbrev-ref HEAD)"
	is "$was" "$(git -C "$dir" rev-parse HEAD)"
	is "$before" "$(git -C "$dir" status --porcelain)"
	is mine "$(cat "$dir/file")"
	# Opened again it is another one: what is in the first is somebody's.
	second=$(expect 0 pleach path a)
	[[ $second != "$dir" ]]
	is "$second" "$(expect 0 pleach path a)"
	is "$(git show pleach/p/a:made)" "$(cat "$second/made")"
	is "$before" "$(git -C "$dir" status --porcelain)"
	# Not while something is under way, nor while a git is at work, nor in a worktree of one's own.
	refused() {
		expect 1 pleach run --headless --redo a >"$W/out"
		has "$(task a .error.message)" "branch pleach/p/a is checked out in $1"
		is pleach/p/a "$(git -C "$1" rev-parse --abbrev-ref HEAD)"
	}
	git -C "$second" merge -q --no-commit --no-ff "$(git commit-tree -p "$was" -m x "$was^{tree}")" >/dev/null 2>&1 || true
	has "$(git -C "$second" status)" "merg"
	refused "$second"
	has "$(task a .error.message)" "a merge is under way there"
	git -C "$second" merge --abort
	touch "$REPO/.git/worktrees/$(basename "$second")/HEAD.lock"
	refused "$second"
	rm "$REPO/.git/worktrees/$(basename "$second")/HEAD.lock"
	git -C "$second" checkout -q --detach
	git worktree add -q "$BATS_TEST_TMPDIR/own" pleach/p/a
	refused "$BATS_TEST_TMPDIR/own"
	git worktree move "$BATS_TEST_TMPDIR/own" "$(dirname "$dir")/open-own"
	refused "$(dirname "$dir")/open-own"
}

@test "gc keeps what open made while somebody works in it, and says why; clean and idle it goes" {
	plan <<-'Y'
	team: 1
	tasks:
	  - {id: a, prompt: 'echo a >made'}
	  - {id: b, prompt: 'echo b >made'}
	  - {id: c, prompt: 'echo c >made'}
	  - {id: d, prompt: 'echo d >made'}
	Y
	expect 0 pleach run --headless >/dev/null
	for t in a b c d; do
		declare "$t=$(expect 0 pleach path $t)"
	done
	why() {
		jq -r --arg p "$1" '.items[] | select(.path == $p) | "\(.remove) \(.why)"' <<<"$out"
	}
	echo mine >>"$a/file"
	echo new >"$b/new"
	echo other >"$c/file"
	git -C "$c" add file
	git -C "$c" restore --source HEAD --worktree file
	mkdir "$d/ignored"
	echo ignored >"$d/ignored/x" # is nobody's work
	for yes in "" --yes; do
		out=$(expect 0 pleach --json gc $yes)
		for dir in "$a" "$b" "$c"; do
			is "false has uncommitted changes" "$(why "$dir")"
		done
		is "true no teammate has it any more" "$(why "$d")"
	done
	[[ ! -e $d ]]
	has "$(expect 0 pleach gc)" "has uncommitted changes"
	is new "$(cat "$b/new")"
	rm "$b/new"
	git -C "$a" commit -qam mine
	git -C "$c" restore --staged file
	mkdir "$a/ignored"
	(cd "$a/ignored" && exec sleep 1000 3>&-) &
	pid=$!
	inside() { [[ $(readlink "/proc/$pid/cwd") == "$a/ignored" ]]; }
	eventually inside
	git -C "$b" cherry-pick "$(git commit-tree -p HEAD -m x "$(git rev-parse pleach/p/c^{tree})")" >/dev/null 2>&1 || true
	git -C "$b" checkout -q HEAD -- made
	for yes in "" --yes; do
		out=$(expect 0 pleach --json gc $yes)
		is "false a process works in it" "$(why "$a")"
		is "false a cherry-pick is under way in it" "$(why "$b")"
		is "true no teammate has it any more" "$(why "$c")"
	done
	[[ -e $a && -e $b && ! -e $c ]]
	kill "$pid"
	wait "$pid" || true
	git -C "$b" cherry-pick --abort
	expect 0 pleach gc --yes >/dev/null
	[[ ! -e $a && ! -e $b ]]
	is mine "$(git log -1 --format=%s pleach/p/a)"
}

@test "where the place of slots is a link: open's worktree leaves its branch, gc knows it and the slots" {
	mkdir "$BATS_TEST_TMPDIR/far"
	ln -s "$BATS_TEST_TMPDIR/far" "$REPO.pleach"
	plan <<-'Y'
	team: 1
	tasks: [{id: a, prompt: 'date +%N >made'}]
	Y
	expect 0 pleach run --headless >/dev/null
	dir=$(expect 0 pleach path a)
	expect 0 pleach run --headless --redo a >/dev/null
	is HEAD "$(git -C "$dir" rev-parse --abbrev-ref HEAD)"
	echo new >"$dir/new"
	expect 0 pleach down >/dev/null
	expect 0 pleach gc --yes >"$W/out"
	has "$(cat "$W/out")" "has uncommitted changes"
	is "far/open-p-a" "$(cd "$BATS_TEST_TMPDIR" && echo far/*)"
}

@test "gc knows what open made where the slots are in the state directory" {
	plan <<-'Y'
	team: 1
	tasks: [{id: a, prompt: 'echo a >made'}]
	Y
	expect 0 pleach run --headless >/dev/null
	dir=$(expect 0 pleach path a)
	expect 0 pleach down >/dev/null
	state=$(dirname "$(ls -d "$XDG_STATE_HOME"/pleach/*/store.db)")
	mkdir -p "$state/open"
	git worktree move "$dir" "$state/open/p-a"
	has "$(expect 0 pleach gc)" "$state/open/p-a"
	expect 0 pleach gc --yes >/dev/null
	[[ ! -e $state/open/p-a ]]
}

@test "an agent that checks out another task's branch keeps nobody's result from its branch" {
	gate go
	plan <<-'Y'
	team: 2
	tasks:
	  - {id: x, prompt: 'echo x >fx; : >"$W/ready"; read go <"$W/go"'}
	  - {id: y, prompt: 'until [ -e "$W/ready" ]; do sleep 0.02; done; git checkout -q --ignore-other-worktrees -B pleach/p/x; : >"$W/on"; until [ -e "$W/over" ]; do sleep 0.02; done; echo y >fy'}
	Y
	expect 0 pleach run --headless --detach >/dev/null
	eventually test -e "$W/on"
	open_gate go
	expect 0 pleach wait x >/dev/null
	is x "$(git show pleach/p/x:fx)"
	: >"$W/over"
	expect 0 pleach wait y >/dev/null
	is y "$(git show pleach/p/y:fy)"
	is x "$(git show pleach/p/x:fx)"
}
