/* The real worker and its agents' terminals: messages, typed prompts, views; and the agent
 * client protocol. */
#include "worker_fake.h"

static void assert_error(const json_t *result, const char *code, const char *message)
{
	const json_t *error = json_object_get(result, "error");

	assert_string_equal(json_text(result, "outcome"), "failed");
	assert_string_equal(json_text(error, "code"), code);
	if (message && !strstr(json_text(error, "message"), message))
		fail_msg("%s: not in: %s", message, json_text(error, "message"));
}

static json_t *tui_task(int attempt, const char *script, const char *way)
{
	json_t *task = fake_task(attempt, script);

	json_object_set_new(fake_profile(task), "mode", json_string("tui"));
	json_object_set_new(fake_profile(task), "prompt", json_string(way));
	return task;
}

static void test_messages(void **state)
{
	struct fake *f = *state;
	json_t *typed;

	fake_begin(f);
	fake_assign(f, tui_task(1,
	                        "stty -echo; echo ready; read a; read b; read c; "
	                        "printf '<%s|%s|%s>\\n' \"$a\" \"$b\" \"$c\"",
	                        "none"));
	fake_notify(
	    f, "attempt.message",
	    json_pack("{s:i,s:i,s:s}", "attempt", 1, "id", 11, "text", "hi \033[201~there\003"));
	typed = fake_wait(f, "message.typed");
	assert_int_equal(json_int(typed, "id", 0), 11);
	json_decref(typed);
	fake_notify(f, "attempt.answer",
	            json_pack("{s:i,s:s}", "attempt", 1, "text", "two\rlines"));
	assert_string_equal(json_text(fake_result(f), "output"),
	                    "ready\n<hi [201~there|two|lines>");
	/* Nothing is typed at a headless agent. */
	fake_fifo(f, "go");
	fake_assign(f, fake_task(2, "read x < $PLEACH_ROOT/../go; cat; echo end"));
	fake_notify(f, "attempt.message",
	            json_pack("{s:i,s:i,s:s}", "attempt", 2, "id", 12, "text", "lost"));
	fake_wait_phase(f, "working");
	{
		_cleanup_free_ char *go = fake_path(f, "go");
		_cleanup_close_ int fd = open(go, O_RDWR | O_CLOEXEC);

		assert_int_equal(write_all(fd, "x\n", 2), 0);
		assert_string_equal(json_text(fake_result(f), "output"), "end");
	}
}

/* A prompt of random text, typed at a reader in that terminal mode. */
static void type_prompt(struct fake *f, int attempt, const char *modes, size_t len, bool lines,
                        const char *paste)
{
	_cleanup_free_ char *prompt = xcalloc(1, len + 1);
	_cleanup_free_ char *got = NULL, *script = NULL, *name = NULL;
	size_t n, skip = *paste ? 6 : 0;
	json_t *task;

	for (size_t i = 0; i < len; i++)
		prompt[i] = lines && i % 61 == 60 ? '\n' : (char)('!' + (i * 7 + i / 93) % 90);
	if (lines && len > 4)
		memcpy(prompt, "\xc3\xa4\xe2\x82\xac", 5);
	script = xasprintf("stty %s; printf '%s'; echo ready; head -c %zu > got-%d", modes, paste,
	                   len + 1 + 2 * skip, attempt);
	task = tui_task(attempt, script, "type");
	json_object_set_new(task, "prompt", json_string(prompt));
	fake_assign(f, task);
	assert_string_equal(json_text(fake_result(f), "outcome"), "completed");
	name = xasprintf("root/got-%d", attempt);
	got = fake_file(f, name, &n);
	assert_int_equal(n, len + 1 + 2 * skip);
	if (skip)
		assert_memory_equal(got, "\033[200~", skip);
	assert_memory_equal(got + skip, prompt, len);
}

static void test_typed_prompts(void **state)
{
	struct fake *f = *state;

	fake_begin(f);
	type_prompt(f, 1, "raw -echo", 1, false, "");
	type_prompt(f, 2, "raw -echo", 100000, true, "");
	type_prompt(f, 3, "raw -echo", 1000000, false, "\\033[?2004h");
	type_prompt(f, 4, "-echo", 500, true, "");
	type_prompt(f, 5, "-echo", 300000, true, "");
	type_prompt(f, 6, "-echo", 300000, false, "");
}

/* A program that is busy has not read what was typed: its carriage return waits for that, so that a
 * read never brings both. */
