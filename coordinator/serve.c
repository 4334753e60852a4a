/* The serving process: the loop, connections, and dispatch. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coordinator.h"
#include "jsonl.h"
#include "log.h"
#include "mem.h"
#include "rpc.h"
#include "text.h"

#define ACCEPT_PAUSE_MS 100  /* without a free descriptor */
#define END_PATIENCE_MS 5000 /* how long idle workers and pleach-git may take to end */
#define ASK_AGAIN_MS    5000 /* within this a command asks the next process again */

/* ---- requests ---- */

struct dispatch {
	struct request *request;
	int (*run)(struct request *r, struct error *err);
};

static int dispatch_step(struct coordinator *c, void *context, struct error *err)
{
	struct dispatch *dispatch = context;

	(void)c;
	return dispatch->run(dispatch->request, err);
}

static int hello_cli(struct request *r, struct error *err)
{
	const char *token = json_text(r->params, "token");
	int64_t attempt = token ? token_attempt(&r->c->secret, token) : 0;

	if (token && !attempt)
		return error_set(err, ERROR_STALE,
		                 "PLEACH_TOKEN is not one of this repository's attempts");
	r->conn->role = attempt ? ROLE_AGENT : ROLE_CLI;
	r->conn->attempt = attempt;
	/* Nothing of it is stored: it does not wait for the commit, nor behind what follows it. */
	if (r->id)
		rpc_peer_reply(r->conn->peer, r->id,
		               json_pack("{s:i, s:s, s:i, s:s, s:o, s:I}", "protocol", RPC_PROTOCOL,
		                         "version", PLEACH_VERSION, "pid", (int)getpid(), "store",
		                         r->c->place.id, "attempt", json_int_or_null(attempt, 0),
		                         "supervisor", (json_int_t)r->c->supervisor));
	return 0;
}

static int hello(struct request *r, struct error *err)
{
	int64_t protocol = json_int(r->params, "protocol", 0);
	const char *role = json_text(r->params, "role");

	if (protocol < RPC_PROTOCOL_OLDEST || protocol > RPC_PROTOCOL)
		return error_set(
		    err, ERROR_INVALID,
		    "protocol %lld is not spoken here, %d is (the coordinator is pleach %s, %s: "
		    "pleach down with that version, then again)",
		    (long long)protocol, RPC_PROTOCOL, PLEACH_VERSION,
		    protocol > RPC_PROTOCOL ? "an older one" : "a newer one");
	return role && strcmp(role, "worker") == 0 ? worker_hello(r, err) : hello_cli(r, err);
}

static int refuse_unknown(struct request *r, struct error *err)
{
	return error_set(err, ERROR_INVALID, "there is no method %.80s", r->method);
}

static int refuse_role(struct request *r, struct error *err)
{
	const char *dot = strrchr(r->method, '.');

	return error_set(err, ERROR_STALE,
	                 r->conn->role == ROLE_AGENT
	                     ? "%.80s is for people: an agent in its slot may not"
	                     : "%.80s: say hello first, or as somebody else",
	                 r->conn->role == ROLE_AGENT && dot ? dot + 1 : r->method);
}

/* The step is over. When it failed, the caller gets one error and nothing later on. */
static void settle_laters(struct conn *conn, const struct request *request, int rc)
{
	for (struct later *later = conn->laters; later; later = later->next) {
		if (later->request != request)
			continue;
		later->request = NULL;
		if (rc < 0) {
			json_decref(later->id);
			later->id = NULL;
		}
	}
}

/* An effect like every answer: what it says of the store is on the disk by then. */
static void refuse(struct request *r, const struct error *err)
{
	struct later *later = request_later(r);

	later->request = NULL;
	later_fail(r->c, later, err);
}

