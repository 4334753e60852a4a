#!/usr/bin/env python3
"""Private: what others may touch, what was planted before we came, where a secret may stand.

Owns a run with secrets in every place that takes one and a look at everything that it left and at
every command line while it went on. What needs another user needs root, and says so without.
"""
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), "crash"), HERE]
from world import LIMIT, World, check, eventually, run  # noqa: E402

NOBODY = 65534
SECRETS = {"plan": "s3cret-of-the-plan-41", "task": "s3cret-of-the-task-42", "shell": "s3cret-of-the-shell-43"}
TOKEN = re.compile(rb"\b[0-9]+\.[0-9a-f]{32}\b")
# Who has to hold them: the file that the design names, in memory-like folders of this user only.
ALLOWED = {"environment.json"}


def as_nobody(path):
    """What another user gets from a socket: refused, or nothing at all."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(LIMIT)
            try:
                connection.connect(path)
                connection.sendall(b'{"jsonrpc":"2.0","id":1,"method":"hello","params":{"protocol":1,'
                                   b'"role":"cli","version":"x"}}\n')
                os.write(writer, connection.recv(4096) or b"closed")
            except PermissionError:
                os.write(writer, b"denied")
            except OSError:
                os.write(writer, b"closed")
        finally:
            os._exit(0)
    os.close(writer)
    said = os.read(reader, 4096)
    os.close(reader)
    os.waitpid(child, 0)
    return said


def sockets(world):
    top = os.path.dirname(world.control)
    return [f"{top}/{name}" for name in os.listdir(top) if stat.S_ISSOCK(os.lstat(f"{top}/{name}").st_mode)]


def modes(world):
    top = os.path.dirname(world.control)
    for place, folders, files in [*os.walk(top), *os.walk(world.dir + "/state/pleach")]:
        for name in folders:
            mode = os.lstat(f"{place}/{name}").st_mode
            check(stat.S_IMODE(mode) == 0o700, f"{place}/{name} is {stat.S_IMODE(mode):o}")
        for name in files:
            mode = os.lstat(f"{place}/{name}").st_mode
            check(not stat.S_IMODE(mode) & 0o077, f"{place}/{name} is {stat.S_IMODE(mode):o}")
    found = sockets(world)
    check(len(found) >= 4, f"few sockets: {found}")
    for path in found:
        check(stat.S_IMODE(os.lstat(path).st_mode) == 0o600 or path.endswith("/tmux"), f"{path} is not 0600")
    check(stat.S_IMODE(os.lstat(top).st_mode) == 0o700, f"{top} is not 0700")
    return found


def others(world):
    """Another user, first as things are, then with every door open: our own check remains."""
    found = [path for path in sockets(world) if not path.endswith("/tmux")]
    for path in found:
        check(as_nobody(path) == b"denied", f"another user reached {path}")
    opened = [world.dir, world.runtime, os.path.dirname(world.control)]
    for folder in opened:
        os.chmod(folder, 0o755)
    for path in found:
        os.chmod(path, 0o666)
        if os.path.basename(path) in ("bus",) or os.path.basename(path).startswith("b-"):
            continue  # the status plane: nng answers a greeting of its own only
        check(as_nobody(path) == b"closed", f"{path} answered another user")
        os.chmod(path, 0o600)
    for folder in opened:
        os.chmod(folder, 0o700)
    return len(found)


def lines_of(world):
    for pid in world.processes():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                yield pid, file.read()
        except OSError:
            pass


def no_secret(place, data, words):
    for word in words:
        check(word not in data, f"{place} holds {word!r}")


def everything(world):
    """Every file that the run left, but the repository's own (an agent may write what it likes)."""
    for top in (world.runtime, world.dir + "/state", world.repo + "/.git", world.dir + "/repo.pleach", world.dir + "/home"):
        for place, _, files in os.walk(top):
            for name in files:
                path = f"{place}/{name}"
                if stat.S_ISREG(os.lstat(path).st_mode):
                    with open(path, "rb") as file:
                        yield path, file.read()


def secrets(world):
    tasks = [{"id": f"t{n}", "prompt": "x", "env": {"TASK_SECRET": SECRETS["task"]}} for n in range(3)]
    world.plan(name="p", agents={"a": {"command": ["sh", "-c", 'printf %s "$PLEACH_TOKEN" >"$W/$PLEACH_KEY"; echo >>f; '
                                                             'test -n "$PLAN_SECRET$TASK_SECRET$SHELL_SECRET"; read x <"$W/go"']}},
               defaults={"agent": "a"}, env={"PLAN_SECRET": SECRETS["plan"]}, verify="true", tasks=tasks)
    os.mkfifo(world.meet + "/go")
    world.pleach("run", "--detach", "--team", "3", env={"SHELL_SECRET": SECRETS["shell"]})
    eventually("the agents run", lambda: all(os.path.exists(f"{world.meet}/t{n}") and
                                             os.path.getsize(f"{world.meet}/t{n}") for n in range(3)))
    words = [word.encode() for word in SECRETS.values()]
    for n in range(3):
        with open(f"{world.meet}/t{n}", "rb") as file:
            words.append(file.read())
    check(all(TOKEN.fullmatch(word) for word in words[3:]), "the tokens look otherwise now")
    seen = 0
    for pid, line in lines_of(world):
        no_secret(f"the command line of {pid}", line, words)
        check(not TOKEN.search(line), f"a token in the command line of {pid}: {line}")
        seen += 1
    check(seen >= 8, f"only {seen} processes to look at")
    checked = modes(world)
    refused = others(world) if os.geteuid() == 0 else None
    gate = os.open(world.meet + "/go", os.O_RDWR)
    os.write(gate, b"go\n" * 3)
    world.pleach("wait", "t0", "t1", "t2")
    os.close(gate)
    world.pleach("store", "snapshot", world.dir + "/state/snapshot.db")
    files = 0
    for path, data in everything(world):
        if os.path.basename(path) not in ALLOWED:
            no_secret(path, data, words)
            files += 1
    told = [world.pleach("--json", "events"), world.pleach("--json", "task", "list"), world.pleach("--json", "status")]
    no_secret("what commands say", "".join(told).encode(), words)
    world.pleach("down")
    left = [path for path, data in everything(world) if any(word in data for word in words[:3])]
    check(not [path for path in left if os.path.basename(path) not in ALLOWED], f"left after down: {left}")
    return len(checked), refused, seen, files


