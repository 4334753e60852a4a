# What lies on the disk is moved, copied, removed or cleaned up, before and while a team works:
# nothing that was acknowledged is lost, no second coordinator starts, and one line says what is.
load helper

kill_coordinator() {
	local serving supervisor
	serving=$(serving_pid)
	supervisor=$(ps -o ppid= -p "$serving" | tr -d ' ')
	kill -KILL "$supervisor" "$serving"
	process_gone "$supervisor"
	process_gone "$serving"
}

supervisor_pid() {
	ps -o ppid= -p "$(serving_pid)" | tr -d ' '
}

waiting_agent() {
	gate go
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo x >>"$W/ran"; echo work >fa; echo $$ >"$W/pid"; echo "$SECRET" >"$W/secret"; read x <"$W/go"'}
	  - {id: b, prompt: 'echo "$SECRET" >"$W/secret-b"', blocked_by: [a]}
	Y
	SECRET=hush expect 0 pleach run --headless --detach >/dev/null
	eventually test -s "$W/secret"
}

agent_alive() {
	is_alive "$(cat "$W/pid")"
}

finish() {
	open_gate go
	expect 0 pleach task wait b >/dev/null
}

@test "a moved repository keeps its history; its worktrees are mended" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo a >fa'}
	Y
	expect 0 pleach run --headless >/dev/null
	head=$(task a .head)
	expect 0 pleach down >/dev/null
	mv "$REPO" "$BATS_TEST_TMPDIR/elsewhere"
	cd "$BATS_TEST_TMPDIR/elsewhere"
	is "$head" "$(task a .head)"
	has "$(expect 0 pleach status)" "the repository was moved here from $REPO"
	expect 0 pleach add --key later --agent sh 'echo more >fb' >/dev/null
	expect 0 pleach up --headless >/dev/null
	expect 0 pleach task wait later >/dev/null
	is completed "$(task later .status)"
}

@test "moved under a killed coordinator's live workers: their work is kept, it is tried again" {
	waiting_agent
	attempt=$(task a .attempt)
	kill_coordinator
	mv "$REPO" "$BATS_TEST_TMPDIR/elsewhere"
	cd "$BATS_TEST_TMPDIR/elsewhere"
	pid=$(cat "$W/pid")
	has "$(expect 0 pleach status)" "moved here from"
	process_gone "$pid"
	again() { [[ $(wc -l <"$W/ran") == 2 ]]; }
	eventually again
	is work "$(git show "refs/pleach/kept/$attempt:fa")"
	is released "$(pleach --json events | jq -r "select(.kind == \"attempt.ended\" and .attempt == $attempt) | .data.outcome")"
	finish
}

@test "moved while its coordinator serves: the next command there takes over" {
	waiting_agent
	attempt=$(task a .attempt)
	mv "$REPO" "$BATS_TEST_TMPDIR/elsewhere"
	cd "$BATS_TEST_TMPDIR/elsewhere"
	has "$(expect 0 pleach status)" "moved here from"
	is pending "$(task a .status)"
	expect 0 pleach up --headless >/dev/null
	again() { [[ $(wc -l <"$W/ran") == 2 ]]; }
	eventually again
	is work "$(git show "refs/pleach/kept/$attempt:fa")"
	finish
}

@test "a copy is another repository, with a coordinator of its own; the original is untouched" {
	waiting_agent
	cp -a "$REPO" "$BATS_TEST_TMPDIR/copy"
	first=$(serving_pid)
	other=$(cd "$BATS_TEST_TMPDIR/copy" && pleach --json status)
	holds "$other" "(.coordinator.pid != $first) and (.plans == [])"
	is "$first" "$(serving_pid)"
	is in_progress "$(task a .status)"
	[[ $(head -n 1 .git/pleach/id) != $(head -n 1 ../copy/.git/pleach/id) ]]
	finish
}

@test "copied, then the original moved away: never two with one id" {
	expect 0 pleach add --key a --agent sh true >/dev/null || true
	expect 0 pleach down >/dev/null
	cp -a "$REPO" "$BATS_TEST_TMPDIR/copy"
	mv "$REPO" "$BATS_TEST_TMPDIR/original"
	expect 0 pleach -C "$BATS_TEST_TMPDIR/original" status >/dev/null
	expect 0 pleach -C "$BATS_TEST_TMPDIR/copy" status >/dev/null
	[[ $(head -n 1 "$BATS_TEST_TMPDIR/original/.git/pleach/id") != $(head -n 1 "$BATS_TEST_TMPDIR/copy/.git/pleach/id") ]]
}

