/* An agent's own session, as its PROFILE tells (docs/protocol.md): whether it has one that can be
 * gone on with, and how. Shared by whoever decides (coordinator) and whoever does it (worker). */
#ifndef PLEACH_SESSION_H
#define PLEACH_SESSION_H

#include <string.h>

#include "jsonl.h"

/* The id is ours: {session} of the command. */
static inline bool session_is_given(const json_t *profile)
{
	const char *word = json_text(profile, "session");

	return word && strcmp(word, "given") == 0;
}

/* The profile's way to go on: {"command":[ARG],"prompt":WAY}. Borrowed; NULL: it has none (an ACP
 * agent is asked over the protocol, if it can). */
static inline const json_t *session_way(const json_t *profile)
{
	const json_t *way = json_sub(profile, "resume");

	return json_array_size(json_object_get(way, "command")) ? way : NULL;
}

/* Comes from an agent and goes into an argument: an option it must not be. */
static inline bool session_is_id(const char *text)
{
	static const char set[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/-";
	size_t n = strlen(text);

	return n && n <= 200 && text[0] != '-' && !text[strspn(text, set)];
}

static inline bool session_can_resume(const json_t *profile)
{
	const char *mode = json_text(profile, "mode");

	return session_way(profile) || (mode && strcmp(mode, "acp") == 0);
}

#endif
