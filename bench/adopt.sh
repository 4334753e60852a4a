#!/bin/bash
# How long a repository is without its coordinator: the serving process is killed with 10,000 tasks
# in the store and 20 live workers, until another one answers and has adopted all of them.
#   bench/adopt.sh [KILLS=100]
# Over a second between kills: the supervisor starts a process that lived so long at once.
set -euo pipefail
exec python3 tests/crash/restarts.py --build "${BUILD:-build}" --restarts "${1:-100}" --both 0 \
	--tasks 10000 --slot none --pause-us 20000 --least-ms 1100 --most-ms 1300
