/* Slot calls on libuv's thread pool, and the loading of their module: one at a time. */
#include "slots.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "mem.h"
#include "module.h"
#include "proc.h"
#include "slot_module.h"

/* The worker before us may still be ending: its lock goes with it. */
#define JOB_TRIES     3
#define LOCK_TRIES    50
#define LOCK_PAUSE_MS 100

struct slots {
	uv_loop_t *loop;
	char *root, *dir, *teammate, *pinned;
	const struct slot_module *module;
	struct slot *slot;
	uv_mutex_t turn; /* of a job, or the load: the pool has more than one thread */
	uv_work_t load;
	bool busy, loaded; /* a job; slots_load was called */
};

struct slots *slots_new(uv_loop_t *loop, const char *root, const char *dir, const char *teammate,
                        const char *pinned_file)
{
	struct slots *s = xcalloc(1, sizeof *s);

	s->loop = loop;
	uv_mutex_init(&s->turn);
	s->root = xstrdup(root);
	s->dir = xstrdup(dir);
	s->teammate = xstrdup(teammate);
	s->pinned = xstrdup(pinned_file);
	return s;
}

void slots_free(struct slots *s)
{
	if (!s)
		return;
	if (s->slot)
		s->module->close(s->slot);
	uv_mutex_destroy(&s->turn);
	free(s->root);
	free(s->dir);
	free(s->teammate);
	free(s->pinned);
	free(s);
}

const char *slots_dir(const struct slots *s)
{
	return s->dir;
}

bool slots_busy(const struct slots *s)
{
	return s->busy;
}

static int load_module(struct slots *s, struct error *err)
{
	if (!s->module)
		s->module =
		    module_load(SLOT_MODULE_FILE, SLOT_MODULE_SYMBOL, SLOT_MODULE_VERSION, err);
	return s->module ? 0 : -1;
}

/* What fails here is told to the first job that needs it. */
static void load_run(uv_work_t *work)
{
	struct slots *s = work->data;
	struct error err = ERROR_INIT;

	uv_mutex_lock(&s->turn);
	if (load_module(s, &err) == 0)
		s->module->start_library();
	uv_mutex_unlock(&s->turn);
}

void slots_load(struct slots *s)
{
	if (s->loaded)
		return;
	s->loaded = true;
	s->load.data = s;
	uv_queue_work(s->loop, &s->load, load_run, NULL);
}

static int open_slot(struct slots *s, const struct slot_order *order, struct error *err)
{
	int rc = -1;

	if (load_module(s, err) != 0)
		return -1;
	for (int i = 0; i < LOCK_TRIES; i++) {
		const struct timespec pause = {0, LOCK_PAUSE_MS * 1000000L};

		rc = s->module->open(s->root, s->dir, s->teammate, s->pinned, order->base,
		                     order->paths, &s->slot, err);
		if (rc == 0 || err->code != ERROR_BUSY)
			return rc;
		nanosleep(&pause, NULL);
	}
	return rc;
}

static int switch_slot(struct slots *s, struct slots_job *job, struct error *err)
{
	return s->module->switch_to(s->slot, job->attempt, &job->order, err);
}

/* That an attempt could not be begun or its end be kept is nobody's fault while the disk takes
 * nothing. What follows a verify is put away before the slot's next use, too. */
static bool is_unwritable(struct slots *s, struct slots_job *job)
{
	struct error why = ERROR_INIT;

	if (job->verb == SLOTS_PROVE_END || job->verb == SLOTS_KEEP || !s->module ||
	    s->module->can_write(s->root, s->dir, s->teammate, &why) == 0)
		return false;
	job->unwritable = true;
	job->rc = -1;
	job->err = why;
	return true;
}

/* A slot that was open and fails may have been removed under us: opened again it is made
 * anew. Once; the second failure is the answer. */
static int prepare(struct slots *s, struct slots_job *job)
{
	bool was_open = s->slot != NULL;

	if (!was_open && open_slot(s, &job->order, &job->err) != 0)
		return -1;
	if (switch_slot(s, job, &job->err) != 0) {
		if (!was_open || is_unwritable(s, job))
			return -1;
		log_warn("slots", "attempt=%lld %s", (long long)job->attempt, job->err.text);
		s->module->close(s->slot);
		s->slot = NULL;
		if (open_slot(s, &job->order, &job->err) != 0 ||
		    switch_slot(s, job, &job->err) != 0)
			return -1;
	}
	job->setup_due = job->order.setup && s->module->is_new(s->slot);
	if (job->setup_due)
		return 0;
	return s->module->running(s->slot, &job->err);
}

