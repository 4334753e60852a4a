#!/usr/bin/env python3
"""Calls fail: no space, broken disk, no descriptors, no memory, at every place that matters.

Proves that nothing is acknowledged that did not happen, that the store stays whole, that the user
gets one clear line, that nobody runs in circles meanwhile, and that the work goes on by itself
when the fault is gone. The faults are refuse.c's; each scenario has a universe of its own.
"""
import argparse
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE + "/../crash")

from refuse import Refuse  # noqa: E402
from world import Failure, Rpc, World, check, eventually, gone, stat_fields  # noqa: E402

DISK = "write,fsync,syncfs,truncate,create,rename,mkdir,link"
AGENT = """
echo "$PLEACH_KEY" >>"$W/runs"
case $PLEACH_KEY in
gate*) echo before; read x <"$W/$PLEACH_KEY.gate"; echo after ;;
esac
echo $$ >"made-$PLEACH_KEY"
"""


class Faults(World):
    def __init__(self, build):
        super().__init__(build)
        self.told = self.meet + "/told"
        self.refuse = Refuse(self.dir + "/w/rules")
        self.env.update(LD_PRELOAD=f"{self.build}/faults.so:{self.build}/told.so", PLEACH_REFUSE=self.refuse.path,
                        PLEACH_TOLD=self.told)
        self.agents = {"sh": {"command": ["sh", "-c", AGENT], "mode": "exec"}}

    def start(self, *tasks, team=2):
        self.plan(name="p", team=team, agents=self.agents, defaults={"agent": "sh"},
                  tasks=[{"id": key, "prompt": key} for key in tasks])
        for key in tasks:
            if key.startswith("gate"):
                os.mkfifo(f"{self.meet}/{key}.gate")
        self.pleach("run", "--headless", "--detach")

    def waits(self, key):
        """The agent has begun and waits at its gate."""
        eventually(f"{key} runs", lambda: key in self.runs())

    def go(self, key):
        with open(f"{self.meet}/{key}.gate", "w") as gate:
            gate.write("go\n")

    def runs(self):
        try:
            with open(self.meet + "/runs") as file:
                return file.read().split()
        except FileNotFoundError:
            return []

    def task(self, key):
        return self.json("task", "show", key)

    def serving(self):
        rpc = self.connect()
        pid = rpc.hello["pid"]
        rpc.close()
        return pid

    def go_and_fail(self, key, mate):
        """Its agent ends, and what is written of that is refused."""
        made = f"{self.dir}/repo.pleach/{mate}/made-{key}"
        before = self.refuse.refused()
        self.go(key)
        eventually(f"the agent of {key} has made its file", lambda: os.path.exists(made))
        eventually("that is refused", lambda: self.refuse.refused() > before)

    def end_refuse(self):
        self.refuse.clear()
        self.end()
        self.refuse.end()


def add(world, key):
    """(exit status, stderr) of adding a task by the command."""
    done = subprocess.run((world.build + "/pleach", "add", "nothing", "--key", key, "--agent", "sh"),
                          cwd=world.repo, env=world.env, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    return done.returncode, done.stderr.strip()


def cpu_ms(pid):
    fields = stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) * 1000 // os.sysconf("SC_CLK_TCK") if fields else 0


def at_rest(world, what, pids, seconds=1.0, most_ms=100):
    """A fault lasts: nobody may run in circles. ms of processor that they took. They may still be
    busy with what went before: who runs in circles is in none of five looks at rest."""
    looks = []
    for _ in range(5):
        begin, before = time.monotonic(), [cpu_ms(pid) for pid in pids]
        time.sleep(seconds)
        took = sum(cpu_ms(pid) - was for pid, was in zip(pids, before))
        elapsed = time.monotonic() - begin
        if took <= most_ms * elapsed:
            return took
        looks.append(f"{took} ms in {elapsed:.1f} s")
    raise Failure(f"{what}: of processor {', '.join(looks)}")


