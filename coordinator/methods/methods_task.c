/* What people ask about tasks, and do to them. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"
#include "methods.h"
#include "text.h"
#include "transition.h"
#include "words.h"

#define LIST_LARGE (256u << 10) /* bytes of an answer that takes its time and memory */
#define LIST_MAX   (32u << 20)  /* bytes of one answer; one more task may go over it */

static int reply_task(struct request *r, int64_t id)
{
	request_reply_text(r, task_encoded(r->c, id), false);
	return 0;
}

static bool wanted(struct coordinator *c, int64_t id, const json_t *statuses)
{
	_cleanup_task_ struct task_row row = {0};
	json_t *status;
	size_t i;

	if (!json_array_size(statuses))
		return true;
	if (!store_task_get(c->store, id, &row))
		return false;
	json_array_foreach (statuses, i, status)
		if (strcmp(json_string_value(status), task_status_word(row.status)) == 0)
			return true;
	return false;
}

static enum task_view view_of(const json_t *params)
{
	if (json_flag(params, "lean"))
		return TASK_LINE;
	return json_flag(params, "brief") ? TASK_BRIEF : TASK_WHOLE;
}

/* Writes those of `ids` that are wanted, last the ids that one answer has no room for. */
static void write_tasks(struct request *r, const int64_t *ids, struct buf *out)
{
	const json_t *statuses = json_sub(r->params, "status");
	bool sparse = json_flag(r->params, "sparse");
	enum task_view of = view_of(r->params);
	size_t count = 0;

	while (ids[count])
		count++;
	buf_add_str(out, "{\"tasks\":[");
	for (; *ids && out->len < LIST_MAX; ids++) {
		if (wanted(r->c, *ids, statuses))
			task_put(r->c, *ids, of, sparse, count, out);
		if (out->len > LIST_LARGE) /* hello's answer goes: it is waited for only so long */
			rpc_peer_flush(r->conn->peer);
	}
	buf_add_str(out, *ids ? "],\"rest\":[" : "]}");
	for (; *ids; ids++)
		buf_printf(out, "%lld%s", (long long)*ids, ids[1] ? "," : "]}");
}

int method_task_list(struct request *r, struct error *err)
{
	const char *plan = json_text(r->params, "plan");
	const json_t *only = json_sub(r->params, "ids"), *statuses = json_sub(r->params, "status");
	_cleanup_free_ int64_t *ids = NULL;
	int64_t of = 0;
	_cleanup_buf_ struct buf tasks = BUF_INIT;
	json_t *status, *id;
	size_t i;

	json_array_foreach (statuses, i, status) {
		enum task_status parsed;

		if (!task_status_from_word(json_string_value(status), &parsed))
			return error_set(
			    err, ERROR_INVALID,
			    "no such status (pending in_progress needs_input completed failed "
			    "cancelled)");
	}
	if (plan && resolve_plan(r->c, plan, &of, err) < 0)
		return -1;
	ids = only ? xcalloc(json_array_size(only) + 1, sizeof *ids)
	           : store_task_ids(r->c->store, of);
	json_array_foreach (only, i, id) {
		ids[i] = json_integer_value(id);
		if (json_is_string(id) && resolve_task(r, json_string_value(id), &ids[i], err) < 0)
			return -1;
	}
	write_tasks(r, ids, &tasks);
	if (tasks.len > LIST_LARGE)
		r->c->turn.trim = true;
	/* Who follows a run asks like that, again and again. */
	request_reply_text(r, json_stringn_nocheck(tasks.data, tasks.len),
	                   json_flag(r->params, "sparse"));
	return 0;
}

int method_task_show(struct request *r, struct error *err)
{
	int64_t id;

	return resolve_task(r, json_text(r->params, "task"), &id, err) < 0 ? -1 : reply_task(r, id);
}

