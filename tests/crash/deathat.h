/* What deathat knows of a thread that it follows, of its role, and of the calls that change
 * something. No decisions here. */
#ifndef DEATHAT_H
#define DEATHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/types.h>

struct tracee {
	pid_t tid, pid;
	unsigned role;
	bool seized;
	bool embryo; /* a child that was born followed, until it is a program of its own */
	bool looked; /* role and pid are known; forgotten at an exec */
};

/* One bit a role, 0 where a name is unknown. */
unsigned role_mask(const char *names);

/* Static text. */
const char *role_name(unsigned role);

/* Fills in pid and role from /proc. */
void tracee_look(struct tracee *t);

/* A thread whose calls change nothing that lasts: nng's. */
bool is_bystander(const struct tracee *t);

/* Does this call, which the tracee is about to enter, change something that others can see?
 * Then text says which. */
bool call_changes(const struct tracee *t, const struct __ptrace_syscall_info *info, char *text,
                  size_t size);

#endif
