/* The worker's parts that need no process: output and its limit, escape sequences, frames,
 * agents' reports, and slot calls over a slot that does what the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ansi.h"
#include "buf.h"
#include "frames.h"
#include "jsonl.h"
#include "mem.h"
#include "module.h"
#include "output.h"
#include "place.h"
#include "report.h"
#include "slot_module.h"
#include "slots.h"
#include "text.h"

static char *plain(const char *text)
{
	struct buf out = BUF_INIT;

	ansi_add_plain(&out, text, strlen(text));
	return buf_take(&out);
}

static void assert_plain(const char *text, const char *want)
{
	_cleanup_free_ char *got = plain(text);

	assert_string_equal(got, want);
}

static void test_plain(void **state)
{
	(void)state;
	assert_plain("a\033[1;31mb\033[0mc", "abc");
	assert_plain("one\r\ntwo\r\n", "one\ntwo\n");
	assert_plain("10%\r20%\r100%\r\ndone", "100%\ndone");
	assert_plain("done\033(B\017\n\033[?25h\016\017", "done\n"); /* character sets */
	assert_plain("\033]0;title\007x\033]8;;http://a\033\\y", "xy");
	assert_plain("\033Pq#0\033\\z\033(Bw\033=v", "zwv");
	assert_plain("ab\b\bcd\xc3\xa4\b!", "cd!");
	assert_plain("\033[", "");
	assert_plain("x\033", "x");
}

/* In one piece and byte by byte it must be the same. */
static void assert_filter(enum ansi_pass pass, const char *text, const char *want)
{
	struct ansi_filter whole = ANSI_FILTER_INIT(pass), bytes = ANSI_FILTER_INIT(pass);
	_cleanup_buf_ struct buf a = BUF_INIT;
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_reserve(&a, 1);
	buf_reserve(&b, 1);
	ansi_filter(&whole, &a, text, strlen(text));
	for (size_t i = 0; text[i]; i++)
		ansi_filter(&bytes, &b, text + i, 1);
	assert_string_equal(a.len ? a.data : "", want);
	assert_string_equal(b.len ? b.data : "", want);
}

static void assert_half(const char *text)
{
	struct ansi_filter filter = ANSI_FILTER_INIT(ANSI_PASS_LIVE);
	_cleanup_buf_ struct buf out = BUF_INIT;

	ansi_filter(&filter, &out, text, strlen(text));
	assert_true(out.len > 500);
	assert_null(memchr(out.data, 0x8b, out.len));
}

static void test_filter(void **state)
{
	_cleanup_free_ char *link = NULL, *clip = NULL, *wanted = NULL, *half = NULL;
	char long_text[601];

	(void)state;
	memset(long_text, 'x', 600);
	long_text[600] = '\0';
	link = xasprintf("\033]8;;http://%s\033\\t", long_text);
	clip = xasprintf("a\033]52;c;%s\007b", long_text);
	wanted = xstrdup(link);
	assert_filter(ANSI_PASS_LIVE, "a\033[31mb\033[6nc", "a\033[31mb\033[6nc");
	assert_filter(ANSI_PASS_REPLAY, "a\033[31mb\033[6nc\033[c\033[>c\033[?u\033[?2026$pd",
	              "a\033[31mbcd");
	assert_filter(ANSI_PASS_REPLAY, "a\033]11;?\007b\033]0;t\007", "ab\033]0;t\007");
	assert_filter(ANSI_PASS_LIVE, "a\033]52;c;eA==\007b", "ab");
	assert_filter(ANSI_PASS_LIVE, "a\033P$q\"p\033\\b\033_G\033\\c", "abc");
	assert_filter(ANSI_PASS_LIVE, clip, "ab");
	/* The halves of U+008B, one as the end of a sequence inside a long string. */
	half = xasprintf("\033]0;%s\xed\033[3\xc2\x8b", long_text);
	assert_half(half);
	assert_filter(ANSI_PASS_LIVE, link, wanted);
	/* Cut short by another sequence. */
	assert_filter(ANSI_PASS_LIVE, "\033]52;x\033[1mz", "\033[1mz");
	assert_filter(ANSI_PASS_LIVE, "\033[3\033[1mz", "\033[1mz");
}

