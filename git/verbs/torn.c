/* Commits of which a power cut took a part: an agent's own git writes a branch and does not sync
 * the files of its commit. Nobody was told of such a one, but git would fail on it for ever (gc,
 * fsck, push). Our refs move to the newest whole commit below, with the tip's content on it where
 * that is whole; the files of the slot itself are kept when it is settled. Touches no ref of the
 * user's, and nothing of which git cannot tell. */
#include "torn.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "files.h"
#include "mem.h"
#include "refs.h"
#include "worktree.h"

#define LOG_MAX      (1u << 20)
#define LOG_ASKS_MAX 256      /* walks for one reflog; what is not known by then stays */
#define BELOW        "-n1000" /* as far down a whole commit is looked for */

enum state { UNKNOWN = -1, WHOLE, TORN };

/* Whether all is there that these lines reach and no other ref than ours does. */
static enum state ask(const struct torn *t, struct buf *in)
{
	int code = 0;
	struct git_run run = {.exit_code = &code};
	int rc;

	if (t->others.len)
		buf_add(in, t->others.data, t->others.len);
	run.in = in->data;
	run.in_len = in->len;
	rc = t->has_all
	         ? git_run(t->repo, &run,
	                   GIT_ARGS("rev-list", "--objects", "--quiet", "--stdin", "--not",
	                            "--exclude=pleach/*", "--branches", "--tags", "--remotes"),
	                   NULL)
	         : git_run(t->repo, &run, GIT_ARGS("rev-list", "--objects", "--quiet", "--stdin"),
	                   NULL);
	return rc < 0 ? UNKNOWN : code == 0 ? WHOLE : TORN;
}

static bool can_ask(const struct torn *t)
{
	_cleanup_buf_ struct buf nothing = BUF_INIT;

	return ask(t, &nothing) == WHOLE;
}

void torn_begin(struct torn *t, const struct repo *repo)
{
	*t = (struct torn){.repo = repo, .has_all = true};
	/* Of a partial clone nobody can tell without fetching it all. */
	if (repo_is_partial(repo)) {
		t->repo = NULL;
		return;
	}
	if (can_ask(t))
		return;
	t->has_all = false;
	/* Damaged ones are theirs to mend, and reach nothing. */
	refs_add_undamaged(repo, false, &t->others);
	if (can_ask(t))
		return;
	buf_finish(&t->others);
	if (!can_ask(t))
		t->repo = NULL;
}

void torn_finish(struct torn *t)
{
	buf_finish(&t->others);
}

static enum state state_of(const struct torn *t, char *const *ids, size_t n)
{
	_cleanup_buf_ struct buf in = BUF_INIT;

	for (size_t i = 0; i < n; i++)
		buf_printf(&in, "%s\n", ids[i]);
	return n ? ask(t, &in) : WHOLE;
}

/* Marks those that are torn: of halves of halves, the later ones first, in at most so many walks.
 * Where all are whole, and where few are not, that is few. */
static void find_torn(const struct torn *t, char *const *ids, size_t n, bool *torn, size_t *asks)
{
	if (!n || !*asks)
		return;
	(*asks)--;
	if (state_of(t, ids, n) != TORN)
		return;
	if (n == 1) {
		*torn = true;
		return;
	}
	find_torn(t, ids + n / 2, n - n / 2, torn + n / 2, asks);
	find_torn(t, ids, n / 2, torn, asks);
}

/* The first that is whole of a line of commits, each the parent of the one before; the first one
 * is torn. What is below a whole one is whole: so not each of them is walked. 0: none is. */
static size_t first_whole(const struct torn *t, char *const *line, size_t n)
{
	size_t torn = 0, whole = 1;

	while (whole < n && state_of(t, &line[whole], 1) != WHOLE) {
		torn = whole;
		whole *= 2;
	}
	if (whole >= n) {
		whole = n - 1;
		if (torn >= whole || state_of(t, &line[whole], 1) != WHOLE)
			return 0;
	}
	while (whole - torn > 1) {
		size_t middle = torn + (whole - torn) / 2;

		if (state_of(t, &line[middle], 1) == WHOLE)
			whole = middle;
		else
			torn = middle;
	}
	return whole;
}

