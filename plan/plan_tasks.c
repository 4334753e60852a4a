/* The tasks of a plan: each read, merged with the defaults, its alternatives made tasks of
 * their own, its blockers found. Writes PLANTASKs, parents before their alternatives. */
#include <stdlib.h>
#include <string.h>

#include "plan_internal.h"
#include "text.h"

static const char *const own_keys[] = {"id",         "subject",      "prompt",   "prompt_file",
                                       "blocked_by", "alternatives", "for_each", "base"};

struct tasks {
	struct plan_reader *r;
	struct plan_each each; /* the tasks of the file, with one for each item */
	json_t *out;           /* PLANTASKs */
	json_t *secrets;       /* KEY → env */
	json_t *index;         /* KEY → place in out */
	json_t *spec;          /* of the defaults: most tasks share it */
	char **key_names;      /* for suggestions; made when one is needed */
	struct plan_graph graph;
	const struct yaml_node **nodes; /* of each entry of out */
	size_t cap;
	json_t *doubted; /* KEY → true: tasks with a mistake, which are not among the others */
	size_t blockers; /* of all tasks */
	const char *known[48];
};

static void tasks_finish(struct tasks *t)
{
	json_decref(t->out);
	json_decref(t->secrets);
	json_decref(t->index);
	json_decref(t->doubted);
	json_decref(t->spec);
	strv_free(t->key_names);
	plan_graph_finish(&t->graph);
	plan_each_finish(&t->each);
	free(t->nodes);
}

/* --- writing ------------------------------------------------------------------------- */

json_t *plan_task_json(const struct plan_task *task)
{
	json_t *json = json_object();
	const json_t *choose = json_object_get(task->fields, "choose");
	const json_t *when = json_object_get(task->fields, "when");
	const json_t *priority = json_object_get(task->fields, "priority");
	const json_t *metadata = json_object_get(task->fields, "metadata");
	bool choice = strcmp(task->kind, "choice") == 0;
	const json_t *agent = choice ? NULL : task->agent;
	json_object_set_new(json, "key", json_text_or_null(task->key));
	json_object_set_new(json, "subject", json_text_or_null(task->subject));
	json_object_set_new(
	    json, "prompt",
	    json_stringn_nocheck(task->prompt_len ? task->prompt : "", task->prompt_len));
	json_object_set_new(json, "kind", json_string(task->kind));
	json_object_set_new(json, "parent", json_text_or_null(task->parent));
	json_object_set(json, "blocked_by", task->blocked_by);
	json_object_set_new(json, "when",
	                    when ? json_incref((json_t *)when) : json_string("completed"));
	json_object_set_new(json, "priority",
	                    priority ? json_incref((json_t *)priority) : json_integer(0));
	json_object_set_new(json, "agent", json_text_or_null(json_text(agent, "name")));
	json_object_set_new(json, "model", json_text_or_null(json_text(agent, "model")));
	json_object_set_new(json, "choose",
	                    !choice  ? json_null()
	                    : choose ? json_incref((json_t *)choose)
	                             : json_string("manual"));
	json_object_set(json, "spec", task->spec);
	json_object_set_new(json, "metadata",
	                    metadata ? json_incref((json_t *)metadata) : json_null());
	json_object_set_new(json, "line", json_integer(task->line));
	if (task->base) { /* a task without one is what it always was */
		json_object_set(json, "base", task->base);
		json_object_set_new(json, "base_at", json_text_or_null(task->base_at));
	}
	return json;
}

/* The agent of a task, or what stands in where none was said. Borrowed. */
static int settle_agent(struct plan_reader *r, const json_t *fields, const json_t **agent)
{
	const json_t *said = json_object_get(fields, "agent");
	if (!said && r->agents_doubted) { /* told already */
		*agent = NULL;
		return 0;
	}
	if (json_is_object(said)) {
		*agent = said;
		return 0;
	}
	if (!r->default_agent && plan_default_agent(r, &r->default_agent))
		return -1;
	*agent = json_is_object(r->default_agent) ? r->default_agent : NULL;
	return 0;
}

static bool says_spec(const json_t *own)
{
	static const char *const keys[] = {
	    "slot",           "timeout", "retries",     "expect_changes", "verify",     "setup",
	    "copy",           "link",    "measure",     "paths",          "setup_when", "fresh",
	    "verify_retries", "wrap_up", "no_progress", "budget",         "permissions"};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (json_object_get(own, keys[i]))
			return true;
	}
	return false;
}

