/* Between the store and the pure scheduler: who is idle, what is ready, what that makes. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "scheduler.h"
#include "text.h"
#include "transition.h"

/* Ready tasks looked at in a turn: more when none of them fits, and where some are known to clash
 * with work under way, so that others can be found. */
#define READY_FIRST 8
#define READY_PAGE  256

char *task_branch(const char *plan, const char *key)
{
	return xasprintf("pleach/%s/%s", plan, key);
}

/* Limits of one plan, as far as tasks in this turn ask for them. */
struct limits {
	struct sched_limit *items;
	struct {
		int64_t plan;
		char *agent; /* NULL: the plan's total */
	} * names;
	size_t n;
	/* Tasks of one plan and agent stand together: what was asked last is kept. */
	int64_t plan;
	char *used_up;     /* why nothing of it starts, or NULL */
	const char *agent; /* borrowed from the page */
	bool agent_waits;
	bool any_waits;
};

static size_t limit_index(struct coordinator *c, struct limits *limits, int64_t plan,
                          const char *agent, int64_t most)
{
	for (size_t i = 0; i < limits->n; i++)
		if (limits->names[i].plan == plan &&
		    (agent ? limits->names[i].agent && strcmp(limits->names[i].agent, agent) == 0
		           : !limits->names[i].agent))
			return i;
	limits->items = xrealloc(limits->items, (limits->n + 1) * sizeof *limits->items);
	limits->names = xrealloc(limits->names, (limits->n + 1) * sizeof *limits->names);
	limits->items[limits->n].left = most - store_tasks_running(c->store, plan, agent);
	limits->names[limits->n].plan = plan;
	limits->names[limits->n].agent = xstrdup(agent);
	return limits->n++;
}

/* Its service does not serve its agent now. */
static bool agent_waits(struct coordinator *c, struct limits *limits, const char *agent)
{
	if (!agent || !limits->any_waits)
		return false;
	if (!limits->agent || strcmp(limits->agent, agent) != 0) {
		limits->agent = agent;
		limits->agent_waits = limited_is(c, agent);
	}
	return limits->agent_waits;
}

static void limits_of(struct coordinator *c, struct limits *limits, const struct ready_row *row,
                      struct sched_task *task)
{
	const json_t *plan = store_plan_limits(c->store, row->plan);
	int64_t total = json_int(plan, "total", 0);
	int64_t mine = row->agent ? json_int(json_object_get(plan, "agents"), row->agent, 0) : 0;

	task->total_limit = task->agent_limit = SIZE_MAX;
	if (limits->plan != row->plan) {
		free(limits->used_up);
		limits->plan = row->plan;
		limits->used_up = budget_of_plan_story(c, row->plan, plan);
	}
	if (agent_waits(c, limits, row->agent) || budget_holds(c, row, limits->used_up))
		task->waits = true;
	if (total > 0)
		task->total_limit = limit_index(c, limits, row->plan, NULL, total);
	if (mine > 0)
		task->agent_limit = limit_index(c, limits, row->plan, row->agent, mine);
}

static void limits_finish(struct limits *limits)
{
	for (size_t i = 0; i < limits->n; i++)
		free(limits->names[i].agent);
	free(limits->names);
	free(limits->items);
	free(limits->used_up);
}

static size_t collect_idle(struct coordinator *c, struct teammate **idle,
                           struct sched_teammate *teammates)
{
	size_t n = 0;

	for (struct teammate *t = c->team.first; t && n < TEAM_MAX; t = t->next) {
		if (!t->conn || !t->idle || t->paused || t->removing || t->reserved ||
		    limited_is(c, t->agent) || store_attempt_running_of(c->store, t->name))
			continue;
		idle[n] = t;
		teammates[n] = (struct sched_teammate){.number = n, .agent = t->agent};
		n++;
	}
	return n;
}

json_t *attempt_profile(struct coordinator *c, const struct task_row *task, const char *agent,
                        const struct teammate *t)
{
	json_t *profile = NULL;

	if (agent)
		profile =
		    json_incref(json_object_get(store_plan_agents(c->store, task->plan), agent));
	if (!profile && t && t->profile && (!agent || (t->agent && strcmp(agent, t->agent) == 0)))
		profile = jsonl_parse(t->profile, strlen(t->profile), NULL);
	return profile;
}

