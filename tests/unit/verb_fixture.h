/* pleach-git, the program itself, asked as the coordinator asks it. */
#ifndef PLEACH_VERB_FIXTURE_H
#define PLEACH_VERB_FIXTURE_H

#include "git_fixture.h"

#include <jansson.h>

#include "jsonl.h"

#ifndef PLEACH_GIT
#error "PLEACH_GIT names the program"
#endif

/* Asks a verb; `root` is added to the request, which is taken. New reference. */
static inline json_t *ask(struct universe *u, const char *verb, json_t *request)
{
	_cleanup_buf_ struct buf out = BUF_INIT, why = BUF_INIT;
	_cleanup_free_ char *text = NULL;
	struct proc_run run = {.spec = PROC_SPEC_INIT};
	struct error err = ERROR_INIT;
	json_t *answer;
	int status;

	assert_non_null(request);
	json_object_set_new(request, "root", json_string(u->root));
	text = jsonl_text(request);
	json_decref(request);
	run.spec.argv = (const char *const[]){PLEACH_GIT, verb, NULL};
	run.spec.cwd = "/";
	run.in = text;
	run.in_len = strlen(text);
	run.out = &out;
	run.err_out = &why;
	if (proc_run(&run, &status, &err) < 0)
		fail_msg("%s", err.text);
	answer = jsonl_parse(out.data ? out.data : "", out.len, &err);
	if (!answer)
		fail_msg("%s: %s (%s)", verb, err.text, why.data ? why.data : "");
	assert_int_equal(WEXITSTATUS(status), json_object_get(answer, "error") ? 1 : 0);
	return answer;
}

static inline json_t *ask_well(struct universe *u, const char *verb, json_t *request)
{
	json_t *answer = ask(u, verb, request);
	const char *message = json_text(json_sub(answer, "error"), "message");

	if (message)
		fail_msg("%s: %s", verb, message);
	return answer;
}

static inline void ask_badly(struct universe *u, const char *verb, json_t *request,
                             const char *code, const char *says)
{
	json_t *answer = ask(u, verb, request), *error = json_sub(answer, "error");

	assert_non_null(error);
	assert_string_equal(json_text(error, "code"), code);
	if (!strstr(json_text(error, "message"), says))
		fail_msg("'%s' does not say '%s'", json_text(error, "message"), says);
	json_decref(answer);
}

/* A branch from main with one commit, made by commands. Its head; caller frees. */
static inline char *branch(struct universe *u, const char *name, const char *commands)
{
	run_sh(u->root,
	       "git worktree add -q -b '%s' ../tmp main; cd ../tmp; %s; git add -A; "
	       "git commit -qm '%s'; cd ../repo; git worktree remove --force ../tmp",
	       name, commands, name);
	return head_of(u, name);
}

static inline json_t *item(int task, const char *key, const char *commit, const char *base)
{
	return json_pack("{s:i, s:s, s:s, s:s}", "task", task, "key", key, "head", commit, "base",
	                 base);
}

static inline json_t *move_request(struct universe *u, const char *before, const char *after)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "target", "main", "before", before, "after", after,
	                 "pinned", u->pin);
}

#endif
