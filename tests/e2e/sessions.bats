# Agents' own sessions: a failed verify goes back, lasting teammates, resumed attempts.
load helper

# sessions_plan: writes pleach.yaml from stdin behind an agent that keeps sessions; the first
# argument is what it does in a turn ($TURN counts what its session was told).
sessions_plan() {
	cat >"$W/script"
	{
		printf 'name: p\nagents:\n  keeper:\n    command: [python3, "%s", new, "{session}", "{prompt}"]\n' "$SESSIONS"
		printf '    session: given\n    resume: {command: [python3, "%s", resume, "{session}", "{prompt}"], prompt: argv}\n' "$SESSIONS"
		printf 'defaults: {agent: keeper}\n%s\n' "$1"
	} >pleach.yaml
}

SESSIONS=$BATS_TEST_DIRNAME/../agents/sessions.py

turns() {
	jq -sc "$1" "$W/turns"
}

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
	has "$(pleach logs --verify a)" 'verify 3 of at most 3'
	has "$(pleach logs --verify a)" 'verify 1 of at most 3'
}
