/* Terminals: what an agent prints arrives whole, one that nobody has any more is the next agent's,
 * and that agent finds it as if it were new, whatever the last one did to it. This program is its
 * own agent: with an argument it does something to its terminal, or says what it finds. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

#include "buf.h"
#include "place.h"
#include "proc.h"
#include "shared_fixture.h"
#include "terminal.h"

static char self[4096];

/* ---- the agent ---- */

static int push(const char *text)
{
	for (; *text; text++)
		if (ioctl(0, TIOCSTI, text) < 0)
			return 77; /* not on this kernel */
	return 0;
}

static int set_raw(void)
{
	struct termios modes;

	tcgetattr(0, &modes);
	cfmakeraw(&modes);
	return tcsetattr(0, TCSANOW, &modes);
}

/* Everything about it that a program can see; by a file, for it may be stopped. */
static int look(const char *into)
{
	struct termios modes;
	struct winsize size = {0};
	int unread = -1, exclusive = -1, discipline = -1;
	struct stat st;
	FILE *file = fopen(into, "we");
	ssize_t wrote;

	if (!file || tcgetattr(0, &modes) < 0 || fstat(0, &st) < 0)
		return 1;
	ioctl(0, FIONREAD, &unread);
	ioctl(0, TIOCGEXCL, &exclusive);
	ioctl(0, TIOCGETD, &discipline);
	ioctl(0, TIOCGWINSZ, &size);
	fcntl(1, F_SETFL, O_NONBLOCK);
	wrote = write(1, "looked\n", 7);
	fprintf(file, "modes %x %x %x %x, mode %o, unread %d, exclusive %d, discipline %d, ",
	        modes.c_iflag, modes.c_oflag, modes.c_cflag, modes.c_lflag, st.st_mode, unread,
	        exclusive, discipline);
	for (int i = 0; i < NCCS; i++)
		fprintf(file, "%x ", modes.c_cc[i]);
	fprintf(file, "%dx%d, wrote %zd, leads %d", size.ws_col, size.ws_row, wrote,
	        tcgetsid(0) == getpid());
	return fclose(file);
}

static int say(const char *file, int number)
{
	_cleanup_free_ char *fresh = xasprintf("%s.new", file);
	FILE *out = fopen(fresh, "we");

	if (!out)
		return 1;
	fprintf(out, "%d", number);
	return fclose(out) != 0 || rename(fresh, file) != 0;
}

/* A process that outlives us with the terminal open. */
static int leave_open(const char *into)
{
	pid_t pid;

	signal(SIGHUP, SIG_IGN); /* which our end sends */
	pid = fork();
	if (pid > 0)
		return say(into, pid);
	pause();
	_exit(0);
}

/* One that has it not open, but as its controlling terminal, which can be taken when we are gone.
 */
static int leave_controlled(const char *into)
{
	_cleanup_free_ char *name = xstrdup(ttyname(0));
	pid_t leader = getpid();
	int fd;

	signal(SIGHUP, SIG_IGN);
	if (fork() > 0)
		return 0;
	setsid();
	for (fd = 0; fd < 3; fd++)
		close(fd);
	while (getppid() == leader)
		usleep(1000);
	fd = open(name, O_RDWR);
	if (fd < 0 || tcgetsid(fd) != getpid())
		_exit(1);
	close(fd);
	say(into, getpid());
	pause();
	_exit(0);
}

/* Tabs as blanks: how many is told by the column that the terminal believes to be in. */
static int print_tab(void)
{
	struct termios modes, with_tabs;

	tcgetattr(0, &modes);
	with_tabs = modes;
	with_tabs.c_oflag |= TAB3;
	return tcsetattr(0, TCSANOW, &with_tabs) < 0 || write(1, "\tx\n", 3) != 3 ||
	       tcsetattr(0, TCSADRAIN, &modes) < 0;
}

/* A key that takes the next one literally, unseen. */
static int push_quote(void)
{
	struct termios modes, silent;
	int rc;

	tcgetattr(0, &modes);
	silent = modes;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(0, TCSANOW, &silent);
	rc = push("\x16");
	tcsetattr(0, TCSANOW, &modes);
	return rc;
}

static int lock_modes(void)
{
	struct termios locked = {.c_lflag = ICANON};

	return ioctl(0, TIOCSLCKTRMIOS, &locked) < 0 ? 77 : 0; /* root alone may */
}

static int read_line(const char *into)
{
	char line[16];
	ssize_t n = read(0, line, sizeof line);

	return n > 0 ? say(into, line[0]) : 1;
}

