/* pleach events: the log of what happened, a line each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "print.h"
#include "text.h"

#define LIMIT 1000

static const struct option events_options[] = {
    {.name = "since", .value = "SEQ", .help = "only events after this number"},
    {.name = "follow", .letter = 'f', .help = "go on as they happen"},
    {0}};

static void print_event(const struct cli *cli, const json_t *event)
{
	const char *key = json_text(event, "key"), *who = json_text(event, "teammate");
	const json_t *data = json_object_get(event, "data");
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct line line;

	if (cli->json) {
		print_json(event);
		return;
	}
	if (json_object_size(data))
		jsonl_add_shown(&text, data);
	line_begin(&line, print_width(cli), cli->colored);
	line_addf(&line, STYLE_DIM, "%6lld  ", (long long)json_int(event, "seq", 0));
	line_addf(&line, STYLE_DIM, "%s  ", json_text(event, "at"));
	line_cell(&line, STYLE_BOLD, json_text(event, "kind"), 16);
	line_add(&line, STYLE_PLAIN, key ? key : "");
	line_addf(&line, STYLE_DIM, "%s%s", who ? " " : "", who ? who : "");
	if (text.len) /* without its newline */
		line_addf(&line, STYLE_PLAIN, "  %.*s", (int)text.len - 1, text.data);
	line_print(&line);
	line_finish(&line);
}

static int events_exec(struct cli *cli, struct error *err)
{
	bool follow = options_flag(&cli->options, "follow");
	long since;

	if (options_number(&cli->options, "since", 0, 0, &since, err) < 0)
		return -1;
	for (;;) {
		_cleanup_json_ json_t *result = NULL;
		json_t *events, *event;
		size_t i;

		if (cli_ask(cli, "event.list",
		            json_pack("{s:I, s:i, s:b}", "since", (json_int_t)since, "limit", LIMIT,
		                      "wait", follow),
		            true, &result, err) < 0)
			return -1;
		events = json_sub(result, "events");
		json_array_foreach (events, i, event) {
			since = (long)json_int(event, "seq", since);
			print_event(cli, event);
		}
		if (!follow && !json_array_size(events))
			return 0;
		if (fflush(stdout) != 0)
			return 0; /* told at the end */
	}
}

const struct command command_events = {
    .name = "events",
    .usage = "[--since SEQ] [-f]",
    .summary = "what happened, a line each",
    .options = events_options,
    .exec = events_exec,
};
