/* Processes: starting them without a shell, knowing when they end, and ending
 * everything they left behind.
 *
 * A process is its pid *and* its start time: a pid alone may be somebody else's.
 * Children borrow our memory until their exec (proc_spawn.c), never fork from a large
 * process, and their end is read from a pidfd. */
#ifndef PLEACH_PROC_H
#define PLEACH_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "buf.h"
#include "error.h"

struct proc_spec {
	const char *const *argv; /* argv[0] is looked up in PATH of `env` unless it has a slash */
	const char *const *env;  /* NULL: ours */
	const char *cwd;         /* NULL: ours */
	int stdin_fd;            /* -1: /dev/null */
	int stdout_fd;           /* -1: /dev/null */
	int stderr_fd;           /* -1: /dev/null */
	const char *tty;  /* path of a pseudo-terminal to become the controlling terminal and,
	                   * where the descriptors above are -1, stdin, stdout and stderr */
	int pass_fd;      /* -1, or one more descriptor, which the child sees as 3 */
	bool new_session; /* implied by tty */
	bool child_only;  /* it is known by being our child: its start time is not read */
};

#define PROC_SPEC_INIT                                                                             \
	{                                                                                          \
		.stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .pass_fd = -1                    \
	}

struct proc {
	pid_t pid;
	int pidfd; /* polls readable when it has ended; the caller closes it */
	uint64_t
	    start_time; /* field 22 of /proc/PID/stat; 0 if it could not be, or need not be, read */
};

/* Starts a program. The signal mask and what is done at the standard signals are reset in the child
 * (not at real-time ones: proc_reset_realtime, once), and no descriptor but 0..2 (and pass_fd as 3)
 * is inherited. Errors: NOT_FOUND (no such program), EXTERNAL (no such directory, too many
 * processes). */
int proc_spawn(const struct proc_spec *spec, struct proc *out, struct error *err);
/* At the start of a program whose children are to have nothing of its parent's: real-time signals
 * that it was told to ignore are not. */
void proc_reset_realtime(void);

/* Reaps the child. `status` is as of waitpid. Blocks unless it has ended. */
int proc_wait(const struct proc *proc, int *status, struct error *err);

/* Reads the start time of any process. 0, or -1 when there is no such process. */
int proc_start_time(pid_t pid, uint64_t *out);
/* Its state, a letter of proc(5) (T: stopped, Z: zombie); 0: there is no such process. */
char proc_state(pid_t pid);
/* Whose child it is now; -1: there is no such process. */
pid_t proc_parent(pid_t pid);
/* True while pid exists with that start time and is not a zombie. */
bool proc_alive(pid_t pid, uint64_t start_time);
/* True while it is stopped (SIGSTOP): it will not do what it is told. Not: by a debugger. */
bool proc_stopped(pid_t pid, uint64_t start_time);
/* This boot's id, 36 characters and NUL. */
void proc_boot_id(char out[37]);

/* Runs a program to its end and collects its output: for short helpers only.
 * `in` may be NULL. `out` and `err_out` may be NULL (then /dev/null); what they
 * held is kept, output is appended. max_out bytes at most are appended to each (0: 64 MiB);
 * what comes after is read and dropped, and so is what the program's own children say after
 * its end. timeout_ms 0: no limit; when it passes, the whole
 * session of the child is killed and the error is TIMEOUT. `*status` as of waitpid. */
struct proc_run {
	struct proc_spec spec; /* its descriptors are set by proc_run */
	const void *in;
	size_t in_len;
	struct buf *out;
	struct buf *err_out;
	size_t max_out;
	int timeout_ms;
	int *cancel_fd; /* may be NULL; when *cancel_fd polls readable: as a timeout, code CONFLICT
	                 */
	int long_ms;    /* on_long is called each time the child has lived so long; NULL: never */
	void (*on_long)(void *context);
	void *context;
};
int proc_run(const struct proc_run *run, int *status, struct error *err);

/* "exit 2" or "signal 9 (Killed)", in a static thread-local buffer. */
const char *proc_status_text(int status);

/* Ends survivors: every process whose environment holds `marker` (as NAME=VALUE) or whose
 * current directory lies in `dir` (NULL: not asked), except `keep` and this process, gets
 * SIGKILL; scans until two in a row find none, at most `tries` times.
 * Returns how many were killed, or -1 when some still live after the last try. */
int proc_kill_survivors(const char *marker, const char *dir, pid_t keep, int tries);

/* True when a process other than this one has its current directory in `dir`. */
bool proc_works_in(const char *dir);
/* Waits until the programs of that name (15 bytes at most) have ended that are at work in `dir` now
 * and began less than `ms` ago: `ms` at most. Who begins meanwhile is not waited for. */
void proc_await_in(const char *dir, const char *name, int ms);

/* From now on whatever this process starts belongs to the family of that name, for good: through
 * fork, exec, setsid, another directory and an empty environment. (The name's number is kept in a
 * resource limit which only matters to real-time processes, and is beyond any use.) 0 or -1. */
int proc_family_join(const char *name);
/* As proc_kill_survivors, and everybody of that family (NULL: not asked). */
int proc_kill_family(const char *family, const char *marker, const char *dir, pid_t keep,
                     int tries);

/* SIGTERM (or another) to the process group of a session leader that we started. */
void proc_signal_group(const struct proc *proc, int signal);

/* SIGKILL to exactly that process: by a pidfd, and only while its start time is right. */
void proc_kill_pid(const struct proc *proc);

/* First of all in main: where the program was started without stdin, stdout or stderr, the next
 * file or socket that is opened would become it, and be written to. /dev/null takes the place,
 * opened the wrong way round, so that reading and writing still fail. */
void proc_guard_std(void);

/* Full path of a program as a shell would find it in `path` (NULL: $PATH), or NULL.
 * Caller frees. */
char *proc_find_program(const char *name, const char *path);

/* Ends a process that has nng sockets: without closing them, which can hang. Under a leak
 * checker it is asked first. */
_Noreturn void proc_end(int status);

/* The folder of the running program's own file, where its sister programs are.
 * Borrowed for ever. */
const char *proc_own_dir(void);

#endif