def planted(build):
    """A path that somebody made before us: refused in one line, and nothing is written through it."""
    def runtime_link(world):
        os.mkdir(world.dir + "/elsewhere", 0o777)
        shutil.rmtree(world.runtime)
        os.symlink(world.dir + "/elsewhere", world.runtime)
        if os.geteuid() == 0:
            os.lchown(world.runtime, NOBODY, NOBODY)
            os.chown(world.dir + "/elsewhere", NOBODY, NOBODY)

    def runtime_open(world):
        os.chmod(world.runtime, 0o777)

    def runtime_of_another(world):
        os.chown(world.runtime, NOBODY, NOBODY)

    def below(make):
        def plant(world):
            world.pleach("up", "--team", "1", "--headless")
            world.pleach("down", "--now")
            make(world, os.path.dirname(world.path("x")), world.repo + "/.git/pleach", world.runtime + "/" + os.listdir(world.runtime)[0])
        return plant

    def link(place, world):
        if os.path.lexists(place):
            (shutil.rmtree if os.path.isdir(place) and not os.path.islink(place) else os.unlink)(place)
        with open(world.dir + "/victim", "w") as file:
            file.write("mine\n")
        os.symlink(world.dir + "/victim", place)

    def link_folder(place, world):
        shutil.rmtree(place)
        os.mkdir(world.dir + "/victims")
        os.symlink(world.dir + "/victims", place)

    cases = {
        "the runtime folder is another's link": (runtime_link, True),
        "the runtime folder is open to all": (runtime_open, True),
        "the repository's runtime folder is a link": (below(lambda w, s, g, r: link_folder(r, w)), True),
        "the state folder is a link": (below(lambda w, s, g, r: link_folder(s, w)), True),
        "the store is a link": (below(lambda w, s, g, r: link(s + "/store.db", w)), True),
        "the lock is a link": (below(lambda w, s, g, r: link(g + "/lock", w)), True),
        "the log is a link": (below(lambda w, s, g, r: link(s + "/coordinator.log", w)), False),
        "a worker's log is a link": (below(lambda w, s, g, r: link(s + "/workers/ash.log", w)), False),
        "the attempts are a link": (below(lambda w, s, g, r: link_folder(s + "/attempts", w)), True),
        "the control socket is a file": (below(lambda w, s, g, r: link(r + "/control", w)), False),
        "the environment is a link": (below(lambda w, s, g, r: link(r + "/environment.json", w)), False),
        "the secret is a link": (below(lambda w, s, g, r: link(s + "/secret", w)), False),
        "the id is a link": (below(lambda w, s, g, r: link(g + "/id", w)), False),
    }
    if os.geteuid() == 0:
        cases["the runtime folder is another's"] = (runtime_of_another, True)
        cases["the repository's runtime folder is another's"] = (
            below(lambda w, s, g, r: os.chown(r, NOBODY, NOBODY)), True)
        cases["the state folder is another's"] = (below(lambda w, s, g, r: os.chown(s, NOBODY, NOBODY)), True)
    for name, (plant, must_refuse) in cases.items():
        world = World(build)
        try:
            plant(world)
            done = subprocess.run((world.build + "/pleach", "up", "--team", "1", "--headless"), cwd=world.repo,
                                  env=world.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)
            check(not must_refuse or done.returncode, f"{name}: taken")
            if done.returncode:
                check(done.stderr.startswith("pleach: ") and done.stderr.count("\n") == 1, f"{name}: {done.stderr!r}")
            victim = world.dir + "/victim"
            check(not os.path.exists(victim) or open(victim).read() == "mine\n", f"{name}: written through")
            for folder in ("victims", "elsewhere"):
                check(not os.path.isdir(f"{world.dir}/{folder}") or not os.listdir(f"{world.dir}/{folder}"),
                      f"{name}: {os.path.isdir(f'{world.dir}/{folder}') and os.listdir(f'{world.dir}/{folder}')}")
        finally:
            if os.path.islink(world.runtime):
                os.unlink(world.runtime)
                os.mkdir(world.runtime, 0o700)
            world.end()
    return len(cases)


def test(world):
    count, refused, seen, files = secrets(world)
    print(f"{count} sockets private, another user refused at {refused if refused is not None else 'none (not root)'}; "
          f"no token or secret in {seen} command lines and {files} files")
    print(f"{planted(world.build)} planted paths refused or replaced, nothing written through them")


if __name__ == "__main__":
    sys.exit(run(test, sys.argv[1]))