static int agent_main(char **argv)
{
	if (strcmp(argv[1], "open") != 0 && strcmp(argv[1], "controlled") != 0)
		alarm(10);
	if (strcmp(argv[1], "look") == 0)
		return look(argv[2]);
	if (strcmp(argv[1], "print") == 0) {
		for (int i = 0; i < 10000; i++)
			printf("line %d\n", i);
		return fflush(stdout);
	}
	if (strcmp(argv[1], "raw") == 0)
		return set_raw();
	if (strcmp(argv[1], "stop") == 0)
		return tcflow(0, TCOOFF);
	if (strcmp(argv[1], "stop-by-key") == 0)
		return push("\x13");
	if (strcmp(argv[1], "exclusive") == 0)
		return ioctl(0, TIOCEXCL);
	if (strcmp(argv[1], "unread") == 0)
		return push("for the last one\n");
	if (strcmp(argv[1], "half-a-line") == 0)
		return write(1, "half", 4) != 4;
	if (strcmp(argv[1], "tab") == 0)
		return print_tab();
	if (strcmp(argv[1], "quote") == 0)
		return push_quote();
	if (strcmp(argv[1], "read") == 0)
		return read_line(argv[2]);
	if (strcmp(argv[1], "lock") == 0)
		return lock_modes();
	if (strcmp(argv[1], "rights") == 0)
		return fchmod(0, 0666);
	if (strcmp(argv[1], "open") == 0)
		return leave_open(argv[2]);
	if (strcmp(argv[1], "controlled") == 0)
		return leave_controlled(argv[2]);
	return 99;
}

/* ---- the tests ---- */

struct bench {
	uv_loop_t loop;
	struct terminal *terminal;
	char *dir, *file;
	struct buf heard;
};

static void on_data(void *context, const char *data, size_t len)
{
	struct bench *b = context;

	buf_add(&b->heard, data, len);
}

static int bench_setup(void **state)
{
	struct bench *b = xcalloc(1, sizeof *b);

	b->dir = temp_new();
	b->file = xasprintf("%s/file", b->dir);
	*state = b;
	return uv_loop_init(&b->loop);
}

static int bench_teardown(void **state)
{
	struct bench *b = *state;

	terminal_forget();
	uv_run(&b->loop, UV_RUN_NOWAIT);
	assert_int_equal(uv_loop_close(&b->loop), 0);
	temp_finish(b->dir);
	free(b->file);
	buf_finish(&b->heard);
	free(b);
	return 0;
}

static void open_one(struct bench *b)
{
	static const struct terminal_handler handler = {on_data, NULL};
	struct error err = ERROR_INIT;

	buf_finish(&b->heard);
	assert_ok(terminal_open(&b->loop, 90, 33, &handler, b, &b->terminal, &err));
}

