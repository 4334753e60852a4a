/* An agent that testifies. Whatever it does goes, before or after it is done, into a log outside
 * the system, one fsynced line each, so that a checker can hold the store and the repository
 * against what really happened. Does what its prompt says, cue by cue; decides nothing itself.
 *
 *   witness LOG PROMPT_FILE
 *
 * A line: nanoseconds key task attempt nonce pid start-time what… (`say`). Cues, in order:
 *   sleep:MS  until:FILE (is there)  write:N (files)  commit  flood:KB  ignore (HUP and TERM)  hang
 *   child:WAYS   leaves a process behind that testifies every 20 ms while it lives; WAYS of
 *                setsid, clearenv, chdir, ignore, joined by +, may be none
 *   fail:K signal:K killworker:K   ends so (exit 3, SIGKILL, its worker killed) in its first K runs
 */
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha1.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct witness {
	const char *self, *log;
	const char *key, *task, *attempt;
	char nonce[17];
	int fd;
};

static void fail(const char *what)
{
	perror(what);
	_exit(9);
}

static void nap(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* Field 22 of our own stat: a pid alone says nothing. */
static unsigned long long born(void)
{
	char text[1024], *p;
	unsigned long long start = 0;
	int fd = open("/proc/self/stat", O_RDONLY), field;
	ssize_t n = read(fd, text, sizeof text - 1);

	close(fd);
	text[n > 0 ? n : 0] = '\0';
	p = strrchr(text, ')');
	for (field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (p)
		start = strtoull(p + 1, NULL, 10);
	return start;
}

/* One write with O_APPEND, so that lines of many processes never mix; on disk when it returns. */
static void say(const struct witness *w, const char *format, ...)
{
	struct timespec now;
	char line[1024];
	va_list args;
	int n;

	clock_gettime(CLOCK_MONOTONIC, &now);
	n = snprintf(line, sizeof line, "%lld%09ld %s %s %s %s %d %llu ", (long long)now.tv_sec,
	             now.tv_nsec, w->key, w->task, w->attempt, w->nonce, (int)getpid(), born());
	va_start(args, format);
	n += vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
	va_end(args);
	line[n++] = '\n';
	if (write(w->fd, line, (size_t)n) != n || fdatasync(w->fd) < 0)
		fail(w->log);
}

/* The name git gives to this content. */
static void blob_name(const char *data, size_t len, char out[41])
{
	uint8_t digest[SHA1_DIGEST_SIZE];
	struct sha1_ctx ctx;
	char head[32];
	int n = snprintf(head, sizeof head, "blob %zu", len) + 1;

	sha1_init(&ctx);
	sha1_update(&ctx, (size_t)n, (const uint8_t *)head);
	sha1_update(&ctx, len, (const uint8_t *)data);
	sha1_digest(&ctx, sizeof digest, digest);
	for (size_t i = 0; i < sizeof digest; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static void write_file(const struct witness *w, long number)
{
	char path[256], text[256], name[41];
	int n, fd;

	mkdir("w", 0777);
	snprintf(path, sizeof path, "w/%s-%s-%ld", w->key, w->attempt, number);
	n = snprintf(text, sizeof text, "%s %s %ld\n", w->key, w->nonce, number);
	blob_name(text, (size_t)n, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	if (fd < 0 || write(fd, text, (size_t)n) != n || close(fd) < 0)
		fail(path);
	say(w, "file %s %s", path, name);
}

static void run_git(const struct witness *w, const char *const *argv)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		execvp("git", (char *const *)argv);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	if (status) /* killed, perhaps: the worker commits what we did not */
		say(w, "git-failed %s %d", argv[1], status);
}

static void commit(const struct witness *w)
{
	static const char *const add[] = {"git", "add", "-A", NULL};
	static const char *const make[] = {"git", "commit", "-qm", "by the agent itself", NULL};

	run_git(w, add);
	run_git(w, make);
}

static void flood(long kb)
{
	char line[1024];

	memset(line, 'x', sizeof line);
	line[sizeof line - 1] = '\n';
	for (long i = 0; i < kb; i++)
		if (write(STDOUT_FILENO, line, sizeof line) < 0)
			return;
}

static void ignore_signals(void)
{
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
}

/* Testifies until somebody ends it. */
static _Noreturn void linger(const struct witness *w)
{
	for (;;) {
		say(w, "linger");
		nap(20);
	}
}

/* The process left behind: a grandchild, whose parent is gone when the agent goes on. It has said
 * that it is there by then. */
static void leave_child(const struct witness *w, const char *ways)
{
	const char *argv[] = {w->self, "--linger", w->log,   w->key,
	                      w->task, w->attempt, w->nonce, NULL};
	int there[2];
	char byte;
	pid_t pid;

	if (pipe2(there, O_CLOEXEC) < 0)
		fail("pipe");
	pid = fork();
	if (pid > 0) {
		close(there[1]);
		waitpid(pid, NULL, 0);
		while (read(there[0], &byte, 1) < 0 && errno == EINTR)
			;
		close(there[0]);
		return;
	}
	if (strstr(ways, "setsid"))
		setsid();
	if (fork() != 0)
		_exit(0);
	say(w, "child %s", *ways ? ways : "-");
	close(there[1]);
	if (strstr(ways, "ignore"))
		ignore_signals();
	if (strstr(ways, "chdir") && chdir("/") < 0)
		fail("/");
	if (strstr(ways, "clearenv")) {
		static char *const none[] = {NULL};

		for (int fd = 0; fd < 3; fd++)
			close(fd);
		execve(w->self, (char *const *)argv, none);
		_exit(127);
	}
	linger(w);
}

/* How often this task was started, this run included. */
static long runs(const struct witness *w)
{
	FILE *file = fopen(w->log, "re");
	char line[1024], key[128], what[32];
	long n = 0;

	if (!file)
		fail(w->log);
	while (fgets(line, sizeof line, file))
		if (sscanf(line, "%*s %127s %*s %*s %*s %*s %*s %31s", key, what) == 2 &&
		    strcmp(what, "start") == 0 && strcmp(key, w->key) == 0)
			n++;
	fclose(file);
	return n;
}

static void wait_for(const char *file)
{
	while (access(file, F_OK) < 0)
		nap(5);
}

static void end(const struct witness *w, int status)
{
	say(w, "end %d", status);
	_exit(status);
}

static void follow(const struct witness *w, const char *cue)
{
	const char *colon = strchr(cue, ':'), *rest = colon ? colon + 1 : "";
	size_t n = colon ? (size_t)(colon - cue) : strlen(cue);
	long number = strtol(rest, NULL, 10);

#define IS(word) (n == sizeof(word) - 1 && strncmp(cue, word, n) == 0)
	if (IS("sleep")) {
		nap(number);
	} else if (IS("until")) {
		wait_for(rest);
	} else if (IS("write")) {
		for (long i = 0; i < number; i++)
			write_file(w, i);
	} else if (IS("commit")) {
		commit(w);
	} else if (IS("flood")) {
		flood(number);
	} else if (IS("ignore")) {
		ignore_signals();
	} else if (IS("child")) {
		leave_child(w, rest);
	} else if (IS("hang")) {
		for (;;)
			pause();
	} else if (IS("fail")) {
		if (runs(w) <= number)
			end(w, 3);
	} else if (IS("signal")) {
		if (runs(w) <= number) {
			say(w, "end signal");
			kill(getpid(), SIGKILL);
		}
	} else if (IS("killworker")) {
		if (runs(w) <= number) {
			say(w, "killworker");
			kill(getppid(), SIGKILL);
			pause();
		}
	} else {
		fprintf(stderr, "witness: no such cue: %s\n", cue);
		_exit(8);
	}
#undef IS
}

static const char *from_environment(const char *name)
{
	const char *value = getenv(name);

	if (!value)
		fail(name);
	return value;
}

static void open_log(struct witness *w)
{
	w->fd = open(w->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (w->fd < 0)
		fail(w->log);
}

int main(int argc, char **argv)
{
	struct witness w = {.self = "/proc/self/exe"};
	static char text[65536];
	char *save = NULL;
	unsigned char nonce[8];
	int fd;
	ssize_t n;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 7 && strcmp(argv[1], "--linger") == 0) {
		w.log = argv[2], w.key = argv[3], w.task = argv[4], w.attempt = argv[5];
		snprintf(w.nonce, sizeof w.nonce, "%s", argv[6]);
		open_log(&w);
		linger(&w);
	}
	if (argc != 3)
		return 2;
	w.log = argv[1];
	w.key = from_environment("PLEACH_KEY");
	w.task = from_environment("PLEACH_TASK");
	w.attempt = from_environment("PLEACH_ATTEMPT");
	if (getrandom(nonce, sizeof nonce, 0) != sizeof nonce)
		fail("getrandom");
	for (size_t i = 0; i < sizeof nonce; i++)
		snprintf(w.nonce + 2 * i, 3, "%02x", nonce[i]);
	open_log(&w);
	fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (n < 0)
		fail(argv[2]);
	say(&w, "start");
	for (char *cue = strtok_r(text, " \n", &save); cue; cue = strtok_r(NULL, " \n", &save))
		follow(&w, cue);
	say(&w, "effect");
	end(&w, 0);
}
