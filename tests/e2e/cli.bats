# The command line itself: help, options, version, completion, colour.
load helper

@test "help tells every command and each command tells its options" {
	out=$(expect 0 pleach --help)
	for command in run try add compare diff pick merge task answer logs attach send open path team up down status \
		done ask progress events gc doctor init store version completion; do
		has "$out" "$command"
		has "$(expect 0 pleach $command --help)" "$command"
	done
	is "$out" "$(expect 0 pleach -h)"
	is "$out" "$(expect 0 pleach help)"
	is "$(expect 0 pleach task answer -h)" "$(expect 0 pleach help answer)"
	has "$(expect 0 pleach help task wait)" --timeout
	expect 4 pleach help mrege
	has "$(stderr)" merge
	has "$(expect 0 pleach run --help)" --detach-after
	is "task list task show task add task update task wait task stop task retry task answer task output" \
		"$(echo $(for w in list show add update wait stop retry answer output; do expect 0 pleach task -h | grep -o "task $w" | head -n 1; done))"
	lacks "$(pleach task -h)" doctor
	has "$(expect 0 pleach team -h)" "team resume"
	lacks "$(pleach team -h)" "task show"
	is "$(pleach team -h)" "$(expect 0 pleach help team)"
	expect 2 pleach team
	has "$(stderr)" "(pleach team -h lists them)"
	has "$(expect 0 pleach task wait --help)" --timeout
	is "" "$(survivors)"
}

@test "an unknown command is named, with the nearest, and exits 2" {
	expect 2 pleach mrege
	has "$(stderr)" mrege
	has "$(stderr)" merge
	is 1 "$(stderr | wc -l)"
	expect 2 pleach task shwo
	has "$(stderr)" show
	expect 2 pleach --bogus
	expect 2 pleach ''
}

@test "version, also as JSON" {
	json=$(expect 0 pleach --json version)
	holds "$json" 'has("version") and has("protocol") and has("schema") and .interface == 1'
	has "$(expect 0 pleach version)" "$(jq -r .version <<<"$json")"
	has "$(expect 0 pleach --version)" "$(jq -r .version <<<"$json")"
}

@test "completion scripts load in their shells" {
	expect 0 pleach completion bash >"$W/c.bash"
	bash -n "$W/c.bash"
	has "$(cat "$W/c.bash")" compare
	for shell in zsh fish; do
		[[ -n $(expect 0 pleach completion $shell) ]]
	done
	expect 2 pleach completion tcsh-ng
	expect 2 pleach completion
}

# completes WORD…: what bash would offer for the last of them
completes() {
	COMP_WORDS=(pleach "$@") COMP_CWORD=$# COMPREPLY=()
	_pleach
	echo "${COMPREPLY[*]}"
}

@test "completion offers what fits the place" {
	plan <<-'Y'
	tasks: [{id: alpha, prompt: 'echo a >fa'}]
	Y
	expect 0 pleach run --headless >/dev/null
	git branch other
	git branch 'x$(touch${IFS}run)'
	. <(pleach completion bash)
	is status "$(completes sta)"
	is "add answer list output retry show stop update wait" "$(completes task "" | xargs -n 1 | sort | xargs)"
	for dir in -C --dir; do is status "$(completes $dir "$REPO" sta)"; done
	is status "$(completes --dir = "$REPO" sta)"
	is alpha "$(completes -C "$REPO" diff al)"
	is "agent day plan task" "$(completes usage --by '' | xargs -n 1 | sort | xargs)"
	is "agent task" "$(completes compare --by '' | xargs -n 1 | sort | xargs)"
	is main "$(completes merge --into ma)"
	is main "$(completes merge --into = ma)"
	is "" "$(completes merge --into al)"
	has "$(completes merge alpha --into x)" '\$\(' # as it has to be typed
	[[ ! -e run ]]
	is alpha "$(completes merge --into main al)"
	is p "$(completes ls --plan '')"
	is p "$(completes task list --plan '')"
	is "" "$(completes run --name '')"
	has " $(completes help '') " " merge "
	is "add list pause remove resume" "$(completes help team '' | xargs -n 1 | sort | xargs)"
	for word in '[' .. te.m 'a/b' 'team /;1e>run;s/'; do is "" "$(completes help "$word" '' 2>&1)"; done
	for word in '[' .. te.m 'a/b'; do is "" "$(completes "$word" '' 2>&1)"; done
	[[ ! -e run ]]
	is --priority "$(completes task update --pri)"
	is --json "$(completes ls --js)"
	cd /
	is main "$(completes -C "$REPO" merge --into ma)"
	is alpha "$(completes -C "$REPO" diff al)"
	cd "$REPO"
}

