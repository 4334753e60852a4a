#!/usr/bin/env python3
"""What is typed into real terminal programs arrives whole, once and in order: a line editor (bash's,
readline), a full-screen editor (vim), an agent (pi, which thinks meanwhile, against a mock of a model).

typed.py BUILD [--messages N] [--rounds N] [--seed S] [--load K] [--only bash,vim,pi]
Owns making messages, sending them as people do, and comparing what each program made of them. --load: so
many processes that only burn time beside it. A program that is not installed is named as skipped.
"""
import argparse
import glob
import json
import os
import random
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), "crash")]
from world import check, eventually, run  # noqa: E402

AGENTS = os.path.join(os.path.dirname(HERE), "agents", "install")
WORDS = ["lexer", "quote", "naïve", "日本語", "👩‍👩‍👧", "e\u0301", "$(x)", "`y`", "'a'", '"b"', "\\n", "%s", "--", "100%", "{prompt}",
         "\x1b[201~", "\x1b[200~", "~", "ß", "Ω", "<tag>", "a;b", "&&", "||", "\u2028"]
BASH = """bind 'set enable-bracketed-paste on' 2>/dev/null
while IFS= read -r -e line; do
	[ "$line" != END ] || exit 0
	printf '%s\\n' "$line" >>"$W/bash"
done
"""
# In insert mode, as a person would be; the line END ends it.
VIM = """set nocompatible noautoindent nosmartindent textwidth=0 formatoptions= viminfo= noswapfile encoding=utf-8
autocmd TextChangedI,TextChangedP * if getline(line('.') - 1) ==# 'END' | stopinsert | silent wq! | endif
startinsert
"""
LIMIT = 600


def text(source, number, lines):
    parts = [" ".join(source.choice(WORDS) for _ in range(source.choice((1, 3, 10, 60))))
             for _ in range(source.choice((1, 1, 2, 12)) if lines else 1)]
    return f"message {number}: " + "\n".join(parts)


def plain(text):
    """What may be typed of it."""
    return text.replace("\x1b", "")


class Program:
    """How it is run, what it is sent, and what it got."""
    lines = True

    def __init__(self, world):
        self.world = world

    def task(self):
        return {"id": self.name, "agent": self.name, "slot": "none", "prompt": "message 0: begin"}

    def end(self):
        return "END"

    def close(self):
        pass


class Bash(Program):
    name, lines = "bash", False

    def missing(self):
        return None if shutil.which("bash") else "no bash"

    def agent(self):
        with open(self.world.meet + "/read.sh", "w") as file:
            file.write(BASH)
        return {"command": ["bash", "--norc", "--noprofile", self.world.meet + "/read.sh"], "mode": "tui", "prompt": "type"}

    def got(self):
        with open(self.world.meet + "/bash") as file:
            return file.read().split("\n")[:-1]

    def want(self, texts):
        return [plain(text) for text in texts]


class Vim(Program):
    name = "vim"

    def missing(self):
        return None if shutil.which("vim") else "no vim"

    def agent(self):
        with open(self.world.meet + "/vimrc", "w") as file:
            file.write(VIM)
        return {"command": ["vim", "-n", "-i", "NONE", "-u", self.world.meet + "/vimrc", self.world.meet + "/vim"],
                "mode": "tui", "prompt": "type"}

    def got(self):
        with open(self.world.meet + "/vim") as file:
            return file.read().split("\n")[:-2]

    def want(self, texts):
        return [line for text in texts for line in plain(text).split("\n")] + ["END"]


