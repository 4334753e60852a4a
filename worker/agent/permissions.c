/* Matching what an agent asks leave for against the rules of a plan. Whatever cannot be told for
 * certain from the text of a command is not allowed by a rule: then a person is asked, or the
 * agent's own way holds. */
#include "permissions.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "buf.h"
#include "jsonl.h"
#include "mem.h"

static const struct {
	const char *tool, *kind;
} kinds[] = {
    {"read", "read"},
    {"read_file", "read"},
    {"notebookread", "read"},
    {"ls", "read"},
    {"list_directory", "read"},
    {"read_many_files", "read"},
    {"glob", "search"},
    {"grep", "search"},
    {"search_file_content", "search"},
    {"find", "search"},
    {"edit", "edit"},
    {"write", "edit"},
    {"multiedit", "edit"},
    {"notebookedit", "edit"},
    {"write_file", "edit"},
    {"replace", "edit"},
    {"apply_patch", "edit"},
    {"bash", "execute"},
    {"shell", "execute"},
    {"exec", "execute"},
    {"run_shell_command", "execute"},
    {"powershell", "execute"},
    {"webfetch", "fetch"},
    {"web_fetch", "fetch"},
    {"websearch", "fetch"},
    {"google_web_search", "fetch"},
    {"todowrite", "think"},
    {"delete", "delete"},
    {"move", "move"},
};

const char *permission_kind(const char *tool)
{
	for (size_t i = 0; tool && i < ARRAY_LEN(kinds); i++)
		if (strcasecmp(kinds[i].tool, tool) == 0)
			return kinds[i].kind;
	return "other";
}

/* `*` is any text, everything else itself. Linear in both for each star that is tried last. */
static bool glob(const char *pattern, const char *pattern_end, const char *text,
                 const char *text_end)
{
	const char *star = NULL, *back = NULL;

	while (text < text_end) {
		if (pattern < pattern_end && *pattern == '*') {
			star = ++pattern;
			back = text;
		} else if (pattern < pattern_end && *pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star;
			text = ++back;
		} else {
			return false;
		}
	}
	while (pattern < pattern_end && *pattern == '*')
		pattern++;
	return pattern == pattern_end;
}

static bool glob_word(const char *pattern, size_t len, const char *text)
{
	return glob(pattern, pattern + len, text, text + strlen(text));
}

static bool same_word(const char *word, size_t len, const char *text)
{
	return text && strlen(text) == len && strncasecmp(word, text, len) == 0;
}

/* The part before the brackets: a tool's name, or a kind. */
static bool head_matches(const char *head, size_t len, const struct permission_request *r)
{
	_cleanup_free_ char *name = xstrndup(head, len);

	if ((len == 1 && *head == '*') || same_word(head, len, r->tool) ||
	    same_word(head, len, r->kind))
		return true;
	if (r->tool) /* mcp__github__*: names of tools may have stars, too */
		return memchr(head, '*', len) && glob_word(head, len, r->tool);
	/* An agent that names no tool is matched by what tools of that name are. */
	return r->kind && strcmp(permission_kind(name), "other") != 0 &&
	       strcasecmp(permission_kind(name), r->kind) == 0;
}

/* Where the next part of a command begins, or NULL; *end: where this one ends. Quotes are not
 * looked at: what stands in them is taken apart like the rest, which only ever refuses more. */
static const char *next_part(const char *at, const char **end)
{
	*end = at + strcspn(at, ";&|\n\r(){}");
	if (!**end)
		return NULL;
	at = *end;
	at += strspn(at, ";&|\n\r(){} \t");
	return at;
}

static bool part_matches(const char *glob_at, size_t glob_len, const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return glob(glob_at, glob_at + glob_len, at, end);
}

/* `all`: every part has to match, and nothing may hide in it. */
static bool command_matches(const char *pattern, size_t len, const char *command, bool all)
{
	const char *at = command, *end, *next;

	if (all && strpbrk(command, "`$<>"))
		return false;
	if (!all && glob_word(pattern, len, command))
		return true;
	for (; at; at = next) {
		next = next_part(at, &end);
		if (at == end)
			continue;
		if (part_matches(pattern, len, at, end) != all)
			return !all;
	}
	return all;
}

static bool pattern_matches(const char *pattern, const struct permission_request *r, bool all)
{
	const char *bracket = strchr(pattern, '(');
	size_t len = strlen(pattern), head = bracket ? (size_t)(bracket - pattern) : len;
	const char *inside = bracket ? bracket + 1 : NULL;
	size_t inside_len;

	if (!head_matches(pattern, head, r))
		return false;
	if (!inside)
		return true;
	if (pattern[len - 1] != ')') /* not a pattern: it must neither allow nor be passed over */
		return !all;
	inside_len = len - head - 2;
	if (inside_len == 1 && *inside == '*')
		return true;
	if (!r->argument)
		return !all;
	if (r->kind && strcmp(r->kind, "execute") == 0)
		return command_matches(inside, inside_len, r->argument, all);
	/* A path that climbs may be any path. */
	if (all && strstr(r->argument, ".."))
		return false;
	return glob_word(inside, inside_len, r->argument);
}

static const char *rule_of(const json_t *policy, const char *list,
                           const struct permission_request *r, bool all)
{
	const json_t *pattern;
	size_t i;

	json_array_foreach (json_sub(policy, list), i, pattern) {
		const char *text = json_string_value(pattern);

		if (text && *text && pattern_matches(text, r, all))
			return text;
	}
	return NULL;
}

enum permission permission_decide(const json_t *policy, const struct permission_request *r,
                                  const char **rule)
{
	static const struct {
		const char *list;
		enum permission means;
		bool all;
	} lists[] = {{"deny", PERMISSION_DENY, false},
	             {"ask", PERMISSION_ASK, false},
	             {"allow", PERMISSION_ALLOW, true}};
	const char *found = NULL;
	enum permission means = PERMISSION_NONE;

	for (size_t i = 0; !found && i < ARRAY_LEN(lists); i++) {
		found = rule_of(policy, lists[i].list, r, lists[i].all);
		if (found)
			means = lists[i].means;
	}
	if (rule)
		*rule = found;
	return means;
}

enum permission permission_answer(const char *text)
{
	static const char *const yes[] = {"allow", "yes", "y", "ok", "allow_once", "allow_always"};
	static const char *const no[] = {"deny", "no", "n", "reject", "reject_once"};
	size_t len;

	text += strspn(text, " \t\r\n");
	len = strcspn(text, " \t\r\n.!");
	if (text[len + strspn(text + len, " \t\r\n.!")])
		return PERMISSION_NONE;
	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		if (same_word(text, len, yes[i]))
			return PERMISSION_ALLOW;
	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		if (same_word(text, len, no[i]))
			return PERMISSION_DENY;
	return PERMISSION_NONE;
}
