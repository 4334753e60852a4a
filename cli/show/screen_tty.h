/* The terminal below a live screen: no echo while it is up, as it was when it is not. */
#ifndef PLEACH_CLI_SCREEN_TTY_H
#define PLEACH_CLI_SCREEN_TTY_H

#include <stdbool.h>

/* Whether this process may draw: the terminal's foreground is ours. */
bool screen_tty_in_front(void);

/* Switches echo off, until release or exit. Nothing without a terminal or in the background. */
void screen_tty_hold(void);
void screen_tty_release(void);

/* Gives the terminal back and stops, as Ctrl-Z asks. Returns once the process goes on; then hold
 * again and draw anew. */
void screen_tty_stop(void);

#endif
