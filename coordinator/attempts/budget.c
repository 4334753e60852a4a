/* Budgets: of a task, a plan, a day. Looked at before anything starts, and whenever an attempt
 * tells what it used. A task that may not start for its own or its plan's budget waits for a
 * person, who raises it; the day's holds everything until the day is over or it is raised. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "spend.h"
#include "text.h"
#include "transition.h"

#define DAY_SETTING "budget.day"

/* ---- the day ---- */

static struct budget day_budget(struct coordinator *c)
{
	_cleanup_free_ char *text = store_setting(c->store, DAY_SETTING);
	_cleanup_json_ json_t *json = text ? jsonl_parse(text, strlen(text), NULL) : NULL;

	return budget_of(json);
}

json_t *budget_day_json(struct coordinator *c)
{
	_cleanup_free_ char *text = store_setting(c->store, DAY_SETTING);
	json_t *json = text ? jsonl_parse(text, strlen(text), NULL) : NULL;

	return json ? json : json_null();
}

void budget_set_day(struct coordinator *c, const json_t *said)
{
	json_t *budget = budget_day_json(c);
	_cleanup_free_ char *text = NULL;

	if (json_object_size(said)) {
		if (!json_is_object(budget)) {
			json_decref(budget);
			budget = json_object();
		}
		json_object_update(budget, (json_t *)said);
		text = jsonl_text(budget);
		store_set_setting(c->store, DAY_SETTING, text);
	}
	json_decref(budget);
}

static char *day_story(const struct budget *budget, const struct usage_sum *used)
{
	_cleanup_free_ char *story = budget_story(budget, used);

	return xasprintf("today's budget is used up: %s (raise budget: {day_usd, day_tokens}, then "
	                 "pleach up; or it goes on tomorrow)",
	                 story);
}

bool budget_day_allows(struct coordinator *c)
{
	struct budget budget = day_budget(c);
	_cleanup_hold_ struct hold_row row = {0};
	bool held = store_hold_get(c->store, "", &row) && row.until;
	_cleanup_free_ char *story = NULL;
	struct usage_sum used;
	int64_t now;

	if (budget_is_none(&budget) && !held)
		return true;
	now = time_now_ms();
	used = store_usage_of_day(c->store, spend_day(now));
	if (budget_level(&budget, &used) == BUDGET_OVER) {
		story = day_story(&budget, &used);
		if (!held || !row.message || strcmp(row.message, story) != 0)
			limited_hold(c, "", 0, spend_day_end(now), 0, story);
		return false;
	}
	if (held)
		limited_end_day(c);
	return true;
}

/* ---- before a start ---- */

static bool ask(struct coordinator *c, const struct ready_row *row, const char *of,
                const char *text)
{
	_cleanup_json_ json_t *input = json_pack("{s:s, s:s, s:s, s:n}", "reason", "budget", "of",
	                                         of, "text", text, "options");
	const struct transition t = {.task = row->id, .verb = VERB_ASK, .input = input};
	struct error err = ERROR_INIT;

	if (task_change(c, &t, &err) < 0)
		log_error("budget", "task=%lld: %s", (long long)row->id, err.text);
	return true;
}

/* Ready to print; NULL: it may start. Caller frees. */
char *budget_of_plan_story(struct coordinator *c, int64_t plan, const json_t *limits)
{
	struct budget budget = budget_of(json_sub(limits, "budget"));
	_cleanup_free_ char *story = NULL;
	struct usage_sum used;

	if (budget_is_none(&budget))
		return NULL;
	used = store_usage_of_plan(c->store, plan);
	if (budget_level(&budget, &used) != BUDGET_OVER)
		return NULL;
	story = budget_story(&budget, &used);
	return xasprintf("the budget of its plan is used up: %s (raise budget: in the plan, then "
	                 "pleach run)",
	                 story);
}

static char *task_story(struct coordinator *c, int64_t task)
{
	_cleanup_json_ json_t *spec = store_task_spec(c->store, task);
	struct budget budget = budget_of(json_sub(spec, "budget"));
	struct usage_sum used = store_usage_of_task(c->store, task);
	_cleanup_free_ char *story = NULL;

	if (budget_level(&budget, &used) != BUDGET_OVER)
		return NULL;
	story = budget_story(&budget, &used);
	return xasprintf("its budget is used up: %s (raise its budget: in the plan, then pleach "
	                 "run; or pleach task update TASK --budget USD)",
	                 story);
}

