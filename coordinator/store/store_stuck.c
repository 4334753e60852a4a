/* Who is stuck, and by what: one pass down from the tasks that failed, were cancelled or wait
 * for a person, kept until something changes. Cheap where nobody is stuck, whatever else the
 * store holds. */
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "store_sql.h"
#include "store_stuck.h"

#define ROOTS_MAX 16 /* that are named for one task */

struct entry {
	int64_t id;
	size_t n;
	int64_t roots[ROOTS_MAX];
	bool queued;
};

struct stuck {
	int64_t *index; /* id → entry + 1; 0: not stuck */
	size_t n_index;
	struct entry *entries;
	size_t n, cap;
	size_t *queue; /* entries whose dependents have to be looked at */
	size_t n_queue, cap_queue;
};

void stuck_free(struct stuck *stuck)
{
	if (!stuck)
		return;
	free(stuck->index);
	free(stuck->entries);
	free(stuck->queue);
	free(stuck);
}

static struct entry *entry_of(const struct stuck *stuck, int64_t id)
{
	if (id <= 0 || (size_t)id >= stuck->n_index || !stuck->index[id])
		return NULL;
	return &stuck->entries[stuck->index[id] - 1];
}

static void enqueue(struct stuck *stuck, struct entry *entry)
{
	if (entry->queued)
		return;
	entry->queued = true;
	if (stuck->n_queue == stuck->cap_queue) {
		stuck->cap_queue = stuck->cap_queue ? stuck->cap_queue * 2 : 64;
		stuck->queue = xrealloc(stuck->queue, stuck->cap_queue * sizeof *stuck->queue);
	}
	stuck->queue[stuck->n_queue++] = (size_t)(entry - stuck->entries);
}

static void add_root(struct stuck *stuck, int64_t id, int64_t root)
{
	struct entry *entry = entry_of(stuck, id);
	size_t at;

	if (!entry) {
		if (id <= 0 || (size_t)id >= stuck->n_index)
			return;
		if (stuck->n == stuck->cap) {
			stuck->cap = stuck->cap ? stuck->cap * 2 : 64;
			stuck->entries =
			    xrealloc(stuck->entries, stuck->cap * sizeof *stuck->entries);
		}
		stuck->entries[stuck->n] = (struct entry){.id = id};
		stuck->index[id] = (int64_t)++stuck->n;
		entry = &stuck->entries[stuck->n - 1];
	}
	for (at = 0; at < entry->n && entry->roots[at] < root; at++)
		;
	if ((at < entry->n && entry->roots[at] == root) || entry->n == ROOTS_MAX)
		return;
	memmove(&entry->roots[at + 1], &entry->roots[at], (entry->n - at) * sizeof *entry->roots);
	entry->roots[at] = root;
	entry->n++;
	enqueue(stuck, entry);
}

/* The pending tasks that a task holds up: with a root that failed, not those that only wait
 * for it to be settled. */
static void add_direct(struct store *store, struct stuck *stuck)
{
	sqlite3_stmt *row =
	    sql_bind(store,
	             "SELECT w.id, t.id FROM task AS t"
	             " JOIN dependency AS d ON d.blocker = t.id"
	             " JOIN task AS w ON w.id = d.task AND w.status = 0"
	             " WHERE " TASK_IS_FEW("t") " AND t.status <> 1"
	                                        " AND (t.status = 2 OR w.settled_blockers = 0)",
	             "");

	while (sql_step(store, row))
		add_root(stuck, sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1));
}

static void take_roots(struct stuck *stuck, int64_t id, const struct entry *from)
{
	const struct entry copy = *from; /* adding may move the entries */

	for (size_t i = 0; i < copy.n; i++)
		add_root(stuck, id, copy.roots[i]);
}

/* A pending choice is stuck when each alternative that is still open is: an alternative that
 * runs may win yet. */
static void look_at_choice(struct store *store, struct stuck *stuck, int64_t choice)
{
	_cleanup_free_ int64_t *open = sql_ints(
	    store, "SELECT id FROM task WHERE parent = ?1 AND status < 3 ORDER BY id", "i", choice);
	_cleanup_free_ int64_t *asking = sql_ints(
	    store, "SELECT id FROM task WHERE parent = ?1 AND status = 2 ORDER BY id", "i", choice);
	size_t a = 0;

	if (sql_int(store, 0, "SELECT 1 FROM task WHERE id = ?1 AND kind = 1 AND status = 0", "i",
	            choice) != 1)
		return;
	for (size_t i = 0; open[i]; i++) {
		if (asking[a] == open[i])
			a++;
		else if (!entry_of(stuck, open[i]))
			return;
	}
	for (size_t i = 0; asking[i]; i++)
		add_root(stuck, choice, asking[i]);
	for (size_t i = 0; open[i]; i++) {
		const struct entry *entry = entry_of(stuck, open[i]);

		if (entry)
			take_roots(stuck, choice, entry);
	}
}

static void spread(struct store *store, struct stuck *stuck)
{
	while (stuck->n_queue) {
		struct entry *entry = &stuck->entries[stuck->queue[--stuck->n_queue]];
		const struct entry copy = *entry;
		_cleanup_free_ int64_t *dependents = NULL;
		int64_t parent;

		entry->queued = false;
		dependents = sql_ints(store,
		                      "SELECT w.id FROM dependency AS d JOIN task AS w"
		                      " ON w.id = d.task AND w.status = 0 WHERE d.blocker = ?1",
		                      "i", copy.id);
		for (size_t i = 0; dependents[i]; i++)
			take_roots(stuck, dependents[i], &copy);
		parent = sql_int(store, 0, "SELECT parent FROM task WHERE id = ?1", "i", copy.id);
		if (parent)
			look_at_choice(store, stuck, parent);
	}
}

struct stuck *stuck_make(struct store *store)
{
	struct stuck *stuck = xcalloc(1, sizeof *stuck);
	_cleanup_free_ int64_t *choices = NULL;

	if (!sql_int(store, 0,
	             "SELECT 1 FROM task WHERE " TASK_IS_FEW("task") " AND status <> 1 LIMIT 1",
	             ""))
		return stuck; /* nobody holds anybody up */
	choices = sql_ints(store,
	                   "SELECT DISTINCT parent FROM task WHERE " TASK_IS_FEW(
	                       "task") " AND status = 2 AND parent > 0",
	                   "");
	stuck->n_index = (size_t)sql_int(store, 0, "SELECT max(id) FROM task", "") + 1;
	stuck->index = xcalloc(stuck->n_index, sizeof *stuck->index);
	add_direct(store, stuck);
	for (size_t i = 0; choices[i]; i++)
		look_at_choice(store, stuck, choices[i]);
	spread(store, stuck);
	return stuck;
}

int64_t *stuck_roots(const struct stuck *stuck, int64_t id)
{
	const struct entry *entry = entry_of(stuck, id);
	int64_t *roots = xcalloc(ROOTS_MAX + 1, sizeof *roots);

	if (entry)
		memcpy(roots, entry->roots, entry->n * sizeof *roots);
	return roots;
}

int64_t stuck_count(struct store *store, const struct stuck *stuck, int64_t plan)
{
	int64_t n = 0;

	if (!plan)
		return (int64_t)stuck->n;
	for (size_t i = 0; i < stuck->n; i++)
		n += sql_int(store, 0, "SELECT plan FROM task WHERE id = ?1", "i",
		             stuck->entries[i].id) == plan;
	return n;
}
