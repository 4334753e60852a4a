/* pleach doctor: looks at what pleach stands on, and says what is wrong and what to do. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agents.h"
#include "connect.h"
#include "jsonl.h"
#include "mem.h"
#include "print.h"
#include "proc.h"
#include "text.h"

#define LEAST_DISK_BYTES (200u << 20)
#define PROGRAM_MS       5000

enum health { FINE, ODD, BROKEN };

struct doctor {
	struct cli *cli;
	json_t *checks;
	bool broken;
};

static void say(struct doctor *d, enum health health, const char *what, const char *text)
{
	static const char *const words[] = {"ok", "warning", "broken"};

	json_array_append_new(d->checks, json_pack("{s:s, s:s, s:o}", "check", what, "state",
	                                           words[health], "text", json_text_or_null(text)));
	d->broken = d->broken || health == BROKEN;
}

/* The first line that a program prints, or NULL. Caller frees. */
static char *program_says(const char *program, const char *option)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	const char *argv[] = {program, option, NULL};
	struct proc_run run = {.spec = PROC_SPEC_INIT, .out = &out, .max_out = 4096};
	int status;

	run.spec.argv = argv;
	run.timeout_ms = PROGRAM_MS;
	if (proc_run(&run, &status, NULL) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return NULL;
	if (out.len)
		out.data[strcspn(out.data, "\r\n")] = '\0';
	return text_safe(out.data ? out.data : "", 100);
}

/* "git version 2.39.5" → 239; "tmux 3.3a" → 303. */
static long version_of(const char *text)
{
	const char *digits = text + strcspn(text, "0123456789");
	char *end = NULL;
	long major = strtol(digits, &end, 10);

	return major * 100 + (end && *end == '.' ? strtol(end + 1, NULL, 10) : 0);
}

static void check_version(struct doctor *d, const char *program, const char *option, long least,
                          const char *shown, enum health when_missing)
{
	_cleanup_free_ char *says = program_says(program, option), *text = NULL;

	if (!says) {
		text = xasprintf("not found (install %s %s or newer)", program, shown);
		say(d, when_missing, program, text);
	} else if (version_of(says) < least) {
		text = xasprintf("%s is too old (%s or newer is needed)", says, shown);
		say(d, BROKEN, program, text);
	} else {
		say(d, FINE, program, says);
	}
}

static void check_programs(struct doctor *d)
{
	static const char *const sisters[] = {"pleach-coordinator", "pleach-worker", "pleach-git"};

	check_version(d, "git", "--version", 238, "2.38", BROKEN);
	check_version(d, "tmux", "-V", 300, "3.0", ODD);
	for (size_t i = 0; i < ARRAY_LEN(sisters); i++) {
		struct error err = ERROR_INIT;
		_cleanup_free_ char *path = cli_program(sisters[i], &err);

		say(d, path ? FINE : BROKEN, sisters[i], path ? path : err.text);
	}
}

static void check_agents(struct doctor *d)
{
	_cleanup_buf_ struct buf found = BUF_INIT;

	for (const char *const *name = agents_names(); *name; name++) {
		_cleanup_free_ char *path = proc_find_program(*name, NULL);

		if (path)
			buf_printf(&found, "%s%s", found.len ? " " : "", *name);
	}
	if (found.len)
		say(d, FINE, "agents", found.data);
	else
		say(d, ODD, "agents",
		    "none of the built-in ones is installed (install one, or declare "
		    "your own in pleach.yaml)");
}

static void check_disk(struct doctor *d, const char *what, const char *dir)
{
	_cleanup_free_ char *text = NULL;
	struct statvfs st;
	unsigned long long bytes;

	if (statvfs(dir, &st) < 0) {
		text = xasprintf("cannot look at %s: %s", dir, strerror(errno));
		say(d, BROKEN, what, text);
		return;
	}
	bytes = (unsigned long long)st.f_bavail * st.f_frsize;
	text = xasprintf("%.1f GB free at %s", (double)bytes / 1e9, dir);
	say(d, bytes < LEAST_DISK_BYTES || (st.f_flag & ST_RDONLY) ? BROKEN : FINE, what, text);
}

static void check_private_dir(struct doctor *d, const char *dir)
{
	_cleanup_free_ char *text = NULL;
	struct stat st;

	if (lstat(dir, &st) < 0) {
		text = xasprintf("%s is not there yet", dir);
		say(d, errno == ENOENT ? FINE : BROKEN, "sockets", text);
	} else if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077)) {
		text = xasprintf("%s is not a private directory of yours (remove it)", dir);
		say(d, BROKEN, "sockets", text);
	} else {
		say(d, FINE, "sockets", dir);
	}
}

static void check_coordinator(struct doctor *d)
{
	struct error err = ERROR_INIT;
	_cleanup_json_ json_t *status = NULL;
	_cleanup_free_ char *text = NULL;

	if (cli_ask(d->cli, "status", NULL, true, &status, &err) < 0) {
		say(d, BROKEN, "coordinator", err.text);
		return;
	}
	text = xasprintf("pid %lld, version %s, %zu teammates",
	                 (long long)json_int(json_sub(status, "coordinator"), "pid", 0),
	                 json_text(json_sub(status, "coordinator"), "version"),
	                 json_array_size(json_sub(status, "teammates")));
	say(d, FINE, "coordinator", text);
}

static void check_repository(struct doctor *d)
{
	struct error err = ERROR_INIT;

	if (cli_place(d->cli, &err) < 0) {
		say(d, BROKEN, "repository", err.text);
		return;
	}
	say(d, FINE, "repository", d->cli->place.root);
	check_disk(d, "disk", d->cli->place.root);
	check_coordinator(d);
	if (d->cli->place.state_dir && access(d->cli->place.state_dir, F_OK) == 0)
		check_disk(d, "state", d->cli->place.state_dir);
	if (d->cli->place.runtime_dir)
		check_private_dir(d, d->cli->place.runtime_dir);
}

static void print_checks(const struct doctor *d)
{
	struct line line;
	json_t *check;
	size_t i;

	line_begin(&line, print_width(d->cli), d->cli->colored);
	json_array_foreach (d->checks, i, check) {
		const char *state = json_text(check, "state");
		bool fine = strcmp(state, "ok") == 0, odd = strcmp(state, "warning") == 0;

		line_add(&line,
		         fine  ? STYLE_GREEN
		         : odd ? STYLE_YELLOW
		               : STYLE_RED,
		         fine  ? "✓ "
		         : odd ? "! "
		               : "✗ ");
		line_cell(&line, STYLE_PLAIN, json_text(check, "check"), 18);
		line_add(&line, STYLE_DIM, json_text(check, "text"));
		line_print(&line);
	}
	line_finish(&line);
}

static int doctor_exec(struct cli *cli, struct error *err)
{
	_cleanup_json_ json_t *checks = json_array(), *answer = NULL;
	struct doctor d = {.cli = cli, .checks = checks};

	(void)err;
	check_programs(&d);
	check_agents(&d);
	check_repository(&d);
	if (cli->json) {
		answer = json_pack("{s:O, s:b}", "checks", checks, "ok", !d.broken);
		print_json(answer);
	} else {
		print_checks(&d);
	}
	return d.broken ? error_exit_status(ERROR_EXTERNAL) : 0;
}

static const struct option no_options[] = {{0}};

const struct command command_doctor = {
    .name = "doctor",
    .usage = "",
    .summary = "look at what pleach stands on",
    .options = no_options,
    .exec = doctor_exec,
};
