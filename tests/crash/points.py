#!/usr/bin/env python3
"""Every crash point: each operation dies at each system call that changes something, recovers
as in life, and is held against what was promised.

First the operation runs once with nobody dying, to count its points; then once for each point and
role. (A sample takes the numbers of an earlier run, which are about right.) Operations are in points_ops.py, what a trial does in points_world.py, the killing in deathat.c.
"""
import argparse
import concurrent.futures
import os
import random
import signal
import subprocess
import sys
import time
import traceback

from points_ops import ABOUT, OPERATIONS
from points_world import Trial
from world import Failure


class Result:
    def __init__(self, operation, roles, at, everybody):
        self.operation, self.roles, self.at, self.everybody = operation, roles, at, everybody
        self.failure, self.count, self.died, self.points, self.seconds = None, 0, None, [], 0

    def name(self):
        return f"{self.operation} {','.join(self.roles)} {self.at}{' all' if self.everybody else ''}"


def attempt(operation, trial, result):
    operation.prepare(trial)
    before = {name: trial.git("rev-parse", name) for name in ("main",)}
    operation.act(trial)
    operation.rest(trial)
    trial.disarm()
    result.count, result.died, result.points = trial.count, trial.died, trial.points
    operation.after(trial)
    if operation.probes:
        trial.probe()
    operation.check(trial)
    trial.check_down()
    keys, attempts = trial.check_store(operation.most_attempts(trial))
    trial.check_repository(keys, attempts, operation.lands)
    operation.check_user(trial, before)


def run(build, name, roles, at, everybody):
    """One trial, in a universe of its own."""
    result = Result(name, roles, at, everybody)
    start = time.monotonic()
    trial = None
    try:
        trial = Trial(build, name, roles, at, everybody)
        attempt(OPERATIONS[name](), trial, result)
    except (Failure, OSError, subprocess.TimeoutExpired, ValueError, KeyError) as problem:
        where = traceback.extract_tb(problem.__traceback__)[-1]
        result.failure = f"{type(problem).__name__}: {problem} ({os.path.basename(where.filename)}:{where.lineno})"
        if trial:
            trial.open_gate()
            trial.disarm_quietly()
            result.died = trial.died
            result.failure += "".join("\n      said: " + line for line in trial.said[-3:])
            result.failure += "\n" + trial.tail(15)
    finally:
        if trial:
            try:
                trial.end()
            except (Failure, OSError, subprocess.TimeoutExpired) as problem:
                result.failure = (result.failure or "") + f" and at its end: {problem}"
    result.seconds = time.monotonic() - start
    return result


def sample(counts, most, seed):
    """So many points, the operations by turns, and of each those who die there by turns."""
    rng = random.Random(seed)
    operations = {}
    for (name, role), count in counts.items():
        points = [(name, role, at) for at in range(1, count + 1)]
        rng.shuffle(points)
        operations.setdefault(name, []).append(points)
    for roles in operations.values():
        rng.shuffle(roles)
    chosen = []
    while operations and (not most or len(chosen) < most):
        for name in rng.sample(list(operations), len(operations)):
            roles = operations[name]
            points = roles.pop(0)
            if points:
                chosen.append(points.pop())
                roles.append(points)
            if not roles:
                del operations[name]
    return chosen[:most or None]


def count_all(pool, options, names):
    """Each operation once with nobody dying: {(name, role): points}."""
    jobs = {pool.submit(run, options.build, name, OPERATIONS[name].roles, 0, False): name
            for name in names}
    counts = {}
    for job, name in jobs.items():
        result = job.result()
        if result.failure:
            print(f"FAILED with nobody dying: {result.name()}: {result.failure}")
            return None
        for role in OPERATIONS[name].roles:
            if not options.role or role in options.role:
                counts[name, role] = sum(line.split()[2] == role for line in result.points)
                if options.verbose:
                    print(f"  {name} {role}: {counts[name, role]} points, {result.seconds:.2f} s")
    return counts


def report(results, counts):
    rows = {}
    for result in results:
        row = rows.setdefault((result.operation, result.roles[0], result.everybody), [0, 0, 0])
        row[0] += 1
        row[1] += result.failure is None
        row[2] += result.died is not None
    print(f"{'operation':<12} {'who dies':<16} {'points':>6} {'tried':>6} {'died':>6} {'recovered':>9}")
    for (name, role, everybody), (tried, fine, died) in sorted(rows.items()):
        who = role + (" + all" if everybody else "")
        print(f"{name:<12} {who:<16} {counts[name, role]:>6} {tried:>6} {died:>6} {fine:>9}")
    tried, fine = len(results), sum(r.failure is None for r in results)
    died = sum(r.died is not None for r in results)
    print(f"{tried} crash points tried, {died} deaths, {fine} recovered")


def make_trials(options, counts):
    if options.sample or options.seconds:
        points = sample(counts, options.sample, options.seed)
    else:
        points = [(*group, at) for group, count in counts.items() for at in range(1, count + 1)]
    return [(options.build, name, (role,), at, options.all) for name, role, at in points
            if not options.at or at in options.at]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--operation", action="append", choices=sorted(OPERATIONS))
    parser.add_argument("--role", action="append")
    parser.add_argument("--at", action="append", type=int, help="only these points")
    parser.add_argument("--sample", type=int, help="so many points, spread over all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, help="spread over all, begun within so long")
    parser.add_argument("--all", action="store_true", help="everybody dies at that point, not only whose it is")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    names = options.operation or list(OPERATIONS)
    start = time.monotonic()
    results = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        if options.sample or options.seconds:
            counts = {(name, role): count for name in names for role, count in ABOUT[name].items()
                      if not options.role or role in options.role}
        else:
            counts = count_all(pool, options, names)
        if counts is None:
            return 1
        trials = make_trials(options, counts)
        what = f"{options.seconds:g} s of them" if options.seconds else f"{len(trials)}"
        print(f"{sum(counts.values())} points; trying {what}, seed {options.seed}", flush=True)

        def one(trial):
            if options.seconds and time.monotonic() - start > options.seconds:
                return None
            return run(*trial)

        for result in pool.map(one, trials):
            if result is None:
                continue
            results.append(result)
            if result.failure:
                print(f"FAILED {result.name()}: {result.died}: {result.failure}", flush=True)
            elif options.verbose:
                print(f"ok {result.name()}: {result.died} {result.seconds:.2f} s", flush=True)
    report(results, counts)
    print(f"took {time.monotonic() - start:.1f} s")
    return 1 if any(result.failure for result in results) or not results else 0


if __name__ == "__main__":
    sys.exit(main())
