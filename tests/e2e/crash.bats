# Processes die in the middle: nothing is lost, nothing runs twice, agents do not notice.
load helper

# one agent that waits at a gate, having told its pid; then a dependent
waiting_plan() {
	gate go
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo $$ >"$W/pid"; echo x >>"$W/a"; read x <"$W/go"; echo a >fa'}
	  - {id: b, prompt: 'echo x >>"$W/b"; test -f fa', blocked_by: [a]}
	Y
	expect 0 pleach run --detach "$@" >/dev/null
	wait_event '.kind == "attempt.started" and .key == "a"' >/dev/null
}

ran_once() {
	expect 0 pleach task wait b >/dev/null
	is "1 1" "$(echo $(wc -l <"$W/a") $(wc -l <"$W/b"))"
	holds "$(pleach --json task list)" 'all(.tasks[]; .attempts == 1 and .status == "completed")'
}

agent_pid() {
	# The agent says its pid after attempt.started at the latest.
	timeout "$LIMIT" sh -c 'until test -s "$W/pid"; do sleep 0.02; done'
	cat "$W/pid"
}

@test "the serving coordinator is killed: same agents, same teammates, commands go on" {
	waiting_plan --headless
	pid=$(agent_pid)
	born=$(start_time "$pid")
	worker=$(team '.teammates[0].pid')
	for round in 1 2 3; do
		old=$(serving_pid)
		kill -KILL "$old"
		process_gone "$old"
		new=$(serving_pid)
		[[ $new != "$old" ]]
	done
	is "$born" "$(start_time "$pid")"
	is "$worker" "$(team '.teammates[0].pid')"
	open_gate go
	ran_once
}

@test "a held request survives the coordinator's death" {
	waiting_plan --headless
	background pleach --json task wait b
	kill -KILL "$(serving_pid)"
	open_gate go
	finished "$BG"
	is 0 "$STATUS"
	ran_once
}

@test "run itself survives the coordinator's death and counts right" {
	gate go
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'read x <"$W/go"; echo x >>"$W/a"'}
	Y
	background pleach --json run --headless
	wait_event '.kind == "attempt.started"' >/dev/null
	kill -KILL "$(serving_pid)"
	open_gate go
	finished "$BG"
	is 0 "$STATUS"
	holds "$(tail -n 1 "$BATS_TEST_TMPDIR/bg.out")" '.completed == 1'
	# No event twice.
	is "" "$(head -n -1 "$BATS_TEST_TMPDIR/bg.out" | jq .seq | sort | uniq -d)"
}

@test "supervisor and serving coordinator both killed: the next command takes over" {
	waiting_plan --headless
	pid=$(agent_pid)
	born=$(start_time "$pid")
	serving=$(serving_pid)
	supervisor=$(ps -o ppid= -p "$serving" | tr -d ' ')
	kill -KILL "$supervisor" "$serving"
	process_gone "$supervisor"
	process_gone "$serving"
	expect 0 pleach status >/dev/null
	is "$born" "$(start_time "$pid")"
	open_gate go
	ran_once
}

@test "the supervisor alone is killed: one coordinator serves" {
	waiting_plan --headless
	serving=$(serving_pid)
	supervisor=$(ps -o ppid= -p "$serving" | tr -d ' ')
	kill -KILL "$supervisor"
	process_gone "$supervisor"
	expect 0 pleach status >/dev/null
	open_gate go
	ran_once
}

@test "a worker is killed: its agent ends with it and the task is tried again" {
	waiting_plan --headless
	pid=$(agent_pid)
	seq=$(last_seq)
	kill -KILL "$(team '.teammates[0].pid')"
	process_gone "$pid"
	wait_event '.kind == "attempt.started" and .key == "a"' "$seq" >/dev/null
	open_gate go
	expect 0 pleach task wait b >/dev/null
	is 2 "$(task a .attempts)"
	is completed "$(task b .status)"
}

@test "what a lost attempt had made is kept" {
	gate go
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo precious >precious; echo $$ >"$W/pid"; read x <"$W/go"'}
	Y
	expect 0 pleach run --headless --detach >/dev/null
	agent_pid >/dev/null
	wait_event '.kind == "attempt.started"' >/dev/null
	attempt=$(task a .attempt)
	seq=$(last_seq)
	kill -KILL "$(team '.teammates[0].pid')"
	wait_event '.kind == "attempt.started"' "$seq" >/dev/null
	kept() { [[ $(git show "refs/pleach/kept/$attempt:precious") == precious ]]; }
	eventually kept
	open_gate go
	expect 0 pleach task wait a >/dev/null
}

@test "a task that kills its worker three times is poison; the rest finish" {
	plan <<-'Y'
	team: 1
	tasks:
	  - {id: bad, prompt: 'echo x >>"$W/bad"; p=$$; while [ "$(cat /proc/$p/comm)" != pleach-worker ]; do p=$(sed "s/.*) . //;s/ .*//" /proc/$p/stat); done; kill -KILL $p; exec sleep 100'}
	  - {id: good, prompt: 'true', priority: -1}
	Y
	expect 1 pleach run --headless >/dev/null
	is "failed poison" "$(task bad .status) $(task bad .error.code)"
	is 3 "$(wc -l <"$W/bad")"
	is completed "$(task good .status)"
}

