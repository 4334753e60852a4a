/* What becomes of an attempt: its commit, its proof, its private files; and that nothing
 * which an agent plants is ever run. */
#include "git_fixture.h"

#include "pinned.h"

static struct slot_result commit(struct universe *u, struct slot *slot, int64_t attempt,
                                 const char *key)
{
	_cleanup_free_ char *base = head_of(u, "main");
	_cleanup_free_ char *branch = xasprintf("pleach/p/%s", key);
	struct error err = ERROR_INIT;
	struct slot_result result;

	if (slot_commit(slot, attempt, branch, base, "do it", &result, &err) < 0)
		fail_msg("slot_commit: %s", err.text);
	return result;
}

static void test_commit_of_uncommitted_work(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	struct slot_result result;

	start_attempt(u, slot, 1, "one");
	run_sh(u->slot, "echo more >> a.txt; echo new > n; rm b.txt");
	result = commit(u, slot, 1, "one");
	assert_true(result.committed);
	assert_true(result.descends);
	assert_false(result.unchanged);
	assert_int_equal(result.files_changed, 3);
	assert_int_equal(result.insertions, 2);
	assert_int_equal(result.deletions, 20);
	assert_sh("do it\n\nPleach-Task: p/one",
	          sh(u->root, "git log -1 --format=%%B pleach/p/one"));
	assert_sh("Ada <ada@example.org>",
	          sh(u->root, "git log -1 --format='%%an <%%ae>' pleach/p/one"));
	assert_sh("HEAD", sh(u->slot, "git rev-parse --abbrev-ref HEAD"));
	assert_sh("", sh(u->slot, "git status --porcelain"));
	/* A user may now check it out. */
	run_sh(u->root, "git checkout -q pleach/p/one");
	slot_close(slot);
}

static void test_commit_twice_is_the_same(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	struct slot_result first, second;

	start_attempt(u, slot, 1, "one");
	run_sh(u->slot, "echo more >> a.txt");
	first = commit(u, slot, 1, "one");
	second = commit(u, slot, 1, "one");
	assert_string_equal(first.head, second.head);
	assert_false(second.committed);
	slot_close(slot);
}

static void test_unchanged(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	_cleanup_free_ char *base = head_of(u, "main");
	struct slot_result result;

	start_attempt(u, slot, 1, "one");
	result = commit(u, slot, 1, "one");
	assert_true(result.unchanged);
	assert_string_equal(result.head, base);
	start_attempt(u, slot, 2, "two");
	run_sh(u->slot, "echo x >> a.txt; git commit -qam x; git revert --no-edit HEAD >/dev/null");
	result = commit(u, slot, 2, "two");
	assert_true(result.unchanged);
	assert_string_not_equal(result.head, base);
	slot_close(slot);
}

static void test_agent_moved_elsewhere(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	struct slot_result result;

	start_attempt(u, slot, 1, "one");
	run_sh(u->slot,
	       "echo l > left; git add left; git commit -qm left; git checkout -q -b mine main; "
	       "echo m > m; git add m; git commit -qm m; echo wip > w");
	result = commit(u, slot, 1, "one");
	assert_true(result.descends);
	assert_sh("m\nw", sh(u->root, "git diff --name-only main pleach/p/one"));
	assert_kept(u, "l");
	slot_close(slot);
}

static void test_head_that_does_not_descend(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	struct slot_result result;

	start_attempt(u, slot, 1, "one");
	run_sh(u->slot, "git checkout -q --orphan new; git rm -qrf .; echo r > r; git add r; "
	                "git commit -qm r");
	result = commit(u, slot, 1, "one");
	assert_false(result.descends);
	assert_kept(u, "r");
	slot_close(slot);
}

static void test_finished_merge_is_a_merge(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	struct slot_result result;

	run_sh(u->root, "git branch side; git checkout -q side; echo s > side; git add side; "
	                "git commit -qm s; git checkout -q main");
	start_attempt(u, slot, 1, "one");
	run_sh(u->slot, "echo mine > mine; git add mine; git commit -qm mine; "
	                "git merge -q --no-commit side");
	result = commit(u, slot, 1, "one");
	assert_true(result.committed);
	assert_sh("2", sh(u->root, "git log -1 --format=%%P pleach/p/one | wc -w"));
	assert_sh("no", sh(u->slot, "test -e $(git rev-parse --git-path MERGE_HEAD) && echo yes || "
	                            "echo no"));
	slot_close(slot);
}

