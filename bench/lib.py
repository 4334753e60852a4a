"""What all benchmarks share: teams of their own, rounds in which both sides take turns, a machine
that is asked to be quiet first, medians, spread, memory, results.

Owns measuring and telling; a row (rows/*.py) owns what is measured. Judges nothing: `must` and
`moonshot` are printed beside what came out. Nothing of a round is deleted before the end, for
deleting many files slows down making new ones on ext4.
"""
import contextlib
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, ROOT + "/tests/crash")
from world import World, eventually  # noqa: E402

QUIET_S = float(os.environ.get("BENCH_QUIET_S", "20"))  # how long a quiet machine is waited for
QUIET_BUSY = 0.10  # of all processors
RECORDER = os.environ.get("BENCH_RECORDER")  # flame.py: the folder with the fifos of its `perf record`


def busy_share(seconds):
    """Of the processors' time, how much was used during these seconds."""
    def read():
        with open("/proc/stat") as file:
            numbers = [int(word) for word in file.readline().split()[1:]]
        return sum(numbers[:8]), numbers[3] + numbers[4]
    total, idle = read()
    time.sleep(seconds)
    total_then, idle_then = read()
    return 1 - (idle_then - idle) / max(1, total_then - total)


def wait_for_quiet():
    """Returns when the machine has nothing else to do, or how busy it stays. What was written before (a build, another
    row) is on the disk then, and not written out beside what is measured."""
    os.sync()
    end = time.monotonic() + QUIET_S
    while (busy := busy_share(0.25)) > QUIET_BUSY:
        if time.monotonic() > end:
            return busy
    return busy


def percentile(values, part):
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * part // 100) - 1)]


def program(name, package):
    """Where an anchor's program is; installed when it is missing. None: it cannot be."""
    found = shutil.which(name)
    if found or os.environ.get("BENCH_NO_INSTALL"):
        return found
    print(f"bench: installing {package} (an anchor)")
    for command in (["apt-get", "install", "-y", "--no-install-recommends", package],):
        root = [] if os.getuid() == 0 else ["sudo", "-n"]
        subprocess.run(root + command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    return shutil.which(name)


def timed(argv, **options):
    """Runs it; its wall time in ms."""
    start = time.monotonic()
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, **options)
    took = (time.monotonic() - start) * 1000
    if done.returncode != 0:
        raise RuntimeError(f"{argv[0]}: exit {done.returncode}: {done.stderr.decode()[-400:]}")
    return took


@contextlib.contextmanager
def recorded():
    """Within it flame.py's perf records, where that runs."""
    def tell(word):
        if RECORDER:
            with open(RECORDER + "/control", "w") as file:
                file.write(word + "\n")
            with open(RECORDER + "/ack") as file:
                file.readline()
    tell("enable")
    try:
        yield
    finally:
        tell("disable")


class Probe:
    """What processes used between two looks: processor ms, context switches, peak memory."""

    def __init__(self, pids):
        self.pids = pids
        self.before = self.look()

    def look(self):
        cpu = switches = peak = 0
        for pid in self.pids:
            try:
                for thread in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                        cpu += int(file.read().split()[0]) / 1e6
                    with open(f"/proc/{pid}/task/{thread}/status") as file:
                        switches += sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
                with open(f"/proc/{pid}/status") as file:
                    peak = max([peak] + [int(line.split()[1]) for line in file if line.startswith("VmHWM")])
            except OSError:
                pass
        return {"cpu_ms": cpu, "switches": switches, "peak_kb": peak}

    def used(self):
        now = self.look()
        return {"cpu_ms": round(now["cpu_ms"] - self.before["cpu_ms"], 2),
                "switches": now["switches"] - self.before["switches"], "peak_kb": now["peak_kb"]}


