"""S8: whole processes. `pleach status`, and a hook that reports from inside a slot, against
`git rev-parse HEAD` and `/bin/true`. `pleach` as the tools of an agent start it: by its path."""
import os
import subprocess

from lib import Team, eventually

TIMES = 200


def run(bench, quick=False):
    times = 50 if quick else TIMES
    with Team() as team:
        team.up(2)

        # An attempt that does nothing, so that a hook can speak as it.
        environ = team.meet + "/environ"
        os.mkfifo(team.meet + "/gate")
        team.small("held", [{"id": "held", "prompt": "x"}],
                   ["sh", "-c", f'env -0 >{environ}.new; mv {environ}.new {environ}; read x <{team.meet}/gate'])
        team.pleach("run", "--headless", "--detach")
        eventually("the agent runs", lambda: os.path.exists(environ))
        with open(environ) as file:
            inside = dict(team.env, **dict(line.split("=", 1) for line in file.read().split("\0")
                                           if line.startswith("PLEACH_")))

        def spawn(*argv, env=team.env):
            def once(_):
                out = subprocess.run((team.witness, "spawn", str(times), *argv), cwd=team.repo, env=env,
                                     check=True, stdout=subprocess.PIPE, text=True).stdout
                return sorted(int(line) / 1e6 for line in out.split())[times // 2]
            return once

        sides = {"status": spawn(team.build + "/pleach", "status"),
                 "hook": spawn(team.build + "/pleach-hook", '{"hook_event_name": "PostToolUse"}', env=inside),
                 "version": spawn(team.build + "/pleach", "version"),
                 "git rev-parse": spawn("git", "rev-parse", "HEAD"), "/bin/true": spawn("/bin/true")}
        values = bench.take_turns(sides, 5, ("status", "hook"))
        bench.row("S8", "pleach status, a whole process", "ms", values["status"],
                  ("git rev-parse HEAD", values["git rev-parse"]), 1.0, 0.6,
                  {"pleach version": values["version"], "/bin/true": values["/bin/true"]})
        bench.row("S8", "a hook that reports, a whole process", "ms", values["hook"],
                  ("git rev-parse HEAD", values["git rev-parse"]), 1.0, 0.6, {})
