/* What is told of the store: tasks as a line, in short and whole, and events. */
#include "jsonl.h"
#include "store_fixture.h"
#include "text.h"

#define TEXT_OF(object, key) json_string_value(json_object_get(object, key))

static json_t *task_of(struct store *store, int64_t id, enum task_view of, bool sparse)
{
	_cleanup_task_ struct task_row row = {0};
	_cleanup_buf_ struct buf text = BUF_INIT;

	assert_true(store_task_get(store, id, &row));
	jsonl_open(&text, NULL, '{');
	store_task_put(store, &row, of, sparse, &text);
	jsonl_close(&text, '}');
	return jsonl_parse(text.data, text.len, NULL);
}

static void test_a_task_as_json(void **state)
{
	static const char *const fields[] = {
	    "id",      "key",        "plan",       "kind",       "subject",     "prompt",
	    "status",  "ready",      "stuck_by",   "blocked_by", "blocks",      "parent",
	    "chosen",  "owner",      "agent",      "model",      "priority",    "source",
	    "attempt", "base",       "attempts",   "branch",     "head",        "unchanged",
	    "verify",  "output",     "input",      "error",      "landing",     "usage",
	    "seconds", "created_at", "started_at", "metadata",   "finished_at", "alternatives"};
	struct store_fixture *f = *state;
	int64_t blocker = fixture_work(f, "blocker"), id = fixture_work(f, "t");
	_cleanup_json_ json_t *task = NULL;

	fixture_block(f, id, blocker);
	task = task_of(f->store, id, TASK_WHOLE, false);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (!json_object_get(task, fields[i]))
			fail_msg("no field %s", fields[i]);
	assert_int_equal(json_int(task, "id", 0), id);
	assert_string_equal(TEXT_OF(task, "status"), "pending");
	assert_false(json_flag(task, "ready"));
	assert_int_equal(json_integer_value(json_array_get(json_object_get(task, "blocked_by"), 0)),
	                 blocker);
	assert_true(json_is_null(json_object_get(task, "head")));
}

/* New reference to what these items make. */
static json_t *array_of(const struct buf *items)
{
	_cleanup_free_ char *text = xasprintf("[%s]", items->len ? items->data : "");

	return jsonl_parse(text, strlen(text), NULL);
}

static json_t *events_of(struct store *store, int64_t since, int64_t limit)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	int64_t last = store_events_put(store, since, limit, &out);
	json_t *events = array_of(&out);
	size_t n = json_array_size(events);

	assert_int_equal(last, n ? json_int(json_array_get(events, n - 1), "seq", 0) : since);
	return events;
}

static void test_events(void **state)
{
	struct store_fixture *f = *state;
	int64_t task = fixture_work(f, "t"), before = store_event_last(f->store), one, two;
	json_t *data = json_pack("{s:s}", "text", "x\n\x01");
	_cleanup_json_ json_t *events = NULL, *none = NULL, *limited = NULL;

	one = store_event_add(f->store, "task.progress", task, 7, "ash", data);
	two = store_event_add(f->store, "target.moved", 0, 0, NULL, NULL);
	assert_true(one > before && two == one + 1);
	events = events_of(f->store, before, 100);
	assert_int_equal(json_array_size(events), 2);
	assert_true(json_equal(json_object_get(json_array_get(events, 0), "data"), data));
	assert_string_equal(TEXT_OF(json_array_get(events, 0), "key"), "t");
	assert_true(json_is_null(json_object_get(json_array_get(events, 1), "task")));
	assert_true(json_is_null(json_object_get(json_array_get(events, 1), "data")));
	limited = events_of(f->store, before, 1);
	assert_int_equal(json_array_size(limited), 1);
	none = events_of(f->store, two, 100);
	assert_int_equal(json_array_size(none), 0);
	json_decref(data);
	/* only progress is ever forgotten, and numbers never come again */
	store_event_forget(f->store, one);
	store_event_forget(f->store, two);
	json_decref(events);
	events = events_of(f->store, before, 100);
	assert_int_equal(json_array_size(events), 1);
	assert_int_equal(store_event_add(f->store, "target.moved", 0, 0, NULL, NULL), two + 1);
}

