/* Agents as data: the built-in ones in every mode, agents.yaml, what a plan changes of them. */
#include "agents.h"
#include "plan_fixture.h"

#define TASK "tasks: [{id: a, prompt: x, agent: z}]\n"

static json_t *profile_of(struct fixture *f, const char *text, const char *name)
{
	read_good(f, text);
	json_t *profile = json_object_get(json_object_get(f->plan, "agents"), name);
	assert_non_null(profile);
	return profile;
}

static void check_command(const json_t *profile, const struct agents_values *values,
                          const char *wanted)
{
	_cleanup_strv_ char **argv = agents_command(profile, values);
	_cleanup_buf_ struct buf text = BUF_INIT;
	for (size_t i = 0; argv[i]; i++)
		buf_printf(&text, "%s%s", i ? "|" : "", argv[i]);
	assert_string_equal(text.data, wanted);
}

static void check_part(const json_t *profile, const char *key, const char *wanted)
{
	_cleanup_free_ char *text = jsonl_text(json_object_get(profile, key));
	assert_string_equal(text, wanted);
}

/* Each name is its program's; what a command needs to begin and to go on is there. */
static void test_every_builtin(void **state)
{
	struct fixture *f = *state;
	_cleanup_json_ json_t *all = NULL, *warnings = NULL;
	assert_int_equal(plan_agents_list(&f->ctx, &all, &warnings, &f->err), 0);
	assert_int_equal(json_array_size(all), 11);
	size_t i;
	json_t *agent;
	json_array_foreach (all, i, agent) {
		const json_t *profile = json_object_get(agent, "profile");
		const char *session = json_text(profile, "session");
		assert_string_equal(json_text(profile, "program"), json_text(agent, "name"));
		assert_string_equal(json_text(profile, "mode"), "exec");
		assert_string_not_equal(agents_prompt_way(profile, 10), "none");
		assert_string_not_equal(agents_prompt_way(profile, 1u << 20), "none");
		assert_true(json_array_size(json_object_get(profile, "limits")) > 0);
		check_part(profile, "version", "[\"--version\"]");
		check_part(agent, "from", "[\"built in\"]");
		/* A session that has a name can be gone on with. */
		if (strcmp(session, "none") == 0)
			continue;
		const json_t *resume = json_object_get(profile, "resume");
		assert_true(agents_mentions(json_object_get(resume, "command"), "{session}"));
	}
}

static void test_builtin_commands(void **state)
{
	struct fixture *f = *state;
	const struct agents_values plain = {.prompt = "- do {key}", .key = "k"},
	                           full = {.prompt = "p", .model = "opus", .session = "S"};
	json_t *profile = profile_of(f, "tasks: [{id: a, prompt: x, agent: claude}]\n", "claude");
	check_command(profile, &plain,
	              "claude|-p|--output-format|stream-json|--verbose|--permission-mode|"
	              "acceptEdits|--|- do {key}");
	check_command(profile, &full,
	              "claude|-p|--output-format|stream-json|--verbose|--session-id|S|--model|opus|"
	              "--permission-mode|acceptEdits|--|p");
	profile =
	    profile_of(f, "permissions: all\ntasks: [{id: a, prompt: x, agent: codex}]\n", "codex");
	check_command(
	    profile, &full,
	    "codex|exec|--json|--model|opus|--dangerously-bypass-approvals-and-sandbox|--|p");
	check_part(profile, "session", "\"reported\"");
	check_part(profile, "resume",
	           "{\"command\":[\"codex\",\"exec\",\"--json\",\"--model\",\"{model}\","
	           "\"--dangerously-bypass-approvals-and-sandbox\",\"resume\",\"{session}\",\"-\"],"
	           "\"prompt\":\"stdin\"}");
	profile = profile_of(f,
	                     "agents: {gemini: {mode: tui, permissions: ask}}\n"
	                     "tasks: [{id: a, prompt: x, agent: gemini}]\n",
	                     "gemini");
	check_command(profile, &full, "gemini|--session-id=S|--model|opus|--prompt-interactive=p");
	check_part(profile, "output", "\"text\"");
}

static void test_changed(void **state)
{
	struct fixture *f = *state;
	put_text(f, ".conf/agents.yaml",
	         "claude:\n  model: haiku\n  levels: {all: {args: [--mine]}}\n"
	         "z: {extends: y, exec: {prompt: stdin}}\n"
	         "y: {command: [y, \"{prompt}\", \"{permissions}\"], env: {A: 1, B: 1}}\n");
	const struct agents_values values = {.prompt = "p"};
	json_t *profile = profile_of(f, TASK, "z");
	check_command(profile, &values, "y|p");
	check_part(profile, "prompt", "\"stdin\"");
	check_part(profile, "session", "\"none\"");
	check_part(json_object_get(f->secrets, "agents"), "z", "{\"A\":\"1\",\"B\":\"1\"}");
	/* A plan changes key by key what has no command of its own there. */
	profile = profile_of(
	    f, "agents: {z: {env: {B: 2}, limits: [{match: 'in (.)s', until: seconds}]}}\n" TASK,
	    "z");
	check_command(profile, &values, "y|p");
	check_part(profile, "limits", "[{\"match\":\"in (.)s\",\"until\":\"seconds\"}]");
	check_part(json_object_get(f->secrets, "agents"), "z", "{\"A\":\"1\",\"B\":\"2\"}");
	/* With a command it stands for itself; what its program prints is known. */
	profile =
	    profile_of(f, "agents: {z: {command: [/opt/claude, x, \"{session}\"]}}\n" TASK, "z");
	check_part(profile, "output", "\"claude\"");
	check_part(profile, "session", "\"given\"");
	check_part(profile, "hooks", "null");
	assert_null(json_object_get(json_object_get(f->secrets, "agents"), "z"));
	/* Both files' changes of a built-in agent. */
	profile = profile_of(f,
	                     "agents: {claude: {permissions: all}}\n"
	                     "tasks: [{id: a, prompt: x, agent: claude}]\n",
	                     "claude");
	assert_string_equal(said(task_of(f, "a"), "model"), "haiku");
	assert_true(agents_mentions(json_object_get(profile, "command"), "--mine"));
	assert_true(agents_mentions(json_object_get(profile, "command"), "stream-json"));
}

