#!/usr/bin/env python3
"""An agent that lives on: on a terminal (tui), or over the agent client protocol (acp [load]). What it
is told is kept in $W/turns; a turn is the script $W/script, with $TURN."""
import json
import os
import subprocess
import sys

MEET = os.environ["W"]
turn = 0


def work(prompt):
    global turn
    turn += 1
    with open(os.path.join(MEET, "turns"), "a") as file:
        file.write(json.dumps({"turn": turn, "pid": os.getpid(), "prompt": prompt}) + "\n")
    env = dict(os.environ, TURN=str(turn))
    subprocess.run(["sh", "-e", os.path.join(MEET, "script")], env=env, check=False)


def tui():
    print("ready", flush=True)
    for line in sys.stdin:
        if line.startswith(("Do it", "The check of your work failed")):
            work(line.strip())


def say(message):
    print(json.dumps(dict(message, jsonrpc="2.0")), flush=True)


def acp(load):
    path = os.path.join(MEET, "session")
    for line in sys.stdin:
        message = json.loads(line)
        method, params = message.get("method"), message.get("params", {})
        if method == "initialize":
            result = {"protocolVersion": 1, "agentCapabilities": {"loadSession": load}}
        elif method == "session/new":
            with open(path, "w") as file:
                file.write(f"s-{os.getpid()}")
            result = {"sessionId": f"s-{os.getpid()}"}
        elif method == "session/load":
            with open(path) as file:
                known = file.read() == params["sessionId"]
            if not known:
                say({"id": message["id"], "error": {"code": -32602, "message": "no such session"}})
                continue
            with open(os.path.join(MEET, "loaded"), "a") as file:
                file.write(params["sessionId"] + "\n")
            result = {}
        elif method == "session/prompt":
            work(params["prompt"][0]["text"])
            result = {"stopReason": "end_turn"}
        else:
            continue
        say({"id": message["id"], "result": result})


if sys.argv[1] == "tui":
    tui()
else:
    acp("load" in sys.argv)
