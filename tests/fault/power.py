#!/usr/bin/env python3
"""The power goes, again and again, while a team works.

Proves that whatever was acknowledged to a person or a program before the cut is there when the
machine starts again, from nothing but what was synced (disk.py): tasks, events, finishes,
landings, snapshots, and every head with all of its objects; and that the work then goes on, no
completed task being run again. With --off a guard of the
controls build (shared/controls.h) is switched off, and something must be lost.
"""
import argparse
import glob
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE + "/../crash")

from disk import MODES, Disk  # noqa: E402
from world import Failure, World, check, gone  # noqa: E402

OFF_TRIES = 5  # of a run with a guard switched off, until it lost something

AGENT = """
echo "$PLEACH_KEY $PLEACH_ATTEMPT start" >>"$WITNESS"
[ "${PLEACH_KEY#none}" = "$PLEACH_KEY" ] || exit 0
echo "$PLEACH_KEY $PLEACH_ATTEMPT" >"f-$PLEACH_KEY"
case $PLEACH_KEY in *commit*)
	# Synced as ours are, or, with --agents-unsynced, not at all: by itself git syncs a branch and not the
	# files of its commit, and what a cut takes of that nobody has promised.
	git -c core.fsync=$AGENT_SYNCS add -A && git -c core.fsync=$AGENT_SYNCS commit -qm "by the agent"
	[ $AGENT_SYNCS = all ] || sleep 0.4 ;; # for the power to go in
esac
echo more >>"f-$PLEACH_KEY"
"""


class Lost(Failure):
    """Something that was acknowledged is not there."""


class Seen:
    """What people and programs were told, across all cuts."""

    def __init__(self):
        self.events = {}  # seq: the event
        self.tasks = {}  # id: key, as add and submit answered
        self.ended = {}  # id: (status, head), as wait answered
        self.cancelled = set()  # as stop answered
        self.landed = []  # commits that merge says are in main
        self.snapshots = set()

    def count(self):
        return (len(self.events) + len(self.tasks) + len(self.ended) + len(self.cancelled) +
                len(self.landed) + len(self.snapshots))


class Client(threading.Thread):
    """One connection that does the same thing until the power goes."""

    def __init__(self, world, off, work):
        super().__init__(daemon=True)
        self.world = world
        self.off = off
        self.work = work
        self.problem = None
        self.start()

    def run(self):
        try:
            while not self.off.is_set() and not glob.glob(self.world.runtime + "/*/control"):
                time.sleep(0.002)
            rpc = self.world.connect(wait=5)
            while not self.off.is_set():
                self.work(rpc)
        except (OSError, ConnectionError, IndexError, ValueError):
            pass  # the coordinator went away, or never came
        except Failure as problem:
            self.problem = problem