@test "a broken id file costs no history" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'true'}
	Y
	expect 0 pleach run --headless >/dev/null
	expect 0 pleach down >/dev/null
	id=$(head -n 1 .git/pleach/id)
	printf 'garbage\0' >.git/pleach/id
	is completed "$(task a .status)"
	is "$id" "$(head -n 1 .git/pleach/id)"
}

@test "the state directory is removed while a team works: the store is written anew, nothing is lost" {
	waiting_agent
	pid=$(cat "$W/pid")
	supervisor=$(supervisor_pid)
	old=$(serving_pid)
	rm -rf "$XDG_STATE_HOME"/pleach
	kill -USR1 "$supervisor" # what is looked at every 10 s is looked at now
	process_gone "$old"
	has "$(expect 0 pleach status)" "was removed while the team worked: the store was written anew"
	is in_progress "$(task a .status)"
	is_alive "$pid"
	finish
	is "1 completed 1" "$(wc -l <"$W/ran") $(task a '"\(.status) \(.attempts)"')"
	# It is on the disk again, not only in somebody's memory.
	expect 0 pleach down >/dev/null
	is completed "$(task b .status)"
}

@test "the state directory is removed while nobody runs: a new, empty store" {
	expect 0 pleach status >/dev/null
	expect 0 pleach down >/dev/null
	rm -rf "$XDG_STATE_HOME"/pleach
	holds "$(pleach --json status)" '.plans == [] and .teammates == []'
}

@test "the runtime directory vanishes: made again, one coordinator, agents and their environment stay" {
	waiting_agent
	pid=$(cat "$W/pid")
	supervisor=$(supervisor_pid)
	rm -rf "$PLEACH_RUNTIME_DIR"
	expect 0 pleach status >/dev/null # finds no socket; must not start another
	is "$supervisor" "$(supervisor_pid)"
	is_alive "$pid"
	eventually test -S "$(echo "$PLEACH_RUNTIME_DIR"/*/)w-ash.sock"
	finish
	is hush "$(cat "$W/secret-b")"
	is "1 1" "$(wc -l <"$W/ran") $(task a .attempts)"
}

@test "the runtime directory vanishes under panes: the tmux server is not left behind" {
	gate go
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo $$ >"$W/pid"; read x <"$W/go"'}
	Y
	expect 0 pleach run --detach >/dev/null
	eventually test -s "$W/pid"
	eventually panes_open
	server=$(tmux -S "$(tmux_socket)" display-message -p '#{pid}')
	rm -rf "$PLEACH_RUNTIME_DIR"
	expect 0 pleach status >/dev/null
	process_gone "$server"
	agent_alive
	eventually panes_open
	open_gate go
	expect 0 pleach task wait a >/dev/null
}

@test "the repository is removed while a team works: everything of it ends" {
	waiting_agent
	serving=$(serving_pid)
	supervisor=$(supervisor_pid)
	rm -rf "$REPO"
	kill -USR1 "$supervisor"
	process_gone "$serving"
	process_gone "$supervisor"
	process_gone "$(cat "$W/pid")"
	cd /
	is "" "$(survivors)"
}

@test "a slot's directory is removed while its agent runs: that attempt fails, the next one gets another" {
	waiting_agent
	slot=$(pleach --json team list | jq -r ".teammates[0].slot")
	rm -rf "$slot"
	open_gate go
	expect 1 pleach task wait a >/dev/null
	is failed "$(task a .status)"
	seq=$(last_seq)
	expect 0 pleach task retry a >/dev/null
	wait_event '.kind == "attempt.started" and .key == "a"' "$seq" >/dev/null
	finish
	is work "$(git show "$(task a .head):fa")"
}

@test "a coordinator on another machine: said at once, with what to do" {
	expect 0 pleach status >/dev/null
	kill_coordinator
	printf 'uid 7 on far, pid 77, socket /x\nmachine other boot other pidns 1 host far\nroot /x\n' >.git/pleach/lock
	# It does not run, but did not end by itself: whether its team lives cannot be seen from here.
	expect 6 pleach status >/dev/null
	has "$(stderr)" "may still run on far"
	has "$(stderr)" "rm $REPO/.git/pleach/lock"
	# It runs.
	exec {fd}<.git/pleach/lock
	flock "$fd"
	expect 6 pleach status >/dev/null
	has "$(stderr)" "uid 7 on far, pid 77"
	has "$(stderr)" "use pleach there"
	exec {fd}<&-
	rm .git/pleach/lock
	expect 0 pleach status >/dev/null
}

@test "another pid namespace of this machine is another machine" {
	expect 0 pleach status >/dev/null
	kill_coordinator
	sed -i 's/pidns [0-9]*/pidns 1/' .git/pleach/lock
	expect 6 pleach status >/dev/null
	has "$(stderr)" "or in another container"
	rm .git/pleach/lock
	expect 0 pleach status >/dev/null
}
