/* The integration slot: a slot of its own, detached, for proofs of merged commits. */
#include "integrate_private.h"

#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "mem.h"
#include "verify.h"

#define TEAMMATE "integration"

int integration_open(const json_t *request, const char *base, struct integration **out,
                     struct error *err)
{
	const char *dir = json_text(request, "slot");
	struct integration *integration;
	struct slot *slot = NULL;

	if (!dir || *dir != '/')
		return error_set(err, ERROR_INVALID, "slot must be an absolute path");
	if (slot_open(json_text(request, "root"), dir, TEAMMATE, json_text(request, "pinned"), base,
	              NULL, &slot, err) < 0)
		return -1;
	/* What a proof of a merge changes is nobody's work. */
	slot->scratch = true;
	integration = xcalloc(1, sizeof *integration);
	integration->slot = slot;
	integration->request = request;
	*out = integration;
	return 0;
}

void integration_close(struct integration *integration)
{
	if (!integration)
		return;
	slot_close(integration->slot);
	free(integration);
}

static int run_command(struct integration *integration, const json_t *item, const json_t *command,
                       double timeout_s, struct verify_result *out, struct error *err)
{
	_cleanup_json_ json_t *env = json_object();
	struct verify_run run = {
	    .command = command,
	    .dir = slot_dir(integration->slot),
	    .env = env,
	    .log = json_text(integration->request, "log"),
	    .timeout_s = timeout_s,
	};

	json_object_update(env, json_sub(integration->request, "env"));
	json_object_update(env, json_sub(item, "env"));
	return verify_run(&run, out, err);
}

/* A field of the item, or of the whole request where the item has none. */
static const json_t *field(const struct integration *integration, const json_t *item,
                           const char *key)
{
	const json_t *own = json_object_get(item, key);

	return own && !json_is_null(own) ? own : json_object_get(integration->request, key);
}

static int set_up(struct integration *integration, const json_t *item, struct error *err)
{
	const json_t *command = field(integration, item, "setup");
	struct verify_result result = {.tail = NULL};
	int rc = 0;

	if (!slot_is_new(integration->slot))
		return 0;
	if (json_is_string(command) || json_is_array(command)) {
		if (run_command(integration, item, command, 0, &result, err) < 0)
			return -1;
		if (result.exit_code != 0)
			rc = error_set(err, ERROR_NEEDS_PERSON,
			               "setup of the integration slot: exit %d (see its log)",
			               result.exit_code);
		free(result.tail);
	}
	if (rc == 0)
		slot_set_up(integration->slot);
	return rc;
}

int integration_verify(struct integration *integration, const json_t *item, const json_t *verify,
                       const char *base, const char *commit, struct integration_result *out,
                       struct error *err)
{
	_cleanup_strv_ char **protect = json_strv(json_sub(verify, "protect"));
	_cleanup_strv_ char **copy = json_strv(field(integration, item, "copy"));
	_cleanup_strv_ char **link = json_strv(field(integration, item, "link"));
	_cleanup_strv_ char **when = json_strv(field(integration, item, "setup_when"));
	const json_t *command = json_object_get(verify, "command");
	struct slot *slot = integration->slot;
	struct verify_result result = {.tail = NULL};

	const struct slot_order order = {.base = commit,
	                                 .copy = (const char *const *)copy,
	                                 .link = (const char *const *)link,
	                                 .setup_when = (const char *const *)when};

	if (slot_switch(slot, 0, &order, err) < 0 || set_up(integration, item, err) < 0 ||
	    slot_prove_begin(slot, base, (const char *const *)protect, json_text(verify, "overlay"),
	                     err) < 0)
		return -1;
	if (run_command(integration, item, command, json_num(verify, "timeout", 0), &result, err) <
	    0) {
		slot_prove_end(slot, 0, commit, NULL);
		return -1;
	}
	if (slot_prove_end(slot, 0, commit, err) < 0) {
		free(result.tail);
		return -1;
	}
	out->command = verify_command_text(command);
	out->exit_code = result.exit_code;
	out->seconds = result.seconds;
	out->tail = result.tail;
	return 0;
}
