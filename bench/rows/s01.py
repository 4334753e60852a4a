"""S1: coordination alone. 10 layers of 100 tasks behind three others each, /bin/true on a
pseudo-terminal, two workers, durable; against ninja, make, task-spooler and GNU parallel with two
jobs. None of those keeps anything; task-spooler and parallel know no layers and get a list."""
import os
import subprocess

from lib import Probe, Team, layers, program, timed

LAYERS, WIDTH = 10, 100


def write_ninja(path):
    with open(path, "w") as file:
        file.write("rule r\n  command = /bin/true\n")
        for task in layers(LAYERS, WIDTH):
            file.write(f"build {task['id']}: r {' '.join(task.get('blocked_by', []))}\n")


def write_make(path):
    tasks = layers(LAYERS, WIDTH)
    with open(path, "w") as file:
        file.write(f"all: {' '.join(task['id'] for task in tasks)}\n")
        for task in tasks:
            file.write(f"{task['id']}: {' '.join(task.get('blocked_by', []))}\n\t@/bin/true\n")


def run_plan(team, name, tasks):
    """Our side: ms from the start of `pleach run` to its end."""
    team.small(name, tasks)
    return timed((team.build + "/pleach", "run", "--headless", "--team", "2"), cwd=team.repo, env=team.env)


def run(bench, quick=False):
    with Team() as team:
        team.up(2)
        folder = team.meet
        write_ninja(folder + "/build.ninja")
        write_make(folder + "/Makefile")
        used = []

        def ours(number):
            probe = Probe(team.ours())
            took = run_plan(team, f"p{number}", layers(LAYERS, WIDTH))
            used.append(probe.used())
            return took

        def ninja(_):
            try:
                os.unlink(folder + "/.ninja_log")
            except FileNotFoundError:
                pass
            return timed((program("ninja", "ninja-build"), "-C", folder, "-j", "2"))

        sides = {"ours": ours, "ninja": ninja,
                 "make": lambda _: timed((program("make", "make"), "-s", "-C", folder, "-j", "2", "all"))}
        if not quick and program("parallel", "parallel"):
            sides["parallel"] = lambda _: timed(("parallel", "-j2", "/bin/true", ":::", *map(str, range(LAYERS * WIDTH))),
                                                env={**os.environ, "HOME": folder})
        if not quick and program("tsp", "task-spooler"):
            sides["task-spooler"] = lambda number: spool(team, number)
        values = bench.take_turns(sides, 5)
        bench.row("S1", "1,000 tasks in 10 layers, 2 workers", "ms", values["ours"], ("ninja", values["ninja"]),
                  1.0, 0.67, {name: values[name] for name in sides if name not in ("ours", "ninja")},
                  per_task={key: round(value / (LAYERS * WIDTH), 3) if key != "peak_kb" else value
                            for key, value in used[-1].items()})


def spool(team, number):
    """Queued one by one, two at a time; its wait is for the last one only."""
    env = {**team.env, "TS_SOCKET": f"{team.meet}/ts{number}", "TS_MAXFINISHED": "10", "TMPDIR": team.meet}
    subprocess.run(("tsp", "-S", "2"), env=env, stdout=subprocess.DEVNULL)
    script = f"i=0; while [ $i -lt {LAYERS * WIDTH} ]; do tsp -n /bin/true >/dev/null; i=$((i+1)); done; tsp -w"
    try:
        return timed(("sh", "-c", script), env=env)
    finally:
        subprocess.run(("tsp", "-K"), env=env)
