# Every state that an agent can leave its slot in: `sh states.sh NAME` in the slot makes one.
# `put FILE…` writes bytes that exist nowhere else and `ci` commits; both are written down in
# $W/bytes and $W/commits, outside of the repository: what stands there must never be lost.
# $PLEACH_KEY makes the bytes of each attempt its own. `list_states` names them all.

n=0
put() { # put FILE…: new content in each
	for f in "$@"; do
		n=$((n + 1))
		text="$PLEACH_KEY $PLEACH_ATTEMPT $n"
		printf '%s\n' "$text" >"$f"
		printf '%s\n' "$text" >>"$W/bytes"
	done
}

ci() { # ci MESSAGE: everything into a commit
	git add -A
	git -c user.name=agent -c user.email=agent@localhost commit -qm "$1"
	git rev-parse HEAD >>"$W/commits"
}

index() {
	git rev-parse --git-path index
}

fill_lib() {
	git -c protocol.file.allow=always submodule --quiet update --init lib
}

clean() { :; }
dirty() { put file; }
untracked() { mkdir -p deep/er; put deep/er/f; }
executable() { put run.sh; chmod 755 run.sh; }
staged() { put s; git add s; put s; }
staged_deleted() { put s; git add s; rm s; }
intent_to_add() { put s; git add -N s; }
forced_past_ignore() { put .env; git add -f .env; }
detached() { git checkout -q --detach; put d; ci d; put d; }
other_branch() { git checkout -qb "mine-$PLEACH_ATTEMPT"; put m; ci m; put m; }
orphan_branch() { git checkout -q --orphan "root-$PLEACH_ATTEMPT"; git rm -rqf .; put r; }
reset_away() { put l; ci l; git reset -q --hard HEAD~1; }
detached_reset_away() { git checkout -q --detach; put l; ci l; git reset -q --hard HEAD~1; }
amended() { put l; ci one; put l; git add l; git commit -q --amend -m two; git rev-parse HEAD >>"$W/commits"; }
branch_deleted() {
	put d
	ci d
	git checkout -q --detach
	git branch -qD "$PLEACH_BRANCH"
	git reset -q --hard HEAD~1
}
two_sides() { # two commits that conflict in `file`: $side, and HEAD
	git checkout -q --detach
	put file
	ci side
	side=$(git rev-parse HEAD)
	git checkout -q "${1:-$PLEACH_BRANCH}"
	put file
	ci own
}
mid_merge() { two_sides; git merge -q "$side" || put half; }
merge_resolved() { two_sides; git merge -q "$side" || put file; git add file; }
merge_no_commit() {
	git checkout -q --detach
	put side
	ci side
	side=$(git rev-parse HEAD)
	git checkout -q "$PLEACH_BRANCH"
	git merge -q --no-commit --no-ff "$side"
}
mid_rebase() { two_sides; git rebase -q "$side" || put half; }
mid_rebase_apply() { two_sides; git rebase -q --apply "$side" || put half; }
mid_rebase_dropped() {
	put a
	ci dropped
	put b
	ci kept
	GIT_SEQUENCE_EDITOR='sed -i "1s/^pick/drop/;2s/^pick/edit/"' git rebase -qi HEAD~2 || :
	put b
}
mid_cherry_pick() { two_sides; git cherry-pick "$side" || put half; }
mid_revert() { put file; ci one; put file; ci two; git revert --no-edit HEAD~1 || put half; }
mid_am() { two_sides; git format-patch -q -1 --stdout "$side" | git am -q || put half; }
mid_bisect() { put file; ci b1; git bisect start HEAD "$PLEACH_BASE" || :; put b; }
autostash() { two_sides; put other; git add other; git rebase -q --autostash "$side" || :; }
stash() { put st; git add st; git stash -q; put after; }
stash_twice() { stash; git add after; git stash -q; put after; }
stash_pop_conflict() { put file; git stash -q; put file; ci own; git stash pop -q || :; }
index_conflict_only() {
	two_sides
	git merge -q "$side" || :
	put file
}
locked() {
	put file
	: >"$(index).lock"
	: >"$(git rev-parse --git-path HEAD.lock)"
}
damaged_index() { put d; echo rubbish >"$(index)"; }
no_index() { put file; rm "$(index)"; }
index_is_directory() { put file; i=$(index); rm "$i"; mkdir "$i"; }
head_is_directory() { put o; ci o; put o; h=$(git rev-parse --git-path HEAD); rm "$h"; mkdir "$h"; }
files_are_directories() { put o; d=$(git rev-parse --git-dir); rm "$d/commondir" "$d/ORIG_HEAD"; mkdir "$d/commondir" "$d/pleach.index" "$d/HEAD.new" "$d/MERGE_HEAD" "$d/info"; }
split_index() { put s; git add s; git update-index --split-index; put s; }
sparse_index() { git sparse-checkout init --cone --sparse-index; put file; mkdir out; put out/f; }
assume_unchanged() { git update-index --assume-unchanged file; put file; }
skip_worktree() { git update-index --skip-worktree file; put file; }
fsmonitor_valid() { git update-index --fsmonitor-valid file 2>/dev/null || :; put file; }
nested() { git init -q sub; cd sub; put i; ci inner; put i j; }
nested_behind() { git init -q sub; cd sub; put i; ci one; put i; ci two; git reset -q --hard HEAD~1; }
nested_unborn() { git init -q sub; mkdir sub/d; put sub/i sub/d/j; }
nested_in_nested() { git init -q one; git init -q one/two; put one/two/f; cd one/two; ci f; cd ..; put o; ci o; }
nested_committed() { git init -q sub; (cd sub; put i; ci inner); ci link; }
nested_clone() { git clone -q . "sub dir"; cd "sub dir"; put c; ci c; put d; }
nested_bare() { git init -q --bare bare.git; git push -q ./bare.git HEAD:refs/heads/x; put b; }
nested_worktree() { git worktree add -q --detach "wt-$PLEACH_ATTEMPT"; cd "wt-$PLEACH_ATTEMPT"; put w; ci w; put w; }
nested_packed() { git init -q sub; cd sub; put i; ci inner; git gc -q; put i; ci two; git checkout -q --detach HEAD~1; }
module_dirty() { fill_lib; put lib/l lib/new; }
module_commits() { fill_lib; cd lib; put l; ci own; put l; }
module_reset_away() { fill_lib; cd lib; put l; ci own; git reset -q --hard HEAD~1; }
module_committed() { fill_lib; (cd lib; put l; ci own); ci bump; }
module_removed() { fill_lib; (cd lib; put l; ci own); rm -rf lib; }
module_no_git() { fill_lib; put lib/l; rm lib/.git; }
module_own_git() { rm -rf lib; git init -q lib; cd lib; put l; ci own; put l; }
read_only() { mkdir ro; put ro/f; chmod 400 ro/f; chmod 500 ro; put w; chmod 000 w; }
unreadable_directory() { mkdir -p hid/den; put hid/den/f; chmod 000 hid/den hid; }
links() { put real; ln -s real link; ln -s /nowhere dangling; ln -s . loop; ln -s /etc etc; }
link_for_directory() { rm -r src; ln -s /etc src; put l; }
link_for_file() { put target; rm file; ln -s target file; }
file_for_directory() { rm -r src; put src; }
directory_for_file() { rm file; mkdir file; put file/f; }
pipes() { mkfifo f; rm file; mkfifo file; put s; }
odd_names() {
	put -- './-x' ' sp ' ':(exclude)y' 'a\b' '"q"' "$(printf 'new\nline')" "$(printf 'bad\377')" 'ä' '*'
}
names_git_refuses() { mkdir .GIT; put .GIT/x ok; }
deleted_git() { put h; rm .git; }
git_is_repository() { rm .git; git init -q .; put own; ci own; put own; }
git_is_link() { put h; mv .git .gitfile; ln -s .gitfile .git; }
git_is_pipe() { put h; rm .git; mkfifo .git; }
git_leads_elsewhere() { put h; echo 'gitdir: /nowhere' >.git; }
git_leads_to_main() { put h; printf 'gitdir: %s\n' "$(git rev-parse --git-common-dir)" >.git; }
no_head() { put o; ci o; put o; rm "$(git rev-parse --git-path HEAD)"; }
no_commondir() { put o; d=$(git rev-parse --git-dir); rm "$d/commondir"; }
no_reflog() { put o; ci o; rm -f "$(git rev-parse --git-path logs/HEAD)"; put o; }
filter_fails() {
	git config filter.f.clean false
	git config filter.f.required true
	put x.f
	printf '*.f filter=f\n' >.gitattributes
}
encoding_fails() { put x.u; printf '*.u text working-tree-encoding=UTF-16\n' >.gitattributes; }
slot_moved() { put m; ci m; put m; here=$PWD; cd ..; printf '%s\n' "$here-moved" >>"$W/moved"; mv "$here" "$here-moved"; }
slot_removed() { git checkout -q --detach; put m; ci m; here=$PWD; cd ..; rm -rf "$here"; }
entry_pruned() { put m; rm -rf "$(git rev-parse --git-dir)"; }
gc_ran() { put l; ci l; git reset -q --hard HEAD~1; put g; git add g; git gc -q; }

list_states() {
	sed -n 's/^\([a-z_]*\)() .*/\1/p' "$1" | grep -vxE 'put|ci|index|fill_lib|two_sides|list_states'
}

case $1 in
--list) list_states "$0" ;;
*) "$1" ;;
esac
