# A private universe for each test: home, state, runtime directory, repository, tmux server.
# Nothing waits by the clock: tests wait for events, held requests and fifos. Whatever a test
# started must be gone at its end; a survivor fails it. Logs are shown on failure only.

bats_require_minimum_version 1.5.0

LIMIT=${PLEACH_TEST_LIMIT:-30} # seconds that any one command may take

# --- the universe ---

setup() {
	universe
}

teardown() {
	end_universe
}

universe() {
	local build=${PLEACH_BUILD:-$BATS_TEST_DIRNAME/../../build}
	PLEACH_BUILD=$(cd "$build" && pwd)
	[[ -x $PLEACH_BUILD/pleach ]] || {
		echo "no pleach in $PLEACH_BUILD (set PLEACH_BUILD)" >&2
		return 1
	}
	local name
	for name in ${!PLEACH_@} ${!GIT_@} ${!XDG_@} TMUX TMUX_PANE NO_COLOR PAGER CDPATH; do
		[[ $name == PLEACH_BUILD || $name == PLEACH_TEST_LIMIT ]] || unset "$name"
	done
	export W=$BATS_TEST_TMPDIR/w # where agents and tests meet
	export HOME=$BATS_TEST_TMPDIR/home TMPDIR=$BATS_TEST_TMPDIR/tmp
	export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state XDG_CONFIG_HOME=$BATS_TEST_TMPDIR/config
	export XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache XDG_RUNTIME_DIR=$BATS_TEST_TMPDIR/xdg
	export LC_ALL=C.UTF-8 TERM=xterm-256color
	mkdir -p "$W" "$HOME" "$TMPDIR" "$XDG_STATE_HOME" "$XDG_CONFIG_HOME" "$XDG_CACHE_HOME"
	mkdir -p -m 700 "$XDG_RUNTIME_DIR"
	# Built with sanitizers, every process reports here, daemons too; teardown looks.
	export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=$BATS_TEST_TMPDIR/sanitizer"
	export UBSAN_OPTIONS="print_stacktrace=1:log_path=$BATS_TEST_TMPDIR/sanitizer"
	# nng sockets are never closed (closing can hang), so what the library holds is no leak.
	printf 'leak:libnng.so\n' >"$BATS_TEST_TMPDIR/leaks"
	export LSAN_OPTIONS=${LSAN_OPTIONS:-suppressions=$BATS_TEST_TMPDIR/leaks:print_suppressions=0}
	# Sockets have short names (108 bytes), so this one is not below the test's directory.
	PLEACH_RUNTIME_DIR=$(mktemp -d /tmp/pl-XXXXXX)
	export PLEACH_RUNTIME_DIR
	PATH=$PLEACH_BUILD:$PATH
	git config --global user.name "A User"
	git config --global user.email user@example.org
	git config --global init.defaultBranch main
	git config --global commit.gpgSign false
	REPO=$BATS_TEST_TMPDIR/repo
	new_repo "$REPO"
	cd "$REPO"
}

# new_repo DIR: one commit with a file and a .gitignore
new_repo() {
	git init -q "$1"
	printf 'one\ntwo\nthree\n' >"$1/file"
	printf 'ignored/\n.env\n' >"$1/.gitignore"
	git -C "$1" add -A
	git -C "$1" commit -qm start
}

