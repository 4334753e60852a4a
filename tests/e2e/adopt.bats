# The coordinator is away, of another version, or back after a reboot: its workers hold what they
# run, hand in everything, and nothing runs twice.
load helper

# kill_coordinator: the serving process and its supervisor
kill_coordinator() {
	local serving supervisor
	serving=$(serving_pid)
	supervisor=$(ps -o ppid= -p "$serving" | tr -d ' ')
	kill -KILL "$supervisor" "$serving"
	process_gone "$supervisor"
	process_gone "$serving"
}

state() {
	echo "$XDG_STATE_HOME"/pleach/*/"$1"
}

# store SQL…: the store of a coordinator that does not run
store() {
	sqlite3 "$(state store.db)" "$@"
}

# kill_all: everything of this universe, as a power button would
kill_all() {
	local pid
	for pid in $(survivors); do
		kill -KILL "$pid" 2>/dev/null || true
	done
	eventually nobody
}

nobody() {
	[[ -z $(survivors) ]]
}

saved() {
	[[ -s $(state "attempts/$1/result.json") ]]
}

three() {
	gate a
	gate b
	gate c
	plan <<-'Y'
	team: 3
	tasks:
	  - {id: a, prompt: 'echo x >>"$W/ran-a"; echo a >fa; read x <"$W/a"'}
	  - {id: b, prompt: 'echo x >>"$W/ran-b"; echo b >fb; read x <"$W/b"'}
	  - {id: c, prompt: 'echo x >>"$W/ran-c"; echo c >fc; read x <"$W/c"; cat fc'}
	  - {id: d, prompt: 'echo x >>"$W/ran-d"; cat fa fb fc', blocked_by: [a, b, c]}
	Y
	expect 0 pleach run --headless --detach >/dev/null
	for key in a b c; do
		wait_event ".kind == \"attempt.started\" and .key == \"$key\"" >/dev/null
		eventually test -s "$W/ran-$key"
	done
}

each_ran_once() {
	is 4 "$(cat "$W"/ran-? | wc -l)"
	holds "$(pleach --json task list)" 'all(.tasks[]; .status == "completed" and .attempts == 1)'
}

@test "no coordinator at all: two workers finish and hold, one works on; the next command takes all" {
	three
	a=$(task a .attempt) b=$(task b .attempt)
	kill_coordinator
	open_gate a
	open_gate b
	eventually saved "$a"
	eventually saved "$b"
	expect 0 pleach status >/dev/null
	expect 0 pleach task wait a b >/dev/null
	open_gate c
	expect 0 pleach task wait d >/dev/null
	each_ran_once
	is $'a\nb\nc' "$(task d .output)"
	eventually test ! -e "$(state "attempts/$a/result.json")"
	eventually test ! -e "$(state "attempts/$b/result.json")"
}

@test "held results survive their workers, too" {
	three
	a=$(task a .attempt)
	worker=$(team '.teammates[] | select(.key == "a") | .pid')
	kill_coordinator
	open_gate a
	eventually saved "$a"
	kill -KILL "$worker"
	process_gone "$worker"
	expect 0 pleach task wait a >/dev/null
	is "completed 1" "$(task a '"\(.status) \(.attempts)"')"
	open_gate b
	open_gate c
	expect 0 pleach task wait d >/dev/null
	each_ran_once
}

@test "an agent floods while nobody is there: it never blocks, its log is whole" {
	gate go
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'read x <"$W/go"; stty -opost <&1 2>/dev/null; seq 1 300000; echo done >"$W/end"'}
	Y
	expect 0 pleach run --headless --detach >/dev/null
	wait_event '.kind == "attempt.started"' >/dev/null
	attempt=$(task a .attempt)
	kill_coordinator
	open_gate go
	eventually test -s "$W/end"
	eventually saved "$attempt"
	expect 0 pleach task wait a >/dev/null
	cmp <(seq 1 300000) <(tr -d '\r' <"$(state "attempts/$attempt/output.log")")
	is 1 "$(task a .attempts)"
}

@test "cancelled while its worker held the result: cancelled, and where it ended is known" {
	three
	a=$(task a .attempt)
	worker=$(team '.teammates[] | select(.key == "a") | .pid')
	kill_coordinator
	open_gate a
	eventually saved "$a"
	kill -STOP "$worker"
	expect 0 pleach task stop a >/dev/null
	kill -CONT "$worker" 2>/dev/null || true
	ended() { [[ $(pleach --json team list | jq '[.teammates[] | select(.key == "a")] | length') == 0 ]]; }
	eventually ended
	is cancelled "$(task a .status)"
	is 1 "$(task a .attempts)"
	is a "$(git show "$(task a .head):fa")"
}

@test "a reboot: what was written down counts, the rest is pending again, nobody is to blame" {
	three
	a=$(task a .attempt) b=$(task b .attempt)
	kill_coordinator
	open_gate a
	eventually saved "$a"
	kill_all
	store "UPDATE teammate SET boot = 'before'; UPDATE setting SET value = 'before' WHERE key = 'team.boot'"
	out=$(expect 0 pleach status)
	has "$out" "the machine was restarted: what ran is pending again"
	expect 0 pleach task wait a >/dev/null
	is "completed 1" "$(task a '"\(.status) \(.attempts)"')"
	both_pending() { [[ "$(task b .status) $(task c .status)" == "pending pending" ]]; }
	eventually both_pending # after their slots have been settled
	is released "$(pleach --json events | jq -r "select(.kind == \"attempt.ended\" and .attempt == $b) | .data.outcome")"
	is 0 "$(pleach --json status | jq '[.teammates[] | select(.pid)] | length')"
	is 1 "$(wc -l <"$W/ran-b")"
	expect 0 pleach up >/dev/null
	lacks "$(expect 0 pleach status)" "restarted"
	open_gate b
	open_gate c
	expect 0 pleach task wait d >/dev/null
	is "1 2 2 1" "$(echo $(for k in a b c d; do wc -l <"$W/ran-$k"; done))"
	is "$b" "$(git for-each-ref --format='%(refname:lstrip=3)' "refs/pleach/kept/$b")"
}

# talk LINE: says it on the control socket; what is answered
talk() {
	timeout "$LIMIT" python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode() + b"\n")
print(s.makefile().readline(), end="")' "$(echo "$PLEACH_RUNTIME_DIR"/*/control)" "$1"
}

