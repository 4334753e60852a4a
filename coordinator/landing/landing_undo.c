/* Moving a target back to before what landed last, and settling what was under way when we
 * died: the row that says so is on disk before anything moves, in either direction. */
#include <stdlib.h>
#include <string.h>

#include "landing.h"
#include "log.h"
#include "mem.h"

#define REDO_TRIES 20 /* while the git of an earlier process of ours is still at work */

struct undo {
	struct later *later; /* NULL: recovery asks */
	int tries;
	struct error why; /* of the try that failed */
	struct landing_row row;
};

static void undo_free(struct undo *undo)
{
	landing_row_finish(&undo->row);
	free(undo);
}

/* ---- once the target has moved ---- */

static json_t *parse(const char *text)
{
	json_t *value = text ? jsonl_parse(text, strlen(text), NULL) : NULL;

	return value ? value : json_array();
}

/* Landed is what the target contains: these tasks are as before. They are not taken up by
 * merge: auto again, until somebody asks. */
static void record_undone(struct coordinator *c, const struct landing_row *row)
{
	_cleanup_json_ json_t *tasks = parse(row->tasks), *undoes = parse(row->undoes);
	_cleanup_json_ json_t *keys = json_array();
	json_t *item, *data;
	size_t i;

	json_array_foreach (undoes, i, item)
		store_landing_undone(c->store, json_integer_value(item));
	json_array_foreach (tasks, i, item) {
		int64_t task = json_int(item, "task", 0), resolved = landing_resolved_task(c, task);

		store_task_set_landing(c->store, task, LANDING_NONE, "{\"undone\":true}");
		if (resolved)
			store_task_set_landing(c->store, resolved, LANDING_NONE,
			                       "{\"undone\":true}");
		json_array_append(keys, json_object_get(item, "key"));
		data = json_pack("{s:{s:s, s:b}}", "landing", "state", "none", "undone", 1);
		store_event_add(c->store, "task.updated", task, 0, NULL, data);
		json_decref(data);
	}
	landing_record_unclashed(c, row->target, keys);
	data = json_pack("{s:s, s:s, s:s, s:O, s:b}", "target", row->target, "before", row->before,
	                 "after", row->after, "tasks", keys, "undo", 1);
	store_event_add(c->store, "target.moved", 0, 0, NULL, data);
	log_info("landing", "target=%s back at %.12s", row->target, row->after);
	json_decref(data);
}

struct closing {
	const struct landing_row *row;
	bool moved;
	json_t *told;
};

static int close_step(struct coordinator *c, void *context, struct error *err)
{
	const struct closing *closing = context;
	const struct landing_row *row = closing->row;
	_cleanup_json_ json_t *tasks = parse(row->tasks);

	(void)err;
	store_landing_close(c->store, row->id, closing->moved);
	if (closing->moved && row->undoes)
		record_undone(c, row);
	else if (closing->moved)
		landing_record_landed(c, row->target, tasks, NULL, closing->told);
	return 0;
}

static int close_row(struct coordinator *c, const struct landing_row *row, bool is_moved,
                     struct error *err)
{
	_cleanup_json_ json_t *told = json_array();
	struct closing closing = {.row = row, .moved = is_moved, .told = told};

	if (turn_step(c, close_step, &closing, err) < 0)
		return -1;
	/* Whoever asked has asked again by now. */
	if (json_array_size(told))
		landing_tell_moved(c, row->target, row->before, row->after, NULL);
	landing_tell(c, told);
	return 0;
}

/* ---- undo ---- */

static json_t *undone_json(const struct landing_row *row)
{
	_cleanup_json_ json_t *tasks = parse(row->tasks);
	json_t *keys = json_array(), *item;
	size_t i;

	json_array_foreach (tasks, i, item)
		json_array_append(keys, json_object_get(item, "key"));
	return json_pack("{s:s, s:s, s:s, s:o}", "target", row->target, "before", row->before,
	                 "after", row->after, "undone", keys);
}

/* It failed, and the target may have moved all the same: it contains what it was to leave, or not.
 */
static void ask_where(struct coordinator *c, struct undo *undo, git_done_fn done)
{
	const char *commit = undo->row.undoes ? undo->row.before : undo->row.after;

	gitq_ask(c, "contains",
	         json_pack("{s:s, s:s}", "target", undo->row.target, "commit", commit), done, undo);
}

