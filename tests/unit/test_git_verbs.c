/* pleach-git: the program itself, its verbs one after the other. */
#include "verb_fixture.h"

static json_t *head(int task, const char *key, const char *commit)
{
	return json_pack("{s:i, s:s, s:s}", "task", task, "key", key, "head", commit);
}

static void test_resolve(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	json_t *answer;

	run_sh(u->root, "git tag -a -m t v1");
	answer = ask_well(u, "resolve",
	                  json_pack("{s:[n, s, s, s, s], s:[s, s]}", "revs", "v1", "nope", "--all",
	                            "a\nb", "branches", "main", "none"));
	assert_string_equal(json_text(answer, "head_branch"), "main");
	assert_string_equal(json_text(answer, "head"), main);
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(
		    json_text(json_array_get(json_sub(answer, "commits"), i), "commit"), main);
	for (size_t i = 2; i < 5; i++)
		assert_null(json_text(json_array_get(json_sub(answer, "commits"), i), "commit"));
	assert_null(json_text(json_array_get(json_sub(answer, "branches"), 1), "commit"));
	json_decref(answer);
	run_sh(u->root, "git checkout -q --detach");
	answer = ask_well(u, "resolve", json_object());
	assert_null(json_text(answer, "head_branch"));
	json_decref(answer);
	run_sh(u->root, "git checkout -q --orphan new");
	answer = ask_well(u, "resolve", json_object());
	assert_true(json_flag(answer, "unborn"));
	json_decref(answer);
}

static void test_name(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	_cleanup_free_ char *other = branch(u, "other", "echo > new");
	json_t *answer =
	    ask_well(u, "name", json_pack("{s:s, s:s}", "branch", "p/a.1", "commit", main));

	assert_true(json_flag(answer, "created"));
	json_decref(answer);
	assert_sh(main, sh(u->root, "git rev-parse refs/heads/p/a.1"));
	answer = ask_well(u, "name", json_pack("{s:s, s:s}", "branch", "p/a.1", "commit", main));
	assert_false(json_flag(answer, "created"));
	json_decref(answer);
	ask_badly(u, "name", json_pack("{s:s, s:s}", "branch", "p/a.1", "commit", other),
	          "conflict", "p/a.1 already");
	assert_sh(main, sh(u->root, "git rev-parse refs/heads/p/a.1"));
	ask_badly(u, "name", json_pack("{s:s, s:s}", "branch", "a..b", "commit", main), "invalid",
	          "branch");
}

static json_t *named_later(const char *branch_name, const char *commit, const char *earlier)
{
	return json_pack("{s:s, s:s, s:[{s:i, s:s}]}", "branch", branch_name, "commit", commit,
	                 "earlier", "attempt", 4, "commit", earlier);
}

/* Whoever named it died before anybody knew, and the task was run again. */
static void test_name_moves_our_own(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *one = branch(u, "one", "echo 1 > n"), *two = head_of(u, "main");

	run_sh(u->root, "git branch pleach/p/a.1 one; git branch theirs one; git branch -D one");
	ask_badly(u, "name", named_later("pleach/p/a.1", two, two), "conflict", "a.1 already");
	ask_badly(u, "name", named_later("theirs", two, one), "conflict", "theirs already");
	run_sh(u->root, "git worktree add -q ../tmp pleach/p/a.1");
	ask_badly(u, "name", named_later("pleach/p/a.1", two, one), "conflict", "a.1 already");
	run_sh(u->root, "git worktree remove ../tmp");
	for (int i = 0; i < 2; i++)
		json_decref(ask_well(u, "name", named_later("pleach/p/a.1", two, one)));
	assert_sh(two, sh(u->root, "git rev-parse pleach/p/a.1"));
	assert_sh(one, sh(u->root, "git rev-parse refs/pleach/kept/4"));
}

