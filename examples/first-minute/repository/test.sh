# Both ways of greeting.
failed=0
check() {
	[ "$1" = "$2" ] && return
	echo "want: $2, got: $1"
	failed=1
}
check "$(sh greet.sh Ada)" "Hello, Ada!"
check "$(sh greet.sh)" "Hello, everybody!"
exit $failed
