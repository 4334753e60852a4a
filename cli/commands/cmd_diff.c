/* pleach diff: what a task changed, or how two of them differ. */
#include <stdlib.h>
#include <string.h>

#include "connect.h"
#include "diff_view.h"
#include "jsonl.h"
#include "mem.h"
#include "names.h"
#include "print.h"

static const struct option diff_options[] = {
    {.name = "stat", .help = "names of files and counts of lines only"}, {0}};

/* From the head of one task to that of another. */
static int between(struct cli *cli, bool stat, json_t **out, struct error *err)
{
	const char *heads[2];
	_cleanup_json_ json_t *all = json_array();

	for (size_t i = 0; i < 2; i++) {
		json_t *found = NULL;
		const char *key;

		if (cli_ask(cli, "task.locate", names_params(cli, i, "task"), true, &found, err) <
		    0)
			return -1;
		json_array_append_new(all, found);
		heads[i] = json_text(found, "head");
		key = json_text(found, "key");
		if (!heads[i])
			return error_set(err, ERROR_NOT_FOUND, "diff: %s has no result yet",
			                 key ? key : "it");
	}
	*out = json_pack("{s:s, s:s, s:b}", "base", heads[0], "head", heads[1], "stat", stat);
	return 0;
}

static int diff_exec(struct cli *cli, struct error *err)
{
	bool stat = options_flag(&cli->options, "stat");
	json_t *request = NULL;
	int rc;

	if (cli->options.arg_count == 2)
		rc = between(cli, stat, &request, err);
	else
		rc = diff_request(cli, stat, &request, err);
	if (rc < 0)
		return -1;
	return cli->json ? diff_print_json(cli, request, err) : diff_show(cli, request, true, err);
}

const struct command command_diff = {
    .name = "diff",
    .usage = "[TASK [TASK]] [--stat]",
    .summary = "what a task changed, or how two results differ",
    .options = diff_options,
    .most_args = 2,
    .args = KIND_TASK,
    .exec = diff_exec,
};