class Power:
    def __init__(self, world, seed, unsynced):
        self.world = world
        self.unsynced = unsynced
        self.rng = random.Random(seed)
        self.seen = Seen()
        self.boot = 0
        self.outside = tempfile.mkdtemp(prefix="pl-outside-")
        self.witness = self.outside + "/witness"
        self.boot_file = self.outside + "/boot"
        self.disk = Disk(world.dir, world.build + "/faults.so")
        self.heads = 0
        self.refused = []  # why merge would not
        self.modes = dict.fromkeys(MODES, 0)

    def env(self):
        return {**self.disk.env(), "PLEACH_FAULT_BOOT": self.boot_file, "WITNESS": self.witness,
                "AGENT_SYNCS": "none" if self.unsynced else "all"}

    # ---- a life of the machine ----

    def plan(self):
        name = f"p{self.boot}"
        tasks = []
        for i in range(6):
            word = ("plain", "commit", "none")[i % 3]
            task = {"id": f"{word}{i}_{name}", "prompt": "work", "verify": "true"}
            if word == "none":
                task.update(slot="none", verify="true")
            if i > 2:
                task["blocked_by"] = [tasks[i - 3]["id"]]
            tasks.append(task)
        self.world.plan(name=name, team=3, tasks=tasks, defaults={"agent": "sh"},
                        agents={"sh": {"command": ["sh", "-c", AGENT], "mode": "exec"}})

    def add(self, rpc):
        key = f"plain_{uuid.uuid4().hex[:10]}"
        spec = {"slot": "own", "timeout": None, "retries": 0, "expect_changes": False,
                "verify": None, "setup": None, "copy": [], "link": []}
        task = rpc.ask("task.add", plan=f"added{self.boot}", agents={
            "sh": {"command": ["sh", "-c", AGENT], "mode": "exec", "prompt": "argv", "env": {}}},
            task={"key": key, "subject": key, "prompt": "work", "kind": "work", "blocked_by": [],
                  "when": "completed", "priority": self.rng.randrange(3), "agent": "sh",
                  "model": None, "choose": None, "spec": spec, "metadata": None, "line": 1})
        self.seen.tasks[task["id"]] = key
        if self.rng.random() < 0.2:
            self.stop(rpc, task["id"])
        time.sleep(self.rng.uniform(0, 0.15))

    def stop(self, rpc, task):
        try:
            self.seen.cancelled.add(rpc.ask("task.stop", task=str(task))["id"])
        except Failure as problem:  # over before it was stopped; how is asked at the end
            check("cannot cancel it" in str(problem), str(problem))

    def follow(self, rpc):
        since = max(self.seen.events, default=0)
        for event in rpc.ask("event.list", since=since, limit=1000, wait=True)["events"]:
            self.seen.events[event["seq"]] = event

    def wait(self, rpc):
        open_ = [task for task in self.seen.tasks if task not in self.seen.ended]
        if not open_:
            time.sleep(0.01)
            return
        for task in rpc.ask("task.wait", tasks=[str(self.rng.choice(open_))])["tasks"]:
            if task["status"] in ("completed", "cancelled", "failed"):
                self.seen.ended[task["id"]] = (task["status"], task["head"])

    def land(self, rpc):
        time.sleep(self.rng.uniform(0, 0.2))
        done = [task for task, (status, head) in list(self.seen.ended.items())
                if status == "completed" and head]
        if self.rng.random() < 0.2:
            file = f"{self.world.dir}/snapshot-{uuid.uuid4().hex}"
            rpc.ask("store.snapshot", file=file)
            self.seen.snapshots.add(file)
        if not done:
            return
        try:
            answer = rpc.ask("task.merge", tasks=[str(self.rng.choice(done[-20:]))], all=False,
                             squash=False, dry_run=False)
        except Failure as problem:  # what it did not do is not acknowledged
            self.refused.append(str(problem))
            return
        if answer["merged"] and answer["after"]:
            self.seen.landed.append(answer["after"])

    def start_machine(self):
        """Another boot, with an id of its own, as after every cut."""
        self.boot += 1
        with open(self.boot_file, "w") as file:
            file.write(f"{uuid.UUID(int=self.rng.getrandbits(128))}\n")
        self.plan()

    def live(self, seconds):
        """Works until the power goes."""
        self.start_machine()
        starter = subprocess.Popen(
            (self.world.build + "/pleach", "run", "--headless", "--detach", "--json"),
            cwd=self.world.repo, env={**self.world.env, **self.env()}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        off = threading.Event()
        clients = [Client(self.world, off, work)
                   for work in (self.add, self.follow, self.wait, self.land)]
        time.sleep(seconds)
        self.disk.cut()
        off.set()
        self.kill_all()
        out, err = starter.communicate()
        for client in clients:
            client.join()
            if client.problem:
                raise client.problem
        check(starter.returncode in (0, -9), f"run: {starter.returncode}: {err.strip()}")

    def kill_all(self):
        end = time.monotonic() + 30
        while True:
            left = self.world.processes()
            if not left:
                return
            check(time.monotonic() < end, f"they do not die: {left}")
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass

    # ---- what must be there ----

    def lost(self, fine, text):
        if not fine:
            raise Lost(f"boot {self.boot}: {text}")

    def store(self):
        """A copy of the store, opened as the next coordinator will."""
        copy = tempfile.mkdtemp(dir=self.outside)
        for file in glob.glob(self.world.path("store.db*")):
            shutil.copy(file, copy)
        return sqlite3.connect(copy + "/store.db"), copy

    def check_store(self):
        try:
            db, copy = self.store()
        except (OSError, IndexError):
            self.lost(not self.seen.count(), "there is no store any more")
            return
        try:
            rows = dict(db.execute("SELECT id, key FROM task"))
        except sqlite3.DatabaseError as problem:
            self.lost(not self.seen.count(), f"store: {problem}")
            rows = {}
        if rows or self.seen.count():
            self.check_rows(db, rows)
        db.close()
        shutil.rmtree(copy)

    def check_rows(self, db, rows):
        seen = self.seen
        self.lost(db.execute("PRAGMA integrity_check").fetchall() == [("ok",)],
                  "the store is damaged")
        for task, key in seen.tasks.items():
            self.lost(rows.get(task) == key, f"task {task} ({key}) was added")
        status = dict(db.execute("SELECT t.id, v.status FROM task t JOIN task_v v ON v.id = t.id"))
        heads = dict(db.execute("SELECT id, head FROM task"))
        for task, (was, head) in seen.ended.items():
            self.lost(status[task] == was, f"task {task} was {was}, is {status[task]}")
            # What a stopped attempt left is kept a little after the stop.
            self.lost(not head or heads[task] == head,
                      f"task {task} ended at {head}, not {heads[task]}")
        for task in seen.cancelled:
            self.lost(status[task] == "cancelled", f"task {task} was cancelled: {status[task]}")
        kept = {seq: (kind, task) for seq, kind, task in
                db.execute("SELECT seq, kind, task FROM event")}
        for seq, event in seen.events.items():
            self.lost(event["kind"] == "task.progress" or
                      kept.get(seq) == (event["kind"], event["task"]),
                      f"event {event} is {kept.get(seq)}")
        self.check_heads([head for head, in db.execute(
            "SELECT head FROM task WHERE head IS NOT NULL UNION"
            " SELECT head FROM attempt WHERE head IS NOT NULL")])

    def check_heads(self, heads):
        """Each with its whole history, and kept by a ref: garbage collection takes the rest."""
        done = subprocess.run(
            ("git", "rev-list", "--objects", "--stdin", "--quiet"), cwd=self.world.repo, text=True,
            env=self.world.env, input="\n".join([*heads, *self.seen.landed, ""]),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lost(done.returncode == 0, f"of the heads in the store: {done.stderr.strip()}")
        if heads:
            done = subprocess.run(
                ("git", "rev-list", "--stdin"), cwd=self.world.repo, text=True,
                env=self.world.env, input="\n".join([*heads, *self.whole_refs(), ""]),
                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.lost(done.returncode == 0 and not done.stdout,
                      f"no ref keeps {done.stdout} {done.stderr}")
        for commit in self.seen.landed:
            done = subprocess.run(("git", "merge-base", "--is-ancestor", commit, "main"),
                                  cwd=self.world.repo, env=self.world.env,
                                  stderr=subprocess.PIPE, text=True)
            self.lost(done.returncode == 0, f"{commit} was landed on main {done.stderr}")
        self.heads += len(heads)

    def whole_refs(self):
        """What refs keep, as ^COMMIT. What an agent's own git did not sync is nobody's promise."""
        refs = subprocess.run(("git", "for-each-ref", "--format=%(objectname)"),
                              cwd=self.world.repo, text=True, env=self.world.env,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        found = subprocess.run(("git", "cat-file", "--batch-check=%(objectname) %(objecttype)"),
                               cwd=self.world.repo, text=True, env=self.world.env, input=refs,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        return ["^" + line.split()[0] for line in found.splitlines() if line.endswith("commit")]

    def check_snapshots(self):
        for file in self.seen.snapshots:
            try:
                db = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
                fine = db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                db.close()
            except sqlite3.DatabaseError as problem:
                fine = problem
            self.lost(fine is True, f"snapshot {file}: {fine}")

    def power_off(self, seconds):
        self.live(seconds)
        self.mode = self.rng.choice(MODES)
        self.modes[self.mode] += 1
        self.disk.restore(self.mode, self.rng)
        if self.rng.random() < 0.5:  # many empty /tmp when they start
            for entry in os.listdir(self.world.runtime):
                shutil.rmtree(f"{self.world.runtime}/{entry}")
        self.check_store()
        self.check_snapshots()

    # ---- and then it goes on ----

    def check_rest(self):
        """Without further cuts everything comes to rest, and nothing completed ran again."""
        self.start_machine()
        env = {**self.world.env, **self.env()}
        done = subprocess.run((self.world.build + "/pleach", "run", "--headless"),
                              cwd=self.world.repo, env=env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
        check(done.returncode == 0, f"run: exit {done.returncode}: {done.stdout[-800:]}")
        rpc = self.world.connect()
        ids = [str(task["id"]) for task in rpc.ask("task.list")["tasks"]]
        rpc.socket.settimeout(300)
        rows = rpc.ask("task.wait", tasks=ids)["tasks"]
        wrong = [(row["key"], row["status"], row["error"]) for row in rows
                 if row["status"] != "completed" and row["id"] not in self.seen.cancelled and
                 row["status"] != "cancelled"]
        check(not wrong, f"{len(wrong)} of {len(rows)} did not complete: {wrong[:5]}")
        self.follow(rpc)
        rpc.close()
        self.check_witness(rows)
        self.check_store()
        self.check_objects()
        return rows

    def check_objects(self):
        """All that any ref keeps is there and whole. Beside it may lie what nobody synced, and
        reflogs that name it."""
        kept = {line.split()[0] for line in
                self.world.git("rev-list", "--objects", "--all").splitlines()}
        said = subprocess.run(("git", "fsck", "--no-dangling", "--no-reflogs", "--no-progress"),
                              cwd=self.world.repo, capture_output=True, text=True, check=False)
        for line in (said.stdout + said.stderr).splitlines():
            names = re.findall(r"[0-9a-f]{40}", re.sub(r"objects/(..)/", r"\1", line))
            check(names and not kept.intersection(names), f"git fsck: {line}")

    def check_witness(self, rows):
        completed = {}
        for event in self.seen.events.values():
            if event["kind"] == "attempt.ended" and event["data"]["outcome"] == "completed":
                check(event["key"] not in completed, f"{event['key']} was completed twice")
                completed[event["key"]] = event["attempt"]
        with open(self.witness) as file:
            for line in file:
                key, attempt, _ = line.split()
                if key in completed:
                    check(int(attempt) <= completed[key], f"{key} was run again: {line}")


def run(world, options):
    power = Power(world, options.seed, options.agents_unsynced)
    lost = None
    start = time.monotonic()
    try:
        for i in range(options.cuts):
            power.power_off(power.rng.uniform(0.05, options.most_ms / 1000))
            if options.verbose:
                print(f"cut {i + 1}: {power.mode}, {power.seen.count()} acknowledged", flush=True)
        rows = power.check_rest()
    except Lost as problem:
        lost = problem
    finally:
        power.kill_all()
        if not options.keep:
            power.disk.end()
            shutil.rmtree(power.outside)
    if lost and not options.off:
        raise lost
    if options.off:
        check(lost, f"nothing was lost in {options.cuts} cuts: the test cannot fail")
        print(f"{options.off} off: lost, as it must be, after {power.boot} cuts: {lost}")
        return
    print(f"{options.cuts} power cuts ({', '.join(f'{n} {m}' for m, n in power.modes.items())})"
          f" in {time.monotonic() - start:.0f} s; {len(rows)} tasks")
    seen = power.seen
    print(f"acknowledged: {len(seen.events)} events, {len(seen.tasks)} tasks added,"
          f" {len(seen.ended)} waited for, {len(seen.cancelled)} stopped,"
          f" {len(seen.landed)} landings, {len(seen.snapshots)} snapshots")
    for why in sorted(set(power.refused)) if options.verbose else ():
        print(f"merge refused {power.refused.count(why)} times: {why}")
    print(f"0 lost; {power.heads} times a recorded head was found whole")


def in_a_world(options):
    print(f"seed {options.seed}")
    world = World(options.build, options.keep)
    world.env["PLEACH_CONTROL_OFF"] = options.off or ""
    status = 0
    try:
        run(world, options)
    except (Failure, subprocess.TimeoutExpired) as problem:
        print(f"FAILED: {problem}")
        print(world.tail())
        status = 1
        if options.keep:
            print(f"kept: {world.dir} {world.runtime}")
    finally:
        if not options.keep:
            shutil.rmtree(world.dir, ignore_errors=True)
            shutil.rmtree(world.runtime, ignore_errors=True)
    return status


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--most-ms", type=int, default=1500, help="between start and cut")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--off", metavar="GUARD", help="fsync-store or fsync-git")
    parser.add_argument("--agents-unsynced", action="store_true",
                        help="agents commit as git does by itself: the work must go on all the same")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # Without a guard more than what was acknowledged may be gone, and be found first: again then.
    for _ in range(OFF_TRIES if options.off else 1):
        status = in_a_world(options)
        if status == 0:
            break
        options.seed += 1
    return status


if __name__ == "__main__":
    sys.exit(main())
