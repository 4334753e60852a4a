#!/usr/bin/env python3
"""An agent that calls its hooks as claude does: from the settings file that it is given, each a
command for a shell, the event as JSON on stdin, its decision read from stdout. Its prompt is what
it does, a line each:
  hook EVENT JSON     calls the hooks of that event with these fields
  tool NAME JSON      asks leave (PreToolUse), prints "NAME allow|deny|none: REASON"
  gate NAME           waits at a fifo
  sh COMMAND          runs it
"""
import json
import os
import subprocess
import sys

settings = json.load(open(sys.argv[sys.argv.index("--settings") + 1]))
session = "11111111-2222-4333-8444-555555555555"


def call(event, fields):
    text = json.dumps({"session_id": session, "cwd": os.getcwd(), "hook_event_name": event, **fields})
    output = ""
    for group in settings["hooks"].get(event, []):
        for hook in group["hooks"]:
            done = subprocess.run(hook["command"], shell=True, input=text, text=True, capture_output=True)
            assert done.returncode == 0, done
            assert not done.stderr, done
            output += done.stdout
    return json.loads(output) if output else {}


for line in sys.stdin.read().splitlines() if sys.argv[-1] == "-" else sys.argv[-1].splitlines():
    verb, _, rest = line.strip().partition(" ")
    name, _, fields = rest.partition(" ")
    if verb == "hook":
        call(name, json.loads(fields or "{}"))
    elif verb == "tool":
        said = call("PreToolUse", {"tool_name": name, "tool_input": json.loads(fields)})
        said = said.get("hookSpecificOutput", {})
        print(name, said.get("permissionDecision", "none"), said.get("permissionDecisionReason", ""), flush=True)
    elif verb == "gate":
        open(os.path.join(os.environ["W"], name)).read()
    elif verb == "sh":
        subprocess.run(rest, shell=True, check=True)