/* What stands for a torn commit. 0, or -1: nothing below it is whole. */
static int find_whole(const struct torn *t, const char *torn, char hex[HEX_SIZE])
{
	_cleanup_free_ char *message = xasprintf("pleach: what a power cut left of %s\n", torn);
	const char *const parents[] = {hex, NULL};
	_cleanup_buf_ struct buf out = BUF_INIT;
	_cleanup_strv_ char **line = NULL;
	char tree[HEX_SIZE], below[HEX_SIZE], *trees[] = {tree}, *save = NULL;
	int code = 0; /* the line may end at a parent that is not there */
	struct git_run run = {.out = &out, .exit_code = &code};
	size_t n = 0, whole;

	if (git_run(t->repo, &run, GIT_ARGS("rev-list", "--first-parent", BELOW, torn), NULL) < 0)
		return -1;
	buf_add(&out, "", 0);
	for (char *id = strtok_r(out.data, "\n", &save); id && hex_is_id(id);
	     id = strtok_r(NULL, "\n", &save), n++)
		strv_push(&line, xstrdup(id));
	whole = n ? first_whole(t, line, n) : 0;
	if (!whole)
		return -1;
	memcpy(hex, line[whole], strlen(line[whole]) + 1);
	if (commit_tree(t->repo, torn, tree, NULL) < 0 ||
	    commit_tree(t->repo, hex, below, NULL) < 0 || strcmp(tree, below) == 0 ||
	    state_of(t, trees, 1) != WHOLE)
		return 0;
	return commit_make(t->repo, tree, parents, message, -1, hex, NULL);
}

/* ---- reflogs: git follows what they name, and the user's own gc fails on it ---- */

static bool is_among(char *const *ids, size_t n, const char *id)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(ids[i], id) == 0)
			return true;
	return false;
}

/* "OLD NEW who when\twhat". False: it names no two ids. */
static bool line_ids(const char *line, char old[HEX_SIZE], char new[HEX_SIZE])
{
	size_t len = strcspn(line, " ");

	if (len >= HEX_SIZE || strlen(line) < 2 * len + 1)
		return false;
	memcpy(old, line, len);
	memcpy(new, line + len + 1, len);
	old[len] = new[len] = '\0';
	return hex_is_id(old) && hex_is_id(new);
}

/* Commits that these lines name, in their order; NULL: none. Caller frees. */
static char **commits_of(const struct repo *repo, char *const *lines)
{
	_cleanup_buf_ struct buf names = BUF_INIT;
	char ids[2][HEX_SIZE], last[HEX_SIZE] = "";

	for (size_t i = 0; lines && lines[i]; i++) {
		if (!line_ids(lines[i], ids[0], ids[1]))
			continue;
		for (size_t k = 0; k < 2; k++) {
			if (strcmp(ids[k], last) != 0)
				buf_printf(&names, "%s\n", ids[k]);
			memcpy(last, ids[k], sizeof last);
		}
	}
	return commits_among(repo, &names);
}

/* A torn id makes room for the line's other one, which may be named nowhere else; a line without
 * a whole one goes. */
static void mend_line(const char *line, char *const *torn, size_t n, struct buf *out)
{
	char old[HEX_SIZE], new[HEX_SIZE];
	bool old_torn, new_torn;
	const char *other;

	if (!line_ids(line, old, new)) {
		buf_printf(out, "%s\n", line);
		return;
	}
	old_torn = is_among(torn, n, old);
	new_torn = is_among(torn, n, new);
	other = old_torn ? new : old;
	if (!old_torn && !new_torn)
		buf_printf(out, "%s\n", line);
	else if (!(old_torn && new_torn) && other[strspn(other, "0")])
		buf_printf(out, "%s %s%s\n", other, other, line + 2 * strlen(old) + 1);
}

