/* The option parser and the tables of every command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "mem.h"
#include "text.h"

static const struct option table[] = {
    {.name = "json", .help = "x"},
    {.name = "lines", .letter = 'n', .value = "N", .help = "x"},
    {.name = "follow", .letter = 'f', .help = "x"},
    {.name = "agent", .value = "A", .help = "x", .repeat = true},
    {.name = "color", .value = "W", .help = "x", .kind = KIND_WORDS, .words = "auto always never"},
    {0}};
static const struct option *const tables[] = {table, NULL};

static int parse(struct options *out, struct error *err, char **argv)
{
	*out = (struct options){0};
	return options_parse(tables, argv, false, out, NULL, err);
}
#define ARGV(...) ((char **)(const char *[]){__VA_ARGS__, NULL})

static void test_forms(void **state)
{
	struct error err = ERROR_INIT;
	struct options o;
	const char **agents;

	(void)state;
	assert_int_equal(parse(&o, &err,
	                       ARGV("a", "--json", "-fn3", "--agent", "x", "b", "--agent=y/z", "-",
	                            "--", "--json", "c")),
	                 0);
	assert_true(options_flag(&o, "json"));
	assert_true(options_flag(&o, "follow"));
	assert_string_equal(options_text(&o, "lines"), "3");
	agents = options_list(&o, "agent");
	assert_string_equal(agents[0], "x");
	assert_string_equal(agents[1], "y/z");
	assert_null(agents[2]);
	free(agents);
	assert_int_equal(o.arg_count, 3);
	assert_string_equal(o.args[2], "-");
	assert_string_equal(o.rest[0], "--json");
	assert_string_equal(o.rest[1], "c");
	options_finish(&o);
}

static void test_last_counts(void **state)
{
	struct error err = ERROR_INIT;
	struct options o;
	long n;

	(void)state;
	assert_int_equal(parse(&o, &err, ARGV("-n", "1", "--lines=2", "-n-7")), 0);
	assert_string_equal(options_text(&o, "lines"), "-7");
	assert_int_equal(options_number(&o, "lines", -10, 0, &n, &err), 0);
	assert_int_equal(n, -7);
	assert_int_equal(options_number(&o, "lines", 0, 0, &n, &err), -1);
	assert_int_equal(err.code, ERROR_INVALID);
	options_finish(&o);
}

static void refused(char **argv, const char *text)
{
	struct error err = ERROR_INIT;
	struct options o;

	assert_int_equal(parse(&o, &err, argv), -1);
	assert_int_equal(err.code, ERROR_INVALID);
	if (!strstr(err.text, text))
		fail_msg("%s: not in: %s", text, err.text);
	options_finish(&o);
}

static void test_refused(void **state)
{
	(void)state;
	refused(ARGV("--jsom"), "did you mean --json?");
	refused(ARGV("--whatever-this-is"), "--help");
	refused(ARGV("--json=1"), "takes no value");
	refused(ARGV("--lines"), "needs a value");
	refused(ARGV("-n"), "needs a value");
	refused(ARGV("-fx"), "unknown option -x");
	refused(ARGV("--color", "sometimes"), "auto always never");
	refused(ARGV("--\033[31mred"), "unknown option --\xe2\x90\x9b");
}

static void test_stop_at_word(void **state)
{
	char **argv = ARGV("--json", "-n", "3", "ls", "--follow");
	struct error err = ERROR_INIT;
	struct options o = {0};
	size_t used;

	(void)state;
	assert_int_equal(options_parse(tables, argv, true, &o, &used, &err), 0);
	assert_int_equal(used, 3);
	assert_false(options_flag(&o, "follow"));
	options_finish(&o);
}

static void test_durations(void **state)
{
	struct error err = ERROR_INIT;
	struct options o;
	double s;

	(void)state;
	assert_int_equal(parse(&o, &err, ARGV("-n", "2h")), 0);
	assert_int_equal(options_duration(&o, "lines", -1, &s, &err), 0);
	assert_true(s > 7199 && s < 7201);
	assert_int_equal(options_duration(&o, "agent", -1, &s, &err), 0);
	assert_true(s < 0);
	options_finish(&o);
}

static void check_table(const struct option *options, const char *command)
{
	for (const struct option *o = options; o->name; o++) {
		assert_non_null(o->help);
		for (const struct option *g = global_options; g->name; g++) {
			if (options != global_options && (strcmp(o->name, g->name) == 0 ||
			                                  (o->letter && o->letter == g->letter)))
				fail_msg("%s: --%s hides a global option", command, o->name);
		}
		for (const struct option *p = o + 1; p->name; p++)
			if (strcmp(o->name, p->name) == 0 || (o->letter && o->letter == p->letter))
				fail_msg("%s: --%s is there twice", command, o->name);
		assert_true(o->kind != KIND_WORDS || o->words);
	}
}

static void test_tables(void **state)
{
	(void)state;
	check_table(global_options, "pleach");
	for (size_t i = 0; commands[i]; i++) {
		assert_non_null(commands[i]->exec);
		assert_non_null(commands[i]->options);
		assert_non_null(commands[i]->usage);
		assert_ptr_equal(command_find(commands[i]->name), commands[i]);
		check_table(commands[i]->options, commands[i]->name);
	}
}

/* Every command and every option is in the manual. */
static void test_manual(void **state)
{
	_cleanup_free_ char *page = NULL;
	size_t len;

	(void)state;
	assert_int_equal(place_read_file(PLEACH_MANUAL, 1u << 20, &page, &len, NULL), 0);
	for (size_t i = 0; commands[i]; i++) {
		_cleanup_free_ char *name = xasprintf("*%s*", commands[i]->name);

		if (commands[i]->hidden)
			continue;
		if (!strstr(page, name))
			fail_msg("pleach.1 has no %s", commands[i]->name);
		for (const struct option *o = commands[i]->options; o->name; o++) {
			_cleanup_free_ char *option = xasprintf("*--%s*", o->name);

			if (!strstr(page, option))
				fail_msg("pleach.1 has no --%s (%s)", o->name, commands[i]->name);
		}
	}
}

static void test_names(void **state)
{
	(void)state;
	assert_ptr_equal(command_find("ls"), &command_task_list);
	assert_ptr_equal(command_find("task output"), &command_logs);
	assert_ptr_equal(command_find("task add"), &command_add);
	assert_null(command_find("agent"));
	assert_true(command_is_group("team"));
	assert_false(command_is_group("tea"));
	assert_false(command_is_group("run"));
	assert_string_equal(command_nearest("statsu"), "status");
	assert_null(command_nearest("frobnicate"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_forms),     cmocka_unit_test(test_last_counts),
	    cmocka_unit_test(test_refused),   cmocka_unit_test(test_stop_at_word),
	    cmocka_unit_test(test_durations), cmocka_unit_test(test_tables),
	    cmocka_unit_test(test_manual),    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