static int read_prompt(struct tasks *t, const struct yaml_node *map, const struct plan_item *item,
                       struct buf *out)
{
	const struct yaml_node *file = yaml_get(map, "prompt_file");
	_cleanup_buf_ struct buf raw = BUF_INIT;
	if (!item || !file)
		return plan_prompt_read(t->r, map, out);
	if (plan_prompt_read(t->r, map, &raw))
		return -1;
	return plan_each_text(t->r, file, raw.len ? raw.data : "", item, out);
}

/* Adds a PLANTASK and where it stands. `own` is what the task said itself. */
static int add_task(struct tasks *t, struct plan_task *task, const json_t *own,
                    const struct yaml_node *node)
{
	size_t i = json_array_size(t->out);
	if (i >= PLAN_TASKS_MAX)
		return plan_fail(t->r, node, "more than %d tasks", PLAN_TASKS_MAX);
	if (i == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 256;
		t->nodes = xrealloc(t->nodes, t->cap * sizeof(*t->nodes));
	}
	_cleanup_json_ json_t *spec =
	    says_spec(own) ? plan_fields_spec(task->fields) : json_incref(t->spec);
	json_t *env = json_object_get(task->fields, "env");
	if (json_is_object(json_object_get(own, "verify")) && !plan_fields_verify(task->fields))
		return plan_fail(t->r, node, "verify has no command");
	task->spec = spec;
	task->line = node->line;
	if (strcmp(task->kind, "work") == 0) {
		if (plan_prompt_check(t->r, node, json_text(task->agent, "name"), task->prompt,
		                      task->prompt_len))
			return -1;
		plan_agent_use(t->r, json_text(task->agent, "name"));
		if (json_object_size(env))
			json_object_set_nocheck(t->secrets, task->key, env);
	}
	json_array_append_new(t->out, plan_task_json(task));
	json_object_set_new_nocheck(t->index, task->key, json_integer((json_int_t)i));
	t->nodes[i] = node;
	return 0;
}

/* --- one task ------------------------------------------------------------------------ */

static int read_key(struct tasks *t, const struct yaml_node *task, const char **out)
{
	struct plan_reader *r = t->r;
	const struct yaml_node *id = yaml_get(task, "id");
	if (!id)
		return plan_fail(r, task, "a task without an id");
	if (id->type != YAML_SCALAR)
		return plan_fail(r, id, "id must be text");
	if (plan_refuse_null(r, id, "id"))
		return -1;
	json_t *there = json_object_get(t->index, id->text);
	if (!there && json_object_get(t->each.groups, id->text))
		return plan_fail(r, id, "task %.64s again: another one of that id has for_each",
		                 id->text);
	if (!there && text_is_key(id->text)) {
		*out = id->text;
		return 0;
	}
	_cleanup_free_ char *shown = text_safe(id->text, PLAN_SHOWN);
	if (there)
		return plan_fail(r, id, "task %s again (line %d and line %d)", shown,
		                 t->nodes[json_integer_value(there)]->line, task->line);
	return plan_fail(r, id,
	                 "id %s: an id is a letter or _, then letters, digits, _ and -, at most %d "
	                 "characters",
	                 shown, TEXT_KEY_MAX);
}

/* A name in blocked_by: a task, or all tasks that were made of one with for_each. */
static int add_blocker(struct tasks *t, const struct yaml_node *n, json_t *seen, json_t *out)
{
	json_t *group = json_object_get(t->each.groups, n->text), *key;
	size_t i;
	if (json_object_get(seen, n->text))
		return 0;
	json_object_set_new_nocheck(seen, n->text, json_true());
	t->blockers += group ? json_array_size(group) : 1;
	if (t->blockers > PLAN_EDGES_MAX)
		return plan_fail(t->r, n, "more than %d blocked_by entries", PLAN_EDGES_MAX);
	if (group) {
		json_array_foreach (group, i, key)
			json_array_append(out, key);
		return 0;
	}
	if (plan_value_word(t->r, n, "blocked_by", &key))
		return -1;
	json_array_append_new(out, key);
	return 0;
}

