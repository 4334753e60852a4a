#!/usr/bin/env python3
"""Prompts and messages arrive whole: 1 byte to 1 MB of any Unicode, by every way there is.

Owns making them (from a seed that it prints) and comparing what the agents kept (reader.py). What a
terminal would act on is left out of what is typed, and only that: `typed` says the rule.
"""
import os
import random
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), "crash"), HERE]
from world import check, run  # noqa: E402

LARGEST = 1_000_000
AT_ONCE = 200
ARGUMENT = 100_000  # bytes that surely fit into an argument
# Of a hundred prompts. The typed ones take seconds each, whatever their length.
WAYS = ["file"] * 40 + ["argument"] * 25 + ["stdin"] * 23 + ["raw"] * 4 + ["paste"] * 4 + \
    ["slow-raw", "slow-paste", "cooked", "slow-cooked"]
SPECIALS = ["\x1b[201~", "\x1b[200~", "\x1b", "\r\n", "\r", "\n", "\t", "\x03", "\x04", "\x11\x13", "\x16",
            "\u202e", "\ufeff", "\ufffe", "\U0010ffff", "\x9b201~", "\x7f", "{prompt}", "{task}", "'\"\\`$(x)", "--",
            " ", "%s", "日本", "e\u0301", "👩‍👩‍👧", "\u2028"]


def random_text(source, most):
    size = max(1, round(most ** source.random()))
    kind = source.randrange(4)
    parts, length = [], 0
    while length < size:
        if kind == 0 or source.random() < 0.05:
            part = source.choice(SPECIALS)
        elif kind == 1:
            part = "".join(chr(source.randrange(32, 127)) for _ in range(200))
        else:
            part = chr(source.choice((source.randrange(1, 0x300), source.randrange(1, 0xd800),
                                      source.randrange(0xe000, 0x110000)))) * source.choice((1, 1, 1, 50))
        parts.append(part)
        length += len(part.encode())
    data = "".join(parts).encode()[:size]
    text = data.decode(errors="ignore")
    return text if text.strip() else "x" + text  # blank is no prompt


def typed(text, way):
    """What the agent gets to read. The terminal's own characters in canonical mode are ^C ^\\ ^Z ^D
    ^? ^U ^W ^R ^V ^Q ^S; a raw one has none."""
    if way != "paste":  # a carriage return would submit
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.replace("\x1b", "")
    if way == "cooked":
        for special in "\x03\x1c\x1a\x04\x7f\x15\x17\x12\x16\x11\x13":
            text = text.replace(special, "")
    return text.encode()


def wrapped(text, way):
    inner = typed(text, way)
    return b"\x1b[200~" + inner + b"\x1b[201~" if way == "paste" else inner


def kept(place):
    texts = []
    with open(place, "rb") as file:
        while head := file.read(8):
            texts.append(file.read(int.from_bytes(head, "little")))
    return texts


class Prompts:
    def __init__(self, world, first, count, source):
        self.world, self.source = world, source
        self.name = f"p{first}"
        self.tasks, self.given, self.sent = [], {}, {}
        os.makedirs(world.repo + "/prompts", exist_ok=True)
        for number in range(first, first + count):
            self.add(f"t{number}", WAYS[number % len(WAYS)] if count >= len(WAYS)
                     else WAYS[(number * 37) % len(WAYS)], number)

    def add(self, key, way, number):
        most = ARGUMENT if way == "argument" else LARGEST
        text = random_text(self.source, most)
        if number % 50 == 3:  # some are as long as allowed
            text = (text * (most // len(text.encode()) + 1)).encode()[:most].decode(errors="ignore")
        self.given[key] = (way, text)
        task = {"id": key, "agent": way}
        if len(text) > 10000 or self.source.random() < 0.5:
            with open(f"{self.world.repo}/prompts/{key}", "wb") as file:
                file.write(text.encode())
            task["prompt_file"] = file.name
        else:
            task["prompt"] = text
        self.tasks.append(task)

    def plan(self):
        agents = {}
        for way in set(WAYS):
            command = ["python3", HERE + "/reader.py", way, "-"]
            terminal = way not in ("file", "argument", "stdin")
            command += {"file": ["{prompt_file}"], "argument": ["{prompt}"]}.get(way, [])
            agents[way] = {"command": command, "mode": "tui" if terminal else "exec"}
            if terminal or way == "stdin":
                agents[way]["prompt"] = "type" if terminal else "stdin"
        self.world.plan(name=self.name, agents=agents, defaults={"slot": "none"}, tasks=self.tasks)

    def messages(self):
        """Two messages and the end to everyone who has a terminal: typed at once, or kept for its start."""
        for key, (way, _) in self.given.items():
            if way in ("file", "argument", "stdin"):
                continue
            self.sent[key] = [random_text(self.source, 60000).replace("\0", ""), "\x1b[201~and\x1b[200~more"]
            for text in [*self.sent[key], "END"]:
                self.rpc.ask("message.send", who=key, all=False, text=text)

    def check(self):
        for key, (way, text) in self.given.items():
            texts = kept(f"{self.world.meet}/{key}")
            way = way.removeprefix("slow-")
            if way in ("file", "argument", "stdin"):
                want = [text.encode()]
            elif way == "cooked":
                want = [b"".join(typed(part, way) + b"\n" for part in [text, *self.sent[key], "END"])]
            else:
                want = [wrapped(part, way) for part in [text, *self.sent[key], "END"]]
            if texts != want:
                at = next((i for i, (a, b) in enumerate(zip(texts, want)) if a != b), min(len(texts), len(want)))
                one, other = (texts + [b""])[at], (want + [b""])[at]
                first = next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
                check(False, f"{key} ({way}): {len(texts)} texts, not {len(want)}; text {at}: {len(one)} bytes, "
                             f"not {len(other)}; at {first}: {one[first:first + 30]!r}, not {other[first:first + 30]!r}")


def test(world, count, seed):
    source, total, size, typed_ones = random.Random(seed), 0, 0, 0
    while total < count:  # a plan of all of them would be larger than a request may be
        prompts = Prompts(world, total, min(AT_ONCE, count - total), source)
        prompts.plan()
        world.pleach("run", "--team", "8", "--detach", "--headless")
        prompts.rpc = world.connect()
        prompts.messages()
        world.pleach("run", "--headless", want=None, limit=1800)
        bad = [t for t in world.json("task", "list", "--plan", prompts.name)["tasks"] if t["status"] != "completed"]
        check(not bad, f"{len(bad)} tasks did not complete: {[(t['key'], t['error']) for t in bad[:3]]}")
        prompts.check()
        prompts.rpc.close()
        total += len(prompts.given)
        typed_ones += len(prompts.sent)
        size += sum(len(text.encode()) for _, text in prompts.given.values())
    print(f"seed {seed}: {total} prompts of {size} bytes and {2 * typed_ones} messages arrived whole, each "
          f"submitted once; typed ones: {typed_ones}")


if __name__ == "__main__":
    sys.exit(run(test, sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 50,
                 int(sys.argv[3]) if len(sys.argv) > 3 else 1))
