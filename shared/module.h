/* Modules: parts of a program that only some of its runs need, loaded when they do. They lie
 * beside the programs in a build folder, in ../lib/pleach where pleach is installed. */
#ifndef PLEACH_MODULE_H
#define PLEACH_MODULE_H

#include "error.h"

/* The symbol of a module. `file` is its bare name; `version` what the module's symbol must begin
 * with (an unsigned), so that none of another build is taken. Loaded for good.
 * Borrowed; NULL with EXTERNAL. */
const void *module_load(const char *file, const char *symbol, unsigned version, struct error *err);

#endif
