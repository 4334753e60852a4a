# Bad input: one clear line, the right exit status, nothing left behind.
load helper

# refused STATUS WORD COMMAND…: exit status, one line on stderr that starts with `pleach: `
# (or a place in a plan) and names WORD
refused() {
	local want=$1 word=$2 err
	shift 2
	expect "$want" "$@" >"$BATS_TEST_TMPDIR/stdout"
	err=$(stderr)
	is "" "$(cat "$BATS_TEST_TMPDIR/stdout")"
	is 1 "$(wc -l <<<"$err")"
	has "$err" "$word"
	[[ $err == "pleach: "* || $err =~ ^[^:]+:[0-9]+:[0-9]+:\ . ]] || {
		echo "not of the shape of an error: $err" >&2
		return 1
	}
}

nothing_left() {
	is "" "$(survivors)"
}

bad_plan() { # WORD, the plan on stdin
	raw_plan
	refused 2 "$1" pleach run --headless
	[[ $(stderr) =~ ^([^:]*/)?pleach.yaml:[0-9]+:[0-9]+:\  ]] || {
		echo "no place: $(stderr)" >&2
		return 1
	}
}

A='agents: {sh: {command: [sh, "{prompt_file}"]}}'

@test "not a repository" {
	mkdir "$BATS_TEST_TMPDIR/plain" && cd "$BATS_TEST_TMPDIR/plain"
	for command in status "run x.yaml" "task list" "add hello" ps; do
		refused 6 "git repository" pleach $command
	done
	nothing_left
	is "" "$(ls -A "$BATS_TEST_TMPDIR/plain" "$XDG_STATE_HOME" | grep -v :)"
}

@test "errors are JSON with --json" {
	expect 4 pleach --json task show nothing >/dev/null
	holds "$(stderr)" '.error.code == "not_found" and (.error.message | contains("nothing"))'
	holds "$(stderr)" '.error | has("data")'
	mkdir "$BATS_TEST_TMPDIR/plain" && cd "$BATS_TEST_TMPDIR/plain"
	expect 6 pleach --json status >/dev/null
	holds "$(stderr)" '.error.code == "external"'
}

@test "a bare repository works" {
	git clone -q --bare "$REPO" "$BATS_TEST_TMPDIR/bare.git"
	cd "$BATS_TEST_TMPDIR/bare.git"
	printf '%s\ntasks: [{id: a, agent: sh, prompt: "echo a >fa"}]\n' "$A" >"$W/plan.yaml"
	expect 0 pleach run "$W/plan.yaml" --headless >/dev/null
	is a "$(git show pleach/plan/a:fa)"
	expect 0 pleach merge a --into main >/dev/null
	is a "$(git show main:fa)"
}

@test "an empty repository has no commit to start from" {
	git init -q "$BATS_TEST_TMPDIR/empty" && cd "$BATS_TEST_TMPDIR/empty"
	printf '%s\ntasks: [{id: a, agent: sh, prompt: x}]\n' "$A" >pleach.yaml
	run pleach run --headless
	[[ $status == 2 || $status == 6 ]]
	has "$output" commit
	holds "$(pleach --json task list)" '.tasks == []'
}

@test "an unborn branch beside others, a detached HEAD" {
	plan <<-'Y'
	tasks: [{id: a, prompt: 'echo a >fa'}]
	Y
	git checkout -q --orphan unborn
	run pleach run --headless
	[[ $status == 2 || $status == 6 ]]
	git checkout -qf main
	git checkout -q --detach
	expect 0 pleach run --headless >/dev/null
	is a "$(git show pleach/p/a:fa)"
	# No current branch: there is no default target.
	run pleach merge a
	[[ $status == 2 || $status == 5 ]]
	expect 0 pleach merge a --into main >/dev/null
}

@test "an unknown agent, a missing agent program, a missing verify program" {
	bad_plan claud <<-'Y'
	tasks: [{id: a, agent: claud, prompt: x}]
	Y
	has "$(stderr)" claude # the nearest
	raw_plan <<-'Y'
	agents: {gone: {command: [no-such-program, "{prompt}"]}, lost: {command: [nor-this-one]}}
	tasks: [{id: a, agent: gone, prompt: x}, {id: b, agent: lost, prompt: x}]
	Y
	refused 6 no-such-program pleach run --headless
	has "$(stderr)" nor-this-one
	plan <<-'Y'
	verify: [no-such-verify, x]
	tasks: [{id: a, prompt: 'echo x >x'}]
	Y
	run pleach run --headless --name v
	[[ $status == 6 || $status == 1 ]]
	has "$output$(pleach --json task list)" no-such-verify
}

