/* Conflicts that an agent resolves: a task whose base is the merge with git's marks in it, and
 * which lands in the place of what conflicted. */
#include <stdlib.h>
#include <string.h>

#include "landing.h"
#include "log.h"
#include "mem.h"
#include "text.h"

#define KEY_TRIES     1000
#define RESOLVERS_MAX 3    /* of one task, one after the other */
#define PROMPT_MAX    8192 /* of the first task's own prompt */

/* {"task","key","target","paths"} of a task that resolves another. Borrowed. */
static const json_t *resolution(const json_t *text)
{
	return json_sub(json_sub(text, "metadata"), "resolves");
}

json_t *landing_resolves(const json_t *text)
{
	return json_incref(json_sub(resolution(text), "paths"));
}

bool landing_is_resolver(struct coordinator *c, int64_t task)
{
	_cleanup_json_ json_t *text = store_task_text(c->store, task);

	return resolution(text) != NULL;
}

int64_t landing_resolved_task(struct coordinator *c, int64_t task)
{
	_cleanup_json_ json_t *text = store_task_text(c->store, task);

	return json_int(resolution(text), "task", 0);
}

static char *key_stem(const struct task_row *task)
{
	return xstrndup(task->key, TEXT_KEY_MAX - 12);
}

/* KEY-merge, KEY-merge-2, …: the first that is free. Caller frees. */
static char *free_key(struct coordinator *c, const struct task_row *task)
{
	_cleanup_free_ char *stem = key_stem(task);
	char *key = xasprintf("%s-merge", stem);

	for (int n = 2; n < KEY_TRIES && store_task_find(c->store, task->plan_name, key); n++) {
		free(key);
		key = xasprintf("%s-merge-%d", stem, n);
	}
	return key;
}

static void add_names(struct buf *out, const json_t *names, const char *between)
{
	json_t *name;
	size_t i;

	json_array_foreach (names, i, name)
		buf_printf(out, "%s%s", i ? between : "", json_string_value(name));
}

static char *prompt_of(const struct task_row *task, const json_t *text, const char *target,
                       const json_t *step)
{
	const char *prompt = json_text(text, "prompt"), *subject = json_text(text, "subject");
	const json_t *with = json_sub(step, "with");
	struct buf out = BUF_INIT;
	size_t most = prompt ? strlen(prompt) : 0;

	buf_printf(&out,
	           "Resolve a merge conflict.\n\nThe work of task %s (%s) was merged into %s. It "
	           "conflicts with %s",
	           task->key, subject ? subject : task->key, target,
	           json_array_size(with) ? "the work of " : "what is there");
	add_names(&out, with, ", ");
	buf_add_str(&out, ", in:\n\n    ");
	add_names(&out, json_sub(step, "paths"), "\n    ");
	buf_printf(&out,
	           "\n\nThis branch holds that merge, with git's conflict marks in these files: "
	           "between <<<<<<< and ======= stands what %s has, between ======= and >>>>>>> "
	           "what %s made. Edit the files so that what both of them want is kept, and leave "
	           "no mark behind.\n\nWhat %s was asked to do:\n\n",
	           target, task->key, task->key);
	if (most > PROMPT_MAX) /* not in the middle of a character */
		for (most = PROMPT_MAX; most && ((unsigned char)prompt[most] & 0xc0) == 0x80;
		     most--)
			;
	buf_add(&out, prompt ? prompt : "", most);
	buf_add_str(&out, "\n");
	return buf_take(&out);
}

/* Split as `agent: NAME/MODEL` is everywhere. */
static int64_t add_task(struct coordinator *c, const struct task_row *task, const char *agent,
                        const char *key, const char *prompt, const json_t *spec,
                        const json_t *metadata, const char *base)
{
	const char *slash = strchr(agent, '/');
	_cleanup_free_ char *name =
	    xstrndup(agent, slash ? (size_t)(slash - agent) : strlen(agent));
	_cleanup_free_ char *subject = xasprintf("Resolve the conflict of %s", task->key);
	const struct task_new new = {.plan = task->plan,
	                             .key = key,
	                             .subject = subject,
	                             .prompt = prompt,
	                             .agent = name,
	                             .model = slash ? slash + 1 : NULL,
	                             .root_base = base,
	                             .definition = "resolve",
	                             .kind = KIND_WORK,
	                             .priority = task->priority + 1, /* others wait behind it */
	                             .spec = spec,
	                             .metadata = metadata};

	return store_task_insert(c->store, &new);
}

