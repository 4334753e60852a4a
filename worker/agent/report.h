/* What a headless agent says about itself in the JSON lines it prints: its final words, what
 * it used, what it is doing, and what went wrong with its service. Believed for display and
 * accounts, and when it says of itself that it could not go on; never that it is done. */
#ifndef PLEACH_WORKER_REPORT_H
#define PLEACH_WORKER_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct report;

/* kind: a profile's `output` (claude codex gemini opencode pi), or "acp". NULL where that is text,
 * absent or unknown: then there is nothing to read. Caller frees with report_free. */
struct report *report_new(const char *kind);
void report_free(struct report *report); /* NULL is accepted, here and below */

/* Output of the agent in any pieces. Lines that are not JSON objects are passed over. */
void report_add(struct report *report, const char *data, size_t len);
/* There is no more: what is left of a line counts as one. */
void report_end(struct report *report);

/* Who wants the stream in its parts: each JSON object, and whatever else is printed, as it comes.
 * Either function may be NULL. */
struct report_watch {
	void (*line)(void *context, const json_t *line);
	void (*plain)(void *context, const char *data, size_t len);
	void *context;
};
void report_watch(struct report *report, const struct report_watch *watch);
/* Words that came another way (ACP); more: they continue the last ones. */
void report_say(struct report *report, const char *text, bool more);
/* Sums that came another way (ACP); cost < 0: unknown. */
void report_used(struct report *report, int64_t input, int64_t output, double cost);
/* {"input_tokens","output_tokens","cost_usd"}, cached tokens included; null where unknown. New
 * reference. */
json_t *report_usage(const struct report *report);
/* That is the session's from its beginning, not this run's. */
bool report_counts_session(const struct report *report);
const char *report_text(const struct report *report);     /* the final words; borrowed or NULL */
const char *report_activity(const struct report *report); /* one line; borrowed or NULL */
/* The agent's own id of its session, as it says; not checked. Borrowed or NULL. */
const char *report_session(const struct report *report);
/* The error of the agent's service that the stream told last, when nothing came after it: the
 * agent stands still or has ended with it. Borrowed or NULL. status: of HTTP, until: when it is
 * over in milliseconds since the epoch; 0: not told. */
const char *report_problem(const struct report *report, int *status, int64_t *until);
/* Grows with every change of what was used and of the problem. */
unsigned report_version(const struct report *report);

#endif
