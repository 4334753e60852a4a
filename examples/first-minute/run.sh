#!/bin/bash
# pleach in a repository that knows nothing of it: no plan, no configuration. The first agent that is
# installed gets the task, the first test command that is found proves the result.
#   run.sh [PLEACH]     PLEACH: the program, default build/pleach of this checkout
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=${1:-$here/../../build/pleach}
parent=$(mktemp -d "${TMPDIR:-/tmp}/pleach-first-XXXXXX")
repo=$parent/greeter
cp -R "$here/repository" "$repo"
cd "$repo"
git init -q -b main
git add -A
git -c user.name=You -c user.email=you@localhost -c commit.gpgSign=false commit -q -m "Start"
PATH=$here/bin:$PATH # a stand-in named codex

pleach() {
	"$program" "$@"
}

say() {
	printf '\n$ %s\n' "$*"
	"$@" </dev/null
}

say make test || true
say pleach try "greet.sh without a name must greet everybody"
say pleach diff greet-sh-without-a-name --stat || true
say pleach merge --all
say make test
say pleach down
echo "repository: $repo"
