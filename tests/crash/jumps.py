#!/usr/bin/env python3
"""The clock jumps by a year, and by a day as over a suspend, while limits and back-offs count.

Proves: no limit passes early or is missed, no back-off is skipped or doubled, and the times that
are shown stay sane. Owns nothing but its own universe (world.py).
"""
import argparse
import os
import sys
import time

from world import check, eventually, run

DAY, YEAR = 86400, 365 * 86400


def jump(world, seconds):
    with open(world.meet + "/clock.new", "w") as file:
        file.write(str(seconds))
    os.replace(world.meet + "/clock.new", world.meet + "/clock")


def one(world, rpc, name, seconds):
    """A limit of an hour, one of three seconds, and a back-off, with a jump in their midst."""
    limits = {"long": "1h", "short": "3s", "again": "1h"}
    world.plan(name=name, team=3, agents={"sh": {"command": ["sh", "{prompt_file}"]}},
               defaults={"agent": "sh", "slot": "none"}, tasks=[
                   {"id": "long", "timeout": limits["long"],
                    "prompt": f'touch "$W/{name}.long"; while [ ! -e "$W/{name}.go" ]; do sleep 0.05; done'},
                   {"id": "short", "timeout": limits["short"], "prompt": "sleep 100"},
                   {"id": "again", "timeout": limits["again"], "retries": 1,
                    "prompt": f'echo x >>"$W/{name}.again"; test $(wc -l <"$W/{name}.again") = 2'}])
    begin = time.monotonic()
    world.pleach("run", "--headless", "--detach")
    # Nobody's owner is asked for: `short` may be over before `long` has one.
    eventually("the agents run", lambda: all(
        rpc.ask("task.show", task=f"{name}/{key}")["attempts"] >= 1 for key in ("long", "short")))
    jump(world, seconds)
    rpc.ask("task.wait", tasks=[f"{name}/short", f"{name}/again"])
    took = time.monotonic() - begin
    short = rpc.ask("task.show", task=f"{name}/short")
    check((short["error"] or {}).get("code") == "timeout", f"{name}: {short['error']}")
    check(2.9 <= took < 30, f"{name}: a limit of 3 s passed after {took:.1f} s")
    check(2.5 <= short["seconds"] < 30, f"{name}: shown as {short['seconds']} s")
    check(rpc.ask("task.show", task=f"{name}/again")["status"] == "completed", "no second try")
    check(rpc.ask("task.show", task=f"{name}/long")["status"] == "in_progress",
          f"{name}: a limit of an hour passed early")
    world.kill(rpc.hello["pid"])  # and another coordinator, which lives in the new time
    rpc.close()
    rpc = world.connect()
    started = rpc.ask("status")["coordinator"]["started_at"]
    check(abs(seconds) < YEAR or started[:4] != time.strftime("%Y"), "the clock did not jump")
    open(f"{world.meet}/{name}.go", "w").close()
    rpc.ask("task.wait", tasks=[f"{name}/long"])
    row = rpc.ask("task.show", task=f"{name}/long")
    check(row["status"] == "completed" and 0 <= row["seconds"] < 60,
          f"{name}: {row['status']} after {row['seconds']} s")
    world.pleach("status")
    world.pleach("ls")
    print(f"{name}: clock {seconds:+d} s: limit of 3 s passed after {took:.1f} s, that of an "
          f"hour did not; back-off waited; shown: {short['seconds']:.1f} s")
    return rpc


def test(world, options):
    jump(world, 0)
    world.env.update(LD_PRELOAD=world.build + "/clockjump.so", CLOCK_JUMP=world.meet + "/clock")
    world.pleach("status")
    rpc = world.connect()
    for name, seconds in (("ahead", YEAR), ("back", -YEAR), ("suspended", DAY)):
        rpc = one(world, rpc, name, seconds)
        jump(world, 0)
    rpc.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    options = parser.parse_args()
    return run(test, options.build, options)


if __name__ == "__main__":
    sys.exit(main())
