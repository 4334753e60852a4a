"""A private universe for the long tests: home, state, runtime directory, repository, programs.

Owns making it, talking to its coordinator, and proving at its end that nothing of it is left.
Looks only at processes whose environment names this universe: many run on one machine.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

LIMIT = 60  # seconds that anything may take before it counts as hanging


class Failure(Exception):
    """What the test promised does not hold."""


def check(fine, text):
    if not fine:
        raise Failure(text)


def stat_fields(pid):
    """The fields of /proc/PID/stat from the state on; None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def birth(pid):
    """A process is its pid and its start time; None when it is gone (or nobody reaped it yet)."""
    fields = stat_fields(pid)
    return (pid, fields[19]) if fields and fields[0] not in "ZX" else None


def gone(pid):
    return birth(pid) is None


def eventually(what, true, limit=LIMIT):
    """Asks again until it is true; what it gave then."""
    end = time.monotonic() + limit
    while True:
        value = true()
        if value:
            return value
        check(time.monotonic() < end, f"not within {limit} s: {what}")
        time.sleep(0.001)


class Rpc:
    """A connection as a person's command has it, or as `hello` says."""

    def __init__(self, path, wait=LIMIT, **hello):
        end = time.monotonic() + wait
        while True:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            try:
                self.socket.connect(path)
                break
            except OSError:
                self.socket.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.0005)
        self.adopt(self.socket, wait)
        try:
            self.hello = self.ask("hello", **{"protocol": 1, "role": "cli", "version": "test", **hello})
        except (Failure, OSError):
            self.close()
            raise

    def adopt(self, connection, wait=LIMIT):
        self.socket = connection
        self.socket.settimeout(wait)
        self.file = self.socket.makefile("rb")
        self.last = 0

    def send(self, method, params):
        self.last += 1
        line = {"jsonrpc": "2.0", "id": self.last, "method": method, "params": params}
        self.socket.sendall(json.dumps(line).encode() + b"\n")

    def receive(self):
        line = self.file.readline()
        if not line:
            raise ConnectionError("the coordinator went away")
        return json.loads(line)

    def ask(self, method, **params):
        self.send(method, params)
        while True:
            reply = self.receive()
            if reply.get("id") != self.last or "method" in reply:
                continue
            if "error" in reply:
                raise Failure(f"{method}: {reply['error']['message']}")
            return reply["result"]

    def close(self):
        self.file.close()
        self.socket.close()


