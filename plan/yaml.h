/* YAML read into a tree that knows where everything stood, with limits on bytes, depth and
 * nodes; aliases are shared and counted in full, so that a small file cannot become a huge
 * tree. What the values mean is not known here. */
#ifndef PLEACH_YAML_H
#define PLEACH_YAML_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

enum yaml_type { YAML_SCALAR, YAML_LIST, YAML_MAP };

/* What a scalar is by the core schema of YAML 1.2. Quoted: always text. */
enum yaml_scalar { YAML_TEXT, YAML_NULL, YAML_BOOL, YAML_INT, YAML_REAL };

/* 40 bytes: a large plan is a hundred thousand of them. Which member of the unions holds
 * is said by type and scalar. */
struct yaml_node {
	int line;        /* from 1 */
	int column;      /* from 1, in characters */
	uint32_t size;   /* nodes below and this one, aliases in full */
	uint16_t height; /* levels, this one included, aliases in full */
	uint8_t type;    /* enum yaml_type */
	uint8_t scalar;  /* enum yaml_scalar */
	bool filled;     /* of a scalar: values were put in that the file does not hold */
	union {
		struct {                  /* of a scalar: what is written there, UTF-8 */
			const char *text; /* without NUL, NUL-terminated */
			size_t len;
		};
		struct { /* of a list: items; of a map: key, value, key… (keys are scalars) */
			struct yaml_node **items;
			size_t count; /* entries of items: twice the pairs of a map */
		};
	};
	union {
		bool boolean;
		json_int_t integer;
		double real;
	};
};

struct yaml_doc;

struct yaml_limits {
	size_t depth;
	size_t nodes;
	const char *kept; /* yaml_kept.h; NULL: nowhere */
};

/* Reads one document. `name` is what errors call the file: they are INVALID,
 * `NAME:LINE:COLUMN: what`. `*out` stays valid until yaml_free. */
int yaml_parse(const char *name, const char *data, size_t len, const struct yaml_limits *limits,
               struct yaml_doc **out, struct error *err);
void yaml_free(struct yaml_doc *doc); /* NULL is accepted */
/* The root; NULL when the file holds nothing but comments. Borrowed until yaml_free. */
const struct yaml_node *yaml_root(const struct yaml_doc *doc);

/* The value under a key of a map, or NULL. Borrowed. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
/* Zeroed memory that lives as long as the document, for nodes made from its own. */
void *yaml_alloc(struct yaml_doc *doc, size_t size);
/* As JSON. New reference. */
json_t *yaml_json(const struct yaml_node *node);

#endif
