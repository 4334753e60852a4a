/* One task from command-line options, checked as a task of a plan is: for `add` and `try`. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "plan_agents.h"
#include "text.h"
#include "words.h"

#define KEY_WORDS_MAX 24 /* characters of a key that is made from a prompt */

/* A key of the prompt's first words: "Fix the parser!" → fix-the-parser. Caller frees. */
static char *key_of(const char *prompt)
{
	_cleanup_buf_ struct buf key = BUF_INIT;
	size_t whole = 0; /* up to the last whole word */
	const char *c = prompt + strspn(prompt, " \t\r\n#*-");
	for (; *c && *c != '\n' && key.len < KEY_WORDS_MAX; c++) {
		if (isalnum((unsigned char)*c) && (unsigned char)*c < 0x80) {
			char low = (char)tolower((unsigned char)*c);
			buf_add(&key, &low, 1);
		} else if (key.len && key.data[key.len - 1] != '-' && *c != '\'') {
			whole = key.len;
			buf_add_str(&key, "-");
		}
	}
	bool cut = key.len == KEY_WORDS_MAX && isalnum((unsigned char)*c);
	if (cut && whole)
		key.len = whole;
	while (key.len && key.data[key.len - 1] == '-')
		key.len--;
	if (!key.len)
		return xstrdup("task");
	return xasprintf("%s%.*s", isdigit((unsigned char)key.data[0]) ? "_" : "", (int)key.len,
	                 key.data);
}

/* Text from the command line is read as the same value in a file would be. */
static struct yaml_node text_node(const char *text)
{
	return (struct yaml_node){.type = YAML_SCALAR,
	                          .scalar = YAML_TEXT,
	                          .text = text,
	                          .len = strlen(text),
	                          .line = 1,
	                          .column = 1};
}

static int set_priority(struct plan_reader *r, const char *text, json_t *fields)
{
	char *end = NULL;
	struct yaml_node node = text_node(text);
	json_t *value = NULL;
	node.scalar = YAML_INT;
	node.integer = strtoll(text, &end, 10);
	if (!*text || *end)
		return plan_fail(r, NULL, "--priority must be a whole number");
	if (plan_value_integer(r, &node, "--priority", -PRIORITY_MAX, PRIORITY_MAX, &value))
		return -1;
	json_object_set_new(fields, "priority", value);
	return 0;
}

static int set_word(struct plan_reader *r, const char *option, const char *key, const char *text,
                    const char *const *words, json_t *fields)
{
	struct yaml_node node = text_node(text);
	json_t *value = NULL;
	if (plan_value_choice(r, &node, option, words, &value))
		return -1;
	json_object_set_new(fields, key, value);
	return 0;
}

static int set_options(struct plan_reader *r, const struct plan_task_options *o, json_t *fields)
{
	static const char *const choose_words[] = {"manual", "first", "best", NULL};
	static const char *const when_words[] = {"completed", "settled", NULL};
	json_t *value = NULL;
	if (o->priority && set_priority(r, o->priority, fields))
		return -1;
	if (o->choose && set_word(r, "--choose", "choose", o->choose, choose_words, fields))
		return -1;
	if (o->when && set_word(r, "--when", "when", o->when, when_words, fields))
		return -1;
	if (o->timeout) {
		struct yaml_node node = text_node(o->timeout);
		if (plan_value_duration(r, &node, "--timeout", &value))
			return -1;
		json_object_set_new(fields, "timeout", value);
	}
	if (o->verify) {
		struct yaml_node node = text_node(o->verify);
		if (plan_value_verify(r, &node, "--verify", &value))
			return -1;
		json_object_set_new(fields, "verify", value);
	}
	return 0;
}

/* try: where nothing was said of verify, the first test command found. */
static void detect_verify(struct plan_reader *r, json_t *fields, bool *found)
{
	if (json_object_get(fields, "verify") ||
	    json_is_null(json_object_get(r->fields, "verify")) || plan_fields_verify(r->fields) ||
	    !r->ctx->root)
		return;
	_cleanup_free_ char *command = plan_detect_verify(r->ctx->root);
	if (!command)
		return;
	*found = true;
	json_object_set_new(fields, "verify", json_pack("{s:s}", "command", command));
}

/* --- agents -------------------------------------------------------------------------- */

