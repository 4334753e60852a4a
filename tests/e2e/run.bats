# run: dependency order, bases, evidence, failures, and what an agent gets.
load helper

@test "a plan runs in dependency order and ends with its counts" {
	plan <<-'Y'
	tasks:
	  - {id: c, prompt: 'echo c >>"$W/order"', blocked_by: [b]}
	  - {id: a, prompt: 'echo a >>"$W/order"'}
	  - {id: b, prompt: 'echo b >>"$W/order"', blocked_by: [a]}
	Y
	out=$(expect 0 pleach --json run --headless)
	is "a b c" "$(tr '\n' ' ' <"$W/order" | sed 's/ $//')"
	last=$(tail -n 1 <<<"$out")
	holds "$last" '.plan == "p" and .completed == 3 and .failed == 0 and .cancelled == 0 and .pending == 0
		and .needs_input == 0 and .stuck == 0 and (.seconds | type) == "number"'
	# Every other line is an event, in order.
	holds "$(head -n -1 <<<"$out" | jq -s .)" 'length > 0 and all(.[]; has("seq") and has("kind") and has("at"))
		and (map(.seq) == (map(.seq) | sort | unique))'
}

@test "a task starts from the merged result of its blockers" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo a >fa'}
	  - {id: b, prompt: 'echo b >fb'}
	  - {id: c, prompt: 'cat fa fb >"$W/seen" && git rev-parse HEAD >"$W/base"', blocked_by: [a, b]}
	Y
	expect 0 pleach run --headless >/dev/null
	is "a b" "$(xargs <"$W/seen")"
	started=$(pleach --json events | jq -c 'select(.kind == "attempt.started" and .key == "c")')
	base=$(jq -r .data.base <<<"$started")
	is "$base" "$(cat "$W/base")"
	is "$base" "$(task c .base)"
	holds "$started" '.data.branch == "pleach/p/c" and (.data | has("agent") and has("slot"))'
	for key in a b; do
		git merge-base --is-ancestor "$(task $key .head)" "$base"
	done
	# Dependents unblock on evidence: c was not started before both had ended.
	holds "$(pleach --json events | jq -sc .)" '
		(map(select(.kind == "attempt.ended" and .key != "c") | .seq) | max)
		< (map(select(.kind == "attempt.started" and .key == "c") | .seq) | min)'
}

@test "verify proves exactly the recorded head and tree" {
	plan <<-'Y'
	verify: 'grep -q made made && git rev-parse HEAD >>"$W/verified"'
	tasks:
	  - {id: a, prompt: 'echo made >made'}
	Y
	expect 0 pleach run --headless >/dev/null
	head=$(task a .head)
	is "$head" "$(cat "$W/verified")"
	holds "$(pleach --json task show a)" '.status == "completed" and .verify.exit_code == 0 and .verify.head == .head
		and (.verify.seconds | type) == "number" and (.verify.command | length) > 0 and .unchanged == false'
	is "$(git rev-parse "$head^{tree}")" "$(task a .verify.tree)"
	is "$head" "$(git rev-parse pleach/p/a)"
}

@test "a failed verify fails the task and leaves its dependents stuck" {
	plan <<-'Y'
	verify: 'exit 7'
	tasks:
	  - {id: a, prompt: 'echo made >made'}
	  - {id: b, prompt: 'echo b >b', blocked_by: [a]}
	  - {id: c, prompt: 'echo c >c', verify: 'true'}
	Y
	out=$(expect 1 pleach --json run --headless)
	holds "$(tail -n 1 <<<"$out")" '.completed == 1 and .failed == 1 and .pending == 1 and .stuck == 1'
	holds "$(pleach --json task show a)" '.status == "failed" and .error.code == "verify_failed" and .verify.exit_code == 7 and .head != null'
	holds "$(pleach --json task show b)" ".status == \"pending\" and .ready == false and .attempts == 0 and .stuck_by == [$(task a .id)]"
	# What a failed task made is kept.
	is made "$(git show "$(task a .head):made")"
}

