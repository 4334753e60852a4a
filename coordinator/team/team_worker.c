/* A teammate's worker as a process: started, watched, and what follows from its death. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controls.h"
#include "coordinator.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "team.h"
#include "text.h"

#define BACKOFF_MAX_MS  30000
#define STABLE_MS       10000 /* a worker that lived so long starts with the first pause again */
#define SWEEP_TRIES     100
#define DOOM_LOOK_MS    100  /* how often a worker that was told to let go is looked at */
#define SETTLE_AGAIN_MS 1000 /* while a slot cannot be written */
#define DOOM_LOOKS      2    /* seen stopped so often in a row, it is killed */

/* The watch of one worker process. Apart from its teammate, because closing it takes a
 * turn of the loop and the next worker may start before. */
struct watch {
	uv_poll_t poll;
	struct coordinator *c;
	struct teammate *teammate;
};

static void watch_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void team_unwatch(struct teammate *t)
{
	if (!t->watch)
		return;
	uv_poll_stop(&t->watch->poll);
	uv_close((uv_handle_t *)&t->watch->poll, watch_closed);
	close(t->proc.pidfd);
	t->proc.pidfd = -1;
	t->watch = NULL;
}

static char **worker_argv(const struct coordinator *c, const struct teammate *t)
{
	char **argv = NULL;

	strv_push(&argv, xasprintf("%s/pleach-worker", proc_own_dir()));
	strv_push(&argv, xstrdup("--name"));
	strv_push(&argv, xstrdup(t->name));
	strv_push(&argv, xstrdup("--number"));
	strv_push(&argv, xasprintf("%d", t->number));
	strv_push(&argv, xstrdup("--socket"));
	strv_push(&argv, xstrdup(c->place.socket));
	strv_push(&argv, xstrdup("--runtime"));
	strv_push(&argv, xstrdup(c->place.runtime_dir));
	strv_push(&argv, xstrdup("--state"));
	strv_push(&argv, xstrdup(c->place.state_dir));
	strv_push(&argv, xstrdup("--root"));
	strv_push(&argv, xstrdup(c->place.root));
	strv_push(&argv, xstrdup("--common"));
	strv_push(&argv, xstrdup(c->place.common_dir));
	strv_push(&argv, xstrdup("--slot"));
	strv_push(&argv, teammate_slot(c, t->name));
	return argv;
}

char *teammate_marker(const struct coordinator *c, const char *name)
{
	return xasprintf("PLEACH_WORKER=%s/%s", c->place.id, name);
}

static int spawn_worker(struct coordinator *c, const struct teammate *t, struct proc *out,
                        struct error *err)
{
	_cleanup_strv_ char **argv = worker_argv(c, t);
	_cleanup_strv_ char **env = strv_copy((const char *const *)environ);
	struct proc_spec spec = PROC_SPEC_INIT;
	char token[TOKEN_TEXT_MAX];

	token_of_worker(&c->secret, t->name, token);
	strv_push(&env, xasprintf("PLEACH_WORKER_TOKEN=%s", token));
	strv_push(&env, teammate_marker(c, t->name));
	spec.argv = (const char *const *)argv;
	spec.env = (const char *const *)env;
	spec.cwd = "/";
	spec.stderr_fd = STDERR_FILENO;
	spec.new_session = true;
	return proc_spawn(&spec, out, err);
}

static int process_step(struct coordinator *c, void *context, struct error *err)
{
	struct teammate *t = context;

	(void)err;
	store_team_set_process(c->store, t->name, t->proc.pid, (int64_t)t->proc.start_time,
	                       c->boot);
	return 0;
}

static void retry_start(uv_timer_t *timer);

static void start_later(struct teammate *t)
{
	t->doomed = 0;
	uv_timer_start(&t->timer, retry_start, (uint64_t)t->backoff_ms, 0);
	t->backoff_ms = t->backoff_ms * 2 < BACKOFF_MAX_MS ? t->backoff_ms * 2 : BACKOFF_MAX_MS;
}

void team_start(struct coordinator *c, struct teammate *t)
{
	struct error err = ERROR_INIT;
	struct proc proc;

	if (t->proc.pid || t->sweeping || t->removing || c->ending || c->draining)
		return;
	t->spawned_ms = time_mono_ms();
	if (spawn_worker(c, t, &proc, &err) < 0) {
		log_error("team", "teammate=%s cannot start its worker: %s", t->name, err.text);
		start_later(t);
		return;
	}
	close(proc.pidfd);
	team_watch(c, t, proc.pid, proc.start_time);
	if (turn_step(c, process_step, t, &err) < 0)
		log_error("team", "teammate=%s: %s", t->name, err.text);
	log_info("team", "teammate=%s worker %d started", t->name, (int)proc.pid);
	teammate_changed(c, t);
}

static void retry_start(uv_timer_t *timer)
{
	struct teammate *t = (struct teammate *)((char *)timer - offsetof(struct teammate, timer));

	if (!t->doomed)
		team_start(timer->data, t);
}

