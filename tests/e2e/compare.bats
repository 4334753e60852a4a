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
	expect 0 pleach down --now >/dev/null
	finished "$BG"
	is "" "$(survivors)"
	expect 0 pleach up --headless >/dev/null
	open_gate go
	expect 0 pleach task wait speed >/dev/null
	is speed.2 "$(pleach --json task show "$(task speed .chosen)" | jq -r .key)"
	is 3 "$(wc -l <"$W/asked")"
}
