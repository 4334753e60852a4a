/* Names: TASK and WHO as people write them. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"
#include "text.h"

#define NAMED_MAX     200  /* tasks of a list that all have a name */
#define NAMES_OFFERED 2000 /* keys that are compared for "did you mean" */

static int not_found(struct coordinator *c, const char *ref, struct error *err)
{
	_cleanup_strv_ char **keys = store_task_keys(c->store, NAMES_OFFERED);
	_cleanup_free_ char *shown = text_safe(ref, 80);
	const char *nearest = text_nearest(ref, (const char *const *)keys);

	if (nearest)
		return error_set(err, ERROR_NOT_FOUND, "there is no task %s (did you mean %s?)",
		                 shown, nearest);
	return error_set(err, ERROR_NOT_FOUND, "there is no task %s (pleach ls lists them)", shown);
}

int resolve_task_text(struct coordinator *c, const char *ref, int64_t *out, struct error *err)
{
	_cleanup_task_ struct task_row row = {0};
	const char *slash = strchr(ref, '/');
	int64_t id = 0;

	if (isdigit((unsigned char)ref[0])) {
		char *end;

		errno = 0;
		id = strtoll(ref, &end, 10);
		if (*end || errno || !store_task_get(c->store, id, &row))
			id = 0;
	} else if (slash) {
		_cleanup_free_ char *plan = xstrndup(ref, (size_t)(slash - ref));

		id = store_task_find(c->store, plan, slash + 1);
	} else {
		id = store_task_find(c->store, NULL, ref);
	}
	if (!id)
		return not_found(c, ref, err);
	*out = id;
	return 0;
}

static char *typed(struct coordinator *c, const char *plan, const char *key)
{
	return store_key_is_shared(c->store, key) ? xasprintf("%s/%s", plan, key) : xstrdup(key);
}

char *task_typed(struct coordinator *c, const struct task_row *row)
{
	return typed(c, row->plan_name, row->key);
}

void task_add_name(struct coordinator *c, json_t *task)
{
	const char *plan = json_text(task, "plan"), *key = json_text(task, "key");
	_cleanup_free_ char *name = plan && key ? typed(c, plan, key) : NULL;

	json_object_set_new(task, "name", json_text_or_null(name));
}

/* Each costs a look into every plan. */
void task_add_name_among(struct coordinator *c, json_t *task, size_t count)
{
	if (count <= NAMED_MAX)
		task_add_name(c, task);
	else
		task_add_name_unsettled(c, task);
}

void task_add_name_unsettled(struct coordinator *c, json_t *task)
{
	enum task_status is;

	if (task_status_from_word(json_text(task, "status"), &is) && is != TASK_PENDING &&
	    is != TASK_COMPLETED)
		task_add_name(c, task);
}

json_t *task_named_json(struct coordinator *c, int64_t id)
{
	json_t *task = store_task_json(c->store, id);

	if (task)
		task_add_name(c, task);
	return task;
}

static int own_task(struct request *r, int64_t *out, struct error *err)
{
	_cleanup_attempt_ struct attempt_row row = {0};

	if (r->conn->role != ROLE_AGENT || !store_attempt_get(r->c->store, r->conn->attempt, &row))
		return error_set(err, ERROR_INVALID,
		                 "which task? (only inside a pane or slot can it be left out)");
	*out = row.task;
	return 0;
}

int resolve_task(struct request *r, const char *ref, int64_t *out, struct error *err)
{
	return ref ? resolve_task_text(r->c, ref, out, err) : own_task(r, out, err);
}

int resolve_who(struct request *r, const char *who, struct teammate **out, struct error *err)
{
	struct coordinator *c = r->c;
	struct teammate *t = who ? team_find(c, who) : NULL;
	_cleanup_task_ struct task_row row = {0};
	struct error why = ERROR_INIT;
	int64_t task = 0;

	if (t) {
		*out = t;
		return 0;
	}
	if (resolve_task(r, who, &task, &why) < 0) {
		if (who && why.code == ERROR_NOT_FOUND) {
			_cleanup_free_ char *shown = text_safe(who, 80);

			return error_set(err, ERROR_NOT_FOUND,
			                 "there is no teammate or task %s (pleach ps, pleach ls)",
			                 shown);
		}
		*err = why;
		return -1;
	}
	for (t = c->team.first; t; t = t->next) {
		if (t->task == task && t->attempt) {
			*out = t;
			return 0;
		}
	}
	store_task_get(c->store, task, &row);
	if ((row.status == TASK_FAILED || row.status == TASK_CANCELLED) && row.attempt) {
		_cleanup_free_ char *name = task_typed(c, &row);

		return error_set(err, ERROR_NOT_FOUND,
		                 "nobody works on %s: it is %s (pleach retry %s; where its agent "
		                 "can go on with its session: pleach attach %s --resume)",
		                 row.key, task_status_word(row.status), name, name);
	}
	return error_set(err, ERROR_NOT_FOUND, "nobody works on %s: it is %s", row.key,
	                 task_status_word(row.status));
}
