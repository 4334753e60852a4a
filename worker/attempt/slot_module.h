/* What pleach-slot.so gives: the functions of git/slot/slot.h. It is loaded once a worker
 * has nothing to do, or when the first attempt with a slot comes before that: what starts and is
 * busy at once without a slot never pays for the git library (7 ms and 0.7 MB). */
#ifndef PLEACH_WORKER_SLOT_MODULE_H
#define PLEACH_WORKER_SLOT_MODULE_H

#include "slot.h"

#define SLOT_MODULE_VERSION 6
#define SLOT_MODULE_SYMBOL  "pleach_slot_module"
#define SLOT_MODULE_FILE    "pleach-slot.so"

struct slot_module {
	unsigned version; /* SLOT_MODULE_VERSION */
	void (*start_library)(void);
	int (*open)(const char *root, const char *dir, const char *teammate,
	            const char *pinned_file, const char *base, const char *const *paths,
	            struct slot **out, struct error *err);
	void (*close)(struct slot *slot);
	bool (*is_new)(const struct slot *slot);
	void (*set_up)(struct slot *slot);
	bool (*holds_branch)(const struct slot *slot, int64_t attempt);
	int (*snapshot)(struct slot *slot, int64_t attempt, char **head, struct error *err);
	int (*switch_to)(struct slot *slot, int64_t attempt, const struct slot_order *order,
	                 struct error *err);
	int (*agent_environment)(const struct slot *slot, char ***env, struct error *err);
	char **(*take_tampering)(struct slot *slot);
	int (*running)(struct slot *slot, struct error *err);
	int (*commit)(struct slot *slot, int64_t attempt, const char *branch, const char *base,
	              const char *subject, struct slot_result *out, struct error *err);
	int (*prove_begin)(struct slot *slot, const char *base, const char *const *protect,
	                   const char *overlay_dir, struct error *err);
	int (*prove_end)(struct slot *slot, int64_t attempt, const char *head, struct error *err);
	int (*can_write)(const char *root, const char *dir, const char *teammate,
	                 struct error *err);
	int (*keep)(struct slot *slot, int64_t attempt, const char *head, struct error *err);
};

#endif
