/* leftovers: what lies in the folder of slots and is no slot. Listed for gc, which removes none of
 * it: nobody but a person knows what it is worth. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "jsonl.h"
#include "mem.h"
#include "verb.h"
#include "worktree.h"

static void add_item(json_t *items, const char *path, const char *why)
{
	json_array_append_new(items, json_pack("{s:o, s:s}", "path", verb_text(path), "why", why));
}

/* What slots moved out of the way (slot_move_aside). */
static void list_kept(const char *slots, json_t *items)
{
	_cleanup_free_ char *path = repo_path(slots, ".kept");
	const struct dirent *entry;
	DIR *dir = file_is_dir(path) ? opendir(path) : NULL;

	while (dir && (entry = readdir(dir))) {
		_cleanup_free_ char *file = repo_path(path, entry->d_name);
		_cleanup_free_ char *objects = repo_path(file, "objects");

		if (entry->d_name[0] == '.')
			continue;
		if (file_is_dir(objects))
			add_item(items, file,
			         "a repository that an agent made in its slot (its commits are "
			         "kept here too, unless they are too many; its index and settings "
			         "are not)");
		else
			add_item(items, file,
			         "was in the way of a slot, and git has no place for it");
	}
	if (dir)
		closedir(dir);
}

static void list_strays(const struct repo *repo, const char *slots, json_t *items)
{
	const struct dirent *entry;
	DIR *dir = opendir(slots);

	while (dir && (entry = readdir(dir))) {
		_cleanup_free_ char *path = repo_path(slots, entry->d_name);
		_cleanup_free_ char *git_dir = NULL;

		if (entry->d_name[0] == '.')
			continue;
		git_dir = file_is_dir(path) ? worktree_git_dir(repo, path) : NULL;
		if (!git_dir)
			add_item(items, path, "not a worktree of this repository");
	}
	if (dir)
		closedir(dir);
}

int verb_leftovers(const json_t *request, json_t **answer, struct error *err)
{
	_cleanup_repo_ struct repo repo = REPO_INIT;
	const char *wanted = json_text(request, "slots");
	_cleanup_free_ char *slots = wanted ? path_settle(wanted) : NULL;
	json_t *items;

	if (!slots || *slots != '/')
		return error_set(err, ERROR_INVALID, "slots must be an absolute path");
	if (verb_open_repo(request, &repo, err) < 0)
		return -1;
	items = json_array();
	list_kept(slots, items);
	list_strays(&repo, slots, items);
	*answer = json_pack("{s:o}", "items", items);
	return 0;
}
