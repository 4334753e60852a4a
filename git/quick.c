/* resolve without the git library: HEAD and branches, from loose refs and packed-refs.
 * In doubt it says nothing. */
#include "quick.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "files.h"
#include "jsonl.h"
#include "mem.h"
#include "place.h"

#define PACKED_MAX (64u << 20)

struct refs {
	const char *common_dir;
	struct buf packed; /* the file packed-refs, a newline before it */
};

static bool is_id(const char *text)
{
	size_t n = strspn(text, "0123456789abcdef");

	return (n == 40 || n == 64) && text[n] == '\0';
}

/* Names that mean the same to us and to git, and are no abbreviated object id. */
static bool is_plain(const char *name)
{
	return *name &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	                    "0123456789_/.-") == strlen(name) &&
	       *name != '-' && *name != '/' && !strstr(name, "..") && !strstr(name, "//") &&
	       strspn(name, "0123456789abcdef") != strlen(name);
}

static bool read_packed(struct refs *refs)
{
	_cleanup_free_ char *file = xasprintf("%s/packed-refs", refs->common_dir);

	buf_add_str(&refs->packed, "\n");
	return file_read(file, PACKED_MAX, &refs->packed, NULL) >= 0;
}

/* The line of a ref in packed-refs: caller frees its id; NULL when there is none. */
static char *find_packed(const struct refs *refs, const char *name)
{
	_cleanup_free_ char *tail = xasprintf(" %s\n", name);
	const char *at = refs->packed.data;

	while ((at = strstr(at, tail))) {
		const char *start = at;

		while (start > refs->packed.data && start[-1] != '\n')
			start--;
		if (at - start == 40 || at - start == 64)
			return xstrndup(start, (size_t)(at - start));
		at++;
	}
	return NULL;
}

/* 1 with the id (caller frees), 0 no such ref, -1 not for us to say. */
static int find_ref(const struct refs *refs, const char *name, char **id)
{
	_cleanup_free_ char *file = xasprintf("%s/%s", refs->common_dir, name);
	char *line;

	if (file_exists(file) && !file_is_dir(file)) {
		line = file_line(file);
		if (!line || !is_id(line)) {
			free(line);
			return -1;
		}
		*id = line;
		return 1;
	}
	*id = find_packed(refs, name);
	return *id ? (is_id(*id) ? 1 : -1) : 0;
}

/* A branch by its short name, where no tag or other ref has that name too. */
static int find_branch_alone(const struct refs *refs, const char *name, char **id)
{
	static const char *const before[] = {"", "refs/", "refs/tags/"};
	char *other = NULL;

	for (size_t i = 0; i < ARRAY_LEN(before); i++) {
		_cleanup_free_ char *full = xasprintf("%s%s", before[i], name);
		int rc = find_ref(refs, full, &other);

		free(other);
		if (rc != 0)
			return -1;
		other = NULL;
	}
	_cleanup_free_ char *full = xasprintf("refs/heads/%s", name);

	return find_ref(refs, full, id);
}

struct head {
	char *branch; /* short name, or NULL */
	char *id;     /* NULL: unborn */
};

static bool read_head(const struct refs *refs, struct head *out)
{
	_cleanup_free_ char *file = xasprintf("%s/HEAD", refs->common_dir);
	_cleanup_free_ char *line = file_line(file);

	if (!line)
		return false;
	if (is_id(line)) {
		out->id = xstrdup(line);
		return true;
	}
	if (strncmp(line, "ref: refs/heads/", 16) != 0 || !is_plain(line + 16) ||
	    strcmp(line + 16, ".invalid") == 0)
		return false;
	out->branch = xstrdup(line + 16);
	return find_ref(refs, line + 5, &out->id) >= 0;
}

static json_t *resolve_rev(const struct refs *refs, const struct head *head, const json_t *rev)
{
	const char *text = json_string_value(rev);
	_cleanup_free_ char *id = NULL;

	if (json_is_null(rev) || (text && strcmp(text, "HEAD") == 0))
		id = xstrdup(head->id);
	else if (!text || !is_plain(text) || find_branch_alone(refs, text, &id) != 1)
		return NULL;
	/* Why an unborn HEAD is no commit is told by the other way. */
	return id ? json_pack("{s:O, s:s, s:n}", "rev", rev, "commit", id, "error") : NULL;
}

static json_t *resolve_name(const struct refs *refs, const json_t *name)
{
	const char *text = json_string_value(name);
	_cleanup_free_ char *full =
	    text && is_plain(text) ? xasprintf("refs/heads/%s", text) : NULL;
	_cleanup_free_ char *id = NULL;

	if (!full || find_ref(refs, full, &id) < 0)
		return NULL;
	return json_pack("{s:O, s:s?}", "name", name, "commit", id);
}

/* All of them or nothing. */
static json_t *resolve_all(const struct refs *refs, const struct head *head, const json_t *list,
                           bool revs)
{
	json_t *out = json_array(), *item, *found;
	size_t i;

	json_array_foreach (list, i, item) {
		found = revs ? resolve_rev(refs, head, item) : resolve_name(refs, item);
		if (!found) {
			json_decref(out);
			return NULL;
		}
		json_array_append_new(out, found);
	}
	return out;
}

json_t *quick_resolve(const json_t *request)
{
	struct refs refs = {.packed = BUF_INIT};
	struct head head = {NULL, NULL};
	json_t *commits = NULL, *branches = NULL, *answer = NULL;
	const char *root = json_text(request, "root");
	struct place place;

	if (!root || place_find(root, &place, NULL) < 0)
		return NULL;
	refs.common_dir = place.common_dir;
	if (read_packed(&refs) && read_head(&refs, &head)) {
		commits = resolve_all(&refs, &head, json_sub(request, "revs"), true);
		branches = resolve_all(&refs, &head, json_sub(request, "branches"), false);
	}
	if (commits && branches)
		answer = json_pack("{s:O, s:s?, s:b, s:b, s:s?, s:O}", "commits", commits,
		                   "head_branch", head.branch, "bare", place.bare, "unborn",
		                   !head.id, "head", head.id, "branches", branches);
	json_decref(commits);
	json_decref(branches);
	free(head.branch);
	free(head.id);
	buf_finish(&refs.packed);
	place_finish(&place);
	return answer;
}
