/* git programs, and what to do about one that was killed. Must not know what they are for. */
#include "program.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buf.h"
#include "files.h"

#define TRIES 3

/* What a killed one has said is said again. */
static void forget(struct buf *text, size_t len)
{
	if (!text || !text->data)
		return;
	text->len = len;
	text->data[len] = '\0';
}

int git_program(const struct proc_run *run, const char *const *locks, int *status,
                struct error *err)
{
	size_t out_len = run->out ? run->out->len : 0;
	size_t why_len = run->err_out ? run->err_out->len : 0;

	for (int i = 1;; i++) {
		bool locked[PROGRAM_LOCKS_MAX], killed; /* by somebody else */
		size_t n = 0;

		for (; locks && locks[n] && n < PROGRAM_LOCKS_MAX; n++)
			locked[n] = file_exists(locks[n]);
		if (proc_run(run, status, err) < 0)
			return -1;
		killed = WIFSIGNALED(*status) && WTERMSIG(*status) == SIGKILL;
		while (killed && n-- > 0)
			if (!locked[n])
				unlink(locks[n]);
		if (!killed || i == TRIES)
			return 0;
		forget(run->out, out_len);
		forget(run->err_out, why_len);
	}
}