/* The interactive form of an agent, under the same name. */
static int make_interactive(struct plan_reader *r, const char *name)
{
	const char *mode = json_text(plan_agent_profile(r, name), "mode");
	if (mode && strcmp(mode, "tui") == 0)
		return 0;
	if (plan_agent_set_mode(r, name, "tui"))
		return plan_fail(r, NULL, "agent %s has no interactive form (give it mode: tui)",
		                 name);
	return 0;
}

/* Those that --agent names; that is where a mistake is. */
static int list_named(struct plan_reader *r, const struct plan_task_options *o, json_t *out)
{
	char *before = r->at->name;
	_cleanup_free_ char *there = xasprintf("%s: --agent", before);
	int status = 0;
	r->at->name = there;
	for (size_t i = 0; status == 0 && o->agents && o->agents[i]; i++) {
		json_t *agent = NULL;
		status = plan_agent_named(r, NULL, o->agents[i], &agent);
		if (status == 0)
			json_array_append_new(out, agent);
	}
	r->at->name = before;
	return status;
}

/* [{"name","model"}], one for each alternative; [null]: the teammate's. */
static int list_agents(struct plan_reader *r, const struct plan_task_options *o, json_t *out,
                       bool *found)
{
	if (list_named(r, o, out))
		return -1;
	json_t *said = json_object_get(r->fields, "agent");
	if (!json_array_size(out) && json_is_object(said))
		json_array_append(out, said);
	if (!json_array_size(out)) {
		json_t *agent = NULL;
		if (plan_default_agent(r, &agent))
			return -1;
		*found = json_is_object(agent);
		json_array_append_new(out, agent);
	}
	size_t i;
	json_t *agent;
	json_array_foreach (out, i, agent) {
		const char *name = json_text(agent, "name");
		if (name && o->interactive && make_interactive(r, name))
			return -1;
		plan_agent_use(r, name);
	}
	return 0;
}

/* --- the task ------------------------------------------------------------------------ */

struct making {
	struct plan_reader *r;
	const struct plan_task_options *options;
	json_t *fields;
	json_t *agents;
	json_t *params;
	json_t *secrets;
	const char *key;
};

static int add_alternatives(struct making *m, const struct plan_task *parent)
{
	json_t *list = json_array();
	json_t *env = json_object_get(m->fields, "env");
	int copies = m->options->copies > 0 ? m->options->copies : 1;
	int total = copies * (int)json_array_size(m->agents);
	json_object_set_new(m->params, "alternatives", list);
	if (total < 2)
		return 0;
	for (int i = 0; i < total; i++) {
		_cleanup_free_ char *key = xasprintf("%s.%d", m->key, i + 1);
		struct plan_task task = *parent;
		task.key = key;
		task.parent = m->key;
		task.kind = "work";
		task.agent = json_array_get(m->agents, (size_t)(i / copies));
		json_array_append_new(list, plan_task_json(&task));
		if (json_object_size(env))
			json_object_set_nocheck(m->secrets, key, env);
	}
	return 0;
}

static int make_task(struct making *m)
{
	const char *prompt = m->options->prompt ? m->options->prompt : "";
	_cleanup_json_ json_t *blocked_by = json_array(), *spec = plan_fields_spec(m->fields);
	_cleanup_free_ char *subject = text_subject(prompt);
	int copies = m->options->copies > 0 ? m->options->copies : 1;
	bool many = copies * (int)json_array_size(m->agents) > 1;
	struct plan_task task = {.key = m->key,
	                         .kind = many ? "choice" : "work",
	                         .subject = *subject ? subject : m->key,
	                         .prompt = prompt,
	                         .prompt_len = strlen(prompt),
	                         .fields = m->fields,
	                         .spec = spec,
	                         .blocked_by = blocked_by,
	                         .agent = json_array_get(m->agents, 0)};
	size_t i;
	json_t *agent;
	json_array_foreach (m->agents, i, agent) {
		if (plan_prompt_check(m->r, NULL, json_text(agent, "name"), prompt,
		                      task.prompt_len))
			return -1;
	}
	json_t *env = json_object_get(m->fields, "env");
	json_object_set_new(m->params, "task", plan_task_json(&task));
	if (!many && json_object_size(env))
		json_object_set_nocheck(m->secrets, m->key, env);
	return add_alternatives(m, &task);
}

