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

/* With the nearest of these names, or else `where` they are listed. */
static int no_such(const char *what, const char *ref, char *const *names, const char *where,
                   struct error *err)
{
	_cleanup_free_ char *shown = text_safe(ref, 80);
	const char *nearest = names ? text_nearest(ref, (const char *const *)names) : NULL;

	if (nearest)
		return error_set(err, ERROR_NOT_FOUND, "there is no %s %s (did you mean %s?)", what,
		                 shown, nearest);
	return error_set(err, ERROR_NOT_FOUND, "there is no %s %s (%s)", what, shown, where);
}

static int not_found(struct coordinator *c, const char *ref, struct error *err)
{
	_cleanup_strv_ char **keys = store_task_keys(c->store, NAMES_OFFERED);

	return no_such("task", ref, keys, "pleach ls lists them", err);
}

static void add_teammates(const struct coordinator *c, char ***names)
{
	for (const struct teammate *t = c->team.first; t; t = t->next)
		strv_push(names, xstrdup(t->name));
}

int resolve_teammate(struct coordinator *c, const char *name, struct teammate **out,
                     struct error *err)
{
	_cleanup_strv_ char **names = NULL;

	*out = name ? team_find(c, name) : NULL;
	if (*out)
		return 0;
	add_teammates(c, &names);
	return no_such("teammate", name ? name : "?", names, "pleach ps lists them", err);
}

int resolve_plan(struct coordinator *c, const char *name, int64_t *out, struct error *err)
{
	_cleanup_json_ json_t *plans = NULL;
	_cleanup_strv_ char **names = NULL;
	struct plan_row row = {0};
	json_t *plan;
	size_t i;

	if (name && store_plan_find(c->store, name, &row)) {
		*out = row.id;
		plan_row_finish(&row);
		return 0;
	}
	plans = store_plan_list(c->store);
	json_array_foreach (plans, i, plan)
		strv_push(&names, xstrdup(json_text(plan, "name")));
	return no_such("plan", name ? name : "?", names, "pleach status lists them", err);
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

/* Each costs a look into every plan. */
static bool is_named(const struct task_row *row, size_t among)
{
	return among <= NAMED_MAX || (row->status != TASK_PENDING && row->status != TASK_COMPLETED);
}

static void put_row(struct coordinator *c, const struct task_row *row, enum task_view of,
                    bool sparse, size_t among, struct buf *out)
{
	_cleanup_free_ char *name = is_named(row, among) ? task_typed(c, row) : NULL;

	jsonl_open(out, NULL, '{');
	store_task_put(c->store, row, of, sparse, out);
	if (name)
		jsonl_put_text(out, "name", name);
	jsonl_close(out, '}');
}

static bool put_waiting(struct coordinator *c, int64_t id, struct buf *out)
{
	size_t before = out->len;

	jsonl_open(out, NULL, '{');
	if (!store_task_put_waiting(c->store, id, out)) {
		out->len = before;
		return false;
	}
	jsonl_close(out, '}');
	return true;
}

bool task_put(struct coordinator *c, int64_t id, enum task_view of, bool sparse, size_t among,
              struct buf *out)
{
	_cleanup_task_ struct task_row row = {0};

	if (of == TASK_LINE && put_waiting(c, id, out))
		return true;
	if (!store_task_get(c->store, id, &row))
		return false;
	put_row(c, &row, of, sparse, among, out);
	return true;
}

json_t *task_encoded(struct coordinator *c, int64_t id)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (!task_put(c, id, TASK_WHOLE, false, 1, &text))
		buf_add_str(&text, "null");
	return json_stringn_nocheck(text.data, text.len);
}

json_t *task_tree(struct coordinator *c, int64_t id, enum task_view of)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	return task_put(c, id, of, false, 1, &text) ? jsonl_parse(text.data, text.len, NULL) : NULL;
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

int resolve_who_task(struct request *r, const char *who, int64_t *out, struct error *err)
{
	_cleanup_strv_ char **names = NULL;
	struct error why = ERROR_INIT;

	if (resolve_task(r, who, out, &why) == 0)
		return 0;
	if (!who || why.code != ERROR_NOT_FOUND) {
		*err = why;
		return -1;
	}
	names = store_task_keys(r->c->store, NAMES_OFFERED);
	add_teammates(r->c, &names);
	return no_such("teammate or task", who, names, "pleach ps, pleach ls", err);
}

int resolve_who(struct request *r, const char *who, struct teammate **out, struct error *err)
{
	struct coordinator *c = r->c;
	struct teammate *t = who ? team_find(c, who) : NULL;
	_cleanup_task_ struct task_row row = {0};
	int64_t task = 0;

	if (t) {
		*out = t;
		return 0;
	}
	if (resolve_who_task(r, who, &task, err) < 0)
		return -1;
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
