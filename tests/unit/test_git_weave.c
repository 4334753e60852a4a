/* pleach-git, its verbs of landing: weave, prove, move, back, clash. */
#include "verb_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/wait.h>

static json_t *weave(struct universe *u, json_t *request)
{
	json_object_set_new(request, "target", json_string("main"));
	return ask_well(u, "weave", request);
}

static json_t *prove(struct universe *u, const char *base, const char *commit, json_t *item)
{
	_cleanup_free_ char *slot = xasprintf("%s/repo.pleach/integration", u->dir);
	_cleanup_free_ char *log = xasprintf("%s/verify.log", u->dir);

	return ask_well(u, "prove",
	                json_pack("{s:s, s:s, s:[o], s:s, s:s, s:{s:s}}", "base", base, "commit",
	                          commit, "items", item, "slot", slot, "log", log, "env", "WORD",
	                          "spoken"));
}

/* The kinds of the steps, as one text. Caller frees. */
static char *kinds_of(const json_t *answer)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	json_t *step;
	size_t i;

	json_array_foreach (json_sub(answer, "steps"), i, step)
		buf_printf(&out, "%s%s", i ? " " : "", json_text(step, "kind"));
	return buf_take(&out);
}

static const json_t *step_at(const json_t *answer, size_t at)
{
	return json_array_get(json_sub(answer, "steps"), at);
}

static void test_weave(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main"), *kinds = NULL;
	_cleanup_free_ char *one = branch(u, "one", "echo one > one; echo 1 > a.txt");
	_cleanup_free_ char *two = branch(u, "two", "echo two > two");
	_cleanup_free_ char *clash = branch(u, "clash", "echo 2 > a.txt");
	_cleanup_free_ char *mine = branch(u, "mine", "echo 3 > b.txt");
	json_t *late = item(5, "late", two, main), *clashes = item(4, "clash", clash, main),
	       *answer;

	json_object_set_new(late, "after", json_pack("[i]", 4));
	json_object_set_new(clashes, "resolve", json_true());
	run_sh(u->root, "echo user >> b.txt");
	answer = weave(u, json_pack("{s:[o, o, o, o, o, o]}", "items", item(1, "one", one, main),
	                            item(2, "two", two, main), clashes, late,
	                            item(6, "main", main, main), item(7, "mine", mine, main)));
	kinds = kinds_of(answer);
	assert_string_equal(kinds, "merge merge conflict stopped contained refused");
	assert_sh("one\ntwo", sh(u->root, "git diff --name-only --diff-filter=A main %s",
	                         json_text(answer, "after")));
	assert_string_equal(json_text(step_at(answer, 1), "before"),
	                    json_text(step_at(answer, 0), "commit"));
	assert_string_equal(
	    json_string_value(json_array_get(json_sub(step_at(answer, 2), "with"), 0)), "one");
	assert_sh("1", sh(u->root, "git show %s:a.txt | grep -c '^<<<<<<<'",
	                  json_text(step_at(answer, 2), "marked")));
	assert_non_null(strstr(json_text(step_at(answer, 5), "message"), "b.txt"));
	assert_sh(main, sh(u->root, "git rev-parse main"));
	json_decref(answer);
}

/* Merges branch "one", whose head is given, as a person asks for it. */
static json_t *weave_with_branch(struct universe *u, const char *head, const char *base)
{
	json_t *one = item(1, "one", head, base);

	json_object_set_new(one, "branch", json_string("one"));
	return weave(u, json_pack("{s:[o]}", "items", one));
}

/* What a person has committed in the worktree that is open on the branch is merged with it; what is
 * there otherwise is told. */
