/* task.merge: who asks for tasks to land waits for what becomes of each, and is told all of it
 * at once. Asked again after a restart it finds what landed and joins what is queued. */
#include <stdlib.h>
#include <string.h>

#include "landing.h"
#include "landing_order.h"
#include "mem.h"

struct merge_request {
	int64_t number;
	bool dry_run; /* of one with nothing to land */
	struct later *later;
	char *target, *before, *after;
	json_t *waiting; /* id → true: nothing is known of them yet */
	json_t *merged, *conflicts, *verify_failed, *refused, *stopped;
	json_t *verify; /* the last one that ran */
	struct merge_request *next;
};

static struct merge_request *merge_request_new(const char *target,
                                               const struct landing_order *order)
{
	struct merge_request *request = xcalloc(1, sizeof *request);
	char id[24];

	request->target = xstrdup(target);
	request->waiting = json_object();
	for (size_t i = 0; order && i < order->n; i++) {
		snprintf(id, sizeof id, "%lld", (long long)order->tasks[i]);
		json_object_set_new(request->waiting, id, json_true());
	}
	request->merged = json_array();
	request->conflicts = json_array();
	request->verify_failed = json_array();
	request->refused = json_array();
	request->stopped = json_array();
	return request;
}

static void merge_request_free(struct merge_request *request)
{
	json_decref(request->waiting);
	json_decref(request->merged);
	json_decref(request->conflicts);
	json_decref(request->verify_failed);
	json_decref(request->refused);
	json_decref(request->stopped);
	json_decref(request->verify);
	free(request->target);
	free(request->before);
	free(request->after);
	free(request);
}

static json_t *result_json(const struct merge_request *request, bool dry_run)
{
	json_t *keys = json_array(), *item;
	size_t i;

	json_array_foreach (request->merged, i, item)
		json_array_append(keys, json_object_get(item, "key"));
	return json_pack("{s:s?, s:s?, s:s?, s:o, s:O, s:O, s:O, s:O, s:O, s:O?, s:b}", "target",
	                 *request->target ? request->target : NULL, "before", request->before,
	                 "after", request->after, "merged", keys, "landed", request->merged,
	                 "conflicts", request->conflicts, "verify_failed", request->verify_failed,
	                 "refused", request->refused, "stopped", request->stopped, "verify",
	                 request->verify, "dry_run", dry_run);
}

/* When nothing else came of it, why the target could not be touched is the whole answer. */
static bool refused_whole(const struct merge_request *request, struct error *err)
{
	const json_t *first = json_array_get(request->refused, 0);
	const char *message = json_text(first, "message"), *code = json_text(first, "code");

	if (!code || !message || json_array_size(request->merged) ||
	    json_array_size(request->conflicts) || json_array_size(request->verify_failed))
		return false;
	err->code = error_code_from_word(code);
	error_set(err, err->code, "%s", message);
	return true;
}

static void answer(struct coordinator *c, struct merge_request *request)
{
	struct merge_request **at = &c->landings->requests;
	struct error err = ERROR_INIT;

	while (*at != request)
		at = &(*at)->next;
	*at = request->next;
	if (refused_whole(request, &err))
		later_fail(c, request->later, &err);
	else
		later_reply(c, request->later, result_json(request, false));
	merge_request_free(request);
}

static json_t *list_of(struct merge_request *request, enum landing_fate fate)
{
	switch (fate) {
	case FATE_LANDED:
		return request->merged;
	case FATE_CONFLICT:
		return request->conflicts;
	case FATE_VERIFY_FAILED:
		return request->verify_failed;
	case FATE_STOPPED:
		return request->stopped;
	default:
		return request->refused;
	}
}

