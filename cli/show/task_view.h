/* How a Task of the interface looks to people: its mark, its words, the line about it.
 * Reads JSON, prints nothing. */
#ifndef PLEACH_CLI_TASK_VIEW_H
#define PLEACH_CLI_TASK_VIEW_H

#include "print.h"

struct task_mark {
	const char *sign; /* one column */
	enum style style;
	const char *word; /* done working waits … */
};

struct task_mark task_mark(const json_t *task);
bool task_is(const json_t *task, const char *status);
bool task_is_terminal(const json_t *task);
bool task_is_stuck(const json_t *task); /* pending, behind what does not end by itself */
bool task_is_choice(const json_t *task);
/* What is done about a budget that is used up, where that is what it waits for a person with; else
 * NULL. Caller frees. */
char *task_budget_hint(const json_t *task);
/* Done, but it could not land: it conflicts, fails merged, was refused, or waits behind such a one.
 */
bool task_is_unlanded(const json_t *task);
/* Last part of an alternative's key (".1"), or the key. Borrowed. */
const char *task_short_key(const json_t *task);
/* What to type for it: its key, behind its plan's name where two plans have that. Borrowed. */
const char *task_typed(const json_t *task);
/* "claude/opus", "-". Caller frees. */
char *task_agent(const json_t *task);
/* When the Task was read (time_mono_ms): a running one's seconds are counted on since then. */
void task_seen(json_t *task, int64_t now_ms);
/* Seconds of its attempt so far, or -1. */
double task_seconds(const json_t *task, int64_t now_ms);
/* Tasks by their ids, as text. New reference. */
json_t *task_index(const json_t *tasks);
void task_index_put(json_t *index, json_t *task); /* one more, or anew; keeps a reference */
/* The one of that id, or NULL. Borrowed from the index, which may be NULL: here and below, where
 * other tasks are looked up in one. */
const json_t *task_indexed(const json_t *index, json_int_t id);
/* Pending, and all that it is stuck behind waits for a person: no failure, so far. */
bool task_waits_for_person(const json_t *task, const json_t *index);
/* As task_mark, but such a task is blocked, not stuck. */
struct task_mark task_mark_among(const json_t *task, const json_t *index);
/* "verified 12s", "verify exit 1: …", "asks: …": what became of it. Caller frees. */
char *task_story(const json_t *task, const json_t *index);
/* "2 files   +41 −7", or "". Caller frees. */
char *task_changes(const json_t *task);

#endif