bool budget_holds(struct coordinator *c, const struct ready_row *row, const char *plan_story)
{
	_cleanup_free_ char *story = NULL;

	if (plan_story)
		return ask(c, row, "plan", plan_story);
	if (row->budgeted)
		story = task_story(c, row->id);
	return story && ask(c, row, "task", story);
}

void budget_raised(struct coordinator *c, int64_t plan)
{
	_cleanup_free_ int64_t *asking = store_tasks_that_ask(c->store);

	for (size_t i = 0; asking[i]; i++) {
		const struct transition t = {.task = asking[i], .verb = VERB_ANSWER};
		_cleanup_task_ struct task_row row = {0};
		struct error err = ERROR_INIT;

		if (!store_task_get(c->store, asking[i], &row) || (plan && row.plan != plan) ||
		    !task_asks_for_budget(&row))
			continue;
		if (task_change(c, &t, &err) < 0)
			log_error("budget", "task=%lld: %s", (long long)row.id, err.text);
	}
}

void budget_set_task(struct coordinator *c, int64_t task, const json_t *said)
{
	_cleanup_json_ json_t *old = store_task_spec(c->store, task), *spec = json_copy(old);
	json_t *budget =
	    json_sub(spec, "budget") ? json_copy(json_sub(spec, "budget")) : json_object();
	_cleanup_task_ struct task_row row = {0};

	json_object_update(budget, (json_t *)said);
	json_object_set_new(spec, "budget", budget);
	store_task_set_spec(c->store, task, spec);
	if (store_task_get(c->store, task, &row))
		budget_raised(c, row.plan);
}

bool task_asks_for_budget(const struct task_row *row)
{
	_cleanup_json_ json_t *input =
	    row->input ? jsonl_parse(row->input, strlen(row->input), NULL) : NULL;
	const char *reason = json_text(input, "reason");

	return row->status == TASK_NEEDS_INPUT && reason && strcmp(reason, "budget") == 0;
}

/* ---- while it runs ---- */

struct word {
	int64_t attempt;
	bool cut;
	char *text;
};

static void word_drop(struct coordinator *c, void *context, const struct error *why)
{
	struct word *word = context;

	(void)c;
	(void)why;
	free(word->text);
	free(word);
}

static void word_effect(struct coordinator *c, void *context)
{
	struct word *word = context;

	for (struct teammate *t = c->team.first; t; t = t->next) {
		if (t->attempt != word->attempt)
			continue;
		if (word->cut)
			teammate_notify(t, "attempt.cut",
			                json_pack("{s:I, s:{s:s, s:s}}", "attempt",
			                          (json_int_t)word->attempt, "error", "code",
			                          task_error_word(TASK_ERROR_BUDGET), "message",
			                          word->text));
		else
			teammate_notify(t, "attempt.wrap_up",
			                json_pack("{s:I, s:s}", "attempt",
			                          (json_int_t)word->attempt, "text", word->text));
	}
	word_drop(c, word, NULL);
}

static void say(struct coordinator *c, int64_t attempt, bool cut, const char *whose,
                const char *story)
{
	struct word *word = xcalloc(1, sizeof *word);

	word->attempt = attempt;
	word->cut = cut;
	word->text = cut ? xasprintf("%s is used up: %s", whose, story)
	                 : xasprintf("%s is nearly used up (%s). Finish what you are doing, leave "
	                             "the work in a state that can be tested, and end.",
	                             whose, story);
	turn_effect(c, word_effect, word_drop, word);
}

/* plan 0: of all plans. */
static void say_to_all(struct coordinator *c, int64_t plan, const char *whose, const char *story)
{
	_cleanup_free_ int64_t *running = store_attempts_running(c->store);

	for (size_t i = 0; running[i]; i++) {
		_cleanup_attempt_ struct attempt_row row = {0};
		_cleanup_task_ struct task_row task = {0};

		if (store_attempt_get(c->store, running[i], &row) &&
		    store_task_get(c->store, row.task, &task) && (!plan || task.plan == plan))
			say(c, row.id, true, whose, story);
	}
}

/* Whose budgets an attempt counts against. */
enum whose { OF_TASK, OF_PLAN, OF_DAY, WHOSE };
static const struct {
	const char *word, *name, *begin;
} whose_words[WHOSE] = {{"task", "the task's budget", "The budget of this task"},
                        {"plan", "the plan's budget", "The budget of this plan"},
                        {"day", "today's budget", "Today's budget"}};

