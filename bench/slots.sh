#!/bin/bash
# Slots against `git worktree add`, both sides in turn in the same run.
#   bench/slots.sh [FILES=10000] [ROUNDS=7]
# S5: the first slot of a teammate. S6: its next one, clean. S4: the whole path on a tenth of the
# files, from the assignment to the end of the attempt (slot, pane, agent, verify, commit), against
# the same by shell (worktree add, tmux new-window, run, verify, add, commit, remove).
# Trees are moved aside between rounds and removed at the end. BUILD names the build folder.
set -euo pipefail
files=${1:-10000} rounds=${2:-7}
build=$(realpath "${BUILD:-build}")
work=$(mktemp -d "${TMPDIR:-/tmp}/bench-XXXXXX")
export HOME=$work XDG_STATE_HOME=$work/state XDG_CONFIG_HOME=$work/config PLEACH_RUNTIME_DIR=$work/run
unset PLEACH_SOCKET PLEACH_TOKEN TMUX
repo=$work/repo
pleach() { "$build/pleach" -C "$repo" "$@"; }
cleanup() {
	pleach down --now >/dev/null 2>&1 || true
	tmux -S "$work/tmux" kill-server 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
git config --global user.name bench
git config --global user.email bench@localhost
git config --global init.defaultBranch main

make_repo() { # make_repo COUNT: files of about 2 kB, a hundred a directory
	git init -q "$repo"
	# In one pack, as a clone has it; no loose objects, for what is deleted now makes the file
	# system slow for minutes.
	awk -v n="$1" 'BEGIN {
		print "commit refs/heads/main\ncommitter bench <bench@localhost> 1700000000 +0000\ndata 5\nstart"
		for (i = 0; i < n; i++) {
			text = ""
			for (k = 0; k < 40; k++) text = text "line " k " of file " i " with some words in it\n"
			printf "M 644 inline d%d/f%d\ndata %d\n%s\n", i / 100, i, length(text), text
		}
	}' | git -C "$repo" fast-import --quiet
	git -C "$repo" repack -adfq
	git -C "$repo" reset -q --hard
}

# Without a process, which one side alone would pay.
us() { echo "${EPOCHREALTIME/[^0-9]/}"; }

recorded() { # recorded ROW COMMAND…: flame.py's perf records it, where that runs for this row
	if [[ ${BENCH_RECORDED_ROW:-} != "$1" ]]; then
		"${@:2}"
		return
	fi
	echo enable >"$BENCH_RECORDER/control" && read -r <"$BENCH_RECORDER/ack"
	"${@:2}"
	echo disable >"$BENCH_RECORDER/control" && read -r <"$BENCH_RECORDER/ack"
}

