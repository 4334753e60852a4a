#!/usr/bin/env python3
"""What a task costs, in counts that no machine changes: system calls, syncs, bytes, statements,
instructions. Each has a ceiling; passing it fails, and so does a ceiling that a build which wastes
on purpose does not pass.

Owns counting and the ceilings. A ceiling is what was measured, with headroom for what varies (who
shares a transaction with whom). When a change is worth its cost, raise the ceiling in that commit
and say why; when it made something cheaper, lower it.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import re
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.dirname(HERE) + "/crash")
from world import Failure, check, eventually, run  # noqa: E402

LAYERS, WIDTH = 6, 10
TASKS = LAYERS * WIDTH

# A task of that plan, without a slot, on two teammates: what the coordinator and a worker do for
# it, with its share of the submit and of `pleach run`. An agent that runs for more than 10 ms, as it
# may on a busy machine, costs two messages more: calls and messages have room for them. {what: ceiling}
PER_TASK = {
    "coordinator: syncs": 1.0,
    "coordinator: bytes written": 82000,  # half of it the zeros of a new log's room (store_room.c), if they are made meanwhile
    "coordinator: bytes sent": 2200,
    "coordinator: messages read": 3.6,
    "coordinator: messages sent": 1.4,
    "coordinator: processes": 0.06,
    "coordinator: files opened": 0.3,
    "coordinator: statements": 70,
    "coordinator: calls": 22,
    "worker: processes": 1.05,
    "worker: syncs": 0.02,
    "worker: messages sent": 3.0,
    "worker: files opened": 4.9,
    "worker: calls": 70,
}
# Waiting, threads of nng, the clock: they depend on the machine.
NOT_COUNTED = {"futex", "epoll_wait", "epoll_pwait", "restart_syscall", "gettid", "sched_yield", "rt_sigprocmask",
               "clock_nanosleep", "mkdir"}
PROCESSES = {"clone", "clone3", "vfork", "fork"}
SYNCS = {"fsync", "fdatasync", "sync_file_range", "syncfs"}

INSTRUCTIONS = {
    "pleach version": 215_000,
    "pleach status": 520_000,
    "the store, a task": 370_000,
    "pleach-git, a question": 16_500_000,  # three quarters of it the loading of libgit2's libraries
}
STORE_TASKS = 20

# What costs the same however much has ended: steps of SQLite's machine before and after FINISHED more
# tasks did. A scan of them would be three steps each, at the least; GROWTH is for a plan more to list.
FINISHED = 300
GROWTH = 400
LASTING = (("status",), ("team", "list"), ("task", "show", "warm/w1"), ("wait", "warm/w1"), ("messages",), ("gc",))


def layers():
    return [{"id": f"t{layer}_{i}", "prompt": "x",
             **({"blocked_by": [f"t{layer - 1}_{(i + k) % WIDTH}" for k in range(3)]} if layer else {})}
            for layer in range(LAYERS) for i in range(WIDTH)]


def threads(pid):
    return {int(name) for name in os.listdir(f"/proc/{pid}/task")}


class Trace:
    """strace on processes that run already, for a while."""

    def __init__(self, path, pids):
        self.path = path
        attach = [word for pid in pids for word in ("-p", str(pid))]
        self.strace = subprocess.Popen(("strace", "-f", "-qq", "-s", "0", "-o", path, *attach), stderr=subprocess.DEVNULL)
        eventually("strace holds them", lambda: all(
            f"TracerPid:\t{self.strace.pid}\n" in open(f"/proc/{pid}/status").read() for pid in pids))

    def end(self, roles):
        """{role: Counter of calls}, with bytes; roles: {role: [pid]}."""
        role_of = {thread: role for role, pids in roles.items() for pid in pids for thread in threads(pid)}
        self.strace.terminate()
        self.strace.wait()
        counts = {role: collections.Counter() for role in roles}
        unfinished = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>.*\) += (-?\d+)")
        whole = re.compile(r"(\d+) +(\w+)\(.*\) += (-?\d+)")
        begun = re.compile(r"(\d+) +(\w+)\(.*<unfinished \.\.\.>")
        with open(self.path) as file:
            for line in file:
                if begun.match(line):
                    continue
                found = whole.match(line) or unfinished.match(line)
                if not found or int(found[1]) not in role_of:
                    continue
                count, call, result = counts[role_of[int(found[1])]], found[2], int(found[3])
                if call in PROCESSES and ("CLONE_THREAD" in line or "parent_tid" in line):
                    continue
                count[call] += 1
                if result > 0 and call in ("write", "pwrite64", "writev", "pwritev"):
                    count["bytes written"] += result
                if result > 0 and call in ("sendto", "sendmsg"):
                    count["bytes sent"] += result
        return counts


def of_role(count):
    calls = {name: number for name, number in count.items() if " " not in name}
    return {
        "syncs": sum(calls.get(name, 0) for name in SYNCS),
        "bytes written": count["bytes written"],
        "bytes sent": count["bytes sent"],
        "messages read": calls.get("read", 0) + calls.get("recvfrom", 0),
        "messages sent": calls.get("sendto", 0),
        "processes": sum(calls.get(name, 0) for name in PROCESSES),
        "files opened": calls.get("openat", 0),
        "calls": sum(number for name, number in calls.items() if name not in NOT_COUNTED),
    }


def plan(world, name, tasks):
    world.plan(name=name, agents={"a": {"command": ["/bin/true"]}}, defaults={"agent": "a", "slot": "none"}, tasks=tasks)


class Steps:
    """What the interposed library counts in the coordinator that is started with `env`."""

    def __init__(self, world):
        self.path = world.dir + "/steps"
        self.env = {"COST_STEPS": self.path, "LD_PRELOAD": world.build + "/tests/cost/cost_steps.so"}

    def read(self):
        """(statements begun, steps of SQLite's machine) so far."""
        with open(self.path, "rb") as file:
            return struct.unpack("QQ", file.read(16))

    def long(self):
        """The statements that took many steps."""
        try:
            with open(self.path + ".long") as file:
                return file.read()
        except FileNotFoundError:
            return ""


def count_run(world, env):
    """{what: a task's share} of one run."""
    steps = Steps(world)
    env = {**env, **steps.env}
    plan(world, "warm", [{"id": "w1", "prompt": "x"}, {"id": "w2", "prompt": "x"}])
    world.pleach("run", "--headless", "--team", "2", env=env)
    processes = world.processes()
    roles = {"coordinator": [pid for pid, line in processes.items() if "--serve" in line],
             "worker": [pid for pid, line in processes.items() if "pleach-worker" in line]}
    check(len(roles["coordinator"]) == 1 and len(roles["worker"]) == 2, f"not a team of two: {processes}")
    runtime = os.path.dirname(world.control)
    eventually("every bus is open, with its threads", lambda: len(
        [name for name in os.listdir(runtime) if name == "bus" or name.startswith("b-")]) == 3)
    plan(world, "counted", layers())
    trace = Trace(world.dir + "/trace", [pid for pids in roles.values() for pid in pids])
    before, _ = steps.read()
    world.pleach("-q", "run", "--headless", "--team", "2")
    statements = steps.read()[0] - before
    counts = trace.end(roles)
    counted = {f"{role}: {what}": number / TASKS
               for role, count in counts.items() for what, number in of_role(count).items()}
    counted["coordinator: statements"] = statements / TASKS
    world.pleach("down", "--now")
    return counted


def passed(counted):
    """What is over its ceiling."""
    return {what: counted[what] for what, ceiling in PER_TASK.items() if counted[what] > ceiling}


def instructions(world, name, argv, stdin=""):
    out = f"{world.dir}/callgrind.{name.replace(' ', '-')}"
    done = subprocess.run(("valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}", *argv), cwd=world.repo,
                          env=world.env, input=stdin.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    check(done.returncode == 0, f"{name} under callgrind: {done.stderr.decode()[-500:]}")
    with open(out) as file:
        return max(int(line.split()[1]) for line in file if line.startswith(("summary:", "totals:")))


def count_instructions(world):
    store = world.build + "/tests/cost/cost_store"
    plan(world, "few", [{"id": "one", "prompt": "x"}])
    world.pleach("run", "--headless", "--team", "2")
    work = {"version": (world.build + "/pleach", "version"), "status": (world.build + "/pleach", "status"),
            "git": (world.build + "/pleach-git", "worktrees"),
            "one": (store, world.dir + "/one.db", str(STORE_TASKS)),
            "many": (store, world.dir + "/many.db", str(2 * STORE_TASKS))}
    asked = {"git": json.dumps({"root": world.repo})}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        counted = dict(zip(work, pool.map(lambda name: instructions(world, name, work[name], asked.get(name, "")), work)))
    return {"pleach version": counted["version"], "pleach status": counted["status"],
            "pleach-git, a question": counted["git"],
            "the store, a task": (counted["many"] - counted["one"]) // STORE_TASKS}


def show(title, counted, ceilings):
    print(title)
    for what, number in counted.items():
        if what in ceilings:
            print(f"  {what:<32}{number:>14,.2f}{ceilings[what]:>14,.2f}{'   OVER' if number > ceilings[what] else ''}")


def test_ceilings(world):
    counted = count_run(world, {})
    show("a task: counted, ceiling", counted, PER_TASK)
    check(not passed(counted), f"over its ceiling: {passed(counted)}")


def test_instructions(world):
    counted = count_instructions(world)
    show("instructions: counted, ceiling", counted, INSTRUCTIONS)
    over = {what: number for what, number in counted.items() if number > INSTRUCTIONS[what]}
    check(not over, f"over its ceiling: {over}")


def steps_of(world, steps, name):
    """{command: (steps of SQLite's machine, its long statements)}; the run is that of a new plan."""
    plan(world, name, layers())
    world.pleach("status")  # what is counted once, and then known
    counted = {}
    for argv in (*LASTING, ("-q", "run", "--headless", "--team", "2"), ("task", "list", "--plan", name), ("task", "list")):
        before, seen = steps.read()[1], len(steps.long())
        world.pleach(*argv)
        counted[" ".join(argv).replace(name, "PLAN")] = (steps.read()[1] - before, steps.long()[seen:])
    return counted


def test_growth(world):
    """Nothing grows with what has ended: neither what shows little, nor the tasks of another plan."""
    steps = Steps(world)
    plan(world, "warm", [{"id": "w1", "prompt": "x"}, {"id": "w2", "prompt": "x"}])
    world.pleach("run", "--headless", "--team", "2", env=steps.env)
    few = steps_of(world, steps, "few")
    plan(world, "old", [{"id": f"o{i}", "prompt": "x"} for i in range(FINISHED)])
    world.pleach("-q", "run", "--headless", "--team", "2")
    many = steps_of(world, steps, "many")
    world.pleach("down", "--now")
    print(f"SQL: steps before and after {FINISHED} tasks more have ended")
    over = {}
    for name, (before, _) in few.items():
        after, statements = many[name]
        limit = before + GROWTH + (before // 4 if "run" in name else 0)  # who shares a transaction with whom
        print(f"  {name:<42}{before:>10,}{after:>10,}{'   grew' if after > limit else ''}")
        if after > limit:
            over[name] = statements
    check(over.pop("task list", None), "a list of all tasks costs the same: nothing is counted")
    check(not over, "grew with what has ended: " + "\n".join(f"{name}:\n{text}" for name, text in over.items()))


def test_waste(world):
    """A build that syncs for each request and starts a process more for each task must be seen."""
    over = passed(count_run(world, {"PLEACH_CONTROL_OFF": "group-commit,lone-agent"}))
    show("wasted on purpose: counted, ceiling", over, PER_TASK)
    for what in ("coordinator: syncs", "worker: processes"):
        check(what in over, f"a build that wastes on purpose passes: {what}")


TESTS = {"ceilings": test_ceilings, "instructions": test_instructions, "growth": test_growth, "waste": test_waste}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build-controls")
    parser.add_argument("names", nargs="*", help=f"of: {' '.join(TESTS)}")
    options = parser.parse_args()
    status = 0
    for name in options.names or TESTS:
        start = time.monotonic()
        failed = run(TESTS[name], options.build)
        print(f"{'not ok' if failed else 'ok'} cost: {name} ({time.monotonic() - start:.1f} s)")
        status |= failed
    return status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as problem:
        sys.exit(f"cost: {problem}")
