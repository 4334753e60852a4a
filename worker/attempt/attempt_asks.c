/* Leave that an agent asks for, by a hook or by ACP: the plan's policy decides, or a person; the
 * answer goes back the way it was asked. Every decision is told. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "attempt_private.h"
#include "hooks.h"
#include "jsonl.h"
#include "mem.h"
#include "text.h"

#define DECIDED_MAX 64 /* of hooks: what was decided lately, should they ask again */

struct ask {
	int64_t request; /* its number in this attempt */
	int64_t number, hook;
	char *nonce, *event, *title, *tool;
	json_t *options; /* acp's */
	struct ask *next;
};

struct decided {
	char *nonce, *output;
};

struct attempt_asks {
	int64_t requests;
	struct ask *first; /* the oldest first: it is the one that people see */
	struct decided decided[DECIDED_MAX];
	size_t decided_next;
};

static struct attempt_asks *asks_of(struct attempt *a)
{
	if (!a->asks)
		a->asks = xcalloc(1, sizeof *a->asks);
	return a->asks;
}

static void ask_free(struct ask *ask)
{
	free(ask->nonce);
	free(ask->event);
	free(ask->title);
	free(ask->tool);
	json_decref(ask->options);
	free(ask);
}

void attempt_asks_free(struct attempt *a)
{
	struct attempt_asks *asks = a->asks;

	if (!asks)
		return;
	while (asks->first) {
		struct ask *ask = asks->first;

		asks->first = ask->next;
		ask_free(ask);
	}
	for (size_t i = 0; i < DECIDED_MAX; i++) {
		free(asks->decided[i].nonce);
		free(asks->decided[i].output);
	}
	free(asks);
	a->asks = NULL;
}

bool attempt_asks_any(const struct attempt *a)
{
	return a->asks && a->asks->first;
}

/* ---- answering the agent ---- */

/* The option of ACP that means it; once rather than always, for a rule is the plan's to make. */
static const char *option_for(const json_t *options, enum permission decision)
{
	static const char *const allow[] = {"allow_once", "allow_always"};
	static const char *const deny[] = {"reject_once", "reject_always"};
	const char *const *kinds = decision == PERMISSION_ALLOW ? allow : deny;
	const json_t *option;
	size_t i;

	for (size_t k = 0; k < 2; k++) {
		json_array_foreach ((json_t *)options, i, option) {
			const char *kind = json_text(option, "kind");

			if (kind && strcmp(kind, kinds[k]) == 0)
				return json_text(option, "optionId");
		}
	}
	return NULL;
}

static void hook_answer(struct attempt *a, int64_t hook, const char *nonce, const char *output)
{
	struct attempt_asks *asks = asks_of(a);
	struct decided *d = &asks->decided[asks->decided_next++ % DECIDED_MAX];

	free(d->nonce);
	free(d->output);
	*d = (struct decided){xstrdup(nonce), xstrdup(output ? output : "")};
	control_tell(a->w, "hook.decided",
	             json_pack("{s:I, s:o}", "id", (json_int_t)hook, "output",
	                       json_text_or_null(d->output)));
}

static void told(struct attempt *a, const struct ask *ask, enum permission decision, const char *by,
                 const char *rule)
{
	control_tell(a->w, "permission.decided",
	             json_pack("{s:I, s:o, s:o, s:s, s:s, s:o}", "attempt", (json_int_t)a->id,
	                       "tool", json_text_or_null(ask->tool), "text",
	                       json_text_or_null(ask->title), "decision",
	                       decision == PERMISSION_ALLOW ? "allow" : "deny", "by", by, "rule",
	                       json_text_or_null(rule)));
}

/* option: of ACP, chosen by a person; NULL: the one that means the decision. */
static void answer(struct attempt *a, const struct ask *ask, enum permission decision,
                   const char *option, const char *reason)
{
	if (ask->number) {
		if (a->acp)
			acp_permit(a->acp, ask->number,
			           option ? option : option_for(ask->options, decision));
	} else {
		_cleanup_free_ char *output = hook_output(ask->event, decision, reason);

		hook_answer(a, ask->hook, ask->nonce, output);
	}
}

