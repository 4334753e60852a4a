/* Slots: making, reusing, locking, and keeping whatever an agent left in one. */
#include "git_fixture.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "program.h"

static void test_new_slot_is_at_head_and_detached(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);

	assert_true(slot_is_new(slot));
	assert_int_equal(slot_attempt(slot), 0);
	assert_int_equal(slot_phase(slot), SLOT_NEW);
	assert_sh("", sh(u->slot, "git status --porcelain"));
	assert_sh("HEAD", sh(u->slot, "git rev-parse --abbrev-ref HEAD"));
	assert_sh("code", sh(u->slot, "cat src/code.c"));
	slot_set_up(slot);
	slot_close(slot);
	slot = open_slot(u);
	assert_false(slot_is_new(slot));
	slot_close(slot);
}

static void test_second_holder_is_busy(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u), *other = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(slot_open(u->root, u->slot, "ash", NULL, NULL, NULL, &other, &err), -1);
	assert_int_equal(err.code, ERROR_BUSY);
	slot_close(slot);
}

static void test_foreign_directory_is_refused(void **state)
{
	struct universe *u = *state;
	struct error err = ERROR_INIT;
	struct slot *slot = NULL;

	run_sh(u->dir, "mkdir -p repo.pleach/ash; echo mine > repo.pleach/ash/file");
	assert_int_equal(slot_open(u->root, u->slot, "ash", NULL, NULL, NULL, &slot, &err), -1);
	assert_int_equal(err.code, ERROR_INVALID);
	assert_non_null(strstr(err.text, "not a worktree"));
	assert_sh("mine", sh(u->slot, "cat file"));
}

static void test_another_repository_is_refused(void **state)
{
	struct universe *u = *state;
	struct error err = ERROR_INIT;
	struct slot *slot = NULL;

	run_sh(u->dir, "git init -q repo.pleach/ash; echo mine > repo.pleach/ash/file");
	assert_int_equal(slot_open(u->root, u->slot, "ash", NULL, NULL, NULL, &slot, &err), -1);
	assert_int_equal(err.code, ERROR_INVALID);
}

static void test_the_users_worktree_is_refused(void **state)
{
	struct universe *u = *state;
	struct error err = ERROR_INIT;
	struct slot *slot = NULL;

	run_sh(u->root, "git worktree add -q ../repo.pleach/ash");
	assert_int_equal(slot_open(u->root, u->slot, "ash", NULL, NULL, NULL, &slot, &err), -1);
	assert_int_equal(err.code, ERROR_INVALID);
	assert_sh("ash", sh(u->slot, "git symbolic-ref --short HEAD"));
}

static void test_unborn_repository_is_invalid(void **state)
{
	struct universe *u = *state;
	struct error err = ERROR_INIT;
	struct slot *slot = NULL;

	run_sh(u->dir, "git init -q -b main empty");

	_cleanup_free_ char *root = xasprintf("%s/empty", u->dir);

	assert_int_equal(slot_open(root, u->slot, "ash", NULL, NULL, NULL, &slot, &err), -1);
	assert_int_equal(err.code, ERROR_INVALID);
	assert_false(file_exists(u->slot));
}

static void test_vanished_slot_is_made_anew(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);

	slot_set_up(slot);
	start_attempt(u, slot, 3, "one");
	run_sh(u->slot, "git checkout -q --detach; echo lonely > l; git add l; git commit -qm l");
	slot_close(slot);
	run_sh(u->dir, "rm -rf repo.pleach/ash");
	slot = open_slot(u);
	assert_true(slot_is_new(slot));
	assert_sh("code", sh(u->slot, "cat src/code.c"));
	assert_kept(u, "lonely");
	assert_sh("1", sh(u->root, "ls .git/worktrees | wc -l"));
	slot_close(slot);
}