static void test_events_of_new_tasks(void **state)
{
	struct store_fixture *f = *state;
	int64_t before = store_event_last(f->store), first = fixture_work(f, "a"), last;
	_cleanup_json_ json_t *events = NULL;

	fixture_work(f, "b");
	last = fixture_work(f, "c");
	store_event_created(f->store, first, last);
	events = events_of(f->store, before, 100);
	assert_int_equal(json_array_size(events), 3);
	assert_string_equal(TEXT_OF(json_array_get(events, 0), "key"), "a");
	assert_string_equal(TEXT_OF(json_array_get(events, 2), "key"), "c");
	assert_string_equal(TEXT_OF(json_array_get(events, 2), "kind"), "task.created");
	assert_string_equal(TEXT_OF(json_object_get(json_array_get(events, 2), "data"), "kind"),
	                    "work");
	assert_int_equal(store_event_last(f->store), before + 3);
}

static void expect_changes(struct store *store, int64_t plan, int64_t since, size_t limit,
                           const char *expected)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct changes changes;
	_cleanup_json_ json_t *events = NULL;
	json_t *event;
	size_t i;

	store_changes(store, plan, since, limit, &changes);
	for (i = 0; changes.tasks[i]; i++)
		buf_printf(&text, "%lld ", (long long)changes.tasks[i]);
	events = array_of(&changes.events);
	json_array_foreach (events, i, event)
		buf_printf(&text, "%s ", TEXT_OF(event, "kind"));
	buf_printf(&text, "+%lld", (long long)(changes.seq - since));
	assert_string_equal(text.data, expected);
	changes_finish(&changes);
}

/* Each task of the plan once, others' not, and what is of no task; a full answer ends where the
 * next one begins. */
static void test_changes(void **state)
{
	struct store_fixture *f = *state;
	int64_t since = store_event_last(f->store);

	for (int i = 0; i < 3; i++)
		fixture_work(f, (const char *[]){"a", "b", "c"}[i]);
	store_event_add(f->store, "attempt.started", 1, 0, NULL, NULL);
	store_event_add(f->store, "target.moved", 0, 0, NULL, NULL);
	store_event_add(f->store, "task.updated", 1, 0, NULL, NULL);
	store_event_add(f->store, "budget.near", 3, 0, NULL, NULL);
	store_event_add(f->store, "task.updated", 2, 0, NULL, NULL);
	expect_changes(f->store, f->plan, since, 10, "1 3 2 target.moved budget.near +5");
	expect_changes(f->store, f->plan, since, 1, "1 target.moved +3");
	expect_changes(f->store, f->plan, since + 3, 1, "3 budget.near +1");
	expect_changes(f->store, f->plan, since + 5, 1, "+0");
	expect_changes(f->store, f->plan + 1, since, 1, "target.moved +5");
	/* of other plans' events no answer looks at more than so many */
	for (int i = 0; i < 1500; i++)
		store_event_add(f->store, "task.updated", 1, 0, NULL, NULL);
	expect_changes(f->store, f->plan + 1, since + 5, 1, "+1000");
	expect_changes(f->store, f->plan + 1, since + 1005, 1, "+500");
}

/* As whoever asks for a line gets it. */
static json_t *line_of(struct store *store, int64_t id)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	jsonl_open(&text, NULL, '{');
	if (!store_task_put_waiting(store, id, &text))
		return task_of(store, id, TASK_LINE, true);
	jsonl_close(&text, '}');
	return jsonl_parse(text.data, text.len, NULL);
}