/* The attempt goes on with a session where there is one to go on with. */
static void continue_session(struct coordinator *c, const struct task_row *task,
                             const struct teammate *t, struct attempt_row *attempt,
                             struct session_start *start)
{
	_cleanup_json_ json_t *profile = NULL;

	if (session_may_continue(task, t)) {
		profile = attempt_profile(c, task, attempt->agent, t);
		if (session_continue(c, task, t, attempt, profile, start)) {
			attempt->session = start->session;
			attempt->continues = start->continues;
			if (start->base)
				attempt->base = start->base;
		}
	}
	if (task->resume)
		store_task_set_resume(c->store, task->id, 0);
}

static void assign(struct coordinator *c, int64_t task_id, struct teammate *t)
{
	_cleanup_task_ struct task_row task = {0};
	_cleanup_free_ char *branch = NULL, *slot = NULL;
	_cleanup_json_ json_t *data = NULL;
	struct transition transition = {.task = task_id, .verb = VERB_ASSIGN};
	_cleanup_session_ struct session_start start = {0};
	struct attempt_row attempt = {0};
	struct error err = ERROR_INIT;

	if (!store_task_get(c->store, task_id, &task))
		return;
	branch = task_branch(task.plan_name, task.key);
	slot = task.slot_none ? NULL : teammate_slot(c, t->name);
	attempt = (struct attempt_row){.task = task_id,
	                               .teammate = t->name,
	                               .branch = branch,
	                               .base = task.slot_none ? NULL : task.next_base,
	                               .slot = slot,
	                               .agent = task.agent ? task.agent : t->agent,
	                               .model = task.model,
	                               .started_at = time_now_ms()};
	continue_session(c, &task, t, &attempt, &start);
	transition.attempt = store_attempt_insert(c->store, &attempt);
	transition.base = attempt.base;
	if (task_transition(c->store, &transition, NULL, &err) < 0) {
		log_error("schedule", "task=%lld: %s", (long long)task_id, err.text);
		return;
	}
	data = json_pack("{s:s?, s:s?, s:s?, s:s?}", "base", attempt.base, "branch",
	                 task.slot_none ? NULL : branch, "agent", attempt.agent, "slot", slot);
	if (attempt.continues)
		json_object_set_new(
		    data, "continues",
		    jsonl_parse(attempt.continues, strlen(attempt.continues), NULL));
	store_event_add(c->store, "attempt.started", task_id, transition.attempt, t->name, data);
	worker_deliver_later(c, t, transition.attempt);
}

static size_t assign_page(struct coordinator *c, struct ready_row *rows, size_t n,
                          struct teammate **idle, struct sched_teammate *teammates, size_t n_idle)
{
	_cleanup_free_ struct sched_task *tasks = xcalloc(n, sizeof *tasks);
	struct sched_assignment made[TEAM_MAX];
	struct limits limits = {.any_waits = store_hold_any(c->store)};
	size_t assigned;

	for (size_t i = 0; i < n; i++) {
		struct teammate *at = NULL;
		enum session_place place = session_place(c, &rows[i], &at);

		tasks[i] = (struct sched_task){.id = rows[i].id,
		                               .priority = rows[i].priority,
		                               .clashes = clashes_with_running(c, rows[i].id),
		                               .agent = rows[i].agent,
		                               .waits = place == SESSION_LATER};
		for (size_t k = 0; place == SESSION_THERE && k < n_idle; k++)
			if (idle[k] == at)
				tasks[i].only = k + 1;
		limits_of(c, &limits, &rows[i], &tasks[i]);
	}
	assigned = schedule_assign(tasks, n, teammates, n_idle, limits.items, limits.n, made);
	for (size_t i = 0; i < assigned; i++)
		assign(c, rows[made[i].task].id, idle[teammates[made[i].teammate].number]);
	limits_finish(&limits);
	return assigned;
}

