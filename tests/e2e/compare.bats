# Comparison: measures, judges, experiments, more alternatives, any branches.
load helper

# three SPEC: speed.1 changes three lines (bench 30), speed.2 one (bench 20), speed.3 two (bench 10)
three() {
	plan <<-Y
	verify: 'test ! -e broken'
	measure: {bench: 'cat bench'}
	tasks:
	  - id: speed
	    prompt: 'echo begin >/dev/null'
	    $1
	    alternatives:
	      - {prompt: 'printf "1\n2\n" >x; echo 30 >bench'}
	      - {prompt: 'echo 20 >bench'}
	      - {prompt: 'echo 1 >x; echo 10 >bench'}
	Y
}

asked() {
	[[ $(wc -l <"$W/asked") == "$1" ]]
}

@test "measures are stored, shown, and a choice is made by them" {
	three 'choose: {by: bench, order: min}'
	expect 0 pleach run --headless >/dev/null
	is speed.3 "$(pleach --json task show "$(task speed .chosen)" | jq -r .key)"
	holds "$(task speed.1 .measures)" '.bench.value == 30 and .bench.exit_code == 0 and .bench.error == null'
	json=$(expect 0 pleach --json compare speed)
	holds "$json" '[.alternatives[] | [.rank, .measures.bench.value]] == [[3,30],[2,20],[1,10]]'
	holds "$json" '.choose == {"by":"bench","order":"min"} and .alternatives[2].chosen'
	out=$(expect 0 pleach compare speed)
	has "$out" BENCH
	has "$out" "speed.3: passed, bench 10"
}

@test "a measure that fails or prints no number refuses nothing and ranks last" {
	plan <<-'Y'
	measure: {ok: 'echo noise; echo 2.5', size: {command: 'cat size', timeout: 5s}}
	tasks:
	  - id: speed
	    prompt: 'echo x >x'
	    choose: {by: size, order: max}
	    alternatives:
	      - {prompt: 'echo lots >size'}
	      - {prompt: 'true'}
	      - {prompt: 'echo 1 >size; touch left-by-agent'}
	Y
	expect 0 pleach run --headless >/dev/null
	is speed.3 "$(pleach --json task show "$(task speed .chosen)" | jq -r .key)"
	holds "$(task speed.1 .measures)" '.size.value == null and (.size.error | contains("lots")) and .ok.value == 2.5'
	holds "$(task speed.2 .measures)" '.size.value == null and .size.exit_code == 1'
	has "$(expect 0 pleach compare speed)" failed
	has "$(pleach logs speed.1 --verify)" noise
}

@test "a measure sees what verify saw, and leaves nothing on the branch" {
	mkdir tests && echo good >tests/t && git add tests && git commit -qm tests
	plan <<-'Y'
	verify: {command: 'grep -q good tests/t', protect: [tests/]}
	measure: {seen: 'echo junk >junk; grep -c good tests/t'}
	tasks:
	  - {id: one, prompt: 'echo bad >tests/t; echo y >y'}
	  - {id: two, prompt: 'test ! -e junk && echo z >z'}
	team: 1
	Y
	expect 0 pleach run --headless >/dev/null
	is 1 "$(task one .measures.seen.value)"
	is "tests/t y" "$(echo $(git diff --name-only main pleach/p/one))"
	is z "$(git diff --name-only main pleach/p/two)"
	holds "$(pleach --json compare one two)" '.alternatives[0] | .protected == ["tests/t"] and .tests.files == 1
		and .source.files == 1 and .tests_edited and .commits == 1'
	has "$(pleach compare one two)" "protected: one touches tests/t"
}

@test "a judge reads all alternatives and its order decides, with reasons" {
	cat >"$W/judge" <<-'J'
	cat >"$W/in"
	jq -c '{order: ["speed.3", {key: "speed.2", reason: "least"}], reasons: {"speed.3": "uses a table"}}' "$W/in"
	J
	three "choose: {judge: [sh, $W/judge]}"
	expect 0 pleach run --headless >/dev/null
	is speed.3 "$(pleach --json task show "$(task speed .chosen)" | jq -r .key)"
	holds "$(cat "$W/in")" '.prompt == "echo begin >/dev/null" and (.alternatives | length) == 3
		and all(.alternatives[]; .patch | startswith("diff --git")) and .alternatives[0].measures.bench.value == 30'
	json=$(pleach --json compare speed)
	holds "$json" '.alternatives[2] | .rank == 1 and .why == "judge: uses a table"'
	has "$(pleach compare speed)" "speed.2: judge: least"
}

