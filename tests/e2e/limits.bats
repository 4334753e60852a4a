# What agents use, and what holds them: budgets, rate limits, time without progress.
load helper

# Agents that print what real ones do: claude's and codex's lines, and plain text.
agents() {
	cat <<-'Y'
	agents:
	  claudish: {command: [sh, "{prompt_file}"], mode: exec, output: claude}
	  codexish: {command: [sh, "{prompt_file}"], mode: exec, output: codex}
	  plain:
	    command: [sh, "{prompt_file}"]
	    mode: exec
	    limits: [{match: 'quota: wait ([0-9.]+)s', until: seconds}]
	defaults: {agent: claudish, slot: none}
	Y
}

# used NAME IN OUT USD: a file with claude's last line
used() {
	printf '{"type":"result","is_error":false,"result":"done","total_cost_usd":%s,"usage":{"input_tokens":%s,"output_tokens":%s}}\n' "$4" "$2" "$3" >"$W/$1"
}

# says NAME IN OUT: one message of claude's, while it works
says() {
	printf '{"type":"assistant","message":{"id":"%s","content":[],"usage":{"input_tokens":%s,"output_tokens":%s}}}\n' "$1" "$2" "$3" >"$W/$1"
}

# fails NAME TEXT: a file with claude's last line when its service refused it
fails() {
	printf '{"type":"result","is_error":true,"result":"%s"}\n' "$2" >"$W/$1"
}

@test "what was used is summed by task, agent, plan and day; failed and repeated attempts count" {
	used a 1000 200 0.5
	used b 10 2 0.25
	echo '{"type":"turn.completed","usage":{"input_tokens":7,"output_tokens":3}}' >"$W/c"
	raw_plan <<-Y
	$(agents)
	tasks:
	  - {id: a, prompt: 'cat \$W/a'}
	  - {id: b, retries: 1, prompt: 'cat \$W/b; exit 1'}
	  - {id: c, agent: codexish, prompt: 'cat \$W/c'}
	  - {id: d, agent: plain, prompt: 'true'}
	Y
	out=$(expect 1 pleach --json run --headless)
	holds "$(tail -n 1 <<<"$out")" '.usage == {input_tokens: 1027, output_tokens: 207, cost_usd: 1}'
	is '{"input_tokens":20,"output_tokens":4,"cost_usd":0.5}' "$(task b .usage)"
	is '{"input_tokens":7,"output_tokens":3,"cost_usd":null}' "$(task c .usage)"
	is null "$(task d .usage)"
	has "$(pleach task show a)" '1000 tokens in, 200 out, $0.50'
	usage=$(pleach --json usage)
	holds "$usage" '[.rows[] | [.key, .attempts, .untold, .usage.cost_usd]] == [["a",1,0,0.5],["b",2,0,0.5],["c",1,0,null],["d",1,1,null]]'
	holds "$usage" '.total == {attempts: 5, untold: 1, without_cost: 2, usage: {input_tokens: 1027, output_tokens: 207, cost_usd: 1.0}}'
	holds "$(pleach --json usage --by agent)" '[.rows[] | [.agent, .attempts]] == [["claudish",3],["codexish",1],["plain",1]]'
	holds "$(pleach --json usage --by plan)" '(.rows | length) == 1 and .rows[0].plan == "pleach" and .rows[0].usage.cost_usd == 1'
	holds "$(pleach --json usage --by day --plan pleach)" "(.rows | length) == 1 and .rows[0].day == \"$(date +%F)\" and .rows[0].usage.input_tokens == 1027"
	holds "$(pleach --json usage --since 2999-01-01)" '.rows == []'
	holds "$(pleach --json usage --since 1h)" '.total.attempts == 5'
	out=$(expect 0 pleach usage)
	has "$out" '$1.00'
	has "$out" 'told nothing'
	expect 2 pleach usage --since yesterday >/dev/null
	expect 4 pleach usage --plan nowhere >/dev/null
	expect 2 pleach usage --by teammate >/dev/null
}

@test "what a killed worker's agent had used counts once, and its task's next attempt is added" {
	gate go
	says one 100 10
	used all 1000 100 1
	raw_plan <<-Y
	$(agents)
	tasks:
	  - {id: a, prompt: 'cat \$W/one; [ -e \$W/again ] || { touch \$W/again; read x <\$W/go; }; cat \$W/all'}
	Y
	expect 0 pleach run --headless --detach >/dev/null
	eventually usage_is a 110
	eventually test -e "$W/again"
	kill -KILL "$(team '.teammates[0].pid')"
	expect 0 pleach task wait a >/dev/null
	is '{"input_tokens":1100,"output_tokens":110,"cost_usd":1}' "$(task a .usage)"
	is 2 "$(task a .attempts)"
}

