/* What the settings and the files outside of the tree say about the bytes of files. Must not
 * guess: whatever is not known to be plain is left to the git program. */
#include "plain.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "files.h"
#include "mem.h"
#include "pinned_rules.h"

#define ETC_ATTRIBUTES "/etc/gitattributes"
#define EXCLUDE_MAX    (1u << 20)

/* What our git programs are told: whatever could matter was pinned, and is in the environment
 * where it is set at all. Borrowed; NULL when it is not set. */
static const char *setting(const struct repo *repo, const char *key)
{
	const char *count = env_get(repo->env, "GIT_CONFIG_COUNT");

	for (int i = count ? atoi(count) : 0; i-- > 0;) {
		_cleanup_free_ char *name = xasprintf("GIT_CONFIG_KEY_%d", i);
		_cleanup_free_ char *value = xasprintf("GIT_CONFIG_VALUE_%d", i);
		const char *there = env_get(repo->env, name);

		if (there && strcasecmp(there, key) == 0)
			return env_get(repo->env, value);
	}
	return NULL;
}

/* A file outside of the tree that a setting names, or its usual place; caller frees. */
static char *named_file(const struct repo *repo, const char *key)
{
	const char *set = setting(repo, key);

	return set ? xstrdup(set) : pinned_rule_neutral(pinned_rule(key));
}

bool plain_repository(const struct repo *repo)
{
	static const struct {
		const char *key, *value;
	} defaults[] = {{"core.autocrlf", "false"},
	                {"core.symlinks", "true"},
	                {"core.filemode", "true"},
	                {"core.ignorecase", "false"}};
	_cleanup_free_ char *info = NULL, *named = NULL;

	if (!repo->git || repo->id_len != GIT_OID_RAWSZ || repo_environment(repo, NULL) < 0 ||
	    repo_is_partial(repo))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
		const char *set = setting(repo, defaults[i].key);

		if (set && strcmp(set, defaults[i].value) != 0)
			return false;
	}
	info = repo_path(repo->place.common_dir, "info/attributes");
	named = named_file(repo, "core.attributesfile");
	return !file_exists(ETC_ATTRIBUTES) && !file_exists(info) &&
	       (!*named || (*named == '/' && !file_exists(named)));
}

/* Anything but empty lines and comments. */
static bool has_patterns(const char *file)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	char *save = NULL;

	if (file_read(file, EXCLUDE_MAX, &text, NULL) != 1)
		return file_exists(file);
	if (strlen(text.data) != text.len)
		return true;
	for (char *line = strtok_r(text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (*line != '#')
			return true;
	return false;
}

bool plain_may_ignore(const struct repo *repo)
{
	_cleanup_free_ char *info = repo_path(repo->place.common_dir, "info/exclude");
	_cleanup_free_ char *named = named_file(repo, "core.excludesfile");

	return has_patterns(info) || (*named && (*named != '/' || has_patterns(named)));
}
