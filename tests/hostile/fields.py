#!/usr/bin/env python3
"""Every field from outside, given every payload: it comes back exactly, or is refused in words.

Owns the table of fields and the check that the coordinator lives on, says the same bytes again and
that nothing was carried out. Talks JSON-RPC itself, so that no client stands in between.
"""
import json
import os
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), "crash"), HERE]
from payloads import DEEP, HUGE, TEXTS  # noqa: E402
from world import Rpc, check, run  # noqa: E402

# What is refused must say so; what is taken must come back. A key may be refused for its letters.
SPEC = {"slot": "none", "timeout": None, "retries": 0, "expect_changes": False, "verify": None,
        "setup": None, "copy": [], "link": []}


def plan_task(key, **more):
    return {"key": key, "subject": "s", "prompt": "true", "kind": "work", "parent": None,
            "blocked_by": [], "when": "completed", "priority": 0, "agent": None, "model": None,
            "choose": None, "spec": SPEC, "metadata": None, "line": 1, **more}


class Fields:
    def __init__(self, world):
        self.world = world
        self.count = 0
        self.exact = self.refused = 0

    def add(self, **more):
        self.count += 1
        key = more.pop("key", f"t{self.count}")
        return "task.add", {"task": plan_task(key, **more), "plan": "adhoc", "defaults": {},
                            "agents": {}, "blocked_by": [], "secrets": {}, "alternatives": [],
                            "nonce": f"n{self.count}"}

    def of(self, value):
        """(name, method, params, path of the field in what is answered or None)"""
        add = self.add
        yield "prompt", *add(prompt=value), "prompt"
        yield "subject", *add(subject=value), "subject"
        yield "key", *add(key=value), "key"
        yield "agent", *add(agent=value), "agent"
        yield "model", *add(model=value), "model"
        yield "metadata", *add(metadata={"x": value}), "metadata.x"
        if isinstance(value, str):
            yield "metadata key", *add(metadata={value: 1}), None
        yield "verify", *add(spec={**SPEC, "verify": {"command": value}}), None
        yield "copy", *add(spec={**SPEC, "copy": [value]}), None
        yield "plan name", "task.add", {**add()[1], "plan": value}, None
        yield "nonce", "task.add", {**add()[1], "nonce": value}, None
        yield "blocker", "task.add", {**add()[1], "blocked_by": [value]}, None
        yield "base", "task.add", {**add()[1], "base": value}, None
        yield "secret", "task.add", {**add()[1], "secrets": {"task": {"X": value}}}, None
        yield "update prompt", "task.update", {"task": "fixed", "prompt": value}, "prompt"
        yield "update metadata", "task.update", {"task": "fixed", "metadata": {"x": value}}, "metadata.x"
        yield "update agent", "task.update", {"task": "fixed", "agent": value}, None
        yield "answer", "task.answer", {"task": "fixed", "text": value}, None
        yield "send", "message.send", {"who": "ash", "all": False, "text": value}, None
        yield "send to", "message.send", {"who": value, "all": False, "text": "x"}, None
        yield "show", "task.show", {"task": value}, None
        yield "list plan", "task.list", {"plan": value}, None
        yield "list status", "task.list", {"status": [value]}, None
        yield "teammate", "team.add", {"name": value}, None
        yield "teammate agent", "team.add", {"name": "birch", "agent": value}, None
        yield "pause", "team.pause", {"name": value}, None
        yield "log of", "task.log", {"who": value}, None
        yield "merge into", "task.merge", {"tasks": ["fixed"], "all": False, "into": value}, None
        yield "snapshot", "store.snapshot", {"file": value}, None
        yield "ask", "agent.ask", {"text": value}, None
        yield "progress", "agent.progress", {"text": value}, None
        yield "plan.submit", "plan.submit", {"plan": {"name": value, "tasks": [plan_task("p")]}}, None
        yield "method", value if isinstance(value, str) else "x", {}, None
        yield "environment", "team.up", {"environment": {"X": value}, "headless": True, "size": 0}, None

    def one(self, name, payload, method, params, path):
        rpc = Rpc(self.world.control)
        line = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        try:
            rpc.socket.sendall(json.dumps(line).encode() + b"\n")
            while True:
                reply = rpc.receive()
                if reply.get("id") == 7 or ("error" in reply and reply["id"] is None):
                    break  # a line that is no JSON has no id
        except OSError as problem:
            check(False, f"{name} × {payload}: {problem}")
        finally:
            rpc.close()
        if "error" in reply:
            self.refused += 1
            check(reply["error"].get("message"), f"{name} × {payload}: refused without a word")
            return
        self.exact += 1
        if path and path != "None":
            got, want = reply["result"], params.get("task")
            for part in path.split("."):
                got = got[part]
            want = params if method == "task.update" else params["task"]
            for part in path.split("."):
                want = want[part]
            check(got == want, f"{name} × {payload}: {str(want)[:80]!r} came back as {str(got)[:80]!r}")

    def lives(self, pid):
        check(self.world.json("status")["coordinator"]["pid"] == pid, "the coordinator died of it")
        check(not os.path.exists(self.world.meet + "/pwned"), "a payload was carried out")


