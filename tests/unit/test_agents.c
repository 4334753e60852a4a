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

static void test_builtin(void **state)
{
	(void)state;
	const struct agents_values plain = {.prompt = "- do {key}", .key = "k"};
	const struct agents_values model = {.prompt = "p", .model = "opus"};
	_cleanup_json_ json_t *claude =
	    agents_profile(agents_find("claude"), MODE_EXEC, PERMISSIONS_EDIT);
	_cleanup_json_ json_t *codex =
	    agents_profile(agents_find("codex"), MODE_EXEC, PERMISSIONS_ALL);
	_cleanup_json_ json_t *gemini =
	    agents_profile(agents_find("gemini"), MODE_TUI, PERMISSIONS_ASK);
	check(claude, &plain,
	      "claude|-p|--output-format|stream-json|--verbose|--permission-mode|acceptEdits|--|"
	      "- do {key}");
	check(claude, &model,
	      "claude|-p|--output-format|stream-json|--verbose|--model|opus|--permission-mode|"
	      "acceptEdits|--|p");
	check(codex, &model,
	      "codex|exec|--json|--model|opus|--dangerously-bypass-approvals-and-sandbox|--|p");
	check(gemini, &model, "gemini|--model|opus|--prompt-interactive=p");
	assert_null(agents_profile(agents_find("claude"), MODE_ACP, PERMISSIONS_EDIT));
	assert_null(agents_find("nobody"));
	for (const char *const *name = agents_names(); *name; name++) {
		_cleanup_json_ json_t *profile =
		    agents_profile(agents_find(*name), MODE_EXEC, PERMISSIONS_EDIT);
		assert_non_null(profile);
		assert_string_equal(json_text(profile, "program"), *name);
		assert_string_equal(agents_prompt_way(profile, 10), "argv");
		assert_non_null(json_sub(profile, "large"));
	}
}

static void test_large(void **state)
{
	(void)state;
	_cleanup_free_ char *prompt = xcalloc(1, (200u << 10) + 1);
	memset(prompt, 'x', 200u << 10);
	const struct agents_values values = {.prompt = prompt, .prompt_file = "/p"};
	_cleanup_json_ json_t *claude =
	    agents_profile(agents_find("claude"), MODE_EXEC, PERMISSIONS_ASK);
	_cleanup_json_ json_t *goose =
	    agents_profile(agents_find("goose"), MODE_EXEC, PERMISSIONS_ASK);
	check(claude, &values, "claude|-p|--output-format|stream-json|--verbose");
	assert_string_equal(agents_prompt_way(claude, strlen(prompt)), "stdin");
	check(goose, &values, "goose|run|-i|/p");
	assert_string_equal(agents_prompt_way(goose, strlen(prompt)), "argv");
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
	    cmocka_unit_test(test_builtin),
	    cmocka_unit_test(test_large),
	    cmocka_unit_test(test_placeholders),
	    cmocka_unit_test(test_installed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
