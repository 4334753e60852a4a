/* The terminal below a live screen: what is typed must not show up between its lines, and job
 * control must find the terminal as it was. Owns the terminal's modes while a screen is up; draws
 * nothing. */
#include "screen_tty.h"

#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static struct termios found;
static bool held;

bool screen_tty_in_front(void)
{
	pid_t front = tcgetpgrp(STDOUT_FILENO);

	/* Where the terminal is not our controlling one, nobody else has it either. */
	return front < 0 || front == getpgrp();
}

void screen_tty_hold(void)
{
	static bool at_exit;
	struct termios quiet;

	/* In the background setting modes would stop us. */
	if (held || !screen_tty_in_front() || tcgetattr(STDOUT_FILENO, &found) < 0)
		return;
	quiet = found;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	held = tcsetattr(STDOUT_FILENO, TCSADRAIN, &quiet) == 0;
	if (!at_exit)
		at_exit = atexit(screen_tty_release) == 0;
}

void screen_tty_release(void)
{
	if (held && screen_tty_in_front())
		tcsetattr(STDOUT_FILENO, TCSADRAIN, &found);
	held = false;
}

void screen_tty_stop(void)
{
	screen_tty_release();
	raise(SIGSTOP);
}