@test "options stand anywhere before --" {
	expect 0 pleach status --json -C "$REPO" >/dev/null
	cd /
	holds "$(expect 0 pleach -C "$REPO" status --json)" '.coordinator.pid > 0'
	holds "$(expect 0 pleach task list -C "$REPO" --json)" '.tasks == []'
	cd "$REPO"
}

@test "no colour in a pipe, with NO_COLOR, or when told never; colour when told always" {
	plan <<-'Y'
	tasks: [{id: a, prompt: 'true'}]
	Y
	expect 0 pleach run --headless >"$W/run"
	lacks "$(cat "$W/run")" $'\033'
	lacks "$(pleach ls)" $'\033'
	has "$(pleach ls --color always)" $'\033'
	script -qefc "NO_COLOR=1 pleach ls" "$W/typescript" </dev/null >/dev/null 2>&1
	run grep -c $'\033\[[0-9;]*m' "$W/typescript"
	is 0 "$output"
	script -qefc "pleach ls --color never" "$W/typescript" </dev/null >/dev/null 2>&1
	run grep -c $'\033\[[0-9;]*m' "$W/typescript"
	is 0 "$output"
}

@test "pleach alone says what to type next, also in a fresh repository" {
	has "$(expect 0 pleach)" pleach
	holds "$(expect 0 pleach --json)" 'type == "object"'
	expect 0 pleach -q status >/dev/null
}

@test "streams are JSON a line; --json never mixes in people's text" {
	plan <<-'Y'
	tasks: [{id: a, prompt: 'echo a >fa', verify: 'true'}]
	Y
	expect 0 pleach --json run --headless | jq -s . >/dev/null
	for command in status "task list" "task show a" ps "compare a" "events" version "merge a" gc doctor; do
		pleach --json $command >"$W/out"
		jq -s . <"$W/out" >/dev/null || {
			echo "not JSON: $command: $(head -c 300 "$W/out")"
			return 1
		}
	done
}

@test "a full stdout is an error, not a success" {
	[[ -w /dev/full ]] || skip "no /dev/full"
	for command in status version "task list"; do
		run sh -c '"$0" $1 >/dev/full 2>/dev/null' "$PLEACH_BUILD/pleach" "$command"
		[[ $status == 6 ]]
	done
}

@test "a patch that nobody takes is an error, not a success" {
	[[ -w /dev/full ]] || skip "no /dev/full"
	plan <<-'Y'
	tasks: [{id: a, prompt: 'echo a >fa'}, {id: b, prompt: 'echo b >fb'}]
	Y
	expect 0 pleach run --headless >/dev/null
	for command in "diff a" "diff a --stat" "diff a b"; do
		expect 6 sh -c '"$0" $1 >/dev/full' "$PLEACH_BUILD/pleach" "$command"
		has "$(stderr)" "cannot write the output"
	done
}

@test "without stdout, stdin or stderr nothing that is opened takes their place" {
	for closed in '>&-' '<&- >&-' '<&- >&- 2>&-'; do
		for command in version status "task list" "--json status"; do
			expect 6 sh -c "exec \"\$0\" $command $closed" "$PLEACH_BUILD/pleach"
		done
	done
	expect 6 sh -c 'exec "$0" status >&-' "$PLEACH_BUILD/pleach"
	has "$(stderr)" "cannot write the output"
	has "$(expect 0 sh -c 'exec "$0" version <&-' "$PLEACH_BUILD/pleach")" pleach
	has "$(expect 0 sh -c 'exec "$0" version 2>&-' "$PLEACH_BUILD/pleach")" pleach
	# Nothing but requests reached the coordinator: it had nothing to complain about.
	run grep -vE ' (info|debug) ' "$XDG_STATE_HOME"/pleach/*/coordinator.log
	is "" "$output"
	expect 0 pleach status
}
