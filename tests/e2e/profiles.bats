# Agents as data: what `pleach agents` tells, and what agents.yaml and a plan change.
load helper

# program NAME: one on PATH, from stdin
program() {
	mkdir -p "$W/bin"
	{ echo '#!/bin/sh'; cat; } >"$W/bin/$1"
	chmod +x "$W/bin/$1"
}

@test "agents lists what is installed and where; --check starts each, all at once, under a limit" {
	PATH=$W/bin:$PATH
	program claude <<<'printf "\n 9.8.7 (\033[31mCode)\nmore\n"; [ -t 0 ] && echo tty; readlink -f . >"'"$W"'/dir"'
	program codex <<<'echo started >"'"$W"'/codex"; exec sleep 600'
	program goose <<<'echo no such library >&2; exit 3'
	json=$(expect 0 pleach --json agents | jq '{agents: [.agents[] | del(.profile)]}')
	holds "$json" '[.agents[].name] == ["claude","codex","gemini","opencode","qwen","pi","aider","goose","amp","copilot","cursor-agent"]'
	holds "$json" '[.agents[] | select(.path) | .name] == ["claude","codex","goose"] and .agents[0].path == "'"$W"'/bin/claude"'
	holds "$json" 'all(.agents[]; .version == null and .error == null)'
	is no "$([[ -e $W/codex ]] && echo yes || echo no)" # nothing was started
	# A busy machine may need longer than the limit to start those that answer: then twice of it.
	for limit in 2 4 8 16; do
		json=$(expect 0 pleach --json agents --check --timeout ${limit}s | jq '{agents: [.agents[] | del(.profile)]}')
		out=$(expect 0 pleach agents --check --timeout ${limit}s)
		holds "$json" ".agents[1].error == \"does not answer within $limit s\" and .agents[1].version == null"
		[[ $json$out == *"answer within"*"answer within"*"answer within"* ]] || break
	done
	is '9.8.7 (␛[31mCode)' "$(jq -r '.agents[0].version' <<<"$json")"
	holds "$json" '.agents[7].error == "exit 3: no such library"'
	is / "$(cat "$W/dir")"
	has "$out" "not installed"
	has "$out" "9.8.7 ("
	lacks "$out" $'\033'
}

@test "each agent's YAML, pasted into agents.yaml, is the same agent" {
	before=$(expect 0 pleach --json agents)
	mkdir -p "$XDG_CONFIG_HOME/pleach"
	for name in $(jq -r '.agents[].name' <<<"$before"); do
		expect 0 pleach agents "$name"
	done >"$W/agents.yaml"
	cp "$W/agents.yaml" "$XDG_CONFIG_HOME/pleach/"
	after=$(expect 0 pleach --json agents)
	is "$(jq -S '[.agents[].profile]' <<<"$before")" "$(jq -S '[.agents[].profile]' <<<"$after")"
	holds "$after" '.agents | length == 11 and all(.[]; .from == ["built in", "'"$XDG_CONFIG_HOME"'/pleach/agents.yaml"])'
	expect 4 pleach agents clade
	has "$(stderr)" "did you mean claude"
}

@test "agents.yaml changes and adds agents; the plan has the last word; secrets are not shown" {
	mkdir -p "$XDG_CONFIG_HOME/pleach"
	cat >"$XDG_CONFIG_HOME/pleach/agents.yaml" <<-Y
	mine: {command: [sh, -c, 'echo "\$1 \$WHO" >"\$2"', sh, "{model}", "$W/{key}"], model: small, env: {WHO: secret}}
	other: {extends: mine, model: large}
	Y
	raw_plan <<-'Y'
	name: p
	agents: {other: {env: {WHO: plan}}}
	tasks:
	  - {id: a, agent: mine, prompt: x, verify: 'true'}
	  - {id: b, agent: other/huge, prompt: x, verify: 'true'}
	Y
	expect 0 pleach run --headless >/dev/null
	is "small secret" "$(cat "$W/a")"
	is "huge plan" "$(cat "$W/b")"
	out=$(expect 0 pleach agents other)
	has "$out" "# env: {WHO: …} (not shown)"
	lacks "$out" secret
	has "$(expect 0 pleach names agent)" other
	echo 'mine: {comand: [x]}' >"$XDG_CONFIG_HOME/pleach/agents.yaml"
	expect 2 pleach run --headless --name q
	has "$(stderr)" "$XDG_CONFIG_HOME/pleach/agents.yaml:1:8: unknown key comand in agent mine (did you mean command?)"
	is 2 "$(pleach --json task list | jq '.tasks | length')"
}
