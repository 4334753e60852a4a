#!/usr/bin/env python3
"""Poison and storms: what dies again and again is given up or waited for, and never started in a
loop.

Three proofs, each in a universe of its own (world.py): tasks that kill their worker every time;
workers that cannot start; a coordinator that is killed as soon as it serves.
"""
import argparse
import os
import shutil
import sys
import threading
import time

from evidence import read_witness
from world import LIMIT, check, eventually, run, stat_fields

WORKER_PAUSE_MS = 100  # the first one; doubles (coordinator/team/team.h)
SERVING_PAUSE_MS = 10  # the second one, for the first is none; doubles to a second
SERVING_STABLE = 0.9  # seconds; one that lived for a second makes the supervisor forget its pause
STARTS = 6


def witness_plan(world, tasks, **more):
    world.plan(name="p", defaults={"agent": "witness", "slot": "none"}, tasks=tasks, agents={
        "witness": {"command": [world.build + "/witness", world.meet + "/log", "{prompt_file}"]}},
        **more)


def poison(world, options):
    """Every third task kills its worker, always; each is given up the third time, and alone."""
    keys = [f"t{i}" for i in range(options.tasks)]
    bad = set(keys[::3])
    witness_plan(world, [{"id": key, "prompt": "killworker:1000" if key in bad else "sleep:1"}
                         for key in keys], team=4)
    world.pleach("run", "--headless", want=1, limit=options.tasks * 10)
    starts = [line.key for line in read_witness(world.meet + "/log") if line.what == "start"]
    for row in world.json("task", "list")["tasks"]:
        code = (row["error"] or {}).get("code")
        wanted = ("failed", "poison", 3) if row["key"] in bad else ("completed", None, 1)
        check((row["status"], code, starts.count(row["key"])) == wanted,
              f"{row['key']}: {row['status']} {code} after {starts.count(row['key'])} starts")
    print(f"poison: {len(bad)} of {len(keys)} tasks killed their worker, each 3 times, and failed;"
          f" {len(keys) - len(bad)} completed, each started once")


def doubling(times, first_ms, what):
    """The pauses between these starts are at least what they must be."""
    gaps = [(b - a) * 1000 for a, b in zip(times, times[1:])]
    for i, gap in enumerate(gaps):
        check(gap >= first_ms * 2 ** i * 0.9, f"{what}: start {i + 2} came after {gap:.0f} ms")
    return ", ".join(f"{gap:.0f}" for gap in gaps)


def cannot_start(world, _options):
    """A worker that ends at once is started less and less often; mended, it works."""
    # When it was forked, not when it comes to say so: a busy machine may let it wait for that.
    good = world.shadow("pleach-worker", 'read -r line <"/proc/$$/stat"\nset -- ${line##*) }\n'
                        'shift 19\necho "$1" >>"$W/starts"\nexit 1\n')
    witness_plan(world, [{"id": "a", "prompt": "sleep:1"}], team=1)
    world.pleach("run", "--headless", "--detach")

    def starts():
        try:
            with open(world.meet + "/starts") as file:
                return [int(line) / os.sysconf("SC_CLK_TCK") for line in file]
        except OSError:
            return []
    eventually("it was tried some times", lambda: len(starts()) >= STARTS)
    gaps = doubling(starts()[:STARTS], WORKER_PAUSE_MS, "worker")
    shutil.copy(good + "/pleach-worker", world.build + "/new")
    os.rename(world.build + "/new", world.build + "/pleach-worker")
    world.pleach("wait", "a")
    check(world.json("task", "show", "a")["attempts"] == 1, "a worker that never was cost an attempt")
    print(f"a worker that cannot start: {STARTS} starts with pauses of {gaps} ms; then it worked")


def started(pid):
    """Seconds since the machine's start."""
    return int(stat_fields(pid)[19]) / os.sysconf("SC_CLK_TCK")


def serving_dies(world, _options):
    """Whatever is asked is answered as soon as one lives; between the deaths the pauses double."""
    witness_plan(world, [{"id": "a", "prompt": f"until:{world.meet}/go"}], team=1)
    world.pleach("run", "--headless", "--detach")
    waiting = threading.Thread(target=world.pleach, args=("wait", "a"))
    waiting.start()
    times, old, end = [], None, time.monotonic() + 2 * LIMIT
    while len(times) < STARTS + 2:
        check(time.monotonic() < end, f"not killed {STARTS + 2} times, each within a second of its start")
        rpc = world.connect()
        if rpc.hello["pid"] != old:
            old = rpc.hello["pid"]
            begun, now = started(old), time.monotonic()
            world.kill(old)
            eventually(f"{old} is reaped", lambda: stat_fields(old) is None)
            if time.clock_gettime(time.CLOCK_BOOTTIME) - begun > SERVING_STABLE:
                times.clear()  # the machine was too busy: the pauses begin anew
            times.append(now)
        rpc.close()
    gaps = doubling(times[2:], SERVING_PAUSE_MS, "serving")
    with open(world.meet + "/go", "w"):
        pass
    waiting.join()
    row = world.json("task", "show", "a")
    check((row["status"], row["attempts"]) == ("completed", 1), f"a: {row['status']}")
    print(f"a coordinator that is killed as soon as it serves: {len(times)} starts, the last ones"
          f" after {gaps} ms; its one attempt went on")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--tasks", type=int, default=9)
    options = parser.parse_args()
    results = [run(test, options.build, options) for test in (poison, cannot_start, serving_dies)]
    return 1 if any(results) else 0


if __name__ == "__main__":
    sys.exit(main())