static void test_pruned_entry_keeps_the_files(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);

	start_attempt(u, slot, 3, "one");
	run_sh(u->slot, "echo precious > p");
	slot_close(slot);
	run_sh(u->root, "rm -rf .git/worktrees/ash");
	slot = open_slot(u);
	assert_kept(u, "precious");
	start_attempt(u, slot, 4, "two");
	assert_sh("", sh(u->slot, "git status --porcelain"));
	slot_close(slot);
}

static void test_other_worktrees_are_left_alone(void **state)
{
	struct universe *u = *state;
	struct slot *slot;

	/* One whose directory is on a disk that is not there right now. */
	run_sh(u->root, "git worktree add -q ../away; mv ../away ../elsewhere");
	slot = open_slot(u);
	slot_close(slot);
	run_sh(u->dir, "rm -rf repo.pleach/ash");
	slot = open_slot(u);
	slot_close(slot);
	run_sh(u->dir, "mv elsewhere away; git -C away status -s");
}

static void test_switch_is_on_the_branch_at_base(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	_cleanup_free_ char *base = head_of(u, "main");

	start_attempt(u, slot, 1, "one");
	assert_sh("pleach/p/one", sh(u->slot, "git symbolic-ref --short HEAD"));
	assert_sh(base, sh(u->slot, "git rev-parse HEAD"));
	assert_int_equal(slot_attempt(slot), 1);
	assert_true(slot_holds_branch(slot, 1));
	assert_false(slot_holds_branch(slot, 2));
	assert_int_equal(slot_phase(slot), SLOT_RUNNING);
	run_sh(u->slot, "mkdir build; echo x > build/out; echo log > x.log; echo new > n; "
	                "git rm -q b.txt; rm src/code.c; echo s >> a.txt; git add a.txt");
	start_attempt(u, slot, 2, "two");
	assert_sh("", sh(u->slot, "git status --porcelain"));
	assert_sh("x\nlog", sh(u->slot, "cat build/out x.log"));
	assert_sh("code", sh(u->slot, "cat src/code.c"));
	assert_kept(u, "new");
	assert_sh("0", sh(u->root, "git for-each-ref refs/pleach/kept/2 | wc -l"));
	slot_close(slot);
}

static void test_clean_slot_keeps_nothing(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	char *head = NULL;

	start_attempt(u, slot, 1, "one");
	snapshot(slot, 1, &head);
	assert_null(head);
	assert_int_equal(slot_phase(slot), SLOT_SNAPSHOTTED);
	start_attempt(u, slot, 2, "two");
	assert_sh("", sh(u->root, "git for-each-ref refs/pleach"));
	slot_close(slot);
}

/* Runs a script as if it were git. Its status; what it printed is in `out`. */
static int run_git_program(struct universe *u, const char *script, const char *lock,
                           struct buf *out)
{
	const char *const locks[] = {lock, NULL};
	struct proc_run run = {.spec = PROC_SPEC_INIT, .out = out};
	struct error err = ERROR_INIT;
	int status = -1;

	run.spec.argv = (const char *const[]){"/bin/sh", "-c", script, NULL};
	run.spec.cwd = u->root;
	if (git_program(&run, locks, &status, &err) < 0)
		fail_msg("%s", err.text);
	return status;
}

/* Its lock and what it had said are forgotten; somebody else's lock is not. */
static void test_a_killed_git_runs_again(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *lock = xasprintf("%s/lock", u->root);
	_cleanup_buf_ struct buf out = BUF_INIT;
	int status;

	buf_add_str(&out, "before ");
	status = run_git_program(u,
	                         "test ! -e lock && >lock && { test -e once || { >once; echo half; "
	                         "kill -9 $$; }; echo whole; rm lock; }",
	                         lock, &out);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_string_equal(out.data, "before whole\n");
	status = run_git_program(u, "echo >>tries; kill -9 $$", lock, NULL);
	assert_true(WIFSIGNALED(status));
	assert_sh("3", sh(u->root, "wc -l <tries"));
	run_sh(u->root, "echo theirs >lock");
	run_git_program(u, "kill -9 $$", lock, NULL);
	assert_sh("theirs", sh(u->root, "cat lock"));
}

