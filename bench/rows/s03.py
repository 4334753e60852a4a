"""S3: from the shell to the agent. Before `pleach add` (or `tsp`) is started until the agent's
main(), while a team waits."""
import os
import subprocess
import time

from lib import Team, eventually, program

TIMES = 30


def once(team, argv, **options):
    """ms from before this program is started to the agent's main()."""
    return once_by(team, lambda: subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True,
                                                **options))


def once_by(team, submit):
    start = time.monotonic_ns()
    submit()
    eventually("the agent ran", lambda: os.path.exists(team.marks) and os.path.getsize(team.marks))
    return (team.read_marks()[0][0] - start) / 1e6


def wait_with_a_plan(team):
    """A team of two that waits, and a plan to add to."""
    team.up(2)
    team.small("p", [{"id": "first", "prompt": "x"}], (team.witness, "mark", team.marks))
    team.pleach("run", "--headless", "--team", "2")
    team.read_marks()


def add_once(team, key):
    """Our side."""
    return once(team, (team.build + "/pleach", "add", "x", "--plan", "p", "--key", key), cwd=team.repo, env=team.env)


def run(bench, quick=False):
    times = 10 if quick else TIMES
    with Team() as team:
        wait_with_a_plan(team)

        def ours(number):
            return sorted(add_once(team, f"k{number}_{i}") for i in range(times))[times // 2]

        env = {**team.env, "TS_SOCKET": f"{team.meet}/ts", "TMPDIR": team.meet}

        def spool(_):
            return sorted(once(team, ("tsp", "-n", team.witness, "mark", team.marks), env=env)
                          for _ in range(times))[times // 2]

        sides = {"ours": ours}
        if program("tsp", "task-spooler"):
            sides["task-spooler"] = spool
        try:
            values = bench.take_turns(sides, 3)
        finally:
            subprocess.run(("tsp", "-K"), env=env)
        bench.row("S3", "from the shell to the agent's main()", "ms", values["ours"],
                  ("task-spooler", values["task-spooler"]) if "task-spooler" in values else None, 1.5, 1.0)
