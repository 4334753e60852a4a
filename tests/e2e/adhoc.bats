# Tasks without a plan (add, try) land where their user stood when they were added.
load helper

agent() {
	raw_plan <<-'Y'
	agents: {sh: {command: [sh, "{prompt_file}"], mode: exec}}
	defaults: {agent: sh, verify: none}
	Y
}

target_of() { # target_of TASK: of its plan
	pleach --json status | jq -r --arg plan "$(task "$1" .plan)" '.plans[] | select(.name == $plan) | .target'
}

# lands_only TASK FILE BRANCH OTHER: FILE comes to BRANCH, OTHER stays
lands_only() {
	local other
	other=$(git rev-parse "$4")
	expect 0 pleach merge "$1" >/dev/null
	is "$1" "$(git show "$3:$2")"
	is "$other" "$(git rev-parse "$4")"
}

@test "what was added on main lands on main, what was added on side on side" {
	agent
	expect 0 pleach up --team 1 --headless >/dev/null
	expect 0 pleach add --key onm 'echo onm >m' >/dev/null
	git checkout -qb side
	expect 0 pleach add --key ons 'echo ons >s' >/dev/null
	git checkout -q main
	expect 0 pleach add --key again 'echo again >a' >/dev/null
	expect 0 pleach wait onm ons again >/dev/null
	is "main side main" "$(target_of onm) $(target_of ons) $(target_of again)"
	is "adhoc adhoc-side adhoc" "$(task onm .plan) $(task ons .plan) $(task again .plan)"
	is "add add" "$(task onm .source) $(task ons .source)"
	git checkout -q side
	lands_only onm m main side
	lands_only ons s side main
	lands_only again a main side
	expect 0 pleach undo again >/dev/null
}

@test "try, from a linked worktree and on branches whose names say the same" {
	agent
	expect 0 pleach try 'echo one >one' --agent sh --headless >/dev/null
	git worktree add -q -b feature/x "$BATS_TEST_TMPDIR/linked"
	git checkout -qb feature-x
	expect 0 pleach -C "$BATS_TEST_TMPDIR/linked" try 'echo two >two' -n 2 --agent sh --choose first --headless >/dev/null
	expect 0 pleach try 'echo three >three' --agent sh --headless >/dev/null
	is "main feature/x feature-x" "$(pleach --json status | jq -r '[.plans[].target] | join(" ")')"
	is "adhoc adhoc-feature-x adhoc-feature-x-2" "$(pleach --json status | jq -r '[.plans[].name] | join(" ")')"
	before=$(git rev-parse main)
	expect 0 pleach merge "$(pleach --json task list | jq -r '.tasks[] | select(.kind == "choice") | .key')" >/dev/null
	is two "$(cat "$BATS_TEST_TMPDIR/linked/two")"
	is "$before" "$(git rev-parse main)"
	is "$before" "$(git rev-parse feature-x)"
}

@test "what was added with a detached HEAD has no target, and takes none from another" {
	agent
	expect 0 pleach up --team 1 --headless >/dev/null
	expect 0 pleach add --key onm 'echo onm >m' >/dev/null
	git checkout -q --detach
	expect 0 pleach add --key free 'echo free >f' >/dev/null
	expect 0 pleach wait onm free >/dev/null
	is "main null" "$(target_of onm) $(target_of free)"
	expect 2 pleach merge free
	lands_only onm m main HEAD
	expect 0 pleach merge free --into main >/dev/null
	is free "$(git show main:f)"
}

@test "tasks without a plan share their keys; their plans keep their targets and names" {
	agent
	expect 0 pleach add 'do it' >/dev/null
	expect 0 pleach add --key mine true >/dev/null
	git checkout -qb side
	expect 0 pleach add 'do it' >/dev/null
	expect 5 pleach add --key mine true
	has "$(stderr)" "task mine already"
	holds "$(pleach --json task list)" '(.tasks | map(.key) | sort) == ["do-it", "do-it-2", "mine"]'
	expect 0 pleach add --plan adhoc --key named true >/dev/null
	is adhoc-side "$(task named .plan)"
	git checkout -q main
	expect 5 pleach add --plan adhoc-side --key other true
	has "$(stderr)" "adhoc-side"
	git checkout -q side
	expect 5 pleach add --plan adhoc-side --key mine true
	has "$(stderr)" "task mine already"
	is side "$(target_of named)"
	printf 'name: adhoc-side\nagents: {sh: {command: [true]}}\ntasks: [{id: a, prompt: x, agent: sh}]\n' >"$W/p.yaml"
	expect 2 pleach run "$W/p.yaml"
	has "$(stderr)" "taken by tasks without a plan"
}

@test "the same request again finds its task, wherever its user stands meanwhile" {
	agent
	expect 0 pleach status >/dev/null
	expect 0 pleach add --key first true >/dev/null
	spec='{"slot":"worktree","timeout":null,"retries":0,"expect_changes":false,"verify":null,"setup":null,"copy":[],"link":[]}'
	cat >"$W/ask" <<-'P'
	import json, socket, sys
	s = socket.socket(socket.AF_UNIX)
	s.connect(sys.argv[1])
	f = s.makefile("rw")
	for i, (method, params) in enumerate((("hello", {"protocol": 1, "role": "cli"}), ("task.add", json.loads(sys.argv[2])))):
	    f.write(json.dumps({"jsonrpc": "2.0", "id": i, "method": method, "params": params}) + "\n")
	    f.flush()
	    while (answer := json.loads(f.readline())).get("id") != i:
	        pass
	print(json.dumps(answer.get("result") or answer))
	P
	params='{"task":{"key":"k","prompt":"true","kind":"work","spec":'$spec'},"nonce":"0123"}'
	one=$(python3 "$W/ask" "$PLEACH_RUNTIME_DIR"/*/control "$params")
	git checkout -qb side
	two=$(python3 "$W/ask" "$PLEACH_RUNTIME_DIR"/*/control "$params")
	is "$(jq .id <<<"$one") k adhoc" "$(jq -r '"\(.id) \(.key) \(.plan)"' <<<"$two")"
	holds "$(pleach --json task list)" '.tasks | length == 2'
}
