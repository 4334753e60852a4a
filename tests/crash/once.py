#!/usr/bin/env python3
"""What dies once, at a chosen moment, costs nobody anything: a git child, each the first time; the
first serving process, before it serves; a worker whose place somebody takes before its death is
known; both coordinators while they greet a command; the first checkout of a slot and its worker.

Each proof in a universe of its own (world.py); deaths come from wrappers around our own programs or
from signals to stopped processes, so each run is the same.
"""
import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys

from evidence import read_witness
from ghost import token
from world import LIMIT, Failure, Rpc, check, eventually, gone, run, stat_fields


def plan(world, tasks, **defaults):
    world.plan(name="p", defaults={"agent": "witness", **defaults}, tasks=tasks, team=1, agents={
        "witness": {"command": [world.build + "/witness", world.meet + "/log", "{prompt_file}"]}})


def starts(world):
    return [line.key for line in read_witness(world.meet + "/log") if line.what == "start"]


def each_git_dies_once(world):
    """The first child of each kind is killed: it is asked again, also for a landing."""
    world.shadow("pleach-git", 'echo "$1" >>"$W/asked"\n'
                 '[ -e "$W/killed-$1" ] || { : >"$W/killed-$1"; kill -KILL $$; }\n'
                 'exec "$0.real" "$@"\n')
    plan(world, [{"id": "a", "prompt": "write:1"},
                 {"id": "b", "prompt": "write:1", "blocked_by": ["a"]}])
    world.pleach("run", "--headless")
    world.pleach("merge", "b")
    files = world.git("ls-files").split()
    check(len(files) == 3, f"landed: {files}")
    check(starts(world) == ["a", "b"], f"started: {starts(world)}")
    with open(world.meet + "/asked") as file:
        asked = file.read().split()
    killed = sorted(set(asked))
    check(all(asked.count(verb) > 1 for verb in killed), f"not asked again: {asked}")
    print(f"the first pleach-git of each kind was killed ({', '.join(killed)}): asked again, each task"
          " started once, landed")


def first_serving_dies(world):
    """Killed before it said a word: started again, and whoever asked notices nothing."""
    world.shadow("pleach-coordinator", 'case " $* " in *" --serve "*)\n'
                 '[ -e "$W/killed" ] || { : >"$W/killed"; kill -KILL $$; };; esac\n'
                 'exec "$0.real" "$@"\n')
    plan(world, [{"id": "a", "prompt": "sleep:1"}], slot="none")
    world.pleach("run", "--headless")
    check(os.path.exists(world.meet + "/killed"), "nobody was killed")
    check(starts(world) == ["a"], f"started: {starts(world)}")
    print("the first serving process was killed before it served: the next one did")


def place_of_the_dead(world):
    """A worker's place is free once what it ran is swept and lost, not before."""
    plan(world, [{"id": "a", "prompt": f"until:{world.meet}/go"}], slot="none")
    world.pleach("run", "--headless", "--detach")
    eventually("it runs", lambda: os.path.exists(world.meet + "/log") and starts(world))
    mate = world.json("status")["teammates"][0]
    with open(world.path("secret"), "rb") as file:
        secret = file.read()
    heir = Rpc.__new__(Rpc)
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    link.connect(world.control)
    heir.adopt(link)
    try:
        heir.ask("status")
        raise Failure("answered before hello")
    except Failure as refused:  # but now it is known that we are connected
        check("hello" in str(refused), str(refused))
    watcher = world.connect()
    serving = watcher.hello["pid"]
    world.kill(serving, signal.SIGSTOP)
    try:
        eventually("it is stopped", lambda: stat_fields(serving)[0] == "T")
        heir.send("hello", {"protocol": 1, "role": "worker", "version": "test", "boot": "", "phase": "idle",
                            "teammate": mate["name"], "attempt": None,
                            "token": token(secret, "worker", mate["name"])})
        world.kill(mate["pid"])
        eventually("the worker is dead", lambda: gone(mate["pid"]))
    finally:
        world.kill(serving, signal.SIGCONT)
    answer = heir.receive()
    check("cleaned up after" in answer.get("error", {}).get("message", ""), f"let in: {answer}")
    heir.close()
    with open(world.meet + "/go", "w"):
        pass
    world.pleach("wait", "a")
    row = world.json("task", "show", "a")
    check((row["attempts"], starts(world)) == (2, ["a", "a"]), f"{row['attempts']}: {starts(world)}")
    print("who comes in a dead worker's place before its death is known is sent away; its task ran anew")


def first_checkout_dies(world):
    """A git that makes a slot's first files dies together with its worker, in the middle: the lock it
    held is nobody's, and the next worker begins again."""
    tools = world.dir + "/tools"
    os.mkdir(tools)
    with open(tools + "/git", "w") as file:
        file.write('#!/bin/sh\ncase " $* " in *" read-tree --reset "*)\n'
                   '[ -e "$W/died" ] || { dir=$("$REAL" rev-parse --absolute-git-dir) &&\n'
                   ': >"$dir/index.lock" && : >"$W/died" && kill -KILL $PPID $$; };; esac\nexec "$REAL" "$@"\n')
    os.chmod(tools + "/git", 0o755)
    world.env.update(REAL=shutil.which("git"), PATH=f"{tools}:{world.env['PATH']}")
    with open(world.repo + "/.gitattributes", "w") as file:
        file.write("* ident\n")  # what is plain needs no git
    world.git("add", ".gitattributes")
    world.git("commit", "-qm", "attributes")
    plan(world, [{"id": "a", "prompt": "write:1"}])
    world.pleach("run", "--headless")
    check(os.path.exists(world.meet + "/died"), "no checkout died")
    check(starts(world) == ["a"], f"started: {starts(world)}")
    print("a first checkout died with its worker and left its lock: begun again")


def has_socket(pid):
    try:
        return any(os.readlink(fd.path).startswith("socket:") for fd in os.scandir(f"/proc/{pid}/fd"))
    except OSError:  # closed, while we looked
        return False


def greeted_by_the_dead(world):
    """A command waits for a greeting, and supervisor and serving process die: it starts others."""
    plan(world, [{"id": "a", "prompt": "sleep:1"}], slot="none")
    world.pleach("run", "--headless")
    hello = world.connect().hello
    world.kill(hello["pid"], signal.SIGSTOP)
    command = subprocess.Popen((world.build + "/pleach", "--json", "task", "list"), cwd=world.repo,
                               env=world.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    try:
        eventually("it is connected", lambda: has_socket(command.pid))
    finally:
        for pid in hello["supervisor"], hello["pid"]:
            world.kill(pid)
    said, why = command.communicate(timeout=LIMIT)
    check(command.returncode == 0, f"exit {command.returncode}: {why}")
    check([task["status"] for task in json.loads(said)["tasks"]] == ["completed"], said)
    print("a command whose coordinator died before it had greeted looked again and was answered")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    options = parser.parse_args()
    tests = each_git_dies_once, first_serving_dies, place_of_the_dead, greeted_by_the_dead, \
        first_checkout_dies
    return 1 if any([run(test, options.build) for test in tests]) else 0


if __name__ == "__main__":
    sys.exit(main())
