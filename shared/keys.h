/* The keys by which a person leaves or enlarges a screen, as `keys:` of a plan or configuration
 * names them: a table {ACTION: KEY}. A KEY is `C-x` (a small letter), `M-x` (a letter or digit) or
 * `F1`…`F12`: words that tmux knows too. `none` takes a key away. */
#ifndef PLEACH_KEYS_H
#define PLEACH_KEYS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* action, its name, its key where nobody says otherwise */
#define KEY_ACTIONS(X)                                                                             \
	X(KEY_DETACH, "detach", "C-q")     /* leave the screen */                                  \
	X(KEY_NEXT, "next", "M-n")         /* the next teammate that needs a person */             \
	X(KEY_ZOOM, "zoom", "M-z")         /* one pane over the whole window, and back */          \
	X(KEY_TEAMMATE, "teammate", "M-1") /* M-1…9: the teammate of that place; or none */
enum key_action {
#define X(name, word, key) name,
	KEY_ACTIONS(X)
#undef X
	    key_action_count
};

const char *key_action_word(enum key_action action);

/* True for `none` and for a KEY that this action can have. */
bool key_is_valid(enum key_action action, const char *key);

/* The key of an action in a table (NULL: nothing was said), `none` where it has none or what is
 * there is no KEY. Borrowed from the table or for ever. */
const char *key_of(const json_t *table, enum key_action action);

/* How many of these bytes, at their begin, are that key as a terminal sends it; 0: they are not. */
size_t key_match(const char *key, const char *bytes, size_t len);

#endif