int method_task_wait(struct request *r, struct error *err)
{
	const json_t *refs = json_sub(r->params, "tasks");
	size_t n = json_array_size(refs);
	int64_t *tasks;

	if (!n)
		return error_set(err, ERROR_INVALID, "wait for which tasks?");
	tasks = xcalloc(n + 1, sizeof *tasks);
	for (size_t i = 0; i < n; i++) {
		if (resolve_task(r, json_string_value(json_array_get(refs, i)), &tasks[i], err) <
		    0) {
			free(tasks);
			return -1;
		}
	}
	held_add(r->c, (struct held){.kind = HELD_TASKS,
	                             .later = request_later(r),
	                             .tasks = tasks,
	                             .brief = json_flag(r->params, "brief"),
	                             .unlisted = json_flag(r->params, "unlisted")});
	return 0;
}

static int check_idle(struct coordinator *c, int64_t id, struct error *err)
{
	_cleanup_task_ struct task_row row = {0};

	store_task_get(c->store, id, &row);
	if (row.status == TASK_PENDING || row.status == TASK_FAILED || row.status == TASK_CANCELLED)
		return 0;
	return error_set(err, ERROR_CONFLICT,
	                 "%s is %s: its prompt, agent and blockers stay as they are", row.key,
	                 task_status_word(row.status));
}

static int update_blockers(struct request *r, int64_t id, const json_t *refs, struct error *err)
{
	size_t n = json_array_size(refs);
	_cleanup_free_ int64_t *blockers = xcalloc(n + 1, sizeof *blockers);

	for (size_t i = 0; i < n; i++) {
		const char *ref = json_string_value(json_array_get(refs, i));

		if (!ref || resolve_task_text(r->c, ref, &blockers[i], err) < 0)
			return ref ? -1 : error_set(err, ERROR_INVALID, "blocked_by: not a name");
		if (store_task_reaches(r->c->store, id, blockers[i]))
			return error_set(err, ERROR_INVALID, "%s would wait for itself", ref);
	}
	store_task_set_blockers(r->c->store, id, blockers, n);
	store_task_set_next_base(r->c->store, id, NULL);
	return 0;
}

static int refuse_agent(const json_t *agents, const char *name, struct error *err)
{
	_cleanup_free_ const char **names = xcalloc(json_object_size(agents) + 1, sizeof *names);
	_cleanup_free_ char *instead = NULL;
	const char *known;
	json_t *profile;
	size_t n = 0;

	json_object_foreach ((json_t *)agents, known, profile)
		names[n++] = known;
	instead = text_did_you_mean(name, names);
	return error_set(err, ERROR_INVALID,
	                 "unknown agent %.80s%s (pleach agents lists them; one of a plan's own "
	                 "must be a task's there)",
	                 name, instead);
}

/* Its plan must know how to start it, or nobody could: one of the configuration joins it. */
static int update_agent(struct request *r, int64_t id, const char *agent, struct error *err)
{
	const json_t *profiles = json_sub(r->params, "profiles");
	const char *slash = strchr(agent, '/');
	_cleanup_free_ char *name =
	    xstrndup(agent, slash ? (size_t)(slash - agent) : strlen(agent));
	_cleanup_json_ json_t *secrets = json_pack(
	    "{s:O?, s:{}}", "agents", json_sub(json_sub(r->params, "secrets"), "agents"), "tasks");
	_cleanup_task_ struct task_row row = {0};
	struct store *store = r->c->store;

	store_task_get(store, id, &row);
	if (!json_object_get(store_plan_agents(store, row.plan), name)) {
		if (!json_object_get(profiles, name))
			return refuse_agent(store_plan_agents(store, row.plan), name, err);
		store_plan_add_agents(store, row.plan, profiles);
		if (environment_set_plan(r->c, row.plan_name, secrets, true, err) < 0)
			return -1;
	}
	store_task_set_agent(store, id, name, slash ? slash + 1 : NULL);
	return 0;
}

/* As plans are checked: what schedules counts with it. */
static int check_priority(const json_t *priority, struct error *err)
{
	json_int_t n = json_integer_value(priority);

	if (n >= -PRIORITY_MAX && n <= PRIORITY_MAX)
		return 0;
	return error_set(err, ERROR_INVALID, "priority %lld is out of range (%d to %d)",
	                 (long long)n, -PRIORITY_MAX, PRIORITY_MAX);
}

