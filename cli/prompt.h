/* Text that a person gives: words of the command line, a file, standard input, or typed. */
#ifndef PLEACH_CLI_PROMPT_H
#define PLEACH_CLI_PROMPT_H

#include "command.h"

/* The words from args[from] on, joined by spaces; NULL when there are none. Caller frees. */
char *prompt_words(const struct cli *cli, size_t from);
/* A prompt from the arguments (from args[from]) or -F FILE; INVALID when both are given, or
 * neither and it is `needed`. NULL when there is none. Caller frees. */
int prompt_read(const struct cli *cli, size_t from, bool needed, char **out, struct error *err);
/* Asks on the terminal. INVALID without one or with --no-input. Caller frees. */
int prompt_ask(const struct cli *cli, const char *question, char **out, struct error *err);

#endif
