/* The team as people steer it: up, down, add, remove, pause, views, a run that is broken off. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordinator.h"
#include "jsonl.h"
#include "keys.h"
#include "log.h"
#include "mem.h"
#include "methods.h"
#include "text.h"
#include "transition.h"

#define TMUX_PROGRAM "tmux"

/* What the last `up` or `run` said of keys: {ACTION:KEY}, as keys.h has them. New reference. */
static json_t *keys_said(const struct coordinator *c)
{
	_cleanup_free_ char *text = store_setting(c->store, "keys");
	json_t *keys = text && *text ? json_loads(text, 0, NULL) : NULL;

	return keys ? keys : json_object();
}

static void views_changed(void *context)
{
	(void)context; /* pane ids are read when somebody asks */
}

int team_views_open(struct coordinator *c, struct error *err)
{
	_cleanup_free_ char *program = NULL, *socket = NULL, *worker = NULL;
	const char *path = json_text(json_object_get(c->environment, "base"), "PATH");

	if (c->views)
		return 0;
	program = proc_find_program(TMUX_PROGRAM, path);
	if (!program)
		return error_set(err, ERROR_EXTERNAL,
		                 "tmux is not installed (install it, or use --headless)");
	socket = xasprintf("%s/tmux", c->place.runtime_dir);
	worker = xasprintf("%s/pleach-worker", proc_own_dir());
	if (views_open(&c->loop, program, socket, worker, &c->views, err) < 0)
		return -1;
	views_on_change(c->views, views_changed, c);
	_cleanup_json_ json_t *keys = keys_said(c);
	views_set_keys(c->views, keys);
	for (struct teammate *t = c->team.first; t; t = t->next)
		teammate_changed(c, t);
	return 0;
}

static int pinned_step(struct coordinator *c, void *context, struct error *err)
{
	json_t *changed = context, *data;

	(void)err;
	if (json_array_size(changed)) {
		data = json_pack("{s:O}", "what", changed);
		store_event_add(c->store, "slot.tampered", 0, 0, NULL, data);
		json_decref(data);
	}
	return 0;
}

/* The step opens a turn, at whose end there is scheduling, also where there is nothing to tell. */
static void pinned(struct coordinator *c, const json_t *result, const struct error *why,
                   void *context)
{
	struct error err = ERROR_INIT;
	bool *awaited = context;

	c->pinning -= *awaited;
	free(awaited);
	if (gitq_is_unasked(why))
		return;
	if (result)
		places_pinned(c);
	else
		log_warn("git", "the configuration could not be pinned: %s", why->text);
	if (turn_step(c, pinned_step, json_sub(result, "changed"), &err) < 0)
		log_error("git", "%s", err.text);
}

/* What `pin` writes is there. */
static bool is_pinned(const struct coordinator *c)
{
	_cleanup_free_ char *hooks = xasprintf("%s/hooks.json", c->place.state_dir);

	return access(c->pinned_file, F_OK) == 0 && access(hooks, F_OK) == 0;
}

/* The configuration as it is now, before any agent could change it: till it is known, nothing is
 * assigned. One that is known and kept is only held against that of now. */
static void pin(struct coordinator *c, bool keep)
{
	bool *awaited = xcalloc(1, sizeof *awaited);

	*awaited = !keep || !is_pinned(c);
	c->pinning += *awaited;
	gitq_ask(c, "pin", json_pack("{s:b}", "keep", keep), pinned, awaited);
}

static bool keeps_session(const json_t *teammate)
{
	const char *session = json_text(teammate, "session");

	return session && strcmp(session, "keep") == 0;
}

/* Listed teammates that are not there yet; profiles hold what their agents are. */
static int add_listed(struct request *r, json_t *started, struct error *err)
{
	const json_t *profiles = json_sub(r->params, "profiles");
	json_t *item;
	size_t i;

	json_array_foreach (json_sub(r->params, "teammates"), i, item) {
		const char *name = json_text(item, "name"), *agent = json_text(item, "agent");
		const json_t *profile = agent ? json_object_get(profiles, agent) : NULL;
		_cleanup_free_ char *text = profile ? jsonl_text(profile) : NULL;
		const struct team_member who = {.name = name,
		                                .agent = agent,
		                                .profile = text,
		                                .keep_session = keeps_session(item)};
		struct teammate *t = name ? team_find(r->c, name) : NULL;

		if (t && t->keep_session != who.keep_session) {
			t->keep_session = who.keep_session;
			team_store(r->c, t);
		}
		if (t)
			continue;
		if (team_add(r->c, &who, &t, err) < 0)
			return -1;
		json_array_append_new(started, json_string(t->name));
	}
	return 0;
}

