/* One agent as YAML that agents.yaml takes. */
#ifndef PLEACH_CLI_AGENT_YAML_H
#define PLEACH_CLI_AGENT_YAML_H

#include <jansson.h>

/* Prints an agent of plan_agents_list, whole: what is said of it in all files together, but the
 * values of its `env`. Returns 0, the exit status. */
int agent_yaml_print(const json_t *agent);

#endif
