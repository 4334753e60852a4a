/* Messages: who may write to whom, what the recipient sees of the sender, and what becomes of
 * each. A person's text arrives as it was typed; a teammate's is quoted line by line under a
 * header that only this file writes, from the token of the connection: no text can pose as
 * another's. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "methods.h"
#include "place.h"
#include "session.h"
#include "text.h"

#define LIST_MAX 1000
/* Of one list; one more message may go over it, and JSON takes up to six times. */
#define LIST_BYTES  (8u << 20)
#define LIST_LAST   50
#define TEXT_MAX    (1u << 20) /* of a person, as a prompt */
#define JOURNAL_MAX (1u << 20)
#define HANDED_MAX  (2u << 20) /* handed to a worker at once, and what the last one is beyond it */
/* Queued of the agents of a task, for anybody: a person reads them some time. */
#define QUEUED_MAX       256
#define QUEUED_BYTES_MAX (4u << 20)
/* Alternatives of a choice that a refusal names */
#define ALTERNATIVES_NAMED 8

static int check_text(const char *text, size_t most, struct error *err)
{
	if (!text || !*text)
		return error_set(err, ERROR_INVALID, "with which text?");
	if (strlen(text) > most)
		return error_set(err, ERROR_INVALID, "the text is longer than %zu bytes", most);
	return 0;
}

int check_said(const char *text, struct error *err)
{
	return check_text(text, SAID_MAX, err);
}

/* ---- what the recipient reads ---- */

/* Bytes of the line break at `text`: whatever a terminal or an agent may take for one. */
static size_t line_break(const char *text)
{
	if (text[0] == '\r' && text[1] == '\n')
		return 2;
	if (strchr("\n\r\v\f", text[0]))
		return 1;
	if (strncmp(text, "\xc2\x85", 2) == 0)
		return 2;
	return strncmp(text, "\xe2\x80\xa8", 3) == 0 || strncmp(text, "\xe2\x80\xa9", 3) == 0 ? 3
	                                                                                      : 0;
}

/* Every line behind "> ": what imitates a header is quoted like the rest. Caller frees. */
static char *quoted(const char *from, const char *key, const char *text)
{
	_cleanup_buf_ struct buf lines = BUF_INIT;
	struct buf out = BUF_INIT;

	buf_printf(&out, "[pleach: message from teammate %s%s%s, not from your user]\n> ", from,
	           key ? ", on task " : "", key ? key : "");
	while (*text) {
		size_t step = line_break(text);

		if (step)
			buf_add_str(&lines, "\n");
		else
			buf_add(&lines, text, 1);
		text += step ? step : 1;
	}
	while (lines.len && lines.data[lines.len - 1] == '\n')
		lines.data[--lines.len] = '\0';
	for (const char *at = lines.len ? lines.data : ""; *at;) {
		size_t len = strcspn(at, "\n");

		text_add_safe(&out, at, len, 0, false);
		at += len;
		if (*at) {
			buf_add_str(&out, "\n> ");
			at++;
		}
	}
	return buf_take(&out);
}

/* What its agent reads of it. Caller frees. */
static char *as_read(const json_t *message)
{
	const char *from = json_text(message, "from"), *text = json_text(message, "text");

	return from ? quoted(from, json_text(message, "from_key"), text) : xstrdup(text);
}

/* The profile of the agent that a teammate runs. New reference; NULL: none. */
static json_t *profile_of(struct coordinator *c, const struct teammate *t)
{
	_cleanup_attempt_ struct attempt_row attempt = {0};
	_cleanup_task_ struct task_row task = {0};

	if (!t->attempt || !store_attempt_get(c->store, t->attempt, &attempt) ||
	    !store_task_get(c->store, attempt.task, &task))
		return NULL;
	return attempt_profile(c, &task, attempt.agent, t);
}

static bool is_headless(const json_t *profile)
{
	const char *mode = json_text(profile, "mode");

	return !mode || strcmp(mode, agent_mode_word(MODE_EXEC)) == 0;
}

static json_t *for_worker(const struct teammate *t, const json_t *message, const char *text)
{
	return json_pack("{s:I, s:I, s:s}", "attempt", (json_int_t)t->attempt, "id",
	                 (json_int_t)json_int(message, "id", 0), "text", text ? text : "");
}

