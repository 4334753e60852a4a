/* What .gitattributes files may do to the bytes of files, whichever paths they name: a verdict on
 * all of them at once, so that no pattern has to be matched. Private to git/. */
#ifndef PLEACH_GIT_ATTRIBUTES_H
#define PLEACH_GIT_ATTRIBUTES_H

#include "capture.h"

/* In order: the larger one of two counts. */
enum attributes {
	ATTRIBUTES_NONE,  /* nothing: marks for diff, merge, archives and web sites */
	ATTRIBUTES_LINES, /* CR LF may become LF when a file is added; nothing when it is checked
	                     out */
	ATTRIBUTES_OTHER, /* filters, encodings, keywords, or something that is not known here */
};

/* The text of one such file; it need not end with NUL. */
enum attributes attributes_judge(const char *text, size_t len);
/* Those that the index names, as they are in the working tree. */
enum attributes attributes_of_tree(const char *dir, const struct index_view *view);

#endif
