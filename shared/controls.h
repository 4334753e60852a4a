/* Controls: guards that a test build can switch off, to prove that the tests of reliability would
 * notice. Only a build with PLEACH_CONTROLS (the preset `controls`) holds any of this; everywhere
 * else control_off() is the constant false and the guard is all that is compiled. A guard is
 * named once, in the list below; must not be used for anything but a guard. */
#ifndef CONTROLS_H
#define CONTROLS_H

#include <stdbool.h>

/* fence              an attempt that is not its task's current one changes the task
 * idempotent-finish  an attempt that has ended can end again
 * sweep              what a dead worker's or an ended agent's processes left is not looked for
 * group-commit       a turn's requests share one transaction: off, each has its own
 * lone-agent         a task without a slot starts its agent and nothing else
 * fsync-store        the store is not synced
 * fsync-git          neither git's objects and refs nor what agents commit are synced */
#ifdef PLEACH_CONTROLS

#include <stdlib.h>
#include <string.h>

/* PLEACH_CONTROL_OFF: names, with commas between them. */
static inline bool control_off(const char *name)
{
	const char *list = getenv("PLEACH_CONTROL_OFF");
	size_t n = strlen(name);

	for (const char *at = list; at && *at; at += strcspn(at, ",") + (strchr(at, ',') != NULL))
		if (strcspn(at, ",") == n && strncmp(at, name, n) == 0)
			return true;
	return false;
}

#else
#define control_off(name) false
#endif

#endif