static void on_call(struct rpc_peer *peer, const json_t *id, const char *method,
                    const json_t *params, void *context)
{
	struct conn *conn = context;
	_cleanup_json_ json_t *none = json_object();
	struct request request = {.c = conn->c,
	                          .conn = conn,
	                          .id = id,
	                          .method = method,
	                          .params = json_is_object(params) ? params : none};
	struct dispatch dispatch = {&request, refuse_unknown};
	int rc;
	const struct method *found = method_find(method);
	struct error err = ERROR_INIT;

	(void)peer;
	if (strcmp(method, "hello") == 0)
		dispatch.run = hello;
	else if (found && !(found->roles & 1u << conn->role))
		dispatch.run = refuse_role;
	else if (found)
		dispatch.run = found->run;
	rc = turn_step(conn->c, dispatch_step, &dispatch, &err);
	settle_laters(conn, &request, rc);
	if (rc == 0 || request.failed)
		return;
	if (id)
		refuse(&request, &err);
	else
		log_warn("serve", "%s: %s", method, err.text);
}

/* ---- connections ---- */

static void on_close(struct rpc_peer *peer, void *context)
{
	struct conn *conn = context;

	(void)peer;
	for (struct conn **at = &conn->c->conns; *at; at = &(*at)->next) {
		if (*at == conn) {
			*at = conn->next;
			break;
		}
	}
	/* What was to be answered later finds nobody: worker.next above all. */
	for (struct later *later = conn->laters; later; later = later->next)
		later->conn = NULL;
	conn->laters = NULL;
	held_check(conn->c);
	if (conn->teammate && conn->teammate->conn == conn)
		worker_link_lost(conn->c, conn->teammate);
	free(conn);
}

static const struct rpc_peer_handler handler = {on_call, on_close, NULL};

static bool is_ours(int fd)
{
	struct ucred who = {.uid = (uid_t)-1};
	socklen_t len = sizeof who;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.uid == geteuid();
}

static void on_accept(uv_poll_t *poll, int status, int events);

static void on_accept_again(uv_timer_t *timer)
{
	struct coordinator *c = timer->data;

	uv_poll_start(&c->accept_poll, UV_READABLE, on_accept);
}

static void on_accept(uv_poll_t *poll, int status, int events)
{
	struct coordinator *c = poll->data;

	(void)status;
	(void)events;
	for (;;) {
		int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct conn *conn;

		if (fd < 0 && (errno == EMFILE || errno == ENFILE)) { /* not in a circle */
			uv_poll_stop(poll);
			uv_timer_start(&c->accept_timer, on_accept_again, ACCEPT_PAUSE_MS, 0);
		}
		if (fd < 0)
			return;
		if (!is_ours(fd)) {
			log_warn("serve", "a connection of another user was refused");
			close(fd);
			continue;
		}
		conn = xcalloc(1, sizeof *conn);
		conn->c = c;
		conn->next = c->conns;
		c->conns = conn;
		conn->peer = rpc_peer_new(&c->loop, fd, JSONL_PERSON_MAX, &handler, conn);
		rpc_peer_defer(conn->peer);
	}
}

/* ---- the loop ---- */

static void on_prepare(uv_prepare_t *prepare)
{
	turn_close(prepare->data);
}

static void on_check(uv_check_t *check)
{
	turn_close(check->data);
}

static void on_views_closed(void *context)
{
	struct coordinator *c = context;

	c->views = NULL;
	uv_stop(&c->loop);
}

static void end_when_gone(uv_timer_t *timer)
{
	struct coordinator *c = timer->data;

	/* Workers that do not obey in time are ended; what they held is kept in their slots. */
	for (struct teammate *t = c->team.first; t; t = t->next)
		if (t->proc.pid)
			proc_kill_pid(&t->proc);
	gitq_close(c);
	uv_timer_start(timer, end_when_gone, END_PATIENCE_MS, 0);
}

static void on_end_prepare(uv_prepare_t *prepare)
{
	struct coordinator *c = prepare->data;

	if (!c->ending || c->ended || !team_is_gone(c) || !gitq_is_idle(c))
		return;
	c->ended = true;
	if (c->views)
		views_close(c->views, on_views_closed, c);
	else
		uv_stop(&c->loop);
}

/* Those whose worker lives are forgotten when it has ended: whoever takes our place must know it.
 */