class World:
    def __init__(self, build, keep=False):
        self.build = os.path.realpath(build)
        self.keep = keep
        self.dir = tempfile.mkdtemp(prefix="pleach-world-")
        self.runtime = tempfile.mkdtemp(prefix="pl-", dir="/tmp")
        self.meet = self.dir + "/w"  # where agents and tests meet
        self.repo = self.dir + "/repo"
        self.env = {
            name: value for name, value in os.environ.items()
            if not name.startswith(("PLEACH_", "GIT_", "XDG_", "TMUX"))
        }
        self.env.update(
            HOME=self.dir + "/home", TMPDIR=self.dir + "/tmp", W=self.meet,
            XDG_STATE_HOME=self.dir + "/state", XDG_CONFIG_HOME=self.dir + "/config",
            XDG_CACHE_HOME=self.dir + "/cache", PLEACH_RUNTIME_DIR=self.runtime,
            LC_ALL="C.UTF-8", TERM="xterm-256color", PATH=self.build + ":" + os.environ["PATH"])
        for name in ("home", "tmp", "w", "state", "config", "cache"):
            os.mkdir(f"{self.dir}/{name}")
        self.git("config", "--global", "user.name", "A User", cwd=self.dir)
        self.git("config", "--global", "user.email", "user@example.org", cwd=self.dir)
        self.git("init", "-q", "-b", "main", self.repo, cwd=self.dir)
        with open(self.repo + "/file", "w") as file:
            file.write("one\ntwo\nthree\n")
        self.git("add", "-A")
        self.git("commit", "-qm", "start")

    def git_bytes(self, *args, cwd=None):
        done = subprocess.run(("git", *args), cwd=cwd or self.repo, env=self.env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        check(done.returncode == 0, f"git {' '.join(args)}: {done.stderr.decode().strip()}")
        return done.stdout

    def git(self, *args, cwd=None):
        return self.git_bytes(*args, cwd=cwd).decode().strip()

    def pleach(self, *args, want=0, limit=LIMIT, env=None):
        """Runs a command; want None: any status. Its stdout."""
        done = subprocess.run((self.build + "/pleach", *args), cwd=self.repo, text=True,
                              env={**self.env, **(env or {})}, timeout=limit,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        check(want is None or done.returncode == want,
              f"pleach {' '.join(args)}: exit {done.returncode}, not {want}: "
              f"{done.stderr.strip()[-500:]}")
        return done.stdout

    def json(self, *args, **options):
        return json.loads(self.pleach("--json", *args, **options))

    def plan(self, **plan):
        with open(self.repo + "/pleach.yaml", "w") as file:
            json.dump(plan, file)  # JSON is YAML

    def path(self, name):
        """A file of the repository's state directory."""
        below = self.dir + "/state/pleach"
        [repository] = [found for found in os.listdir(below) if not found.startswith(".")]  # .yaml: of the commands
        return f"{below}/{repository}/{name}"

    @property
    def control(self):
        names = os.listdir(self.runtime)
        if not names:
            raise FileNotFoundError("no coordinator was here yet")
        return f"{self.runtime}/{names[0]}/control"

    def connect(self, wait=LIMIT):
        return Rpc(self.control, wait)

    def events(self, rpc):
        """All of the log."""
        found, since = [], 0
        while True:
            page = rpc.ask("event.list", since=since, limit=1000, wait=False)
            if not page["events"]:
                return found
            found += page["events"]
            since = page["seq"]

    def processes(self):
        """Every process of this universe but ourselves: {pid: its command line}. Known by its
        environment, or, where it has cleared that, by what it was called with."""
        mark = f"PLEACH_RUNTIME_DIR={self.runtime}".encode()
        found = {}
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    line = file.read().replace(b"\0", b" ").decode(errors="replace")
                with open(f"/proc/{name}/environ", "rb") as file:
                    if mark not in file.read().split(b"\0") and self.dir not in line:
                        continue
            except OSError:
                continue
            if not gone(int(name)):
                found[int(name)] = line
        return found

    def shadow(self, program, script):
        """A build of our own in which this program is a shell script; the real one: $0.real. The
        folder of the real ones."""
        shadow, good = self.dir + "/build", self.build
        os.mkdir(shadow)
        for path in os.scandir(good):
            if path.is_file():
                shutil.copy(path, shadow)
        path = f"{shadow}/{program}"
        os.rename(path, path + ".real")
        with open(path, "w") as file:
            file.write("#!/bin/sh\n" + script)
        os.chmod(path, 0o755)
        self.build = shadow
        return good

    def kill(self, pid, number=signal.SIGKILL):
        os.kill(pid, number)

    def end(self):
        """Takes everything down; what survives is a failure."""
        if not os.path.isdir(self.dir):
            return
        try:
            self.pleach("down", "--now", want=None)
            try:  # one that has let go of its lock may need a moment to be gone
                eventually("everybody is gone", lambda: not self.processes())
            except Failure:
                pass
            left = self.processes()
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
            check(not left, f"survivors after down --now: {left}")
        finally:
            if not self.keep:
                shutil.rmtree(self.dir, ignore_errors=True)
                shutil.rmtree(self.runtime, ignore_errors=True)

    def tail(self, lines=40):
        try:
            with open(self.path("coordinator.log")) as file:
                return "".join(file.readlines()[-lines:])
        except (OSError, IndexError):
            return ""


def percentile(values, part):
    """The nearest rank: of 100 values the 99th is p99."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * part // 100) - 1)]


def run(test, build, *args, **options):
    """Runs test(world, …) in a universe of its own; the exit status."""
    keep = bool(os.environ.get("PLEACH_TEST_KEEP"))
    world = World(build, keep)
    try:
        test(world, *args, **options)
        world.end()
    except BaseException as problem:  # whatever it is, nothing of this universe is left behind
        print(f"FAILED: {problem}")
        print(world.tail())
        try:
            world.end()
        except (Failure, OSError, subprocess.TimeoutExpired) as more:
            print(f"and at its end: {more}")
        if not isinstance(problem, (Failure, OSError, subprocess.TimeoutExpired)):
            raise
        return 1
    return 0