static void start_all(struct coordinator *c, void *context)
{
	(void)context;
	for (struct teammate *t = c->team.first; t; t = t->next)
		team_start(c, t);
}

/* Nothing that is no key is kept: it becomes words of a line to tmux. */
static void set_keys(struct coordinator *c, const json_t *said)
{
	_cleanup_json_ json_t *keys = json_object();
	_cleanup_free_ char *text = NULL;

	for (unsigned action = 0; action < key_action_count; action++)
		json_object_set_new(keys, key_action_word(action),
		                    json_string(key_of(said, action)));
	text = jsonl_text(keys);
	store_set_setting(c->store, "keys", text);
	if (c->views)
		views_set_keys(c->views, keys);
}

int method_team_up(struct request *r, struct error *err)
{
	struct coordinator *c = r->c;
	int64_t size = json_int(r->params, "size", 0);
	bool headless = json_flag(r->params, "headless");
	_cleanup_json_ json_t *started = json_array();

	if (c->draining || c->ending)
		return error_set(err, ERROR_BUSY, "the coordinator is going down (try again)");
	if (size < 0 || size > TEAM_MAX)
		return error_set(err, ERROR_INVALID, "a team has 1 to %d teammates", TEAM_MAX);
	if (environment_set_base(c, json_sub(r->params, "environment"), err) < 0)
		return -1;
	if (!headless && team_views_open(c, err) < 0)
		return -1;
	set_keys(c, json_sub(r->params, "keys"));
	pin(c, !json_flag(r->params, "accept"));
	if (json_flag(r->params, "accept")) /* up; a run goes on with its own tasks */
		store_tasks_go_on(c->store);
	store_set_setting(c->store, "team.boot", c->boot);
	store_set_setting(c->store, "team.views", c->views ? "1" : "0");
	c->team.wanted = true;
	budget_set_day(c, json_sub(r->params, "budget_day"));
	store_set_setting(c->store, "notice", "");
	if (add_listed(r, started, err) < 0)
		return -1;
	while ((int64_t)team_size(c) < size) {
		const struct team_member any = {0};
		struct teammate *t = NULL;

		if (team_add(c, &any, &t, err) < 0)
			return -1;
		json_array_append_new(started, json_string(t->name));
	}
	turn_effect(c, start_all, NULL, NULL);
	landing_scan(c, 0);
	request_reply(r, json_pack("{s:o, s:O, s:o}", "teammates", team_json(c), "started", started,
	                           "tmux",
	                           json_text_or_null(c->views ? views_socket(c->views) : NULL)));
	return 0;
}

int method_team_list(struct request *r, struct error *err)
{
	(void)err;
	request_reply(r, json_pack("{s:o}", "teammates", team_json(r->c)));
	return 0;
}

int method_team_add(struct request *r, struct error *err)
{
	const char *name = json_text(r->params, "name"), *agent = json_text(r->params, "agent");
	const json_t *profile = json_sub(r->params, "profile");
	_cleanup_free_ char *text = profile ? jsonl_text(profile) : NULL;
	const struct team_member who = {.name = name,
	                                .agent = agent,
	                                .profile = text,
	                                .keep_session = keeps_session(r->params)};
	struct teammate *t;

	if (r->c->draining || r->c->ending)
		return error_set(err, ERROR_BUSY, "the coordinator is going down (try again)");
	if (environment_set_base(r->c, json_sub(r->params, "environment"), err) < 0 ||
	    team_add(r->c, &who, &t, err) < 0)
		return -1;
	if (!r->c->team.wanted)
		pin(r->c, true);
	store_tasks_go_on(r->c->store);
	r->c->team.wanted = true;
	store_set_setting(r->c->store, "team.boot", r->c->boot);
	request_reply(r, teammate_json(r->c, t));
	return 0;
}

