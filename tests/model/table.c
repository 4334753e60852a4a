/* Writes the transition table of the coordinator as Promela: the model is checked with the very
 * table that the product runs, so the two cannot drift apart. It includes the table's source,
 * because the cells are nobody else's business. */
#include <ctype.h>
#include <stdio.h>

#include "../../coordinator/decide/transition.c"

#include "words.h"

static const char *cell_name(enum cell cell)
{
	switch (cell) {
	case CELL_REFUSED:
		return "CELL_REFUSED";
	case CELL_PENDING:
		return "CELL_PENDING";
	case CELL_IN_PROGRESS:
		return "CELL_IN_PROGRESS";
	case CELL_NEEDS_INPUT:
		return "CELL_NEEDS_INPUT";
	case CELL_COMPLETED:
		return "CELL_COMPLETED";
	case CELL_CANCELLED:
		return "CELL_CANCELLED";
	case CELL_CHOICE_COMPLETED:
		return "CELL_CHOICE_COMPLETED";
	case CELL_CHOICE_FAILED:
		return "CELL_CHOICE_FAILED";
	case CELL_FAIL:
		return "CELL_FAIL";
	case CELL_LOSE:
		return "CELL_LOSE";
	case CELL_ANSWER:
		return "CELL_ANSWER";
	}
	die("a cell without a name");
}

static void define(const char *name, int value)
{
	printf("#define %-24s %d\n", name, value);
}

int main(void)
{
#define DEFINE(symbol, word) define(#symbol, symbol);
	TASK_STATUSES(DEFINE)
	TASK_VERBS(DEFINE)
	ATTEMPT_OUTCOMES(DEFINE)
#undef DEFINE
	define("LOSSES_MAX", TRANSITION_LOSSES_MAX);
	for (int cell = CELL_REFUSED; cell <= CELL_ANSWER; cell++)
		define(cell_name((enum cell)cell), cell);
	printf("\n/* Where a verb leads a task of kind work. */\ninline look_up(verb)\n{\n\tif\n");
	for (int s = 0; s < (int)task_status_count; s++) {
		for (int v = 0; v < (int)task_verb_count; v++) {
			if (transition_allowed((enum task_status)s, (enum task_verb)v, KIND_WORK))
				printf(
				    "\t:: status == %d && verb == %d -> cell = %s /* %s: %s */\n",
				    s, v, cell_name(table[s][v]),
				    task_status_word((enum task_status)s),
				    task_verb_word((enum task_verb)v));
		}
	}
	printf("\t:: else -> cell = CELL_REFUSED\n\tfi\n}\n");
	return 0;
}
