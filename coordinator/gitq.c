/* Questions to pleach-git: short-lived children, a few at a time, answered by events.
 * Request and answer pass through anonymous memory files, so there is nothing to pump. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coordinator.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "proc.h"
#include "text.h"

#define GITQ_PARALLEL   4 /* those that run the user's commands do not count */
#define GITQ_ANSWER_MAX (64u << 20)
#define GITQ_TRIES      5
#define GITQ_PAUSE_MS   50  /* before it is started again that could not be; doubles */
#define GITQ_CLOSES     3   /* after so many even what cannot be killed is not waited for */
#define GITQ_SWEEPS     500 /* looks for what one that died left running */

struct git_job {
	struct coordinator *c;
	char *verb;
	json_t *request;
	git_done_fn done;
	void *context;
	int in, out;
	struct proc proc;
	uv_poll_t poll;
	uv_timer_t pause; /* that could not be started */
	bool cancelled;   /* meanwhile */
	char *mark;       /* NAME=VALUE in the environment of what it starts */
	struct error why; /* while what it left running is ended */
	uv_work_t sweep;
	int tries;
	struct git_job *next;
};

struct gitq {
	struct git_job *first, **last; /* that wait for a place */
	struct git_job *jobs;          /* that run */
	struct git_job *paused;        /* that could not be started just now */
	struct git_job *dropped;       /* nobody is told of them any more */
	int running;                   /* of `jobs` those that a place is counted for */
	int sweeping;
	int closed; /* how often; 0: open */
};

const struct error gitq_undone = {ERROR_BUSY, "the request was undone (try again)"};
static struct error uncommitted; /* as gitq_undone, while it is told: the commit failed */
static struct error killed;      /* while it is told */

bool gitq_is_unasked(const struct error *why)
{
	return why == &gitq_undone || why == &uncommitted;
}

bool gitq_was_killed(const struct error *why)
{
	return why == &killed;
}

void gitq_init(struct coordinator *c)
{
	c->gitq = xcalloc(1, sizeof *c->gitq);
	c->gitq->last = &c->gitq->first;
}

static void gitq_start(struct coordinator *c);

static bool is_long(const struct git_job *job)
{
	return strcmp(job->verb, "prove") == 0 || strcmp(job->verb, "judge") == 0;
}

/* Half of what it does is seen by the user. */
static bool moves_a_checkout(const struct git_job *job)
{
	return strcmp(job->verb, "move") == 0 || strcmp(job->verb, "back") == 0;
}

/* As if we had died over it: who asked hears nothing, and what it stored goes on with the next
 * coordinator. An answer of ours would be taken for git's, and stored. */
static void job_drop(struct git_job *job)
{
	log_info("git", "%s: left to the next start", job->verb);
	job->next = job->c->gitq->dropped;
	job->c->gitq->dropped = job;
}

static void forget_job(struct git_job **at, const struct git_job *job)
{
	while (*at && *at != job)
		at = &(*at)->next;
	if (*at)
		*at = job->next;
}

static void job_free(struct git_job *job)
{
	json_decref(job->request);
	free(job->verb);
	free(job->mark);
	free(job);
}

static json_t *read_answer(const struct git_job *job, int status, struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	json_t *answer, *refusal;

	lseek(job->out, 0, SEEK_SET);
	while (text.len < GITQ_ANSWER_MAX && buf_read(&text, job->out, 64u << 10) > 0)
		;
	if (!text.len) {
		error_set(err, ERROR_EXTERNAL, "pleach-git %s: %s without an answer", job->verb,
		          proc_status_text(status));
		return NULL;
	}
	answer = jsonl_parse(text.data, text.len, err);
	if (!answer) {
		error_wrap(err, "pleach-git %s", job->verb);
		return NULL;
	}
	refusal = json_object_get(answer, "error");
	if (json_is_object(refusal)) {
		const char *message = json_text(refusal, "message");

		error_set(err, error_code_from_word(json_text(refusal, "code")), "%s",
		          message ? message : "pleach-git refused");
		json_decref(answer);
		return NULL;
	}
	return answer;
}

static void job_closed(uv_handle_t *handle)
{
	job_free(handle->data);
}

static void job_closed_dropped(uv_handle_t *handle)
{
	job_drop(handle->data);
}

/* Somebody killed it, or the git that it ran, or held a lock for a moment: nobody's fault, and
 * what we ask can be asked twice. Landings are tried again by whoever asked. */
static bool worth_another_try(const struct git_job *job, const struct error *why)
{
	return why->code == ERROR_EXTERNAL && !is_long(job) && job->tries < GITQ_TRIES &&
	       !job->c->gitq->closed;
}

static void gitq_enqueue(struct coordinator *c, void *context);

