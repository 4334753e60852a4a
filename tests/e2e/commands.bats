# Each command: exit status and JSON shape, as the interface says.
load helper

TASK_FIELDS='["id","key","plan","kind","subject","prompt","status","ready","stuck_by","blocked_by","blocks","parent",
	"alternatives","chosen","owner","agent","model","priority","source","attempt","attempts","branch","base","head",
	"unchanged","verify","output","input","error","landing","usage","seconds","created_at","started_at","finished_at","metadata"]'

done_plan() {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo said-by-a; echo a >fa', verify: 'echo said-by-verify; test -f fa', metadata: {ticket: 42}}
	  - {id: b, prompt: 'echo b >fb; exit 2', blocked_by: [a]}
	  - {id: c, prompt: 'true', blocked_by: [b]}
	Y
	expect 1 pleach run --headless >/dev/null
}

@test "a Task has every field, times in UTC, commits in full" {
	done_plan
	json=$(expect 0 pleach --json task show a)
	holds "$json" ". as \$t | $TASK_FIELDS | all(.[]; . as \$f | \$t | has(\$f))"
	holds "$json" '.plan == "p" and .kind == "work" and .subject != "" and .metadata == {"ticket": 42}
		and (.blocks | length) == 1 and .blocked_by == [] and .parent == null and .alternatives == [] and .chosen == null
		and .agent == "sh" and .attempts == 1 and .branch == "pleach/p/a" and .priority == 0 and .input == null and .error == null
		and (.output | contains("said-by-a")) and .landing.state == "none" and (.seconds | type) == "number"'
	holds "$json" '[.base, .head, .verify.head, .verify.tree] | all(.[]; test("^[0-9a-f]{40}$"))'
	holds "$json" '[.created_at, .started_at, .finished_at] | all(.[]; test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}Z$"))'
	# Times are told to the millisecond, without the noise behind it.
	pleach --json task show a | grep -qE '"seconds":[0-9]+\.[0-9]{1,3}[,}]'
	pleach --json task list >"$W/list"
	run grep -oE 'seconds":[0-9]+\.[0-9]{4,}' "$W/list"
	is "" "$output"
	holds "$(pleach --json task show b)" '.error.code == "agent_exit" and (.error.message | type) == "string" and .metadata == null'
	holds "$(pleach --json task show c)" '.started_at == null and .finished_at == null and .owner == null and .head == null'
}

@test "task show of several is a list; task list filters" {
	done_plan
	holds "$(expect 0 pleach --json task show a b)" '.tasks | map(.key) == ["a", "b"]'
	holds "$(expect 0 pleach --json task list)" '.tasks | map(.key) == ["a", "b", "c"]'
	holds "$(expect 0 pleach --json ls --status failed)" '.tasks | map(.key) == ["b"]'
	holds "$(expect 0 pleach --json task list --plan nothing || echo '{"tasks":[]}')" '.tasks == []'
	out=$(expect 0 pleach ls)
	for key in a b c; do has "$out" "$key"; done
	expect 2 pleach task list --status finished
}

@test "prompts of more than one answer may hold: listed and waited for; --json has them all" {
	head -c 1000000 /dev/zero | tr '\0' x >big
	for plan in p q; do
		{
			printf 'name: %s\nagents:\n  no: {command: ["false"], mode: exec}\n' $plan
			printf 'defaults: {agent: no, slot: none}\ntasks:\n  - {id: a, prompt: a}\n'
			for i in $(seq 34); do printf '  - {id: %s%d, prompt_file: big, blocked_by: [a]}\n' $plan "$i"; done
		} >$plan.yaml
		expect 1 pleach run --headless --team 1 $plan.yaml >/dev/null
	done
	is 70 "$(expect 0 pleach ls | grep -cE '\<(a|[pq][0-9]+)\>')"
	expect 1 pleach task wait $(seq -f 'p%g' 34) $(seq -f 'q%g' 34) >/dev/null
	(($(expect 0 pleach --json ls | tr -cd x | wc -c) >= 68000000))
}

@test "hello is answered before what was asked with it: its answer does not wait for a long one" {
	expect 0 pleach status >/dev/null
	is "1 2" "$(timeout "$LIMIT" python3 -c '
import json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"""{"jsonrpc":"2.0","id":1,"method":"hello","params":{"protocol":1,"role":"cli"}}
{"jsonrpc":"2.0","id":2,"method":"nosuch","params":{}}
""")
f = s.makefile()
print(json.loads(f.readline())["id"], json.loads(f.readline())["id"])' "$PLEACH_RUNTIME_DIR"/*/control)"
}