static void test_weave_of_what_was_added(void **state)
{
	static const char *const others[][2] = {
	    {"git worktree move ../repo.pleach/open-one-2 ../else",
	     "git worktree move ../else ../repo.pleach/open-one-2"},
	    {"mv .git/worktrees/open-one-2/pleach-open ..",
	     "mv ../pleach-open .git/worktrees/open-one-2"}};
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	_cleanup_free_ char *one = branch(u, "one", "echo one > one"), *tip = NULL, *other = NULL;
	_cleanup_free_ char *dir = xasprintf("%s.pleach/open-one-2", u->root);
	json_t *answer = weave_with_branch(u, one, main);

	assert_null(json_sub(step_at(answer, 0), "more"));
	json_decref(answer);
	json_decref(ask_well(u, "open", json_pack("{s:s, s:s}", "branch", "one", "dir", dir)));
	run_sh(dir, "echo 1 > one; git commit -qam more");
	tip = head_of(u, "one");
	answer = weave_with_branch(u, one, main);
	assert_string_equal(json_text(answer, "after"), tip);
	assert_string_equal(json_text(step_at(answer, 0), "head"), one);
	assert_true(json_flag(json_sub(step_at(answer, 0), "more"), "taken"));
	assert_string_equal(json_text(json_sub(step_at(answer, 0), "more"), "tip"), tip);
	json_decref(answer);
	/* Neither where anybody may have made it, nor as anybody may have. */
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		run_sh(u->root, "%s", others[i][0]);
		answer = weave_with_branch(u, one, main);
		assert_string_equal(json_text(answer, "after"), one);
		assert_false(json_flag(json_sub(step_at(answer, 0), "more"), "taken"));
		json_decref(answer);
		run_sh(u->root, "%s", others[i][1]);
	}
	/* Moved below it. */
	other = sh(u->root, "git commit-tree -p one -m other one^{tree}");
	run_sh(u->root, "git update-ref refs/heads/one %s", other);
	answer = weave_with_branch(u, one, main);
	assert_string_equal(json_text(answer, "after"), one);
	assert_int_equal(json_int(json_sub(step_at(answer, 0), "more"), "commits", 0), 2);
	json_decref(answer);
	/* Not on top of the head any more. */
	run_sh(dir, "git reset -q --hard main; echo 2 > one; git add one; git commit -qm anew");
	answer = weave_with_branch(u, one, main);
	assert_string_equal(json_text(answer, "after"), one);
	assert_null(json_sub(step_at(answer, 0), "more"));
	json_decref(answer);
}

/* Cut short, empty or gone; a file, a folder or the commit itself. What it adds is looked at, no
 * more: a part of the target that is damaged is nobody's of those that land. */
static void test_weave_of_what_is_damaged(void **state)
{
	static const char *const what[] = {"bad:new", "bad^{tree}", "bad"};
	static const char *const how[] = {"truncate -s 9", "truncate -s 0", "rm -f"};
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	_cleanup_free_ char *bad = branch(u, "bad", "echo bad > new");
	_cleanup_free_ char *good = branch(u, "good", "echo good > other");

	for (size_t i = 0; i < ARRAY_LEN(what) * ARRAY_LEN(how); i++) {
		_cleanup_free_ char *id =
		    sh(u->root, "git rev-parse '%s'", what[i / ARRAY_LEN(how)]);
		_cleanup_free_ char *file = xasprintf(".git/objects/%.2s/%s", id, id + 2);
		json_t *answer, *steps;

		run_sh(u->root, "cp -f %s ../kept; chmod u+w %s; %s %s", file, file,
		       how[i % ARRAY_LEN(how)], file);
		answer =
		    ask_well(u, "weave",
		             json_pack("{s:s, s:[o, o]}", "target", "main", "items",
		                       item(1, "bad", bad, main), item(2, "good", good, main)));
		steps = json_sub(answer, "steps");
		assert_string_equal(json_text(json_array_get(steps, 0), "kind"), "refused");
		assert_non_null(
		    strstr(json_text(json_array_get(steps, 0), "message"), "git cannot read it"));
		assert_string_equal(json_text(json_array_get(steps, 1), "kind"), "merge");
		assert_string_equal(json_text(answer, "after"), good);
		json_decref(answer);
		run_sh(u->root, "cp -f ../kept %s", file);
	}
}