/* Somebody may have built on it, or set it back further, since we died. */
static bool has_moved(const struct undo *undo, const json_t *where)
{
	bool contains = json_flag(where, "contains");

	return undo->row.undoes ? json_text(where, "tip") && !contains : contains;
}

static void undo_over(struct coordinator *c, struct undo *undo, bool is_moved)
{
	struct error err = undo->why;

	if (close_row(c, &undo->row, is_moved, &err) < 0 || !is_moved)
		later_fail(c, undo->later, &err);
	else
		later_reply(c, undo->later, undone_json(&undo->row));
	landing_kick(c, undo->row.target);
	undo_free(undo);
}

static void found_after_undo(struct coordinator *c, const json_t *result, const struct error *why,
                             void *context)
{
	struct undo *undo = context;

	(void)why;
	free(c->landings->undoing);
	c->landings->undoing = NULL;
	if (result) {
		const char *tip = json_text(result, "tip");

		undo_over(c, undo, tip && strcmp(tip, undo->row.after) == 0);
		return;
	}
	later_fail(c, undo->later, &undo->why); /* recovery looks again */
	landing_kick(c, undo->row.target);
	undo_free(undo);
}

static void went_back(struct coordinator *c, const json_t *result, const struct error *why,
                      void *context)
{
	struct undo *undo = context;

	if (!result && !gitq_is_unasked(why)) {
		undo->why = *why;
		if (why->code == ERROR_CONFLICT)
			error_wrap(&undo->why, "something was built on it since");
		ask_where(c, undo, found_after_undo);
		return;
	}
	free(c->landings->undoing);
	c->landings->undoing = NULL;
	if (result) {
		undo_over(c, undo, true);
		return;
	}
	if (why != &gitq_undone)
		later_fail(c, undo->later, why);
	undo_free(undo);
}

/* The newest landing, and what landed before it as far back as `task` (0: that one alone).
 * Each has to stand on the one before. */
static int collect(struct coordinator *c, const char *target, int64_t task, struct landing_row *out,
                   struct error *err)
{
	_cleanup_json_ json_t *tasks = json_array(), *undoes = json_array();
	int64_t last = 0;
	bool found = false;

	while (!found) {
		struct landing_row row = {0};
		_cleanup_json_ json_t *landed = NULL;
		json_t *item;
		size_t i;

		if (!store_landing_last(c->store, target, last, &row))
			return error_set(err, ERROR_NOT_FOUND, "nothing has landed on %s%s", target,
			                 last ? " by that" : "");
		landed = parse(row.tasks);
		last = row.id;
		found = !task;
		json_array_foreach (landed, i, item)
			found = found || json_int(item, "task", 0) == task;
		if (out->after && strcmp(out->after, row.after) != 0) {
			landing_row_finish(&row);
			return error_set(err, ERROR_CONFLICT,
			                 "something else was built on %s in between (git revert "
			                 "takes back a single commit)",
			                 target);
		}
		json_array_extend(tasks, landed);
		json_array_append_new(undoes, json_integer(row.id));
		if (!out->before)
			out->before = xstrdup(row.after);
		free(out->after);
		out->after = xstrdup(row.before);
		landing_row_finish(&row);
	}
	out->target = xstrdup(target);
	out->tasks = jsonl_text(tasks);
	out->undoes = jsonl_text(undoes);
	return 0;
}

/* Where the task landed, or where anything did last. Caller frees; NULL with err. */
static char *target_of(struct request *r, int64_t task, struct error *err)
{
	const char *into = json_text(r->params, "into");
	_cleanup_task_ struct task_row row = {0};
	_cleanup_json_ json_t *detail = NULL;
	char *target = NULL;

	if (into)
		return xstrdup(into);
	if (task && store_task_get(r->c->store, task, &row)) {
		if (row.landing != LANDING_LANDED) {
			error_set(err, ERROR_CONFLICT, "%s has not landed", row.key);
			return NULL;
		}
		detail = jsonl_parse(row.landing_detail, strlen(row.landing_detail), NULL);
		target = xstrdup(json_text(detail, "target"));
	}
	if (!target)
		target = store_landing_newest_target(r->c->store);
	if (!target)
		error_set(err, ERROR_NOT_FOUND, "nothing has landed, or all of it was undone");
	return target;
}