/* Its first checkout was cut off: it is begun anew, and what is missing is nobody's deletion. */
static void test_half_checked_out(void **state)
{
	struct universe *u = *state;

	slot_close(open_slot(u));
	run_sh(u->slot, "m=$(git rev-parse --git-dir); grep -q '\"made\":true' $m/pleach-slot; "
	                "sed -i 's/\"checked_out\":true/\"checked_out\":false/' $m/pleach-slot; "
	                "rm -r a.txt src; truncate -s 8 $m/index; touch $m/index.lock");
	slot_close(open_slot(u));
	assert_sh("", sh(u->slot, "git status --porcelain; git for-each-ref refs/pleach"));
}

/* What the marker says of a new slot waits for the attempt's, unless there is none: nobody else may
 * come to a slot that would be checked out again. */
static void test_a_failed_first_switch_is_marked(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	struct slot_order order = {.base = "nothing"};
	struct error err = ERROR_INIT;

	run_sh(u->slot, "grep -q '\"checked_out\":false' $(git rev-parse --git-dir)/pleach-slot");
	assert_int_equal(slot_switch(slot, 1, &order, &err), -1);
	run_sh(u->slot, "grep -q '\"checked_out\":true' $(git rev-parse --git-dir)/pleach-slot");
	slot_close(slot);
}

/* Until the agent starts the disk may know no more than that the slot was made. */
static void test_a_power_cut_in_a_first_switch(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	_cleanup_free_ char *base = head_of(u, "main");

	run_sh(u->slot, "cp $(git rev-parse --git-dir)/pleach-slot ../before");
	start_attempt(u, slot, 1, "one");
	slot_close(slot);
	run_sh(u->slot, "m=$(git rev-parse --git-dir); cp ../before $m/pleach-slot; rm a.txt; "
	                "rm $(git rev-parse --git-common-dir)/refs/heads/pleach/p/one");
	slot = open_slot(u);
	assert_sh("", sh(u->slot, "git status --porcelain; git for-each-ref refs/pleach/kept"));
	assert_sh(base, sh(u->slot, "git rev-parse HEAD"));
	start_attempt(u, slot, 1, "one");
	assert_sh("pleach/p/one", sh(u->slot, "git symbolic-ref --short HEAD"));
	slot_close(slot);
}

/* A git that was killed leaves its locks behind; a person who looks into the slot must not trip
 * over them. */
static void test_locks_of_the_dead_are_removed(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	char *head = NULL;

	start_attempt(u, slot, 1, "one");
	run_sh(u->slot, "touch $(git rev-parse --git-path index.lock HEAD.lock)");
	snapshot(slot, 1, &head);
	free(head);
	run_sh(u->slot, "echo mine > mine; git add mine; git reset -q");
	slot_close(slot);
}

