/* After a restart: what the store says is held against what is alive. Workers that live are
 * adopted when they say hello; those that died are swept and their attempts lost; after a
 * reboot everything is dead and nobody is to blame. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "transition.h"

#define SWEEP_TRIES 100

struct recovering {
	uv_work_t work;
	struct coordinator *c;
	char *marker;
};

/* Back-off counts awake time: what remained when we died is waited again. */
static void arm_delays(struct coordinator *c)
{
	_cleanup_free_ int64_t *tasks = store_tasks_delayed(c->store);

	for (size_t i = 0; tasks[i]; i++) {
		_cleanup_task_ struct task_row row = {0};

		if (store_task_get(c->store, tasks[i], &row))
			delay_arm(c, row.id, row.delay_ms);
	}
}

struct release {
	bool rebooted;
	const json_t *settled; /* [{"attempt","head"}]: where attempts stood */
};

static const char *settled_head(const json_t *settled, int64_t attempt)
{
	json_t *item;
	size_t i;

	json_array_foreach ((json_t *)settled, i, item)
		if (json_int(item, "attempt", 0) == attempt)
			return json_text(item, "head");
	return NULL;
}

/* After a reboot all are dead. What a worker wrote down before still counts. */
static int release_step(struct coordinator *c, void *context, struct error *err)
{
	_cleanup_free_ int64_t *attempts = store_attempts_running(c->store);
	const struct release *release = context;
	bool rebooted = release->rebooted;

	(void)err;
	for (size_t i = 0; attempts[i]; i++) {
		_cleanup_attempt_ struct attempt_row row = {0};

		if (!store_attempt_get(c->store, attempts[i], &row) ||
		    (!rebooted && team_find(c, row.teammate)))
			continue;
		if (!finish_leftover(c, attempts[i]))
			finish_lost(c, attempts[i], settled_head(release->settled, attempts[i]),
			            true);
	}
	return 0;
}

/* In progress under an attempt that has ended: nothing of ours leaves that behind, but a task
 * that nobody would ever look at again is worth the look. */
static int orphans_step(struct coordinator *c, void *context, struct error *err)
{
	_cleanup_free_ int64_t *tasks = store_tasks_orphaned(c->store);

	(void)context;
	for (size_t i = 0; tasks[i]; i++) {
		const struct transition t = {.task = tasks[i], .verb = VERB_RELEASE};

		log_warn("recovery", "task=%lld was in progress under an ended attempt",
		         (long long)tasks[i]);
		if (task_change(c, &t, err) < 0)
			log_error("recovery", "task=%lld: %s", (long long)tasks[i], err->text);
	}
	return 0;
}

/* A worker of ours that was started but not yet written down has said nothing to anybody:
 * it is ended by its mark, so that none runs beside the one that is started now. */
static void kill_unrecorded(struct coordinator *c, const char *name)
{
	_cleanup_free_ char *marker = teammate_marker(c, name);

	proc_kill_family(marker, marker, NULL, 0, SWEEP_TRIES);
}

static void recover_teammate(struct coordinator *c, const struct teammate_row *row)
{
	struct teammate *t = team_find(c, row->name);
	int64_t attempt = store_attempt_running_of(c->store, row->name);
	_cleanup_attempt_ struct attempt_row running = {0};
	_cleanup_task_ struct task_row task = {0};
	bool same_boot = row->boot && strcmp(row->boot, c->boot) == 0;

	if (!t)
		return;
	if (attempt && store_attempt_get(c->store, attempt, &running) &&
	    store_task_get(c->store, running.task, &task))
		teammate_set_task(t, attempt, running.task, task.key);
	if (row->pid && same_boot) {
		team_watch(c, t, (pid_t)row->pid, (uint64_t)row->start_time);
		/* Ended before by a coordinator that is gone; a stopped worker says no hello. */
		if (task.id && (task.attempt != attempt || task.status == TASK_CANCELLED))
			stop_tell(c, t, attempt, "cancelled");
		return;
	}
	if (!row->pid)
		kill_unrecorded(c, row->name);
	if (t->removing)
		team_gone(c, t);
	else if (c->team.wanted)
		team_start(c, t);
}

