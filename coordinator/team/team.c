/* The team: who comes and who goes. */
#include "team.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordinator.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "text.h"

static const char *const names[] = {
    "ash",    "birch", "cedar",  "elm",    "fir",    "hazel",   "ivy",    "juniper",
    "larch",  "maple", "oak",    "pine",   "quince", "rowan",   "sorrel", "thorn",
    "willow", "yew",   "alder",  "beech",  "cherry", "dogwood", "elder",  "fig",
    "gorse",  "holly", "laurel", "myrtle", "olive",  "poplar",
};

size_t team_size(const struct coordinator *c)
{
	size_t n = 0;

	for (const struct teammate *t = c->team.first; t; t = t->next)
		n += !t->removing;
	return n;
}

struct teammate *team_find(struct coordinator *c, const char *name)
{
	for (struct teammate *t = c->team.first; t; t = t->next)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

char *teammate_view_socket(const struct coordinator *c, const char *name)
{
	return xasprintf("%s/w-%s.sock", c->place.runtime_dir, name);
}

char *team_slots_dir(const struct coordinator *c)
{
	return place_slots_dir(&c->place);
}

char *teammate_slot(const struct coordinator *c, const char *name)
{
	_cleanup_free_ char *dir = team_slots_dir(c);

	return xasprintf("%s/%s", dir, name);
}

void teammate_set_task(struct teammate *t, int64_t attempt, int64_t task, const char *key)
{
	free(t->key);
	t->attempt = attempt;
	t->task = task;
	t->key = xstrdup(key);
	t->since_ms = time_now_ms();
	t->says = TEAMMATE_STARTING;
	t->until_ms = 0;
	if (attempt) { /* what it said before was about something else */
		free(t->last_output);
		t->last_output = NULL;
	}
	if (!attempt) {
		free(t->progress);
		t->progress = NULL;
		t->progress_seq = 0;
	}
}

void teammate_notify(struct teammate *t, const char *method, json_t *params)
{
	if (t->conn)
		rpc_peer_notify(t->conn->peer, method, params);
	else
		json_decref(params);
}

/* ---- coming ---- */

static struct teammate *teammate_new(struct coordinator *c, const char *name, int number,
                                     const char *agent, const char *profile)
{
	struct teammate *t = xcalloc(1, sizeof *t), **at = &c->team.first;

	t->name = xstrdup(name);
	t->number = number;
	t->agent = xstrdup(agent);
	t->profile = xstrdup(profile);
	t->proc.pidfd = -1;
	t->backoff_ms = TEAM_BACKOFF_FIRST_MS;
	t->since_ms = time_now_ms();
	uv_timer_init(&c->loop, &t->timer);
	t->timer.data = c;
	while (*at && (*at)->number < number)
		at = &(*at)->next;
	t->next = *at;
	*at = t;
	return t;
}

void team_load(struct coordinator *c)
{
	struct teammate_row *rows;
	size_t n = store_team_list(c->store, &rows);

	for (size_t i = 0; i < n; i++) {
		struct teammate *t = teammate_new(c, rows[i].name, (int)rows[i].number,
		                                  rows[i].agent, rows[i].profile);

		t->paused = rows[i].paused;
		t->removing = rows[i].removing;
		t->keep_session = rows[i].keep_session;
		teammate_row_finish(&rows[i]);
	}
	free(rows);
}

static int free_number(const struct coordinator *c)
{
	int number = 1;

	for (const struct teammate *t = c->team.first; t && t->number == number; t = t->next)
		number++;
	return number;
}

static const char *free_name(struct coordinator *c, char spare[TEXT_TEAMMATE_MAX + 1])
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!team_find(c, names[i]))
			return names[i];
	for (int i = 2;; i++) {
		for (size_t j = 0; j < ARRAY_LEN(names); j++) {
			snprintf(spare, TEXT_TEAMMATE_MAX + 1, "%s-%d", names[j], i);
			if (!team_find(c, spare))
				return spare;
		}
	}
}

/* Effects name the teammate: it may be gone by then. */
static void start_effect(struct coordinator *c, void *context)
{
	struct teammate *t = team_find(c, context);

	if (t)
		team_start(c, t);
	free(context);
}

