/* The screen of run from fixed JSON, and what turns one frame into the next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "follow_private.h"
#include "jsonl.h"
#include "mem.h"
#include "run_screen.h"
#include "task_view.h"
#include "text.h"

static const char tasks_text[] =
    "[{'id':1,'key':'lexer','status':'completed','agent':'claude','model':'opus','seconds':250,"
    "  'verify':{'seconds':12,'exit_code':0},'base':'3f2a9c1000','blocked_by':[],"
    "  'changes':{'files':2,'insertions':41,'deletions':7},'usage':{'cost_usd':1.5}},"
    " {'id':2,'key':'parser','status':'needs_input','agent':'claude','seconds':122,'owner':'ash',"
    "  'input':{'reason':'question','text':'Drop support for v1 syntax?'},'blocked_by':[1]},"
    " {'id':3,'key':'speed','kind':'choice','status':'pending','alternatives':[4,5,6],"
    "  'blocked_by':[]},"
    " {'id':4,'key':'speed.1','parent':3,'status':'completed','agent':'claude','seconds':340,"
    "  'verify':{'seconds':9},'blocked_by':[],'usage':{'cost_usd':0.34}},"
    " {'id':5,'key':'speed.2','parent':3,'status':'failed','agent':'codex','seconds':295,"
    "  'error':{'code':'verify_failed','message':'verify exit 1: want 3, got 2'},'blocked_by':[]},"
    " {'id':6,'key':'speed.3','parent':3,'status':'in_progress','agent':'fixer','seconds':40,"
    "  'owner':'birch','blocked_by':[]},"
    " {'id':7,'key':'docs','status':'pending','blocked_by':[2],'stuck_by':[2]},"
    " {'id':8,'key':'bench','status':'failed','agent':'codex','seconds':5,"
    "  'error':{'code':'agent_exit','message':'exit 3'},'blocked_by':[]},"
    " {'id':9,'key':'release','status':'pending','blocked_by':[8],'stuck_by':[8]}]";
static const char team_text[] =
    "[{'name':'birch','state':'working','task':6,'last_output':'editing src/tok.c'}]";

static json_t *parse(const char *text)
{
	_cleanup_free_ char *json = xstrdup(text);

	for (char *p = json; *p; p++)
		if (*p == '\'')
			*p = '"';
	json_t *value = jsonl_parse(json, strlen(json), NULL);
	assert_non_null(value);
	return value;
}

static char **render(size_t width, size_t height, bool final)
{
	_cleanup_json_ json_t *tasks = parse(tasks_text), *team = parse(team_text);
	_cleanup_json_ json_t *index = task_index(tasks);
	json_t *task;
	size_t i;

	json_array_foreach (tasks, i, task)
		task_seen(task, 1000);
	struct screen screen = {.plan = "fix-the-parser",
	                        .base = "main",
	                        .tasks = tasks,
	                        .index = index,
	                        .teammates = team,
	                        .key_columns = screen_key_columns(tasks, false),
	                        .now_ms = 9000,
	                        .seconds = 724,
	                        .width = width,
	                        .height = height,
	                        .final = final};

	return screen_render(&screen);
}

static void check_lines(char **lines, const char *const *expected)
{
	size_t i;

	for (i = 0; expected[i]; i++) {
		assert_non_null(lines[i]);
		assert_string_equal(lines[i], expected[i]);
	}
	assert_null(lines[i]);
	strv_free(lines);
}

static void test_whole(void **state)
{
	static const char *const expected[] = {
	    "fix-the-parser   8 tasks   team 1   base main 3f2a9c1                 12m04s",
	    "✓ lexer    claude/opus    4m10s  verified 12s    2 files   +41 −7",
	    "! parser   claude         2m02s  asks: Drop support for v1 syntax?",
	    "● speed    2 of 3 alternatives settled",
	    "  ✓ .1     claude         5m40s  verified 9.0s",
	    "  ✗ .2     codex          4m55s  verify exit 1: want 3, got 2",
	    "  ● .3     fixer            48s  editing src/tok.c",
	    "○ docs     waits for parser",
	    "✗ bench    codex           5.0s  exit 3",
	    "− release  stuck: bench failed",
	    "2 completed, 1 needs input, 1 working, 2 failed, 1 blocked, 1 stuck   $1.84",
	    "pleach answer parser · pleach attach parser · Ctrl-C detaches, work goes on",
	    NULL};

	(void)state;
	check_lines(render(100, 40, false), expected);
}

/* What needs a person and what works stays; what is left out is counted. */
static void test_low(void **state)
{
	static const char *const expected[] = {
	    "fix-the-parser   8 tasks   team 1   base main 3f2a9c1                 12m04s",
	    "! parser   claude         2m02s  asks: Drop support for v1 syntax?",
	    "  ✗ .2     codex          4m55s  verify exit 1: want 3, got 2",
	    "  ● .3     fixer            48s  editing src/tok.c",
	    "  … and 6 more",
	    "2 completed, 1 needs input, 1 working, 2 failed, 1 blocked, 1 stuck   $1.84",
	    "pleach answer parser · pleach attach parser · Ctrl-C detaches, work goes on",
	    NULL};

	(void)state;
	check_lines(render(100, 8, false), expected);
}