@test "a judge that fails, lies or says nothing leaves it to a person" {
	local said n=0
	for said in 'echo oops >&2; exit 3' 'echo not json' 'echo []' 'echo "[\"speed.9\"]"'; do
		three "choose: {judge: '$said'}"
		expect 3 pleach run --headless --name "p$((++n))" >/dev/null
		holds "$(pleach --json task show "p$n/speed")" '.status == "needs_input" and (.input.text | contains("the judge"))'
		has "$(pleach status | grep "p$n/speed\|speed ")" "pick one of its alternatives ("
	done
	has "$(task p1/speed .input.text)" "exit 3: oops"
	expect 0 pleach pick p1/speed.2 >/dev/null
	is completed "$(task p1/speed .status)"
}

@test "a judge that was cut off by a crash or by down is asked again" {
	gate go
	three "choose: {judge: 'echo >>\"\$W/asked\"; read x <\"\$W/go\"; echo [\\\"speed.2\\\"]'}"
	background pleach run --headless
	eventually test -s "$W/asked"
	kill -KILL "$(serving_pid)"
	eventually asked 2
	kill -KILL "$BG" # it would wait for the coordinator to come back
	finished "$BG"
	expect 0 pleach down --now >/dev/null
	is "" "$(survivors)"
	expect 0 pleach up --headless >/dev/null
	open_gate go
	expect 0 pleach task wait speed >/dev/null
	is speed.2 "$(pleach --json task show "$(task speed .chosen)" | jq -r .key)"
	is 3 "$(wc -l <"$W/asked")"
}

@test "what ends while down waits is judged once nobody waits for that any more" {
	gate c.1 && gate c.2 && gate slow
	plan <<-'Y'
	team: 3
	tasks:
	  - {id: slow, prompt: 'read x <"$W/slow"'}
	  - {id: c, alternatives: 2, choose: {judge: 'echo "[\"c.2\"]"'}, prompt: 'read x <"$W/$PLEACH_KEY"; date >new'}
	Y
	background pleach run --headless
	run=$BG
	eventually sh -c 'test "$(pleach --json status | jq "[.teammates[] | select(.task)] | length")" = 3'
	background pleach down
	eventually sh -c 'pleach --json status | jq -e .coordinator.draining'
	open_gate c.1 && open_gate c.2
	eventually sh -c 'test "$(pleach --json task list | jq "[.tasks[] | select(.parent and .status == \"completed\")] | length")" = 2'
	is pending "$(task c .status)"
	kill -TERM "$BG"
	expect 0 pleach task wait c >/dev/null
	open_gate slow
	finished "$run"
	is 0 "$STATUS"
}

# An experiment: 20 items with 4 bases, 3 scripted agents, 2 repeats. `good` always passes, `half`
# where n is even, `poor` in its first repeat up to 8 and in its second up to 4; at 20 it exits 7.
experiment() {
	local n
	for n in 0 1 2 3; do
		echo "$n" >era && git add era && git commit -qm "era $n" && git tag "era$n"
	done
	for n in $(seq 20); do
		printf '{"n":%d,"era":"%d","at":{"base":"era%d"},"text":"say \\"%d\\"; $(touch %s/pwned)"}\n' \
			$n $((n % 4)) $((n % 4)) $n "$W"
	done >items.jsonl
	cat >"$W/poor" <<-'S'
	limit=8; [ "${PLEACH_KEY##*.}" = 6 ] && limit=4
	[ "$N" = 20 ] && exit 7
	[ "$N" -le $limit ] && echo "$N" >answer || echo wrong >answer
	S
	raw_plan <<-Y
	name: study
	team: 4
	verify: 'test "\$(cat answer)" = "\$N" && test "\$(cat era)" = "\$ERA"'
	agents:
	  good: {command: [sh, -c, 'echo "\$N" >answer; cat "\$0" >>"\$W/prompts"', "{prompt_file}"]}
	  half: {command: [sh, -c, 'test \$((N % 2)) = 0 && echo "\$N" >answer || echo no >answer', "{prompt_file}"]}
	  poor: {command: [sh, "$W/poor", "{prompt_file}"]}
	tasks:
	  - id: fix
	    for_each: items.jsonl
	    base: "{item.at.base}"
	    priority: "{item.n}"
	    prompt: "item {item.n}: {item.text}"
	    env: {N: "{item.n}", ERA: "{item.era}"}
	    choose: best
	    alternatives: [{agent: good, repeat: 2}, {agent: half, repeat: 2}, {agent: poor, repeat: 2}]
	Y
	git add items.jsonl pleach.yaml && git commit -qm items
}

