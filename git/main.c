/* pleach-git VERB: a question about git, or a change of it, as a short-lived child of the
 * coordinator. One JSON object on stdin, one on stdout; errors are
 * {"error":{"code","message"}} with exit status 1.
 *
 * Every request has "root" (a directory of the repository) and may have "pinned" (the pin
 * file, git/repository/pinned.h). Commits are full hex, branches short names, ids numbers.
 *
 * resolve {"revs":[REV|null],"branches":[NAME]} → {"commits":[{"rev","commit":HEX|null,
 *     "error":TEXT|null}],"head_branch":NAME|null,"bare":bool,"unborn":bool,"head":HEX|null,
 *     "branches":[{"name","commit":HEX|null}]}. A null rev is HEAD of the main worktree.
 * base {"base":HEX,"heads":[{"task","key","head":HEX}],"attempt_ref":REF|null} →
 *     {"commit":HEX} or {"conflict":{"paths":[PATH],"tasks":[{"task","key"}]}}. Merges the
 *     heads in the order of their ids; the same inputs give the same commit.
 * compare {"target":HEX|null,"protect":[PATH],"patch":BYTES|null,"items":[{"id","base":HEX|null,
 *     "head":HEX}]} → {"items":[{"id","files_changed","insertions","deletions","commits","tree",
 *     "conflicts":[PATH],"same_as":[id],"tests_edited":bool,"tests_added":N,"files":[PATH],
 *     "tests":PART,"source":PART,"protected":[PATH],"patch":TEXT?,"patch_cut":bool?,"base":HEX}],
 *     "overlaps":[{"a":id,"b":id,"paths":[PATH],"hunks":N}]}; PART = {"files","insertions",
 *     "deletions"}. Without a base: where the head left the target.
 * judge {"command":COMMAND,"input":JSON,"timeout":SECONDS,"env":{NAME:VALUE},"log":FILE|null} →
 *     {"exit_code","seconds","timed_out":bool,"output":TEXT,"tail":TEXT}: the user's command in
 *     the main worktree, with `input` on its stdin; its stdout, and the end of its stderr.
 * weave {"target":BRANCH,"onto":HEX|null,"items":[{"task","key","head":HEX,"base":HEX|null,
 *     "message":TEXT|null,"squash":bool,"commit":bool,"after":[task],"base_landed":bool,
 *     "resolve":bool,"resolves":[PATH],"branch":NAME|null}],"landed":[{"key","base","head"}],
 *     "sign":bool,"env":{},"dry_run":bool} → {"before":HEX,"after":HEX,"steps":[{"task","key",
 *     "kind","head","before":HEX,…}]}. Merges onto the target's tip (or onto) in memory, item
 *     after item; kind is
 *     merge: "commit","tree","squash","text": its message; contained: "commit", the target has it;
 * conflict: "paths","with":[key] and, asked to resolve, "marked": both sides as a commit with git's
 *     marks; refused: "paths","message", the user's own files are in the way, or git cannot read
 *     what it adds to the target; stopped:
 *     "after":[key], one that it comes after did not merge. Only a merge moves the assumed tip
 *     on. A fast-forward makes no commit unless "commit". Nothing moves; the last commit is
 *     held by refs/pleach/landing/BRANCH until `move`.
 *     Where an item's branch has commits beyond its head, its steps have "more": {"branch",
 *     "commits","tip","taken"}; taken: made in a worktree of `open`, and merged with it.
 * prove {"slot":DIR,"commit":HEX,"base":HEX,"items":[{"verify":VERIFY|null,"verified_tree":HEX,
 *     "setup","setup_when","copy","link"}],"env":{},"log":FILE|null} → {"passed":bool,"verify":
 *     {"command","exit_code","seconds"}|null,"tail"}. Runs each different verify on the commit in
 *     an integration slot, protected paths as in base. SIGTERM ends it and what it started. With
 *     "hooks" the user's commit hooks run first, on the one item's "text","head","squash":
 *     "commit" in the answer is what they made of it.
 * move {"target":BRANCH,"before":HEX,"after":HEX} → {"moved":true,"worktree":DIR|null}.
 *     CONFLICT: the target is not at before. BUSY: a rebase or bisect of it, two worktrees
 *     on it, or changed files of the user in the way. Moved already: done again is done.
 * back: as move, to a commit that before was built on.
 * clash {"target":BRANCH|null,"items":[{"task","group":id|0,"base":HEX,"head":HEX|null,"dir":DIR|
 *     null}]} → {"pairs":[{"a":task,"b":task,"paths":[PATH]}],"target":[{"task","paths"}]}. What
 *     the slots at dir hold now, and heads, merged pairwise (not within a group) and with the
 *     target's tip: what conflicts. Nothing is kept of it.
 * contains {"target":BRANCH,"commit":HEX} → {"contains":bool,"tip":HEX}
 * diff {"base":HEX,"head":HEX|null,"slot":DIR|null,"stat":bool,"plain":bool,"color":bool}: no
 *     JSON, the patch itself on stdout; binary files too, unless plain. With slot, base to its
 *     files as they are.
 * open {"branch":NAME|null,"commit":HEX|null,"dir":DIR} → {"dir","created":bool,
 *     "branch":NAME|null}. A branch that is checked out somewhere: that worktree.
 *     DIR-2 and so on where something is at dir already.
 * worktrees {} → {"worktrees":[{"dir","branch","head","locked":TEXT|null,"missing":bool,
 *     "doing":"rebase"|"bisect"|null,"main":bool,"opened":bool}]}; opened: `open` made it.
 * remove {"dir":DIR,"scratch":bool,"idle":bool,"dry":bool} → {"removed":bool,"kept":HEX|null}: a
 *     slot, once its content is kept; what only proofs ran in (compare_N) without. idle: BUSY, with
 *     the reason, where somebody works in it; dry: that is all that is looked at.
 * leftovers {"slots":DIR} → {"items":[{"path","why"}]}: what is there and is no slot.
 * settle {"dir":DIR} → {"kept":HEX|null}: the slot of a dead worker; its branch is let go of.
 * tidy {"dirs":[DIR]} → {"problems":[TEXT]}: integration slots in which a proof died.
 * mend {"dirs":[DIR]} → {"removed":[PATH or ref that was moved],"problems":[TEXT]}: after a restart
 *   of the machine.
 * worktree_commit {"dir":DIR} → {"commit":HEX,"changed":bool}: uncommitted work as a commit.
 * repair {"dirs":[DIR]} → {}: `git worktree repair`, after a repository (or these) moved.
 * kept {} → {"refs":[{"ref","commit"}]}: everything below refs/pleach/.
 * drop_refs {"refs":[REF]} → {"dropped":[REF]}: only below refs/pleach/.
 * name {"branch":NAME,"commit":HEX,"earlier":[{"attempt":id,"commit":HEX}]} → {"created":bool}: a
 *     branch at that commit. One of ours at an earlier one is moved, that one kept. CONFLICT: there
 *     is one, elsewhere or checked out.
 * pin {"keep":bool} → {"changed":[NAME]}: writes the pin file from the configuration as it is
 *     now; with keep one that is there stays, and what differs is named.
 * identity {} → {"name","email"}: who our commits are by. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "jsonl.h"
#include "mem.h"
#include "module.h"
#include "proc.h"
#include "quick.h"
#include "verbs.h"

static int fail(const char *code, const char *message)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_json_ json_t *answer = json_pack("{s:{s:s, s:o}}", "error", "code", code,
	                                          "message", json_text_or_null(message));

	jsonl_add(&text, answer);
	write_all(STDOUT_FILENO, text.data, text.len);
	return 1;
}

/* True when it was answered here. */
static bool answer_quickly(const char *verb, const struct buf *in)
{
	static const struct {
		const char *verb;
		json_t *(*answer)(const json_t *request);
	} quick[] = {{"resolve", quick_resolve}, {"pin", quick_pin}};
	_cleanup_json_ json_t *request = jsonl_parse(in->data, in->len, NULL), *answer = NULL;
	_cleanup_buf_ struct buf text = BUF_INIT;

	for (size_t i = 0; request && i < ARRAY_LEN(quick); i++)
		if (strcmp(verb, quick[i].verb) == 0)
			answer = quick[i].answer(request);
	if (!answer)
		return false;
	jsonl_add(&text, answer);
	return write_all(STDOUT_FILENO, text.data, text.len) == 0;
}