# Processes whose environment names this test's runtime directory. Those of bats were started
# before it had that name; what `ps` and `grep` leave is no process any more.
survivors() {
	local dir pid
	for dir in /proc/[0-9]*; do
		pid=${dir#/proc/}
		[[ $pid != "$$" && $pid != "$BASHPID" ]] || continue
		grep -qszF "PLEACH_RUNTIME_DIR=$PLEACH_RUNTIME_DIR" "$dir/environ" || continue
		[[ -n $(ps -o stat= -p "$pid" | grep -v Z) ]] && echo "$pid"
	done
}

# family PID…: these processes and all below them.
family() {
	local below
	while (($#)); do
		printf '%s\n' "$@"
		below=$(printf -- '--ppid %s ' "$@")
		# shellcheck disable=SC2086 # options and numbers
		set -- $(ps -o pid= $below)
	done
}

# until_gone PID…: what a signal has reached may take its time (a sanitizer looks for leaks), and
# is nobody's child any more when its parent went first.
until_gone() {
	local pid end=$((SECONDS + LIMIT))
	for pid; do
		while ((SECONDS < end)) && [[ -n $(ps -o stat= -p "$pid" | grep -v Z) ]]; do
			sleep 0.02
		done
	done
}

end_universe() {
	local status=0 left log begun
	cd / || true
	[[ -n ${PLEACH_RUNTIME_DIR:-} ]] || return 0
	local pid
	# shellcheck disable=SC2086 # numbers
	begun=$(family ${BACKGROUND:-})
	for pid in ${BACKGROUND:-}; do
		kill -TERM "$pid" 2>/dev/null || true
	done
	for pid in ${BACKGROUND:-}; do
		wait "$pid" 2>/dev/null || true
	done
	# shellcheck disable=SC2086 # numbers
	until_gone $begun
	for repo in "$BATS_TEST_TMPDIR"/*/.git "$BATS_TEST_TMPDIR"/*.git; do
		[[ -e $repo/pleach/id ]] || continue
		timeout --foreground -k 5 "$LIMIT" pleach -C "${repo%/.git}" down --now >"$BATS_TEST_TMPDIR/down.log" 2>&1 || {
			echo "down --now: exit $?: $(cat "$BATS_TEST_TMPDIR/down.log")"
			status=1
		}
	done
	left=$(survivors)
	if [[ -n $left ]]; then
		echo "survivors after down --now:"
		for pid in $left; do
			ps -o pid=,ppid=,stat=,args= -p "$pid" || true
			kill -KILL "$pid" 2>/dev/null || true
		done
		status=1
	fi
	for log in "$BATS_TEST_TMPDIR"/sanitizer.*; do
		# One that was killed while it looked for leaks leaves a line, and no report.
		grep -qv "==Unable to get registers from thread [0-9]*\.$" "$log" || continue
		echo "--- $log"
		head -n 60 "$log"
		status=1
	done
	if [[ -z ${BATS_TEST_COMPLETED:-} || $status != 0 ]]; then
		for log in "$XDG_STATE_HOME"/pleach/*/coordinator.log "$PLEACH_RUNTIME_DIR"/*/*.log; do
			[[ -s $log ]] && { echo "--- $log"; tail -n 60 "$log"; }
		done
		echo "--- store"
		timeout 5 pleach -C "$REPO" --json task list 2>/dev/null | head -c 4000 || true
		timeout 5 pleach -C "$REPO" down --now >/dev/null 2>&1 || true
	fi
	rm -rf "$PLEACH_RUNTIME_DIR"
	return $status
}

# --- plans ---

# plan: writes pleach.yaml from stdin, behind an agent `sh` that runs the prompt as a script.
plan() {
	{
		printf 'name: p\nagents:\n  sh: {command: [sh, "{prompt_file}"], mode: exec}\n'
		printf 'defaults: {agent: sh}\n'
		cat
	} >pleach.yaml
}

# raw_plan: writes pleach.yaml from stdin as it is.
raw_plan() {
	cat >pleach.yaml
}

# --- running ---

# Every command under a limit; -k because a hanging one must not hang the suite.
pleach() {
	timeout --foreground -k 5 "$LIMIT" "$PLEACH_BUILD/pleach" "$@"
}

# expect STATUS COMMAND…: its output goes on to stdout; a wrong status fails with both streams.
expect() {
	local want=$1 got=0
	shift
	"$@" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" || got=$?
	if [[ $got != "$want" ]]; then
		echo "exit $got, not $want: $*" >&2
		echo "stdout: $(tail -n 20 "$BATS_TEST_TMPDIR/out")" >&2
		echo "stderr: $(tail -n 20 "$BATS_TEST_TMPDIR/err")" >&2
		return 1
	fi
	cat "$BATS_TEST_TMPDIR/out"
}

# What the last `expect` printed on stderr.
stderr() {
	cat "$BATS_TEST_TMPDIR/err"
}

# is EXPECTED ACTUAL
is() {
	if [[ $1 != "$2" ]]; then
		printf 'expected: %s\n     got: %s\n' "$1" "$2" >&2
		return 1
	fi
}

# has TEXT NEEDLE / lacks TEXT NEEDLE
has() {
	[[ $1 == *"$2"* ]] || {
		printf 'not found: %s\nin: %s\n' "$2" "$1" >&2
		return 1
	}
}
lacks() {
	[[ $1 != *"$2"* ]] || {
		printf 'found: %s\nin: %s\n' "$2" "$1" >&2
		return 1
	}
}

# task KEY FILTER: a field of a task
task() {
	local shown
	shown=$(pleach --json task show "$1") || return
	jq -rc "$2" <<<"$shown"
}

# holds JSON FILTER: the filter gives true (no value at all is not true)
holds() {
	[[ $(jq -c "$2" <<<"$1" 2>&1 | tail -n 1) == true ]] || {
		printf 'does not hold: %s\nin: %s\n' "$2" "$1" >&2
		return 1
	}
}

# --- waiting ---

# wait_event FILTER [SINCE]: the first event that the jq filter is true of
wait_event() {
	local fd pid line
	exec {fd}< <(exec timeout --foreground -k 1 "$LIMIT" "$PLEACH_BUILD/pleach" --json events --since "${2:-0}" -f)
	pid=$!
	line=$(jq -nc "first(inputs | select($1))" <&"$fd") || true
	kill "$pid" 2>/dev/null || true
	exec {fd}<&-
	wait "$pid" 2>/dev/null || true # or it would be a survivor where this is a test's last word
	[[ -n $line ]] || {
		echo "no such event within $LIMIT s: $1" >&2
		return 1
	}
	printf '%s\n' "$line"
}

# eventually COMMAND…: for what has no event (a screen, a file): asked again until it is true
eventually() {
	local end=$((SECONDS + LIMIT))
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || {
			echo "not within $LIMIT s: $*" >&2
			"$@"
			return 1
		}
		sleep 0.02
	done
}

last_seq() {
	pleach --json events | jq -s 'map(.seq) | max // 0'
}

# gate NAME: makes a fifo; an agent waits with `read x <"$W/NAME"`
gate() {
	mkfifo "$W/$1"
}

# open_gate NAME [TEXT]: lets one reader through; blocks until it is there
open_gate() {
	timeout "$LIMIT" sh -c 'printf "%s\n" "$2" >"$1"' sh "$W/$1" "${2:-go}"
}

# background COMMAND…: leaves its pid in $BG; ended by teardown if it still runs
background() {
	[[ $1 != pleach ]] || set -- "$PLEACH_BUILD/$@"
	"$@" >"$BATS_TEST_TMPDIR/bg.out" 2>"$BATS_TEST_TMPDIR/bg.err" 3>&- 4>&- &
	BG=$!
	BACKGROUND="${BACKGROUND:-} $BG"
}

# on_terminal COMMAND: in the background, on a pseudo-terminal; what is written to $KEYS is typed,
# and $W/typescript shows what came. A view is left by its key (leave_view), never to teardown: a
# terminal that goes sends SIGCONT, and a process that just looks for leaks then waits for good for
# the stop that this took back (`timeout` without --foreground sends it too).
on_terminal() {
	rm -f "$W/keys" && mkfifo "$W/keys"
	script -qefc "$1" "$W/typescript" <"$W/keys" >/dev/null 2>&1 3>&- 4>&- &
	BG=$!
	BACKGROUND="${BACKGROUND:-} $BG"
	exec {KEYS}<>"$W/keys"
}

# leave_view [KEY]: types the key that detaches (C-q) until the view has it; its exit status in $STATUS
leave_view() {
	gone() {
		printf '%b' "$1" >&"$KEYS"
		! kill -0 "$BG"
	}
	eventually gone "${1:-\\021}"
	finished "$BG"
	exec {KEYS}>&-
}

# finished PID: its exit status, in $STATUS
finished() {
	STATUS=0
	wait "$1" || STATUS=$?
}

# is_pid TEXT: nobody of an empty name could be found alive
is_pid() {
	[[ $1 =~ ^[1-9][0-9]*$ ]] || {
		echo "no pid: '$1'" >&2
		return 1
	}
}

# A process that has ended is gone, though nobody may have reaped it yet.
is_gone() {
	local stat
	is_pid "$1" || return 2
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
	[[ $stat == *") Z "* || $stat == *") X "* ]]
}

# is_alive PID: `! is_gone` could not fail a test, for `set -e` does not see it
is_alive() {
	is_pid "$1" || return 1
	if is_gone "$1"; then
		echo "process $1 is gone" >&2
		return 1
	fi
}

# process_gone PID: waits for its end
process_gone() {
	local end=$((SECONDS + LIMIT))
	is_pid "$1" || return 1
	until is_gone "$1"; do
		((SECONDS < end)) || {
			echo "process $1 did not end within $LIMIT s" >&2
			return 1
		}
		sleep 0.02
	done
}

# A process is its pid and its start time.
start_time() {
	sed 's/.*) //' "/proc/$1/stat" | cut -d' ' -f20
}

serving_pid() {
	pleach --json status | jq .coordinator.pid
}

tmux_socket() {
	pleach --json status | jq -r .coordinator.tmux
}

# every teammate has a pane
panes_open() {
	pleach --json team list | jq -e '.teammates | length > 0 and all(.[]; .pane != null)' >/dev/null
}

team() {
	pleach --json team list | jq -c "$1"
}