int method_task_update(struct request *r, struct error *err)
{
	const char *prompt = json_text(r->params, "prompt"), *agent = json_text(r->params, "agent");
	const json_t *priority = json_object_get(r->params, "priority");
	const json_t *metadata = json_sub(r->params, "metadata");
	const json_t *blockers = json_sub(r->params, "blocked_by");
	struct coordinator *c = r->c;
	json_t *data = json_object();
	int64_t id;
	int rc = resolve_task(r, json_text(r->params, "task"), &id, err);

	if (rc == 0)
		rc = check_priority(priority, err);
	if (rc == 0 && (prompt || agent || blockers))
		rc = check_idle(c, id, err);
	if (rc == 0 && prompt) {
		_cleanup_free_ char *subject = text_subject(prompt);

		store_task_set_prompt(c->store, id, prompt, subject);
		json_object_set_new(data, "subject", json_text_or_null(subject));
	}
	if (rc == 0 && agent) {
		rc = update_agent(r, id, agent, err);
		json_object_set_new(data, "agent", json_string(agent));
	}
	if (rc == 0 && json_is_integer(priority)) {
		store_task_set_priority(c->store, id, json_integer_value(priority));
		json_object_set(data, "priority", (json_t *)priority);
	}
	if (rc == 0 && metadata) {
		store_task_set_metadata(c->store, id, metadata);
		json_object_set(data, "metadata", (json_t *)metadata);
	}
	if (rc == 0 && blockers)
		rc = update_blockers(r, id, blockers, err);
	if (rc == 0 && json_sub(r->params, "budget")) {
		budget_set_task(c, id, json_sub(r->params, "budget"));
		json_object_set(data, "budget", json_sub(r->params, "budget"));
	}
	if (rc == 0) {
		store_event_add(c->store, "task.updated", id, 0, NULL, data);
		request_reply_task(r, id);
	}
	json_decref(data);
	return rc;
}

int method_task_stop(struct request *r, struct error *err)
{
	int64_t id;

	if (resolve_task(r, json_text(r->params, "task"), &id, err) < 0 ||
	    stop_task(r->c, id, err) < 0)
		return -1;
	return reply_task(r, id);
}

/* All that keeps it, or an alternative of it, from being tried at once: that it was stopped, its
 * back-off, its service. True: something did. */
static bool end_waits(struct coordinator *c, const struct task_row *row)
{
	_cleanup_free_ int64_t *alternatives = store_task_alternatives(c->store, row->id);
	bool limited = row->status == TASK_PENDING && limited_is(c, row->agent);
	bool any = limited || row->stopped || row->delay_ms;

	for (size_t i = 0; alternatives[i]; i++) {
		_cleanup_task_ struct task_row other = {0};

		any |= store_task_get(c->store, alternatives[i], &other) && end_waits(c, &other);
	}
	if (row->stopped)
		store_task_go_on(c->store, row->id);
	if (row->delay_ms)
		store_task_set_delay(c->store, row->id, 0);
	if (limited)
		limited_end(c, row->agent);
	return any;
}

int method_task_retry(struct request *r, struct error *err)
{
	struct transition t = {.verb = VERB_RETRY};
	bool resume = json_flag(r->params, "resume");
	_cleanup_task_ struct task_row row = {0};

	if (resolve_task(r, json_text(r->params, "task"), &t.task, err) < 0)
		return -1;
	store_task_get(r->c->store, t.task, &row);
	if (resume && session_check(r->c, &row, err) < 0)
		return -1;
	if (row.status == TASK_PENDING && end_waits(r->c, &row)) {
		if (resume)
			store_task_set_resume(r->c->store, t.task, row.attempt);
		return reply_task(r, t.task);
	}
	if (row.status == TASK_NEEDS_INPUT && store_attempt_running_task(r->c->store, t.task)) {
		_cleanup_free_ char *name = task_typed(r->c, &row);

		return error_set(err, ERROR_CONFLICT,
		                 "%s is waiting for an answer (pleach answer %s, or stop it)",
		                 row.key, name);
	}
	if (task_change(r->c, &t, err) < 0)
		return -1;
	store_task_set_next_base(r->c->store, t.task, NULL);
	if (resume)
		store_task_set_resume(r->c->store, t.task, row.attempt);
	return reply_task(r, t.task);
}

/* Whether its agent waits for the answer at the other end of a held request. */
static bool asks_by_request(struct coordinator *c, int64_t task)
{
	for (const struct held *h = c->held; h; h = h->next)
		if (h->kind == HELD_ANSWER && h->tasks[0] == task && h->later->conn)
			return true;
	return false;
}