/* Ways past the filter that terminals would take: the clipboard under another spelling. */
static void test_filter_is_not_passed_by(void **state)
{
	_cleanup_free_ char *in = NULL, *out = NULL;
	char x[301];

	(void)state;
	memset(x, 'x', 300);
	x[300] = '\0';
	assert_filter(ANSI_PASS_LIVE, "a\033]000052;c;eA==\007b", "ab");
	assert_filter(ANSI_PASS_LIVE, "\033(\033]52;c;eA==\007b", "b");
	assert_filter(ANSI_PASS_LIVE, "a\302\23552;c;eA==\007b", "a52;c;eA==\007b");
	assert_filter(ANSI_PASS_LIVE, "a\23552;cb", "a52;cb");
	assert_filter(ANSI_PASS_LIVE, "\033]0;t\302\23452\007b", "b");
	assert_filter(ANSI_PASS_LIVE, "\302\240\303\251\342\202\254\360\237\214\263",
	              "\302\240\303\251\342\202\254\360\237\214\263");
	assert_filter(ANSI_PASS_REPLAY, "a\033[>\nqb", "ab");
	/* A long string that is cut short leaves no half escape behind. */
	in = xasprintf("\033]8;;%s\033_G\033\\]52;c;eA==\007", x);
	out = xasprintf("\033]8;;%s\033\\]52;c;eA==\007", x);
	assert_filter(ANSI_PASS_LIVE, in, out);
}

static void test_watch(void **state)
{
	struct ansi_watch w = {0};
	const char *text = "hi\033[?1049;2004h there";

	(void)state;
	for (size_t i = 0; text[i]; i++)
		ansi_watch(&w, text + i, 1);
	assert_true(w.bracketed_paste);
	ansi_watch(&w, "\033[6n\033[c\033[0c\033[5n\033[>c\033[1;6n", 25);
	assert_int_equal(w.asked_position, 1);
	assert_int_equal(w.asked_status, 1);
	assert_int_equal(w.asked_device, 2);
	ansi_watch(&w, "\033[?2004l", 8);
	assert_false(w.bracketed_paste);
}

static void test_frames(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct frame frame;
	size_t offset = 0;
	uint16_t columns, rows;

	(void)state;
	frame_add(&b, FRAME_KEYS, "abc", 3);
	frame_add_resize(&b, 300, 77);
	frame_add(&b, FRAME_END, NULL, 0);
	assert_int_equal(frame_next(&b, &offset, &frame), 1);
	assert_int_equal(frame.kind, FRAME_KEYS);
	assert_memory_equal(frame.data, "abc", 3);
	assert_int_equal(frame_next(&b, &offset, &frame), 1);
	assert_int_equal(frame_read_resize(&frame, &columns, &rows), 0);
	assert_int_equal(columns, 300);
	assert_int_equal(rows, 77);
	assert_int_equal(frame_next(&b, &offset, &frame), 1);
	assert_int_equal(frame.len, 0);
	assert_int_equal(frame_next(&b, &offset, &frame), 0);
	b.len = 0;
	offset = 0;
	buf_add(&b, "k\xff\xff\xff\xff", 5);
	assert_int_equal(frame_next(&b, &offset, &frame), -1);
}

static void test_output(void **state)
{
	char dir[] = "/tmp/pleach-test-XXXXXX";
	_cleanup_free_ char *path = NULL, *data = NULL, *line = NULL, *text = NULL;
	struct error err = ERROR_INIT;
	struct output *o;
	size_t len;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = xasprintf("%s/log", dir);
	o = output_new(path, 64 << 10);
	assert_null(output_last_line(o, 80));
	for (int i = 0; i < 100000; i++) {
		char row[32];
		int n = snprintf(row, sizeof row, "line %d\r\n", i);

		output_add(o, row, (size_t)n);
	}
	output_add(o, "  \r\n", 4);
	line = output_last_line(o, 80);
	assert_string_equal(line, "line 99999");
	text = output_text(o);
	assert_true(strlen(text) <= OUTPUT_TEXT_MAX);
	assert_string_equal(text + strlen(text) - 10, "line 99999");
	output_free(o);
	assert_int_equal(place_read_file(path, 1 << 20, &data, &len, &err), 0);
	assert_in_range(len, 40 << 10, (64 << 10) + 100);
	assert_memory_equal(data, "line 0\r\nline 1\r\n", 16);
	assert_string_equal(data + len - 16, "line 99999\r\n  \r\n");
	/* Whatever was written is whole: head, marker and tail join at bytes, nothing twice. */
	assert_non_null(strstr(data, "bytes of output left out here]\r\n"));
	unlink(path);
	rmdir(dir);
}

static void feed(struct report *r, const char *text)
{
	while (*text) {
		size_t n = strnlen(text, 7);

		report_add(r, text, n);
		text += n;
	}
}

static void assert_usage(const struct report *r, int input, int output, double cost)
{
	_cleanup_json_ json_t *usage = report_usage(r);

	assert_int_equal(json_int(usage, "input_tokens", -1), input);
	assert_int_equal(json_int(usage, "output_tokens", -1), output);
	if (cost < 0)
		assert_true(json_is_null(json_object_get(usage, "cost_usd")));
	else
		assert_true(json_num(usage, "cost_usd", -1) - cost < 1e-9);
}

