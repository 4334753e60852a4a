"""One trial of a death at one system call: its universe, its user, its end.

Owns preparing, arming deathat, doing what a user would do, and what must hold after any death.
What the operations are is in points_ops.py.
"""
import contextlib
import json
import os
import re
import select
import sqlite3
import subprocess
import tempfile
import time

from world import Failure, LIMIT, World, check, eventually

STATUSES = "pending in_progress needs_input completed failed cancelled".split()
AGENT = 'echo "$PLEACH_ATTEMPT start" >>"$W/$PLEACH_KEY.log"; {}; ' \
        'echo "$PLEACH_ATTEMPT end" >>"$W/$PLEACH_KEY.log"'
MADE = 'echo "$PLEACH_KEY" >"made-$PLEACH_KEY"'
GATED = MADE + '; : >"$W/$PLEACH_KEY.at.$PLEACH_ATTEMPT"; read x <"$W/go"'


class Deathat:
    """deathat at work: followed processes, one of which dies at the wanted point."""

    def __init__(self, world, roles, at, everybody, pids, command, out):
        read_end, write_end = os.pipe()
        argv = [world.build + "/deathat", str(write_end), *(["--all"] if everybody else []),
                ",".join(roles), str(at), *map(str, pids), "--", *command]
        self.process = subprocess.Popen(argv, cwd=world.repo, env=world.env, pass_fds=(write_end,),
                                        stdin=subprocess.PIPE, stdout=out, stderr=out)
        os.close(write_end)
        self.report = os.fdopen(read_end, "rb", buffering=0)
        self.lines = []
        self.exit = None
        self.until("ready")

    def until(self, word):
        """Reads on to the line that begins with the word (or the end)."""
        end = time.monotonic() + LIMIT
        while select.select([self.report], [], [], max(0, end - time.monotonic()))[0]:
            line = self.report.readline()
            if not line:
                break
            line = line.decode(errors="replace")
            self.lines.append(line.rstrip())
            if line.startswith(word):
                return line.split(" ", 1)[-1].strip()
        return None

    def command_status(self):
        status = self.until("exit")
        return int(status) if status is not None else 255

    def end(self):
        """Lets go; (how many points there were, what died, the points)."""
        self.process.stdin.close()
        count = self.until("count")
        self.process.wait()
        check(count is not None, "deathat failed: " + " ".join(self.lines[-3:]))
        died = [line for line in self.lines if line.startswith("died ")]
        points = [line for line in self.lines if line.startswith("point ")]
        return int(count), died[0] if died else None, points


