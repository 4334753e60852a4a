#!/usr/bin/env python3
"""A worker back from the dead: it says again, and wrongly, how attempts ended that ended long ago.

  ghost.py CONTROL SECRET TEAMMATE PATIENCE_S ATTEMPT…

Says "ready" and waits for a line: then the teammate's worker has been killed. Takes its place
before the next one is there, tells every ATTEMPT's end anew, prints one JSON line {"accepted": N,
"refused": N} and is gone. It is a process of its own because a coordinator knows its workers by
their pid.
"""
import hashlib
import hmac
import json
import sys
import time

from world import Failure, Rpc


def token(secret, kind, name):
    return hmac.new(secret, f"{kind}:{name}".encode(), hashlib.sha256).hexdigest()[:32]


def take_place(control, secret, teammate, patience):
    """Says hello until the dead worker's place is free. None: a living one was faster."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            return Rpc(control, patience, role="worker", teammate=teammate, boot="",
                       token=token(secret, "worker", teammate), attempt=None, phase="idle")
        except Failure as problem:
            if "another worker" in str(problem):
                return None
            time.sleep(0.001)
        except OSError:
            time.sleep(0.001)
    return None


def main():
    control, secret_file, teammate, patience, *attempts = sys.argv[1:]
    with open(secret_file, "rb") as file:
        secret = file.read()
    print("ready", flush=True)
    sys.stdin.readline()
    told = {"accepted": 0, "refused": 0}
    rpc = take_place(control, secret, teammate, float(patience))
    for attempt in attempts if rpc else ():
        try:
            answer = rpc.ask("attempt.finish", attempt=int(attempt), outcome="completed",
                             token=f"{attempt}.{token(secret, 'attempt', attempt)}", seconds=1.0)
            told["accepted" if answer["accepted"] else "refused"] += 1
        except Failure:
            told["refused"] += 1
        except OSError:  # the coordinator was killed: we are gone as well
            break
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