static void test_reports(void **state)
{
	struct report *r;
	json_t *nothing;

	(void)state;
	assert_null(report_new("text"));
	assert_null(report_new(NULL));
	nothing = report_usage(NULL);
	assert_true(json_is_null(nothing));

	r = report_new("claude");
	feed(r,
	     "noise { \r\n{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"tool_use\","
	     "\"name\":\"Edit\",\"input\":{\"file_path\":\"src/tok.c\"}}]}}\r\n");
	assert_string_equal(report_activity(r), "Edit src/tok.c");
	feed(r, "{\"type\":\"result\",\"result\":\"All done.\",\"total_cost_usd\":0.25,\"usage\":{"
	        "\"input_tokens\":10,\"cache_read_input_tokens\":100,\"output_tokens\":7}}\n");
	assert_string_equal(report_text(r), "All done.");
	assert_usage(r, 110, 7, 0.25);
	report_free(r);

	r = report_new("codex");
	feed(r,
	     "{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"ok\"}}\n"
	     "{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":5,\"output_tokens\":6}}\n");
	assert_string_equal(report_text(r), "ok");
	assert_usage(r, 5, 6, -1);
	report_free(r);

	r = report_new("gemini");
	feed(r, "{\"type\":\"message\",\"role\":\"assistant\",\"content\":\"a\",\"delta\":true}\n"
	        "{\"type\":\"message\",\"role\":\"assistant\",\"content\":\"b\",\"delta\":true}\n"
	        "{\"type\":\"result\",\"stats\":{\"input_tokens\":1,\"output_tokens\":2}}\n");
	assert_string_equal(report_text(r), "ab");
	assert_usage(r, 1, 2, -1);
	report_free(r);

	r = report_new("opencode");
	feed(r, "{\"type\":\"text\",\"part\":{\"text\":\"hi\"}}\n"
	        "{\"type\":\"step_finish\",\"part\":{\"tokens\":{\"input\":1,\"output\":2,"
	        "\"cache\":{\"read\":3}},\"cost\":0.5}}\n"
	        "{\"type\":\"step_finish\",\"part\":{\"tokens\":{\"input\":1,\"output\":2},"
	        "\"cost\":0.5}}\n");
	assert_string_equal(report_text(r), "hi");
	assert_usage(r, 5, 4, 1.0);
	report_free(r);

	r = report_new("pi");
	feed(r,
	     "{\"type\":\"message_end\",\"message\":{\"role\":\"assistant\",\"content\":[{\"type\":"
	     "\"text\",\"text\":\"yes\"}],\"usage\":{\"input\":4,\"output\":5,\"cacheRead\":6,"
	     "\"cost\":{\"total\":0.1}}}}\n");
	assert_string_equal(report_text(r), "yes");
	assert_usage(r, 10, 5, 0.1);
	report_free(r);
}

static void test_hostile_report(void **state)
{
	struct report *r = report_new("claude");
	char *big = malloc((3 << 20) + 1);

	(void)state;
	memset(big, '{', 3 << 20);
	big[3 << 20] = '\0';
	report_add(r, big, 3 << 20);
	report_add(r, "}\n", 2);
	feed(r, "{\"type\":7,\"message\":[],\"usage\":\"x\"}\n{\"type\":\"result\",\"result\":{}}\n"
	        "{\"type\":\"assistant\",\"message\":{\"content\":[1,null,{\"type\":\"text\"}]}}\n{"
	        "}\n}\n");
	assert_null(report_text(r));
	report_free(r);
	free(big);
}

/* A number that JSON cannot say would have cost the whole result. */
static void test_usage_does_not_run_over(void **state)
{
	struct report *r = report_new("opencode");
	json_t *usage;

	(void)state;
	for (int i = 0; i < 2; i++)
		feed(r, "{\"type\":\"step_finish\",\"part\":{\"cost\":1e308,\"tokens\":{\"input\":"
		        "9223372036854775807,\"output\":-9,\"reasoning\":1125899906842624}}}\n");
	usage = report_usage(r);
	assert_non_null(usage);
	assert_int_equal(json_int(usage, "input_tokens", -1), 0);
	assert_int_equal(json_int(usage, "output_tokens", -1), 1125899906842624);
	assert_true(json_num(usage, "cost_usd", -1) == 1e9);
	json_decref(usage);
	report_free(r);
}

/* What is kept of a long text begins with a whole character. */
static void test_long_words(void **state)
{
	struct report *r = report_new("gemini");
	_cleanup_buf_ struct buf line = BUF_INIT;

	(void)state;
	buf_add_str(&line, "{\"type\":\"message\",\"role\":\"assistant\",\"content\":\"a");
	for (int i = 0; i < 30000; i++)
		buf_add_str(&line, "\342\202\254");
	buf_add_str(&line, "\"}\n");
	feed(r, line.data);
	assert_true(text_is_utf8(report_text(r), strlen(report_text(r))));
	assert_true(strlen(report_text(r)) > 65000);
	report_free(r);
}

