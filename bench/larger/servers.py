"""Servers of a larger system that a row is measured against: started for it, in a folder of their
own, reached by nobody else, stopped with it.

Owns starting and stopping; what they are told is told by who owns them (graphile.py, slurm.py).
They are sent SIGINT when this process dies in whatever way, and what carries their mark in its
environment is killed at the end."""
import os
import shutil
import signal
import subprocess
import tempfile

from lib import eventually

MARK = "BENCH_LARGER"


class Missing(Exception):
    """A program that a row needs is not here; its text says which."""


def cache():
    """Where ./dev setup --larger puts what npm has."""
    return os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")


class Servers:
    def __init__(self, user=None):
        self.user = user  # who runs them; None: we
        self.dir = tempfile.mkdtemp(prefix="bench-larger-")
        self.env = {**os.environ, MARK: self.dir}
        self.running = []
        if user:
            shutil.chown(self.dir, user, user)

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *unused):
        self.down()

    def as_user(self):
        return {"user": self.user, "group": self.user, "extra_groups": []} if self.user else {}

    def start(self, *argv, **options):
        with open(f"{self.dir}/{os.path.basename(argv[0])}.out", "ab") as log:
            process = subprocess.Popen(("setpriv", "--pdeathsig", "INT", *argv), stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log, start_new_session=True, **{"env": self.env, "cwd": self.dir, **options})
        self.running.append(process)
        return process

    def ready(self, what, true):
        """Waits for it; says what a server that has ended meanwhile said."""
        def look():
            for process in self.running:
                if process.poll() is not None:
                    raise RuntimeError(f"{what}: {' '.join(process.args[3:5])} ended with {process.returncode}\n{self.said()}")
            return true()
        eventually(what, look)

    def said(self):
        texts = []
        for name in sorted(os.listdir(self.dir)):
            if name.endswith((".out", ".log")):
                with open(f"{self.dir}/{name}", errors="replace") as file:
                    texts += [f"{name}: {line.rstrip()}" for line in file.readlines()[-15:]]
        return "\n".join(texts)

    def marked(self):
        """Every process that was started here, however it has moved away since. (A slurmstepd writes its
        title over its environment, but stands in our folder.)"""
        mark = f"{MARK}={self.dir}".encode()
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    with open(f"/proc/{name}/environ", "rb") as file:
                        if mark in file.read().split(b"\0") or os.readlink(f"/proc/{name}/cwd").startswith(self.dir):
                            found.append(int(name))
                except OSError:
                    pass
        return found

    def down(self):
        for process in reversed(self.running):
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in self.marked():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        eventually("nothing of it runs", lambda: not self.marked())
        shutil.rmtree(self.dir, ignore_errors=True)
