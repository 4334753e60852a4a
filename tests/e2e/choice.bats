# Alternatives: same base, same verify, one table, one command to pick.
load helper

# two_fixes [CHOOSE]: speed.1 changes three lines, speed.2 one, speed.3 fails its verify; after
# depends on the winner
two_fixes() {
	plan <<-Y
	verify: 'test ! -e broken'
	tasks:
	  - id: speed
	    prompt: 'echo begin >"\$W/\$PLEACH_KEY"'
	    choose: ${1:-manual}
	    alternatives:
	      - {prompt: 'printf "1\n2\n3\n" >x'}
	      - {prompt: 'printf "1\n" >x'}
	      - {prompt: 'echo x >broken'}
	  - {id: after, prompt: 'cp x "\$W/after"', blocked_by: [speed]}
	Y
}

@test "a manual choice waits for a person; pick completes it and frees its dependents" {
	two_fixes
	out=$(expect 3 pleach --json run --headless)
	holds "$(tail -n 1 <<<"$out")" '.needs_input == 1 and .pending == 1'
	speed=$(pleach --json task show speed)
	holds "$speed" '.kind == "choice" and .status == "needs_input" and .input.reason == "choice" and .owner == null
		and (.alternatives | length) == 3 and .chosen == null'
	# The alternative's prompt comes behind its parent's, after a blank line.
	is 'echo begin >"$W/$PLEACH_KEY"'$'\n\n''printf "1\n2\n3\n" >x' "$(task speed.1 .prompt)"
	is "$(task speed .id)" "$(task speed.1 .parent)"
	is "completed completed failed" "$(echo $(for n in 1 2 3; do task speed.$n .status; done))"
	# All start from the same commit.
	is 1 "$(for n in 1 2 3; do task speed.$n .base; done | sort -u | wc -l)"
	has "$(expect 0 pleach answer)" speed
	expect 5 pleach merge speed
	has "$(stderr)" "(pleach compare speed, then pleach pick)"
	# It has no worktree yet: least of all the user's own.
	expect 4 pleach path speed
	has "$(stderr)" "path: speed has no branch yet (pleach path speed.1)"
	expect 4 pleach open speed -- touch "$W/opened"
	has "$(stderr)" "(pleach open speed.1)"
	[[ ! -e $W/opened ]]

	expect 0 pleach pick speed.2 >/dev/null
	has "$(expect 0 pleach path speed)" speed.2
	expect 0 pleach task wait after >/dev/null
	holds "$(pleach --json task show speed)" ".status == \"completed\" and .head == \"$(task speed.2 .head)\" and .chosen == $(task speed.2 .id)"
	is 1 "$(cat "$W/after")"
	# The losers are kept.
	is 3 "$(git show pleach/p/speed.1:x | wc -l)"
}

@test "compare shows every alternative in one table" {
	two_fixes
	expect 3 pleach run --headless >/dev/null
	json=$(expect 0 pleach --json compare speed)
	holds "$json" ".key == \"speed\" and .task == $(task speed .id) and .base == \"$(task speed.1 .base)\" and (.alternatives | length) == 3"
	holds "$json" '.alternatives | all(.[]; has("id") and has("key") and has("agent") and has("model") and has("status")
		and has("verify_exit_code") and has("verify") and has("seconds") and has("files_changed") and has("insertions")
		and has("deletions") and has("commits") and has("conflicts") and has("same_as") and has("branch") and has("head")
		and has("usage") and has("rank") and has("chosen"))'
	one() { jq -c ".alternatives[] | select(.key == \"$1\")" <<<"$json"; }
	holds "$(one speed.1)" '.verify_exit_code == 0 and .files_changed == 1 and .insertions == 3 and .deletions == 0 and .conflicts == [] and .chosen == false'
	holds "$(one speed.2)" '.insertions == 1'
	holds "$(one speed.3)" '.status == "failed" and .verify_exit_code != 0'
	[[ $(one speed.2 | jq .rank) -lt $(one speed.1 | jq .rank) ]]
	out=$(expect 0 pleach compare speed)
	for word in speed.1 speed.2 speed.3 KEY VERIFY LINES "pleach pick"; do
		has "$out" "$word"
	done
	has "$(expect 0 pleach compare speed --diff)" +3
	has "$(expect 0 pleach compare speed.1 speed.2 --stat)" x
}

@test "pick --none fails the parent and keeps all" {
	two_fixes
	expect 3 pleach run --headless >/dev/null
	expect 0 pleach pick speed --none >/dev/null
	is failed "$(task speed .status)"
	is completed "$(task speed.1 .status)"
	is 1 "$(git show pleach/p/speed.2:x)"
	expect 1 pleach task wait after >/dev/null
}

@test "choose best: passed, then the fewest changed lines" {
	two_fixes best
	# A failed alternative of a completed choice does not count.
	out=$(expect 0 pleach --json run --headless)
	holds "$(tail -n 1 <<<"$out")" '.failed == 0 or .failed == 1'
	is "$(task speed.2 .id)" "$(task speed .chosen)"
	is 1 "$(cat "$W/after")"
}

@test "choose first: the first to pass wins, the others end" {
	gate never
	plan <<-'Y'
	team: 2
	tasks:
	  - id: speed
	    prompt: 'echo x >x'
	    choose: first
	    alternatives:
	      - {prompt: 'echo $$ >"$W/pid"; read x <"$W/never"'}
	      - {prompt: 'until test -s "$W/pid"; do sleep 0.02; done'}
	Y
	expect 0 pleach run --headless >/dev/null
	is "$(task speed.2 .id)" "$(task speed .chosen)"
	expect 0 pleach task wait speed >/dev/null
	process_gone "$(cat "$W/pid")"
}