static void offer_answers(struct coordinator *c, struct teammate *t)
{
	_cleanup_json_ json_t *answers = store_message_answers(c->store, t->attempt);
	json_t *answer, *params;
	size_t i;

	json_array_foreach (answers, i, answer) {
		params = for_worker(t, answer, json_text(answer, "text"));
		json_object_set(params, "request", json_object_get(answer, "request"));
		teammate_notify(t, "attempt.answer", params);
	}
}

/* A few at a time, those beyond t->offered; its worker knows what it has. */
static void offer_messages(struct coordinator *c, struct teammate *t)
{
	_cleanup_json_ json_t *messages =
	    store_message_waiting(c->store, t->name, t->task, t->offered, HANDED_MAX);
	size_t i, bytes = 0;
	json_t *message;

	json_array_foreach (messages, i, message) {
		_cleanup_free_ char *shown = as_read(message);

		teammate_notify(t, "attempt.message", for_worker(t, message, shown));
		t->offered = json_int(message, "id", t->offered);
		bytes += json_string_length(json_object_get(message, "text"));
	}
	if (bytes < HANDED_MAX)
		t->offered = 0; /* that was all */
}

void messages_deliver(struct coordinator *c, struct teammate *t)
{
	_cleanup_json_ json_t *profile = NULL;

	if (!t->conn || !t->attempt)
		return;
	offer_answers(c, t);
	profile = profile_of(c, t);
	t->offered = 0;
	if (!is_headless(profile)) /* else its worker asks: message.waiting */
		offer_messages(c, t);
}

static void deliver_effect(struct coordinator *c, void *context)
{
	_cleanup_free_ char *name = context;
	struct teammate *t = team_find(c, name);

	if (t)
		messages_deliver(c, t);
}

static void go_on_effect(struct coordinator *c, void *context)
{
	_cleanup_free_ char *name = context;
	struct teammate *t = team_find(c, name);

	if (t && t->conn && t->attempt && t->offered)
		offer_messages(c, t);
}

void messages_deliver_later(struct coordinator *c, const struct teammate *t)
{
	turn_effect(c, deliver_effect, NULL, xstrdup(t->name));
}

/* ---- sending ---- */

/* Who speaks: a teammate by its token, or a person. */
static int sender_of(struct request *r, struct message_new *m, char **name, struct error *err)
{
	_cleanup_attempt_ struct attempt_row attempt = {0};
	_cleanup_task_ struct task_row task = {0};

	*name = NULL;
	if (r->conn->role != ROLE_AGENT)
		return 0;
	if (request_attempt(r, &attempt, &task, err) < 0)
		return -1;
	*name = xstrdup(attempt.teammate);
	m->from = *name;
	m->from_task = task.id;
	return 0;
}

/* Its run has ended: who hears a message of now is its task's next one. */
static bool has_run(const struct teammate *t)
{
	return t->phase &&
	       (strcmp(t->phase, "verifying") == 0 || strcmp(t->phase, "finishing") == 0);
}

/* When an agent gets what is sent to it: at once, as the next turn of a headless one, when it
 * starts, or only if it looks. */
static const char *when_told(struct coordinator *c, const struct teammate *t)
{
	_cleanup_json_ json_t *profile = profile_of(c, t);

	if (!profile || has_run(t))
		return "start";
	if (!is_headless(profile))
		return "now";
	return session_way(profile) ? "turn" : "read";
}

/* One agent that writes without end must not fill what others read. */
static int check_room(struct request *r, const struct message_new *m, struct error *err)
{
	int64_t bytes = 0, count;

	if (!m->from)
		return 0;
	count = store_message_queued_by(r->c->store, m->from_task, &bytes);
	if (count < QUEUED_MAX && bytes + (int64_t)strlen(m->text) <= QUEUED_BYTES_MAX)
		return 0;
	return error_set(
	    err, ERROR_BUSY,
	    "%lld messages of yours (%lld KiB) wait to be read, which is the most (%d, "
	    "%u MiB): go on, and write again later",
	    (long long)count, (long long)bytes >> 10, QUEUED_MAX, QUEUED_BYTES_MAX >> 20);
}

