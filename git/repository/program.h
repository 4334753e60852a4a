/* Running one git program to its end. Private to git/. */
#ifndef PLEACH_GIT_PROGRAM_H
#define PLEACH_GIT_PROGRAM_H

#include "proc.h"

/* As proc_run. A git that somebody killed (the system, out of memory) is run again, a few times:
 * only for programs that may be run twice. locks (may be NULL; ends with NULL): files that
 * this git makes while it works and that were not there before; they go before the next try. */
#define PROGRAM_LOCKS_MAX 4
int git_program(const struct proc_run *run, const char *const *locks, int *status,
                struct error *err);

#endif
