/* Which machine this is, as the lock of a repository tells it to others. */
#ifndef PLEACH_MACHINE_H
#define PLEACH_MACHINE_H

#include <stdbool.h>

/* One line without its end: "machine ID boot ID pidns N host NAME". Caller frees. */
char *machine_here(void);
/* True when `text` holds such a line, of a machine or a pid namespace whose processes cannot be
 * seen from here: nobody here can tell whether they live. The same machine after a reboot is no
 * other: nothing of before lives. */
bool machine_is_other(const char *text);
/* The name of that machine, or of this one. Caller frees. */
char *machine_name(const char *text);

#endif
