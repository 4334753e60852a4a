"""S11: the serving process of the coordinator is killed with 10,000 tasks in the store and 20 live
workers; until another one serves and has adopted all of them. Measured by tests/crash/restarts.py
(bench/adopt.sh)."""
import re
import subprocess

from lib import HERE


def run(bench, quick=False):
    kills = 5 if quick else 40
    out = subprocess.run((HERE + "/adopt.sh", str(kills)), check=True, stdout=subprocess.PIPE, text=True).stdout
    found = re.search(r"all adopted: (n \d+.*)", out)
    numbers = {name: float(value) for name, value in re.findall(r"(p50|p99)\D+([\d.]+)", found[1])}
    bench.row("S11", "killed → serving, all adopted, p50", "ms", [numbers["p50"]], must=50, moonshot=10, said=found[1].strip())
    bench.row("S11", "killed → serving, all adopted, p99", "ms", [numbers["p99"]], must=50, moonshot=10)
