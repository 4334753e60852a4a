# Agents' own sessions: a failed verify goes back, lasting teammates, resumed attempts.
load helper
load sessions

@test "a failed verify goes back to the same session, with its output" {
	sessions_plan 'tasks: [{id: a, prompt: "Do it.", verify: "grep -c . made >&2; test $(grep -c . made) = 3", verify_retries: 2}]' <<-'S'
	echo "turn $TURN" >>made
	S
	expect 0 pleach run --headless >/dev/null
	is '[["new",1],["resume",2],["resume",3]]' "$(turns 'map([.how, .turn])')"
	is 1 "$(turns 'map(.session) | unique | length')"
	is 1 "$(task a .attempts)"
	is '[1,1,0]' "$(task a '.rounds | map(.exit_code)')"
	is '[1,2,3]' "$(pleach --json events | jq -sc 'map(select(.kind == "attempt.verified") | .data.round)')"
	prompt=$(turns '.[1].prompt' | jq -r .)
	has "$prompt" 'ended with exit status 1'
	has "$prompt" 'grep -c . made'
	has "$prompt" '    1'
	is 3 "$(git show pleach/p/a:made | wc -l)"
	has "$(pleach compare a)" 'a was told 2 times that verify failed'
	has "$(pleach logs --verify a)" 'verify 3 of at most 3'
	has "$(pleach logs --verify a)" 'verify 1 of at most 3'
}

@test "verify_retries used up: a fresh attempt, then failed; each agent that cannot go on too" {
	sessions_plan 'tasks: [{id: a, prompt: "Do it.", verify: "false", verify_retries: 1, retries: 1}]' <<-'S'
	echo "turn $TURN" >>made
	S
	expect 1 pleach run --headless >/dev/null
	is '[["new",1],["resume",2],["new",1],["resume",2]]' "$(turns 'map([.how, .turn])')"
	is '[2,"verify_failed"]' "$(task a '[.attempts, .error.code]')"
	is 2 "$(turns 'map(.session) | unique | length')"
	plan <<-'Y'
	name: q
	tasks: [{id: b, prompt: 'echo x >>"$W/b"', verify: 'false', verify_retries: 3, retries: 1}]
	Y
	sed -i '1{/^name: p/d}' pleach.yaml
	expect 1 pleach run --headless >/dev/null
	is 2 "$(wc -l <"$W/b")"
	is '[1]' "$(task b '.rounds | map(.round)')"
}

@test "retry --resume goes on with the session, from where it stood" {
	sessions_plan 'tasks: [{id: a, prompt: "Do it.", timeout: 60s}]' <<-'S'
	echo "turn $TURN" >>made
	test $TURN = 2
	S
	expect 5 pleach retry --resume a >/dev/null 2>&1 || expect 4 pleach retry --resume a >/dev/null
	expect 1 pleach run --headless >/dev/null
	session=$(task a .session)
	expect 0 pleach retry --resume a >/dev/null
	expect 0 pleach task wait a >/dev/null
	is "[\"resume\",2,$session]" "$(jq -sc '.[1] | [.how, .turn, .session]' "$W/turns" | sed "s/\"$session\"/$session/")"
	is 2 "$(git show pleach/p/a:made | wc -l)"
	is '[1,"asked"]' "$(task a '[.continues.attempt, .continues.why]')"
	has "$(pleach task show a)" 'attempt 1 (asked)'
	has "$(pleach logs a)" 'goes on with the session of attempt 1 (asked)'
	has "$(turns '.[1].prompt')" 'Your last attempt at this task ended: exit 1'
	has "$(turns '.[1].prompt')" 'Do it.'
	is 1 "$(git merge-base --is-ancestor main pleach/p/a && task a .changes.files)"
}

@test "retry --resume is refused, with the reason, where there is nothing to go on with" {
	plan <<-'Y'
	tasks: [{id: a, prompt: 'exit 1'}]
	Y
	expect 1 pleach run --headless >/dev/null
	expect 2 pleach retry --resume a
	has "$(stderr)" 'no way to go on with a session'
	is failed "$(task a .status)"
}

@test "a session that is not known any more: asked for it fails, after a crash it begins anew" {
	gate go
	sessions_plan 'tasks: [{id: a, prompt: "Do it."}]' <<-'S'
	echo "$HOW" >>made
	test -e "$W/later" || exit 1
	test ! -e "$W/crash" || { rm "$W/crash"; read x <"$W/go"; }
	S
	expect 1 pleach run --headless >/dev/null
	rm -r "$W/sessions"
	expect 0 pleach retry --resume a >/dev/null
	expect 1 pleach task wait a >/dev/null
	has "$(task a .error.message)" 'could not be continued: exit 1: No conversation found'
	touch "$W/crash" "$W/later"
	since=$(last_seq)
	expect 0 pleach retry a >/dev/null
	eventually test ! -e "$W/crash"
	rm -r "$W/sessions"
	kill -KILL "$(team '.teammates[0].pid')"
	wait_event '.kind == "session.refused"' "$since" >/dev/null
	expect 0 pleach task wait a >/dev/null
	is '["new","new"]' "$(turns 'map(.how) | .[1:]')"
	is new "$(git show pleach/p/a:made)"
	is true "$(task a .continues.refused)"
	has "$(pleach task show a)" 'not known any more'
	has "$(pleach logs a)" 'its session could not be continued'
}