void schedule_turn(struct coordinator *c)
{
	struct sched_teammate teammates[TEAM_MAX];
	struct teammate *idle[TEAM_MAX];
	size_t n_idle, n, made, assigned = 0;
	int64_t page = 0;
	struct ready_row *rows;

	if (c->draining || c->ending || c->moving || c->pinning)
		return;
	/* More are looked at while some teammate has nothing: up to a page, and beyond where
	 * nothing fitted anybody. */
	session_reserve(c);
	while ((n_idle = collect_idle(c, idle, teammates)) > 0) {
		if (!page)
			page = clashes_known(c) ? READY_PAGE : READY_FIRST + (int64_t)n_idle;
		n = store_tasks_ready(c->store, page, &rows);
		made = n && disk_has_room(c) && budget_day_allows(c)
		           ? assign_page(c, rows, n, idle, teammates, n_idle)
		           : 0;
		ready_rows_free(rows, n);
		assigned += made;
		if (made == n_idle || (int64_t)n < page || (assigned && page >= READY_PAGE))
			break;
		page *= 8; /* these fit nobody here */
	}
}

/* `first`: there was none before. */
static char *previous_head(struct coordinator *c, const struct attempt_row *attempt, bool first)
{
	int64_t id = first ? 0 : store_attempt_previous(c->store, attempt->task, attempt->id);
	_cleanup_attempt_ struct attempt_row row = {0};

	return id && store_attempt_get(c->store, id, &row) ? xstrdup(row.head) : NULL;
}

/* What is null is not said: the agent starts once its worker has read it all. */
static void put_known(struct buf *out, const char *key, const char *text)
{
	if (text)
		jsonl_put_text(out, key, text);
}

static void put_secrets(struct coordinator *c, int64_t attempt, struct buf *out)
{
	char token[TOKEN_TEXT_MAX], session[37];

	token_of_attempt(&c->secret, attempt, token);
	token_session(&c->secret, attempt, session);
	jsonl_put_text(out, "token", token);
	jsonl_put_text(out, "session", session);
}

static void put_profile(struct coordinator *c, const struct task_row *task,
                        const struct attempt_row *attempt, struct buf *out)
{
	_cleanup_json_ json_t *profile =
	    attempt_profile(c, task, attempt->agent, team_find(c, attempt->teammate));

	if (profile)
		jsonl_put(out, "profile", profile);
}

/* What went before: earlier attempts, an answer, a session to go on with. */
static void put_past(struct coordinator *c, const struct task_row *task,
                     const struct attempt_row *attempt, struct buf *out)
{
	_cleanup_free_ char *previous = previous_head(c, attempt, task->attempts <= 1);
	_cleanup_json_ json_t *resume = session_resume_json(c, attempt);

	put_known(out, "previous_head", previous);
	put_known(out, "answer", task->answer);
	if (!json_is_null(resume))
		jsonl_put(out, "resume", resume);
}

bool assignment_make(struct coordinator *c, int64_t id, const json_t *finish,
                     struct assignment *out)
{
	_cleanup_attempt_ struct attempt_row attempt = {0};
	_cleanup_task_ struct task_row task = {0};
	_cleanup_json_ json_t *spec = NULL;
	struct buf *text = &out->text;

	if (!store_attempt_get(c->store, id, &attempt) ||
	    !store_task_get(c->store, attempt.task, &task))
		return false;
	jsonl_open(text, NULL, '{');
	jsonl_put_int(text, "attempt", id);
	jsonl_put_int(text, "task", task.id);
	jsonl_put_text(text, "key", task.key);
	jsonl_put_text(text, "plan", task.plan_name);
	spec = store_task_put_text(c->store, task.id, text);
	put_known(text, "base", attempt.base);
	put_known(text, "branch", attempt.branch);
	put_known(text, "agent", attempt.agent);
	put_known(text, "model", attempt.model);
	put_profile(c, &task, &attempt, text);
	jsonl_put(text, "spec", spec);
	put_secrets(c, id, text);
	store_task_put_inputs(c->store, task.id, "inputs", text);
	jsonl_put_int(text, "stop_grace", STOP_GRACE_S);
	put_past(c, &task, &attempt, text);
	if (finish)
		jsonl_put(text, "finish", finish);
	jsonl_close(text, '}');
	out->task = task.id;
	out->key = xstrdup(task.key);
	out->has_slot = !task.slot_none;
	return true;
}

void assignment_finish(struct assignment *assignment)
{
	buf_finish(&assignment->text);
	free(assignment->key);
	*assignment = (struct assignment){.text = BUF_INIT};
}
