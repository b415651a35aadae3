"""Control, a gateway and an agent as programs: what is published on one reaches what stands beside the other."""

from lib import wire
from lib.control_role import Control
from lib.fleet import Fleet
from lib.stage import eventually, free_port, same


def visit(gate, path="/bytes/3", host="app.example.com"):
    try:
        return wire.ask(gate.port, "GET", path, fields=[("Host", host)]).status
    except (OSError, wire.Lost):
        return None


def house(t, workers=2):
    """(control, gateway, agent): both joined."""
    control = Control(t).claim()
    cert, key = t.certs().issue("app.example.com")
    tls_port = free_port()
    gate = t.gateway(["--join", control.join_token("gateway"), "--name", "gw"], gateway={
        "workers": workers, "listen": [{"address": f"127.0.0.1:{tls_port}", "tls": True}],
        "certificates": [{"cert": str(cert), "key": str(key)}]})
    gate.tls_port = tls_port
    eventually(lambda: control.get("/nodes?kind=gateway")["items"], 20, "the gateway did not join")
    node = control.get("/nodes?kind=gateway")["items"][0]
    answer = control.ask("PATCH", f"/nodes/{node['id']}", {"settings": {"addresses": [f"127.0.0.1:{tls_port}"]}},
                         headers={"If-Match": control.ask("GET", f"/nodes/{node['id']}").headers["etag"]})
    same(answer.status, 200, answer)
    agent = t.start("agent", [t.sekisho, "agent", "--config", t.folder / "no-such.json", "--join", control.join_token("agent"),
                              "--name", "home"])
    eventually(lambda: control.get("/nodes?kind=agent")["items"], 20, "the agent did not join")
    return control, gate, agent


def story_a_service_of_control_is_served_by_an_agent(t, seconds=120):
    control, gate, agent = house(t)
    app = t.sample()
    control.made("/services", {"name": "app", "hosts": ["app.example.com"], "access": {"kind": "public"},
                                      "targets": [{"agent": "home", "url": f"http://localhost:{app.port}"}]})
    eventually(lambda: visit(gate) == 200, 30, lambda: f"not served:\n{gate.text()[-3000:]}\n{agent.text()[-3000:]}")
    control.stop()
    t.programs.remove(control)
    same(visit(gate), 200)  # nobody needs control for that
    agent.stop()
    t.programs.remove(agent)
    again = t.start("again", [t.sekisho, "agent", "--config", t.folder / "no-such.json"])
    eventually(lambda: visit(gate) == 200, 30, lambda: f"not served from what is stored:\n{again.text()[-3000:]}")


def story_the_first_agent_of_a_gateway_comes_straight(t, seconds=120):
    """It dials as soon as it knows the gateway, which may not have heard of any agent by then."""
    control, gate, agent = house(t, workers=1)
    control.made("/services", {"name": "app", "hosts": ["app.example.com"], "access": {"kind": "public"},
                               "targets": [{"agent": "home", "url": f"http://localhost:{t.sample().port}"}]})
    eventually(lambda: visit(gate) == 200, 30, lambda: f"not served:\n{gate.text()[-3000:]}\n{agent.text()[-3000:]}")
    eventually(lambda: [x["way"] for x in gate.access_log() if x["status"] == 200] == ["straight"], 10,
               lambda: f"{gate.access_log()}\n{agent.text()[-3000:]}")


def story_control_cannot_make_an_agent_dial_what_is_beside_it(t, seconds=120):
    control, gate, agent = house(t, workers=1)
    control.made("/services", {"name": "app", "hosts": ["app.example.com"], "access": {"kind": "public"},
                               "targets": [{"agent": "home", "url": "http://169.254.169.254"}]})
    eventually(lambda: visit(gate, "/latest/meta-data/") == 502, 30, lambda: agent.text()[-3000:])
    eventually(lambda: "address_denied" in agent.text(), 10, lambda: agent.text()[-3000:])


def story_an_agent_that_control_sent_away(t, seconds=120):
    fleet = Fleet(t)
    control, agent = fleet.control, fleet.agents["home"]
    service = fleet.publish({"home": t.sample().url})

    def change(state):
        node = fleet.node("home")
        a = control.ask("PATCH", f"/nodes/{node['id']}", {"state": state},
                        headers={"If-Match": control.ask("GET", f"/nodes/{node['id']}").headers["etag"]})
        same(a.status, 200, a)

    def ended(program, code, *words):
        program.codes = (code,)
        same(program.wait(30), code, program.text())
        t.programs.remove(program)
        for word in words:
            assert word in program.text(), (word, program.text())

    change("disabled")
    ended(agent, 1, "node_gone", "sekisho node enable NAME")
    again = agent.again()
    ended(again, 1, "node_asks_again", "node_gone")  # still
    change("active")
    again = agent.again()
    eventually(lambda: "node_wanted_again" in again.text(), 20, again.text)
    fleet.served()
    change("disabled")
    ended(again, 1)
    change("active")
    again = agent.again()  # what is said twice is believed twice
    fleet.served()
    same(control.ask("DELETE", f"/services/{service['id']}").status, 204)
    same(control.ask("DELETE", f"/nodes/{fleet.node('home')['id']}").status, 204)
    ended(again, 7, "node_gone", "sekisho agent --join TOKEN")
    last = agent.again()
    ended(last, 7, "sekisho agent --join TOKEN")


def story_a_gateway_that_was_disabled_starts_again(t, seconds=120):
    fleet = Fleet(t)
    control, gate = fleet.control, fleet.gates[0]
    fleet.publish({"home": t.sample().url})
    node = fleet.node("edge0")
    for state in ("disabled", "active"):
        a = control.ask("PATCH", f"/nodes/{node['id']}", {"state": state},
                        headers={"If-Match": control.ask("GET", f"/nodes/{node['id']}").headers["etag"]})
        same(a.status, 200, a)
        if state == "disabled":
            eventually(lambda: "node_gone" in gate.text(), 20, gate.text)
    gate.stop()
    t.programs.remove(gate)
    again = fleet.again(gate)
    eventually(lambda: "node_wanted_again" in again.text(), 20, again.text)
    fleet.served()