static int read_blockers(struct tasks *t, const struct yaml_node *task, json_t *out)
{
	const struct yaml_node *list = yaml_get(task, "blocked_by");
	if (!list || plan_is_null(list))
		return 0;
	if (list->type != YAML_LIST)
		return plan_fail(t->r, list, "blocked_by must be a list such as [parser]");
	_cleanup_json_ json_t *seen = json_object();
	for (size_t i = 0; i < list->count; i++) {
		json_t *key = NULL;
		if (plan_value_word(t->r, list->items[i], "blocked_by", &key))
			return -1;
		json_decref(key);
		if (add_blocker(t, list->items[i], seen, out))
			return -1;
	}
	return 0;
}

static int read_alternative(struct tasks *t, const struct yaml_node *n, int number,
                            const struct plan_task *parent)
{
	static const char *const keys[] = {"agent",   "prompt", "prompt_file",    "env", "timeout",
	                                   "retries", "repeat", "verify_retries", NULL};
	struct plan_reader *r = t->r;
	_cleanup_free_ char *key = xasprintf("%s.%d", parent->key, number);
	_cleanup_json_ json_t *own = json_object(), *fields = NULL;
	_cleanup_buf_ struct buf prompt = BUF_INIT, more = BUF_INIT;
	buf_add(&prompt, parent->prompt, parent->prompt_len);
	if (n->type == YAML_MAP) {
		if (yaml_get(n, "verify"))
			return plan_fail(r, yaml_get(n, "verify"),
			                 "alternatives share their task's verify");
		cleanup_json(&own);
		own = NULL;
		if (plan_check_keys(r, n, keys, "an alternative") || plan_fields_read(r, n, &own) ||
		    read_prompt(t, n, parent->item, &more))
			return -1;
	} else if (n->type == YAML_SCALAR && n->scalar == YAML_TEXT) {
		json_t *agent = NULL;
		if (plan_agent_value(r, n, "alternative", &agent))
			return -1;
		json_object_set_new(own, "agent", agent);
	} else if (!plan_is_null(n) && n->type != YAML_SCALAR) {
		return plan_fail(r, n, "an alternative must be a mapping such as {agent: claude}");
	}
	if (more.len && prompt.len) {
		bool line = prompt.data[prompt.len - 1] == '\n';
		bool blank = line && prompt.len > 1 && prompt.data[prompt.len - 2] == '\n';
		buf_add_str(&prompt, blank ? "" : line ? "\n" : "\n\n");
	}
	buf_add(&prompt, more.data, more.len);
	fields = plan_fields_merge(own, parent->fields);
	struct plan_task task = {.key = key,
	                         .parent = parent->key,
	                         .kind = "work",
	                         .subject = parent->subject,
	                         .prompt = prompt.data,
	                         .prompt_len = prompt.len,
	                         .fields = fields,
	                         .base = parent->base,
	                         .base_at = parent->base_at,
	                         .blocked_by = parent->blocked_by};
	if (settle_agent(r, fields, &task.agent))
		return -1;
	/* What the parent said is said for each of them. */
	return add_task(t, &task, fields, n);
}

/* How many tasks an alternative makes: `repeat`, else one. */
static int read_repeat(struct plan_reader *r, const struct yaml_node *n, int *out)
{
	const struct yaml_node *repeat = n->type == YAML_MAP ? yaml_get(n, "repeat") : NULL;
	json_t *number = NULL;
	*out = 1;
	if (!repeat)
		return 0;
	if (plan_value_integer(r, repeat, "repeat", 1, PLAN_ALTERNATIVES_MAX, &number))
		return -1;
	*out = (int)json_integer_value(number);
	json_decref(number);
	return 0;
}

static int read_alternatives(struct tasks *t, const struct yaml_node *n,
                             const struct plan_task *parent)
{
	struct plan_reader *r = t->r;
	bool many = n->type == YAML_LIST;
	json_t *number = NULL;
	int made = 0, repeat;
	if (n->type == YAML_MAP)
		return plan_fail(r, n, "alternatives must be a number or a list");
	if (!many && plan_value_integer(r, n, "alternatives", 1, PLAN_ALTERNATIVES_MAX, &number))
		return -1;
	json_decref(number);
	if (many && (n->count < 1 || n->count > PLAN_ALTERNATIVES_MAX))
		return plan_fail(r, n, "alternatives: %zu of them (1 to %d)", n->count,
		                 PLAN_ALTERNATIVES_MAX);
	size_t count = many ? n->count : (size_t)n->integer;
	for (size_t i = 0; i < count; i++) {
		const struct yaml_node *one = many ? n->items[i] : n;
		if (read_repeat(r, one, &repeat))
			return -1;
		if (made + repeat > PLAN_ALTERNATIVES_MAX)
			return plan_fail(r, one, "alternatives: more than %d, repeats included",
			                 PLAN_ALTERNATIVES_MAX);
		for (int k = 0; k < repeat; k++) {
			if (read_alternative(t, one, ++made, parent))
				return -1;
		}
	}
	return 0;
}