static void test_base_is_deterministic(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	_cleanup_free_ char *one = branch(u, "one", "sed -i s/^1$/one/ a.txt");
	_cleanup_free_ char *two = branch(u, "two", "sed -i s/^20$/twenty/ a.txt");
	json_t *answer =
	    ask_well(u, "base",
	             json_pack("{s:s, s:[o, o, o], s:s}", "base", main, "heads",
	                       head(2, "two", two), head(1, "one", one), head(3, "main", main),
	                       "attempt_ref", "refs/pleach/base/9"));
	_cleanup_free_ char *first = xstrdup(json_text(answer, "commit"));

	json_decref(answer);
	assert_sh(first, sh(u->root, "git rev-parse refs/pleach/base/9"));
	assert_sh("one\ntwenty", sh(u->root, "git show %s:a.txt | sed -n '1p;20p'", first));
	run_sh(u->root, "git config user.name Other; git config merge.renames false");
	run_sh(u->root, "git update-ref -d refs/pleach/base/9; git prune --expire=now");
	answer = ask_well(u, "base",
	                  json_pack("{s:s, s:[o, o]}", "base", main, "heads", head(1, "one", one),
	                            head(2, "two", two)));
	assert_string_equal(json_text(answer, "commit"), first);
	json_decref(answer);
	/* Without blockers, or with one on top of base, nothing is made. */
	answer = ask_well(u, "base", json_pack("{s:s, s:[]}", "base", main, "heads"));
	assert_string_equal(json_text(answer, "commit"), main);
	json_decref(answer);
	answer = ask_well(u, "base",
	                  json_pack("{s:s, s:[o]}", "base", main, "heads", head(1, "one", one)));
	assert_string_equal(json_text(answer, "commit"), one);
	json_decref(answer);
}

static void test_base_names_what_conflicts(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	_cleanup_free_ char *one = branch(u, "one", "echo one > a.txt");
	_cleanup_free_ char *two = branch(u, "two", "echo two > b.txt");
	_cleanup_free_ char *three = branch(u, "three", "echo three > a.txt");
	json_t *answer =
	    ask_well(u, "base",
	             json_pack("{s:s, s:[o, o, o]}", "base", main, "heads", head(1, "one", one),
	                       head(2, "two", two), head(3, "three", three)));
	json_t *conflict = json_sub(answer, "conflict");
	_cleanup_free_ char *text = jsonl_text(conflict);

	assert_string_equal(text, "{\"paths\":[\"a.txt\"],\"tasks\":[{\"task\":1,\"key\":\"one\"},"
	                          "{\"task\":3,\"key\":\"three\"}]}");
	json_decref(answer);
	ask_badly(u, "base", json_pack("{s:s, s:[]}", "base", "main", "heads"), "invalid", "base");
}

static void test_attributes_come_from_the_commits(void **state)
{
	struct universe *u = *state;
	json_t *answer;

	run_sh(u->root, "echo 'LOG merge=union' > .gitattributes; echo l > LOG; git add -A; "
	                "git commit -qm attr");

	_cleanup_free_ char *main = head_of(u, "main");
	_cleanup_free_ char *one = branch(u, "one", "echo one >> LOG");
	_cleanup_free_ char *two = branch(u, "two", "echo two >> LOG");

	/* What lies in the user's tree does not count. */
	run_sh(u->root, "echo '* -merge' > .gitattributes");
	answer = ask_well(u, "base",
	                  json_pack("{s:s, s:[o, o]}", "base", main, "heads", head(1, "one", one),
	                            head(2, "two", two)));
	assert_non_null(json_text(answer, "commit"));
	assert_sh("l\none\ntwo", sh(u->root, "git show %s:LOG", json_text(answer, "commit")));
	json_decref(answer);
}

