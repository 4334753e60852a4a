/* Small files that are there whole or not at all, private, and never through somebody's link. */
#include <sys/stat.h>

#include "log.h"
#include "place.h"
#include "shared_fixture.h"

static char *path(const char *dir, const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static void assert_mode(const char *file, unsigned mode)
{
	struct stat st;

	assert_int_equal(lstat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, mode);
	assert_int_equal(st.st_uid, geteuid());
}

static void test_files_are_written_whole(void **state)
{
	_cleanup_free_ char *file = path(*state, "file"), *missing = path(*state, "no/file"),
	                    *target = path(*state, "target"), *data = NULL;
	char *none = NULL;
	struct error err = ERROR_INIT;
	size_t len;

	assert_ok(place_write_file(file, "one\0two", 7, &err));
	assert_mode(file, 0600);
	assert_ok(place_write_file(file, "three", 5, &err));
	assert_ok(place_read_file(file, 5, &data, &len, &err));
	assert_int_equal(len, 5);
	assert_string_equal(data, "three");
	assert_int_equal(place_read_file(file, 4, &none, NULL, &err), -1);
	assert_int_equal(err.code, ERROR_INVALID);
	assert_null(none);
	assert_int_equal(place_read_file(missing, 5, &none, NULL, &err), -1);
	assert_int_equal(err.code, ERROR_NOT_FOUND);
	assert_int_equal(place_write_file(missing, "x", 1, &err), -1);
	assert_int_equal(err.code, ERROR_EXTERNAL);
	/* a link that somebody planted is replaced, what it names is not touched */
	assert_ok(place_write_file(target, "mine", 4, &err));
	unlink(file);
	assert_int_equal(symlink(target, file), 0);
	assert_ok(place_write_file(file, "new", 3, &err));
	free(data);
	assert_ok(place_read_file(target, 9, &data, NULL, &err));
	assert_string_equal(data, "mine");
}

/* Whatever lies where the temporary file goes, the next write takes its place. */
static void test_half_files_go_with_the_next_write(void **state)
{
	_cleanup_free_ char *file = path(*state, "file"), *half = path(*state, "file" PLACE_HALF),
	                    *target = path(*state, "target"), *data = NULL;
	struct error err = ERROR_INIT;

	assert_ok(place_write_file(target, "mine", 4, &err));
	assert_ok(place_write_file(half, "half a wo", 9, &err)); /* its writer died */
	assert_ok(place_write_file(file, "whole", 5, &err));
	assert_int_equal(access(half, F_OK), -1);
	assert_int_equal(link(target, half), 0); /* planted: what it names keeps its content */
	assert_ok(place_write_file(file, "whole", 5, &err));
	assert_int_equal(symlink(target, half), 0);
	assert_ok(place_write_file(file, "whole", 5, &err));
	assert_int_equal(mkfifo(half, 0600), 0);
	assert_ok(place_write_file(file, "whole", 5, &err));
	assert_int_equal(access(half, F_OK), -1);
	assert_ok(place_read_file(target, 9, &data, NULL, &err));
	assert_string_equal(data, "mine");
}

/* A log is begun anew when it is long, and the one before is there. */
static void test_logs_are_kept_short(void **state)
{
	_cleanup_free_ char *file = path(*state, "a.log"), *old = path(*state, "a.log.1"),
	                    *line = xasprintf("%01000d", 7);
	struct stat st;

	log_open(file);
	for (int i = 0; i < 9000; i++)
		log_info("test", "%s", line);
	assert_int_equal(stat(file, &st), 0);
	assert_in_range(st.st_size, 1, 2 << 20);
	assert_int_equal(stat(old, &st), 0);
	assert_in_range(st.st_size, 8 << 20, 9 << 20);
	assert_mode(old, 0600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_files_are_written_whole, temp_setup,
	                                    temp_teardown),
	    cmocka_unit_test_setup_teardown(test_half_files_go_with_the_next_write, temp_setup,
	                                    temp_teardown),
	    cmocka_unit_test_setup_teardown(test_logs_are_kept_short, temp_setup, temp_teardown)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
