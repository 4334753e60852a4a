#!/usr/bin/env python3
"""An interactive agent: a full-screen program in raw mode that takes texts as agents do, pasted or
typed, and writes each that was submitted to $W/got, a JSON string a line. What it does with one:
  bye            ends
  done           says `pleach done`
  work NAME      shows that it works until somebody opens the fifo $W/NAME
  ask TEXT       shows a question until it is answered
Options: --plain without bracketed paste; --slow reads a few bytes at a time; --first TEXT is done
first; --dialog begins with a question: `yes` leads on, after a while and without what was typed in it,
all else ends it; --late SECONDS pass before that question is there; --digest shows that a text comes,
takes its time for a long one, and a return in it for a part of the text."""
import json
import os
import select
import subprocess
import sys
import termios
import time
import tty

W = os.environ["W"]
plain, slow = "--plain" in sys.argv, "--slow" in sys.argv
saved = termios.tcgetattr(0)
tty.setraw(0)
gate = None
asking = ""
dialog = "--dialog" in sys.argv
READY = "? for shortcuts"


def draw(status, before=""):
    os.write(1, (before + "\033[2J\033[H\033[1mAn agent\033[0m\r\n\r\n%s\r\n\033[10;1H> " % status).encode())


def rest():
    draw(READY)


def digest():
    """What comes before it has shown the text."""
    global text
    if select.select([0], [], [], 0.7)[0]:
        text += os.read(0, 65536)
    rest()


def pasted():
    """All of it was written by now, and its end was not read yet."""
    time.sleep(0.1)
    draw("[Pasting]")
    time.sleep(0.1)


def submitted(text):
    global gate, asking, dialog
    if dialog:
        if text != "yes":
            sys.exit(1)
        dialog = False
        os.write(1, b"\033[2J")
        select.select([], [], [], 0.7)
        termios.tcflush(0, termios.TCIFLUSH)
        rest()
        return
    with open(os.path.join(W, "got"), "a") as out:
        out.write(json.dumps(text) + "\n")
    verb, _, more = text.partition(" ")
    if asking:
        asking = ""
        rest()
    elif verb == "bye":
        termios.tcsetattr(0, termios.TCSADRAIN, saved)
        sys.exit(0)
    elif verb == "done":
        subprocess.Popen(["pleach", "done"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    elif verb == "work":
        gate = os.open(os.path.join(W, more), os.O_RDONLY | os.O_NONBLOCK)
        draw("* Working (esc to interrupt)")
    elif verb == "ask":
        asking = more
        draw("Do you want to %s?\r\n\xe2\x9d\xaf 1. Yes\r\n  2. No" % more)
    else:
        rest()


setup = "" if plain else "\033[?1049h\033[?2004h"
if "--late" in sys.argv:
    os.write(1, setup.encode() + b"starting")
    time.sleep(float(sys.argv[sys.argv.index("--late") + 1]))
    setup = ""
if dialog:
    draw("Do you want to trust this folder?\r\n> No, exit\r\n  Yes\r\n\r\nEnter to confirm", setup)
else:
    draw(READY, setup)
if "--first" in sys.argv:
    submitted(sys.argv[sys.argv.index("--first") + 1])
pending, text, pasting = b"", b"", False
while True:
    ready = select.select([0] + ([gate] if gate is not None else []), [], [])[0]
    if gate in ready and os.read(gate, 100):
        os.close(gate)
        gate = None
        rest()
    if 0 not in ready:
        continue
    data = os.read(0, 7 if slow else 65536)
    if not data:
        sys.exit(1)
    pending += data
    while pending:
        start, end = b"\033[200~", b"\033[201~"
        if pasting:
            at = pending.find(end)
            if at < 0:
                keep = len(end) - 1
                text, pending = text + pending[:-keep], pending[-keep:]
                if "--digest" in sys.argv and 20000 < len(text) < 25000:
                    pasted()
                break
            text, pending, pasting = text + pending[:at], pending[at + len(end):], False
            if "--digest" in sys.argv and len(text) > 16384:
                digest()
        elif pending.startswith(start):
            pending, pasting = pending[len(start):], True
        elif len(pending) < len(start) and start.startswith(pending):
            break
        elif pending[:1] == b"\r":
            pending = pending[1:]
            submitted(text.decode("utf-8", "surrogateescape"))
            text = b""
        else:
            at = min([n for n in (pending.find(b"\r"), pending.find(start)) if n >= 0] or [len(pending)])
            text, pending = text + pending[:at], pending[at:]