@test "status, team list: shapes, and exit 0 whatever they show" {
	done_plan
	json=$(expect 0 pleach --json status)
	holds "$json" '(.coordinator | has("pid") and has("version") and has("started_at") and has("tmux") and (.bus | startswith("ipc://")))
		and (.tasks | .pending == 1 and .in_progress == 0 and .needs_input == 0 and .completed == 1 and .failed == 1 and .cancelled == 0
			and .ready == 0 and .blocked == 1 and .stuck == 1)
		and (.teammates | type) == "array" and (.plans | length) == 1'
	json=$(expect 0 pleach --json ps)
	holds "$json" '.teammates | length > 0 and all(.[]; has("name") and has("agent") and has("state") and has("task") and has("key")
		and has("attempt") and has("pane") and has("pid") and has("slot") and has("branch") and has("last_output") and has("since"))'
	holds "$json" '.teammates | all(.[]; .state == "idle" and .task == null and .pane == null and (.name | test("^[a-z][a-z0-9-]{0,31}$")))'
	kill -0 "$(jq '.teammates[0].pid' <<<"$json")"
	[[ -d $(jq -r '.teammates[0].slot' <<<"$json") ]]
	out=$(expect 0 pleach status)
	has "$out" "$(jq -r '.teammates[0].name' <<<"$json")"
	has "$out" "1 failed"
	is 1 "$(expect 0 pleach status --line | wc -l)"
	has "$(expect 0 pleach)" p
}

@test "status names what failed: the newest first, no more than five, nothing of a decided choice" {
	{
		printf "tasks:\n- {id: first, prompt: 'exit 3'}\n"
		printf -- "- {id: last%s, prompt: 'exit 4', blocked_by: [first], when: settled}\n" 1 2 3 4 5
		printf -- "- {id: ch, choose: first, verify: 'true', prompt: 'true', alternatives: [{prompt: 'exit 1'}, {prompt: 'exit 0'}]}\n"
	} | plan
	expect 1 pleach run --headless --team 1 >/dev/null
	holds "$(pleach --json status)" '.failures | .count == 6 and (.tasks | length == 6 and .[5].key == "first" and .[0].prompt == null)'
	text=$(expect 0 pleach status)
	has "$text" "(pleach logs last1 · pleach retry last1)"
	has "$text" "… and 1 more failed"
	lacks "$text" "ch.1"
	lacks "$text" "retry first"
}

@test "events: numbered, since, kinds" {
	done_plan
	all=$(expect 0 pleach --json events | jq -sc .)
	holds "$all" 'all(.[]; has("seq") and has("at") and has("kind") and has("task") and has("key") and has("attempt") and has("teammate") and has("data"))'
	holds "$all" 'map(.kind) | contains(["plan.submitted"]) and contains(["task.created"]) and contains(["attempt.started"]) and contains(["attempt.ended"]) and contains(["teammate.updated"])'
	holds "$all" 'map(select(.kind == "task.created")) | length == 3'
	holds "$all" 'map(select(.kind == "attempt.ended" and .key == "b"))[0].data | .outcome == "failed" and .error.code == "agent_exit" and has("head")'
	holds "$all" 'map(select(.kind == "attempt.ended" and .key == "a"))[0].data | .outcome == "completed" and .verify.exit_code == 0'
	half=$(jq '.[length / 2 | floor].seq' <<<"$all")
	holds "$(pleach --json events --since "$half" | jq -sc .)" "length > 0 and all(.[]; .seq > $half)"
	expect 0 pleach events >/dev/null
}

@test "add: options, key, branch, blocked by; it runs once there is a team" {
	raw_plan <<-'Y'
	agents: {sh: {command: [sh, "{prompt_file}"]}}
	defaults: {agent: sh}
	Y
	json=$(expect 0 pleach --json add --key first --verify 'test -f one' --priority 3 'echo 1 >one')
	holds "$json" '.key == "first" and .priority == 3 and .branch == "pleach/adhoc/first" and (.id | type) == "number"'
	echo 'echo 2 >two; ls >"$W/ls"' >"$W/prompt"
	out=$(expect 0 pleach task add -F "$W/prompt" --blocked-by first --key second)
	has "$out" second
	has "$out" pleach/adhoc/second
	expect 0 pleach up --team 1 --headless >/dev/null
	expect 0 pleach task wait first second >/dev/null
	has "$(cat "$W/ls")" one
	expect 4 pleach add --blocked-by nobody 'true'
	expect 2 pleach add
	expect 2 pleach add --base no-such-rev 'true'
}

