/* Captures and checkouts without git programs: whatever an agent does, they come to what git comes
 * to when it reads every file; and in the ordinary case no program runs at all. */
#include "git_fixture.h"

#include <fcntl.h>
#include <sys/file.h>
#include <time.h>

#include "attributes.h"
#include "tree_cache.h"

#define ROUNDS 25

static unsigned seed;

static unsigned pick(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % n;
}

static const char *const names[] = {
    "a.txt",     "b.txt",      "src/code.c", "src/deep/er/x", "src/deep/y",       "tests/t1",
    "new",       "d/e/f",      "d/e/g",      "src.c",         "src-x/a",          "out.log",
    "build/obj", ":colon",     "sp ace\nnl", "-dash",         ".github/w",        "back\\slash",
    "\xc3\xa9",  "d.e/f",      "src/sub/z",  "empty/",        "tests/.gitignore", ".gitignore",
    "run.sh",    "zz/.hidden",
};

/* One thing that an agent may do to a path; what cannot be done there is left out. */
static const char *const deeds[] = {
    "mkdir -p \"$(dirname \"$p\")\" && echo $r >\"$p\"",
    "test -f \"$p\" && ! test -L \"$p\" && printf %s x$((r % 10)) 1<>\"$p\"",
    "test -e \"$p\" && touch \"$p\"",
    "test -f \"$p\" && chmod +x \"$p\"",
    "test -f \"$p\" && ! test -L \"$p\" && chmod -x \"$p\"",
    "rm -rf \"$p\"",
    "case $p in */*) rm -rf \"$(dirname \"$p\")\";; esac",
    "rm -rf \"$p\" && mkdir -p \"$(dirname \"$p\")\" && ln -s target$((r % 3)) \"$p\"",
    "rm -rf \"$p\" && mkdir -p \"$p\" && echo $r >\"$p/in\"",
    "git add -A . 2>&1",
    "git add -A . && echo later >>\"$p\"",
    "git commit -qam agent",
    "case $p in *.gitignore) ;; *) mkfifo \"$p\";; esac", /* before that one git stands still */
    "git mv a.txt moved$r",
    "git rm -q --cached b.txt",
    "echo '*.txt text eol=lf' >.gitattributes",
    "echo '*.txt text' >.gitattributes; printf 'a\\r\\nb\\r\\n' >b.txt",
    "test -f \"$p\" && cp -p \"$p\" copy && mv copy \"$p\"",
};

static void mutate(struct universe *u)
{
	unsigned count = 1 + pick(5);

	for (unsigned i = 0; i < count; i++) {
		setenv("p", names[pick(ARRAY_LEN(names))], 1);
		run_sh(u->slot, "r=%u; test ! -p \"$p\" || rm \"$p\"; (%s) >/dev/null 2>&1 || true",
		       pick(1000), deeds[pick(ARRAY_LEN(deeds))]);
	}
}

