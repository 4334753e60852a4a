#!/usr/bin/env python3
"""Kills at random, by a seed, over a plan of tasks; does what a user would; then proves that
nothing was lost and nothing ran twice (evidence.py). ./dev crash runs it.

Owns who dies when. All of its decisions come from the seed; how many processes are there to be
killed at that moment does not, so the same seed gives the same plan and nearly the same run.
"""
import argparse
import collections
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import plans
from evidence import Evidence
from world import Failure, LIMIT, Rpc, check, percentile, run, stat_fields

HERE = os.path.dirname(os.path.abspath(__file__))
# Who, and how often. "all": everything but the agents at once.
TARGETS = {"serving": 26, "worker": 26, "agent": 16, "git": 10, "supervisor": 6, "tmux": 6,
           "pause": 4, "command": 3, "stop": 2, "all": 1}
# What must be found broken when a guard is switched off (shared/controls.h).
NOTICED = {"fence": "nothing twice", "idempotent-finish": "nothing twice", "sweep": "nobody left"}
OFF_TRIES = 10  # of a run with a guard switched off, until it was noticed
STUCK_S = int(os.environ.get("PLEACH_CRASH_STUCK", 90))  # so long nothing completes: something hangs


def role(line):
    """What a process is, by what it was called with."""
    program, _, rest = line.partition(" ")
    name = os.path.basename(program)
    if name == "pleach-coordinator":
        return "serving" if rest.startswith("--serve") else "supervisor"
    if name == "pleach-worker":
        return "view" if "--view" in rest else "worker"
    if name == "witness":
        return "left" if rest.startswith("--linger") else "agent"
    if name.startswith("git") or name == "pleach-git":
        return "git"
    return {"tmux:": "tmux", "tmux": "tmux", "pleach": "command"}.get(name, "other")


