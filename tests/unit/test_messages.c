/* Messages over a real store: how much of what waits is handed to a worker at once, and when; what
 * an agent may have queued; what the sender is told. */
#include "coordinator.h"
#include "jsonl.h"
#include "methods.h"
#include "store_fixture.h"

#define MANY 12
#define MIB  (1u << 20)

/* ---- what messages.c stands on ---- */

static struct universe {
	struct coordinator c;
	struct teammate ash, birch;
	struct conn person, agent, worker;
	struct request request;
	struct attempt_row attempt; /* of the agent that asks */
	const char *profile;
	json_t *reply;
	json_t *offered; /* [id]: attempt.message */
	int answers;
	size_t bytes; /* of one offer */
} u;

void turn_effect(struct coordinator *c, effect_fn run, effect_drop_fn drop, void *context)
{
	(void)drop;
	run(c, context);
}

struct teammate *team_find(struct coordinator *c, const char *name)
{
	struct teammate *t = c->team.first;

	while (t && strcmp(t->name, name) != 0)
		t = t->next;
	return t;
}

void teammate_notify(struct teammate *t, const char *method, json_t *params)
{
	assert_ptr_equal(t, &u.ash);
	if (strcmp(method, "attempt.answer") == 0)
		u.answers++;
	else
		json_array_append(u.offered, json_object_get(params, "id"));
	u.bytes += json_string_length(json_object_get(params, "text"));
	json_decref(params);
}

json_t *attempt_profile(struct coordinator *c, const struct task_row *task, const char *agent,
                        const struct teammate *t)
{
	(void)c;
	(void)task;
	(void)agent;
	(void)t;
	return jsonl_parse(u.profile, strlen(u.profile), NULL);
}

void request_reply(struct request *r, json_t *result)
{
	(void)r;
	json_decref(u.reply);
	u.reply = result;
}

int request_attempt(struct request *r, struct attempt_row *attempt, struct task_row *task,
                    struct error *err)
{
	(void)err;
	assert_true(store_attempt_get(r->c->store, u.attempt.id, attempt));
	assert_true(store_task_get(r->c->store, u.attempt.task, task));
	return 0;
}

int resolve_who(struct request *r, const char *who, struct teammate **out, struct error *err)
{
	*out = team_find(r->c, who);
	return *out ? 0 : error_set(err, ERROR_NOT_FOUND, "nobody of that name");
}

char *task_typed(struct coordinator *c, const struct task_row *row)
{
	(void)c;
	return xstrdup(row->key);
}

int resolve_who_task(struct request *r, const char *ref, int64_t *out, struct error *err)
{
	(void)r;
	(void)ref;
	(void)out;
	return error_set(err, ERROR_NOT_FOUND, "no such task");
}

/* ---- a team of two ---- */

static int setup(void **state)
{
	struct store_fixture *f;

	store_setup(state);
	f = *state;
	memset(&u, 0, sizeof u);
	u.c.store = f->store;
	u.ash = (struct teammate){.name = (char *)"ash", .conn = &u.worker, .next = &u.birch};
	u.birch = (struct teammate){.name = (char *)"birch"};
	u.c.team.first = &u.ash;
	u.worker = (struct conn){.c = &u.c, .role = ROLE_WORKER, .teammate = &u.ash};
	u.person = (struct conn){.c = &u.c, .role = ROLE_CLI};
	u.agent = (struct conn){.c = &u.c, .role = ROLE_AGENT};
	u.ash.task = fixture_work(f, "a");
	u.attempt = (struct attempt_row){
	    .task = u.ash.task, .teammate = (char *)"ash", .branch = (char *)"b", .started_at = 1};
	u.ash.attempt = u.attempt.id = store_attempt_insert(f->store, &u.attempt);
	u.profile = "{\"mode\":\"exec\",\"resume\":{\"command\":[\"x\"]}}";
	u.offered = json_array();
	return 0;
}

static int teardown(void **state)
{
	json_decref(u.reply);
	json_decref(u.offered);
	return store_teardown(state);
}

static int call(struct conn *conn, int (*method)(struct request *, struct error *), json_t *params,
                struct error *err)
{
	_cleanup_json_ json_t *owned = params;
	struct request r = {.c = &u.c, .conn = conn, .params = owned};

	return method(&r, err);
}

static void say(struct conn *conn, const char *who, size_t len)
{
	_cleanup_free_ char *text = xcalloc(len + 1, 1);
	struct error err = ERROR_INIT;

	memset(text, 'x', len);
	u.bytes = 0;
	assert_ok(call(conn, method_message_send, json_pack("{s:s, s:s}", "who", who, "text", text),
	               &err));
}

static const char *when(void)
{
	return json_text(json_array_get(json_sub(u.reply, "sent"), 0), "when");
}

static void typed(json_int_t id)
{
	struct error err = ERROR_INIT;

	u.bytes = 0;
	assert_ok(call(&u.worker, method_message_typed, json_pack("{s:I}", "id", id), &err));
}

static size_t ask_waiting(void)
{
	struct error err = ERROR_INIT;

	assert_ok(call(&u.worker, method_message_waiting,
	               json_pack("{s:I}", "attempt", (json_int_t)u.ash.attempt), &err));
	return json_array_size(json_sub(u.reply, "messages"));
}

/* ---- tests ---- */

