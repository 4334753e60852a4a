#!/usr/bin/env python3
"""The fence: what an attempt does that is no longer its task's changes nothing.

Two proofs. With real workers: one is stopped (SIGSTOP) under its agent, the task is cancelled and
tried again at once, the worker is continued at a random moment. With stubs: a worker that was
declared dead goes on talking and hands in its result before and after its task was finished by
another. Owns nothing but its own universe (world.py).
"""
import argparse
import glob
import hashlib
import os
import random
import shutil
import signal
import socket
import sys
import time

from world import Failure, Rpc, check, eventually, gone, percentile, run

# The first attempt writes without end into its slot; the second one's work is known outside.
AGENT = r'''
mark=mark-$PLEACH_KEY
if [ ! -e "$W/$PLEACH_KEY.old" ]; then
	echo "$PLEACH_ATTEMPT" >"$mark"
	echo "$PLEACH_ATTEMPT" >"$W/$PLEACH_KEY.tmp"
	mv "$W/$PLEACH_KEY.tmp" "$W/$PLEACH_KEY.old"
	while :; do echo "$PLEACH_ATTEMPT" >>"$mark"; sleep 0.01; done
fi
date +%s.%N >"$W/$PLEACH_KEY.new"
{ echo "$PLEACH_ATTEMPT"; head -c 4096 /dev/urandom; } >"$mark"
sha256sum <"$mark" | cut -d' ' -f1 >"$W/$PLEACH_KEY.sum"
'''


def read(path):
    with open(path) as file:
        return file.read().strip()


def one_stopped(world, rpc, key, rng):
    """Stops the worker of a running attempt, gives its task to another. (ms, was it killed)."""
    eventually(f"{key} runs", lambda: os.path.exists(f"{world.meet}/{key}.old"))
    row = rpc.ask("task.show", task=key)
    team = {t["name"]: t for t in rpc.ask("team.list")["teammates"]}
    worker = team[row["owner"]]["pid"]
    world.kill(worker, signal.SIGSTOP)
    begin = time.time()
    rpc.ask("task.stop", task=key)
    rpc.ask("task.retry", task=key)
    time.sleep(rng.uniform(0, 0.5))
    killed = gone(worker)
    if not killed:
        try:
            world.kill(worker, signal.SIGCONT)
        except ProcessLookupError:  # killed and reaped since that look
            killed = True
    eventually(f"{key} is tried again", lambda: os.path.exists(f"{world.meet}/{key}.sum"))
    rpc.ask("task.wait", tasks=[key])
    return (float(read(f"{world.meet}/{key}.new")) - begin) * 1000, killed


def look(world, rpc, key):
    """What the second attempt made is there and nothing else; so is what the first one made."""
    row = rpc.ask("task.show", task=key)
    old = int(read(f"{world.meet}/{key}.old"))
    check((row["status"], row["attempts"]) == ("completed", 2), f"{key}: {row['status']}, "
          f"{row['attempts']} attempts")
    check(row["attempt"] > old, f"{key}: attempt {row['attempt']} completed it")
    check(world.git("rev-parse", row["branch"]) == row["head"], f"{key}: its branch is elsewhere")
    made = hashlib.sha256(world.git_bytes("show", f"{row['head']}:mark-{key}")).hexdigest()
    check(made == read(f"{world.meet}/{key}.sum"), f"{key}: its work was touched")
    # Killed: what the slot held. Continued: it committed, and the next one took its branch over.
    refs = [f"refs/pleach/kept/{old}", f"refs/pleach/kept/{row['attempt']}-before"]
    there = world.git("for-each-ref", "--format=%(refname)", *refs).split()
    check(there, f"{key}: nothing is kept of attempt {old}")
    kept = world.git("show", f"{there[0]}:mark-{key}").split()
    check(kept and set(kept) == {str(old)}, f"{key}: what is kept of attempt {old}: {kept[:3]}")


def stopped(world, options):
    rng = random.Random(options.seed)
    keys = [f"t{i}" for i in range(options.rounds)]
    world.plan(name="p", team=2,
               agents={"sh": {"command": ["sh", "{prompt_file}"]}}, defaults={"agent": "sh"},
               tasks=[{"id": key, "prompt": AGENT, "blocked_by": keys[max(0, i - 1):i]}
                      for i, key in enumerate(keys)])
    world.pleach("run", "--headless", "--detach")
    rpc = world.connect()
    results = []
    for key in keys:
        results.append(one_stopped(world, rpc, key, rng))
        look(world, rpc, key)
    ends = [e for e in world.events(rpc) if e["kind"] == "attempt.ended"]
    done = [e["key"] for e in ends if e["data"]["outcome"] == "completed"]
    check(sorted(done) == sorted(keys), "not one completion a task")
    owners = {e["attempt"]: e["teammate"] for e in ends}
    other = sum(owners[int(read(f"{world.meet}/{k}.old"))] != owners[
        rpc.ask("task.show", task=k)["attempt"]] for k in keys)
    rpc.close()
    killed = [ms for ms, was in results if was]
    let_go = [ms for ms, was in results if not was]
    print(f"{len(keys)} workers stopped, their tasks cancelled and tried again at once "
          f"({other} on another teammate): {len(killed)} were killed while stopped, "
          f"{len(let_go)} were continued before and let go")
    print(f"0 attempts superseded while theirs could still write; 0 bytes touched; "
          f"{len(keys)} old attempts' work kept")
    for name, values in (("killed", killed), ("continued", let_go)):
        if values:
            print(f"stop → the next attempt's agent runs, worker {name}: p50 "
                  f"{percentile(values, 50):.0f} ms p99 {percentile(values, 99):.0f} ms")