static int check_options(struct plan_reader *r, const struct plan_task_options *o)
{
	size_t agents = 0;
	while (o->agents && o->agents[agents])
		agents++;
	if (o->key && !text_is_key(o->key))
		return plan_fail(r, NULL,
		                 "--key: a key is a letter or _, then letters, digits, _ and "
		                 "-, at most %d characters",
		                 TEXT_KEY_MAX);
	if (o->copies < 0 ||
	    (size_t)(o->copies ? o->copies : 1) * (agents ? agents : 1) > PLAN_ALTERNATIVES_MAX)
		return plan_fail(r, NULL, "at most %d alternatives", PLAN_ALTERNATIVES_MAX);
	if (o->prompt && !text_is_utf8(o->prompt, strlen(o->prompt)))
		return plan_fail(r, NULL, "the prompt is not UTF-8 text");
	if (o->verify && !text_is_utf8(o->verify, strlen(o->verify)))
		return plan_fail(r, NULL, "--verify is not UTF-8 text");
	return 0;
}

static json_t *notes_json(struct making *m, bool agent_found, bool verify_found)
{
	json_t *notes = json_object();
	json_t *verify = json_object_get(m->fields, "verify");
	json_t *command = json_object_get(verify, "command");
	json_t *agent = json_array_get(m->agents, 0);
	json_t *files = json_array();
	for (size_t i = 0; i < m->r->source_count; i++) {
		if (m->r->sources[i].path)
			json_array_append_new(files, json_text_or_null(m->r->sources[i].path));
	}
	json_object_set_new(notes, "agent", json_text_or_null(json_text(agent, "name")));
	json_object_set_new(notes, "agent_found", json_boolean(agent_found));
	json_object_set_new(notes, "verify", command ? json_incref(command) : json_null());
	json_object_set_new(notes, "verify_found", json_boolean(verify_found));
	json_object_set_new(notes, "files", files);
	json_object_set(notes, "warnings", m->r->warnings);
	return notes;
}

int plan_task_make(const struct plan_context *ctx, const struct plan_task_options *options,
                   json_t **params, json_t **notes, struct error *err)
{
	_cleanup_reader_ struct plan_reader r;
	_cleanup_json_ json_t *said = json_object(), *fields = NULL, *agents = json_array();
	_cleanup_json_ json_t *out = json_object(), *secrets = json_object();
	bool agent_found = false, verify_found = false;
	plan_reader_init(&r, ctx, err);
	if (plan_sources_read_config(&r, NULL, true) || plan_config_read(&r))
		return -1;
	/* The files were read: from here on a mistake is the command line's. */
	struct plan_source line = {.name =
	                               (char *)(options->command ? options->command : "options")};
	r.at = &line;
	if (check_options(&r, options) || set_options(&r, options, said))
		return -1;
	if (options->detect)
		detect_verify(&r, said, &verify_found);
	if (list_agents(&r, options, agents, &agent_found))
		return -1;
	fields = plan_fields_merge(said, r.fields);
	if (json_array_size(agents) * (size_t)(options->copies > 0 ? options->copies : 1) > 1 &&
	    plan_choose_check(&r, NULL, fields))
		return -1;
	_cleanup_free_ char *key =
	    options->key ? xstrdup(options->key) : key_of(options->prompt ? options->prompt : "");
	struct making making = {.r = &r,
	                        .options = options,
	                        .fields = fields,
	                        .agents = agents,
	                        .params = out,
	                        .secrets = secrets,
	                        .key = key};
	if (make_task(&making))
		return -1;
	json_t *base = json_object_get(r.settings, "base");
	if (json_is_string(base))
		json_object_set(out, "base", base);
	json_object_set_new(out, "budget_day", plan_budget_day(&r));
	json_object_set_new(out, "agents", plan_agents_profiles(&r));
	json_object_set_new(out, "key_free", json_boolean(!options->key));
	json_object_set_new(out, "secrets",
	                    json_pack("{s:O,s:o,s:O}", "plan", r.env, "agents",
	                              plan_agents_secrets(&r), "tasks", secrets));
	*params = json_incref(out);
	*notes = notes_json(&making, agent_found, verify_found);
	return 0;
}
