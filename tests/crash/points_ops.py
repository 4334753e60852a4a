"""The operations that die at each of their points: how each is prepared, done and judged.

Owns no mechanism: that is points_world.py. `roles` are the processes that die, one at a time.
An agent runs again only where its worker died, or git under it: `again`.
"""
import json
import os
import time

from points_world import GATED, MADE
from world import check

OPERATIONS = {}


def operation(cls):
    OPERATIONS[cls.name] = cls
    return cls


class Operation:
    roles = ("serving",)
    again = ("worker",)  # roles whose death may cost an attempt
    probes = True
    lands = False  # what a death orphans of a landing may be kept

    def most_attempts(self, trial):
        return 2 if trial.everybody or set(trial.roles) & set(self.again) else 1

    def prepare(self, t):
        raise NotImplementedError

    def act(self, t):
        raise NotImplementedError

    def rest(self, t):
        """What the points are counted over, after the command."""

    def after(self, t):
        """The rest of the work, nobody dies any more."""

    def check(self, t):
        """While it is up."""

    def check_user(self, t, before):
        """At the very end: the user's own branches and files."""
        t.check_user(before)


@operation
class Submit(Operation):
    """A plan is submitted while nobody works."""
    name = "submit"
    roles = ("cli", "serving", "pleach-git")

    def prepare(self, t):
        t.plan(("a", MADE, {}), ("b", f"test -f made-a; {MADE}", {"blocked_by": ["a"]}))
        t.pleach("up", "--team", "1", "--headless")
        t.pleach("team", "pause")

    def act(self, t):
        t.user("run", "--headless", "--detach")

    def rest(self, t):
        tasks = t.until("submitted", lambda tasks: True)
        check(sorted(tasks) == ["a", "b"], f"acknowledged, but there are {sorted(tasks)}")

    def after(self, t):
        t.user("team", "resume")
        t.until_status(a="completed", b="completed")


@operation
class Add(Operation):
    """One task is added by a command whose repetition must not add another."""
    name = "add"
    roles = ("cli", "serving", "pleach-git")

    def prepare(self, t):
        t.plan(("unused", "true", {}))
        t.pleach("up", "--team", "1", "--headless")
        t.pleach("team", "pause")

    def act(self, t):
        t.user("add", "--key", "a", MADE, done=(5,))

    def rest(self, t):
        tasks = t.until("added", lambda tasks: True)
        check(sorted(tasks) == ["a"], f"acknowledged, but there are {sorted(tasks)}")

    def after(self, t):
        t.user("team", "resume")
        t.until_status(a="completed")


@operation
class Assign(Operation):
    """An idle teammate gets a task without a slot."""
    name = "assign"
    roles = ("serving", "supervisor", "worker")
    spec = {"slot": "none"}
    warm = False

    def prepare(self, t):
        t.plan(("a", GATED, self.spec), ("b", MADE, {**self.spec, "blocked_by": ["a"]}))
        if self.warm:
            t.pleach("up", "--team", "1", "--headless")
            t.pleach("add", "--key", "warm", MADE)
            t.pleach("task", "wait", "warm")
        else:
            t.pleach("up", "--team", "1", "--headless")
        t.pleach("team", "pause")
        t.pleach("run", "--headless", "--detach")

    def act(self, t):
        t.user("team", "resume")

    def rest(self, t):
        t.until_at_gate("a")

    def after(self, t):
        t.open_gate()
        t.until_status(a="completed", b="completed")

    def check(self, t):
        if self.spec:
            for key in "ab":
                os.unlink(f"{t.repo}/made-{key}")  # without a slot it is in the user's tree


@operation
class Start(Assign):
    """An idle teammate gets a task, switches its slot and starts the agent."""
    name = "start"
    roles = ("serving", "worker", "git")
    again = ("worker", "git")
    spec = {}
    warm = True


@operation
class Create(Start):
    """The same in a slot that has to be made first."""
    name = "slot-create"
    warm = False


class Working(Operation):
    """An agent waits at the gate, having made a file."""
    roles = ("serving", "worker", "git")
    again = ("worker", "git")
    tasks = (("a", GATED, {}),)

    def prepare(self, t):
        t.plan(*self.tasks)
        t.pleach("run", "--headless", "--detach")
        t.until_at_gate("a")

    def kept(self, t, text):
        """A file with that text is reachable from some ref."""
        for ref in t.git("for-each-ref", "--format=%(refname)").splitlines():
            for line in t.git("ls-tree", "-r", ref).splitlines():
                if t.git("cat-file", "blob", line.split()[2]) == text:
                    return True
        return False


@operation
class Finish(Working):
    """An agent ends, its work is committed, verified, recorded; a dependent with two blockers
    starts from both."""
    name = "finish"
    roles = ("serving", "worker", "pleach-git", "git")
    tasks = (("first", MADE, {"priority": 9}),
             ("a", GATED, {"verify": "test -f made-a"}),
             ("b", f"test -f made-a && test -f made-first && {MADE}", {"blocked_by": ["a", "first"]}))

    def act(self, t):
        t.user("status")
        t.open_gate()

    def rest(self, t):
        t.until_status(a="completed", b="completed")

    def check(self, t):
        check(t.git("show", "pleach/p/b:made-a") == "a", "b has not what a made")


