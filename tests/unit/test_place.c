/* Which repository this is: found from anywhere in it, one id for ever, a new one for a
 * copy; and its folders, which nobody else may have prepared. */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "place.h"
#include "proc.h"
#include "shared_fixture.h"

/* ---- a universe of its own ---- */

static int universe_setup(void **state)
{
	char *dir = temp_new();
	_cleanup_free_ char *run = xasprintf("%s/run", dir), *home = xasprintf("%s/home", dir);

	*state = dir;
	assert_int_equal(mkdir(run, 0700), 0);
	assert_int_equal(mkdir(home, 0700), 0);
	setenv("PLEACH_RUNTIME_DIR", run, 1);
	setenv("HOME", home, 1);
	unsetenv("XDG_STATE_HOME");
	unsetenv("XDG_CONFIG_HOME");
	setenv("GIT_CONFIG_GLOBAL", "/dev/null", 1);
	setenv("GIT_CONFIG_SYSTEM", "/dev/null", 1);
	return 0;
}

__attribute__((sentinel)) static void git(const char *dir, ...)
{
	const char *argv[24] = {"git",
	                        "-c",
	                        "user.name=t",
	                        "-c",
	                        "user.email=t@t",
	                        "-c",
	                        "init.defaultBranch=main",
	                        "-c",
	                        "protocol.file.allow=always"};
	struct proc_run run = {.spec = PROC_SPEC_INIT, .timeout_ms = WAIT_MS};
	_cleanup_buf_ struct buf errors = BUF_INIT;
	struct error err = ERROR_INIT;
	size_t n = 9;
	int status;
	va_list ap;

	va_start(ap, dir);
	while (n < ARRAY_LEN(argv) - 1 && (argv[n] = va_arg(ap, const char *)))
		n++;
	va_end(ap);
	run.spec.argv = argv;
	run.spec.cwd = dir;
	run.err_out = &errors;
	assert_ok(proc_run(&run, &status, &err));
	if (status != 0)
		fail_msg("git %s: %s", argv[9], errors.data ? errors.data : "");
}

