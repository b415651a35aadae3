"""Ports of datagrams that a gateway's own file opens: to a server beside it, and to one behind an agent."""

import json
import time

from control.datagrams import Echo, asked, client
from gateway.upgrade import Line
from lib import links
from lib.stage import eventually, free_port, same


def both_ways(t, to, workers=2):
    """(port of a listener straight to it, of one through an agent), the gateway, the agent."""
    nodes = links.Nodes(t)
    straight, behind = free_port(), free_port()
    tls_port, sections = links.gateway_sections(t, nodes, ["ag-one/tg-app"], workers=workers)
    sections["gateway"]["listen"] += [{"address": f"udp:127.0.0.1:{straight}", "upstream": "straight"},
                                      {"address": f"udp:127.0.0.1:{behind}", "upstream": "behind"}]
    sections["upstreams"] |= {"straight": {"targets": [f"udp://127.0.0.1:{to}"]}, "behind": {"targets": ["link://ag-one/tg-udp"]}}
    gate = t.gateway(**sections)
    gate.tls_port = tls_port
    agent = links.agent(t, nodes, [gate], {"tg-udp": f"udp://127.0.0.1:{to}"})
    links.links_open(gate, workers)
    return (straight, behind), gate, agent


def back(s, why, gate, agent, seconds=60):
    eventually(lambda: asked(s, b"%s %d" % (why.encode(), time.monotonic_ns())), seconds,
               lambda: f"{why}:\n{gate.text()[-2000:]}\n{agent.text()[-2000:]}")


def story_upgrades_keep_the_ports(t, seconds=180):
    server = Echo()
    ports, gate, agent = both_ways(t, server.port)
    gates, agents = Line(gate), Line(agent)
    flows = [client(port) for port in ports]
    for n in range(3):
        for s in flows:
            back(s, f"before {n}", gate, agent)
        same(gates.upgrade()["event"], "upgrade_done")
        for s in flows:
            back(s, f"gateway {n}", gate, agent)
        same(agents.upgrade()["event"], "upgrade_done")
        for s in flows:
            back(s, f"agent {n}", gate, agent)
    for s in flows:
        s.close()
    agents.end()
    gates.end()


def story_a_reload_keeps_what_it_does_not_change(t, seconds=120):
    server = Echo()
    (straight, behind), gate, agent = both_ways(t, server.port)
    with client(straight) as a, client(behind) as b:
        for s in (a, b):
            back(s, "first", gate, agent)
        mine = {}
        for n in range(3):
            config = json.loads(json.dumps(gate.config))
            config["gateway"]["listen"].append({"address": f"udp:127.0.0.1:{free_port()}", "upstream": "straight"})
            same(gate.reload(config)["event"], "config_applied")
            for name, s in (("a", a), ("b", b)):
                back(s, name, gate, agent)
                mine.setdefault(name, set()).add(server.froms[-1])
        assert all(len(x) == 1 for x in mine.values()), f"begun anew: {mine}"
        config = json.loads(json.dumps(gate.config))
        config["gateway"]["listen"] = [x for x in config["gateway"]["listen"] if str(straight) not in str(x)]
        same(gate.reload(config)["event"], "config_applied")
        back(b, "b", gate, agent)
        eventually(lambda: asked(a, b"gone", 0.3) is None, 20, "a port that was taken away still answers")


def story_health_and_a_second_target(t, seconds=120):
    """Nobody at one of two targets: ICMP says so, and the flows go to the other."""
    server, port = Echo(), free_port()
    gate = t.gateway(gateway={"listen": [{"address": f"udp:127.0.0.1:{port}", "upstream": "two"}], "workers": 1},
                     upstreams={"two": {"targets": [f"udp://127.0.0.1:{free_port()}", f"udp://127.0.0.1:{server.port}"]}})
    good = 0
    for n in range(12):
        with client(port) as s:
            eventually(lambda s=s: asked(s, b"x", 0.5), 30, lambda: gate.text()[-3000:])
            good += 1
    same(good, 12)