/* Verified as the task that it resolves. */
static void give_environment(struct coordinator *c, const struct task_row *task, const char *key)
{
	_cleanup_task_ struct task_row chosen = {0};
	_cleanup_json_ json_t *secrets = NULL, *env = NULL;
	struct error err = ERROR_INIT;

	if (task->chosen)
		store_task_get(c->store, task->chosen, &chosen);
	env = environment_of_work(c, chosen.key ? &chosen : task);
	if (!json_object_size(env))
		return;
	secrets = json_pack("{s:{s:O}}", "tasks", key, env);
	if (environment_set_plan(c, task->plan_name, secrets, true, &err) < 0)
		log_error("landing", "task=%lld %s", (long long)task->id, err.text);
}

int64_t landing_resolve(struct coordinator *c, const struct task_row *task, const char *target,
                        const json_t *step)
{
	_cleanup_json_ json_t *policy = landing_policy(c, task->plan);
	_cleanup_json_ json_t *text = store_task_text(c->store, task->id), *spec = NULL;
	_cleanup_json_ json_t *metadata = NULL;
	_cleanup_free_ char *key = NULL, *prompt = NULL;
	const char *agent = json_text(policy, "resolve"), *marked = json_text(step, "marked");
	int64_t id;

	if (!agent || !marked)
		return 0;
	key = free_key(c, task);
	prompt = prompt_of(task, text, target, step);
	spec = json_copy(json_object_get(text, "spec"));
	json_object_set_new(spec, "expect_changes", json_true());
	metadata =
	    json_pack("{s:{s:I, s:s, s:s, s:O}}", "resolves", "task", (json_int_t)task->id, "key",
	              task->key, "target", target, "paths", json_object_get(step, "paths"));
	id = add_task(c, task, agent, key, prompt, spec, metadata, marked);
	give_environment(c, task, key);
	store_event_created(c->store, id, id);
	log_info("landing", "task=%lld conflicts: task=%lld is to resolve it", (long long)task->id,
	         (long long)id);
	return id;
}

void landing_resolve_again(struct coordinator *c, const struct task_row *task, const char *target)
{
	int64_t resolved = landing_resolved_task(c, task->id);
	_cleanup_task_ struct task_row first = {0};
	_cleanup_free_ char *stem = NULL, *last = NULL;

	if (!resolved || !store_task_get(c->store, resolved, &first) ||
	    first.status != TASK_COMPLETED || first.landing != LANDING_CONFLICT)
		return;
	stem = key_stem(&first);
	last = xasprintf("%s-merge-%d", stem, RESOLVERS_MAX);
	if (store_task_find(c->store, first.plan_name, last))
		return;
	log_info("landing", "task=%lld did not resolve task=%lld: once more", (long long)task->id,
	         (long long)resolved);
	landing_enqueue(c, &first, target, false);
}

void landing_resolver_completed(struct coordinator *c, const struct task_row *task)
{
	_cleanup_json_ json_t *text = store_task_text(c->store, task->id);
	const char *target = json_text(resolution(text), "target");

	if (target)
		landing_enqueue(c, task, target, false);
}

/* What was stopped behind a task that has landed after all. */
static void queue_behind(struct coordinator *c, int64_t task)
{
	_cleanup_free_ int64_t *blocks = store_task_blocks(c->store, task);
	_cleanup_free_ int64_t *stopped = NULL;
	size_t n = 0;

	for (n = 0; blocks[n]; n++)
		;
	stopped = xcalloc(n + 1, sizeof *stopped);
	n = 0;
	for (size_t i = 0; blocks[i]; i++) {
		_cleanup_task_ struct task_row row = {0};
		_cleanup_json_ json_t *detail = NULL;

		if (!store_task_get(c->store, blocks[i], &row) || row.status != TASK_COMPLETED ||
		    row.landing != LANDING_NONE || !row.landing_detail)
			continue;
		detail = jsonl_parse(row.landing_detail, strlen(row.landing_detail), NULL);
		if (json_sub(detail, "after"))
			stopped[n++] = blocks[i];
	}
	landing_enqueue_all(c, stopped);
}

void landing_resolved(struct coordinator *c, int64_t id, const char *target, const char *commit,
                      json_t *told)
{
	int64_t resolved = landing_resolved_task(c, id);
	_cleanup_task_ struct task_row task = {0};
	_cleanup_json_ json_t *steps = NULL;

	if (resolved && store_task_get(c->store, resolved, &task) &&
	    task.status == TASK_COMPLETED && task.landing == LANDING_CONFLICT) {
		/* Its head is contained: both sides are. */
		steps =
		    json_pack("[{s:I, s:s, s:s, s:s?, s:s?}]", "task", (json_int_t)resolved, "key",
		              task.key, "kind", "contained", "head", task.head, "commit", commit);
		landing_record_landed(c, target, steps, NULL, told);
	}
	queue_behind(c, id);
}