def team_pids(world):
    return [pid for pid, line in world.processes().items()
            if "pleach-coordinator" in line or "pleach-worker" in line]


def store_whole(world, wanted, absent=()):
    """Takes the team down; the store is whole, holds what was acknowledged, and nothing else."""
    world.refuse.clear()
    world.pleach("down", "--now")
    db = sqlite3.connect(world.path("store.db"))
    check(db.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "the store is damaged")
    keys = {key for key, in db.execute("SELECT key FROM task")}
    db.close()
    for key in wanted:
        check(key in keys, f"{key} was acknowledged and is not there")
    for key in absent:
        check(key not in keys, f"{key} was refused and is there")


# ---- the store ----

def store_full(world, error):
    """Every write to the store fails, then none."""
    world.start("gate1")
    world.waits("gate1")
    mate = world.task("gate1")["teammate"]
    check(add(world, "first")[0] == 0, "add does not work")
    world.refuse.set(DISK, error, path="/store.db")
    status, why = add(world, "refused")
    check(status in (5, 6) and why.count("\n") == 0 and "store" in why, f"add: {status}: {why}")
    took = at_rest(world, f"store {error}", team_pids(world))
    world.go_and_fail("gate1", mate)
    took += at_rest(world, f"store {error}, a result to hand in", team_pids(world))
    world.refuse.clear()
    check(add(world, "later")[0] == 0, "add does not work again")
    world.pleach("wait", "gate1", "first", "later")
    check(world.task("gate1")["attempts"] == 1 and world.runs().count("gate1") == 1,
          f"gate1 ran again: {world.runs()}")
    store_whole(world, ("gate1", "first", "later"), ("refused",))
    return f"refused with “{why}”, {took} ms of processor in 2 s, gate1 ran once"


def store_each(world, error, most):
    """Each single write and sync of the store fails once, in turn."""
    world.start("first")
    world.pleach("wait", "first")
    there, refused, calls = ["first"], [], 0
    for nth in range(1, most + 1):
        key = f"k{nth}"
        world.refuse.set("write,fsync,truncate", error, path="/store.db", first=nth, count=1)
        status, why = add(world, key)
        calls += world.refuse.refused()
        world.refuse.clear()
        check(status in (0, 5, 6), f"add: exit {status}: {why}")
        (there if status == 0 else refused).append(key)
    eventually("the added run", lambda: all(key in world.runs() for key in there), 120)
    world.pleach("wait", *there, limit=120)
    rows = world.json("task", "list")["tasks"]
    check({row["key"] for row in rows} == set(there), "what was refused is there, or the reverse")
    store_whole(world, there, refused)
    return f"{calls} calls failed: {len(refused)} adds refused, {len(there)} done, none in between"


def store_sync(world, error, rounds):
    """The sync of each second change fails: it was never made, and who waits for events, for whom it
    had been prepared, hears of the others alone, each as it is made."""
    world.start("gate1")
    world.waits("gate1")
    changer, watcher = world.connect(), world.connect()
    pid = changer.hello["pid"]
    for n in range(1, rounds + 1):
        watcher.send("event.list", {"since": changer.ask("event.list", since=0, limit=1)["last"],
                                    "limit": 100, "wait": True})
        time.sleep(0.01)  # it is held by then
        if n % 2:
            world.refuse.set("fsync", error, path="/store.db", count=1)
            changer.send("task.update", {"task": "gate1", "priority": -n})
            why = changer.receive().get("error", {}).get("message", "nothing")
            check("store" in why, f"refused with {why}")
            world.refuse.clear()
        changer.ask("task.update", task="gate1", priority=n)
        told = [event["data"].get("priority") for event in watcher.receive()["result"]["events"]]
        check(told == [n], f"told of {told}, made was {n}")
    check(world.task("gate1")["priority"] == rounds, "what was made last is not there")
    world.go("gate1")
    world.pleach("wait", "gate1")
    check(world.serving() == pid, "the coordinator died of it")
    changer.close()
    watcher.close()
    store_whole(world, ("gate1",))
    return f"{(rounds + 1) // 2} changes refused, told of the other {rounds} alone"


