/* pleach-git: the program itself, its verbs one after the other. */
#include "git_fixture.h"

#include <jansson.h>

#include "jsonl.h"

#ifndef PLEACH_GIT
#error "PLEACH_GIT names the program"
#endif

/* Asks a verb; `root` is added to the request, which is taken. New reference. */
static json_t *ask(struct universe *u, const char *verb, json_t *request)
{
	_cleanup_buf_ struct buf out = BUF_INIT, why = BUF_INIT;
	_cleanup_free_ char *text = NULL;
	struct proc_run run = {.spec = PROC_SPEC_INIT};
	struct error err = ERROR_INIT;
	json_t *answer;
	int status;

	assert_non_null(request);
	json_object_set_new(request, "root", json_string(u->root));
	text = jsonl_text(request);
	json_decref(request);
	run.spec.argv = (const char *const[]){PLEACH_GIT, verb, NULL};
	run.spec.cwd = "/";
	run.in = text;
	run.in_len = strlen(text);
	run.out = &out;
	run.err_out = &why;
	if (proc_run(&run, &status, &err) < 0)
		fail_msg("%s", err.text);
	answer = jsonl_parse(out.data ? out.data : "", out.len, &err);
	if (!answer)
		fail_msg("%s: %s (%s)", verb, err.text, why.data ? why.data : "");
	assert_int_equal(WEXITSTATUS(status), json_object_get(answer, "error") ? 1 : 0);
	return answer;
}

static json_t *ask_well(struct universe *u, const char *verb, json_t *request)
{
	json_t *answer = ask(u, verb, request);
	const char *message = json_text(json_sub(answer, "error"), "message");

	if (message)
		fail_msg("%s: %s", verb, message);
	return answer;
}

static void ask_badly(struct universe *u, const char *verb, json_t *request, const char *code,
                      const char *says)
{
	json_t *answer = ask(u, verb, request), *error = json_sub(answer, "error");

	assert_non_null(error);
	assert_string_equal(json_text(error, "code"), code);
	if (!strstr(json_text(error, "message"), says))
		fail_msg("'%s' does not say '%s'", json_text(error, "message"), says);
	json_decref(answer);
}

/* A branch from main with one commit, made by commands. Its head; caller frees. */
static char *branch(struct universe *u, const char *name, const char *commands)
{
	run_sh(u->root,
	       "git worktree add -q -b '%s' ../tmp main; cd ../tmp; %s; git add -A; "
	       "git commit -qm '%s'; cd ../repo; git worktree remove --force ../tmp",
	       name, commands, name);
	return head_of(u, name);
}

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

static json_t *prepare(struct universe *u, json_t *request)
{
	_cleanup_free_ char *slot = xasprintf("%s/repo.pleach/integration", u->dir);
	_cleanup_free_ char *log = xasprintf("%s/verify.log", u->dir);

	json_object_set_new(request, "target", json_string("main"));
	json_object_set_new(request, "slot", json_string(slot));
	json_object_set_new(request, "log", json_string(log));
	return ask_well(u, "prepare", request);
}

static json_t *item(int task, const char *key, const char *commit, const char *base)
{
	return json_pack("{s:i, s:s, s:s, s:s}", "task", task, "key", key, "head", commit, "base",
	                 base);
}

static void test_prepare_and_move(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	_cleanup_free_ char *one = branch(u, "one", "echo one > one; echo 1 > a.txt");
	_cleanup_free_ char *two = branch(u, "two", "echo two > two");
	_cleanup_free_ char *bad = branch(u, "bad", "echo bad > bad");
	_cleanup_free_ char *clash = branch(u, "clash", "echo 2 > a.txt");
	json_t *late = item(5, "late", clash, main);
	json_t *answer;

	json_object_set_new(late, "after", json_pack("[i]", 3));
	answer = prepare(
	    u, json_pack("{s:[o, o, o, o, o, o], s:{s:s}, s:s, s:{s:s}}", "items",
	                 item(1, "one", one, main), item(2, "two", two, main),
	                 item(3, "bad", bad, main), item(4, "clash", clash, main), late,
	                 item(6, "main", main, main), "verify", "command",
	                 "test -e build/setup && echo $WORD && git status --short && test ! -e bad",
	                 "setup",
	                 "mkdir build; echo setup > build/setup; "
	                 "true",
	                 "env", "WORD", "spoken"));
	assert_int_equal(json_array_size(json_sub(answer, "merged")), 3);
	assert_true(json_flag(json_array_get(json_sub(answer, "merged"), 2), "skipped"));
	assert_int_equal(json_array_size(json_sub(answer, "verify_failed")), 1);
	assert_int_equal(json_array_size(json_sub(answer, "conflicts")), 1);
	assert_string_equal(
	    json_string_value(json_array_get(
	        json_sub(json_array_get(json_sub(answer, "conflicts"), 0), "with"), 0)),
	    "one");
	assert_int_equal(json_array_size(json_sub(answer, "stopped")), 1);
	assert_sh("one\ntwo", sh(u->root, "git diff --name-only --diff-filter=A main %s",
	                         json_text(answer, "after")));
	assert_sh(main, sh(u->root, "git rev-parse main"));
	json_decref(answer);
}

