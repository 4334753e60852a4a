/* Small work on files in places that an agent could write to: nothing here follows
 * a symbolic link in the last part of a path, or blocks on a pipe. Private to git/. */
#ifndef PLEACH_GIT_FILES_H
#define PLEACH_GIT_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "error.h"

/* Reads a regular file of at most max bytes. 1 read, 0 not there (or no regular file), -1. */
int file_read(const char *path, size_t max, struct buf *out, struct error *err);
/* The first line of a small file, or NULL. Caller frees. */
char *file_line(const char *path);
/* Copies a regular file (contents, permissions and times) to a new name. 1 copied, 0 no source, -1.
 */
int file_copy(const char *from, const char *to, struct error *err);
bool file_exists(const char *path); /* of any kind, dangling links too */
bool file_is_dir(const char *path); /* a directory itself, not a link to one */
/* The time of the file `like`. What cannot be done is left. */
void file_set_time(const char *path, const char *like);
/* Removes a file or a whole directory below our own git directory. Missing is fine. */
int file_remove_all(const char *path, struct error *err);
/* Makes what is below dir readable and its directories writable for us again. */
void files_make_accessible(const char *dir);

/* A directory below `root_fd` reached without following links. -1 with errno. */
enum dir_below { DIR_MUST_BE, DIR_MAKE, DIR_REPLACE /* what is no directory, too */ };
int dir_open_below(int root_fd, const char *path, enum dir_below how);
/* Splits "a/b/c" into the directory "a/b" (caller frees) and the name c (borrowed). */
char *path_parent(const char *path, const char **name);
/* The directory of the last path: the next one is mostly in it, too. */
struct dir_spot {
	char *path;
	int fd;
};
#define DIR_SPOT_INIT                                                                              \
	{                                                                                          \
		.fd = -1                                                                           \
	}
/* Goes to the directory of `path`, which is there. Its descriptor (borrowed; -1 with errno), and
 * the name in it (borrowed from `path`). */
int dir_spot_enter(struct dir_spot *spot, int root_fd, const char *path, const char **name);
void dir_spot_leave(struct dir_spot *spot);
/* The path without ./ before and / after it. Caller frees. */
char *path_plain(const char *path);
/* True for a relative path that stays below where it starts: no "..", no ".git", no "". */
bool path_is_inside(const char *path);
/* True when `path` is `prefix` or below it (a slash at prefix's end is ignored). */
bool path_is_below(const char *path, const char *prefix);
/* The absolute path with links resolved in all but the last part. Caller frees; NULL with errno. */
char *path_settle(const char *path);
/* As path_settle; but a link in the last part stays one: somebody else may have put it there. */
char *path_settle_parent(const char *path);

#endif
