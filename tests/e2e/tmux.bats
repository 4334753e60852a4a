# Panes: what a person sees and types.
load helper

tm() {
	tmux -N -S "$SOCKET" "$@"
}

pane_of() {
	team ".teammates[] | select(.name == \"$1\") | .pane" | jq -r .
}

screen_has() { # PANE TEXT
	[[ $(tm capture-pane -p -t "$1") == *"$2"* ]]
}

border_is() { # PANE TEXT
	[[ $(tm display-message -p -t "$1" '#{E:pane-border-format}') == *"$2"* ]]
}

# A program with a screen of its own, on the terminal.
tui_plan() {
	cat >"$W/tui.sh" <<-'S'
	printf 'ready %s\n' "$PLEACH_KEY"
	while IFS= read -r line; do
		printf 'got<%s>\n' "$line"
		[ "$line" != quit ] || exit 0
	done
	S
	raw_plan <<-Y
	name: p
	agents: {tui: {command: [sh, "$W/tui.sh"], mode: tui}}
	team: ${1:-1}
	tasks:
	  - {id: parser, agent: tui, prompt: 'hello prompt'}
	Y
	expect 0 pleach run --detach >/dev/null
	wait_event '.kind == "attempt.started"' >/dev/null
	eventually panes_open
	SOCKET=$(tmux_socket)
	NAME=$(task parser .owner)
	PANE=$(pane_of "$NAME")
}

@test "a pane shows its teammate's terminal and says teammate, task and state" {
	tui_plan
	eventually screen_has "$PANE" "ready parser"
	eventually border_is "$PANE" "$NAME · parser · working"
	has "$(tm list-windows -a -F '#{window_name}')" "$NAME"
	is team "$(tm list-sessions -F '#{session_name}')"
	expect 0 pleach send parser quit >/dev/null
	expect 0 pleach task wait parser >/dev/null
	eventually border_is "$PANE" "$NAME · idle"
}

@test "send types into a tui at once; keys in the pane reach it too" {
	tui_plan
	eventually screen_has "$PANE" "ready parser"
	expect 0 pleach send parser 'a b; #(x) "q"' >/dev/null
	eventually screen_has "$PANE" 'got<a b; #(x) "q">'
	tm send-keys -t "$PANE" 'typed' Enter
	eventually screen_has "$PANE" 'got<typed>'
	expect 0 pleach send "$NAME" quit >/dev/null
	expect 0 pleach task wait parser >/dev/null
	has "$(pleach logs parser)" 'got<typed>'
}

@test "a killed pane, a killed window and a killed session come back" {
	tui_plan 2
	eventually screen_has "$PANE" "ready parser"
	tm kill-pane -t "$PANE"
	moved() { local p; p=$(pane_of "$NAME"); [[ $p == %* && $p != "$PANE" ]]; }
	eventually moved
	PANE=$(pane_of "$NAME")
	eventually screen_has "$PANE" "ready parser"
	tm kill-session -t =team
	back() { tm list-panes -a -F '#{@pleach-teammate}' | sort | xargs | grep -q "$(team '[.teammates[].name] | sort | join(" ")' | jq -r .)"; }
	eventually back
	eventually panes_open
	is in_progress "$(task parser .status)"
	is 1 "$(task parser .attempts)"
	expect 0 pleach send parser quit >/dev/null
	expect 0 pleach task wait parser >/dev/null
}

@test "panes are not doubled when the coordinator restarts" {
	tui_plan 3
	before=$(tm list-panes -a -F '#{pane_id} #{pane_pid}' | sort)
	is 3 "$(wc -l <<<"$before")"
	old=$(serving_pid)
	kill -KILL "$old"
	process_gone "$old"
	expect 0 pleach status >/dev/null
	eventually panes_open
	is "$before" "$(tm list-panes -a -F '#{pane_id} #{pane_pid}' | sort)"
	expect 0 pleach send parser quit >/dev/null
	expect 0 pleach task wait parser >/dev/null
}

@test "at most six panes a window; a team's size is its panes" {
	expect 0 pleach up --team 8 >/dev/null
	eventually panes_open
	SOCKET=$(tmux_socket)
	eight() { [[ $(tm list-panes -a | wc -l) == 8 ]]; }
	eventually eight
	tm list-windows -a -F '#{window_panes}' | while read -r n; do ((n <= 6)); done
	expect 0 pleach team remove "$(team '.teammates[0].name' | jq -r .)" >/dev/null
	seven() { [[ $(tm list-panes -a | wc -l) == 7 ]]; }
	eventually seven
}

@test "--headless has no tmux server; a view can be attached all the same" {
	gate go
	plan <<-'Y'
	tasks: [{id: a, prompt: 'echo seen-by-people; read x <"$W/go"'}]
	Y
	expect 0 pleach run --headless --detach >/dev/null
	wait_event '.kind == "attempt.started"' >/dev/null
	holds "$(pleach --json status)" '.coordinator.tmux == null'
	holds "$(pleach --json team list)" 'all(.teammates[]; .pane == null)'
	on_terminal "pleach attach a"
	eventually grep -q seen-by-people "$W/typescript"
	leave_view
	is 0 "$STATUS"
	is in_progress "$(task a .status)"
	open_gate go
	expect 0 pleach task wait a >/dev/null
}