@test "without tmux, --headless is offered and works" {
	mkdir "$W/bin"
	for program in git sh env cat ls uname sed mkdir rm printf true test; do
		[[ -x $(type -P $program) ]] && ln -s "$(type -P $program)" "$W/bin/$program"
	done
	plan <<-'Y'
	tasks: [{id: a, prompt: 'true'}]
	Y
	expect 6 env PATH="$W/bin" "$PLEACH_BUILD/pleach" run
	has "$(stderr)" --headless
	has "$(stderr)" tmux
	expect 0 env PATH="$W/bin" "$PLEACH_BUILD/pleach" run --headless >/dev/null
}

@test "hostile names of repository and paths" {
	local dir
	local names=("with space" "quote'\"quote" "Ünï-漢" "-rf" '#(touch evil)' 'co:lon' '$HOME;x' '%s%n')
	for dir in "${names[@]}"; do
		new_repo "$BATS_TEST_TMPDIR/$dir"
		cd "$BATS_TEST_TMPDIR/$dir"
		printf 'a' >"-- odd 'name' é"
		plan <<-'Y'
		verify: 'test -f made'
		copy: ["-- odd 'name' é"]
		tasks: [{id: a, prompt: 'echo made >made; cat ./--*name* >"$W/saw"'}]
		Y
		expect 0 pleach run >/dev/null
		is a "$(cat "$W/saw")"
		expect 0 pleach merge a >/dev/null
		is made "$(cat made)"
		expect 0 pleach down --now >/dev/null
		cd "$BATS_TEST_TMPDIR"
		[[ ! -e evil && ! -e "$dir/evil" ]]
	done
}

@test "a line break in the path: git has no worktrees there, and one line says so" {
	new_repo "$BATS_TEST_TMPDIR/"$'new\nline'
	cd "$BATS_TEST_TMPDIR/"$'new\nline'
	plan <<-'Y'
	tasks: [{id: a, prompt: 'true'}]
	Y
	refused 6 "line break" pleach run --headless
	refused 6 "line break" pleach status
	expect 0 pleach down --now >/dev/null
	nothing_left
	is "" "$(git for-each-ref refs/pleach refs/heads/pleach)"
}

@test "keys and plan names that are none" {
	for id in '"a b"' '"a.b"' '"-a"' '"#(x)"' '"é"' '""' '"a:b"' "$(printf 'k%.0s' {1..65})"; do
		bad_plan "" <<<"$A
tasks: [{id: $id, agent: sh, prompt: x}]"
	done
	expect 2 pleach team add 'A#(x)'
	expect 2 pleach team add -- -x
	expect 2 pleach add --key 'a b' hello
	nothing_left_stored
}

nothing_left_stored() {
	holds "$(pleach --json task list)" '.tasks == []'
}

@test "a plan with unknown keys names the right one" {
	bad_plan blocked_by <<<"$A
tasks: [{id: a, agent: sh, prompt: x}, {id: b, agent: sh, prompt: x, needs: [a]}]"
	bad_plan blocked_by <<<"$A
tasks: [{id: a, agent: sh, prompt: x}, {id: b, agent: sh, prompt: x, depends_on: [a]}]"
	bad_plan verify <<<"$A
verfy: x
tasks: [{id: a, agent: sh, prompt: x}]"
	has "$(stderr)" pleach.yaml:2:1:
	nothing_left_stored
}

@test "every unknown key is told, of one mapping and of several" {
	raw_plan <<<"$A
verfy: x
prio: 1
tasks:
  - {id: a, agent: sh, prompt: x, needs: [b], foo: 1}
  - {id: b, agent: sh, prompt: x, bar: 1}"
	expect 2 pleach run --headless
	is 5 "$(stderr | wc -l)"
	for key in 2:1:.*verfy 3:1:.*prio 5:35:.*needs 5:47:.*foo 6:35:.*bar; do stderr | grep -q "^pleach.yaml:$key"; done
	{
		printf '%s\ntasks:\n  - {id: a, agent: sh, prompt: x' "$A"
		printf ', k%s: 1' {a..z}
		printf '}\n'
	} | raw_plan
	expect 2 pleach run --headless
	is 11 "$(stderr | wc -l)"
	has "$(stderr)" "there may be more"
	nothing_left_stored
}

