# The reserve of disk: below it nothing starts, and it is said.

load helper

@test "below the reserve of disk nothing starts, and status and run say why" {
	export PLEACH_DISK_RESERVE=9000000000000000000
	plan <<-'EOF'
		tasks:
		  - id: a
		    prompt: echo ran >"$W/ran"
	EOF
	expect 0 pleach run --headless --detach
	has "$(stderr)" "nothing starts: "
	has "$(stderr)" "less than the reserve of "
	wait_event '.kind == "disk.changed" and .data.low'
	is pending "$(task a .status)"
	has "$(pleach status)" "nothing starts: "
	holds "$(pleach --json status)" '.coordinator.disk | startswith("nothing starts: ")'
	[[ ! -e $W/ran ]]
	# The work is stored: without the reserve it is done.
	pleach down --now
	unset PLEACH_DISK_RESERVE
	expect 0 pleach run --headless
	[[ -e $W/ran ]]
	holds "$(pleach --json status)" '.coordinator.disk == null'
}

@test "a plan without anything to do is not held up by the reserve" {
	export PLEACH_DISK_RESERVE=0
	plan <<-'EOF'
		tasks:
		  - id: a
		    prompt: "true"
	EOF
	expect 0 pleach run --headless
	lacks "$(stderr)" "nothing starts"
}
