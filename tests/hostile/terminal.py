"""Programs on a pseudo-terminal, and what may reach one.

Owns reading what a program writes to its terminal and judging it: text, newlines, and the few
sequences that our own screens are made of. Starts nothing by itself.
"""
import os
import pty
import re
import select
import subprocess
import time

# Colours; up, to a column, erase; the cursor hidden and shown; wrapping; synchronised output.
OURS = re.compile(rb"\x1b\[(?:[0-9;:]*m|[0-9]*[ABCDGHJK]|[0-9]+;[0-9]+H|\?(?:25|7|2026)[hl])")
UNSAFE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e0fff]")


def on_terminal(argv, cwd, env, limit=60, keys=b""):
    """Runs argv with its three descriptors on a terminal of 100 x 40. Its status and bytes."""
    main, side = pty.openpty()
    subprocess.run(("stty", "rows", "40", "cols", "100"), stdin=side, check=True)
    child = subprocess.Popen(argv, cwd=cwd, env=env, stdin=side, stdout=side, stderr=side,
                             start_new_session=True)
    os.close(side)
    if keys:
        os.write(main, keys)
    out, end = b"", time.monotonic() + limit
    while True:
        ready, _, _ = select.select([main], [], [], max(0, end - time.monotonic()))
        if not ready:
            child.kill()
            raise TimeoutError(f"{argv}: not within {limit} s; so far {out[-300:]!r}")
        try:
            got = os.read(main, 65536)
        except OSError:
            break
        if not got:
            break
        out += got
    os.close(main)
    return child.wait(), out


def raw_in(out, ours=True):
    """What of these bytes should not have reached a terminal; None where all is well."""
    rest = OURS.sub(b"", out) if ours else out
    try:
        text = rest.decode()
    except UnicodeDecodeError as problem:
        return f"broken UTF-8: {rest[max(0, problem.start - 60):problem.end + 20]!r}"
    found = UNSAFE.search(text)
    if found:
        at = found.start()
        return f"{found.group()!r} in {text[max(0, at - 80):at + 40]!r}"
    return None