@test "a failing agent is not verified; its exit status is told" {
	plan <<-'Y'
	verify: 'touch "$W/verified"'
	tasks:
	  - {id: a, prompt: 'echo made >made; exit 3'}
	Y
	expect 1 pleach run --headless >/dev/null
	holds "$(pleach --json task show a)" '.error.code == "agent_exit" and (.error.message | contains("3")) and .verify == null'
	[[ ! -e $W/verified ]]
	is made "$(git show "$(task a .head):made")"
}

@test "an agent that dies of a signal, and one that takes too long" {
	plan <<-'Y'
	tasks: [{id: a, prompt: 'kill -KILL $$'}]
	Y
	expect 1 pleach run --headless >/dev/null
	is agent_signal "$(task a .error.code)"
	# A busy machine may need longer than the limit to start what must be ended: then twice of it.
	for limit in 1 2 4 8 16; do
		plan <<-Y
		tasks:
		  - {id: b, prompt: 'echo \$\$ >"\$W/pid"; (setsid sh -c "echo \\\$\\\$ >\$W/deep; exec sleep 1000" &) ; exec sleep 1000', timeout: ${limit}s}
		Y
		LIMIT=60 expect 1 pleach run --headless --name "p$limit" >/dev/null
		is timeout "$(task "p$limit/b" .error.code)"
		[[ ! -s $W/deep ]] || break
	done
	process_gone "$(cat "$W/pid")"
	process_gone "$(cat "$W/deep")"
}

@test "retries: tried again until it passes or they are used up" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo x >>"$W/a"; [ $(wc -l <"$W/a") -ge 2 ]', retries: 2}
	  - {id: b, prompt: 'echo x >>"$W/b"; exit 1', retries: 2}
	Y
	expect 1 pleach run --headless >/dev/null
	holds "$(pleach --json task show a)" '.status == "completed" and .attempts == 2'
	holds "$(pleach --json task show b)" '.status == "failed" and .attempts == 3'
	is "2 3" "$(echo $(wc -l <"$W/a") $(wc -l <"$W/b"))"
}

@test "without verify a task completes and is shown as unverified" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo made >made'}
	Y
	out=$(expect 0 pleach run --headless)
	has "$out" unverified
	holds "$(pleach --json task show a)" '.status == "completed" and .verify == null'
	has "$(pleach task show a)" unverified
	has "$(pleach task list)" unverified
}

@test "unchanged: completed, or failed where changes are expected" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'true'}
	  - {id: b, prompt: 'true', expect_changes: true}
	Y
	expect 1 pleach run --headless >/dev/null
	holds "$(pleach --json task show a)" '.status == "completed" and .unchanged == true'
	holds "$(pleach --json task show b)" '.status == "failed" and .error.code == "unchanged"'
}

@test "what the agent committed and what it left are both in the head" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo 1 >f1; git add f1; git commit -qm "by the agent"; echo 2 >f2; mkdir -p ignored; echo 3 >ignored/f3'}
	Y
	expect 0 pleach run --headless >/dev/null
	head=$(task a .head)
	is "1 2" "$(echo $(git show "$head:f1" "$head:f2"))"
	has "$(git log --format=%s "$head")" "by the agent"
	[[ -z $(git ls-tree -r --name-only "$head" ignored) ]]
}

@test "a head that does not descend from its base fails" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'git checkout -q --orphan other && echo x >x && git add -A && git commit -qm other'}
	Y
	expect 1 pleach run --headless >/dev/null
	is not_descendant "$(task a .error.code)"
}

@test "what verify itself changes is not on the branch" {
	plan <<-'Y'
	verify: 'echo junk >junk; echo changed >file'
	tasks:
	  - {id: a, prompt: 'echo made >made'}
	Y
	expect 0 pleach run --headless >/dev/null
	is "" "$(git ls-tree --name-only "$(task a .head)" junk)"
	is one "$(git show "$(task a .head):file" | head -n 1)"
}

