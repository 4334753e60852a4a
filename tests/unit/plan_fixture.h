/* A temporary repository root and configuration directory for tests of the plan reader. */
#ifndef PLAN_FIXTURE_H
#define PLAN_FIXTURE_H

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "buf.h"
#include "jsonl.h"
#include "mem.h"
#include "plan.h"

struct fixture {
	char *dir;  /* the repository root */
	char *conf; /* the configuration directory */
	struct plan_context ctx;
	json_t *plan;
	json_t *secrets;
	json_t *warnings;
	struct error err;
};

static inline int fixture_setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	char name[] = "/tmp/pleach-test-XXXXXX";
	assert_non_null(mkdtemp(name));
	f->dir = realpath(name, NULL);
	f->conf = xasprintf("%s/.conf", f->dir);
	assert_int_equal(mkdir(f->conf, 0700), 0);
	f->ctx = (struct plan_context){
	    .root = f->dir, .cwd = f->dir, .config_dir = f->conf, .default_agent = "codex"};
	*state = f;
	return 0;
}

static inline void fixture_forget(struct fixture *f)
{
	json_decref(f->plan);
	json_decref(f->secrets);
	json_decref(f->warnings);
	f->plan = f->secrets = f->warnings = NULL;
	f->err = (struct error)ERROR_INIT;
}

/* Removes one level of files and directories: tests make nothing deeper. */
static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	fixture_forget(f);
	char *const argv[] = {(char *)"rm", (char *)"-rf", (char *)"--", f->dir, NULL};
	pid_t pid = fork();
	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	int status;
	waitpid(pid, &status, 0);
	free(f->dir);
	free(f->conf);
	free(f);
	return 0;
}

static inline void put(const struct fixture *f, const char *name, const void *data, size_t len)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", f->dir, name);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write_all(fd, data, len), 0);
}

static inline void put_text(const struct fixture *f, const char *name, const char *text)
{
	put(f, name, text, strlen(text));
}

static inline int read_text(struct fixture *f, const char *text)
{
	fixture_forget(f);
	put_text(f, "plan.yaml", text);
	return plan_read("plan.yaml", &f->ctx, &f->plan, &f->secrets, &f->warnings, &f->err);
}

static inline void read_good(struct fixture *f, const char *text)
{
	if (read_text(f, text))
		fail_msg("refused: %s", f->err.text);
}

/* The plan is refused with a message that starts and goes on like this. */
static inline void read_bad(struct fixture *f, const char *text, const char *place,
                            const char *what)
{
	if (read_text(f, text) == 0)
		fail_msg("accepted: %s", text);
	assert_int_equal(f->err.code, ERROR_INVALID);
	if (strncmp(f->err.text, place, strlen(place)) != 0 || !strstr(f->err.text, what))
		fail_msg("wanted %s … %s, got %s", place, what, f->err.text);
}

static inline json_t *task_of(const struct fixture *f, const char *key)
{
	size_t i;
	json_t *task;
	json_array_foreach (json_object_get(f->plan, "tasks"), i, task) {
		if (strcmp(json_text(task, "key"), key) == 0)
			return task;
	}
	fail_msg("no task %s", key);
	return NULL;
}

static inline const char *said(const json_t *json, const char *key)
{
	const char *text = json_text(json, key);
	return text ? text : "";
}

#endif
