/* Handing assignments over: the answers to worker.next.
 *
 * An assignment goes out after the commit that stored it; one without a slot as soon as it is in
 * the store's log, while that is being synced. A power cut that takes it from the log takes the
 * worker and its agent as well, and the task is assigned again, under a number that was never used
 * (store_attempts_skip). Until then who is attached to that worker, or hears its bus, may see it.
 * With a slot it may not: the slot's marker would outlive the cut, and name an attempt
 * that nobody knows. Must not send anything else early, nor to anybody but a worker. */
#include <stdlib.h>
#include <string.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"
#include "rpc.h"

struct deliver {
	char *name;
	int64_t attempt;
	struct assignment assignment; /* without text: not made yet */
	struct buf line;              /* of the answer, when it may go early */
	bool sent;
	struct deliver *next;
};

static struct deliver *delivers; /* of this turn */

static void deliver_drop(struct coordinator *c, void *context, const struct error *why)
{
	struct deliver *deliver = context;

	(void)c;
	(void)why;
	for (struct deliver **at = &delivers; *at; at = &(*at)->next) {
		if (*at == deliver) {
			*at = deliver->next;
			break;
		}
	}
	assignment_finish(&deliver->assignment);
	buf_finish(&deliver->line);
	free(deliver->name);
	free(deliver);
}

/* Whether there is one to hand over; with what became of the worker's last result. */
static bool make(struct coordinator *c, const struct teammate *t, struct deliver *deliver)
{
	return deliver->assignment.text.len ||
	       assignment_make(c, deliver->attempt, t->finished, &deliver->assignment);
}

static void hand_over(struct coordinator *c, struct teammate *t, struct deliver *deliver)
{
	const struct assignment *assignment = &deliver->assignment;
	struct later *later = t->idle;

	if (!later || !make(c, t, deliver))
		return;
	t->idle = NULL;
	json_decref(t->finished);
	t->finished = NULL;
	teammate_set_task(t, deliver->attempt, assignment->task, assignment->key);
	free(t->phase);
	t->phase = xstrdup("preparing");
	if (deliver->sent)
		later_done(later);
	else
		later_reply_text(c, later,
		                 json_stringn_nocheck(assignment->text.data, assignment->text.len),
		                 false);
	messages_deliver(c, t);
	teammate_changed(c, t);
}

static void deliver_effect(struct coordinator *c, void *context)
{
	struct deliver *deliver = context;
	struct teammate *t = team_find(c, deliver->name);

	if (t)
		hand_over(c, t, deliver);
	deliver_drop(c, deliver, NULL);
}

void worker_deliver_later(struct coordinator *c, const struct teammate *t, int64_t attempt)
{
	struct deliver *deliver = xcalloc(1, sizeof *deliver);

	deliver->name = xstrdup(t->name);
	deliver->attempt = attempt;
	deliver->next = delivers;
	delivers = deliver;
	turn_inner_effect(c, deliver_effect, deliver_drop, deliver);
}

static bool may_go_early(const struct teammate *t)
{
	return t && t->takes_early && t->idle && t->idle->conn && t->idle->id;
}

static bool send_early(void *context)
{
	struct coordinator *c = context;
	bool any = false;

	for (struct deliver *deliver = delivers; deliver; deliver = deliver->next) {
		const struct teammate *t = deliver->line.len ? team_find(c, deliver->name) : NULL;

		if (!may_go_early(t))
			continue;
		deliver->sent =
		    rpc_peer_send_first(t->idle->conn->peer, deliver->line.data, deliver->line.len);
		any = any || deliver->sent;
	}
	return any;
}

void worker_tell_early(struct coordinator *c, bool may_wait)
{
	bool any = false;

	for (struct deliver *deliver = delivers; deliver; deliver = deliver->next) {
		const struct teammate *t = team_find(c, deliver->name);
		const struct buf *text = &deliver->assignment.text;

		if (!may_go_early(t) || !make(c, t, deliver) || deliver->assignment.has_slot)
			continue;
		rpc_write_result(&deliver->line, t->idle->id, text->data, text->len);
		any = true;
	}
	if (any)
		store_on_written(c->store, send_early, c, may_wait);
}
