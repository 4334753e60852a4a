/* Rate limits as agents tell of them: is a text one, and when is it over. Pure: the clock comes in
 * as a number. What counts is decided by whoever calls: only text that the agent's stream names as
 * an error, or the end of what a failed one printed. */
#ifndef PLEACH_WORKER_LIMITS_H
#define PLEACH_WORKER_LIMITS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* No account waits longer than a week for its next allowance; whatever is told beyond is cut. */
#define LIMITS_WAIT_MAX_MS ((int64_t)8 * 24 * 3600 * 1000)

struct limits_found {
	int64_t until; /* milliseconds since the epoch; 0: not told, or told and past */
};

/* Against a profile's `limits`: [{"match":ERE,"until":WORD|null}], case ignored, line by line; the
 * last line that matches counts. */
bool limits_match(const json_t *patterns, const char *text, int64_t now_ms,
                  struct limits_found *out);
/* An error of a service as such, of any maker: by its status (429, 503, 529) or its words. */
bool limits_of_service(const char *text, int status, int64_t now_ms, struct limits_found *out);
/* What `text` says by the word: seconds minutes epoch clock iso. 0: nothing that can be meant. */
int64_t limits_until(const char *word, const char *text, int64_t now_ms);
/* The time that a sentence names: "try again in 2 hours 5 minutes", "resets 3pm",
 * "reached|1755806400". 0: none. */
int64_t limits_sentence(const char *text, int64_t now_ms);

#endif