@test "a pick can be changed till something has come of it; what prevents it is named" {
	two_fixes
	expect 3 pleach run --headless >/dev/null
	expect 5 pleach pick speed
	has "$(stderr)" "speed.1 (completed), speed.2 (completed), speed.3 (failed)"
	expect 0 pleach team pause >/dev/null
	expect 0 pleach pick speed.1 >/dev/null
	expect 5 pleach pick speed.3
	is "completed $(task speed.1 .id)" "$(task speed '"\(.status) \(.chosen)"')"
	expect 0 pleach pick speed.2 >/dev/null
	expect 0 pleach pick speed.2 >/dev/null
	holds "$(pleach --json task show speed)" ".status == \"completed\" and .head == \"$(task speed.2 .head)\" and .chosen == $(task speed.2 .id)"
	expect 0 pleach team resume >/dev/null
	expect 0 pleach task wait after >/dev/null
	is 1 "$(cat "$W/after")"
	expect 5 pleach pick speed.1
	has "$(stderr)" "after has started from it"
	expect 0 pleach merge speed >/dev/null
	expect 5 pleach pick speed.1
	has "$(stderr)" "has landed"
	is 1 "$(cat x)"
}

@test "when all alternatives fail, the choice fails" {
	plan <<-'Y'
	tasks:
	  - {id: speed, prompt: 'exit 1', alternatives: 2}
	Y
	expect 1 pleach run --headless >/dev/null
	is failed "$(task speed .status)"
	holds "$(pleach --json task show speed)" '.alternatives | length == 2'
}

@test "compare knows conflicts with the target and twins" {
	plan <<-'Y'
	tasks:
	  - {id: speed, prompt: 'echo mine >file', alternatives: 2}
	Y
	expect 3 pleach run --headless >/dev/null
	echo theirs >file && git commit -qam theirs
	json=$(expect 0 pleach --json compare speed)
	holds "$json" "(.alternatives[0].conflicts == [\"file\"]) and (.alternatives[0].same_as == [$(task speed.2 .id)])"
	has "$(pleach compare speed)" file
}

@test "try: alternatives without a plan file" {
	raw_plan <<-'Y'
	agents:
	  sh: {command: [sh, "{prompt_file}"], mode: exec}
	Y
	out=$(expect 3 pleach try 'echo x >x' -n 2 --agent sh --verify 'test -f x')
	key=$(pleach --json task list | jq -r '.tasks[] | select(.kind == "choice") | .key')
	holds "$(pleach --json compare "$key")" '(.alternatives | length) == 2 and all(.alternatives[]; .verify_exit_code == 0)'
	expect 0 pleach pick "$key.1" >/dev/null
	is completed "$(task "$key" .status)"
}

@test "try with one agent is a plain task; --choose best decides; --with-changes starts from mine" {
	raw_plan <<-'Y'
	agents:
	  sh: {command: [sh, "{prompt_file}"], mode: exec}
	Y
	echo uncommitted >file
	expect 0 pleach try 'cp file "$W/saw"; echo y >y' --agent sh --verify none >/dev/null
	is one "$(head -n 1 "$W/saw")"
	holds "$(pleach --json task list)" '.tasks | length == 1 and .[0].kind == "work"'
	expect 0 pleach try 'cp file "$W/saw"; echo z >z' -n 2 --agent sh --verify 'test -f z' --choose best --with-changes >/dev/null
	is uncommitted "$(cat "$W/saw")"
	is uncommitted "$(cat file)"
}

@test "pick of what is no alternative, of what is settled, of nothing" {
	two_fixes best
	expect 0 pleach run --headless >/dev/null
	run pleach pick after
	[[ $status == 2 || $status == 5 ]]
	expect 5 pleach pick speed.1
	expect 4 pleach pick sped
	has "$(stderr)" speed
	expect 2 pleach pick
}

@test "what becomes of a choice when it lands is told with what was chosen" {
	two() { # KEY
		printf -- "- {id: %s, choose: first, verify: 'true', prompt: 'echo %s >file', alternatives: [{prompt: 'true'}, {prompt: 'exit 1'}]}\n" "$1" "$1"
	}
	{ echo "tasks:"; two left; two right; } | plan
	expect 0 pleach run --headless --team 1 >/dev/null
	chose() { has "$(pleach task list | sed 's/  */ /g')" "$1"; }
	chose "chose right.1"
	expect 1 pleach merge left right >/dev/null
	chose "chose left.1, merged"
	chose "chose right.1, conflicts with left in file"
}

@test "hints name the plan where two plans have the same key" {
	plan <<-'Y'
	tasks: [{id: x, prompt: 'echo "$PLEACH_TASK" >x', alternatives: 2}]
	Y
	out=$(expect 3 pleach run --headless)
	has "$out" "pleach compare x · pleach pick x.N"
	sed -i 's/^name: p$/name: q/' pleach.yaml
	out=$(expect 3 pleach run --headless)
	has "$out" "pleach compare q/x · pleach pick q/x.N"
	# The one that waits longest is of the older plan: its bare key would mean the other one.
	has "$(pleach)" "pleach compare p/x · pleach pick p/x.N"
	has "$(pleach compare p/x)" "pleach diff p/x.1 · pleach pick p/x.1 · pleach pick p/x --none"
	expect 5 pleach merge p/x
	has "$(stderr)" "(pleach compare p/x, then pleach pick)"
	has "$(expect 0 pleach pick p/x.1)" "pleach merge p/x"
	holds "$(pleach --json task show q/x)" '.name == "q/x" and .key == "x"'
}