@test "attach types into the teammate's terminal; --read-only does not" {
	tui_plan
	attach() { # KEYS OPTION…
		local typed=$1
		shift
		on_terminal "pleach attach parser $*"
		eventually grep -q "ready parser" "$W/typescript"
		printf '%s\r' "$typed" >&"$KEYS"
	}
	attach "watching" --read-only
	leave_view
	attach "by-hand"
	eventually grep -q 'got<by-hand>' "$W/typescript"
	lacks "$(cat "$W/typescript")" 'got<watching>'
	leave_view
	expect 0 pleach send parser quit >/dev/null
	expect 0 pleach task wait parser >/dev/null
}

@test "M-1…9 in an attached view go to another teammate's screen" {
	raw_plan <<-'Y'
	team: 2
	agents: {talk: {mode: tui, command: [sh, -c, 'echo "I am $PLEACH_KEY"; while read x; do echo "got<$PLEACH_KEY $x>"; [ "$x" = quit ] && exit; done']}}
	defaults: {agent: talk}
	tasks: [{id: first, prompt: x}, {id: second, prompt: x}]
	Y
	expect 0 pleach run --headless --detach >/dev/null
	both_work() {
		holds "$(pleach --json team list)" '[.teammates[] | select(.state == "working")] | length == 2'
	}
	eventually both_work
	on_terminal "pleach attach first"
	eventually grep -q "I am first" "$W/typescript"
	place=$(pleach --json team list | jq '[.teammates[].key] | index("second") + 1')
	printf '\033%s' "$place" >&"$KEYS"
	eventually grep -q "I am second" "$W/typescript"
	printf 'hello\r' >&"$KEYS"
	eventually grep -q 'got<second hello>' "$W/typescript"
	leave_view
	lacks "$(cat "$W/typescript")" 'got<first'
	expect 0 pleach send --all quit >/dev/null
	expect 0 pleach task wait first second >/dev/null
}

@test "keys: of a plan go to attach and to tmux; the old ones type again" {
	raw_plan <<-'Y'
	keys: {detach: F12, next: C-n, zoom: none, teammate: none}
	agents: {talk: {mode: tui, command: [sh, -c, 'stty -ixon; echo "I am $PLEACH_KEY"; while read x; do printf "got<%s>\n" "$x" | cat -v; [ "$x" = quit ] && exit; done']}}
	tasks: [{id: a, agent: talk, prompt: x}]
	Y
	expect 0 pleach run --detach >/dev/null
	SOCKET=$(tmux_socket)
	bound() { tm list-keys -T root | grep -q "$@"; }
	eventually bound 'F12 *detach-client'
	eventually bound 'C-n *display-message'
	lacks "$(tm list-keys -T root)" 'root M-z'
	lacks "$(tm list-keys -T root)" 'root M-1'
	on_terminal "pleach attach a"
	eventually grep -q "I am a" "$W/typescript"
	printf '\033n\0331\r' >&"$KEYS"
	eventually grep -qF 'got<^[n^[1>' "$W/typescript"
	leave_view '\033[24~' # F12
	is 0 "$STATUS"
	# Said anew, exchanged: neither takes the other's away.
	printf 'keys: {detach: C-n, next: F12}\n' >pleach.yaml
	expect 0 pleach up --team 1 >/dev/null
	eventually bound 'C-n *detach-client'
	eventually bound 'F12 *display-message'
	eventually bound 'M-z *resize-pane'
	eventually bound 'M-1 '
	expect 0 pleach send a quit >/dev/null
	expect 0 pleach task wait a >/dev/null
}

@test "needs_input turns the border yellow and the list knows" {
	plan <<-'Y'
	tasks: [{id: a, prompt: 'pleach ask "why?"'}]
	Y
	expect 3 pleach run >/dev/null
	SOCKET=$(tmux_socket)
	PANE=$(pane_of "$(task a .owner)")
	eventually border_is "$PANE" "a · needs_input"
	has "$(tm display-message -p -t "$PANE" '#{E:pane-border-style}')" yellow
	is needs_input "$(team '.teammates[] | select(.key == "a") | .state' | jq -r .)"
	expect 0 pleach answer a because >/dev/null
	expect 0 pleach task wait a >/dev/null
}

# end_other NAME: a tmux server of the test's own, with what runs in it: nothing of it survives
end_other() {
	local pid pids
	pids=$(tmux -L "$1" list-panes -a -F '#{pid} #{pane_pid}')
	tmux -L "$1" kill-server
	for pid in $pids; do process_gone "$pid"; done
}

@test "down ends the private tmux server and no other" {
	tmux -L "other-$$" -f /dev/null new-session -d -s mine cat
	other=$(tmux -L "other-$$" display-message -p '#{pid}')
	expect 0 pleach up --team 2 >/dev/null
	eventually panes_open
	SOCKET=$(tmux_socket)
	server=$(tm display-message -p '#{pid}')
	expect 0 pleach down --now >/dev/null
	is_gone "$server"
	[[ ! -S $SOCKET ]]
	kill -0 "$other"
	end_other "other-$$"
}

@test "inside tmux: nothing of ours ends up in the user's server" {
	tmux -L "user-$$" -f /dev/null new-session -d -s mine cat
	export TMUX
	TMUX="$(tmux -L "user-$$" display-message -p '#{socket_path},#{pid},0')"
	plan <<-'Y'
	tasks: [{id: a, prompt: 'echo "[$TMUX]" >"$W/tmux"'}]
	Y
	expect 0 pleach run >/dev/null
	is "[]" "$(cat "$W/tmux")"
	is 1 "$(tmux -L "user-$$" list-panes -a | wc -l)"
	end_other "user-$$"
}
