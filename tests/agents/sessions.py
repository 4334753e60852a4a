#!/usr/bin/env python3
"""An agent that keeps sessions as real ones do: a file for each, by its id and the directory it was
begun in. What it does in a turn is a script (the prompt, or what $W/script says); what it was told is
its memory. sessions.py new|resume ID PROMPT"""
import fcntl
import json
import os
import subprocess
import sys


def main():
    how, session, prompt = sys.argv[1:4]
    meet = os.environ["W"]
    folder = os.path.join(meet, "sessions")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, session.replace("/", "_"))
    memory = {"cwd": os.getcwd(), "told": []}
    if how == "resume":
        if not os.path.exists(path):
            print(f"No conversation found with session ID {session}", file=sys.stderr)
            return 1
        with open(path) as file:
            memory = json.load(file)
        if memory["cwd"] != os.getcwd():
            print(f"session {session} is of another directory", file=sys.stderr)
            return 1
    lock = open(path + ".lock", "a")  # let go of with the process, however that ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print(f"session {session} is in use", file=sys.stderr)
        with open(os.path.join(meet, "twice"), "a") as file:
            file.write(session + "\n")
        return 1
    memory["told"].append(prompt)
    with open(path + ".new", "w") as file:
        json.dump(memory, file)
    os.rename(path + ".new", path)
    with open(os.path.join(meet, "turns"), "a") as file:
        file.write(json.dumps({"how": how, "session": session, "key": os.environ["PLEACH_KEY"],
                               "attempt": int(os.environ["PLEACH_ATTEMPT"]), "turn": len(memory["told"]),
                               "prompt": prompt}) + "\n")
    script = os.path.join(meet, "script")
    env = dict(os.environ, TURN=str(len(memory["told"])), HOW=how)
    return subprocess.run(["sh", "-e", script], env=env, check=False).returncode


sys.exit(main())
