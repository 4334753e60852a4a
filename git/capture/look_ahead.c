/* The first look at all files of an index, by several threads: most time of a look is the kernel's,
 * for one lstat a file. */
#include <fcntl.h>
#include <stdlib.h>

#include "files.h"
#include "look.h"
#include "mem.h"
#include "share.h"

#define CHUNK 500

struct ahead {
	const struct look_rule *rule;
	const struct index_view *view;
	int root;
	bool *sure;
	struct share share;
};

static void *look_at_some(void *context)
{
	struct ahead *ahead = context;
	struct dir_spot spot = DIR_SPOT_INIT;
	size_t from, to;

	while (share_take(&ahead->share, &from, &to)) {
		for (size_t i = from; i < to; i++) {
			const struct index_entry *entry = &ahead->view->items[i];
			const char *name;
			int dir = dir_spot_enter(&spot, ahead->root, entry->path, &name);
			struct stat st;

			ahead->sure[i] =
			    dir >= 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			    look_same_stat(entry, &st) && !look_is_fresh(ahead->rule, &st);
		}
	}
	dir_spot_leave(&spot);
	return NULL;
}

bool *look_ahead(int root, const struct index_view *view, const struct look_rule *rule)
{
	struct ahead ahead = {.rule = rule,
	                      .view = view,
	                      .root = root,
	                      .sure = xcalloc(view->count ? view->count : 1, sizeof(bool)),
	                      .share = SHARE_INIT(look_at_some, &ahead, CHUNK)};

	share_finish(&ahead.share, view->count);
	return ahead.sure;
}
