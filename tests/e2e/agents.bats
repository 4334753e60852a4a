# Real agents, pi and codex, headless against a mock of a model: they edit through their own tools, are
# verified, compared, merged, and accounted for; what a broken service does to them.
load helper
load agents

@test "pi and codex do the same task; one is picked and merged; usage is theirs" {
	need_agents
	mock work
	raw_plan <<-'Y'
	name: p
	verify: grep -q 42 answer
	team: 2
	tasks:
	  - id: t
	    prompt: Make a file called answer with 42 in it.
	    alternatives: [{agent: pi}, {agent: codex}]
	Y
	expect 3 pleach run --headless >/dev/null
	json=$(expect 0 pleach --json compare t)
	holds "$json" '[.alternatives[] | [.agent, .status, .verify_exit_code, .insertions]] == [["pi","completed",0,1],["codex","completed",0,2]]'
	holds "$json" '.alternatives[0].usage | .input_tokens == 1500 and .output_tokens == 25 and (.cost_usd * 1e6 | round) == 4875'
	holds "$json" '.alternatives[1].usage == {"input_tokens":2500,"output_tokens":35,"cost_usd":null}'
	json=$(expect 0 pleach --json usage --by agent)
	holds "$json" '.total.usage | .input_tokens == 4000 and .output_tokens == 60 and (.cost_usd * 1e6 | round) == 4875'
	holds "$json" '[.rows[] | [.agent, .usage.input_tokens]] == [["codex", 2500], ["pi", 1500]]'
	is "The answer is in its file." "$(task t.1 .output)"
	is "I write the answer down.|→ write answer|  ← Successfully wrote 3 bytes to answer|The answer is in its file.|— 1500 tokens in, 25 out, \$0.0049" \
		"$(pleach logs t.1 | tr -d '\r' | paste -sd '|')"
	has "$(pleach logs t.2)" "→ run /bin/bash"
	is thread.started "$(pleach logs t.2 --raw | jq -Rr 'fromjson? | .type' | head -n 1)"
	expect 0 pleach pick t.2 >/dev/null
	expect 0 pleach merge --all >/dev/null
	is "by hand 42" "$(git show main:answer | xargs)"
	is 2 "$(git rev-list --count main)"
}

@test "a service that drops, cuts, malforms, stalls: every task ends right, none twice" {
	need_agents
	mock faults
	raw_plan <<-'Y'
	name: p
	verify: test -e never
	team: 5
	defaults: {timeout: 60s}
	tasks:
	  - {id: drop-pi, agent: pi, prompt: be dropped}
	  - {id: drop-codex, agent: codex, prompt: be dropped}
	  - {id: cut-pi, agent: pi, prompt: be cut}
	  - {id: cut-codex, agent: codex, prompt: be cut}
	  - {id: malform-pi, agent: pi, prompt: be malformed}
	  - {id: malform-codex, agent: codex, prompt: be malformed}
	  - {id: stall-pi, agent: pi, prompt: be stalled, timeout: 5s}
	  - {id: stall-codex, agent: codex, prompt: be stalled, timeout: 5s}
	  - {id: heal-codex, agent: codex, prompt: be healed, retries: 1, verify: test -e healed}
	Y
	expect 1 pleach run --headless >/dev/null
	json=$(pleach --json task list)
	holds "$json" '[.tasks[] | select(.status != "failed") | .key] == ["heal-codex"]'
	holds "$json" '[.tasks[] | select(.attempts != 1) | [.key, .attempts]] == [["heal-codex", 2]]'
	holds "$json" '[.tasks[] | select(.error.code == "timeout") | .key] == ["stall-pi", "stall-codex"]'
	# pi takes what it cannot read for an empty answer, and says that it is done.
	holds "$json" '[.tasks[] | select(.error.code == "verify_failed") | .key] == ["malform-pi"]'
	holds "$json" '[.tasks[] | select(.error.code == "agent_exit")] | length == 5'
	has "$(task cut-codex .error.message)" "stream disconnected before completion"
	has "$(task drop-pi .error.message)" "Connection error"
	# Each was asked once by each agent; what healed, three times: the error, the tool, the end.
	for word in dropped cut malformed; do
		is 2 "$(asked "be $word")"
	done
	is 3 "$(asked "be healed")"
	holds "$(task heal-codex .usage)" '. == {"input_tokens":150,"output_tokens":15,"cost_usd":null}'
}