@test "add to a plan without slots: git is not asked, and what is refused leaves nothing" {
	raw_plan <<-'Y'
	name: p
	agents: {sh: {command: [sh, "{prompt_file}"]}}
	defaults: {agent: sh, slot: none}
	tasks:
	  - {id: a, prompt: "true"}
	Y
	expect 0 pleach run --headless --team 1 >/dev/null
	cp .git/config "$W/config"
	echo "[broken" >>.git/config
	expect 0 pleach add --plan p --key b 'echo ran >"$W/b"' >/dev/null
	expect 0 pleach task wait b >/dev/null
	cp "$W/config" .git/config
	[ "$(cat "$W/b")" = ran ]
	expect 5 pleach add --plan p --key b 'true'
	expect 4 pleach add --plan p --key c --blocked-by nobody 'true'
	expect 2 pleach add --plan p --key c --base no-such-rev 'true'
	holds "$(expect 0 pleach --json task list --plan p)" '(.tasks | length) == 2 and all(.tasks[]; .status == "completed")'
}

@test "task update, stop, retry" {
	gate go
	plan <<-'Y'
	team: 1
	tasks:
	  - {id: a, prompt: 'echo $$ >"$W/pid"; read x <"$W/go"', priority: 9}
	  - {id: b, prompt: 'echo "$PLEACH_KEY" >>"$W/b"'}
	Y
	expect 0 pleach run --headless --detach >/dev/null
	wait_event '.kind == "attempt.started" and .key == "a"' >/dev/null
	holds "$(expect 0 pleach --json task update b --priority 7)" '.priority == 7'
	holds "$(pleach --json events | jq -sc 'map(select(.kind == "task.updated" and .key == "b")) | last')" '.data.priority == 7 and (.data | has("status") | not)'
	for n in 1000001 -1000001 99999999999999999999; do
		expect 2 pleach task update b --priority $n
		has "$(stderr)" "is out of range (-1000000 to 1000000)"
	done
	expect 2 pleach task update b --priority 7x
	is 7 "$(task b .priority)"
	eventually test -s "$W/pid"
	holds "$(expect 0 pleach --json stop a)" '.status == "cancelled" and .key == "a"'
	process_gone "$(cat "$W/pid")"
	expect 0 pleach task wait b >/dev/null
	expect 1 pleach task wait a >/dev/null
	expect 5 pleach stop b # completed
	holds "$(expect 0 pleach --json retry a)" '.status == "pending" or .status == "in_progress"'
	open_gate go
	expect 0 pleach task wait a >/dev/null
	expect 5 pleach retry b
}

@test "task update --agent: one of the configuration's joins the plan, one that nobody knows is refused" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'exit 1'}
	Y
	mkdir -p "$XDG_CONFIG_HOME/pleach"
	printf 'agents: {fixer: {command: [sh, -c, "echo fixed $FIXES >fixed"], env: {FIXES: secretly}}}\n' >"$XDG_CONFIG_HOME/pleach/config.yaml"
	expect 1 pleach run --headless >/dev/null
	expect 2 pleach update a --agent fixr
	has "$(stderr)" "unknown agent fixr"
	expect 2 pleach update a --agent shh
	has "$(stderr)" "did you mean sh?"
	is sh "$(task a .agent)"
	expect 0 pleach update a --agent fixer/small >/dev/null
	expect 0 pleach retry a >/dev/null
	expect 0 pleach wait a >/dev/null
	is "fixer small" "$(task a '"\(.agent) \(.model)"')"
	is "fixed secretly" "$(git show "$(task a .head):fixed")"
	lacks "$(sqlite3 "$(echo "$XDG_STATE_HOME"/pleach/repo-*)/store.db" .dump)" secretly
}

@test "what stands behind -- is an argument, whatever it begins with" {
	plan <<-'Y'
	tasks: [{id: a, prompt: 'true'}]
	Y
	expect 0 pleach run --headless >/dev/null
	expect 0 pleach add --agent sh --key b -- '- a list' >/dev/null
	is "- a list" "$(task b .prompt)"
	holds "$(expect 0 pleach --json send ash -- '-x')" '.sent[0].teammate == "ash"'
	holds "$(expect 0 pleach --json task show -- a)" '.key == "a"'
	expect 2 pleach task update -- a b
	has "$(stderr)" "one argument too many"
}

