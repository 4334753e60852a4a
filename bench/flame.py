#!/usr/bin/env python3
"""./dev flame ROW [--rounds N] [--quick] [--out FILE]: where the processor time of a row goes. The row is
run as ever, under `perf record -a -g`, which records while our side is at it; of what it saw, only
pleach's own processes are drawn (not the agents, not the other side), into docs/flame/ROW.svg: a
flame graph of which each box says, when pointed at, what it is and how much.

Owns recording, folding and drawing. Stacks are unwound by the tables for exceptions (dwarf), so
that it is the build that is measured otherwise, and libraries have theirs too. Needs perf (Debian:
linux-perf) and root, or kernel.perf_event_paranoid=-1 and kernel.kptr_restrict=0."""
import argparse
import collections
import html
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(HERE)
HERTZ = 997
STACK = 32768  # bytes of each stack that are kept for unwinding
WHAT = {
    "s1": "1,000 tasks in 10 layers, 2 workers", "s2": "a chain of 500 tasks", "s3": "from the shell to the agent",
    "s4": "the whole path, 1,000 files", "s5": "the first slot, 10,000 files", "s6": "the next slot, 10,000 files",
    "s8": "pleach status and a hook", "s9": "a change, 50 that wait", "s10": "submit of 10,000 tasks",
}  # (S7 is over before there is a sample, S11 and S12 are not about processor time.)
KINDS = {  # of code: what the legend says, colour
    "ours": ("pleach", "#7fb2e5"),
    "libc": ("libc and the loader", "#8fcf8a"),
    "library": ("other libraries", "#c9a6e4"),
    "kernel": ("kernel", "#f2a65a"),
    "process": ("", "#d9d9d9"),
}


# --- recording ---

class Fifos:
    """A word goes one way, `ack` comes back."""

    def __init__(self, folder):
        self.folder = folder
        os.mkdir(folder)
        self.ends = []
        for name in ("control", "ack"):
            os.mkfifo(f"{folder}/{name}")
            self.ends.append(os.open(f"{folder}/{name}", os.O_RDWR))  # both ends: nobody waits for anybody to open it

    def read(self, end, seconds):
        """None: nothing came so long."""
        if select.select((self.ends[end],), (), (), seconds)[0]:
            return os.read(self.ends[end], 100).strip(b"\0\n").decode()
        return None

    def write(self, end, word):
        os.write(self.ends[end], word.encode() + b"\n")


class Recorder:
    """A perf for each time that our side is at it: started just before, it reads from /proc what the
    processes that are there have mapped. (Of one that has called another program it does not forget
    what the old one had mapped, and unwinds by that.)"""

    def __init__(self, folder):
        self.folder = folder
        self.files = []
        self.failed = None  # what perf said when it ended by itself; the row goes on to its end

    def enable(self):
        fifos = Fifos(f"{self.folder}/perf{len(self.files)}")
        self.files.append(fifos.folder + "/data")
        with open(fifos.folder + "/said", "w") as said:
            self.perf = subprocess.Popen(
                ("setpriv", "--pdeathsig", "INT", "perf", "record", "-a", "-g", "-F", str(HERTZ), "--call-graph",
                 f"dwarf,{STACK}", "-D", "-1", "-m", "8M", f"--control=fifo:{fifos.folder}/control,{fifos.folder}/ack", "-o", self.files[-1]),
                stdout=said, stderr=said)
        fifos.write(0, "enable")
        while fifos.read(1, 0.1) is None:
            if self.perf.poll() is not None:
                with open(fifos.folder + "/said") as said:
                    self.failed = said.read()[-2000:]
                return

    def disable(self):
        if self.perf.poll() is None:
            self.perf.send_signal(signal.SIGINT)
            self.perf.wait()


def record(row, rounds, quick, folder):
    """Runs the row; the files with what perf saw. Without random addresses, for the same reason."""
    if not shutil.which("perf"):
        sys.exit("flame: there is no perf here (Debian: apt-get install linux-perf)")
    fifos, recorder = Fifos(folder + "/row"), Recorder(folder)
    command = ["setarch", "-R", HERE + "/run", "--unsaved", *(["--rounds", str(rounds)] if rounds else []),
               *(["--quick"] if quick else []), row]
    bench = subprocess.Popen(command, env={**os.environ, "BENCH_RECORDER": fifos.folder, "BENCH_RECORDED_ROW": row})
    while bench.poll() is None:
        if word := fifos.read(0, 0.1):
            getattr(recorder, word)()
            fifos.write(1, "ack")
    if bench.returncode != 0:
        sys.exit(f"flame: the row failed ({bench.returncode})")
    if recorder.failed:
        sys.exit("flame: perf: " + recorder.failed)
    return recorder.files


