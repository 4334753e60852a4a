# Signals: Ctrl-C on a terminal detaches; without a terminal the run is released.
load helper

running() { # starts nothing; a plan whose agent waits
	gate go
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo half >half; echo $$ >"$W/pid"; read x <"$W/go"'}
	Y
}

@test "Ctrl-C on a terminal detaches, says how to return, and the work goes on" {
	running
	on_terminal "pleach run --headless"
	eventually test -s "$W/pid"
	printf '\003' >&"$KEYS"
	finished "$BG"
	exec {KEYS}>&-
	is 130 "$STATUS"
	has "$(cat "$W/typescript")" "pleach down"
	is in_progress "$(task a .status)"
	kill -0 "$(cat "$W/pid")"
	open_gate go
	expect 0 pleach task wait a >/dev/null
	is 1 "$(task a .attempts)"
}

# An interactive shell of ours, with job control, so that Ctrl-Z has somebody to go to.
@test "what is typed does not garble the screen; Ctrl-Z gives the terminal back, fg draws again" {
	running
	on_terminal 'env PS1=ready: bash --norc -i'
	echo 'pleach run --headless' >&"$KEYS"
	eventually test -s "$W/pid"
	eventually grep -q '1 working' "$W/typescript"
	printf 'typed-while-it-runs' >&"$KEYS"
	printf '\025\032' >&"$KEYS" # the line is dropped again: Ctrl-U, Ctrl-Z
	eventually grep -q 'Stopped' "$W/typescript"
	lacks "$(cat "$W/typescript")" typed-while-it-runs
	before=$(grep -c 'Ctrl-C detaches' "$W/typescript")
	echo 'stty -a | grep -q " echo " && echo by "Ctrl-Z"; fg' >&"$KEYS"
	eventually grep -q 'by Ctrl-Z' "$W/typescript"
	eventually eval '(($(grep -c "Ctrl-C detaches" "$W/typescript") > before))'
	open_gate go
	eventually grep -q '1 completed' "$W/typescript"
	echo 'stty -a | grep -q " echo " && echo by "its end"; exit' >&"$KEYS"
	finished "$BG"
	exec {KEYS}>&-
	has "$(cat "$W/typescript")" "by its end"
}

for_signal() { # SIGNAL STATUS
	running
	# Whoever runs these tests may ignore it: under nohup, or in the background.
	background env --default-signal="$1" "$PLEACH_BUILD/pleach" run --headless
	wait_event '.kind == "attempt.started"' >/dev/null
	eventually test -s "$W/pid"
	kill "-$1" "$BG"
	finished "$BG"
	is "$2" "$STATUS"
	has "$(cat "$BATS_TEST_TMPDIR/bg.err")" "pending again: pleach run"
	process_gone "$(cat "$W/pid")"
	holds "$(pleach --json task show a)" '.status == "pending" and .owner == null'
	holds "$(pleach --json team list)" '.teammates == []'
	# What it had made is kept, and the next run ends it.
	ref=$(git for-each-ref --format='%(objectname)' refs/pleach/kept refs/heads/pleach | head -n 1)
	is half "$(git show "$ref:half")"
	background pleach run --headless
	open_gate go
	finished "$BG"
	is 0 "$STATUS"
	is completed "$(task a .status)"
}

@test "TERM without a terminal releases this run's attempts" {
	for_signal TERM 143
}

@test "after a signal try and a plan on stdin name what goes on" {
	running
	interrupted() { # TASK
		eventually test -s "$W/pid"
		kill -TERM "$BG"
		finished "$BG"
		is 143 "$STATUS"
		has "$(cat "$BATS_TEST_TMPDIR/bg.err")" "pending again: pleach up (to go on)"
		expect 0 pleach up --headless >/dev/null
		open_gate go
		expect 0 pleach task wait "$1" >/dev/null
		rm "$W/pid"
	}
	background env --default-signal=TERM "$PLEACH_BUILD/pleach" try --headless --agent sh --verify none \
		'echo $$ >"$W/pid"; read x <"$W/go"'
	interrupted 1
	background bash -c 'exec env --default-signal=TERM pleach run - --headless <pleach.yaml'
	interrupted p/a
}

@test "INT without a terminal releases this run's attempts" {
	for_signal INT 130
}

