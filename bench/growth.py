"""How cost grows: with tasks, teammates, files and watchers. A table for each and a plot (SVG, both
axes logarithmic: a cost that is proportional to what grows is a line of slope one, drawn grey), into
docs/growth/ and bench/growth.json. Nothing may grow faster than its work."""
import json
import math
import os
import subprocess
import time

from lib import ROOT, Probe, Team, layers, percentile, private_kb, timed, wait_for_quiet
from rows.s10 import plan_of

FOLDER = ROOT + "/docs/growth"
COLORS = ["#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#b9770e"]


def run_ms(team, *more):
    return timed((team.build + "/pleach", "-q", "run", "--headless", *more), cwd=team.repo, env=team.env)


def spawned_ms(team, *argv, times=15):
    out = subprocess.run((team.witness, "spawn", str(times), *argv), cwd=team.repo, env=team.env, check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    return percentile([int(line) / 1e6 for line in out.split()], 50)


def tasks(sizes):
    rows = []
    for size in sizes:
        with Team() as team:
            team.up(2)
            wait_for_quiet()
            pid = team.coordinator()
            team.pleach("team", "pause")
            with open(team.repo + "/pleach.yaml", "w") as file:
                json.dump({**plan_of("big"), "tasks": layers(max(1, size // 100), min(size, 100))}, file)
            submit = timed((team.build + "/pleach", "run", "--headless", "--detach-after", "0"), cwd=team.repo, env=team.env)
            status = spawned_ms(team, team.build + "/pleach", "status")
            listed = spawned_ms(team, team.build + "/pleach", "ls", times=5)
            probe = Probe([pid])
            team.pleach("team", "resume")
            took = run_ms(team)
            used = probe.used()
            rows.append({"tasks": size, "submit, ms": submit, "status, ms": status, "list, ms": listed,
                         "run, ms": took, "coordinator, processor ms": used["cpu_ms"],
                         "coordinator, private MB": private_kb(pid) / 1024})
    return rows


def teammates(sizes, count):
    rows = []
    for size in sizes:
        with Team() as team:
            team.up(size)
            wait_for_quiet()
            pid = team.coordinator()
            team.small("p", layers(5, count // 5))
            probe = Probe([pid])
            took = run_ms(team)
            used = probe.used()
            status = spawned_ms(team, team.build + "/pleach", "status")
            time.sleep(2)
            idle = Probe(team.ours())
            time.sleep(5)
            rows.append({"teammates": size, f"{count} tasks, ms": took, "coordinator, processor ms": used["cpu_ms"],
                         "status, ms": status, "team at rest, % of a processor": idle.used()["cpu_ms"] / 50})
    return rows


def fill(repo, files):
    for number in range(files):
        if number % 100 == 0:
            os.makedirs(f"{repo}/d{number // 100}")
        with open(f"{repo}/d{number // 100}/f{number}", "w") as file:
            file.write(f"line of file {number} with some words in it\n" * 40)


def files(sizes):
    rows = []
    for size in sizes:
        with Team() as team:
            fill(team.repo, size)
            team.git("config", "gc.auto", "0")  # git's own housekeeping outlives the commit that started it
            team.git("add", "-A")
            team.git("commit", "-qm", "files")
            team.up(1)
            wait_for_quiet()
            row = {"files": size}
            for name in ("first slot, ms", "next slot, ms", "third slot, ms"):
                team.plan(name=name.split()[0], agents={"a": {"command": ["sh", "-c", "echo x >>d0/f0"]}},
                          tasks=[{"id": "t", "prompt": "x", "agent": "a"}])
                row[name] = run_ms(team, "--team", "1")
            start = time.monotonic()
            team.git("worktree", "add", "-q", "--detach", team.dir + "/tree")
            row["git worktree add, ms"] = (time.monotonic() - start) * 1000
            rows.append(row)
    return rows


def watchers(sizes):
    rows = []
    with Team() as team:
        team.up(1)
        pid = team.coordinator()
        for size in sizes:
            wait_for_quiet()
            probe = Probe([pid])
            rounds = 20
            out = subprocess.run((team.watchers, "held", team.control, str(size), str(rounds)), check=True,
                                 stdout=subprocess.PIPE, text=True).stdout
            times = [int(line) / 1e6 for line in out.split()]
            rows.append({"watchers": size, "answered, p50 ms": percentile(times, 50), "p99 ms": percentile(times, 99),
                         "coordinator, processor ms a change": probe.used()["cpu_ms"] / rounds})
    return rows


# --- telling ---

def table(rows):
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + "---:|" * len(names)]
    for row in rows:
        lines.append("| " + " | ".join(f"{row[name]:,}" if index == 0 else f"{row[name]:.3g}" if row[name] < 100 else
                                       f"{row[name]:,.0f}" for index, name in enumerate(names)) + " |")
    return "\n".join(lines)


def ticks(low, high):
    return [10 ** power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def plot(rows, title, path):
    names = list(rows[0])
    width, height, left, bottom, right, top = 640, 360, 60, 40, 230, 30
    xs = [row[names[0]] for row in rows]
    ys = [max(row[name], 1e-3) for row in rows for name in names[1:]]
    x_ticks, y_ticks = ticks(min(xs), max(xs)), ticks(min(ys), max(ys))

    def x(value):
        span = math.log10(x_ticks[-1] / x_ticks[0]) or 1
        return left + math.log10(value / x_ticks[0]) / span * (width - left - right)

    def y(value):
        span = math.log10(y_ticks[-1] / y_ticks[0]) or 1
        return height - bottom - math.log10(max(value, 1e-3) / y_ticks[0]) / span * (height - bottom - top)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
           f'<rect width="{width}" height="{height}" fill="white"/>', f'<text x="{left}" y="18" font-size="13">{title}</text>']
    for tick in x_ticks:
        out.append(f'<path d="M{x(tick):.1f} {top}V{height - bottom}" stroke="#ddd"/>'
                   f'<text x="{x(tick):.1f}" y="{height - bottom + 16}" text-anchor="middle">{tick:,}</text>')
    for tick in y_ticks:
        out.append(f'<path d="M{left} {y(tick):.1f}H{width - right}" stroke="#ddd"/>'
                   f'<text x="{left - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    out.append(f'<text x="{(left + width - right) / 2}" y="{height - 6}" text-anchor="middle">{names[0]}</text>')
    low = max(x_ticks[0], 1e-9)
    for start in y_ticks:  # what grows just as fast as its work
        end_x = min(x_ticks[-1], low * y_ticks[-1] / start)
        out.append(f'<path d="M{x(low):.1f} {y(start):.1f}L{x(end_x):.1f} {y(start * end_x / low):.1f}" stroke="#ccc" '
                   'stroke-dasharray="3 4" fill="none"/>')
    for index, name in enumerate(names[1:]):
        color = COLORS[index % len(COLORS)]
        points = " ".join(f"{x(row[names[0]]):.1f},{y(row[name]):.1f}" for row in rows)
        out.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>')
        out += [f'<circle cx="{x(row[names[0]]):.1f}" cy="{y(row[name]):.1f}" r="3" fill="{color}"/>' for row in rows]
        out.append(f'<path d="M{width - right + 12} {top + 8 + index * 20}h16" stroke="{color}" stroke-width="2"/>'
                   f'<text x="{width - right + 34}" y="{top + 12 + index * 20}">{name}</text>')
    out.append("</svg>")
    with open(path, "w") as file:
        file.write("\n".join(out) + "\n")


def run(_, quick=False):
    os.makedirs(FOLDER, exist_ok=True)
    parts = [
        ("tasks", "How cost grows with tasks", lambda: tasks([10, 100, 1000] if quick else [10, 100, 1000, 10000])),
        ("teammates", "… with teammates", lambda: teammates([1, 4] if quick else [1, 10, 50], 100 if quick else 500)),
        ("files", "… with files", lambda: files([100, 1000] if quick else [100, 1000, 10000, 50000])),
        ("watchers", "… with watchers", lambda: watchers([1, 10] if quick else [1, 10, 50, 200])),
    ]
    only = os.environ.get("BENCH_GROWTH", "").split()
    found = {}
    for name, title, measure in parts:
        if only and name not in only:
            continue
        found[name] = measure()
        print(f"\n{table(found[name])}", flush=True)
        if not quick:
            plot(found[name], title, f"{FOLDER}/{name}.svg")
    if not quick:
        path = ROOT + "/bench/growth.json"
        try:
            with open(path) as file:
                found = {**json.load(file), **found}
        except (OSError, ValueError):
            pass
        with open(path, "w") as file:
            json.dump(found, file, indent=1)
            file.write("\n")
