"""Real gateways at a real control: joined by a token, told what to serve, going on alone, removed."""

import os
import signal
import ssl

from gateway.controlled import OWN, misses, own_goes_on, said, serves
from lib import proc, wire
from lib.control_role import Control
from lib.stage import Program, eventually, free_port, same


def gateway(t, control, name, token=None):
    gate = t.gateway(options=["--join", token or control.join_token("gateway"), "--name", name],
                     env={"SEKISHO_STATE": str(t.folder / f"state-{name}")}, routes=OWN)
    said(gate, "control_connected")
    return gate


def service(control, name, host):
    return control.made("/services", {"name": name, "hosts": [host], "access": {"kind": "public"}})


def story_a_service_is_at_every_gateway(t, seconds=90):
    control = Control(t).claim()
    token = control.join_token("gateway", uses=3)
    gates = [gateway(t, control, f"edge{n}", token) for n in range(3)]
    made = service(control, "app", "app.example.com")
    for gate in gates:
        serves(gate, "app.example.com")
    control.ask("PATCH", f"/services/{made['id']}", {"hosts": ["www.example.com"]})
    for gate in gates:
        serves(gate, "www.example.com")
        misses(gate, "app.example.com")
        own_goes_on(gate)
    control.ask("DELETE", f"/services/{made['id']}")
    for gate in gates:
        misses(gate, "www.example.com")


def story_a_file_may_leave_certificates_to_control(t, seconds=90):
    """A listener that speaks TLS, and no certificate: of itself that is a mistake, of a gateway that joins it is what control is there for."""
    control, port = Control(t).claim(), free_port()
    service(control, "app", "app.example.com")
    more = {"routes": OWN, "gateway": {"listen": [{"address": f"127.0.0.1:{port}", "tls": True}]}}
    gate = t.gateway(["--join", control.join_token("gateway"), "--name", "edge"], env={"SEKISHO_STATE": str(t.folder / "state-edge")}, **more)
    assert "there is no certificate" in gate.text() and "control is asked first" in gate.text()

    def speaks(to):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        conn = wire.Conn(port, tls=context, name="app.example.com")
        a = conn.send(wire.request_bytes("GET", "/", host="app.example.com")).answer()
        return a.status == 503 and "no_target" in a.text

    eventually(lambda: speaks(gate), 30, gate.text)
    own_goes_on(gate)
    # From then on what is stored completes it; without a control it is a mistake as ever.
    gate.stop()
    again = type(gate)(t, t._name("gateway"), gate.config, env={"SEKISHO_STATE": str(t.folder / "state-edge")})
    t.programs.append(again)
    assert "control is asked first" not in again.text()
    alone = Program(t, "alone", [t.sekisho, "gateway", "--config", gate.config_path], env={"SEKISHO_STATE": str(t.folder / "state-none")})
    same(alone.wait(20), 2)
    assert "there is no certificate" in alone.text(), alone.text()


def story_control_is_killed_and_comes_back(t, seconds=120):
    control = Control(t).claim()
    gate = gateway(t, control, "edge")
    service(control, "app", "app.example.com")
    serves(gate, "app.example.com")
    eventually(lambda: control.get("/gateways")["items"][0].get("behind") in (0, None, False), 10, "nothing was acknowledged")
    control.kill()
    serves(gate, "app.example.com", 1)
    gate.stop()
    other = type(gate)(t, t._name("gateway"), gate.config, env={"SEKISHO_STATE": str(t.folder / "state-edge")})
    t.programs.append(other)
    serves(other, "app.example.com", 1)
    own_goes_on(other)
    t.programs.remove(control)
    back = Control(t, "control2", port=control.port, state=control.state)
    back.key = control.key
    service(back, "two", "two.example.com")
    serves(other, "two.example.com", 60)
    serves(other, "app.example.com")


def story_one_without_a_file_hands_over_to_its_successor(t, seconds=60, alone=True):
    control = Control(t).claim()
    gate = Program(t, "edge", [t.sekisho, "gateway", "--config", t.folder / "none.json", "--listen", f"127.0.0.1:{free_port()}",
                               "--join", control.join_token("gateway")], {"SEKISHO_STATE": str(t.folder / "edge-state")})
    t.programs.append(gate)

    def events(name):
        return [x for x in gate.lines() if x.get("event") == name]

    eventually(lambda: events("gateway_ready"), 30, "it does not serve")
    os.kill(gate.pid, signal.SIGUSR2)
    done = eventually(lambda: events("upgrade_done"), 30, "its successor does not serve")
    same(gate.wait(40), 0)
    eventually(lambda: len(events("control_connected")) > 1, 30, "the successor did not get the state folder")
    t.programs.remove(gate)
    os.kill(done[0]["pid"], signal.SIGTERM)
    eventually(lambda: not proc.is_alive(done[0]["pid"]), 40, "it does not end")


def story_a_gateway_is_removed(t):
    control = Control(t).claim()
    gate = gateway(t, control, "edge")
    service(control, "app", "app.example.com")
    serves(gate, "app.example.com")
    node = control.get("/gateways")["items"][0]["id"]
    assert control.ask("DELETE", f"/nodes/{node}").status in (200, 204)
    misses(gate, "app.example.com")
    own_goes_on(gate)
    said(gate, "node_gone")


def story_a_key_opens_services_for_holders_of_a_token(t):
    control = Control(t).claim()
    gate = t.gateway(options=["--join", control.join_token("gateway"), "--name", "edge"],
                     env={"SEKISHO_STATE": str(t.folder / "state-edge")}, routes=OWN)
    said(gate, "control_connected")
    visitor = control.made("/api-keys", {"name": "visitor", "scopes": ["use"]})
    owner = control.made("/api-keys", {"name": "mine", "scopes": ["use", "use-owner"]})
    control.made("/services", {"name": "app", "hosts": ["app.example.com"], "access": {"kind": "token"}})
    control.made("/services", {"name": "mine", "hosts": ["mine.example.com"], "access": {"kind": "owner"}})

    def status(host, key):
        fields = [("Authorization", f"Bearer {key['key']}")] if key else []
        return gate.get("/", {"Host": host, **dict(fields)}, token=False).status

    for host in ("app.example.com", "mine.example.com"):
        eventually(lambda: status(host, None) == 401, 20, f"{host} is not known")
    same(status("app.example.com", visitor), 503)  # let in; no target yet
    same(status("mine.example.com", visitor), 403)
    same(status("mine.example.com", owner), 503)
    same(status("app.example.com", owner), 503)
    control.ask("DELETE", f"/api-keys/{visitor['id']}")
    eventually(lambda: status("app.example.com", visitor) in (401, 429), 20, "a revoked key still opens")