static char *read_subject(const struct yaml_node *node, const char *prompt, const char *key)
{
	const struct yaml_node *said = yaml_get(node, "subject");
	char *subject = text_subject(said ? said->text : prompt ? prompt : "");
	if (*subject)
		return subject;
	free(subject);
	return xstrdup(key);
}

static int check_task(struct tasks *t, const struct yaml_node *node)
{
	const struct yaml_node *subject, *choose;
	json_t *text = NULL;
	if (node->type != YAML_MAP)
		return plan_fail(t->r, node, "a task must be a mapping with id and prompt");
	if (plan_check_keys(t->r, node, t->known, "a task"))
		return -1;
	subject = yaml_get(node, "subject");
	if (subject && plan_value_text(t->r, subject, "subject", &text))
		return -1;
	json_decref(text);
	choose = yaml_get(node, "choose");
	if (choose && !yaml_get(node, "alternatives"))
		plan_warn(t->r, choose, "choose means nothing without alternatives");
	return 0;
}

static int read_task(struct tasks *t, const struct yaml_node *node, const struct plan_item *item)
{
	struct plan_reader *r = t->r;
	const struct yaml_node *alternatives;
	_cleanup_json_ json_t *own = NULL, *fields = NULL, *blocked_by = json_array(), *base = NULL;
	_cleanup_buf_ struct buf prompt = BUF_INIT;
	const struct yaml_node *from = NULL;
	const char *key = NULL;
	if (check_task(t, node) || read_key(t, node, &key) || plan_fields_read(r, node, &own) ||
	    read_prompt(t, node, item, &prompt) || read_blockers(t, node, blocked_by))
		return -1;
	from = yaml_get(node, "base");
	if (from && plan_value_revision(r, from, "base", &base))
		return -1;
	alternatives = yaml_get(node, "alternatives");
	if (alternatives && plan_is_null(alternatives))
		alternatives = NULL;
	fields = plan_fields_merge(own, r->fields);
	if (alternatives && !r->mistake_count &&
	    plan_choose_check(r, yaml_get(node, "choose") ? yaml_get(node, "choose") : node,
	                      fields))
		return -1;
	_cleanup_free_ char *subject = read_subject(node, prompt.data, key);
	_cleanup_free_ char *base_at = from ? plan_place(r, from) : NULL;
	struct plan_task task = {.key = key,
	                         .kind = alternatives ? "choice" : "work",
	                         .subject = subject,
	                         .prompt = prompt.data,
	                         .prompt_len = prompt.len,
	                         .fields = fields,
	                         .item = item,
	                         .base = json_is_string(base) ? base : NULL,
	                         .base_at = base_at,
	                         .blocked_by = blocked_by};
	if (!alternatives && settle_agent(r, fields, &task.agent))
		return -1;
	if (add_task(t, &task, own, node))
		return -1;
	return alternatives ? read_alternatives(t, alternatives, &task) : 0;
}

/* --- blockers ------------------------------------------------------------------------ */

static const char *nearest_key(struct tasks *t, const char *word)
{
	const char *key;
	json_t *unused;
	if (!t->key_names) {
		json_object_foreach (t->index, key, unused) {
			strv_push(&t->key_names, xstrdup(key));
		}
	}
	return text_nearest(word, (const char *const *)t->key_names);
}

static int fail_blocker(struct tasks *t, const struct yaml_node *n)
{
	_cleanup_free_ char *shown = text_safe(n->text, PLAN_SHOWN);
	const char *near = nearest_key(t, n->text);
	if (near)
		return plan_fail(t->r, n, "unknown task %s in blocked_by (did you mean %s?)", shown,
		                 near);
	return plan_fail(t->r, n, "unknown task %s in blocked_by", shown);
}

/* It, or the task whose alternative it would be. */
static bool is_doubted(struct tasks *t, const char *name)
{
	_cleanup_free_ char *parent = xstrndup(name, strcspn(name, "."));
	return json_object_get(t->doubted, parent) != NULL;
}