static void recover_members(struct coordinator *c, bool rebooted, const json_t *settled)
{
	struct release release = {rebooted, settled};
	struct teammate_row *rows;
	size_t n = store_team_list(c->store, &rows);
	struct error err = ERROR_INIT;

	if (turn_step(c, release_step, &release, &err) < 0 ||
	    turn_step(c, orphans_step, NULL, &err) < 0)
		log_error("recovery", "%s", err.text);
	for (size_t i = 0; i < n; i++) {
		recover_teammate(c, &rows[i]);
		teammate_row_finish(&rows[i]);
	}
	free(rows);
}

static void mended(struct coordinator *c, const json_t *result, const struct error *why,
                   void *context)
{
	json_t *item;
	size_t i;

	(void)context;
	if (!result)
		log_error("recovery", "after the restart of the machine: %s", why->text);
	json_array_foreach (json_sub(result, "removed"), i, item)
		log_warn("recovery", "mended what the restart of the machine had left: %s",
		         json_string_value(item));
	json_array_foreach (json_sub(result, "problems"), i, item)
		log_error("recovery", "after the restart of the machine: %s",
		          json_string_value(item));
	for (struct teammate *t = c->team.first; t; t = t->next)
		t->sweeping = t->settling = false;
	recover_members(c, true, json_sub(result, "settled"));
}

/* The slots of attempts that ran when the machine stopped. New reference. */
static json_t *running_slots(struct coordinator *c)
{
	_cleanup_free_ int64_t *attempts = store_attempts_running(c->store);
	json_t *dirs = json_array();

	for (size_t i = 0; attempts[i]; i++) {
		_cleanup_attempt_ struct attempt_row row = {0};

		if (store_attempt_get(c->store, attempts[i], &row) && row.slot)
			json_array_append_new(dirs, json_string(row.slot));
	}
	return dirs;
}

/* After a reboot nothing runs, and nothing starts before the repository is mended and every
 * slot has let go of its branch: till then the teammates count as being swept after. */
static void recover_team(struct coordinator *c)
{
	struct teammate_row *rows;
	size_t n = store_team_list(c->store, &rows);
	bool rebooted = false;

	for (size_t i = 0; i < n; i++) {
		rebooted = rebooted || (rows[i].boot && strcmp(rows[i].boot, c->boot) != 0);
		teammate_row_finish(&rows[i]);
	}
	free(rows);
	if (!rebooted) {
		recover_members(c, false, NULL);
		return;
	}
	notice_set(c, "the machine was restarted: what ran is pending again, nobody is to blame "
	              "(pleach run, or pleach up, goes on)");
	for (struct teammate *t = c->team.first; t; t = t->next)
		t->sweeping = t->settling = true;
	gitq_ask(c, "mend", json_pack("{s:o}", "dirs", running_slots(c)), mended, NULL);
}

static void landing_sweep(uv_work_t *work)
{
	const struct recovering *re = work->data;

	proc_kill_survivors(re->marker, NULL, 0, SWEEP_TRIES);
}

static void landing_swept(uv_work_t *work, int status)
{
	struct recovering *re = work->data;

	(void)status;
	landing_recover(re->c);
	free(re->marker);
	free(re);
}

/* A proof that outlived us would hold its integration slot: it is ended first. On a thread,
 * for reading /proc takes longer than all the rest of a restart; no landing starts before. */
static void recover_landing(struct coordinator *c)
{
	struct recovering *re = xcalloc(1, sizeof *re);

	re->c = c;
	re->work.data = re;
	re->marker = xasprintf("PLEACH_LANDING=%s", c->place.id);
	uv_queue_work(&c->loop, &re->work, landing_sweep, landing_swept);
}

/* Nothing is assigned until the slots of before have let go of their branches. */
struct moving {
	size_t left;
};

static int root_step(struct coordinator *c, void *context, struct error *err)
{
	(void)context;
	(void)err;
	store_set_setting(c->store, "place.root", c->place.root);
	c->moving = false;
	return 0;
}

static void moved_settled(struct coordinator *c, const json_t *result, const struct error *why,
                          void *context)
{
	struct moving *moving = context;
	struct error err = ERROR_INIT;

	if (!result)
		log_warn("recovery", "a slot after the move: %s", why->text);
	if (--moving->left)
		return;
	free(moving);
	if (turn_step(c, root_step, NULL, &err) < 0) {
		log_error("recovery", "%s", err.text);
		c->moving = false;
	}
}