static void test_busy_program(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *got = NULL, *go = NULL;
	size_t n;

	fake_begin(f);
	fake_fifo(f, "go");
	go = fake_path(f, "go");
	fake_assign(
	    f,
	    tui_task(1,
	             "stty raw -echo; echo ready; read x < $PLEACH_ROOT/../go; "
	             "dd bs=4096 count=1 2>/dev/null > one; dd bs=4096 count=1 2>/dev/null > two",
	             "none"));
	fake_notify(f, "attempt.message",
	            json_pack("{s:i,s:i,s:s}", "attempt", 1, "id", 11, "text", "a text"));
	{
		_cleanup_close_ int fd = open(go, O_RDWR | O_CLOEXEC);
		_cleanup_free_ char *journal = fake_path(f, "state/attempts/1/typed");
		int64_t end = time_mono_ms() + FAKE_WAIT_MS;

		while (access(journal, F_OK) != 0) { /* written down right before it is typed */
			if (time_mono_ms() > end)
				fail_msg("nothing was typed in %d s", FAKE_WAIT_MS / 1000);
			poll(NULL, 0, 1);
		}
		poll(NULL, 0, 400); /* longer than the pause before a return */
		assert_int_equal(write_all(fd, "x\n", 2), 0);
		fake_result(f);
	}
	got = fake_file(f, "root/one", &n);
	assert_int_equal(n, 6);
	assert_memory_equal(got, "a text", 6);
	free(got);
	got = fake_file(f, "root/two", &n);
	assert_int_equal(n, 1);
	assert_memory_equal(got, "\r", 1);
}

/* What was handed to an agent that ended before a byte of it was typed is for the next one. */
static void test_not_begun(void **state)
{
	struct fake *f = *state;
	json_t *task =
	    tui_task(1, "stty -echo; echo ready; read a; printf '<%s>\n' \"$a\"", "none");
	json_t *typed;

	fake_begin(f);
	fake_fifo(f, "go");
	json_object_set_new(fake_profile(task), "resume",
	                    json_pack("{s:[s,s,s],s:s}", "command", "/bin/sh", "-c",
	                              "echo up; read x < $PLEACH_ROOT/../go; exit 1", "prompt",
	                              "none"));
	json_object_set_new(
	    task, "resume",
	    json_pack("{s:s,s:s,s:i}", "session", "s1", "why", "interrupted", "attempt", 99));
	fake_assign(f, task);
	fake_wait_phase(f, "working");
	fake_notify(f, "attempt.message",
	            json_pack("{s:i,s:i,s:s}", "attempt", 1, "id", 11, "text", "for the next"));
	fake_notify(f, "attempt.answer",
	            json_pack("{s:i,s:i,s:i,s:s}", "attempt", 1, "id", 12, "request", 9, "text",
	                      "read behind it"));
	typed = fake_wait(f, "message.typed");
	assert_int_equal(json_int(typed, "id", 0), 12);
	json_decref(typed);
	{
		_cleanup_free_ char *go = fake_path(f, "go");
		_cleanup_close_ int fd = open(go, O_RDWR | O_CLOEXEC);

		assert_int_equal(write_all(fd, "x\n", 2), 0);
		if (!strstr(json_text(fake_result(f), "output"), "<for the next>"))
			fail_msg("%s", json_text(f->result, "output"));
	}
}

/* ---- further turns of a headless agent ---- */

static json_t *asked_what_waits(struct fake *f)
{
	for (;;) {
		_cleanup_json_ json_t *message = fake_read(f);
		const char *method = json_text(message, "method");

		if (method && strcmp(method, "message.waiting") == 0)
			return json_incref(json_object_get(message, "id"));
	}
}

static void say_what_waits(struct fake *f, json_t *messages)
{
	_cleanup_json_ json_t *id = asked_what_waits(f);

	fake_send(f, rpc_result(id, json_pack("{s:o}", "messages", messages)));
}

/* An agent whose run ends well, and that does `turn` for the message. */
static void turn_task(struct fake *f, int attempt, double timeout, const char *program,
                      const char *turn)
{
	json_t *task = fake_task(attempt, "echo work");

	json_object_set_new(task, "session", json_string("s1"));
	json_object_set_new(fake_profile(task), "session", json_string("given"));
	json_object_set_new(fake_profile(task), "resume",
	                    json_pack("{s:[s,s,s,s],s:s}", "command", program, "-c", turn,
	                              "{prompt}", "prompt", "argv"));
	json_object_set_new(fake_spec(task), "timeout", json_real(timeout));
	fake_assign(f, task);
}