static void worker_ended(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = poll->data;

	(void)status;
	(void)events;
	team_worker_died(watch->c, watch->teammate);
}

void team_watch(struct coordinator *c, struct teammate *t, pid_t pid, uint64_t start_time)
{
	int pidfd;

	if (t->watch && t->proc.pid == pid && t->proc.start_time == start_time)
		return;
	team_unwatch(t);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	t->proc = (struct proc){.pid = pid, .pidfd = pidfd, .start_time = start_time};
	if (pidfd < 0 || !proc_alive(pid, start_time)) {
		if (pidfd >= 0)
			close(pidfd);
		t->proc.pidfd = -1;
		team_worker_died(c, t);
		return;
	}
	t->watch = xcalloc(1, sizeof *t->watch);
	t->watch->c = c;
	t->watch->teammate = t;
	t->watch->poll.data = t->watch;
	uv_poll_init(&c->loop, &t->watch->poll, pidfd);
	uv_poll_start(&t->watch->poll, UV_READABLE, worker_ended);
}

/* ---- death ---- */

struct sweep {
	uv_work_t work;
	struct coordinator *c;
	char name[TEXT_TEAMMATE_MAX + 1];
	char marker[TOKEN_TEXT_MAX + 16];
	char *family, *slot;
	int killed;
};

static void sweep_work(uv_work_t *work)
{
	struct sweep *sweep = work->data;

	if (control_off("sweep"))
		return;
	sweep->killed = proc_kill_family(sweep->family, sweep->marker[0] ? sweep->marker : NULL,
	                                 sweep->slot, 0, SWEEP_TRIES);
}

/* What a dead worker wrote down, or was about to, is in the store. */
static void forget_result(struct coordinator *c, void *context)
{
	static const char *const names[] = {"result.json", "result.json" PLACE_HALF};
	_cleanup_free_ int64_t *attempt = context;
	_cleanup_attempt_ struct attempt_row row = {0};

	if (!store_attempt_get(c->store, *attempt, &row) || row.outcome == OUTCOME_NONE)
		return;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_free_ char *file = xasprintf("%s/attempts/%lld/%s", c->place.state_dir,
		                                      (long long)*attempt, names[i]);

		unlink(file);
	}
}

static int lose_step(struct coordinator *c, void *context, struct error *err)
{
	struct teammate *t = context;
	int64_t attempt = store_attempt_running_of(c->store, t->name);
	int64_t *last = xcalloc(1, sizeof *last);

	(void)err;
	*last = store_attempt_last_of(c->store, t->name);
	turn_effect(c, forget_result, NULL, last);
	if (attempt && !finish_leftover(c, attempt))
		finish_lost(c, attempt, t->settled,
		            t->removing || c->draining || t->released == attempt);
	store_team_set_process(c->store, t->name, 0, 0, NULL);
	if (t->removing)
		store_team_remove(c->store, t->name);
	store_event_add(c->store, "teammate.updated", 0, attempt, t->name, NULL);
	return 0;
}

void team_gone(struct coordinator *c, struct teammate *t)
{
	struct error err = ERROR_INIT;

	if (turn_step(c, lose_step, t, &err) < 0)
		log_error("team", "teammate=%s: %s", t->name, err.text);
	team_forget(c, t);
}

static void lost_for_good(struct coordinator *c, struct teammate *t)
{
	struct error err = ERROR_INIT;

	t->sweeping = t->settling = false;
	t->proc.pid = 0;
	if (turn_step(c, lose_step, t, &err) < 0)
		log_error("team", "teammate=%s: %s", t->name, err.text);
	free(t->settled);
	t->settled = NULL;
	teammate_set_task(t, 0, 0, NULL);
	if (t->removing) {
		team_forget(c, t);
		return;
	}
	teammate_changed(c, t);
	if (c->team.wanted)
		start_later(t);
}

struct settling {
	uv_timer_t timer;
	struct coordinator *c;
	char *name, *dir;
	bool waits;
};

static void settling_free(uv_handle_t *handle)
{
	struct settling *s = handle->data;

	free(s->name);
	free(s->dir);
	free(s);
}

static void settle(uv_timer_t *timer);

/* Its slot is kept and its branch free: the task may be tried again anywhere. While the
 * repository's disk takes nothing neither can be, and nobody else is given the task. */
static void settled(struct coordinator *c, const json_t *result, const struct error *why,
                    void *context)
{
	struct settling *s = context;
	const char *unwritable = json_text(result, "unwritable");
	struct teammate *t = team_find(c, s->name);

	if (!result)
		log_error("team", "teammate=%s its slot: %s", s->name, why->text);
	if (unwritable && !s->waits)
		log_warn("team", "teammate=%s its slot waits: %s", s->name, unwritable);
	if (unwritable && t && !t->removing && !c->draining) {
		s->waits = true;
		uv_timer_start(&s->timer, settle, SETTLE_AGAIN_MS, 0);
		return;
	}
	uv_close((uv_handle_t *)&s->timer, settling_free);
	/* What it held may be of an attempt before this one. */
	if (t && json_int(result, "attempt", 0) == store_attempt_running_of(c->store, t->name)) {
		free(t->settled);
		t->settled = xstrdup(json_text(result, "head"));
	}
	if (t)
		lost_for_good(c, t);
}