class Stub(Rpc):
    """The connection of a stub worker, spoken on by the test."""

    def __init__(self, listener):
        self.process, _ = listener.accept()  # it ends when this is closed
        self.process.settimeout(30)
        said, fds, _, _ = socket.recv_fds(self.process, 4096, 1)
        self.name, pid, self.token = said.decode().split()
        self.pid = int(pid)
        self.adopt(socket.socket(fileno=fds[0]))
        self.ask("hello", protocol=1, role="worker", version="test", teammate=self.name,
                 token=self.token, pid=self.pid, start_time=0, boot="x", attempt=None,
                 phase="idle")
        self.send("worker.next", {})

    def assignment(self):
        while True:
            line = self.receive()
            if "result" in line and isinstance(line["result"], dict) and "attempt" in line["result"]:
                return line["result"]


def finish_of(assignment):
    return {"attempt": assignment["attempt"], "token": assignment["token"],
            "outcome": "completed", "head": None, "tree": None, "unchanged": False,
            "verify": None, "changes": None, "error": None, "usage": None,
            "output": f"by attempt {assignment['attempt']}", "seconds": 1.0, "kept": []}


def refused(stub, assignment, rpc, key):
    """A dead worker's result changes nothing, however it is handed in."""
    before = rpc.ask("task.show", task=key)
    answer = stub.ask("attempt.finish", **finish_of(assignment))
    check(answer["accepted"] is False, f"{key}: a stale finish was accepted: {answer}")
    try:
        stub.ask("worker.next", result=finish_of(assignment))
        check(False, f"{key}: a dead worker was given work")
    except Failure as refusal:
        check("replaced" in str(refusal), str(refusal))
    after = rpc.ask("task.show", task=key)
    changed = {name: (before[name], after[name]) for name in after
               if before[name] != after[name] and name != "seconds"}  # it runs: time passes
    check(not changed, f"{key} was changed by a stale finish: {changed}")


def talking_dead(world, options):
    """Each round: a stub's attempt is superseded; its result comes before and after the next."""
    shadow = world.dir + "/build"
    os.mkdir(shadow)
    for path in glob.glob(world.build + "/pleach*"):
        if not os.path.isdir(path):
            shutil.copy(path, shadow)
    shutil.copy(os.path.join(os.path.dirname(__file__), "stub_worker.py"),
                shadow + "/pleach-worker")
    world.build = shadow
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(world.meet + "/stubs")
    listener.listen(16)
    listener.settimeout(30)
    keys = [f"t{i}" for i in range(options.rounds)]
    world.plan(name="p", team=2, agents={"a": {"command": ["true"]}},
               defaults={"agent": "a", "slot": "none"},
               tasks=[{"id": key, "prompt": "x", "blocked_by": keys[max(0, i - 1):i]}
                      for i, key in enumerate(keys)])
    world.pleach("run", "--headless", "--detach")
    stubs = {}
    for _ in range(2):
        stub = Stub(listener)
        stubs[stub.name] = stub
    rpc = world.connect()
    for key in keys:
        eventually(f"{key} runs", lambda k=key: rpc.ask("task.show", task=k)["owner"])
        old = stubs.pop(rpc.ask("task.show", task=key)["owner"])
        assignment = old.assignment()
        world.kill(old.pid, signal.SIGSTOP)
        rpc.ask("task.stop", task=key)
        rpc.ask("task.retry", task=key)
        (new,) = stubs.values()
        again = new.assignment()
        check(again["attempt"] > assignment["attempt"], f"{key}: attempts do not grow")
        refused(old, assignment, rpc, key)
        new.send("worker.next", {"result": finish_of(again)})
        rpc.ask("task.wait", tasks=[key])
        check(rpc.ask("task.show", task=key)["output"] == f"by attempt {again['attempt']}",
              f"{key}: whose work is this?")
        refused(old, assignment, rpc, key)
        old.close()
        stub = Stub(listener)  # its teammate gets another worker
        stubs[stub.name] = stub
    rpc.close()
    listener.close()
    for stub in stubs.values():
        stub.process.close()
    print(f"{len(keys)} workers that were declared dead and went on talking: "
          f"{4 * len(keys)} results refused, each handed in before and after its task was "
          f"completed by another; 0 accepted, nothing changed")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"seed {options.seed}")
    return run(stopped, options.build, options) or run(talking_dead, options.build, options)


if __name__ == "__main__":
    sys.exit(main())
