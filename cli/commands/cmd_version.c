/* pleach version: of the program and of what it speaks. */
#include <stdio.h>

#include "print.h"
#include "rpc.h"
#include "schema.h"

#define INTERFACE 1

static int version_exec(struct cli *cli, struct error *err)
{
	json_t *version;

	(void)err;
	if (!cli->json) {
		printf("pleach %s\n", PLEACH_VERSION);
		return 0;
	}
	version = json_pack("{s:s, s:i, s:i, s:i}", "version", PLEACH_VERSION, "protocol",
	                    RPC_PROTOCOL, "schema", STORE_SCHEMA, "interface", INTERFACE);
	print_json(version);
	json_decref(version);
	return 0;
}

static const struct option no_options[] = {{0}};

const struct command command_version = {
    .name = "version",
    .usage = "",
    .summary = "the version of pleach",
    .options = no_options,
    .exec = version_exec,
};