def full_name(comm):
    """The kernel keeps 15 characters of a program's name."""
    for name in ("pleach-coordinator", "pleach-worker", "pleach-git", "pleach-hook", "pleach"):
        if name[:15] == comm:
            return name
    return None


FRAME = re.compile(r"^\s+[0-9a-f]+ (.*) \((.*)\)$")
COMM = re.compile(r"PERF_RECORD_COMM( exec)?: (.+):(\d+)/(\d+)$")
FORK = re.compile(r"PERF_RECORD_FORK\((\d+):\d+\):\((\d+):\d+\)$")
MMAP = re.compile(r"PERF_RECORD_MMAP2? (\d+)/\d+: .* (\S+)$")
HEAD = re.compile(r"^(.*?)\s+(\d+)/(\d+)\s*$")
STARTS = ("_start", "__libc_start_main", "__libc_start_call_main", "clone", "clone3", "start_thread")


def kind_of(path):
    base = os.path.basename(path)
    if path.startswith("["):
        return "kernel"
    if base.startswith(("libc.", "ld-linux", "libm.", "libpthread", "ld.so")):
        return "libc"
    return "ours" if base.startswith("pleach") else "library"


def frame_of(symbol, path):
    """(name, kind, where from). What has no name is called by where it is."""
    symbol = re.sub(r"\+0x[0-9a-f]+$", "", symbol)
    where = os.path.basename(path) if not path.startswith("[kernel") else "kernel"
    if symbol == "[unknown]":
        symbol = f"[{where.strip('[]')}]"
    return re.sub(r"@+[A-Z][\w.]*$|\.(isra|part|constprop|cold)\S*$", "", symbol), kind_of(path), where


class Processes:
    """Which of them are of the pleach that is measured: others may run beside it."""

    def __init__(self, build):
        self.build = build
        self.names = {}
        self.ours = set()

    def see(self, line):
        """What became of a process; False when the line says nothing of that."""
        if part := COMM.search(line):
            if part[3] == part[4]:
                self.names[part[3]] = part[2]
                if part[1]:
                    self.ours.discard(part[3])
        elif part := FORK.search(line):
            if part[1] != part[2]:
                self.names[part[1]] = self.names.get(part[2], "")
                (self.ours.add if part[2] in self.ours else self.ours.discard)(part[1])
        elif part := MMAP.search(line):
            if part[2].startswith(self.build + "/pleach"):
                self.ours.add(part[1])
        else:
            return False
        return True

    def name(self, pid):
        return full_name(self.names.get(pid, "")) if pid in self.ours else None