@test "protected paths are reset and overlays laid over what is verified, never the branch" {
	mkdir tests hidden
	echo 'grep -q right answer' >tests/t.sh
	git add tests && git commit -qm tests
	echo 'test -f made' >hidden/extra.sh
	plan <<-'Y'
	tasks:
	  - {id: cheat, prompt: 'echo true >tests/t.sh; echo wrong >answer', verify: {command: 'sh tests/t.sh', protect: [tests/]}}
	  - {id: right, prompt: 'echo true >tests/t.sh; echo right >answer; echo x >made', verify: {command: 'sh tests/t.sh && sh extra.sh', protect: [tests/], overlay: hidden/}}
	Y
	expect 1 pleach run --headless >/dev/null
	is verify_failed "$(task cheat .error.code)"
	is completed "$(task right .status)"
	is true "$(git show "$(task right .head):tests/t.sh")"
	is "" "$(git ls-tree --name-only "$(task right .head)" extra.sh)"
}

@test "slot none runs in the repository's directory and sees the user's files" {
	echo mine >untracked
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo made >made'}
	  - {id: b, slot: none, prompt: 'pwd >"$W/pwd"; cat untracked >"$W/saw"; ls made >>"$W/saw" 2>/dev/null; true', blocked_by: [a]}
	Y
	expect 0 pleach run --headless >/dev/null
	is "$(pwd -P)" "$(cat "$W/pwd")"
	is mine "$(cat "$W/saw")"
	holds "$(pleach --json task show b)" '.status == "completed" and .branch == null'
}

@test "when settled runs whatever became of the blockers, from the completed ones" {
	plan <<-'Y'
	tasks:
	  - {id: bad, prompt: 'echo bad >fbad; exit 1'}
	  - {id: good, prompt: 'echo good >fgood'}
	  - {id: sum, prompt: 'ls >"$W/ls"', blocked_by: [bad, good], when: settled}
	Y
	expect 1 pleach run --headless >/dev/null
	is completed "$(task sum .status)"
	has "$(cat "$W/ls")" fgood
	lacks "$(cat "$W/ls")" fbad
}

@test "env: the nearest wins, and none of it is stored or logged" {
	raw_plan <<-'Y'
	name: p
	env: {A: plan-secret-1, B: plan-secret-2, C: plan-secret-3}
	agents:
	  sh: {command: [sh, "{prompt_file}"], mode: exec, env: {B: agent-secret-2, C: agent-secret-3}}
	tasks:
	  - {id: a, agent: sh, env: {C: task-secret-3}, prompt: 'echo $A $B $C >"$W/env"'}
	Y
	expect 0 pleach run --headless >/dev/null
	is "plan-secret-1 agent-secret-2 task-secret-3" "$(cat "$W/env")"
	run grep -rlaE -- '-secret-[123]' "$XDG_STATE_HOME"
	is "" "$output"
}