/* The lock of `git maintenance` belongs to the repository: whoever has it open keeps it. */
static void test_the_lock_of_dead_maintenance_is_removed(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	_cleanup_free_ char *lock = xasprintf("%s/.git/objects/maintenance.lock", u->root);
	int fd = open(lock, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char *head = NULL;

	assert_true(fd >= 0);
	start_attempt(u, slot, 1, "one");
	assert_true(file_exists(lock));
	close(fd);
	snapshot(slot, 1, &head);
	free(head);
	assert_false(file_exists(lock));
	slot_close(slot);
}

/* So does who has it open where the objects are elsewhere, under another name. */
static void test_a_lock_of_maintenance_behind_a_link_stays(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *lock = xasprintf("%s/.git/objects/maintenance.lock", u->root);
	struct slot *slot;
	int fd;

	run_sh(u->root, "mv .git/objects ../store; ln -s ../../store .git/objects");
	slot = open_slot(u);
	fd = open(lock, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	start_attempt(u, slot, 1, "one");
	assert_true(file_exists(lock));
	close(fd);
	start_attempt(u, slot, 2, "two");
	assert_false(file_exists(lock));
	slot_close(slot);
}

/* Whatever became of its attempt, a slot that was kept does not hold the branch: the task is
 * tried again anywhere. */
static void test_a_snapshot_lets_go_of_the_branch(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);
	char *head = NULL;

	start_attempt(u, slot, 1, "one");
	run_sh(u->slot, "echo new > a.txt");
	snapshot(slot, 1, &head);
	assert_non_null(head);
	free(head);
	run_sh(u->root, "git worktree add -q ../other pleach/p/one");
	slot_close(slot);
}

/* Every state that an agent can leave: the commands, and the contents that must survive. */
static const struct {
	const char *name, *commands;
	const char *contents[6];
} states[] = {
    {"dirty", "echo edited > a.txt", {"edited"}},
    {"untracked", "mkdir -p deep/er; echo fresh > deep/er/f", {"fresh"}},
    {"staged", "echo staged > s; git add s; echo later > s", {"staged", "later"}},
    {"staged then deleted", "echo gone > g; git add g; rm g", {"gone"}},
    {"detached",
     "git checkout -q --detach; echo det > d; git add d; git commit -qm d; echo wip > w",
     {"det", "wip"}},
    {"other branch",
     "git checkout -q -b mine; echo mine > m; git add m; git commit -qm m",
     {"mine"}},
    {"reflog only",
     "git checkout -q --detach; echo lost > l; git add l; git commit -qm l; git reset -q --hard "
     "HEAD~1",
     {"lost"}},
    {"amended",
     "echo first > l; git add l; git commit -qm l; echo second > l; "
     "git commit -qa --amend -m l2",
     {"first", "second"}},
    {"mid-merge conflict",
     "git checkout -q -b x; echo ours > a.txt; git commit -qam o; git checkout -q -b y main; "
     "echo theirs > a.txt; git commit -qam t; git merge x || true; echo half > h",
     {"ours", "theirs", "half"}},
    {"merge of a lost commit",
     "git checkout -q --detach; echo side > side; git add side; git commit -qm s; "
     "c=$(git rev-parse HEAD); git checkout -q pleach/p/one; git merge -q --no-commit --no-ff $c; "
     "rm .git 2>/dev/null; true",
     {"side"}},
    {"mid-rebase",
     "echo r1 > a.txt; git commit -qam r1; git checkout -q -b up main; echo up > a.txt; "
     "git commit -qam up; git checkout -q pleach/p/one; git rebase up || true; echo rb > rb",
     {"r1", "up", "rb"}},
    {"cherry-pick",
     "git checkout -q --detach; echo cp > a.txt; git commit -qam c; c=$(git rev-parse HEAD); "
     "git checkout -q pleach/p/one; echo here > a.txt; git commit -qam h; git cherry-pick $c || "
     "true",
     {"cp", "here"}},
    {"conflicted index only",
     "echo side2 > a.txt; git stash -q; echo main2 > a.txt; git commit -qam m; "
     "git stash pop || true",
     {"side2", "main2"}},
    {"nested repository",
     "git init -q sub; echo inner > sub/i; cd sub; git add i; "
     "git -c user.name=a -c user.email=b commit -qm i; echo dirty > j",
     {"inner", "dirty"}},
    {"nested without commits",
     "git init -q sub; echo bare > sub/i; mkdir sub/d; echo deep > sub/d/j",
     {"bare", "deep"}},
    {"nested in nested",
     "git init -q one; git init -q one/two; echo two > one/two/f; cd one; echo o > o; "
     "git add o; git -c user.name=a -c user.email=b commit -qm o",
     {"two", "o"}},
    {"nested already committed",
     "git init -q sub; echo inner > sub/i; cd sub; git add i; "
     "git -c user.name=a -c user.email=b commit -qm i; cd ..; git add -A; git commit -qm link",
     {"inner"}},
    {"read-only files",
     "mkdir ro; echo kept > ro/f; chmod 400 ro/f; chmod 500 ro; echo w > w; chmod 000 w",
     {"kept", "w"}},
    {"unreadable directory", "mkdir hid; echo hidden > hid/f; chmod 000 hid", {"hidden"}},
    {"deleted .git", "echo here > h; rm .git", {"here"}},
    {".git is a repository",
     "rm .git; git init -q .; echo own > own; git add own; git -c user.name=a -c user.email=b "
     "commit -qm own",
     {"own"}},
    {".git is a pipe", "rm .git; mkfifo .git; echo piped > p", {"piped"}},
    {".git leads elsewhere", "echo 'gitdir: /nowhere' > .git; echo led > l", {"led"}},
    {"damaged index", "echo rubbish > $(git rev-parse --git-path index); echo dmg > d", {"dmg"}},
    {"no index", "rm $(git rev-parse --git-path index); echo noi > a.txt", {"noi"}},
    {"locked index", "touch $(git rev-parse --git-path index.lock); echo lck > a.txt", {"lck"}},
    {"assume unchanged", "git update-index --assume-unchanged a.txt; echo sly > a.txt", {"sly"}},
    {"skip worktree", "git update-index --skip-worktree a.txt; echo slyer > a.txt", {"slyer"}},
    {"strange names",
     "echo n1 > -x; echo n2 > ' sp'; printf 'n3\\n' > \"new\nline\"; echo n4 > \xc3\xa4; "
     "echo n5 > ':(exclude)y'; printf 'n6\\n' > \"$(printf 'bad\\377')\"",
     {"n1", "n2", "n3", "n4", "n5", "n6"}},
    {"names that git refuses", "mkdir .GIT; echo caps > .GIT/x; echo ok > ok", {"caps", "ok"}},
    {"file becomes directory", "rm a.txt; mkdir a.txt; echo in > a.txt/f", {"in"}},
    {"directory becomes file", "rm -r src; echo flat > src", {"flat"}},
    {"directory becomes link", "rm -r src; ln -s /etc src; echo lnk > l", {"lnk"}},
    {"pipe and socket", "mkfifo f; rm a.txt; mkfifo a.txt; echo special > s", {"special"}},
    {"no HEAD", "echo orph > o; rm $(git rev-parse --git-path HEAD)", {"orph"}},
    {"orphan branch", "git checkout -q --orphan new; git rm -rqf .; echo root > r", {"root"}},
    {"branch deleted",
     "echo del > d; git add d; git commit -qm d; git checkout -q --detach; "
     "git branch -qD pleach/p/one; git reset -q --hard HEAD~1",
     {"del"}},
    {"bisect",
     "echo b1 > a.txt; git commit -qam b1; git bisect start -q HEAD main || true; echo bi > b",
     {"b1", "bi"}},
    {"required filter fails",
     "git config filter.f.clean false; git config filter.f.required true; "
     "echo '*.f filter=f' > .gitattributes; echo filtered > x.f",
     {"filtered"}},
    {"stash", "echo stashed > st; git add st; git stash -q; echo after > af", {"after"}},
};

static void test_every_state_is_kept(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		void *made = NULL;
		struct universe *u;
		struct slot *slot;
		char *head = NULL;

		assert_int_equal(universe_make(&made), 0);
		print_message("           %s\n", states[i].name);
		u = made;
		slot = open_slot(u);
		start_attempt(u, slot, 1, "one");
		run_sh(u->slot, "%s", states[i].commands);
		snapshot(slot, 1, &head);
		free(head);
		/* As after a crash: another process takes over. */
		slot_close(slot);
		slot = open_slot(u);
		start_attempt(u, slot, 2, "two");
		for (size_t k = 0; k < ARRAY_LEN(states[i].contents) && states[i].contents[k]; k++)
			if (!is_reachable(u, states[i].contents[k]))
				fail_msg("%s: '%s' is lost", states[i].name, states[i].contents[k]);
		assert_sh("", sh(u->slot, "git status --porcelain"));
		assert_sh("pleach/p/two", sh(u->slot, "git symbolic-ref --short HEAD"));
		assert_sh("", sh(u->slot, "git diff main"));
		slot_close(slot);
		run_sh(u->root, "git fsck --strict --no-dangling >/dev/null");
		universe_end(&made);
	}
}

