/* Files that a plan names, and the prompts of its tasks: from the plan itself or from a file of
 * the repository, whole, and fit for the agent that gets them. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plan_internal.h"
#include "text.h"

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	return strncmp(path, dir, n) == 0 && (path[n] == '/' || (n && dir[n - 1] == '/'));
}

/* The file's real path, in the repository or beside the plan. NULL: refused. Caller frees. */
static char *find_file(struct plan_reader *r, const struct yaml_node *n, const char *what,
                       const char *shown)
{
	_cleanup_free_ char *path = plan_path(r, n->text);
	_cleanup_free_ char *root = r->ctx->root ? realpath(r->ctx->root, NULL) : NULL;
	_cleanup_free_ char *dir = realpath(r->at->dir, NULL);
	char *real = realpath(path, NULL);
	if (!real) {
		plan_fail(r, n, "%s %s: %s", what, shown, strerror(errno));
		return NULL;
	}
	if ((root && is_below(real, root)) || (dir && is_below(real, dir)))
		return real;
	free(real);
	plan_fail(r, n, "%s %s is outside the repository (and not beside the plan)", what, shown);
	return NULL;
}

int plan_file_read(struct plan_reader *r, const struct yaml_node *n, const char *what, size_t most,
                   struct buf *out)
{
	json_t *text = NULL;
	if (plan_value_word(r, n, what, &text))
		return -1;
	json_decref(text);
	_cleanup_free_ char *shown = text_safe(n->text, PLAN_SHOWN * 2);
	_cleanup_free_ char *path = find_file(r, n, what, shown);
	if (!path)
		return -1;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	if (fd < 0 || fstat(fd, &st))
		return plan_fail(r, n, "%s %s: %s", what, shown, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return plan_fail(r, n, "%s %s is not a file", what, shown);
	ssize_t got;
	while ((got = buf_read(out, fd, 64u << 10)) > 0 && out->len <= most)
		;
	if (got < 0)
		return plan_fail(r, n, "%s %s: %s", what, shown, strerror(errno));
	if (out->len > most)
		return plan_fail(r, n, "%s %s is larger than %zu KiB", what, shown, most >> 10);
	if (out->len && (memchr(out->data, '\0', out->len) || !text_is_utf8(out->data, out->len)))
		return plan_fail(r, n, "%s %s is not UTF-8 text", what, shown);
	return 0;
}

int plan_prompt_read(struct plan_reader *r, const struct yaml_node *map, struct buf *out)
{
	const struct yaml_node *text = yaml_get(map, "prompt");
	const struct yaml_node *file = yaml_get(map, "prompt_file");
	json_t *value = NULL;
	if (text && file)
		return plan_fail(r, file, "prompt and prompt_file: one of them");
	if (file)
		return plan_file_read(r, file, "prompt_file", PLAN_PROMPT_MAX, out);
	if (!text)
		return 0;
	if (plan_value_text(r, text, "prompt", &value))
		return -1;
	json_decref(value);
	if (strcmp(text->text, PLAN_PROMPT_UNWRITTEN) == 0)
		return plan_fail(r, text,
		                 "write what is to be done: this is the prompt that pleach init "
		                 "left to be filled in");
	if (text->len > PLAN_PROMPT_MAX)
		return plan_fail(r, text, "prompt is larger than %u KiB", PLAN_PROMPT_MAX >> 10);
	buf_add(out, text->text, text->len);
	return 0;
}

static bool is_blank(const char *text)
{
	return !text || !text[strspn(text, " \t\r\n")];
}

/* True when the agent was given something to do by its command alone. */
static bool needs_prompt(const json_t *profile)
{
	const char *way = json_text(profile, "prompt"), *mode = json_text(profile, "mode");
	if (!profile || (mode && strcmp(mode, "acp") == 0))
		return true;
	return way && (strcmp(way, "argv") == 0 || strcmp(way, "type") == 0);
}

int plan_prompt_check(struct plan_reader *r, const struct yaml_node *n, const char *agent,
                      const char *prompt, size_t bytes)
{
	const json_t *profile = plan_agent_profile(r, agent);
	if (is_blank(prompt) && needs_prompt(profile))
		return plan_fail(r, n, "no prompt (what is to be done: prompt: or prompt_file:)");
	if (bytes > PLAN_PROMPT_MAX)
		return plan_fail(r, n, "prompt is larger than %u KiB", PLAN_PROMPT_MAX >> 10);
	if (bytes > PLAN_ARGUMENT_MAX && profile && !json_sub(profile, "large") &&
	    agents_mentions(json_object_get(profile, "command"), "{prompt}"))
		return plan_fail(r, n,
		                 "a prompt of %zu KiB does not fit into an argument of agent %s "
		                 "(use {prompt_file} in its command)",
		                 bytes >> 10, agent);
	return 0;
}