static void mend_log(const struct torn *t, const char *git_dir, const char *name, char ***mended)
{
	_cleanup_free_ char *file = xasprintf("%s/logs/%s", git_dir, name);
	_cleanup_buf_ struct buf text = BUF_INIT, whole = BUF_INIT;
	_cleanup_strv_ char **lines = NULL, **ids = NULL;
	_cleanup_free_ bool *is_torn = NULL;
	_cleanup_free_ char **torn = NULL;
	size_t asks = LOG_ASKS_MAX, count, n = 0;
	char *save = NULL;

	if (file_read(file, LOG_MAX, &text, NULL) != 1 || !text.len)
		return;
	buf_add(&text, "", 0);
	for (char *line = strtok_r(text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		strv_push(&lines, xstrdup(line));
	ids = commits_of(t->repo, lines);
	count = ids ? strv_len((const char *const *)ids) : 0;
	is_torn = xcalloc(count + 1, sizeof *is_torn);
	torn = xcalloc(count + 1, sizeof *torn);
	find_torn(t, ids, count, is_torn, &asks);
	for (size_t i = 0; i < count; i++)
		if (is_torn[i])
			torn[n++] = ids[i];
	/* Where all of them are, so is what they began from: that is none of ours to forget. */
	if (!n || n == count)
		return;
	for (size_t i = 0; lines[i]; i++)
		mend_line(lines[i], torn, n, &whole);
	if (place_write_file(file, whole.data ? whole.data : "", whole.len, NULL) == 0)
		strv_push(mended, xstrdup(file));
}

/* ---- what names them ---- */

static void mend_ref(const struct torn *t, const char *name, char ***mended)
{
	char old[HEX_SIZE], hex[HEX_SIZE];

	if (ref_read(t->repo, name, old, NULL) != 1 || find_whole(t, old, hex) < 0 ||
	    ref_write(t->repo, name, hex, old, "pleach: torn by a power cut", NULL) < 0)
		return;
	strv_push(mended, xstrdup(name));
	mend_log(t, t->repo->place.common_dir, name, mended);
}

void torn_mend_refs(const struct torn *t, char ***mended)
{
	static const char *const prefixes[] = {"refs/heads/pleach/", "refs/pleach/"};

	for (size_t i = 0; t->repo && i < ARRAY_LEN(prefixes); i++) {
		_cleanup_strv_ char **names = NULL;
		_cleanup_free_ bool *is_torn = NULL;
		size_t n, asks;

		if (ref_list(t->repo, prefixes[i], &names, NULL) < 0)
			continue;
		n = strv_len((const char *const *)names);
		asks = 2 * n; /* as many as halves of halves can be */
		is_torn = xcalloc(n + 1, sizeof *is_torn);
		find_torn(t, names, n, is_torn, &asks);
		for (size_t k = 0; k < n; k++)
			if (is_torn[k])
				mend_ref(t, names[k], mended);
	}
}

void torn_mend_worktree(const struct torn *t, const char *git_dir, char ***mended)
{
	_cleanup_free_ char *branch = NULL;
	char old[HEX_SIZE], hex[HEX_SIZE], *heads[] = {old};

	if (!t->repo)
		return;
	if (worktree_head(t->repo, git_dir, old, &branch, NULL) == 1 && !branch &&
	    state_of(t, heads, 1) == TORN && find_whole(t, old, hex) == 0 &&
	    worktree_set_head(git_dir, hex, NULL) == 0)
		strv_push(mended, xasprintf("%s/HEAD", git_dir));
	mend_log(t, git_dir, "HEAD", mended);
	if (branch)
		mend_log(t, t->repo->place.common_dir, branch, mended);
}
