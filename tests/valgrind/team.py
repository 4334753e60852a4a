#!/usr/bin/env python3
"""A team at work with all of its programs under valgrind: from run to merge, and down.

Owns making the folder of programs that start under valgrind and reading what it reported. The
agents, git and tmux run as they are.
"""
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "crash"))
from world import check, run  # noqa: E402

SLOW = 300  # seconds that a command may take


def programs(build, to):
    os.makedirs(to, exist_ok=True)
    for name in os.listdir(to):
        os.unlink(f"{to}/{name}")
    with open(to + "/pleach", "w") as file:
        file.write(f"#!/bin/sh\nLD_PRELOAD={build}/tests/valgrind/valgrind_pidfd.so exec valgrind -q "
                   "--trace-children=yes --trace-children-skip='*/git,*/tmux,*/sh,*/env,*/python3*' "
                   f"--log-file={to}/report.%p {build}/pleach \"$@\"\n")
    os.chmod(to + "/pleach", 0o755)


def test(world, to):
    world.plan(name="p", agents={"a": {"command": ["sh", "-c", "echo x >>$PLEACH_KEY"]},
                                 "tty": {"command": ["sh", "-c", "read x; echo $x >tty"], "mode": "tui", "prompt": "type"}},
               defaults={"agent": "a"}, team=2,
               tasks=[{"id": "one", "prompt": "x", "verify": "true"}, {"id": "two", "prompt": "y", "blocked_by": ["one"]},
                      {"id": "three", "prompt": "z", "agent": "tty"}, {"id": "four", "prompt": "z", "alternatives": 2},
                      {"id": "five", "prompt": "z", "verify": "false"}])
    world.pleach("run", "--headless", want=None, limit=SLOW)
    for line in ("status", "task list", "task show one", "compare four", "pick four.1", "merge --all", "logs three",
                 "diff one", "retry five", "wait five", "events", "gc", "team list"):
        world.pleach(*line.split(), want=None, limit=SLOW)
    world.pleach("down", limit=SLOW)
    reports = [name for name in os.listdir(to) if name.startswith("report.")]
    check(len(reports) >= 20, f"only {len(reports)} processes were watched")
    for name in reports:
        with open(f"{to}/{name}") as file:
            said = file.read()
        check(not said, f"{name}: {said[:3000]}")
    print(f"{len(reports)} processes of ours under valgrind: no report")


if __name__ == "__main__":
    folder = os.path.realpath(sys.argv[1]) + "/valgrind"
    programs(os.path.realpath(sys.argv[1]), folder)
    sys.exit(run(test, folder, folder))
