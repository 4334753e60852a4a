/* Places: the repository around a directory, its id, its folders. */
#include "place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "mem.h"
#include "text.h"

#define ID_LEN 16

static bool is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool exists_below(const char *dir, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);

	return access(path, F_OK) == 0;
}

static bool looks_like_git_dir(const char *dir)
{
	return exists_below(dir, "HEAD") &&
	       (exists_below(dir, "commondir") ||
	        (exists_below(dir, "objects") && exists_below(dir, "refs")));
}

/* Cuts the newline that ends the text: a path may hold others. */
static void cut_end_of_line(char *text)
{
	size_t n = strlen(text);

	while (n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		text[--n] = '\0';
}

/* What lies in a repository may be a pipe that nobody ever writes to. */
static int read_plain_file(const char *file, size_t max, char **text)
{
	struct stat st;

	if (stat(file, &st) < 0 || !S_ISREG(st.st_mode))
		return -1;
	return place_read_file(file, max, text, NULL, NULL);
}

/* Reads a one-line file whose content names a directory, relative to `from`.
 * `prefix` ("gitdir: " or "") is skipped. Caller frees; NULL when it is not there. */
static char *read_pointer(const char *file, const char *prefix, const char *from)
{
	_cleanup_free_ char *text = NULL;
	char *target, *real;
	size_t n;

	if (read_plain_file(file, PATH_MAX, &text) < 0)
		return NULL;
	n = strlen(prefix);
	if (strncmp(text, prefix, n) != 0)
		return NULL;
	target = text + n;
	cut_end_of_line(target);
	if (target[0] == '/')
		return realpath(target, NULL);
	_cleanup_free_ char *joined = xasprintf("%s/%s", from, target);
	real = realpath(joined, NULL);
	return real;
}

/* The `.git` of dir: a folder, or a file that points to one. NULL: none. Caller frees. */
static char *git_dir_of(const char *dir)
{
	_cleanup_free_ char *dot = xasprintf("%s/.git", dir);
	struct stat st;

	if (lstat(dot, &st) < 0)
		return NULL;
	if (S_ISREG(st.st_mode)) {
		char *target = read_pointer(dot, "gitdir: ", dir);

		if (target && looks_like_git_dir(target))
			return target;
		free(target);
		return NULL;
	}
	if (is_dir(dot) && looks_like_git_dir(dot))
		return realpath(dot, NULL);
	return NULL;
}

static bool has_dot_git_file(const char *dir)
{
	_cleanup_free_ char *dot = xasprintf("%s/.git", dir);
	struct stat st;

	return lstat(dot, &st) == 0 && S_ISREG(st.st_mode);
}

static char *common_dir_of(const char *git_dir)
{
	_cleanup_free_ char *file = xasprintf("%s/commondir", git_dir);
	char *common = read_pointer(file, "", git_dir);

	return common ? common : xstrdup(git_dir);
}

/* A main worktree's repository is its `.git`; what has another name is bare. A submodule
 * or --separate-git-dir repository is its worktree's: core.worktree is not needed since we
 * stand in it. */
static char *root_of(const char *common_dir, const char *worktree, const char *git_dir, bool *bare)
{
	size_t n = strlen(common_dir);

	*bare = false;
	if (n > 5 && strcmp(common_dir + n - 5, "/.git") == 0)
		return xstrndup(common_dir, n - 5);
	if (worktree && strcmp(git_dir, common_dir) == 0)
		return xstrdup(worktree);
	*bare = true;
	return xstrdup(common_dir);
}

static char *safe_name_of(const char *root)
{
	const char *slash = strrchr(root, '/');
	char *name = xstrndup(slash && slash[1] ? slash + 1 : "repository", 64);

	for (char *p = name; *p; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
		      (*p >= '0' && *p <= '9') || (*p && strchr("._-", *p))))
			*p = '_';
	if (name[0] == '.' || name[0] == '-')
		name[0] = '_';
	return name;
}

static int find_from(const char *cwd, struct place *place)
{
	_cleanup_free_ char *dir = xstrdup(cwd);

	for (;;) {
		char *slash;

		place->git_dir = git_dir_of(dir);
		if (place->git_dir) {
			place->worktree = xstrdup(dir);
			return 0;
		}
		/* As git does: a broken worktree is not part of the repository above it. */
		if (has_dot_git_file(dir))
			return -1;
		if (looks_like_git_dir(dir) && exists_below(dir, "config")) {
			place->git_dir = xstrdup(dir);
			return 0;
		}
		slash = strrchr(dir, '/');
		if (!slash || strcmp(dir, "/") == 0)
			return -1;
		if (slash == dir)
			slash++;
		*slash = '\0';
	}
}