usage_is() {
	[[ $(task "$1" '.usage | .input_tokens + .output_tokens') == "$2" ]]
}

@test "a task over its budget is ended, its work kept; it is not started again before that is raised" {
	gate go
	says near 900 50
	says over 1000 100
	raw_plan <<-Y
	$(agents)
	tasks:
	  - id: a
	    slot: own
	    retries: 3
	    budget: {tokens: 1k}
	    prompt: 'echo work >made; [ -e \$W/again ] && exit; touch \$W/again; cat \$W/near; cat \$W/over; read x <\$W/go'
	Y
	expect 1 pleach run --headless >/dev/null
	is '["failed","budget",1]' "$(task a '[.status, .error.code, .attempts]')"
	has "$(task a .error.message)" "2050 of 1000 tokens"
	is work "$(git show "$(task a .head):made")"
	# Tried again, it waits for a person: nothing was started.
	expect 3 pleach run --headless --retry >/dev/null
	holds "$(pleach --json task show a)" '.status == "needs_input" and .input.reason == "budget" and .attempts == 1'
	has "$(expect 0 pleach answer)" "raise its budget"
	has "$(expect 0 pleach)" "pleach task update a --budget USD (or --budget-tokens N)"
	lacks "$(pleach)" "pleach answer"
	expect 5 pleach answer a >/dev/null
	has "$(stderr)" "a waits for its budget, not for an answer (pleach task update a --budget"
	expect 5 pleach answer a yes >/dev/null
	expect 2 pleach task update a --budget-tokens much >/dev/null
	expect 0 pleach task update a --budget-tokens 1000000 >/dev/null
	expect 0 pleach task wait a >/dev/null
	is '["completed",2]' "$(task a '[.status, .attempts]')"
}

@test "a plan over its budget starts nothing more and ends what runs; raised, it goes on" {
	gate go
	gate begun
	used one 1 1 0.6
	says two 5 5
	with_budget() {
		raw_plan <<-Y
		$(agents)
		budget: {usd: $1}
		tasks:
		  - {id: a, prompt: 'read x <\$W/begun; cat \$W/one'}
		  - {id: b, prompt: '[ -e \$W/raised ] || { cat \$W/two; echo >\$W/begun; read x <\$W/go; }'}
		  - {id: c, prompt: 'cat \$W/one', blocked_by: [a]}
		  - {id: d, prompt: 'true', blocked_by: [c]}
		Y
	}
	with_budget 1.00
	# c brings it over: b is ended, and d does not start.
	out=$(expect 3 pleach --json run --headless --team 2)
	is '["completed","needs_input","completed","needs_input"]' "$(pleach --json task list | jq -c '[.tasks[].status]')"
	holds "$(pleach --json task show b)" '.error.code == "budget" and .input.reason == "budget" and .attempts == 1'
	has "$(task d .input.text)" '$1.20 of $1.00'
	is plan "$(task d .input.of)"
	has "$(expect 0 pleach)" "raise budget: in the plan, and pleach run it again"
	lacks "$(pleach)" "pleach answer"
	holds "$(pleach --json usage --plan pleach)" '.budget.usd == 1 and .spent.cost_usd == 1.2'
	has "$(expect 0 pleach usage --plan pleach)" '$1.20 of $1.00'
	touch "$W/raised"
	with_budget 2.00
	expect 0 pleach run --headless >/dev/null
	is '["completed","completed"]' "$(pleach --json task list | jq -c '[.tasks[1,3].status]')"
}

@test "people are told, once each, that a budget is nearly used up" {
	gate go
	gate on
	says one 900 50
	says two 910 50
	raw_plan <<-Y
	$(agents)
	budget: {tokens: 2000, day_tokens: 1000}
	team: 1
	tasks: [{id: a, budget: {tokens: 1k}, prompt: 'cat \$W/one; read x <\$W/go; cat \$W/two | sed s/two/one/; read x <\$W/on'}]
	Y
	background pleach run --headless
	wait_event '.kind == "budget.near" and .data.of == "day"' >/dev/null
	holds "$(pleach --json status)" '[.budgets[].of] == ["task", "day"]'
	has "$(pleach status)" "! the task's budget is nearly used up: 950 of 1000 tokens (a)"
	open_gate go
	eventually holds_tokens 960
	open_gate on
	finished "$BG"
	is 0 "$STATUS"
	has "$(cat "$BATS_TEST_TMPDIR/bg.err")" "today's budget is nearly used up: 950 of 1000 tokens"
	is 2 "$(pleach --json events | jq -s 'map(select(.kind == "budget.near")) | length')"
	holds "$(pleach --json status)" '.budgets == []'
}