@test "an experiment of 20 items, 3 agents and 2 repeats: its table is the hand count" {
	experiment
	LIMIT=90 expect 0 pleach run --headless >/dev/null
	[[ ! -e $W/pwned ]]
	has "$(cat "$W/prompts")" "item 7: say \"7\"; \$(touch $W/pwned)"
	is 140 "$(pleach --json task list --plan study | jq '.tasks | length')"
	is era3 "$(git tag --points-at "$(task fix-7.1 .base)")"
	is 20 "$(task fix-20 .priority)"
	json=$(expect 0 pleach --json compare --plan study --by agent)
	# By hand: good 40 of 40; half: 10 even items, 2 repeats; poor: 8 + 4, two exits.
	holds "$json" '[.rows[] | [.group, .n, .passed]] == [["good",40,40],["half",40,20],["poor",40,12]]'
	holds "$json" '[.rows[].failures] == [{}, {"verify_failed":20}, {"verify_failed":26,"agent_exit":2}]'
	holds "$json" '.k == 2 and [.rows[].pass_at["1"] * 1000 | round] == [1000, 500, 300]'
	holds "$json" '[.rows[].pass_at["2"] * 1000 | round] == [1000, 500, 400]'
	# Wilson: 40/40 91.2–100, 20/40 35.2–64.8, 12/40 18.1–45.4.
	holds "$json" '[.rows[] | (.low, .high) * 1000 | round] == [912,1000, 352,648, 181,454]'
	holds "$json" '.all.n == 120 and .all.passed == 72 and .all.tasks == 20'
	json=$(pleach --json compare --plan study --by task)
	holds "$json" '(.rows | length) == 20 and ([.rows[].passed] | add) == 72 and .rows[0].group == "fix-1" and .k == 6'
	# fix-2: good 2, half 2, poor 2; fix-7: good 2, poor 1: C(3,2)/C(6,2) is 3/15.
	holds "$json" '(.rows[1].passed == 6) and (.rows[6] | .passed == 3 and (.pass_at["2"] * 1000 | round) == 800)'
	out=$(pleach compare --plan study)
	has "$out" "poor"
	has "$out" "12/40"
	has "$out" "18.1–45.4%"
	has "$out" "verify_failed 26, agent_exit 2"
	csv=$(pleach compare --plan study --format csv)
	is "agent,tasks,n,passed,rate,low,high,pass_at_1,pass_at_2,median_seconds,median_cost_usd,cost_usd,unverified,cancelled,open,failures" "$(head -n 1 <<<"$csv")"
	has "$(sed -n 4p <<<"$csv")" "poor,20,40,12,0.3,0.18"
	has "$(sed -n 4p <<<"$csv")" ",0,0,0,verify_failed:26;agent_exit:2"
	has "$(pleach compare --plan study --by task --format md)" "| fix-7 | 3/6 | 50.0% |"
}

