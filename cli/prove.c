/* The queue of proofs: a child of pleach-git for each commit, as many at once as there are
 * worktrees. Signals end the children and everything that they started; the worktrees go last. */
#include "prove.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "print.h"
#include "proc.h"
#include "text.h"

#define BUSY_TRIES 8 /* worktrees that another comparison holds, before we give up */
#define END_TRIES  100
#define ANSWER_MAX (1u << 20)

/* A worktree, and what runs in it. */
struct place_of_proof {
	char *dir;
	int number, busy_tries;
	bool used, running;
	size_t item;
	struct proc proc;
	int out;
};

struct queue {
	struct cli *cli;
	const struct prove_job *job;
	struct place_of_proof places[PROVE_PARALLEL_MAX];
	size_t place_count, next, running;
	json_t *results;
	char *program, *mark, **env;
	int signals, caught;
};

/* No teammate can have such a name. Caller frees. */
static char *place_dir(const struct prove_job *job, int number)
{
	return xasprintf("%s/compare_%d", job->slots, number);
}

static void queue_init(struct queue *q)
{
	char random[33];

	q->results = json_array();
	for (size_t i = 0; i < json_array_size(q->job->items); i++)
		json_array_append_new(q->results, json_null());
	q->place_count = (size_t)q->job->parallel;
	for (size_t i = 0; i < q->place_count; i++) {
		q->places[i].number = (int)i + 1;
		q->places[i].dir = place_dir(q->job, (int)i + 1);
	}
	text_random_hex(random, 16);
	q->mark = xasprintf("PLEACH_COMPARE=%s", random);
	q->env = strv_copy((const char *const *)environ);
	strv_push(&q->env, xstrdup(q->mark));
}

static void queue_finish(struct queue *q)
{
	for (size_t i = 0; i < q->place_count; i++)
		free(q->places[i].dir);
	json_decref(q->results);
	free(q->program);
	free(q->mark);
	strv_free(q->env);
	if (q->signals >= 0)
		close(q->signals);
}

/* ---- one proof ---- */

static void note_error(struct queue *q, size_t item, const char *text)
{
	_cleanup_free_ char *safe = text_safe(text, 0);

	json_array_set_new(q->results, item, json_pack("{s:o}", "error", json_text_or_null(safe)));
}

static char *log_of(const struct queue *q, size_t item)
{
	return xasprintf("%s/%zu.log", q->job->logs, item + 1);
}

static int start(struct queue *q, struct place_of_proof *place, size_t item, struct error *err)
{
	const json_t *what = json_array_get(q->job->items, item);
	_cleanup_json_ json_t *request = json_deep_copy(q->job->common);
	_cleanup_free_ char *log = log_of(q, item);
	const char *argv[] = {q->program, "prove", NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	_cleanup_close_ int in = -1, out = -1;

	unlink(log);
	json_object_set_new(request, "slot", json_text_or_null(place->dir));
	json_object_set_new(request, "log", json_text_or_null(log));
	json_object_set(request, "commit", json_object_get(what, "commit"));
	json_object_set(request, "base", json_object_get(what, "base"));
	if (cli_git_request(q->cli, request, err) < 0)
		return -1;
	in = cli_git_file(request, err);
	out = memfd_create("answer", MFD_CLOEXEC);
	if (in < 0 || out < 0)
		return out < 0 && in >= 0 ? error_errno(err, "cannot make a file in memory") : -1;
	spec.argv = argv;
	spec.env = (const char *const *)q->env;
	spec.stdin_fd = in;
	spec.stdout_fd = out;
	spec.stderr_fd = STDERR_FILENO;
	spec.new_session = true;
	if (proc_spawn(&spec, &place->proc, err) < 0)
		return -1;
	place->out = out;
	out = -1;
	place->item = item;
	place->used = place->running = true;
	q->running++;
	return 0;
}

static int read_result(const struct place_of_proof *place, int status, json_t **result,
                       struct error *err)
{
	_cleanup_buf_ struct buf text = BUF_INIT, none = BUF_INIT;

	lseek(place->out, 0, SEEK_SET);
	while (text.len < ANSWER_MAX && buf_read(&text, place->out, 64u << 10) > 0)
		;
	return cli_git_answer(&text, &none, status, result, err);
}

static void tell(const struct queue *q, size_t item)
{
	const json_t *what = json_array_get(q->job->items, item);
	const json_t *result = json_array_get(q->results, item);
	_cleanup_free_ char *name = text_safe(json_text(what, "name"), 60);
	char time[32];

	if (q->cli->quiet || q->cli->json)
		return;
	text_format_duration(json_num(result, "seconds", 0), time);
	if (json_text(result, "error"))
		fprintf(stderr, "%s: %s\n", name, json_text(result, "error"));
	else
		fprintf(stderr, "%s: verify exit %lld (%s)\n", name,
		        (long long)json_int(result, "exit_code", -1), time);
}

/* Another comparison has this worktree: the next number is tried. True: tried again. */
static bool try_elsewhere(struct queue *q, struct place_of_proof *place, const struct error *why)
{
	struct error err = ERROR_INIT;

	if (why->code != ERROR_BUSY || ++place->busy_tries > BUSY_TRIES)
		return false;
	place->used = false; /* not ours to remove */
	place->number += PROVE_PARALLEL_MAX;
	free(place->dir);
	place->dir = place_dir(q->job, place->number);
	return start(q, place, place->item, &err) == 0;
}

static void ended(struct queue *q, struct place_of_proof *place)
{
	_cleanup_free_ char *log = log_of(q, place->item);
	struct error err = ERROR_INIT;
	json_t *result = NULL;
	int status = 0, rc;

	rc = proc_wait(&place->proc, &status, &err);
	if (rc == 0)
		rc = read_result(place, status, &result, &err);
	close(place->proc.pidfd);
	close(place->out);
	place->running = false;
	q->running--;
	if (rc < 0 && !q->caught && try_elsewhere(q, place, &err))
		return;
	if (rc < 0) {
		note_error(q, place->item, err.text);
	} else {
		json_t *proof = json_deep_copy(json_sub(result, "verify"));

		json_object_set(proof, "tail", json_object_get(result, "tail"));
		json_object_set_new(proof, "log", json_text_or_null(log));
		json_array_set_new(q->results, place->item, proof);
		json_decref(result);
	}
	tell(q, place->item);
}

/* ---- the loop ---- */

static void start_some(struct queue *q)
{
	size_t n = json_array_size(q->job->items);

	for (size_t i = 0; i < q->place_count && q->next < n && !q->caught; i++) {
		struct error err = ERROR_INIT;

		if (q->places[i].running)
			continue;
		if (start(q, &q->places[i], q->next, &err) < 0) {
			note_error(q, q->next, err.text);
			i--; /* the place is still free */
		}
		q->next++;
	}
}

static int catch_signals(sigset_t *before, struct error *err)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		sigaddset(&set, numbers[i]);
	sigprocmask(SIG_BLOCK, &set, before);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0) {
		error_errno(err, "cannot wait for signals");
		sigprocmask(SIG_SETMASK, before, NULL);
	}
	return fd;
}