spread() { sort -n "$1" | awk '{v[NR] = $1} END {printf "%d–%d", v[1] / 1000, v[NR] / 1000}'; }
median() { sort -n "$1" | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

# How long the teammate was between getting a task and running its agent, from the events.
prepare_us() {
	pleach events --json | jq -rs '
		def us: capture("(?<s>.*)\\.(?<m>...)Z") | (.s + "Z" | fromdateiso8601) * 1000 + (.m | tonumber);
		map(select(.kind == "attempt.started")) | last | .at | us'
}

plan() { # plan NAME EDITED
	cat >"$work/$1.yaml" <<-Y
	name: $1
	agents: {a: {command: [$build/bench/witness, edit, $work/ran, $2]}}
	tasks: [{id: t, prompt: x, agent: a}]
	Y
}

aside() { # aside DIR
	mkdir -p "$work/aside"
	mv "$1" "$work/aside/$RANDOM$RANDOM"
}

# The agent and verify of both sides of S4.
agent='echo x >>d0/f0' verify='test -s d0/f0'

shell_path() { # shell_path N: by hand, in a window of the bench's own tmux
	local dir=$work/shell$1
	git -C "$repo" worktree add -q -b "shell$1" "$dir"
	tmux -S "$work/tmux" new-window -d -t bench -c "$dir" \
		"$agent; tmux -S '$work/tmux' wait-for -S ran$1"
	tmux -S "$work/tmux" wait-for "ran$1"
	(cd "$dir" && sh -c "$verify")
	git -C "$dir" add -A
	git -C "$dir" commit -qm t
	git -C "$repo" worktree remove "$dir"
}

whole_us() { # the last attempt, from its start to its end, from the events
	pleach events --json | jq -rs '
		def us: capture("(?<s>.*)\\.(?<m>...)Z") | (.s + "Z" | fromdateiso8601) * 1000 + (.m | tonumber);
		(map(select(.kind == "attempt.ended")) | last.at | us) -
		(map(select(.kind == "attempt.started")) | last.at | us) | . * 1000'
}

whole_path() {
	local i start shell ours
	repo=$work/small
	make_repo $((files / 10))
	tmux -S "$work/tmux" new-session -d -s bench
	for ((i = -1; i < rounds; i++)); do
		start=$(us)
		shell_path "$i"
		shell=$(($(us) - start))
		cat >"$work/whole.yaml" <<-Y
		name: whole$i
		agents: {a: {command: [sh, -c, '$agent']}}
		tasks: [{id: t, prompt: x, agent: a, verify: '$verify'}]
		Y
		recorded s4 pleach run "$work/whole.yaml" --team 1 >/dev/null
		ours=$(whole_us)
		# The first round makes the team and its slot.
		[[ $i == -1 ]] && continue
		echo "$shell" >>"$work/shell"
		echo "$ours" >>"$work/whole"
	done
	pleach down >/dev/null
	awk -v s="$(median "$work/shell")" -v o="$(median "$work/whole")" -v n=$((files / 10)) 'BEGIN {
		printf "files %d: by shell %.0f ms; S4 whole path %.0f ms, ratio %.2f\n",
			n, s / 1000, o / 1000, o / s
	}'
}

make_repo "$files"
# The team's processes are there; only the slot is not.
plan warm "$work/nothing"
sed -i 's/agent: a}/agent: a, slot: none}/' "$work/warm.yaml"
pleach run "$work/warm.yaml" --headless --team 1 >/dev/null
name=$(pleach team list --json | jq -r '.teammates[0].name')
for ((i = 0; i < rounds; i++)); do
	# What the other side wrote is written out before, not beside what is measured.
	sync
	start=$(us)
	git -C "$repo" worktree add -q --detach "$work/add$i"
	echo $(($(us) - start)) >>"$work/add"
	git -C "$repo" worktree list >/dev/null
	aside "$work/add$i"
	git -C "$repo" worktree prune
	# S5: a new teammate, so that its slot is new. The time of its worker is taken off: from the
	# assignment (in the events) to the agent's first act. The one before only gets nothing more:
	# removed, it would delete its 10,000 files beside what is measured.
	pleach team add "n$i" >/dev/null
	pleach team pause "$name" >/dev/null
	name=n$i
	plan "first$i" d0/f0
	sync
	recorded s5 pleach run "$work/first$i.yaml" --headless >/dev/null
	echo $(($(cat "$work/ran") - $(prepare_us) * 1000)) >>"$work/first"
	# The first look at new files takes the kernel longer than each later one, so not only that.
	for ((k = 0; k < 3; k++)); do
		plan "next$i-$k" d0/f0
		sync
		recorded s6 pleach run "$work/next$i-$k.yaml" --headless >/dev/null
		echo $(($(cat "$work/ran") - $(prepare_us) * 1000)) >>"$work/next"
	done
done
add=$(median "$work/add") first=$(median "$work/first") next=$(median "$work/next")
echo "files $files, rounds $rounds, medians (assignment to the agent's first act)"
echo "git worktree add $((add / 1000)) ms ($(spread "$work/add")); first slot $(spread "$work/first"), next $(spread "$work/next")"
awk -v a="$add" -v f="$first" -v n="$next" 'BEGIN {
	printf "S5 first slot %.0f ms, ratio %.2f\n", f / 1000, f / a
	printf "S6 next slot %.0f ms, ratio %.3f\n", n / 1000, n / a
}'
pleach down >/dev/null
whole_path
