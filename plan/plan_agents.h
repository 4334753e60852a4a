/* Between the two readers of agents: plan_agents.c (which names there are, and what they are in
 * this plan) and plan_agent_entry.c (what one description says). Only these and plan_options.c
 * include this. */
#ifndef PLEACH_PLAN_AGENTS_H
#define PLEACH_PLAN_AGENTS_H

#include "plan_internal.h"

/* What a mapping says of an agent: a description with `way` for keys of a way that stand by
 * themselves, and `extends`. `where` is for messages: "agent claude". New reference. */
int plan_agent_entry_read(struct plan_reader *r, const struct yaml_node *map, const char *where,
                          json_t **out);
/* `said` over `base` (NULL: nothing), key by key. Both borrowed; new reference. */
json_t *plan_agent_entry_lay(const json_t *base, const json_t *said);
/* The PROFILE in that mode. New reference; NULL where the description has no such mode. */
json_t *plan_agent_entry_profile(const json_t *entry, const char *mode, const char *permissions);

bool plan_agent_is_name(const char *name);
bool plan_agent_mode_known(const char *mode);
/* The last part of a path. Borrowed. */
const char *plan_agent_program(const char *path);

/* The same agent in another mode, under the same name. -1: it has no such mode. */
int plan_agent_set_mode(struct plan_reader *r, const char *name, const char *mode);

#endif
