# Who gets which task: teams, agents, limits, defaults, bases.
load helper

@test "a teammate with an agent takes its agent's tasks and those of nobody's" {
	raw_plan <<-'Y'
	name: p
	agents:
	  one: {command: [sh, "{prompt_file}"], mode: exec}
	  two: {command: [sh, "{prompt_file}"], mode: exec}
	team: [{name: ash, agent: one}, {name: oak, agent: two}]
	tasks:
	  - {id: a, agent: one, prompt: 'true'}
	  - {id: b, agent: two, prompt: 'true'}
	  - {id: c, agent: one, prompt: 'true'}
	  - {id: d, agent: two, prompt: 'true'}
	  - {id: e, prompt: 'true'}
	Y
	expect 0 pleach run --headless >/dev/null
	holds "$(pleach --json events | jq -sc 'map(select(.kind == "attempt.ended") | {(.key): .teammate}) | add')" \
		'.a == "ash" and .b == "oak" and .c == "ash" and .d == "oak" and (.e == "ash" or .e == "oak")'
	holds "$(pleach --json team list)" '[.teammates[] | {(.name): .agent}] | add == {"ash": "one", "oak": "two"}'
}

@test "limits of one agent hold back only its tasks" {
	gate go
	raw_plan <<-'Y'
	name: p
	agents:
	  one: {command: [sh, "{prompt_file}"], mode: exec}
	  two: {command: [sh, "{prompt_file}"], mode: exec}
	limits: {one: 1}
	team: 3
	tasks:
	  - {id: a, agent: one, prompt: 'read x <"$W/go"'}
	  - {id: b, agent: one, prompt: 'true'}
	  - {id: c, agent: two, prompt: 'true'}
	Y
	expect 0 pleach run --headless --detach >/dev/null
	expect 0 pleach task wait c >/dev/null
	is pending "$(task b .status)"
	is true "$(task b .ready)"
	open_gate go
	expect 0 pleach task wait a b >/dev/null
}

@test "defaults, plan and config: the nearest wins" {
	mkdir -p "$XDG_CONFIG_HOME/pleach"
	cat >"$XDG_CONFIG_HOME/pleach/config.yaml" <<-'Y'
	agents:
	  sh: {command: [sh, "{prompt_file}"], mode: exec}
	defaults: {agent: sh, priority: 3, retries: 1}
	Y
	cat >other.yaml <<-'Y'
	defaults: {priority: 4}
	tasks:
	  - {id: a, prompt: 'true'}
	  - {id: b, prompt: 'echo x >>"$W/b"; exit 1', priority: 5, retries: 0}
	Y
	expect 1 pleach run other.yaml --headless >/dev/null
	is "sh 4" "$(task other/a '"\(.agent) \(.priority)"')"
	is "5 1" "$(task b '"\(.priority) \(.attempts)"')"
	expect 0 pleach add --key c 'true' >/dev/null
	expect 0 pleach task wait c >/dev/null
	is "sh 3" "$(task c '"\(.agent) \(.priority)"')"
}

@test "run of another plan says that the defaults of a pleach.yaml with tasks are not taken" {
	plan <<-'Y'
	tasks: [{id: a, prompt: 'true'}]
	Y
	printf 'tasks: [{id: b, agent: {command: ["true"]}, prompt: x}]\n' >other.yaml
	told="pleach.yaml has tasks of its own: its defaults are not taken for other.yaml"
	expect 0 pleach run other.yaml --headless >/dev/null
	is "pleach: $told" "$(stderr)"
	for silent in -q --json; do
		expect 0 pleach run other.yaml --headless "$silent" >/dev/null
		lacks "$(stderr)" "defaults are not taken"
	done
	# Nothing is missing, or it is the file itself, or all of it is taken.
	printf 'agents: {}\ndefaults: {}\n' >>other.yaml
	expect 0 pleach run other.yaml --headless >/dev/null
	is "" "$(stderr)"
	expect 0 pleach run ./pleach.yaml --headless >/dev/null
	is "" "$(stderr)"
	sed -i /tasks:/d pleach.yaml other.yaml
	printf 'tasks: [{id: c, prompt: "true"}]\n' >>other.yaml
	expect 0 pleach run other.yaml --headless >/dev/null
	is "sh" "$(task c .agent)"
}

@test "base becomes a commit when the plan is submitted" {
	gate go
	git branch old
	echo later >later && git add later && git commit -qm later
	plan <<-'Y'
	base: old
	team: 1
	tasks:
	  - {id: a, prompt: 'read x <"$W/go"; ls >"$W/a"', priority: 1}
	  - {id: b, prompt: 'ls >"$W/b"'}
	Y
	old=$(git rev-parse old)
	expect 0 pleach run --headless --detach >/dev/null
	wait_event '.kind == "attempt.started"' >/dev/null
	git branch -f old main
	open_gate go
	expect 0 pleach task wait a b >/dev/null
	is "$old $old" "$(task a .base) $(task b .base)"
	lacks "$(cat "$W/a" "$W/b")" later
}

@test "alternatives inherit their parent's blockers" {
	plan <<-'Y'
	tasks:
	  - {id: first, prompt: 'echo 1 >first'}
	  - {id: speed, prompt: 'test -f first && echo x >x', blocked_by: [first], alternatives: 2, choose: best}
	Y
	expect 0 pleach run --headless >/dev/null
	holds "$(pleach --json task show speed.1 speed.2)" "all(.tasks[]; .blocked_by == [$(task first .id)] and .status == \"completed\")"
}

