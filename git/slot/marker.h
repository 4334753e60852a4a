/* The marker: a small file in a slot's git directory that says whose content the slot
 * holds and how far a switch came. Written and synced before each step, so that whoever
 * opens the slot after a crash knows what to do. Private to git/. */
#ifndef PLEACH_GIT_MARKER_H
#define PLEACH_GIT_MARKER_H

#include "slot.h"

struct marker {
	enum slot_phase phase;
	int64_t attempt;  /* whose content it is, or in SWITCHING will be; 0: nobody's */
	int64_t previous; /* in SWITCHING: whose content it was */
	bool set_up;
	bool made;                /* by us, empty: until it is checked out it holds nobody's work */
	bool checked_out;         /* the first checkout was complete */
	unsigned long long inode; /* of the slot's directory; 0: not known */
	char *branch;             /* full name, or NULL */
	char *base;               /* hex, or NULL */
	char *overlay;            /* laid over the content for a proof that has not ended */
	char **private_paths;     /* copied and linked: never in a commit */
	char *sparse;             /* patterns of what is checked out (sparse.c); NULL: everything */
	char *setup_key;          /* what setup_when's files were at the last setup, or NULL */
	char *setup_next;         /* and what they are now */
};

#define MARKER_INIT                                                                                \
	{                                                                                          \
		.phase = SLOT_NEW                                                                  \
	}

/* 1 read, 0 there is none, -1. A damaged one counts as none: its content is nobody's. */
int marker_read(const char *git_dir, struct marker *out, struct error *err);
/* The file in the slot's git directory, and what is written there. Caller frees; NULL: INVALID. */
#define MARKER_FILE "pleach-slot"
char *marker_text(const struct marker *marker, struct error *err);
int marker_write(const char *git_dir, const struct marker *marker, struct error *err);
/* Without waiting for the disk: after a power cut it may be the one before, or none. */
int marker_write_lazily(const char *git_dir, const struct marker *marker, struct error *err);
void marker_finish(struct marker *marker);

#endif