static void unadd(struct coordinator *c, void *context, const struct error *why);

void team_store(struct coordinator *c, const struct teammate *t)
{
	const struct teammate_row row = {.name = t->name,
	                                 .number = t->number,
	                                 .agent = t->agent,
	                                 .profile = t->profile,
	                                 .paused = t->paused,
	                                 .removing = t->removing,
	                                 .keep_session = t->keep_session};

	store_team_put(c->store, &row);
}

int team_add(struct coordinator *c, const struct team_member *who, struct teammate **out,
             struct error *err)
{
	char spare[TEXT_TEAMMATE_MAX + 1];
	const char *name = who->name;
	struct teammate *t;

	if (name && !text_is_teammate(name))
		return error_set(err, ERROR_INVALID,
		                 "\"%s\" is no teammate's name (a-z, then a-z 0-9 -, at most %d)",
		                 name, TEXT_TEAMMATE_MAX);
	if (name && (strcmp(name, MESSAGE_PEOPLE) == 0 || strcmp(name, "user") == 0))
		return error_set(err, ERROR_INVALID,
		                 "\"%s\" means the people here: name it otherwise", name);
	if (name && team_find(c, name))
		return error_set(err, ERROR_CONFLICT, "there is a teammate %s already", name);
	if (team_size(c) >= TEAM_MAX)
		return error_set(err, ERROR_BUSY,
		                 "the team is full: %d teammates (pleach team remove NAME)",
		                 TEAM_MAX);
	if (!name)
		name = free_name(c, spare);
	t = teammate_new(c, name, free_number(c), who->agent, who->profile);
	t->keep_session = who->keep_session;
	team_store(c, t);
	store_event_add(c->store, "teammate.updated", 0, 0, t->name, NULL);
	turn_effect(c, start_effect, unadd, xstrdup(t->name));
	if (out)
		*out = t;
	return 0;
}

/* ---- going ---- */

static void timer_closed(uv_handle_t *handle)
{
	struct teammate *t = (struct teammate *)((char *)handle - offsetof(struct teammate, timer));

	free(t->name);
	free(t->agent);
	free(t->profile);
	free(t->key);
	free(t->phase);
	free(t->last_output);
	free(t->progress);
	free(t->settled);
	json_decref(t->finished);
	free(t);
}

void team_forget(struct coordinator *c, struct teammate *t)
{
	for (struct teammate **at = &c->team.first; *at; at = &(*at)->next) {
		if (*at == t) {
			*at = t->next;
			break;
		}
	}
	if (c->views)
		views_remove(c->views, t->name);
	if (t->conn)
		t->conn->teammate = NULL;
	team_unwatch(t);
	uv_close((uv_handle_t *)&t->timer, timer_closed);
}

static void unadd(struct coordinator *c, void *context, const struct error *why)
{
	struct teammate *t = team_find(c, context);

	(void)why;
	if (t && !t->proc.pid)
		team_forget(c, t);
	free(context);
}

static void exit_effect(struct coordinator *c, void *context)
{
	struct teammate *t = team_find(c, context);

	if (t && t->conn)
		teammate_notify(t, "worker.exit", json_object());
	else if (t && t->proc.pid && !t->attempt)
		proc_kill_pid(&t->proc);
	free(context);
}

void team_remove(struct coordinator *c, struct teammate *t, bool now)
{
	t->removing = true;
	team_store(c, t);
	if (now && t->attempt)
		stop_release(c, t->attempt);
	if (!t->proc.pid && !t->sweeping) {
		store_team_remove(c->store, t->name);
		store_event_add(c->store, "teammate.updated", 0, 0, t->name, NULL);
		team_forget(c, t);
		return;
	}
	turn_effect(c, exit_effect, NULL, xstrdup(t->name));
}

void team_dismiss(struct coordinator *c)
{
	for (struct teammate *t = c->team.first; t; t = t->next) {
		t->removing = true;
		exit_effect(c, xstrdup(t->name));
	}
}

bool team_is_gone(const struct coordinator *c)
{
	for (const struct teammate *t = c->team.first; t; t = t->next)
		if ((t->proc.pid || t->sweeping) && !(t->settling && gitq_is_closed(c)))
			return false;
	return true;
}