/* What is packed may be copied into another pack without a look at it. */
static void test_weave_of_a_damaged_pack(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	_cleanup_free_ char *bad = branch(u, "bad", "seq 1000 > new");
	json_t *answer;

	run_sh(u->root,
	       "git repack -adq; p=$(echo .git/objects/pack/*.pack); chmod u+w $p; at=$(git "
	       "verify-pack -v $p | awk -v id=$(git rev-parse bad:new) '$1 == id { print $5 }'); "
	       "printf zzzz | dd of=$p bs=1 seek=$((at + 60)) conv=notrunc status=none; "
	       "! git cat-file -p bad:new >/dev/null 2>&1");
	answer = ask_well(
	    u, "weave",
	    json_pack("{s:s, s:[o]}", "target", "main", "items", item(1, "bad", bad, main)));
	assert_string_equal(json_text(json_array_get(json_sub(answer, "steps"), 0), "kind"),
	                    "refused");
	json_decref(answer);
}

static void test_prove(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	_cleanup_free_ char *one = branch(u, "one", "echo one > one");
	_cleanup_free_ char *bad = branch(u, "bad", "echo bad > bad");
	json_t *wanted = json_pack("{s:{s:s}, s:s}", "verify", "command",
	                           "test -e build/setup && test $WORD = spoken && git status "
	                           "--short && test ! -e bad",
	                           "setup", "mkdir build; echo setup > build/setup");
	json_t *answer = prove(u, main, one, json_incref(wanted));

	assert_true(json_flag(answer, "passed"));
	json_decref(answer);
	answer = prove(u, main, bad, wanted);
	assert_false(json_flag(answer, "passed"));
	assert_int_equal(json_int(json_sub(answer, "verify"), "exit_code", 0), 1);
	json_decref(answer);
	answer = prove(u, main, one,
	               json_pack("{s:{s:s, s:f}}", "verify", "command",
	                         "setsid sleep 1000 & sleep 1000", "timeout", 0.3));
	assert_int_equal(json_int(json_sub(answer, "verify"), "exit_code", 0), 124);
	json_decref(answer);
}

static void test_move_of_a_branch_nobody_has(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	_cleanup_free_ char *one = branch(u, "one", "echo one > one");
	_cleanup_free_ char *two = branch(u, "two", "echo two > two");
	json_t *answer;

	run_sh(u->root, "git checkout -q --detach");
	answer = ask_well(u, "move", move_request(u, main, one));
	assert_null(json_text(answer, "worktree"));
	json_decref(answer);
	assert_sh(one, sh(u->root, "git rev-parse main"));
	/* The answer was lost: asked again. */
	json_decref(ask_well(u, "move", move_request(u, main, one)));
	/* Killed while it wrote the branch: its locks go, with the next who looks. */
	run_sh(u->root,
	       "printf '{\"ref\":\"refs/heads/main\",\"from\":\"%s\",\"to\":\"%s\"}\\n' "
	       ">.git/pleach/pleach-moving; touch .git/refs/heads/main.lock .git/packed-refs.lock; "
	       "git update-ref --no-deref HEAD HEAD",
	       main, one);
	json_decref(ask_well(u, "move", move_request(u, main, one)));
	run_sh(u->root,
	       "test -z \"$(ls .git .git/pleach .git/refs/heads | grep -e '[.]lock' -e moving)\"");
	ask_badly(u, "move", move_request(u, main, two), "conflict", "moved meanwhile");
	ask_badly(u, "move", move_request(u, one, two), "invalid", "does not come after");
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
	ask_badly(u, "move", move_request(u, main, one), "busy", "a.txt");
	run_sh(u->root, "git checkout -q a.txt; echo mine > one");
	ask_badly(u, "move", move_request(u, main, one), "busy", "one");
	run_sh(u->root, "echo one >> .git/info/exclude");
	ask_badly(u, "move", move_request(u, main, one), "busy", "one");
	assert_sh("mine", sh(u->root, "cat one"));
	run_sh(u->root, "rm one; echo mine >> b.txt; git add b.txt");
	ask_badly(u, "move", move_request(u, main, one), "busy", "b.txt");
	run_sh(u->root,
	       "git reset -q --hard; echo mine >> src/code.c; echo staged > s; git add s; "
	       "git config merge.ff false; git config branch.main.mergeOptions '--squash --no-ff'");
	answer = ask_well(u, "move", move_request(u, main, one));
	assert_string_equal(json_text(answer, "worktree"), u->root);
	json_decref(answer);
	assert_sh("one", sh(u->root, "cat one"));
	assert_sh("A  s\n M src/code.c", sh(u->root, "git status --short"));
	assert_sh(one, sh(u->root, "git rev-parse main"));
}