static void test_compare(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	_cleanup_free_ char *one = branch(u, "one", "sed -i s/^1$/one/ a.txt; echo t > tests/t2");
	_cleanup_free_ char *two = branch(u, "two", "sed -i s/^1$/uno/ a.txt; echo t > tests/t1");
	_cleanup_free_ char *three =
	    branch(u, "three", "sed -i s/^1$/one/ a.txt; echo t > tests/t2");
	json_t *answer, *items, *item, *overlap;

	answer =
	    ask_well(u, "compare",
	             json_pack("{s:s, s:[{s:i, s:s, s:s}, {s:i, s:s, s:s}, {s:i, s:s, s:s}]}",
	                       "target", one, "items", "id", 1, "base", main, "head", one, "id", 2,
	                       "base", main, "head", two, "id", 3, "base", main, "head", three));
	items = json_sub(answer, "items");
	item = json_array_get(items, 0);
	assert_int_equal(json_int(item, "files_changed", -1), 2);
	assert_int_equal(json_int(item, "insertions", -1), 2);
	assert_int_equal(json_int(item, "deletions", -1), 1);
	assert_int_equal(json_int(item, "commits", -1), 1);
	assert_int_equal(json_int(item, "tests_added", -1), 1);
	assert_false(json_flag(item, "tests_edited"));
	assert_int_equal(json_integer_value(json_array_get(json_sub(item, "same_as"), 0)), 3);
	assert_int_equal(json_array_size(json_sub(item, "conflicts")), 0);
	item = json_array_get(items, 1);
	assert_true(json_flag(item, "tests_edited"));
	assert_string_equal(json_string_value(json_array_get(json_sub(item, "conflicts"), 0)),
	                    "a.txt");
	assert_int_equal(json_array_size(json_sub(answer, "overlaps")), 2);
	overlap = json_array_get(json_sub(answer, "overlaps"), 0);
	assert_int_equal(json_int(overlap, "a", -1), 1);
	assert_int_equal(json_int(overlap, "b", -1), 2);
	assert_int_equal(json_int(overlap, "hunks", -1), 1);
	json_decref(answer);
}

static void test_diff_of_a_running_slot(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main"), *want = NULL;
	struct slot *slot = open_slot(u);

	start_attempt(u, slot, 1, "one");
	run_sh(u->slot,
	       "echo more >> a.txt; echo new > 'n w'; head -c 100 /dev/zero > z; rm b.txt; "
	       "git add src; git config diff.external false; git status >/dev/null; "
	       "md5sum < $(git rev-parse --git-path index) > ../sum");
	/* It prints no JSON, but a patch. */
	run_sh(u->dir, "echo '{\"root\":\"%s\",\"base\":\"%s\",\"slot\":\"%s\"}' | %s diff > patch",
	       u->root, main, u->slot, PLEACH_GIT);
	run_sh(u->slot, "md5sum < $(git rev-parse --git-path index) | cmp - ../sum");
	want = sh(u->slot, "git add -A; git write-tree");
	run_sh(u->root, "git apply --index ../patch");
	assert_sh(want, sh(u->root, "git write-tree"));
	slot_close(slot);
}

static void test_remove_keeps_the_content(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	json_t *answer;

	start_attempt(u, slot, 7, "one");
	run_sh(u->slot, "echo work > w; git init -q sub; echo in > sub/f");
	ask_badly(u, "remove", json_pack("{s:s}", "dir", u->slot), "busy", "held");
	slot_close(slot);
	answer = ask_well(u, "remove", json_pack("{s:s}", "dir", u->slot));
	assert_non_null(json_text(answer, "kept"));
	json_decref(answer);
	assert_false(file_exists(u->slot));
	assert_kept(u, "work");
	assert_kept(u, "in");
	ask_badly(u, "remove", json_pack("{s:s}", "dir", u->slot), "not_found", "no worktree");
	ask_badly(u, "remove", json_pack("{s:s}", "dir", u->root), "not_found", "no worktree");
	answer = ask_well(u, "kept", json_object());
	assert_int_equal(json_array_size(json_sub(answer, "refs")), 1);
	json_decref(answer);
	answer = ask_well(
	    u, "drop_refs",
	    json_pack("{s:[s, s]}", "refs", "refs/pleach/kept/7", "refs/pleach/kept/none"));
	json_decref(answer);
	ask_badly(u, "drop_refs", json_pack("{s:[s]}", "refs", "refs/heads/main"), "invalid",
	          "not below");
}

