/* Errors: a code for programs, a story for people.
 *
 * A function that can fail takes `struct error *err` last and returns -1 with it
 * filled; its outputs are then untouched. Wrap with context as it rises; print
 * once, at the edge. `err` may be NULL where the caller does not care. */
#ifndef PLEACH_ERROR_H
#define PLEACH_ERROR_H

#include <stdarg.h>

/* X(name, word on the wire, exit status of the command that meets it) */
#define ERROR_CODES(X)                                                                             \
	X(INVALID, "invalid", 2)           /* bad usage or input */                                \
	X(NEEDS_PERSON, "needs_person", 3) /* a person has to decide */                            \
	X(NOT_FOUND, "not_found", 4)       /* no such thing */                                     \
	X(CONFLICT, "conflict", 5)         /* refused: changed meanwhile, ambiguous */             \
	X(STALE, "stale", 5)               /* refused: the attempt is no longer the current one */ \
	X(BUSY, "busy", 5)                 /* refused: in use; try later */                        \
	X(EXTERNAL, "external", 6)         /* git, tmux, an agent, the disk, the coordinator */    \
	X(TIMEOUT, "timeout", 124)         /* the caller's own limit passed */

enum error_code {
	ERROR_NONE = 0,
#define X(name, word, exit_status) ERROR_##name,
	ERROR_CODES(X)
#undef X
};

#define ERROR_TEXT_MAX 2048

struct error {
	enum error_code code;
	char text[ERROR_TEXT_MAX]; /* "what: why (what to do)", UTF-8, no newline at its end */
};

#define ERROR_INIT                                                                                 \
	{                                                                                          \
		ERROR_NONE,                                                                        \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}

/* Fills err and returns -1, so that `return error_set(...)` reads well. */
int error_set(struct error *err, enum error_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* As error_set, with `: strerror(errno)` appended. Code EXTERNAL. */
int error_errno(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Puts "context: " in front of the text that is there. Returns -1. */
int error_wrap(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

const char *error_code_word(enum error_code code);
/* ERROR_EXTERNAL for a word it does not know. */
enum error_code error_code_from_word(const char *word);
int error_exit_status(enum error_code code);

/* Ends the process with a message: for out of memory and broken invariants only. */
_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
