/* Looks after what lies on the disk while we serve: the repository, the state directory, the
 * runtime directory. Somebody may clean up, move or remove them. What vanished is written anew from
 * what we still hold, then the process ends and its supervisor starts it on what is there; workers
 * hold what they run meanwhile. Must not touch anything that is there. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coordinator.h"
#include "log.h"
#include "mem.h"

#define LOOK_MS    10000
#define PINNED_MAX (16u << 20)

struct places {
	uv_timer_t timer;
	uv_signal_t asked;
	char *store_file, *secret_file;
	dev_t store_dev;
	ino_t store_ino;
	char *pinned; /* what pinned.json holds; NULL: nothing yet */
	size_t pinned_len;
	int missing; /* how often in a row the repository was not there */
};

static bool is_missing(const char *path)
{
	return access(path, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR);
}

/* Back to the supervisor, which starts us again on what is there now. */
static void end_to_start_again(void *context)
{
	struct coordinator *c = context;

	turn_close(c);
	turn_sync_finish(c);
	proc_end(1);
}

static void start_again(struct coordinator *c)
{
	if (c->views) /* its tmux server can be reached by nobody else any more */
		views_close(c->views, end_to_start_again, c);
	else
		end_to_start_again(c);
}

/* ---- the state directory ---- */

static bool store_is_there(const struct places *p)
{
	struct stat st;

	if (stat(p->store_file, &st) < 0)
		return errno != ENOENT && errno != ENOTDIR;
	return st.st_ino == p->store_ino && st.st_dev == p->store_dev;
}

static int make_state_dirs(const struct coordinator *c, struct error *err)
{
	static const char *const below[] = {"attempts", "workers"};

	for (size_t i = 0; i < ARRAY_LEN(below); i++) {
		_cleanup_free_ char *dir = xasprintf("%s/%s", c->place.state_dir, below[i]);

		if (place_make_private_dir(dir, err) < 0)
			return -1;
	}
	return 0;
}

/* The open connection still has all of it, though no name leads there any more. A log of what was
 * not yet in the file would be taken for the new one's: it goes first. */
static int rescue_store(struct coordinator *c, struct error *err)
{
	struct places *p = c->places;
	_cleanup_free_ char *fresh = xasprintf("%s.rescued", p->store_file);
	_cleanup_free_ char *wal = xasprintf("%s-wal", p->store_file);

	if (make_state_dirs(c, err) < 0)
		return -1;
	if (is_missing(p->secret_file) &&
	    place_write_file(p->secret_file, c->secret.bytes, sizeof c->secret.bytes, err) < 0)
		return -1;
	unlink(fresh);
	if (store_snapshot(c->store, fresh, err) < 0)
		return -1;
	unlink(wal);
	if (rename(fresh, p->store_file) < 0)
		return error_errno(err, "cannot write %s", p->store_file);
	return 0;
}

static void look_after_state(struct coordinator *c)
{
	struct places *p = c->places;
	_cleanup_free_ char *notice = NULL;
	struct error err = ERROR_INIT;

	turn_close(c);
	if (!is_missing(p->store_file)) { /* somebody put another one there */
		log_error("places", "%s was replaced: it is taken up", p->store_file);
		start_again(c);
		return;
	}
	notice =
	    xasprintf("the state directory %s was removed while the team worked: the store was "
	              "written anew, logs of before are gone",
	              c->place.state_dir);
	notice_set(c, notice);
	turn_close(c);
	if (rescue_store(c, &err) < 0) {
		log_error("places", "%s", err.text); /* tried again with the next look */
		return;
	}
	start_again(c);
}

/* ---- the runtime directory ---- */

void places_pinned(struct coordinator *c)
{
	struct places *p = c->places;
	char *text;

	if (!p || place_read_file(c->pinned_file, PINNED_MAX, &text, &p->pinned_len, NULL) < 0)
		return;
	free(p->pinned);
	p->pinned = text;
}

/* Sockets cannot be written anew by us: the supervisor listens again. */
static void look_after_runtime(struct coordinator *c)
{
	struct places *p = c->places;
	struct error err = ERROR_INIT;

	log_warn("places", "%s has vanished: it is made anew", c->place.socket);
	if (place_make_private_dir(c->place.runtime_dir, &err) < 0 ||
	    environment_write(c, &err) < 0 ||
	    (p->pinned && place_write_file(c->pinned_file, p->pinned, p->pinned_len, &err) < 0))
		log_error("places", "%s", err.text);
	start_again(c);
}

/* ---- the repository ---- */

/* Moved or removed: nobody can find us from there any more, and git finds nothing. Seen twice, for
 * a disk may be away for a moment. Attempts are released, as with `down --now`. */
static void look_after_repository(struct coordinator *c, bool asked)
{
	if (++c->places->missing < 2 && !asked)
		return;
	log_error("places", "%s is not there any more (moved or removed): the team ends",
	          c->place.root);
	serve_release_all(c);
}

static void look(struct coordinator *c, bool asked)
{
	if (c->ending || c->draining)
		return;
	if (is_missing(c->place.common_dir)) {
		look_after_repository(c, asked);
		return;
	}
	c->places->missing = 0;
	if (!store_is_there(c->places))
		look_after_state(c);
	else if (is_missing(c->place.socket))
		look_after_runtime(c);
}

static void on_timer(uv_timer_t *timer)
{
	look(timer->data, false);
}

static void on_asked(uv_signal_t *signal, int number)
{
	(void)number;
	look(signal->data, true);
}

void places_watch(struct coordinator *c)
{
	struct places *p = xcalloc(1, sizeof *p);
	struct stat st;

	c->places = p;
	p->store_file = xasprintf("%s/store.db", c->place.state_dir);
	p->secret_file = xasprintf("%s/secret", c->place.state_dir);
	if (stat(p->store_file, &st) == 0) {
		p->store_dev = st.st_dev;
		p->store_ino = st.st_ino;
	}
	places_pinned(c);
	uv_timer_init(&c->loop, &p->timer);
	uv_signal_init(&c->loop, &p->asked);
	p->timer.data = p->asked.data = c;
	uv_timer_start(&p->timer, on_timer, LOOK_MS, LOOK_MS);
	uv_unref((uv_handle_t *)&p->timer);
	uv_signal_start(&p->asked, on_asked, SIGUSR1);
}
