/* The status plane: messages arrive, and a listener that nng lost (a peer that goes away
 * during the handshake kills it) is healed. This program is also its own subscriber, to be
 * killed: nng does not survive a fork. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "bus.h"
#include "proc.h"
#include "shared_fixture.h"

#define KNOCKS     12
#define PROBES     8000
#define PROBING_MS 4000 /* for so long at the most */
#define AT_ONCE_MS 500  /* a slow listener is not found dead so soon */

static char self[4096];
static atomic_bool publishes, published_enough;

static char *url_of(const char *dir, const char *name)
{
	return xasprintf("ipc://%s/%s", dir, name);
}

static struct bus_pub *pub_open(const char *url)
{
	struct error err = ERROR_INIT;
	struct bus_pub *pub = NULL;

	assert_ok(bus_pub_open(url, &pub, &err));
	return pub;
}

static struct bus_sub *sub_open(const char *url)
{
	struct error err = ERROR_INIT;
	struct bus_sub *sub = NULL;

	assert_ok(bus_sub_open(&sub, &err));
	assert_ok(bus_sub_dial(sub, url, &err));
	return sub;
}

/* The next message that is not `but`, or NULL when none waits. Caller frees. */
static char *next(struct bus_sub *sub, const char *but)
{
	struct error err = ERROR_INIT;
	char *data;
	size_t len;
	int rc;

	while ((rc = bus_sub_receive(sub, &data, &len, &err)) == 1) {
		assert_int_equal(strlen(data), len);
		if (!but || strcmp(data, but) != 0)
			return data;
		free(data);
	}
	assert_int_equal(rc, 0);
	return NULL;
}

/* Publishes until the subscriber, which connects in the background, hears it; looks after the
 * listener now and then, as whoever publishes does. */
static void until_heard(struct bus_pub *pub, struct bus_sub *sub, const char *text)
{
	int64_t end = time_mono_ms() + WAIT_MS;

	for (int round = 1;; round++) {
		struct pollfd fd = {.fd = bus_sub_fd(sub), .events = POLLIN};
		char *got;

		bus_pub_send(pub, text, strlen(text));
		poll(&fd, 1, 5);
		got = next(sub, NULL);
		if (got && strcmp(got, text) == 0) {
			free(got);
			free(next(sub, text)); /* those that came more than once */
			return;
		}
		free(got);
		assert_true(time_mono_ms() < end);
		if (round % 100 == 0)
			bus_pub_heal(pub, NULL);
	}
}

static void test_messages_arrive(void **state)
{
	_cleanup_free_ char *url = url_of(*state, "bus");
	struct bus_pub *pub = pub_open(url);
	struct bus_sub *one = sub_open(url), *two = sub_open(url);
	struct pollfd fd = {.fd = bus_sub_fd(one), .events = POLLIN};
	char text[32], *got = NULL;

	until_heard(pub, one, "start");
	until_heard(pub, two, "start");
	free(next(one, "start"));
	for (int i = 0; i < 500; i++) { /* fewer than the queues hold: none is lost, in order */
		snprintf(text, sizeof text, "task.updated\n{\"n\":%d}", i);
		bus_pub_send(pub, text, strlen(text));
	}
	for (int i = 0; i < 500; i++) {
		snprintf(text, sizeof text, "task.updated\n{\"n\":%d}", i);
		wait_until((got = next(one, "start")));
		assert_string_equal(got, text);
		free(got);
		wait_until((got = next(two, "start")));
		assert_string_equal(got, text);
		free(got);
	}
	assert_int_equal(poll(&fd, 1, 0), 0); /* not readable without a message */
	bus_pub_send(pub, "x", 1);
	assert_int_equal(poll(&fd, 1, WAIT_MS), 1);
}

static void test_one_subscriber_of_many(void **state)
{
	_cleanup_free_ char *first = url_of(*state, "b-ash"), *second = url_of(*state, "b-elm");
	struct bus_pub *ash = pub_open(first), *elm = pub_open(second);
	struct bus_sub *sub = sub_open(first);
	struct error err = ERROR_INIT;

	assert_ok(bus_sub_dial(sub, second, &err));
	until_heard(ash, sub, "ash");
	until_heard(elm, sub, "elm");
	until_heard(ash, sub, "ash");
}

