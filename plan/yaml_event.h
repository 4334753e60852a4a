/* What a YAML file holds, one thing after the other: between libfyaml, which finds it
 * (yaml_reader.c), and yaml.c, which makes a tree of it. */
#ifndef PLEACH_YAML_EVENT_H
#define PLEACH_YAML_EVENT_H

#include <stddef.h>

#include "error.h"

enum yaml_event_type {
	YAML_EVENT_DOCUMENT, /* one begins */
	YAML_EVENT_SCALAR,
	YAML_EVENT_ALIAS, /* text: its name */
	YAML_EVENT_LIST,  /* one begins */
	YAML_EVENT_MAP,
	YAML_EVENT_END, /* of the list or map that began last */
	YAML_EVENT_BAD, /* nothing follows; text: why it is not YAML */
};

enum yaml_style { YAML_PLAIN, YAML_QUOTED, YAML_BLOCK };

struct yaml_text {
	const char *data; /* any bytes, no NUL behind them; NULL: none */
	size_t len;
};

struct yaml_event {
	enum yaml_event_type type;
	enum yaml_style style; /* of a scalar */
	int line, column; /* from 1; 0: it stands nowhere. Of a quoted scalar: behind the quote */
	struct yaml_text text, tag, anchor;
};

/* 0: go on; else the reading ends with that. The event is the caller's. */
typedef int yaml_take(void *context, const struct yaml_event *event);

/* Reads UTF-8 without a byte order mark. 0 at its end, or what `take` ended it with; -1 EXTERNAL
 * where the reader does not start. `name` is what errors call the file. Two are there: that of
 * yaml_reader.c, for tests, and that of yaml_load.c, which loads it from pleach-yaml.so. */
int yaml_read_events(const char *name, const char *data, size_t len, yaml_take *take, void *context,
                     struct error *err);

/* What pleach-yaml.so gives. */
struct yaml_module {
	unsigned version; /* YAML_MODULE_VERSION */
	int (*read_events)(const char *name, const char *data, size_t len, yaml_take *take,
	                   void *context, struct error *err);
};
#define YAML_MODULE_VERSION 1
#define YAML_MODULE_SYMBOL  "pleach_yaml_module"
#define YAML_MODULE_FILE    "pleach-yaml.so"

#endif
