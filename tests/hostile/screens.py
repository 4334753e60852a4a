#!/usr/bin/env python3
"""Hostile bytes that are in the store, the repository and the agents' output already: whatever a
person looks at them with, on a terminal and in a pipe, shows text and our own colours.

Owns the list of what people type. Each runs on a pseudo-terminal and in a pipe; what arrived is
judged byte by byte (terminal.py).
"""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), "crash"), HERE]
from payloads import BYTES, TEXTS  # noqa: E402
from terminal import on_terminal, raw_in  # noqa: E402
from world import LIMIT, Failure, check, eventually, run  # noqa: E402

ODD = "".join(text for name, text in TEXTS.items() if name != "nul")
# What stays as it is in a pipe: bytes that another program takes.
RAW_IN_PIPE = ("diff", "logs", "open", "path")


def plan(world):
    agent = {"command": ["python3", HERE + "/agent.py"]}
    os.mkdir(world.dir + "/bin")  # whose JSON lines are read is known by its name
    with open(world.dir + "/bin/claude", "w") as file:
        file.write(f"#!/bin/sh\nexec python3 {HERE}/agent.py\n")
    os.chmod(world.dir + "/bin/claude", 0o755)
    world.env["PATH"] = f"{world.dir}/bin:{world.env['PATH']}"
    hostile = {name: text for name, text in TEXTS.items() if name != "nul"}
    tasks = [
        {"id": "printer", "prompt": "print\n" + ODD, "metadata": hostile},
        {"id": "namer", "prompt": "names\n" + ODD, "verify": f"cat {HERE}/payloads.py; printf '{RED}'"},
        {"id": "failer", "prompt": "fail\n" + ODD},
        {"id": "liar", "prompt": "names\n", "verify": f"printf '{RED}'; exit 1"},
        {"id": "talker", "prompt": "json\n" + ODD, "agent": "claude"},
        {"id": "asker", "prompt": "ask\n" + ODD},
        {"id": "pair", "prompt": "names\n" + ODD, "alternatives": 2},
        {"id": "none", "prompt": "print\n", "slot": "none"},
    ]
    world.plan(name="p", agents={"odd": agent},
               defaults={"agent": "odd"}, team=3, tasks=tasks, env={"ODD": ODD})


RED = r"\033[31m\033]52;c;QUJD\007\302\233\342\200\256x\377\n"


def settled(world):
    tasks = world.json("task", "list")["tasks"]
    return tasks and not [t for t in tasks if t["status"] in ("in_progress", "pending") and not t["stuck_by"]
                          and not (t["kind"] == "choice")]


def commands():
    """What people type. (arguments, keys)"""
    plain = ["", "status", "status --line", "task list", "ls", "ps", "team list", "answer", "events", "gc", "doctor",
             "compare pair", "compare pair --diff", "merge --all --dry-run", "logs --coordinator", "task wait printer"]
    for task in ("printer", "namer", "failer", "liar", "talker", "asker", "pair.1", "none"):
        plain += [f"task show {task}", f"logs {task}", f"logs -n 3 {task}", f"path {task}", f"diff {task}",
                  f"diff --stat {task}", f"logs --verify {task}", f"compare {task} printer"]
    plain += ["merge namer --dry-run", "run --dry-run", "pick pair.9"]
    for line in plain:
        yield line.split()
    for payload in BYTES.values():
        odd = os.fsdecode(payload.replace(b"\0", b""))
        yield from (["task", "show", odd], ["logs", odd], ["attach", odd], [odd], ["--" + odd], ["run", odd],
                    ["add", "x", "--agent", odd], ["add", "x", "--key", odd], ["add", "x", "--blocked-by", odd],
                    ["add", "x", "--base", odd, "--agent", "odd"], ["merge", odd], ["merge", "namer", "--into", odd],
                    ["send", odd, odd], ["answer", odd, odd], ["team", "add", odd], ["events", "--since", odd],
                    ["-C", odd, "status"], ["up", "--team", odd], ["retry", odd], ["open", odd, "--", "true"], ["try", "x", "--agent", odd],
                    ["store", "snapshot", "/nonexistent/" + odd], ["diff", odd, odd], ["wait", "--timeout", odd, "x"])


