"""S1, S2, S3 against graphile-worker, a job queue in PostgreSQL. Its database is made for the run,
durable as PostgreSQL is by default, reached through a Unix socket only; as root, the server runs as
`postgres`. Its workers are told of new jobs (LISTEN) and look for the next one when one has ended.

It has no dependencies: plan.sql has them. Each job starts a process, as a task of ours does, without
a pseudo-terminal."""
import glob
import json
import os
import select
import shutil
import subprocess
import sys
import time

from larger.servers import Missing, Servers, cache
from lib import HERE, Team, layers, rates
from rows import s01, s02, s03

WORKERS = 2
SHOWN = ("fsync", "full_page_writes", "synchronous_commit", "wal_sync_method", "shared_buffers")


def newest_postgres():
    """The folder with its programs. (Debian's psql on the path is a script that looks for this one.)"""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"), key=lambda path: float(path.split("/")[4]))
    if found:
        return os.path.dirname(found[-1])
    path = shutil.which("postgres")
    return os.path.dirname(os.path.realpath(path)) if path else None


def programs():
    """(the folder of PostgreSQL's programs, node, the folder of node's modules); Missing, which of them is."""
    postgres, node = newest_postgres(), shutil.which("node")
    modules = cache() + "/pleach/larger/node_modules"
    missing = [name for name, there in (("PostgreSQL", postgres), ("node", node),
                                        ("graphile-worker", os.path.isdir(modules + "/graphile-worker"))) if not there]
    if missing:
        raise Missing(", ".join(missing))
    return postgres, node, modules