@test "YAML's null is no text, unless it is quoted" {
	for word in '~' null Null NULL ''; do
		for key in id prompt subject prompt_file; do
			printf '%s\ntasks:\n  - id: %s\n    agent: sh\n' "$A" "$([[ $key == id ]] && echo "$word" || echo a)" >pleach.yaml
			[[ $key == prompt* ]] || echo '    prompt: x' >>pleach.yaml
			[[ $key == id ]] || echo "    $key: $word" >>pleach.yaml
			refused 2 "$key must be text" pleach run --headless
			[[ $(stderr) =~ ^pleach.yaml:[3-6]:[0-9]+: ]]
		done
		bad_plan "id must be text" <<<"$A
tasks: [{id: $word, agent: sh, prompt: x}]"
	done
	bad_plan "name must be text" <<<"$A
name:
tasks: [{id: a, agent: sh, prompt: x}]"
	nothing_left_stored
	raw_plan <<<"$A
tasks: [{id: \"null\", agent: sh, prompt: 'null'}]"
	expect 1 pleach run --headless >/dev/null
	is null "$(task null .prompt)"
}

@test "the plan that init writes is not run before it says what is to be done" {
	expect 0 pleach init >/dev/null
	line=$(grep -n 'Say here' pleach.yaml)
	refused 2 "write what is to be done" pleach run --headless
	[[ $(stderr) == "pleach.yaml:${line%%:*}:"* ]]
	refused 2 "write what is to be done" pleach run --dry-run
	nothing_left_stored
}

@test "mistakes of add and try name the option" {
	for option in '--priority 2000000' '--timeout 5x' '--agent nosuch' '--key 1a'; do
		refused 2 "pleach: add: ${option% *}" pleach add $option x
	done
	refused 2 "pleach: try: --agent: unknown agent nosuch" pleach try --agent nosuch x
}

@test "a plan with wrong ids, blockers and cycles" {
	bad_plan a <<<"$A
tasks: [{id: a, agent: sh, prompt: x}, {id: a, agent: sh, prompt: y}]"
	bad_plan nobody <<<"$A
tasks: [{id: a, agent: sh, prompt: x, blocked_by: [nobody]}]"
	bad_plan cycle <<<"$A
tasks: [{id: a, agent: sh, prompt: x, blocked_by: [c]}, {id: b, agent: sh, prompt: x, blocked_by: [a]}, {id: c, agent: sh, prompt: x, blocked_by: [b]}]"
	for key in a b c; do has "$(stderr)" $key; done
	bad_plan a <<<"$A
tasks: [{id: a, agent: sh, prompt: x, blocked_by: [a]}]"
	nothing_left_stored
}

@test "a plan with wrong types and values" {
	local line
	while IFS= read -r line; do
		bad_plan "" <<<"$A
$line"
	done <<-'Y'
	tasks: 5
	tasks: [5]
	tasks: [{agent: sh, prompt: x}]
	tasks: [{id: a, agent: sh}]
	tasks: [{id: a, agent: sh, prompt: x, prompt_file: y}]
	tasks: [{id: a, agent: sh, prompt_file: not-there.md}]
	tasks: [{id: a, agent: sh, prompt: x, priority: high}]
	tasks: [{id: a, agent: sh, prompt: x, retries: -1}]
	tasks: [{id: a, agent: sh, prompt: x, timeout: soon}]
	tasks: [{id: a, agent: sh, prompt: x, when: later}]
	tasks: [{id: a, agent: sh, prompt: x, slot: two}]
	tasks: [{id: a, agent: sh, prompt: x, blocked_by: {a: 1}}]
	tasks: [{id: a, agent: sh, prompt: x, alternatives: 0}]
	tasks: [{id: a, agent: sh, prompt: x, alternatives: 2, choose: worst}]
	tasks: [{id: a, agent: {mode: exec}, prompt: x}]
	tasks: [{id: a, agent: {command: []}, prompt: x}]
	tasks: [{id: a, agent: {command: [sh], mode: fast}, prompt: x}]
	tasks: [{id: a, agent: sh, prompt: x, verify: {cmd: x}}]
	tasks: [{id: a, agent: sh, prompt: x
	tasks: [{id: a, agent: sh, prompt: x}]]
	tasks: []
	Y
	bad_plan team <<<"$A
team: many
tasks: [{id: a, agent: sh, prompt: x}]"
	nothing_left_stored
}

@test "an empty plan, one without tasks, one that is not there, one that is not text" {
	bad_plan "" </dev/null
	has "$(stderr)" pleach.yaml:1:1:
	bad_plan tasks <<<"$A"
	refused 2 nowhere.yaml pleach run nowhere.yaml
	head -c 4096 /dev/urandom >pleach.yaml
	expect 2 pleach run --headless
	expect 2 pleach run . --headless
	nothing_left_stored
}

@test "an unknown base" {
	bad_plan no-such-branch <<<"$A
base: no-such-branch
tasks: [{id: a, agent: sh, prompt: x}]"
	nothing_left_stored
}

@test "bad options and arguments" {
	plan <<-'Y'
	tasks: [{id: a, prompt: x}]
	Y
	refused 2 --bogus pleach run --bogus
	refused 2 --team pleach run --team
	refused 2 --team pleach run --team many
	refused 2 --timeout pleach task wait a --timeout soon
	refused 2 --color pleach status --color sometimes
	refused 2 "" pleach task show
	refused 2 "" pleach send
	refused 4 nowhere pleach -C nowhere status || refused 6 nowhere pleach -C nowhere status
	refused 4 nobody pleach run nobody-key --headless || refused 2 nobody pleach run nobody-key --headless
}

@test "names that are not found, with the nearest; an ambiguous key means the newest plan" {
	plan <<-'Y'
	tasks: [{id: parser, prompt: 'true'}]
	Y
	expect 0 pleach run --headless >/dev/null
	expect 4 pleach task show parsr
	has "$(stderr)" parser
	expect 4 pleach task show 999
	expect 4 pleach task show p/nothing
	expect 4 pleach logs nobody
	expect 4 pleach attach nobody
	expect 4 pleach send nobody hello
	expect 4 pleach answer nobody yes
	expect 4 pleach team remove nobody
	expect 0 pleach run --headless --name q >/dev/null
	is "$(task q/parser .id)" "$(task parser .id)"
	[[ $(task p/parser .id) != $(task parser .id) ]]
}

@test "a full team takes no more than it can name; team names are unique" {
	expect 0 pleach up --team 2 --headless >/dev/null
	expect 0 pleach team add extra >/dev/null
	expect 5 pleach team add extra
	holds "$(pleach --json team list)" '.teammates | length == 3'
	expect 2 pleach up --team 0 --headless
	expect 2 pleach up --team -1 --headless
	expect 2 pleach up --team 100000 --headless
	expect 0 pleach down --now >/dev/null
	nothing_left
}

@test "ten thousand tasks" {
	{
		echo "$A"
		echo 'defaults: {agent: sh}'
		echo 'tasks:'
		seq 1 10000 | awk '{ printf "  - {id: t%d, prompt: x, slot: none%s}\n", $1, ($1 > 1) ? ", blocked_by: [t" ($1 - 1) "]" : "" }'
	} >pleach.yaml
	expect 0 pleach up --team 1 --headless >/dev/null
	expect 0 pleach team pause >/dev/null
	expect 0 pleach run --headless --detach >/dev/null
	is 10000 "$(pleach --json task list | jq '.tasks | length')"
	holds "$(pleach --json status)" '.tasks.pending == 10000 and .tasks.ready == 1 and .tasks.blocked == 9999'
	# A cycle through all of them is found and named in one line.
	sed -i 's/{id: t1, prompt: x, slot: none}/{id: t1, prompt: x, slot: none, blocked_by: [t10000]}/' pleach.yaml
	refused 2 cycle pleach run --headless --name other
}

@test "a second coordinator: many commands at once start one" {
	local pids=() pid i
	for i in 1 2 3 4 5 6 7 8; do
		"$PLEACH_BUILD/pleach" --json status >"$W/status.$i" 3>&- &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
	is 1 "$(jq .coordinator.pid "$W"/status.* | sort -u | wc -l)"
	run timeout "$LIMIT" "$PLEACH_BUILD/pleach-coordinator" --root "$REPO"
	[[ $status != 0 ]]
	expect 0 pleach status >/dev/null
}

@test "foreign files where the sockets go" {
	expect 0 pleach status >/dev/null
	id=$(ls "$PLEACH_RUNTIME_DIR")
	expect 0 pleach down --now >/dev/null
	mkdir -p -m 700 "$PLEACH_RUNTIME_DIR/$id"
	echo precious >"$PLEACH_RUNTIME_DIR/$id/control"
	refused 6 control pleach status
	is precious "$(cat "$PLEACH_RUNTIME_DIR/$id/control")"
	rm "$PLEACH_RUNTIME_DIR/$id/control"
	echo precious >"$PLEACH_RUNTIME_DIR/$id/tmux"
	plan <<-'Y'
	tasks: [{id: a, prompt: 'true'}]
	Y
	expect 6 pleach run
	has "$(stderr)" tmux
	is precious "$(cat "$PLEACH_RUNTIME_DIR/$id/tmux")"
	rm -f "$PLEACH_RUNTIME_DIR/$id/tmux"
}

@test "a runtime directory of other rights, or a symbolic link" {
	expect 0 pleach status >/dev/null
	id=$(ls "$PLEACH_RUNTIME_DIR")
	expect 0 pleach down --now >/dev/null
	rm -rf "${PLEACH_RUNTIME_DIR:?}/$id"
	mkdir "$W/theirs"
	ln -s "$W/theirs" "$PLEACH_RUNTIME_DIR/$id"
	expect 6 pleach status
	is "" "$(ls -A "$W/theirs")"
	rm "$PLEACH_RUNTIME_DIR/$id"
	# It vanished, as a login manager or a cleaner of /tmp does it.
	expect 0 pleach status >/dev/null
	chmod 755 "$PLEACH_RUNTIME_DIR/$id"
	expect 0 pleach down --now >/dev/null || rm -rf "${PLEACH_RUNTIME_DIR:?}/$id"
	pleach status >/dev/null || expect 6 pleach status
	chmod 700 "$PLEACH_RUNTIME_DIR/$id"
	expect 0 pleach status >/dev/null
	is 700 "$(stat -c %a "$PLEACH_RUNTIME_DIR"/*)"
	is "" "$(find "$PLEACH_RUNTIME_DIR" "$XDG_STATE_HOME" \( -type s -o -type f \) -perm /077)"
}

@test "hostile bytes in prompts, answers and messages never reach a terminal raw" {
	plan <<-'Y'
	tasks: [{id: a, prompt: "printf '\\033]0;evil\\007\\033[2J\\302\\233' ; pleach ask \"$(printf 'q\\033[31m\\007')\" >\"$W/answer\""}]
	Y
	expect 3 pleach run --headless >"$W/screen"
	for command in status "task list" "task show a" answer events; do
		pleach $command >>"$W/screen" || true
	done
	run grep -cP '[\x00-\x08\x0b-\x1f\x7f]' "$W/screen"
	is 0 "$output"
	# The log itself: raw in a pipe, never on a terminal.
	has "$(pleach logs a)" $'\033]0;evil'
	script -qefc "pleach logs a --color never" "$W/typescript" </dev/null >/dev/null 2>&1
	lacks "$(cat "$W/typescript")" $'\033]0;'
	expect 0 pleach answer a "$(printf 'é\033[31mx')" >/dev/null
	expect 0 pleach task wait a >/dev/null
	has "$(cat "$W/answer")" é
}

@test "what was read lately is read without the parser, and nothing else is" {
	local file
	plan <<-'Y'
	tasks:
	  - {id: a, prompt: 'echo a >fa'}
	Y
	expect 0 pleach run --headless >/dev/null
	expect 0 pleach down >/dev/null
	mkdir "$W/installed"
	cp "$PLEACH_BUILD"/{pleach,pleach-*} "$W/installed"
	rm "$W/installed/pleach-yaml.so"
	expect 0 "$W/installed/pleach" add "echo b >fb" >/dev/null
	echo "# more" >>pleach.yaml
	expect 6 "$W/installed/pleach" add "echo c >fc"
	has "$(stderr)" "pleach-yaml.so is missing"
	expect 0 pleach add "echo c >fc" >/dev/null
	expect 0 "$W/installed/pleach" add "echo d >fd" >/dev/null
	for file in "$XDG_STATE_HOME"/pleach/.yaml/*; do
		echo broken >"$file"
	done
	expect 0 pleach add "echo e >fe" >/dev/null
	is 5 "$(pleach --json task list | jq '.tasks | length')"
}

@test "a branch called pleach leaves no room for those of tasks: said before anything starts" {
	plan <<-'Y'
	tasks: [{id: a, prompt: 'echo x >x'}]
	Y
	git branch pleach
	refused 5 "git branch -m pleach" pleach run --headless
	git pack-refs --all
	refused 5 "git branch -m pleach" pleach run --headless
	git branch -m pleach other
	expect 0 pleach run --headless >/dev/null
}