static void test_private(void **state)
{
	_cleanup_free_ char *url = url_of(*state, "bus");
	mode_t before = umask(0);
	struct stat st;

	pub_open(url);
	umask(before);
	assert_int_equal(stat(url + strlen("ipc://"), &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_sizes(void **state)
{
	_cleanup_free_ char *url = url_of(*state, "bus"), *large = xcalloc(1, BUS_MESSAGE_MAX + 2);
	struct bus_pub *pub = pub_open(url);
	struct bus_sub *sub = sub_open(url);
	char *got = NULL;

	until_heard(pub, sub, "start");
	memset(large, 'x', BUS_MESSAGE_MAX + 1);
	bus_pub_send(pub, large, BUS_MESSAGE_MAX + 1); /* dropped */
	bus_pub_send(pub, large, BUS_MESSAGE_MAX);
	wait_until((got = next(sub, "start")));
	assert_int_equal(strlen(got), BUS_MESSAGE_MAX);
	free(got);
	bus_pub_send(pub, "", 0);
	wait_until((got = next(sub, "start")));
	assert_string_equal(got, "");
	free(got);
}

/* Who is slow loses messages; nobody waits for him. */
static void test_a_slow_subscriber(void **state)
{
	_cleanup_free_ char *url = url_of(*state, "bus");
	struct bus_pub *pub = pub_open(url);
	struct bus_sub *sub = sub_open(url);
	int64_t start;
	char text[1024];

	until_heard(pub, sub, "start");
	memset(text, 'x', sizeof text);
	start = time_mono_ms();
	for (int i = 0; i < 20000; i++)
		bus_pub_send(pub, text, sizeof text);
	assert_true(time_mono_ms() - start < WAIT_MS);
	until_heard(pub, sub, "still there");
}

static void knock(const char *url)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(address.sun_path, url + strlen("ipc://"), strlen(url) - strlen("ipc://") + 1);
	(void)!connect(fd, (struct sockaddr *)&address, sizeof address);
	close(fd);
}

static void heal(struct bus_pub *pub)
{
	struct error err = ERROR_INIT;

	assert_ok(bus_pub_heal(pub, &err));
}

/* Connect and go away, until the listener has died of it and is made again: a busy machine may see
 * most of them in time. */
static void test_heals_after_knocks(void **state)
{
	_cleanup_free_ char *url = url_of(*state, "bus");
	struct bus_pub *pub = pub_open(url);
	struct bus_sub *early = sub_open(url);
	struct error err = ERROR_INIT;
	int healed = 0, knocks = 0;

	until_heard(pub, early, "early");
	for (; knocks < KNOCKS || (!healed && knocks < 2000); knocks++) {
		int rc;

		knock(url);
		rc = bus_pub_heal(pub, &err);
		assert_true(rc >= 0);
		healed += rc;
	}
	assert_true(healed > 0); /* if nng never dies of it any more, all of this may go */
	print_message("healed %d times of %d\n", healed, knocks);
	until_heard(pub, early, "who was there");
	until_heard(pub, sub_open(url), "who comes now");
	wait_until(bus_pub_heal(pub, &err) == 0); /* and stays well */
	test_private(state);
}

/* Subscribers that are killed, at any moment of their life. */
static void test_heals_after_kills(void **state)
{
	_cleanup_free_ char *url = url_of(*state, "bus");
	struct bus_pub *pub = pub_open(url);
	const char *argv[] = {self, "subscribe", url, NULL};

	for (int i = 0; i < 30; i++) {
		struct proc_spec spec = PROC_SPEC_INIT;
		struct error err = ERROR_INIT;
		struct pollfd said;
		struct proc proc;
		int out[2], status;

		assert_int_equal(pipe2(out, O_CLOEXEC), 0);
		spec.argv = argv;
		spec.stdout_fd = out[1];
		assert_ok(proc_spawn(&spec, &proc, &err));
		close(out[1]);
		said = (struct pollfd){.fd = out[0], .events = POLLIN};
		bus_pub_send(pub, "x", 1);
		poll(&said, 1, i % 3 ? i : WAIT_MS); /* some while they dial, some connected */
		proc_kill_pid(&proc);
		assert_ok(proc_wait(&proc, &status, &err));
		close(proc.pidfd);
		close(out[0]);
		heal(pub);
	}
	until_heard(pub, sub_open(url), "who comes now");
}

/* What a dead process left is in the way of nobody; what is not a socket is not removed. */
static void test_a_stale_socket(void **state)
{
	_cleanup_free_ char *url = url_of(*state, "bus"), *missing = url_of(*state, "no/such/bus");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct error err = ERROR_INIT;
	struct bus_pub *pub;

	memcpy(address.sun_path, url + strlen("ipc://"), strlen(url) - strlen("ipc://") + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	close(fd);
	pub = pub_open(url);
	until_heard(pub, sub_open(url), "hello");
	assert_int_equal(bus_pub_open(missing, &pub, &err), -1);
	assert_int_equal(err.code, ERROR_EXTERNAL);
	assert_non_null(strstr(err.text, missing));
}

static void *publish(void *context)
{
	struct bus_pub *pub = context;

	while (!atomic_load(&published_enough)) {
		bus_pub_send(pub, "task.updated\n{}", 15);
		atomic_store(&publishes, true);
	}
	return NULL;
}

/* It is probed while events go out, which the probe gets, too: it is well all the same. */
static void test_well_while_it_publishes(void **state)
{
	_cleanup_free_ char *url = url_of(*state, "bus");
	struct bus_pub *pub = pub_open(url);
	int64_t end = time_mono_ms() + PROBING_MS, start;
	struct error err = ERROR_INIT;
	int healed = 0;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, publish, pub), 0);
	wait_until(atomic_load(&publishes));
	for (int i = 0; i < PROBES && !healed && (start = time_mono_ms()) < end; i++)
		healed += bus_pub_heal(pub, &err) != 0 && time_mono_ms() - start < AT_ONCE_MS;
	atomic_store(&published_enough, true);
	pthread_join(thread, NULL);
	assert_int_equal(healed, 0);
}

/* The folder of sockets may vanish: listening again finds that out, and then works. */
static void test_the_socket_vanished(void **state)
{
	_cleanup_free_ char *folder = xasprintf("%s/run", (char *)*state), *url = NULL;
	struct error err = ERROR_INIT;
	struct bus_pub *pub;

	assert_int_equal(mkdir(folder, 0700), 0);
	url = url_of(folder, "bus");
	pub = pub_open(url);
	until_heard(pub, sub_open(url), "before");
	assert_int_equal(unlink(url + strlen("ipc://")), 0);
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(bus_pub_heal(pub, &err), -1);
	assert_int_equal(err.code, ERROR_EXTERNAL);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(bus_pub_heal(pub, &err), 1);
	assert_int_equal(bus_pub_heal(pub, &err), 0);
	until_heard(pub, sub_open(url), "after");
}

static int subscribe(const char *url)
{
	struct error err = ERROR_INIT;
	struct bus_sub *sub;
	struct pollfd fd;

	alarm(patience(60));
	if (bus_sub_open(&sub, &err) < 0 || bus_sub_dial(sub, url, &err) < 0)
		return 1;
	fd = (struct pollfd){.fd = bus_sub_fd(sub), .events = POLLIN};
	(void)!write(1, "s", 1);
	for (;;)
		if (poll(&fd, 1, -1) > 0)
			free(next(sub, NULL));
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, temp_setup, temp_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_messages_arrive),   TEST(test_one_subscriber_of_many),
	    TEST(test_private),           TEST(test_sizes),
	    TEST(test_a_slow_subscriber), TEST(test_heals_after_knocks),
	    TEST(test_heals_after_kills), TEST(test_well_while_it_publishes),
	    TEST(test_a_stale_socket),    TEST(test_the_socket_vanished),
	};
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	int failed;

	if (argc == 3 && strcmp(argv[1], "subscribe") == 0)
		return subscribe(argv[2]);
	assert_true(n > 0);
	signal(SIGPIPE, SIG_IGN);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	fflush(NULL);
	_exit(failed != 0); /* as every process that has a socket of nng */
}