@test "an agent gets its PLEACH variables, its branch at base, and the environment of run" {
	export OUTER=outer
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo made >made; echo the-output'}
	  - id: b
	    blocked_by: [a]
	    prompt: |
	      env | grep -E '^(PLEACH_|OUTER|TMUX)' >"$W/env"
	      cp "$PLEACH_INPUTS" "$W/inputs"
	      cp "$PLEACH_PROMPT_FILE" "$W/prompt"
	      git symbolic-ref HEAD >"$W/head"; git rev-parse HEAD >>"$W/head"; pwd -P >>"$W/head"
	Y
	expect 0 pleach run --headless >/dev/null
	var() { sed -n "s/^$1=//p" "$W/env"; }
	is "$(task b .id)" "$(var PLEACH_TASK)"
	is b "$(var PLEACH_KEY)"
	[[ $(var PLEACH_ATTEMPT) =~ ^[0-9]+$ && $(var PLEACH_SLOT) =~ ^[0-9]+$ ]]
	is "$REPO" "$(var PLEACH_ROOT)"
	is pleach/p/b "$(var PLEACH_BRANCH)"
	is "$(task b .base)" "$(var PLEACH_BASE)"
	is outer "$(var OUTER)"
	is "" "$(var TMUX)"
	[[ -n $(var PLEACH_SOCKET) && -n $(var PLEACH_TOKEN) && $(var PLEACH_PROMPT_FILE) == /* ]]
	is "refs/heads/pleach/p/b $(task b .base) $(var PLEACH_WORKTREE)" "$(echo $(cat "$W/head"))"
	holds "$(cat "$W/inputs")" ".. | objects | select(.key == \"a\") | .head == \"$(task a .head)\" and (.output | contains(\"the-output\"))"
	is "$(jq -r .prompt <<<"$(pleach --json task show b)")" "$(cat "$W/prompt")"
	# The token is nowhere in clear.
	run grep -rlaF -- "$(var PLEACH_TOKEN)" "$XDG_STATE_HOME"
	is "" "$output"
}

@test "substitutions stay inside their argument; prompts arrive byte for byte" {
	cat >"$W/agent.sh" <<-'S'
	printf '[%s]' "$@" >"$W/args"
	cp "$PLEACH_PROMPT_FILE" "$W/prompt"
	S
	raw_plan <<-Y
	name: p
	agents:
	  args: {command: [sh, "$W/agent.sh", "{prompt}", "k={key}", "{task}", "{branch}", "{base}", "{worktree}", "{prompt_file}"], mode: exec}
	tasks:
	  - {id: a, agent: args, prompt_file: odd prompt.md}
	Y
	printf 'line $(touch %s/evil) `x` "q" '"'"'s'"'"' ; {key} \\ é 漢\n\ttab  no newline at end' "$W" >"odd prompt.md"
	expect 0 pleach run --headless >/dev/null
	cmp "odd prompt.md" "$W/prompt"
	[[ ! -e $W/evil ]]
	has "$(cat "$W/args")" "[line \$(touch $W/evil) \`x\` \"q\""
	has "$(cat "$W/args")" "[k=a][$(task a .id)][pleach/p/a][$(task a .base)]["
}

@test "copy and link reach the slots and never the branch; setup runs once per slot" {
	echo secret >.env
	mkdir ignored && echo dep >ignored/dep
	printf '#!/bin/sh\necho x >>"$W/setup"\n' >configure && chmod +x configure
	git add configure && git commit -qm configure
	plan <<-'Y'
	setup: ./configure
	copy: [.env]
	link: [ignored]
	team: 1
	tasks:
	  - {id: a, prompt: 'cat .env ignored/dep >"$W/saw"; test -L ignored; echo a >a'}
	  - {id: b, prompt: 'echo b >b', blocked_by: [a]}
	Y
	expect 0 pleach run --headless >/dev/null
	is "secret dep" "$(echo $(cat "$W/saw"))"
	is ".gitignore a configure file" "$(echo $(git ls-tree -r --name-only "$(task a .head)"))"
	is 1 "$(wc -l <"$W/setup")"
}

@test "a failing setup fails the task" {
	plan <<-'Y'
	setup: 'exit 4'
	tasks:
	  - {id: a, prompt: 'touch "$W/ran"'}
	Y
	expect 1 pleach run --headless >/dev/null
	is setup_failed "$(task a .error.code)"
	[[ ! -e $W/ran ]]
}

@test "a team works at the same time; limits hold it back" {
	gate one
	gate two
	plan <<-'Y'
	team: 2
	tasks:
	  - {id: a, prompt: 'echo x >"$W/one"; read x <"$W/two"'}
	  - {id: b, prompt: 'read x <"$W/one"; echo x >"$W/two"'}
	Y
	expect 0 pleach run --headless >/dev/null
	plan <<-'Y'
	team: 3
	limits: {total: 1}
	tasks:
	  - {id: c, prompt: 'mkdir "$W/lock" && rmdir "$W/lock"'}
	  - {id: d, prompt: 'mkdir "$W/lock" && rmdir "$W/lock"'}
	  - {id: e, prompt: 'mkdir "$W/lock" && rmdir "$W/lock"'}
	Y
	expect 0 pleach run --headless --name q >/dev/null
	# The log tells it too: no attempt starts while another runs.
	holds "$(pleach --json events | jq -sc '[.[] | select((.kind == "attempt.started" or .kind == "attempt.ended") and (.key | IN("c", "d", "e"))) | .kind]')" \
		'. == ["attempt.started", "attempt.ended", "attempt.started", "attempt.ended", "attempt.started", "attempt.ended"]'
}

@test "priority first, then the lower id" {
	plan <<-'Y'
	team: 1
	tasks:
	  - {id: a, prompt: 'echo a >>"$W/order"'}
	  - {id: b, prompt: 'echo b >>"$W/order"'}
	  - {id: c, prompt: 'echo c >>"$W/order"', priority: 5}
	Y
	expect 0 pleach run --headless >/dev/null
	is "c a b" "$(echo $(cat "$W/order"))"
}

@test "run again: completed stay, failed stay unless --retry, new tasks join" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo a >>"$W/ran"'}
	  - {id: b, prompt: 'echo b >>"$W/ran"; test -e "$W/ok"'}
	Y
	expect 1 pleach run --headless >/dev/null
	expect 1 pleach run --headless >/dev/null
	is "a b" "$(sort "$W/ran" | xargs)"
	touch "$W/ok"
	echo "  - {id: c, prompt: 'echo c >>\"\$W/ran\"'}" >>pleach.yaml
	expect 1 pleach run --headless >/dev/null
	is "a b c" "$(sort "$W/ran" | xargs)"
	expect 0 pleach run --headless --retry >/dev/null
	is "a b b c" "$(sort "$W/ran" | xargs)"
}

# More tasks than are read again each time: what is told is put together from those that changed.
@test "the lines and the end of a run of many tasks, also of one that goes on" {
	{
		echo 'tasks:'
		for i in {1..58}; do echo "  - {id: t$i, prompt: 'true', slot: none}"; done
		echo "  - {id: bad, prompt: 'test -e \"\$W/ok\"', slot: none, blocked_by: [t58]}"
		echo "  - {id: behind, prompt: 'true', slot: none, blocked_by: [bad]}"
	} | plan
	expect 1 pleach run --headless --team 2 >"$W/lines"
	is "58 1 1" "$(grep -c '^✓' "$W/lines") $(grep -c '^✗ bad ' "$W/lines") $(grep -c 'behind.*stuck' "$W/lines")"
	grep -q '^58 completed, 1 failed, 1 stuck' "$W/lines"
	touch "$W/ok"
	expect 0 pleach run --headless --retry >"$W/lines"
	is "bad behind" "$(sed -n 's/^✓ \([a-z]*\) .*/\1/p' "$W/lines" | grep -v '^t' | xargs)"
	grep -q '^60 completed' "$W/lines"
}

@test "what waits is read again after each failure: nobody who has begun is told to wait" {
	{
		echo 'tasks:'
		for i in {1..900}; do echo "  - {id: t$i, prompt: 'test $((i % 30)) -ne 1', slot: none}"; done
	} | plan
	expect 1 pleach run --headless --team 2 >"$W/lines"
	is "870 30 0" "$(grep -c '^✓' "$W/lines") $(grep -c '^✗' "$W/lines") $(grep -c '^○' "$W/lines")"
	grep -q '^870 completed, 30 failed$' "$W/lines"
}

@test "at the end of a run of many tasks it is known of each what it waits for" {
	gate go
	{
		echo 'tasks:'
		for i in {1..58}; do echo "  - {id: t$i, prompt: 'true', slot: none}"; done
		for i in 1 2; do echo "  - {id: q$i, prompt: 'pleach ask \"$i?\"'}"; done
		echo "  - {id: x, prompt: 'true', blocked_by: [q1, q2]}"
		echo "  - {id: last, prompt: 'read line <\"\$W/go\"', slot: none}"
	} | plan
	background pleach run --headless --team 3
	run=$BG
	told() { # told SIGN KEY…: run has read that of each
		local key
		for key in "${@:2}"; do grep -q "^$1 $key " "$BATS_TEST_TMPDIR/bg.out" || return; done
	}
	eventually told '!' q1 q2
	expect 0 pleach answer q1 yes >/dev/null
	eventually told '✓' q1
	open_gate go
	finished "$run"
	is 3 "$STATUS"
	grep -q '^60 completed, 1 needs input, 1 blocked' "$BATS_TEST_TMPDIR/bg.out"
}

@test "run again: a changed completed task is kept with a warning, --redo runs it again" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo 1 >>"$W/ran"'}
	Y
	expect 0 pleach run --headless >/dev/null
	sed -i 's/echo 1/echo 2/' pleach.yaml
	out=$(expect 0 pleach run --headless)
	has "$out$(stderr)" a
	is 1 "$(xargs <"$W/ran")"
	expect 0 pleach run --headless --redo a >/dev/null
	is "1 2" "$(xargs <"$W/ran")"
}

@test "--redo names what started from the earlier result and keeps it" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'cp "$W/what" .'}
	  - {id: b, prompt: 'echo b >b', blocked_by: [a]}
	  - {id: c, prompt: 'echo c >c', blocked_by: [b]}
	  - {id: d, prompt: 'test -e "$W/never"', blocked_by: [a]}
	  - {id: e, prompt: 'true', slot: none, blocked_by: [c]}
	Y
	echo bad >"$W/what"
	expect 1 pleach run --headless >/dev/null
	echo good >"$W/what"
	expect 1 pleach run --headless --redo a >/dev/null
	has "$(stderr)" "b, c started from the earlier result of a and keeps it"
	has "$(stderr)" "pleach run --redo b --redo c"
	expect 1 pleach run --headless --redo b >/dev/null
	has "$(stderr)" "c started from the earlier result of b"
	expect 1 pleach run --headless --redo b --redo c >/dev/null
	lacks "$(stderr)" "started from"
	is good "$(git show pleach/p/c:what)"
}

