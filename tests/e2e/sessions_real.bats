# Real agents go on with their own sessions: after a failed verify, and from task to task.
load helper
load agents

# remembered WORDS: the largest number of messages of a person with these words in one request
remembered() {
	python3 -c 'import sys, urllib.request as r; sys.stdout.buffer.write(r.urlopen(sys.argv[1], timeout=20).read())' \
		"$MOCK_URL/__aimock/journal?limit=10000" | jq --arg w "$1" '
		[.. | objects | select(has("messages")) | [.messages[] | select(.role == "user" and (tostring | contains($w)))] | length] | max'
}

@test "a failed verify goes back to the sessions of pi and codex, which a lasting teammate keeps" {
	need_agents
	mock sessions
	raw_plan <<-'Y'
	name: p
	verify: grep -q 42 answer
	team: [{name: ash, agent: pi, session: keep}, {name: birch, agent: codex}]
	defaults: {verify_retries: 1}
	tasks:
	  - {id: a, prompt: Make a file for a., agent: pi}
	  - {id: b, prompt: Make a file for b., agent: codex}
	  - {id: c, prompt: Make a file for c., agent: pi, blocked_by: [a]}
		Y
	LIMIT=90 expect 0 pleach run --headless >/dev/null # six starts of node
	holds "$(pleach --json task list)" '[.tasks[] | select(.attempts != 1 or (.rounds | map(.exit_code)) != [1,0])] == []'
	holds "$(pleach --json task list)" '.tasks | map(.session) | .[0] == .[2] and (unique | length) == 2 and all(. != null)'
	holds "$(pleach --json task list)" '.tasks | map(.continues.why) == [null,null,"keep"]'
	is 2 "$(remembered 'The check of your work failed')"
	is 42 "$(git show pleach/p/b:answer)"
}
