"""An agent that keeps what it is given, byte for byte.

reader.py WAY OUT [ARGUMENT]: WAY is file, argument, stdin, or how it has its terminal: raw, paste
(raw, bracketed paste switched on), cooked; with `slow-` before it, it reads as slowly as a busy
program. On a terminal it reads until a text END is submitted. Decides nothing.
"""
import os
import sys
import termios
import time
import tty

PASTE_ON, PASTE_OFF = b"\x1b[200~", b"\x1b[201~"


def submissions(way, slow):
    """What was typed, a text for each carriage return outside of a paste."""
    if way != "cooked":
        tty.setraw(0)
    if way == "paste":
        os.write(1, b"\x1b[?2004h")
    os.write(1, b"ready> ")
    got, texts = b"", []
    while True:
        more = os.read(0, 500 if slow else 65536)
        if not more and way != "cooked":
            return texts + [got]
        got += more
        if way == "cooked":  # a line ends like a text: all of it is one
            if got.endswith(b"END\n"):
                return [got]
            continue
        while True:
            at = got.find(b"\r") if not got.startswith(PASTE_ON) else got.find(PASTE_OFF + b"\r")
            if at < 0:
                break
            at += len(PASTE_OFF) if got.startswith(PASTE_ON) else 0
            texts.append(got[:at])
            got = got[at + 1:]
            if texts[-1] in (b"END", PASTE_ON + b"END" + PASTE_OFF):
                return texts + ([got] if got else [])
        if slow:
            time.sleep(0.0005)


def main():
    way, out = sys.argv[1:3]
    slow = way.startswith("slow-")
    way = way.removeprefix("slow-")
    if way == "file":
        with open(sys.argv[3], "rb") as file:
            texts = [file.read()]
    elif way == "argument":
        texts = [os.fsencode(sys.argv[3])]
    elif way == "stdin":
        texts = [sys.stdin.buffer.read()]
    else:
        texts = submissions(way, slow)
    place = f"{os.environ['W']}/{os.environ['PLEACH_KEY']}"
    with open(place + ".new", "wb") as file:
        for text in texts:
            file.write(len(text).to_bytes(8, "little") + text)
    os.rename(place + ".new", place)


main()
