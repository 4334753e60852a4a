/* What the parts of the plan reader share. A reader takes its files from the least important
 * (config.yaml) to the most important (the plan) and merges as it goes; agents are known
 * before what names them. Only plan*.c include this. */
#ifndef PLEACH_PLAN_INTERNAL_H
#define PLEACH_PLAN_INTERNAL_H

#include "agents.h"
#include "buf.h"
#include "jsonl.h"
#include "mem.h"
#include "plan.h"
#include "yaml.h"

#define PLAN_SHOWN        60 /* columns of a foreign word in a message */
#define PLAN_SOURCES      3
#define PLAN_MISTAKES_MAX 10 /* that are told at once */

/* One file, or the command line (doc NULL). */
struct plan_source {
	char *name; /* what messages call it */
	char *path; /* absolute; NULL for stdin and the command line */
	char *dir;  /* what its relative paths start from */
	struct yaml_doc *doc;
	const struct yaml_node *root; /* always a map */
};

struct plan_reader {
	const struct plan_context *ctx;
	char *kept; /* where the parser's finds are kept; NULL: nowhere */
	struct plan_source sources[PLAN_SOURCES];
	size_t source_count;
	struct plan_source *at; /* the file being read: errors name it */
	enum agent_permissions permissions;
	struct plan_source user_agents; /* agents.yaml; doc NULL: there is none */
	struct plan_source left_out;    /* a pleach.yaml with tasks of its own; root NULL: none */
	json_t *agents;                 /* NAME → what plan_agents.c knows of it */
	json_t *used;                   /* NAME → true: what tasks and teammates name */
	json_t *fields;   /* merged defaults of task keys, as plan_fields_read gives them */
	json_t *settings; /* name base target limits team slots keys, the nearest */
	json_t *env;      /* of plans and configuration */
	json_t *warnings;
	json_t *default_agent; /* as plan_default_agent gave it; NULL: not asked yet */
	char **agent_names;    /* every known name, for suggestions; NULL: to be made again */
	struct buf mistakes;   /* those that were noted, a line each */
	size_t mistake_count;
	bool enough;         /* no more of them are told */
	bool agents_doubted; /* an agent was named that is none: what stands in is not asked for */
	struct error *err;
};

