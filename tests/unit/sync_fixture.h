/* Syncs that fail when told to, in front of libc's, and what of them was of the log. */
#ifndef PLEACH_SYNC_FIXTURE_H
#define PLEACH_SYNC_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mem.h"
#include "shared_fixture.h"

int fdatasync(int fd);

static bool syncs_fail;
static int syncs, failed_syncs;

static bool log_written;   /* and not synced yet */
static int database_first; /* syncs of the database before that of the log */

/* In front of libc's, for SQLite too. */
int fdatasync(int fd)
{
	char link[64], name[512];
	ssize_t n;

	if (gettid() != getpid()) /* of room in the log: nobody's commit */
		return (int)syscall(SYS_fdatasync, fd);
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, name, sizeof name);
	if (n > 4 && strncmp(name + n - 4, "-wal", 4) == 0)
		log_written = log_written && syncs_fail;
	else
		database_first += log_written;
	syncs++;
	if (syncs_fail) {
		failed_syncs++;
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

static inline void copy_file(const char *from, const char *to)
{
	_cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char chunk[65536];
	ssize_t n;

	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, chunk, sizeof chunk)) > 0)
		assert_int_equal(write(out, chunk, (size_t)n), n);
}

#endif
