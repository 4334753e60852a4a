/* pleach-slot.so: git/slot/slot.h behind one symbol. */
#include "slot_module.h"

extern const struct slot_module pleach_slot_module;

const struct slot_module pleach_slot_module = {
    .version = SLOT_MODULE_VERSION,
    .start_library = slot_start_library,
    .open = slot_open,
    .close = slot_close,
    .is_new = slot_is_new,
    .set_up = slot_set_up,
    .holds_branch = slot_holds_branch,
    .snapshot = slot_snapshot,
    .switch_to = slot_switch,
    .agent_environment = slot_agent_environment,
    .take_tampering = slot_take_tampering,
    .running = slot_running,
    .commit = slot_commit,
    .prove_begin = slot_prove_begin,
    .prove_end = slot_prove_end,
    .can_write = slot_can_write,
    .keep = slot_keep,
};
