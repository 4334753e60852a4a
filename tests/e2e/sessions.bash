# An agent that keeps sessions (tests/agents/sessions.py), and what it was told. Loaded after helper.bash.

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
