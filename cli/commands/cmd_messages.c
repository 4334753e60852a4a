/* pleach messages: what teammates and people wrote to each other, and what became of it. Shown to
 * a person, what was for people counts as read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "print.h"
#include "text.h"

#define SHOWN_LAST 20

static const struct option messages_options[] = {
    {.name = "lines", .letter = 'n', .value = "N", .help = "so many of the last ones (20)"}, {0}};

/* "cedar (parser)", "you", "people", "ash". */
static char *party(const json_t *message, bool sender)
{
	const char *name = json_text(message, sender ? "from" : "to");
	const char *key = json_text(message, sender ? "from_key" : "key");
	_cleanup_free_ char *text = NULL;

	if (!name && sender)
		return xstrdup("a person");
	text = name && key && sender ? xasprintf("%s (%s)", name, key) : NULL;
	return text_safe(text ? text : name ? name : key ? key : "?", 60);
}

static void show(const struct cli *cli, const json_t *message)
{
	_cleanup_free_ char *from = party(message, true), *to = party(message, false);
	const char *text = json_text(message, "text"), *state = json_text(message, "state");
	_cleanup_buf_ struct buf safe = BUF_INIT;
	struct line line;
	char ago[48];

	print_ago(json_text(message, "at"), ago);
	line_begin(&line, print_width(cli), cli->colored);
	line_cell(&line, STYLE_DIM, ago, 10);
	line_add(&line, STYLE_BOLD, from);
	line_add(&line, STYLE_PLAIN, " → ");
	line_add(&line, STYLE_BOLD, to);
	if (state && strcmp(state, "delivered") != 0) {
		line_add(&line, STYLE_DIM, "  ");
		line_add(&line, strcmp(state, "unknown") == 0 ? STYLE_YELLOW : STYLE_DIM,
		         strcmp(state, "unknown") == 0
		             ? "unknown: its agent died while it was handed over"
		             : state);
	}
	line_print(&line);
	line_finish(&line);
	text_add_safe(&safe, text ? text : "", text ? strlen(text) : 0, 0, true);
	for (const char *at = safe.len ? safe.data : ""; *at;) {
		size_t len = strcspn(at, "\n");

		printf("    %.*s\n", (int)len, at);
		at += len + (at[len] == '\n');
	}
}

static int messages_exec(struct cli *cli, struct error *err)
{
	const char *lines = options_text(&cli->options, "lines");
	long limit = lines ? strtol(lines, NULL, 10) : SHOWN_LAST;
	_cleanup_json_ json_t *result = NULL;
	json_t *message;
	size_t i;

	if (limit < 1)
		return error_set(err, ERROR_INVALID, "messages: --lines must be a number from 1");
	if (cli_ask(cli, "message.list",
	            json_pack("{s:i, s:b}", "limit", (int)(limit < 1000 ? limit : 1000), "read", 1),
	            true, &result, err) < 0)
		return -1;
	if (cli->json)
		return print_json(result);
	json_array_foreach (json_sub(result, "messages"), i, message)
		show(cli, message);
	if (!json_array_size(json_sub(result, "messages")) && !cli->quiet)
		printf("no messages\n");
	return 0;
}

const struct command command_messages = {
    .name = "messages",
    .usage = "[-n N]",
    .summary = "what teammates and people wrote to each other",
    .options = messages_options,
    .exec = messages_exec,
};