@test "run again: removed tasks stay and are listed, --prune cancels them" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'true'}
	  - {id: b, prompt: 'exit 1'}
	  - {id: c, prompt: 'true', blocked_by: [b]}
	Y
	expect 1 pleach run --headless >/dev/null
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'true'}
	Y
	out=$(pleach run --headless 2>&1) || true
	has "$out" "2 tasks are no longer in the plan: b …: kept (--prune cancels what has not ended)"
	is pending "$(task c .status)"
	expect 0 pleach run --headless --prune >/dev/null
	has "$(stderr)" "2 tasks are no longer in the plan: b …: cancelled, but for what had ended"
	is "failed cancelled" "$(task b .status) $(task c .status)"
	# What is cancelled is not told again, and of what has ended nothing is called cancelled.
	for flag in --prune ""; do
		expect 0 pleach run --headless $flag >/dev/null
		has "$(stderr)" "1 task is no longer in the plan: b: kept, for it has ended"
	done
}

@test "down --now does not call pending what was cancelled" {
	gate go
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'trap "" TERM HUP INT; echo $$ >"$W/pid"; read x <"$W/go"'}
	  - {id: b, prompt: 'touch "$W/b"; read x <"$W/go"'}
	Y
	expect 0 pleach run --headless --detach >/dev/null
	eventually test -s "$W/pid"
	eventually test -e "$W/b"
	sed -i '/id: a,/d' pleach.yaml
	expect 0 pleach run --headless --detach --prune >/dev/null
	is cancelled "$(task a .status)"
	holds "$(expect 0 pleach --json down --now)" '.released == ["b"]'
	is "cancelled pending" "$(task a .status) $(task b .status)"
}