/* Edges from the tasks first to last to what a name in blocked_by means. */
static int link_name(struct tasks *t, const struct yaml_node *n, int first, int last)
{
	if (n->type != YAML_SCALAR)
		return 0; /* of a task that was refused: its key may be another one's */
	json_t *group = json_object_get(t->each.groups, n->text);
	size_t count = group ? json_array_size(group) : 1;
	for (size_t k = 0; k < count; k++) {
		const char *name = group ? json_string_value(json_array_get(group, k)) : n->text;
		json_t *to = json_object_get(t->index, name);
		if (!to && is_doubted(t, name))
			continue;
		if (!to)
			return fail_blocker(t, n);
		for (int i = first; i <= last; i++)
			plan_graph_add(&t->graph, i, (int)json_integer_value(to), n);
		if (t->graph.edge_count > PLAN_EDGES_MAX)
			return plan_fail(t->r, n, "more than %d blocked_by entries",
			                 PLAN_EDGES_MAX);
	}
	return 0;
}

/* Edges of one task of the file, and of its alternatives, which wait as it does. */
static int link_task(struct tasks *t, const struct yaml_node *node)
{
	const struct yaml_node *id = node->type == YAML_MAP ? yaml_get(node, "id") : NULL;
	if (!id || id->type != YAML_SCALAR || !json_object_get(t->index, id->text))
		return 0; /* its own mistake was told */
	const struct yaml_node *list = yaml_get(node, "blocked_by");
	int at = (int)json_integer_value(json_object_get(t->index, id->text));
	int last = at;
	while (last + 1 < t->graph.task_count &&
	       json_text(json_array_get(t->out, (size_t)last + 1), "parent"))
		last++;
	for (int i = at + 1; i <= last; i++)
		plan_graph_add(&t->graph, at, i, t->nodes[at]);
	for (size_t k = 0; list && list->type == YAML_LIST && k < list->count; k++) {
		if (link_name(t, list->items[k], at, last))
			return -1;
	}
	return 0;
}

static int link_tasks(struct tasks *t)
{
	size_t i;
	json_t *task;
	t->graph.task_count = (int)json_array_size(t->out);
	t->graph.keys = xcalloc(json_array_size(t->out) + 1, sizeof(*t->graph.keys));
	json_array_foreach (t->out, i, task)
		t->graph.keys[i] = json_text(task, "key");
	for (i = 0; i < t->each.count; i++) {
		if (link_task(t, t->each.tasks[i].node) && plan_note(t->r))
			return -1;
	}
	return t->r->mistake_count ? 0 : plan_graph_check(t->r, &t->graph);
}

/* Who waits for it is not told that there is none of that name. */
static int doubt(struct tasks *t, const struct yaml_node *node)
{
	const struct yaml_node *id = node->type == YAML_MAP ? yaml_get(node, "id") : NULL;
	if (id && id->type == YAML_SCALAR)
		json_object_set_new_nocheck(t->doubted, id->text, json_true());
	return 0;
}

int plan_tasks_read(struct plan_reader *r, json_t **tasks, json_t **task_secrets)
{
	__attribute__((cleanup(tasks_finish))) struct tasks t = {.r = r};
	size_t known = 0;
	for (size_t i = 0; i < ARRAY_LEN(own_keys); i++)
		t.known[known++] = own_keys[i];
	for (const char *const *name = plan_field_names; *name; name++)
		t.known[known++] = *name;
	const struct yaml_node *list = yaml_get(r->at->root, "tasks");
	if (!list)
		return plan_fail(r, NULL, "no tasks (a plan has tasks:; see pleach init)");
	if (list->type != YAML_LIST && !plan_is_null(list))
		return plan_fail(r, list, "tasks must be a list of tasks");
	if (list->type != YAML_LIST || list->count == 0)
		return plan_fail(r, list, "tasks is empty");
	if (plan_each_read(r, list, &t.each))
		return -1;
	t.out = json_array();
	t.secrets = json_object();
	t.index = json_object();
	t.doubted = json_object();
	t.spec = plan_fields_spec(r->fields);
	for (size_t i = 0; i < t.each.count; i++) {
		if (read_task(&t, t.each.tasks[i].node, t.each.tasks[i].item) &&
		    (plan_note(r) || doubt(&t, t.each.tasks[i].node)))
			return -1;
	}
	if (link_tasks(&t))
		return -1;
	*tasks = json_incref(t.out);
	*task_secrets = json_incref(t.secrets);
	return 0;
}