static void test_narrow(void **state)
{
	for (size_t width = 1; width < 120; width++) {
		char **lines = render(width, 24, width % 2);

		for (size_t i = 0; lines[i]; i++)
			assert_true(text_width(lines[i]) <= (width > 1 ? width - 1 : 1));
		strv_free(lines);
	}
	(void)state;
}

static void test_hostile(void **state)
{
	_cleanup_json_ json_t *tasks = parse(
	    "[{'id':1,'key':'a\\u001b[31mb','status':'failed','agent':'x\\u202ey','seconds':1,"
	    "'error':{'code':'agent_exit','message':'\\u0007bell\\u001b]0;t\\u0007'}}]");
	_cleanup_json_ json_t *index = task_index(tasks);
	struct screen screen = {
	    .plan = "p\033[2J", .tasks = tasks, .index = index, .key_columns = 10};
	char **lines = screen_render(&screen);

	(void)state;
	for (size_t i = 0; lines[i]; i++) {
		assert_null(strchr(lines[i], '\033'));
		assert_null(strchr(lines[i], '\a'));
		assert_null(strstr(lines[i], "\xe2\x80\xae"));
	}
	strv_free(lines);
}

static void test_colors(void **state)
{
	_cleanup_json_ json_t *tasks =
	    parse("[{'id':1,'key':'a','status':'completed','changes':{'files':1}}]");
	_cleanup_json_ json_t *index = task_index(tasks);
	struct screen screen = {
	    .plan = "p", .tasks = tasks, .index = index, .key_columns = 6, .colored = true};
	_cleanup_free_ char *row = screen_row(&screen, json_array_get(tasks, 0));

	(void)state;
	assert_non_null(strstr(row, "\033[32m✓\033[0m"));
}

static void test_hints(void **state)
{
	_cleanup_json_ json_t *tasks =
	    parse("[{'id':1,'key':'a','status':'completed','changes':{'files':1}}]");
	_cleanup_json_ json_t *none =
	    parse("[{'id':1,'key':'n','status':'completed','changes':null},"
	          "{'id':2,'key':'l','status':'completed','changes':{'files':1},"
	          "'landing':{'state':'landed'}}]");
	_cleanup_json_ json_t *index = task_index(tasks);
	struct screen screen = {.plan = "p", .tasks = tasks, .index = index, .final = true};
	_cleanup_free_ char *hint = screen_hint(&screen);
	_cleanup_json_ json_t *pick =
	    parse("[{'id':1,'key':'s','kind':'choice','status':'needs_input',"
	          "'input':{'reason':'choice','text':'x'}}]");
	_cleanup_json_ json_t *pick_index = task_index(pick);

	_cleanup_json_ json_t *spent = parse("[{'id':1,'key':'c2','status':'needs_input','input':"
	                                     "{'reason':'budget','text':'x','of':'plan'}}]");
	_cleanup_json_ json_t *spent_index = task_index(spent);

	(void)state;
	assert_string_equal(hint, "pleach diff a · pleach merge --all");
	screen.tasks = none; /* slot: none, and one that has landed */
	_cleanup_free_ char *nothing = screen_hint(&screen);
	assert_string_equal(nothing, "");
	screen.tasks = pick;
	screen.index = pick_index;
	_cleanup_free_ char *other = screen_hint(&screen);
	assert_string_equal(other, "pleach compare s · pleach pick s.N");
	screen.tasks = spent;
	screen.index = spent_index;
	_cleanup_free_ char *raise = screen_hint(&screen);
	assert_string_equal(raise, "raise budget: in the plan, and pleach run it again");
}