@operation
class Cancel(Working):
    """A running task is stopped; what it had made is kept."""
    name = "cancel"
    roles = ("cli", "serving", "worker", "git")

    def act(self, t):
        t.user("stop", "a", done=(5,))

    def rest(self, t):
        t.until_status(a="cancelled")
        t.until_idle()

    def after(self, t):
        t.open_gate()

    def check(self, t):
        check(self.kept(t, "a"), "what the stopped agent had made is kept by no ref")


@operation
class Snapshot(Working):
    """An agent fails in a dirty slot: what it made is kept."""
    name = "snapshot"
    tasks = (("a", GATED + "; exit 3", {}),)

    def act(self, t):
        t.user("status")
        t.open_gate()

    def rest(self, t):
        t.until_status(a="failed")

    def check(self, t):
        check(self.kept(t, "a"), "what the failed agent had made is kept by no ref")


@operation
class Settle(Working):
    """A worker has died in a dirty slot: its slot is settled, its task goes on elsewhere."""
    name = "settle"
    roles = ("serving", "pleach-git", "git")
    again = roles  # the worker's own death costs the attempt

    def most_attempts(self, trial):
        return super().most_attempts(trial) + trial.everybody  # who may die in the next one

    def act(self, t):
        worker = t.json("team", "list")["teammates"][0]["pid"]
        self.attempt = t.tasks()["a"]["attempt"]
        t.user("status")
        t.kill(worker)

    def rest(self, t):
        t.until_at_gate("a", after=self.attempt)

    def after(self, t):
        t.open_gate()
        t.until_status(a="completed")

    def check(self, t):
        check(self.kept(t, "a"), "what the dead worker's agent had made is kept by no ref")


@operation
class Retry(Working):
    """A failed task is tried again."""
    name = "retry"
    roles = ("cli", "serving", "worker", "git")
    tasks = (("a", 'test "$PLEACH_ATTEMPT" != 1 || exit 3; ' + GATED, {}),)

    def most_attempts(self, trial):
        return 1 + super().most_attempts(trial)

    def prepare(self, t):
        t.plan(*self.tasks)
        t.pleach("run", "--headless", "--detach")
        t.pleach("task", "wait", "a", want=1)

    def act(self, t):
        t.user("retry", "a", done=(5,))

    def rest(self, t):
        t.until_at_gate("a")

    def after(self, t):
        t.open_gate()
        t.until_status(a="completed")


@operation
class Pick(Operation):
    """One of two alternatives is picked; a dependent starts from it."""
    name = "pick"
    roles = ("cli", "serving", "worker", "git")
    again = ("worker", "git")

    def prepare(self, t):
        t.plan(("c", MADE, {"alternatives": 2}),
               ("d", f'test -f made-c.1; {MADE}', {"blocked_by": ["c"]}))
        t.pleach("run", "--headless", "--detach")
        t.until_status(**{"c.1": "completed", "c.2": "completed", "c": "needs_input"})

    def act(self, t):
        t.user("pick", "c.1", done=(5,))

    def rest(self, t):
        t.until_status(c="completed", d="completed")

    def check(self, t):
        check(t.git("show", "pleach/p/d:made-c.1") == "c.1", "d did not start from the winner")


@operation
class Merge(Operation):
    """Two tasks land, proven, on the branch that the user has checked out, beside a change that
    the user has not committed."""
    name = "merge"
    roles = ("cli", "serving", "pleach-git", "git", "other")
    again = ()
    lands = True
    into = ()

    def prepare(self, t):
        t.plan(("a", MADE, {"verify": "test -f made-a"}),
               ("b", MADE, {"verify": "test -f made-b"}))
        t.pleach("run", "--headless", "--detach")
        t.pleach("task", "wait", "a", "b")
        t.git("branch", "other")
        with open(t.repo + "/file", "a") as file:
            file.write("not committed\n")

    def act(self, t):
        t.user("merge", "a", "b", *self.into)

    def check(self, t):
        target = self.into[-1] if self.into else "main"
        log = t.git("log", "--first-parent", "--format=%(trailers:key=Pleach-Task,valueonly,separator=)",
                    target).split()
        check(sorted(log) == ["p/a", "p/b"], f"{target} has {log}")
        tasks = t.tasks()
        for key in "ab":
            landing = tasks[key]["landing"]
            check(landing and landing["state"] == "landed", f"{key}: its landing is {landing}")

    def check_user(self, t, before):
        if not self.into:
            before = {}
        t.check_user(before, dirty="M file")
        with open(t.repo + "/file") as file:
            check(file.read().endswith("three\nnot committed\n"), "the user's own change is gone")


@operation
class MergeElsewhere(Merge):
    """The same into a branch that nobody has checked out."""
    name = "merge-into"
    into = ("--into", "other")


