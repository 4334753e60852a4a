"""S7: screens. What 50 teammates show right now: one question to the coordinator, which has the
last line of each, against `tmux capture-pane` for each of 50 panes; and the recent output of all
of them whole, read from the workers' own sockets."""
import os
import socket
import subprocess
import time

from lib import Team, eventually

PANES = 50


def capture_all(sockets):
    """Connects to each worker's view and reads what it shows to a new one."""
    for path in sockets:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as view:
            view.connect(path)
            view.settimeout(10)
            view.recv(65536)


def run(bench, quick=False):
    panes = 10 if quick else PANES
    with Team() as team:
        fifo = team.meet + "/gate"
        os.mkfifo(fifo)
        team.up(panes)
        team.small("talk", [{"id": f"t{i}", "prompt": "x"} for i in range(panes)],
                   ("/bin/sh", "-c", "echo 'working on it'; read x <\"$W/gate\""))
        waiting = subprocess.Popen((team.build + "/pleach", "-q", "run", "--headless"), cwd=team.repo, env=team.env)
        rpc = team.connect()
        eventually("all of them work", lambda: all(
            mate["state"] == "working" for mate in rpc.ask("team.list")["teammates"]))
        runtime = os.path.dirname(team.control)
        sockets = [f"{runtime}/{name}" for name in os.listdir(runtime) if name.startswith("w-")]
        tmux = ("tmux", "-S", team.meet + "/tmux")
        subprocess.run((*tmux, "-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "echo 'working on it'; sleep 1000"), check=True)
        for _ in range(panes - 1):
            subprocess.run((*tmux, "new-window", "-d", "echo 'working on it'; sleep 1000"), check=True)

        def took(action):
            start = time.monotonic()
            action()
            return (time.monotonic() - start) * 1000

        def by_tmux():
            for window in range(panes):
                subprocess.run((*tmux, "capture-pane", "-p", "-t", f":{window}"), check=True, stdout=subprocess.DEVNULL)

        try:
            values = bench.take_turns({"ours": lambda _: took(lambda: rpc.ask("team.list")),
                                       "views": lambda _: took(lambda: capture_all(sockets)),
                                       "tmux": lambda _: took(by_tmux)}, 5)
        finally:
            subprocess.run((*tmux, "kill-server"))
            rpc.close()
            for _ in range(panes):
                fd = os.open(fifo, os.O_RDWR)
                os.write(fd, b"x\n" * panes)
            waiting.wait()
            os.close(fd)
        bench.row("S7", f"what {panes} teammates show: one question", "ms", values["ours"],
                  (f"{panes} × tmux capture-pane", values["tmux"]), 0.02, 0.01, {"all output of each, by its view": values["views"]})
