/* Answers: made within a turn, sent once it is committed and on the disk, at once or much later.
 * Must not be gone around: what is sent past this file may tell of what a power cut takes. */
#include <stdlib.h>

#include "coordinator.h"
#include "jsonl.h"
#include "mem.h"
#include "rpc.h"

struct reply {
	struct later *later;
	json_t *result;
	int64_t task;      /* the result will be this task, as it is in reply_prepare; 0: not */
	json_t *text;      /* a result that is encoded: instead */
	struct error *err; /* instead of a result */
	bool own;          /* the request's own step: its failure is answered by who ran it */
};

struct later *request_later(struct request *r)
{
	struct later *later = xcalloc(1, sizeof *later);

	later->conn = r->conn;
	later->id = r->id ? json_incref((json_t *)r->id) : NULL;
	later->next = r->conn->laters;
	r->conn->laters = later;
	later->request = r;
	return later;
}

static void later_free(struct later *later)
{
	if (later->conn) {
		for (struct later **at = &later->conn->laters; *at; at = &(*at)->next) {
			if (*at == later) {
				*at = later->next;
				break;
			}
		}
	}
	json_decref(later->id);
	free(later);
}

void later_done(struct later *later)
{
	later_free(later);
}

static void reply_free(struct reply *reply)
{
	later_free(reply->later);
	json_decref(reply->result);
	json_decref(reply->text);
	free(reply->err);
	free(reply);
}

static void reply_fails(struct reply *reply, const struct error *err)
{
	reply->err = xcalloc(1, sizeof *reply->err);
	*reply->err = *err;
}

/* Makes and encodes it. */
static void reply_prepare(struct coordinator *c, void *context)
{
	struct reply *reply = context;
	_cleanup_free_ char *text = NULL;
	struct error why = ERROR_INIT;

	if (!reply->later->conn || !reply->later->id)
		return;
	if (reply->task) {
		reply->text = task_encoded(c, reply->task);
		if (store_failed(c->store, &why)) /* what it read may be half of it */
			reply_fails(reply, &why);
	}
	if (!reply->result || reply->err)
		return;
	text = jsonl_text(reply->result);
	reply->text = json_string_nocheck(text);
	json_decref(reply->result);
	reply->result = NULL;
}

static void reply_send(struct coordinator *c, void *context)
{
	struct reply *reply = context;
	struct later *later = reply->later;

	(void)c;
	if (later->conn && later->id && reply->err)
		rpc_peer_reply_error(later->conn->peer, later->id, reply->err);
	else if (later->conn && later->id && reply->text)
		rpc_peer_reply_text(later->conn->peer, later->id, reply->text);
	else if (later->conn && later->id)
		rpc_peer_reply(later->conn->peer, later->id, json_incref(reply->result));
	reply_free(reply);
}

static void reply_drop(struct coordinator *c, void *context, const struct error *why)
{
	struct reply *reply = context;
	struct later *later = reply->later;

	(void)c;
	if (later->conn && later->id && (why || !reply->own)) {
		rpc_peer_reply_error(later->conn->peer, later->id, why ? why : &gitq_undone);
		if (later->request)
			later->request->failed = true;
	}
	reply_free(reply);
}

static struct reply *reply_new(struct later *later)
{
	struct reply *reply = xcalloc(1, sizeof *reply);

	reply->later = later;
	return reply;
}

static void reply_queue(struct coordinator *c, struct later *later, json_t *result,
                        const struct error *err, bool own)
{
	struct reply *reply = reply_new(later);

	reply->result = result;
	reply->own = own;
	if (err)
		reply_fails(reply, err);
	turn_prepared_effect(c, reply_prepare, reply_send, reply_drop, reply);
}

static void reply_queue_task(struct coordinator *c, struct later *later, int64_t task, bool own)
{
	struct reply *reply = reply_new(later);

	reply->task = task;
	reply->own = own;
	turn_prepared_effect(c, reply_prepare, reply_send, reply_drop, reply);
}

void request_reply_task(struct request *r, int64_t task)
{
	reply_queue_task(r->c, request_later(r), task, true);
}

void later_reply_task(struct coordinator *c, struct later *later, int64_t task)
{
	reply_queue_task(c, later, task, false);
}

void request_reply(struct request *r, json_t *result)
{
	reply_queue(r->c, request_later(r), result, NULL, true);
}

static void reply_queue_text(struct coordinator *c, struct reply *reply, bool patient)
{
	if (patient)
		turn_patient_effect(c, reply_send, reply_drop, reply);
	else
		turn_effect(c, reply_send, reply_drop, reply);
}

void request_reply_text(struct request *r, json_t *text, bool patient)
{
	struct reply *reply = reply_new(request_later(r));

	reply->text = text;
	reply->own = true;
	reply_queue_text(r->c, reply, patient);
}

void later_reply(struct coordinator *c, struct later *later, json_t *result)
{
	reply_queue(c, later, result, NULL, false);
}

void later_reply_text(struct coordinator *c, struct later *later, json_t *text, bool patient)
{
	struct reply *reply = reply_new(later);

	reply->text = text;
	reply_queue_text(c, reply, patient);
}

void later_fail(struct coordinator *c, struct later *later, const struct error *err)
{
	reply_queue(c, later, NULL, err, false);
}
