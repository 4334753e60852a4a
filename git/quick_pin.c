/* pin without the git library: for a user who has no hooks, or whose hooks are written down. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hooks_file.h"
#include "jsonl.h"
#include "mem.h"
#include "pinned.h"
#include "place.h"
#include "quick.h"
#include "text.h"

static json_t *answer(char *const *changed)
{
	json_t *list = json_array();

	for (size_t i = 0; changed && changed[i]; i++)
		json_array_append_new(list, json_string(changed[i]));
	return json_pack("{s:o}", "changed", list);
}

static bool write_both(const char *root, const char *file)
{
	_cleanup_free_ char *dir = NULL;
	struct place place;
	bool none;

	if (place_find(root, &place, NULL) < 0)
		return false;
	dir = xasprintf("%s/hooks", place.common_dir);
	none = !hooks_any(dir) && pinned_write(root, file, NULL) == 0 &&
	       !pinned_has(file, "core.hookspath") &&
	       hooks_file_write(file, dir, json_object(), NULL) == 0;
	place_finish(&place);
	return none;
}

json_t *quick_pin(const json_t *request)
{
	const char *root = json_text(request, "root"), *file = json_text(request, "pinned");
	_cleanup_free_ char *hooks = NULL;
	_cleanup_strv_ char **changed = NULL;

	if (!root || !file || *file != '/')
		return NULL;
	hooks = hooks_file(file);
	if (!json_flag(request, "keep"))
		return write_both(root, file) ? answer(NULL) : NULL;
	if (access(file, F_OK) < 0)
		return access(hooks, F_OK) < 0 && write_both(root, file) ? answer(NULL) : NULL;
	if (access(hooks, F_OK) < 0 || pinned_keep(root, file, &changed, NULL) < 0)
		return NULL;
	for (size_t i = 0; changed && changed[i]; i++)
		if (!text_is_utf8(changed[i], strlen(changed[i])))
			return NULL;
	return answer(changed);
}