/* As people are told: without what only git needs. */
static json_t *shown(struct coordinator *c, const json_t *entry, enum landing_fate fate)
{
	json_t *item = json_copy((json_t *)entry);
	const json_t *verify = json_sub(entry, "verify");
	_cleanup_task_ struct task_row row = {0};

	json_object_del(item, "kind");
	json_object_del(item, "marked");
	json_object_del(item, "text");
	json_object_del(item, "tree");
	if (store_task_get(c->store, json_int(entry, "task", 0), &row)) {
		_cleanup_free_ char *name = task_typed(c, &row);

		json_object_set_new(item, "name", json_string(name));
	}
	if (fate == FATE_VERIFY_FAILED)
		json_object_set_new(item, "exit_code",
		                    json_integer(json_int(verify, "exit_code", -1)));
	return item;
}

bool landing_is_asked(const struct coordinator *c, int64_t task)
{
	char id[24];

	snprintf(id, sizeof id, "%lld", (long long)task);
	for (const struct merge_request *request = c->landings->requests; request;
	     request = request->next)
		if (json_object_get(request->waiting, id))
			return true;
	return false;
}

void landing_tell(struct coordinator *c, const json_t *told)
{
	json_t *item;
	char id[24];
	size_t i;

	json_array_foreach (told, i, item) {
		const json_t *entry = json_sub(item, "entry");
		enum landing_fate fate = (enum landing_fate)json_int(item, "fate", 0);

		snprintf(id, sizeof id, "%lld", (long long)json_int(item, "task", 0));
		for (struct merge_request *request = c->landings->requests, *next; request;
		     request = next) {
			next = request->next;
			if (json_object_del(request->waiting, id) < 0)
				continue;
			json_array_append_new(list_of(request, fate), shown(c, entry, fate));
			if (!json_object_size(request->waiting))
				answer(c, request);
		}
	}
}

void landing_tell_moved(struct coordinator *c, const char *target, const char *before,
                        const char *after, const json_t *verify)
{
	for (struct merge_request *request = c->landings->requests; request;
	     request = request->next) {
		if (strcmp(request->target, target) != 0)
			continue;
		if (!request->before)
			request->before = xstrdup(before);
		free(request->after);
		request->after = xstrdup(after);
		if (verify) {
			json_decref(request->verify);
			request->verify = json_incref((json_t *)verify);
		}
	}
}

/* ---- a dry run: merged, not proven, nothing stored ---- */

static void rehearsed(struct coordinator *c, const json_t *result, const struct error *why,
                      void *context)
{
	static const struct {
		const char *kind;
		enum landing_fate fate;
	} fates[] = {{"merge", FATE_LANDED},
	             {"contained", FATE_LANDED},
	             {"conflict", FATE_CONFLICT},
	             {"refused", FATE_REFUSED},
	             {"stopped", FATE_STOPPED}};
	struct merge_request *request = context;
	json_t *step;
	size_t i;

	if (!result) {
		later_fail(c, request->later, why);
		merge_request_free(request);
		return;
	}
	request->before = xstrdup(json_text(result, "before"));
	request->after = xstrdup(json_text(result, "after"));
	json_array_foreach (json_object_get(result, "steps"), i, step)
		for (size_t k = 0; k < ARRAY_LEN(fates); k++)
			if (strcmp(fates[k].kind, json_text(step, "kind")) == 0)
				json_array_append_new(list_of(request, fates[k].fate),
				                      shown(c, step, fates[k].fate));
	later_reply(c, request->later, result_json(request, true));
	merge_request_free(request);
}

static void rehearse(struct coordinator *c, struct merge_request *request,
                     const struct landing_order *order, bool squash)
{
	_cleanup_task_ struct task_row first = {0};
	json_t *items = json_array(), *asked;

	for (size_t i = 0; i < order->n; i++)
		json_array_append_new(
		    items, landing_item(c, order->tasks[i], request->target, squash, true));
	store_task_get(c->store, order->tasks[0], &first);
	asked = landing_weave_request(c, request->target, items, first.plan);
	json_object_set_new(asked, "dry_run", json_true());
	gitq_ask(c, "weave", asked, rehearsed, request);
}

/* ---- the method ---- */

static void queue_all(struct coordinator *c, const char *target, const struct landing_order *order,
                      bool squash)
{
	for (size_t i = 0; i < order->n; i++) {
		_cleanup_task_ struct task_row task = {0};
		_cleanup_json_ json_t *policy = NULL;

		if (!store_task_get(c->store, order->tasks[i], &task))
			continue;
		policy = landing_policy(c, task.plan);
		landing_enqueue(c, &task, target, squash || json_flag(policy, "squash"));
	}
}