def raw_line(world, line):
    """A line that JSON libraries would not write. What is answered, None when it hangs up."""
    rpc = Rpc(world.control)
    try:
        rpc.socket.sendall(line + b"\n")
        return rpc.file.readline()
    except OSError:
        return None
    finally:
        rpc.close()


def deep(world, pid, fields):
    """100,000 levels, in every place where JSON is read: refused, and the connection goes on."""
    nest = b"[" * DEEP + b"]" * DEEP
    for line in (nest, b'{"jsonrpc":"2.0","id":1,"method":"task.add","params":' + nest + b"}",
                 b'{"jsonrpc":"2.0","id":1,"method":"task.update","params":{"task":"fixed","metadata":'
                 + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}}",
                 b'{"jsonrpc":"2.0","id":1,"method":"task.show","params":{"task":"\\ud800"}}',
                 b'{"jsonrpc":"2.0","id":1,"method":"task.show","params":{"task":"\xff\xc0\x80"}}',
                 b"\0" * 1000, b"\xff" * 1000, b"{" * DEEP):
        answer = raw_line(world, line)
        check(answer and b"error" in answer, f"{line[:60]!r}: answered {answer and answer[:80]!r}")
        fields.refused += 1
    fields.lives(pid)


def plans(world, fields):
    """Every payload in the fields of a plan file, as YAML and as it is."""
    place = world.repo + "/hostile.yaml"
    for payload, text in [*TEXTS.items(), ("huge", "x" * HUGE), ("deep", None)]:
        quoted = json.dumps(text) if text else "[" * DEEP
        for field in ("name: {}", "base: {}", "verify: {}", "setup: {}", "copy: [{}]", "env: {{X: {}}}",
                      "env: {{{}: x}}", "defaults: {{agent: {}}}", "agents: {{{}: {{command: [x]}}}}",
                      "agents: {{a: {{command: [{}]}}}}", "team: [{{name: {}}}]", "{}: x",
                      "# {}", "tasks: [{{id: {}, prompt: x}}]", "tasks: [{{id: a, prompt: {}}}]",
                      "tasks: [{{id: a, prompt_file: {}}}]", "tasks: [{{id: a, prompt: x, metadata: {{x: {}}}}}]",
                      "tasks: [{{id: a, prompt: x, blocked_by: [{}]}}]"):
            for value in (quoted, text) if text and payload != "huge" else (quoted,):
                with open(place, "w") as file:
                    file.write(field.format(value) + "\n")
                    if not field.startswith("tasks"):
                        file.write("tasks: [{id: a, prompt: x}]\n")
                done = subprocess.run((world.build + "/pleach", "run", "--dry-run", place), cwd=world.repo,
                                      env=world.env, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
                check(done.returncode in (0, 2, 4, 5, 6), f"plan {field} × {payload}: exit {done.returncode}: {done.stderr[-200:]!r}")
                if done.returncode:
                    check(done.stderr, f"plan {field} × {payload}: refused without a word")
                    fields.refused += 1
                else:
                    fields.exact += 1
                from terminal import raw_in
                check(not raw_in(done.stderr, False), f"plan {field} × {payload}: {raw_in(done.stderr, False)}")


def test(world, long):
    world.plan(agents={"sh": {"command": ["sh", "{prompt_file}"]}}, defaults={"agent": "sh", "slot": "none"},
               tasks=[{"id": "fixed", "prompt": "true"}], team=[{"name": "ash"}])
    world.pleach("up", "--team", "1", "--headless")
    world.pleach("team", "pause")
    world.pleach("add", "--key", "fixed", "--agent", "sh", "true")
    pid = world.json("status")["coordinator"]["pid"]
    fields = Fields(world)
    for payload, text in TEXTS.items():
        for name, method, params, path in fields.of(text):
            fields.one(name, payload, method, params, path)
    fields.lives(pid)
    for payload, value in (("number", 10 ** 17), ("null", None), ("list", [1]), ("object", {"a": {}})):
        for name, method, params, path in fields.of(value):
            fields.one(name, payload, method, params, None)
    fields.lives(pid)
    huge = "é" * (HUGE // 2)
    for name, method, params, path in fields.of(huge):
        if long or name in ("prompt", "metadata", "update prompt", "answer", "send", "key", "method", "environment"):
            fields.one(name, "huge", method, params, path)
    fields.lives(pid)
    deep(world, pid, fields)
    if long:
        plans(world, fields)
    print(f"{fields.exact + fields.refused} pairs of field and payload: {fields.exact} taken and exact, "
          f"{fields.refused} refused in words")


if __name__ == "__main__":
    sys.exit(run(test, sys.argv[1], "--long" in sys.argv[2:]))