static int forget_team_step(struct coordinator *c, void *context, struct error *err)
{
	(void)context;
	(void)err;
	for (struct teammate *t = c->team.first; t; t = t->next) {
		t->removing = true;
		if (t->proc.pid || t->sweeping)
			team_store(c, t);
		else
			store_team_remove(c->store, t->name);
	}
	return 0;
}

void serve_end(struct coordinator *c)
{
	struct error err = ERROR_INIT;

	if (c->ending)
		return;
	log_info("serve", "going down");
	c->ending = c->draining = true;
	if (turn_step(c, forget_team_step, NULL, &err) < 0)
		log_error("serve", "%s", err.text);
	team_dismiss(c);
	landings_stop(c);
	uv_timer_start(&c->idle_timer, end_when_gone, END_PATIENCE_MS, 0);
}

static void on_idle(uv_timer_t *timer)
{
	struct coordinator *c = timer->data;

	if (!c->team.first && !c->conns && !landings_busy(c))
		serve_end(c);
	else
		uv_timer_start(timer, on_idle, IDLE_END_MS, 0);
}

static int release_all_step(struct coordinator *c, void *context, struct error *err)
{
	_cleanup_free_ int64_t *attempts = store_attempts_running(c->store);

	(void)context;
	(void)err;
	serve_will_end(c);
	for (size_t i = 0; attempts[i]; i++)
		stop_release(c, attempts[i]);
	return 0;
}

/* Another supervisor is another start, which nobody has asked to end. */
static char *end_mark(const struct coordinator *c)
{
	uint64_t start_time = 0;

	if (proc_start_time((pid_t)c->supervisor, &start_time) < 0)
		return NULL;
	return xasprintf("%lld %llu %s", (long long)c->supervisor, (unsigned long long)start_time,
	                 c->boot);
}

void serve_will_end(struct coordinator *c)
{
	_cleanup_free_ char *mark = end_mark(c);

	if (mark)
		store_set_setting(c->store, "ending", mark);
}

static bool was_ending(const struct coordinator *c)
{
	_cleanup_free_ char *mark = end_mark(c), *ending = store_setting(c->store, "ending");

	return mark && ending && strcmp(mark, ending) == 0;
}

static void add_down(struct coordinator *c)
{
	struct later *nobody = xcalloc(1, sizeof *nobody);

	held_add(c, (struct held){.kind = HELD_DOWN,
	                          .later = nobody,
	                          .tasks = xcalloc(1, sizeof(int64_t)),
	                          .now = true});
	held_check(c);
}

static void on_ending(uv_timer_t *timer)
{
	if (!((struct coordinator *)timer->data)->ending)
		add_down(timer->data);
}

/* The process before us died on its way down. Whoever asked it asks us, and is to get an answer;
 * where nobody does, it goes down all the same. */
static void go_on_ending(struct coordinator *c)
{
	struct error err = ERROR_INIT;

	log_info("serve", "the process before was going down");
	if (turn_step(c, release_all_step, NULL, &err) < 0)
		log_error("serve", "%s", err.text);
	uv_timer_start(&c->idle_timer, on_ending, ASK_AGAIN_MS, 0);
}

void serve_release_all(struct coordinator *c)
{
	struct error err = ERROR_INIT;

	if (c->draining)
		return;
	c->draining = true;
	if (turn_step(c, release_all_step, NULL, &err) < 0)
		log_error("serve", "%s", err.text);
	add_down(c);
}

static void on_term(uv_signal_t *signal, int number)
{
	(void)number;
	serve_release_all(signal->data);
}

static void loop_init(struct coordinator *c)
{
	static uv_prepare_t end_prepare;
	static uv_signal_t term;

	uv_loop_init(&c->loop);
	uv_prepare_init(&c->loop, &c->prepare);
	uv_check_init(&c->loop, &c->check);
	uv_prepare_init(&c->loop, &end_prepare);
	uv_timer_init(&c->loop, &c->idle_timer);
	uv_timer_init(&c->loop, &c->accept_timer);
	c->accept_timer.data = c;
	uv_signal_init(&c->loop, &term);
	c->prepare.data = c->check.data = end_prepare.data = c->idle_timer.data = term.data = c;
	uv_prepare_start(&end_prepare, on_end_prepare);
	uv_prepare_start(&c->prepare, on_prepare);
	uv_check_start(&c->check, on_check);
	uv_timer_start(&c->idle_timer, on_idle, IDLE_END_MS, 0);
	uv_signal_start(&term, on_term, SIGTERM);
}

