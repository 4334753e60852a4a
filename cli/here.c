/* Where the user stands: somebody in a linked worktree of their own means its branch, not that
 * of the main worktree. Reads its HEAD, starts no program. */
#include <stdlib.h>
#include <string.h>

#include "connect.h"
#include "jsonl.h"
#include "mem.h"

#define HEAD_MAX 4096

/* HEAD of the linked worktree that the user stands in. Caller frees; NULL: they do not, or it is
 * the coordinator's to say, by the attempt: inside a slot the agent speaks. */
static char *head_here(const struct cli *cli)
{
	const struct place *place = &cli->place;
	_cleanup_free_ char *file = NULL;
	char *text = NULL;

	if (!place->worktree || !place->git_dir || strcmp(place->git_dir, place->common_dir) == 0 ||
	    cli->in_slot)
		return NULL;
	file = xasprintf("%s/HEAD", place->git_dir);
	if (place_read_file(file, HEAD_MAX, &text, NULL, NULL) < 0)
		return NULL;
	text[strcspn(text, "\r\n")] = '\0';
	return text;
}

/* The branch's name behind that prefix, or NULL. Borrowed. */
static const char *branch_below(const char *head, const char *prefix)
{
	size_t n = strlen(prefix);

	return head && strncmp(head, prefix, n) == 0 ? head + n : NULL;
}

void cli_stand_here(const struct cli *cli, json_t *plan)
{
	_cleanup_free_ char *head = head_here(cli);
	const char *branch = branch_below(head, "ref: refs/heads/");

	if (!head)
		return;
	if (!json_text(plan, "base"))
		json_object_set_new(plan, "base", json_text_or_null(branch ? branch : head));
	if (branch && !json_text(plan, "target"))
		json_object_set_new(plan, "target", json_text_or_null(branch));
}

char *cli_task_here(struct cli *cli)
{
	_cleanup_free_ char *head = cli_place(cli, NULL) == 0 ? head_here(cli) : NULL;
	const char *name = branch_below(head, "ref: refs/heads/pleach/");

	return name ? xstrdup(name) : NULL;
}
