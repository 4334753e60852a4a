/* Built-in agents, their profiles, and how a command becomes argv. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agents.h"
#include "buf.h"
#include "jsonl.h"
#include "mem.h"

static char *joined(const json_t *profile, const struct agents_values *values)
{
	_cleanup_strv_ char **argv = agents_command(profile, values);
	_cleanup_buf_ struct buf text = BUF_INIT;
	for (size_t i = 0; argv[i]; i++)
		buf_printf(&text, "%s%s", i ? "|" : "", argv[i]);
	return buf_take(&text);
}

static void check(const json_t *profile, const struct agents_values *values, const char *wanted)
{
	_cleanup_free_ char *got = joined(profile, values);
	assert_string_equal(got, wanted);
}

static void test_large(void **state)
{
	(void)state;
	_cleanup_free_ char *prompt = xcalloc(1, (200u << 10) + 1);
	memset(prompt, 'x', 200u << 10);
	const struct agents_values values = {.prompt = prompt, .prompt_file = "/p"};
	_cleanup_json_ json_t *profile =
	    json_pack("{s:[s,s],s:s,s:{s:[s,s],s:s}}", "command", "a", "{prompt}", "prompt", "argv",
	              "large", "command", "a", "{prompt_file}", "prompt", "none");
	check(profile, &values, "a|/p");
	assert_string_equal(agents_prompt_way(profile, 200u << 10), "none");
	assert_string_equal(agents_prompt_way(profile, 10), "argv");
}

static void test_hooks(void **state)
{
	(void)state;
	const struct agents_values none = {.session = "s"},
	                           with = {.hook = "/h", .hooks_file = "/f {hook}"};
	_cleanup_json_ json_t *profile = json_pack(
	    "{s:[s,s,s,s,s],s:{s:[s,s],s:{s:s},s:{s:s,s:[{s:s}]}}}", "command", "a", "--id",
	    "{session}", "{hooks}", "z", "hooks", "args", "--settings", "{hooks_file}", "env", "E",
	    "={hook}", "file", "name", "n", "content", "command", "{hook} x");
	check(profile, &none, "a|--id|s|z");
	check(profile, &with, "a|--settings|/f {hook}|z");
	_cleanup_json_ json_t *hooks = agents_hooks(profile, &with);
	_cleanup_free_ char *text = jsonl_text(hooks);
	assert_string_equal(text,
	                    "{\"args\":[\"--settings\",\"/f {hook}\"],\"env\":{\"E\":\"=/h\"},"
	                    "\"file\":{\"name\":\"n\",\"content\":[{\"command\":\"/h x\"}]}}");
}

/* The text is found without a YAML reader: each name and no other line. */
static void test_builtin(void **state)
{
	(void)state;
	size_t bytes = 0, count = 0;
	for (const char *const *name = agents_names(); *name; name++, count++) {
		const char *text = agents_builtin(*name, &bytes);
		assert_non_null(text);
		assert_memory_equal(text, *name, strlen(*name));
		assert_true(bytes > 100);
		assert_null(memmem(text, bytes, "\n\n\n", 3));
	}
	assert_int_equal(count, 11);
	assert_null(agents_builtin("nobody", &bytes));
	assert_null(agents_builtin("clau", &bytes));
	assert_null(agents_builtin("  exec", &bytes));
	assert_null(agents_builtin("", &bytes));
}

static void test_placeholders(void **state)
{
	(void)state;
	const struct agents_values values = {.prompt = "{prompt_file} $(x)",
	                                     .prompt_file = "/f",
	                                     .worktree = "/w",
	                                     .task = "7",
	                                     .key = "k",
	                                     .branch = "b",
	                                     .base = "c",
	                                     .session = "s"};
	_cleanup_json_ json_t *all =
	    json_pack("{s:[s,s,s,s,s,s]}", "command", "{prompt}", "{{prompt_file}}",
	              "a{key}{task}z", "{worktree}/{branch}/{base}", "{unknown}{", "{session}");
	check(all, &values, "{prompt_file} $(x)|{/f}|ak7z|/w/b/c|{unknown}{|s");
	_cleanup_json_ json_t *model = json_pack("{s:[s,s,s,s,s]}", "command", "x", "-m", "{model}",
	                                         "--model={model}", "last");
	check(model, &values, "x|last");
	_cleanup_json_ json_t *code =
	    json_pack("{s:[s,s,s]}", "command", "sh", "-c", "echo {model}");
	check(code, &values, "sh|-c|echo ");
}

static void test_installed(void **state)
{
	(void)state;
	assert_null(agents_first_installed("/nonexistent"));
	enum agent_permissions permissions;
	assert_true(agent_permissions_from_word("all", &permissions));
	assert_int_equal(permissions, PERMISSIONS_ALL);
	assert_false(agent_permissions_from_word("some", &permissions));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_builtin),   cmocka_unit_test(test_large),
	    cmocka_unit_test(test_hooks),     cmocka_unit_test(test_placeholders),
	    cmocka_unit_test(test_installed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