/* As a move that was killed with its git leaves a user's tree: a new file, another one cut off,
 * git's lock, and the mark that says what was under way. */
static void leave_half_moved(struct universe *u, const char *from, const char *to)
{
	run_sh(u->root,
	       "printf '{\"ref\":\"refs/heads/main\",\"from\":\"%s\",\"to\":\"%s\"}\n' "
	       ">.git/pleach-moving; git show %s:one >one; printf 'chan' >a.txt; "
	       "echo pleach >.git/index.lock; echo mine >>src/code.c",
	       from, to, to);
}

static void test_after_a_killed_move(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main"), *kinds = NULL;
	_cleanup_free_ char *one = branch(u, "one", "echo one > one; echo changed > a.txt");
	json_t *answer;

	leave_half_moved(u, main, one);
	answer = weave(u, json_pack("{s:[o]}", "items", item(1, "one", one, main)));
	kinds = kinds_of(answer);
	assert_string_equal(kinds, "merge"); /* nothing of that is the user's */
	json_decref(answer);
	assert_sh(" M src/code.c", sh(u->root, "git status --porcelain -uall; "
	                                       "ls .git | grep -e moving -e lock || true"));
	leave_half_moved(u, main, one);
	json_decref(ask_well(u, "move", move_request(u, main, one)));
	assert_sh(" M src/code.c", sh(u->root, "git status --porcelain -uall; "
	                                       "ls .git | grep -e moving -e lock || true"));
	assert_sh("one", sh(u->root, "cat one"));
	/* All but the branch was written. */
	run_sh(u->root,
	       "git update-ref refs/heads/main %s; "
	       "printf '{\"ref\":\"refs/heads/main\",\"from\":\"%s\",\"to\":\"%s\"}\\n' "
	       ">.git/pleach-moving; echo staged >s; git add s",
	       main, main, one);
	answer = weave(u, json_pack("{s:[o]}", "items", item(1, "one", one, main)));
	assert_string_equal(json_text(step_at(answer, 0), "kind"), "merge");
	json_decref(answer);
	assert_sh("A  s\n M src/code.c", sh(u->root, "git status --porcelain -uall"));
	run_sh(u->root, "git rm -qf s");
	json_decref(ask_well(u, "move", move_request(u, main, one)));
	/* It had got there, and was asked again. */
	run_sh(u->root,
	       "printf '{\"ref\":\"refs/heads/main\",\"from\":\"%s\",\"to\":\"%s\"}\n' "
	       ">.git/pleach-moving",
	       main, one);
	json_decref(ask_well(u, "move", move_request(u, main, one)));
	assert_sh(" M src/code.c", sh(u->root, "git status --porcelain -uall; "
	                                       "ls .git | grep -e moving -e lock || true"));
}

