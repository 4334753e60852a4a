/* What the parser found, kept: it is asked once for the same bytes, and for anything else, and
 * whatever becomes of the file, what is read is what the bytes say. */
#include "shared_fixture.h"

#include <fcntl.h>
#include <time.h>

#include "place.h"
#include "yaml.h"
#include "yaml_event.h"
#include "yaml_kept.h"

#define WHOLE                                                                                      \
	"name: fix # not\nbase: &b {a: 1, b: [1.5, ~, true, 'x: y', \"\\u00e9\"]}\n"               \
	"tasks:\n  - {<<: *b, prompt: !!str 5}\n  - |\n    two\n    lines\n  - ? key\n"            \
	"  - *b\n"

static int asked; /* the parser */

int __real_yaml_read_events(const char *name, const char *data, size_t len, yaml_take *take,
                            void *context, struct error *err);
int __wrap_yaml_read_events(const char *name, const char *data, size_t len, yaml_take *take,
                            void *context, struct error *err)
{
	asked++;
	return __real_yaml_read_events(name, data, len, take, context, err);
}

/* Lines, columns and values of all nodes. */
static void describe(struct buf *out, const struct yaml_node *node)
{
	buf_printf(out, "%d:%d:%d:%d ", node->line, node->column, node->type, node->scalar);
	if (node->type == YAML_SCALAR) {
		buf_add(out, node->text, node->len);
		return;
	}
	for (size_t i = 0; i < node->count; i++)
		describe(out, node->items[i]);
}

/* Caller frees. */
static char *read_in(const char *dir, const char *text, size_t len)
{
	const struct yaml_limits limits = {.depth = 48, .nodes = 200000, .kept = dir};
	struct error err = ERROR_INIT;
	struct yaml_doc *doc = NULL;
	struct buf out = BUF_INIT;

	if (yaml_parse("x.yaml", text, len, &limits, &doc, &err) < 0) {
		buf_add_str(&out, err.text);
		return out.data;
	}
	buf_add_str(&out, "read ");
	if (yaml_root(doc))
		describe(&out, yaml_root(doc));
	yaml_free(doc);
	return out.data;
}

/* Asks the parser `times` times for it; what it gives is what is read without keeping. */
static void check(const char *dir, const char *text, int times)
{
	_cleanup_free_ char *plain = read_in(NULL, text, strlen(text)), *kept = NULL;

	asked = 0;
	kept = read_in(dir, text, strlen(text));
	assert_string_equal(kept, plain);
	assert_int_equal(asked, times);
}

/* The one file of the folder. Caller frees. */
static char *find_file(const char *dir)
{
	char *file = NULL;

	for (unsigned i = 0; i < YAML_KEPT_FILES; i++) {
		char *path = xasprintf("%s/%02x", dir, i);

		if (access(path, F_OK) == 0) {
			assert_null(file);
			file = path;
		} else {
			free(path);
		}
	}
	assert_non_null(file);
	return file;
}

static char *folder(void *state)
{
	return xasprintf("%s/yaml", (const char *)state);
}

static void test_asked_once(void **state)
{
	_cleanup_free_ char *dir = folder(*state), *file = NULL;
	struct stat st;

	check(dir, WHOLE, 1);
	check(dir, WHOLE, 0);
	file = find_file(dir);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	/* One byte more is another file. */
	check(dir, WHOLE "\n", 1);
	check(dir, WHOLE "\n", 0);
}

static void test_not_kept(void **state)
{
	_cleanup_free_ char *dir = folder(*state);
	_cleanup_buf_ struct buf large = BUF_INIT;

	for (int i = 0; i < 2; i++) {
		check(dir, "a: {env: {TOKEN: secret}}\n", 1);
		check(dir, "a: {Environment: {TOKEN: secret}}\n", 1);
		check(dir, "a: [1\n", 1);
		check(dir, "a: 1\na: 2\n", 1);
		check(dir, "a: *none\n", 1);
	}
	assert_int_equal(access(dir, F_OK), -1);
	check(dir, "# nothing\n", 1);
	check(dir, "# nothing\n", 0);
	while (large.len <= YAML_KEPT_FILE_MAX)
		buf_add_str(&large, "- a line of text\n");
	asked = 0;
	for (int i = 0; i < 2; i++)
		free(read_in(dir, large.data, large.len));
	assert_int_equal(asked, 2);
	/* Nor where it cannot be. */
	check("/proc/none/yaml", WHOLE, 1);
	check("/proc/none/yaml", WHOLE, 1);
}

static void test_any_damage(void **state)
{
	_cleanup_free_ char *whole = NULL;
	_cleanup_free_ char *dir = folder(*state), *file = NULL;
	size_t len;

	check(dir, WHOLE, 1);
	file = find_file(dir);
	assert_int_equal(place_read_file(file, 1 << 20, &whole, &len, NULL), 0);
	for (size_t i = 0; i < len; i++) {
		whole[i] ^= 0x41;
		assert_int_equal(place_write_file_lazily(file, whole, len, NULL), 0);
		check(dir, WHOLE, 1);
		check(dir, WHOLE, 0);
		whole[i] ^= 0x41;
	}
	for (size_t i = 0; i < len; i += 7) {
		assert_int_equal(place_write_file_lazily(file, whole, i, NULL), 0);
		check(dir, WHOLE, 1);
	}
}

static void test_not_ours_or_old(void **state)
{
	const time_t now = time(NULL);
	struct timespec times[2] = {{now, 0}, {now - YAML_KEPT_SECONDS - 1, 0}};
	_cleanup_free_ char *other = NULL;
	_cleanup_free_ char *dir = folder(*state), *file = NULL;

	check(dir, WHOLE, 1);
	file = find_file(dir);
	assert_int_equal(utimensat(AT_FDCWD, file, times, 0), 0);
	check(dir, WHOLE, 1);
	check(dir, WHOLE, 0);
	times[1].tv_sec = now + 1000;
	assert_int_equal(utimensat(AT_FDCWD, file, times, 0), 0);
	check(dir, WHOLE, 1);
	assert_int_equal(chmod(file, 0620), 0);
	check(dir, WHOLE, 1);
	check(dir, WHOLE, 0);
	other = xasprintf("%s/other", (const char *)*state);
	times[1].tv_sec = now - YAML_KEPT_SECONDS - 1;
	assert_int_equal(utimensat(AT_FDCWD, file, times, 0), 0);
	check(dir, "another: file\n", 1); /* removes it */
	assert_int_equal(access(file, F_OK), -1);
	check(dir, WHOLE, 1);
	assert_int_equal(rename(file, other), 0);
	assert_int_equal(symlink(other, file), 0);
	check(dir, WHOLE, 1);
	check(dir, WHOLE, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_asked_once, temp_setup, temp_teardown),
	    cmocka_unit_test_setup_teardown(test_not_kept, temp_setup, temp_teardown),
	    cmocka_unit_test_setup_teardown(test_any_damage, temp_setup, temp_teardown),
	    cmocka_unit_test_setup_teardown(test_not_ours_or_old, temp_setup, temp_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
