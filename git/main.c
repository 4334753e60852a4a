/* pleach-git VERB: a question about git, or a change of it, as a short-lived child of the
 * coordinator. One JSON object on stdin, one on stdout; errors are
 * {"error":{"code","message"}} with exit status 1.
 *
 * Every request has "root" (a directory of the repository) and may have "pinned" (the pin
 * file, git/pinned.h). Commits are full hex, branches short names, ids numbers.
 *
 * resolve {"revs":[REV|null],"branches":[NAME]} → {"commits":[{"rev","commit":HEX|null,
 *     "error":TEXT|null}],"head_branch":NAME|null,"bare":bool,"unborn":bool,"head":HEX|null,
 *     "branches":[{"name","commit":HEX|null}]}. A null rev is HEAD of the main worktree.
 * base {"base":HEX,"heads":[{"task","key","head":HEX}],"attempt_ref":REF|null} →
 *     {"commit":HEX} or {"conflict":{"paths":[PATH],"tasks":[{"task","key"}]}}. Merges the
 *     heads in the order of their ids; the same inputs give the same commit.
 * compare {"target":HEX|null,"protect":[PATH],"items":[{"id","base":HEX,"head":HEX}]} →
 *     {"items":[{"id","files_changed","insertions","deletions","commits","tree",
 *     "conflicts":[PATH],"same_as":[id],"tests_edited":bool,"tests_added":N,"files":[PATH]}],
 *     "overlaps":[{"a":id,"b":id,"paths":[PATH],"hunks":N}]}
 * prepare {"target":BRANCH,"onto":HEX|null,"items":[{"task","key","head":HEX,"base":HEX|null,
 *     "message":TEXT|null,"squash":bool,"after":[task],"verify":VERIFY|null,
 *     "verified_tree":HEX|null,"base_landed":bool,"setup","copy","link"}],"squash":bool,
 *     "verify":VERIFY|null,"setup":COMMAND|null,"copy":[PATH],"link":[PATH],"slot":DIR,
 *     "env":{NAME:VALUE},"log":FILE|null,"dry_run":bool} →
 * {"before":HEX,"after":HEX,"merged":[{"task","key",
 *     "commit":HEX,"skipped":bool}],"conflicts":[{"task","key","paths":[PATH],"with":[key]}],
 *     "verify_failed":[{"task","key","exit_code","tail"}],"stopped":[{"task","key","after":
 *     [key]}],"verify":{"command","exit_code","seconds"}|null}. Merges onto the target's tip
 *     (or onto) in memory, item after item, each verified in the integration slot; an item
 *     that conflicts or fails leaves the tip where it was and stops those that name it in
 *     "after". A head that the target contains is skipped; a fast-forward makes no commit.
 *     Nothing moves; the result is held by refs/pleach/landing/BRANCH until `move`.
 * move {"target":BRANCH,"before":HEX,"after":HEX} → {"moved":true,"worktree":DIR|null}.
 *     CONFLICT: the target is not at before. BUSY: a rebase or bisect of it, two worktrees
 *     on it, or changed files of the user in the way. Moved already: done again is done.
 * contains {"target":BRANCH,"commit":HEX} → {"contains":bool,"tip":HEX}
 * diff {"base":HEX,"head":HEX|null,"slot":DIR|null,"stat":bool,"color":bool}: no JSON, the
 *     patch itself (binary included) on stdout. With slot, base to its files as they are.
 * open {"branch":NAME|null,"commit":HEX|null,"dir":DIR} → {"dir","created":bool,
 *     "branch":NAME|null}. A branch that is checked out somewhere: that worktree.
 * worktrees {} → {"worktrees":[{"dir","branch","head","locked":TEXT|null,"missing":bool,
 *     "doing":"rebase"|"bisect"|null,"main":bool}]}
 * remove {"dir":DIR} → {"removed":bool,"kept":HEX|null}: a slot, once its content is kept.
 * settle {"dir":DIR} → {"kept":HEX|null}: the slot of a dead worker; its branch is let go of.
 * worktree_commit {"dir":DIR} → {"commit":HEX,"changed":bool}: uncommitted work as a commit.
 * repair {"dirs":[DIR]} → {}: `git worktree repair`, after a repository (or these) moved.
 * kept {} → {"refs":[{"ref","commit"}]}: everything below refs/pleach/.
 * drop_refs {"refs":[REF]} → {"dropped":[REF]}: only below refs/pleach/.
 * pin {} → {}: writes the pin file from the configuration as it is now.
 * identity {} → {"name","email"}: who our commits are by. */
#include <git2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "jsonl.h"
#include "mem.h"
#include "text.h"
#include "verb.h"

static const struct verb verbs[] = {
    {"resolve", verb_resolve},     {"base", verb_base},
    {"compare", verb_compare},     {"prepare", verb_prepare},
    {"move", verb_move},           {"contains", verb_contains},
    {"diff", verb_diff},           {"open", verb_open},
    {"worktrees", verb_worktrees}, {"remove", verb_remove},
    {"repair", verb_repair},       {"kept", verb_kept},
    {"settle", verb_settle},       {"worktree_commit", verb_worktree_commit},
    {"drop_refs", verb_drop_refs}, {"pin", verb_pin},
    {"identity", verb_identity},
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

static int run_verb(const struct verb *verb)
{
	_cleanup_buf_ struct buf in = BUF_INIT;
	_cleanup_json_ json_t *request = NULL;
	struct error err = ERROR_INIT;
	json_t *answer = NULL;
	ssize_t n;

	while ((n = buf_read(&in, STDIN_FILENO, 64u << 10)) > 0)
		if (in.len > JSONL_PERSON_MAX) {
			error_set(&err, ERROR_INVALID, "the request is too long");
			return fail(&err);
		}
	buf_add(&in, "", 0);
	request = jsonl_parse(in.data, in.len, &err);
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

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("pleach-git %s\n", PLEACH_VERSION);
		return 0;
	}
	for (size_t i = 0; argc == 2 && i < ARRAY_LEN(verbs); i++)
		if (strcmp(verbs[i].name, argv[1]) == 0)
			return run_verb(&verbs[i]);
	fputs("usage: pleach-git VERB < request.json\n", stderr);
	return 2;
}