@test "the tmux server is killed in the middle: no agent notices, panes come back" {
	waiting_plan
	pid=$(agent_pid)
	born=$(start_time "$pid")
	eventually panes_open
	socket=$(tmux_socket)
	server=$(tmux -S "$socket" display-message -p '#{pid}')
	kill -KILL "$server"
	process_gone "$server"
	other_server() { [[ $(tmux -N -S "$socket" display-message -p '#{pid}') =~ ^[0-9]+$ ]]; }
	eventually other_server
	eventually panes_open
	is "$born" "$(start_time "$pid")"
	open_gate go
	ran_once
}

@test "a git that is killed while it commits costs no agent's work" {
	local real
	real=$(command -v git)
	# what is plain needs no git
	echo '* ident' >.gitattributes
	git add .gitattributes && git commit -qm attributes
	mkdir "$W/bin"
	cat >"$W/bin/git" <<-G
	#!/bin/bash
	# the first one that adds a slot's files dies
	[[ " \$* " != *" add "* ]] || ! mkdir "$W/killed" 2>/dev/null || kill -KILL \$\$
	exec "$real" "\$@"
	G
	chmod +x "$W/bin/git"
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo x >>"$W/a"; echo work >work'}
	Y
	PATH=$W/bin:$PATH expect 0 pleach run --headless >/dev/null
	test -d "$W/killed"
	is 1 "$(wc -l <"$W/a")"
	is "completed 1" "$(task a '"\(.status) \(.attempts)"')"
	is work "$(git show "$(task a .head):work")"
}

@test "everything but the agents is killed at once" {
	waiting_plan
	eventually panes_open
	eventually test -s "$W/a"
	serving=$(serving_pid)
	supervisor=$(ps -o ppid= -p "$serving" | tr -d ' ')
	tmux=$(tmux -S "$(tmux_socket)" display-message -p '#{pid}')
	kill -KILL "$supervisor" "$serving" "$tmux" $(team '.teammates[].pid')
	process_gone "$serving"
	expect 0 pleach up >/dev/null
	again() { [[ $(pleach --json task show a | jq .attempts) == 2 ]] && [[ $(wc -l <"$W/a") == 2 ]]; }
	eventually again
	open_gate go
	expect 0 pleach task wait b >/dev/null
	is completed "$(task b .status)"
}

@test "a stopped worker is not dead: cancelled, retried elsewhere, its late finish is refused" {
	gate go
	plan <<-'Y'
	team: 2
	tasks:
	  - {id: a, prompt: 'echo $PLEACH_ATTEMPT >>"$W/a"; echo $PLEACH_ATTEMPT >mark; read x <"$W/go"'}
	Y
	expect 0 pleach run --headless --detach >/dev/null
	wait_event '.kind == "attempt.started"' >/dev/null
	owner=$(task a .owner)
	worker=$(team ".teammates[] | select(.name == \"$owner\") | .pid")
	first=$(task a .attempt)
	kill -STOP "$worker"
	expect 0 pleach task stop a >/dev/null
	is cancelled "$(task a .status)"
	seq=$(last_seq)
	expect 0 pleach task retry a >/dev/null
	wait_event '.kind == "attempt.started"' "$seq" >/dev/null
	second=$(task a .attempt)
	[[ $second != "$first" ]]
	kill -CONT "$worker" 2>/dev/null || true # it may have been killed after its grace
	open_gate go
	expect 0 pleach task wait a >/dev/null
	is "$second" "$(task a .attempt)"
	is "$second" "$(git show "$(task a .head):mark")"
}

@test "a stopped worker whose task was cancelled is ended by the next coordinator, too" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo $$ >"$W/pid"; read x <"$W/never"'}
	Y
	mkfifo "$W/never"
	expect 0 pleach run --headless --detach >/dev/null
	pid=$(agent_pid)
	serving=$(serving_pid)
	kill -STOP "$(team '.teammates[0].pid')"
	expect 0 pleach task stop a >/dev/null
	kill -KILL "$serving" # before it could look twice
	process_gone "$pid"
	holds "$(pleach --json task show a)" '.status == "cancelled" and .attempts == 1'
}

@test "a worker that dies after a new coordinator took over is started again" {
	gate go
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo x >>"$W/a"; echo $$ >"$W/pid"; read x <"$W/go"'}
	Y
	background pleach run --headless
	wait_event '.kind == "attempt.started"' >/dev/null
	pid=$(agent_pid)
	serving=$(serving_pid)
	supervisor=$(ps -o ppid= -p "$serving" | tr -d ' ')
	kill -KILL "$supervisor" "$serving"
	process_gone "$supervisor"
	process_gone "$serving"
	expect 0 pleach status >/dev/null
	kill -KILL "$(team '.teammates[0].pid')"
	process_gone "$pid"
	twice() { [[ $(wc -l <"$W/a") == 2 ]]; }
	eventually twice
	open_gate go
	finished "$BG"
	is 0 "$STATUS"
}