static struct budget budget_whose(struct coordinator *c, enum whose whose,
                                  const struct task_row *task)
{
	_cleanup_json_ json_t *spec = NULL;

	if (whose == OF_DAY)
		return day_budget(c);
	if (whose == OF_PLAN)
		return budget_of(json_sub(store_plan_limits(c->store, task->plan), "budget"));
	spec = task->budgeted ? store_task_spec(c->store, task->id) : NULL;
	return budget_of(json_sub(spec, "budget"));
}

static struct usage_sum used_whose(struct coordinator *c, enum whose whose,
                                   const struct task_row *task)
{
	return whose == OF_DAY    ? store_usage_of_day(c->store, spend_day(time_now_ms()))
	       : whose == OF_PLAN ? store_usage_of_plan(c->store, task->plan)
	                          : store_usage_of_task(c->store, task->id);
}

/* "the plan's budget is nearly used up: $4.60 of $5.00 (fix)". Caller frees. */
static char *near_story(enum whose whose, const struct task_row *task, const char *story)
{
	return xasprintf("%s is nearly used up: %s%s%s%s", whose_words[whose].name, story,
	                 whose == OF_DAY ? "" : " (",
	                 whose == OF_DAY    ? ""
	                 : whose == OF_PLAN ? task->plan_name
	                                    : task->key,
	                 whose == OF_DAY ? "" : ")");
}

/* People are told once, when it comes to that; a budget that is raised may come to it again. */
static void record_near(struct coordinator *c, enum whose whose, const struct attempt_row *row,
                        const struct task_row *task, const char *story)
{
	_cleanup_free_ char *text = near_story(whose, task, story);
	json_t *data = json_pack("{s:s, s:s}", "of", whose_words[whose].word, "message", text);

	log_warn("budget", "%s", text);
	store_event_add(c->store, "budget.near", whose == OF_DAY ? 0 : task->id,
	                whose == OF_DAY ? 0 : row->id, NULL, data);
	json_decref(data);
}

/* What runs is ended, or told to come to an end. */
static void act(struct coordinator *c, enum whose whose, const struct attempt_row *row,
                const struct task_row *task, enum budget_level level, const char *story)
{
	bool over = level == BUDGET_OVER, runs = row->outcome == OUTCOME_NONE;

	if (over && whose != OF_TASK)
		say_to_all(c, whose == OF_PLAN ? task->plan : 0, whose_words[whose].name, story);
	else if (over && runs)
		say(c, row->id, true, whose_words[whose].name, story);
	else if (level == BUDGET_NEAR && runs && whose != OF_DAY)
		say(c, row->id, false, whose_words[whose].begin, story);
}

void budget_used(struct coordinator *c, const struct attempt_row *row, const json_t *usage)
{
	enum budget_level before[WHOSE] = {BUDGET_FREE}, level;
	_cleanup_task_ struct task_row task = {0};
	struct budget budgets[WHOSE];
	struct usage_sum used;

	if (!json_is_object(usage) || !store_task_get(c->store, row->task, &task))
		return;
	for (int i = 0; i < WHOSE; i++) {
		budgets[i] = budget_whose(c, (enum whose)i, &task);
		if (budget_is_none(&budgets[i]))
			continue;
		used = used_whose(c, (enum whose)i, &task);
		before[i] = budget_level(&budgets[i], &used);
	}
	store_usage_put(c->store, row, spend_day(time_now_ms()), usage);
	for (int i = 0; i < WHOSE; i++) {
		_cleanup_free_ char *story = NULL;

		if (budget_is_none(&budgets[i]))
			continue;
		used = used_whose(c, (enum whose)i, &task);
		level = budget_level(&budgets[i], &used);
		story = budget_story(&budgets[i], &used);
		if (level == BUDGET_NEAR && before[i] == BUDGET_FREE)
			record_near(c, (enum whose)i, row, &task, story);
		act(c, (enum whose)i, row, &task, level, story);
	}
}

/* Of one that something counts against now, once. */
static void add_near(struct coordinator *c, enum whose whose, const struct task_row *task,
                     json_t *list)
{
	struct budget budget = budget_whose(c, whose, task);
	_cleanup_free_ char *story = NULL, *text = NULL;
	struct usage_sum used;
	const json_t *one;
	size_t i;

	if (budget_is_none(&budget))
		return;
	used = used_whose(c, whose, task);
	if (budget_level(&budget, &used) != BUDGET_NEAR)
		return;
	story = budget_story(&budget, &used);
	text = near_story(whose, task, story);
	json_array_foreach (list, i, one)
		if (strcmp(json_text(one, "message"), text) == 0)
			return;
	json_array_append_new(
	    list, json_pack("{s:s, s:s}", "of", whose_words[whose].word, "message", text));
}