# ---- what a worker writes ----

def state_full(world, error):
    """Nothing can be written below the state directory while an agent ends."""
    world.start("gate1")
    world.waits("gate1")
    mate = world.task("gate1")["teammate"]
    world.refuse.set(DISK, error, path="/state/pleach/")
    world.go_and_fail("gate1", mate)
    took = at_rest(world, f"state {error}", team_pids(world))
    world.refuse.clear()
    world.pleach("wait", "gate1")
    row = world.task("gate1")
    check(row["attempts"] == 1 and row["status"] == "completed", f"gate1: {row['status']}")
    store_whole(world, ("gate1",))
    return f"completed once when it was over, {took} ms of processor in 1 s"


def log_full(world, error):
    """What an agent prints cannot be logged for a while: a marker says how much is missing."""
    world.start("gate1")
    world.waits("gate1")
    attempt = world.task("gate1")["attempt"]
    log = world.path(f"attempts/{attempt}/output.log")
    eventually("the log begins", lambda: os.path.exists(log) and b"before" in open(log, "rb").read())
    world.refuse.set("write", error, path="/output.log", count=1)
    world.go("gate1")
    world.pleach("wait", "gate1")
    check(world.refuse.refused() == 1, "the log was not written to")
    with open(log, "rb") as file:
        text = file.read()
    check(b"left out here" in text, f"no marker: {text!r}")
    return "the gap is marked"


def git_full(world, error):
    """The repository cannot be written to when work is to be committed: that waits, and who is
    cancelled meanwhile lets go of its branch before another teammate needs it."""
    keys = ("gate1", "gate2")
    world.start(*keys, team=3)
    for key in keys:
        world.waits(key)
    world.refuse.set(DISK, error, path="/repo/.git/")
    for key in keys:
        world.go(key)
    eventually("it is told", lambda: world.pleach("status").count("cannot be written") == 2)
    took = at_rest(world, f"repository {error}", team_pids(world))
    for key in keys:
        row = world.task(key)
        check(row["status"] == "in_progress", f"{key} is {row['status']}")
        check(os.path.exists(f"{world.dir}/repo.pleach/{row['teammate']}/made-{key}"),
              f"what the agent of {key} made is gone")
    world.pleach("stop", "gate2")
    world.pleach("retry", "gate2")  # the third teammate is free
    check(world.runs().count("gate2") == 1, "it began again beside the first attempt")
    world.refuse.clear()
    world.pleach("wait", "gate1")
    check(world.task("gate1")["attempts"] == 1, "gate1 was tried again")
    eventually("gate2 runs again", lambda: world.runs().count("gate2") == 2)
    world.go("gate2")
    world.pleach("wait", "gate2")
    kept = world.git("log", "--all", "--format=%H", "--", "made-gate2")
    check(len(kept.split()) >= 2, f"the cancelled attempt's work is not kept: {kept}")
    world.git("fsck", "--no-dangling")
    store_whole(world, keys)
    return f"{took} ms of processor in 1 s; committed when it was over, a cancelled one let go"


def settle_full(world, error):
    """A worker dies while the repository takes nothing: its task goes to nobody before its slot
    has been kept."""
    world.start("gate1", team=2)
    world.waits("gate1")
    mate = world.task("gate1")["teammate"]
    pid = {t["name"]: t["pid"] for t in world.json("team", "list")["teammates"]}[mate]
    world.refuse.set(DISK, error, path="/repo/.git/")
    os.kill(pid, signal.SIGKILL)
    eventually("it is told", lambda: "its slot waits" in world.tail(100))
    took = at_rest(world, f"settle {error}", team_pids(world))
    check(world.task("gate1")["status"] == "in_progress", "its task was given back")
    world.refuse.clear()
    eventually("gate1 runs again", lambda: world.runs().count("gate1") == 2)
    world.go("gate1")
    world.pleach("wait", "gate1")
    check(world.task("gate1")["attempts"] == 2, "it was tried in between")
    store_whole(world, ("gate1",))
    return f"{took} ms of processor in 1 s; given to another when it was over"


