/* The witness of the benchmarks: says when a process began and ended, and how long programs take
 * as whole processes. As small as can be, so that its own start counts for little; linked with
 * libc alone. Measures, judges nothing.
 *   witness mark FILE            appends when main() began and when it is about to end
 *   witness gate FIFO FILE       the same, but ends only when the fifo can be read
 *   witness edit FILE PATH       writes when main() began (µs since 1970), and appends to PATH
 *   witness spawn N PROGRAM ARG… runs it N times in turn: nanoseconds, a line each */
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* One write, so that lines of many never mix. */
static int mark(const char *file, int64_t began)
{
	int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	char line[64];
	int n;

	if (fd < 0)
		return 1;
	n = snprintf(line, sizeof line, "%lld %lld\n", (long long)began, (long long)now_ns());
	return write(fd, line, (size_t)n) == n ? 0 : 1;
}

static int gate(const char *fifo, const char *file, int64_t began)
{
	int fd = open(fifo, O_RDONLY | O_CLOEXEC);
	char byte;

	if (fd < 0 || read(fd, &byte, 1) < 0)
		return 1;
	return mark(file, began);
}

static int edit(const char *file, const char *path, const struct timespec *began)
{
	FILE *out = fopen(file, "we"), *edited = fopen(path, "ae");
	int rc = !out || !edited ||
	         fprintf(out, "%lld%06ld\n", (long long)began->tv_sec, began->tv_nsec / 1000) < 0 ||
	         fputs("x\n", edited) < 0;

	rc |= out && fclose(out) != 0;
	rc |= edited && fclose(edited) != 0;
	return rc;
}

static int spawn(int count, char **argv)
{
	posix_spawn_file_actions_t actions;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	for (int i = 0; i < count; i++) {
		int64_t began = now_ns();
		int status;
		pid_t pid;

		if (posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) != 0 ||
		    waitpid(pid, &status, 0) != pid || status != 0) {
			fprintf(stderr, "witness: %s failed\n", argv[0]);
			return 1;
		}
		printf("%lld\n", (long long)(now_ns() - began));
	}
	return 0;
}

int main(int argc, char **argv)
{
	int64_t began = now_ns();
	struct timespec clock;

	clock_gettime(CLOCK_REALTIME, &clock);
	if (argc == 3 && strcmp(argv[1], "mark") == 0)
		return mark(argv[2], began);
	if (argc == 4 && strcmp(argv[1], "gate") == 0)
		return gate(argv[2], argv[3], began);
	if (argc == 4 && strcmp(argv[1], "edit") == 0)
		return edit(argv[2], argv[3], &clock);
	if (argc >= 4 && strcmp(argv[1], "spawn") == 0 && atoi(argv[2]) > 0)
		return spawn(atoi(argv[2]), argv + 3);
	fprintf(
	    stderr,
	    "usage: witness mark FILE | gate FIFO FILE | edit FILE PATH | spawn N PROGRAM ARG…\n");
	return 2;
}
