"""S2: a chain. From the end of a blocker's process to its dependent's main(), p50 and p99; the
witness writes both times. Against task-spooler (each job depends on the last one; all queued
before the first may end) and make."""
import os
import subprocess

from lib import Team, percentile, program, timed

LENGTH = 980  # the 1,000 of the target, but for what task-spooler needs: it waits with select(), for at most 1,024


def gaps_of(team):
    marks = sorted(team.read_marks())
    return [(began - ended) / 1e6 for (_, ended), (began, _) in zip(marks, marks[1:])]


def run_chain(team, name, length):
    """Our side: the gaps in ms."""
    tasks = [{"id": f"c{i}", "prompt": "x", **({"blocked_by": [f"c{i - 1}"]} if i else {})} for i in range(length)]
    team.small(name, tasks, (team.witness, "mark", team.marks))
    team.pleach("run", "--headless", "--team", "2")
    return gaps_of(team)


def rows(bench, values, against, what="", **more):
    """A row for p50 and one for p99. values: {side: [gaps of a round]}, of "ours", `against` and others."""
    for part in (50, 99):
        of = {name: [percentile(gaps, part) for gaps in rounds] for name, rounds in values.items()}
        bench.row("S2", f"end of a blocker to its dependent's main(), p{part}{what}", "ms", of.pop("ours"),
                  (against, of.pop(against)), others=of or None, **more)


def run(bench, quick=False):
    length = 100 if quick else LENGTH
    with Team() as team:
        team.up(2)

        def make(_):
            with open(team.meet + "/Makefile", "w") as file:
                file.write(f"all: c{length - 1}\nc0:\n\t@{team.witness} mark {team.marks}\n")
                for i in range(1, length):
                    file.write(f"c{i}: c{i - 1}\n\t@{team.witness} mark {team.marks}\n")
            timed((program("make", "make"), "-s", "-C", team.meet, "-j", "2", "all"))
            return gaps_of(team)

        sides = {"ours": lambda number: run_chain(team, f"p{number}", length), "make": make}
        if program("tsp", "task-spooler"):
            sides["task-spooler"] = lambda number: spool(team, number, length)
        values = bench.take_turns(sides, 3)
        rows(bench, values, "task-spooler" if "task-spooler" in values else "make", must=1.0, moonshot=0.8)


def spool(team, number, length):
    env = {**team.env, "TS_SOCKET": f"{team.meet}/chain{number}", "TMPDIR": team.meet}
    fifo = f"{team.meet}/gate{number}"
    os.mkfifo(fifo)
    try:
        subprocess.run(("tsp", "-n", team.witness, "gate", fifo, team.marks), env=env, stdout=subprocess.DEVNULL)
        for _ in range(length - 1):
            subprocess.run(("tsp", "-n", "-d", team.witness, "mark", team.marks), env=env, stdout=subprocess.DEVNULL)
        with open(fifo, "wb") as file:
            file.write(b"x")
        subprocess.run(("tsp", "-w"), env=env, stdout=subprocess.DEVNULL)
        return gaps_of(team)
    finally:
        subprocess.run(("tsp", "-K"), env=env)
