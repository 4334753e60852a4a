"""S9: one change, 50 clients that wait. Held requests for events at a coordinator, against 50
subscribers of an nng publisher; one process on each side has all the connections."""
import subprocess

from lib import Team, percentile

CLIENTS, ROUNDS = 50, 40


def run(bench, quick=False):
    rounds = 10 if quick else ROUNDS
    with Team() as team:
        team.up(1)

        def arrivals(*argv):
            def once(_):
                out = subprocess.run((team.watchers, *argv, str(CLIENTS), str(rounds)), check=True,
                                     stdout=subprocess.PIPE, text=True).stdout
                return [int(line) / 1e6 for line in out.split()]
            return once

        values = bench.take_turns({"ours": arrivals("held", team.control), "nng": arrivals("nng")}, 3)
        for part in (50, 99):
            of = {name: [percentile(times, part) for times in rounds_] for name, rounds_ in values.items()}
            bench.row("S9", f"a change → {CLIENTS} waiting clients, p{part}", "ms", of["ours"], ("nng", of["nng"]), 1.0, 0.5)
