# Nothing that anybody made is destroyed: every state that an agent can leave its slot in
# (states.sh), and every way that an attempt can end. Afterwards all slots are used again, then
# removed: each byte and each commit that was made must be reachable from a ref.
load helper

# Each state takes the agent a few git programs; the suite tries each with one of the groups of ways to
# end; PLEACH_STATES=all tries all with all.
states_repo() {
	git init -q "$W/lib"
	echo l1 >"$W/lib/l"
	git -C "$W/lib" add l
	git -C "$W/lib" commit -qm lib
	mkdir src
	echo s >src/s
	git -c protocol.file.allow=always submodule --quiet add "$W/lib" lib
	git add -A
	git commit -qm more
	cp "$BATS_TEST_DIRNAME/states.sh" "$W/states.sh"
	mapfile -t STATES < <(sh "$W/states.sh" --list)
	[[ ${PLEACH_STATES:-} == all ]] || mapfile -t STATES < <(printf '%s\n' "${STATES[@]}" | sed -n "$1~3p")
	: >"$W/bytes"
	: >"$W/commits"
	: >"$W/ready"
	: >"$W/moved"
}

# part I: of `all` the I-th quarter is STATES; all of them where all are asked for.
part() {
	[[ ${PLEACH_STATES:-} == all ]] ||
		mapfile -t STATES < <(printf '%s\n' "${all[@]}" | sed -n "$(($1 + 1))~4p")
}

# state_plan NAME MORE END: a task for each state, that makes it and then does END
state_plan() {
	local state
	{
		printf 'name: %s\nagents:\n  sh: {command: [sh, "{prompt_file}"], mode: exec}\n' "$1"
		printf 'defaults: {agent: sh%s}\ntasks:\n' "$2"
		for state in "${STATES[@]}"; do
			printf '  - id: %s\n    prompt: |\n      sh "$W/states.sh" %s\n' "$state" "$state"
			printf '      %s\n' "$3"
		done
	} >"$W/$1.yaml"
}

# The plan's tasks all run at once and hold their slots until the test ends them.
wait_plan() {
	state_plan "$1" "" 'echo $PLEACH_KEY >>"$W/ready"; exec sleep 1000'
	: >"$W/ready"
	expect 0 pleach run "$W/$1.yaml" --headless --detach --team ${#STATES[@]} >/dev/null
	all_ready() { [[ $(wc -l <"$W/ready") -ge ${#STATES[@]} ]]; }
	eventually all_ready
}

# An attempt may fail by what it did to its slot itself, never by what another left there.
only_own_failures() {
	local bad
	bad=$(pleach --json task list | jq -r '.tasks[] | select(.error.code == "internal") |
		select(.key | IN("encoding_fails", "filter_fails", "slot_moved", "slot_removed") | not) |
		"\(.key): \(.error.message)"')
	is "" "$bad"
}

# Every teammate works in its slot once more.
use_again() {
	state_plan again "" 'test -z "$(git status --porcelain)" && test -f src/s && exec sleep 1000'
	sed -i 's/sh "$W.states.sh" .*/:/' "$W/again.yaml"
	expect 0 pleach run "$W/again.yaml" --headless --detach --team ${#STATES[@]} >/dev/null
	all_busy() { pleach --json team list | jq -e 'all(.teammates[]; .state == "working")'; }
	eventually all_busy
}

stop_all() {
	pleach --json task list | jq -r '.tasks[] | select(.status | IN("pending", "in_progress")).id' |
		xargs -P 4 -n 1 pleach stop >/dev/null
}

lost_things() {
	rm -rf "$W/parts"
	mkdir "$W/parts"
	split -l 1 -a 5 -d "$W/bytes" "$W/parts/"
	find "$W/parts" -type f | sort >"$W/files"
	git hash-object --no-filters --stdin-paths <"$W/files" >"$W/ids"
	git rev-list --objects --all --single-worktree $(git stash list --format=%H) |
		cut -d' ' -f1 >"$W/reached"
	# What an agent moved elsewhere is where it moved it.
	while read -r dir; do
		[ -d "$dir" ] || continue # written down right before it was moved
		find "$dir" -type f -not -path '*/.git/*' | git hash-object --stdin-paths
	done <"$W/moved" >>"$W/reached"
	sort -u "$W/reached" >"$W/here"
	sort -u "$W/ids" "$W/commits" | comm -23 - "$W/here" >"$W/lost"
	paste -d' ' "$W/ids" "$W/files" | grep -F -f "$W/lost" | cut -d' ' -f2 | xargs -r cat
	grep -F -f "$W/lost" "$W/commits" || :
}

made() { # made AT_LEAST: so much is written down
	local n
	n=$(sort -u "$W/bytes" "$W/commits" | wc -l)
	((n >= $1)) || {
		echo "only $n things were made, not $1" >&2
		return 1
	}
}

nothing_is_lost() { # nothing_is_lost AT_LEAST
	expect 0 pleach down --now >/dev/null
	expect 0 pleach gc --yes >/dev/null
	is "" "$(lost_things)"
	[[ $(sort -u "$W/ids" "$W/commits" | wc -l) -ge $1 ]]
	git fsck --strict --no-dangling >"$W/fsck" 2>&1 || {
		cat "$W/fsck" >&2
		return 1
	}
}

@test "exit, failure, signal, verify: every state is kept" {
	states_repo 1
	local all=("${STATES[@]}") end i=0
	for end in ok fail signal verify; do
		part $i
		i=$((i + 1))
		case $end in
		ok) state_plan ok "" "exit 0" ;;
		fail) state_plan fail "" "exit 3" ;;
		signal) state_plan signal "" 'kill -TERM $$' ;;
		verify) state_plan verify ', verify: "echo verify $PLEACH_KEY | tee -a $W/bytes >verified; exit 1"' "exit 0" ;;
		esac
		pleach run "$W/$end.yaml" --headless --team 6 >"$W/$end.out" 2>&1 || :
		is "${#STATES[@]}" "$(pleach --json task list --plan $end |
			jq '[.tasks[] | select(.attempts == 1)] | length')"
	done
	only_own_failures
	nothing_is_lost 60
}

@test "stopped, time limit, said to be done: every state is kept" {
	states_repo 2
	wait_plan stop
	stop_all
	state_plan done "" 'echo $PLEACH_KEY >>"$W/ready"; pleach done; exec sleep 1000'
	pleach run "$W/done.yaml" --headless >"$W/done.out" 2>&1 || :
	made 100 # the limit may end an agent before it has made anything
	state_plan limit ', timeout: 1s' 'exec sleep 1000'
	pleach run "$W/limit.yaml" --headless >"$W/limit.out" 2>&1 || :
	only_own_failures
	use_again
	nothing_is_lost 100
}

@test "taken down, killed workers, everything killed: every state is kept" {
	states_repo 3
	wait_plan down
	expect 0 pleach down --now >/dev/null
	stop_all
	wait_plan worker
	team '.teammates[].pid' | xargs kill -KILL
	again() {
		pleach --json task list --plan worker | jq -e 'all(.tasks[]; .attempts > 1)'
	}
	eventually again
	stop_all
	wait_plan all
	serving=$(serving_pid)
	team '.teammates[].pid' | xargs kill -KILL "$(ps -o ppid= -p "$serving" | tr -d ' ')" "$serving"
	process_gone "$serving"
	use_again
	nothing_is_lost 100
}