@test "what there is not is refused with the nearest name: teammates, plans, tasks of either" {
	plan <<-'Y'
	tasks: [{id: parser, prompt: 'true'}]
	Y
	expect 0 pleach run --headless --team 1 >/dev/null
	for command in "send ahs hi" "logs ahs" "attach ahs" "team pause ahs" "team remove ahs"; do
		expect 4 pleach $command
		has "$(stderr)" "did you mean ash?"
	done
	for command in "send parsr hi" "logs parsr" "run --headless --redo parsr"; do
		expect 4 pleach $command
		has "$(stderr)" "did you mean parser?"
	done
	for command in "ls --plan q" "usage --plan q"; do
		expect 4 pleach $command
		has "$(stderr)" "there is no plan q (did you mean p?)"
	done
}

@test "task wait: time limit 124, stuck behind a failed one 1, for a person 3" {
	gate go
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'read x <"$W/go"'}
	  - {id: bad, prompt: 'exit 1'}
	  - {id: behind, prompt: 'true', blocked_by: [bad]}
	  - {id: ask, prompt: 'pleach ask "well?"'}
	  - {id: after, prompt: 'true', blocked_by: [ask]}
	Y
	expect 0 pleach run --headless --detach --team 4 >/dev/null
	expect 124 pleach task wait a --timeout 0.2s
	expect 1 pleach task wait behind
	expect 3 pleach task wait ask
	expect 3 pleach task wait after
	open_gate go
	expect 0 pleach task wait a >/dev/null
	expect 0 pleach answer ask ok >/dev/null
	expect 0 pleach task wait after >/dev/null
}

@test "task wait says why nothing moves, and what frees it" {
	raw_plan <<-'Y'
	agents: {sh: {command: [sh, "{prompt_file}"]}}
	defaults: {agent: sh}
	Y
	expect 0 pleach add --key nb 'true' >/dev/null
	expect 124 pleach wait nb --timeout 0.2s
	has "$(stderr)" "nb waits: nobody is there to do it (pleach up)"
	for silent in -q --json; do
		expect 124 pleach wait nb --timeout 0.2s "$silent"
		lacks "$(stderr)" "nobody is there"
	done
	expect 0 pleach --json team add ash >/dev/null
	expect 0 pleach task wait nb >/dev/null
	is "" "$(stderr)"
	expect 0 pleach team pause >/dev/null
	expect 0 pleach add --key behind 'true' >/dev/null
	expect 124 pleach wait nb behind --timeout 0.2s
	has "$(stderr)" "behind waits: the team is paused (pleach team resume)"
	expect 0 pleach team resume >/dev/null
	expect 0 pleach task wait behind >/dev/null
}

@test "what others are is told by their keys, each in its own state" {
	plan <<-'Y'
	tasks:
	  - {id: ch, prompt: 'true', alternatives: 2}
	  - {id: bad, prompt: 'exit 1'}
	  - {id: gone, prompt: 'true', blocked_by: [bad]}
	  - {id: after, prompt: 'true', blocked_by: [ch, bad, gone]}
	Y
	expect 3 pleach run --headless >/dev/null
	has "$(expect 0 pleach stop gone)" cancelled
	out=$(expect 1 pleach wait after || expect 3 pleach wait after)
	has "$out" "stuck: bad failed, gone was cancelled, ch needs input"
	has "$(pleach task show after | head -n 1)" "stuck: bad failed, gone was cancelled, ch needs input"
	has "$(pleach ls --status pending)" "stuck: bad failed"
	out=$(expect 0 pleach task show after ch)
	grep -qx 'blocked by *ch, bad, gone' <<<"$out"
	grep -qx 'blocks *after' <<<"$out"
	grep -qx 'tried as *ch.1, ch.2' <<<"$out"
	# For programs they stay ids.
	holds "$(pleach --json task show after)" '.blocked_by + .stuck_by | all(type == "number")'
}