@test "a worker is killed: the next attempt goes on with the session, from where it stood" {
	gate go
	sessions_plan 'tasks: [{id: a, prompt: "Do it.", verify: "test -s made"}]' <<-'S'
	echo "turn $TURN" >>made
	: >"$W/at-$TURN"
	test $TURN = 2 || read x <"$W/go"
	S
	expect 0 pleach run --headless --detach >/dev/null
	eventually test -e "$W/at-1"
	kill -KILL "$(team '.teammates[0].pid')"
	expect 0 pleach task wait a >/dev/null
	is '[["new",1,1],["resume",2,2]]' "$(turns 'map([.how, .turn, .attempt])')"
	is 1 "$(turns 'map(.session) | unique | length')"
	is "turn 1
	turn 2" "$(git show pleach/p/a:made | sed '2s/^/\t/')"
	is '[2,"interrupted"]' "$(task a '[.attempts, .continues.why]')"
	[[ ! -e $W/twice ]]
}

@test "killed while it verifies: the proof is made again, and nobody is asked" {
	gate go
	sessions_plan 'tasks: [{id: a, prompt: "Do it.", verify: "echo v >>$W/verified; test $(wc -l <$W/verified) -gt 1 || read x <$W/go"}]' <<-'S'
	echo "turn $TURN" >>made
	S
	expect 0 pleach run --headless --detach >/dev/null
	eventually test -s "$W/verified"
	kill -KILL "$(team '.teammates[0].pid')"
	expect 0 pleach task wait a >/dev/null
	is '[["new",1]]' "$(turns 'map([.how, .turn])')"
	is 'turn 1' "$(git show pleach/p/a:made)"
	is '[2,0]' "$(task a '[.attempts, .verify.exit_code]')"
}

@test "killed in a round: it is neither lost nor done twice" {
	gate go
	sessions_plan 'tasks: [{id: a, prompt: "Do it.", verify: "echo out of $(wc -l <made); test $(wc -l <made) = 3", verify_retries: 1}]' <<-'S'
	echo "turn $TURN" >>made
	: >"$W/at-$TURN"
	test $TURN != 2 || read x <"$W/go"
	S
	expect 0 pleach run --headless --detach >/dev/null
	eventually test -e "$W/at-2"
	kill -KILL "$(team '.teammates[0].pid')" "$(serving_pid)"
	expect 0 pleach task wait a >/dev/null
	is '[["new",1,1],["resume",2,1],["resume",3,2]]' "$(turns 'map([.how, .turn, .attempt])')"
	has "$(turns '.[2].prompt')" 'out of 1'
	is '[2]' "$(task a '.rounds | map(.round)')"
	is '[1,2]' "$(pleach --json events | jq -sc 'map(select(.kind == "attempt.verified") | .data.round)')"
	is completed "$(task a .status)"
}

@test "session: keep hands the next task to the same session" {
	sessions_plan 'team: [{name: ash, agent: keeper, session: keep}]
tasks: [{id: a, prompt: "First."}, {id: b, prompt: "Second."}, {id: c, prompt: "Third.", blocked_by: [b]}]' <<-'S'
	echo "$PLEACH_KEY $TURN" >"$PLEACH_KEY"
	S
	expect 0 pleach run --headless >/dev/null
	is '[["a","new",1,"First."],["b","resume",2,"Second."],["c","resume",3,"Third."]]' \
		"$(turns 'map([.key, .how, .turn, .prompt])')"
	is '["keep",1]' "$(task b '[.continues.why, .continues.attempt]')"
	is 'b 2' "$(git show pleach/p/b:b)"
	expect 128 git show pleach/p/b:a
	rm -r "$W/sessions"
	expect 0 pleach add --key d --agent keeper 'Fourth.' >/dev/null
	expect 0 pleach task wait d >/dev/null
	is '["d","new",1,"Fourth."]' "$(turns '.[3] | [.key, .how, .turn, .prompt]')"
	is true "$(task d .continues.refused)"
}

# living_plan MODE [ARG]: a plan of one task behind an agent that lives on; stdin is its script.
living_plan() {
	cat >"$W/script"
	raw_plan <<-Y
	name: p
	agents:
	  living: {command: [python3, "$BATS_TEST_DIRNAME/../agents/living.py", $1], mode: ${1%%,*}, prompt: ${2:-none}}
	defaults: {agent: living, verify_retries: 2}
	tasks: [{id: a, prompt: "Do it.", verify: {command: "$3", protect: [file]}}]
	Y
}