static bool has_entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	while (dir && n < 3 && readdir(dir)) /* two are itself and its parent */
		n++;
	if (dir)
		closedir(dir);
	return n == 3;
}

/* Begun anew, a repository whose store was lost would have everything run again. */
static int check_store_is_there(const char *db, const char *attempts, struct error *err)
{
	struct stat st;
	bool gone = stat(db, &st) < 0;

	if ((gone ? errno != ENOENT : st.st_size > 0) || !has_entries(attempts))
		return 0;
	return error_set(err, ERROR_EXTERNAL,
	                 "%s is %s, but attempts that it knew are in %s (put a copy of the store "
	                 "back; or move both away, and everything is run again)",
	                 db, gone ? "gone" : "empty", attempts);
}

static int open_parts(struct coordinator *c, struct error *err)
{
	_cleanup_free_ char *db = xasprintf("%s/store.db", c->place.state_dir);
	_cleanup_free_ char *secret = xasprintf("%s/secret", c->place.state_dir);
	_cleanup_free_ char *attempts = xasprintf("%s/attempts", c->place.state_dir);
	_cleanup_free_ char *workers = xasprintf("%s/workers", c->place.state_dir);

	if (place_make_private_dir(attempts, err) < 0 || place_make_private_dir(workers, err) < 0 ||
	    check_store_is_there(db, attempts, err) < 0 || store_open(db, &c->store, err) < 0 ||
	    token_secret_load(secret, &c->secret, err) < 0)
		return -1;
	serve_bus_later(c);
	environment_load(c);
	return 0;
}

static void reopen_views(struct coordinator *c)
{
	_cleanup_free_ char *wanted = store_setting(c->store, "team.views");
	struct error err = ERROR_INIT;

	if (c->team.first && wanted && strcmp(wanted, "1") == 0 && team_views_open(c, &err) < 0)
		log_warn("views", "%s", err.text);
}

static int start(struct coordinator *c, int listen_fd, struct error *err)
{
	proc_boot_id(c->boot);
	c->started_at = time_now_ms();
	c->pinned_file = xasprintf("%s/pinned.json", c->place.state_dir);
	loop_init(c);
	if (open_parts(c, err) < 0)
		return -1;
	turn_init(c);
	disk_init(c);
	limited_init(c);
	gitq_init(c);
	landings_init(c);
	c->draining = was_ending(c); /* before anything could start */
	if (recovery_run(c, err) < 0)
		return -1;
	if (c->draining)
		go_on_ending(c);
	else
		reopen_views(c);
	places_watch(c);
	c->listen_fd = listen_fd;
	fcntl(listen_fd, F_SETFL, fcntl(listen_fd, F_GETFL) | O_NONBLOCK);
	uv_poll_init(&c->loop, &c->accept_poll, listen_fd);
	c->accept_poll.data = c;
	uv_poll_start(&c->accept_poll, UV_READABLE, on_accept);
	return 0;
}

int serve(struct place *place, int listen_fd, int64_t supervisor, void (*ready)(void),
          struct error *err)
{
	static struct coordinator coordinator; /* lives as long as the process */
	struct coordinator *c = &coordinator;

	c->place = *place;
	c->supervisor = supervisor;
	if (start(c, listen_fd, err) < 0)
		return -1;
	ready();
	store_make_room(c->store);
	log_info("serve", "serving %s", c->place.root);
	uv_run(&c->loop, UV_RUN_DEFAULT);
	turn_close(c);
	turn_sync_finish(c);
	for (struct conn *conn = c->conns; conn; conn = conn->next)
		rpc_peer_flush(conn->peer);
	store_close(c->store);
	log_info("serve", "ended");
	return 0;
}