/* As test_git_work.c plants it: whatever git could run, in the shared configuration. */
static void test_nothing_planted_is_run(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main"), *evil = xasprintf("%s/ran", u->dir);
	json_t *answer, *request;

	json_decref(ask_well(u, "pin", json_pack("{s:s}", "pinned", u->pin)));
	_cleanup_free_ char *one = branch(
	    u, "one", "echo '* filter=x diff=x merge=x' > .gitattributes; sed -i s/^1$/one/ a.txt");
	_cleanup_free_ char *two = branch(
	    u, "two", "echo '* filter=x diff=x merge=x' > .gitattributes; sed -i s/^20$/x/ a.txt");

	run_sh(u->root,
	       "mkdir ../hooks; for h in post-checkout post-merge reference-transaction "
	       "post-index-change; do printf '#!/bin/sh\\ntouch %s\\n' > ../hooks/$h; "
	       "chmod +x ../hooks/$h; done; git config core.hooksPath \"$PWD/../hooks\"; "
	       "for k in core.fsmonitor filter.x.clean filter.x.smudge filter.x.process "
	       "diff.x.textconv diff.x.command merge.x.driver diff.external core.pager; do "
	       "git config $k 'touch %s'; done; git config pager.diff true",
	       evil, evil);
	unlink(evil);
	request = json_pack("{s:s, s:s, s:[o, o]}", "pinned", u->pin, "base", main, "heads",
	                    head(1, "one", one), head(2, "two", two));
	answer = ask_well(u, "base", request);
	assert_non_null(json_text(answer, "commit"));
	json_decref(answer);
	json_decref(
	    ask_well(u, "compare",
	             json_pack("{s:s, s:s, s:[{s:i, s:s, s:s}]}", "pinned", u->pin, "target", two,
	                       "items", "id", 1, "base", main, "head", one)));
	answer = ask_well(u, "weave",
	                  json_pack("{s:s, s:s, s:[o, o]}", "pinned", u->pin, "target", "main",
	                            "items", item(1, "one", one, main), item(2, "two", two, main)));

	_cleanup_free_ char *after = xstrdup(json_text(answer, "after"));
	_cleanup_free_ char *slot = xasprintf("%s/repo.pleach/integration", u->dir);

	assert_int_equal(json_array_size(json_sub(answer, "steps")), 2);
	json_decref(answer);
	answer = ask_well(u, "prove",
	                  json_pack("{s:s, s:s, s:s, s:s, s:[{s:{s:s}}]}", "pinned", u->pin, "slot",
	                            slot, "base", main, "commit", after, "items", "verify",
	                            "command", "true"));
	assert_true(json_flag(answer, "passed"));
	json_decref(answer);
	json_decref(ask_well(u, "move", move_request(u, main, after)));
	json_decref(ask_well(u, "clash",
	                     json_pack("{s:s, s:s, s:[{s:i, s:s, s:s}, {s:i, s:s, s:s}]}", "pinned",
	                               u->pin, "target", "main", "items", "task", 1, "base", main,
	                               "head", one, "task", 2, "base", main, "head", two)));
	run_sh(u->root,
	       "echo '{\"root\":\"%s\",\"base\":\"%s\",\"head\":\"%s\"}' | %s diff >/dev/null",
	       u->root, main, after, PLEACH_GIT);
	assert_false(file_exists(evil));
}

