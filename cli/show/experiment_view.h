/* How an experiment looks: a table for people, CSV for programs, Markdown for reports. */
#ifndef PLEACH_CLI_EXPERIMENT_VIEW_H
#define PLEACH_CLI_EXPERIMENT_VIEW_H

#include "command.h"

/* What experiment_count gave. `format`: table, csv or md. */
int experiment_print(const struct cli *cli, const json_t *counted, const char *format,
                     struct error *err);

#endif
