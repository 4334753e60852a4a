/* Bases: what a task starts from. The merged result of its blockers, and the commit is
 * recorded. Where nothing has to be merged, git is not asked. While the repository's disk takes
 * nothing it is asked again each second. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "transition.h"

#define BASES_A_TURN 256
#define AGAIN_MS     1000

struct base_job {
	struct coordinator *c;
	int64_t task;
	uv_timer_t timer; /* until git is asked again */
	char *waits_for;  /* why, or NULL */
	json_t *heads;    /* what git was asked to merge */
	struct base_job *next;
};

/* Those that git computes now: a handful, so a list is right. */
static struct base_job *jobs;

static bool job_is_running(int64_t task)
{
	for (const struct base_job *job = jobs; job; job = job->next)
		if (job->task == task)
			return true;
	return false;
}

static bool is_there(const struct base_job *job)
{
	const struct base_job *at = jobs;

	while (at && at != job)
		at = at->next;
	return at != NULL;
}

static void job_free(uv_handle_t *timer)
{
	struct base_job *job = timer->data;

	free(job->waits_for);
	json_decref(job->heads);
	free(job);
}

static void job_remove(struct base_job *job)
{
	struct base_job **at = &jobs;

	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	uv_close((uv_handle_t *)&job->timer, job_free);
}

/* The heads that a task's base is made of. */
struct heads {
	json_t *list;  /* [{"task","key","head"}], in id order */
	bool has_root; /* one of them descends from the task's own root base */
};

static void add_head(struct heads *heads, const struct task_row *task,
                     const struct task_row *blocker)
{
	json_t *head;
	size_t i;

	if (blocker->status != TASK_COMPLETED || !blocker->head)
		return; /* slot: none, or settled without success: it contributes nothing */
	if (task->root_base && blocker->root_base &&
	    strcmp(task->root_base, blocker->root_base) == 0)
		heads->has_root = true;
	json_array_foreach (heads->list, i, head)
		if (strcmp(json_text(head, "head"), blocker->head) == 0)
			return;
	json_array_append_new(heads->list,
	                      json_pack("{s:I, s:s, s:s}", "task", (json_int_t)blocker->id, "key",
	                                blocker->key, "head", blocker->head));
}

static struct heads collect_heads(struct coordinator *c, const struct task_row *task)
{
	struct heads heads = {.list = json_array()};
	int64_t *blockers = store_task_blockers(c->store, task->id);

	for (size_t i = 0; blockers[i]; i++) {
		_cleanup_task_ struct task_row blocker = {0};

		if (store_task_get(c->store, blockers[i], &blocker))
			add_head(&heads, task, &blocker);
	}
	free(blockers);
	return heads;
}

/* Work that cannot be merged is a person's: which files, which tasks. */
static void ask_about_conflict(struct coordinator *c, int64_t task, const json_t *conflict)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	_cleanup_json_ json_t *input = NULL;
	struct transition t = {.task = task, .verb = VERB_ASK};
	struct error err = ERROR_INIT;
	json_t *item;
	size_t i;

	buf_add_str(&text, "the results of its blockers conflict in");
	json_array_foreach (json_object_get(conflict, "paths"), i, item)
		buf_printf(&text, "%s %s", i ? "," : "", json_string_value(item));
	buf_add_str(&text, " (tasks");
	json_array_foreach (json_object_get(conflict, "tasks"), i, item)
		buf_printf(&text, "%s %s", i ? "," : "", json_text(item, "key"));
	buf_add_str(&text, "): redo one of them, then answer or retry");
	input = json_pack("{s:s, s:s, s:o}", "reason", "conflict", "text", text.data, "options",
	                  json_null());
	t.input = input;
	if (task_change(c, &t, &err) < 0)
		log_error("base", "task=%lld: %s", (long long)task, err.text);
}

static void ask_about_failure(struct coordinator *c, int64_t task, const struct error *why)
{
	_cleanup_json_ json_t *input =
	    json_pack("{s:s, s:o, s:o}", "reason", "conflict", "text", json_text_or_null(why->text),
	              "options", json_null());
	const struct transition t = {.task = task, .verb = VERB_ASK, .input = input};
	struct error err = ERROR_INIT;

	if (task_change(c, &t, &err) < 0)
		log_error("base", "task=%lld: %s", (long long)task, err.text);
}

struct base_answer {
	int64_t task;
	const json_t *heads; /* that it is made of */
	const json_t *result;
	const struct error *why;
};

