/* The methods that people, agents and workers call; docs/protocol.md has their shapes. */
#ifndef PLEACH_METHODS_H
#define PLEACH_METHODS_H

struct request;
struct error;

#define METHOD(name) int method_##name(struct request *r, struct error *err)
METHOD(task_list);
METHOD(task_show);
METHOD(task_wait);
METHOD(task_update);
METHOD(task_stop);
METHOD(task_retry);
METHOD(task_answer);
METHOD(task_waiting);
METHOD(task_pick);
METHOD(task_locate);
METHOD(task_log);
METHOD(event_list);
METHOD(store_snapshot);
METHOD(team_up);
METHOD(team_list);
METHOD(team_add);
METHOD(team_remove);
METHOD(team_pause);
METHOD(team_resume);
METHOD(team_view);
METHOD(run_changes);
METHOD(run_release);
METHOD(coordinator_down);
METHOD(message_send);
METHOD(message_list);
METHOD(message_typed);
METHOD(message_waiting);
METHOD(agent_hook);
METHOD(hook_decided);
METHOD(permission_decided);
METHOD(agent_done);
METHOD(agent_ask);
METHOD(agent_progress);
#undef METHOD

#endif