int method_task_undo(struct request *r, struct error *err)
{
	const char *ref = json_text(r->params, "task");
	_cleanup_free_ char *target = NULL;
	struct landing_row row = {0};
	struct undo *undo;
	int64_t task = 0;

	if (ref && resolve_task(r, ref, &task, err) < 0)
		return -1;
	target = target_of(r, task, err);
	if (!target)
		return -1;
	if (lane_is_open(r->c, target) || r->c->landings->undoing || !r->c->landings->open)
		return error_set(err, ERROR_BUSY, "%s is being moved (wait for it: pleach status)",
		                 target);
	if (collect(r->c, target, task, &row, err) < 0) {
		landing_row_finish(&row);
		return -1;
	}
	row.id = store_landing_open(r->c->store, &row);
	undo = xcalloc(1, sizeof *undo);
	undo->row = row;
	undo->later = request_later(r);
	r->c->landings->undoing = xstrdup(target);
	gitq_ask(r->c, "back",
	         json_pack("{s:s, s:s, s:s}", "target", row.target, "before", row.before, "after",
	                   row.after),
	         went_back, undo);
	return 0;
}

/* ---- recovery ---- */

static void recover_next(struct coordinator *c, int64_t after);

/* The last word on a move that could not be made again: the target contains it or not. What
 * fails here is looked at again when we start anew. */
static void looked_at(struct coordinator *c, const json_t *result, const struct error *why,
                      void *context)
{
	struct undo *undo = context;
	int64_t id = undo->row.id;
	struct error err = ERROR_INIT;

	if (!result)
		log_error("recovery", "landing %lld: %s", (long long)id, why->text);
	else if (close_row(c, &undo->row, has_moved(undo, result), &err) < 0)
		log_error("recovery", "landing %lld: %s", (long long)id, err.text);
	undo_free(undo);
	recover_next(c, id);
}

static void redo(struct coordinator *c, struct undo *undo);

static void redone(struct coordinator *c, const json_t *result, const struct error *why,
                   void *context)
{
	struct undo *undo = context;
	int64_t id = undo->row.id;
	struct error err = ERROR_INIT;

	if (!result && why->code == ERROR_BUSY && ++undo->tries < REDO_TRIES) {
		redo(c, undo);
		return;
	}
	if (!result) {
		ask_where(c, undo, looked_at);
		return;
	}
	if (close_row(c, &undo->row, true, &err) < 0)
		log_error("recovery", "landing %lld: %s", (long long)id, err.text);
	undo_free(undo);
	recover_next(c, id);
}

/* A pleach-git that outlived us may be moving the target at this moment: asking whether it has
 * moved would be answered too early. To move it again is safe, whoever comes first. */
static void redo(struct coordinator *c, struct undo *undo)
{
	gitq_ask(c, undo->row.undoes ? "back" : "move",
	         json_pack("{s:s, s:s, s:s}", "target", undo->row.target, "before",
	                   undo->row.before, "after", undo->row.after),
	         redone, undo);
}

static int open_step(struct coordinator *c, void *context, struct error *err)
{
	(void)context;
	(void)err;
	landing_kick(c, NULL);
	return 0;
}

/* What was proven and about to move moves; what was to be undone is. What cannot is in the queue
 * still. */
static void recover_next(struct coordinator *c, int64_t after)
{
	struct undo *undo = xcalloc(1, sizeof *undo);
	struct error err = ERROR_INIT;

	if (store_landing_pending(c->store, after, &undo->row)) {
		redo(c, undo);
		return;
	}
	undo_free(undo);
	c->landings->open = true;
	if (turn_step(c, open_step, NULL, &err) < 0)
		log_error("recovery", "landings: %s", err.text);
	judges_resume(c);
}

static void tidied(struct coordinator *c, const json_t *result, const struct error *why,
                   void *context)
{
	(void)context;
	proofs_tidied(result, why);
	recover_next(c, 0);
}

/* The proofs of before are dead: what they left half done goes before anything is proven. */
void landing_recover(struct coordinator *c)
{
	json_t *dirs = proofs_slots(c);

	if (json_array_size(dirs))
		gitq_ask(c, "tidy", json_pack("{s:O}", "dirs", dirs), tidied, NULL);
	else
		recover_next(c, 0);
	json_decref(dirs);
}