static void test_parts(void **state)
{
	struct fixture *f = *state;
	json_t *profile = profile_of(
	    f,
	    "agents:\n  z:\n    exec: {command: [z, \"{permissions}\"], prompt: argv, session: "
	    "reported,\n"
	    "      resume: {command: [z, --go, \"{session}\", \"{permissions}\"]}, large: null}\n"
	    "    tui: {command: z}\n    levels: {edit: {args: [-e], env: {E: 1}}}\n"
	    "    screen: {idle: ['^>']}\n    version: [-V]\n    output: pi\n"
	    "    hooks: {args: [-h, \"{hooks_file}\"], env: {H: \"{hook}\"}, file: {name: h.json, "
	    "content: {a: [1, {b: \"{hook}\"}]}}}\n" TASK,
	    "z");
	check_part(profile, "command", "[\"z\",\"-e\"]");
	check_part(profile, "env", "{\"E\":\"1\"}");
	check_part(profile, "resume",
	           "{\"command\":[\"z\",\"--go\",\"{session}\",\"-e\"],\"prompt\":\"stdin\"}");
	check_part(profile, "large", "null");
	check_part(profile, "screen", "{\"needs_input\":[],\"working\":[],\"idle\":[\"^>\"]}");
	check_part(profile, "version", "[\"-V\"]");
	check_part(profile, "output", "\"pi\"");
	check_part(
	    profile, "hooks",
	    "{\"args\":[\"-h\",\"{hooks_file}\"],\"env\":{\"H\":\"{hook}\"},\"file\":{\"name\":"
	    "\"h.json\",\"content\":{\"a\":[1,{\"b\":\"{hook}\"}]}}}");
	profile = profile_of(f,
	                     "agents: {qwen: {mode: acp}}\n"
	                     "tasks: [{id: a, prompt: x, agent: qwen}]\n",
	                     "qwen");
	check_part(profile, "hooks", "null");
	profile = profile_of(f, "agents: {z: {tui: {command: z -i}}}\n" TASK, "z");
	check_part(profile, "mode", "\"tui\"");
	check_part(profile, "command", "[\"/bin/sh\",\"-c\",\"z -i\"]");
}

static void refused(struct fixture *f, const char *agent, const char *place, const char *what)
{
	_cleanup_free_ char *text = xasprintf("agents: {z: {%s}}\n" TASK, agent);
	_cleanup_free_ char *at = xasprintf("plan.yaml:1:%s: ", place);
	read_bad(f, text, at, what);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	refused(f, "model: x", "10", "no command");
	refused(f, "tui: {prompt: argv}", "10", "no command");
	refused(f, "exec: {comand: x}", "21", "command");
	refused(f, "exec: {command: [z], prompt: key}", "43", "argv");
	refused(f, "exec: {command: 'z {prompt}'}", "30", "{prompt}");
	refused(f, "exec: [z]", "20", "mapping");
	refused(f, "command: [z], resume: {prompt: argv}", "36", "command");
	refused(f, "command: [z], resume: {command: 'z {session}'}", "46", "{session}");
	refused(f, "command: [z], limits: [{match: '('}]", "45", "regular expression");
	refused(f, "command: [z], limits: [{match: a, until: epoch}]", "45", "group");
	refused(f, "command: [z], limits: [{match: '(a)', until: now}]", "59", "seconds");
	refused(f, "command: [z], limits: [{until: epoch}]", "37", "match");
	refused(f, "command: [z], screen: {idle: ['[']}", "44", "regular expression");
	refused(f, "command: [z], screen: {bored: [x]}", "37", "bored");
	refused(f, "command: [z], hooks: {file: {name: ../x, content: {}}}", "49", "bare name");
	refused(f, "command: [z], hooks: {file: {name: x}}", "42", "content");
	refused(f, "command: [z], hooks: {env: {PLEACH_X: 1}}", "42", "PLEACH_X");
	refused(f, "command: [z], levels: {some: {}}", "37", "some");
	refused(f, "command: [z], levels: {all: [x]}", "42", "mapping");
	refused(f, "command: [z], output: xml", "36", "claude");
	refused(f, "command: [z], version: x", "37", "list");
	refused(f, "command: [z], session: mine", "37", "given");
	refused(f, "extends: clade", "23", "claude");
	read_bad(f, "agents: {z: {extends: y}, y: {extends: z}}\n" TASK, "plan.yaml:1:", "ring");
	put_text(f, ".conf/agents.yaml", "z: {command: [z]}\ny: {comand: [y]}\n");
	_cleanup_free_ char *place = xasprintf("%s/agents.yaml:2:5: ", f->conf);
	read_bad(f, TASK, place, "command");
	put_text(f, ".conf/agents.yaml", "# nothing\n");
	read_good(f, "tasks: [{id: a, prompt: x}]\n");
	put_text(f, ".conf/agents.yaml", "- z\n");
	place[strlen(place) - strlen("2:5: ")] = '\0';
	read_bad(f, TASK, place, "mapping");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_every_builtin), TEST(test_builtin_commands), TEST(test_changed),
	    TEST(test_parts),         TEST(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
