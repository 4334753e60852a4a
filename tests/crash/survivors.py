#!/usr/bin/env python3
"""The whole tree dies: however an attempt ends, nothing that its agent started lives on.

Agents that fork, leave their session, clear their environment, change their directory and ignore
HUP and TERM, each ended in every way there is; then the pids that the witnesses told are looked
for. Owns nothing but its own universes (world.py), one a way, all at once.
"""
import argparse
import glob
import os
import signal
import subprocess
import sys
import threading

from evidence import read_witness
from world import World, birth, check, eventually, gone, run

KINDS = ("child:", "child:setsid", "child:setsid+clearenv", "child:setsid+clearenv+chdir",
         "ignore child:ignore", "ignore child:setsid+clearenv+chdir+ignore")
SLOTS = ("own", "none")
NUMBER = len(KINDS) * len(SLOTS)


def plan(world, last, name="p", log="log", **more):
    """Every kind with and without a slot; `last`: what an agent does when its children are there."""
    world.log = f"{world.meet}/{log}"
    tasks = [{"id": f"t{i}{slot}", "prompt": f"{kind} {last}", "slot": slot, **more}
             for i, kind in enumerate(KINDS) for slot in SLOTS]
    world.plan(name=name, team=len(tasks), tasks=tasks, defaults={"agent": "witness"}, agents={
        "witness": {"command": [world.build + "/witness", world.log, "{prompt_file}"]}})
    world.pleach("run", "--headless", "--detach")


def children(world):
    try:
        return [line for line in read_witness(world.log) if line.what == "child"]
    except (OSError, ValueError):  # a line may be half there
        return []


def all_there(world):
    eventually("every agent has left its child", lambda: len(children(world)) == NUMBER)


def settled(world):
    rpc = world.connect()
    rpc.ask("task.wait", tasks=[str(row["id"]) for row in rpc.ask("task.list")["tasks"]])
    rpc.close()


def by_end(world):
    plan(world, "sleep:0")
    settled(world)


def by_exit_status(world):
    plan(world, "fail:1")
    settled(world)


def by_stop(world):
    plan(world, "hang")
    all_there(world)
    rpc = world.connect()
    for row in rpc.ask("task.list")["tasks"]:
        rpc.ask("task.stop", task=row["key"])
    eventually("every attempt has ended", lambda: not any(
        t["attempt"] for t in rpc.ask("team.list")["teammates"]))
    rpc.close()


def by_timeout(world):
    """The agents must have left their children before the limit ends them: on a machine that is too
    busy for that again, with twice the limit. Of every round, nobody may live on."""
    for i in range(5):
        plan(world, "hang", name=f"p{i}", log=f"log{i}", timeout=f"{2 ** i}s")
        settled(world)
        if len(children(world)) >= NUMBER:
            break


def by_down(world):
    plan(world, "sleep:500")
    all_there(world)
    world.pleach("down")


def by_down_now(world):
    plan(world, "hang")
    all_there(world)
    world.pleach("down", "--now")


def kill_all(world, *programs):
    pids = [pid for pid, line in world.processes().items()
            if os.path.basename(line.split(" ")[0]) in programs]
    for pid in pids:
        world.kill(pid)
    for pid in pids:
        eventually(f"{pid} is gone", lambda p=pid: gone(p))


def by_worker_killed(world):
    world.env["PLEACH_POISON_LIMIT"] = "1"  # once is enough
    plan(world, "hang")
    all_there(world)
    kill_all(world, "pleach-worker")
    settled(world)


def by_all_killed(world):
    world.env["PLEACH_POISON_LIMIT"] = "1"
    plan(world, "hang")
    all_there(world)
    kill_all(world, "pleach-coordinator", "pleach-worker")
    world.pleach("up", "--headless")
    settled(world)


WAYS = {"end": by_end, "exit status": by_exit_status, "stop": by_stop, "timeout": by_timeout,
        "down": by_down, "down --now": by_down_now, "worker killed": by_worker_killed,
        "worker and coordinator killed": by_all_killed}


def one_way(world, name, found):
    """The attempts are over: who of all that there was lives?"""
    WAYS[name](world)
    lines = [line for log in glob.glob(world.meet + "/log*") for line in read_witness(log)]
    said = {(line.pid, line.born) for line in lines}
    check(len(children(world)) == NUMBER, f"{name}: {len(children(world))} children, not {NUMBER}")
    alive = [pid for pid, born in said if birth(pid) == (pid, born)]
    found[name] = (len(said), alive)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    check(not alive, f"{name}: {len(alive)} of {len(said)} live on")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--way", choices=WAYS, action="append")
    options = parser.parse_args()
    found, failed = {}, []

    def go(name):
        if run(lambda world: one_way(world, name, found), options.build):
            failed.append(name)

    threads = [threading.Thread(target=go, args=(name,)) for name in options.way or WAYS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, (number, alive) in found.items():
        print(f"{name}: {number} processes of {NUMBER} attempts, {len(alive)} survivors")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