def judge(world, argv, problems):
    program = [world.build + "/pleach", *argv]
    env = {**world.env, "PAGER": "cat"}
    done = subprocess.run(program, cwd=world.repo, env=env, stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=LIMIT)
    found = None
    if not argv or argv[0] not in RAW_IN_PIPE and "--diff" not in argv:
        found = raw_in(done.stdout, ours=False)
    found = found or raw_in(done.stderr, ours=False)
    if found:
        problems.append(f"in a pipe: {argv}: {found}")
    check(done.returncode >= 0, f"{argv}: died of signal {-done.returncode}")
    status, out = on_terminal(program, world.repo, env)
    out = out.replace(b"\r\n", b"\n").replace(b"\r", b"")
    found = raw_in(out)
    if found:
        problems.append(f"on a terminal: {argv}: {found}")
    check(status >= 0, f"{argv}: died of signal {-status} on a terminal")
    status, out = on_terminal([program[0], "--json", *argv], world.repo, env)
    found = raw_in(out.replace(b"\r\n", b"\n"), ours=False)
    if found:
        problems.append(f"--json on a terminal: {argv}: {found}")


def under_valgrind(world, argv):
    """The same command with its memory watched; a coordinator that it would have to start is there."""
    done = subprocess.run(("valgrind", "-q", "--error-exitcode=99", world.build + "/pleach", *argv), cwd=world.repo,
                          env={**world.env, "PAGER": "cat"}, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT)
    check(done.returncode != 99, f"{argv}: {done.stderr[-2000:].decode(errors='replace')}")


def tmux_says(world):
    """Names, titles and borders, as tmux would draw them."""
    socket = world.json("status")["coordinator"]["tmux"]
    if not socket:
        return b""
    return subprocess.run(("tmux", "-S", socket, "list-panes", "-a", "-F",
                           "#{session_name} #{window_name} #{pane_title} #{E:pane-border-format}"),
                          env=world.env, capture_output=True, timeout=LIMIT).stdout


def test(world, valgrind):
    problems = []
    plan(world)
    status, out = on_terminal([world.build + "/pleach", "run"], world.repo, world.env, limit=120)
    check(status in (0, 1, 3), f"run: exit {status}: {out[-400:]!r}")
    found = raw_in(out.replace(b"\r", b""))
    if found:
        problems.append(f"run on a terminal: {found}")
    eventually("all is settled", lambda: settled(world))
    for task in world.json("task", "list")["tasks"]:
        if task["prompt"] and "\n" in task["prompt"] and task["kind"] == "work" and not task["parent"]:
            check(task["prompt"] in ("print\n", "names\n") or ODD in task["prompt"], f"{task['key']}: its prompt changed")
    count = 0
    if valgrind:  # each command in five; what starts programs cannot run there (pidfd_open)
        some = [argv for argv in commands() if argv[:1] not in (["open"], ["diff"], ["doctor"])][::5]
        for argv in some:
            under_valgrind(world, argv)
        print(f"{len(some)} commands under valgrind: no report")
        return
    for argv in commands():
        if argv == ["run", "--dry-run"] or argv[:1] != ["attach"]:
            judge(world, argv, problems)
            count += 1
    names = tmux_says(world)
    check(names.count(b"\n") >= 3, f"no panes to look at: {names!r}")
    if raw_in(names, ours=False):
        problems.append(f"tmux: {raw_in(names, ours=False)}")
    check(not os.path.exists(world.meet + "/pwned"), "a payload was carried out")
    check(not problems, f"{len(problems)} leaks:\n" + "\n".join(problems))
    print(f"{count} commands on a terminal, in a pipe and as JSON: nothing raw, nothing carried out")


if __name__ == "__main__":
    sys.exit(run(test, sys.argv[1], "--valgrind" in sys.argv[2:]))