static void test_timeout_kills_the_session(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	_cleanup_free_ char *one = branch(u, "one", "echo one > one");
	json_t *answer = prepare(u, json_pack("{s:[o], s:{s:s, s:f}}", "items",
	                                      item(1, "one", one, main), "verify", "command",
	                                      "setsid sleep 1000 & sleep 1000", "timeout", 0.3));
	json_t *failed = json_array_get(json_sub(answer, "verify_failed"), 0);

	assert_int_equal(json_int(failed, "exit_code", 0), 124);
	assert_string_equal(json_text(answer, "after"), main);
	json_decref(answer);
}

static json_t *move(const char *before, const char *after)
{
	return json_pack("{s:s, s:s, s:s}", "target", "main", "before", before, "after", after);
}

static void test_move_of_a_branch_nobody_has(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	_cleanup_free_ char *one = branch(u, "one", "echo one > one");
	_cleanup_free_ char *two = branch(u, "two", "echo two > two");
	json_t *answer;

	run_sh(u->root, "git checkout -q --detach");
	answer = ask_well(u, "move", move(main, one));
	assert_null(json_text(answer, "worktree"));
	json_decref(answer);
	assert_sh(one, sh(u->root, "git rev-parse main"));
	/* The answer was lost: asked again. */
	json_decref(ask_well(u, "move", move(main, one)));
	ask_badly(u, "move", move(main, two), "conflict", "moved meanwhile");
	ask_badly(u, "move", move(one, two), "invalid", "does not come after");
	answer = ask_well(u, "contains", json_pack("{s:s, s:s}", "target", "main", "commit", one));
	assert_true(json_flag(answer, "contains"));
	json_decref(answer);
}

static void test_move_of_a_checked_out_branch(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	_cleanup_free_ char *one = branch(u, "one", "echo one > one; echo 1 > a.txt; rm b.txt");
	json_t *answer;

	/* Changed, untracked and ignored files of the user, each in the way once. */
	run_sh(u->root, "echo mine >> a.txt");
	ask_badly(u, "move", move(main, one), "busy", "a.txt");
	run_sh(u->root, "git checkout -q a.txt; echo mine > one");
	ask_badly(u, "move", move(main, one), "busy", "one");
	run_sh(u->root, "echo one >> .git/info/exclude");
	ask_badly(u, "move", move(main, one), "busy", "one");
	assert_sh("mine", sh(u->root, "cat one"));
	run_sh(u->root, "rm one; echo mine >> b.txt; git add b.txt");
	ask_badly(u, "move", move(main, one), "busy", "b.txt");
	run_sh(u->root,
	       "git reset -q --hard; echo mine >> src/code.c; echo staged > s; git add s; "
	       "git config merge.ff false; git config branch.main.mergeOptions '--squash --no-ff'");
	answer = ask_well(u, "move", move(main, one));
	assert_string_equal(json_text(answer, "worktree"), u->root);
	json_decref(answer);
	assert_sh("one", sh(u->root, "cat one"));
	assert_sh("A  s\n M src/code.c", sh(u->root, "git status --short"));
	assert_sh(one, sh(u->root, "git rev-parse main"));
}