@test "for_each: keys, groups in blocked_by, and what is refused with its place" {
	printf '{"id":"a b/c","n":1}\n\n{"id":"9","n":2}\n' >items.jsonl
	printf 'do {item.n}' >prompt.md
	plan <<-'Y'
	tasks:
	  - {id: "t-{item.id}", for_each: items.jsonl, slot: none, agent: {command: [sh, -c, 'cat "$0" >>"$W/{item.n}"', "{prompt_file}"]}, prompt_file: prompt.md}
	  - {id: last, prompt: 'cat "$W/1" "$W/2" >x', blocked_by: ["t-{item.id}"]}
	Y
	expect 0 pleach run --headless >/dev/null
	is "last t-9 t-a-b-c" "$(echo $(pleach --json task list | jq -r '.tasks[].key' | sort))"
	is "do 1do 2" "$(git show pleach/p/last:x)"
	holds "$(pleach --json task show last)" '.blocked_by | length == 2'

	refused() {
		plan
		expect 2 pleach run --dry-run
		has "$(stderr)" "$1"
	}
	refused 'pleach.yaml:6:44: {item.nn}: items.jsonl:1 has no nn' <<<$'tasks:\n  - {id: x, for_each: items.jsonl, prompt: "{item.nn}"}'
	echo '[1]' >bad.jsonl
	refused 'bad.jsonl:1: not an object' <<<$'tasks:\n  - {id: x, for_each: bad.jsonl, prompt: y}'
	: >empty.jsonl
	refused 'empty.jsonl has no items' <<<$'tasks:\n  - {id: x, for_each: empty.jsonl, prompt: y}'
	refused 'outside the repository' <<<$'tasks:\n  - {id: x, for_each: /etc/passwd, prompt: y}'
	refused 'base: nowhere is no commit' <<<$'tasks:\n  - {id: x, base: nowhere, prompt: y}'
	refused 'choose by bnch, which is not measured (did you mean bench)' <<<$'measure: {bench: "true"}\ntasks:\n  - {id: x, prompt: y, alternatives: 2, choose: {by: bnch}}'
	refused 'more than 64' <<<$'tasks:\n  - {id: x, prompt: y, alternatives: [{repeat: 40}, {repeat: 30}]}'
	refused 'by: (a measure) or judge:' <<<$'tasks:\n  - {id: x, prompt: y, alternatives: 2, choose: {order: min}}'
}

@test "try --more adds alternatives from the same base, with the same proof" {
	plan <<-'Y'
	verify: 'test -f x'
	env: {SEEN: "yes"}
	tasks:
	  - id: speed
	    prompt: 'echo "$SEEN" >x'
	    env: {MINE: "too"}
	    alternatives: 2
	Y
	expect 3 pleach run --headless >/dev/null
	git commit -q --allow-empty -m later
	expect 3 pleach try --more speed --headless 'echo "$MINE" >y' -n 2 >"$W/out"
	is "4 completed" "$(pleach --json compare speed | jq -r '"\(.alternatives | length) \(.alternatives[3].status)"')"
	is 1 "$(for n in 1 2 3 4; do task speed.$n .base; done | sort -u | wc -l)"
	is yes "$(git show pleach/p/speed.3:x)"
	is too "$(git show pleach/p/speed.4:y)"
	is 0 "$(task speed.4 .verify.exit_code)"
	has "$(cat "$W/out")" "speed.4"
	holds "$(pleach --json task show speed)" '.status == "needs_input" and (.input.options | length) == 4'
	# Run again: the plan never had them, and they stay.
	expect 3 pleach run --headless --prune 2>&1 >/dev/null
	is completed "$(task speed.4 .status)"
	expect 0 pleach pick speed.4 >/dev/null
	expect 2 pleach try --more speed --verify true --headless
}