/* A headless agent's worker asks when its run has ended: until then only answers go there. */
static void test_headless(void **state)
{
	struct message_new answer = {.task = u.ash.task, .attempt = u.ash.attempt, .text = "yes"};
	json_int_t last = 0;
	size_t told = 0;

	(void)state;
	for (int i = 0; i < MANY; i++)
		say(&u.person, "ash", MIB);
	store_message_add(u.c.store, &answer);
	messages_deliver(&u.c, &u.ash);
	assert_int_equal(json_array_size(u.offered), 0);
	assert_int_equal(u.answers, 1);
	for (size_t n; (n = ask_waiting()) > 0; told += n) {
		assert_in_range(n, 2, 3);
		for (size_t i = 0; i < n; i++) {
			json_int_t id =
			    json_int(json_array_get(json_sub(u.reply, "messages"), i), "id", 0);

			assert_true(id > last);
			last = id;
		}
		for (size_t i = 0; i < n; i++)
			store_message_settle(u.c.store, last - (json_int_t)i, MESSAGE_DELIVERED);
	}
	assert_int_equal(told, MANY);
}

/* One that can be told at once gets a few, the next ones when it has had one; in order. */
static void test_interactive(void **state)
{
	(void)state;
	u.profile = "{\"mode\":\"tui\"}";
	for (int i = 0; i < MANY; i++) {
		say(&u.person, "ash", MIB);
		assert_in_range(u.bytes, MIB, 3 * MIB);
	}
	json_array_clear(u.offered);
	u.bytes = 0;
	messages_deliver(&u.c, &u.ash);
	for (json_int_t id = 1; id <= MANY; id++) {
		assert_in_range(u.bytes, 0, 3 * MIB);
		assert_true(json_array_size(u.offered) >= (size_t)id);
		assert_int_equal(json_integer_value(json_array_get(u.offered, (size_t)id - 1)), id);
		typed(id);
	}
	assert_int_equal(json_array_size(u.offered), MANY);
	assert_int_equal(u.ash.offered, 0);
	messages_deliver(&u.c, &u.ash);
	assert_int_equal(json_array_size(u.offered), MANY);
}

static void refused(const char *who, size_t len)
{
	_cleanup_free_ char *text = xcalloc(len + 1, 1);
	struct error err = ERROR_INIT;

	memset(text, 'x', len);
	assert_int_equal(call(&u.agent, method_message_send,
	                      json_pack("{s:s, s:s}", "who", who, "text", text), &err),
	                 -1);
	assert_int_equal(err.code, ERROR_BUSY);
	assert_non_null(strstr(err.text, "wait to be read"));
}

/* What an agent may have queued, for whomever; people and the next task's agent go on. */
static void test_sender(void **state)
{
	struct store_fixture *f = *state;

	for (int i = 0; i < 256; i++)
		say(&u.agent, i % 2 ? "birch" : "people", 10);
	refused("birch", 1);
	refused("people", 1);
	say(&u.person, "birch", 10);
	store_message_settle(f->store, 1, MESSAGE_DELIVERED);
	say(&u.agent, "birch", 10);
	refused("birch", 1);
	u.attempt.task = fixture_work(f, "b");
	u.attempt.id = store_attempt_insert(f->store, &u.attempt);
	for (int i = 0; i < 64; i++)
		say(&u.agent, "birch", SAID_MAX);
	refused("birch", 1);
}

static void test_when(void **state)
{
	(void)state;
	u.ash.phase = (char *)"working";
	say(&u.person, "ash", 1);
	assert_string_equal(when(), "turn");
	u.profile = "{\"mode\":\"exec\"}";
	say(&u.person, "ash", 1);
	assert_string_equal(when(), "read");
	u.profile = "{\"mode\":\"acp\"}";
	say(&u.person, "ash", 1);
	assert_string_equal(when(), "now");
	u.ash.phase = (char *)"verifying";
	say(&u.person, "ash", 1);
	assert_string_equal(when(), "start");
	say(&u.person, "birch", 1);
	assert_string_equal(when(), "start");
}

/* A list of what people wrote is one line to whoever asks: it has its bounds in bytes, too. */
static void test_list(void **state)
{
	struct store_fixture *f = *state;
	_cleanup_json_ json_t *last = NULL, *some = NULL;
	struct error err = ERROR_INIT;
	const json_t *messages;

	for (int i = 0; i < 20; i++)
		say(&u.person, "birch", MIB);
	assert_int_equal(
	    call(&u.person, method_message_list, json_pack("{s:i}", "limit", 1000), &err), 0);
	messages = json_sub(u.reply, "messages");
	assert_int_equal(json_array_size(messages), 8);
	assert_int_equal(json_int(json_array_get(messages, 0), "id", 0), 13);
	assert_int_equal(json_int(json_array_get(messages, 7), "id", 0), 20);
	last = store_message_list(f->store, NULL, 0, 3, 1);
	assert_int_equal(json_array_size(last), 1);
	assert_int_equal(json_int(json_array_get(last, 0), "id", 0), 20);
	some = store_message_list(f->store, NULL, 0, 3, SIZE_MAX);
	assert_int_equal(json_array_size(some), 3);
	assert_int_equal(json_int(json_array_get(some, 0), "id", 0), 18);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_headless, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_interactive, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_sender, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_when, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_list, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