/* What the id file holds: the id, a newline, the common directory it was given in. */
static int id_read(const char *common_dir, char id[ID_LEN + 1], char **where)
{
	_cleanup_free_ char *file = xasprintf("%s/pleach/id", common_dir);
	_cleanup_free_ char *text = NULL;

	*where = NULL;
	if (read_plain_file(file, 2 * PATH_MAX, &text) < 0 ||
	    strspn(text, "0123456789abcdef") != ID_LEN || text[ID_LEN] != '\n')
		return -1;
	memcpy(id, text, ID_LEN);
	id[ID_LEN] = '\0';
	cut_end_of_line(text + ID_LEN + 1);
	*where = xstrdup(text + ID_LEN + 1);
	return 0;
}

/* The user's home: as the environment says, else as the system knows it. Caller frees. */
static char *home_dir(void)
{
	const char *home = getenv("HOME");
	const struct passwd *user;

	if (home && home[0] == '/')
		return xstrdup(home);
	user = getpwuid(geteuid());
	return xstrdup(user && user->pw_dir && user->pw_dir[0] == '/' ? user->pw_dir : "/");
}

/* $NAME where it is an absolute path (the XDG rule), else home and `below`. Caller frees. */
static char *xdg_dir(const char *name, const char *below)
{
	const char *dir = getenv(name);
	_cleanup_free_ char *home = NULL;

	if (dir && dir[0] == '/')
		return xstrdup(dir);
	home = home_dir();
	return xasprintf("%s%s", strcmp(home, "/") ? home : "", below);
}

/* The folder of runtime folders; `ours` is false where the user named it. Caller frees. */
static char *runtime_top(bool *ours)
{
	const char *dir = getenv("PLEACH_RUNTIME_DIR");

	*ours = !dir || dir[0] != '/';
	return *ours ? xasprintf("/tmp/pleach-%d", (int)geteuid()) : xstrdup(dir);
}

/* `<name>-<id>`; a repository that was renamed goes on with the folder that it has. */
static char *state_dir_of(const char *name, const char *id)
{
	_cleanup_free_ char *state = xdg_dir("XDG_STATE_HOME", "/.local/state");
	char *dir = xasprintf("%s/pleach/%s-%s", state, name, id), *found = NULL;
	_cleanup_free_ char *top = xasprintf("%s/pleach", state);
	struct dirent *entry;
	DIR *all;

	if (is_dir(dir) || !(all = opendir(top)))
		return dir;
	while (!found && (entry = readdir(all))) {
		size_t n = strlen(entry->d_name);

		if (n > ID_LEN && entry->d_name[n - ID_LEN - 1] == '-' &&
		    strcmp(entry->d_name + n - ID_LEN, id) == 0)
			found = xasprintf("%s/%s", top, entry->d_name);
	}
	closedir(all);
	if (found && is_dir(found)) {
		free(dir);
		return found;
	}
	free(found);
	return dir;
}

static void place_fill(struct place *place, const char *id)
{
	bool ours;
	_cleanup_free_ char *top = runtime_top(&ours);

	place->id = xstrdup(id);
	place->state_dir = state_dir_of(place->name, id);
	place->runtime_dir = xasprintf("%s/%s", top, id);
	place->socket = xasprintf("%s/control", place->runtime_dir);
}

int place_find(const char *dir, struct place *out, struct error *err)
{
	struct place place = {0};
	char id[ID_LEN + 1], *where = NULL;

	place.cwd = realpath(dir ? dir : ".", NULL);
	if (!place.cwd)
		return error_errno(err, "cannot enter %s", dir ? dir : ".");
	if (find_from(place.cwd, &place) < 0) {
		error_set(err, ERROR_EXTERNAL,
		          "%s is not in a git repository (git init, or -C DIR)", place.cwd);
		place_finish(&place);
		return -1;
	}
	place.common_dir = common_dir_of(place.git_dir);
	place.root = root_of(place.common_dir, place.worktree, place.git_dir, &place.bare);
	place.name = safe_name_of(place.root);
	if (id_read(place.common_dir, id, &where) == 0 && strcmp(where, place.common_dir) == 0)
		place_fill(&place, id);
	free(where);
	*out = place;
	return 0;
}

