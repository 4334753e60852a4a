#!/bin/bash
# Layers of trivial tasks on a few teammates: how long, where the time went, how much memory.
#   bench/layers.sh [LAYERS=10] [WIDTH=20] [TEAM=4] [own|none]
# Prints one line a figure. BUILD names the build folder (default: build).
set -euo pipefail
layers=${1:-10} width=${2:-20} team=${3:-4} slot=${4:-own}
build=$(realpath "${BUILD:-build}")
work=$(mktemp -d /tmp/bench-XXXXXX)
export HOME=$work XDG_STATE_HOME=$work/state XDG_CONFIG_HOME=$work/config PLEACH_RUNTIME_DIR=$work/run
pleach() { "$build/pleach" -C "$work/repo" "$@"; }
trap 'pleach down --now >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

git init -q "$work/repo"
git -C "$work/repo" -c user.name=bench -c user.email=bench@localhost commit -q --allow-empty -m start

agent='[sh, -c, "echo $PLEACH_KEY > $PLEACH_KEY"]'
[[ $slot == own ]] || agent='[/bin/true]'
{
	echo "name: layers"
	echo "agents: {trivial: {command: $agent}}"
	echo "defaults: {agent: trivial, slot: $slot}"
	echo "tasks:"
	for ((l = 0; l < layers; l++)); do
		for ((i = 0; i < width; i++)); do
			printf '  - {id: t%d_%d, prompt: nothing' "$l" "$i"
			((l == 0)) || printf ', blocked_by: [t%d_%d, t%d_%d]' \
				$((l - 1)) "$i" $((l - 1)) $(((i + 1) % width))
			echo '}'
		done
	done
} >"$work/plan.yaml"

start=$(date +%s%N)
pleach run "$work/plan.yaml" --headless --team "$team" --json >"$work/events"
end=$(date +%s%N)
pid=$(pleach status --json | jq .coordinator.pid)

echo "tasks $((layers * width)) in $layers layers, team $team, slot $slot"
tail -n 1 "$work/events" | jq -r '"completed \(.completed) failed \(.failed)"'
echo "wall $(((end - start) / 1000000)) ms, $(((end - start) / 1000 / layers / width)) us a task"
# Of the teammates' time: inside attempts, and between the end of one and the start of the next.
jq -rn --argjson team "$team" '
	def ms: sub("(?<s>.*)\\.(?<m>...)Z"; "\(.s)Z") as $s | ($s | fromdateiso8601) * 1000
		+ (capture("\\.(?<m>...)Z").m | tonumber);
	[inputs | select(.kind == "attempt.started" or .kind == "attempt.ended")
		| {kind, attempt, at: (.at | ms), seconds: .data.seconds}] as $e
	| ([$e[] | select(.kind == "attempt.ended")] | {n: length, agent: (map(.seconds) | add * 1000)}) as $a
	| (([$e[].at] | max) - ([$e[].at] | min)) as $span
	| (reduce $e[] as $x ({}; if $x.kind == "attempt.started"
			then .["\($x.attempt)"] = -$x.at else .["\($x.attempt)"] += $x.at end)
		| add) as $assigned
	| "span \($span) ms from the first attempt to the last end",
	  "attempts \($a.n): assigned \($assigned / $a.n * 10 | round / 10) ms each, of which worked "
		+ "\($a.agent / $a.n * 10 | round / 10) ms",
	  "teammates busy \($assigned / ($span * $team) * 100 | round) % of the span"' "$work/events"
awk '/VmHWM|RssAnon/ {print "coordinator " $1 " " $2 " kB"}' "/proc/$pid/status"