@test "a service that limits for a while: the task waits, goes on and is done, and others with it" {
	need_agents
	mock limits
	raw_plan <<-'Y'
	name: p
	team: 2
	tasks:
	  - {id: limited, agent: pi, prompt: be limited, verify: test -e went-on}
	  - {id: other, agent: codex, prompt: be another, verify: test -e went-on}
	Y
	expect 0 pleach run --headless >/dev/null
	is '["completed",2,null]' "$(task limited '[.status, .attempts, .error]')"
	is '["completed",1,null]' "$(task other '[.status, .attempts, .error]')"
	holds "$(task limited .usage)" '.input_tokens == 150 and .output_tokens == 15'
	# It was not asked again before the time that it told.
	events=$(pleach --json events | jq -s .)
	holds "$events" '[.[] | select(.kind == "agent.limited")][-1] as $l | [.[] | select(.kind == "attempt.started" and .key == "limited")][-1].at >= $l.data.until'
	holds "$events" '[.[] | select(.kind == "agent.resumed")] | length == 1'
	is 3 "$(asked "be limited")" # refused, the tool, the end
}

@test "qwen over ACP asks leave for two commands: one the plan's permissions give, one a person" {
	need_agents
	mock leave
	raw_plan <<-'Y'
	name: p
	permissions: {mode: ask, allow: ["execute(touch by-policy*)"]}
	verify: test -e by-policy && test -e by-person
	agents: {qwen: {mode: acp}}
	tasks: [{id: t, agent: qwen, timeout: 100s, prompt: Please mend it with leave.}]
	Y
	LIMIT=100 expect 3 pleach run --headless >/dev/null
	holds "$(pleach --json answer)" '.tasks[0].input | .reason == "permission" and (.text | startswith("touch by-person"))'
	expect 0 pleach answer t allow >/dev/null
	expect 0 pleach wait t >/dev/null
	has "$(task t .output)" "Both are done."
	holds "$(pleach --json task show t)" '.usage | .input_tokens > 0 and .output_tokens > 0'
	is '["allow","policy"] ["allow","person"]' "$(pleach --json events |
		jq -c 'select(.kind == "permission.decided") | [.data.decision, .data.by]' | xargs -d '\n')"
}

# heard: what people said to the model, each text once, in order
heard() {
	python3 -c 'import sys, urllib.request as r; sys.stdout.buffer.write(r.urlopen(sys.argv[1], timeout=20).read())' \
		"$MOCK_URL/__aimock/journal?limit=10000" | jq -c '
		[.. | objects | select(has("messages")) | [.messages[] | select(.role == "user") | .content
		 | if type == "array" then map(.text) | join("") else . end]] | max_by(length)'
}

heard_so_many() {
	[[ $(heard | jq length) == "$1" ]]
}

@test "pi on its own screen: prompted when it is ready, messaged, ended by itself" {
	need_agents
	mock chat
	raw_plan <<-'Y'
	name: p
	verify: test -e made
	agents: {pi: {mode: tui}}
	tasks: [{id: t, agent: pi, timeout: 100s, prompt: "Please begin,\n  and well."}]
	Y
	text=$'first line\nsecond: \x1b[201~ é 漢\x01.' # pi itself drops what is no text
	expect 0 pleach run --headless --detach >/dev/null
	LIMIT=100
	eventually heard_so_many 1
	expect 0 pleach send t "$text" >/dev/null
	expect 0 pleach send t "$(printf 'a line of many\n%.0s' {1..2000})" >/dev/null
	eventually heard_so_many 3
	expect 0 pleach send t "make it and be done" >/dev/null
	expect 0 pleach wait t >/dev/null
	is completed "$(task t .status)"
	holds "$(heard)" 'length == 4 and .[0] == "Please begin,\n  and well."'
	holds "$(heard)" '.[1] == "first line\nsecond: [201~ é 漢."'
	holds "$(heard)" '.[2] == ([range(2000) | "a line of many"] | join("\n"))'
}