class Graphile(Servers):
    """A database and workers that wait. each: the processes, and the jobs that each has at a time."""

    def __init__(self, each=(1,) * WORKERS):
        self.postgres, self.node, self.modules = programs()
        self.each = each
        super().__init__("postgres" if os.getuid() == 0 else None)
        self.env.update(PGHOST=self.dir, PGDATABASE="postgres", PGUSER="bench", NODE_PATH=self.modules, LC_ALL="C")

    def up(self):
        subprocess.run((self.postgres + "/initdb", "-D", self.dir + "/data", "-U", "bench", "--auth=trust", "--no-sync"),
                       check=True, cwd=self.dir, env=self.env, stdout=subprocess.DEVNULL, **self.as_user())
        self.start(self.postgres + "/postgres", "-D", self.dir + "/data", "-c", "listen_addresses=", "-c",
                   "unix_socket_directories=" + self.dir, **self.as_user())
        self.ready("PostgreSQL answers", lambda: subprocess.run((self.postgres + "/pg_isready", "-q"),
                                                                env=self.env).returncode == 0)
        self.sql(HERE + "/larger/plan.sql")
        self.done, told = os.pipe()
        for jobs in self.each:
            self.start(self.node, HERE + "/larger/worker.js", pass_fds=(told,),
                       env={**self.env, "CONCURRENCY": str(jobs), "TOLD": str(told)})
            self.complete(1, b"l")
        os.close(told)

    def complete(self, count, word=b"c"):
        """Waits until so many jobs are, in the database."""
        while count:
            if not select.select((self.done,), (), (), 60)[0]:
                raise RuntimeError(f"{count} jobs do not end\n{self.said()}")
            said = os.read(self.done, count)
            if not said or said.strip(word):
                raise RuntimeError(f"a worker ended\n{self.said()}")
            count -= len(said)

    def psql(self, *args):
        return (self.postgres + "/psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *args)

    def sql(self, path):
        subprocess.run(self.psql("-1", "-f", path), check=True, env=self.env, stdout=subprocess.DEVNULL)

    def ask(self, text):
        return subprocess.run(self.psql("-c", text), check=True, env=self.env, stdout=subprocess.PIPE, text=True).stdout.strip()

    def write_plan(self, first, tasks, command):
        """A file that adds them all, and what is ready, in one transaction; ids from `first` on."""
        ids = {task["id"]: first + place for place, task in enumerate(tasks)}
        path = f"{self.dir}/plan{first}.sql"
        with open(path, "w") as file:
            file.write("COPY plan.task (id, waits, command) FROM STDIN;\n")
            for task in tasks:
                file.write(f"{ids[task['id']]}\t{len(task.get('blocked_by', []))}\t{json.dumps(command)}\n")
            file.write("\\.\nCOPY plan.edge (blocker, task) FROM STDIN;\n")
            for task in tasks:
                for blocker in task.get("blocked_by", []):
                    file.write(f"{ids[blocker]}\t{ids[task['id']]}\n")
            ready = [ids[task["id"]] for task in tasks if "blocked_by" not in task]
            file.write(f"\\.\nSELECT plan.add(ARRAY{ready});\n")
        return path

    def run_plan(self, first, tasks, command):
        """ms from psql's start to the end of the last job."""
        path = self.write_plan(first, tasks, command)
        start = time.monotonic()
        self.sql(path)
        self.complete(len(tasks))
        return (time.monotonic() - start) * 1000

    def told(self):
        """How it was set up, for the row."""
        package = json.load(open(self.modules + "/graphile-worker/package.json"))["version"]
        version = subprocess.run((self.node, "--version"), stdout=subprocess.PIPE, text=True).stdout.strip()
        shown = self.ask("SELECT string_agg(name || '=' || current_setting(name), ' ' ORDER BY name) FROM pg_settings "
                         f"WHERE name IN {SHOWN}")
        return (f"graphile-worker {package}, node {version}, PostgreSQL {self.ask('SHOW server_version').split()[0]} "
                f"({shown}; else its defaults), {len(self.each)} processes of {self.each[0]} job(s) at a time, LISTEN and a "
                "poll each 2 s, logs off; blockers counted down in SQL, what gets ready is added in the same transaction; "
                "Unix socket; without a pseudo-terminal")


def chain_of(length):
    return [{"id": f"c{i}", **({"blocked_by": [f"c{i - 1}"]} if i else {})} for i in range(length)]


def run(bench, quick=False):
    count, width = (3, 10) if quick else (s01.LAYERS, s01.WIDTH)
    length = 20 if quick else s02.LENGTH
    times = 5 if quick else s03.TIMES
    against = "against graphile-worker"
    programs()
    with Team() as team, Graphile() as theirs:
        s03.wait_with_a_plan(team)
        mark = [team.witness, "mark", team.marks]
        firsts = iter(range(10000, sys.maxsize, 10000))
        theirs.run_plan(next(firsts), layers(count, width), ["/bin/true"])  # warm, as our team is
        theirs.ask("ANALYZE")
        setup = theirs.told()

        tasks = layers(count, width)
        values = bench.take_turns({"ours": lambda number: s01.run_plan(team, f"s1_{number}", tasks),
                                   "graphile-worker": lambda _: theirs.run_plan(next(firsts), tasks, ["/bin/true"])}, 5)
        bench.row("S1", f"{count * width:,} tasks in {count} layers, 2 workers, {against}", "ms", values["ours"],
                  ("graphile-worker", values["graphile-worker"]), tasks_a_second=rates(values, count * width), setup=setup)

        def their_chain(_):
            theirs.run_plan(next(firsts), chain_of(length), mark)
            return s02.gaps_of(team)

        values = bench.take_turns({"ours": lambda number: s02.run_chain(team, f"s2_{number}", length),
                                   "graphile-worker": their_chain}, 3)
        s02.rows(bench, values, "graphile-worker", f", {against}", chain=length, setup=setup)

        job = f"SELECT graphile_worker.add_job('task', '{json.dumps({'command': mark})}')"
        held = subprocess.Popen(theirs.psql("-o", "/dev/null"), env=theirs.env, stdin=subprocess.PIPE, text=True)

        def shell():
            took = s03.once(team, theirs.psql("-c", job), env=theirs.env)
            theirs.complete(1)
            return took

        def connected():
            took = s03.once_by(team, lambda: print(job + ";", file=held.stdin, flush=True))
            theirs.complete(1)
            return took

        def median(measure):
            return sorted(measure() for _ in range(times))[times // 2]

        keys = iter(range(sys.maxsize))
        values = bench.take_turns({"ours": lambda _: median(lambda: s03.add_once(team, f"k{next(keys)}")),
                                   "psql": lambda _: median(shell), "connected": lambda _: median(connected)}, 3)
        held.stdin.close()
        held.wait()
        bench.row("S3", f"from the shell to the agent's main(), {against}", "ms", values["ours"],
                  ("graphile-worker by psql", values["psql"]),
                  others={"graphile-worker by a psql that is connected already": values["connected"]}, setup=setup)
