/* What pleach-plan.so exports: one table, looked up by name. */
#include "plan.h"

extern const struct plan_module pleach_plan_module;

__attribute__((visibility("default"))) const struct plan_module pleach_plan_module = {
    .version = PLAN_MODULE_VERSION,
    .read = plan_read,
    .defaults_read = plan_defaults_read,
    .task_make = plan_task_make,
    .profile_read = plan_profile_read,
    .agents_list = plan_agents_list,
};
