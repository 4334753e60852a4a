# Every kind of repository that git itself handles, made by git: two tasks, one on top of the
# other, a third that fails with work to keep, and the result landed.
load helper

# works [DIR]: in the repository DIR (the current directory), on its current branch
works() {
	local tip before
	before=$(git rev-parse HEAD)
	plan <<-'Y'
	verify: "test -f made"
	team: 2
	tasks:
	  - {id: a, prompt: 'echo a >made; test -z "$EXTRA" || sh -c "$EXTRA"'}
	  - {id: b, prompt: 'echo b >>made; mkdir -p new; echo n >new/n', blocked_by: [a]}
	  - {id: c, prompt: 'echo dirty >made; echo kept >kept; exit 1'}
	  - {id: again, prompt: 'test ! -e kept; test "$(tr -d "\r" <made)" = a', blocked_by: [a]}
	Y
	sed "s/^name: p/name: works/" pleach.yaml >"$W/works.yaml"; rm pleach.yaml
	expect 1 pleach run "$W/works.yaml" --headless >/dev/null
	is "completed completed failed completed" "$(for t in a b c again; do task $t .status; done | xargs)"
	expect 0 pleach merge b >"$W/merged"
	tip=$(git rev-parse "${1:-HEAD}")
	[[ $tip != "$before" ]]
	is "a b" "$(git show "$tip:made" | xargs)"
	is n "$(git show "$tip:new/n")"
	is kept "$(git show "pleach/works/c:kept")"
	git fsck --no-dangling >"$W/fsck" 2>&1 || {
		cat "$W/fsck" >&2
		return 1
	}
	expect 0 pleach down --now >/dev/null
}

# The user's own files are as git says they should be.
users_files_are_clean() {
	is "" "$(git status --porcelain)"
	is "a b" "$(xargs <made)"
}


@test "large file storage: git-lfs as it installs itself" {
	git lfs install --local >/dev/null
	git lfs track '*.bin' >/dev/null
	echo large >x.bin
	git add -A
	git commit -qm big
	has "$(git show HEAD:x.bin)" https://git-lfs.github.com/spec/v1
	EXTRA='test "$(cat x.bin)" = large && echo larger >y.bin' works
	users_files_are_clean
	has "$(git show HEAD:y.bin)" "oid sha256:"
	is larger "$(cat y.bin)"
}

@test "submodules: setup fills them, a slot starts clean" {
	new_repo "$W/lib"
	git -c protocol.file.allow=always submodule --quiet add "$W/lib" lib
	git commit -qm lib
	EXTRA='git -c protocol.file.allow=always submodule --quiet update --init && test -f lib/file' works
	users_files_are_clean
	test -f lib/file
}

@test "a submodule itself" {
	new_repo "$W/lib"
	git -c protocol.file.allow=always submodule --quiet add "$W/lib" lib
	git commit -qm lib
	cd lib
	git checkout -q main
	works
	users_files_are_clean
}

@test "a sparse main worktree: slots are as sparse" {
	mkdir in out
	echo i >in/i
	echo o >out/o
	git add -A
	git commit -qm dirs
	git sparse-checkout set in
	test ! -e out
	EXTRA='test -e in/i && test ! -e out' works
	users_files_are_clean
	test ! -e out
	is o "$(git show HEAD:out/o)"
}

@test "a partial clone: missing objects are fetched" {
	echo b >blob
	git add -A
	git commit -qm blob
	git config uploadpack.allowFilter true
	git config uploadpack.allowAnySHA1InWant true
	git clone -q --no-checkout --filter=blob:none "file://$REPO" "$BATS_TEST_TMPDIR/partial"
	cd "$BATS_TEST_TMPDIR/partial"
	git sparse-checkout set nothing
	git checkout -q main
	works
	is "a b" "$(git show HEAD:made | xargs)"
}

@test "a shallow clone" {
	git commit -q --allow-empty -m two
	git clone -q --depth 1 "file://$REPO" "$BATS_TEST_TMPDIR/shallow"
	cd "$BATS_TEST_TMPDIR/shallow"
	works
	users_files_are_clean
	is true "$(git rev-parse --is-shallow-repository)"
}

@test "sha256" {
	git init -q --object-format=sha256 "$BATS_TEST_TMPDIR/sha256"
	cd "$BATS_TEST_TMPDIR/sha256"
	echo x >file
	git add -A
	git commit -qm start
	works
	users_files_are_clean
	is 64 "$(git rev-parse HEAD | tr -d '\n' | wc -c)"
}

@test "a split index" {
	git config core.splitIndex true
	git update-index --split-index
	works
	users_files_are_clean
}

@test "settings of each worktree" {
	git config extensions.worktreeConfig true
	git config --worktree core.sparseCheckout false
	git config --worktree user.name "Only Here"
	works
	users_files_are_clean
	is "Only Here" "$(git log -1 --format=%an pleach/works/a)"
}

@test "objects borrowed from another repository" {
	git clone -q -s "$REPO" "$BATS_TEST_TMPDIR/shared"
	cd "$BATS_TEST_TMPDIR/shared"
	works
	users_files_are_clean
}