static int base_step(struct coordinator *c, void *context, struct error *err)
{
	const struct base_answer *answer = context;
	const char *commit = json_text(answer->result, "commit");
	_cleanup_task_ struct task_row row = {0};
	_cleanup_json_ json_t *now = NULL;

	(void)err;
	/* Cancelled or changed meanwhile: the next turn looks afresh. */
	if (!store_task_get(c->store, answer->task, &row) || row.status != TASK_PENDING ||
	    row.next_base)
		return 0;
	now = collect_heads(c, &row).list;
	if (!json_equal(now, answer->heads))
		return 0;
	if (commit)
		store_task_set_next_base(c->store, answer->task, commit);
	else if (answer->result)
		ask_about_conflict(c, answer->task, json_object_get(answer->result, "conflict"));
	else
		ask_about_failure(c, answer->task, answer->why);
	return 0;
}

static void look_again(uv_timer_t *timer);

static void base_done(struct coordinator *c, const json_t *result, const struct error *why,
                      void *context)
{
	struct base_job *job = context;
	_cleanup_json_ json_t *heads = json_incref(job->heads);
	struct base_answer answer = {job->task, heads, result, why};
	const char *unwritable = json_text(result, "unwritable");
	struct error err = ERROR_INIT;

	if (unwritable) {
		if (!job->waits_for)
			log_warn("base", "task=%lld waits: %s", (long long)job->task, unwritable);
		free(job->waits_for);
		job->waits_for = xstrdup(unwritable);
		uv_timer_start(&job->timer, look_again, AGAIN_MS, 0);
		return;
	}
	job_remove(job);
	if (gitq_is_unasked(why))
		return; /* the next turn asks again */
	if (turn_step(c, base_step, &answer, &err) < 0)
		log_error("base", "task=%lld: %s", (long long)answer.task, err.text);
}

static void ask_git(struct base_job *job, const struct task_row *task, json_t *heads)
{
	_cleanup_free_ char *ref = xasprintf("refs/pleach/base/%lld", (long long)task->id);

	json_decref(job->heads);
	job->heads = json_incref(heads);
	gitq_ask(job->c, "base",
	         json_pack("{s:s?, s:O, s:s}", "base", task->root_base, "heads", heads,
	                   "attempt_ref", ref),
	         base_done, job);
}

static int again_step(struct coordinator *c, void *context, struct error *err)
{
	struct base_job *job = context;
	struct heads heads;
	_cleanup_task_ struct task_row task = {0};

	(void)err;
	if (!store_task_get(c->store, job->task, &task) || task.status != TASK_PENDING ||
	    task.next_base) {
		job_remove(job); /* changed meanwhile */
		return 0;
	}
	heads = collect_heads(c, &task);
	ask_git(job, &task, heads.list);
	json_decref(heads.list);
	return 0;
}

static void look_again(uv_timer_t *timer)
{
	struct base_job *job = timer->data;
	struct error err = ERROR_INIT;

	if (turn_step(job->c, again_step, job, &err) < 0) {
		log_error("base", "task=%lld: %s", (long long)job->task, err.text);
		if (is_there(job)) /* git was not asked: nobody else looks after it */
			uv_timer_start(timer, look_again, AGAIN_MS, 0);
	}
}

static struct base_job *job_new(struct coordinator *c, int64_t task)
{
	struct base_job *job = xcalloc(1, sizeof *job);

	job->c = c;
	job->task = task;
	uv_timer_init(&c->loop, &job->timer);
	job->timer.data = job;
	job->next = jobs;
	jobs = job;
	return job;
}

static void find_base(struct coordinator *c, int64_t id)
{
	_cleanup_task_ struct task_row task = {0};
	struct heads heads;
	size_t n;

	if (job_is_running(id) || !store_task_get(c->store, id, &task))
		return;
	heads = collect_heads(c, &task);
	n = json_array_size(heads.list);
	if (n == 0 && task.root_base)
		store_task_set_next_base(c->store, id, task.root_base);
	else if (n == 1 && heads.has_root)
		store_task_set_next_base(c->store, id,
		                         json_text(json_array_get(heads.list, 0), "head"));
	else
		ask_git(job_new(c, id), &task, heads.list);
	json_decref(heads.list);
}

char *base_story(void)
{
	for (const struct base_job *job = jobs; job; job = job->next)
		if (job->waits_for)
			return xasprintf("what the next tasks start from waits: %s (it goes on by "
			                 "itself)",
			                 job->waits_for);
	return NULL;
}

void base_turn(struct coordinator *c)
{
	_cleanup_free_ int64_t *tasks = NULL;

	if (c->ending)
		return;
	tasks = store_tasks_without_base(c->store, BASES_A_TURN);
	for (size_t i = 0; tasks[i]; i++)
		find_base(c, tasks[i]);
}
