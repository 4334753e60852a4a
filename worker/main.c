/* pleach-worker: options, and which of its two lives it leads: a worker, or a view of one. */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "output.h"
#include "proc.h"
#include "text.h"
#include "view.h"
#include "worker.h"

/* As many threads as ever fill a slot (git/repository/share.c). */
#define HEAPS_MAX 8

static const char usage[] =
    "usage: pleach-worker --name NAME --number N --socket CONTROL --runtime DIR --state DIR\n"
    "                     --root DIR --common DIR --slot DIR\n"
    "       pleach-worker --view NAME --socket VIEWSOCKET [--read-only] [--attach]\n"
    "                     [--keys JSON]\n"
    "The coordinator starts workers; a pane or `pleach attach` starts views.\n";

enum {
	OPT_NAME = 1,
	OPT_NUMBER,
	OPT_SOCKET,
	OPT_RUNTIME,
	OPT_STATE,
	OPT_ROOT,
	OPT_COMMON,
	OPT_SLOT,
	OPT_VIEW,
	OPT_READ_ONLY,
	OPT_ATTACH,
	OPT_KEYS,
	OPT_HELP,
	OPT_VERSION
};

static const struct option options[] = {
    {"name", required_argument, NULL, OPT_NAME},
    {"number", required_argument, NULL, OPT_NUMBER},
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"runtime", required_argument, NULL, OPT_RUNTIME},
    {"state", required_argument, NULL, OPT_STATE},
    {"root", required_argument, NULL, OPT_ROOT},
    {"common", required_argument, NULL, OPT_COMMON},
    {"slot", required_argument, NULL, OPT_SLOT},
    {"view", required_argument, NULL, OPT_VIEW},
    {"read-only", no_argument, NULL, OPT_READ_ONLY},
    {"attach", no_argument, NULL, OPT_ATTACH},
    {"keys", required_argument, NULL, OPT_KEYS},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {NULL, 0, NULL, 0},
};

static int refuse(const char *what)
{
	fprintf(stderr, "pleach-worker: %s\n%s", what, usage);
	return 2;
}

/* The token never stays where an agent, or `ps e`, could read it. */
static char *take_token(void)
{
	char *env = getenv("PLEACH_WORKER_TOKEN");
	char *token = xstrdup(env ? env : "");

	if (env)
		explicit_bzero(env, strlen(env));
	unsetenv("PLEACH_WORKER_TOKEN");
	return token;
}

static uint64_t log_cap(void)
{
	const char *text = getenv("PLEACH_LOG_CAP");
	char *end;
	unsigned long long cap = text ? strtoull(text, &end, 10) : 0;

	return text && cap && !*end ? cap : OUTPUT_CAP_DEFAULT;
}

/* All that we start is found after our death by the mark that the coordinator gave us. */
static void join_family(void)
{
	const char *mark = getenv("PLEACH_WORKER");
	_cleanup_free_ char *family = mark ? xasprintf("PLEACH_WORKER=%s", mark) : NULL;

	if (family && proc_family_join(family) < 0)
		log_warn("worker", "cannot mark what it starts: %s", strerror(errno));
}

/* A heap for each thread that writes the files of a slot: with one for all they wait for each other
 * at each object. Not more, for nng's dozen of threads would make each its own. */
static int heaps(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	return cores < 2 ? 1 : cores < HEAPS_MAX ? (int)cores : HEAPS_MAX;
}

static int run_worker(struct worker_options *o)
{
	if (!o->name || !text_is_teammate(o->name))
		return refuse("--name: a teammate's name is needed");
	if (!o->socket || !o->runtime || !o->state || !o->root || !o->common || !o->slot)
		return refuse("an option is missing");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	join_family();
	mallopt(M_ARENA_MAX, heaps());
	/* Two threads of libuv's pool: one for the slot, one for the bus's probe. */
	setenv("UV_THREADPOOL_SIZE", "2", 1);
	o->log_cap = log_cap();
	return worker_run(o, take_token());
}

int main(int argc, char **argv)
{
	struct worker_options o = {.number = 0};
	struct view_options view = {.name = NULL};
	_cleanup_json_ json_t *keys = NULL;
	int option;

	proc_guard_std();
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case OPT_NAME:
			o.name = optarg;
			break;
		case OPT_NUMBER:
			o.number = (int)strtol(optarg, NULL, 10);
			break;
		case OPT_SOCKET:
			o.socket = view.socket = optarg;
			break;
		case OPT_RUNTIME:
			o.runtime = optarg;
			break;
		case OPT_STATE:
			o.state = optarg;
			break;
		case OPT_ROOT:
			o.root = optarg;
			break;
		case OPT_COMMON:
			o.common = optarg;
			break;
		case OPT_SLOT:
			o.slot = optarg;
			break;
		case OPT_VIEW:
			view.name = optarg;
			break;
		case OPT_READ_ONLY:
			view.read_only = true;
			break;
		case OPT_ATTACH:
			view.attach = true;
			break;
		case OPT_KEYS:
			json_decref(keys);
			keys = json_loads(optarg, 0, NULL);
			break;
		case OPT_HELP:
			fputs(usage, stdout);
			return 0;
		case OPT_VERSION:
			printf("pleach-worker %s\n", PLEACH_VERSION);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind < argc)
		return refuse("takes options only");
	if (!view.name)
		return run_worker(&o);
	if (!view.socket || !text_is_teammate(view.name))
		return refuse("--view: a teammate's name and --socket are needed");
	view.keys = keys;
	return view_run(&view);
}