/* plan_source.c: files, messages, keys */
void plan_reader_init(struct plan_reader *r, const struct plan_context *ctx, struct error *err);
void plan_reader_finish(struct plan_reader *r);
#define _cleanup_reader_ __attribute__((cleanup(plan_reader_finish)))
/* Reads config.yaml and pleach.yaml where they exist, the latter with tasks only if asked. */
int plan_sources_read_config(struct plan_reader *r, const char *plan_path, bool with_tasks);
int plan_source_read(struct plan_reader *r, const char *file);
/* Fills r->err with NAME:LINE:COLUMN: and what; returns -1. node NULL: 1:1. */
int plan_fail(struct plan_reader *r, const struct yaml_node *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Notes the mistake in r->err, once, so that what does not depend on it is read for more. 0; -1
 * when there are enough of them, or nothing more can be read. */
int plan_note(struct plan_reader *r);
/* 0 when nothing was noted, else -1 with all of that in r->err, a line each. */
int plan_noted(struct plan_reader *r);
/* -1, with what was noted and what r->err says now. */
int plan_tell(struct plan_reader *r);
void plan_warn(struct plan_reader *r, const struct yaml_node *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Refuses keys that are not among `known`, naming the right one. `where`: "a task". */
int plan_check_keys(struct plan_reader *r, const struct yaml_node *map, const char *const *known,
                    const char *where);
/* FILE:LINE:COLUMN. Caller frees. */
char *plan_place(const struct plan_reader *r, const struct yaml_node *node);
/* Absolute path of what a file names, relative to that file. Caller frees. */
char *plan_path(const struct plan_reader *r, const char *path);
/* A JSON string of a scalar's text. New reference. */
json_t *plan_text_json(const struct yaml_node *node);

/* plan_values.c: one value of one type; `*out` is a new reference. `what` is the key. */
int plan_value_text(struct plan_reader *r, const struct yaml_node *n, const char *what,
                    json_t **out);
int plan_value_word(struct plan_reader *r, const struct yaml_node *n, const char *what,
                    json_t **out); /* as text, but numbers are taken as they are written */
int plan_value_bool(struct plan_reader *r, const struct yaml_node *n, const char *what,
                    json_t **out);
int plan_value_integer(struct plan_reader *r, const struct yaml_node *n, const char *what,
                       json_int_t least, json_int_t most, json_t **out);
int plan_value_duration(struct plan_reader *r, const struct yaml_node *n, const char *what,
                        json_t **out);
int plan_value_choice(struct plan_reader *r, const struct yaml_node *n, const char *what,
                      const char *const *words, json_t **out);
int plan_value_command(struct plan_reader *r, const struct yaml_node *n, const char *what,
                       json_t **out);
int plan_value_paths(struct plan_reader *r, const struct yaml_node *n, const char *what,
                     json_t **out);
int plan_value_env(struct plan_reader *r, const struct yaml_node *n, const char *what,
                   json_t **out);
int plan_value_revision(struct plan_reader *r, const struct yaml_node *n, const char *what,
                        json_t **out);
int plan_value_verify(struct plan_reader *r, const struct yaml_node *n, const char *what,
                      json_t **out);
bool plan_is_null(const struct yaml_node *n);
/* -1 where text is wanted and there is none. */
int plan_refuse_null(struct plan_reader *r, const struct yaml_node *n, const char *what);
bool plan_is_branch(const char *name);

/* plan_agents.c */
int plan_agents_read(struct plan_reader *r, const struct yaml_node *map); /* `agents:` */
/* An `agent:` value: a name, NAME/MODEL, or an inline one → {"name","model"|null}. */
int plan_agent_value(struct plan_reader *r, const struct yaml_node *n, const char *what,
                     json_t **out);
/* The same from text; errors stand at the node. */
int plan_agent_named(struct plan_reader *r, const struct yaml_node *n, const char *text,
                     json_t **out);
void plan_agent_use(struct plan_reader *r, const char *name);
/* Borrowed; NULL when it is not known. */
const json_t *plan_agent_profile(struct plan_reader *r, const char *name);
/* PROFILEs and secrets of every used agent. New references. */
json_t *plan_agents_profiles(struct plan_reader *r);
json_t *plan_agents_secrets(struct plan_reader *r);
/* [{"name","from":[FILE],"said","profile"}] of every known name. New reference. */
json_t *plan_agents_all(struct plan_reader *r);

/* plan_fields.c: the task keys that defaults may carry, as an object with only what was
 * said; {"agent":{"name","model"},"timeout",…}. */
extern const char *const plan_field_names[];
int plan_fields_read(struct plan_reader *r, const struct yaml_node *map, json_t **out);
/* What `near` does not say comes from `far`. Both borrowed; new reference,
 * not to be changed. */
json_t *plan_fields_merge(const json_t *near, const json_t *far);
/* SPEC of merged fields. New reference. */
json_t *plan_fields_spec(const json_t *fields);
bool plan_fields_verify(const json_t *fields); /* there is a command to verify with */

/* plan_config.c: everything but tasks, of every source. */
int plan_config_read(struct plan_reader *r);
/* The same; what is wrong may only be noted (0). */
int plan_config_note(struct plan_reader *r);
/* Limits may name only known agents: to be asked when the tasks have been read. */
int plan_config_check_limits(struct plan_reader *r);
/* {"size","teammates"} */
json_t *plan_config_team(struct plan_reader *r);
json_t *plan_config_limits(struct plan_reader *r);
/* True when a task without an agent gets its teammate's. */
bool plan_team_decides(struct plan_reader *r);
/* The agent of a task where nothing said one: {"name","model"}, or null where a teammate's
 * agent decides. New reference. -1: nothing knows one. */
int plan_default_agent(struct plan_reader *r, json_t **agent);

/* plan_choose.c: what is measured, and how a choice is made. */
int plan_value_measure(struct plan_reader *r, const struct yaml_node *n, const char *what,
                       json_t **out); /* {NAME:{"command","timeout"}} or null */
int plan_value_choose(struct plan_reader *r, const struct yaml_node *n, const char *what,
                      json_t **out); /* a word, {"by","order"}, {"judge","timeout"} */
/* What a choice is made by is measured. */
int plan_choose_check(struct plan_reader *r, const struct yaml_node *n, const json_t *fields);

/* plan_each.c: `for_each`, before anything else is read of a task. */
struct plan_item {
	json_t *values; /* an object */
	int line;
	const char *file; /* safe to show; borrowed from the expansion */
};
struct plan_each_task {
	const struct yaml_node *node; /* with the item's values in its strings */
	const struct plan_item *item; /* NULL: a plain task */
};
struct plan_each {
	struct plan_each_task *tasks;
	size_t count, cap;
	json_t *groups; /* ID of a task with for_each → [KEY] */
	struct plan_items *files;
	size_t text; /* bytes made so far */
	size_t nodes;
};
int plan_each_read(struct plan_reader *r, const struct yaml_node *list, struct plan_each *out);
void plan_each_finish(struct plan_each *each);
/* Appends text with {item.NAME} replaced; errors stand at the node. */
int plan_each_text(struct plan_reader *r, const struct yaml_node *n, const char *text,
                   const struct plan_item *item, struct buf *out);

/* plan_prompt.c: a text file of the repository or beside the plan, and a task's prompt. */
int plan_file_read(struct plan_reader *r, const struct yaml_node *n, const char *what, size_t most,
                   struct buf *out);
int plan_prompt_read(struct plan_reader *r, const struct yaml_node *map, struct buf *out);

/* plan_landing.c: `merge:` and `resolve:`, the nearest key by key. */
int plan_landing_read(struct plan_reader *r, const char *key, const struct yaml_node *n);
/* {"auto","squash","message","sign","hooks","ahead","batch","resolve"}. New reference. */
json_t *plan_landing(struct plan_reader *r);

/* plan_budget.c: `budget:` of a task, or of a plan with its days; null or what was said. */
int plan_value_budget(struct plan_reader *r, const struct yaml_node *n, bool plan, json_t **out);
int plan_budget_read(struct plan_reader *r, const struct yaml_node *n); /* at the top, merged */
json_t *plan_budget(struct plan_reader *r);     /* {"usd","tokens"}, what was said; new reference */
json_t *plan_budget_day(struct plan_reader *r); /* the same, of a day */

/* plan_permissions.c: {"mode"?,"allow"?,"ask"?,"deny"?} or null; lists of both are one. */
int plan_value_permissions(struct plan_reader *r, const struct yaml_node *n, json_t **out);
json_t *plan_permissions_merge(const json_t *near, const json_t *far); /* new reference */

/* plan_tasks.c */
int plan_tasks_read(struct plan_reader *r, json_t **tasks, json_t **task_secrets);
/* Fails when the agent needs a prompt and there is none, or one that does not fit. */
int plan_prompt_check(struct plan_reader *r, const struct yaml_node *n, const char *agent,
                      const char *prompt, size_t bytes);
struct plan_task {
	const char *key;
	const char *parent; /* NULL: none */
	const char *kind;
	const char *subject;
	const char *prompt;
	size_t prompt_len;
	json_t *fields;     /* borrowed: merged */
	json_t *blocked_by; /* borrowed */
	json_t *spec;       /* borrowed */
	json_t *base;       /* borrowed: its own, or NULL */
	const char *base_at;
	const struct plan_item *item; /* of for_each, or NULL */
	const json_t *agent;          /* {"name","model"} or NULL */
	int line;
};
json_t *plan_task_json(const struct plan_task *task);

/* plan_graph.c: blockers known, no cycle. nodes[i] is where task i's list stands. */
struct plan_edge {
	int from, to; /* from waits for to */
	const struct yaml_node *node;
};
struct plan_graph {
	const char **keys; /* borrowed */
	int task_count;
	struct plan_edge *edges;
	size_t edge_count, edge_cap;
};
void plan_graph_add(struct plan_graph *g, int from, int to, const struct yaml_node *node);
int plan_graph_check(struct plan_reader *r, const struct plan_graph *g);
void plan_graph_finish(struct plan_graph *g);

/* plan_detect.c: the first test command of a repository, or NULL. Caller frees. */
char *plan_detect_verify(const char *root);

#endif