class Trial(World):
    def __init__(self, build, operation, roles, at, everybody=False):
        super().__init__(build, bool(os.environ.get("PLEACH_TEST_KEEP")))
        self.operation, self.roles, self.at, self.everybody = operation, roles, at, everybody
        self.gate = None
        self.tracer, self.armed = None, False
        self.count, self.died, self.points = 0, None, []
        self.said = []  # what commands answered that did not succeed
        os.mkfifo(self.meet + "/go")
        with open(self.repo + "/.git/info/exclude", "a") as file:
            file.write("/pleach.yaml\n")

    # --- what a user does ---

    def plan(self, *tasks, **more):
        """Tasks as (key, script, {more}); they run below an agent that runs its prompt."""
        rows = [{"id": key, "prompt": AGENT.format(script), **keys} for key, script, keys in tasks]
        super().plan(name="p", agents={"sh": {"command": ["sh", "{prompt_file}"]}},
                     defaults={"agent": "sh"}, team=more.pop("team", 1), tasks=rows, **more)

    def user(self, *args, fine=(0,), done=()):
        """A command, repeated as a person would until it succeeds; the first one is armed.
        `done`: answers to a repeated one that say: it was done before."""
        command = [self.build + "/pleach", *args]
        for i in range(6):
            with tempfile.TemporaryFile("w+") as out:
                if i == 0 and not self.armed:
                    self.arm(command, out)
                    status = self.tracer.command_status()
                else:
                    status = subprocess.run(command, cwd=self.repo, env=self.env, stdout=out,
                                            stderr=out, stdin=subprocess.DEVNULL,
                                            timeout=LIMIT).returncode
                if status in fine or (i and status in done):
                    return i == 0
                out.seek(0)
                self.said.append(f"pleach {' '.join(args)}: exit {status}: {out.read().strip()[-300:]}")
        raise Failure("never succeeded: " + " | ".join(self.said))

    def arm(self, command, out):
        self.armed = True
        eventually("git has ended", lambda: not any(
            re.match(r"\S*(pleach-git|git) ", line) for line in self.processes().values()))
        pids = list(self.processes())
        self.tracer = Deathat(self, self.roles, self.at, self.everybody, pids, command, out)

    def disarm(self):
        if self.tracer:
            self.count, self.died, self.points = self.tracer.end()
            self.tracer = None

    def disarm_quietly(self):
        try:
            self.disarm()
        except (Failure, OSError):
            pass

    def until_idle(self):
        """Every teammate is there and waits for work."""
        self.until("the team is idle", lambda tasks: self.team_states() == {"idle"})

    def team_states(self):
        done = self.pleach("--json", "team", "list", want=None)
        return {row["state"] for row in json.loads(done)["teammates"]} if done else None

    def tasks(self):
        """{key: Task}, as a person sees them; starts the coordinator where none is."""
        done = subprocess.run([self.build + "/pleach", "--json", "task", "list"], cwd=self.repo,
                              env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, timeout=LIMIT, text=True)
        if done.returncode != 0:
            self.said.append("task list: " + done.stderr.strip()[-300:])
            return None
        return {task["key"]: task for task in json.loads(done.stdout)["tasks"]}

    def until(self, what, true, limit=15):
        end = time.monotonic() + limit
        while True:
            tasks = self.tasks()
            if tasks is not None and true(tasks):
                return tasks
            if time.monotonic() > end:
                seen = {key: (t["status"], t["attempts"], t["error"], t["input"])
                        for key, t in (tasks or {}).items()}
                raise Failure(f"not within {limit} s: {what}: {seen}")
            time.sleep(0.03 if self.tracer else 0.003)  # each look is a point, too

    def until_status(self, **wanted):
        return self.until(str(wanted), lambda tasks: all(
            key in tasks and tasks[key]["status"] == status for key, status in wanted.items()))

    def until_at_gate(self, key, after=0):
        """The agent of the current attempt (later than `after`) waits at the gate."""
        return self.until(f"{key} at the gate", lambda tasks: key in tasks and
                          (tasks[key]["attempt"] or 0) > after and
                          os.path.exists(f"{self.meet}/{key}.at.{tasks[key]['attempt']}"))

    def open_gate(self):
        """For every attempt from now on."""
        if self.gate is None:
            self.gate = os.open(self.meet + "/go", os.O_RDWR | os.O_CLOEXEC)
            os.write(self.gate, b"go\n" * 50)

    def end(self):
        if self.gate is not None:
            os.close(self.gate)
            self.gate = None
        self.disarm()
        super().end()

    # --- a store of another version ---

    def old_store(self):
        """The store that a pleach of the first schema had left for this repository."""
        self.pleach("status")
        self.pleach("down")
        with open(os.path.dirname(__file__) + "/schema-1.sql") as file:
            text = file.read()
        text = text.replace("@ROOT@", self.repo).replace("@BASE@", self.git("rev-parse", "HEAD"))
        store = self.path("store.db")
        for name in (store, store + "-wal", store + "-shm"):
            if os.path.exists(name):
                os.unlink(name)
        with contextlib.closing(sqlite3.connect(store)) as db:
            db.executescript(text)

    def schema(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.path('store.db')}?mode=ro", uri=True)) as db:
            return db.execute("PRAGMA user_version").fetchone()[0]

    def refusal(self, *args):
        """The lines on stderr of a command that must not succeed."""
        done = subprocess.run([self.build + "/pleach", *args], cwd=self.repo, env=self.env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, timeout=LIMIT, text=True)
        check(done.returncode == 6, f"pleach {' '.join(args)}: exit {done.returncode}, not 6")
        return done.stderr.splitlines()

    def set_schema(self, number):
        with contextlib.closing(sqlite3.connect(self.path("store.db"))) as db:
            db.execute(f"PRAGMA user_version = {number}")

    # --- what must hold ---

    def witness(self, key):
        try:
            with open(f"{self.meet}/{key}.log") as file:
                return [tuple(line.split()) for line in file]
        except OSError:
            return []

    def check_store(self, most_attempts):
        with contextlib.closing(
                sqlite3.connect(f"file:{self.path('store.db')}?mode=ro", uri=True)) as store:
            check(store.execute("PRAGMA integrity_check").fetchone()[0] == "ok", "integrity_check")
            check(not store.execute("PRAGMA foreign_key_check").fetchall(), "foreign_key_check")
            check(not store.execute("SELECT * FROM landing WHERE state = 0").fetchall(),
                  "a landing is still open")
            keys = dict(store.execute("SELECT id, key FROM task"))
            attempts = {}
            for attempt, task, outcome in store.execute("SELECT id, task, outcome FROM attempt"):
                attempts.setdefault(keys[task], []).append(str(attempt))
                check(outcome != 0, f"attempt {attempt} of {keys[task]} never ended")
            for kind in ("attempt.started", "attempt.ended"):
                rows = store.execute("SELECT attempt, count(*) FROM event WHERE kind = ?"
                                     " GROUP BY attempt", (kind,))
                for attempt, times in rows:
                    check(times == 1, f"{times} × {kind} of attempt {attempt}")
            self.check_completions(store, keys)
        for key in set(keys.values()):
            self.check_runs(key, attempts.get(key, []), most_attempts)
        return keys, attempts

    def check_completions(self, store, keys):
        completed = set()
        for task, kind, data in store.execute("SELECT task, kind, data FROM event ORDER BY seq"):
            if kind == "attempt.started":
                check(task not in completed, f"{keys[task]} was started after its completion")
            elif kind == "task.updated" and '"verb":"complete"' in data.replace(" ", ""):
                check(task not in completed, f"{keys[task]} was completed twice")
                completed.add(task)

    def check_runs(self, key, attempts, most):
        lines = self.witness(key)
        starts = [attempt for attempt, what in lines if what == "start"]
        check(len(starts) == len(set(starts)), f"an attempt of {key} ran twice: {lines}")
        check(set(starts) <= set(attempts), f"{key} ran as {starts}, stored are {attempts}")
        check(len(attempts) <= most, f"{key} took {len(attempts)} attempts, {most} are allowed")

    def check_repository(self, keys, attempts, lands):
        self.git("fsck", "--full", "--no-dangling", "--no-progress")
        known = {f"refs/heads/{name}" for name in ("main", "other")}
        known |= {f"refs/heads/pleach/{plan}/{key}" for key in keys.values() for plan in ("p", "old", "adhoc")}
        numbers = {number for list_ in attempts.values() for number in list_}
        for ref in self.git("for-each-ref", "--format=%(refname)").splitlines():
            kept = re.match(r"refs/pleach/kept/(?:(\d+)(-|$)|slot-integration(?:-\d+)?$)", ref)
            base = re.match(r"refs/pleach/base/(\d+)$", ref)
            check(ref in known or (kept and (kept[1] in numbers if kept[1] else lands)) or (base and int(base[1]) in keys),
                  f"{ref} belongs to nothing")
        for line in self.git("worktree", "list", "--porcelain").splitlines():
            check(not line.startswith("prunable"), f"a worktree without its folder: {line}")
        self.check_worktrees()
        self.check_junk()

    def check_worktrees(self):
        top = self.repo + "/.git/worktrees"
        for name in os.listdir(top) if os.path.isdir(top) else ():
            for needed in ("gitdir", "HEAD", "commondir", "index"):
                # One more place to prove landings in is filled when it is needed.
                check(os.path.exists(f"{top}/{name}/{needed}") or needed == "index" and
                      re.match(r"integration-\d+$", name) and self.is_unfilled(name),
                      f"worktree {name} has no {needed}")
            with open(f"{top}/{name}/gitdir") as file:
                link = file.read().strip()
            check(os.path.exists(link), f"worktree {name} leads to {link}, which is not there")
        slots = self.repo + ".pleach"
        for name in os.listdir(slots) if os.path.isdir(slots) else ():
            check(name.startswith(".") or os.path.isdir(f"{top}/{name}"), f"slot {name} is no worktree")

    def is_unfilled(self, name):
        with open(f"{self.repo}/.git/worktrees/{name}/gitdir") as file:
            return os.listdir(os.path.dirname(file.read().strip())) == [".git"]

    def check_junk(self):
        """Half-written files and locks of ours or git's. (git's own tmp_obj_* are git gc's.)"""
        ours = ("pleach-slot.lock", "worktrees.lock")
        for top in (self.repo + "/.git", self.dir + "/state", self.runtime, self.repo + ".pleach"):
            for folder, dirs, names in os.walk(top):
                for name in names + dirs:
                    check(not name.endswith(".lock") or name in ours, f"lock left: {folder}/{name}")
                    check(not re.search(r"\.half$|\.[0-9a-f]{8}$|^\.pleach-[0-9a-f]{8}", name), f"half a file left: {folder}/{name}")
                    check(not name.startswith("pleach-moving"), f"left: {folder}/{name}")
                    check(name != "result.json", f"left: {folder}/{name}")

    def check_user(self, branches, dirty=""):
        """The user's own branch, index and files are as they were left."""
        check(self.git("symbolic-ref", "HEAD") == "refs/heads/main", "HEAD is not main any more")
        status = self.git("status", "--porcelain")
        check(status == dirty, f"the user's work tree: {status!r}, not {dirty!r}")
        for name, commit in branches.items():
            check(self.git("rev-parse", name) == commit, f"{name} has moved")

    def check_down(self):
        self.pleach("down")
        left = self.processes()
        check(not left, f"left after down: {left}")
        sockets = [name for folder, _, names in os.walk(self.runtime) for name in names
                   if name == "control"]
        check(not sockets, "the control socket is left after down")

    def probe(self):
        """It still works: one more task, in a slot, from the beginning to the end."""
        self.user("add", "--key", "probe", AGENT.format(MADE), done=(5,))
        tasks = self.until("the probe ends", lambda tasks: "probe" in tasks and
                           tasks["probe"]["status"] not in ("pending", "in_progress"))
        check(tasks["probe"]["status"] == "completed", f"probe: {tasks['probe']['error']}")
