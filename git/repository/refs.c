/* Refs: reading and moving them by compare-and-swap, and keeping commits.
 *
 * Kept refs are siblings (31, 31-2, 31-verify), never 31/2: git cannot have a ref
 * and another one below it. */
#include "refs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "files.h"
#include "mem.h"

#define ZERO_ID      "0000000000000000000000000000000000000000000000000000000000000000"
#define KEEP_TRIES   1000
#define LOCK_STALE_S 2

int ref_read(const struct repo *repo, const char *name, char hex[HEX_SIZE], struct error *err)
{
	if (repo->git) {
		git_oid oid;
		int rc = git_reference_name_to_id(&oid, repo->git, name);

		if (rc == 0) {
			git_oid_tostr(hex, GIT_OID_HEXSZ + 1, &oid);
			return 1;
		}
		if (rc == GIT_ENOTFOUND)
			return 0;
	}
	return git_find_id(repo, name, hex, err);
}

/* libgit2 says CONFLICT for sure or leaves it to git, which knows the reason. */
static int write_by_git2(const struct repo *repo, const char *name, const char *hex,
                         const char *old, const char *why, struct error *err)
{
	git_reference *ref = NULL;
	git_oid oid, old_oid;
	int rc;

	if (!repo->git || git_oid_fromstr(&oid, hex) < 0 ||
	    (old && *old && git_oid_fromstr(&old_oid, old) < 0))
		return 1;
	rc = git_reference_create_matching(&ref, repo->git, name, &oid, !old || *old,
	                                   old && *old ? &old_oid : NULL, why);
	git_reference_free(ref);
	if (rc == GIT_EMODIFIED || (rc == GIT_EEXISTS && old && !*old))
		return error_set(err, ERROR_CONFLICT, "%s changed meanwhile", name);
	return rc == 0 ? 0 : 1;
}

static bool is_ours(const char *name)
{
	return strncmp(name, "refs/pleach/", 12) == 0 ||
	       strncmp(name, "refs/heads/pleach/", 18) == 0;
}

