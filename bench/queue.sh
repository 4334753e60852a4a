#!/bin/bash
# bench/queue.sh [TASKS]: what a landing costs the coordinator itself, by the length of the queue:
# TASKS and four times as many, whose heads the target contains already, so that git and proofs are
# as small as they can be. The store is told so behind its back. Per landing both should cost the same.
set -euo pipefail
tasks=${1:-1000}
build=${PLEACH_BUILD:-$(cd "$(dirname "$0")/.." && pwd)/build}
dir=$(mktemp -d /tmp/pleach-bench-XXXXXX)
export HOME=$dir/home XDG_STATE_HOME=$dir/state XDG_CONFIG_HOME=$dir/config
PLEACH_RUNTIME_DIR=$(mktemp -d /tmp/pl-XXXXXX)
export PLEACH_RUNTIME_DIR
mkdir -p "$HOME"
git config --global user.name bench && git config --global user.email bench@localhost
git config --global init.defaultBranch main
trap 'for r in "$dir"/r*; do "$build/pleach" -C "$r" down --now >/dev/null 2>&1 || true; done
	rm -rf "$dir" "$PLEACH_RUNTIME_DIR"' EXIT

ticks() { # of the serving process: user and system
	awk '{print $14 + $15}' "/proc/$("$build/pleach" --json status | jq .coordinator.pid)/stat"
}

through_the_queue() { # through_the_queue TASKS: milliseconds of the coordinator's processor a landing
	local n=$1 base head db
	git init -q "$dir/r$n" && cd "$dir/r$n"
	echo one >file && git add -A && git commit -qm one && base=$(git rev-parse HEAD)
	echo two >file && git commit -qam two && head=$(git rev-parse HEAD)
	{
		printf 'name: p\nmerge: auto\nagents:\n  sh: {command: [/bin/true], mode: exec}\n'
		printf 'defaults: {agent: sh, slot: none}\ntasks:\n'
		for i in $(seq "$n"); do printf '  - {id: t%s, prompt: x}\n' "$i"; done
	} >pleach.yaml
	"$build/pleach" -q run --headless >/dev/null
	"$build/pleach" down >/dev/null
	db=$(echo "$XDG_STATE_HOME"/pleach/r"$n"-*/store.db)
	sqlite3 "$db" "UPDATE task SET head = '$head', base = '$base'; UPDATE plan SET lands = 1, target = 'main'"
	"$build/pleach" up --team 1 --headless >/dev/null
	# The last one of the queue.
	until [[ $("$build/pleach" --json task show "t$n" | jq -r .landing.state) == landed ]]; do sleep 0.5; done
	awk -v t="$(ticks)" -v n="$n" -v hz="$(getconf CLK_TCK)" 'BEGIN {printf "%.2f", t * 1000 / hz / n}'
	"$build/pleach" down >/dev/null
	wait
}

few=$(through_the_queue "$tasks")
many=$(through_the_queue $((tasks * 4)))
printf '%6d tasks  %s ms of processor a landing   1.00\n' "$tasks" "$few"
printf '%6d tasks  %s ms of processor a landing   %s\n' $((tasks * 4)) "$many" \
	"$(awk -v f="$few" -v m="$many" 'BEGIN {printf "%.2f", m / f}')"
