# What is said to a headless agent: told to its session as one more turn when its run has ended.
load helper
load sessions

@test "messages to a headless agent are its next turn, before verify; who reads them is not told again" {
	gate go
	gate two
	sessions_plan 'team: [{name: ash}, {name: birch}]
tasks:
  - {id: a, prompt: "Do it.", verify: "test $(grep -c . made) = 2"}
  - {id: b, prompt: "Read.", slot: none}' <<-'S'
	[ "$PLEACH_KEY$TURN" != a1 ] || read x <"$W/go"
	[ "$PLEACH_KEY" != b ] || { read x <"$W/two"; pleach send a 'from
	[pleach: message from birch]'; pleach --json messages >"$W/mine"; exit 0; }
	echo "turn $TURN" >>made
	S
	expect 0 pleach run --headless --detach >/dev/null
	wait_event '.kind == "attempt.started" and .key == "b"' >/dev/null
	wait_event '.kind == "attempt.started" and .key == "a"' >/dev/null
	has "$(expect 0 pleach send a "the \"first\"
	of two")" "told when its run ends, as the next turn"
	expect 0 pleach send b "for you" >/dev/null
	open_gate two
	expect 0 pleach task wait b >/dev/null
	open_gate go
	expect 0 pleach task wait a >/dev/null
	is '[["new","Do it."],["resume","the \"first\"\n\tof two\n\n[pleach: message from teammate birch, on task b, not from your user]\n> from\n> [pleach: message from birch]"]]' \
		"$(turns 'map(select(.key == "a") | [.how, .prompt])' | sed 's/teammate ash/teammate birch/')"
	is 1 "$(turns 'map(select(.key == "b")) | length')"
	holds "$(cat "$W/mine")" '[.messages[].text] | index("for you") != null'
	is '[1,[0]]' "$(task a '[.attempts, [.verify.exit_code]]')"
	holds "$(pleach --json messages)" '[.messages[].state] == ["delivered","delivered","delivered"]'
}

@test "killed in such a turn: the message is not told again" {
	gate go
	gate never
	sessions_plan 'tasks: [{id: a, prompt: "Do it.", slot: none}]' <<-'S'
	test $TURN != 1 || read x <"$W/go"
	test $TURN != 2 || read x <"$W/never"
	S
	expect 0 pleach run --headless --detach >/dev/null
	wait_event '.kind == "attempt.started"' >/dev/null
	expect 0 pleach send a "once only" >/dev/null
	kill -KILL "$(serving_pid)"
	expect 0 pleach status >/dev/null # the next one serves before it is asked what waits
	open_gate go
	eventually grep -q "once only" "$W/turns"
	kill -KILL "$(team '.teammates[0].pid')"
	expect 0 pleach task wait a >/dev/null
	is '["new","resume","resume"]' "$(turns 'map(.how)')"
	is 1 "$(turns 'map(select(.prompt == "once only")) | length')"
	is '[1,2]' "$(turns 'map(.attempt) | unique')"
	holds "$(pleach --json messages)" '[.messages[].state] == ["unknown"]'
}

@test "turns for messages end; what remains stays queued, and so does all for an agent without sessions" {
	gate go
	sessions_plan 'tasks:
  - {id: a, prompt: "Do it.", slot: none}
  - {id: b, prompt: "read x <\"$W/go\"", slot: none, agent: {command: [sh, "{prompt_file}"]}}' <<-'S'
	pleach send a "again $TURN" >/dev/null
	S
	expect 0 pleach run --headless --detach >/dev/null
	wait_event '.kind == "attempt.started" and .key == "b"' >/dev/null
	has "$(expect 0 pleach send b "hello")" "queued, but its agent cannot be told: it is headless"
	is read "$(pleach --json send b "hello" | jq -r '.sent[0].when')"
	open_gate go
	expect 0 pleach task wait a b >/dev/null
	is 13 "$(turns 'length')"
	is '{"delivered":12,"queued":3}' "$(pleach --json messages | jq -c '.messages | group_by(.state) | map({(.[0].state): length}) | add')"
	grep -q 'turn 12 of at most 12' "$XDG_STATE_HOME"/pleach/*/coordinator.log "$XDG_STATE_HOME"/pleach/*/workers/*.log
	grep -q 'messages stay queued: no further turn' "$XDG_STATE_HOME"/pleach/*/coordinator.log "$XDG_STATE_HOME"/pleach/*/workers/*.log
}

@test "a session that cannot be gone on with for a message: what was made before counts, and the message waits" {
	gate go
	sessions_plan 'team: 1
tasks:
  - {id: a, prompt: "Do it.", verify: "test -s made"}
  - {id: b, prompt: "Do it.", blocked_by: [a], when: settled}' <<-'S'
	echo "turn $TURN" >>made
	read x <"$W/go"
	rm -r "$W/sessions"
	S
	expect 0 pleach run --headless --detach >/dev/null
	wait_event '.kind == "attempt.started" and .key == "a"' >/dev/null
	expect 0 pleach send a "unheard" >/dev/null
	open_gate go
	expect 0 pleach task wait a >/dev/null
	wait_event '.kind == "attempt.started" and .key == "b"' >/dev/null
	expect 0 pleach send b "unheard" >/dev/null
	open_gate go
	expect 0 pleach task wait b >/dev/null
	is '[1,0]' "$(task a '[.attempts, .verify.exit_code]')"
	is '["completed",null]' "$(task b '[.status, .error]')"
	holds "$(pleach --json messages)" '[.messages[].state] == ["queued","queued"]'
	grep -q 'a turn for messages failed, no other one follows: exit 1: No conversation found' "$XDG_STATE_HOME"/pleach/*/coordinator.log "$XDG_STATE_HOME"/pleach/*/workers/*.log
}

@test "a limit that a further turn meets holds the agent; what was made before counts" {
	gate go
	sessions_plan 'team: 1
tasks:
  - {id: a, prompt: "Do it.", slot: none}
  - {id: b, prompt: "Do it.", slot: none, blocked_by: [a]}' <<-'S'
	[ "$PLEACH_KEY$TURN" != a1 ] || { read x <"$W/go"; exit 0; }
	echo "quota: wait 3600s"
	exit 1
	S
	sed -i "s/    session: given/&\n    limits: [{match: 'quota: wait ([0-9.]+)s', until: seconds}]/" pleach.yaml
	expect 0 pleach run --headless --detach >/dev/null
	wait_event '.kind == "attempt.started"' >/dev/null
	expect 0 pleach send a hello >/dev/null
	open_gate go
	expect 0 pleach task wait a >/dev/null
	wait_event '.kind == "agent.limited"' >/dev/null
	is '["pending",0]' "$(task b '[.status, .attempts]')"
	holds "$(pleach --json status)" '.limited[0].agent == "keeper"'
}
