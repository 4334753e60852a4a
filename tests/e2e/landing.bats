# landing: what a proof has of its tasks' environment, and what becomes of one that somebody kills.
load helper

@test "verify has a task's own env when it lands, too" {
	plan <<-'Y'
	merge: auto
	verify: 'test -n "$N" && test -e "$N"'
	tasks:
	  - {id: a, prompt: 'echo a >a', env: {N: a}}
	  - {id: b, prompt: 'echo b >b', env: {N: b}}
	  - {id: c, prompt: 'echo c >c', env: {N: c}}
	Y
	expect 0 pleach run --headless >/dev/null
	is "landed landed landed" "$(pleach --json task list | jq -r '[.tasks[].landing.state] | join(" ")')"
}

@test "what resolves a conflict is verified with the env of whose conflict it is" {
	printf 'git checkout -q --theirs . 2>/dev/null; printf "a\\nb\\n" >same\n' >"$W/merge"
	plan <<-'Y'
	merge: auto
	team: 1
	resolve: mend
	verify: 'test -n "$N" && grep -q "$N" same'
	tasks:
	  - {id: a, prompt: 'echo a >same', env: {N: a}}
	  - {id: b, prompt: 'echo b >same', env: {N: b}}
	Y
	sed -i "s|^agents:\$|agents:\n  mend: {command: [sh, $W/merge], mode: exec}|" pleach.yaml
	expect 0 pleach run --headless >/dev/null
	is "landed landed landed" "$(pleach --json task list | jq -r '[.tasks[].landing.state] | join(" ")')"
	is $'a\nb' "$(git show main:same)"
}

@test "a proof that somebody kills is proven again: nothing of merge: auto stays behind" {
	plan <<-'Y'
	merge: auto
	target: other
	verify: 'test ! -e first || test ! -e second || test -e "$W/again" || { touch "$W/again"; kill -KILL "$PPID"; }'
	tasks:
	  - {id: a, prompt: 'touch first'}
	  - {id: b, prompt: 'touch second'}
	Y
	git branch other
	expect 0 pleach run --headless >/dev/null
	[[ -e $W/again ]]
	is "landed landed" "$(pleach --json task list | jq -r '[.tasks[].landing.state] | join(" ")')"
	git cat-file -e other:first && git cat-file -e other:second
}

@test "what a killed proof left running is ended before its slot is used again" {
	cat >"$W/verify" <<-'S'
	case $PWD in */integration*) ;; *) exit 0 ;; esac
	for pid in $(cat "$W/tries" 2>/dev/null); do
		! grep -qs '^State:.[^ZX]' "/proc/$pid/status" || echo "$pid" >>"$W/beside"
	done
	echo "$$" >>"$W/tries"
	case $(wc -l <"$W/tries") in
	1) kill -KILL "$PPID"; read -r x <"$W/never" ;;
	2) kill -KILL "$PPID"; exec setsid env -i /bin/sh -c 'read -r x <"$1"' sh "$W/never" ;;
	esac
	S
	gate never
	plan <<-'Y'
	merge: {when: auto, ahead: 1}
	verify: '. "$W/verify"'
	tasks:
	  - {id: a, prompt: 'touch first'}
	  - {id: b, prompt: 'touch second'}
	Y
	expect 0 pleach run --headless >/dev/null
	is 3 "$(wc -l <"$W/tries")"
	[[ ! -e $W/beside ]]
	is "landed landed" "$(pleach --json task list | jq -r '[.tasks[].landing.state] | join(" ")')"
}