holds_tokens() {
	holds "$(pleach --json task show a)" ".usage | .input_tokens + .output_tokens == $1"
}

@test "the day's budget holds everything until it is raised" {
	used one 1 1 5
	mkdir -p "$XDG_CONFIG_HOME/pleach"
	echo 'budget: {day_usd: 4}' >"$XDG_CONFIG_HOME/pleach/config.yaml"
	raw_plan <<-Y
	$(agents)
	tasks:
	  - {id: a, prompt: 'cat \$W/one'}
	  - {id: b, prompt: 'true', blocked_by: [a]}
	Y
	expect 0 pleach run --headless --detach >/dev/null
	wait_event '.kind == "budget.reached" and .data.of == "day"' >/dev/null
	holds "$(pleach --json task show b)" '.status == "pending" and .waits.for == "budget" and .attempts == 0'
	has "$(expect 0 pleach status)" "today's budget is used up"
	holds "$(pleach --json status)" "(.limited | length) == 1 and .limited[0].agent == null"
	# It outlives the process, and nobody waits it out by hand.
	kill -KILL "$(serving_pid)"
	expect 0 pleach team resume >/dev/null
	is pending "$(task b .status)"
	echo 'budget: {day_usd: 40}' >"$XDG_CONFIG_HOME/pleach/config.yaml"
	expect 0 pleach run --headless >/dev/null
	is completed "$(task b .status)"
	holds "$(pleach --json status)" '.limited == []'
}

@test "agents that tell nothing are named when a budget cannot hold them" {
	raw_plan <<-Y
	$(agents)
	tasks:
	  - {id: a, agent: plain, budget: {usd: 1}, prompt: 'true'}
	  - {id: b, agent: codexish, budget: {usd: 1}, prompt: 'true'}
	Y
	expect 0 pleach run --headless >/dev/null
	has "$(stderr)" "agent plain does not tell what it uses"
	has "$(stderr)" "agent codexish tells tokens but no cost"
	lacks "$(stderr)" "claudish"
}

@test "a limited agent waits until its service said, others go on; the attempt does not count" {
	mkfifo "$W/seen"
	printf '{"type":"result","is_error":true,"result":"usage limit reached|%s"}\n' $(($(date +%s) + 1800)) >"$W/bad"
	raw_plan <<-Y
	$(agents)
	tasks:
	  - {id: a, prompt: '[ -e \$W/a ] || { touch \$W/a; cat \$W/bad; exit 1; }'}
	  - {id: b, blocked_by: [a], when: settled, prompt: 'true'}
	  - {id: c, agent: plain, prompt: 'read x <\$W/seen'}
	Y
	expect 0 pleach run --headless --team 2 --detach >/dev/null
	event=$(wait_event '.kind == "agent.limited"')
	holds "$event" '.data.agent == "claudish" and (.data.message | test("usage limit reached"))
		and ((.data.until[:19] + "Z" | fromdate) - (.at[:19] + "Z" | fromdate) | . > 1700 and . <= 1801)'
	holds "$(pleach --json task show a)" '.status == "pending" and .ready and .error.code == "limit"
		and .waits.for == "limit" and .waits.agent == "claudish"'
	has "$(expect 0 pleach status)" "claudish is limited for"
	has "$(expect 0 pleach ls)" "claudish is limited for"
	# The other agent was never held up.
	echo go >"$W/seen"
	expect 0 pleach task wait c >/dev/null
	is 1 "$(task c .attempts)"
	is 1 "$(task a .attempts)"
	expect 0 pleach retry a >/dev/null # nobody waits any more, as with team resume
	expect 0 pleach task wait a b >/dev/null
	is '["completed",2]' "$(task a '[.status, .attempts]')"
}

teammate_is() {
	[[ $(team '.teammates[0].state') == "\"$1\"" ]]
}

