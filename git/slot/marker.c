/* The marker of a slot, as JSON in <git dir>/pleach-slot. */
#include "marker.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "jsonl.h"
#include "mem.h"
#include "repo.h"

#define MARKER_MAX (1u << 20)

static const char *const phases[] = {
    [SLOT_NEW] = "new",         [SLOT_SWITCHING] = "switching",     [SLOT_READY] = "ready",
    [SLOT_RUNNING] = "running", [SLOT_SNAPSHOTTED] = "snapshotted",
};

int marker_read(const char *git_dir, struct marker *out, struct error *err)
{
	_cleanup_free_ char *file = repo_path(git_dir, MARKER_FILE);
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_json_ json_t *root = NULL;
	struct marker marker = MARKER_INIT;
	const char *phase;
	int rc = file_read(file, MARKER_MAX, &text, err);

	if (rc <= 0)
		return rc;
	root = jsonl_parse(text.data, text.len, NULL);
	phase = json_text(root, "phase");
	if (!phase)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(phases); i++)
		if (strcmp(phases[i], phase) == 0)
			marker.phase = (enum slot_phase)i;
	marker.attempt = json_int(root, "attempt", 0);
	marker.previous = json_int(root, "previous", 0);
	marker.inode = (unsigned long long)json_int(root, "inode", 0);
	marker.set_up = json_flag(root, "set_up");
	marker.made = json_flag(root, "made");
	marker.checked_out = json_flag(root, "checked_out");
	marker.branch = xstrdup(json_text(root, "branch"));
	marker.base = xstrdup(json_text(root, "base"));
	marker.overlay = xstrdup(json_text(root, "overlay"));
	marker.sparse = xstrdup(json_text(root, "sparse"));
	marker.setup_key = xstrdup(json_text(root, "setup_key"));
	marker.setup_next = xstrdup(json_text(root, "setup_next"));
	marker.private_paths = json_strv(json_sub(root, "private"));
	*out = marker;
	return 1;
}

char *marker_text(const struct marker *marker, struct error *err)
{
	_cleanup_json_ json_t *root = NULL;
	json_t *paths = json_array();

	for (size_t i = 0; marker->private_paths && marker->private_paths[i]; i++)
		json_array_append_new(paths, json_string(marker->private_paths[i]));
	root = json_pack(
	    "{s:i, s:s, s:I, s:I, s:I, s:b, s:b, s:b, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:o}",
	    "version", 1, "phase", phases[marker->phase], "attempt", (json_int_t)marker->attempt,
	    "previous", (json_int_t)marker->previous, "inode", (json_int_t)marker->inode, "set_up",
	    marker->set_up, "made", marker->made, "checked_out", marker->checked_out, "branch",
	    marker->branch, "base", marker->base, "overlay", marker->overlay, "sparse",
	    marker->sparse, "setup_key", marker->setup_key, "setup_next", marker->setup_next,
	    "private", paths);
	if (!root) {
		error_set(err, ERROR_INVALID, "slot: a name that is not UTF-8");
		return NULL;
	}
	return jsonl_text(root);
}

int marker_write(const char *git_dir, const struct marker *marker, struct error *err)
{
	_cleanup_free_ char *file = repo_path(git_dir, MARKER_FILE);
	_cleanup_free_ char *text = marker_text(marker, err);

	return text ? place_write_file(file, text, strlen(text), err) : -1;
}

int marker_write_lazily(const char *git_dir, const struct marker *marker, struct error *err)
{
	_cleanup_free_ char *file = repo_path(git_dir, MARKER_FILE);
	_cleanup_free_ char *text = marker_text(marker, err);

	return text ? place_write_file_lazily(file, text, strlen(text), err) : -1;
}

void marker_finish(struct marker *marker)
{
	free(marker->branch);
	free(marker->base);
	free(marker->overlay);
	free(marker->sparse);
	free(marker->setup_key);
	free(marker->setup_next);
	strv_free(marker->private_paths);
	*marker = (struct marker)MARKER_INIT;
}
