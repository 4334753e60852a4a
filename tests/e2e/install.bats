# tests/agents/install on a machine without npm: nothing of the network is needed to know what it does.
load helper

# machine PROGRAM…: a PATH of these and of what any Debian has; apt-get brings an npm that makes what
# it is asked for, and each writes what it was told to $W/told.
machine() {
	local name
	mkdir "$W/bin"
	for name in bash sh env cat cut date find flock id ln mkdir mktemp mv rm sha256sum touch tr uname "$@"; do
		ln -s "$(type -P "$name")" "$W/bin/$name"
	done
	cat >"$W/npm" <<-'S'
	#!/bin/sh
	echo "npm $*" >>"$W/told"
	while [ "$1" != --prefix ]; do shift; done
	mkdir -p "$2/node_modules/.bin" && touch "$2/node_modules/.bin/pi"
	case "$*" in *node-linux-*) mkdir -p "$(echo "$2"/node_modules/node-linux-$ARCH/bin)" && touch "$2/node_modules/node-linux-$ARCH/bin/node" ;; esac
	S
	cat >"$W/bin/apt-get" <<-'S'
	#!/bin/sh
	echo "apt-get $*" >>"$W/told"
	[ "$1" != install ] || { [ ! -e "$W/refuse" ] && cp "$W/npm" "$W/bin/npm"; }
	S
	ln -s "$(type -P cp)" "$W/bin/cp"
	printf '#!/bin/sh\nexec "$@"\n' >"$W/bin/sudo"
	chmod +x "$W/npm" "$W/bin/apt-get" "$W/bin/sudo"
	case $(uname -m) in aarch64) export ARCH=arm64 ;; *) export ARCH=x64 ;; esac
}

@test "the agents of the tests are installed where there is no npm: it is brought first, node with it, and both once" {
	local install=$BATS_TEST_DIRNAME/../agents/install dir
	machine
	# Where npm cannot be had, nothing counts as installed.
	touch "$W/refuse"
	expect 1 env PATH="$W/bin" "$install" >/dev/null
	expect 1 env PATH="$W/bin" "$install" --where >/dev/null
	rm "$W/refuse" "$W/told"
	dir=$(PATH="$W/bin" expect 0 "$install")
	is "apt-get update|apt-get install -y --no-install-recommends npm" "$(head -n 2 "$W/told" | paste -sd '|')"
	has "$(sed -n 3p "$W/told")" "node-linux-$ARCH@" # there is none here
	[[ -L $dir/pi && -e $dir/pi && -e $dir/node ]]
	is "$dir" "$(PATH="$W/bin" expect 0 "$install" --where)"
	is "$dir" "$(PATH="$W/bin" expect 0 "$install")"
	is 3 "$(grep -c . "$W/told")"
}
