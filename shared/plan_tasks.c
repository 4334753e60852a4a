/* The tasks of a plan: each read, merged with the defaults, its alternatives made tasks of
 * their own, its blockers found. Writes PLANTASKs, parents before their alternatives. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plan_internal.h"
#include "text.h"

static const char *const own_keys[] = {"id",          "subject",    "prompt",
                                       "prompt_file", "blocked_by", "alternatives"};

struct tasks {
	struct plan_reader *r;
	const struct yaml_node *list;
	json_t *out;      /* PLANTASKs */
	json_t *secrets;  /* KEY → env */
	json_t *index;    /* KEY → place in out */
	json_t *spec;     /* of the defaults: most tasks share it */
	char **key_names; /* for suggestions; made when one is needed */
	struct plan_graph graph;
	const struct yaml_node **nodes; /* of each entry of out */
	size_t cap;
	const char *known[32];
};

static void tasks_finish(struct tasks *t)
{
	json_decref(t->out);
	json_decref(t->secrets);
	json_decref(t->index);
	json_decref(t->spec);
	strv_free(t->key_names);
	plan_graph_finish(&t->graph);
	free(t->nodes);
}

/* --- prompts ------------------------------------------------------------------------- */

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	return strncmp(path, dir, n) == 0 && (path[n] == '/' || (n && dir[n - 1] == '/'));
}

/* The file's real path, in the repository or beside the plan. NULL: refused. Caller frees. */
static char *find_prompt_file(struct plan_reader *r, const struct yaml_node *n, const char *shown)
{
	_cleanup_free_ char *path = plan_path(r, n->text);
	_cleanup_free_ char *root = r->ctx->root ? realpath(r->ctx->root, NULL) : NULL;
	_cleanup_free_ char *dir = realpath(r->at->dir, NULL);
	char *real = realpath(path, NULL);
	if (!real) {
		plan_fail(r, n, "prompt_file %s: %s", shown, strerror(errno));
		return NULL;
	}
	if ((root && is_below(real, root)) || (dir && is_below(real, dir)))
		return real;
	free(real);
	plan_fail(r, n, "prompt_file %s is outside the repository (and not beside the plan)",
	          shown);
	return NULL;
}