@test "up grows the team, twice is once, down and up again" {
	expect 0 pleach up --team 1 --headless >/dev/null
	first=$(team '.teammates[0] | "\(.name) \(.pid)"')
	expect 0 pleach up --team 1 --headless >/dev/null
	is "$first" "$(team '.teammates[0] | "\(.name) \(.pid)"')"
	expect 0 pleach up --team 3 --headless >/dev/null
	holds "$(pleach --json team list)" '(.teammates | length == 3) and ([.teammates[].name] | unique | length == 3)'
	expect 0 pleach down >/dev/null
	is "" "$(survivors)"
	expect 0 pleach up --team 2 --headless >/dev/null
	holds "$(pleach --json team list)" '.teammates | length == 2'
}

# git_that STEPS: a git that does this before it tells the coordinator what is configured
git_that() {
	real=$(command -v git)
	mkdir "$W/bin"
	cat >"$W/bin/git" <<-G
	#!/bin/bash
	[[ " \$* " != *" config --list "* ]] || { : >"$W/asked"; $1; }
	exec "$real" "\$@"
	G
	chmod +x "$W/bin/git"
	PATH=$W/bin:$PATH expect 0 pleach up --team 1 --headless >/dev/null
	asked() { [[ -e $W/asked ]]; }
	eventually asked
}

@test "down leaves nothing running: it waits for what a slow git answers" {
	git_that "sleep 0.5; : >'$W/answered'"
	expect 0 pleach down --now >/dev/null
	is "" "$(survivors)"
	test -e "$W/answered"
}

@test "down leaves nothing running: a git that hangs is ended, with what it started" {
	git_that "sleep 3600"
	expect 0 pleach down --now >/dev/null
	is "" "$(survivors)"
}

@test "down from another place names the coordinator that it does not reach" {
	expect 0 pleach up --team 1 --headless >/dev/null
	mkdir -m 700 "$W/run"
	run env PLEACH_RUNTIME_DIR="$W/run" XDG_STATE_HOME="$W/state" pleach down
	is 5 "$status"
	[[ $output == "pleach: a coordinator has this repository (pid "*"), but does not answer at $W/run/"* ]]
	holds "$(pleach --json team list)" '.teammates | length == 1'
}

@test "run --detach-after leaves while the work goes on" {
	gate go
	plan <<-'Y'
	tasks: [{id: a, prompt: 'read x <"$W/go"'}]
	Y
	run pleach run --headless --detach-after 0.3s
	[[ $status == 0 || $status == 124 || $status == 130 ]]
	wait_event '.kind == "attempt.started"' >/dev/null
	is in_progress "$(task a .status)"
	open_gate go
	expect 0 pleach task wait a >/dev/null
}

@test "run --detach names the command that watches this very run" {
	printf 'tasks: [{id: a, agent: {command: ["true"]}, prompt: x}]\n' >other.yaml
	has "$(expect 0 pleach run other.yaml a --name second --headless --detach)" \
		"second: 1 task submitted; pleach status (to look), pleach run other.yaml a --name second (to return), pleach down"
	out=$(expect 0 bash -c 'exec pleach run - --headless --detach <other.yaml')
	has "$out" "pleach status (to look), pleach down (to stop)"
	expect 0 pleach run other.yaml a --name second --headless >/dev/null
}

@test "team remove of a working teammate returns its task to another" {
	gate go
	plan <<-'Y'
	team: 2
	tasks: [{id: a, prompt: 'echo x >>"$W/a"; read x <"$W/go"'}]
	Y
	expect 0 pleach run --headless --detach >/dev/null
	eventually test -s "$W/a"
	owner=$(task a .owner)
	expect 0 pleach team remove "$owner" --now >/dev/null
	twice() { [[ $(wc -l <"$W/a") == 2 ]]; }
	eventually twice
	[[ $(task a .owner) != "$owner" ]]
	open_gate go
	expect 0 pleach task wait a >/dev/null
}

@test "send --all and a queued message" {
	cat >"$W/tui.sh" <<-'S'
	echo ready
	read -r line
	printf '%s\n' "$line" >>"$W/$PLEACH_KEY"
	S
	raw_plan <<-Y
	name: p
	agents: {tui: {command: [sh, "$W/tui.sh"], mode: tui}}
	team: 2
	tasks: [{id: a, agent: tui, prompt: x}, {id: b, agent: tui, prompt: y}]
	Y
	expect 4 pleach send --all 'to nobody'
	has "$(stderr)" "there is no teammate"
	expect 0 pleach run --headless --detach >/dev/null
	both() { [[ $(pleach logs a) == *ready* && $(pleach logs b) == *ready* ]]; }
	eventually both
	expect 0 pleach send --all 'to everyone' >/dev/null
	expect 0 pleach task wait a b >/dev/null
	has "$(cat "$W/a")$(cat "$W/b")" "to everyone"
	pleach --json events | jq -se 'map(select(.kind == "message.sent")) | length == 2' >/dev/null
}

@test "two repositories at the same time do not know of each other" {
	new_repo "$BATS_TEST_TMPDIR/second"
	plan <<-'Y'
	tasks: [{id: a, prompt: 'echo x >x'}]
	Y
	cp pleach.yaml "$BATS_TEST_TMPDIR/second/"
	expect 0 pleach run --headless >/dev/null
	expect 0 pleach -C "$BATS_TEST_TMPDIR/second" run --headless >/dev/null
	[[ $(serving_pid) != $(pleach -C "$BATS_TEST_TMPDIR/second" --json status | jq .coordinator.pid) ]]
	expect 0 pleach -C "$BATS_TEST_TMPDIR/second" down --now >/dev/null
	expect 0 pleach task show a >/dev/null
}