def begin_full(world, error, path):
    """Nothing can be written where work is to begin: that waits, no agent and no attempt is spent on
    it, and who is stopped meanwhile is over at once."""
    keys = ("warm1", "warm2")
    world.start(*keys, team=2)
    world.pleach("wait", *keys)
    with open(world.repo + "/later", "w") as file:  # what the slots have to write
        file.write("later\n")
    world.git("add", "later")
    world.git("commit", "-qm", "later")
    world.refuse.set(DISK, error, path=path)
    for key in ("first", "second"):
        check(add(world, key)[0] == 0, "add does not work")
    eventually("it is told", lambda: world.pleach("status").count("cannot be written") == 2)
    took = at_rest(world, f"{path} {error}", team_pids(world))
    world.pleach("stop", "second")
    eventually("its teammate is free", lambda: world.pleach("status").count("cannot be written") == 1)
    check(not {"first", "second"}.intersection(world.runs()), "an agent was started")
    world.refuse.clear()
    world.pleach("wait", "first")
    check(world.task("first")["attempts"] == 1, "first was tried again")
    world.pleach("retry", "second")
    world.pleach("wait", "second")
    check(world.runs().count("first") == 1 and world.runs().count("second") == 1, "ran again")
    store_whole(world, ("first", "second"))
    return f"{took} ms of processor in 1 s; begun when it was over, the first time"


def base_full(world, error):
    """What two blockers made cannot be merged: nobody is asked, it waits."""
    world.start("one", "two")
    world.pleach("wait", "one", "two")
    world.refuse.set(DISK, error, path="/repo/.git/")
    world.pleach("add", "join", "--key", "both", "--agent", "sh", "--blocked-by", "one", "--blocked-by", "two")
    eventually("it is told", lambda: "start from waits" in world.pleach("status"))
    took = at_rest(world, f"base {error}", team_pids(world))
    check(world.task("both")["status"] == "pending", world.task("both")["status"])
    world.refuse.clear()
    world.pleach("wait", "both")
    check(world.task("both")["attempts"] == 1, "it was tried again")
    store_whole(world, ("both",))
    return f"{took} ms of processor in 1 s; merged when it was over"


# ---- descriptors and memory ----