@test "logs --attempt: one of the task's by its number, as task show names it, or else the nth of them" {
	plan <<-'Y'
	team: 1
	tasks:
	  - {id: first, prompt: 'true'}
	  - {id: second, prompt: 'true', blocked_by: [first]}
	  - {id: a, prompt: 'echo said-by-$PLEACH_ATTEMPT; test -e "$W/mended"', blocked_by: [second]}
	  - {id: ch, choose: first, verify: 'true', prompt: 'echo chosen', alternatives: 2, blocked_by: [a], when: settled}
	Y
	expect 1 pleach run --headless a >/dev/null
	: >"$W/mended"
	expect 0 pleach run --headless --retry a >/dev/null
	is "[3,4]" "$(task a .attempt_ids)"
	grep -qx 'attempts *2 (numbers 3, 4)' <<<"$(pleach task show a)"
	has "$(expect 0 pleach logs a --attempt 3)" said-by-3
	has "$(expect 0 pleach logs a --attempt 4)" said-by-4
	has "$(expect 0 pleach logs a --attempt 1)" said-by-3
	has "$(expect 0 pleach logs a --attempt 2)" said-by-4
	holds "$(pleach --json logs a --attempt 2)" '.attempt == 4 and .key == "a"'
	expect 4 pleach logs a --attempt 5
	has "$(stderr)" "a has no attempt 5 (pleach task show names those of a task)"
	holds "$(pleach --json logs --attempt 1)" '.attempt == 1 and .key == "first"'
	teammate=$(pleach --json logs a | jq -r .teammate)
	holds "$(pleach --json logs "$teammate" --attempt 1)" '.key == "first"'
	expect 4 pleach logs "$teammate" --attempt 9 >/dev/null
	expect 0 pleach run --headless >/dev/null
	has "$(expect 0 pleach logs ch --attempt 1)" chosen
}

@test "logs: the agent's output, of an attempt, of verify, of the coordinator; -f until the end" {
	done_plan
	has "$(expect 0 pleach logs a)" said-by-a
	has "$(expect 0 pleach task output a)" said-by-a
	has "$(expect 0 pleach logs a --verify)" said-by-verify
	attempt=$(pleach --json events | jq -s 'map(select(.kind == "attempt.ended" and .key == "a"))[0].attempt')
	has "$(expect 0 pleach logs a --attempt "$attempt")" said-by-a
	[[ -n $(expect 0 pleach logs --coordinator) ]]
	is "$(pleach logs --coordinator | head -n 1)" "$(head -n 1 "$(pleach --json logs --coordinator | jq -r .path)")"
	gate go
	expect 0 pleach add --key late --agent sh 'echo before; read x <"$W/go"; echo behind' >/dev/null
	background pleach logs late -f
	open_gate go
	finished "$BG"
	is 0 "$STATUS"
	has "$(cat "$BATS_TEST_TMPDIR/bg.out")" behind
	# Lines end as the agent's program ended them, not as its terminal shows them.
	is behind "$(pleach logs late -n 1)"
	expect 0 pleach add --key odd --agent sh 'printf "one\rtwo\r\nthree\r"; sleep 0.2; printf "\nend\r"' >/dev/null
	expect 0 pleach wait odd >/dev/null
	is "$(printf 'one\rtwo\r\nthree\r\nend\r' | od -c)" "$(pleach logs odd | od -c)"
}

@test "diff, path, open" {
	done_plan
	expect 0 pleach diff a >"$W/patch"
	git apply "$W/patch"
	is a "$(cat fa)"
	rm fa
	dir=$(expect 0 pleach path a)
	is a "$(cat "$dir/fa")"
	is a "$(expect 0 pleach open a -- cat fa)"
	expect 4 pleach open nothing -- true
	has "$(expect 0 pleach diff a b)" fb
	json=$(expect 0 pleach --json diff a)
	is "$(cat "$W/patch")" "$(jq -r .patch <<<"$json")"
	is "$(task a '"\(.base) \(.head)"')" "$(jq -r '"\(.base) \(.head)"' <<<"$json")"
	holds "$(expect 0 pleach --json diff a b --stat)" '(.stat | contains("fb")) and (has("patch") | not)'
	expect 4 pleach --json diff nothing
	jq -e .error.message <<<"$(stderr)"
}

