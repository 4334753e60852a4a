/* The table of methods: one line each. */
#include <string.h>

#include "coordinator.h"
#include "methods.h"

static const struct method methods[] = {
    {"status", BY_ALL, method_status},
    {"plan.submit", BY_PEOPLE, method_plan_submit},
    {"task.add", BY_ALL, method_task_add},
    {"task.list", BY_ALL, method_task_list},
    {"task.show", BY_ALL, method_task_show},
    {"task.wait", BY_ALL, method_task_wait},
    {"task.update", BY_PEOPLE, method_task_update},
    {"task.stop", BY_PEOPLE, method_task_stop},
    {"task.retry", BY_PEOPLE, method_task_retry},
    {"task.answer", BY_PEOPLE, method_task_answer},
    {"task.waiting", BY_ALL, method_task_waiting},
    {"task.pick", BY_PEOPLE, method_task_pick},
    {"task.compare", BY_ALL, method_task_compare},
    {"task.more", BY_PEOPLE, method_task_more},
    {"task.locate", BY_ALL, method_task_locate},
    {"task.merge", BY_PEOPLE, method_task_merge},
    {"task.undo", BY_PEOPLE, method_task_undo},
    {"task.clashes", BY_ALL, method_task_clashes},
    {"task.log", BY_ALL, method_task_log},
    {"team.up", BY_PEOPLE, method_team_up},
    {"team.list", BY_ALL, method_team_list},
    {"team.add", BY_PEOPLE, method_team_add},
    {"team.remove", BY_PEOPLE, method_team_remove},
    {"team.pause", BY_PEOPLE, method_team_pause},
    {"team.resume", BY_PEOPLE, method_team_resume},
    {"team.view", BY_ALL, method_team_view},
    {"message.send", BY_ALL, method_message_send},
    {"message.list", BY_ALL, method_message_list},
    {"event.list", BY_ALL, method_event_list},
    {"run.changes", BY_ALL, method_run_changes},
    {"run.release", BY_PEOPLE, method_run_release},
    {"store.snapshot", BY_PEOPLE, method_store_snapshot},
    {"usage", BY_ALL, method_usage},
    {"gc", BY_PEOPLE, method_gc},
    {"coordinator.down", BY_PEOPLE, method_coordinator_down},
    {"agent.done", BY_AGENTS, method_agent_done},
    {"agent.ask", BY_AGENTS, method_agent_ask},
    {"agent.progress", BY_AGENTS, method_agent_progress},
    {"agent.hook", BY_AGENTS, method_agent_hook},
    {"worker.next", BY_WORKERS, method_worker_next},
    {"attempt.finish", BY_WORKERS, method_attempt_finish},
    {"attempt.state", BY_WORKERS, method_attempt_state},
    {"message.typed", BY_WORKERS, method_message_typed},
    {"message.waiting", BY_WORKERS, method_message_waiting},
    {"hook.decided", BY_WORKERS, method_hook_decided},
    {"permission.decided", BY_WORKERS, method_permission_decided},
};

const struct method *method_find(const char *name)
{
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (strcmp(methods[i].name, name) == 0)
			return &methods[i];
	return NULL;
}