def no_descriptors(world, error):
    """accept fails: nobody runs in circles, and who waits is served when it is over."""
    world.start("first")
    world.pleach("wait", "first")
    pids = team_pids(world)
    world.refuse.set("accept", error, program="pleach-coordinator")
    waiting = subprocess.Popen((world.build + "/pleach", "status"), cwd=world.repo, env=world.env,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    eventually("accept is tried", world.refuse.refused)
    took = at_rest(world, f"accept {error}", pids)
    tries = world.refuse.refused()
    check(tries < 50, f"{tries} tries")
    world.refuse.clear()
    check(waiting.wait(30) == 0, "status failed")
    return f"{tries} tries and {took} ms of processor in 1 s; served when it was over"


def no_children(world, error):
    """Processes, pipes or sockets cannot be had for a while."""
    world.start("first")
    world.pleach("wait", "first")
    world.refuse.set("spawn,pipe,socket", error, program="pleach-worker")
    check(add(world, "second")[0] == 0, "add does not work")
    eventually("something was refused", world.refuse.refused)
    took = at_rest(world, f"spawn {error}", team_pids(world))
    world.refuse.clear()
    world.pleach("wait", "second", want=None)
    if world.task("second")["status"] == "failed":
        world.pleach("retry", "second")
        world.pleach("wait", "second")
    check(world.task("second")["status"] == "completed", "it does not work again")
    return f"{took} ms of processor in 1 s; done when it was over"


def no_memory(world, tries):
    """One allocation fails: the process dies, is started again, and nothing is lost."""
    world.start("first")
    world.pleach("wait", "first")
    there, deaths = ["first"], 0
    for i in range(tries):
        before, key = world.serving(), f"m{i}"
        world.refuse.set("malloc", "ENOMEM", program="pleach-coordinator", first=1 + 37 * i, count=1)
        status, why = add(world, key)
        world.refuse.clear()
        deaths += gone(before)
        check(status in (0, 5, 6), f"add: exit {status}: {why}")
        if status == 0:
            there.append(key)
    world.pleach("wait", *there, limit=120, want=None)
    rows = {row["key"]: row for row in world.json("task", "list")["tasks"]}
    wrong = [(key, row["status"], row["error"]) for key, row in rows.items()
             if row["status"] != "completed"]
    check(not wrong, f"not completed: {wrong}")
    for key in there:
        check(key in rows and world.runs().count(key) == 1, f"{key}: {world.runs().count(key)} runs")
    store_whole(world, there)
    check(deaths, "nobody died: the test cannot fail")
    return f"{deaths} deaths in {tries} tries, {len(there)} tasks acknowledged, each ran once"


# ---- a real file system ----

def small_disk(world):
    """A tmpfs of a few MB that fills up; below the reserve nothing starts."""
    disk = world.dir + "/state"
    if os.geteuid() != 0 or subprocess.run(("mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", disk),
                                           stderr=subprocess.DEVNULL).returncode:
        return None
    try:
        world.env["PLEACH_DISK_RESERVE"] = str(4 << 20)
        world.start("first", "gate1")
        world.waits("gate1")
        with open(disk + "/ballast", "wb") as file:
            file.write(bytes(9 << 20))
        time.sleep(0.3)  # what was seen of a disk before the ballast counts for 200 ms
        check(add(world, "second")[0] == 0, "above nothing, and yet not stored")
        eventually("it is told", lambda: "nothing starts: " in world.pleach("status"))
        check("second" not in world.runs(), "it started below the reserve")
        with open(disk + "/ballast", "ab", buffering=0) as file:  # to the last byte
            try:
                while file.write(bytes(1 << 16)):
                    pass
            except OSError:
                pass
        status, why = 0, ""
        for i in range(200):  # the log of the store may have room in its last page
            status, why = add(world, f"full{i}")
            if status:
                break
        check(status in (5, 6) and "disk" in why, f"add on a full disk: {status}: {why}")
        took = at_rest(world, "full disk", team_pids(world))
        world.go("gate1")
        time.sleep(0.2)
        os.unlink(disk + "/ballast")
        world.pleach("wait", "gate1", "second", "first")
        check(world.runs().count("gate1") == 1 and world.runs().count("second") == 1, "ran again")
        store_whole(world, ("gate1", "second", "first"), (f"full{i}",))
        return f"“{why}”; {took} ms of processor in 1 s; went on by itself"
    finally:
        world.refuse.clear()
        world.pleach("down", "--now", want=None)
        subprocess.run(("umount", "-l", disk), check=False)


def told_early(path):
    """(writes of the log, how many of them are synced, result) of each answer that left before the last was:
    not the bus's own greeting, and not what `hello` answers."""
    with open(path) as file:
        for line in file:
            written, synced, said = line.rstrip().split(" ", 2)
            while said.startswith("{"):
                message, end = json.JSONDecoder().raw_decode(said)
                said = said[end:].lstrip()
                if "supervisor" not in message.get("result", {}):
                    yield int(written), int(synced), message.get("result", {})


def wait_for_events(world, last):
    """As `events -f` does, until that task has run."""
    rpc, since, seen = world.connect(), 0, set()
    while last not in seen:
        told = rpc.ask("event.list", since=since, limit=1000, wait=True)
        since = told["seq"]
        seen |= {event["key"] for event in told["events"] if event["kind"] == "attempt.ended"}
    rpc.close()


def told_when_synced(world, chain):
    """What only a worker hears of is synced a moment later. Meanwhile nobody else hears of that: not
    who asks, not who is refused for what has just happened, not who follows the run. That one hears of
    what was synced while the next is not: of no attempt whose assignment was written after the sync."""
    def plan(name):
        world.plan(name=name, team=2, agents={"a": {"command": ["/bin/true"]}}, defaults={"agent": "a", "slot": "none"},
                   tasks=[{"id": f"{name}{i}", "prompt": "x", **({"blocked_by": [f"{name}{i - 1}"]} if i else {})}
                          for i in range(chain)])

    plan("f")
    world.pleach("run", "--headless")
    plan("c")
    world.pleach("run", "--headless", "--detach")
    rpc, refused, answered, at = world.connect(), 0, 0, 0
    end = time.monotonic() + 60
    waiter = threading.Thread(target=wait_for_events, args=(world, f"c{chain - 1}"))
    waiter.start()
    while at < chain:
        check(time.monotonic() < end, "the chain has not ended")
        try:
            rpc.ask("task.update", task=f"c{at}", prompt="y")
            answered += 1
        except Failure as refusal:
            refused += 1
            at += "is completed" in str(refusal)
    rpc.ask("event.list", since=0, limit=10)
    rpc.close()
    waiter.join()
    assigned, followed = {}, 0
    for written, synced, result in told_early(world.told):
        if "token" in result:
            assigned[result["attempt"]] = written
            continue
        told = result.get("events") or result.get("tasks")
        check(told, f"told before the sync: {str(result)[:300]}")
        for one in told:
            check(assigned.get(one.get("attempt"), 0) <= synced, f"told before the sync: {str(one)[:300]}")
        followed += 1
    check(len(assigned) > chain and followed, f"only {len(assigned)} assignments left before their sync, {followed} answers after one of two")
    return (f"{len(assigned)} assignments left before their sync; {refused} refusals and {answered} answers waited for it; "
            f"{followed} times who follows was told of what was synced, while the next was not")


def scenarios(long):
    for error in ("ENOSPC", "EIO") if long else ("ENOSPC",):
        yield f"store {error}", store_full, (error,)
        yield f"store, each write {error}", store_each, (error, 40 if long else 8)
        yield f"store, each second sync {error}", store_sync, (error, 200 if long else 20)
        yield f"state directory {error}", state_full, (error,)
        yield f"output log {error}", log_full, (error,)
        yield f"repository {error}", git_full, (error,)
        yield f"repository, worker dead {error}", settle_full, (error,)
        yield f"repository, beginning {error}", begin_full, (error, "/repo/.git/")
        if long:
            yield f"slots, beginning {error}", begin_full, (error, "/repo.pleach")
        yield f"repository, blockers {error}", base_full, (error,)
    yield "accept EMFILE", no_descriptors, ("EMFILE",)
    if long:
        yield "accept ENFILE", no_descriptors, ("ENFILE",)
        yield "children EMFILE", no_children, ("EMFILE",)
        yield "children EAGAIN", no_children, ("EAGAIN",)
    yield "told when synced", told_when_synced, (1000 if long else 300,)
    yield "memory", no_memory, (60 if long else 8,)
    yield "a real small disk", small_disk, ()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--short", action="store_true", help="one error of each kind")
    parser.add_argument("--only", default="", help="scenarios with this in their name")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    failed = skipped = passed = 0
    for name, scenario, arguments in scenarios(not options.short):
        if options.only not in name:
            continue
        world = Faults(options.build)
        try:
            said = scenario(world, *arguments)
            world.end_refuse()
            passed += said is not None
            skipped += said is None
            print(f"{name}: {said or 'NOT RUN: no file system can be mounted here'}", flush=True)
        except (Failure, OSError, subprocess.TimeoutExpired) as problem:
            failed += 1
            print(f"{name}: FAILED: {problem}\n{world.tail(25)}", flush=True)
            try:
                world.end_refuse()
            except (Failure, OSError, subprocess.TimeoutExpired) as more:
                print(f"and at its end: {more}")
    print(f"{passed} scenarios passed, {failed} failed, {skipped} not run")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