static void settle(uv_timer_t *timer)
{
	struct settling *s = timer->data;

	gitq_ask(s->c, "settle", json_pack("{s:s}", "dir", s->dir), settled, s);
}

static void settle_slot(struct coordinator *c, struct teammate *t, const char *dir)
{
	struct settling *s = xcalloc(1, sizeof *s);

	t->settling = true;
	uv_timer_init(&c->loop, &s->timer);
	s->timer.data = s;
	s->c = c;
	s->name = xstrdup(t->name);
	s->dir = xstrdup(dir);
	settle(&s->timer);
}

static void sweep_done(uv_work_t *work, int status)
{
	struct sweep *sweep = work->data;
	struct coordinator *c = sweep->c;
	struct teammate *t = team_find(c, sweep->name);
	_cleanup_attempt_ struct attempt_row attempt = {0};

	(void)status;
	if (t && sweep->killed < 0) {
		/* Something cannot be ended (a process in the kernel): the slot is not safe yet. */
		log_error("team", "teammate=%s survivors do not end; trying again", t->name);
		uv_queue_work(&c->loop, &sweep->work, sweep_work, sweep_done);
		return;
	}
	if (t &&
	    store_attempt_get(c->store, store_attempt_running_of(c->store, t->name), &attempt) &&
	    attempt.slot)
		settle_slot(c, t, sweep->slot);
	else if (t)
		lost_for_good(c, t);
	free(sweep->family);
	free(sweep->slot);
	free(sweep);
}

void team_worker_died(struct coordinator *c, struct teammate *t)
{
	_cleanup_attempt_ struct attempt_row row = {0};
	struct sweep *sweep;
	int64_t attempt;

	if (t->sweeping)
		return;
	team_unwatch(t);
	if (t->proc.pid)
		waitpid(t->proc.pid, NULL, WNOHANG); /* ours, unless an earlier coordinator's */
	log_info("team", "teammate=%s worker %d ended", t->name, (int)t->proc.pid);
	if (time_mono_ms() - t->spawned_ms > STABLE_MS)
		t->backoff_ms = TEAM_BACKOFF_FIRST_MS;
	worker_link_lost(c, t);
	t->sweeping = true;
	attempt = store_attempt_running_of(c->store, t->name);
	sweep = xcalloc(1, sizeof *sweep);
	sweep->c = c;
	sweep->work.data = sweep;
	snprintf(sweep->name, sizeof sweep->name, "%s", t->name);
	sweep->family = teammate_marker(c, t->name);
	if (store_attempt_get(c->store, attempt, &row) && row.slot)
		sweep->slot = xstrdup(row.slot); /* where it was then */
	else
		sweep->slot = teammate_slot(c, t->name);
	if (attempt) {
		char token[TOKEN_TEXT_MAX];

		token_of_attempt(&c->secret, attempt, token);
		snprintf(sweep->marker, sizeof sweep->marker, "PLEACH_TOKEN=%s", token);
	}
	uv_queue_work(&c->loop, &sweep->work, sweep_work, sweep_done);
	teammate_changed(c, t);
}

static struct coordinator *timer_coordinator(const uv_timer_t *timer)
{
	return timer->data;
}

/* A worker that is stopped cannot let go: waiting out the grace of an agent that nobody has told
 * to end helps no one. Killed while stopped it never runs another instruction, so there is
 * nothing of it that could touch the branch of the attempt that comes next. */
static void doom_fires(uv_timer_t *timer)
{
	struct teammate *t = (struct teammate *)((char *)timer - offsetof(struct teammate, timer));
	bool stopped = proc_stopped(t->proc.pid, t->proc.start_time);

	if (!t->doomed || !t->proc.pid ||
	    store_attempt_running_of(timer_coordinator(timer)->store, t->name) != t->doomed) {
		t->doomed = 0;
		return;
	}
	t->stopped_looks = stopped ? t->stopped_looks + 1 : 0;
	if (t->stopped_looks < DOOM_LOOKS && time_mono_ms() < t->doom_ms) {
		uv_timer_start(timer, doom_fires, DOOM_LOOK_MS, 0);
		return;
	}
	log_warn("team", "teammate=%s attempt=%lld %s: its worker is killed", t->name,
	         (long long)t->attempt, stopped ? "is stopped" : "does not stop");
	t->doomed = 0;
	t->backoff_ms = TEAM_BACKOFF_FIRST_MS; /* this death is ours, not the worker's */
	proc_kill_pid(&t->proc);
}

void team_doom(struct coordinator *c, struct teammate *t, int64_t attempt, int64_t ms)
{
	(void)c;
	t->doomed = attempt;
	t->doom_ms = time_mono_ms() + ms;
	t->stopped_looks = 0;
	uv_timer_start(&t->timer, doom_fires, DOOM_LOOK_MS, 0);
}