/* At once: a lane may settle one of its tasks before the commit. */
static void add_request(struct coordinator *c, struct merge_request *request)
{
	request->number = ++c->landings->numbers;
	request->next = c->landings->requests;
	c->landings->requests = request;
}

static void keep_request(struct coordinator *c, void *context)
{
	(void)c;
	free(context);
}

static void drop_request(struct coordinator *c, void *context, const struct error *why)
{
	_cleanup_free_ int64_t *number = context;

	for (struct merge_request **at = &c->landings->requests; *at; at = &(*at)->next) {
		struct merge_request *request = *at;

		if (request->number != *number)
			continue;
		*at = request->next;
		later_fail(c, request->later, why ? why : &gitq_undone);
		merge_request_free(request);
		return;
	}
}

/* A task waits already, for another branch. */
static int check_queue(struct coordinator *c, const struct landing_order *order, const char *target,
                       struct error *err)
{
	for (size_t i = 0; i < order->n; i++) {
		struct queue_row row = {0};
		int rc = 0;

		if (store_queue_get(c->store, order->tasks[i], &row) &&
		    strcmp(row.target, target) != 0)
			rc = error_set(err, ERROR_BUSY, "task %lld waits to land on %s already",
			               (long long)row.task, row.target);
		queue_row_finish(&row);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static void target_looked_up(struct coordinator *c, const json_t *result, const struct error *why,
                             void *context)
{
	struct merge_request *request = context;
	const json_t *found = json_array_get(json_sub(result, "branches"), 0);
	struct error none = ERROR_INIT;

	if (result && json_text(found, "commit")) {
		later_reply(c, request->later, result_json(request, request->dry_run));
	} else {
		if (result)
			error_set(&none, ERROR_NOT_FOUND, "branch %s: no such branch",
			          request->target);
		later_fail(c, request->later, result ? &none : why);
	}
	merge_request_free(request);
}

/* Nothing lands: but a target that was named has to be there all the same. */
static void answer_empty(struct request *r, struct merge_request *request, const char *into)
{
	request->dry_run = json_flag(r->params, "dry_run");
	if (!into) {
		request_reply(r, result_json(request, request->dry_run));
		merge_request_free(request);
		return;
	}
	request->later = request_later(r);
	gitq_ask(r->c, "resolve", json_pack("{s:[], s:[s]}", "revs", "branches", into),
	         target_looked_up, request);
}

static int start(struct request *r, const struct landing_order *order, struct error *err)
{
	const char *into = json_text(r->params, "into");
	const char *target = into ? into : order->target;
	bool squash = json_flag(r->params, "squash");
	struct merge_request *request;
	int64_t *number;

	if (!target && order->n)
		return error_set(err, ERROR_INVALID,
		                 "no target: HEAD was detached (--into BRANCH)");
	if (order->n && check_queue(r->c, order, target, err) < 0)
		return -1;
	request = merge_request_new(target ? target : "", order);
	if (!order->n) {
		answer_empty(r, request, into);
		return 0;
	}
	request->later = request_later(r);
	if (json_flag(r->params, "dry_run")) {
		rehearse(r->c, request, order, squash);
		return 0;
	}
	add_request(r->c, request);
	number = xcalloc(1, sizeof *number);
	*number = request->number;
	turn_effect(r->c, keep_request, drop_request, number);
	queue_all(r->c, target, order, squash);
	landing_kick(r->c, target); /* also where all was queued before */
	return 0;
}

int method_task_merge(struct request *r, struct error *err)
{
	struct landing_order order;
	int rc;

	if (landing_order_make(r, json_sub(r->params, "tasks"), json_flag(r->params, "all"),
	                       json_text(r->params, "into") != NULL, &order, err) < 0)
		return -1;
	rc = start(r, &order, err);
	landing_order_finish(&order);
	return rc;
}
