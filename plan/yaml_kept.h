/* What the parser found in a file, kept for the next command: a small file is read again by each,
 * and loading the parser takes longer than all the rest of that. A file is known by its whole
 * content. Only events are kept: what they mean is looked at each time. What has `env` in any word
 * may hold secrets and is not kept. Whoever can write these files decides what plans mean: they
 * belong where the store is. */
#ifndef PLEACH_YAML_KEPT_H
#define PLEACH_YAML_KEPT_H

#include "yaml_event.h"

#define YAML_KEPT_FILE_MAX (256u << 10)   /* bytes of a file that is kept */
#define YAML_KEPT_FILES    64             /* files in the folder */
#define YAML_KEPT_SECONDS  (24 * 60 * 60) /* a new parser is asked then; older files are removed */

struct yaml_kept;

/* What is kept in dir (it need not be there) of these bytes, which are borrowed until
 * yaml_kept_free. NULL, which all the others take: nothing is to be kept. */
struct yaml_kept *yaml_kept_find(const char *dir, const char *data, size_t len);
/* Gives all of it: 0, or what `take` ended it with. 1: there is none. */
int yaml_kept_read(const struct yaml_kept *kept, yaml_take *take, void *context);
/* Adds what the parser found; writes it once the file was read without a mistake, and removes what
 * is too old. Where that cannot be written nothing is kept. */
void yaml_kept_note(struct yaml_kept *kept, const struct yaml_event *event);
void yaml_kept_write(struct yaml_kept *kept);
void yaml_kept_free(struct yaml_kept *kept);

#endif
