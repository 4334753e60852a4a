/* pleach-git, its verb `open`: worktrees for people. */
#include "verb_fixture.h"

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

/* Each finds the same one, with all of its files. */
static void test_opens_at_once(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *dir = xasprintf("%s/repo.pleach/open-one", u->dir);

	free(branch(u, "one", "for i in $(seq 300); do echo $i > f$i; done"));
	run_sh(u->root,
	       "mkdir ../out; echo '{\"root\":\"%s\",\"branch\":\"one\",\"dir\":\"%s\"}' > ../ask; "
	       "for i in 1 2 3 4 5 6 7 8; do (%s open < ../ask; git -C '%s' status --porcelain) "
	       "> ../out/$i 2>&1 & done; wait",
	       u->root, dir, PLEACH_GIT, dir);
	assert_sh("8", sh(u->root, "cat ../out/* | wc -l"));
	assert_sh("8", sh(u->root, "cat ../out/* | grep -cF '\"%s\"'", dir));
	assert_sh("2", sh(u->root, "git worktree list | wc -l"));
}

/* What is left of one that was killed while it checked out goes. */
static void test_open_of_one_half_made(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *dir = xasprintf("%s/repo.pleach/open-one", u->dir);
	json_t *answer;

	free(branch(u, "one", "echo '* filter=x' > .gitattributes; echo one > one"));
	run_sh(u->root,
	       "git config filter.x.clean cat; git config filter.x.smudge 'cd /; test ! -e %s/kill "
	       "|| kill -9 $(cut -d\" \" -f4 /proc/$PPID/stat) $PPID; cat'",
	       u->dir);
	json_decref(ask_well(u, "pin", json_pack("{s:s}", "pinned", u->pin)));
	run_sh(u->root,
	       "touch ../kill; echo '{\"root\":\"%s\",\"pinned\":\"%s\",\"branch\":\"one\","
	       "\"dir\":\"%s\"}' > ../ask; ! %s open < ../ask; rm ../kill; "
	       "test -e .git/worktrees/open-one; test ! -e .git/worktrees/open-one/index",
	       u->root, u->pin, dir, PLEACH_GIT);
	for (int i = 0; i < 2; i++) {
		answer = ask_well(
		    u, "open",
		    json_pack("{s:s, s:s, s:s}", "pinned", u->pin, "branch", "one", "dir", dir));
		assert_string_equal(json_text(answer, "dir"), dir);
		assert_int_equal(json_flag(answer, "created"), i == 0);
		json_decref(answer);
		if (i == 0)
			assert_sh("one", sh(dir, "git status --porcelain; cat one"));
		run_sh(dir, "echo mine > one; rm -f \"$(git rev-parse --git-path index)\"; "
		            "test ! -e \"$(git rev-parse --git-path locked)\"");
	}
	/* It is no half of one without its index alone. */
	assert_sh("mine", sh(dir, "cat one"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    universe_test(test_open),
	    universe_test(test_opens_at_once),
	    universe_test(test_open_of_one_half_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
