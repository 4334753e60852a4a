#!/usr/bin/env python3
"""An agent prints without end, in lines or as one: what that costs everybody else.

Measures memory of worker and coordinator, the size of the log, and the control plane's answers
beside an idle control in the same run. Owns nothing but its own universe (world.py).
"""
import argparse
import os
import sys
import time

from world import check, eventually, percentile, run

LOG_CAP = 64 << 20


def resident_mb(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


def pings(options, rpc, until, watched):
    """Asks again and again; ms of each answer, and the most memory of those that are watched."""
    times, most = [], {pid: 0 for pid in watched}
    end = time.monotonic() + options.limit
    while not until():
        begin = time.monotonic()
        rows = rpc.ask("task.list")["tasks"]
        check(begin < end, f"not over within {options.limit:.0f} s: "
              f"{[(row['key'], row['status']) for row in rows]}")
        times.append((time.monotonic() - begin) * 1000)
        for pid in watched:
            most[pid] = max(most[pid], resident_mb(pid))
        time.sleep(0.002)
    return times, most


def flood(world, options, one_line):
    key = "line" if one_line else "lines"
    rpc = world.connect()
    idle_end = time.monotonic() + options.idle
    idle, _ = pings(options, rpc, lambda: time.monotonic() > idle_end, [])
    with open(f"{world.meet}/{key}.go", "w"):
        pass
    eventually(f"{key} runs", lambda: rpc.ask("task.show", task=key)["owner"])
    row = rpc.ask("task.show", task=key)
    worker = {t["name"]: t["pid"] for t in rpc.ask("team.list")["teammates"]}[row["owner"]]
    serving = rpc.hello["pid"]
    done = f"{world.meet}/{key}.done"
    begin = time.monotonic()
    busy, most = pings(options, rpc, lambda: os.path.exists(done), [worker, serving])
    took = time.monotonic() - begin
    rpc.ask("task.wait", tasks=[key])
    check(rpc.ask("task.show", task=key)["status"] == "completed", f"{key} did not complete")
    rpc.close()
    size = os.path.getsize(world.path(f"attempts/{row['attempt']}/output.log"))
    check(size <= LOG_CAP + 4096, f"{key}: the log has {size} bytes")
    with open(world.path(f"attempts/{row['attempt']}/output.log"), "rb") as file:
        marked = b"bytes of output left out here]" in file.read()
    check(marked or options.mb << 20 <= LOG_CAP, f"{key}: no marker in the log")
    check(most[worker] < 64, f"{key}: the worker has {most[worker]:.0f} MB")
    check(most[serving] < 64, f"{key}: the coordinator has {most[serving]:.0f} MB")
    print(f"{options.mb} MB as {'one line' if one_line else 'lines'} in {took:.1f} s: worker "
          f"{most[worker]:.1f} MB, coordinator {most[serving]:.1f} MB, log {size} bytes"
          f"{' with its marker' if marked else ''}; control plane idle p99 "
          f"{percentile(idle, 99):.1f} ms (n {len(idle)}), meanwhile p50 "
          f"{percentile(busy, 50):.1f} p99 {percentile(busy, 99):.1f} ms (n {len(busy)})")


def test(world, options):
    script = ('while [ ! -e "$W/$PLEACH_KEY.go" ]; do sleep 0.05; done; '
              '"{}/talker" --flood {} {}; touch "$W/$PLEACH_KEY.done"')
    world.plan(name="p", team=2, agents={"sh": {"command": ["sh", "{prompt_file}"]}},
               defaults={"agent": "sh", "slot": "none"},
               tasks=[{"id": "lines", "prompt": script.format(world.build, options.mb << 20, "")},
                      {"id": "line", "prompt": script.format(world.build, options.mb << 20,
                                                             "--one-line")}])
    world.pleach("run", "--headless", "--detach")
    for one_line in (False, True):
        flood(world, options, one_line)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--mb", type=int, default=200)
    parser.add_argument("--idle", type=float, default=2, help="seconds of the idle control")
    parser.add_argument("--limit", type=float, help="seconds that one flood may take")
    options = parser.parse_args()
    options.limit = options.limit or max(300, options.mb * 2)
    return run(test, options.build, options)


if __name__ == "__main__":
    sys.exit(main())