static void test_move_during_rebase_or_bisect(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	_cleanup_free_ char *one = branch(u, "one", "echo one > a.txt");

	run_sh(u->root, "git bisect start -q; git bisect bad HEAD");
	ask_badly(u, "move", move(main, one), "busy", "bisect");
	run_sh(u->root, "git bisect reset >/dev/null 2>&1; echo x > a.txt; git commit -qam x; "
	                "git rebase one >/dev/null 2>&1 || true");

	_cleanup_free_ char *now = head_of(u, "main");

	ask_badly(u, "move", move(now, one), "invalid", "does not come after");
	run_sh(u->root, "git branch -f two main; git worktree add -q ../tmp two; cd ../tmp; "
	                "echo y > y; git add y; git commit -qm y");

	_cleanup_free_ char *two = head_of(u, "two");

	ask_badly(u, "move", move(now, two), "busy", "rebase");
}

static void test_squash_and_what_is_on_top(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	_cleanup_free_ char *one =
	    branch(u, "one", "echo 1 > n; git add n; git commit -qm 1; echo 2 > n");
	json_t *second, *answer;

	run_sh(u->root, "git worktree add -q -b two ../tmp one; cd ../tmp; echo 3 > n; "
	                "git commit -qam two; cd ../repo; git worktree remove ../tmp");

	_cleanup_free_ char *two = head_of(u, "two");

	second = item(2, "two", two, one);
	json_object_set_new(second, "after", json_pack("[i]", 1));
	answer = prepare(u, json_pack("{s:[o, o], s:b}", "items", item(1, "one", one, main), second,
	                              "squash", 1));
	assert_int_equal(json_array_size(json_sub(answer, "merged")), 2);
	assert_sh("2", sh(u->root, "git rev-list --count main..%s", json_text(answer, "after")));
	assert_sh("3", sh(u->root, "git show %s:n", json_text(answer, "after")));
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

static void test_open(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *dir = xasprintf("%s/repo.pleach/open/one", u->dir);
	json_t *answer;

	free(branch(u, "one", "echo one > one"));
	answer = ask_well(u, "open", json_pack("{s:s, s:s}", "branch", "one", "dir", dir));

	assert_true(json_flag(answer, "created"));
	json_decref(answer);
	assert_sh("one", sh(dir, "cat one; git status --porcelain"));
	answer = ask_well(u, "open", json_pack("{s:s, s:s}", "branch", "one", "dir", dir));
	assert_false(json_flag(answer, "created"));
	json_decref(answer);
	ask_badly(u, "open", json_pack("{s:s, s:s}", "branch", "none", "dir", dir), "not_found",
	          "no such branch");
	answer = ask_well(u, "open", json_pack("{s:s, s:s}", "branch", "main", "dir", dir));
	assert_string_equal(json_text(answer, "dir"), u->root);
	json_decref(answer);
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
	answer = prepare(u, json_pack("{s:s, s:[o, o], s:{s:s}}", "pinned", u->pin, "items",
	                              item(1, "one", one, main), item(2, "two", two, main),
	                              "verify", "command", "true"));

	_cleanup_free_ char *after = xstrdup(json_text(answer, "after"));

	assert_int_equal(json_array_size(json_sub(answer, "merged")), 2);
	json_decref(answer);
	request = move(main, after);
	json_object_set_new(request, "pinned", json_string(u->pin));
	json_decref(ask_well(u, "move", request));
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

static void test_bad_requests(void **state)
{
	struct universe *u = *state;

	ask_badly(u, "base", json_object(), "invalid", "base");
	ask_badly(u, "move", json_object(), "invalid", "");
	ask_badly(u, "prepare", json_pack("{s:s}", "target", "-x"), "invalid", "no name");
	ask_badly(u, "prepare", json_pack("{s:s}", "target", "none"), "not_found", "none");
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
	    universe_test(test_base_is_deterministic),
	    universe_test(test_base_names_what_conflicts),
	    universe_test(test_attributes_come_from_the_commits),
	    universe_test(test_compare),
	    universe_test(test_prepare_and_move),
	    universe_test(test_timeout_kills_the_session),
	    universe_test(test_move_of_a_branch_nobody_has),
	    universe_test(test_move_of_a_checked_out_branch),
	    universe_test(test_move_during_rebase_or_bisect),
	    universe_test(test_squash_and_what_is_on_top),
	    universe_test(test_diff_of_a_running_slot),
	    universe_test(test_remove_keeps_the_content),
	    universe_test(test_open),
	    universe_test(test_nothing_planted_is_run),
	    universe_test(test_worktree_commit),
	    universe_test(test_settle),
	    universe_test(test_bad_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