@test "without a told reset it backs off, over a restart of the coordinator, until team resume" {
	raw_plan <<-Y
	$(agents)
	team: [{name: ash, agent: codexish}]
	tasks:
	  - {id: a, agent: codexish, prompt: '[ -e \$W/well ] || { cat \$W/bad; exit 1; }'}
	Y
	echo '{"type":"turn.failed","error":{"message":"exceeded retry limit, last status: 429 Too Many Requests"}}' >"$W/bad"
	expect 0 pleach run --headless --detach >/dev/null
	# Looked at with half of the time left: a machine that is too slow for that looks again at the
	# next limit, which lasts twice as long.
	seq=0 attempts=1
	for pause in 30 60 120 240; do
		event=$(LIMIT=$((pause + 30)) wait_event '.kind == "agent.limited"' "$seq")
		holds "$event" "(.data.until[:19] + \"Z\" | fromdate) - (.at[:19] + \"Z\" | fromdate) | . >= $pause - 1 and . <= $pause + 1"
		seq=$(jq .seq <<<"$event")
		until=$(jq '.data.until[:19] + "Z" | fromdate' <<<"$event")
		seen=$(team '.teammates[0].state')
		seen+=$(pleach --json ps | jq '.teammates[0].until != null')
		shown=$(expect 0 pleach ps)
		old=$(serving_pid)
		kill -KILL "$old"
		process_gone "$old"
		eventually teammate_is limited
		seen+=$(task a '[.status, .waits.for]')
		attempts=$((attempts + 1))
		(($(date +%s) + pause / 2 > until)) || break
	done
	is '"limited"true["pending","limit"]' "$seen"
	has "$shown" limited
	: >"$W/well"
	expect 0 pleach team resume codexish >/dev/null
	expect 0 pleach task wait a >/dev/null
	is "[\"completed\",$attempts]" "$(task a '[.status, .attempts]')"
	eventually teammate_is idle
	wait_event '.kind == "agent.resumed" and .data.by == "person"' >/dev/null
}

@test "agents that only write of limits are not taken for limited ones" {
	printf '{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"HTTP 429: rate limit reached, try again in 5 minutes"}]}}\n{"type":"result","is_error":false,"result":"429 usage limit reached|9999999999"}\n' >"$W/talk"
	raw_plan <<-Y
	$(agents)
	tasks:
	  - {id: talks, prompt: 'cat \$W/talk'}
	  - {id: fails, prompt: 'cat \$W/talk; exit 1'}
	  - {id: text, agent: plain, prompt: 'echo HTTP 429 rate limit; exit 1'}
	  - {id: ends, agent: plain, prompt: 'echo quota: wait 90s'}
	  - {id: named, agent: plain, prompt: 'test -e \$W/n || { touch \$W/n; echo quota: wait 1s; exit 3; }'}
	Y
	expect 1 pleach run --headless >/dev/null
	is '["completed","failed","failed","completed","completed"]' "$(pleach --json task list | jq -c '[.tasks[].status]')"
	is '[1,1,1,1,2]' "$(pleach --json task list | jq -c '[.tasks[].attempts]')"
	is '["agent_exit","agent_exit"]' "$(pleach --json task list | jq -c '[.tasks[1,2].error.code]')"
	is '[["agent.limited","plain",null],["agent.resumed","plain","time"]]' \
		"$(pleach --json events | jq -sc '[.[] | select(.kind == "agent.limited" or .kind == "agent.resumed") | [.kind, .data.agent, .data.by]]')"
}

@test "an agent whose stream ends in an error failed, whatever its exit status says" {
	echo '{"type":"turn.failed","error":{"message":"stream disconnected before completion"}}' >"$W/bad"
	raw_plan <<-Y
	$(agents)
	tasks:
	  - {id: a, agent: codexish, retries: 1, prompt: 'test -e \$W/a || { touch \$W/a; cat \$W/bad; }'}
	  - {id: b, agent: codexish, prompt: 'cat \$W/bad'}
	Y
	expect 1 pleach run --headless >/dev/null
	is '["completed",2]' "$(task a '[.status, .attempts]')"
	is '["failed","agent_exit"]' "$(task b '[.status, .error.code]')"
	has "$(task b .error.message)" "stream disconnected"
}

@test "no_progress ends an agent that does nothing, not one that writes files" {
	gate never
	raw_plan <<-Y
	$(agents)
	tasks:
	  - {id: still, slot: own, no_progress: 2s, prompt: 'echo begun; echo kept >made; read x <\$W/never'}
	  - {id: busy, slot: own, no_progress: 6s, prompt: 'i=0; while [ \$i -lt 16 ]; do echo \$i >made; sleep 0.5; i=\$((i + 1)); done'}
	Y
	expect 1 pleach run --headless --team 2 >/dev/null
	is '["failed","timeout"]' "$(task still '[.status, .error.code]')"
	has "$(task still .error.message)" "no progress for"
	is kept "$(git show "$(task still .head):made")"
	is completed "$(task busy .status)"
}

