"""CPU of a server while a load runs, and how much of the machine others took meanwhile."""

import json
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/e2e"))

from lib import proc  # noqa: E402

FOREIGN_MAX = 0.10  # CPUs that others may take; above it a point is taken again
TRIES = 3


def busy_seconds():
    """CPU time of the whole machine since it started."""
    with open("/proc/stat") as f:
        fields = [int(x) for x in f.readline().split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, _steal = fields
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def foreign_now():
    """What others take, over a quarter of a second."""
    before = busy_seconds()
    time.sleep(0.25)
    return (busy_seconds() - before) / 0.25


def wait_quiet(seconds=2):
    end = time.monotonic() + seconds
    while time.monotonic() < end and foreign_now() > 0.3:
        pass


def ticks(pids):
    """(user, system) of all these trees."""
    spent = [proc.cpu_seconds(p) for p in pids]
    return sum(u for u, _ in spent), sum(s for _, s in spent)


def once(command, server, others, cpu, env=None):
    """One run of the load. `server` is a pid or a list of them, `others` a list; the load's own CPU is known from its end."""
    servers = server if isinstance(server, list) else [server]
    cpu_before, run_before = ticks(servers), sum(proc.run_seconds(p) for p in servers)
    other_before = sum(proc.run_seconds(p) for p in others)
    children_before, busy_before, begin = os.times(), busy_seconds(), time.monotonic()
    run = subprocess.run(["taskset", "-c", cpu, *map(str, command)], capture_output=True, text=True, timeout=120,
                         env={**os.environ, **(env or {})})
    took = time.monotonic() - begin
    children, cpu_after = os.times(), ticks(servers)
    spent = sum(proc.run_seconds(p) for p in servers) - run_before
    user, system = cpu_after[0] - cpu_before[0], cpu_after[1] - cpu_before[1]
    share = spent / (user + system) if user + system else 0.0  # the ticks only say how it divides
    user, system = user * share, system * share
    load = (children.children_user - children_before.children_user) + (children.children_system - children_before.children_system)
    other = sum(proc.run_seconds(p) for p in others) - other_before
    foreign = (busy_seconds() - busy_before - user - system - load - other) / took
    if not run.stdout.strip():
        raise RuntimeError(f"{command[0]} said nothing: {run.stderr[-500:]}")
    return {**json.loads(run.stdout.strip().splitlines()[-1]), "user": user, "system": system, "took": took,
            "foreign": max(foreign, 0.0)}


def quietest(command, server, others, cpu, env=None):
    """Runs it until others leave the machine alone, or the tries are over; gives the quietest run."""
    best = None
    for _ in range(TRIES):
        wait_quiet()
        result = once(command, server, others, cpu, env)
        if best is None or result["foreign"] < best["foreign"]:
            best = result
        if best["foreign"] <= FOREIGN_MAX:
            break
    return best