@test "an agent on a terminal lives on while its result is proven, held still, and is told what failed" {
	living_plan tui type 'cat made; read pid <$W/pid; grep -o \"^State:.T\" /proc/$pid/status; test $(wc -l <made) = 2' <<-'S'
	echo "turn $TURN" >>made
	echo $PPID >"$W/pid"
	pleach done >/dev/null
	S
	expect 0 pleach run --headless >/dev/null
	is '[1,2]' "$(turns 'map(.turn)')"
	is 1 "$(turns 'map(.pid) | unique | length')"
	is '[1,0]' "$(task a '.rounds | map(.exit_code)')"
	is 2 "$(pleach logs --verify a | grep -c 'State:.T')"
	is 2 "$(git show pleach/p/a:made | wc -l)"
	process_gone "$(cat "$W/pid")"
}

@test "an agent of the protocol is prompted again in the same session; one that is killed meanwhile fails nobody" {
	living_plan acp none 'test $(wc -l <made) = 2' <<-'S'
	echo "turn $TURN" >>made
	echo $PPID >"$W/pid"
	S
	expect 0 pleach run --headless >/dev/null
	is '[1,2]' "$(turns 'map(.turn)')"
	is 1 "$(turns 'map(.pid) | unique | length')"
	has "$(turns '.[1].prompt')" 'ended with exit status 1'
	lacks "$(turns '.[1].prompt')" 'verify 1 of'
	sed -i '$d' pleach.yaml
	cat >>pleach.yaml <<-'Y'
	team: 1
	tasks:
	  - {id: b, prompt: "Do it.", verify: "kill -KILL $(cat $W/pid); test -s made"}
	  - {id: c, prompt: "Do it.", verify: "kill -KILL $(cat $W/pid); false", blocked_by: [b]}
	Y
	expect 1 pleach run --headless >/dev/null
	is '["completed",[0]]' "$(task b '[.status, (.rounds | map(.exit_code))]')"
	is '["verify_failed",1,[1]]' "$(task c '[.error.code, .attempts, (.rounds | map(.exit_code))]')"
}

@test "attach --resume goes on with an ended attempt; an agent of the protocol loads its session" {
	living_plan acp none 'test -s made' <<-'S'
	echo "turn $TURN" >>made
	S
	sed -i 's/, acp\]/, acp, load]/; s/verify_retries: 2/retries: 0/; s/test -s made/false/' pleach.yaml
	expect 1 pleach run --headless >/dev/null
	expect 4 pleach attach a --json
	has "$(stderr)" 'pleach attach a --resume'
	expect 2 pleach attach a --resume
	sed -i 's/"false"/"test -s made"/' pleach.yaml
	expect 1 pleach run --headless >/dev/null
	since=$(last_seq)
	on_terminal "pleach attach a --resume"
	wait_event '.kind == "attempt.ended"' "$since" >/dev/null
	leave_view
	is completed "$(task a .status)"
	is "$(cat "$W/session")" "$(cat "$W/loaded")"
	has "$(turns '.[1].prompt')" 'The check of your work failed: `false`'
	is "[\"asked\",\"$(cat "$W/session")\"]" "$(task a '[.continues.why, .session]')"
	is 'turn 1 turn 1' "$(git show pleach/p/a:made | xargs)"
}

# PLEACH_HEAVY=1 kills 40 times over six tasks, as PLEACH_SEED says; else once.
@test "kills at random: no session is used twice at once, no round is lost or made twice" {
	local kills=1 tasks=1 all i n=0 pid
	[[ -z ${PLEACH_HEAVY:-} ]] || kills=40 tasks=6
	RANDOM=${PLEACH_SEED:-11}
	all=$(seq -f 't%g' $tasks)
	export PLEACH_POISON_LIMIT=0
	sessions_plan "team: [{name: ash, session: keep}, {name: birch}]
tasks:
$(for i in $all; do echo "  - {id: $i, prompt: 'Do it.', verify_retries: 3, verify: 'test \$(wc -l <made) -ge 3'}"; done)" <<-'S'
	echo "turn $TURN" >>made
	sleep 0.2
	S
	expect 0 pleach run --headless --detach >/dev/null
	until ((n == kills)) || timeout --foreground "0.$((RANDOM % 8 + 1))" "$PLEACH_BUILD/pleach" task wait $all >/dev/null 2>&1; do
		pid=$(team ".teammates[$((RANDOM % 2))].pid")
		((RANDOM % 4)) || pid=$(serving_pid)
		[[ $pid == null ]] || kill -KILL "$pid" 2>/dev/null || true
		n=$((n + 1))
	done
	LIMIT=90 expect 0 pleach task wait $all >/dev/null
	[[ ! -e $W/twice ]]
	# Where nothing had to begin anew, the rounds count on over all attempts.
	holds "$(jq -sc 'group_by(.key) | map(select(map(select(.how == "new")) | length == 1) | .[0].key)' "$W/turns" |
		jq -c --slurpfile e <(pleach --json events) '[.[] as $k | [$e[] | select(.kind == "attempt.verified" and .key == $k) | .data.round]
		| select(. != [range(1; length + 1)])]')" '. == []'
}
