#!/usr/bin/env python3
"""An agent that speaks ACP, and what an agent should not do, too. A prompt is what it does, a line
each; what it gets is written to $W/heard, a JSON text a line.
  say TEXT            a part of its answer
  plan TEXT|TEXT…     its plan
  call KIND TEXT      a tool call
  ask KIND TEXT       asks leave for a command (or path); says "TEXT: OPTION"
  gate NAME           waits at a fifo
  sh COMMAND          runs it
  noise               prints what is no message
  huge MB             an update of so many MB
  hang                never answers
  stay                is not ended by SIGTERM
  die STATUS          ends in the middle of its prompt
  stop REASON         ends the turn with that reason
  used IN OUT         what the turn used
  spent IN OUT ALL    what one request used, as qwen tells it: at once
  quota IN OUT        what the turn used, as gemini tells it
  linger              lives on when its turn is cancelled
"""
import json
import os
import signal
import subprocess
import sys

heard = open(os.path.join(os.environ["W"], "heard"), "a")
numbers = 100
lingers = False


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def receive():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    message = json.loads(line)
    print(json.dumps(message), file=heard, flush=True)
    return message


def update(**fields):
    send({"method": "session/update", "params": {"sessionId": "s", "update": fields}})


def ask(kind, text):
    global numbers
    numbers += 1
    tool = {"toolCallId": "t%d" % numbers, "kind": kind, "title": text}
    if kind == "execute":
        tool["rawInput"] = {"command": text}
    else:
        tool["locations"] = [{"path": text}]
    send({"id": numbers, "method": "session/request_permission", "params": {
        "sessionId": "s", "toolCall": tool, "options": [
            {"optionId": "yes", "name": "Allow once", "kind": "allow_once"},
            {"optionId": "ever", "name": "Always", "kind": "allow_always"},
            {"optionId": "no", "name": "Reject", "kind": "reject_once"}]}})
    cancelled = False
    while True:
        message = receive()
        cancelled = cancelled or message.get("method") == "session/cancel"
        if message.get("id") == numbers:
            outcome = message["result"]["outcome"]
            return None if cancelled else outcome.get("optionId", outcome["outcome"])


def chunk(text):
    update(sessionUpdate="agent_message_chunk", content={"type": "text", "text": text})


def prompt(text):
    """Its stopReason and usage, or None: no reply."""
    global lingers
    result = {"stopReason": "end_turn"}
    for line in text.splitlines():
        verb, _, rest = line.strip().partition(" ")
        first, _, more = rest.partition(" ")
        if verb == "say":
            chunk(rest + "\n")
        elif verb == "plan":
            update(sessionUpdate="plan", entries=[
                {"content": t, "priority": "high", "status": "pending"} for t in rest.split("|")])
        elif verb == "call":
            update(sessionUpdate="tool_call", toolCallId="c", title=more, kind=first, status="pending")
        elif verb == "ask":
            option = ask(first, more)
            if option is None:
                return {"stopReason": "cancelled"}
            chunk("%s: %s\n" % (more, option))
        elif verb == "gate":
            open(os.path.join(os.environ["W"], rest)).read()
        elif verb == "sh":
            subprocess.run(rest, shell=True, check=True, stdout=subprocess.DEVNULL)
        elif verb == "noise":
            sys.stdout.write("(node:1) Warning: this is no message\n\n[1, 2]\n{\"jsonrpc\": \n")
        elif verb == "huge":
            chunk("x" * (int(rest) << 20))
            chunk("\nend of it\n")
        elif verb == "hang":
            while receive().get("method") != "session/cancel":
                pass
            return {"stopReason": "cancelled"}
        elif verb == "stay":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        elif verb == "die":
            os._exit(int(rest))
        elif verb == "stop":
            result["stopReason"] = rest
        elif verb == "linger":
            lingers = True
        elif verb == "spent":
            update(sessionUpdate="agent_message_chunk", content={"type": "text", "text": ""}, _meta={
                "durationMs": 7, "usage": dict(zip(("inputTokens", "outputTokens", "totalTokens"), map(int, rest.split())),
                                               cachedReadTokens=1)})
        elif verb == "quota":
            result["_meta"] = {"quota": {"token_count": {"input_tokens": int(first), "output_tokens": int(more)}}}
        elif verb == "used":
            result["usage"] = {"inputTokens": int(first), "outputTokens": int(more), "totalTokens": 0}
    return result


while True:
    request = receive()
    method, params = request.get("method"), request.get("params", {})
    if method == "initialize":
        send({"id": request["id"], "result": {
            "protocolVersion": 1, "agentCapabilities": {"loadSession": True}}})
    elif method == "session/new":
        send({"id": request["id"], "result": {"sessionId": "s-%d" % os.getpid()}})
    elif method == "session/load":
        chunk("said long ago\n")
        send({"id": request["id"], "result": {}})
    elif method == "session/prompt":
        done = prompt(params["prompt"][0]["text"])
        send({"id": request["id"], "result": done})
        if done["stopReason"] == "cancelled" and not lingers:
            sys.exit(0)