static void assert_turn_lost(struct fake *f, int attempt, const char *journal)
{
	_cleanup_free_ char *name = xasprintf("state/attempts/%d/typed", attempt), *got = NULL;

	assert_string_equal(json_text(fake_result(f), "outcome"), "completed");
	assert_null(json_object_get(f->result, "error"));
	got = fake_file(f, name, NULL);
	assert_string_equal(got, journal);
}

/* However a turn fails, what was done before counts. */
static void test_turn_fails(void **state)
{
	static const struct {
		int timeout;
		const char *program, *script;
		bool heard;
	} turns[] = {
	    {4, "/bin/sh", "sleep 1000", true},
	    {0, "/bin/sh", "kill -KILL $$", true},
	    {0, "/bin/sh", "echo no such session; exit 1", false},
	    {0, "no-such-agent", "", false},
	};
	struct fake *f = *state;

	fake_begin(f);
	for (int i = 0; i < (int)ARRAY_LEN(turns); i++) {
		_cleanup_free_ char *journal =
		    xasprintf("b %d\n%c %d\n", i + 1, turns[i].heard ? 'd' : 'u', i + 1);

		turn_task(f, i + 1, turns[i].timeout, turns[i].program, turns[i].script);
		say_what_waits(f, json_pack("[{s:i,s:s}]", "id", i + 1, "text", "hi"));
		assert_turn_lost(f, i + 1, journal);
	}
}

/* A coordinator that is busy is asked again; a message that never fits keeps nobody waiting. */
static void test_turn_waits(void **state)
{
	struct fake *f = *state;
	_cleanup_free_ char *large = xcalloc(1, 200001), *got = NULL;
	_cleanup_json_ json_t *id = NULL;
	struct error busy = ERROR_INIT;

	memset(large, 'x', 200000);
	error_set(&busy, ERROR_BUSY, "in use");
	fake_begin(f);
	turn_task(f, 1, 0, "/bin/sh", "printf %s \"$0\" > heard");
	id = asked_what_waits(f);
	fake_send(f, rpc_error(id, &busy));
	say_what_waits(f, json_pack("[{s:i,s:s}]", "id", 1, "text", large)); /* a part */
	say_what_waits(
	    f, json_pack("[{s:i,s:s},{s:i,s:s}]", "id", 2, "text", large, "id", 3, "text", "hi"));
	say_what_waits(f, json_array());
	assert_string_equal(json_text(fake_result(f), "outcome"), "completed");
	got = fake_file(f, "root/heard", NULL);
	assert_string_equal(got, "hi");
}

/* An agent that speaks the protocol: it asks leave, says what it does, and answers. */
static const char acp_agent[] =
    "say() { printf '%s\\n' \"{\\\"jsonrpc\\\":\\\"2.0\\\",$1}\"; }\n"
    "read -r a; say '\"id\":1,\"result\":{\"protocolVersion\":1}'\n"
    "read -r b; say '\"id\":2,\"result\":{\"sessionId\":\"s\"}'\n"
    "read -r c; say '\"id\":7,\"method\":\"session/request_permission\",\"params\":{'\\\n"
    "'\"toolCall\":{\"kind\":\"execute\"},\"options\":['\\\n"
    "'{\"optionId\":\"y\",\"kind\":\"allow_once\"},{\"optionId\":\"n\",\"kind\":\"reject_once\"}]}'"
    "\n"
    "read -r d; printf '%s\\n' \"$b\" \"$c\" \"$d\" > heard\n"
    "update() { say "
    "\"\\\"method\\\":\\\"session/update\\\",\\\"params\\\":{\\\"update\\\":{$1}}\"; }\n"
    "update '\"sessionUpdate\":\"tool_call\",\"title\":\"Edit code\"'\n"
    "update '\"sessionUpdate\":\"agent_message_chunk\",\"content\":{\"text\":\"All \"}'\n"
    "update '\"sessionUpdate\":\"agent_message_chunk\",\"content\":{\"text\":\"good.\"}'\n"
    "say '\"id\":3,\"result\":{\"stopReason\":\"end_turn\"}'\n"
    "cat > /dev/null\n";