static int read_prompt_file(struct plan_reader *r, const struct yaml_node *n, struct buf *out)
{
	json_t *text = NULL;
	if (plan_value_word(r, n, "prompt_file", &text))
		return -1;
	json_decref(text);
	_cleanup_free_ char *shown = text_safe(n->text, PLAN_SHOWN * 2);
	_cleanup_free_ char *path = find_prompt_file(r, n, shown);
	if (!path)
		return -1;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	if (fd < 0 || fstat(fd, &st))
		return plan_fail(r, n, "prompt_file %s: %s", shown, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return plan_fail(r, n, "prompt_file %s is not a file", shown);
	ssize_t got;
	while ((got = buf_read(out, fd, 64u << 10)) > 0 && out->len <= PLAN_PROMPT_MAX)
		;
	if (got < 0)
		return plan_fail(r, n, "prompt_file %s: %s", shown, strerror(errno));
	if (out->len > PLAN_PROMPT_MAX)
		return plan_fail(r, n, "prompt_file %s is larger than %u KiB", shown,
		                 PLAN_PROMPT_MAX >> 10);
	if (out->len && (memchr(out->data, '\0', out->len) || !text_is_utf8(out->data, out->len)))
		return plan_fail(r, n, "prompt_file %s is not UTF-8 text", shown);
	return 0;
}

static int read_prompt(struct plan_reader *r, const struct yaml_node *map, struct buf *out)
{
	const struct yaml_node *text = yaml_get(map, "prompt");
	const struct yaml_node *file = yaml_get(map, "prompt_file");
	json_t *value = NULL;
	if (text && file)
		return plan_fail(r, file, "prompt and prompt_file: one of them");
	if (file)
		return read_prompt_file(r, file, out);
	if (!text || plan_is_null(text))
		return 0;
	if (plan_value_text(r, text, "prompt", &value))
		return -1;
	json_decref(value);
	if (text->len > PLAN_PROMPT_MAX)
		return plan_fail(r, text, "prompt is larger than %u KiB", PLAN_PROMPT_MAX >> 10);
	buf_add(out, text->text, text->len);
	return 0;
}

static bool is_blank(const char *text)
{
	return !text || !text[strspn(text, " \t\r\n")];
}

/* True when the agent was given something to do by its command alone. */
static bool needs_prompt(const json_t *profile)
{
	const char *way = json_text(profile, "prompt"), *mode = json_text(profile, "mode");
	if (!profile || (mode && strcmp(mode, "acp") == 0))
		return true;
	return way && (strcmp(way, "argv") == 0 || strcmp(way, "type") == 0);
}

int plan_prompt_check(struct plan_reader *r, const struct yaml_node *n, const char *agent,
                      const char *prompt, size_t bytes)
{
	const json_t *profile = plan_agent_profile(r, agent);
	if (is_blank(prompt) && needs_prompt(profile))
		return plan_fail(r, n, "no prompt (what is to be done: prompt: or prompt_file:)");
	if (bytes > PLAN_PROMPT_MAX)
		return plan_fail(r, n, "prompt is larger than %u KiB", PLAN_PROMPT_MAX >> 10);
	if (bytes > PLAN_ARGUMENT_MAX && profile && !json_sub(profile, "large") &&
	    agents_mentions(json_object_get(profile, "command"), "{prompt}"))
		return plan_fail(r, n,
		                 "a prompt of %zu KiB does not fit into an argument of agent %s "
		                 "(use {prompt_file} in its command)",
		                 bytes >> 10, agent);
	return 0;
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
	return json;
}

/* The agent of a task, or what stands in where none was said. Borrowed. */
static int settle_agent(struct plan_reader *r, const json_t *fields, const json_t **agent)
{
	const json_t *said = json_object_get(fields, "agent");
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
	static const char *const keys[] = {"slot",   "timeout", "retries", "expect_changes",
	                                   "verify", "setup",   "copy",    "link"};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (json_object_get(own, keys[i]))
			return true;
	}
	return false;
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
	json_t *there = json_object_get(t->index, id->text);
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

static int read_blockers(struct tasks *t, const struct yaml_node *task, json_t *out)
{
	const struct yaml_node *list = yaml_get(task, "blocked_by");
	if (!list || plan_is_null(list))
		return 0;
	if (list->type != YAML_LIST)
		return plan_fail(t->r, list, "blocked_by must be a list such as [parser]");
	_cleanup_json_ json_t *seen = list->count > 16 ? json_object() : NULL;
	for (size_t i = 0; i < list->count; i++) {
		const char *text = list->items[i]->text;
		json_t *key = NULL;
		bool again = false;
		if (plan_value_word(t->r, list->items[i], "blocked_by", &key))
			return -1;
		for (size_t k = 0; !seen && k < i && !again; k++)
			again = strcmp(list->items[k]->text, text) == 0;
		if (seen) {
			again = json_object_get(seen, text) != NULL;
			json_object_set_nocheck(seen, text, key);
		}
		if (again)
			json_decref(key);
		else
			json_array_append_new(out, key);
	}
	return 0;
}

static int read_alternative(struct tasks *t, const struct yaml_node *n, int number,
                            const struct plan_task *parent)
{
	static const char *const keys[] = {"agent",   "prompt",  "prompt_file", "env",
	                                   "timeout", "retries", NULL};
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
		    read_prompt(r, n, &more))
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
	                         .blocked_by = parent->blocked_by};
	if (settle_agent(r, fields, &task.agent))
		return -1;
	/* What the parent said is said for each of them. */
	return add_task(t, &task, fields, n);
}