@test "names that differ in case alone" {
	echo 1 >readme
	echo 2 >README
	mkdir Dir dir
	echo 3 >Dir/f
	echo 4 >dir/f
	git add -A
	git commit -qm case
	EXTRA='test "$(cat readme README Dir/f dir/f | xargs)" = "1 2 3 4" && echo 5 >ReadMe' works
	users_files_are_clean
	is 5 "$(cat ReadMe)"
}

@test "paths of any bytes, in the repository's own path too" {
	local odd
	odd=$(printf '%s/o dä"d\047\\:$(x)' "$BATS_TEST_TMPDIR")
	new_repo "$odd"
	cd "$odd"
	echo 1 >"$(printf 'bad\377name')"
	echo 2 >"$(printf 'new\nline')"
	echo 3 >-x
	echo 4 >':(top)y'
	echo 5 >'a*b?[c]\'
	git add -A
	git commit -qm odd
	EXTRA='cat -- * | xargs >all; echo 6 >"$(printf "more\376")"' works
	users_files_are_clean
}

@test "somebody else's repository: refused as git refuses it, and used where the user says so" {
	[[ $(id -u) == 0 ]] || skip "only root can give a repository away"
	printf 'agents: {x: {command: [true]}}\ntasks: [{id: a, prompt: x, agent: x}]\n' >"$W/none.yaml"
	chown -R 4711 "$REPO"
	expect 6 pleach run "$W/none.yaml" >/dev/null
	has "$(stderr)" "safe.directory"
	git config --global --add safe.directory '*'
	works
}

@test "a linked worktree of the user: its branch is the target" {
	git worktree add -q -b side "$BATS_TEST_TMPDIR/side"
	cd "$BATS_TEST_TMPDIR/side"
	works side
	users_files_are_clean
	is "" "$(git -C "$REPO" status --porcelain)"
}

@test "a bare repository with worktrees" {
	git clone -q --bare "$REPO" "$BATS_TEST_TMPDIR/bare.git"
	git -C "$BATS_TEST_TMPDIR/bare.git" worktree add -q "$BATS_TEST_TMPDIR/tree" main
	cd "$BATS_TEST_TMPDIR/tree"
	works main
	users_files_are_clean
}

@test "a git directory that is elsewhere" {
	git init -q --separate-git-dir "$W/elsewhere" "$BATS_TEST_TMPDIR/apart"
	cd "$BATS_TEST_TMPDIR/apart"
	echo x >file
	git add -A
	git commit -qm start
	works
	users_files_are_clean
}

@test "line ends that git changes" {
	git config core.autocrlf true
	printf '* text=auto\n' >.gitattributes
	git add -A
	git commit -qm text
	git rm -q --cached -r .
	git reset -q --hard
	EXTRA='test "$(head -c 5 file | od -An -tx1 | xargs)" = "6f 6e 65 0d 0a" && printf "x\r\ny\r\n" >crlf' works
	is "" "$(git status --porcelain)"
	is "78 0a 79 0a" "$(git show HEAD:crlf | od -An -tx1 | xargs)"
}

@test "commit signing and hooks of the user are not run on what pleach makes" {
	printf '#!/bin/sh\necho ran >>"$W/ran"\nexit 1\n' >"$W/program"
	chmod +x "$W/program"
	git config commit.gpgSign true
	git config gpg.program "$W/program"
	mkdir -p .git/hooks
	for hook in pre-commit commit-msg post-commit post-checkout pre-merge-commit reference-transaction; do
		cp "$W/program" .git/hooks/$hook
	done
	works
	users_files_are_clean
	test ! -e "$W/ran"
}

# PLEACH_HEAVY=1 takes 50,000 files.
@test "a large repository: sparse slots, and a whole one" {
	local big=$BATS_TEST_TMPDIR/big files=5000 dirs
	[[ -z ${PLEACH_HEAVY:-} ]] || files=50000
	dirs=$((files / 100))
	git init -q "$big"
	{
		printf 'blob\nmark :1\ndata 2\nx\n\ncommit refs/heads/main\n'
		printf 'committer A <a@b> 1700000000 +0000\ndata 1\ns\n'
		seq $files | awk -v dirs=$dirs '{printf "M 100644 :1 d%d/f%d\n", $1 % dirs, $1}'
	} | git -C "$big" fast-import --quiet
	cd "$big"
	git read-tree HEAD
	git sparse-checkout set d1
	plan <<-Y
	paths: [d1]
	tasks:
	  - {id: a, prompt: 'test ! -e d2 && echo a >d1/made'}
	  - {id: b, prompt: 'test "\$(ls | wc -l)" = $dirs && echo b >d2/made', blocked_by: [a], paths: []}
	Y
	expect 0 pleach run --headless >/dev/null
	is "b" "$(git show pleach/p/b:d2/made)"
	is $((files + 2)) "$(git ls-tree -r pleach/p/b | wc -l)"
}
