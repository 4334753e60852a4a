/* status --conflicts: which works under way would conflict, as a matrix, and the files. */
#include "conflicts_view.h"

#include <stdio.h>
#include <string.h>

#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "print.h"
#include "text.h"

#define KEY_COLUMNS 16

/* Every task of the answer once, in the order in which they come. New reference. */
static json_t *all_keys(const json_t *result)
{
	static const char *const sides[] = {"a", "b"};
	json_t *keys = json_object(), *item;
	size_t i;

	json_array_foreach (json_sub(result, "pairs"), i, item)
		for (size_t side = 0; side < 2; side++)
			json_object_set(keys, json_text(json_sub(item, sides[side]), "key"), item);
	return keys;
}

static bool clash(const json_t *pairs, const char *one, const char *other)
{
	json_t *item;
	size_t i;

	json_array_foreach (pairs, i, item) {
		const char *a = json_text(json_sub(item, "a"), "key");
		const char *b = json_text(json_sub(item, "b"), "key");

		if ((strcmp(a, one) == 0 && strcmp(b, other) == 0) ||
		    (strcmp(a, other) == 0 && strcmp(b, one) == 0))
			return true;
	}
	return false;
}

/* Rows and columns are the same tasks, numbered: only below the diagonal. */
static void print_matrix(const struct cli *cli, const json_t *pairs, json_t *keys)
{
	const char *row, *column;
	struct line line;
	json_t *value;
	size_t n = 0, at;

	line_begin(&line, print_width(cli), cli->colored);
	json_object_foreach (keys, row, value) {
		void *other;

		line_addf(&line, STYLE_DIM, "%3zu ", ++n);
		line_cell(&line, STYLE_BOLD, row, KEY_COLUMNS);
		at = 0;
		for (other = json_object_iter(keys); other && ++at < n;
		     other = json_object_iter_next(keys, other)) {
			column = json_object_iter_key(other);
			if (clash(pairs, row, column))
				line_addf(&line, STYLE_RED, "%4zu", at);
			else
				line_add(&line, STYLE_DIM, "   ·");
		}
		line_print(&line);
	}
	line_finish(&line);
}

static void add_paths(struct line *line, const json_t *paths)
{
	json_t *path;
	size_t i;

	json_array_foreach (paths, i, path)
		line_addf(line, STYLE_PLAIN, "%s%s", i ? ", " : "  ", json_string_value(path));
}

static void print_result(const struct cli *cli, const json_t *result)
{
	const json_t *pairs = json_sub(result, "pairs"), *target = json_sub(result, "target");
	_cleanup_json_ json_t *keys = all_keys(result);
	struct line line;
	json_t *item;
	size_t i;

	if (json_array_size(pairs) > 1)
		print_matrix(cli, pairs, keys);
	line_begin(&line, print_width(cli), cli->colored);
	json_array_foreach (pairs, i, item) {
		line_add(&line, STYLE_RED, "! ");
		line_addf(&line, STYLE_BOLD, "%s and %s", json_text(json_sub(item, "a"), "key"),
		          json_text(json_sub(item, "b"), "key"));
		add_paths(&line, json_sub(item, "paths"));
		line_print(&line);
	}
	json_array_foreach (target, i, item) {
		line_add(&line, STYLE_YELLOW, "! ");
		line_addf(&line, STYLE_BOLD, "%s", json_text(item, "key"));
		line_add(&line, STYLE_PLAIN, " and the target");
		add_paths(&line, json_sub(item, "paths"));
		line_print(&line);
	}
	line_finish(&line);
	if (!json_array_size(pairs) && !json_array_size(target))
		printf("nothing under way conflicts\n");
}

int conflicts_show(struct cli *cli, struct error *err)
{
	_cleanup_json_ json_t *result = NULL;

	if (cli_ask(cli, "task.clashes", NULL, true, &result, err) < 0)
		return -1;
	if (cli->json)
		return print_json(result);
	print_result(cli, result);
	return 0;
}
