/* Collecting object ids from the files of a git directory (gitrepository-layout(5)). */
#include "named_ids.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "mem.h"
#include "refs.h"

#define FILE_MAX   (64u << 20)
#define TREE_DEPTH 8

/* How the lines of a file are read. */
enum form { FORM_IDS, FORM_REFLOG, FORM_PACKED_OWN, FORM_PACKED_FETCHED };

static void add_id(struct named_ids *list, const char *text)
{
	size_t n = strspn(text, "0123456789abcdef");
	char hex[HEX_SIZE];

	if (n != 40 && n != 64)
		return;
	memcpy(hex, text, n);
	hex[n] = '\0';
	if (strspn(hex, "0") == n || (list->reached && strcmp(hex, list->reached) == 0))
		return;
	/* Reflogs repeat themselves: what came last is what comes next. */
	for (size_t i = list->count; i-- > 0 && list->count - i < 64;)
		if (strcmp(list->ids[i], hex) == 0)
			return;
	if (list->reached && commit_contains(list->repo, list->reached, hex, NULL) == 1)
		return;
	list->ids = xrealloc(list->ids, (list->count + 2) * sizeof *list->ids);
	list->ids[list->count++] = xstrdup(hex);
	list->ids[list->count] = NULL;
}

static bool is_wanted(const char *line, enum form form)
{
	bool fetched = strstr(line, " refs/remotes/") != NULL;

	return form == FORM_PACKED_OWN ? !fetched : form == FORM_PACKED_FETCHED ? fetched : true;
}

static void add_lines(struct named_ids *list, const char *file, enum form form)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	char *save = NULL;

	if (file_read(file, FILE_MAX, &text, NULL) != 1)
		return;
	for (char *line = strtok_r(text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (!is_wanted(line, form))
			continue;
		add_id(list, line);
		if (form == FORM_REFLOG && strchr(line, ' '))
			add_id(list, strchr(line, ' ') + 1);
	}
}

/* All files below a directory of refs, of reflogs, or of a half-done operation; `without` (may
 * be NULL) is a directory's name. */
static void add_files_below(struct named_ids *list, const char *path, enum form form,
                            const char *without, int depth)
{
	struct dirent *entry;
	DIR *dir = depth < TREE_DEPTH && file_is_dir(path) ? opendir(path) : NULL;

	while (dir && (entry = readdir(dir))) {
		_cleanup_free_ char *file = repo_path(path, entry->d_name);

		if (entry->d_name[0] == '.' || (without && strcmp(entry->d_name, without) == 0))
			continue;
		if (file_is_dir(file))
			add_files_below(list, file, form, without, depth + 1);
		else
			add_lines(list, file, form);
	}
	if (dir)
		closedir(dir);
}

static void add_dir(struct named_ids *list, const char *git_dir, const char *name, enum form form,
                    const char *without)
{
	_cleanup_free_ char *dir = repo_path(git_dir, name);

	add_files_below(list, dir, form, without, 0);
}

static void add_file(struct named_ids *list, const char *git_dir, const char *name, enum form form)
{
	_cleanup_free_ char *file = repo_path(git_dir, name);

	add_lines(list, file, form);
}

static void add_heads(struct named_ids *list, const char *git_dir, const char *without)
{
	static const char *const heads[] = {"HEAD",           "ORIG_HEAD",   "MERGE_HEAD",
	                                    "REVERT_HEAD",    "REBASE_HEAD", "CHERRY_PICK_HEAD",
	                                    "MERGE_AUTOSTASH"};
	static const char *const dirs[] = {"refs", "rebase-merge", "rebase-apply", "sequencer"};

	for (size_t i = 0; i < ARRAY_LEN(heads); i++)
		add_file(list, git_dir, heads[i], FORM_IDS);
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		add_dir(list, git_dir, dirs[i], FORM_IDS, without);
}

void named_ids_of_worktree(struct named_ids *list, const char *git_dir)
{
	add_heads(list, git_dir, NULL);
	add_file(list, git_dir, "logs/HEAD", FORM_REFLOG);
}

void named_ids_of_repository(struct named_ids *list, const char *git_dir)
{
	add_heads(list, git_dir, "remotes");
	add_file(list, git_dir, "packed-refs", FORM_PACKED_OWN);
	add_dir(list, git_dir, "logs", FORM_REFLOG, "remotes");
}

void named_ids_fetched(struct named_ids *list, const char *git_dir)
{
	add_file(list, git_dir, "packed-refs", FORM_PACKED_FETCHED);
	add_dir(list, git_dir, "refs/remotes", FORM_IDS, NULL);
}
