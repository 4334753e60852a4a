/* The words of the task model: both directions, from the lists in words.h. */
#include "words.h"

#include <stddef.h>
#include <string.h>

#define WORD_ITEM(name, word) [name] = word,
#define WORDS_DEFINE(type, LIST, fn)                                                               \
	static const char *const fn##_words[] = {LIST(WORD_ITEM)};                                 \
	const char *fn##_word(enum type value)                                                     \
	{                                                                                          \
		return (unsigned)value < type##_count ? fn##_words[value] : "unknown";             \
	}                                                                                          \
	bool fn##_from_word(const char *word, enum type *out)                                      \
	{                                                                                          \
		for (int i = 0; word && i < (int)type##_count; i++) {                              \
			if (strcmp(fn##_words[i], word) == 0) {                                    \
				*out = (enum type)i;                                               \
				return true;                                                       \
			}                                                                          \
		}                                                                                  \
		return false;                                                                      \
	}

WORDS_DEFINE(task_status, TASK_STATUSES, task_status)
WORDS_DEFINE(task_verb, TASK_VERBS, task_verb)
WORDS_DEFINE(task_kind, TASK_KINDS, task_kind)
WORDS_DEFINE(attempt_outcome, ATTEMPT_OUTCOMES, attempt_outcome)
WORDS_DEFINE(task_error, TASK_ERRORS, task_error)
WORDS_DEFINE(landing_state, LANDING_STATES, landing_state)
WORDS_DEFINE(teammate_state, TEAMMATE_STATES, teammate_state)
WORDS_DEFINE(agent_mode, AGENT_MODES, agent_mode)