@test "kills at random over a plan: each task completes once, in order" {
	local i victim pids pid
	{
		for i in {1..40}; do
			echo "  - {id: t$i, prompt: 'echo t$i >>\"\$W/started\"; echo t$i >f$i; echo t$i >>\"\$W/ended\"'$(((i > 4)) && echo ", blocked_by: [t$((i - 4)), t$((i - 1 - i % 3))]" | sed 's/\[\(t[0-9]*\), \1\]/[\1]/')}"
		done
	} >"$W/tasks"
	plan < <(echo "team: 3" && echo "tasks:" && cat "$W/tasks")
	background pleach --json run
	wait_event '.kind == "attempt.started"' >/dev/null
	for victim in serving worker serving both tmux serving worker both tmux serving; do
		kill -0 "$BG" 2>/dev/null || break
		pids=
		case $victim in
		serving) pids=$(serving_pid) ;;
		both) pid=$(serving_pid) pids="$(ps -o ppid= -p "$pid") $pid" ;;
		worker) pids=$(team '.teammates[0].pid // empty') ;;
		tmux) pids=$(tmux -N -S "$(echo "$PLEACH_RUNTIME_DIR"/*)/tmux" display-message -p '#{pid}' 2>/dev/null) || true ;;
		esac
		for pid in $pids; do
			[[ $pid =~ ^[0-9]+$ && $pid -gt 1 ]] && kill -KILL "$pid" 2>/dev/null || true
		done
		# Something is done between two kills.
		seq=$(last_seq)
		moved_on() { ! kill -0 "$BG" 2>/dev/null || [[ $(last_seq) -gt $seq ]]; }
		eventually moved_on
	done
	finished "$BG"
	is 0 "$STATUS"
	holds "$(pleach --json task list)" '(.tasks | length == 40) and all(.tasks[]; .status == "completed")'
	events=$(pleach --json events | jq -sc .)
	holds "$events" 'map(.seq) == (map(.seq) | unique)'
	holds "$events" 'map(select(.kind == "attempt.ended" and .data.outcome == "completed") | .key) | length == (unique | length)'
}

@test "down after the coordinator was killed ends what it left" {
	waiting_plan
	eventually panes_open
	serving=$(serving_pid)
	supervisor=$(ps -o ppid= -p "$serving" | tr -d ' ')
	kill -KILL "$supervisor" "$serving"
	process_gone "$supervisor"
	process_gone "$serving"
	expect 0 pleach down --now >/dev/null
	is "" "$(survivors)"
	is pending "$(task a .status)"
}

@test "the lock of a coordinator that is about to die: the command waits for it, and starts the next" {
	expect 0 pleach status >/dev/null
	local serving supervisor dying status_pid
	serving=$(serving_pid)
	supervisor=$(ps -o ppid= -p "$serving" | tr -d ' ')
	kill -KILL "$supervisor" "$serving"
	process_gone "$supervisor"
	process_gone "$serving"
	# As while it dies: it is there still and has the lock, and nobody answers at its socket.
	gate go
	background flock .git/pleach/lock sh -c 'read x <"$W/go"'
	dying=$BG
	is_locked() { ! flock -n .git/pleach/lock true; }
	eventually is_locked
	sed "s/pid [0-9]*,/pid $dying,/" .git/pleach/lock >"$W/lock"
	cat "$W/lock" >.git/pleach/lock
	background pleach --json status
	status_pid=$BG
	eventually grep "another coordinator serves" "$XDG_STATE_HOME"/pleach/*/coordinator.log
	open_gate go
	finished "$status_pid"
	is 0 "$STATUS"
	holds "$(cat "$BATS_TEST_TMPDIR/bg.out")" ".coordinator.pid != $serving"
}

@test "a store that was lost is not begun anew where attempts of it are there" {
	plan <<-'Y'
	tasks: [{id: a, prompt: 'echo a >>"$W/ran"'}]
	Y
	expect 0 pleach run --headless >/dev/null
	expect 0 pleach down >/dev/null
	store=("$XDG_STATE_HOME"/pleach/repo-*/store.db)
	cp "$store" "$W/copy"
	: >"$store"
	expect 6 pleach run --headless
	has "$(stderr)" "store.db is empty"
	rm "$store"
	expect 6 pleach status
	has "$(stderr)" "store.db is gone"
	echo 'no database at all, and longer than a word or two' >"$store"
	expect 6 pleach status
	has "$(stderr)" "$store is damaged"
	cp "$W/copy" "$store"
	expect 0 pleach run --headless >/dev/null
	is a "$(cat "$W/ran")"
}