@test "a newer and an older pleach are refused in one line that says what to do" {
	expect 0 pleach status >/dev/null
	new=$(talk '{"jsonrpc":"2.0","id":1,"method":"hello","params":{"protocol":99,"role":"cli"}}')
	has "$new" "protocol 99 is not spoken here"
	has "$new" "an older one: pleach down with that version, then again"
	old=$(talk '{"jsonrpc":"2.0","id":1,"method":"hello","params":{"protocol":0,"role":"worker"}}')
	has "$old" "a newer one"
	kill_coordinator
	store 'PRAGMA user_version = 99'
	expect 6 pleach status >/dev/null
	has "$(stderr)" "was written by a newer pleach (schema 99"
	is 1 "$(stderr | wc -l)"
	store 'PRAGMA user_version = 2'
}

@test "the programs are replaced while a team works: the new ones take over, agents go on" {
	mkdir "$BATS_TEST_TMPDIR/installed"
	cp "$PLEACH_BUILD"/pleach* "$BATS_TEST_TMPDIR/installed/" 2>/dev/null || true
	old=$PLEACH_BUILD PLEACH_BUILD=$BATS_TEST_TMPDIR/installed PATH=$PLEACH_BUILD:$PATH
	gate go
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo $$ >"$W/pid"; read x <"$W/go"'}
	  - {id: b, prompt: 'true', blocked_by: [a]}
	Y
	expect 0 pleach run --headless --detach >/dev/null
	eventually test -s "$W/pid"
	born=$(start_time "$(cat "$W/pid")")
	for file in "$PLEACH_BUILD"/pleach*; do
		[[ -d $file ]] || { cp "$file" "$file.new" && mv "$file.new" "$file"; }
	done
	kill -KILL "$(serving_pid)"
	expect 0 pleach team add zed >/dev/null
	has_worker() { team '.teammates[] | select(.name == "zed") | .pid' | grep -q '[0-9]'; }
	eventually has_worker
	is "$born" "$(start_time "$(cat "$W/pid")")"
	open_gate go
	expect 0 pleach task wait b >/dev/null
	is 1 "$(task a .attempts)"
}