@test "try --more opens what is decided; a plain result becomes the first alternative; what landed stays" {
	plan <<-'Y'
	tasks:
	  - {id: speed, prompt: 'echo "$PLEACH_KEY" >x', alternatives: 2, choose: first}
	  - {id: after, prompt: 'cat x >z', blocked_by: [speed]}
	  - {id: plain, prompt: 'echo "$MINE" >y', env: {MINE: my}, verify: 'test -s y'}
	  - {id: late, prompt: 'cat y >w', blocked_by: [plain]}
	Y
	expect 0 pleach run --headless plain speed >/dev/null
	first=$(task speed '"\(.chosen) \(.head)"') head=$(task plain .head) id=$(task plain .id)
	git commit -q --allow-empty -m later
	# Decided by the first that passed: with one more a person decides, and what waits waits again.
	expect 3 pleach try --more speed --headless >/dev/null
	holds "$(pleach --json task show speed)" '.status == "needs_input" and .chosen == null and .head == null'
	is speed.3 "$(git show pleach/p/speed.3:x)"
	expect 0 pleach pick speed.3 >/dev/null
	[[ $first != "$(task speed '"\(.chosen) \(.head)"')" ]]
	# A plain task keeps its id and becomes a choice; its attempts and its branch are the first one's.
	expect 3 pleach try --more plain --headless 'echo more >>y' >"$W/out"
	has "$(cat "$W/out")" plain.1
	holds "$(pleach --json task show plain)" ".id == $id and .kind == \"choice\" and .attempt == null and (.input.options | length) == 2"
	holds "$(pleach --json task show plain.1)" ".status == \"completed\" and .head == \"$head\" and .attempts == 1 and .verify.exit_code == 0"
	is "$head" "$(git rev-parse pleach/p/plain.1)"
	is "$(task plain.1 .base)" "$(task plain.2 .base)"
	is "my more" "$(echo $(git show pleach/p/plain.2:y))"
	is "plain.1 plain.2" "$(echo $(pleach --json compare plain | jq -r '.alternatives[].key'))"
	expect 0 pleach pick plain.2 >/dev/null
	# The plan has a plain task: it is the same one.
	expect 0 pleach run --headless >/dev/null
	is "my more" "$(echo $(git show pleach/p/late:w))"
	is speed.3 "$(git show pleach/p/after:z)"
	expect 3 pleach try --more plain --headless >/dev/null
	has "$(stderr)" 'late started from the result of plain'
	expect 0 pleach pick plain.1 >/dev/null
	expect 0 pleach merge plain >/dev/null
	expect 5 pleach try --more plain --headless
	has "$(stderr)" "plain has landed"
}

@test "try --more with another agent, after all alternatives failed" {
	raw_plan <<-'Y'
	agents:
	  bad: {command: [sh, -c, 'exit 4'], mode: exec}
	  sh: {command: [sh, "{prompt_file}"], mode: exec}
	Y
	expect 1 pleach try 'echo x >x' -n 2 --agent bad --verify 'test -f x' --choose best --headless >/dev/null
	key=$(pleach --json task list | jq -r '.tasks[] | select(.kind == "choice") | .key')
	is failed "$(task "$key" .status)"
	expect 0 pleach try --more "$key" --agent sh --headless >/dev/null
	is "completed $key.3" "$(task "$key" .status) $(pleach --json task show "$(task "$key" .chosen)" | jq -r .key)"
}

# a feature that passes, one that fails, one with the same tree as the first, one that conflicts
branches() {
	local name
	for name in good bad twin clash; do
		git checkout -q -b "$name" main
		case $name in
		good | twin) echo fine >x ;;
		bad) echo broken >x ;;
		clash) echo fine >x && echo mine >file ;;
		esac
		git add -A && git commit -qm "$name"
	done
	git checkout -q main && echo theirs >file && git commit -qam theirs
}

@test "compare --verify of branches that pleach did not make: each tree once, nothing left" {
	branches
	before=$(git for-each-ref; git worktree list)
	json=$(expect 0 pleach --json compare --verify 'echo run >>"$W/runs"; grep -q fine x' good bad twin clash)
	is 3 "$(wc -l <"$W/runs")"
	holds "$json" '[.alternatives[] | [.key, .verify_exit_code, .rank]] ==
		[["good",0,1],["bad",1,null],["twin",0,2],["clash",0,3]]'
	holds "$json" '.alternatives[3].conflicts == ["file"] and .alternatives[0].same_as == ["twin"] and .alternatives[0].id == null'
	holds "$json" ".base == \"$(git merge-base main good)\" and .target == \"main\" and .task == null"
	is "$before" "$(git for-each-ref; git worktree list)"
	[[ ! -e ${REPO}.pleach || -z $(ls -A "$REPO.pleach") ]]
	out=$(expect 0 pleach compare --verify 'grep -q fine x' good bad twin clash -q)
	for word in "pass" "exit 1" "clash: clash: file against main" "good has the same content as twin"; do
		has "$out" "$word"
	done
	# Without a proof, and with a task among them.
	plan <<<$'tasks:\n  - {id: fix, prompt: "echo z >z"}'
	expect 0 pleach run --headless >/dev/null
	holds "$(expect 0 pleach --json compare good fix)" '[.alternatives[].verify_exit_code] == [null, null] and .alternatives[1].key == "fix"'
	expect 4 pleach compare good nothing
	has "$(stderr)" 'nothing is no branch and no task'
	expect 4 pleach compare fixx
	has "$(stderr)" fix
}

