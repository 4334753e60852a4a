/* Reads the answer to list-panes. */
#include "tmux_panes.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

#define PANES_MAX 4096 /* more panes than this are not ours to look at */

bool tmux_is_id(const char *text, char sigil)
{
	size_t digits = 0;

	if (text[0] != sigil)
		return false;
	while (isdigit((unsigned char)text[1 + digits]))
		digits++;
	return digits > 0 && digits < TMUX_ID_MAX - 1 && text[1 + digits] == '\0';
}

static bool take_field(const char **p, char stop, char *out, size_t size)
{
	const char *end = strchr(*p, stop);

	if (!end || (size_t)(end - *p) >= size)
		return false;
	memcpy(out, *p, (size_t)(end - *p));
	out[end - *p] = '\0';
	*p = end + 1;
	return true;
}

/* The name behind ` --view ` in the command that the pane was started with. */
static void name_from_command(const char *command, char out[TEXT_TEAMMATE_MAX + 1])
{
	static const char flag[] = " --view ";
	const char *p = strstr(command, flag);
	size_t len;

	out[0] = '\0';
	if (!p)
		return;
	p += strlen(flag);
	len = strcspn(p, " ");
	if (len > TEXT_TEAMMATE_MAX)
		return;
	memcpy(out, p, len);
	out[len] = '\0';
	if (!text_is_teammate(out))
		out[0] = '\0';
}

static bool read_pane(const char *line, struct tmux_pane *out)
{
	char pid[16];
	char *end;
	const char *p = line;

	memset(out, 0, sizeof *out);
	if (!take_field(&p, ' ', out->id, sizeof out->id) || !tmux_is_id(out->id, '%') ||
	    !take_field(&p, ' ', out->window, sizeof out->window) ||
	    !tmux_is_id(out->window, '@') || !take_field(&p, ' ', pid, sizeof pid))
		return false;
	long n = strtol(pid, &end, 10);
	if (n <= 0 || *end != '\0')
		return false;
	out->pid = (pid_t)n;
	/* Too long a name is nobody's, but the pane is there. */
	if (take_field(&p, '|', out->teammate, sizeof out->teammate) &&
	    text_is_teammate(out->teammate)) {
		out->tagged = true;
		return true;
	}
	name_from_command(p, out->teammate);
	return true;
}

size_t tmux_panes_read(const char *text, struct tmux_pane **out)
{
	struct tmux_pane *panes = NULL;
	size_t count = 0, cap = 0;

	while (*text && count < PANES_MAX) {
		size_t len = strcspn(text, "\n");
		_cleanup_free_ char *line = xstrndup(text, len);

		if (count == cap) {
			cap = cap ? cap * 2 : 16;
			panes = xrealloc(panes, cap * sizeof *panes);
		}
		if (read_pane(line, &panes[count]))
			count++;
		text += len + (text[len] == '\n');
	}
	*out = panes;
	return count;
}