static void record_sent(struct coordinator *c, const struct message_new *m, int64_t id,
                        const struct teammate *t)
{
	_cleanup_free_ char *first =
	    m->to && strcmp(m->to, MESSAGE_PEOPLE) == 0 ? text_safe(m->text, 400) : NULL;
	json_t *data = json_pack("{s:I, s:s?, s:s?, s:s?}", "id", (json_int_t)id, "from", m->from,
	                         "to", m->to, "text", first);

	store_event_add(c->store, "message.sent", m->task ? m->task : (t ? t->task : 0),
	                t ? t->attempt : 0, t ? t->name : NULL, data);
	json_decref(data);
}

static int send_to(struct request *r, struct message_new m, const struct teammate *t, json_t *sent,
                   struct error *err)
{
	int64_t id;

	if (check_room(r, &m, err) < 0)
		return -1;
	if (!m.task)
		m.to = t->name;
	id = store_message_add(r->c->store, &m);
	record_sent(r->c, &m, id, t);
	json_array_append_new(sent,
	                      json_pack("{s:s, s:s?, s:s, s:I, s:s}", "teammate", t->name, "key",
	                                t->key, "state", t->attempt ? "sent" : "queued", "id",
	                                (json_int_t)id, "when", when_told(r->c, t)));
	messages_deliver_later(r->c, t);
	return 0;
}

/* The alternatives of a choice, as they are typed: those that have not ended. Caller frees; "":
 * none.
 */
static char *open_alternatives(struct coordinator *c, int64_t choice)
{
	_cleanup_free_ int64_t *alternatives = store_task_alternatives(c->store, choice);
	struct buf out = BUF_INIT;
	size_t n = 0;

	for (size_t i = 0; alternatives[i]; i++) {
		_cleanup_task_ struct task_row row = {0};
		_cleanup_free_ char *name = NULL;

		if (!store_task_get(c->store, alternatives[i], &row) ||
		    task_status_is_terminal(row.status) || ++n > ALTERNATIVES_NAMED)
			continue;
		name = task_typed(c, &row);
		buf_printf(&out, "%s%s", n > 1 ? ", " : "", name);
	}
	if (n > ALTERNATIVES_NAMED)
		buf_printf(&out, " and %zu more", n - ALTERNATIVES_NAMED);
	return buf_take(&out);
}

/* Nobody ever works on a choice itself. */
static int refuse_choice(struct coordinator *c, const struct task_row *row, struct error *err)
{
	_cleanup_free_ char *open = open_alternatives(c, row->id);
	_cleanup_free_ char *name = task_typed(c, row);

	if (*open)
		return error_set(err, ERROR_CONFLICT,
		                 "%s is a choice, nobody works on it itself (write to one of its "
		                 "alternatives: %s)",
		                 row->key, open);
	return error_set(err, ERROR_CONFLICT,
	                 "%s is a choice whose alternatives, %s.1 and on, have ended: nobody would "
	                 "read it (pleach compare %s)",
	                 row->key, row->key, name);
}

/* To a task that nobody works on yet: it waits for whoever gets it. */
static int send_to_task(struct request *r, const char *who, struct message_new m, json_t *sent,
                        struct error *err)
{
	_cleanup_task_ struct task_row row = {0};
	int64_t id;

	if (resolve_who_task(r, who, &m.task, err) < 0 || check_room(r, &m, err) < 0)
		return -1;
	store_task_get(r->c->store, m.task, &row);
	if (task_status_is_terminal(row.status))
		return error_set(err, ERROR_CONFLICT, "%s is %s: nobody would read it", row.key,
		                 task_status_word(row.status));
	if (row.kind == KIND_CHOICE)
		return refuse_choice(r->c, &row, err);
	id = store_message_add(r->c->store, &m);
	record_sent(r->c, &m, id, NULL);
	json_array_append_new(sent,
	                      json_pack("{s:n, s:s, s:I, s:s, s:s}", "teammate", "state", "queued",
	                                "id", (json_int_t)id, "key", row.key, "when", "start"));
	return 0;
}

