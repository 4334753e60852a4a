/* How an agent is told of `pleach hook`, and what its hooks say. What tells it is in flags, in
 * the environment and in a file of the attempt's own folder: never in the slot, where it would
 * be committed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents.h"
#include "attempt_private.h"
#include "buf.h"
#include "hooks.h"
#include "jsonl.h"
#include "mem.h"
#include "proc.h"
#include "text.h"

#define HOOK_PROGRAM "pleach-hook"

/* Beside the worker, in a build folder and installed. */
static char *hook_program(void)
{
	return xasprintf("%s/" HOOK_PROGRAM, proc_own_dir());
}

static char *hooks_file(const struct attempt *a)
{
	const char *name = json_text(json_sub(json_sub(a->profile, "hooks"), "file"), "name");

	/* A name and no path: it stays in the folder. */
	if (!name || !*name || strchr(name, '/') || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0)
		name = "hooks.json";
	return xasprintf("%s/hooks/%s", a->dir, name);
}

static int write_hooks(const char *path, const char *text, struct error *err)
{
	_cleanup_close_ int fd =
	    open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || write_all(fd, text, strlen(text)) != 0)
		return error_errno(err, "cannot write %s", path);
	return 0;
}

static bool has_hooks(const struct attempt *a)
{
	return json_sub(a->profile, "hooks") != NULL;
}

int attempt_hooks_install(struct attempt *a, struct error *err)
{
	_cleanup_free_ char *dir = NULL, *text = NULL, *command = NULL;
	_cleanup_json_ json_t *hooks = NULL;
	const json_t *content;

	if (!has_hooks(a) || a->hook)
		return 0;
	a->hook = hook_program();
	a->hooks_file = hooks_file(a);
	/* What such a file holds are commands for a shell. */
	command = hook_quoted(a->hook);
	hooks = agents_hooks(a->profile,
	                     &(struct agents_values){.hook = command, .hooks_file = a->hooks_file});
	content = json_object_get(json_sub(hooks, "file"), "content");
	if (!content || json_is_null(content))
		return 0;
	dir = xasprintf("%s/hooks", a->dir);
	text = json_is_string(content) ? xstrdup(json_string_value(content)) : jsonl_text(content);
	if (attempt_make_dir(a, err) != 0)
		return -1;
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return error_errno(err, "cannot make %s", dir);
	return write_hooks(a->hooks_file, text, err);
}

json_t *attempt_hooks_env(const struct attempt *a)
{
	_cleanup_json_ json_t *hooks = NULL;
	const json_t *env = json_sub(a->profile, "env");
	json_t *all = env ? json_copy((json_t *)env) : json_object();

	if (!a->hook)
		return all;
	hooks = agents_hooks(a->profile,
	                     &(struct agents_values){.hook = a->hook, .hooks_file = a->hooks_file});
	if (json_is_object(json_sub(hooks, "env")))
		json_object_update_missing(all, json_sub(hooks, "env"));
	return all;
}

/* ---- what they say ---- */

/* It prints nothing: the agent goes on as it would without us. */
static void undecided(struct attempt *a, int64_t id)
{
	if (id)
		control_tell(a->w, "hook.decided",
		             json_pack("{s:I, s:s}", "id", (json_int_t)id, "output", ""));
}

void attempt_hook(struct attempt *a, int64_t id, const char *text, const char *nonce)
{
	_cleanup_json_ json_t *event = jsonl_parse(text, strlen(text), NULL);
	struct hook_event e;

	if (!json_is_object(event) || a->phase != PHASE_WORKING || a->agent_ran) {
		undecided(a, id);
		return;
	}
	hook_read(event, &e);
	resume_heard(a, e.session);
	if (e.said && *e.said) {
		free(a->said);
		a->said = xstrdup(e.said);
	}
	/* What else it does meanwhile does not answer what it asked. */
	if (e.speaks && !attempt_asks_any(a))
		attempt_report(a, &(struct state_report){.source = STATE_HOOK,
		                                         .state = e.state,
		                                         .reason = e.reason,
		                                         .text = e.text,
		                                         .options = e.options});
	if (e.asks && id && nonce) {
		_cleanup_free_ char *title = hook_asked(&e.request);

		attempt_ask(a, &(struct attempt_asked){.title = title,
		                                       .request = e.request,
		                                       .hook = id,
		                                       .nonce = nonce,
		                                       .event = e.name});
	} else {
		undecided(a, id);
	}
	hook_finish(&e);
}

void attempt_hook_gone(struct attempt *a, int64_t id)
{
	attempt_ask_gone(a, 0, id);
}