def private_kb(pid):
    """Private memory that was written: what a process really costs."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_Dirty"))


def rates(values, tasks):
    """{side: tasks a second} of {side: [ms]}."""
    return {name: round(tasks * 1000 / statistics.median(times), 1) for name, times in values.items()}


class Team(World):
    """A universe with a repository and, after up(), a headless team that waits."""

    def __init__(self):
        super().__init__(os.environ.get("BUILD", ROOT + "/build"))
        self.witness = self.build + "/bench/witness"
        self.watchers = self.build + "/bench/watchers"
        self.marks = self.meet + "/marks"

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.end()

    def up(self, count, *agents):
        self.plan(name="warm", team=count, agents={"a": {"command": ["/bin/true"]}},
                  defaults={"agent": "a", "slot": "none"}, tasks=[{"id": f"w{i}", "prompt": "x"} for i in range(count)])
        self.pleach("run", "--headless", "--team", str(count))
        return self

    def small(self, name, tasks, command=("/bin/true",), **more):
        """A plan of tasks without a slot."""
        self.plan(name=name, agents={"a": {"command": list(command)}},
                  defaults={"agent": "a", "slot": "none"}, tasks=tasks, **more)

    def role(self, word):
        return [pid for pid, line in self.processes().items() if word in line]

    def coordinator(self):
        return self.role("--serve")[0]

    def ours(self):
        return self.role("pleach-")

    def read_marks(self):
        """[(began, ended)] in ns of CLOCK_MONOTONIC; forgotten then."""
        with open(self.marks) as file:
            marks = [tuple(int(word) for word in line.split()) for line in file]
        os.rename(self.marks, f"{self.marks}.{time.monotonic_ns()}")
        return marks


def layers(count, width, blockers=3):
    """Layers of tasks, each behind `blockers` of the layer before."""
    tasks = []
    for layer in range(count):
        for i in range(width):
            task = {"id": f"t{layer}_{i}", "prompt": "x"}
            if layer:
                task["blocked_by"] = [f"t{layer - 1}_{(i + k) % width}" for k in range(min(blockers, width))]
            tasks.append(task)
    return tasks


class Bench:
    def __init__(self, rounds=None):
        self.rounds = rounds
        self.rows = []

    def take_turns(self, sides, rounds, mine=("ours",)):
        """{side: [value a round]}: each round all sides, in an order that rotates."""
        rounds = self.rounds or rounds
        values = {name: [] for name in sides}
        self.busy = wait_for_quiet()
        for number in range(rounds):
            names = list(sides)
            for name in names[number % len(names):] + names[:number % len(names)]:
                with recorded() if name in mine else contextlib.nullcontext():
                    values[name].append(sides[name](number))
        return values

    def row(self, row, what, unit, ours, anchor=None, must=None, moonshot=None, others=None, **notes):
        """ours, anchor: [value] (anchor: (name, [value])). Where there is an anchor, must and
        moonshot are ratios, else values."""
        entry = {"row": row, "what": what, "unit": unit, "must": must, "moonshot": moonshot,
                 "ours": self.summary(ours), "busy_before": round(getattr(self, "busy", 0), 2),
                 "load_after": round(os.getloadavg()[0], 1), **notes}
        if anchor:
            name, values = anchor
            entry["anchor"] = {"name": name, **self.summary(values)}
            base = entry["anchor"]["median"]
            ratios = [mine / theirs for mine, theirs in zip(ours, values)] if len(ours) == len(values) else \
                [mine / base for mine in ours]
            entry["ratio"] = round(entry["ours"]["median"] / base, 3)
            entry["spread"] = [round(percentile(ratios, 25), 3), round(percentile(ratios, 75), 3)]
        entry["others"] = {name: self.summary(values) for name, values in (others or {}).items()}
        self.rows.append(entry)
        self.show(entry)
        return entry

    @staticmethod
    def summary(values):
        return {"median": round(statistics.median(values), 4), "best": round(min(values), 4),
                "worst": round(max(values), 4), "n": len(values)}

    @staticmethod
    def show(entry):
        unit = entry["unit"]
        ours = entry["ours"]
        line = f"{entry['row']:<5}{entry['what']}: ours {ours['median']:g} {unit}"
        if "anchor" in entry:
            line += (f", {entry['anchor']['name']} {entry['anchor']['median']:g} {unit}, ratio {entry['ratio']:g}"
                     f" ({entry['spread'][0]:g}–{entry['spread'][1]:g})")
        if entry["must"] is not None:
            line += f"; must {entry['must']:g}, moonshot {entry['moonshot']:g}"
        print(line)
        for name, other in entry["others"].items():
            print(f"       {name} {other['median']:g} {unit}")
        for name, note in entry.items():
            if name not in ("row", "what", "unit", "must", "moonshot", "ours", "anchor", "ratio", "spread", "others",
                            "busy_before", "load_after"):
                print(f"       {name}: {note}")
        if entry["busy_before"] > 0.3:
            print(f"       the machine was not quiet: {entry['busy_before'] * 100:.0f} % busy before, load {entry['load_after']} after")
        sys.stdout.flush()

    def save(self, path):
        """Rows that were not measured now stay as they were."""
        try:
            with open(path) as file:
                old = json.load(file)["rows"]
        except (OSError, ValueError, KeyError):
            old = []
        now = {(entry["row"], entry["what"]) for entry in self.rows}
        rows = [entry for entry in old if (entry["row"], entry["what"]) not in now] + self.rows
        rows.sort(key=lambda entry: (int(entry["row"].lstrip("S")) if entry["row"].lstrip("S").isdigit() else 99, entry["what"]))
        with open(path, "w") as file:
            json.dump({"machine": machine(), "date": time.strftime("%Y-%m-%d"), "rows": rows}, file, indent=1)
            file.write("\n")


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "?")
    return {"processors": os.cpu_count(), "model": model, "kernel": platform.release(),
            "limit_files": resource.getrlimit(resource.RLIMIT_NOFILE)[0]}


__all__ = ["Bench", "Probe", "Team", "eventually", "layers", "percentile", "private_kb", "program", "rates",
           "timed", "wait_for_quiet", "ROOT", "HERE"]
