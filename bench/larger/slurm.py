"""S1, S2, S3 against Slurm: a controller and one node of two processors on this machine, reached
through loopback only, with an authentication of their own (munge); all run as who runs the row.

It writes its state every five seconds and answers before that: what it acknowledged can be lost. It
takes jobs one by one (sbatch), and who waits for others is looked for about once a second, so both
sides get fewer tasks here. What it starts are scripts: `#!/bin/true` is the least of them."""
import os
import pwd
import shutil
import socket
import subprocess
import time

from larger.servers import Missing, Servers
from lib import Team, eventually, layers, rates
from rows import s01, s02, s03

LAYERS, WIDTH, CHAIN, TIMES = 10, 10, 30, 10
PARAMETERS = "batch_sched_delay=0,sched_min_interval=0,sched_interval=1,bf_interval=1,default_queue_depth=1000"


def program(name):
    path = os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"))
    return shutil.which(name, path=path)


def lines_of(path):
    try:
        with open(path, "rb") as file:
            return file.read().count(b"\n")
    except FileNotFoundError:
        return 0


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def programs():
    """{name: path}; Missing, which of them is."""
    paths = {name: program(name) for name in ("slurmctld", "slurmd", "sbatch", "sinfo", "munged")}
    missing = [name for name, path in paths.items() if not path]
    if missing:
        raise Missing(", ".join(missing))
    return paths


class Slurm(Servers):
    def __init__(self):
        self.paths = programs()
        super().__init__()
        self.env["SLURM_CONF"] = self.dir + "/slurm.conf"

    def settings(self):
        host, user = socket.gethostname().split(".")[0], pwd.getpwuid(os.getuid()).pw_name
        controller, node = free_ports(2)
        return "\n".join((
            "ClusterName=bench", f"SlurmctldHost={host}(127.0.0.1)", f"SlurmUser={user}", f"SlurmdUser={user}",
            f"SlurmctldPort={controller}", f"SlurmdPort={node}", "CommunicationParameters=NoInAddrAny,NoCtldInAddrAny",
            "AuthType=auth/munge", "CredType=cred/munge", f"AuthInfo=socket={self.dir}/munge/socket",
            f"StateSaveLocation={self.dir}/state", f"SlurmdSpoolDir={self.dir}/spool",
            f"SlurmctldPidFile={self.dir}/slurmctld.pid", f"SlurmdPidFile={self.dir}/slurmd.pid",
            f"SlurmctldLogFile={self.dir}/slurmctld.log", f"SlurmdLogFile={self.dir}/slurmd.log",
            "SlurmctldDebug=error", "SlurmdDebug=error", "SlurmdParameters=config_overrides",
            "ProctrackType=proctrack/linuxproc", "TaskPlugin=task/none", "MpiDefault=none", "SwitchType=switch/none",
            "JobAcctGatherType=jobacct_gather/none", "AccountingStorageType=accounting_storage/none",
            "SchedulerType=sched/backfill", f"SchedulerParameters={PARAMETERS}", "PriorityType=priority/basic",
            "SelectType=select/cons_tres", "SelectTypeParameters=CR_CPU", "ReturnToService=2", "MaxJobCount=20000",
            f"NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN",
            f"PartitionName=bench Nodes={host} Default=YES MaxTime=INFINITE State=UP", ""))

    def up(self):
        os.chmod(self.dir, 0o711)  # munged wants its socket to be reached by everybody
        for name in ("state", "spool", "munge"):
            os.mkdir(f"{self.dir}/{name}")
        with open(self.dir + "/slurm.conf", "w") as file:
            file.write(self.settings())
        key = self.dir + "/key"
        with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(os.urandom(1024))
        self.start(self.paths["munged"], "--foreground", "--key-file=" + key, f"--socket={self.dir}/munge/socket",
                   f"--pid-file={self.dir}/munge/pid", f"--log-file={self.dir}/munged.log", f"--seed-file={self.dir}/munge/seed")
        self.ready("munged listens", lambda: os.path.exists(self.dir + "/munge/socket"))
        self.start(self.paths["slurmctld"], "-D", "-f", self.env["SLURM_CONF"])
        self.start(self.paths["slurmd"], "-D", "-f", self.env["SLURM_CONF"])
        self.ready("the node is idle", self.idle)

    def idle(self):
        return subprocess.run((self.paths["sinfo"], "-h", "-o", "%T"), env=self.env, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True).stdout.strip() == "idle"

    def submit(self, script, *behind):
        """The job's number."""
        after = ("--dependency=afterok:" + ":".join(behind),) if behind else ()
        return subprocess.run((self.paths["sbatch"], "--parsable", "--chdir=/", "--output=/dev/null", *after),
                              input=script, check=True, env=self.env, stdout=subprocess.PIPE, text=True).stdout.strip()

    def submit_plan(self, tasks, script):
        """{id: the job's number}"""
        numbers = {}
        for task in tasks:
            numbers[task["id"]] = self.submit(script, *(numbers[name] for name in task.get("blocked_by", [])))
        return numbers

    def told(self):
        version = subprocess.run((self.paths["sbatch"], "--version"), env=self.env, stdout=subprocess.PIPE, text=True).stdout.split()[-1]
        return (f"Slurm {version}, slurmctld and slurmd on loopback, one node of 2 CPUs (select/cons_tres, CR_CPU), sched/backfill "
                f"({PARAMETERS}), proctrack/linuxproc, no accounting, munge; its state is written every 5 s, an answer does not "
                "wait for that; one sbatch a task, --dependency=afterok; without a pseudo-terminal")