@test "compare --verify: protected paths, setup, an interrupt ends and removes all of it" {
	mkdir tests && echo good >tests/t && git add tests && git commit -qm tests
	git checkout -q -b cheat && echo bad >tests/t && git commit -qam cheat && git checkout -q main
	raw_plan <<-'Y'
	verify: {command: 'false', protect: [tests/]}
	setup: 'echo ready >ignored-by-nobody'
	env: {GOOD: good}
	Y
	json=$(expect 0 pleach --json compare --verify 'grep -q "$GOOD" tests/t && test -f ignored-by-nobody' cheat)
	holds "$json" '.alternatives[0] | .verify_exit_code == 0 and .protected == ["tests/t"]'
	gate never
	background pleach compare --verify 'echo $$ >"$W/pid"; sh -c "echo \$\$ >$W/child; read x <$W/never"' cheat
	eventually test -s "$W/child"
	kill -INT "$BG"
	finished "$BG"
	is 130 "$STATUS"
	process_gone "$(cat "$W/pid")"
	process_gone "$(cat "$W/child")"
	is "1 " "$(git worktree list | wc -l) $(git for-each-ref refs/pleach/kept)"
	holds "$(expect 0 pleach --json compare --verify 'nosuchcommand' cheat)" '.alternatives[0].verify_exit_code == 127'
}

@test "compare --diff: side by side at the lines of the base, and between two" {
	seq 30 >numbers && git add numbers && git commit -qm numbers
	plan <<-'Y'
	tasks:
	  - id: edit
	    prompt: 'true'
	    alternatives:
	      - {prompt: 'sed -i "5s/.*/five/" numbers'}
	      - {prompt: 'sed -i "5d; 20a twenty and a half" numbers; printf "a\tb\033[31m\n" >new'}
	      - {prompt: 'sed -i "5s/.*/FIVE/" numbers; echo x >"odd name"'}
	Y
	expect 3 pleach run --headless >/dev/null
	out=$(COLUMNS=130 expect 0 pleach compare edit --diff -q)
	rows=$(sed 's/ *│ */|/g; s/ *$//' <<<"$out")
	has "$rows" "edit.1|edit.2|edit.3"
	has "$rows" "    5 -5|-5|-5"
	has "$rows" "+five||+FIVE"
	has "$rows" "   20  20|20|20"$'\n'"|+twenty and a half|"
	has "$out" "── odd name  (new)"
	lacks "$out" $'\033'
	# Two columns on a screen for two: the third below.
	narrow=$(COLUMNS=80 pleach compare edit --diff -q | sed 's/ *│ */|/g; s/ *$//')
	has "$narrow" "edit.1|edit.2"$'\n'
	has "$narrow" $'\n'"       edit.3"
	between=$(COLUMNS=100 expect 0 pleach compare edit.1 edit.3 --diff -q | sed 's/ *│ */|/g; s/ *$//')
	has "$between" "    5 -five|+FIVE"
	has "$between" "    4  4|4"
	has "$(pleach compare edit.1 edit.1 --diff 2>&1)" "the same"
	has "$(expect 0 pleach compare edit --stat)" "odd name"
	# On a terminal through the user's own pager, as diff.
	PAGER="sed s/^/paged:/" script -qefc "$PLEACH_BUILD/pleach compare edit --diff --color never" "$W/typescript" \
		</dev/null >/dev/null 2>&1
	has "$(cat "$W/typescript")" "paged:"
	has "$(cat "$W/typescript")" "+twenty and a half"
	lacks "$(cat "$W/typescript")" $'b\033[31m'
}

@test "compare --verify that was killed: the next one and gc clean up after it" {
	branches
	gate go
	background pleach compare --verify 'echo $PPID >"$W/git"; read x <"$W/go"' good
	eventually test -s "$W/git"
	kill -KILL "$BG"
	finished "$BG"
	# Its proof runs on, and nobody else gets its worktree.
	holds "$(expect 0 pleach --json compare --verify 'grep -q fine x' good)" '.alternatives[0].verify_exit_code == 0'
	is 2 "$(git worktree list | wc -l)"
	open_gate go
	process_gone "$(cat "$W/git")"
	expect 0 pleach gc --yes >/dev/null
	is 1 "$(git worktree list | wc -l)"
}