static void test_acp(void **state)
{
	struct fake *f = *state;
	json_t *task = fake_task(1, acp_agent);
	_cleanup_free_ char *heard = NULL, *log = NULL;

	json_object_set_new(fake_profile(task), "mode", json_string("acp"));
	fake_begin(f);
	fake_assign(f, task);
	assert_string_equal(json_text(fake_result(f), "outcome"), "completed");
	assert_string_equal(json_text(f->result, "output"), "All good.");
	heard = fake_file(f, "root/heard", NULL);
	assert_non_null(strstr(heard, "\"session/new\",\"params\":{\"cwd\":"));
	assert_non_null(strstr(heard, "\"text\":\"Do \\\"it\\\" now.\\n\""));
	assert_non_null(strstr(heard, "\"optionId\":\"n\""));
	log = fake_file(f, "state/attempts/1/output.log", NULL);
	assert_string_equal(log, "· Edit code\nAll good.\n");

	task = fake_task(2, "read a; exit 4");
	json_object_set_new(fake_profile(task), "mode", json_string("acp"));
	fake_assign(f, task);
	assert_error(fake_result(f), "agent_exit", NULL);
}

/* A view, and what it was shown and not yet asked for. */
struct viewer {
	int fd;
	struct buf in, data, title;
};

static void viewer_connect(struct viewer *v, const struct fake *f)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memset(v, 0, sizeof *v);
	v->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s/w-ash.sock", f->runtime);
	assert_int_equal(connect(v->fd, (struct sockaddr *)&address, sizeof address), 0);
}

static void viewer_finish(struct viewer *v)
{
	close(v->fd);
	buf_finish(&v->in);
	buf_finish(&v->data);
	buf_finish(&v->title);
}

/* Reads until it was shown `text`; what came before it is forgotten. */
static void viewer_wait(struct viewer *v, char kind, const char *text)
{
	struct buf *seen = kind == FRAME_DATA ? &v->data : &v->title;
	char *at;

	while (!seen->data || !(at = memmem(seen->data, seen->len, text, strlen(text)))) {
		struct frame frame;
		size_t offset = 0;

		fake_wait_fd(v->fd, POLLIN);
		assert_true(buf_read(&v->in, v->fd, 65536) > 0);
		while (frame_next(&v->in, &offset, &frame) > 0)
			buf_add(frame.kind == FRAME_DATA ? &v->data : &v->title, frame.data,
			        frame.len);
		buf_drop_front(&v->in, offset);
	}
	buf_drop_front(seen, (size_t)(at - seen->data) + strlen(text));
}

static void viewer_send(const struct viewer *v, char kind, const char *data, size_t len)
{
	struct buf out = BUF_INIT;

	frame_add(&out, kind, data, len);
	assert_int_equal(write_all(v->fd, out.data, out.len), 0);
	buf_finish(&out);
}

static void test_views(void **state)
{
	struct fake *f = *state;
	struct viewer observer, typist, late, deaf;

	fake_begin(f);
	viewer_connect(&observer, f);
	viewer_wait(&observer, FRAME_DATA, "ash is idle");
	viewer_connect(&deaf, f); /* never reads */
	viewer_send(&observer, FRAME_OBSERVER, NULL, 0);
	fake_assign(f, tui_task(1,
	                        "stty -echo; echo early; read a; stty size; echo \"got $a\"; "
	                        "head -c 5000000 /dev/zero | tr '\\0' y; echo; echo end; read b",
	                        "none"));
	viewer_wait(&observer, FRAME_DATA, "early");
	viewer_send(&observer, FRAME_KEYS, "no\n", 3);
	viewer_connect(&typist, f);
	viewer_wait(&typist, FRAME_DATA, "early");
	viewer_send(&typist, FRAME_RESIZE, "\x4d\x00\x14\x00", 4);
	viewer_send(&typist, FRAME_KEYS, "yes\n", 4);
	viewer_wait(&observer, FRAME_DATA, "20 77");
	viewer_wait(&observer, FRAME_DATA, "end");
	viewer_wait(&typist, FRAME_DATA, "end");
	viewer_connect(&late, f);
	viewer_wait(&late, FRAME_TITLE, "ash · parser · working");
	viewer_finish(&late);
	viewer_connect(&late, f);
	viewer_wait(&late, FRAME_DATA, "end");
	viewer_send(&late, FRAME_KEYS, "\n", 1);
	fake_result(f);
	{
		_cleanup_free_ char *log = fake_file(f, "state/attempts/1/output.log", NULL);

		assert_non_null(strstr(log, "got yes"));
	}
	fake_notify(f, "worker.exit", json_object());
	json_decref(fake_wait(f, "attempt.finish")); /* only a reply tells that it arrived */
	fake_wait_exit(f);
	viewer_finish(&late);
	viewer_finish(&typist);
	viewer_finish(&observer);
	viewer_finish(&deaf);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    T(test_messages),   T(test_typed_prompts), T(test_busy_program), T(test_not_begun),
	    T(test_turn_fails), T(test_turn_waits),    T(test_acp),          T(test_views),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