def stacks(data):
    """[(process, [frame, outermost first])] of pleach's processes."""
    perf = subprocess.Popen(("perf", "script", "-i", data, "--no-inline", "--show-task-events", "--show-mmap-events", "-F",
                             "comm,pid,tid,ip,sym,dso"),
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace")
    processes, found, process, frames = Processes(os.path.realpath(os.environ.get("BUILD", ROOT + "/build"))), [], None, []
    for line in perf.stdout:
        line = line.rstrip("\n")
        if not line:
            if process:
                found.append((process, trimmed(frames)))
            process, frames = None, []
        elif processes.see(line):
            pass
        elif process and (part := FRAME.match(line)):
            frame = frame_of(part[1], part[2])
            if not (frames and frames[-1] == frame and frame[0].startswith("[")):
                frames.append(frame)
        elif head := HEAD.match(line):
            process = processes.name(head[2])
    perf.wait()
    return found


def trimmed(frames):
    """Outermost first, without what every program begins with."""
    frames = frames[::-1]
    while frames and (frames[0][0].startswith(STARTS) or frames[0][0].startswith("[") and len(frames) > 1 and
                      frames[1][0].startswith(STARTS)):
        frames.pop(0)
    return frames


# --- drawing ---

class Box:
    def __init__(self, frame):
        self.frame = frame
        self.count = 0
        self.inner = {}

    def add(self, frames):
        box = self
        box.count += 1
        for frame in frames:
            box = box.inner.setdefault(frame, Box(frame))
            box.count += 1

    def depth(self, least):
        return 1 + max((box.depth(least) for box in self.inner.values() if box.count >= least), default=0)


def share(count, total):
    return f"{100 * count / total:.1f} %"


def tallied(found):
    """({kind: samples at whose end it is}, {process: samples})"""
    kinds, processes = collections.Counter(), collections.Counter()
    for process, frames in found:
        kinds[frames[-1][1] if frames else "kernel"] += 1
        processes[process] += 1
    return kinds, processes


WIDTH, SIDE, ROW, TOP, BOTTOM, LETTER = 1200, 10, 17, 62, 10, 6.7


def draw(found, title, note, path):
    top = Box(("pleach", "process", ""))
    for process, frames in found:
        top.add([(process, "process", ""), *frames])
    total = top.count
    scale = (WIDTH - 2 * SIDE) / total
    least = 0.7 / scale  # what is narrower than this many pixels is left out
    height = TOP + top.depth(least) * ROW + BOTTOM
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
           'font-family="DejaVu Sans, Verdana, sans-serif" font-size="11">',
           f"<title>{html.escape(title)}</title>",
           "<style>rect:hover{stroke:#000}text{pointer-events:none}" +
           "".join(f".{kind}{{fill:{color}}}" for kind, (_, color) in KINDS.items()) + "</style>",
           f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
           f'<text x="{SIDE}" y="18" font-size="14">{html.escape(title)}</text>',
           f'<text x="{SIDE}" y="34" fill="#555">{html.escape(note)}</text>']
    kinds, _ = tallied(found)
    x = SIDE
    for kind in ("ours", "libc", "library", "kernel"):
        text = f"{KINDS[kind][0]} {share(kinds[kind], total)}"
        out.append(f'<rect x="{x}" y="42" width="11" height="11" class="{kind}"/>'
                   f'<text x="{x + 16}" y="52">{text}</text>')
        x += 40 + len(text) * LETTER

    def box(each, left, level):
        name, kind, where = each.frame
        width, y = each.count * scale, height - BOTTOM - (level + 1) * ROW
        said = f"{name}{f' ({where})' if where else ''}: {share(each.count, total)}, {each.count:,} samples"
        fits = int((width - 4) / LETTER)
        label = name if len(name) <= fits else name[:fits - 1] + "…" if fits >= 4 else ""
        out.append(f'<rect x="{left:.1f}" y="{y}" width="{width - 0.3:.1f}" height="{ROW - 1}" class="{kind}">'
                   f"<title>{html.escape(said)}</title></rect>" +
                   (f'<text x="{left + 3:.1f}" y="{y + 12}">{html.escape(label)}</text>' if label else ""))
        for inner in sorted(each.inner.values(), key=lambda inner: inner.frame):
            if inner.count >= least:
                box(inner, left, level + 1)
            left += inner.count * scale

    box(top, SIDE, 0)
    out.append("</svg>")
    with open(path, "w") as file:
        file.write("\n".join(out) + "\n")


def tell(found):
    """What one would otherwise look for in the picture."""
    kinds, processes = tallied(found)
    total = len(found)
    print(", ".join(f"{name} {share(count, total)}" for name, count in processes.most_common()))
    print(", ".join(f"{KINDS[kind][0]} {share(count, total)}" for kind, count in kinds.most_common()))
    ends, within = collections.Counter(), collections.Counter()
    for _, frames in found:
        if frames:
            ends[frames[-1]] += 1
            within.update(set(frames))
    for title, counts, most in (("ends in", ends, 12), ("is within", within, 40)):
        print(f"{title}: " + ", ".join(f"{frame[0]} {share(count, total)}" for frame, count in counts.most_common(most)))


def main():
    parser = argparse.ArgumentParser(prog="./dev flame", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row", type=str.lower, choices=list(WHAT))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--quick", action="store_true", help="few and small: does it work at all?")
    parser.add_argument("--out", help="instead of docs/flame/ROW.svg")
    options = parser.parse_args()
    path = options.out or f"{ROOT}/docs/flame/{options.row}.svg"
    folder = tempfile.mkdtemp(prefix="bench-flame-")
    try:
        files = record(options.row, options.rounds, options.quick, folder)
        found = [each for data in files for each in stacks(data)]
    finally:
        shutil.rmtree(folder)
    if not found:
        sys.exit("flame: no sample of pleach's processes")
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    draw(found, f"{options.row.upper()}: {WHAT[options.row]}: the processor time of pleach's processes",
         f"{len(found):,} samples, {HERTZ} a second on each processor; width is time, what a box stands on called it (point at one)", path)
    tell(found)
    print(path)


if __name__ == "__main__":
    main()
