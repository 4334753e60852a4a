/* One run being followed: what follow.c learns and follow_show.c shows. Private to them. */
#ifndef PLEACH_CLI_FOLLOW_PRIVATE_H
#define PLEACH_CLI_FOLLOW_PRIVATE_H

#include <stdint.h>

#include "follow.h"

enum show { SHOW_SCREEN, SHOW_LINES, SHOW_JSON, SHOW_NOTHING };

struct run {
	struct cli *cli;
	const struct follow *what;
	enum show show;
	int signals;
	int64_t wait_id, changes_id, tasks_id, team_id; /* requests under way; 0: none */
	json_t *asked; /* [id] that are being read, `at` of them so far, into `got` */
	json_t *got;   /* [Task] */
	size_t at;
	int64_t since;
	int64_t began_ms, read_ms, team_ms, changes_ms;
	json_t *tasks;      /* [Task] in order of ids */
	json_t *index;      /* task_index of them */
	json_t *read;       /* [Task]: those of them that were read last */
	json_t *teammates;  /* or NULL */
	json_t *ours;       /* {id: true} of the run's tasks */
	json_t *told;       /* {id: what was last told of it}, for lines */
	json_t *changed;    /* {id: true} that another's change may have moved, to be read */
	json_t *fresh;      /* {id: true} that changed while others are being read: they stand */
	size_t key_columns; /* screen_key_columns of tasks */
	bool all_changed, team_changed;
	char *notice; /* why nothing starts, or NULL */
	char **frame; /* what the terminal shows */
	bool resized;
	bool settled; /* all of them are; `last` is the number of the last event that led there */
	int64_t last;
	bool over; /* and all of that was read */
};

/* Takes the events of an answer to run.changes or event.list: what no Task says; as JSON all of
 * them. */
void follow_take_events(struct run *run, const json_t *result);
/* Takes the tasks of an answer to run.changes, and marks what else must be read: a change of one
 * moves what it blocks, and the choice it belongs to. Failures and questions may make anything
 * stuck. */
void follow_take_changes(struct run *run, const json_t *tasks);
/* The ids to read: all, those that may have become stuck, or what was moved. New reference. */
json_t *follow_ids_to_read(const struct run *run);
/* Takes tasks as they are now; the first ones must be all of the run. */
void follow_take_tasks(struct run *run, json_t *tasks);
/* Takes what was read, but for those that changed since that was asked for: they are known better.
 */
void follow_take_read(struct run *run);
/* At the end: the hint names a task, whose name is read if it is not known. */
void follow_want_name(struct run *run);
/* A task that was read is at work again, or about to be. */
bool follow_goes_on(const struct run *run);
/* Shows what is known by now; on a screen only what changed. */
void follow_show(struct run *run);
/* The last frame, the last lines, or the summary object. */
void follow_show_end(struct run *run);
/* That it goes on, and how to return. */
void follow_tell_detached(const struct run *run);
/* That nothing of it runs any more, that its work is kept, and how to go on. */
void follow_tell_released(const struct run *run);

#endif