@test "a changed task that is running is refused" {
	gate go
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'read x <"$W/go"'}
	Y
	expect 0 pleach run --headless --detach >/dev/null
	wait_event '.kind == "attempt.started" and .key == "a"' >/dev/null
	sed -i 's/read x/read y/' pleach.yaml
	expect 5 pleach run --headless
	open_gate go
	expect 0 pleach task wait a >/dev/null
}

@test "KEYs run these and their blockers only" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo a >>"$W/ran"'}
	  - {id: b, prompt: 'echo b >>"$W/ran"', blocked_by: [a]}
	  - {id: c, prompt: 'echo c >>"$W/ran"'}
	Y
	expect 0 pleach run pleach.yaml b --headless >/dev/null
	is "a b" "$(xargs <"$W/ran")"
}

@test "--dry-run says what would be and stores nothing" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'touch "$W/ran"'}
	Y
	out=$(expect 0 pleach run --headless --dry-run)
	has "$out" a
	holds "$(pleach --json task list)" '.tasks == []'
	[[ ! -e $W/ran ]]
}

@test "--dry-run looks up bases and target also where no coordinator runs" {
	plan <<-'Y'
	tasks: [{id: a, prompt: 'true'}]
	Y
	cp pleach.yaml "$W/good.yaml"
	for run in 1 2; do # without one, then with one
		{ cat "$W/good.yaml"; echo 'base: nope'; } >pleach.yaml
		expect 2 pleach run --headless --dry-run
		has "$(stderr)" ":7: base: nope is no commit"
		{ cat "$W/good.yaml"; echo 'target: nope'; } >pleach.yaml
		expect 2 pleach run --headless --dry-run
		has "$(stderr)" ":9: target: nope is no branch"
		sed "s/id: a,/id: a, base: nope,/" "$W/good.yaml" >pleach.yaml
		expect 2 pleach run --headless --dry-run
		has "$(stderr)" "base: nope is no commit"
		{ cat "$W/good.yaml"; echo 'base: main'; echo 'target: main'; } >pleach.yaml
		expect 0 pleach run --headless --dry-run >/dev/null
		expect 0 pleach status >/dev/null
	done
}

