/* Capture: the content of a working tree as a git tree, without touching the index that
 * the agent used. Everything that is not ignored is in it, nested repositories' files
 * included; what an agent did to its index cannot hide anything. Private to git/. */
#ifndef PLEACH_GIT_CAPTURE_H
#define PLEACH_GIT_CAPTURE_H

#include <time.h>

#include "repo.h"

struct capture_source {
	const struct repo *repo;
	const char *git_dir;        /* of the worktree */
	const char *dir;            /* its top */
	const char *const *without; /* paths that are never captured; may be NULL */
	const char *prefix; /* of dir below the slot, with a slash; NULL for the slot itself */
	bool users;  /* somebody's own tree, not a slot: no permission in it is changed, and only
	              * one looks at a time (worktree_lock) until its capture is finished */
	bool anyhow; /* a snapshot: when the user's filters fail, take the files' raw bytes */
	bool quick;  /* without git programs where that is certain (take.c) */
	/* What the index says of files that were written before is beyond doubt: since then
	 * whoever changed one has given it another time. Zero: only git's own rule counts. */
	struct timespec fence;
};

struct capture {
	char tree[HEX_SIZE];
	char *index;     /* file: an index that matches the tree and the files' stat data; NULL:
	                  * the worktree's own does */
	char **nested;   /* directories with repositories of their own, whose files were taken */
	char **strange;  /* paths that are in the tree under another name, git refuses theirs */
	char **modules;  /* submodules: taken as links */
	bool conflicted; /* the index had unmerged paths */
	bool skipped;    /* parts of the tree are not checked out (skip-worktree) */
	char *staged;    /* tree of what was staged and is in neither the files nor HEAD, or NULL */
	struct timespec fence; /* when the look at the files began: the next one's fence */
	int lock; /* of a user's tree: another one would take the same index for its own */
};

#define CAPTURE_INIT                                                                               \
	{                                                                                          \
		.lock = -1                                                                         \
	}
/* Errors: EXTERNAL, naming the files that cannot be read. Release with capture_finish, which
 * removes the index file unless it was taken. */
int capture_take(const struct capture_source *source, struct capture *out, struct error *err);
void capture_finish(struct capture *capture);
#define _cleanup_capture_ __attribute__((cleanup(capture_finish)))
/* Makes the captured index the worktree's own. */
int capture_install(struct capture *capture, const char *git_dir, struct error *err);
/* Gives the capture an index file of its own where it has none. */
int capture_own_index(struct capture *capture, const char *git_dir, struct error *err);
/* The capture as it is found without git programs (take.c). 0, or 1: it takes git to say. */
int capture_take_quick(const struct capture_source *source, struct capture *out);
/* The name of a capture's index file; caller frees. */
char *capture_index_name(const char *git_dir);

/* Parts of it, shared with nested.c and prove.c. */

/* One entry of an index. */
struct index_entry {
	const char *path; /* borrowed from the view */
	unsigned mode;
	unsigned char stage;
	bool assumed, skipped, intended; /* assume-unchanged, skip-worktree, add -N */
	unsigned char id_len;
	unsigned char id[32];
	const unsigned char *raw; /* the entry itself, stat data first; NULL where git was asked */
	size_t raw_len;
};
/* All entries of an index file, in git's order. */
struct index_view {
	struct index_entry *items;
	size_t count;
	struct buf text;            /* the file itself, or what git says of it */
	char root[HEX_SIZE];        /* its tree, where the file knows it; else "" */
	unsigned version;           /* of the file; 0: git was asked */
	const unsigned char *trees; /* the whole cache of trees in it (TREE), or NULL */
	size_t trees_len;
};
#define INDEX_VIEW_INIT                                                                            \
	{                                                                                          \
		.items = NULL                                                                      \
	}
/* The file alone: 0, or 1 where its format is not understood. */
int index_file_read(const char *file, size_t id_len, struct index_view *out);
int index_view_open(const struct capture_source *source, const char *index, struct index_view *out,
                    struct error *err);
void index_view_close(struct index_view *view);
#define _cleanup_view_ __attribute__((cleanup(index_view_close)))
void index_entry_hex(const struct index_entry *entry, char hex[HEX_SIZE]);
#define MODE_LINK 0160000u /* a link to a commit of another repository */

/* Appends a line for `git update-index -z --index-info`; id NULL removes the path. */
void index_info_add(struct buf *out, unsigned mode, const char *id, const char *path);
int index_info_apply(const struct capture_source *source, const char *index, const struct buf *info,
                     struct error *err);
/* The tree of these lines alone, made in an index file of its own that goes again. */
int index_info_tree(const struct capture_source *source, const struct buf *info, bool missing_ok,
                    char tree[HEX_SIZE], struct error *err);
/* Exactly the tree's files are in the index. False also where libgit2 cannot say. */
bool index_is_tree(const struct repo *repo, const struct index_view *view, const char *tree);
/* The same, at once for an index whose own tree that is and which this process has written or
 * compared before. */
bool index_holds_tree(const struct repo *repo, const struct index_view *view, const char *tree);
/* An index with this sum (SHA-1 of all but its last 20 bytes) was written from its tree. */
void index_trust(const unsigned char sum[20]);
/* The tree of an index file: of its entries, whatever its cache of trees says. */
int index_write_tree(const struct repo *repo, const char *git_dir, const char *index,
                     char tree[HEX_SIZE], struct error *err);

/* Replaces links to nested repositories in the index, whose entries are `now`, by their
 * files (nested.c). What is found is noted in `out`. */
int nested_take(const struct capture_source *source, const char *index,
                const struct index_view *now, struct capture *out, struct error *err);
/* Adds the files of the directory `path` below the worktree to `info`. */
int nested_add(const struct capture_source *source, const char *path, struct buf *info, int depth,
               struct capture *out, struct error *err);
/* HEAD's tree, NULL where there is none or libgit2 cannot say; free with git_tree_free. */
git_tree *staged_head(const struct capture_source *source);
/* True when HEAD's tree (may be NULL) has this very content at this path. */
bool staged_in_head(git_tree *head, const struct index_entry *entry);
/* What was staged and would be lost (staged.c); NULL when nothing. Caller frees. */
int staged_tree(const struct capture_source *source, const struct index_view *own,
                const struct index_view *now, char **tree, struct error *err);
/* What git add could not add: raw bytes, other names (leftover.c). */
int leftover_add(const struct capture_source *source, const char *index, struct capture *out,
                 struct error *err);

#endif