/* The tree of the slot's files as git sees it without knowing anything of before. */
static char *whole_tree(struct universe *u)
{
	return sh(u->slot,
	          "export GIT_INDEX_FILE=%s/whole; rm -f $GIT_INDEX_FILE; "
	          "git -c advice.addIgnoredFile=false add -A . && git write-tree",
	          u->dir);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The nodes of the cache of trees of an index file, a line each, sorted. */
static char *tree_nodes(const char *file)
{
	_cleanup_view_ struct index_view view = INDEX_VIEW_INIT;
	_cleanup_strv_ char **lines = NULL;
	struct buf text = BUF_INIT;
	size_t count = 0;

	assert_int_equal(index_file_read(file, GIT_OID_RAWSZ, &view), 0);
	for (const unsigned char *at = view.trees; at && at < view.trees + view.trees_len;) {
		const char *name = (const char *)at, *line = name + strlen(name) + 1;
		const unsigned char *id = (const unsigned char *)strchr(line, '\n') + 1;
		char hex[GIT_OID_HEXSZ + 1] = "-";

		if (*line != '-')
			git_oid_tostr(hex, sizeof hex, (const git_oid *)id);
		strv_push(&lines, xasprintf("%s %.*s %s\n", name,
		                            (int)((const char *)id - line - 1), line, hex));
		count++;
		at = id + (*line != '-' ? GIT_OID_RAWSZ : 0);
	}
	if (count)
		qsort(lines, count, sizeof *lines, by_text);
	for (size_t i = 0; i < count; i++)
		buf_add_str(&text, lines[i]);
	buf_add(&text, "", 1);
	return text.data;
}

/* Nothing is left to be found out: the cache of trees is what git makes of the tree alone. */
static void check_trees(struct universe *u, const char *tree)
{
	_cleanup_free_ char *fresh = xasprintf("%s/fresh", u->dir),
	                    *own = sh(u->slot, "git rev-parse --git-path index"), *got = NULL,
	                    *want = NULL;

	run_sh(u->slot, "rm -f %s; GIT_INDEX_FILE=%s git read-tree %s", fresh, fresh, tree);
	got = tree_nodes(own);
	want = tree_nodes(fresh);
	assert_string_equal(got, want);
}

/* The index says the same as its entries, as its cache of trees, and as the files. */
static void check_index(struct universe *u, const char *tree)
{
	check_trees(u, tree);
	assert_sh(tree, sh(u->slot, "git write-tree"));
	assert_sh(tree, sh(u->slot,
	                   "git ls-files -s -z >%s/list; export GIT_INDEX_FILE=%s/again; "
	                   "rm -f $GIT_INDEX_FILE; git update-index -z --index-info "
	                   "<%s/list && git write-tree",
	                   u->dir, u->dir, u->dir));
	assert_sh("",
	          sh(u->slot, "git diff-files --name-only; git ls-files -o --exclude-standard"));
	run_sh(u->slot, "git fsck --no-dangling --no-progress 2>&1");
}

static void one_round(struct universe *u, struct slot *slot, int round)
{
	_cleanup_free_ char *base = head_of(u, pick(2) ? "main" : "other");
	_cleanup_free_ char *branch = xasprintf("pleach/p/t%d", round);
	_cleanup_free_ char *want = NULL, *base_tree = NULL, *got = NULL;
	struct slot_result result;
	struct error err = ERROR_INIT;

	if (slot_switch(slot, round, &(struct slot_order){.branch = branch, .base = base}, &err) <
	        0 ||
	    slot_running(slot, &err) < 0)
		fail_msg("round %d: %s", round, err.text);
	base_tree = sh(u->root, "git rev-parse '%s^{tree}'", base);
	/* What an earlier base ignored may be there; it is not the base's content. */
	run_sh(u->slot, "git clean -ffdq");
	got = whole_tree(u);
	if (strcmp(got, base_tree) != 0)
		fail_msg("round %d: the base is not what was checked out", round);
	check_index(u, base_tree);
	mutate(u);
	want = whole_tree(u);
	if (slot_commit(slot, round, branch, base, "s", &result, &err) < 0)
		fail_msg("round %d: %s", round, err.text);
	if (strcmp(result.tree, want) != 0)
		fail_msg("round %d: committed is not what was there:\n%s", round,
		         sh(u->root, "git diff --stat %s %s", want, result.tree));
	check_index(u, want);
}

static void test_the_same_as_git(void **state)
{
	struct universe *u = *state;
	const char *given = getenv("PLEACH_TEST_SEED");
	unsigned first = given ? (unsigned)atoi(given) : (unsigned)time(NULL);
	struct slot *slot;

	seed = first;
	print_message("PLEACH_TEST_SEED=%u\n", first);
	run_sh(u->root,
	       "mkdir -p src/deep/er d/e; echo 1 >src/deep/er/x; echo 2 >src/deep/y; "
	       "echo 3 >d/e/f; echo '#!' >run.sh; chmod +x run.sh; ln -s a.txt link; "
	       "git add -A; git commit -qm two; git checkout -q -b other; rm -r d; "
	       "echo d >d; git rm -q --cached -r d; git add d; git mv src/deep src/deeper; "
	       "echo more >>a.txt; git add -A; git commit -qm three; git checkout -q main");
	slot = open_slot(u);
	for (int i = 1; i <= ROUNDS; i++)
		one_round(u, slot, i);
	slot_close(slot);
}

/* A slot in whose hands git says what it is started for. */
static struct slot *open_watched(struct universe *u)
{
	_cleanup_free_ char *before = xstrdup(getenv("PATH"));
	_cleanup_free_ char *path = xasprintf("%s/bin:%s", u->dir, before);
	struct slot *slot;

	run_sh(u->dir,
	       "mkdir -p bin; printf '#!/bin/sh\\necho \"$1\" >>%s/ran\\nexec %%s \"$@\"\\n' "
	       "\"$(command -v git)\" >bin/git; chmod +x bin/git",
	       u->dir);
	setenv("PATH", path, 1);
	slot = open_slot(u);
	setenv("PATH", before, 1);
	return slot;
}

static struct slot *start_watched(struct universe *u)
{
	struct slot *slot = open_watched(u);

	start_attempt(u, slot, 1, "one");
	assert_sh("config", sh(u->dir, "sort -u ran; : >ran"));
	return slot;
}

static void assert_ran(struct universe *u, const char *want)
{
	assert_sh(want, sh(u->dir, "sort -u ran | tr '\\n' ' '; : >ran"));
}

/* In the slot's index: the ids of one list (a line each) become those of the other. */
static void forge(struct universe *u, const char *from, const char *to)
{
	_cleanup_free_ char *file = sh(u->slot, "git rev-parse --git-path index");
	_cleanup_buf_ struct buf text = BUF_INIT;
	int forged = 0;

	assert_int_equal(file_read(file, 1 << 20, &text, NULL), 1);
	for (; *from; from += *from == '\n', to += *to == '\n') {
		git_oid old, new;
		char *at;

		assert_int_equal(git_oid_fromstrn(&old, from, GIT_OID_HEXSZ), 0);
		assert_int_equal(git_oid_fromstrn(&new, to, GIT_OID_HEXSZ), 0);
		at = memmem(text.data, text.len, old.id, sizeof old.id);
		if (at) {
			memcpy(at, new.id, sizeof new.id);
			forged++;
		}
		from += GIT_OID_HEXSZ;
		to += GIT_OID_HEXSZ;
	}
	assert_int_equal(forged, 3);
	int fd = open(file, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(write_all(fd, text.data, text.len), 0);
	close(fd);
}

static void test_a_new_slot_is_as_git_makes_it(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *tree = NULL;
	struct slot *slot;

	run_sh(u->root,
	       "for d in a a-b a.b a0 a/b/c; do mkdir -p many/$d; for i in $(seq 100); do "
	       "echo $d $i >many/$d/f$i; done; done; chmod +x many/a/f7; "
	       "ln -s ../a/f7 many/a0/link; : >many/empty; git add -A; git commit -qm many");
	tree = sh(u->root, "git rev-parse 'HEAD^{tree}'");
	slot = start_watched(u);
	assert_ran(u, "");
	check_index(u, tree);
	assert_sh("", sh(u->slot, "git status --porcelain"));
	assert_sh(tree, whole_tree(u));
	slot_close(slot);
}

static void test_an_ordinary_task_runs_no_git(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *base = NULL;
	struct slot_result result;
	struct error err = ERROR_INIT;
	struct slot *slot;

	run_sh(u->root,
	       "git rm -q .gitignore; mkdir many; seq 4000 | split -l 1 -a 4 - many/f; git add -A; "
	       "git commit -qm plain");
	base = head_of(u, "main");
	slot = start_watched(u);
	/* To somebody who comes anew all 4,000 are as young as their index, and have to be read. */
	slot_close(slot);
	run_sh(u->slot, "touch -d @1 \"$(git rev-parse --git-path index)\"");
	slot = open_watched(u);
	run_sh(u->slot, "echo more >>a.txt; rm b.txt; mkdir n; echo new >n/f; chmod +x src/code.c");
	assert_int_equal(slot_commit(slot, 1, "pleach/p/one", base, "s", &result, &err), 0);
	assert_true(result.committed);
	assert_int_equal(slot_prove_begin(slot, base, NULL, NULL, &err), 0);
	assert_int_equal(slot_prove_end(slot, 1, result.head, &err), 0);
	start_attempt(u, slot, 2, "two");
	assert_ran(u, "config ");
	assert_sh("", sh(u->slot, "git status --porcelain"));
	assert_sh("20", sh(u->slot, "cat a.txt | wc -l; test -f b.txt; ! test -e n"));
	slot_close(slot);
}

/* An agent can write any tree into the cache of its index, and one below it, too. */
static void test_a_forged_cache_of_trees(void **state)
{
	/* Nothing new; a new file; files so old that git add leaves the index as it is: then its
	 * tree is made of its entries, whatever somebody who died at that has left. */
	for (int round = 0; round < 3; round++) {
		bool changed = round == 1;
		void *made = NULL;
		struct slot_result result;
		struct error err = ERROR_INIT;
		struct universe *u;

		(void)state;
		assert_int_equal(universe_make(&made), 0);
		u = made;
		run_sh(u->root,
		       "mkdir -p d/e; echo good >d/e/file; git add -A; git commit -qm good");
		_cleanup_free_ char *base = head_of(u, "main");
		_cleanup_free_ char *tree =
		    sh(u->root, "git rev-parse 'main:d/e' main:d main^{tree}");
		_cleanup_free_ char *evil =
		    sh(u->root, "echo evil >d/e/file; git add -A; t=$(git write-tree); "
		                "git rev-parse $t:d/e $t:d $t; git reset -q --hard");
		struct slot *slot = open_slot(u);
		start_attempt(u, slot, 1, "one");
		if (changed)
			run_sh(u->slot, "echo new >d/new");
		if (round == 2)
			run_sh(u->slot,
			       "find . -type f -exec touch -d @1 {} +; git update-index -q "
			       "--refresh; cd \"$(git rev-parse --git-dir)\"; "
			       "touch pleach.tree pleach.tree.lock index.tree.lock");
		forge(u, tree, evil);
		assert_int_equal(slot_commit(slot, 1, "pleach/p/one", base, "s", &result, &err), 0);
		assert_int_equal(result.committed, changed);
		assert_sh("good", sh(u->root, "git show %s:d/e/file", result.head));
		start_attempt(u, slot, 2, "two");
		assert_sh("good", sh(u->slot, "cat d/e/file; git status --porcelain"));
		assert_sh("", sh(u->slot, "git diff --cached main"));
		slot_close(slot);
		universe_end(&made);
	}
}

static void test_new_files_are_asked_about_once(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *base = head_of(u, "main");
	struct slot_result result;
	struct error err = ERROR_INIT;
	struct slot *slot = start_watched(u);

	run_sh(u->slot,
	       "echo x >x.log; mkdir build n; echo o >build/o; echo f >n/f; echo l >n/l.log");
	assert_int_equal(slot_commit(slot, 1, "pleach/p/one", base, "s", &result, &err), 0);
	assert_ran(u, "check-ignore ");
	assert_sh("n/f", sh(u->root, "git diff --name-only %s %s", base, result.head));
	assert_sh("o", sh(u->slot, "cat build/o"));
	slot_close(slot);
}

/* Bytes are git's bytes only where nothing converts them. */
static void test_conversions_are_left_to_git(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *base = NULL;
	struct slot_result result;
	struct error err = ERROR_INIT;
	struct slot *slot;

	run_sh(u->root, "echo '*.txt text' >.gitattributes; git add -A; git commit -qm attributes");
	base = head_of(u, "main");
	slot = open_slot(u);
	start_attempt(u, slot, 1, "one");
	run_sh(u->slot, "printf 'one\\r\\ntwo\\r\\n' >a.txt; printf '1\\r\\n' >src/code.c");
	assert_int_equal(slot_commit(slot, 1, "pleach/p/one", base, "s", &result, &err), 0);
	assert_sh("one\ntwo", sh(u->root, "git cat-file blob %s:a.txt", result.head));
	assert_sh("1\r", sh(u->root, "git cat-file blob %s:src/code.c", result.head));
	slot_close(slot);
}

static void test_attributes_are_judged(void **state)
{
	static const struct {
		const char *text;
		enum attributes want;
	} known[] = {
	    {"", ATTRIBUTES_NONE},
	    {"# filter=x\n\n*.png binary\n", ATTRIBUTES_NONE},
	    {"*.c diff=cpp linguist-language=C\nvendor/** -diff -filter", ATTRIBUTES_NONE},
	    {"* text=auto eol=lf\r\n", ATTRIBUTES_LINES},
	    {"*.bat text eol=crlf\n", ATTRIBUTES_OTHER},
	    {"*.bin filter=lfs diff=lfs merge=lfs -text\n", ATTRIBUTES_OTHER},
	    {"*.h ident\n", ATTRIBUTES_OTHER},
	    {"[attr]mine filter=x\n", ATTRIBUTES_OTHER},
	    {"\"a b\" text\n", ATTRIBUTES_OTHER},
	    {"*.x working-tree-encoding=UTF-16\n", ATTRIBUTES_OTHER},
	    {"*.x crlf\n", ATTRIBUTES_OTHER},
	    {"*.x merge-filter=1 text=input\n", ATTRIBUTES_OTHER},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (attributes_judge(known[i].text, strlen(known[i].text)) != known[i].want)
			fail_msg("%s", known[i].text);
	assert_int_equal(attributes_judge("*.x text\0", 9), ATTRIBUTES_OTHER);
}

/* Indexes are anybody's bytes: whatever is in one, a patched one is written or refused. */
static void test_damaged_indexes(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *file = xasprintf("%s/damaged", u->dir),
	                    *to = xasprintf("%s/patched", u->dir),
	                    *own = xasprintf("%s/.git/index", u->root),
	                    *tree = sh(u->root, "git rev-parse 'HEAD^{tree}'");
	_cleanup_repo_ struct repo repo = REPO_INIT;
	_cleanup_buf_ struct buf whole = BUF_INIT;
	_cleanup_patch_ struct patch patch = PATCH_INIT;
	struct error err = ERROR_INIT;
	size_t read = 0;

	assert_int_equal(repo_open(u->root, NULL, &repo, &err), 0);
	assert_int_equal(file_read(own, 1u << 20, &whole, &err), 1);
	patch_add(&patch, xstrdup("src/code.c"), 0, NULL);
	patch_add(&patch, xstrdup("tests/z"), 0100644, NULL);
	seed = 7;
	for (int i = 0; i < 2000; i++) {
		_cleanup_buf_ struct buf text = BUF_INIT;
		_cleanup_view_ struct index_view view = INDEX_VIEW_INIT;
		FILE *out = fopen(file, "w");

		buf_add(&text, whole.data, whole.len);
		for (unsigned k = pick(4); i && k-- > 0;)
			text.data[pick(2) ? pick((unsigned)text.len) : text.len - 1 - pick(120)] =
			    (char)pick(256);
		assert_non_null(out);
		fwrite(text.data, 1, pick(8) ? text.len : pick((unsigned)text.len), out);
		fclose(out);
		if (index_file_read(file, GIT_OID_RAWSZ, &view) != 0)
			continue;
		read++;
		unlink(to);
		patch_index(&repo, &view, &patch, tree, to, &err);
	}
	assert_in_range(read, 100, 2000);
}

/* Trees of which each holds the one before twice: a billion directories in thirty objects, and in
 * an index whose agent says that it is its tree. */
static void test_a_tree_without_end(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *own = xasprintf("%s/.git/index", u->root),
	                    *tree = sh(u->root,
	                               "t=$(git rev-parse 'HEAD^{tree}'); for i in $(seq 30); do "
	                               "t=$(printf '040000 tree %%s\\ta\\n040000 tree %%s\\tb\\n' "
	                               "$t $t | git mktree); done; echo $t");
	_cleanup_repo_ struct repo repo = REPO_INIT;
	_cleanup_view_ struct index_view view = INDEX_VIEW_INIT;
	_cleanup_patch_ struct patch patch = PATCH_INIT;
	_cleanup_buf_ struct buf out = BUF_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(repo_open(u->root, NULL, &repo, &err), 0);
	assert_int_equal(index_file_read(own, GIT_OID_RAWSZ, &view), 0);
	patch_add(&patch, xstrdup("src/code.c"), 0, NULL);
	assert_int_equal(tree_cache(&repo, &view, &patch, tree, &out), 1);
}

/* The time of an index proves nothing about a file that was written in the same moment. */
static void test_same_size_in_the_same_moment_is_seen(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *base = head_of(u, "main");
	struct error err = ERROR_INIT;
	struct slot *slot = open_slot(u);

	for (int i = 1; i <= 20; i++) {
		_cleanup_free_ char *key = xasprintf("k%d", i),
		                    *branch = xasprintf("pleach/p/%s", key),
		                    *file = xasprintf("%s/a.txt", u->slot),
		                    *want = xasprintf("%06d", i);
		struct slot_result result;
		FILE *out;

		start_attempt(u, slot, i, key);
		out = fopen(file, "r+");
		assert_non_null(out);
		fputs(want, out);
		fclose(out);
		assert_int_equal(slot_commit(slot, i, branch, base, "s", &result, &err), 0);
		assert_sh(want, sh(u->root, "git cat-file blob %s:a.txt | head -c 6", result.head));
	}
	slot_close(slot);
}

/* No slot's lock keeps a second one out: its index would be the first one's. */
static void test_a_users_tree_is_taken_by_one_at_a_time(void **state)
{
	struct universe *u = *state;
	_cleanup_free_ char *lock = xasprintf("%s/.git/pleach/worktrees.lock", u->root);
	struct capture capture = CAPTURE_INIT;
	struct repo repo = REPO_INIT;
	struct error err = ERROR_INIT;
	char *index;
	int fd;

	assert_int_equal(repo_open(u->root, NULL, &repo, &err), 0);
	run_sh(u->root, "mkdir .git/pleach; echo mine > a.txt");
	assert_int_equal(capture_take(&(struct capture_source){.repo = &repo,
	                                                       .git_dir = repo.place.common_dir,
	                                                       .dir = u->root,
	                                                       .users = true},
	                              &capture, &err),
	                 0);
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
	index = xstrdup(capture.index);
	capture_finish(&capture);
	assert_false(file_exists(index));
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
	free(index);
	repo_close(&repo);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    universe_test(test_the_same_as_git),
	    universe_test(test_a_new_slot_is_as_git_makes_it),
	    universe_test(test_an_ordinary_task_runs_no_git),
	    cmocka_unit_test(test_a_forged_cache_of_trees),
	    universe_test(test_new_files_are_asked_about_once),
	    universe_test(test_conversions_are_left_to_git),
	    universe_test(test_same_size_in_the_same_moment_is_seen),
	    universe_test(test_a_users_tree_is_taken_by_one_at_a_time),
	    cmocka_unit_test(test_attributes_are_judged),
	    universe_test(test_damaged_indexes),
	    universe_test(test_a_tree_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
