/* Text that a person gives. */
#include "prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "mem.h"
#include "plan.h"
#include "text.h"

char *prompt_words(const struct cli *cli, size_t from)
{
	struct buf out = BUF_INIT;

	if (from >= cli->options.arg_count)
		return NULL;
	for (size_t i = from; i < cli->options.arg_count; i++) {
		buf_add_str(&out, i > from ? " " : "");
		buf_add_str(&out, cli->options.args[i]);
	}
	return buf_take(&out);
}

static int read_all(const char *file, char **out, struct error *err)
{
	bool from_stdin = strcmp(file, "-") == 0;
	_cleanup_close_ int opened = from_stdin ? -1 : open(file, O_RDONLY | O_CLOEXEC);
	_cleanup_buf_ struct buf text = BUF_INIT;
	int fd = from_stdin ? STDIN_FILENO : opened;
	ssize_t n;

	if (fd < 0) {
		bool missing = errno == ENOENT;

		error_errno(err, "cannot read %s", file);
		if (missing && err)
			err->code = ERROR_NOT_FOUND;
		return -1;
	}
	while ((n = buf_read(&text, fd, 64u << 10)) > 0)
		if (text.len > PLAN_PROMPT_MAX)
			return error_set(err, ERROR_INVALID, "%s: a prompt has at most %u bytes",
			                 file, PLAN_PROMPT_MAX);
	if (n < 0)
		return error_errno(err, "cannot read %s", file);
	if (text.len && memchr(text.data, '\0', text.len))
		return error_set(err, ERROR_INVALID, "%s holds a NUL byte: no prompt", file);
	*out = buf_take(&text);
	return 0;
}

int prompt_read(const struct cli *cli, size_t from, bool needed, char **out, struct error *err)
{
	const char *file = options_text(&cli->options, "file");

	if (file && cli->options.arg_count > from)
		return error_set(err, ERROR_INVALID, "%s: a prompt and -F at once (give one)",
		                 cli->command->name);
	if (file)
		return read_all(file, out, err);
	*out = prompt_words(cli, from);
	if (needed && (!*out || !**out)) {
		free(*out);
		*out = NULL;
		return error_set(err, ERROR_INVALID, "%s: no prompt (give one, or -F FILE)",
		                 cli->command->name);
	}
	return 0;
}

int prompt_ask(const struct cli *cli, const char *question, char **out, struct error *err)
{
	_cleanup_free_ char *line = NULL, *shown = text_safe(question, 0);
	size_t cap = 0;
	ssize_t n;

	if (cli->no_input || !isatty(STDIN_FILENO))
		return error_set(err, ERROR_INVALID, "%s: no text (give it as an argument)",
		                 cli->command->name);
	fprintf(stderr, "%s\n> ", shown);
	fflush(stderr);
	n = getline(&line, &cap, stdin);
	if (n <= 0)
		return error_set(err, ERROR_INVALID, "%s: nothing was typed", cli->command->name);
	while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		line[--n] = '\0';
	if (!n)
		return error_set(err, ERROR_INVALID, "%s: nothing was typed", cli->command->name);
	*out = xstrdup(line);
	return 0;
}