static int send_to_people(struct request *r, struct message_new m, json_t *sent, struct error *err)
{
	int64_t id;

	if (check_room(r, &m, err) < 0)
		return -1;
	m.to = MESSAGE_PEOPLE;
	id = store_message_add(r->c->store, &m);
	record_sent(r->c, &m, id, NULL);
	json_array_append_new(sent, json_pack("{s:s, s:n, s:s, s:I, s:s}", "teammate",
	                                      MESSAGE_PEOPLE, "key", "state", "queued", "id",
	                                      (json_int_t)id, "when", "read"));
	return 0;
}

static bool means_people(struct coordinator *c, const char *who)
{
	return who && (strcmp(who, MESSAGE_PEOPLE) == 0 || strcmp(who, "user") == 0) &&
	       !team_find(c, who);
}

int method_message_send(struct request *r, struct error *err)
{
	const char *text = json_text(r->params, "text"), *who = json_text(r->params, "who");
	_cleanup_json_ json_t *sent = json_array();
	_cleanup_free_ char *from = NULL;
	struct message_new m = {.text = text};
	struct error why = ERROR_INIT;
	struct teammate *t = NULL;
	int rc = 0;

	if (sender_of(r, &m, &from, err) < 0 ||
	    check_text(text, from ? SAID_MAX : TEXT_MAX, err) < 0)
		return -1;
	if (json_flag(r->params, "all")) {
		for (t = r->c->team.first; t && rc == 0; t = t->next)
			if (!from || strcmp(from, t->name) != 0)
				rc = send_to(r, m, t, sent, err);
	} else if (means_people(r->c, who)) {
		rc = send_to_people(r, m, sent, err);
	} else if (resolve_who(r, who, &t, &why) == 0) {
		/* To a task: whoever works on it, should this teammate lose it before it reads. */
		if (who && strcmp(who, t->name) != 0)
			m.task = t->task;
		rc = send_to(r, m, t, sent, err);
	} else {
		rc = send_to_task(r, who, m, sent, err);
	}
	if (rc == 0)
		request_reply(r, json_pack("{s:O}", "sent", sent));
	return rc;
}

/* ---- reading ---- */

static void mark_read(struct coordinator *c, const json_t *messages, const char *to, int64_t task)
{
	const json_t *message;
	size_t i;

	json_array_foreach ((json_t *)messages, i, message) {
		const char *got = json_text(message, "to");
		bool mine =
		    got ? to && strcmp(got, to) == 0 : task && json_int(message, "task", 0) == task;

		if (mine && strcmp(json_text(message, "state"), "queued") == 0)
			store_message_settle(c->store, json_int(message, "id", 0),
			                     MESSAGE_DELIVERED);
	}
}

/* An agent reads what concerns itself. Nothing is typed at a headless one: reading is how it
 * gets its messages. */
static int list_for_agent(struct request *r, int64_t limit, struct error *err)
{
	_cleanup_attempt_ struct attempt_row attempt = {0};
	_cleanup_task_ struct task_row task = {0};
	_cleanup_json_ json_t *profile = NULL, *messages = NULL;

	if (request_attempt(r, &attempt, &task, err) < 0)
		return -1;
	messages = store_message_list(r->c->store, attempt.teammate, task.id, limit, LIST_BYTES);
	profile = attempt_profile(r->c, &task, attempt.agent, team_find(r->c, attempt.teammate));
	if (is_headless(profile))
		mark_read(r->c, messages, attempt.teammate, task.id);
	request_reply(r, json_pack("{s:O, s:I}", "messages", messages, "unread", (json_int_t)0));
	return 0;
}

int method_message_list(struct request *r, struct error *err)
{
	int64_t limit = json_int(r->params, "limit", LIST_LAST);
	_cleanup_json_ json_t *messages = NULL;

	if (limit < 1 || limit > LIST_MAX)
		limit = LIST_MAX;
	if (r->conn->role == ROLE_AGENT)
		return list_for_agent(r, limit, err);
	messages = store_message_list(r->c->store, NULL, 0, limit, LIST_BYTES);
	if (json_flag(r->params, "read"))
		mark_read(r->c, messages, MESSAGE_PEOPLE, 0);
	request_reply(r, json_pack("{s:O, s:I}", "messages", messages, "unread",
	                           (json_int_t)store_message_unread(r->c->store)));
	return 0;
}