@test "diff of a running task shows what is not committed yet" {
	gate go
	gate made
	plan <<-'Y'
	tasks: [{id: a, prompt: 'echo more >>file; echo new >new; echo x >"$W/made"; read x <"$W/go"'}]
	Y
	expect 0 pleach run --headless --detach >/dev/null
	timeout "$LIMIT" cat "$W/made" >/dev/null
	out=$(expect 0 pleach diff a)
	has "$out" +more
	has "$out" +new
	holds "$(expect 0 pleach --json diff a)" '.head == null and (.patch | contains("+new"))'
	open_gate go
	expect 0 pleach task wait a >/dev/null
}

@test "team add, remove, pause, resume, list" {
	holds "$(expect 0 pleach --json team add ash)" '.name == "ash" and .state != null'
	holds "$(expect 0 pleach --json team pause ash)" '.teammates | map(select(.name == "ash"))[0].state == "paused"'
	raw_plan <<-'Y'
	agents: {sh: {command: [sh, "{prompt_file}"]}}
	defaults: {agent: sh}
	Y
	expect 0 pleach add --key a 'true' >/dev/null
	expect 124 pleach task wait a --timeout 0.3s
	expect 0 pleach team resume >/dev/null
	expect 0 pleach task wait a >/dev/null
	is ash "$(pleach --json events | jq -sr 'map(select(.kind == "attempt.ended"))[0].teammate')"
	pid=$(team '.teammates[0].pid')
	expect 0 pleach team remove ash >/dev/null
	process_gone "$pid"
	nobody() { [[ $(team '.teammates | length') == 0 ]]; }
	eventually nobody # its slot is settled after it has ended
	expect 4 pleach team pause nobody
	for name in nobody sh claude; do
		expect 4 pleach team resume $name
		if [[ $name == nobody ]]; then has "$(stderr)" "no teammate nobody"; else has "$(stderr)" "$name is not limited"; fi
	done
}

@test "commands that only show start no teammate; down without a coordinator starts none" {
	expect 0 pleach down >/dev/null
	is "" "$(survivors)"
	for command in status "task list" ps events doctor; do
		expect 0 pleach $command >/dev/null
	done
	holds "$(pleach --json team list)" '.teammates == []'
}

@test "gc, doctor, init, and a command that there is not" {
	done_plan
	expect 0 pleach --json gc >/dev/null
	expect 0 pleach gc --yes >/dev/null
	# Gone is only what nobody needs: heads are still there.
	git cat-file -e "$(task a .head)" && git cat-file -e "$(task b .head)"
	expect 0 pleach doctor >/dev/null
	expect 2 pleach agnets
	has "$(stderr)" "unknown command"
	mkdir "$BATS_TEST_TMPDIR/fresh" && cd "$BATS_TEST_TMPDIR/fresh" && git init -q && git commit -q --allow-empty -m x
	expect 0 pleach init >/dev/null
	[[ -s pleach.yaml ]]
	cp pleach.yaml "$W/before"
	pleach init >/dev/null 2>&1 || true
	cmp pleach.yaml "$W/before"
}

@test "send to an idle teammate queues until its next agent reads" {
	printf 'echo ready; IFS= read -r line; printf "%%s" "$line" >"$W/got"\n' >"$W/tui.sh"
	raw_plan <<-Y
	agents: {tui: {command: [sh, "$W/tui.sh"], mode: tui}}
	Y
	expect 0 pleach team add ash >/dev/null
	holds "$(expect 0 pleach --json send ash 'a queued  line')" '.sent | length == 1 and .[0].teammate == "ash" and .[0].state == "queued" and .[0].key == null and .[0].when == "start"'
	holds "$(expect 0 pleach --json send people hello)" '.sent[0] | .teammate == "people" and .key == null and .when == "read"'
	expect 0 pleach add --agent tui --key a 'prompt' >/dev/null
	expect 0 pleach task wait a >/dev/null
	is "a queued  line" "$(cat "$W/got")"
}

@test "store snapshot: an SQLite file with task_v" {
	done_plan
	expect 0 pleach store snapshot "$W/copy.db" >/dev/null
	is "SQLite format 3" "$(head -c 15 "$W/copy.db")"
	if type -P sqlite3 >/dev/null; then
		is "a|completed" "$(sqlite3 "$W/copy.db" "select key, status from task_v where key = 'a'")"
	fi
	expect 0 pleach status >/dev/null
	run pleach store snapshot "$W/no/such/dir/copy.db"
	[[ $status == 6 ]]
}

