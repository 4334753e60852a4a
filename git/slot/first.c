/* The first checkout of a slot: into a worktree in which nothing is yet. What a slot holds after
 * that is for the others: nothing here must touch content that somebody may have made. */
#include <dirent.h>
#include <string.h>
#include <time.h>

#include "files.h"
#include "fill.h"
#include "mem.h"
#include "slot_internal.h"

/* That the first checkout is done is said with the next step of the slot, which syncs; until then
 * it would be done again, and nobody was in it. */
int slot_mark(struct slot *slot, struct error *err)
{
	if (!slot->unmarked)
		return 0;
	if (marker_write(slot->git_dir, &slot->marker, err) < 0)
		return -1;
	slot->unmarked = false;
	return 0;
}

/* Nothing in it but its link, and never was. */
bool slot_holds_nothing(const struct slot *slot)
{
	_cleanup_free_ char *index = repo_path(slot->git_dir, "index");
	DIR *dir = file_exists(index) ? NULL : opendir(slot->dir);
	struct dirent *entry;
	bool nothing = dir != NULL;

	while (nothing && (entry = readdir(dir)))
		nothing = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		          strcmp(entry->d_name, ".git") == 0;
	if (dir)
		closedir(dir);
	return nothing;
}

/* The first checkout, outside the metadata lock: slots are filled side by side. It is begun
 * anew where its process died. Content that is there already (an entry that was registered anew, a
 * user's own worktree) is kept. */
int slot_first_checkout(struct slot *slot, const char *base, const char *const *paths,
                        struct error *err)
{
	_cleanup_free_ char *kept = NULL, *index = repo_path(slot->git_dir, "index");
	_cleanup_capture_ struct capture capture = CAPTURE_INIT;
	_cleanup_strv_ char **set = NULL;
	struct git_run run = {.git_dir = slot->git_dir, .work_tree = slot->dir};
	char hex[HEX_SIZE];
	int found = worktree_head(&slot->repo, slot->git_dir, hex, NULL, err);

	if (found < 0)
		return -1;
	/* A power cut took the branch that it was just put on. */
	if (!found && slot->marker.made) {
		if (slot_first_commit(&slot->repo, base, hex, err) < 0 ||
		    worktree_set_head(slot->git_dir, hex, err) < 0)
			return -1;
	} else if (!found) {
		return error_set(err, ERROR_EXTERNAL, "slot %s has no HEAD", slot->dir);
	}
	if (!slot->marker.made) {
		if (slot_keep_content(slot, slot->marker.attempt, &capture, &kept, err) < 0)
			return -1;
	} else {
		if (slot_sparse_choose(slot, paths, err) < 0 ||
		    slot_check_space(slot, hex, err) < 0 ||
		    slot_sparse_apply(slot, false, &set, err) < 0)
			return -1;
		run.set = (const char *const *)set;
		/* Of a process that died here, or a git of it: nobody else was here, and half an
		 * index is in git's way. */
		slot_forget_locks(slot);
		if (file_remove_all(index, err) < 0)
			return -1;
		if ((slot->marker.sparse ||
		     fill_new(&slot->repo, slot->dir, slot->git_dir, hex) != 0) &&
		    git_run(&slot->repo, &run, GIT_ARGS("read-tree", "--reset", "-u", hex), err) <
		        0)
			return -1;
		slot->untouched = true;
		clock_gettime(CLOCK_REALTIME_COARSE, &slot->fence);
	}
	slot->marker.checked_out = true;
	slot->unmarked = true;
	return slot->untouched ? 0 : slot_mark(slot, err);
}
