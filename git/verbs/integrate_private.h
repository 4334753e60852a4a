/* What the files of the integration slot share. */
#ifndef PLEACH_GIT_INTEGRATE_PRIVATE_H
#define PLEACH_GIT_INTEGRATE_PRIVATE_H

#include "integrate.h"
#include "slot_internal.h"

struct integration {
	struct slot *slot;
	const json_t *request;
};

#endif