class Pi(Program):
    name = "pi"

    def __init__(self, world):
        super().__init__(world)
        self.bin = subprocess.run((AGENTS, "--where"), text=True, stdout=subprocess.PIPE, check=False).stdout.strip()

    def missing(self):
        return None if self.bin else "real agents are not installed (./dev setup --agents)"

    def agent(self):
        self.world.env["PATH"] = self.bin + ":" + self.world.env["PATH"]
        answers = {"fixtures": [
            {"match": {"userMessage": "message END", "toolName": "bash", "hasToolResult": False},
             "response": {"content": "I end.", "toolCalls": [{"name": "bash", "arguments": {"command": "pleach done"}}]}},
            {"match": {}, "response": {"content": "I have read it, and say so in many words. " * 5}}]}
        with open(self.world.meet + "/answers.json", "w") as file:
            json.dump(answers, file)
        # Each part of an answer takes its time, so that most is typed while pi is busy.
        with open(self.world.meet + "/mock.log", "w") as log:
            self.mock = subprocess.Popen(("llmock", "-p", "0", "-f", self.world.meet + "/answers.json", "-l", "20"), env=self.world.env, stdout=log, stderr=log)
        self.url = eventually("the mock listens", self.listens)
        home = self.world.dir + "/home/.pi/agent"
        os.makedirs(home, exist_ok=True)
        with open(home + "/models.json", "w") as file:
            json.dump({"providers": {"mock": {"baseUrl": self.url + "/v1", "api": "openai-completions", "apiKey": "x",
                                              "models": [{"id": "mock-1"}]}}}, file)
        with open(home + "/settings.json", "w") as file:
            json.dump({"defaultProvider": "mock", "defaultModel": "mock-1"}, file)
        self.world.env.update(PI_OFFLINE="1", PI_TELEMETRY="0")
        return {"command": ["pi"], "mode": "tui", "prompt": "type"}

    def listens(self):
        with open(self.world.meet + "/mock.log") as file:
            found = re.search(r"listening on (http://[0-9.:]*)", file.read())
        return found and found.group(1)

    def end(self):
        return "message END"

    def got(self):
        """What people said, as its session has it (the mock keeps no request of more than 64 KiB)."""
        said = []
        for place in sorted(glob.glob(self.world.dir + "/home/.pi/agent/sessions/**/*.jsonl", recursive=True)):
            with open(place) as file:
                lines = [json.loads(line).get("message") or {} for line in file]
            said += ["".join(part.get("text", "") for part in message["content"])
                     for message in lines if message.get("role") == "user"]
        return said

    def want(self, texts):
        return [plain(text).strip() for text in texts] + [self.end()]

    def close(self):
        self.mock.kill()
        self.mock.wait()


def compare(program, texts):
    got, want = program.got(), program.want(texts)
    if got == want:
        return
    lost = [t for t in want if t not in got]
    twice = sorted({t for t in got if got.count(t) > want.count(t)})
    at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
    check(False, f"{program.name}: {len(got)} texts, not {len(want)}; {len(lost)} lost, {len(twice)} that were not sent "
                 f"(or sent once); the first difference is {at}: {(got + [None])[at]!r}, not {(want + [None])[at]!r}")


def test(world, options):
    burning = [subprocess.Popen((sys.executable, "-c", "while True: pass")) for _ in range(options.load)]
    programs = []
    try:
        for kind in (Bash, Vim, Pi):
            program = kind(world)
            if program.name in options.only.split(","):
                why = program.missing()
                programs += [program] if not why else []
                print(f"{program.name}: skipped: {why}" if why else f"{program.name}: {options.messages} messages",
                      flush=True)
        check(programs, "nothing is left to type at")
        drive(world, programs, options)
    finally:
        for one in burning:
            one.kill()
            one.wait()
        for program in programs:
            program.close()


def drive(world, programs, options):
    source, size = random.Random(options.seed), 0
    world.plan(name="typed", agents={p.name: p.agent() for p in programs}, team=len(programs),
               defaults={"timeout": f"{LIMIT}s"}, tasks=[p.task() for p in programs])
    world.pleach("run", "--detach", "--headless")
    rpc = world.connect()
    sent = {p.name: [p.task()["prompt"]] for p in programs}
    for number in range(1, options.messages + 1):
        for program in programs:
            sent[program.name].append(text(source, number, program.lines))
            rpc.ask("message.send", who=program.name, all=False, text=sent[program.name][-1])
            size += len(sent[program.name][-1].encode())
    for program in programs:
        rpc.ask("message.send", who=program.name, all=False, text=program.end())
    rpc.close()
    world.pleach("task", "wait", *[p.name for p in programs], want=None, limit=LIMIT + 60)
    for program in programs:
        compare(program, sent[program.name])
    states = {m["state"] for m in world.json("messages", "-n", "1000")["messages"]}
    check(states == {"delivered"}, f"messages are told as {states}")
    print(f"seed {options.seed}: {options.messages} messages to each of {', '.join(p.name for p in programs)} ({size} "
          f"bytes) arrived whole, once, in order")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--messages", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--load", type=int, default=0)
    parser.add_argument("--only", default="bash,vim,pi")
    options = parser.parse_args()
    for _ in range(options.rounds):
        if run(test, options.build, options) != 0:
            return 1
        options.seed += 1
    return 0


sys.exit(main())