static int id_write(const struct place *place, const char *id, struct error *err)
{
	_cleanup_free_ char *file = xasprintf("%s/pleach/id", place->common_dir);
	_cleanup_free_ char *text = xasprintf("%s\n%s\n", id, place->common_dir);

	return place_write_file(file, text, strlen(text), err);
}

/* The repository that a state directory says it belongs to. Caller frees; NULL: it does not say. */
static char *owner_read(const char *state_dir)
{
	_cleanup_free_ char *file = xasprintf("%s/owner", state_dir);
	char *text = NULL;

	if (read_plain_file(file, 2 * PATH_MAX, &text) == 0)
		cut_end_of_line(text);
	return text;
}

/* What a copy shows when its original was moved away: both name a place that is gone. Whoever came
 * first has the id; two coordinators on one store must never be. */
static bool id_is_taken(const struct place *place, const char *id)
{
	_cleanup_free_ char *dir = state_dir_of(place->name, id), *owner = owner_read(dir);
	_cleanup_free_ char *where = NULL;
	char theirs[ID_LEN + 1];

	return owner && strcmp(owner, place->common_dir) != 0 &&
	       id_read(owner, theirs, &where) == 0 && strcmp(theirs, id) == 0 &&
	       strcmp(where, owner) == 0;
}

/* An id file that cannot be read is not the end of the history: the state directory still says
 * whose it is. */
static bool id_from_owner(const struct place *place, char id[ID_LEN + 1])
{
	_cleanup_free_ char *state = xdg_dir("XDG_STATE_HOME", "/.local/state");
	_cleanup_free_ char *top = xasprintf("%s/pleach", state);
	_cleanup_free_ char *file = xasprintf("%s/pleach/id", place->common_dir);
	struct dirent *entry;
	bool found = false;
	DIR *all = access(file, F_OK) == 0 ? opendir(top) : NULL;

	while (all && !found && (entry = readdir(all))) {
		_cleanup_free_ char *dir = xasprintf("%s/%s", top, entry->d_name);
		_cleanup_free_ char *owner = owner_read(dir);
		size_t n = strlen(entry->d_name);

		found = owner && n > ID_LEN && strcmp(owner, place->common_dir) == 0 &&
		        strspn(entry->d_name + n - ID_LEN, "0123456789abcdef") == ID_LEN;
		if (found)
			memcpy(id, entry->d_name + n - ID_LEN, ID_LEN + 1);
	}
	if (all)
		closedir(all);
	return found;
}

static int owner_write(const struct place *place, struct error *err)
{
	_cleanup_free_ char *was = owner_read(place->state_dir), *file = NULL, *text = NULL;

	if (was && strcmp(was, place->common_dir) == 0)
		return 0;
	file = xasprintf("%s/owner", place->state_dir);
	text = xasprintf("%s\n", place->common_dir);
	return place_write_file(file, text, strlen(text), err);
}

/* Under the lock of the folder: two first commands at once must agree on one id. */
static int claim_id(struct place *place, bool *moved, struct error *err)
{
	char id[ID_LEN + 1], old_id[ID_LEN + 1];
	_cleanup_free_ char *where = NULL, *old_where = NULL;

	if (place->id)
		return 0;
	if (id_read(place->common_dir, id, &where) < 0) {
		if (!id_from_owner(place, id))
			text_random_hex(id, ID_LEN / 2);
	} else if (strcmp(where, place->common_dir) == 0) {
		place_fill(place, id);
		return 0;
	} else if (id_read(where, old_id, &old_where) == 0 && strcmp(old_id, id) == 0) {
		text_random_hex(id, ID_LEN / 2); /* a copy: the original is still there */
	} else if (id_is_taken(place, id)) {
		text_random_hex(id, ID_LEN / 2); /* a copy, and the original was moved */
	} else if (moved) {
		*moved = true;
	}
	if (id_write(place, id, err) < 0)
		return -1;
	place_fill(place, id);
	return 0;
}

static bool is_trusted(uid_t uid)
{
	return uid == geteuid() || uid == 0;
}

/* A folder that the user names may be shared (/tmp) or not be there yet, but nobody else may be
 * able to put another one in the place of what we make in it. */