/* ---- what people see ---- */

static json_t *options_for_people(const struct ask *ask)
{
	json_t *list = json_array();
	const json_t *option;
	size_t i;

	json_array_foreach (ask->options, i, option) {
		const char *id = json_text(option, "optionId"), *name = json_text(option, "name");

		if (id)
			json_array_append_new(
			    list, json_pack("{s:s, s:s}", "id", id, "name", name ? name : id));
	}
	if (!json_array_size(list)) {
		json_array_append_new(list,
		                      json_pack("{s:s, s:s}", "id", "allow", "name", "Allow"));
		json_array_append_new(list, json_pack("{s:s, s:s}", "id", "deny", "name", "Deny"));
	}
	return list;
}

static void show_first(struct attempt *a, enum state_source source)
{
	const struct ask *ask = a->asks ? a->asks->first : NULL;
	_cleanup_json_ json_t *options = ask ? options_for_people(ask) : NULL;

	if (!ask) {
		attempt_report(a, &(struct state_report){.source = source, .state = AGENT_WORKING});
		return;
	}
	attempt_report(a, &(struct state_report){
	                      .source = ask->number ? STATE_ACP : STATE_HOOK,
	                      .state = AGENT_NEEDS_INPUT,
	                      .reason = "permission",
	                      .text = ask->title,
	                      .options = options,
	                      .request = ask->request,
	                  });
}

/* Takes it off the list and frees it. */
static void forget(struct attempt *a, struct ask *ask)
{
	enum state_source source = ask->number ? STATE_ACP : STATE_HOOK;
	bool shown = a->asks->first == ask;

	for (struct ask **at = &a->asks->first; *at; at = &(*at)->next) {
		if (*at == ask) {
			*at = ask->next;
			break;
		}
	}
	ask_free(ask);
	if (shown)
		show_first(a, source);
}

/* ---- deciding ---- */

static bool is_word(const char *a, const char *b)
{
	return a && strcmp(a, b) == 0;
}

/* Where no rule says anything. A hook's agent then does as it would without us, but for a
 * request that it would put to a person; ACP has nobody else to ask. Where the plan has rules,
 * what they do not cover is a person's to decide; without any, work goes on unattended. */
static enum permission otherwise(const json_t *policy, const struct attempt_asked *asked)
{
	static const char *const harmless[] = {"read", "edit", "move", "search", "think"};
	const char *mode = json_text(policy, "mode"), *kind = asked->request.kind;
	bool rules =
	    json_sub(policy, "allow") || json_sub(policy, "ask") || json_sub(policy, "deny");

	if (!asked->number && !is_word(asked->event, "PermissionRequest"))
		return PERMISSION_NONE;
	if (is_word(mode, "all"))
		return PERMISSION_ALLOW;
	if (is_word(mode, "ask"))
		return PERMISSION_ASK;
	for (size_t i = 0; kind && i < ARRAY_LEN(harmless); i++)
		if (strcmp(kind, harmless[i]) == 0)
			return PERMISSION_ALLOW;
	return rules || !asked->number ? PERMISSION_ASK : PERMISSION_DENY;
}

/* A hook that asks again: what was decided is said again, what waits gets its new number. */
static bool asked_before(struct attempt *a, const struct attempt_asked *asked)
{
	struct attempt_asks *asks = asks_of(a);

	for (size_t i = 0; asked->nonce && i < DECIDED_MAX; i++) {
		const struct decided *d = &asks->decided[i];

		if (!d->nonce || strcmp(d->nonce, asked->nonce) != 0)
			continue;
		control_tell(a->w, "hook.decided",
		             json_pack("{s:I, s:o}", "id", (json_int_t)asked->hook, "output",
		                       json_text_or_null(d->output)));
		return true;
	}
	for (struct ask *ask = asks->first; asked->nonce && ask; ask = ask->next) {
		if (ask->nonce && strcmp(ask->nonce, asked->nonce) == 0) {
			ask->hook = asked->hook;
			return true;
		}
	}
	return false;
}

