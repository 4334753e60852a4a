/* One agent as YAML: mappings in lines, lists of plain values in brackets. Knows no more of YAML
 * than this needs: whatever is not plainly a word is a JSON string, which YAML takes as it is. */
#include "agent_yaml.h"

#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "jsonl.h"
#include "mem.h"
#include "print.h"
#include "text.h"

#define LEVELS_MAX 32
#define LINE_MAX   100

/* Words that a YAML reader takes for themselves: no number, no null, no yes. */
static bool is_plain(const char *text)
{
	static const char set[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-/=";
	static const char *const special[] = {"true", "false", "null", "yes", "no",
	                                      "on",   "off",   "y",    "n"};

	if (!*text || text[strspn(text, set)] || strchr("0123456789=", *text) ||
	    strcmp(text, "-") == 0)
		return false;
	if (strncmp(text, "---", 3) == 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(special); i++)
		if (strcasecmp(text, special[i]) == 0)
			return false;
	return true;
}

static void add_text(struct buf *out, const char *text)
{
	_cleanup_json_ json_t *value = NULL;
	_cleanup_free_ char *quoted = NULL;

	if (is_plain(text)) {
		buf_add_str(out, text);
		return;
	}
	/* All but ASCII is escaped: nothing in it reaches a terminal. */
	value = json_string_nocheck(text);
	quoted = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	buf_add_str(out, quoted ? quoted : "\"\"");
}

static void add_flow(struct buf *out, const json_t *value, int level)
{
	const char *key;
	json_t *item;
	size_t i;
	bool more = false;

	if (json_is_string(value)) {
		add_text(out, json_string_value(value));
	} else if (json_is_array(value) && level < LEVELS_MAX) {
		buf_add_str(out, "[");
		json_array_foreach (value, i, item) {
			buf_add_str(out, i ? ", " : "");
			add_flow(out, item, level + 1);
		}
		buf_add_str(out, "]");
	} else if (json_is_object(value) && level < LEVELS_MAX) {
		buf_add_str(out, "{");
		json_object_foreach ((json_t *)value, key, item) {
			buf_add_str(out, more ? ", " : "");
			add_text(out, key);
			buf_add_str(out, ": ");
			add_flow(out, item, level + 1);
			more = true;
		}
		buf_add_str(out, "}");
	} else {
		_cleanup_free_ char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);

		buf_add_str(out, text ? text : "null");
	}
}

static void add_indent(struct buf *out, int level)
{
	for (int i = 0; i < level; i++)
		buf_add_str(out, "  ");
}

/* A list whose items do not fit into one line has one a line. */
static void add_value(struct buf *out, const json_t *value, int level)
{
	_cleanup_buf_ struct buf flow = BUF_INIT;
	const char *key;
	json_t *item;
	size_t i;

	add_flow(&flow, value, 0);
	if (flow.len + (size_t)level * 2 <= LINE_MAX || level > LEVELS_MAX ||
	    (json_is_array(value) && !json_is_object(json_array_get(value, 0))) ||
	    json_is_string(value)) {
		buf_printf(out, " %s\n", flow.data);
		return;
	}
	buf_add_str(out, "\n");
	json_array_foreach (value, i, item) {
		_cleanup_buf_ struct buf one = BUF_INIT;

		add_flow(&one, item, 0);
		add_indent(out, level);
		buf_printf(out, "- %s\n", one.data);
	}
	json_object_foreach ((json_t *)value, key, item) {
		add_indent(out, level);
		add_text(out, key);
		buf_add_str(out, ":");
		add_value(out, item, level + 1);
	}
}

/* What `env` holds may be secret: only the names are told. */
static void add_env(struct buf *out, const json_t *env)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)env, name, value) {
		buf_printf(out, "  # env: {%s: …} (not shown)\n", name);
	}
}

int agent_yaml_print(const json_t *agent)
{
	_cleanup_buf_ struct buf out = BUF_INIT;
	const char *key;
	json_t *value;
	size_t i;

	buf_add_str(&out, "# from:");
	json_array_foreach (json_sub(agent, "from"), i, value) {
		_cleanup_free_ char *shown = text_safe(json_string_value(value), 0);

		buf_printf(&out, "%s %s", i ? "," : "", shown);
	}
	buf_add_str(&out, "\n");
	add_text(&out, json_text(agent, "name"));
	buf_add_str(&out, ":\n");
	json_object_foreach (json_sub(agent, "said"), key, value) {
		if (strcmp(key, "env") == 0) {
			add_env(&out, value);
			continue;
		}
		buf_printf(&out, "  %s:", key);
		add_value(&out, value, 2);
	}
	print_text(out.data);
	return 0;
}
