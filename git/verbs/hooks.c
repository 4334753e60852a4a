/* Which hooks the user has, and that they are still the same. */
#include "hooks.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hooks_file.h"
#include "jsonl.h"
#include "mem.h"

#define HOOKS_FILE_MAX (64u << 10)

static json_t *digest_of(const char *file)
{
	char hex[HEX_SIZE];
	git_oid oid;

	if (access(file, X_OK) < 0 || git_odb_hashfile(&oid, file, GIT_OBJECT_BLOB) < 0)
		return NULL;
	git_oid_tostr(hex, sizeof hex, &oid);
	return json_string(hex);
}

/* core.hooksPath without our own overrides, else the repository's own. Caller frees. */
static char *hooks_dir(const struct repo *repo, struct error *err)
{
	static const char *const set[] = {"GIT_CONFIG_COUNT", "0", NULL};
	_cleanup_buf_ struct buf text = BUF_INIT;
	int code = 0;
	struct git_run run = {.set = set, .out = &text, .exit_code = &code};

	if (git_run(repo, &run, GIT_ARGS("config", "--type=path", "--get", "core.hooksPath"), err) <
	    0)
		return NULL;
	if (code != 0 || !text.len)
		return repo_path(repo->place.common_dir, "hooks");
	text.data[strcspn(text.data, "\n")] = '\0';
	return xstrdup(text.data);
}

int hooks_pin(const struct repo *repo, const char *pinned_file, bool keep, struct error *err)
{
	_cleanup_free_ char *file = hooks_file(pinned_file);
	_cleanup_free_ char *dir = keep && access(file, F_OK) == 0 ? NULL : hooks_dir(repo, err);
	json_t *digests;

	if (!dir)
		return keep && access(file, F_OK) == 0 ? 0 : -1;
	digests = json_object();
	for (size_t i = 0; *dir == '/' && hooks_names[i]; i++) {
		_cleanup_free_ char *hook = repo_path(dir, hooks_names[i]);
		json_t *digest = digest_of(hook);

		if (digest)
			json_object_set_new(digests, hooks_names[i], digest);
	}
	return hooks_file_write(pinned_file, dir, digests, err);
}

int hooks_find(const char *pinned_file, const char *dir, const char *name, char **file,
               struct error *err)
{
	_cleanup_free_ char *pin_file = pinned_file ? hooks_file(pinned_file) : NULL;
	_cleanup_free_ char *text = NULL, *hook = NULL;
	_cleanup_json_ json_t *pin = NULL, *digest = NULL;
	const char *where, *wanted;
	size_t len = 0;

	*file = NULL;
	if (!pin_file || place_read_file(pin_file, HOOKS_FILE_MAX, &text, &len, NULL) < 0)
		return 0;
	pin = jsonl_parse(text, len, NULL);
	where = json_text(pin, "dir");
	if (!where)
		return 0;
	if (*where != '/') {
		hook = xasprintf("%s/%s/%s", dir, where, name);
		*file = access(hook, X_OK) == 0 ? xstrdup(hook) : NULL;
		return 0;
	}
	wanted = json_text(json_object_get(pin, "digests"), name);
	if (!wanted)
		return 0;
	hook = repo_path(where, name);
	digest = digest_of(hook);
	if (!digest || strcmp(json_string_value(digest), wanted) != 0)
		return error_set(err, ERROR_CONFLICT,
		                 "the hook %s is another one than when you ran pleach (look at it, "
		                 "then: pleach up)",
		                 hook);
	*file = xstrdup(hook);
	return 0;
}
