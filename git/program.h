/* Running one git program to its end. Private to git/. */
#ifndef PLEACH_GIT_PROGRAM_H
#define PLEACH_GIT_PROGRAM_H

#include "proc.h"

/* As proc_run. A git that somebody killed (the system, out of memory) is run again, a few times:
 * only for programs that may be run twice. lock (may be NULL): the file that this git makes
 * while it works, which nobody else makes; it goes before the next try. */
int git_program(const struct proc_run *run, const char *lock, int *status, struct error *err);

#endif