bool ref_is_broken(const struct repo *repo, const char *name)
{
	_cleanup_free_ char *path = repo_path(repo->place.common_dir, name), *line = NULL;
	struct stat st;

	if (!is_ours(name) || lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	line = file_line(path);
	if (line && strncmp(line, "ref: ", 5) == 0)
		return false;
	return !line || !hex_is_id(line) || !commit_exists(repo, line);
}

/* With its lock: whoever writes it takes that, too. */
void ref_drop_broken(const struct repo *repo, const char *name)
{
	_cleanup_free_ char *path = repo_path(repo->place.common_dir, name);
	_cleanup_free_ char *lock = xasprintf("%s.lock", path);
	int fd;

	if (!ref_is_broken(repo, name))
		return;
	fd = open(lock, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	close(fd);
	if (ref_is_broken(repo, name))
		unlink(path);
	unlink(lock);
}

/* A lock on a ref is held for milliseconds; one that stays was left by a process that was
 * killed. On our own refs (nobody else's) it is waited for, and then removed. */
static bool lock_is_gone(const struct repo *repo, const char *name)
{
	_cleanup_free_ char *lock = xasprintf("%s/%s.lock", repo->place.common_dir, name);
	const struct timespec pause = {.tv_nsec = 20000000};
	struct timespec now;
	struct stat st;

	if (!is_ours(name) || lstat(lock, &st) < 0)
		return false;
	do {
		clock_gettime(CLOCK_REALTIME, &now);
		/* A clock that was set back must not make it wait for ever. */
		if (now.tv_sec - st.st_mtim.tv_sec > LOCK_STALE_S || now.tv_sec < st.st_mtim.tv_sec)
			return unlink(lock) == 0 || errno == ENOENT;
		nanosleep(&pause, NULL);
	} while (lstat(lock, &st) == 0);
	return true;
}

static int write_once(const struct repo *repo, const char *name, const char *hex, const char *old,
                      const char *why, struct error *err)
{
	_cleanup_free_ char *own = xasprintf("%s/%s.lock", repo->place.common_dir, name);
	const char *const locks[] = {own, NULL};
	struct git_run run = {.locks = locks};
	char now[HEX_SIZE];
	int rc = write_by_git2(repo, name, hex, old, why, err);

	if (rc <= 0)
		return rc;
	/* An all-zero old value means that the ref must not exist. */
	rc = git_run(repo, &run,
	             GIT_ARGS("update-ref", "--no-deref", "--create-reflog", "-m", why, name, hex,
	                      old ? (*old ? old : &ZERO_ID[HEX_SIZE - 1 - strlen(hex)]) : NULL),
	             err);
	if (rc == 0)
		return 0;
	if (strstr(err ? err->text : "", "exists; cannot create"))
		err->code = ERROR_CONFLICT;
	else if (old && err) {
		struct error ignored = ERROR_INIT;
		int found = ref_read(repo, name, now, &ignored);

		if ((found == 0 && *old) || (found == 1 && strcmp(now, old) != 0))
			return error_set(err, ERROR_CONFLICT, "%s changed meanwhile", name);
	}
	return -1;
}

int ref_write(const struct repo *repo, const char *name, const char *hex, const char *old,
              const char *why, struct error *err)
{
	int rc = write_once(repo, name, hex, old, why, err);

	if (rc < 0 && lock_is_gone(repo, name))
		rc = write_once(repo, name, hex, old, why, err);
	return rc;
}

int ref_delete(const struct repo *repo, const char *name, const char *old, const char *const *set,
               struct error *err)
{
	_cleanup_free_ char *own = xasprintf("%s/%s.lock", repo->place.common_dir, name);
	_cleanup_free_ char *packed = repo_path(repo->place.common_dir, "packed-refs.lock");
	const char *const locks[] = {own, packed, NULL};
	struct git_run run = {.locks = locks, .set = set};

	return git_run(repo, &run, GIT_ARGS("update-ref", "--no-deref", "-d", name, old), err);
}

int ref_list(const struct repo *repo, const char *prefix, char ***names, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct git_run run = {.out = &text};
	char **list = xcalloc(1, sizeof *list);
	char *save = NULL;

	if (git_run(repo, &run, GIT_ARGS("for-each-ref", "--format=%(refname)", prefix), err) < 0) {
		strv_free(list);
		return -1;
	}
	buf_add(&text, "", 0);
	for (char *line = strtok_r(text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		strv_push(&list, xstrdup(line));
	*names = list;
	return 0;
}

char *ref_kept_stem(int64_t attempt, const char *teammate, const char *suffix)
{
	if (attempt > 0)
		return xasprintf("refs/pleach/kept/%lld%s%s", (long long)attempt, suffix ? "-" : "",
		                 suffix ? suffix : "");
	return xasprintf("refs/pleach/kept/slot-%s%s%s", teammate ? teammate : "unknown",
	                 suffix ? "-" : "", suffix ? suffix : "");
}

/* 1: kept under `name`; 0: the name is taken by something else. */
static int keep_under(const struct repo *repo, const char *name, const char *hex, struct error *err)
{
	struct error local = ERROR_INIT;
	char now[HEX_SIZE];
	int found = ref_read(repo, name, now, err), rc;

	if (found < 0)
		return -1;
	if (found == 1) {
		int within;

		if (strcmp(now, hex) == 0)
			return 1;
		within = commit_contains(repo, now, hex, &local);
		if (within == 1)
			return 1;
		if (commit_contains(repo, hex, now, &local) != 1)
			return 0;
	}
	rc = ref_write(repo, name, hex, found ? now : "", "pleach: keep", &local);
	if (rc == 0)
		return 1;
	if (local.code == ERROR_CONFLICT)
		return 0;
	if (err)
		*err = local;
	return -1;
}

int ref_keep(const struct repo *repo, const char *stem, const char *hex, char **name,
             struct error *err)
{
	for (int i = 1; i <= KEEP_TRIES; i++) {
		_cleanup_free_ char *candidate =
		    i == 1 ? xstrdup(stem) : xasprintf("%s-%d", stem, i);
		int rc = keep_under(repo, candidate, hex, err);

		if (rc < 0)
			return error_wrap(err, "cannot keep %s", hex);
		if (rc == 1) {
			if (name)
				*name = xstrdup(candidate);
			return 0;
		}
	}
	return error_set(err, ERROR_CONFLICT, "too many refs like %s (drop some: pleach gc)", stem);
}

char **commits_among(const struct repo *repo, const struct buf *names)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	int code = 0; /* it may die of one that is damaged: what it said before is true */
	struct git_run run = {
	    .in = names->data, .in_len = names->len, .out = &out, .exit_code = &code};
	char **list = NULL, *save = NULL;

	if (!names->len ||
	    git_run(repo, &run, GIT_ARGS("cat-file", "--batch-check=%(objectname) %(objecttype)"),
	            NULL) < 0)
		return NULL;
	buf_add(&out, "", 0);
	for (char *line = strtok_r(out.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *type = strchr(line, ' ');

		if (!type || strcmp(type, " commit") != 0)
			continue;
		*type = '\0';
		if (hex_is_id(line))
			strv_push(&list, xstrdup(line));
	}
	return list;
}

void refs_add_undamaged(const struct repo *repo, bool ours, struct buf *lines)
{
	_cleanup_buf_ struct buf out = BUF_INIT, names = BUF_INIT;
	_cleanup_strv_ char **commits = NULL;
	struct git_run run = {.out = &out};
	char *save = NULL;

	if (git_run(repo, &run,
	            GIT_ARGS("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/",
	                     "refs/tags/", "refs/remotes/", ours ? "refs/pleach/" : NULL),
	            NULL) < 0)
		return;
	buf_add(&out, "", 0);
	for (char *line = strtok_r(out.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *name = strchr(line, ' ');

		if (!name || (!ours && is_ours(name + 1)))
			continue;
		*name = '\0';
		buf_printf(&names, "%s^{commit}\n", line);
	}
	commits = commits_among(repo, &names);
	for (size_t i = 0; commits && commits[i]; i++)
		buf_printf(lines, "^%s\n", commits[i]);
}

/* What rev-list leaves of the history of `candidates`, tips first. */
static int list_unreached(const struct repo *repo, const char *const *candidates,
                          const char *const *reached, struct buf *out, struct error *err)
{
	_cleanup_buf_ struct buf in = BUF_INIT;
	struct git_run run = {.out = out};

	for (size_t i = 0; candidates[i]; i++)
		buf_printf(&in, "%s\n", candidates[i]);
	for (size_t i = 0; reached && reached[i]; i++)
		buf_printf(&in, "^%s\n", reached[i]);
	run.in = in.data;
	run.in_len = in.len;
	if (git_run(repo, &run,
	            GIT_ARGS("rev-list", "--topo-order", "--stdin", "--not", "--branches", "--tags",
	                     "--remotes", "--glob=refs/pleach/"),
	            NULL) == 0)
		return 0;
	out->len = 0;
	refs_add_undamaged(repo, true, &in);
	run.in = in.data;
	run.in_len = in.len;
	return git_run(repo, &run, GIT_ARGS("rev-list", "--topo-order", "--stdin"), err);
}

int ref_keep_unreached(const struct repo *repo, const char *stem, const char *const *candidates,
                       const char *const *reached, struct error *err)
{
	_cleanup_strv_ char **here = NULL;
	_cleanup_buf_ struct buf text = BUF_INIT;
	char *save = NULL;

	for (size_t i = 0; candidates && candidates[i]; i++)
		if (commit_exists(repo, candidates[i]))
			strv_push(&here, xstrdup(candidates[i]));
	if (!here)
		return 0;
	if (list_unreached(repo, (const char *const *)here, reached, &text, err) < 0)
		return -1;
	buf_add(&text, "", 0);
	/* Tips come first, and ref_keep takes what is below them as kept already. */
	for (char *line = strtok_r(text.data, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		bool asked = false;

		for (size_t i = 0; here[i]; i++)
			asked |= strcmp(here[i], line) == 0;
		if (asked && ref_keep(repo, stem, line, NULL, err) < 0)
			return -1;
	}
	return 0;
}

int commit_is_reached(const struct repo *repo, const char *commit, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (list_unreached(repo, (const char *const[]){commit, NULL}, NULL, &text, err) < 0)
		return -1;
	buf_add(&text, "", 0);
	return strncmp(text.data, commit, strlen(commit)) != 0;
}