static struct ask *ask_new(struct attempt *a, const struct attempt_asked *asked)
{
	struct ask *ask = xcalloc(1, sizeof *ask);
	const struct permission_request *r = &asked->request;

	ask->request = ++asks_of(a)->requests;
	ask->number = asked->number;
	ask->hook = asked->hook;
	ask->nonce = xstrdup(asked->nonce);
	ask->event = xstrdup(asked->event);
	ask->title = xstrdup(asked->title ? asked->title : "a tool");
	ask->tool = xstrdup(r->tool ? r->tool : r->kind);
	ask->options = asked->options ? json_deep_copy(asked->options) : NULL;
	return ask;
}

void attempt_ask(struct attempt *a, const struct attempt_asked *asked)
{
	const json_t *policy = json_sub(a->spec, "permissions");
	const char *rule = NULL;
	enum permission decision;
	struct ask *ask, **at;

	if (asked_before(a, asked))
		return;
	decision = permission_decide(policy, &asked->request, &rule);
	if (decision == PERMISSION_NONE)
		decision = otherwise(policy, asked);
	ask = ask_new(a, asked);
	if (decision == PERMISSION_ASK) {
		for (at = &a->asks->first; *at; at = &(*at)->next)
			;
		*at = ask;
		show_first(a, STATE_HOOK);
		return;
	}
	if (decision != PERMISSION_NONE)
		told(a, ask, decision, "policy", rule);
	answer(a, ask, decision, NULL, rule ? "decided by the plan's permissions" : NULL);
	ask_free(ask);
}

void attempt_ask_gone(struct attempt *a, int64_t number, int64_t hook)
{
	for (struct ask *ask = a->asks ? a->asks->first : NULL; ask; ask = ask->next) {
		if ((number && ask->number == number) || (hook && ask->hook == hook)) {
			forget(a, ask);
			return;
		}
	}
}

/* The option that was meant, by its id, its name or its number; NULL: none. */
static const json_t *option_meant(const struct ask *ask, const char *text)
{
	const json_t *option;
	char number[24];
	size_t i;

	json_array_foreach (ask->options, i, option) {
		const char *id = json_text(option, "optionId"), *name = json_text(option, "name");

		snprintf(number, sizeof number, "%zu", i + 1);
		if (id && (strcmp(id, text) == 0 || (name && strcasecmp(name, text) == 0) ||
		           strcmp(number, text) == 0))
			return option;
	}
	return NULL;
}

bool attempt_ask_answer(struct attempt *a, int64_t request, const char *text)
{
	enum permission decision = permission_answer(text);
	const json_t *option;
	struct ask *ask = a->asks ? a->asks->first : NULL;
	bool words;

	while (ask && ask->request != request)
		ask = ask->next;
	if (!ask)
		return false;
	option = option_meant(ask, text);
	if (option) {
		const char *kind = json_text(option, "kind");

		decision =
		    kind && strncmp(kind, "allow", 5) == 0 ? PERMISSION_ALLOW : PERMISSION_DENY;
	}
	/* Anything else is no leave, and something that the agent should know. */
	/* A hook's two options have numbers, too. */
	if (!ask->options && (strcmp(text, "1") == 0 || strcmp(text, "2") == 0))
		decision = *text == '1' ? PERMISSION_ALLOW : PERMISSION_DENY;
	words = decision == PERMISSION_NONE;
	if (words)
		decision = PERMISSION_DENY;
	told(a, ask, decision, "person", NULL);
	answer(a, ask, decision, option ? json_text(option, "optionId") : NULL,
	       words ? text : NULL);
	if (words && ask->number)
		attempt_say(a, text, strlen(text));
	forget(a, ask);
	return true;
}