@test "a plan on stdin, under a name of its own, JSON too" {
	printf '{"tasks":[{"id":"a","agent":{"command":["sh","{prompt_file}"]},"prompt":"echo a >a"}]}' |
		expect 0 pleach run - --headless --name stdin-plan >/dev/null
	is completed "$(task stdin-plan/a .status)"
	is a "$(git show pleach/stdin-plan/a:a)"
}

@test "--detach returns at once; task wait waits for the end" {
	gate go
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'read x <"$W/go"'}
	  - {id: b, prompt: 'exit 1'}
	Y
	expect 0 pleach run --headless --detach >/dev/null
	background pleach --json task wait a
	open_gate go
	finished "$BG"
	is 0 "$STATUS"
	holds "$(cat "$BATS_TEST_TMPDIR/bg.out")" '.key == "a" and .status == "completed"'
	expect 1 pleach task wait a b >/dev/null
}

@test "an agent asks and goes on with the answer" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'pleach ask "Which colour?" >"$W/answer"'}
	  - {id: b, prompt: 'true'}
	Y
	expect 3 pleach run --headless >/dev/null
	holds "$(pleach --json task show a)" '.status == "needs_input" and .input.reason == "question" and .input.text == "Which colour?" and .input.since != null'
	has "$(expect 0 pleach answer)" "Which colour?"
	expect 0 pleach answer a "light  blue" >/dev/null
	expect 0 pleach task wait a >/dev/null
	is "light  blue" "$(cat "$W/answer")"
	is 1 "$(task a .attempts)"
}

@test "blockers that conflict are a person's to solve, with files and tasks named" {
	plan <<-'Y'
	tasks:
	  - {id: left, prompt: 'echo left >file'}
	  - {id: right, prompt: 'echo right >file'}
	  - {id: both, prompt: 'cat file >"$W/saw"', blocked_by: [left, right]}
	Y
	expect 3 pleach run --headless >/dev/null
	json=$(pleach --json task show both)
	holds "$json" '.status == "needs_input" and .input.reason == "conflict"'
	for word in file left right; do
		has "$(jq -r .input.text <<<"$json")" "$word"
	done
	[[ ! -e $W/saw ]]
}

@test "progress and done by the agent itself" {
	plan <<-'Y'
	verify: 'test -f made'
	tasks:
	  - {id: a, prompt: 'pleach progress "half way"; echo made >made; pleach done; exec sleep 1000'}
	Y
	expect 0 pleach run --headless >/dev/null
	is 0 "$(task a .verify.exit_code)"
	pleach --json events | jq -se 'any(.[]; .kind == "task.progress" and (.data | tostring | contains("half way")))' >/dev/null
}

@test "the team stays after run and takes up what comes" {
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'true'}
	Y
	expect 0 pleach run --headless >/dev/null
	before=$(serving_pid)
	holds "$(pleach --json team list)" '.teammates | length >= 1'
	expect 0 pleach add --key later --agent sh 'echo later >"$W/later"' >/dev/null
	expect 0 pleach task wait later >/dev/null
	is later "$(cat "$W/later")"
	is "$before" "$(serving_pid)"
}
