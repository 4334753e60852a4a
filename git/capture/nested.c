/* Nested repositories: `git add` takes them as a bare link to a commit that exists nowhere
 * else, and their content would be lost. Here their files are taken as plain files. No git
 * program runs inside them: their configuration is anybody's. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture.h"
#include "files.h"
#include "mem.h"

#define NESTED_INDEX "pleach.nested"
#define DEPTH_MAX    16

static int add_inside(const struct capture_source *sub, const char *index, struct capture *out,
                      struct error *err)
{
	int code = 0;
	struct git_run run = {
	    .git_dir = sub->git_dir, .work_tree = sub->dir, .index = index, .exit_code = &code};
	_cleanup_free_ char *lock = xasprintf("%s.lock", index);

	file_remove_all(index, NULL);
	file_remove_all(lock, NULL);
	if (git_run(sub->repo, &run,
	            GIT_ARGS("add", "-A", "--ignore-errors", "--sparse", "--", "."), err) < 0)
		return -1;
	if (code == 0)
		return 0;
	if (code != 1 && !sub->anyhow)
		return error_wrap(err, "%s", sub->dir);
	if (!sub->users)
		files_make_accessible(sub->dir);
	return leftover_add(sub, index, out, err);
}

int nested_add(const struct capture_source *source, const char *path, struct buf *info, int depth,
               struct capture *out, struct error *err)
{
	_cleanup_free_ char *dir = repo_path(source->dir, path);
	_cleanup_free_ char *index =
	    xasprintf("%s/%s.%zx.%d", source->git_dir, NESTED_INDEX, strlen(source->dir), depth);
	_cleanup_free_ char *prefix =
	    xasprintf("%s%s/", source->prefix ? source->prefix : "", path);
	struct capture_source sub = {.repo = source->repo,
	                             .git_dir = source->git_dir,
	                             .dir = dir,
	                             .prefix = prefix,
	                             .users = source->users,
	                             .anyhow = source->anyhow};
	_cleanup_view_ struct index_view view = INDEX_VIEW_INIT;
	int rc;

	if (depth > DEPTH_MAX)
		return error_set(err, ERROR_EXTERNAL, "%s: repositories nested too deeply", dir);
	if (!file_is_dir(dir))
		return 0;
	strv_push(&out->nested, xstrndup(prefix, strlen(prefix) - 1));
	rc = add_inside(&sub, index, out, err);
	if (rc == 0)
		rc = index_view_open(&sub, index, &view, err);
	for (size_t i = 0; rc == 0 && i < view.count; i++) {
		const struct index_entry *entry = &view.items[i];
		_cleanup_free_ char *whole = xasprintf("%s/%s", path, entry->path);
		char id[HEX_SIZE];

		if (entry->mode == MODE_LINK) {
			rc = nested_add(source, whole, info, depth + 1, out, err);
			continue;
		}
		index_entry_hex(entry, id);
		index_info_add(info, entry->mode, id, whole);
	}
	file_remove_all(index, NULL);
	return rc;
}

/* The paths that .gitmodules names, NUL after each. */
static int read_modules(const struct capture_source *source, struct buf *out, struct error *err)
{
	_cleanup_free_ char *file = repo_path(source->dir, ".gitmodules");
	_cleanup_buf_ struct buf text = BUF_INIT;
	int code = 0;
	struct git_run run = {.git_dir = source->git_dir, .out = &text, .exit_code = &code};

	if (!file_exists(file))
		return 0;
	if (git_run(source->repo, &run,
	            GIT_ARGS("config", "-z", "--no-includes", "-f", file, "--get-regexp",
	                     "^submodule\\..*\\.path$"),
	            err) < 0)
		return -1;
	for (size_t at = 0; at < text.len;) {
		const char *item = text.data + at, *value = strchr(item, '\n');

		at += strlen(item) + 1;
		if (value)
			buf_add(out, value + 1, strlen(value + 1) + 1);
	}
	return 0;
}

static bool is_module(const struct buf *modules, const char *path)
{
	for (size_t at = 0; at < modules->len; at += strlen(modules->data + at) + 1)
		if (strcmp(modules->data + at, path) == 0)
			return true;
	return false;
}

static bool is_empty(const struct capture_source *source, const char *path)
{
	_cleanup_free_ char *file = repo_path(source->dir, path);
	DIR *dir = file_is_dir(file) ? opendir(file) : NULL;
	const struct dirent *entry;
	bool empty = true;

	while (dir && empty && (entry = readdir(dir)))
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	if (dir)
		closedir(dir);
	return empty;
}

int nested_take(const struct capture_source *source, const char *index,
                const struct index_view *now, struct capture *out, struct error *err)
{
	_cleanup_buf_ struct buf info = BUF_INIT, known = BUF_INIT;
	bool read = false;

	for (size_t i = 0; i < now->count; i++) {
		const char *path = now->items[i].path;
		_cleanup_free_ char *git = NULL;

		if (now->items[i].mode != MODE_LINK)
			continue;
		git = xasprintf("%s/%s/.git", source->dir, path);
		if (!file_exists(git)) {
			/* Never filled; or its files are there without it, and git sees none. */
			if (!is_empty(source, path))
				strv_push(&out->modules, xstrdup(path));
			continue;
		}
		if (!read && read_modules(source, &known, err) < 0)
			return -1;
		read = true;
		if (is_module(&known, path)) {
			strv_push(&out->modules, xstrdup(path));
			continue;
		}
		index_info_add(&info, 0, NULL, path);
		if (nested_add(source, path, &info, 0, out, err) < 0)
			return -1;
	}
	return index_info_apply(source, index, &info, err);
}
