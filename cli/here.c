/* Where the user stands: somebody in a linked worktree of their own means its branch, not that
 * of the main worktree. Reads its HEAD, starts no program. */
#include <stdlib.h>
#include <string.h>

#include "connect.h"
#include "jsonl.h"
#include "mem.h"

#define HEAD_MAX 4096

void cli_stand_here(const struct cli *cli, json_t *plan)
{
	const struct place *place = &cli->place;
	_cleanup_free_ char *file = NULL, *text = NULL;
	const char *branch;

	/* In a slot it is the coordinator's to say, by the attempt. */
	if (!place->worktree || !place->git_dir || strcmp(place->git_dir, place->common_dir) == 0 ||
	    cli->in_slot)
		return;
	file = xasprintf("%s/HEAD", place->git_dir);
	if (place_read_file(file, HEAD_MAX, &text, NULL, NULL) < 0)
		return;
	text[strcspn(text, "\r\n")] = '\0';
	branch = strncmp(text, "ref: refs/heads/", 16) == 0 ? text + 16 : NULL;
	if (!json_text(plan, "base"))
		json_object_set_new(plan, "base", json_text_or_null(branch ? branch : text));
	if (branch && !json_text(plan, "target"))
		json_object_set_new(plan, "target", json_text_or_null(branch));
}