/* An agent that asked and waits gets it as its answer; one that went on finds it typed; a question
 * of its program (a permission) is answered as that program wants it. */
static void hand_answer(struct coordinator *c, const struct task_row *row, int64_t attempt,
                        const char *text)
{
	_cleanup_attempt_ struct attempt_row ran = {0};
	_cleanup_json_ json_t *input =
	    row->input ? jsonl_parse(row->input, strlen(row->input), NULL) : NULL;
	const struct message_new answer = {.task = row->id,
	                                   .attempt = attempt,
	                                   .request = json_int(input, "request", 0),
	                                   .text = text};
	struct teammate *t = NULL;

	if (store_attempt_get(c->store, attempt, &ran))
		t = team_find(c, ran.teammate);
	if (!t || asks_by_request(c, row->id))
		return;
	store_message_add(c->store, &answer);
	messages_deliver_later(c, t);
}

int method_task_answer(struct request *r, struct error *err)
{
	const char *text = json_text(r->params, "text");
	struct transition t = {.verb = VERB_ANSWER};
	_cleanup_task_ struct task_row row = {0};
	int64_t attempt;

	if (resolve_task(r, json_text(r->params, "task"), &t.task, err) < 0)
		return -1;
	if (!text)
		return error_set(err, ERROR_INVALID, "answer with what?");
	store_task_get(r->c->store, t.task, &row);
	if (row.kind == KIND_CHOICE) {
		int64_t alternative = 0;
		_cleanup_task_ struct task_row chosen = {0};

		if (resolve_task_text(r->c, text, &alternative, err) < 0)
			return -1;
		store_task_get(r->c->store, alternative, &chosen);
		if (chosen.parent != t.task)
			return error_set(err, ERROR_CONFLICT, "%s is no alternative of %s",
			                 chosen.key, row.key);
		if (choice_pick(r->c, alternative, err) < 0)
			return -1;
		return reply_task(r, t.task);
	}
	if (task_asks_for_budget(&row))
		return error_set(err, ERROR_CONFLICT,
		                 "%s waits for its budget, not for an answer (raise budget: in the "
		                 "plan and run it again; pleach task update --budget, where it is "
		                 "the task's own)",
		                 row.key);
	if (task_change(r->c, &t, err) < 0)
		return -1;
	store_task_set_answer(r->c->store, t.task, text);
	attempt = store_attempt_running_task(r->c->store, t.task);
	if (attempt)
		hand_answer(r->c, &row, attempt, text);
	else
		store_task_set_next_base(r->c->store, t.task, NULL);
	return reply_task(r, t.task);
}

static int since_compare(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	const char *s = json_text(json_object_get(x, "input"), "since");
	const char *t = json_text(json_object_get(y, "input"), "since");

	return strcmp(s ? s : "", t ? t : "");
}

int method_task_waiting(struct request *r, struct error *err)
{
	_cleanup_free_ int64_t *ids = store_tasks_that_ask(r->c->store);
	_cleanup_free_ json_t **sorted = NULL;
	json_t *tasks = json_array();
	size_t n = 0;

	(void)err;
	while (ids[n])
		n++;
	sorted = xcalloc(n, sizeof(json_t *));
	for (size_t i = 0; i < n; i++)
		sorted[i] = task_tree(r->c, ids[i], TASK_WHOLE);
	qsort(sorted, n, sizeof(json_t *), since_compare);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(tasks, sorted[i]);
	request_reply(r, json_pack("{s:o}", "tasks", tasks));
	return 0;
}

int method_task_pick(struct request *r, struct error *err)
{
	bool none = json_flag(r->params, "none");
	_cleanup_task_ struct task_row row = {0};
	int64_t id = 0;

	if (resolve_task(r, json_text(r->params, "task"), &id, err) < 0)
		return -1;
	store_task_get(r->c->store, id, &row);
	if (none && row.parent)
		id = row.parent;
	if ((none ? choice_refuse(r->c, id, err) : choice_pick(r->c, id, err)) < 0)
		return -1;
	return reply_task(r, none ? id : row.parent);
}
