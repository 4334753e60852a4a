#!/usr/bin/env python3
"""The coordinator dies again and again under agents that talk without a pause.

Proves that every agent and worker stays the same process and that no byte of what the agents
printed is lost; measures how long it takes from the kill until another coordinator serves and
has adopted every worker. Owns nothing but its own universe (world.py).
"""
import argparse
import os
import random
import signal
import sys
import time

from world import birth, check, eventually, gone, percentile, run


def start(world, agents, tasks, pause_us, slot):
    talker = f'exec "{world.build}/talker" "$W/$PLEACH_KEY.copy" "$W/stop" {pause_us}'
    world.plan(
        name="p", team=agents,
        agents={"talker": {"command": ["sh", "-c", talker]}},
        defaults={"agent": "talker", "slot": slot},
        tasks=[{"id": f"t{i}", "prompt": "talk", "priority": 1} for i in range(agents)] +
              [{"id": f"later{i}", "prompt": "nothing", "blocked_by": [f"t{i % agents}"]}
               for i in range(tasks - agents)])
    world.pleach("run", "--headless", "--detach")
    eventually("all agents talk", lambda: all(first_line(world, f"t{i}") for i in range(agents)))


def first_line(world, key):
    """What its agent printed first; nothing before that (its file is made before its first line)."""
    try:
        with open(f"{world.meet}/{key}.copy") as file:
            return file.readline()
    except FileNotFoundError:
        return ""


def everybody(world, agents):
    """Who must not change: {name: (worker, agent)}, each a pid and its start time."""
    rpc = world.connect()
    team = rpc.ask("team.list")["teammates"]
    rpc.close()
    check(len(team) == agents, f"{len(team)} teammates, not {agents}")
    found = {}
    for teammate in team:
        agent = int(first_line(world, teammate["key"]).split()[2].rstrip(":"))
        found[teammate["name"]] = (birth(teammate["pid"]), birth(agent), teammate["attempt"])
        check(None not in found[teammate["name"]], f"{teammate['name']} has died: {teammate}")
    return found


def adopted(log, agents):
    """Waits until the log tells that all workers have said hello to a new coordinator."""
    text = b""
    end = time.monotonic() + 60
    while text.count(b"hello: resume") < agents:
        more = log.read()
        check(more or time.monotonic() < end, "not every worker came back: " + text.decode())
        text += more
        if not more:
            time.sleep(0.0002)


def kill_once(world, log, agents, both):
    """Kills the coordinator; ms until a new one answers and has all workers."""
    rpc = world.connect()
    serving, supervisor = rpc.hello["pid"], rpc.hello["supervisor"]
    rpc.close()
    log.seek(0, os.SEEK_END)
    begin = time.monotonic()
    if both:
        world.kill(supervisor)
    world.kill(serving)
    if both:
        eventually("the coordinator is dead", lambda: gone(serving) and gone(supervisor))
        world.pleach("version")  # starts nothing
        begin = time.monotonic()
        world.pleach("status")  # starts another one
    adopted(log, agents)
    rpc = world.connect()
    rpc.ask("team.list")
    took = (time.monotonic() - begin) * 1000
    check(rpc.hello["pid"] != serving, "the same coordinator serves")
    rpc.close()
    return took


def compare_logs(world, agents):
    """Stops the agents; every log must be what its agent wrote. How many bytes."""
    rpc = world.connect()
    running = {row["key"]: row["attempt"] for row in rpc.ask("task.list", status=["in_progress"])["tasks"]}
    check(len(running) == agents, f"{len(running)} tasks run, not {agents}")
    with open(world.meet + "/stop", "w"):
        pass
    rpc.ask("task.wait", tasks=sorted(running))
    for row in rpc.ask("task.list")["tasks"]:
        check(row["key"] not in running or (row["status"], row["attempts"]) == ("completed", 1),
              f"{row['key']}: {row['status']} after {row['attempts']} attempts")
    rpc.close()
    total = 0
    for key, attempt in running.items():
        with open(f"{world.meet}/{key}.copy", "rb") as file:
            wrote = file.read()
        with open(world.path(f"attempts/{attempt}/output.log"), "rb") as file:
            logged = file.read()
        check(wrote == logged, f"{key}: wrote {len(wrote)} bytes, {len(logged)} are in the log")
        total += len(wrote)
    return total


def test(world, options):
    rng = random.Random(options.seed)
    start(world, options.agents, options.tasks, options.pause_us, options.slot)
    before = everybody(world, options.agents)
    times, times_both = [], []
    with open(world.path("coordinator.log"), "rb") as log:
        for i in range(options.restarts):
            both = options.both and i % options.both == options.both - 1
            took = kill_once(world, log, options.agents, both)
            (times_both if both else times).append(took)
            check(everybody(world, options.agents) == before, f"kill {i + 1}: somebody changed")
            time.sleep(rng.uniform(options.least_ms, options.most_ms) / 1000)
    total = compare_logs(world, options.agents)
    print(f"{options.restarts} restarts, {len(times_both)} of them with the supervisor; "
          f"{options.agents} agents, {options.tasks} tasks in the store")
    print(f"the same {options.agents} workers and {options.agents} agents after each; "
          f"{total} bytes printed, every log identical")
    for name, values in (("serving process", times), ("with its supervisor", times_both)):
        if values:
            print(f"{name} killed → serving, all adopted: n {len(values)}"
                  f" p50 {percentile(values, 50):.1f} ms p90 {percentile(values, 90):.1f} ms"
                  f" p99 {percentile(values, 99):.1f} ms max {max(values):.1f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--agents", type=int, default=20)
    parser.add_argument("--tasks", type=int, default=40, help="in the store")
    parser.add_argument("--both", type=int, default=10, help="each so-manieth with its supervisor")
    parser.add_argument("--slot", default="own", choices=("own", "none"))
    parser.add_argument("--pause-us", type=int, default=2000, help="between an agent's lines")
    parser.add_argument("--least-ms", type=float, default=0, help="between two kills")
    parser.add_argument("--most-ms", type=float, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    return run(test, options.build, options)


if __name__ == "__main__":
    sys.exit(main())