/* ---- what became of them ---- */

static void record_settled(struct coordinator *c, int64_t id, enum message_state state,
                           int64_t attempt)
{
	_cleanup_free_ char *kind = xasprintf("message.%s", message_state_word(state));
	json_t *data;

	if (!store_message_settle(c->store, id, state))
		return;
	data = json_pack("{s:I}", "id", (json_int_t)id);
	store_event_add(c->store, kind, 0, attempt, NULL, data);
	json_decref(data);
}

int method_message_typed(struct request *r, struct error *err)
{
	struct teammate *t = r->conn->teammate;

	(void)err;
	record_settled(r->c, json_int(r->params, "id", 0), MESSAGE_DELIVERED, t ? t->attempt : 0);
	if (t && t->offered) /* it can take more */
		turn_effect(r->c, go_on_effect, NULL, xstrdup(t->name));
	return 0;
}

/* Of an agent that is told between its runs: what waits behind `after`, in order, more than one
 * turn takes; the rest comes with the next. */
int method_message_waiting(struct request *r, struct error *err)
{
	int64_t attempt = json_int(r->params, "attempt", 0);
	const struct teammate *t = r->conn->teammate;
	_cleanup_json_ json_t *messages = NULL, *told = json_array();
	const json_t *message;
	size_t i;

	if (!t || !attempt || t->attempt != attempt)
		return error_set(err, ERROR_STALE, "attempt %lld is over", (long long)attempt);
	messages = store_message_waiting(r->c->store, t->name, t->task,
	                                 json_int(r->params, "after", 0), HANDED_MAX);
	json_array_foreach (messages, i, message) {
		_cleanup_free_ char *shown = as_read(message);

		if (shown && *shown)
			json_array_append_new(
			    told, json_pack("{s:I, s:s}", "id",
			                    (json_int_t)json_int(message, "id", 0), "text", shown));
	}
	request_reply(r, json_pack("{s:O}", "messages", told));
	return 0;
}

/* The messages of a worker's own record that began, and those that are done, as {ID: ID}. "b ID"
 * comes before the first byte goes to the agent, "d ID" behind the last, "u ID" where it never went
 * after all: that one waits on, and may begin again. */
static void read_journal(const char *text, json_t *begun, json_t *done)
{
	char *end, key[24];

	for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		int64_t id = at[1] == ' ' ? strtoll(at + 2, &end, 10) : 0;

		if (id <= 0 || *end != '\n')
			continue;
		snprintf(key, sizeof key, "%lld", (long long)id);
		if (at[0] == 'b')
			json_object_set_new(begun, key, json_integer(id));
		else if (at[0] == 'd')
			json_object_set_new(done, key, json_integer(id));
		else if (at[0] == 'u')
			json_object_del(begun, key);
	}
}

static void settle_ids(struct coordinator *c, json_t *ids, enum message_state state,
                       int64_t attempt)
{
	const char *key;
	json_t *id;

	json_object_foreach (ids, key, id)
		record_settled(c, json_integer_value(id), state, attempt);
}

/* What began and was not done is told as unknown: handed over again it might arrive twice,
 * forgotten it might never. */
static void settle_from_journal(struct coordinator *c, int64_t attempt)
{
	_cleanup_free_ char *file =
	    xasprintf("%s/attempts/%lld/typed", c->place.state_dir, (long long)attempt);
	_cleanup_json_ json_t *begun = json_object(), *done = json_object();
	_cleanup_free_ char *text = NULL;
	size_t len = 0;

	if (place_read_file(file, JOURNAL_MAX, &text, &len, NULL) < 0)
		return;
	read_journal(text, begun, done);
	settle_ids(c, done, MESSAGE_DELIVERED, attempt);
	settle_ids(c, begun, MESSAGE_UNKNOWN, attempt);
}

void messages_attempt_ended(struct coordinator *c, int64_t attempt)
{
	if (!store_message_any_queued(c->store))
		return;
	settle_from_journal(c, attempt);
	store_message_drop_answers(c->store, attempt);
}