@test "HUP without a terminal releases this run's attempts" {
	for_signal HUP 129
}

@test "--on-signal detach lets the work go on" {
	running
	background pleach run --headless --on-signal detach
	wait_event '.kind == "attempt.started"' >/dev/null
	kill -TERM "$BG"
	finished "$BG"
	is 143 "$STATUS"
	is in_progress "$(task a .status)"
	open_gate go
	expect 0 pleach task wait a >/dev/null
	is 1 "$(task a .attempts)"
}

@test "a signal releases only this run's work and team" {
	running
	expect 0 pleach up --team 1 --headless >/dev/null
	expect 0 pleach run --headless --detach >/dev/null
	wait_event '.kind == "attempt.started"' >/dev/null
	background pleach run --headless --name other
	wait_event '.kind == "plan.submitted" and (.data | tostring | contains("other"))' >/dev/null
	kill -TERM "$BG"
	finished "$BG"
	is 143 "$STATUS"
	is in_progress "$(task p/a .status)"
	holds "$(pleach --json team list)" '.teammates | length >= 1'
	open_gate go
	expect 0 pleach task wait p/a >/dev/null
}

# broken_off: a signal to $BG, which has to end long before its own limit of 30 s
broken_off() {
	local from=$SECONDS
	kill -TERM "$BG"
	finished "$BG"
	is 143 "$STATUS"
	((SECONDS - from < 15))
	lacks "$(cat "$BATS_TEST_TMPDIR/bg.err")" "time limit"
}

@test "a signal releases what the run waits for, whoever started the team, and nobody takes it up" {
	running
	cat >>pleach.yaml <<-'Y'
	  - {id: b, prompt: 'true'}
	Y
	expect 0 pleach run --headless --detach --team 1 >/dev/null
	eventually test -s "$W/pid"
	pid=$(cat "$W/pid")
	background env --default-signal=TERM "$PLEACH_BUILD/pleach" run --headless
	eventually test -s "$BATS_TEST_TMPDIR/bg.out"
	broken_off
	process_gone "$pid"
	holds "$(pleach --json team list)" '.teammates | length == 1 and .[0].state != "working"'
	is "pending 1" "$(task a '"\(.status) \(.attempts)"')"
	is "pending run" "$(task b '"\(.status) \(.waits.for)"')"
	has "$(pleach task show b)" "its run was stopped"
	expect 124 pleach wait b --timeout 0.2s
	has "$(stderr)" "b waits: its run was stopped (pleach up, or pleach retry b)"
	# Another plan is worked on; these wait until somebody asks.
	printf 'tasks: [{id: c, agent: {command: ["true"]}, prompt: x}]\n' >other.yaml
	expect 0 pleach run other.yaml --headless >/dev/null
	is "pending pending" "$(task a .status) $(task b .status)"
	background pleach run --headless
	open_gate go
	finished "$BG"
	is 0 "$STATUS"
	is "completed completed 2" "$(task a .status) $(task b .status) $(task a .attempts)"
}

@test "retry starts what a signal stopped in its back-off at once" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'test -e "$W/mended" || exit 1', retries: 9}
	Y
	background env --default-signal=TERM "$PLEACH_BUILD/pleach" run --headless
	wait_event '(.data.delay_seconds // 0) >= 4' >/dev/null # the third one
	kill -TERM "$BG"
	finished "$BG"
	is "pending run" "$(task a '"\(.status) \(.waits.for)"')"
	: >"$W/mended"
	is 0 "$(pleach --json task retry a | jq .delay_seconds)"
	expect 0 pleach up --headless >/dev/null
	expect 0 pleach task wait a >/dev/null
}

@test "retry of a choice starts its alternatives at once that a signal stopped in their back-off" {
	plan <<-'Y'
	tasks:
	  - {id: c, prompt: 'test -e "$W/mended" || exit 1', retries: 9, alternatives: 2, choose: first}
	Y
	background env --default-signal=TERM "$PLEACH_BUILD/pleach" run --headless
	wait_event '(.data.delay_seconds // 0) >= 4' >/dev/null
	kill -TERM "$BG"
	finished "$BG"
	: >"$W/mended"
	expect 0 pleach task retry c >/dev/null
	is "[0,0,0]" "$(pleach --json task list | jq -c '[.tasks[].delay_seconds]')"
	expect 0 pleach up --headless >/dev/null
	expect 0 pleach task wait c >/dev/null
}

