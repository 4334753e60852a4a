/* The table of pleach-git's verbs, and how one is run: the part of the program that needs the
 * git library (verbs.h). */
#include <git2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "jsonl.h"
#include "mem.h"
#include "text.h"
#include "verb.h"
#include "verbs.h"

static const struct verb verbs[] = {
    {"resolve", verb_resolve},     {"base", verb_base},
    {"compare", verb_compare},     {"weave", verb_weave},
    {"clash", verb_clash},         {"prove", verb_prove},
    {"back", verb_back},           {"move", verb_move},
    {"contains", verb_contains},   {"diff", verb_diff},
    {"open", verb_open},           {"worktrees", verb_worktrees},
    {"remove", verb_remove},       {"repair", verb_repair},
    {"leftovers", verb_leftovers}, {"kept", verb_kept},
    {"settle", verb_settle},       {"tidy", verb_tidy},
    {"mend", verb_mend},           {"worktree_commit", verb_worktree_commit},
    {"drop_refs", verb_drop_refs}, {"pin", verb_pin},
    {"identity", verb_identity},   {"judge", verb_judge},
    {"name", verb_name},
};

int verb_open_repo(const json_t *request, struct repo *out, struct error *err)
{
	const char *root = json_text(request, "root");

	if (!root)
		return error_set(err, ERROR_INVALID, "root is missing");
	return repo_open(root, json_text(request, "pinned"), out, err);
}

const char *verb_id(const json_t *object, const char *key, struct error *err)
{
	const char *text = json_text(object, key);

	if (text && hex_is_id(text))
		return text;
	error_set(err, ERROR_INVALID, "%s must be a commit in full", key);
	return NULL;
}

char *verb_branch(const json_t *request, const char *key, struct error *err)
{
	const char *name = json_text(request, key);
	char *full = name ? xasprintf("refs/heads/%s", name) : NULL;
	int valid = 0;

	if (full && *name != '-' && git_reference_name_is_valid(&valid, full) == 0 && valid)
		return full;
	free(full);
	error_set(err, ERROR_INVALID, "%s: no name for a branch", name ? name : key);
	return NULL;
}

json_t *verb_text(const char *text)
{
	_cleanup_buf_ struct buf shown = BUF_INIT;

	if (text_is_utf8(text, strlen(text)))
		return json_string(text);
	for (; *text; text++) {
		if ((unsigned char)*text < 128)
			buf_add(&shown, text, 1);
		else
			buf_printf(&shown, "\\x%02x", (unsigned char)*text);
	}
	return json_string(shown.data);
}

json_t *verb_texts(char *const *strv)
{
	json_t *list = json_array();

	for (size_t i = 0; strv && strv[i]; i++)
		json_array_append_new(list, verb_text(strv[i]));
	return list;
}

static int print(json_t *answer)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	jsonl_add(&text, answer);
	json_decref(answer);
	return write_all(STDOUT_FILENO, text.data, text.len);
}

static int fail(const struct error *err)
{
	_cleanup_free_ char *shown = text_safe(err->text, 0);

	print(json_pack("{s:{s:s, s:o}}", "error", "code", error_code_word(err->code), "message",
	                json_text_or_null(shown)));
	return 1;
}

static int run_verb(const struct verb *verb, const char *text, size_t len)
{
	_cleanup_json_ json_t *request = NULL;
	struct error err = ERROR_INIT;
	json_t *answer = NULL;

	request = jsonl_parse(text, len, &err);
	if (!request)
		return fail(&err);
	if (!json_is_object(request)) {
		error_set(&err, ERROR_INVALID, "the request is no object");
		return fail(&err);
	}
	/* What is answered is on disk. */
	git_libgit2_init();
	git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1);
	if (verb->run(request, &answer, &err) < 0)
		return fail(&err);
	return answer && print(answer) < 0 ? 1 : 0;
}

static int run(const char *verb, const char *text, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (strcmp(verbs[i].name, verb) == 0)
			return run_verb(&verbs[i], text, len);
	fprintf(stderr, "pleach-git: no verb %s\n", verb);
	return 2;
}

__attribute__((visibility("default")))
const struct verbs_module pleach_git_module = {VERBS_VERSION, run};
