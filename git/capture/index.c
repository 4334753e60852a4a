/* Index files: their entries, changing some, writing their tree. Read here where the format
 * is plain, by git where it is not (split and sparse indexes). */
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "files.h"
#include "mem.h"

static void add_entry(struct index_view *view, const struct index_entry *entry)
{
	/* Room doubles whenever the count is a power of two. */
	if ((view->count & (view->count - 1)) == 0)
		view->items = xrealloc(view->items,
		                       (view->count ? view->count * 2 : 1) * sizeof *view->items);
	view->items[view->count++] = *entry;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One item of `ls-files -s -v -z`: TAG SP MODE SP ID SP STAGE TAB PATH. */
static bool parse_entry(char *item, struct index_entry *out)
{
	char *end, *id;

	memset(out, 0, sizeof *out);
	if (!item[0] || item[1] != ' ')
		return false;
	out->assumed = item[0] >= 'a' && item[0] <= 'z';
	out->skipped = item[0] == 'S' || item[0] == 's';
	out->mode = (unsigned)strtoul(item + 2, &end, 8);
	id = end + 1;
	for (end = id; out->id_len < sizeof out->id && hex_digit(end[0]) >= 0; end += 2) {
		if (hex_digit(end[1]) < 0)
			return false;
		out->id[out->id_len++] =
		    (unsigned char)(hex_digit(end[0]) << 4 | hex_digit(end[1]));
	}
	if (end[0] != ' ' || end[1] < '0' || end[1] > '3' || end[2] != '\t')
		return false;
	out->stage = (unsigned char)(end[1] - '0');
	out->path = end + 3;
	return true;
}

static int view_by_git(const struct capture_source *source, const char *file,
                       struct index_view *view, struct error *err)
{
	struct git_run run = {.git_dir = source->git_dir,
	                      .work_tree = source->dir,
	                      .index = file,
	                      .out = &view->text};

	if (git_run(source->repo, &run, GIT_ARGS("ls-files", "-s", "-v", "-z", "--full-name"),
	            err) < 0)
		return -1;
	for (size_t at = 0; at < view->text.len;) {
		char *item = view->text.data + at;
		struct index_entry entry;

		at += strlen(item) + 1;
		if (!parse_entry(item, &entry))
			return error_set(err, ERROR_EXTERNAL,
			                 "git ls-files: cannot read its answer");
		add_entry(view, &entry);
	}
	return 0;
}

int index_view_open(const struct capture_source *source, const char *index, struct index_view *out,
                    struct error *err)
{
	struct index_view view = INDEX_VIEW_INIT;

	if (index_file_read(index, source->repo->id_len, &view) == 0) {
		*out = view;
		return 0;
	}
	index_view_close(&view);
	if (view_by_git(source, index, &view, err) < 0) {
		index_view_close(&view);
		return -1;
	}
	*out = view;
	return 0;
}

void index_view_close(struct index_view *view)
{
	free(view->items);
	buf_finish(&view->text);
	*view = (struct index_view)INDEX_VIEW_INIT;
}

void index_entry_hex(const struct index_entry *entry, char hex[HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < entry->id_len; i++) {
		hex[2 * i] = digits[entry->id[i] >> 4];
		hex[2 * i + 1] = digits[entry->id[i] & 15];
	}
	hex[2 * (size_t)entry->id_len] = '\0';
}

void index_info_add(struct buf *out, unsigned mode, const char *id, const char *path)
{
	if (id)
		buf_printf(out, "%o %s\t", mode, id);
	else
		buf_add_str(out, "0 0000000000000000000000000000000000000000\t");
	buf_add(out, path, strlen(path) + 1);
}

int index_info_apply(const struct capture_source *source, const char *index, const struct buf *info,
                     struct error *err)
{
	struct git_run run = {.git_dir = source->git_dir,
	                      .work_tree = source->dir,
	                      .index = index,
	                      .in = info->data,
	                      .in_len = info->len};

	if (!info->len)
		return 0;
	return git_run(source->repo, &run, GIT_ARGS("update-index", "-z", "--index-info"), err);
}

int index_info_tree(const struct capture_source *source, const struct buf *info, bool missing_ok,
                    char tree[HEX_SIZE], struct error *err)
{
	_cleanup_free_ char *scratch = repo_path(source->git_dir, "pleach.tree");
	_cleanup_free_ char *lock = repo_path(source->git_dir, "pleach.tree.lock");
	struct git_run run = {.git_dir = source->git_dir, .index = scratch};
	const char *missing = missing_ok ? "--missing-ok" : NULL;
	int rc = -1;

	file_remove_all(scratch, NULL);
	file_remove_all(lock, NULL); /* of one that died */
	if (git_run(source->repo, &run, GIT_ARGS("read-tree", "--empty"), err) == 0 &&
	    index_info_apply(source, scratch, info, err) == 0)
		rc = git_run_id(source->repo, &run, GIT_ARGS("write-tree", missing), tree, err);
	file_remove_all(scratch, NULL);
	return rc;
}

/* From the entries alone, in an index of its own. */
static int write_entries(const struct capture_source *source, const struct index_view *view,
                         char tree[HEX_SIZE], struct error *err)
{
	_cleanup_buf_ struct buf info = BUF_INIT;

	for (size_t i = 0; i < view->count; i++) {
		char id[HEX_SIZE];

		if (view->items[i].intended)
			continue;
		index_entry_hex(&view->items[i], id);
		index_info_add(&info, view->items[i].mode, id, view->items[i].path);
	}
	/* What a partial clone has not fetched is missing to no one. */
	return index_info_tree(source, &info, repo_is_partial(source->repo), tree, err);
}

static int write_cached(const struct repo *repo, const char *index, char tree[HEX_SIZE])
{
	git_index *git = NULL;
	git_oid oid;
	int rc = repo->git ? git_index_open(&git, index) : -1;

	if (rc == 0)
		rc = git_index_write_tree_to(&oid, git, repo->git);
	git_index_free(git);
	if (rc == 0)
		git_oid_tostr(tree, GIT_OID_HEXSZ + 1, &oid);
	return rc;
}

int index_write_tree(const struct repo *repo, const char *git_dir, const char *index,
                     char tree[HEX_SIZE], struct error *err)
{
	const struct capture_source source = {.repo = repo, .git_dir = git_dir};
	_cleanup_view_ struct index_view view = INDEX_VIEW_INIT;

	if (index_view_open(&source, index, &view, err) < 0)
		return -1;
	/* git leaves the tree in the index as long as nothing has changed. */
	if (view.root[0] && index_holds_tree(repo, &view, view.root)) {
		memcpy(tree, view.root, sizeof view.root);
		return 0;
	}
	if (write_cached(repo, index, tree) == 0 && index_is_tree(repo, &view, tree))
		return 0;
	for (size_t i = 0; i < view.count; i++)
		if (view.items[i].stage) {
			struct git_run run = {.git_dir = git_dir, .index = index};

			return git_run_id(repo, &run, GIT_ARGS("write-tree"), tree, err);
		}
	return write_entries(&source, &view, tree, err);
}
