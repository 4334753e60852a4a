/* Which machine this is: from /etc/machine-id, the boot id, the pid namespace, the host's name.
 * Reads only; judges only what another one wrote down about itself. */
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"
#include "place.h"
#include "proc.h"
#include "text.h"

struct machine {
	char id[65], boot[37], host[256];
	unsigned long long pidns;
};

static const char line_format[] = "machine %64s boot %36s pidns %llu host %255s";

static void machine_read(struct machine *m)
{
	_cleanup_free_ char *id = NULL;
	struct stat st;

	*m = (struct machine){.id = "-", .host = "-"};
	if (place_read_file("/etc/machine-id", 4096, &id, NULL, NULL) == 0 &&
	    strspn(id, " \n") == 0)
		snprintf(m->id, sizeof m->id, "%.*s", (int)strcspn(id, " \n"), id);
	proc_boot_id(m->boot);
	if (stat("/proc/self/ns/pid", &st) == 0)
		m->pidns = (unsigned long long)st.st_ino;
	if (gethostname(m->host, sizeof m->host - 1) < 0 || !m->host[0] || strchr(m->host, ' '))
		snprintf(m->host, sizeof m->host, "-");
	if (!m->id[0])
		snprintf(m->id, sizeof m->id, "-");
}

static bool machine_parse(const char *text, struct machine *m)
{
	const char *line = strstr(text, "machine ");

	*m = (struct machine){.pidns = 0};
	return line && sscanf(line, line_format, m->id, m->boot, &m->pidns, m->host) == 4;
}

char *machine_here(void)
{
	struct machine m;

	machine_read(&m);
	return xasprintf("machine %s boot %s pidns %llu host %s", m.id, m.boot, m.pidns, m.host);
}

bool machine_is_other(const char *text)
{
	struct machine here, there;

	if (!machine_parse(text, &there))
		return false;
	machine_read(&here);
	if (strcmp(here.boot, there.boot) == 0) /* the same kernel */
		return here.pidns != there.pidns;
	return strcmp(here.id, there.id) != 0 || strcmp(here.host, there.host) != 0;
}

char *machine_name(const char *text)
{
	struct machine m;

	if (!machine_parse(text, &m))
		machine_read(&m);
	return text_safe(m.host, 100);
}