static void test_old_head_of_the_branch_is_kept(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	struct slot_result result;

	start_attempt(u, slot, 1, "one");
	run_sh(u->slot, "echo old > old");
	result = commit(u, slot, 1, "one");
	start_attempt(u, slot, 2, "one");
	assert_sh("no", sh(u->slot, "test -e old && echo yes || echo no"));
	assert_kept(u, "old");
	assert_sh(result.head, sh(u->root, "git rev-parse refs/pleach/kept/2-before"));
	slot_close(slot);
}

static void test_branch_checked_out_by_the_user(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	_cleanup_free_ char *base = head_of(u, "main");
	struct error err = ERROR_INIT;

	run_sh(u->root, "git checkout -q -b pleach/p/one");
	assert_int_equal(slot_switch(slot, 1,
	                             &(struct slot_order){.branch = "pleach/p/one", .base = base},
	                             &err),
	                 -1);
	assert_int_equal(err.code, ERROR_BUSY);
	assert_non_null(strstr(err.text, u->root));
	slot_close(slot);
}

static void test_branch_name_in_the_way(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	_cleanup_free_ char *base = head_of(u, "main");
	struct error err = ERROR_INIT;

	run_sh(u->root, "git branch pleach/p");
	assert_int_equal(slot_switch(slot, 1,
	                             &(struct slot_order){.branch = "pleach/p/one", .base = base},
	                             &err),
	                 -1);
	assert_int_equal(err.code, ERROR_CONFLICT);
	assert_int_equal(
	    slot_switch(slot, 1, &(struct slot_order){.branch = "bad..name", .base = base}, &err),
	    -1);
	assert_int_equal(err.code, ERROR_INVALID);
	/* And the slot is as good as before. */
	assert_int_equal(slot_switch(slot, 1,
	                             &(struct slot_order){.branch = "pleach/q/one", .base = base},
	                             &err),
	                 0);
	slot_close(slot);
}

