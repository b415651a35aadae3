"""Agents, control and the process of a gateway that speaks with it are closed in, and it can be seen."""

import json
import os

from lib import links, proc
from lib.fleet import Fleet
from lib.stage import eventually, merge, same


def fields(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def is_closed_in(pid, what):
    for task in os.listdir(f"/proc/{pid}/task"):
        s = fields(task)
        same((s["NoNewPrivs"], s["Seccomp"]), ("1", "2"), f"{what}, thread {task}")
        for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            same(int(s[name], 16), 0, f"{what}: {name}")
    with open(f"/proc/{pid}/limits") as f:
        core = next(line for line in f if line.startswith("Max core file size"))
    same(core.split()[4:6], ["0", "0"], "core")


def passes_by(pid):
    """A reader of the configuration lives for milliseconds; who stays has said what it is before long."""
    def settled():
        try:
            return fields(pid)["Seccomp"] == "2"
        except (FileNotFoundError, ProcessLookupError):
            return True

    eventually(settled, 10, lambda: f"not closed in: {proc.name_of(pid)}")
    return not os.path.exists(f"/proc/{pid}")


def told(program, process):
    return eventually(lambda: next((x for x in program.lines() if x.get("event") == "isolation" and x.get("process") == process), None), 10,
                      f"{program.name} does not say how {process} is closed in")


def is_whole(event):
    assert event["seccomp"] and event["no_new_privileges"] and event["no_capabilities"] and event["no_dumps"], event


def story_every_process_of_a_fleet_is_closed_in(t, seconds=120):
    fleet = Fleet(t)
    app = t.sample()
    fleet.publish({"home": app.url})
    gate, agent, control = fleet.gates[0], fleet.agents["home"], fleet.control
    is_closed_in(agent.pid, "the agent")
    is_closed_in(control.pid, "control")
    assert len(os.listdir(f"/proc/{control.pid}/task")) > 1
    supervisor = gate.pid
    for pid in proc.tree(supervisor):
        if pid != supervisor and not passes_by(pid):
            is_closed_in(pid, proc.name_of(pid))
    for program, process in ((agent, "agent"), (control, "control"), (gate, "node"), (gate, "worker")):
        is_whole(told(program, process))
    # What status says.
    shown = json.loads(t.sekisho_run("status", "--json", "--config", gate.config_path).stdout)
    assert shown["control"]["isolation"]["seccomp"], shown["control"]
    assert control.get("/status")["isolation"].startswith("no privileges, seccomp, "), control.get("/status")
    for name in ("home", "edge0"):
        said = eventually(lambda n=name: (r := fleet.node(n).get("report")) and r["versions"].get("isolation"), 20, "not reported")
        assert said.startswith("no privileges, seccomp, "), said


def story_an_agent_reads_nothing_beside_its_folders(t):
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app"], workers=1)
    app = t.sample()
    home = t.folder / "home"
    home.mkdir()
    cert, key = nodes.node("agent", "ag-one")
    moved = []
    for path in (cert, key):
        moved.append(str(home / os.path.basename(path)))
        os.rename(path, moved[-1])
    t.folder, stage = home, t.folder  # its configuration lies there, too
    agent = links.agent(t, nodes, [gate], {"tg-app": app.url}, cert=moved)
    t.folder = stage
    links.links_open(gate, 1)
    if told(agent, "agent")["landlock"] == 0:
        t.leave_out("needs a kernel with Landlock")
    # A file of the same folder may come; one that its user may read, but which is not within its reach, may not.
    renewed = nodes.node("agent", "ag-one-again", uris=["sekisho://story/agent/ag-one"])
    within = []
    for path in renewed:
        within.append(str(home / ("new-" + os.path.basename(path))))
        os.rename(path, within[-1])
    config = merge(agent.config, {"agent": {"cert": within[0], "key": within[1]}})
    same(agent.reload(config)["event"], "config_applied")
    away = t.folder / "away"
    away.mkdir()
    os.rename(within[1], away / "key.pem")
    before = agent.text()
    same(agent.reload(merge(config, {"agent": {"key": str(away / "key.pem")}}))["event"], "config_reload_refused")
    assert "key.pem" in agent.text()[len(before):]
    same(gate.get("/bytes/3", token=False).status, 200)
