# Claude Code itself against a mock of its model: headless and on its own screen. Too large for every
# run (./dev setup --agents --all installs it).
load helper
load agents

LARGE_BIN=$("$BATS_TEST_DIRNAME/../agents/install" --where-all) || LARGE_BIN=

# claude_home FIXTURES: it talks to the mock and has been through its first start
claude_home() {
	[[ -n $LARGE_BIN ]] || skip "claude is not installed (./dev setup --agents --all)"
	need_agents
	PATH=$LARGE_BIN:$PATH
	mock "$1"
	export ANTHROPIC_BASE_URL=$MOCK_URL ANTHROPIC_API_KEY=mock CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1
	configured '{}'
}

# configured PROJECTS: its own configuration
configured() {
	jq -n --argjson projects "$1" '{hasCompletedOnboarding: true, theme: "dark", projects: $projects,
		customApiKeyResponses: {approved: ["mock"], rejected: []}}' >"$HOME/.claude.json"
}

@test "claude edits, mends in its own session what verify refused, asks leave, waits for a limit, is accounted for" {
	claude_home claude
	raw_plan <<-'Y'
	name: p
	permissions: {mode: edit, ask: ["Bash(touch by-person*)"], allow: ["execute(touch by-policy*)"]}
	agents: {claude: {env: {CLAUDE_CODE_MAX_RETRIES: "0"}}}
	defaults: {agent: claude, verify_retries: 1, timeout: 100s}
	team: 3
	tasks:
	  - {id: mend, prompt: Please find an answer., verify: grep -q 42 answer}
	  - {id: leave, prompt: Please mend it with leave., verify: test -e by-policy && test -e by-person}
	  - {id: limited, prompt: Please be limited.}
	Y
	LIMIT=100 expect 3 pleach run --headless >/dev/null
	holds "$(pleach --json answer)" '.tasks[0].input | .reason == "permission" and .text == "Bash: touch by-person"'
	expect 0 pleach answer leave allow >/dev/null
	expect 0 pleach wait leave >/dev/null
	is '["completed",1,"Done.",[1,0]]' "$(task mend '[.status, .attempts, .output, (.rounds | map(.exit_code))]')"
	# Both runs of the one session: what it cost is claude's own price of its own model.
	holds "$(task mend .usage)" '.input_tokens == 2100 and .output_tokens == 40 and .cost_usd > 0'
	is "I write the answer down.|→ Write answer" "$(pleach logs mend | tr -d '\r' | head -n 2 | paste -sd '|')"
	is '["allow","policy"] ["allow","person"]' "$(pleach --json events |
		jq -c 'select(.kind == "permission.decided") | [.data.decision, .data.by]' | xargs -d '\n')"
	is '["completed",2,"I have read it.",null]' "$(task limited '[.status, .attempts, .output, .error]')"
	holds "$(pleach --json events | jq -s .)" '[.[] | select(.kind == "agent.limited")][0].data.message | contains("429")'
}

@test "claude on its own screen: its question about the folder, prompted, messaged at work, asks leave, ended" {
	claude_home claude
	raw_plan <<-'Y'
	name: p
	verify: test -e made
	agents: {claude: {mode: tui}}
	tasks: [{id: t, agent: claude, timeout: 200s, prompt: "Please begin,\n  and well."}]
	Y
	expect 0 pleach run --headless --detach >/dev/null
	wait_event '.kind == "task.updated" and .data.status == "needs_input"' >/dev/null
	has "$(task t .input.text)" "Is this a project you created or one you trust?"
	expect 0 pleach stop t >/dev/null
	# It writes its configuration once more as it ends.
	wait_event '.kind == "attempt.ended"' >/dev/null
	# A person's yes to it counts for the repository, and so for every slot.
	configured "{\"$REPO\": {\"hasTrustDialogAccepted\": true}}"
	seq=$(last_seq)
	expect 0 pleach retry t >/dev/null
	wait_event '.kind == "teammate.updated" and .data.state == "idle" and .task != null' "$seq" >/dev/null
	expect 0 pleach send t "Please think for long." >/dev/null
	wait_event '.kind == "teammate.updated" and .data.state == "working"' "$seq" >/dev/null
	expect 0 pleach send t $'first line\nsecond: \x1b[201~ é 漢.' >/dev/null
	expect 0 pleach send t "Now make it and be done." >/dev/null
	wait_event '.kind == "task.updated" and .data.status == "needs_input"' "$seq" >/dev/null
	is '"Bash: echo made >made && pleach done"' "$(task t .input.text | jq -R .)"
	expect 0 pleach answer t allow >/dev/null
	expect 0 pleach wait t >/dev/null
	is completed "$(task t .status)"
}
