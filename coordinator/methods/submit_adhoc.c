/* What belongs to no plan is in `adhoc`, and where that has another target already, in a plan of
 * its own target's: what was added on main lands on main, whoever adds what later elsewhere. */
#include "submit_adhoc.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "text.h"

#define NAME_MAX_BYTES 56 /* a number fits behind it: 64 are a plan's name */

/* It is there, with that target, or is not there. */
static bool fits(struct store *store, const char *name, const char *target)
{
	struct plan_row row = {0};
	bool same = !store_plan_find(store, name, &row) || text_is_same(row.target, target);

	plan_row_finish(&row);
	return same;
}

/* Part of a branch's name. No dots: `a..b` and `a.lock` are none. */
static char *name_for(const char *target)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
	_cleanup_free_ char *name = xasprintf(TEXT_ADHOC "-%s", target ? target : "detached");
	size_t n = 0;

	for (const char *c = name; *c && n < NAME_MAX_BYTES; c++) {
		if (strchr(set, *c))
			name[n++] = *c;
		else if (n && name[n - 1] != '-')
			name[n++] = '-';
	}
	return xstrndup(name, n);
}

char *submit_adhoc_plan(struct store *store, const char *target)
{
	_cleanup_free_ char *stem = NULL;
	char *name = xstrdup(TEXT_ADHOC);

	if (fits(store, name, target))
		return name;
	free(name);
	stem = name_for(target);
	name = xstrdup(stem);
	for (int n = 2; !fits(store, name, target); n++) { /* feature/x and feature-x */
		free(name);
		name = xasprintf("%s-%d", stem, n);
	}
	return name;
}

int submit_adhoc_check(const struct plan_row *plan, const char *target, struct error *err)
{
	if (!text_is_adhoc(plan->name) || text_is_same(plan->target, target))
		return 0;
	return error_set(err, ERROR_CONFLICT,
	                 "the tasks of %s land on %s, and this would land on %s (without --plan it "
	                 "gets a plan of its own)",
	                 plan->name, plan->target ? plan->target : "no branch",
	                 target ? target : "no branch");
}
