/* A store in a folder of its own, in a transaction, and short ways to put things into it. */
#ifndef PLEACH_STORE_FIXTURE_H
#define PLEACH_STORE_FIXTURE_H

#include "shared_fixture.h"
#include "store.h"

struct store_fixture {
	char *dir, *file;
	struct store *store;
	int64_t plan;
};

static inline struct store *fixture_open(const char *file)
{
	struct error err = ERROR_INIT;
	struct store *store = NULL;

	assert_ok(store_open(file, &store, &err));
	return store;
}

static inline void fixture_begin(struct store *store)
{
	struct error err = ERROR_INIT;

	assert_ok(store_begin(store, &err));
}

static inline void fixture_commit(struct store *store)
{
	struct error err = ERROR_INIT;

	assert_ok(store_commit(store, &err));
}

static inline int64_t fixture_plan(struct store *store, const char *name)
{
	const struct plan_row row = {
	    .name = (char *)name, .agents = (char *)"{}", .limits = (char *)"{}"};

	return store_plan_put(store, &row);
}

static inline int store_setup(void **state)
{
	struct store_fixture *f = xcalloc(1, sizeof *f);

	f->dir = temp_new();
	f->file = xasprintf("%s/store.db", f->dir);
	f->store = fixture_open(f->file);
	fixture_begin(f->store);
	f->plan = fixture_plan(f->store, "p");
	*state = f;
	return 0;
}

static inline int store_teardown(void **state)
{
	struct store_fixture *f = *state;

	store_rollback(f->store);
	store_close(f->store);
	free(f->file);
	temp_finish(f->dir);
	free(f);
	return 0;
}

/* A task that needs no base; settled and priority as given, blocked by up to n others. */
static inline int64_t fixture_task(struct store_fixture *f, const char *key, enum task_kind kind,
                                   int64_t parent, bool settled, int64_t priority)
{
	json_t *spec = json_pack("{s:s, s:i}", "slot", "none", "retries", 0);
	const struct task_new task = {.plan = f->plan,
	                              .parent = parent,
	                              .key = key,
	                              .subject = key,
	                              .prompt = key,
	                              .definition = "d",
	                              .kind = kind,
	                              .priority = priority,
	                              .settled_blockers = settled,
	                              .slot_none = true,
	                              .spec = spec};
	int64_t id = store_task_insert(f->store, &task);

	json_decref(spec);
	return id;
}

static inline int64_t fixture_work(struct store_fixture *f, const char *key)
{
	return fixture_task(f, key, KIND_WORK, 0, false, 0);
}

static inline void fixture_status(struct store_fixture *f, int64_t id, enum task_status status)
{
	const struct task_state_change change = {.id = id,
	                                         .status = status,
	                                         .attempt = -1,
	                                         .failures = -1,
	                                         .losses = -1,
	                                         .started_at = -1,
	                                         .finished_at = -1};

	store_task_write_state(f->store, &change);
}

static inline int64_t fixture_unfinished(struct store_fixture *f, int64_t id)
{
	_cleanup_task_ struct task_row row = {0};

	assert_true(store_task_get(f->store, id, &row));
	return row.unfinished;
}

#define fixture_block(f, id, ...)                                                                  \
	store_task_set_blockers((f)->store, id, (const int64_t[]){__VA_ARGS__},                    \
	                        sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

/* Ids as a query gives them, against those expected, 0 at the end. Takes `got`. */
static inline void fixture_ids(int64_t *got, const int64_t *want)
{
	size_t i = 0;

	for (; want[i]; i++)
		assert_int_equal(got[i], want[i]);
	assert_int_equal(got[i], 0);
	free(got);
}

#define assert_ids(got, ...) fixture_ids(got, (const int64_t[]){__VA_ARGS__})

#endif
