/* What is kept of a task's attempts: the refs that pleach-git lists, by the numbers of the task's
 * attempts in their names. Must not make or drop any. */
#include "kept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "connect.h"
#include "jsonl.h"

#define KEPT "refs/pleach/kept/"

/* The attempt that a ref is of: refs/pleach/kept/<attempt>, and what follows after a dash. */
static json_int_t attempt_of(const char *ref)
{
	const char *number = ref + strlen(KEPT);
	char *end = NULL;
	long long id;

	if (strncmp(ref, KEPT, strlen(KEPT)) != 0 || *number < '1' || *number > '9')
		return 0;
	errno = 0;
	id = strtoll(number, &end, 10);
	return errno == 0 && (*end == '\0' || *end == '-') ? id : 0;
}

int kept_of_task(struct cli *cli, const json_t *located, json_t **list, struct error *err)
{
	json_t *attempts = json_sub(located, "attempts"), *attempt, *ref, *answer = NULL;
	size_t i, k;

	*list = json_array();
	if (json_array_size(attempts) == 0)
		return 0;
	if (cli_git(cli, "kept", json_object(), &answer, err) < 0) {
		json_decref(*list);
		*list = NULL;
		return -1;
	}
	json_array_foreach (attempts, i, attempt) {
		json_array_foreach (json_sub(answer, "refs"), k, ref) {
			const char *name = json_text(ref, "ref");

			if (name && attempt_of(name) == json_integer_value(attempt))
				json_array_append(*list, ref);
		}
	}
	json_decref(answer);
	return 0;
}

const char *kept_find(const json_t *list, const char *name)
{
	json_t *ref;
	size_t i;

	json_array_foreach (list, i, ref) {
		const char *full = json_text(ref, "ref");

		if (!name || strcmp(full, name) == 0 || strcmp(full + strlen(KEPT), name) == 0)
			return json_text(ref, "commit");
	}
	return NULL;
}