class Follower(threading.Thread):
    """Somebody who watches: every event that was told, and how far the plan is."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world, self.seen, self.completed = world, {}, 0
        self.ended = {}  # attempt: its task
        self.newest = {}  # task: its newest attempt
        self.over = False

    def take(self, events):
        for event in events:
            self.seen[event["seq"]] = (event["kind"], event["task"], event["attempt"])
            data = event["data"] or {}
            if event["kind"] == "task.updated" and data.get("verb") == "complete":
                self.completed += 1
            if event["kind"] == "attempt.ended":
                self.ended[event["attempt"]] = event["task"]
            if event["kind"] == "attempt.started":
                self.newest[event["task"]] = event["attempt"]

    def run(self):
        since = 0
        while not self.over:
            try:
                rpc = self.world.connect(1)
                while not self.over:
                    answer = rpc.ask("event.list", since=since, limit=1000, wait=True)
                    self.take(answer["events"])
                    since = max(since, answer["seq"])
            except (OSError, ValueError, IndexError, Failure):
                time.sleep(0.005)


class Driver:
    def __init__(self, world, options):
        self.world, self.options = world, options
        self.rng = random.Random(f"kills {options.seed}")
        self.log = world.meet + "/witness.log"
        self.gates = 0  # how many are open
        self.kills = collections.Counter()
        self.worker_kills = collections.Counter()
        self.back = []  # ms from the death of a serving coordinator to the next answer
        self.ghosts = collections.Counter()
        self.looks = collections.Counter()  # what `pleach status` said where it failed
        self.added, self.ghost_processes = [], []
        self.command, self.runs = None, []  # `pleach run`, and how it ended each time
        self.follower = Follower(world)

    # --- what a user does ---

    def keep_running(self):
        """`pleach run`, typed again when it has ended; its status when all is done, else None."""
        status = self.command.poll() if self.command else -1
        if status in (0, 3):
            return status
        if status is not None:
            self.runs.append(status)
            if len(self.runs) > 20 + self.options.kills:
                raise Failure(f"run ends again and again: {self.said()}")
            with open(self.world.meet + "/run.log", "ab") as log:
                self.command = subprocess.Popen(
                    (self.world.build + "/pleach", "run", "--on-signal", "detach"),
                    cwd=self.world.repo, env=self.world.env, stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL, stderr=log)
        return None

    def said(self):
        with open(self.world.meet + "/run.log") as log:
            return log.read()[-1000:]

    def serving_again(self, old):
        """Waits for another coordinator; how long that took."""
        begin = time.monotonic()
        while True:
            self.keep_running()
            try:
                rpc = self.world.connect(0.5)
                pid = rpc.hello["pid"]
                rpc.ask("status")
                rpc.close()
                if pid != old:
                    return (time.monotonic() - begin) * 1000
            except (OSError, ValueError, Failure):  # it may answer that it ends
                pass
            check(time.monotonic() < begin + LIMIT, "no coordinator serves")

    def look(self):
        """A user whose screen stands still types `pleach status`, again where that failed."""
        for _ in range(5):
            done = subprocess.run((self.world.build + "/pleach", "status"), cwd=self.world.repo,
                                  env=self.world.env, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                  timeout=LIMIT)
            if done.returncode == 0:
                return
            self.looks[done.stderr.strip()] += 1

    def ask(self, method, **params):
        """Asks until somebody answers; None: refused."""
        for _ in range(100):
            try:
                rpc = self.world.connect(LIMIT)
                try:
                    return rpc.ask(method, **params)
                finally:
                    rpc.close()
            except Failure:
                return None
            except (OSError, ValueError):
                time.sleep(0.01)
        raise Failure(f"{method}: never answered")

    def stop_and_retry(self):
        running = self.ask("task.list", status=["in_progress"])["tasks"]
        if not running:
            return False
        key = self.rng.choice(sorted(task["key"] for task in running))
        if "." in key or not self.ask("task.stop", task=f"crash/{key}"):
            return False
        check(self.ask("task.retry", task=f"crash/{key}"), f"{key}: stopped, but not tried again")
        return True

    # --- deaths ---

    def victims(self):
        found = collections.defaultdict(list)
        roles = {pid: (role(line), line) for pid, line in self.world.processes().items()}
        for pid, (name, line) in roles.items():
            parent = int((stat_fields(pid) or (0, 0))[1])
            if name in ("worker", "serving") and roles.get(parent, ("",))[0] == name:
                name = "agent" if name == "worker" else "git"  # it has not called exec yet
            found[name].append((pid, line))
        return {name: sorted(those) for name, those in found.items()}

    def kill(self, pid, number=signal.SIGKILL):
        try:
            os.kill(pid, number)
            return True
        except ProcessLookupError:
            return False

    def kill_worker(self, pid, line):
        words = line.split()
        name = words[words.index("--name") + 1]
        ghost = self.call_ghost(name) if self.rng.random() < self.options.ghosts else None
        hit = self.kill(pid)
        if ghost:
            ghost.stdin.write("go\n")
            ghost.stdin.flush()
        self.worker_kills[name] += hit
        self.kills["worker"] += hit
        return hit

    def call_ghost(self, name):
        """It tells ends of attempts that were superseded, and a few others."""
        ended = self.follower.ended.copy()  # at once: it goes on meanwhile
        newest = self.follower.newest.copy()
        superseded = [attempt for attempt, task in ended.items() if newest[task] != attempt]
        those = set(superseded[-4:]) | set(list(ended)[-2:]) | {
            self.rng.choice(list(ended)) for _ in range(2) if ended}
        ghost = subprocess.Popen(
            (sys.executable, HERE + "/ghost.py", self.world.control, self.world.path("secret"), name,
             "2", *map(str, sorted(those))), env=self.world.env, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        ghost.stdout.readline()
        self.ghost_processes.append(ghost)
        return ghost

    def count_ghosts(self):
        for process in self.ghost_processes:
            told = json.loads(process.communicate(timeout=LIMIT)[0] or "{}")
            self.ghosts.update(told)
            self.ghosts["came in"] += bool(sum(told.values()))

    def kill_pairs(self, pids, back):
        """Kills these coordinators; a user looks what is the matter."""
        serving = pids[-1]
        for pid in pids:
            self.kills[back] += self.kill(pid)
        if back == "supervisor":
            self.look()
        took = self.serving_again(serving)
        if back == "serving":
            self.back.append(took)

    def strike(self, target, found):
        """One stroke of fate. False: there was nobody to hit."""
        those = found.get(target if target not in ("pause", "stop", "all") else "worker")
        if target == "stop":
            done = self.stop_and_retry()
            self.kills["stop"] += done
            return done
        if not those:
            return False
        pid, line = self.rng.choice(those)
        if target == "worker":
            return self.kill_worker(pid, line)
        if target == "pause":
            pid = self.rng.choice(those + found.get("serving", []) + found.get("agent", []))[0]
            if not self.kill(pid, signal.SIGSTOP):
                return False
            time.sleep(self.rng.uniform(0.005, 0.15))
            self.kill(pid, signal.SIGCONT)
            self.kills["pause"] += 1
            return True
        if target in ("serving", "supervisor"):
            serving = found.get("serving")
            if not serving:
                return False
            self.kill_pairs([pid] if target == "serving" else [pid, serving[0][0]], target)
            return True
        if target == "all":
            for worker in those:
                self.kill_worker(*worker)
            for name in ("tmux", "git"):
                for other, _ in found.get(name, ()):
                    self.kills[name] += self.kill(other)
            self.kill_pairs([p for name in ("supervisor", "serving") for p, _ in found.get(name, ())],
                            "supervisor")
            return True
        hit = self.kill(pid)
        self.kills[target] += hit
        return hit

    def strike_somebody(self):
        """Tries until somebody was hit: a git child may not be there for a while."""
        target = self.rng.choices(list(TARGETS), TARGETS.values())[0]
        end = time.monotonic() + (0.5 if target == "git" else 0.1)
        while True:
            if self.strike(target, self.victims()):
                return
            if time.monotonic() > end:
                target, end = "serving", end + 1
            if self.keep_running() is not None:
                return

    # --- a run ---

    def dead(self):
        return sum(self.kills.values()) - self.kills["pause"] - self.kills["stop"]

    def open_gates(self, last):
        """No layer is done before its share of the kills is."""
        while self.gates <= last:
            with open(plans.gate(self.world.meet, self.gates), "w"):
                self.gates += 1

    def until_completed(self, wanted):
        """Lets them work until so many tasks are completed. A status: `run` has ended."""
        before, since = self.follower.completed, time.monotonic()
        while self.follower.completed < wanted:
            status = self.keep_running()
            if status is not None:
                return status
            if self.follower.completed != before:
                before, since = self.follower.completed, time.monotonic()
            check(time.monotonic() < since + STUCK_S, f"nothing completes for {STUCK_S} s")
            time.sleep(0.002)
        return self.keep_running()

    def rage(self, tasks):
        """All the kills, spread over what there is to do."""
        layers = plans.layers_of(tasks)
        while self.dead() < self.options.kills:
            self.open_gates(self.dead() * layers // self.options.kills)
            wanted = int(tasks * 0.97 * (self.dead() + self.rng.random()) / self.options.kills)
            if self.until_completed(wanted) is not None:
                return
            time.sleep(self.rng.uniform(0, 0.015))
            if self.rng.random() < 0.03:
                nonce = f"added-{len(self.added)}"
                if self.ask("task.add", task={"key": nonce, **ADDED}, plan="crash", nonce=nonce):
                    self.added.append(nonce)
            self.strike_somebody()
        self.open_gates(layers - 1)

    def rest(self):
        """No more faults: everything is done in the end."""
        begin, before, since = time.monotonic(), -1, time.monotonic()
        while True:
            status = self.keep_running()
            if status is not None:
                return status, time.monotonic() - begin
            if self.follower.completed != before:
                before, since = self.follower.completed, time.monotonic()
            check(time.monotonic() < since + STUCK_S, f"nothing completes for {STUCK_S} s at rest")
            time.sleep(0.01)


ADDED = {"prompt": "sleep:0", "agent": "witness", "subject": "added", "kind": "work", "parent": None,
         "blocked_by": [], "when": "completed", "priority": 0, "model": None, "choose": None,
         "spec": {"slot": "none", "timeout": None, "retries": plans.RETRIES, "expect_changes": False,
                  "verify": None, "setup": None, "copy": [], "link": []}, "metadata": None}


def report(driver, evidence, seconds, rest, broken):
    kills = driver.kills
    print(f"seed {driver.options.seed}: {driver.dead()} kills (" +
          ", ".join(f"{name} {kills[name]}" for name in TARGETS if kills[name] and name not in
                    ("pause", "stop", "all")) +
          f"); {kills['pause']} pauses, {kills['stop']} stop and retry, {len(driver.added)} added")
    figures = evidence.figures()
    print(", ".join(f"{name} {value}" for name, value in figures.items()))
    print(f"late and repeated finishes told by {driver.ghosts['came in']} ghosts:"
          f" {driver.ghosts['refused']} refused, {driver.ghosts['accepted']} answered as recorded")
    if driver.back:
        print(f"serving again after its kill: n {len(driver.back)} p50"
              f" {percentile(driver.back, 50):.0f} ms p99 {percentile(driver.back, 99):.0f} ms"
              f" max {max(driver.back):.0f} ms")
    for said, n in driver.looks.items():
        print(f"{n} times pleach status failed: {said}")
    print(f"lost {len(broken.get('nothing lost', ()))}, run again"
          f" {len(broken.get('completed stay', ())) + len(broken.get('nothing twice', ()))},"
          f" {seconds:.1f} s, of which {rest:.1f} s until rest after the last kill")


def test(world, options):
    # Workers are killed all the time here: that is nobody's fault.
    world.env["PLEACH_POISON_LIMIT"] = "0"
    if options.off:
        world.env["PLEACH_CONTROL_OFF"] = options.off
    driver = Driver(world, options)
    plan = plans.make(options.seed, options.tasks, options.team, world.build + "/witness", world.meet)
    world.plan(**plan)
    begin = time.monotonic()
    driver.keep_running()
    driver.follower.start()
    hung = None
    try:
        driver.rage(options.tasks)
        status, rest = driver.rest()
    except Failure as problem:
        hung, status, rest = problem, None, 0
    seconds = time.monotonic() - begin
    driver.count_ghosts()
    driver.follower.over = True
    if hung:
        print(world.pleach("status", want=None)[-2000:])
        print("\n".join(f"{pid} {stat_fields(pid)[0]} {line}" for pid, line in world.processes().items()))
        if os.environ.get("PLEACH_TEST_KEEP"):
            input("the universe is kept as it is: ")
    world.pleach("down", "--now", want=None)
    evidence = Evidence(world, driver.log, {"workers": driver.worker_kills,
                                            "agents": driver.kills["agent"]})
    broken = evidence.judge([task["id"] for task in plan["tasks"]] + driver.added, driver.follower.seen)
    report(driver, evidence, seconds, rest, broken)
    for name, sentences in broken.items():
        for sentence in sentences[:5]:
            print(f"  {name}: {sentence}")
        if len(sentences) > 5:
            print(f"  {name}: {len(sentences) - 5} more")
    check(not hung, str(hung))
    if options.off:
        for pid in world.processes():
            driver.kill(pid)
        check(NOTICED[options.off] in broken, f"{options.off} is switched off, and nobody noticed")
        print(f"{options.off} is switched off, and it was noticed")
        return
    check(not broken, f"broken: {', '.join(broken)}")
    check(status == 0, f"run ended with {status}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--tasks", type=int, default=None, help="default: two a kill")
    parser.add_argument("--team", type=int, default=4)
    parser.add_argument("--ghosts", type=float, default=0.2, help="of the killed workers")
    parser.add_argument("--off", choices=NOTICED, help="guards to switch off, in a build with controls")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 31)
    options.tasks = options.tasks or 2 * options.kills
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # Few kills may all miss the moment in which a guard is all there is: other ones then.
    for _ in range(OFF_TRIES if options.off else 1):
        print(f"seed {options.seed}, {options.kills} kills, {options.tasks} tasks", flush=True)
        status = run(test, options.build, options)
        if status == 0:
            break
        options.seed += 1
    return status


if __name__ == "__main__":
    sys.exit(main())
