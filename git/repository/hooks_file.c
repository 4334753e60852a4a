/* What is written down of the user's hooks. */
#include "hooks_file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jsonl.h"
#include "mem.h"
#include "place.h"

const char *const hooks_names[] = {"pre-merge-commit", "pre-commit", "prepare-commit-msg",
                                   "commit-msg", NULL};

char *hooks_file(const char *pinned_file)
{
	const char *slash = strrchr(pinned_file, '/');

	return xasprintf("%.*s/hooks.json", slash ? (int)(slash - pinned_file) : 1,
	                 slash ? pinned_file : ".");
}

bool hooks_any(const char *dir)
{
	bool any = false;

	for (size_t i = 0; !any && hooks_names[i]; i++) {
		_cleanup_free_ char *hook = xasprintf("%s/%s", dir, hooks_names[i]);

		any = access(hook, X_OK) == 0;
	}
	return any;
}

int hooks_file_write(const char *pinned_file, const char *dir, json_t *digests, struct error *err)
{
	_cleanup_free_ char *file = hooks_file(pinned_file), *text = NULL;
	_cleanup_json_ json_t *pin =
	    json_pack("{s:o, s:o}", "dir", json_text_or_null(dir), "digests", digests);

	text = jsonl_text(pin);
	return place_write_file(file, text, strlen(text), err);
}