/* The children and what they started: each carries our mark. */
static void take_signal(struct queue *q)
{
	struct signalfd_siginfo info;

	if (read(q->signals, &info, sizeof info) != sizeof info)
		return;
	q->caught = (int)info.ssi_signo;
	proc_kill_survivors(q->mark, NULL, 0, END_TRIES);
}

static void wait_some(struct queue *q)
{
	struct pollfd polls[PROVE_PARALLEL_MAX + 1];
	struct place_of_proof *who[PROVE_PARALLEL_MAX];
	nfds_t n = 0;

	for (size_t i = 0; i < q->place_count; i++) {
		if (!q->places[i].running)
			continue;
		who[n] = &q->places[i];
		polls[n++] = (struct pollfd){.fd = q->places[i].proc.pidfd, .events = POLLIN};
	}
	polls[n] = (struct pollfd){.fd = q->signals, .events = POLLIN};
	if (poll(polls, n + 1, -1) < 0)
		return;
	if (polls[n].revents)
		take_signal(q);
	for (nfds_t i = 0; i < n; i++)
		if (polls[i].revents)
			ended(q, who[i]);
}

static void remove_places(struct queue *q)
{
	for (size_t i = 0; i < q->place_count; i++) {
		_cleanup_json_ json_t *answer = NULL;
		struct error err = ERROR_INIT;

		if (!q->places[i].used)
			continue;
		if (cli_git(q->cli, "remove",
		            json_pack("{s:o, s:b}", "dir", json_text_or_null(q->places[i].dir),
		                      "scratch", 1),
		            &answer, &err) < 0 &&
		    err.code != ERROR_NOT_FOUND) {
			_cleanup_free_ char *shown = text_safe(err.text, 0);

			fprintf(stderr, "pleach: compare: %s is still there: %s (pleach gc)\n",
			        q->places[i].dir, shown);
		}
	}
}

int prove_all(struct cli *cli, const struct prove_job *job, json_t **results, struct error *err)
{
	struct queue q = {.cli = cli, .job = job, .signals = -1};
	sigset_t before;
	int caught;

	q.program = cli_program("pleach-git", err);
	if (!q.program)
		return -1;
	queue_init(&q);
	q.signals = catch_signals(&before, err);
	if (q.signals < 0) {
		queue_finish(&q);
		return -1;
	}
	start_some(&q);
	while (q.running) {
		wait_some(&q);
		start_some(&q);
	}
	remove_places(&q);
	sigprocmask(SIG_SETMASK, &before, NULL);
	caught = q.caught;
	if (!caught)
		*results = json_incref(q.results);
	queue_finish(&q);
	return caught ? 128 + caught : 0;
}
