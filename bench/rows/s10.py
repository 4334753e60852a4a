"""S10: a plan of 10,000 tasks and 50,000 edges. `plan.submit` from its first byte to the answer,
which means that it is on disk; against the same rows put into SQLite by nothing but SQL in one
transaction. And the whole command, with the plan file read and checked."""
import json
import os
import sqlite3
import time

from lib import Team, timed

TASKS, EDGES = 10000, 5


def graph():
    return [[i - 1 - k * 7 for k in range(EDGES) if i - 1 - k * 7 >= 0] for i in range(TASKS)]


def pure_sql(path):
    base = sqlite3.connect(path, isolation_level=None)
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("PRAGMA synchronous = FULL")
    base.executescript("CREATE TABLE task(id INTEGER PRIMARY KEY, key TEXT, prompt TEXT, unfinished INTEGER);"
                       "CREATE TABLE dependency(task INTEGER, blocker INTEGER, PRIMARY KEY(task, blocker)) WITHOUT ROWID;"
                       "CREATE INDEX blocks ON dependency(blocker);")
    edges = graph()
    start = time.monotonic()
    base.execute("BEGIN IMMEDIATE")
    base.executemany("INSERT INTO task VALUES(?, ?, ?, ?)",
                     ((i + 1, f"t{i}", "do nothing", len(edges[i])) for i in range(TASKS)))
    base.executemany("INSERT INTO dependency VALUES(?, ?)",
                     ((i + 1, blocker + 1) for i in range(TASKS) for blocker in edges[i]))
    base.execute("COMMIT")
    took = (time.monotonic() - start) * 1000
    base.close()
    return took


def plan_of(name):
    return {"name": name, "agents": {"a": {"command": ["/bin/true"]}}, "defaults": {"agent": "a", "slot": "none"},
            "tasks": [{"id": f"t{i}", "prompt": "do nothing", "blocked_by": [f"t{j}" for j in blockers]}
                      for i, blockers in enumerate(graph())]}


def checked(name):
    """The plan as a command sends it."""
    return {"name": name, "agents": {"a": {"command": ["/bin/true"]}}, "limits": {},
            "tasks": [{"key": f"t{i}", "prompt": "do nothing", "subject": "do nothing", "agent": "a", "kind": "work",
                       "blocked_by": [f"t{j}" for j in blockers], "spec": {"slot": "none", "retries": 0}}
                      for i, blockers in enumerate(graph())]}


def run(bench, quick=False):
    with Team() as team:
        team.up(1)
        team.pleach("team", "pause")
        rpc = team.connect()

        def ours(number):
            rpc.last += 1
            line = json.dumps({"jsonrpc": "2.0", "id": rpc.last, "method": "plan.submit",
                               "params": {"plan": checked(f"p{number}")}}).encode() + b"\n"
            start = time.monotonic()
            rpc.socket.sendall(line)
            while (reply := rpc.receive()).get("id") != rpc.last:
                pass
            took = (time.monotonic() - start) * 1000
            if "error" in reply:
                raise RuntimeError(reply["error"]["message"])
            return took

        def whole(number):
            with open(team.repo + "/pleach.yaml", "w") as file:
                json.dump(plan_of(f"w{number}"), file)
            return timed((team.build + "/pleach", "run", "--headless", "--detach-after", "0"), cwd=team.repo, env=team.env)

        def sql(number):
            return pure_sql(f"{team.dir}/sql{number}{os.urandom(3).hex()}.db")

        values = bench.take_turns({"ours": ours, "command": whole, "sql": sql}, 3)
        rpc.close()
        bench.row("S10", "submit 10,000 tasks with 50,000 edges", "ms", values["ours"], must=250, moonshot=100,
                  others={"the same rows by SQL": values["sql"], "the whole command": values["command"]})
