/* Starting, dressing and ending the private tmux server. */
#include "tmux_server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "mem.h"
#include "tmux_proto.h"

#define END_GRACE_MS 2000

extern char **environ;

/* Flags of our control clients: they must not shrink windows nor carry what panes print. */
#define CLIENT_FLAGS "ignore-size,no-output"

/* Every value is ours and constant; @pleach-… are options of a pane or the session that hold
 * words which views.c has checked. status-interval 0: nothing is redrawn by the clock. */
static const char *const settings[] = {
    "set -g default-size 200x50",
    "set -g destroy-unattached off",
    "set -g remain-on-exit off",
    "set -g automatic-rename off",
    "set -g allow-rename off",
    "set -g set-titles off",
    "set -g update-environment ''",
    "set -g mouse on",
    "set -g prefix None",
    "set -g prefix2 None",
    "set -s escape-time 10",
    "set -g focus-events on",
    "set -g bell-action any",
    "set -g status on",
    "set -g status-interval 0",
    "set -g status-style 'fg=default,bg=default'",
    "set -g status-left-length 12",
    "set -g status-left '#[bold]pleach#[nobold]  '",
    "set -g status-right-length 90",
    "set -g status-right '#{@pleach-counts}'",
    "set -g window-status-format ' #I #{P:#[fg=#{@pleach-colour}]#{@pleach-teammate} }#[default]'",
    "set -g window-status-current-format '#[reverse] #I #[noreverse]"
    "#{P: #[fg=#{@pleach-colour}]#{@pleach-teammate}}#[default] '",
    "set -g pane-border-status top",
    "set -g pane-border-lines single",
    "set -g pane-border-style 'fg=#{?@pleach-colour,#{@pleach-colour},default}'",
    "set -g pane-active-border-style 'bold,fg=#{?@pleach-colour,#{@pleach-colour},default}'",
    "set -g pane-border-format "
    "' #{@pleach-teammate} · #{?@pleach-task,#{@pleach-task} · ,}#{@pleach-state} '",
    NULL,
};

const char *const *tmux_server_settings(void)
{
	return settings;
}

char **tmux_server_env(void)
{
	char **env = NULL;

	for (char **p = environ; *p; p++) {
		if (strncmp(*p, "TMUX=", 5) != 0 && strncmp(*p, "TMUX_PANE=", 10) != 0)
			strv_push(&env, xstrdup(*p));
	}
	if (!env)
		strv_push(&env, xstrdup("PATH=/usr/bin:/bin"));
	return env;
}

static void push_all(char ***argv, const char *const *words)
{
	for (; *words; words++)
		strv_push(argv, xstrdup(*words));
}

char **tmux_server_attach_argv(const char *tmux_program, const char *socket)
{
	char **argv = NULL;
	const char *const words[] = {
	    tmux_program, "-N",
	    "-S",         socket,
	    "-f",         "/dev/null",
	    "-C",         "attach-session",
	    "-t",         "=" TMUX_SESSION,
	    "-f",         CLIENT_FLAGS,
	    NULL,
	};

	push_all(&argv, words);
	return argv;
}

char **tmux_server_create_argv(const char *tmux_program, const char *socket,
                               const char *const *command)
{
	char **argv = NULL;
	/* No configuration of the user's: this server is not his. The size is there before the
	 * first window is; all other settings follow over the connection. */
	const char *const words[] = {
	    tmux_program, "-S",           socket,   "-f", "/dev/null",   "-C", "set-option",
	    "-g",         "default-size", "200x50", ";",  "new-session", "-s", TMUX_SESSION,
	    "-f",         CLIENT_FLAGS,   "-c",     "/",  "--",          NULL,
	};

	push_all(&argv, words);
	for (; *command; command++)
		strv_push(&argv, tmux_argv_word(*command));
	return argv;
}

int tmux_server_check_socket(const char *socket, struct error *err)
{
	struct stat st;

	if (strlen(socket) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return error_set(err, ERROR_EXTERNAL,
		                 "%s: too long for a socket (set PLEACH_RUNTIME_DIR to a shorter "
		                 "directory)",
		                 socket);
	if (lstat(socket, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		return error_errno(err, "%s", socket);
	}
	if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
		return error_set(
		    err, ERROR_EXTERNAL,
		    "%s: not a socket of yours stands where tmux's goes (move it away)", socket);
	return 0;
}

/* comm and parent of a process that has not ended, out of /proc/PID/stat: `PID (comm) S PPID …`. A
 * server that has ended stays there until somebody waits for it. */
static bool read_stat(pid_t pid, char comm[32], pid_t *parent)
{
	char path[64], text[512], state;
	int fd, ppid;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	char *open_paren = strchr(text, '('), *close_paren = strrchr(text, ')');
	if (!open_paren || !close_paren || sscanf(close_paren + 1, " %c %d", &state, &ppid) != 2 ||
	    state == 'Z' || state == 'X')
		return false;
	*close_paren = '\0';
	snprintf(comm, 32, "%s", open_paren + 1);
	*parent = ppid;
	return true;
}

pid_t tmux_server_pid(const char *socket_path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct ucred peer;
	socklen_t len = sizeof peer;
	char comm[32];
	pid_t parent;
	_cleanup_close_ int fd = -1;

	if (strlen(socket_path) >= sizeof address.sun_path)
		return 0;
	memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != geteuid())
		return 0;
	/* Who answers may be dead: a pane's process has its socket, too, until it has become the
	 * pane's program. */
	if (!read_stat(peer.pid, comm, &parent) || strncmp(comm, "tmux", 4) != 0)
		return 0;
	return peer.pid;
}

bool tmux_server_kill(const char *socket_path)
{
	pid_t parent, pid = tmux_server_pid(socket_path);
	int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	char comm[32];
	bool killed;

	if (pidfd < 0)
		return false;
	killed = read_stat(pid, comm, &parent) && strncmp(comm, "tmux", 4) == 0 &&
	         syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0;
	close(pidfd);
	return killed;
}

/* The first words of a control client's argv are ours alone: program, [-N,] -S, socket. */
static bool is_our_client(const char *args, size_t len, const char *socket_path)
{
	const char *words[6] = {NULL};
	size_t n = 0;
	bool ours = false, control = false;

	for (const char *p = args; p < args + len && n < ARRAY_LEN(words); p += strlen(p) + 1)
		words[n++] = p;
	for (size_t i = 1; i + 1 < n; i++)
		ours =
		    ours || (strcmp(words[i], "-S") == 0 && strcmp(words[i + 1], socket_path) == 0);
	for (const char *p = args; p < args + len; p += strlen(p) + 1)
		control = control || strcmp(p, CLIENT_FLAGS) == 0;
	return ours && control;
}

static bool runs_our_client(pid_t pid, const char *socket_path)
{
	char path[64], args[4096];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, args, sizeof args - 1);
		close(fd);
	}
	if (n <= 0)
		return false;
	args[n] = '\0';
	return is_our_client(args, (size_t)n, socket_path);
}

