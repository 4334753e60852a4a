"""An agent that does what no agent should: prints, names, commits and says hostile bytes.

Owns nothing. Its prompt's first line says what to do; the payload comes from payloads.py.
"""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from payloads import BYTES, PLAIN_NAMES, TEXTS  # noqa: E402


def git(*args):
    subprocess.run(("git", *args), check=True, stdout=subprocess.DEVNULL)


def pleach(*args):
    return subprocess.run(("pleach", *args)).returncode


def main():
    with open(os.environ["PLEACH_PROMPT_FILE"]) as file:
        word = file.readline().strip()
    everything = b"\n".join(BYTES.values())
    out = sys.stdout.buffer
    if word == "print":
        out.write(everything + b"\n" + BYTES["escapes"] + b"last line\n")
    elif word == "names":
        for name in PLAIN_NAMES:
            with open(name, "wb") as file:
                file.write(everything)
        git("add", "-A")
        git("commit", "-q", "-m", TEXTS["escapes"] + "\n\n" + TEXTS["bidi"] + TEXTS["c1"])
    elif word == "fail":
        out.write(everything)
        sys.stderr.buffer.write(BYTES["escapes"] + BYTES["bidi"] + BYTES["c1"] + b" it failed")
        out.flush()
        sys.exit(3)
    elif word == "json":
        for text in TEXTS.values():
            print(json.dumps({"type": "assistant", "message": {"content": [
                {"type": "text", "text": text},
                {"type": "tool_use", "name": text, "input": {"file_path": text}}]}}))
        print("{" * 100000)
        print('{"type":"result","result":' + "[" * 100000 + "]" * 100000 + "}")
        print(json.dumps({"type": "result", "result": "".join(TEXTS.values()),
                          "total_cost_usd": 1e308, "usage": {"input_tokens": 2 ** 63 - 1}}))
    elif word == "ask":
        for text in TEXTS.values():
            pleach("progress", text.replace("\0", ""))
        sys.exit(pleach("ask", TEXTS["escapes"] + TEXTS["bidi"] + TEXTS["formats"]))
    out.flush()


main()
