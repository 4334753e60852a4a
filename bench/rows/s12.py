"""S12: memory and idling. Private memory that was written: of a coordinator with 10,000 tasks (now
and its peak), of a worker after 100 attempts; the processor's time of a team of 20 that has
nothing to do, tmux's own server apart."""
import time

from lib import Probe, Team, private_kb
from rows.s10 import checked


def run(bench, quick=False):
    idle_s = 5 if quick else 20
    with Team() as team:
        team.up(20)
        team.small("p", [{"id": f"t{i}", "prompt": "x"} for i in range(400)])
        team.pleach("run", "--headless")
        time.sleep(2)  # a worker trims its memory a second after its last attempt
        workers = [private_kb(pid) / 1024 for pid in team.role("pleach-worker")]
        probe = Probe(team.ours())
        time.sleep(idle_s)
        idle = probe.used()
        team.pleach("team", "pause")
        rpc = team.connect()
        rpc.ask("plan.submit", plan=checked("big"))
        pid = team.coordinator()
        time.sleep(1)  # it frees a plan when its answer has left
        kept = private_kb(pid) / 1024
        peak = Probe([pid]).used()["peak_kb"] / 1024
        rpc.close()
        bench.row("S12", "coordinator with 10,000 tasks, private", "MB", [kept], must=8, moonshot=4, resident_peak_mb=round(peak, 1))
        bench.row("S12", "a worker, private", "MB", workers, must=4, moonshot=2.5)
        bench.row("S12", "a team of 20 that waits: processor", "%", [idle["cpu_ms"] / (idle_s * 10)], must=0.2,
                  moonshot=0.05, switches_a_second=round(idle["switches"] / idle_s, 1))