/* Of what only waits next to nothing, of others what a line shows. */
static void test_lines_of_tasks(void **state)
{
	struct store_fixture *f = *state;
	int64_t a = fixture_work(f, "a"), b = fixture_work(f, "b");
	int64_t c = fixture_work(f, "c"), d = fixture_work(f, "d");
	_cleanup_buf_ struct buf none = BUF_INIT;
	_cleanup_json_ json_t *waits = NULL, *stuck = NULL, *ready = line_of(f->store, a);

	store_task_set_blockers(f->store, b, &a, 1);
	waits = line_of(f->store, b);
	assert_int_equal(json_object_size(ready), 5);
	assert_true(json_is_true(json_object_get(ready, "ready")));
	assert_int_equal(json_object_size(waits), 4);
	assert_string_equal(TEXT_OF(waits, "key"), "b");
	assert_false(json_is_true(json_object_get(waits, "ready")));
	fixture_status(f, a, TASK_FAILED);
	stuck = line_of(f->store, b);
	assert_int_equal(json_integer_value(json_array_get(json_object_get(stuck, "stuck_by"), 0)),
	                 a);
	assert_int_equal(json_array_size(json_object_get(stuck, "blocked_by")), 1);
	assert_null(json_object_get(stuck, "blocks"));
	assert_false(store_task_put_waiting(f->store, 4711, &none));
	assert_int_equal(none.len, 0);
	/* there is something to be said of one that waits for more than its turn */
	store_task_set_delay(f->store, c, 30000);
	json_decref(ready);
	ready = line_of(f->store, c);
	assert_true(json_real_value(json_object_get(ready, "delay_seconds")) == 30);
	store_task_stop(f->store, d);
	json_decref(ready);
	ready = line_of(f->store, d);
	assert_string_equal(TEXT_OF(json_object_get(ready, "waits"), "for"), "run");
}

/* Byte for byte, as scripts have seen it: members, their order, what is null. Its quotes are single
 * ones here, and the time is not looked at. */
static void expect_text(struct store *store, int64_t id, enum task_view of, bool sparse,
                        const char *expected)
{
	_cleanup_task_ struct task_row row = {0};
	_cleanup_buf_ struct buf text = BUF_INIT, shown = BUF_INIT;
	char at[32];
	char *time;

	assert_true(store_task_get(store, id, &row));
	jsonl_open(&text, NULL, '{');
	store_task_put(store, &row, of, sparse, &text);
	jsonl_close(&text, '}');
	text_format_time(row.created_at, at);
	time = strstr(text.data, at);
	buf_add(&shown, text.data, time ? (size_t)(time - text.data) : text.len);
	buf_add_str(&shown, time ? "TIME" : "");
	buf_add_str(&shown, time ? time + strlen(at) : "");
	for (char *quote = shown.data; (quote = strchr(quote, '"'));)
		*quote = '\'';
	assert_string_equal(shown.data, expected);
}

static void test_every_byte_of_a_task(void **state)
{
	struct store_fixture *f = *state;
	int64_t a = fixture_work(f, "a"), b = fixture_work(f, "b");

	store_task_set_blockers(f->store, b, &a, 1);
	fixture_status(f, a, TASK_FAILED);
	expect_text(f->store, b, TASK_WHOLE, false,
	            "{'id':2,'key':'b','plan':'p','kind':'work','status':'pending',"
	            "'subject':'b','prompt':'b','priority':0,'metadata':null,'source':'plan',"
	            "'delay_seconds':0.0,'waits':null,'ready':false,'stuck_by':[1],"
	            "'blocked_by':[1],'blocks':[],'parent':null,'alternatives':[],"
	            "'chosen':null,'owner':null,'agent':null,'model':null,'attempt':null,"
	            "'verify':null,'usage':null,'changes':null,'seconds':null,"
	            "'unchanged':false,'input':null,'error':null,"
	            "'landing':{'state':'none','commit':null,'at':null,'paths':null,"
	            "'with':null,'target':null,'resolve':null,'message':null,'verify':null,"
	            "'after':null,'head':null},'attempts':0,'teammate':null,'measures':null,"
	            "'kept':null,'session':null,'continues':null,'rounds':null,'branch':null,"
	            "'base':null,'head':null,'output':null,'created_at':'TIME',"
	            "'started_at':null,'finished_at':null}");
	expect_text(f->store, b, TASK_BRIEF, true,
	            "{'id':2,'key':'b','plan':'p','kind':'work','status':'pending',"
	            "'subject':'b','priority':0,'source':'plan','delay_seconds':0.0,"
	            "'stuck_by':[1],'blocked_by':[1],'landing':{'state':'none'},'attempts':0,"
	            "'created_at':'TIME'}");
	expect_text(f->store, b, TASK_LINE, true,
	            "{'id':2,'key':'b','plan':'p','kind':'work','status':'pending',"
	            "'stuck_by':[1],'blocked_by':[1]}");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_a_task_as_json), TEST(test_every_byte_of_a_task), TEST(test_lines_of_tasks),
	    TEST(test_events),         TEST(test_events_of_new_tasks),  TEST(test_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