static char *path(const char *dir, const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

/* A repository with one commit. Caller frees its path. */
static char *make_repository(const char *dir, const char *name)
{
	char *repo = path(dir, name);

	assert_int_equal(mkdir(repo, 0755), 0);
	git(repo, "init", "-q", NULL);
	git(repo, "commit", "-q", "--allow-empty", "-m", "one", NULL);
	return repo;
}

static struct place find(const char *dir)
{
	struct error err = ERROR_INIT;
	struct place place;

	assert_ok(place_find(dir, &place, &err));
	return place;
}

static struct place claim(const char *dir, bool *moved)
{
	struct error err = ERROR_INIT;
	struct place place;

	assert_ok(place_claim(dir, &place, moved, &err));
	return place;
}

/* Claimed: its id. Caller frees. */
static char *claim_id_of(const char *dir, bool *moved)
{
	struct place place = claim(dir, moved);
	char *id = xstrdup(place.id);

	place_finish(&place);
	return id;
}

static void refused(const char *dir, const char *reason)
{
	struct place place = {.name = (char *)"untouched"};
	struct error err = ERROR_INIT;

	assert_int_equal(place_claim(dir, &place, NULL, &err), -1);
	assert_int_equal(err.code, ERROR_EXTERNAL);
	if (!strstr(err.text, reason))
		fail_msg("'%s' does not say '%s'", err.text, reason);
	assert_string_equal(place.name, "untouched");
}

static void assert_mode(const char *file, unsigned mode)
{
	struct stat st;

	assert_int_equal(lstat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, mode);
	assert_int_equal(st.st_uid, geteuid());
}

/* ---- where it is ---- */

static void test_nested_folder(void **state)
{
	_cleanup_free_ char *repo = make_repository(*state, "calc"), *a = path(repo, "a"),
	                    *b = path(a, "b"), *dot_git = path(repo, ".git");
	struct place place;

	assert_true(mkdir(a, 0755) == 0 && mkdir(b, 0755) == 0);
	place = find(b);
	assert_string_equal(place.cwd, b);
	assert_string_equal(place.worktree, repo);
	assert_string_equal(place.root, repo);
	assert_string_equal(place.git_dir, dot_git);
	assert_string_equal(place.common_dir, dot_git);
	assert_string_equal(place.name, "calc");
	assert_false(place.bare);
	assert_null(place.id); /* looking changes nothing */
	assert_null(place.socket);
	place_finish(&place);
}

static void test_not_a_repository(void **state)
{
	_cleanup_free_ char *empty = path(*state, "empty"), *dot = path(empty, ".git"),
	                    *missing = path(*state, "missing");
	struct error err = ERROR_INIT;
	struct place place;

	assert_int_equal(mkdir(empty, 0755), 0);
	assert_int_equal(place_find(empty, &place, &err), -1);
	assert_int_equal(err.code, ERROR_EXTERNAL);
	assert_non_null(strstr(err.text, "not in a git repository"));
	assert_int_equal(mkdir(dot, 0755), 0); /* an empty .git is none either */
	assert_int_equal(place_find(empty, &place, &err), -1);
	assert_int_equal(place_find(missing, &place, &err), -1);
	assert_non_null(strstr(err.text, missing));
}

/* What is called .git may be anything: none of it may hang, or lead nowhere. */
static void test_hostile_dot_git(void **state)
{
	static const char *const texts[] = {
	    "", "gitdir: ", "gitdir: /no/such\n", "gitdir: .git\n", "nonsense\n", "gitdir: \n\n\n"};
	_cleanup_free_ char *dir = path(*state, "d"), *dot = path(dir, ".git"), *big = NULL;
	struct error err = ERROR_INIT;
	struct place place;

	assert_int_equal(mkdir(dir, 0755), 0);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_ok(place_write_file(dot, texts[i], strlen(texts[i]), &err));
		assert_int_equal(place_find(dir, &place, &err), -1);
	}
	big = xcalloc(1, 1 << 20);
	memset(big, 'x', 1 << 20);
	assert_ok(place_write_file(dot, big, 1 << 20, &err));
	assert_int_equal(place_find(dir, &place, &err), -1);
	unlink(dot);
	assert_int_equal(mkfifo(dot, 0600), 0);
	assert_int_equal(place_find(dir, &place, &err), -1);
	unlink(dot);
	assert_int_equal(symlink(".git", dot), 0);
	assert_int_equal(place_find(dir, &place, &err), -1);
	unlink(dot);
	/* inside another repository a broken worktree does not become that one */
	assert_ok(place_write_file(dot, "gitdir: /no/such\n", 17, &err));
	git(*state, "init", "-q", NULL);
	assert_int_equal(place_find(dir, &place, &err), -1);
}

static void test_pipes_in_the_repository(void **state)
{
	_cleanup_free_ char *repo = make_repository(*state, "r"),
	                    *common = path(repo, ".git/commondir"),
	                    *id = path(repo, ".git/pleach/id"), *folder = path(repo, ".git/pleach");
	struct place place;

	assert_int_equal(mkfifo(common, 0600), 0);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(mkfifo(id, 0600), 0);
	place = find(repo);
	assert_null(place.id);
	place_finish(&place);
	place = claim(repo, NULL); /* the pipe is replaced */
	assert_non_null(place.id);
	place_finish(&place);
}

static void test_linked_worktree(void **state)
{
	_cleanup_free_ char *repo = make_repository(*state, "main repo"),
	                    *slot = path(*state, "slot\nof \xf0\x9f\x8c\xb3");
	_cleanup_free_ char *id = NULL;
	struct place place;

	git(repo, "worktree", "add", "-q", "--detach", slot, NULL);
	id = claim_id_of(slot, NULL);
	place = find(slot);
	assert_string_equal(place.worktree, slot);
	assert_string_equal(place.root, repo);
	assert_string_not_equal(place.git_dir, place.common_dir);
	assert_string_equal(place.name, "main_repo");
	assert_string_equal(place.id, id);
	place_finish(&place);
	place = find(repo);
	assert_string_equal(place.id, id); /* one repository, one id */
	place_finish(&place);
}

static void test_bare(void **state)
{
	_cleanup_free_ char *bare = path(*state, "store.git"), *refs = path(bare, "refs");
	struct place place;

	git(*state, "init", "-q", "--bare", bare, NULL);
	place = find(refs); /* from inside it */
	assert_true(place.bare);
	assert_null(place.worktree);
	assert_string_equal(place.root, bare);
	assert_string_equal(place.common_dir, bare);
	place_finish(&place);
}

