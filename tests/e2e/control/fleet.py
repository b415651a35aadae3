"""Control, gateways and agents: what happens to visitors when one of them is killed, reloaded, replaced."""

import os
import signal
import time

from gateway.upgrade import Line
from lib import proc
from lib.control_role import Control
from lib.fleet import Fleet, Visitors, killed, visit
from lib.stage import eventually, same, within


def story_one_gateway_of_three_is_killed_and_the_others_serve(t, seconds=120):
    fleet = Fleet(t, gateways=3)
    fleet.publish({"home": t.sample().url})
    visitors = [Visitors(g) for g in fleet.gates[1:]]
    posts = Visitors(fleet.gates[1], method="POST", clients=1)
    time.sleep(0.5)
    lost = fleet.gates[0]
    killed(t, lost)
    time.sleep(1.5)
    for v in (*visitors, posts):
        v.stop().all_right()
    eventually(lambda: not fleet.node("edge0")["connected"], 30, "control does not notice")
    back = fleet.again(lost)
    fleet.served(gates=[back])
    eventually(lambda: fleet.node("edge0")["connected"], 30, "it did not come back")


def story_one_agent_of_two_is_killed_and_safe_requests_do_not_notice(t, seconds=120):
    fleet = Fleet(t, gateways=2, agents=("one", "two"), workers=2)
    app = t.sample()
    fleet.publish({"one": app.url, "two": app.url})
    for gate in fleet.gates:
        eventually(lambda g=gate: g.metrics().get("sekisho_links") == 4, 20, "not all links")

    def once():
        """The seconds in which requests that may not be repeated went wrong."""
        safe = [Visitors(g) for g in fleet.gates]
        unsafe = [Visitors(g, method="POST") for g in fleet.gates]
        time.sleep(0.5)
        killed(t, fleet.agents["one"])
        time.sleep(1.5)
        for v in safe:
            v.stop().all_right()
        wrong = [x for v in unsafe for x in v.stop().wrong]
        assert all(v.found[-1][2] == 200 for v in unsafe)
        fleet.agents["one"] = fleet.agents["one"].again()
        for gate in fleet.gates:
            eventually(lambda g=gate: g.metrics().get("sekisho_links") == 4, 20, "the links did not come back")
        return max(x[1] for x in wrong) - min(x[0] for x in wrong) if wrong else 0

    within(1.0, once, "seconds of errors", tries=3)


def story_traffic_goes_on_without_control_and_comes_back_without_it(t, seconds=180):
    fleet = Fleet(t, gateways=2, agents=("one", "two"))
    app = t.sample()
    fleet.publish({"one": app.url, "two": app.url})
    for n in ("one", "two", "edge0", "edge1"):
        eventually(lambda x=n: (f := fleet.node(x)) and f["version"] == f["wanted_version"], 20, f"{n} is behind")
    visitors = [Visitors(g) for g in fleet.gates]
    killed(t, fleet.control)
    time.sleep(1)
    for v in visitors:
        v.stop().all_right()
    # Agents and gateways start again, well ended and killed, in an order in which each has nobody to ask.
    fleet.agents["one"].stop()
    killed(t, fleet.agents["two"])
    killed(t, fleet.gates[0])
    fleet.gates[1].stop()
    assert [visit(g) for g in fleet.gates] == [None, None]
    for name in ("one", "two"):
        fleet.agents[name] = fleet.agents[name].again()
    for gate in list(fleet.gates):
        fleet.again(gate)
    fleet.served()
    # Nothing of what was published is lost when control is back, and edits arrive.
    key, port = fleet.control.key, fleet.control.port
    fleet.control = Control(t, "control-again", port=port, state=fleet.control.state)
    fleet.control.key = key
    fleet.publish({"one": app.url}, host="new.example.com")
    fleet.served()


def story_reloads_and_upgrades_of_gateway_and_agent_lose_nothing(t, seconds=180):
    fleet = Fleet(t, gateways=1, workers=2, drainTimeout="20s")
    gate, agent = fleet.gates[0], fleet.agents["home"]
    fleet.publish({"home": t.sample().url})
    gets, posts = Visitors(gate), Visitors(gate, method="POST", clients=1)
    lines = Line(gate), Line(agent)
    for n in range(6 if t.is_slow else 2):
        for line in lines:
            before = len(line.gate.lines())
            os.kill(line.pid, signal.SIGHUP)
            eventually(lambda b=before, x=line: any(y.get("event") == "config_applied" for y in x.gate.lines()[b:]), 20, "no reload")
            same(line.upgrade()["event"], "upgrade_done")
        fleet.control.made("/services", {"name": f"s{n}", "hosts": [f"s{n}.example.com"], "access": {"kind": "public"},
                                         "targets": [{"agent": "home", "url": "http://localhost:1"}]})
        eventually(lambda x=n: visit(gate, f"s{x}.example.com") == 502, 30, lambda: gate.text()[-2000:])
    for v in (gets, posts):
        v.stop().all_right(50)
    for line in lines:
        line.end()
    same(proc.is_alive(lines[0].pid), False)