/* The same states at the end of an attempt: what is committed, and what is kept beside it. */
static void test_every_state_is_committed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		void *made = NULL;
		struct slot_result result;
		struct error err = ERROR_INIT;
		struct universe *u;
		struct slot *slot;

		assert_int_equal(universe_make(&made), 0);
		print_message("           %s\n", states[i].name);
		u = made;

		_cleanup_free_ char *base = head_of(u, "main");

		slot = open_slot(u);
		start_attempt(u, slot, 1, "one");
		run_sh(u->slot, "%s", states[i].commands);
		if (slot_commit(slot, 1, "pleach/p/one", base, "the subject", &result, &err) < 0) {
			/* A filter of the user's that fails is the one thing that may. */
			if (!strstr(states[i].name, "filter"))
				fail_msg("%s: %s", states[i].name, err.text);
		} else {
			_cleanup_free_ char *now = head_of(u, "pleach/p/one");

			assert_string_equal(now, result.head);
			if (!strstr(states[i].name, "refuse") && !strstr(states[i].name, "filter"))
				assert_sh("", sh(u->slot, "git status --porcelain"));
		}
		start_attempt(u, slot, 2, "two");
		for (size_t k = 0; k < ARRAY_LEN(states[i].contents) && states[i].contents[k]; k++)
			if (!is_reachable(u, states[i].contents[k]))
				fail_msg("%s: '%s' is lost", states[i].name, states[i].contents[k]);
		slot_close(slot);
		universe_end(&made);
	}
}

