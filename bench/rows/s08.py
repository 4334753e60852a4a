"""S8: whole processes. `pleach status`, and a hook that reports from inside a slot, against
`git rev-parse HEAD` and `/bin/true`. `pleach` as the tools of an agent start it: by its path."""
import subprocess

from lib import Team

TIMES = 200


def run(bench, quick=False):
    times = 50 if quick else TIMES
    with Team() as team:
        team.up(2)

        def spawn(*argv):
            def once(_):
                out = subprocess.run((team.witness, "spawn", str(times), *argv), cwd=team.repo, env=team.env,
                                     check=True, stdout=subprocess.PIPE, text=True).stdout
                return sorted(int(line) / 1e6 for line in out.split())[times // 2]
            return once

        sides = {"status": spawn(team.build + "/pleach", "status"),
                 "version": spawn(team.build + "/pleach", "version"),
                 "git rev-parse": spawn("git", "rev-parse", "HEAD"), "/bin/true": spawn("/bin/true")}
        values = bench.take_turns(sides, 5)
        bench.row("S8", "pleach status, a whole process", "ms", values["status"],
                  ("git rev-parse HEAD", values["git rev-parse"]), 1.0, 0.6,
                  {"pleach version": values["version"], "/bin/true": values["/bin/true"]})
