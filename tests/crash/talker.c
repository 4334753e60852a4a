/* An agent that talks: numbered lines to its terminal, and the same bytes to a file outside the
 * system, until it is told to stop. The terminal's output processing is switched off, so the
 * log that pleach keeps must hold exactly what the file holds.
 *
 *   talker COPY STOP PAUSE_US            until the file STOP is there
 *   talker --flood BYTES [--one-line]    prints so much and ends: nothing is kept */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define CHUNK (64u << 10)

static void raw_output(void)
{
	struct termios modes;

	if (tcgetattr(STDOUT_FILENO, &modes) != 0)
		return;
	modes.c_oflag &= ~(tcflag_t)OPOST;
	tcsetattr(STDOUT_FILENO, TCSANOW, &modes);
}

static int put(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n <= 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int talk(const char *copy, const char *stop, useconds_t pause)
{
	int fd = open(copy, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	char line[128];

	if (fd < 0)
		return 1;
	raw_output();
	for (uint64_t i = 1; access(stop, F_OK) != 0; i++) {
		int n = snprintf(line, sizeof line, "%" PRIu64 " of %d: \033[1mline\033[0m %064d\n",
		                 i, (int)getpid(), (int)(i % 1000));

		if (put(fd, line, (size_t)n) != 0 || put(STDOUT_FILENO, line, (size_t)n) != 0)
			return 1;
		usleep(pause);
	}
	return 0;
}

static int flood(uint64_t bytes, int one_line)
{
	static char chunk[CHUNK];

	memset(chunk, 'x', sizeof chunk);
	for (size_t i = 79; i < sizeof chunk && !one_line; i += 80)
		chunk[i] = '\n';
	while (bytes) {
		size_t part = bytes < sizeof chunk ? (size_t)bytes : sizeof chunk;

		if (put(STDOUT_FILENO, chunk, part) != 0)
			return 1;
		bytes -= part;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && strcmp(argv[1], "--flood") == 0)
		return flood(strtoull(argv[2], NULL, 10), argc > 3);
	if (argc == 4)
		return talk(argv[1], argv[2], (useconds_t)strtoul(argv[3], NULL, 10));
	fprintf(stderr, "usage: talker COPY STOP PAUSE_US | talker --flood BYTES [--one-line]\n");
	return 2;
}