static void test_private_files(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	_cleanup_free_ char *base = head_of(u, "main");
	const char *const copy[] = {".env", "conf/", "a.txt", NULL}, *const link[] = {"mods", NULL};
	_cleanup_strv_ char **env = xcalloc(1, sizeof *env);
	struct error err = ERROR_INIT;
	struct slot_result result;

	run_sh(u->root, "echo secret > .env; mkdir -p mods conf; echo m > mods/m; echo c > conf/c; "
	                "echo local >> a.txt");
	assert_int_equal(
	    slot_switch(slot, 1,
	                &(struct slot_order){
	                    .branch = "pleach/p/one", .base = base, .copy = copy, .link = link},
	                &err),
	    0);
	assert_sh("secret", sh(u->slot, "cat .env"));
	assert_sh("c", sh(u->slot, "cat conf/c"));
	assert_sh("m", sh(u->slot, "cat mods/m"));
	assert_sh("20", sh(u->slot, "tail -1 a.txt"));
	assert_int_equal(slot_agent_environment(slot, &env, &err), 0);
	assert_int_equal(strv_len((const char *const *)env), 7);
	for (size_t i = 0; env[i]; i++) {
		char *value = strchr(env[i], '=');

		*value = '\0';
		setenv(env[i], value + 1, 1);
	}
	assert_sh("", sh(u->slot, "git status --porcelain"));
	assert_sh("false", sh(u->slot, "git config maintenance.auto"));
	unsetenv("GIT_CONFIG_COUNT");
	/* An agent that insists. */
	run_sh(u->slot, "git add -Af; git commit -qm all; echo w > w");
	if (slot_commit(slot, 1, "pleach/p/one", base, "s", &result, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(result.descends);
	assert_sh("w", sh(u->root, "git diff --name-only main pleach/p/one"));
	assert_sh("", sh(u->root, "git log --format=%%h pleach/p/one -- .env mods conf"));
	/* The next attempt has none: they go. */
	start_attempt(u, slot, 2, "two");
	assert_sh("", sh(u->slot, "git status --porcelain --ignored"));
	slot_close(slot);
}

static void test_private_file_leading_out(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	_cleanup_free_ char *base = head_of(u, "main");
	const char *const out[] = {"../x", NULL}, *const evil[] = {"passwd", NULL};
	struct error err = ERROR_INIT;

	run_sh(u->root, "ln -s /etc/passwd passwd");
	assert_int_equal(
	    slot_switch(slot, 1,
	                &(struct slot_order){.branch = "pleach/p/one", .base = base, .copy = out},
	                &err),
	    -1);
	assert_int_equal(err.code, ERROR_INVALID);
	assert_int_equal(
	    slot_switch(slot, 1,
	                &(struct slot_order){.branch = "pleach/p/one", .base = base, .copy = evil},
	                &err),
	    -1);
	assert_int_equal(err.code, ERROR_INVALID);
	slot_close(slot);
}

static void test_proof_protects_and_overlays(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	_cleanup_free_ char *base = head_of(u, "main");
	const char *const protect[] = {"tests/", NULL};
	struct error err = ERROR_INIT;
	struct slot_result result;

	run_sh(u->dir, "mkdir -p hidden/src hidden/tests; echo hid > hidden/tests/hidden; "
	               "echo over > hidden/src/code.c; echo log > hidden/x.log");

	_cleanup_free_ char *overlay = xasprintf("%s/hidden", u->dir);

	start_attempt(u, slot, 1, "one");
	run_sh(u->slot, "echo cheat > tests/t1; echo more > tests/t2; echo mycode > src/code.c; "
	                "echo ignored > x.log");
	result = commit(u, slot, 1, "one");
	assert_int_equal(slot_prove_begin(slot, base, protect, overlay, &err), 0);
	assert_sh("test", sh(u->slot, "cat tests/t1"));
	assert_sh("over", sh(u->slot, "cat src/code.c"));
	assert_sh("hid", sh(u->slot, "cat tests/hidden"));
	assert_sh("log", sh(u->slot, "cat x.log"));
	assert_sh("no", sh(u->slot, "test -e tests/t2 && echo yes || echo no"));
	run_sh(u->slot, "echo verified >> a.txt; echo junk > junk");
	assert_int_equal(slot_prove_end(slot, 1, result.head, &err), 0);
	assert_sh("", sh(u->slot, "git status --porcelain"));
	assert_sh("ignored", sh(u->slot, "cat x.log"));
	assert_sh("mycode", sh(u->slot, "cat src/code.c"));
	assert_sh("more", sh(u->slot, "cat tests/t2"));
	assert_sh(result.head, sh(u->root, "git rev-parse pleach/p/one"));
	assert_kept(u, "junk");
	assert_false(is_reachable(u, "hid"));
	slot_close(slot);
}

static void test_clean_proof_keeps_nothing(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	_cleanup_free_ char *base = head_of(u, "main");
	struct error err = ERROR_INIT;
	struct slot_result result;

	start_attempt(u, slot, 1, "one");
	run_sh(u->slot, "echo w > w");
	result = commit(u, slot, 1, "one");
	assert_int_equal(slot_prove_begin(slot, base, NULL, NULL, &err), 0);
	run_sh(u->slot, "echo out > out.log");
	assert_int_equal(slot_prove_end(slot, 1, result.head, &err), 0);
	assert_sh("", sh(u->root, "git for-each-ref refs/pleach"));
	slot_close(slot);
}

static void test_proof_that_wanders_off(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	_cleanup_free_ char *base = head_of(u, "main");
	struct error err = ERROR_INIT;
	struct slot_result result;

	start_attempt(u, slot, 1, "one");
	run_sh(u->slot, "echo w > w");
	result = commit(u, slot, 1, "one");
	assert_int_equal(slot_prove_begin(slot, base, NULL, NULL, &err), 0);
	run_sh(u->slot, "git checkout -q main --detach; echo v > v; git add v; git commit -qm v");
	assert_int_equal(slot_prove_end(slot, 1, result.head, &err), 0);
	assert_sh(result.head, sh(u->slot, "git rev-parse HEAD"));
	assert_sh("", sh(u->slot, "git status --porcelain"));
	assert_kept(u, "v");
	slot_close(slot);
}

static void test_overlay_of_a_crashed_proof_goes(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	_cleanup_free_ char *base = head_of(u, "main");
	_cleanup_free_ char *overlay = xasprintf("%s/hidden", u->dir);
	struct error err = ERROR_INIT;

	run_sh(u->dir, "mkdir hidden; echo hid > hidden/h; echo log > hidden/x.log");
	start_attempt(u, slot, 1, "one");
	commit(u, slot, 1, "one");
	assert_int_equal(slot_prove_begin(slot, base, NULL, overlay, &err), 0);
	slot_close(slot);
	slot = open_slot(u);
	start_attempt(u, slot, 2, "two");
	assert_sh("", sh(u->slot, "git status --porcelain --ignored"));
	assert_false(is_reachable(u, "hid"));
	slot_close(slot);
}

static void test_submodules(void **state)
{
	struct universe *u = *state;
	struct slot *slot;

	run_sh(u->dir,
	       "git init -q -b main lib; cd lib; git config user.name a; git config user.email b; "
	       "echo l1 > l; git add l; git commit -qm 1; cd ../repo; "
	       "git -c protocol.file.allow=always submodule --quiet add ../lib lib; "
	       "git commit -qm sub");
	slot = open_slot(u);
	start_attempt(u, slot, 1, "one");
	slot_set_up(slot);
	run_sh(u->slot, "git -c protocol.file.allow=always submodule --quiet update --init; git "
	                "status --porcelain");
	/* Filled and unchanged: it stays filled. */
	start_attempt(u, slot, 2, "two");
	assert_sh("l1", sh(u->slot, "cat lib/l"));
	assert_false(slot_is_new(slot));
	assert_sh("", sh(u->root, "git for-each-ref refs/pleach"));
	run_sh(u->slot, "cd lib; echo dirty > l; echo more > m");
	snapshot(slot, 2, NULL);
	assert_kept(u, "dirty");
	assert_kept(u, "more");
	start_attempt(u, slot, 3, "three");
	assert_sh("", sh(u->slot, "git status --porcelain"));
	assert_true(slot_is_new(slot));
	run_sh(u->slot,
	       "git -c protocol.file.allow=always submodule --quiet update --init; cd lib; "
	       "git config user.name a; git config user.email b; echo own > o; git add o; "
	       "git commit -qm own");
	commit(u, slot, 3, "three");
	start_attempt(u, slot, 4, "four");
	assert_sh("", sh(u->slot, "git status --porcelain"));
	run_sh(u->root,
	       "git --git-dir=.git/worktrees/ash/modules/lib cat-file -e "
	       "$(git rev-parse pleach/p/three:lib); "
	       "git --git-dir=.git/worktrees/ash/modules/lib rev-parse refs/pleach/kept/3");
	slot_close(slot);
}

/* Plants a command under every key that git could run; each would leave a file. */
static void plant(struct universe *u, const char *dir)
{
	_cleanup_free_ char *evil = xasprintf("%s/ran", u->dir);

	run_sh(dir,
	       "e='touch %s'; git config core.fsmonitor \"$e\"; "
	       "mkdir -p %s/hooks; for h in post-checkout pre-commit post-commit post-merge "
	       "reference-transaction post-index-change prepare-commit-msg; do "
	       "printf '#!/bin/sh\\n%%s\\n' \"$e\" > %s/hooks/$h; chmod +x %s/hooks/$h; done; "
	       "git config core.hooksPath %s/hooks; "
	       "for k in filter.x.clean filter.x.smudge filter.y.process diff.x.textconv "
	       "diff.x.command merge.x.driver diff.external core.pager core.editor gpg.program "
	       "core.sshCommand sequence.editor core.askPass core.alternateRefsCommand; do "
	       "git config $k \"$e\"; done; git config commit.gpgSign true; "
	       "git config merge.verifySignatures true; git config log.showSignature true; "
	       "git config submodule.recurse true; git config filter.x.required true; "
	       "printf '[diff]\\n\\texternal = %%s\\n[filter \"z\"]\\n\\tclean = %%s\\n' \"$e\" "
	       "\"$e\" "
	       "> %s/included; git config include.path %s/included; "
	       "printf '*.txt filter=x diff=x merge=x\\n*.c filter=y\\n*.h filter=z\\n' "
	       "> .gitattributes; echo h > h.h",
	       evil, u->dir, u->dir, u->dir, u->dir, u->dir, u->dir);
	/* What planting itself has run. */
	unlink(evil);
}

static void test_nothing_planted_is_run(void **state)
{
	char **told;
	struct universe *u = *state;
	struct slot *slot;
	_cleanup_free_ char *base = head_of(u, "main");
	_cleanup_free_ char *evil = xasprintf("%s/ran", u->dir);
	const char *const protect[] = {"src", NULL};
	struct error err = ERROR_INIT;
	struct slot_result result;

	assert_int_equal(pinned_write(u->root, u->pin, &err), 0);
	slot = open_slot(u);
	start_attempt(u, slot, 1, "one");
	plant(u, u->slot);
	run_sh(u->slot, "echo e >> a.txt; echo c >> src/code.c");
	unlink(evil);
	snapshot(slot, 1, NULL);
	assert_false(file_exists(evil));
	result = commit(u, slot, 1, "one");
	assert_false(file_exists(evil));
	assert_int_equal(slot_prove_begin(slot, base, protect, NULL, &err), 0);
	assert_int_equal(slot_prove_end(slot, 1, result.head, &err), 0);
	start_attempt(u, slot, 2, "two");
	assert_false(file_exists(evil));
	slot_close(slot);
	slot = open_slot(u);
	start_attempt(u, slot, 3, "three");
	assert_false(file_exists(evil));
	told = slot_take_tampering(slot);
	assert_non_null(told);
	strv_free(told);
	assert_null(slot_take_tampering(slot));
	slot_close(slot);
	/* It would have run: git as it is does. */
	run_sh(u->slot, "git status >/dev/null 2>&1 || true");
	assert_true(file_exists(evil));
}

static void test_the_users_own_filter_runs(void **state)
{
	struct universe *u = *state;
	struct error err = ERROR_INIT;
	struct slot *slot;

	run_sh(u->root,
	       "git config filter.up.clean 'tr a-z A-Z'; git config filter.up.smudge 'tr A-Z a-z'");
	assert_int_equal(pinned_write(u->root, u->pin, &err), 0);
	slot = open_slot(u);
	assert_null(slot_take_tampering(slot));
	start_attempt(u, slot, 1, "one");
	/* The agent changes the filter: the pinned one is used. */
	run_sh(u->slot,
	       "git config filter.up.clean 'tr a-z x'; echo '*.up filter=up' > .gitattributes; "
	       "echo hello > f.up");
	commit(u, slot, 1, "one");
	assert_sh("HELLO", sh(u->root, "git cat-file blob pleach/p/one:f.up"));
	/* A process filter beside it would switch it off. */
	run_sh(u->slot, "git config filter.up.process /bin/true");
	assert_int_equal(slot_snapshot(slot, 1, NULL, &err), -1);
	assert_non_null(strstr(err.text, "filter.up.process"));
	slot_close(slot);
}

static void test_environment_is_ours(void **state)
{
	struct universe *u = *state;
	struct error err = ERROR_INIT;
	char **env, **unknown = NULL;

	setenv("GIT_DIR", "/nowhere", 1);
	setenv("GIT_EXTERNAL_DIFF", "evil", 1);
	env = pinned_environment(u->root, NULL, &unknown, &err);
	unsetenv("GIT_DIR");
	unsetenv("GIT_EXTERNAL_DIFF");
	assert_non_null(env);
	for (size_t i = 0; env[i]; i++) {
		assert_true(strncmp(env[i], "GIT_DIR=", 8) != 0);
		assert_true(strncmp(env[i], "GIT_EXTERNAL_DIFF=", 18) != 0);
	}
	strv_free(env);
	strv_free(unknown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    universe_test(test_commit_of_uncommitted_work),
	    universe_test(test_commit_twice_is_the_same),
	    universe_test(test_unchanged),
	    universe_test(test_agent_moved_elsewhere),
	    universe_test(test_head_that_does_not_descend),
	    universe_test(test_finished_merge_is_a_merge),
	    universe_test(test_old_head_of_the_branch_is_kept),
	    universe_test(test_branch_checked_out_by_the_user),
	    universe_test(test_branch_name_in_the_way),
	    universe_test(test_private_files),
	    universe_test(test_private_file_leading_out),
	    universe_test(test_proof_protects_and_overlays),
	    universe_test(test_clean_proof_keeps_nothing),
	    universe_test(test_proof_that_wanders_off),
	    universe_test(test_overlay_of_a_crashed_proof_goes),
	    universe_test(test_submodules),
	    universe_test(test_nothing_planted_is_run),
	    universe_test(test_the_users_own_filter_runs),
	    universe_test(test_environment_is_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