static void test_worktree_of_a_bare_one(void **state)
{
	_cleanup_free_ char *repo = make_repository(*state, "r"), *bare = path(*state, "b.git"),
	                    *slot = path(*state, "slot"), *one = NULL, *two = NULL;
	struct place place;

	git(*state, "clone", "-q", "--bare", repo, bare, NULL);
	git(bare, "worktree", "add", "-q", "--detach", slot, NULL);
	place = find(slot);
	assert_string_equal(place.worktree, slot);
	assert_string_equal(place.root, bare);
	assert_true(place.bare);
	place_finish(&place);
	one = claim_id_of(slot, NULL);
	two = claim_id_of(bare, NULL);
	assert_string_equal(one, two);
}

static void test_submodule_and_separate_git_dir(void **state)
{
	_cleanup_free_ char *library = make_repository(*state, "library"),
	                    *super = make_repository(*state, "super"),
	                    *sub = path(super, "deps/sub"), *away = path(*state, "away"),
	                    *away_git = path(*state, "elsewhere.g");
	_cleanup_free_ char *modules = path(super, ".git/modules/deps/sub");
	_cleanup_free_ char *sub_id = NULL, *super_id = NULL;
	struct place place;

	git(super, "submodule", "--quiet", "add", library, "deps/sub", NULL);
	place = find(sub);
	assert_string_equal(place.worktree, sub);
	assert_string_equal(place.root, sub);
	assert_string_equal(place.common_dir, modules);
	assert_false(place.bare);
	place_finish(&place);
	sub_id = claim_id_of(sub, NULL);
	super_id = claim_id_of(super, NULL);
	assert_string_not_equal(sub_id, super_id);

	git(*state, "init", "-q", "--separate-git-dir", away_git, away, NULL);
	place = find(away);
	assert_string_equal(place.root, away);
	assert_string_equal(place.common_dir, away_git);
	assert_string_equal(place.name, "away");
	place_finish(&place);
}

static void test_strange_names(void **state)
{
	static const struct {
		const char *folder, *name;
	} cases[] = {{"with space", "with_space"}, {"new\nline", "new_line"}, {"new\n", "new_"},
	             {"caf\xc3\xa9", "caf__"},     {"-dash", "_dash"},        {"..dots", "_.dots"},
	             {"a;$(id)", "a___id_"}};
	_cleanup_free_ char *no_text = make_repository(*state, "\xff\xfe");

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_free_ char *repo = make_repository(*state, cases[i].folder);
		_cleanup_free_ char *one = claim_id_of(repo, NULL);
		struct place place = find(repo);
		bool moved = false;
		_cleanup_free_ char *two = claim_id_of(repo, &moved);

		assert_string_equal(place.root, repo);
		assert_string_equal(place.name, cases[i].name);
		assert_non_null(place.id);
		assert_string_equal(place.id, one);
		assert_string_equal(two, one);
		assert_false(moved);
		place_finish(&place);
	}
	refused(no_text, "not UTF-8"); /* it could not be told to anybody */
}

/* ---- its id ---- */

static void test_claim_makes_it_all_once(void **state)
{
	_cleanup_free_ char *repo = make_repository(*state, "calc"),
	                    *folder = path(repo, ".git/pleach"), *file = path(folder, "id");
	struct place one = claim(repo, NULL), two = claim(repo, NULL), seen = find(repo);
	_cleanup_free_ char *state_dir =
	    xasprintf("%s/home/.local/state/pleach/calc-%s", (char *)*state, one.id);
	_cleanup_free_ char *runtime_dir = xasprintf("%s/run/%s", (char *)*state, one.id);

	assert_int_equal(strlen(one.id), 16);
	assert_int_equal(strspn(one.id, "0123456789abcdef"), 16);
	assert_string_equal(one.id, two.id);
	assert_string_equal(one.id, seen.id);
	assert_string_equal(one.state_dir, state_dir);
	assert_string_equal(seen.state_dir, state_dir);
	assert_string_equal(one.runtime_dir, runtime_dir);
	assert_true(strncmp(one.socket, runtime_dir, strlen(runtime_dir)) == 0);
	assert_mode(state_dir, 0700);
	assert_mode(runtime_dir, 0700);
	assert_mode(folder, 0700);
	assert_mode(file, 0600);
	place_finish(&one);
	place_finish(&two);
	place_finish(&seen);
}

