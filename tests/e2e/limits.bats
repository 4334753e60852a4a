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
	kill -KILL "$(team '.teammates[0].pid')"
	expect 0 pleach task wait a >/dev/null
	is '{"input_tokens":1100,"output_tokens":110,"cost_usd":1}' "$(task a .usage)"
	is 2 "$(task a .attempts)"
}

usage_is() {
	[[ $(task "$1" '.usage | .input_tokens + .output_tokens') == "$2" ]]
}
