"""Holds what the store says against what really happened: the checker of the crash runs.

Reads, once everything is down: the store, the repository, the witnesses' log, /proc. Asks nobody
of pleach. Each promise is one method that gives sentences about what breaks it; none: it holds.
"""
import collections
import os
import re
import sqlite3

from world import birth

PENDING, IN_PROGRESS, NEEDS_INPUT, COMPLETED, FAILED, CANCELLED = range(6)
STATUSES = "pending in_progress needs_input completed failed cancelled".split()
RUNNING, DONE, FELL, STOPPED, RELEASED, LOST = range(6)  # outcomes (shared/words.h)
KIND_CHOICE = 1

Line = collections.namedtuple("Line", "at key task attempt nonce pid born what rest")


def read_witness(path):
    lines = []
    with open(path) as file:
        for text in file:
            at, key, task, attempt, nonce, pid, born, what, *rest = text.split()
            lines.append(Line(int(at), key, int(task), int(attempt), nonce, int(pid), born, what, rest))
    return lines


class Evidence:
    def __init__(self, world, log, kills):
        """`kills`: what the driver did, {"workers": {teammate: n}, "agents": n, …}."""
        self.world, self.kills = world, kills
        self.lines = read_witness(log) if os.path.exists(log) else []
        self.store = sqlite3.connect(f"file:{world.path('store.db')}?mode=ro", uri=True)
        self.store.row_factory = sqlite3.Row
        self.tasks = {row["id"]: row for row in self.store.execute("SELECT * FROM task")}
        self.attempts = {row["id"]: row for row in self.store.execute("SELECT * FROM attempt")}
        self.events = list(self.store.execute("SELECT * FROM event ORDER BY seq"))
        self.blockers = collections.defaultdict(list)
        for row in self.store.execute("SELECT task, blocker FROM dependency"):
            self.blockers[row["task"]].append(row["blocker"])
        self.of_task = collections.defaultdict(list)
        self.of_attempt = collections.defaultdict(list)
        for line in self.lines:
            self.of_task[line.task].append(line)
            self.of_attempt[line.attempt].append(line)

    def key(self, task):
        return self.tasks[task]["key"] if task in self.tasks else f"task {task}"

    def verbs(self):
        """(event, verb) of each change of a task, in order."""
        for event in self.events:
            verb = re.search(r'"verb": ?"(\w+)"', event["data"] or "")
            if event["kind"] == "task.updated" and verb:
                yield event, verb.group(1)

    def worker(self, task):
        """Whose attempts count: of a choice those of the chosen alternative."""
        row = self.tasks[task]
        return self.tasks[row["chosen"]] if row["kind"] == KIND_CHOICE and row["chosen"] else row

    # --- the promises ---

    def nothing_lost(self, keys):
        stored = {row["key"]: row for row in self.tasks.values()}
        for key in keys:
            if key not in stored:
                yield f"{key} was acknowledged and is not in the store"
        for row in self.tasks.values():
            status = row["status"]
            if status != COMPLETED and not (row["parent"] and status in (FAILED, CANCELLED)):
                yield f"{row['key']} is {STATUSES[status]}: {row['input'] or row['error_message']}"
            if status == COMPLETED and row["kind"] != KIND_CHOICE:
                said = self.of_attempt[row["attempt"]]
                if not any(line.what == "end" and line.rest == ["0"] for line in said):
                    yield f"{row['key']} is completed, but its agent never ended well"

    def nothing_twice(self):
        starts = collections.Counter(line.attempt for line in self.lines if line.what == "start")
        for attempt, n in starts.items():
            if n > 1:
                yield f"attempt {attempt} was started {n} times"
            if attempt not in self.attempts:
                yield f"attempt {attempt} ran and is not in the store"
        ended = collections.Counter(e["attempt"] for e in self.events if e["kind"] == "attempt.ended")
        for attempt, n in ended.items():
            if n > 1:
                yield f"attempt {attempt} ended {n} times"
        for row in self.attempts.values():
            if row["outcome"] != RUNNING and not ended[row["id"]]:
                yield f"attempt {row['id']} ended without an event"
            if row["outcome"] == RUNNING:
                yield f"attempt {row['id']} of {self.key(row['task'])} never ended"
        done = collections.Counter(e["task"] for e, verb in self.verbs() if verb == "complete")
        for task, n in done.items():
            if n > 1:
                yield f"{self.key(task)} was completed {n} times"

    def completed_stay(self):
        completed = {}
        for event, verb in self.verbs():
            if verb == "complete":
                completed[event["task"]] = event
            elif event["task"] in completed and verb in ("assign", "lose", "fail", "release"):
                yield f"{self.key(event['task'])} was completed, then: {verb}"
        for task, event in completed.items():
            row = self.tasks[task]
            if row["kind"] == KIND_CHOICE:
                continue
            last = max((line.attempt for line in self.of_task[task] if line.what == "start"), default=0)
            if last > row["attempt"]:
                yield f"{row['key']} was completed by attempt {row['attempt']}, yet {last} ran"
            if event["attempt"] != row["attempt"]:
                yield f"{row['key']}: attempt {event['attempt']} completed it, not {row['attempt']}"

    def one_owner(self):
        last, owner = {}, {}
        for event in self.events:
            task, attempt = event["task"], event["attempt"]
            if event["kind"] == "attempt.started":
                if attempt <= last.get(task, 0):
                    yield f"{self.key(task)}: attempt {attempt} after {last[task]}"
                if owner.get(task):
                    yield f"{self.key(task)}: attempt {attempt} while {owner[task]} had it"
                last[task] = owner[task] = attempt
            elif event["kind"] == "attempt.ended" and owner.get(task) == attempt:
                owner[task] = None
        for task, lines in self.of_task.items():
            newest = 0
            for line in sorted(lines, key=lambda line: line.at):
                if line.attempt < newest:
                    yield (f"{self.key(task)}: attempt {line.attempt} still lived ({line.what}, pid"
                           f" {line.pid}) when {newest} ran")
                newest = max(newest, line.attempt)

    def order_kept(self):
        ends = {}  # of a task's accepted attempt: the last sign of life
        for task, row in self.tasks.items():
            lines = self.of_attempt.get(self.worker(task)["attempt"])
            if lines:
                ends[task] = max(line.at for line in lines)
        for task, blockers in self.blockers.items():
            first = min((line.at for line in self.of_task[task]), default=None)
            for blocker in blockers:
                if first is not None and ends.get(blocker, 0) > first:
                    yield f"{self.key(task)} began before {self.key(blocker)} had ended"

    def ancestry_kept(self):
        parents = {}
        for text in self.world.git("log", "--all", "--format=%H %P").splitlines():
            commit, *more = text.split()
            parents[commit] = more
        for task, blockers in self.blockers.items():
            attempt = self.attempts.get(self.tasks[task]["attempt"])
            heads = {self.worker(b)["head"] for b in blockers} - {None}
            if not attempt or not attempt["base"] or not heads:
                continue
            seen, todo = set(), [attempt["base"]]
            while todo:
                commit = todo.pop()
                if commit not in seen:
                    seen.add(commit)
                    todo += parents.get(commit, ())
            for head in heads - seen:
                yield f"{self.key(task)} did not start from {head[:12]} of a blocker"

    def every_byte_kept(self):
        objects = {line.split()[0] for line in
                   self.world.git("rev-list", "--objects", "--all").splitlines()}
        for line in self.lines:
            if line.what == "file" and line.rest[1] not in objects:
                yield f"attempt {line.attempt} of {line.key} wrote {line.rest[0]}: not reachable"
        for row in self.attempts.values():
            if row["head"] and row["head"] not in objects:
                yield f"attempt {row['id']} ended at {row['head'][:12]}: not reachable"

    def nobody_left(self):
        for pid, text in self.world.processes().items():
            yield f"process {pid} is left: {text}"
        for pid, born in {(line.pid, line.born) for line in self.lines}:
            if birth(pid) == (pid, born):
                yield f"witness {pid} is left"

    def nothing_ownerless(self):
        slots = {row["slot"] for row in self.attempts.values()}
        for line in self.world.git("worktree", "list", "--porcelain").splitlines():
            word, _, value = line.partition(" ")
            if word == "worktree" and value != self.world.repo and value not in slots:
                yield f"worktree {value} is nobody's slot"
            if word == "prunable":
                yield f"a worktree is gone: {value}"
        for ref in self.world.git("for-each-ref", "--format=%(refname)").splitlines():
            kept = re.fullmatch(r"refs/pleach/(kept|base)/(\d+)([-/].*)?", ref)
            slot = ref.removeprefix("refs/pleach/kept/slot-")
            if slot != ref:  # what was found in it, and no attempt had made
                known = slot.startswith(tuple(row["teammate"] for row in self.attempts.values()))
            elif kept:
                known = int(kept[2]) in (self.attempts if kept[1] == "kept" else self.tasks)
            else:
                known = ref == "refs/heads/main" or (
                    ref.startswith("refs/heads/pleach/crash/") and
                    ref.rpartition("/")[2] in {row["key"] for row in self.tasks.values()})
            if not known:
                yield f"ref {ref} belongs to nothing"
        for folder, _, names in os.walk(self.world.repo + "/.git"):
            for name in names:
                if name.endswith(".lock") and name not in ("pleach-slot.lock", "worktrees.lock"):
                    yield f"lock {folder}/{name} is left"

    def stores_sound(self):
        for row in self.store.execute("PRAGMA integrity_check"):
            if row[0] != "ok":
                yield f"integrity_check: {row[0]}"
        for row in self.store.execute("PRAGMA foreign_key_check"):
            yield f"foreign_key_check: {tuple(row)}"
        for row in self.store.execute("SELECT task, blocker FROM dependency WHERE task NOT IN (SELECT id FROM task)"
                                      " OR blocker NOT IN (SELECT id FROM task)"):
            yield f"an edge without a task: {tuple(row)}"
        self.world.git("fsck", "--full", "--no-dangling", "--no-progress")

    def kills_explain(self):
        """Whatever went wrong with an attempt was done by the driver; tmux and the coordinator
        cost none."""
        lost = collections.Counter(a["teammate"] for a in self.attempts.values() if a["outcome"] == LOST)
        for name, n in lost.items():
            if n > self.kills["workers"].get(name, 0):
                yield f"{name} lost {n} attempts by {self.kills['workers'].get(name, 0)} kills"
        for row in self.attempts.values():
            if row["outcome"] == RELEASED:
                yield f"attempt {row['id']} was released, nobody asked for that"
        signals = sum(1 for line in self.lines if line.what == "end" and line.rest == ["signal"])
        killed = sum(1 for a in self.attempts.values() if a["outcome"] == FELL and a["error_code"] == 2)
        if killed > signals + self.kills["agents"]:
            yield f"{killed} agents ended by a signal, {signals} by themselves, {self.kills['agents']} by us"

    def events_true(self, seen):
        """What a follower was told is what is stored."""
        stored = {e["seq"]: (e["kind"], e["task"], e["attempt"]) for e in self.events}
        for seq, told in seen.items():
            if told[0] != "task.progress" and stored.get(seq) != told:
                yield f"event {seq} was told as {told}, stored is {stored.get(seq)}"

    def judge(self, keys=(), seen=()):
        """Every promise; {its name: [what breaks it]} of those that do not hold."""
        promises = {
            "nothing lost": self.nothing_lost(keys), "nothing twice": self.nothing_twice(),
            "completed stay": self.completed_stay(), "one owner": self.one_owner(),
            "order": self.order_kept(), "ancestry": self.ancestry_kept(),
            "every byte": self.every_byte_kept(), "nobody left": self.nobody_left(),
            "ownerless": self.nothing_ownerless(), "stores": self.stores_sound(),
            "kills explain": self.kills_explain(), "events": self.events_true(dict(seen)),
        }
        found = {name: list(broken) for name, broken in promises.items()}
        return {name: broken for name, broken in found.items() if broken}

    def figures(self):
        work = [row for row in self.tasks.values() if row["kind"] != KIND_CHOICE]
        return {
            "tasks": len(self.tasks), "completed": sum(r["status"] == COMPLETED for r in self.tasks.values()),
            "attempts": len(self.attempts), "more than one attempt": sum(r["attempts"] > 1 for r in work),
            "lost attempts": sum(a["outcome"] == LOST for a in self.attempts.values()),
            "files witnessed": sum(line.what == "file" for line in self.lines),
            "left processes ended": sum(line.what == "child" for line in self.lines),
            "internal errors": sum(a["error_code"] == 12 for a in self.attempts.values()),
        }