/* An agent on it, from its start to its end; what it ended with. The loop turns meanwhile. */
static int agent(struct bench *b, const char *what)
{
	const char *argv[] = {self, what, b->file, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct error err = ERROR_INIT;
	struct pollfd ended = {.events = POLLIN};
	struct proc proc;
	int status = -1;

	unlink(b->file);
	spec.argv = argv;
	spec.tty = terminal_path(b->terminal);
	assert_ok(proc_spawn(&spec, &proc, &err));
	ended.fd = proc.pidfd;
	while (poll(&ended, 1, 1) == 0)
		uv_run(&b->loop, UV_RUN_NOWAIT);
	assert_ok(proc_wait(&proc, &status, &err));
	close(proc.pidfd);
	terminal_drain(b->terminal);
	return status;
}

/* Closes it and opens the next one: is it the same? */
static bool next_is_same(struct bench *b)
{
	const struct terminal *last = b->terminal;

	terminal_close(b->terminal);
	open_one(b);
	return b->terminal == last;
}

static char *found(struct bench *b)
{
	char *text = NULL;
	size_t len;
	struct error err = ERROR_INIT;

	assert_int_equal(agent(b, "look"), 0);
	assert_ok(place_read_file(b->file, 4096, &text, &len, &err));
	return text;
}

static pid_t left_behind(const struct bench *b)
{
	int pid = 0;

	for (int i = 0; i < WAIT_MS && pid <= 0; i++) {
		FILE *file = fopen(b->file, "re");

		if (file && fscanf(file, "%d", &pid) != 1)
			pid = 0;
		if (file)
			fclose(file);
		else
			usleep(1000);
	}
	assert_true(pid > 0);
	return pid;
}

static void test_all_is_heard(void **state)
{
	struct bench *b = *state;

	for (int i = 0; i < 20; i++) {
		open_one(b);
		assert_int_equal(agent(b, "print"), 0);
		assert_int_equal(b->heard.len, 10000 * strlen("line \r\n") + 38890);
		assert_memory_equal(b->heard.data + b->heard.len - 11, "line 9999\r\n", 11);
		terminal_close(b->terminal);
	}
}

/* What the agent before did to it is not there any more, and no other one was needed. */
static void test_as_new(void **state)
{
	static const char *const deeds[] = {"print", "stop", "stop-by-key", "exclusive", "unread"};
	struct bench *b = *state;
	_cleanup_free_ char *first = NULL;

	open_one(b);
	first = found(b);
	assert_non_null(strstr(first, "unread 0, exclusive 0, discipline 0"));
	assert_non_null(strstr(first, "90x33, wrote 7, leads 1"));
	for (size_t i = 0; i < ARRAY_LEN(deeds); i++) {
		_cleanup_free_ char *again = NULL;
		int status;

		assert_true(next_is_same(b));
		terminal_resize(b->terminal, 20, 10);
		status = agent(b, deeds[i]);
		if (WEXITSTATUS(status) == 77) {
			print_message("not on this kernel: %s\n", deeds[i]);
			continue;
		}
		assert_int_equal(status, 0);
		/* An ordinary user may not open one that another has for itself. */
		assert_true(next_is_same(b) ||
		            (geteuid() != 0 && strcmp(deeds[i], "exclusive") == 0));
		again = found(b);
		assert_string_equal(again, first);
		assert_string_equal(b->heard.data, "looked\r\n");
	}
	terminal_close(b->terminal);
}

/* Neither where the last line ended, nor a key that quotes the next one. */
static void test_as_new_for_lines_and_keys(void **state)
{
	struct bench *b = *state;
	int status;

	open_one(b);
	assert_int_equal(agent(b, "half-a-line"), 0);
	next_is_same(b);
	assert_int_equal(agent(b, "tab"), 0);
	buf_add(&b->heard, "", 1);
	assert_string_equal(b->heard.data, "        x\r\n");
	status = agent(b, "quote");
	if (WEXITSTATUS(status) == 77) {
		print_message("not on this kernel: quote\n");
	} else {
		assert_true(next_is_same(b));
		assert_true(terminal_write(b->terminal, "\r", 1));
		assert_int_equal(agent(b, "read"), 0);
		assert_int_equal(left_behind(b), '\n');
	}
	terminal_close(b->terminal);
}

/* What is nobody's cannot be opened by who remembers its name. */
static void test_nobody_opens_a_spare_one(void **state)
{
	struct bench *b = *state;
	char path[32];

	for (int prepared = 0; prepared < 2; prepared++) {
		open_one(b);
		snprintf(path, sizeof path, "%s", terminal_path(b->terminal));
		assert_int_equal(agent(b, "print"), 0);
		terminal_close(b->terminal);
		assert_int_equal(open(path, O_RDWR | O_NOCTTY | O_CLOEXEC), -1);
		if (prepared)
			continue;
		terminal_forget();
		terminal_prepare(&b->loop);
	}
	open_one(b);
	assert_string_equal(terminal_path(b->terminal), path);
	terminal_close(b->terminal);
}

static void test_what_is_not_used_again(void **state)
{
	static const char *const deeds[] = {"raw",        "rights", "open",
	                                    "controlled", "lock",   "half-a-line"};
	struct bench *b = *state;
	_cleanup_free_ char *first = NULL;

	open_one(b);
	first = found(b);
	for (size_t i = 0; i < ARRAY_LEN(deeds); i++) {
		_cleanup_free_ char *again = NULL;
		pid_t left = 0;

		if (WEXITSTATUS(agent(b, deeds[i])) == 77) {
			print_message("not for this user: %s\n", deeds[i]);
			continue;
		}
		if (i == 2 || i == 3)
			left = left_behind(b);
		if (next_is_same(b))
			fail_msg("used again: %s", deeds[i]);
		if (left)
			kill(left, SIGKILL);
		again = found(b);
		assert_string_equal(again, first);
	}
	assert_true(terminal_write(b->terminal, "typed", 5));
	assert_int_equal(agent(b, "print"), 0);
	assert_false(next_is_same(b));
	terminal_close(b->terminal); /* nobody was on it: not drained */
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_all_is_heard, bench_setup, bench_teardown),
	    cmocka_unit_test_setup_teardown(test_as_new, bench_setup, bench_teardown),
	    cmocka_unit_test_setup_teardown(test_as_new_for_lines_and_keys, bench_setup,
	                                    bench_teardown),
	    cmocka_unit_test_setup_teardown(test_nobody_opens_a_spare_one, bench_setup,
	                                    bench_teardown),
	    cmocka_unit_test_setup_teardown(test_what_is_not_used_again, bench_setup,
	                                    bench_teardown),
	};
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	if (argc > 1)
		return agent_main(argv);
	assert_true(n > 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
