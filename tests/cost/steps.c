/* Interposed between the coordinator and SQLite: counts statements that were begun, and the steps
 * of SQLite's machine in them, for cost.py. The counts are in a file in memory, COST_STEPS, so that
 * they can be read at any moment; the text of each statement that took many steps goes to
 * COST_STEPS.long. Changes nothing of what is done. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define DONE       101
#define VM_STEP    4
#define MANY_STEPS 800

struct sqlite3_stmt;
int sqlite3_step(struct sqlite3_stmt *stmt);

struct counts {
	_Atomic uint64_t statements, steps;
};

static struct {
	int (*step)(struct sqlite3_stmt *);
	int (*busy)(struct sqlite3_stmt *);
	int (*status)(struct sqlite3_stmt *, int what, int reset);
	const char *(*sql)(struct sqlite3_stmt *);
} real;

static struct counts *counts(void)
{
	static struct counts *counts;
	const char *path = getenv("COST_STEPS");
	int fd;

	if (counts || !path)
		return counts;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof *counts) < 0)
		abort();
	counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (counts == MAP_FAILED)
		abort();
	return counts;
}

static void find_real(void)
{
	real.busy = (int (*)(struct sqlite3_stmt *))dlsym(RTLD_NEXT, "sqlite3_stmt_busy");
	real.status =
	    (int (*)(struct sqlite3_stmt *, int, int))dlsym(RTLD_NEXT, "sqlite3_stmt_status");
	real.sql = (const char *(*)(struct sqlite3_stmt *))dlsym(RTLD_NEXT, "sqlite3_sql");
	real.step = (int (*)(struct sqlite3_stmt *))dlsym(RTLD_NEXT, "sqlite3_step");
}

static void name_long(const char *sql, int steps)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof path, "%s.long", getenv("COST_STEPS"));
	file = fopen(path, "ae");
	if (!file)
		abort();
	fprintf(file, "%d steps: %s\n", steps, sql);
	fclose(file);
}

int sqlite3_step(struct sqlite3_stmt *stmt)
{
	int rc, steps;

	if (!real.step)
		find_real();
	if (counts() && !real.busy(stmt)) /* busy: another row of one that was counted */
		atomic_fetch_add(&counts()->statements, 1);
	rc = real.step(stmt);
	if (rc == DONE && counts()) {
		steps = real.status(stmt, VM_STEP, 1);
		atomic_fetch_add(&counts()->steps, (uint64_t)steps);
		if (steps > MANY_STEPS)
			name_long(real.sql(stmt), steps);
	}
	return rc;
}