/* Who only looks leaves alone what another process is moving. */
static void test_a_move_under_way(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main"), *kinds = NULL;
	_cleanup_free_ char *one = branch(u, "one", "echo one > one; echo changed > a.txt");
	_cleanup_free_ char *git_dir = xasprintf("%s/.git", u->root);
	_cleanup_close_ int lock = open(git_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	json_t *answer;

	assert_int_equal(flock(lock, LOCK_EX), 0);
	leave_half_moved(u, main, one);
	answer = weave(u, json_pack("{s:[o]}", "items", item(1, "one", one, main)));
	kinds = kinds_of(answer);
	assert_string_equal(kinds, "refused");
	json_decref(answer);
	assert_sh("chan", sh(u->root, "cat a.txt; test -e .git/index.lock; test -e one"));
}

static void test_move_during_rebase_or_bisect(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	_cleanup_free_ char *one = branch(u, "one", "echo one > a.txt");

	run_sh(u->root, "git bisect start -q; git bisect bad HEAD");
	ask_badly(u, "move", move_request(u, main, one), "busy", "bisect");
	run_sh(u->root, "git bisect reset >/dev/null 2>&1; echo x > a.txt; git commit -qam x; "
	                "git rebase one >/dev/null 2>&1 || true");

	_cleanup_free_ char *now = head_of(u, "main");

	ask_badly(u, "move", move_request(u, now, one), "invalid", "does not come after");
	run_sh(u->root, "git branch -f two main; git worktree add -q ../tmp two; cd ../tmp; "
	                "echo y > y; git add y; git commit -qm y");

	_cleanup_free_ char *two = head_of(u, "two");

	ask_badly(u, "move", move_request(u, now, two), "busy", "rebase");
}

static void test_squash_and_what_is_on_top(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	_cleanup_free_ char *one =
	    branch(u, "one", "echo 1 > n; git add n; git commit -qm 1; echo 2 > n");
	json_t *first = item(1, "one", one, main), *second, *answer;
	_cleanup_free_ char *kinds = NULL;

	run_sh(u->root, "git worktree add -q -b two ../tmp one; cd ../tmp; echo 3 > n; "
	                "git commit -qam two; cd ../repo; git worktree remove ../tmp");

	_cleanup_free_ char *two = head_of(u, "two");

	second = item(2, "two", two, one);
	json_object_set_new(second, "after", json_pack("[i]", 1));
	json_object_set_new(first, "squash", json_true());
	json_object_set_new(second, "squash", json_true());
	answer = weave(u, json_pack("{s:[o, o]}", "items", first, second));
	kinds = kinds_of(answer);
	assert_string_equal(kinds, "merge merge");
	assert_sh("2", sh(u->root, "git rev-list --count main..%s", json_text(answer, "after")));
	assert_sh("3", sh(u->root, "git show %s:n", json_text(answer, "after")));
	json_decref(answer);
}

/* Half done, files at the older commit and the branch not: doing it again ends it. */
static void test_back(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	_cleanup_free_ char *one = branch(u, "one", "echo one > one; echo 1 > a.txt; rm b.txt");

	json_decref(ask_well(u, "move", move_request(u, main, one)));
	run_sh(u->root, "echo mine >> src/code.c; echo staged > s; git add s; echo mine > b.txt");
	ask_badly(u, "back", move_request(u, one, main), "busy", "b.txt");
	assert_sh(one, sh(u->root, "git rev-parse main"));
	run_sh(u->root, "rm b.txt");
	run_sh(u->root, "git read-tree -m -u %s %s", one, main);
	assert_sh(one, sh(u->root, "git rev-parse main"));
	json_decref(ask_well(u, "back", move_request(u, one, main)));
	assert_sh(main, sh(u->root, "git rev-parse main"));
	assert_sh("A  s\n M src/code.c", sh(u->root, "git status --short"));
	assert_false(file_exists("one"));
	json_decref(ask_well(u, "back", move_request(u, one, main)));
	ask_badly(u, "back", move_request(u, main, one), "invalid", "does not come after");
	run_sh(u->root, "git commit -qm user");
	ask_badly(u, "back", move_request(u, one, main), "conflict", "moved meanwhile");
}

/* True while somebody waits for a lock on the folder. */
static bool is_waited_for(const char *dir)
{
	_cleanup_free_ char *inode = NULL, *line = NULL;
	FILE *locks = fopen("/proc/locks", "re");
	struct stat st;
	bool found = false;
	size_t size = 0;

	assert_int_equal(stat(dir, &st), 0);
	assert_non_null(locks);
	inode = xasprintf(":%llu ", (unsigned long long)st.st_ino);
	while (!found && getline(&line, &size, locks) > 0)
		found = strstr(line, "-> FLOCK") && strstr(line, inode);
	fclose(locks);
	return found;
}

/* Asked by two, as after a death: the second one has looked before the first one was through. */
static void test_back_asked_twice_at_once(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	_cleanup_free_ char *one = branch(u, "one", "echo one > one; echo 1 > a.txt");
	_cleanup_free_ char *git_dir = xasprintf("%s/.git", u->root);
	int lock = open(git_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status;
	pid_t second;

	json_decref(ask_well(u, "move", move_request(u, main, one)));
	assert_int_equal(flock(lock, LOCK_EX), 0);
	second = fork();
	if (second == 0) {
		json_t *answer;

		close(lock);
		answer = ask(u, "back", move_request(u, one, main));
		_exit(json_object_get(answer, "error") ? 1 : 0);
	}
	for (int i = 0; i < 30000 && !is_waited_for(git_dir); i++)
		poll(NULL, 0, 1);
	assert_true(is_waited_for(git_dir));
	run_sh(u->root, "git read-tree -m -u %s %s; git update-ref HEAD %s", one, main, main);
	close(lock);
	assert_int_equal(waitpid(second, &status, 0), second);
	assert_int_equal(status, 0);
	assert_sh(main, sh(u->root, "git rev-parse main"));
	assert_sh("", sh(u->root, "git status --short"));
}

static void test_clash(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main"), *objects = NULL;
	_cleanup_free_ char *two = branch(u, "two", "echo 2 > a.txt; echo 2 > two");
	_cleanup_free_ char *three = branch(u, "three", "echo 3 > three");
	struct slot *slot = open_slot(u);
	json_t *answer, *pair;

	start_attempt(u, slot, 1, "one");
	run_sh(u->slot, "echo 1 > a.txt; echo 1 > new; git add a.txt");
	objects = sh(u->root, "find .git/objects -type f | sort | md5sum; git -C %s status --short",
	             u->slot);
	answer = ask_well(u, "clash",
	                  json_pack("{s:s, s:[{s:i, s:s, s:s}, {s:i, s:s, s:s}, {s:i, s:s, s:s}]}",
	                            "target", "two", "items", "task", 1, "base", main, "dir",
	                            u->slot, "task", 2, "base", main, "head", two, "task", 3,
	                            "base", main, "head", three));
	assert_int_equal(json_array_size(json_sub(answer, "pairs")), 1);
	pair = json_array_get(json_sub(answer, "pairs"), 0);
	assert_int_equal(json_int(pair, "a", 0), 1);
	assert_int_equal(json_int(pair, "b", 0), 2);
	assert_string_equal(json_string_value(json_array_get(json_sub(pair, "paths"), 0)), "a.txt");
	assert_int_equal(json_array_size(json_sub(answer, "target")), 1);
	json_decref(answer);
	/* Nothing was written where the agent works, nor in the repository. */
	assert_sh(objects,
	          sh(u->root, "find .git/objects -type f | sort | md5sum; git -C %s status --short",
	             u->slot));
	slot_close(slot);
}

/* An agent's large output is not copied at each look, nor what is no file. */
static void test_clash_untracked(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *main = head_of(u, "main");
	_cleanup_free_ char *four =
	    branch(u, "four", "echo 4 > new; echo 4 > big; echo 4 > odd; mkdir r; echo 4 > r/f");
	struct slot *slot = open_slot(u);
	json_t *answer, *paths;

	start_attempt(u, slot, 1, "one");
	run_sh(u->slot, "echo 1 > new; head -c 1100000 /dev/zero > big; mkfifo odd; "
	                "git init -q r; echo 1 > r/f");
	answer =
	    ask_well(u, "clash",
	             json_pack("{s:[{s:i, s:s, s:s}, {s:i, s:s, s:s}]}", "items", "task", 1, "base",
	                       main, "dir", u->slot, "task", 4, "base", main, "head", four));
	assert_int_equal(json_array_size(json_sub(answer, "pairs")), 1);
	paths = json_sub(json_array_get(json_sub(answer, "pairs"), 0), "paths");
	assert_int_equal(json_array_size(paths), 1);
	assert_string_equal(json_string_value(json_array_get(paths, 0)), "new");
	json_decref(answer);
	slot_close(slot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    universe_test(test_weave),
	    universe_test(test_weave_of_what_was_added),
	    universe_test(test_weave_of_what_is_damaged),
	    universe_test(test_weave_of_a_damaged_pack),
	    universe_test(test_prove),
	    universe_test(test_move_of_a_branch_nobody_has),
	    universe_test(test_move_of_a_checked_out_branch),
	    universe_test(test_after_a_killed_move),
	    universe_test(test_a_move_under_way),
	    universe_test(test_move_during_rebase_or_bisect),
	    universe_test(test_squash_and_what_is_on_top),
	    universe_test(test_back),
	    universe_test(test_back_asked_twice_at_once),
	    universe_test(test_clash),
	    universe_test(test_clash_untracked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