static int commit(struct slots *s, struct slots_job *job)
{
	if (s->module->commit(s->slot, job->attempt, job->order.branch, job->order.base,
	                      job->subject, &job->result, &job->err) != 0)
		return -1;
	job->committed = true;
	if (!job->prove || !job->result.descends || (job->result.unchanged && job->expect_changes))
		return 0;
	if (s->module->prove_begin(s->slot, job->order.base, job->protect, job->overlay,
	                           &job->err) != 0)
		return -1;
	job->proving = true;
	return 0;
}

static int snapshot(struct slots *s, struct slots_job *job)
{
	char *head = NULL;

	if (s->module->snapshot(s->slot, job->attempt, &head, &job->err) != 0)
		return -1;
	if (head && strlen(head) < sizeof job->kept)
		memcpy(job->kept, head, strlen(head) + 1);
	free(head);
	return 0;
}

/* After every job, whatever became of it. */
static void ask_slot(struct slots *s, struct slots_job *job)
{
	if (!s->slot)
		return;
	job->tampering = s->module->take_tampering(s->slot);
	if (job->rc == 0 && (job->verb == SLOTS_PREPARE || job->verb == SLOTS_RUN))
		job->rc = s->module->agent_environment(s->slot, &job->env, &job->err);
}

void slots_job_finish(struct slots_job *job)
{
	strv_free(job->env);
	strv_free(job->tampering);
	job->env = job->tampering = NULL;
}

static void job_try(struct slots *s, struct slots_job *job)
{
	switch (job->verb) {
	case SLOTS_PREPARE:
		job->rc = prepare(s, job);
		break;
	case SLOTS_RUN:
		s->module->set_up(s->slot);
		job->rc = s->module->running(s->slot, &job->err);
		break;
	case SLOTS_COMMIT:
		job->rc = commit(s, job);
		break;
	case SLOTS_PROVE_END:
		job->rc = s->module->prove_end(s->slot, job->attempt, job->head, &job->err);
		break;
	case SLOTS_SNAPSHOT:
		job->rc = snapshot(s, job);
		break;
	case SLOTS_KEEP:
		job->rc = s->module->keep(s->slot, job->attempt, job->head, &job->err);
		break;
	}
}

static void job_do(struct slots *s, struct slots_job *job)
{
	if (!s->slot && job->verb != SLOTS_PREPARE) {
		job->rc = error_set(&job->err, ERROR_EXTERNAL, "the slot %s is not open", s->dir);
		return;
	}
	if (!(job->again && is_unwritable(s, job)))
		job_try(s, job);
	/* A git that was killed in the middle costs nobody the work of hours: each of these can be
	 * done again from where it stands. */
	for (int i = 1;
	     i < JOB_TRIES && job->rc != 0 && !job->unwritable && job->err.code == ERROR_EXTERNAL &&
	     (s->slot || job->verb == SLOTS_PREPARE) && !is_unwritable(s, job);
	     i++) {
		log_warn("slots", "attempt=%lld %s (again)", (long long)job->attempt,
		         job->err.text);
		job->err = (struct error)ERROR_INIT;
		job_try(s, job);
	}
	ask_slot(s, job);
	if (job->rc != 0 && !job->unwritable)
		is_unwritable(s, job);
	/* Of one that was not even tried again, too: what an earlier try took is still held. */
	job->half = job->rc != 0 && s->slot && s->module->holds_branch(s->slot, job->attempt);
}

static void job_run(uv_work_t *work)
{
	struct slots_job *job = work->data;

	uv_mutex_lock(&job->slots->turn);
	job_do(job->slots, job);
	uv_mutex_unlock(&job->slots->turn);
}

static void job_done(uv_work_t *work, int status)
{
	struct slots_job *job = work->data;

	job->slots->busy = false;
	if (status != 0)
		job->rc = error_set(&job->err, ERROR_EXTERNAL, "slot call cancelled");
	job->done(job);
}

void slots_start(struct slots *s, struct slots_job *job)
{
	job->slots = s;
	job->work.data = job;
	job->rc = 0;
	job->err = (struct error)ERROR_INIT;
	job->setup_due = job->half = job->committed = job->proving = job->unwritable = false;
	job->kept[0] = '\0';
	job->env = job->tampering = NULL;
	s->busy = true;
	uv_queue_work(s->loop, &job->work, job_run, job_done);
}
