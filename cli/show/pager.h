/* A pager before the terminal, for what may be longer than it. */
#ifndef PLEACH_CLI_PAGER_H
#define PLEACH_CLI_PAGER_H

#include "proc.h"

struct pager {
	struct proc proc;
	int fd;     /* its stdin; -1: there is none */
	int before; /* what stood there while it is in its place; -1: it is not */
};
#define PAGER_INIT                                                                                 \
	{                                                                                          \
		.fd = -1, .before = -1                                                             \
	}

/* The user's own $PAGER by the shell, else less. Without either fd stays -1. */
void pager_start(struct pager *pager);
/* As pager_start, where stdout is a terminal; what is printed from then on goes through it. Only
 * for what is safe to print on a terminal. */
void pager_start_before_stdout(struct pager *pager);
/* Waits for its end; stdout is what it was. */
void pager_end(struct pager *pager);

#endif
