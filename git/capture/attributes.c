/* Judges .gitattributes files (gitattributes(5)). Whatever is not known to leave bytes alone counts
 * as the worst: a word too few here costs time, a word too many would cost content. */
#include "attributes.h"

#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "mem.h"

#define FILE_MAX (1u << 20)
#define NAME     ".gitattributes"

/* Without their values, and without - or ! before them. */
static const char *const harmless[] = {
    "diff",  "merge",      "binary",   "export-ignore",        "export-subst",
    "delta", "whitespace", "encoding", "conflict-marker-size", "lockable",
};
static const char *const harmless_families[] = {"linguist-", "gitlab-", "merge-", "diff-"};

static bool is_word(const char *word, size_t len, const char *want)
{
	return strlen(want) == len && strncmp(word, want, len) == 0;
}

static enum attributes judge_word(const char *word, size_t len)
{
	bool off = len && (*word == '-' || *word == '!');
	const char *equals = memchr(word, '=', len), *name = word + off;
	size_t n = (equals ? (size_t)(equals - word) : len) - off;

	for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
		if (is_word(name, n, harmless[i]))
			return ATTRIBUTES_NONE;
	for (size_t i = 0; i < ARRAY_LEN(harmless_families); i++)
		if (n > strlen(harmless_families[i]) &&
		    strncmp(name, harmless_families[i], strlen(harmless_families[i])) == 0)
			return ATTRIBUTES_NONE;
	if (is_word(word, len, "text") || is_word(word, len, "text=auto") ||
	    is_word(word, len, "-text") || is_word(word, len, "!text") ||
	    is_word(word, len, "eol=lf") || is_word(word, len, "-eol") ||
	    is_word(word, len, "!eol"))
		return ATTRIBUTES_LINES;
	/* Said of a path to undo what another line says, which is judged by itself. */
	if (off && (is_word(name, n, "filter") || is_word(name, n, "ident")))
		return ATTRIBUTES_NONE;
	return ATTRIBUTES_OTHER;
}

static enum attributes judge_line(const char *line, size_t len)
{
	enum attributes worst = ATTRIBUTES_NONE;
	size_t at = 0;

	while (at < len && strchr(" \t\r", line[at]))
		at++;
	if (at == len || line[at] == '#')
		return ATTRIBUTES_NONE;
	/* A quoted pattern can hold blanks; a macro gives words another meaning. */
	if (line[at] == '"' || line[at] == '[')
		return ATTRIBUTES_OTHER;
	for (bool pattern = true; at < len; pattern = false) {
		size_t n = 0;

		while (at + n < len && !strchr(" \t\r", line[at + n]))
			n++;
		if (!pattern && n) {
			enum attributes one = judge_word(line + at, n);

			worst = one > worst ? one : worst;
		}
		at += n;
		while (at < len && strchr(" \t\r", line[at]))
			at++;
	}
	return worst;
}

enum attributes attributes_judge(const char *text, size_t len)
{
	enum attributes worst = ATTRIBUTES_NONE;

	if (len && memchr(text, '\0', len))
		return ATTRIBUTES_OTHER;
	for (size_t at = 0; at < len;) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t n = end ? (size_t)(end - text) - at : len - at;
		enum attributes one = judge_line(text + at, n);

		worst = one > worst ? one : worst;
		at += n + 1;
	}
	return worst;
}

static bool is_attributes(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strcmp(slash ? slash + 1 : path, NAME) == 0;
}

enum attributes attributes_of_tree(const char *dir, const struct index_view *view)
{
	enum attributes worst = ATTRIBUTES_NONE;

	for (size_t i = 0; i < view->count && worst != ATTRIBUTES_OTHER; i++) {
		_cleanup_buf_ struct buf text = BUF_INIT;
		_cleanup_free_ char *file = NULL;
		enum attributes one = ATTRIBUTES_OTHER;

		if (!is_attributes(view->items[i].path))
			continue;
		file = repo_path(dir, view->items[i].path);
		if (file_read(file, FILE_MAX, &text, NULL) == 1)
			one = attributes_judge(text.data, text.len);
		worst = one > worst ? one : worst;
	}
	return worst;
}