static void test_worktree_commit(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	json_t *answer;

	run_sh(u->root, "echo more >> a.txt; echo new > n; git add src; echo log > x.log; "
	                "md5sum .git/index > ../sum");
	answer = ask_well(u, "worktree_commit", json_pack("{s:s}", "dir", u->root));
	assert_true(json_flag(answer, "changed"));
	assert_sh("a.txt\nn",
	          sh(u->root, "git diff --name-only main %s", json_text(answer, "commit")));
	json_decref(answer);
	run_sh(u->root, "md5sum -c --quiet ../sum");
	assert_sh(main, sh(u->root, "git rev-parse HEAD"));
}

/* Each takes all of it, though another one looks at the same time. */
static void test_worktree_commits_at_once(void **state)
{
	struct universe *u = *state;

	run_sh(u->root,
	       "for i in $(seq 300); do echo $i > f$i; done; git add -A; git commit -qm many; "
	       "for i in $(seq 1 5 300); do echo more >> f$i; done; mkdir ../out");
	run_sh(u->root,
	       "echo '{\"root\":\"%s\",\"dir\":\"%s\"}' > ../ask; "
	       "for i in 1 2 3 4 5 6 7 8; do %s worktree_commit < ../ask > ../out/$i & done; wait",
	       u->root, u->root, PLEACH_GIT);
	assert_sh("8", sh(u->root, "grep -l '\"changed\": *true' ../out/* | wc -l"));
	assert_sh("", sh(u->root, "for i in ../out/*; do git diff --name-only "
	                          "$(grep -o '[0-9a-f]\\{40\\}' $i); done"));
}

static void test_settle(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	json_t *answer;

	start_attempt(u, slot, 4, "one");
	run_sh(u->slot, "echo wip > w");
	slot_close(slot);
	answer = ask_well(u, "settle", json_pack("{s:s}", "dir", u->slot));
	assert_non_null(json_text(answer, "kept"));
	json_decref(answer);
	assert_kept(u, "wip");
	run_sh(u->root, "git checkout -q pleach/p/one");
}

static void tidy_well(struct universe *u)
{
	json_t *answer = ask_well(u, "tidy", json_pack("{s:[s]}", "dirs", u->slot));

	assert_int_equal(json_array_size(json_sub(answer, "problems")), 0);
	json_decref(answer);
}

/* Slots in which a proof died: while it made them, and later. */
static void test_tidy(void **state)
{
	struct universe *u = *state;
	struct slot *slot;

	run_sh(u->root,
	       "mkdir -p %s .git/worktrees/ash; echo pleach: teammate >.git/worktrees/ash/locked",
	       u->slot);
	tidy_well(u);
	run_sh(u->root, "test ! -e %s && test ! -e .git/worktrees/ash", u->slot);
	run_sh(u->root, "mkdir %s; echo mine >%s/file", u->slot, u->slot);
	tidy_well(u);
	assert_sh("mine", sh(u->slot, "cat file")); /* nobody knows whose */
	run_sh(u->root, "rm -r %s", u->slot);
	slot = open_slot(u);
	start_attempt(u, slot, 4, "one");
	run_sh(u->slot, "echo wip > w; git rev-parse HEAD > ../head; cd $(git rev-parse --git-dir);"
	                " touch index.lock HEAD.lock pleach.index.lock pleach-slot.half");
	slot_close(slot);
	tidy_well(u);
	assert_sh("wip\npleach-slot.lock",
	          sh(u->slot, "cat w; git rev-parse HEAD | cmp - ../head; "
	                      "ls $(git rev-parse --git-dir) | grep -e '[.]lock$' -e half"));
}