@operation
class Open(Operation):
    """A worktree on a task's branch is made for a person."""
    name = "open"
    roles = ("cli", "pleach-git", "git")

    def prepare(self, t):
        t.plan(("a", MADE, {}))
        t.pleach("run", "--headless", "--detach")
        t.pleach("task", "wait", "a")

    def act(self, t):
        t.user("open", "a", "--", "test", "-f", "made-a")

    def check(self, t):
        status = t.pleach("open", "a", "--", "git", "status", "--porcelain")
        check(not status, f"what open made has {status!r}")
        check(len(t.git("worktree", "list").splitlines()) == 3, "open made more than one")


@operation
class Up(Operation):
    """From nothing: the repository's first command makes its id, folders, store and team."""
    name = "up"
    roles = ("cli", "supervisor", "serving", "worker", "pleach-git")

    def prepare(self, t):
        t.plan(("a", MADE, {}))

    def act(self, t):
        t.user("up", "--team", "1", "--headless")

    def rest(self, t):
        t.until_idle()

    def after(self, t):
        t.user("run", "--headless", "--detach")
        t.until_status(a="completed")


@operation
class Migrate(Operation):
    """A store of the first schema is opened by this version."""
    name = "migration"
    roles = ("serving", "supervisor", "cli")

    tasks = {"done": ("completed", 1), "fell": ("failed", 2), "behind": ("pending", 0),
             "after": ("completed", 1), "choice": ("needs_input", 0),
             "choice.1": ("completed", 1), "choice.2": ("completed", 1)}

    def most_attempts(self, t):
        return 5

    def prepare(self, t):
        t.plan(("a", MADE, {}))
        t.old_store()
        check(t.schema() == 1, "the old store is not old")

    def act(self, t):
        t.user("status")

    def rest(self, t):
        tasks = t.until("migrated", lambda tasks: True)
        found = {key: (task["status"], task["attempts"]) for key, task in tasks.items()}
        check(found == self.tasks, f"the store of before holds {found}, not {self.tasks}")
        check(tasks["after"]["metadata"] == {"ticket": 42}, "a task has lost its metadata")

    def after(self, t):
        """It is not only read: what waited goes on. And who is older refuses it."""
        t.user("retry", "fell")
        t.user("up", "--team", "1", "--headless")
        t.until("the old task ran", lambda tasks: tasks["fell"]["attempts"] == 4)
        t.user("pick", "choice.1")

    def check_user(self, t, before):
        super().check_user(t, before)
        number = json.loads(t.pleach("--json", "version"))["schema"]
        check(t.schema() == number, f"the store has schema {t.schema()}, not {number}")
        t.set_schema(number + 1)
        said = t.refusal("status")
        check(len(said) == 1 and "newer pleach" in said[0], f"a newer store: {said}")
        t.set_schema(number)


@operation
class Down(Working):
    """The team is taken down at once, under a running agent, and brought up again."""
    name = "down"
    roles = ("cli", "supervisor", "serving", "worker", "git")

    def most_attempts(self, trial):
        return 1 + super().most_attempts(trial)

    def act(self, t):
        begin = time.monotonic()
        t.user("down", "--now")
        took = time.monotonic() - begin
        check(took < 30, f"down waited {took:.0f} s for somebody who was not going down")

    def after(self, t):
        check(self.kept(t, "a"), "what the released agent had made is kept by no ref")
        t.user("up", "--team", "1", "--headless")
        t.until_at_gate("a")
        t.open_gate()
        t.until_status(a="completed")


# How many points each has, about: a sample needs no counting first. (./dev points -v says it.)
ABOUT = {
    "submit": {"cli": 5, "serving": 44, "pleach-git": 2},
    "add": {"cli": 5, "serving": 38, "pleach-git": 2},
    "assign": {"serving": 28, "worker": 5},
    "start": {"serving": 42, "worker": 46, "git": 12},
    "slot-create": {"serving": 46, "worker": 82, "git": 9},
    "finish": {"serving": 117, "worker": 137, "pleach-git": 29, "git": 75},
    "cancel": {"cli": 4, "serving": 53, "worker": 41, "git": 24},
    "snapshot": {"serving": 26, "worker": 38, "git": 24},
    "settle": {"serving": 125, "pleach-git": 55, "git": 41},
    "retry": {"cli": 4, "serving": 32, "worker": 37, "git": 3},
    "pick": {"cli": 4, "serving": 56, "worker": 84, "git": 38},
    "merge": {"cli": 6, "serving": 73, "pleach-git": 136, "git": 105, "other": 2},
    "merge-into": {"cli": 6, "serving": 80, "pleach-git": 138, "git": 43, "other": 2},
    "open": {"cli": 20, "pleach-git": 34, "git": 11},
    "up": {"cli": 5, "supervisor": 26, "serving": 174, "worker": 15, "pleach-git": 3},
    "migration": {"serving": 65, "supervisor": 12, "cli": 5},
    "down": {"cli": 5, "supervisor": 3, "serving": 87, "worker": 45, "git": 24},
}