static int check_named_dir(const char *dir, struct error *err)
{
	struct stat st;

	if (lstat(dir, &st) < 0)
		return 0;
	if (!is_trusted(st.st_uid))
		return error_set(err, ERROR_EXTERNAL,
		                 "PLEACH_RUNTIME_DIR %s belongs to another user (uid %d)", dir,
		                 (int)st.st_uid);
	if (S_ISLNK(st.st_mode) && stat(dir, &st) < 0)
		return error_errno(err, "PLEACH_RUNTIME_DIR %s", dir);
	if (!is_trusted(st.st_uid))
		return error_set(err, ERROR_EXTERNAL,
		                 "PLEACH_RUNTIME_DIR %s leads to a folder of another user (uid %d)",
		                 dir, (int)st.st_uid);
	if ((st.st_mode & 022) && !(st.st_mode & S_ISVTX))
		return error_set(err, ERROR_EXTERNAL,
		                 "PLEACH_RUNTIME_DIR %s can be written by others (chmod go-w it)",
		                 dir);
	return 0;
}

int place_claim(const char *dir, struct place *out, bool *moved, struct error *err)
{
	_cleanup_free_ char *folder = NULL, *top = NULL;
	_cleanup_close_ int fd = -1;
	struct place place;
	bool was_moved = false, ours;

	if (place_find(dir, &place, err) < 0)
		return -1;
	/* Paths travel in JSON, which is text. */
	if (!text_is_utf8(place.root, strlen(place.root))) {
		error_set(err, ERROR_EXTERNAL,
		          "the repository's path is not UTF-8 (move it to one that is)");
		goto fail;
	}
	if (place_check_owner(&place, err) < 0)
		goto fail;
	folder = xasprintf("%s/pleach", place.common_dir);
	if (place_make_private_dir(folder, err) < 0)
		goto fail;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX) < 0) {
		error_errno(err, "cannot lock %s", folder);
		goto fail;
	}
	if (claim_id(&place, &was_moved, err) < 0 ||
	    place_make_private_dir(place.state_dir, err) < 0 || owner_write(&place, err) < 0)
		goto fail;
	top = runtime_top(&ours);
	if ((ours ? place_make_private_dir(top, err) : check_named_dir(top, err)) < 0 ||
	    place_make_private_dir(place.runtime_dir, err) < 0)
		goto fail;
	if (moved)
		*moved = was_moved;
	*out = place;
	return 0;
fail:
	place_finish(&place);
	return -1;
}

void place_finish(struct place *place)
{
	free(place->cwd);
	free(place->worktree);
	free(place->root);
	free(place->git_dir);
	free(place->common_dir);
	free(place->name);
	free(place->id);
	free(place->state_dir);
	free(place->runtime_dir);
	free(place->socket);
	*place = (struct place){0};
}

char *place_config_dir(void)
{
	_cleanup_free_ char *config = xdg_dir("XDG_CONFIG_HOME", "/.config");

	return xasprintf("%s/pleach", config);
}

char *place_state_home(void)
{
	_cleanup_free_ char *state = xdg_dir("XDG_STATE_HOME", "/.local/state");

	return xasprintf("%s/pleach", state);
}

/* Whether the directory beside the repository can be written, or made. Caller frees; NULL: no. */
static char *writable_beside(const struct place *place)
{
	_cleanup_free_ char *parent = xstrdup(place->root);
	char *beside = xasprintf("%s.pleach", place->root), *slash = strrchr(parent, '/');

	if (slash)
		slash[slash == parent] = '\0';
	if (access(beside, W_OK) == 0 || (access(beside, F_OK) < 0 && access(parent, W_OK) == 0))
		return beside;
	free(beside);
	return NULL;
}

char *place_slots_dir(const struct place *place)
{
	char *beside = writable_beside(place);

	return beside ? beside : xasprintf("%s/slots", place->state_dir);
}

/* ../<repo>.pleach/open-<plan>-<key>, or in the state directory. */
char *place_open_dir(const struct place *place, const char *branch)
{
	const char *name = strncmp(branch, "pleach/", 7) == 0 ? branch + 7 : branch;
	_cleanup_free_ char *flat = xstrdup(name), *beside = writable_beside(place);

	for (char *p = flat; *p; p++)
		if (*p == '/')
			*p = '-';
	if (beside)
		return xasprintf("%s/open-%s", beside, flat);
	return xasprintf("%s/open/%s", place->state_dir, flat);
}