@test "inside a slot pleach speaks as that attempt: no start, stop, pick or merge" {
	plan <<-'Y'
	tasks:
	  - {id: other, prompt: 'true'}
	  - id: a
	    blocked_by: [other]
	    prompt: |
	      for c in "stop other" "merge other" "down --now" "pick other" "up --team 3" "run"; do
	        pleach $c >>"$W/out" 2>&1; echo "$?" >>"$W/codes"
	      done
	      pleach --json task show | head -c 2000 >"$W/own"
	      pleach --json compare >"$W/compared"
	Y
	expect 0 pleach run --headless >/dev/null
	is 6 "$(wc -l <"$W/codes")"
	lacks " $(xargs <"$W/codes") " " 0 "
	is a "$(jq -r .key "$W/own")"
	is a "$(jq -r '.alternatives[].key' "$W/compared")"
	is completed "$(task other .status)"
}

@test "TASK may be left out in a slot, and in what open made" {
	gate go
	plan <<-'Y'
	target: main
	team: 1
	tasks:
	  - {id: a, prompt: 'echo made >fa; read x <"$W/go"'}
	  - {id: speed, prompt: 'echo s >fs', alternatives: 2, blocked_by: [a]}
	Y
	git worktree add -q "$W/own"
	for command in diff path compare merge pick retry "task update --priority 1" stop; do
		expect 2 pleach $command
		has "$(stderr)" "which task"
		expect 2 pleach -C "$W/own" $command
	done
	expect 0 pleach run --headless --detach >/dev/null
	wait_event '.kind == "attempt.started"' >/dev/null
	slot=$(pleach --json team list | jq -r '.teammates[0].slot')
	eventually test -s "$slot/fa"
	cd "$slot"
	is a "$(pleach --json task show | jq -r .key)"
	is "$slot" "$(expect 0 pleach path)"
	has "$(expect 0 pleach diff)" +made
	holds "$(pleach --json logs)" '.key == "a"'
	holds "$(pleach --json attach)" '.key == "a"'
	expect 0 pleach task update --priority 3 >/dev/null
	is 3 "$(task a .priority)"
	expect 0 pleach stop >/dev/null
	is cancelled "$(task a .status)"
	cd "$(pleach path a)"
	expect 0 pleach retry >/dev/null
	open_gate go
	expect 3 pleach wait speed >/dev/null
	cd "$(pleach path a)"
	has "$(expect 0 pleach merge)" "✓ a"
	cd "$(pleach path speed.2)"
	holds "$(expect 0 pleach --json compare)" '.alternatives | map(.key) == ["speed.1", "speed.2"]'
	expect 0 pleach pick >/dev/null
	is "$(task speed.2 .id)" "$(task speed .chosen)"
}

@test "slots are reused and never hold a branch back from the user" {
	plan <<-'Y'
	team: 1
	tasks:
	  - {id: a, prompt: 'pwd -P >>"$W/slots"; echo left >untracked; echo a >fa'}
	  - {id: b, prompt: 'pwd -P >>"$W/slots"; ls >"$W/ls"'}
	Y
	expect 0 pleach run --headless >/dev/null
	is 1 "$(sort -u "$W/slots" | wc -l)"
	lacks "$(cat "$W/ls")" untracked
	[[ $(head -n 1 "$W/slots") == "$(dirname "$REPO")/repo.pleach/"* ]]
	git checkout -q pleach/p/a
	is left "$(cat untracked)"
	git checkout -q main
}

@test "a moved repository keeps its tasks; a copied one has its own" {
	done_plan
	expect 0 pleach down --now >/dev/null
	cp -r "$REPO" "$BATS_TEST_TMPDIR/copy"
	holds "$(pleach -C "$BATS_TEST_TMPDIR/copy" --json task list)" '.tasks == []'
	expect 0 pleach -C "$BATS_TEST_TMPDIR/copy" down --now >/dev/null
	cd "$BATS_TEST_TMPDIR" && mv repo moved && cd moved
	holds "$(pleach --json task list)" '.tasks | length == 3'
	is a "$(expect 0 pleach open a -- cat fa)"
	expect 0 pleach down --now >/dev/null
}

@test "from a subdirectory and from a linked worktree it is the same repository" {
	done_plan
	mkdir sub
	is "$(serving_pid)" "$(pleach -C sub --json status | jq .coordinator.pid)"
	git worktree add -q "$BATS_TEST_TMPDIR/linked" -b linked
	is "$(serving_pid)" "$(pleach -C "$BATS_TEST_TMPDIR/linked" --json status | jq .coordinator.pid)"
}