/* Two first commands at once agree on one id. */
static void test_claimed_by_many_at_once(void **state)
{
	enum { N = 12 };
	_cleanup_free_ char *repo = make_repository(*state, "r");
	char ids[N][17] = {{0}};
	int start[2], out[2], status;

	assert_true(pipe2(start, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	for (int i = 0; i < N; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			struct place place;
			char byte;

			close(start[1]);
			/* all begin when the other end is closed */
			if (read(start[0], &byte, 1) != 0 ||
			    place_claim(repo, &place, NULL, NULL) < 0 ||
			    write(out[1], place.id, 16) != 16)
				_exit(1);
			_exit(0);
		}
	}
	close(start[0]);
	close(start[1]);
	for (int i = 0; i < N; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	for (int i = 0; i < N; i++)
		assert_int_equal(read(out[0], ids[i], 16), 16);
	for (int i = 1; i < N; i++)
		assert_string_equal(ids[i], ids[0]);
	close(out[0]);
	close(out[1]);
}

static void copy_folder(const char *from, const char *to)
{
	const char *argv[] = {"cp", "-R", from, to, NULL};
	struct proc_run run = {.spec = PROC_SPEC_INIT, .timeout_ms = WAIT_MS};
	struct error err = ERROR_INIT;
	int status;

	run.spec.argv = argv;
	assert_ok(proc_run(&run, &status, &err));
	assert_int_equal(status, 0);
}

static void test_a_copy_is_another(void **state)
{
	_cleanup_free_ char *repo = make_repository(*state, "r"), *copy = path(*state, "copy");
	_cleanup_free_ char *id = claim_id_of(repo, NULL), *copied = NULL, *again = NULL;
	struct place place;
	bool moved = false;

	copy_folder(repo, copy);
	place = find(copy);
	assert_null(place.id); /* it must never talk to the other's coordinator */
	place_finish(&place);
	copied = claim_id_of(copy, &moved);
	assert_false(moved);
	assert_string_not_equal(copied, id);
	again = claim_id_of(repo, &moved);
	assert_string_equal(again, id);
	assert_false(moved);
}

/* Moved and renamed: the same id, and the state that it has, not a new and empty one. */
static void test_a_move_is_the_same(void **state)
{
	_cleanup_free_ char *repo = make_repository(*state, "r"), *there = path(*state, "renamed"),
	                    *mark = NULL;
	struct place before = claim(repo, NULL), after;
	struct error err = ERROR_INIT;
	bool moved = false;

	mark = path(before.state_dir, "store.db");
	assert_ok(place_write_file(mark, "x", 1, &err));
	assert_int_equal(rename(repo, there), 0);
	after = claim(there, &moved);
	assert_true(moved);
	assert_string_equal(after.id, before.id);
	assert_string_equal(after.root, there);
	assert_string_equal(after.state_dir, before.state_dir);
	place_finish(&after);
	moved = false;
	after = claim(there, &moved); /* moved once, not for ever */
	assert_false(moved);
	assert_string_equal(after.state_dir, before.state_dir);
	place_finish(&after);
	after = find(there);
	assert_string_equal(after.id, before.id);
	assert_string_equal(after.state_dir, before.state_dir);
	place_finish(&after);
	place_finish(&before);
}

static void test_a_broken_id_is_replaced(void **state)
{
	static const char *const texts[] = {"", "xyz\n", "0123456789abcdef",
	                                    "0123456789ABCDEF\n/x\n", "../../../../etc/\n/x\n"};
	_cleanup_free_ char *repo = make_repository(*state, "r"),
	                    *file = path(repo, ".git/pleach/id");
	struct error err = ERROR_INIT;

	free(claim_id_of(repo, NULL));
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct place place;

		assert_ok(place_write_file(file, texts[i], strlen(texts[i]), &err));
		place = claim(repo, NULL);
		assert_int_equal(strspn(place.id, "0123456789abcdef"), 16);
		place_finish(&place);
	}
}

/* ---- its folders ---- */

static void test_planted_runtime_folders(void **state)
{
	_cleanup_free_ char *repo = make_repository(*state, "r"), *id = claim_id_of(repo, NULL);
	_cleanup_free_ char *runtime = xasprintf("%s/run/%s", (char *)*state, id),
	                    *target = path(*state, "target");

	assert_int_equal(rmdir(runtime), 0);
	assert_int_equal(mkdir(target, 0700), 0);
	assert_int_equal(symlink(target, runtime), 0);
	refused(repo, "not a directory");
	unlink(runtime);
	assert_int_equal(symlink("/no/such", runtime), 0);
	refused(repo, "not a directory");
	unlink(runtime);
	int fd = open(runtime, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	refused(repo, "not a directory");
	unlink(runtime);
	if (geteuid() == 0) { /* only root can make what belongs to another */
		assert_int_equal(mkdir(runtime, 0700), 0);
		assert_int_equal(chown(runtime, 12345, 12345), 0);
		refused(repo, "another user");
		rmdir(runtime);
	}
	/* ours but open: closed */
	assert_int_equal(mkdir(runtime, 0700), 0);
	assert_int_equal(chmod(runtime, 0777), 0);
	free(claim_id_of(repo, NULL));
	assert_mode(runtime, 0700);
	/* vanished: made again */
	rmdir(runtime);
	free(claim_id_of(repo, NULL));
	assert_mode(runtime, 0700);
}

static void test_planted_state_folder(void **state)
{
	_cleanup_free_ char *repo = make_repository(*state, "r"), *target = path(*state, "target");
	struct place place = claim(repo, NULL);
	_cleanup_free_ char *owner = path(place.state_dir, "owner");

	assert_int_equal(unlink(owner), 0);
	assert_int_equal(rmdir(place.state_dir), 0);
	assert_int_equal(mkdir(target, 0700), 0);
	assert_int_equal(symlink("/no/such", place.state_dir), 0);
	refused(repo, "not a directory");
	place_finish(&place);
}

/* A name that is not absolute counts for nothing, and what stands in /tmp is then ours to
 * check. */
static void test_environment(void **state)
{
	_cleanup_free_ char *repo = make_repository(*state, "r"), *id = claim_id_of(repo, NULL);
	_cleanup_free_ char *state_home = path(*state, "st ate"), *config = NULL, *want = NULL;
	_cleanup_free_ char *usual = xasprintf("/tmp/pleach-%d/%s", (int)geteuid(), id);
	_cleanup_free_ char *top = xasprintf("/tmp/pleach-%d", (int)geteuid());
	struct place place;

	setenv("XDG_STATE_HOME", state_home, 1);
	place = find(repo);
	want = xasprintf("%s/pleach/r-%s", state_home, id);
	assert_string_equal(place.state_dir, want);
	place_finish(&place);

	setenv("XDG_STATE_HOME", "relative", 1);
	setenv("XDG_CONFIG_HOME", "relative", 1);
	setenv("PLEACH_RUNTIME_DIR", "relative", 1);
	place = claim(repo, NULL);
	assert_string_equal(place.runtime_dir, usual);
	assert_true(strncmp(place.state_dir, *state, strlen(*state)) == 0);
	assert_mode(usual, 0700);
	assert_mode(top, 0700);
	rmdir(usual);
	place_finish(&place);
	config = place_config_dir();
	assert_true(strncmp(config, *state, strlen(*state)) == 0);

	unsetenv("HOME"); /* then the system knows it */
	unsetenv("XDG_STATE_HOME");
	place = find(repo);
	assert_int_equal(place.state_dir[0], '/');
	assert_null(strstr(place.state_dir, "//"));
	assert_null(strstr(place.state_dir, *state));
	place_finish(&place);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, universe_setup, temp_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_nested_folder),
	    TEST(test_not_a_repository),
	    TEST(test_hostile_dot_git),
	    TEST(test_pipes_in_the_repository),
	    TEST(test_linked_worktree),
	    TEST(test_bare),
	    TEST(test_worktree_of_a_bare_one),
	    TEST(test_submodule_and_separate_git_dir),
	    TEST(test_strange_names),
	    TEST(test_claim_makes_it_all_once),
	    TEST(test_claimed_by_many_at_once),
	    TEST(test_a_copy_is_another),
	    TEST(test_a_move_is_the_same),
	    TEST(test_a_broken_id_is_replaced),
	    TEST(test_planted_runtime_folders),
	    TEST(test_planted_state_folder),
	    TEST(test_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