/* ---- slot calls ---- */

static int64_t held; /* whose branch the slot has; its address stands for the slot */
static int switches;

static int loads, starts; /* of the module, of the library in it */

static void fake_start_library(void)
{
	starts++;
}

static int fake_open(const char *root, const char *dir, const char *teammate, const char *pinned,
                     const char *base, const char *const *paths, struct slot **out,
                     struct error *err)
{
	(void)root, (void)dir, (void)teammate, (void)pinned, (void)base, (void)paths, (void)err;
	*out = (struct slot *)&held;
	return 0;
}

static void fake_close(struct slot *slot)
{
	(void)slot;
}

static bool fake_holds_branch(const struct slot *slot, int64_t attempt)
{
	(void)slot;
	return held == attempt;
}

/* It took the branch, and the disk took nothing more. */
static int fake_switch(struct slot *slot, int64_t attempt, const struct slot_order *order,
                       struct error *err)
{
	(void)slot, (void)order;
	switches++;
	held = attempt;
	return error_set(err, ERROR_EXTERNAL, "cannot write the index");
}

static char **fake_tampering(struct slot *slot)
{
	(void)slot;
	return NULL;
}

static int fake_can_write(const char *root, const char *dir, const char *teammate,
                          struct error *err)
{
	(void)root, (void)dir, (void)teammate;
	return error_set(err, ERROR_EXTERNAL, "no space left");
}

/* In place of the one of shared/. */
const void *module_load(const char *file, const char *symbol, unsigned version, struct error *err)
{
	static const struct slot_module fake = {.version = SLOT_MODULE_VERSION,
	                                        .start_library = fake_start_library,
	                                        .open = fake_open,
	                                        .close = fake_close,
	                                        .holds_branch = fake_holds_branch,
	                                        .switch_to = fake_switch,
	                                        .take_tampering = fake_tampering,
	                                        .can_write = fake_can_write};

	(void)file, (void)symbol, (void)version, (void)err;
	usleep(20000); /* in which a second thread would load another */
	loads++;
	return &fake;
}

static void slots_done(struct slots_job *job)
{
	(void)job;
}

/* A stop that comes while a preparation waits for the disk has to let go of the branch that it
 * took: that it did is still known after a look at the disk alone. */
static void test_waiting_keeps_half(void **state)
{
	struct slots_job job = {.verb = SLOTS_PREPARE, .attempt = 7, .done = slots_done};
	struct slots *slots;
	uv_loop_t loop;

	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	slots = slots_new(&loop, "/root", "/dir", "ash", "/pinned");
	for (int i = 0; i < 3; i++) {
		job.again = i > 0;
		slots_start(slots, &job);
		uv_run(&loop, UV_RUN_DEFAULT);
		assert_int_equal(job.rc, -1);
		assert_true(job.unwritable);
		assert_true(job.half);
		assert_int_equal(switches, 1);
	}
	slots_free(slots);
	assert_int_equal(uv_loop_close(&loop), 0);
}

/* What was loaded before a job, or is still being loaded, is not loaded again. */
static void test_loaded_before(void **state)
{
	struct slots_job prepare = {.verb = SLOTS_PREPARE, .attempt = 8, .done = slots_done};
	struct slots *slots;
	uv_loop_t loop;

	(void)state;
	for (int before = 0; before < 2; before++) {
		loads = starts = 0;
		assert_int_equal(uv_loop_init(&loop), 0);
		slots = slots_new(&loop, "/root", "/dir", "ash", "/pinned");
		slots_load(slots);
		slots_load(slots);
		assert_false(slots_busy(slots));
		if (before)
			uv_run(&loop, UV_RUN_DEFAULT);
		slots_start(slots, &prepare);
		slots_load(slots);
		uv_run(&loop, UV_RUN_DEFAULT);
		assert_int_equal(loads, 1);
		assert_int_equal(starts, 1);
		slots_free(slots);
		assert_int_equal(uv_loop_close(&loop), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_filter),
	    cmocka_unit_test(test_filter_is_not_passed_by),
	    cmocka_unit_test(test_watch),
	    cmocka_unit_test(test_frames),
	    cmocka_unit_test(test_output),
	    cmocka_unit_test(test_reports),
	    cmocka_unit_test(test_hostile_report),
	    cmocka_unit_test(test_usage_does_not_run_over),
	    cmocka_unit_test(test_long_words),
	    cmocka_unit_test(test_waiting_keeps_half),
	    cmocka_unit_test(test_loaded_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