static void forget(struct run *run)
{
	json_decref(run->tasks);
	json_decref(run->index);
	json_decref(run->read);
	json_decref(run->got);
	json_decref(run->changed);
	json_decref(run->fresh);
}

static void take(struct run *run, int seq, const char *event)
{
	_cleanup_free_ char *text = xasprintf("{'events':[%s],'seq':%d}", event, seq);
	_cleanup_json_ json_t *result = parse(text);

	follow_take_events(run, result);
}

/* Only what will be over again takes the place of the hints. */
static void test_notices(void **state)
{
	const struct follow what = {.plan = "p"};
	struct run run = {
	    .what = &what, .show = SHOW_SCREEN, .changed = json_object(), .fresh = json_object()};

	(void)state;
	take(&run, 1, "{'kind':'budget.near','data':{'of':'day','message':'nearly used up'}}");
	assert_null(run.notice);
	take(&run, 2, "{'kind':'disk.changed','data':{'message':'the disk is full'}}");
	take(&run, 3, "{'kind':'budget.near','data':{'of':'day','message':'nearly used up'}}");
	assert_string_equal(run.notice, "the disk is full");
	take(&run, 4, "{'kind':'disk.changed','data':{}}");
	assert_null(run.notice);
	assert_int_equal(run.since, 4);
	forget(&run);
}

static void change(struct run *run, const char *tasks)
{
	_cleanup_json_ json_t *changed = parse(tasks);

	follow_take_changes(run, changed);
}

static size_t to_read(const struct run *run)
{
	_cleanup_json_ json_t *ids = follow_ids_to_read(run);

	return json_array_size(ids);
}

/* What is read beside a change: what it moved, and where somebody may be stuck now or no more all
 * that wait. As lines nothing is said of what can start now. */
static void test_changes(void **state)
{
	_cleanup_json_ json_t *ids = parse("[1,2,3,4]");
	const struct follow what = {.plan = "p", .of = "p", .ids = ids};

	(void)state;
	for (enum show show = SHOW_SCREEN; show <= SHOW_LINES; show++) {
		_cleanup_json_ json_t *all =
		    parse("[{'id':1,'key':'a','status':'in_progress'},"
		          "{'id':2,'key':'b','status':'pending'},"
		          "{'id':3,'key':'c','kind':'choice','status':'pending'},"
		          "{'id':4,'key':'c.1','status':'completed','parent':3}]");
		struct run run = {
		    .what = &what, .show = show, .changed = json_object(), .fresh = json_object()};
		json_t *task;

		follow_take_tasks(&run, all);
		assert_int_equal(to_read(&run), 0);
		change(&run, "[{'id':1,'key':'a','status':'completed','blocks':[2,99]},"
		             "{'id':77,'key':'x','status':'failed'}]");
		task = json_array_get(run.tasks, 0);
		assert_true(task_is(task, "completed"));
		assert_int_equal(json_array_size(run.tasks), 4);
		assert_int_equal(json_array_size(run.read), 1);
		/* so few are all read again on a screen */
		assert_int_equal(run.all_changed, show == SHOW_SCREEN);
		run.all_changed = false;
		assert_int_equal(to_read(&run), show == SHOW_SCREEN ? 1 : 0);
		change(&run, "[{'id':4,'key':'c.1','status':'completed','parent':3}]");
		run.all_changed = false;
		assert_int_equal(to_read(&run), show == SHOW_SCREEN ? 2 : 1);
		json_object_clear(run.changed);
		change(&run, "[{'id':1,'key':'a','status':'failed'}]");
		assert_true(run.all_changed);
		assert_int_equal(to_read(&run), show == SHOW_SCREEN ? 4 : 2);
		run.all_changed = false;
		change(&run, "[{'id':1,'key':'a','status':'in_progress'}]");
		assert_true(run.all_changed);
		forget(&run);
	}
}

