/* A plan file of any bytes: either a complete plan that the control plane takes, or one
 * refusal that can be printed. It stands in a folder of its own, so that what it names leads
 * nowhere else. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "jsonl.h"
#include "mem.h"
#include "plan.h"
#include "text.h"

static char dir[64];
static char *file;

/* libfyaml 0.7 loses a page on some refusals (a very long key in a flow mapping that never
 * ends); what it takes for what is ours to free is looked at. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libfyaml.so\n";
}

static void leave(void)
{
	unlink(file);
	rmdir(dir);
}

static void make_folder(void)
{
	snprintf(dir, sizeof dir, "%s", "/dev/shm/pleach-fuzz-XXXXXX");
	if (!mkdtemp(dir)) {
		snprintf(dir, sizeof dir, "%s", "/tmp/pleach-fuzz-XXXXXX");
		promise(mkdtemp(dir));
	}
	file = xasprintf("%s/plan.yaml", dir);
	atexit(leave);
}

static void write_plan(const uint8_t *data, size_t size)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	promise(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

/* Taken by the other end's reader: not too deep, text, without NUL. */
static void check_json(const json_t *value)
{
	_cleanup_free_ char *text = jsonl_text(value);
	struct error err = ERROR_INIT;
	_cleanup_json_ json_t *again = jsonl_parse(text, strlen(text), &err);

	if (!again)
		fprintf(stderr, "%s\n", err.text);
	promise(again && json_equal(value, again));
}

static void check_plan(const json_t *plan)
{
	const json_t *tasks = json_object_get(plan, "tasks"), *task;
	size_t i;

	promise(json_text(plan, "name"));
	promise(json_is_array(tasks) && json_array_size(tasks) > 0);
	json_array_foreach (tasks, i, task) {
		promise(json_text(task, "key") && json_text(task, "subject"));
		promise(json_text(task, "kind") &&
		        json_is_array(json_object_get(task, "blocked_by")));
		promise(json_is_object(json_object_get(task, "spec")));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct plan_context ctx = {
	    .root = dir, .cwd = dir, .config_dir = "/nonexistent", .default_agent = "claude"};
	json_t *plan = NULL, *secrets = NULL, *warnings = NULL;
	struct error err = ERROR_INIT;

	if (!file)
		make_folder();
	write_plan(data, size);
	if (plan_read(file, &ctx, &plan, &secrets, &warnings, &err) == 0) {
		check_plan(plan);
		check_json(plan);
		check_json(secrets);
		check_json(warnings);
		json_decref(plan);
		json_decref(secrets);
		json_decref(warnings);
	} else {
		promise(!plan && !secrets && !warnings);
		promise(err.code != ERROR_NONE && err.text[0]);
	}
	return 0;
}