static void test_mend(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	json_t *answer;

	start_attempt(u, slot, 4, "one");
	run_sh(u->slot, "echo wip > w");
	slot_close(slot);
	/* As a power cut leaves them: objects and refs by name alone, locks that nobody holds. */
	run_sh(u->root, "o=.git/objects/$(echo lost | git hash-object --stdin | sed 's,..,&/,')\n"
	                "mkdir -p ${o%%/*}; : >$o; : >.git/refs/heads/pleach/p/empty\n"
	                "mkdir -p .git/refs/pleach/kept\n"
	                "printf '%%040d\\n' 7 >.git/refs/pleach/kept/9; : >.git/refs/heads/theirs\n"
	                "touch -d 2001-01-01 .git/index.lock .git/refs/heads/main.lock\n"
	                "touch .git/HEAD.lock");
	answer = ask_well(u, "mend", json_pack("{s:[s]}", "dirs", u->slot));
	assert_int_equal(json_array_size(json_sub(answer, "problems")), 0);
	assert_int_equal(json_array_size(json_sub(answer, "removed")), 5);
	json_decref(answer);
	/* What is not ours, or somebody may hold, stays. */
	run_sh(u->root, "test -e .git/HEAD.lock && test -e .git/refs/heads/theirs");
	run_sh(u->root, "rm .git/HEAD.lock .git/refs/heads/theirs; git fsck");
	run_sh(u->root, "echo lost | git hash-object -w --stdin | xargs git cat-file -e");
	assert_kept(u, "wip");
	run_sh(u->root, "git checkout -q pleach/p/one");
}

/* An agent's own commits of which the power took the files: by the middle one's file nothing of
 * ours may be broken, and what the last one and the slot hold is there. `theirs`: what became of a
 * branch of the user's in the same power cut. */
static void mend_torn(struct universe *u, const char *theirs)
{
	struct slot *slot = open_slot(u);
	json_t *answer;

	start_attempt(u, slot, 4, "one");
	run_sh(u->slot, "echo 1 > a; git add a; git commit -qm one; echo 2 > a; git add a; "
	                "git commit -qm two; echo 3 > b; git rm -q --cached a; git add b; "
	                "git commit -qm three; git commit -q --amend -m four; echo wip > w");
	slot_close(slot);
	run_sh(u->root, "rm -f .git/objects/$(echo 2 | git hash-object --stdin | sed 's,..,&/,')");
	run_sh(u->root, "! git rev-list --objects --all >/dev/null 2>&1");
	run_sh(u->root, theirs);
	answer = ask_well(u, "mend", json_pack("{s:[s]}", "dirs", u->slot));
	assert_int_equal(json_array_size(json_sub(answer, "problems")), 0);
	assert_int_equal(json_array_size(json_sub(answer, "removed")), 3);
	json_decref(answer);
	run_sh(u->root, "rm -f .git/refs/heads/theirs; git rev-list --objects --all >/dev/null && "
	                "git fsck --no-reflogs && git gc -q");
	assert_sh("1 3",
	          sh(u->root, "echo $(git show pleach/p/one~:a) $(git show pleach/p/one:b)"));
	assert_kept(u, "wip");
	run_sh(u->root, "git checkout -q pleach/p/one");
}

static void test_mend_torn(void **state)
{
	mend_torn(*state, "true");
}

static void test_mend_torn_beside_theirs(void **state)
{
	mend_torn(*state, ": >.git/refs/heads/theirs");
}

/* Nothing of ours is torn: a branch of the user's that is does not make it look so. */
static void test_mend_leaves_whole(void **state)
{
	static const char *const theirs[] = {": >.git/refs/heads/theirs",
	                                     "printf '%%040d\n' 7 >.git/refs/heads/theirs"};
	struct universe *u = *state;

	for (size_t i = 0; i < ARRAY_LEN(theirs); i++) {
		struct slot *slot = open_slot(u);
		_cleanup_free_ char *log = NULL, *text = xasprintf("only logged %zu", i);
		json_t *answer;

		start_attempt(u, slot, (int)i + 4, i ? "two" : "one");
		run_sh(u->slot,
		       "echo %s > only; git add only; git commit -qm logged; "
		       "git reset -q --hard HEAD~",
		       text);
		log = sh(u->slot, "cat $(git rev-parse --git-dir)/logs/HEAD");
		slot_close(slot);
		run_sh(u->root, theirs[i]);
		answer = ask_well(u, "mend", json_pack("{s:[s]}", "dirs", u->slot));
		assert_int_equal(json_array_size(json_sub(answer, "removed")), 0);
		assert_int_equal(json_array_size(json_sub(answer, "problems")), 0);
		json_decref(answer);
		/* Settling may have added to it. */
		assert_sh(log, sh(u->slot, "head -c %zu $(git rev-parse --git-dir)/logs/HEAD",
		                  strlen(log)));
		run_sh(u->root, "rm .git/refs/heads/theirs");
		assert_kept(u, text);
	}
}

