# On the way down nobody is answered in git's place: what git was not asked, or was killed over, goes on
# with the next start as after a death.
load helper

# hanging_git VERB [STEPS [ARGS]]: from here on a git that, while $W/slow is there, does not come back
# to `pleach-git VERB` (when called with what matches ARGS; having done STEPS). $W/hangs: it hangs.
hanging_git() {
	real=$(command -v git)
	mkdir "$W/bin"
	cat >"$W/bin/git" <<-G
	#!/bin/bash
	if [[ -e $W/slow && " \$*" =~ ${3:-.} ]] && tr '\0' ' ' </proc/\$PPID/cmdline | grep -q 'pleach-git $1 '; then
		${2:+${2//@real@/$real} ;} : >"$W/hangs"
		sleep 3600
	fi
	exec "$real" "\$@"
	G
	chmod +x "$W/bin/git"
	PATH=$W/bin:$PATH
}

hangs() { [[ -e $W/hangs ]]; }

@test "down while bases are merged: the tasks stay pending" {
	plan <<-Y
	tasks:
	  - {id: a, prompt: 'echo a >fa'}
	  - {id: b, prompt: 'echo b >fb'}
	$(for i in {1..12}; do echo "  - {id: c$i, blocked_by: [a, b], prompt: 'cat fa fb >f$i'}"; done)
	Y
	hanging_git base
	: >"$W/slow"
	expect 0 pleach run --team 2 --headless --detach >/dev/null
	eventually hangs
	expect 0 pleach down >/dev/null
	is "" "$(survivors)"
	rm "$W/slow"
	is '{"completed":2,"pending":12}' "$(pleach --json task list | jq -c '[.tasks[].status] | group_by(.) | map({(.[0]): length}) | add')"
	expect 0 pleach run --team 2 --headless >/dev/null
	is '["completed"]' "$(pleach --json task list | jq -c '[.tasks[].status] | unique')"
}

# undo_cut STEPS: an undo whose git hangs where the target moves (having done this), then down
undo_cut() {
	plan <<-'Y'
	tasks: [{id: a, prompt: 'echo a >fa'}]
	Y
	hanging_git back "$1" update-ref
	expect 0 pleach run --headless >/dev/null
	expect 0 pleach merge a >/dev/null
	before=$(git rev-parse HEAD~)
	: >"$W/slow"
	background pleach undo
	undo=$BG
	eventually hangs
	expect 0 pleach down >/dev/null
	finished "$undo"
	is "" "$(survivors)"
	rm "$W/slow"
	expect 0 pleach status >/dev/null
	eventually landing_is none
	is "$before" "$(git rev-parse main)"
	is "?? pleach.yaml" "$(git status --porcelain)"
	expect 0 pleach merge a >/dev/null
	is a "$(cat fa)"
}

landing_is() { [[ $(task a .landing.state) == "$1" ]]; }

@test "down while an undo is under way, the target moved: it is recorded by the next start" {
	undo_cut '@real@ "$@"'
}

@test "down while an undo is under way, the checkout half back: the next start ends it" {
	undo_cut
}

@test "down while the worktrees of a moved repository are repaired: the next start does it" {
	plan <<-'Y'
	tasks: [{id: a, prompt: 'echo a >fa'}]
	Y
	expect 0 pleach run --headless >/dev/null
	expect 0 pleach down --now >/dev/null
	mv "$REPO" "$BATS_TEST_TMPDIR/elsewhere"
	cd "$BATS_TEST_TMPDIR/elsewhere"
	hanging_git repair
	: >"$W/slow"
	expect 0 pleach status >/dev/null
	eventually hangs
	expect 0 pleach down >/dev/null
	rm "$W/slow"
	has "$(expect 0 pleach status)" "the repository was moved here from $REPO"
	repaired() { [[ $(cat "$REPO".pleach/*/.git) == "gitdir: $PWD/.git/worktrees/"* ]]; }
	eventually repaired
	expect 0 pleach merge a >/dev/null
}

@test "a coordinator that is told to end does so, idle or at work" {
	expect 0 pleach up --team 1 --headless >/dev/null
	kill -TERM "$(serving_pid)"
	nobody() { [[ -z $(survivors) ]]; }
	eventually nobody
	gate go
	plan <<-'Y'
	tasks: [{id: a, prompt: 'read x <"$W/go"'}]
	Y
	expect 0 pleach run --headless --detach >/dev/null
	wait_event '.kind == "attempt.started"' >/dev/null
	kill -TERM "$(serving_pid)"
	eventually nobody
	is "" "$(grep -h "Segmentation\|signal 11" "$XDG_STATE_HOME"/pleach/*/coordinator.log)"
}