static void job_again(uv_handle_t *handle)
{
	struct git_job *job = handle->data;

	job->next = NULL;
	gitq_enqueue(job->c, job);
}

static void job_finish(struct git_job *job, json_t *result, const struct error *why)
{
	job->done(job->c, result, result ? NULL : why, job->context);
	json_decref(result);
}

/* ---- one that died over the user's commands ---- */

static void sweep_work(uv_work_t *work)
{
	const struct git_job *job = work->data;

	if (proc_kill_family(job->mark, job->mark, NULL, 0, GITQ_SWEEPS) < 0)
		log_warn("git", "%s: what it started cannot be ended", job->verb);
}

static void sweep_done(uv_work_t *work, int status)
{
	struct git_job *job = work->data;

	(void)status;
	job->c->gitq->sweeping--;
	if (job->c->gitq->closed) {
		job_drop(job);
		return;
	}
	killed = job->why;
	job_finish(job, NULL, &killed);
	job_free(job);
}

static void job_sweep(uv_handle_t *handle)
{
	struct git_job *job = handle->data;

	job->sweep.data = job;
	job->c->gitq->sweeping++;
	uv_queue_work(&job->c->loop, &job->sweep, sweep_work, sweep_done);
}

/* By itself it ends what the user's commands have started before it answers, and waits for its own
 * programs; a short one is killed by gitq_close only. */
static bool left_something(const struct git_job *job, int exit_status)
{
	struct stat st;

	return (is_long(job) || job->c->gitq->closed) &&
	       (!WIFEXITED(exit_status) || fstat(job->out, &st) < 0 || !st.st_size);
}

static void job_ended(uv_poll_t *poll, int status, int events)
{
	struct git_job *job = poll->data;
	struct error err = ERROR_INIT;
	json_t *result = NULL;
	int exit_status = 0;
	bool left;

	(void)status;
	(void)events;
	uv_poll_stop(poll);
	if (proc_wait(&job->proc, &exit_status, &err) == 0)
		result = read_answer(job, exit_status, &err);
	left = !result && left_something(job, exit_status);
	close(job->in);
	close(job->out);
	forget_job(&job->c->gitq->jobs, job);
	if (!is_long(job))
		job->c->gitq->running--;
	close(job->proc.pidfd);
	if (!result && worth_another_try(job, &err)) {
		log_warn("git", "%s (again)", err.text);
		uv_close((uv_handle_t *)poll, job_again);
	} else if (left) {
		/* What it ran would go on beside whatever is started in its place. */
		job->why = err;
		uv_close((uv_handle_t *)poll, job_sweep);
	} else if (!result && job->c->gitq->closed) {
		uv_close((uv_handle_t *)poll, job_closed_dropped);
	} else {
		uv_close((uv_handle_t *)poll, job_closed); /* before anybody gets the number */
		job_finish(job, result, &err);
	}
	gitq_start(job->c);
}

/* What the user's commands leave running when we die is found by the first mark and ended
 * (recovery.c), when their pleach-git dies by its own one; judges are also ended before we are
 * (judge.c). */
static char **job_environment(struct git_job *job)
{
	char **env = strv_copy((const char *const *)environ);
	char random[33];

	text_random_hex(random, 16);
	free(job->mark);
	job->mark = xasprintf("PLEACH_GIT_JOB=%s", random);
	strv_push(&env, xstrdup(job->mark));
	if (is_long(job))
		strv_push(&env, xasprintf("PLEACH_LANDING=%s", job->c->place.id));
	if (strcmp(job->verb, "judge") == 0)
		strv_push(&env, xasprintf("PLEACH_JUDGE=%s", job->c->place.id));
	return env;
}