/* A branch of the user's names nothing: what a nested repository holds is copied all the same. */
static void test_a_broken_branch_beside_a_nested_repository(void **state)
{
	struct universe *u = *state;
	struct slot *slot = open_slot(u);

	start_attempt(u, slot, 1, "one");
	run_sh(u->slot, "git init -q sub; echo inner > sub/i; cd sub; git add i; "
	                "git -c user.name=a -c user.email=b commit -qm i");
	run_sh(u->root, "cd .git; printf '%%040d' 7 >refs/heads/users; : >refs/heads/empty; "
	                "id=$(git commit-tree -m torn 'main^{tree}'); echo $id >refs/heads/torn; "
	                "file=objects/$(echo $id | sed 's,..,&/,'); rm $file; : >$file");
	start_attempt(u, slot, 2, "two");
	slot_close(slot);
	run_sh(u->root, "cd .git/refs/heads; rm users empty torn");
	assert_sh("i", sh(u->root, "git log --all --format=%%s | grep -x i"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    universe_test(test_a_killed_git_runs_again),
	    universe_test(test_half_checked_out),
	    universe_test(test_a_failed_first_switch_is_marked),
	    universe_test(test_a_power_cut_in_a_first_switch),
	    universe_test(test_new_slot_is_at_head_and_detached),
	    universe_test(test_second_holder_is_busy),
	    universe_test(test_foreign_directory_is_refused),
	    universe_test(test_another_repository_is_refused),
	    universe_test(test_the_users_worktree_is_refused),
	    universe_test(test_unborn_repository_is_invalid),
	    universe_test(test_vanished_slot_is_made_anew),
	    universe_test(test_pruned_entry_keeps_the_files),
	    universe_test(test_other_worktrees_are_left_alone),
	    universe_test(test_switch_is_on_the_branch_at_base),
	    universe_test(test_clean_slot_keeps_nothing),
	    universe_test(test_locks_of_the_dead_are_removed),
	    universe_test(test_the_lock_of_dead_maintenance_is_removed),
	    universe_test(test_a_lock_of_maintenance_behind_a_link_stays),
	    universe_test(test_a_snapshot_lets_go_of_the_branch),
	    universe_test(test_a_broken_branch_beside_a_nested_repository),
	    cmocka_unit_test(test_every_state_is_kept),
	    cmocka_unit_test(test_every_state_is_committed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