static int read_alternatives(struct tasks *t, const struct yaml_node *n,
                             const struct plan_task *parent)
{
	struct plan_reader *r = t->r;
	bool many = n->type == YAML_LIST;
	json_t *number = NULL;
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
		if (read_alternative(t, many ? n->items[i] : n, (int)i + 1, parent))
			return -1;
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

static int read_task(struct tasks *t, const struct yaml_node *node)
{
	struct plan_reader *r = t->r;
	const struct yaml_node *alternatives;
	_cleanup_json_ json_t *own = NULL, *fields = NULL, *blocked_by = json_array();
	_cleanup_buf_ struct buf prompt = BUF_INIT;
	const char *key = NULL;
	if (check_task(t, node) || read_key(t, node, &key) || plan_fields_read(r, node, &own) ||
	    read_prompt(r, node, &prompt) || read_blockers(t, node, blocked_by))
		return -1;
	alternatives = yaml_get(node, "alternatives");
	if (alternatives && plan_is_null(alternatives))
		alternatives = NULL;
	fields = plan_fields_merge(own, r->fields);
	_cleanup_free_ char *subject = read_subject(node, prompt.data, key);
	struct plan_task task = {.key = key,
	                         .kind = alternatives ? "choice" : "work",
	                         .subject = subject,
	                         .prompt = prompt.data,
	                         .prompt_len = prompt.len,
	                         .fields = fields,
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

/* Edges of one task of the file, and of its alternatives, which wait as it does. */
static int link_task(struct tasks *t, const struct yaml_node *node)
{
	int at = (int)json_integer_value(json_object_get(t->index, yaml_get(node, "id")->text));
	const struct yaml_node *list = yaml_get(node, "blocked_by");
	int last = at;
	while (last + 1 < t->graph.task_count &&
	       json_text(json_array_get(t->out, (size_t)last + 1), "parent"))
		last++;
	for (int i = at + 1; i <= last; i++)
		plan_graph_add(&t->graph, at, i, t->nodes[at]);
	for (size_t k = 0; list && list->type == YAML_LIST && k < list->count; k++) {
		json_t *to = json_object_get(t->index, list->items[k]->text);
		if (!to)
			return fail_blocker(t, list->items[k]);
		for (int i = at; i <= last; i++)
			plan_graph_add(&t->graph, i, (int)json_integer_value(to), list->items[k]);
		if (t->graph.edge_count > PLAN_EDGES_MAX)
			return plan_fail(t->r, list, "more than %d blocked_by entries",
			                 PLAN_EDGES_MAX);
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
	for (i = 0; i < t->list->count; i++) {
		if (link_task(t, t->list->items[i]))
			return -1;
	}
	return plan_graph_check(t->r, &t->graph);
}

int plan_tasks_read(struct plan_reader *r, json_t **tasks, json_t **task_secrets)
{
	__attribute__((cleanup(tasks_finish))) struct tasks t = {.r = r};
	size_t known = 0;
	for (size_t i = 0; i < ARRAY_LEN(own_keys); i++)
		t.known[known++] = own_keys[i];
	for (const char *const *name = plan_field_names; *name; name++)
		t.known[known++] = *name;
	t.list = yaml_get(r->at->root, "tasks");
	if (!t.list)
		return plan_fail(r, NULL, "no tasks (a plan has tasks:; see pleach init)");
	if (t.list->type != YAML_LIST && !plan_is_null(t.list))
		return plan_fail(r, t.list, "tasks must be a list of tasks");
	if (t.list->type != YAML_LIST || t.list->count == 0)
		return plan_fail(r, t.list, "tasks is empty");
	t.out = json_array();
	t.secrets = json_object();
	t.index = json_object();
	t.spec = plan_fields_spec(r->fields);
	for (size_t i = 0; i < t.list->count; i++) {
		if (read_task(&t, t.list->items[i]))
			return -1;
	}
	if (link_tasks(&t))
		return -1;
	*tasks = json_incref(t.out);
	*task_secrets = json_incref(t.secrets);
	return 0;
}
