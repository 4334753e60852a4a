/* How a command ends: errors told once, at the edge, and the exit status. */
#ifndef PLEACH_CLI_REPORT_H
#define PLEACH_CLI_REPORT_H

#include "command.h"

/* Tells the error on stderr (`pleach: what: why (what to do)`, or JSON with --json) and returns
 * the exit status that belongs to it. */
int report_error(const struct cli *cli, const struct error *err);
/* A line on stderr, unless -q. */
void report_note(const struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Every text of a JSON list, as notes. */
void report_warnings(const struct cli *cli, const json_t *warnings);
/* Writes what stdout still holds. `status`, or 6 when it could not be written. */
int report_finish(const struct cli *cli, int status);

#endif
