/* Looks: what differs between a working tree and an index file, found in this process by the
 * files' stat data: one lstat a file, one reading a directory, no program. Whatever is out of the
 * ordinary is not judged here: git has to look then. Private to git/. */
#ifndef PLEACH_GIT_LOOK_H
#define PLEACH_GIT_LOOK_H

#include <sys/stat.h>
#include <time.h>

#include "capture.h"

/* A path whose content may differ. */
struct look_item {
	char *path;
	const struct index_entry *old; /* borrowed from the view; NULL: the index has none */
	struct stat st;                /* of the file; st_mode 0: it is gone */
	bool same_stat; /* as the index says, but so fresh that this proves nothing */
};

struct look {
	struct look_item *items; /* in git's order */
	size_t count;
	char **strays;    /* what is in the tree's directories and not in the index */
	bool has_ignores; /* a .gitignore is there */
	bool has_attributes;
};
#define LOOK_INIT                                                                                  \
	{                                                                                          \
		.items = NULL                                                                      \
	}

/* view: of the index file, last written at `written`. fence: see capture_source.
 * 0, or 1 when git has to look. Release with look_finish either way. */
int look_at(const struct capture_source *source, const struct index_view *view,
            const struct timespec *written, struct look *out);
/* Takes the path. */
void look_add(struct look *look, char *path, const struct index_entry *old, const struct stat *st,
              bool same_stat);
void look_sort(struct look *look);
void look_finish(struct look *look);
#define _cleanup_look_ __attribute__((cleanup(look_finish)))

/* True when the file is as the entry's stat data says. */
bool look_same_stat(const struct index_entry *entry, const struct stat *st);
/* When a file is so fresh that its stat data proves nothing. */
struct look_rule {
	struct timespec fence;  /* before it, less the slack, nothing is fresh */
	struct timespec second; /* git's own rule, in whole seconds */
};
bool look_is_fresh(const struct look_rule *rule, const struct stat *st);
/* One element for each entry of the view: its file is there, as the entry says, and not fresh.
 * Caller frees. */
bool *look_ahead(int root, const struct index_view *view, const struct look_rule *rule);
/* A name that means something to git, or could: .git, .gitmodules, git~1, with a backslash. */
bool look_is_special(const char *name);
bool look_is_special_path(const char *path); /* one of its parts is, or leads elsewhere */

#endif
