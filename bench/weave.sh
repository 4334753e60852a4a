#!/bin/bash
# bench/weave.sh [TASKS [SECONDS]]: landing a queue of TASKS independent tasks whose verify takes
# SECONDS, with 1, 2 and 4 proofs ahead, and by hand: merge, verify, merge, verify. In turn, in
# repositories of their own; nothing is removed before the end.
set -euo pipefail
tasks=${1:-8} seconds=${2:-0.5}
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

now() { date +%s%3N; }

prepare() { # prepare NAME AHEAD: a repository whose tasks have completed
	local repo=$dir/$1
	git init -q "$repo" && cd "$repo"
	echo start >file && git add -A && git commit -qm start
	{
		printf 'name: p\nmerge: {ahead: %s}\nagents:\n  sh: {command: [sh, "{prompt_file}"], mode: exec}\n' "$2"
		printf 'defaults: {agent: sh}\nverify: "case $PWD in */integration*) sleep %s ;; esac"\ntasks:\n' "$seconds"
		for n in $(seq "$tasks"); do printf '  - {id: t%s, prompt: "echo %s >f%s"}\n' "$n" "$n" "$n"; done
	} >pleach.yaml
	"$build/pleach" run --headless >/dev/null
}

by_hand() {
	for n in $(seq "$tasks"); do
		git merge -q --no-edit "pleach/p/t$n" >/dev/null && sleep "$seconds"
	done
}

printf '%s tasks, verify %s s\n' "$tasks" "$seconds"
for round in 1 2 3; do
	for ahead in 0 1 2 4; do
		prepare "r$round-$ahead" "$((ahead ? ahead : 1))"
		start=$(now)
		if ((ahead)); then "$build/pleach" merge --all >/dev/null; else by_hand; fi
		echo "$ahead $(($(now) - start))" >>"$dir/times"
		"$build/pleach" down >/dev/null
	done
done
median() { awk -v a="$1" '$1 == a {print $2}' "$dir/times" | sort -n | sed -n 2p; }
hand=$(median 0)
printf 'by hand      %6d ms   1.00\n' "$hand"
for ahead in 1 2 4; do
	printf 'ahead: %d     %6d ms   %s\n' "$ahead" "$(median "$ahead")" \
		"$(awk -v a="$(median "$ahead")" -v h="$hand" 'BEGIN {printf "%.2f", a / h}')"
done