/* Adds a plan to those that were looked at. False: it is one of them. */
static bool is_first_of_plan(int64_t *plans, size_t *n, int64_t plan)
{
	for (size_t i = 0; i < *n; i++)
		if (plans[i] == plan)
			return false;
	plans[(*n)++] = plan;
	return true;
}

/* A plan's use is a sum over all its attempts, the day's over everybody's: each once. */
json_t *budget_near_json(struct coordinator *c)
{
	_cleanup_free_ int64_t *running = store_attempts_running(c->store), *plans = NULL;
	json_t *list = json_array();
	size_t n = 0, count = 0;

	while (running[count])
		count++;
	plans = xcalloc(count + 1, sizeof *plans);
	for (size_t i = 0; i < count; i++) {
		_cleanup_attempt_ struct attempt_row row = {0};
		_cleanup_task_ struct task_row task = {0};

		if (!store_attempt_get(c->store, running[i], &row) ||
		    !store_task_get(c->store, row.task, &task))
			continue;
		add_near(c, OF_TASK, &task, list);
		if (!is_first_of_plan(plans, &n, task.plan))
			continue;
		add_near(c, OF_PLAN, &task, list);
		if (n == 1)
			add_near(c, OF_DAY, &task, list);
	}
	return list;
}

bool budget_is_its_own(struct coordinator *c, int64_t task)
{
	_cleanup_free_ char *story = task_story(c, task);

	return story != NULL;
}

/* ---- whom no budget can hold ---- */

/* Of those that speak ACP these were seen to (worker/agent/acp.c). */
static bool tells_over_acp(const json_t *profile)
{
	const char *program = json_string_value(json_array_get(json_sub(profile, "command"), 0));
	const char *slash = program ? strrchr(program, '/') : NULL;

	if (slash)
		program = slash + 1;
	return program && (strcmp(program, "qwen") == 0 || strcmp(program, "gemini") == 0);
}

/* What the JSON lines of an agent tell: both, or tokens only. Anything else tells nothing. */
static void what_it_tells(const json_t *profile, bool *tokens, bool *cost)
{
	static const char *const all[] = {"claude", "opencode", "pi"};
	static const char *const only_tokens[] = {"codex", "gemini"};
	const char *output = json_text(profile, "output"), *mode = json_text(profile, "mode");

	*tokens = *cost = false;
	if (mode && strcmp(mode, "acp") == 0)
		*tokens = tells_over_acp(profile);
	if (!output || !mode || strcmp(mode, "exec") != 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (strcmp(output, all[i]) == 0)
			*tokens = *cost = true;
	for (size_t i = 0; i < ARRAY_LEN(only_tokens); i++)
		if (strcmp(output, only_tokens[i]) == 0)
			*tokens = true;
}

static void note_budget(const json_t *budget, bool *money, bool *count)
{
	*money = *money || json_is_number(json_object_get(budget, "usd"));
	*count = *count || json_is_number(json_object_get(budget, "tokens"));
}

void budget_warn(const json_t *plan, json_t *warnings)
{
	bool money = false, count = false, tokens, cost;
	json_t *profile, *task;
	const char *name;
	size_t i;

	note_budget(json_sub(json_sub(plan, "limits"), "budget"), &money, &count);
	note_budget(json_sub(plan, "budget_day"), &money, &count);
	json_array_foreach (json_sub(plan, "tasks"), i, task)
		note_budget(json_sub(json_sub(task, "spec"), "budget"), &money, &count);
	if (!money && !count)
		return;
	json_object_foreach (json_sub(plan, "agents"), name, profile) {
		what_it_tells(profile, &tokens, &cost);
		if (!tokens && !cost)
			json_array_append_new(
			    warnings, json_sprintf("agent %s does not tell what it uses: no budget "
			                           "can hold it (timeout and limits do)",
			                           name));
		else if (!cost && money)
			json_array_append_new(
			    warnings, json_sprintf("agent %s tells tokens but no cost: only a "
			                           "budget in tokens can hold it",
			                           name));
	}
}