static int job_spawn(struct git_job *job, struct error *err)
{
	_cleanup_free_ char *program = xasprintf("%s/pleach-git", proc_own_dir());
	_cleanup_free_ char *text = jsonl_text(job->request);
	_cleanup_strv_ char **env = job_environment(job);
	const char *argv[] = {program, job->verb, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;

	job->in = memfd_create("request", MFD_CLOEXEC);
	job->out = memfd_create("answer", MFD_CLOEXEC);
	if (job->in < 0 || job->out < 0 || write_all(job->in, text, strlen(text)) < 0 ||
	    lseek(job->in, 0, SEEK_SET) < 0)
		return error_errno(err, "cannot ask pleach-git");
	spec.argv = argv;
	spec.env = (const char *const *)env;
	spec.cwd = "/";
	spec.stdin_fd = job->in;
	spec.stdout_fd = job->out;
	spec.stderr_fd = STDERR_FILENO;
	spec.new_session = true;
	return proc_spawn(&spec, &job->proc, err);
}

static void job_cancelled(struct git_job *job)
{
	error_set(&killed, ERROR_EXTERNAL, "pleach-git %s: ended before it began", job->verb);
	job_finish(job, NULL, &killed);
	job_free(job);
}

static void job_unpaused(uv_handle_t *handle)
{
	struct git_job *job = handle->data;

	forget_job(&job->c->gitq->paused, job);
	if (job->cancelled && !job->c->gitq->closed)
		job_cancelled(job);
	else
		job_again(handle);
}

static void pause_over(uv_timer_t *timer)
{
	uv_close((uv_handle_t *)timer, job_unpaused);
}

/* No descriptor, no process, no memory just now: that is not git's answer. */
static void job_not_started(struct git_job *job, const struct error *why)
{
	if (job->in >= 0)
		close(job->in);
	if (job->out >= 0)
		close(job->out);
	job->in = job->out = -1;
	if (job->tries >= GITQ_TRIES) {
		job_finish(job, NULL, why);
		job_free(job);
		return;
	}
	log_warn("git", "%s (again)", why->text);
	uv_timer_init(&job->c->loop, &job->pause);
	job->pause.data = job;
	uv_timer_start(&job->pause, pause_over, GITQ_PAUSE_MS << job->tries, 0);
	job->next = job->c->gitq->paused;
	job->c->gitq->paused = job;
}

static void job_run(struct git_job *job)
{
	struct error err = ERROR_INIT;

	job->tries++;
	if (job_spawn(job, &err) < 0) {
		job_not_started(job, &err);
		return;
	}
	job->next = job->c->gitq->jobs;
	job->c->gitq->jobs = job;
	if (!is_long(job))
		job->c->gitq->running++;
	uv_poll_init(&job->c->loop, &job->poll, job->proc.pidfd);
	job->poll.data = job;
	uv_poll_start(&job->poll, UV_READABLE, job_ended);
}

static void gitq_start(struct coordinator *c)
{
	struct gitq *q = c->gitq;

	while (q->first && q->running < GITQ_PARALLEL) {
		struct git_job *job = q->first;

		q->first = job->next;
		if (!q->first)
			q->last = &q->first;
		job_run(job);
	}
}

/* An effect: git is asked only about what is stored. */
static void gitq_enqueue(struct coordinator *c, void *context)
{
	struct git_job *job = context;

	if (c->gitq->closed) {
		job_drop(job);
		return;
	}
	if (is_long(job)) {
		job_run(job);
		return;
	}
	*c->gitq->last = job;
	c->gitq->last = &job->next;
	gitq_start(c);
}

static void gitq_drop(struct coordinator *c, void *context, const struct error *why)
{
	struct git_job *job = context;

	if (why)
		uncommitted = *why;
	job->done(c, NULL, why ? &uncommitted : &gitq_undone, job->context);
	job_free(job);
}

void gitq_ask(struct coordinator *c, const char *verb, json_t *request, git_done_fn done,
              void *context)
{
	struct git_job *job = xcalloc(1, sizeof *job);

	json_object_set_new(request, "root", json_string(c->place.root));
	json_object_set_new(request, "pinned", json_string(c->pinned_file));
	job->c = c;
	job->verb = xstrdup(verb);
	job->request = request;
	job->done = done;
	job->context = context;
	job->in = job->out = -1;
	turn_effect(c, gitq_enqueue, gitq_drop, job);
}

void gitq_cancel(struct coordinator *c, const void *context)
{
	for (struct git_job *job = c->gitq->jobs; job; job = job->next)
		if (job->context == context && is_long(job))
			kill(job->proc.pid, SIGTERM); /* not reaped: still its own */
	for (struct git_job *job = c->gitq->paused; job; job = job->next)
		if (job->context == context && is_long(job)) {
			job->cancelled = true;
			if (!uv_is_closing((uv_handle_t *)&job->pause))
				uv_close((uv_handle_t *)&job->pause, job_unpaused);
		}
}

bool gitq_is_idle(const struct coordinator *c)
{
	const struct gitq *q = c->gitq;

	return !q->sweeping && (q->closed >= GITQ_CLOSES || (!q->jobs && !q->first));
}

bool gitq_is_closed(const struct coordinator *c)
{
	return c->gitq->closed > 0;
}

void gitq_close(struct coordinator *c)
{
	struct gitq *q = c->gitq;
	struct git_job *waiting = q->first;

	q->closed++;
	q->first = NULL;
	q->last = &q->first;
	for (struct git_job *job = q->jobs; job; job = job->next) {
		if (q->closed >= GITQ_CLOSES)
			log_error("git", "%s does not end: process %d is left behind", job->verb,
			          (int)job->proc.pid);
		else if (q->closed > 1 || !moves_a_checkout(job))
			proc_kill_pid(&job->proc);
	}
	while (waiting) {
		struct git_job *job = waiting;

		waiting = job->next;
		job_drop(job);
	}
}