@test "wrap_up tells an agent that can be told, once" {
	raw_plan <<-Y
	agents:
	  talker: {command: [sh, '\$W/talker'], mode: tui, prompt: none}
	defaults: {agent: talker, slot: none, wrap_up: 1s, timeout: 20s}
	tasks:
	  - {id: a, prompt: 'x'}
	Y
	sed -i "s|\\\$W|$W|" pleach.yaml
	printf 'read line; printf "%%s\\n" "$line" >"$W/told"\n' >"$W/talker"
	expect 0 pleach run --headless >/dev/null
	has "$(cat "$W/told")" "nearly over: it ends in 19s"
}

@test "wrap_up cancels the turn of an agent of the protocol, and is its next prompt" {
	raw_plan <<-Y
	agents: {acp: {command: [python3, "$BATS_TEST_DIRNAME/acp_agent.py"], mode: acp}}
	defaults: {agent: acp, slot: none, timeout: 20s}
	tasks: [{id: a, wrap_up: 1s, prompt: "linger\nspent 100 20 130\nhang"}, {id: b, prompt: "quota 7 3"}]
	Y
	expect 0 pleach run --headless >/dev/null
	is '["session/prompt","session/cancel","session/prompt"]' "$(jq -sc '
		[.[] | select(.params.sessionId) | select(.params.prompt[0].text != "quota 7 3") | .method]' "$W/heard")"
	has "$(jq -r 'select(.method == "session/prompt") | .params.prompt[0].text' "$W/heard")" "nearly over: it ends in 19s"
	# What was used is told in two ways that are no part of the protocol.
	is '[[100,30],[7,3]]' "$(pleach --json task list | jq -c '[.tasks[].usage | [.input_tokens, .output_tokens]]')"
}

@test "an agent that counts its whole session is counted once, in another round and in another attempt" {
	cat >"$W/agent" <<-'S'
	echo '{"type":"thread.started","thread_id":"t-'$PLEACH_KEY'"}'
	case $PLEACH_KEY$1 in
	round) echo '{"type":"turn.completed","usage":{"input_tokens":100,"output_tokens":10}}' ;;
	roundagain) touch fixed; echo '{"type":"turn.completed","usage":{"input_tokens":250,"output_tokens":25}}' ;;
	attempt)
		echo '{"type":"turn.completed","usage":{"input_tokens":100,"output_tokens":10}}'
		echo '{"type":"turn.failed","error":{"message":"429: try again in 0.2s"}}' ;;
	attemptagain) touch fixed; echo '{"type":"turn.completed","usage":{"input_tokens":180,"output_tokens":18}}' ;;
	esac
	S
	raw_plan <<-Y
	agents:
	  codexish:
	    command: [sh, $W/agent]
	    output: codex
	    session: reported
	    resume: {command: [sh, $W/agent, again], prompt: stdin}
	defaults: {agent: codexish, verify: test -e fixed, verify_retries: 1}
	tasks:
	  - {id: round, prompt: x}
	  - {id: attempt, prompt: x, blocked_by: [round]}
	Y
	expect 0 pleach run --headless >/dev/null
	is '[1,250,25]' "$(task round '[.attempts, .usage.input_tokens, .usage.output_tokens]')"
	is '[2,180,18]' "$(task attempt '[.attempts, .usage.input_tokens, .usage.output_tokens]')"
}

@test "a task's time stands still while it waits for a person, and goes on after the answer" {
	plan <<-'Y'
	tasks:
	  - {id: a, timeout: 2s, prompt: 'pleach ask which >"$W/a.said"'}
	  - {id: b, timeout: 2s, prompt: 'pleach ask which >"$W/b.said"; exec sleep 100'}
	Y
	expect 0 pleach run --headless --detach --team 2 >/dev/null
	both_ask() { holds "$(pleach --json task list)" '[.tasks[].status] == ["needs_input", "needs_input"]' 2>/dev/null; }
	eventually both_ask
	kill -KILL "$(serving_pid)" # another coordinator tells it, too
	sleep 3
	both_ask
	expect 0 pleach answer a one >/dev/null
	expect 0 pleach answer b two >/dev/null
	expect 1 pleach wait a b >/dev/null
	is one "$(cat "$W/a.said")"
	is two "$(cat "$W/b.said")"
	holds "$(pleach --json task show a)" '.status == "completed"'
	holds "$(pleach --json task show b)" '.status == "failed" and .error.code == "timeout"'
}