bool tmux_server_drop_client(const char *socket_path, pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	bool killed = pidfd >= 0 && runs_our_client(pid, socket_path) &&
	              syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0;

	if (pidfd >= 0)
		close(pidfd);
	return killed;
}

bool tmux_server_has_client(const char *socket_path)
{
	pid_t pid, server = tmux_server_pid(socket_path); /* called as its first client was */
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	bool found = false;

	while (proc && !found && (entry = readdir(proc))) {
		pid = (pid_t)strtol(entry->d_name, NULL, 10);
		found = pid > 1 && pid != server && runs_our_client(pid, socket_path);
	}
	if (proc)
		closedir(proc);
	return found;
}

struct ending_process {
	int pidfd;
	uv_poll_t poll;
};

struct ending {
	uv_timer_t timer;
	char *socket;
	void (*done)(void *context);
	void *context;
	size_t count;     /* processes that were watched at all */
	size_t left;      /* of them: still alive */
	int open_handles; /* polls and the timer */
	struct ending_process processes[];
};

static void on_handle_closed(uv_handle_t *handle)
{
	struct ending *ending = handle->data;

	if (--ending->open_handles > 0)
		return;
	for (size_t i = 0; i < ending->count; i++)
		close(ending->processes[i].pidfd);
	void (*done)(void *) = ending->done;
	void *context = ending->context;
	free(ending->socket);
	free(ending);
	done(context);
}

static void finish(struct ending *ending)
{
	/* tmux leaves its socket behind, however it ends. Nobody else may listen there meanwhile:
	 * the coordinator's lock is still held. */
	if (tmux_server_pid(ending->socket) == 0 &&
	    tmux_server_check_socket(ending->socket, NULL) == 0)
		unlink(ending->socket);
	uv_close((uv_handle_t *)&ending->timer, on_handle_closed);
}

static void on_process_end(uv_poll_t *poll, int status, int events)
{
	struct ending *ending = poll->data;

	(void)status;
	(void)events;
	uv_poll_stop(poll);
	uv_close((uv_handle_t *)poll, on_handle_closed);
	if (--ending->left == 0)
		finish(ending);
}

static void on_timer(uv_timer_t *timer)
{
	struct ending *ending = timer->data;

	if (ending->left == 0) {
		finish(ending);
		return;
	}
	log_warn("tmux", "%zu processes of the tmux server did not end: killed", ending->left);
	for (size_t i = 0; i < ending->count; i++)
		syscall(SYS_pidfd_send_signal, ending->processes[i].pidfd, SIGKILL, NULL, 0);
}

/* Watches a process that was just seen to be `parent`'s child (0: the server itself). The
 * look comes after pidfd_open, so the descriptor is of the process that was looked at. */
static void watch(struct ending *ending, pid_t pid, pid_t parent)
{
	char comm[32];
	pid_t real_parent;
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct ending_process *process = &ending->processes[ending->count];

	if (pidfd < 0)
		return;
	if (!read_stat(pid, comm, &real_parent) ||
	    (parent ? real_parent != parent : strncmp(comm, "tmux", 4) != 0) ||
	    uv_poll_init(ending->timer.loop, &process->poll, pidfd) != 0) {
		close(pidfd);
		return;
	}
	process->pidfd = pidfd;
	process->poll.data = ending;
	uv_poll_start(&process->poll, UV_READABLE, on_process_end);
	ending->count++;
	ending->left++;
	ending->open_handles++;
}

void tmux_server_end(uv_loop_t *loop, const char *socket, const pid_t *panes, size_t count,
                     void (*done)(void *context), void *context)
{
	struct ending *ending =
	    xcalloc(1, sizeof *ending + (count + 1) * sizeof ending->processes[0]);
	pid_t server = tmux_server_pid(socket);

	ending->socket = xstrdup(socket);
	ending->done = done;
	ending->context = context;
	uv_timer_init(loop, &ending->timer);
	ending->timer.data = ending;
	ending->open_handles = 1;
	if (server > 0) {
		watch(ending, server, 0);
		for (size_t i = 0; ending->count > 0 && i < count; i++)
			watch(ending, panes[i], server);
		/* The first is the server itself: tmux takes TERM as kill-server. */
		if (ending->count > 0)
			syscall(SYS_pidfd_send_signal, ending->processes[0].pidfd, SIGTERM, NULL,
			        0);
	}
	uv_timer_start(&ending->timer, on_timer, ending->left ? END_GRACE_MS : 0, 0);
}
