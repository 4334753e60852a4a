/* A private universe for tests of git/: a home without configuration, a repository with one
 * commit, and a place for slots beside it. Commands run by /bin/sh. */
#ifndef PLEACH_TEST_GIT_FIXTURE_H
#define PLEACH_TEST_GIT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "files.h"
#include "mem.h"
#include "proc.h"
#include "slot.h"

struct universe {
	char dir[64];
	char *root; /* the repository */
	char *slot; /* where a slot goes; not made */
	char *pin;  /* where a pin file goes; not made */
};

/* Runs a command in `dir`; what it prints, less the last newline (caller frees). A failure
 * fails the test. */
static inline char *sh(const char *dir, const char *fmt, ...)
{
	_cleanup_buf_ struct buf out = BUF_INIT, why = BUF_INIT;
	_cleanup_free_ char *text = NULL;
	struct error err = ERROR_INIT;
	struct proc_run run = {.spec = PROC_SPEC_INIT};
	int status = -1;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	run.spec.argv = (const char *const[]){"/bin/sh", "-ec", text, NULL};
	run.spec.cwd = dir;
	run.out = &out;
	run.err_out = &why;
	if (proc_run(&run, &status, &err) < 0 || status != 0)
		fail_msg("%s: %s %s%s", text, proc_status_text(status), err.text,
		         why.data ? why.data : "");
	buf_add(&out, "", 0);
	while (out.len && out.data[out.len - 1] == '\n')
		out.data[--out.len] = '\0';
	return buf_take(&out);
}

#define run_sh(...) free(sh(__VA_ARGS__))

static inline void assert_sh(const char *want, char *got)
{
	assert_string_equal(got, want);
	free(got);
}

static inline int universe_make(void **state)
{
	struct universe *u = xcalloc(1, sizeof *u);
	_cleanup_free_ char *home = NULL;

	snprintf(u->dir, sizeof u->dir, "/tmp/pleach-test-XXXXXX");
	if (!mkdtemp(u->dir))
		return -1;
	home = xasprintf("%s/home", u->dir);
	mkdir(home, 0700);
	setenv("HOME", home, 1);
	setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("GIT_DIR");
	u->root = xasprintf("%s/repo", u->dir);
	u->slot = xasprintf("%s/repo.pleach/ash", u->dir);
	u->pin = xasprintf("%s/pinned.json", u->dir);
	run_sh(u->dir, "git init -q -b main repo; cd repo; git config user.name Ada; "
	               "git config user.email ada@example.org; seq 20 > a.txt; seq 20 > b.txt; "
	               "mkdir -p src tests; echo code > src/code.c; echo test > tests/t1; "
	               "printf '*.log\\nbuild/\\n' > .gitignore; git add -A; git commit -qm one");
	*state = u;
	return 0;
}

static inline int universe_end(void **state)
{
	struct universe *u = *state;

	files_make_accessible(u->dir);
	file_remove_all(u->dir, NULL);
	free(u->root);
	free(u->slot);
	free(u->pin);
	free(u);
	return 0;
}

#define universe_test(f) cmocka_unit_test_setup_teardown(f, universe_make, universe_end)

static inline struct slot *open_slot(struct universe *u)
{
	struct error err = ERROR_INIT;
	struct slot *slot = NULL;

	if (slot_open(u->root, u->slot, "ash", access(u->pin, F_OK) == 0 ? u->pin : NULL, NULL,
	              NULL, &slot, &err) < 0)
		fail_msg("slot_open: %s", err.text);
	return slot;
}

static inline char *head_of(struct universe *u, const char *rev)
{
	return sh(u->root, "git rev-parse --verify '%s^{commit}'", rev);
}

/* Slot on branch pleach/p/KEY at main, running. */
static inline void start_attempt(struct universe *u, struct slot *slot, int64_t attempt,
                                 const char *key)
{
	_cleanup_free_ char *base = head_of(u, "main");
	_cleanup_free_ char *branch = xasprintf("pleach/p/%s", key);
	struct error err = ERROR_INIT;

	if (slot_switch(slot, attempt, &(struct slot_order){.branch = branch, .base = base}, &err) <
	        0 ||
	    slot_running(slot, &err) < 0)
		fail_msg("slot_switch: %s", err.text);
}

static inline void snapshot(struct slot *slot, int64_t attempt, char **head)
{
	struct error err = ERROR_INIT;
	char *kept = NULL;

	if (slot_snapshot(slot, attempt, &kept, &err) < 0)
		fail_msg("slot_snapshot: %s", err.text);
	if (head)
		*head = kept;
	else
		free(kept);
}

/* True when some branch or pleach ref reaches a blob of exactly this text and a newline. */
static inline bool is_reachable(struct universe *u, const char *text)
{
	_cleanup_free_ char *found =
	    sh(u->root,
	       "id=$(printf '%%s\\n' '%s' | git hash-object --stdin); "
	       "git rev-list --objects --branches --glob=refs/pleach | grep -c \"^$id\" || true",
	       text);

	return strcmp(found, "0") != 0;
}

static inline void assert_kept(struct universe *u, const char *text)
{
	if (!is_reachable(u, text))
		fail_msg("'%s' is lost", text);
}

#endif