@test "retry starts what a signal stopped, and whose service is limited, at once" {
	printf '{"type":"result","is_error":true,"result":"usage limit reached|%s"}\n' $(($(date +%s) + 1800)) >"$W/bad"
	raw_plan <<-'Y'
	name: p
	agents: {claudish: {command: [sh, "{prompt_file}"], mode: exec, output: claude}}
	tasks:
	  - {id: a, agent: claudish, prompt: 'test -e "$W/mended" || { cat "$W/bad"; exit 1; }'}
	Y
	background env --default-signal=TERM "$PLEACH_BUILD/pleach" run --headless
	wait_event '.kind == "agent.limited"' >/dev/null
	kill -TERM "$BG"
	finished "$BG"
	: >"$W/mended"
	is "pending null" "$(pleach --json task retry a | jq -r '"\(.status) \(.waits.for)"')"
	expect 0 pleach up --headless >/dev/null
	expect 0 pleach task wait a >/dev/null
}

@test "a signal does not wait for a teammate that works on what another run asked for" {
	running
	expect 0 pleach run --headless --detach --team 1 >/dev/null
	eventually test -s "$W/pid"
	# The only teammate works on a; the plan has another task now.
	sed -i 's/{id: a,.*/{id: b, prompt: "true"}/' pleach.yaml
	background env --default-signal=TERM "$PLEACH_BUILD/pleach" run --headless
	eventually task b .status
	broken_off
	is "in_progress pending" "$(task a .status) $(task b .status)"
	open_gate go
	expect 0 pleach task wait a >/dev/null
	is "pending" "$(task b .status)"
	expect 0 pleach up --headless >/dev/null
	expect 0 pleach task wait b >/dev/null
}

@test "a signal does not wait for what its own teammate does of an older version of the plan" {
	running
	expect 0 pleach run --headless --detach >/dev/null
	eventually test -s "$W/pid"
	expect 0 pleach down --now >/dev/null
	sed -i 's/{id: a,.*/{id: b, prompt: "true"}/' pleach.yaml
	expect 0 pleach status >/dev/null
	background env --default-signal=TERM "$PLEACH_BUILD/pleach" run --headless
	wait_event '.kind == "attempt.started" and .key == "a" and .attempt == 2' >/dev/null
	eventually task b .status
	broken_off
	is "in_progress pending" "$(task a .status) $(task b .status)"
	open_gate go
	expect 0 pleach task wait a >/dev/null
	eventually eval '[[ $(team ".teammates == []") == true ]]'
}

@test "down waits for running attempts; Ctrl-C of it changes nothing" {
	running
	expect 0 pleach run --headless --detach >/dev/null
	wait_event '.kind == "attempt.started"' >/dev/null
	background pleach down
	open_gate go
	finished "$BG"
	is 0 "$STATUS"
	is "" "$(survivors)"
	is completed "$(task a .status)"
}

@test "down --now keeps what was made and returns tasks to pending" {
	running
	expect 0 pleach run --headless --detach >/dev/null
	wait_event '.kind == "attempt.started"' >/dev/null
	eventually test -s "$W/pid"
	expect 0 pleach down --now >/dev/null
	is "" "$(survivors)"
	holds "$(pleach --json task show a)" '.status == "pending"'
	ref=$(git for-each-ref --format='%(objectname)' refs/pleach/kept refs/heads/pleach | head -n 1)
	is half "$(git show "$ref:half")"
	expect 0 pleach down >/dev/null
	expect 0 pleach down --now >/dev/null
}

@test "nothing that was started keeps the caller's descriptors" {
	running
	# The pipe ends only when every holder of it has gone.
	timeout "$LIMIT" sh -c '"$0" run --headless --detach 2>&1 | cat' "$PLEACH_BUILD/pleach" >/dev/null
	open_gate go
	expect 0 pleach task wait a >/dev/null
}

@test "a reader that goes away does not hurt" {
	plan <<-'Y'
	tasks: [{id: a, prompt: 'seq 100000'}]
	Y
	expect 0 pleach run --headless >/dev/null
	(set +o pipefail; "$PLEACH_BUILD/pleach" logs a -n 100000 | head -n 1 >/dev/null)
	expect 0 pleach status >/dev/null
}