int method_team_remove(struct request *r, struct error *err)
{
	struct teammate *t;
	json_t *before;

	if (resolve_teammate(r->c, json_text(r->params, "name"), &t, err) < 0)
		return -1;
	before = teammate_json(r->c, t);
	team_remove(r->c, t, json_flag(r->params, "now"));
	request_reply(r, before);
	return 0;
}

static int set_paused(struct request *r, bool paused, struct error *err)
{
	const char *name = json_text(r->params, "name");
	struct teammate *named;

	if (name && resolve_teammate(r->c, name, &named, err) < 0)
		return -1;
	for (struct teammate *t = r->c->team.first; t; t = t->next) {
		if (name && strcmp(t->name, name) != 0)
			continue;
		t->paused = paused;
		team_store(r->c, t);
		store_event_add(r->c->store, "teammate.updated", 0, 0, t->name, NULL);
		teammate_changed(r->c, t);
	}
	return method_team_list(r, err);
}

int method_team_pause(struct request *r, struct error *err)
{
	return set_paused(r, true, err);
}

/* Of a teammate, or of tasks: then its name is no slip for a teammate's. */
static bool is_agent(struct coordinator *c, const char *name)
{
	for (const struct teammate *t = c->team.first; t; t = t->next)
		if (t->agent && strcmp(t->agent, name) == 0)
			return true;
	return store_agent_has_tasks(c->store, name);
}

/* Also ends a wait for the service: of a teammate's agent, of an agent by its name, of all. */
int method_team_resume(struct request *r, struct error *err)
{
	const char *name = json_text(r->params, "name");
	struct teammate *t = name ? team_find(r->c, name) : NULL;
	_cleanup_attempt_ struct attempt_row last = {0};

	if (name && !t && limited_end(r->c, name))
		return method_team_list(r, err);
	if (name && !t && is_agent(r->c, name))
		return error_set(err, ERROR_NOT_FOUND, "%.40s is not limited", name);
	if (!name) {
		store_tasks_go_on(r->c->store);
		limited_end(r->c, NULL);
	} else if (t && t->agent)
		limited_end(r->c, t->agent);
	else if (t &&
	         store_attempt_get(r->c->store, store_attempt_newest_of(r->c->store, t->name),
	                           &last) &&
	         last.agent)
		limited_end(r->c, last.agent);
	return set_paused(r, false, err);
}

static struct teammate *next_waiting(struct coordinator *c)
{
	for (struct teammate *t = c->team.first; t; t = t->next)
		if (teammate_state(c, t) == TEAMMATE_NEEDS_INPUT)
			return t;
	return NULL;
}

int method_team_view(struct request *r, struct error *err)
{
	const char *who = json_text(r->params, "who");
	_cleanup_free_ char *socket = NULL;
	struct teammate *t = NULL;

	if (json_flag(r->params, "next")) {
		t = next_waiting(r->c);
		if (!t)
			return error_set(err, ERROR_NOT_FOUND, "nobody waits for a person");
	} else if (!who && r->conn->role != ROLE_AGENT) {
		t = next_waiting(r->c);
		for (struct teammate *u = r->c->team.first; u && !t; u = u->next)
			t = u->attempt ? u : NULL;
		if (!t)
			t = r->c->team.first;
		if (!t)
			return error_set(err, ERROR_NOT_FOUND, "there is no team (pleach up)");
	} else if (resolve_who(r, who, &t, err) < 0) {
		return -1;
	}
	socket = teammate_view_socket(r->c, t->name);
	request_reply(r, json_pack("{s:s, s:s, s:o, s:s?, s:o}", "name", t->name, "socket", socket,
	                           "task", json_int_or_null(t->task, 0), "key", t->key, "keys",
	                           keys_said(r->c)));
	return 0;
}

int method_coordinator_down(struct request *r, struct error *err)
{
	struct coordinator *c = r->c;
	bool now = json_flag(r->params, "now");
	int64_t *attempts = now ? store_attempts_running(c->store) : xcalloc(1, sizeof *attempts);

	(void)err;
	c->draining = true;
	if (now) {
		serve_will_end(c);
		landings_end(c);
	}
	for (size_t i = 0; attempts[i]; i++)
		stop_release(c, attempts[i]);
	held_add(c,
	         (struct held){
	             .kind = HELD_DOWN, .later = request_later(r), .tasks = attempts, .now = now});
	return 0;
}