/* What is read in pieces is older than what changed meanwhile: that stands. */
static void test_changes_while_reading(void **state)
{
	_cleanup_json_ json_t *ids = parse("[1,2]");
	const struct follow what = {.plan = "p", .of = "p", .ids = ids};
	struct run run = {
	    .what = &what, .show = SHOW_LINES, .changed = json_object(), .fresh = json_object()};

	(void)state;
	run.got =
	    parse("[{'id':1,'key':'a','status':'pending'},{'id':2,'key':'b','status':'pending'}]");
	follow_take_read(&run);
	change(&run, "[{'id':1,'key':'a','status':'completed'}]");
	follow_take_read(&run);
	assert_true(task_is(json_array_get(run.tasks, 0), "completed"));
	assert_int_equal(json_array_size(run.read), 1);
	json_object_clear(run.fresh); /* asked again */
	follow_take_read(&run);
	assert_true(task_is(json_array_get(run.tasks, 0), "pending"));
	forget(&run);
}

/* The hint names the first that is completed as it must be typed, or what did not land. */
static void test_name_of_hint(void **state)
{
	_cleanup_json_ json_t *all = parse("[{'id':1,'key':'a','status':'cancelled'},"
	                                   "{'id':2,'key':'b','status':'completed'},"
	                                   "{'id':3,'key':'c','status':'completed'}]");
	const struct follow what = {.plan = "p", .of = "p"};
	struct run run = {
	    .what = &what, .show = SHOW_LINES, .changed = json_object(), .fresh = json_object()};

	(void)state;
	follow_take_tasks(&run, all);
	follow_want_name(&run);
	assert_int_equal(json_object_size(run.changed), 1);
	assert_non_null(json_object_get(run.changed, "2"));
	json_object_clear(run.changed);
	change(&run, "[{'id':2,'key':'b','name':'p/b','status':'completed'}]");
	follow_want_name(&run);
	assert_int_equal(json_object_size(run.changed), 0);
	change(&run, "[{'id':3,'key':'c','status':'completed','landing':{'state':'conflict'}}]");
	follow_want_name(&run);
	assert_non_null(json_object_get(run.changed, "3"));
	forget(&run);
}

/* Only what changed is written, and what is too much is wiped. */
static void test_paint(void **state)
{
	char *before[] = {(char *)"one", (char *)"two", (char *)"three", NULL};
	char *after[] = {(char *)"one", (char *)"TWO", NULL};
	struct buf out = BUF_INIT;

	(void)state;
	screen_paint(&out, NULL, before);
	assert_string_equal(out.data, "one\r\ntwo\r\nthree\r\n");
	out.len = 0;
	screen_paint(&out, before, before);
	assert_string_equal(out.data, "\033[3A\r\n\n\n");
	out.len = 0;
	screen_paint(&out, before, after);
	assert_string_equal(out.data, "\033[3A\r\n\033[2KTWO\r\n\033[J");
	buf_finish(&out);
}

/* On a terminal that is narrower now, the old lines take more rows. */
static void test_wipe(void **state)
{
	char *before[] = {(char *)"\033[1m0123456789\033[0m", (char *)"x", NULL};
	struct buf out = BUF_INIT;

	(void)state;
	screen_wipe(&out, before, 5, 24);
	assert_string_equal(out.data, "\033[3A\r\033[J");
	out.len = 0;
	screen_wipe(&out, before, 1, 6);
	assert_string_equal(out.data, "\033[5A\r\033[J");
	buf_finish(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_whole),        cmocka_unit_test(test_low),
	    cmocka_unit_test(test_narrow),       cmocka_unit_test(test_hostile),
	    cmocka_unit_test(test_colors),       cmocka_unit_test(test_hints),
	    cmocka_unit_test(test_paint),        cmocka_unit_test(test_wipe),
	    cmocka_unit_test(test_notices),      cmocka_unit_test(test_changes),
	    cmocka_unit_test(test_name_of_hint), cmocka_unit_test(test_changes_while_reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