/* A teammate that runs something: what it holds is its own until it is dead. */
static bool is_slot_of_worker(struct coordinator *c, const char *dir)
{
	for (const struct teammate *t = c->team.first; t; t = t->next) {
		_cleanup_attempt_ struct attempt_row row = {0};

		if (store_attempt_get(c->store, store_attempt_running_of(c->store, t->name),
		                      &row) &&
		    row.slot && strcmp(row.slot, dir) == 0)
			return true;
	}
	return false;
}

/* Workers that live were started for the old place: what they would commit cannot be found from
 * there. They end, blamed for nothing; their slots, which git knows again by now, are kept. */
static void repaired(struct coordinator *c, const json_t *result, const struct error *why,
                     void *context)
{
	_cleanup_json_ json_t *dirs = context;
	struct moving *moving = xcalloc(1, sizeof *moving);
	json_t *dir;
	size_t i;

	if (!result)
		log_warn("recovery", "worktrees after the move: %s", why->text);
	json_array_foreach (dirs, i, dir) {
		if (is_slot_of_worker(c, json_string_value(dir)))
			continue; /* settled after its worker's death */
		moving->left++;
		gitq_ask(c, "settle", json_pack("{s:O}", "dir", dir), moved_settled, moving);
	}
	moving->left++;
	moved_settled(c, dirs, NULL, moving);
	for (struct teammate *t = c->team.first; t; t = t->next) {
		t->released = store_attempt_running_of(c->store, t->name);
		if (t->proc.pid)
			proc_kill_pid(&t->proc);
	}
}

/* Its worktrees are being repaired: whoever comes next does it again, wherever it stands then. */
static int moving_step(struct coordinator *c, void *context, struct error *err)
{
	_cleanup_free_ char *mark = xasprintf("?%s", (const char *)context);

	(void)err;
	store_set_setting(c->store, "place.root", mark);
	return 0;
}

/* The repository stands somewhere else now: its worktrees still point to the old place. That it
 * does is written down when they no longer do. */
static void recover_place(struct coordinator *c)
{
	_cleanup_free_ char *was = store_setting(c->store, "place.root");
	struct error err = ERROR_INIT;
	json_t *dirs;

	if (was && strcmp(was, c->place.root) == 0)
		return;
	if (was) {
		const char *from = *was == '?' ? was + 1 : was;
		_cleanup_free_ char *notice =
		    xasprintf("the repository was moved here from %s: what ran there is "
		              "pending again, its work is kept",
		              from);

		if (turn_step(c, moving_step, (void *)from, &err) < 0)
			log_error("recovery", "%s", err.text);
		notice_set(c, notice);
		dirs = store_attempt_slots(c->store);
		c->moving = true;
		gitq_ask(c, "repair", json_pack("{s:O}", "dirs", dirs), repaired, dirs);
		return;
	}
	if (turn_step(c, root_step, NULL, &err) < 0)
		log_error("recovery", "%s", err.text);
}

static int boot_step(struct coordinator *c, void *context, struct error *err)
{
	const char *was = context;

	(void)err;
	if (was)
		store_attempts_skip(c->store);
	store_set_setting(c->store, "store.boot", c->boot);
	return 0;
}

/* A power cut takes what workers were told before it was synced (deliver.c); what bears its number,
 * files and agents' sessions, may still be there. */
static void recover_boot(struct coordinator *c)
{
	_cleanup_free_ char *was = store_setting(c->store, "store.boot");
	struct error err = ERROR_INIT;

	if ((!was || strcmp(was, c->boot) != 0) && turn_step(c, boot_step, was, &err) < 0)
		log_error("recovery", "%s", err.text);
}

int recovery_run(struct coordinator *c, struct error *err)
{
	_cleanup_free_ char *boot = store_setting(c->store, "team.boot");

	/* Until `down`, and until the machine is started anew, a team that was asked for is kept
	 * up, whatever died. */
	c->team.wanted = boot && strcmp(boot, c->boot) == 0;
	recover_boot(c);
	recover_place(c);
	team_load(c);
	arm_delays(c);
	limited_arm(c);
	recover_team(c);
	recover_landing(c);
	return store_failed(c->store, err) ? -1 : 0;
}