/* The index and a tree came through, a file's object did not: what looks known is written anew. */
static void test_mend_index(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	json_t *answer;

	start_attempt(u, slot, 4, "one");
	run_sh(
	    u->slot,
	    "echo wip > w; touch -d 2001-01-01 w; git add w; git write-tree; touch -d 2040-01-01 "
	    "$(git rev-parse --git-dir)/index");
	slot_close(slot);
	run_sh(u->root, "rm .git/objects/$(echo wip | git hash-object --stdin | sed 's,..,&/,')");
	answer = ask_well(u, "mend", json_pack("{s:[s]}", "dirs", u->slot));
	assert_int_equal(json_array_size(json_sub(answer, "problems")), 0);
	json_decref(answer);
	assert_kept(u, "wip");
	run_sh(u->root, "git rev-list --objects --all && git fsck");
}

/* As test_mend, where nobody has mended: a branch of ours that names nothing is in nobody's way. */
static void test_broken_branch(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);

	start_attempt(u, slot, 4, "one");
	run_sh(
	    u->root,
	    ": >.git/refs/heads/pleach/p/two; printf '%%040d\n' 7 >.git/refs/heads/pleach/p/three");
	start_attempt(u, slot, 5, "two");
	start_attempt(u, slot, 6, "three");
	slot_close(slot);
	run_sh(u->root, "git rev-parse --verify pleach/p/two && git rev-parse --verify "
	                "pleach/p/three && git fsck");
	run_sh(u->root, "! ls .git/refs/heads/pleach/p | grep lock");
}

static void test_bad_requests(void **state)
{
	struct universe *u = *state;

	ask_badly(u, "base", json_object(), "invalid", "base");
	ask_badly(u, "move", json_object(), "invalid", "");
	ask_badly(u, "weave", json_pack("{s:s}", "target", "-x"), "invalid", "no name");
	ask_badly(u, "weave", json_pack("{s:s}", "target", "none"), "not_found", "none");
	ask_badly(u, "diff", json_object(), "invalid", "base");
	ask_badly(u, "open", json_object(), "invalid", "dir");
	ask_badly(u, "remove", json_object(), "invalid", "dir");
	ask_badly(u, "pin", json_object(), "invalid", "pinned");
	assert_sh("{\"error\":{\"code\":\"invalid\",\"message\":\"the request is no object\"}}",
	          sh(u->root, "echo '[]' | %s kept || true", PLEACH_GIT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    universe_test(test_resolve),
	    universe_test(test_name),
	    universe_test(test_name_moves_our_own),
	    universe_test(test_base_is_deterministic),
	    universe_test(test_base_names_what_conflicts),
	    universe_test(test_attributes_come_from_the_commits),
	    universe_test(test_compare),
	    universe_test(test_diff_of_a_running_slot),
	    universe_test(test_remove_keeps_the_content),
	    universe_test(test_nothing_planted_is_run),
	    universe_test(test_worktree_commit),
	    universe_test(test_worktree_commits_at_once),
	    universe_test(test_settle),
	    universe_test(test_tidy),
	    universe_test(test_mend),
	    universe_test(test_mend_index),
	    universe_test(test_mend_torn),
	    universe_test(test_mend_torn_beside_theirs),
	    universe_test(test_mend_leaves_whole),
	    universe_test(test_broken_branch),
	    universe_test(test_bad_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