static int run(const char *verb, const struct buf *in)
{
	struct error err = ERROR_INIT;
	const struct verbs_module *module =
	    module_load(VERBS_FILE, VERBS_SYMBOL, VERBS_VERSION, &err);

	return module ? module->run(verb, in->data, in->len) : fail("external", err.text);
}

/* What the user's commands start is found after our death by the mark that the coordinator gave
 * us, whatever became of their environment. */
static void join_family(void)
{
	const char *mark = getenv("PLEACH_GIT_JOB");
	_cleanup_free_ char *family = mark ? xasprintf("PLEACH_GIT_JOB=%s", mark) : NULL;

	if (family)
		proc_family_join(family);
}

int main(int argc, char **argv)
{
	_cleanup_buf_ struct buf in = BUF_INIT;
	ssize_t n;

	proc_guard_std();
	signal(SIGPIPE, SIG_IGN);
	join_family();
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("pleach-git %s\n", PLEACH_VERSION);
		return 0;
	}
	if (argc != 2) {
		fputs("usage: pleach-git VERB < request.json\n", stderr);
		return 2;
	}
	while ((n = buf_read(&in, STDIN_FILENO, 64u << 10)) > 0)
		if (in.len > JSONL_PERSON_MAX)
			return fail("invalid", "the request is too long");
	buf_add(&in, "", 0);
	if (answer_quickly(argv[1], &in))
		return 0;
	return run(argv[1], &in);
}