def run(bench, quick=False):
    count, width, length, times = (3, 4, 5, 3) if quick else (LAYERS, WIDTH, CHAIN, TIMES)
    against = "against Slurm"
    programs()
    with Team() as team, Slurm() as theirs:
        s03.wait_with_a_plan(team)
        setup = theirs.told()
        mark = f"#!/bin/sh\nexec '{team.witness}' mark '{team.marks}'\n"

        def marked(number):
            eventually("the jobs ran", lambda: lines_of(team.marks) >= number, 600)

        def their_plan(_):
            start = time.monotonic()
            numbers = theirs.submit_plan(tasks, "#!/bin/true\n")
            waited_for = {name for task in tasks for name in task.get("blocked_by", [])}
            theirs.submit(mark, *(number for name, number in numbers.items() if name not in waited_for))
            marked(1)
            took = (time.monotonic() - start) * 1000
            team.read_marks()
            return took

        tasks = layers(count, width)
        values = bench.take_turns({"ours": lambda number: s01.run_plan(team, f"s1_{number}", tasks), "Slurm": their_plan}, 3)
        bench.row("S1", f"{count * width:,} tasks in {count} layers, 2 workers, {against}", "ms", values["ours"],
                  ("Slurm", values["Slurm"]), tasks_a_second=rates(values, count * width), setup=setup)

        def their_chain(number):
            fifo = f"{team.meet}/gate{number}"  # all of it is there before the first may end
            os.mkfifo(fifo)
            behind = theirs.submit(f"#!/bin/sh\nexec '{team.witness}' gate '{fifo}' '{team.marks}'\n")
            for _ in range(length - 1):
                behind = theirs.submit(mark, behind)
            with open(fifo, "wb") as file:
                file.write(b"x")
            marked(length)
            return s02.gaps_of(team)

        values = bench.take_turns({"ours": lambda number: s02.run_chain(team, f"s2_{number}", length),
                                   "Slurm": their_chain}, 3)
        s02.rows(bench, values, "Slurm", f", {against}", chain=length, setup=setup)

        def median(measure):
            return sorted(measure() for _ in range(times))[times // 2]

        def shell():
            eventually("the node is idle", theirs.idle)
            return s03.once_by(team, lambda: theirs.submit(mark))

        values = bench.take_turns({"ours": lambda number: median(lambda: s03.add_once(team, f"k{time.monotonic_ns()}")),
                                   "theirs": lambda _: median(shell)}, 3)
        eventually("the node is idle", theirs.idle)
        bench.row("S3", f"from the shell to the agent's main(), {against}", "ms", values["ours"],
                  ("Slurm", values["theirs"]), setup=setup)
