"""S4, S5, S6: slots. The measuring is in slots.sh, which has both sides; here its lines are read.
S4: the whole path on 1,000 files; S5: the first slot, S6: the next clean one, 10,000 files."""
import re
import subprocess

from lib import HERE

LIMITS = {"S4": (0.25, 0.12), "S5": (0.6, 0.5), "S6": (0.12, 0.07)}


def run(bench, quick=False):
    files, rounds = (1000, 2) if quick else (10000, bench.rounds or 5)
    out = subprocess.run((HERE + "/slots.sh", str(files), str(rounds)), check=True, stdout=subprocess.PIPE, text=True).stdout
    anchor = re.search(r"git worktree add ([\d.]+) ms", out)
    shell = re.search(r"by shell ([\d.]+) ms", out)
    for row, what, name, base in (
            ("S4", "whole path", "by shell", shell), ("S5", "first slot", "git worktree add", anchor),
            ("S6", "next slot", "git worktree add", anchor)):
        ours = re.search(rf"{row} {what} ([\d.]+) ms", out)
        must, moonshot = LIMITS[row]
        bench.row(row, f"{what}, {files // 10 if row == 'S4' else files:,} files", "ms", [float(ours[1])],
                  (name, [float(base[1])]), must, moonshot, rounds=rounds)
