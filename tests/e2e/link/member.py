"""An agent under a control that says what the story wants: refusals, the lease, renewed papers."""

import json
import socket
import ssl
import threading

from lib import links, wire
from lib.control import Control
from lib.stage import eventually, free_port, same

AGENT = "ag-abcdefghijklmnop"


def member(t, control, own=None, *options):
    """An agent that joins; `own`: what stands in its file."""
    path = t.folder / "agent-own.json"
    if own is not None:
        path.write_text(json.dumps(own))
        path.chmod(0o600)
    return t.start("agent", [t.sekisho, "agent", "--config", path, *(options or ("--join", control.token_url))])


def offered(gateways, **targets):
    return {"gateways": {name: {"name": name, "addresses": addresses} for name, addresses in gateways.items()},
            "services": {f"sv-{name}": {"name": name, "kind": "http", "targets": {f"tg-{name}": {"url": url}}}
                         for name, url in targets.items()}}


def gateway_of(t, control, *names):
    """A gateway from its own file, with a host NAME.example.com for each target of the agent."""
    tls_port, sections = links.gateway_sections(t, links.Nodes.of(control), [f"{AGENT}/tg-{names[0]}"], workers=1)
    sections["upstreams"] = {name: {"targets": [f"link://{AGENT}/tg-{name}"]} for name in names}
    sections["routes"] = [{"host": f"{name}.example.com", "path": "/", "upstream": name, "access": "public"} for name in names]
    gate = t.gateway(**sections)
    gate.tls_port = tls_port
    return gate


def visit(gate, name):
    try:
        return wire.ask(gate.port, "GET", "/bytes/3", fields=[("Host", f"{name}.example.com")]).status
    except (OSError, wire.Lost):
        return None


def served(gate, name, agent, seconds=30):
    eventually(lambda: visit(gate, name) == 200, seconds, lambda: f"{name}: {visit(gate, name)}\n{agent.text()[-3000:]}")


def event(program, name, seconds=15):
    return eventually(lambda: next((x for x in program.lines() if x.get("event") == name), None), seconds,
                      lambda: f"no {name}:\n{program.text()[-3000:]}")


def story_a_refused_token_ends_an_agent_that_has_nothing_else(t):
    control = Control(t, kind="agent")
    control.secret = "skauth-another"
    agent = member(t, control)
    same(agent.wait(20), 1)
    assert "unknown" in event(agent, "join_refused")["reason"], agent.text()
    event(agent, "agent_without_gateways")


def story_a_refused_token_leaves_what_the_own_file_says(t):
    control = Control(t, kind="agent")
    gate = gateway_of(t, control, "own")
    cert, key = links.Nodes.of(control).node("agent", AGENT)
    app = t.sample()
    url, control.secret = control.token_url, "skauth-another"
    agent = member(t, control, {"upstreams": {"own": {"targets": [app.url]}},
                                "agent": {"gateways": [f"127.0.0.1:{gate.tls_port}"], "authority": str(control.folder / "ca.pem"),
                                          "cert": cert, "key": key, "services": {"tg-own": "own"}}}, "--join", url)
    event(agent, "join_refused")
    served(gate, "own", agent)


def story_after_the_lease_only_the_own_file_is_served(t, seconds=120):
    control = Control(t, kind="agent")
    gate = gateway_of(t, control, "app", "own")
    app = t.sample()
    agent = member(t, control, {"upstreams": {"own": {"targets": [app.url]}}, "agent": {"services": {"tg-own": "own"}}})
    control.wait_open(20)
    sections = offered({"gw-one": [f"127.0.0.1:{gate.tls_port}"]}, app=app.url)
    control.publish(sections, lease=6)
    served(gate, "app", agent)
    served(gate, "own", agent)
    event(agent, "lease_expired", 20)
    eventually(lambda: visit(gate, "app") not in (200, None), 10, lambda: agent.text()[-3000:])
    same(visit(gate, "own"), 200)
    control.current = control.document(sections)  # the same version, issued anew
    control.say(control.current)
    served(gate, "app", agent)
    agent.stop()
    t.programs.remove(agent)
    control.stop()
    again = member(t, control, None, "--name", "again")  # from what is stored
    served(gate, "app", again)
    served(gate, "own", again)


class Guest:
    """Looks like a gateway until the handshake is over: notes whose certificate came, and closes."""

    def __init__(self, control):
        cert, key = links.Nodes.of(control).node("gateway", "gw-guest")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        self.context.load_verify_locations(control.folder / "ca.pem")
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.context.set_alpn_protocols(["h2"])
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.serials = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
                sock.settimeout(5)
                with self.context.wrap_socket(sock, server_side=True) as opened:
                    self.serials.append(opened.getpeercert()["serialNumber"].lstrip("0"))
            except (OSError, ValueError):
                if self.listener.fileno() < 0:
                    return


def story_a_renewed_certificate_is_shown_by_the_next_link(t, seconds=120):
    control = Control(t, kind="agent")
    guest = Guest(control)
    agent = member(t, control)
    control.wait_open(20)
    control.publish(offered({"gw-guest": [f"127.0.0.1:{guest.port}"]}))
    control.wait_applied()
    eventually(lambda: guest.serials, 20, lambda: agent.text()[-3000:])
    serial = control.renew().lstrip("0")
    event(agent, "certificate_renewed")
    eventually(lambda: serial in guest.serials, 60, lambda: f"{serial} is not in {guest.serials}\n{agent.text()[-3000:]}")
    guest.listener.close()


def story_a_gateway_is_reached_at_the_address_that_answers(t):
    control = Control(t, kind="agent")
    gate = gateway_of(t, control, "app")
    agent = member(t, control)
    control.wait_open(20)
    sections = offered({"gw-one": [f"127.0.0.1:{free_port()}", f"[::1]:{free_port()}", f"127.0.0.1:{gate.tls_port}"]}, app=t.sample().url)
    control.publish(sections)
    served(gate, "app", agent)
    event(agent, "gateway_not_reached")
    eventually(lambda: any(m["type"] == "report" and [(x["peer"], x["up"], x["wanted"]) for x in m.get("links", [])] == [("gw-one", 1, 1)] and
                           [(x["target"], x["up"]) for x in m.get("health", [])] == [("tg-app", True)] for m in control.messages), 15,
               lambda: f"{control.messages[-3:]}")
    control.say({"type": "gone", "reason": "removed"})
    event(agent, "node_gone")
    links.links_open(gate, 0)
    agent.codes = (7,)  # of an agent that control removed


def story_several_addresses_stand_in_a_file(t):
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app"], workers=2)
    at = {"address": [f"127.0.0.1:{free_port()}", f"127.0.0.1:{gate.tls_port}"], "id": "gw-one"}
    agent = links.agent(t, nodes, [at], {"tg-app": t.sample().url})
    links.links_open(gate, 2)
    config = json.loads(json.dumps(agent.config))
    config["agent"]["gateways"][0]["address"] = []
    same(agent.reload(config)["event"], "config_reload_refused")
    same(gate.get("/bytes/3", token=False).status, 200)


def story_what_is_not_controls_is_never_taken(t, seconds=120):
    """An agent that is told of targets by another control's key, by an old epoch, or for another node: it offers none of them."""
    control = Control(t, kind="agent")
    control.epoch = 3
    gate = gateway_of(t, control, "app", "bad")
    app = t.sample()
    agent = member(t, control)
    control.wait_open(20)
    at = {"gw-one": [f"127.0.0.1:{gate.tls_port}"]}
    control.publish(offered(at, app=app.url))
    served(gate, "app", agent)
    control.wait_applied()
    bad = offered(at, app=app.url, bad=app.url)
    wrong_bytes = control.document(offered(at, app=app.url), version=60)
    wrong_bytes["document"]["sections"]["services"]["sv-app"]["targets"] = {"tg-bad": {"url": app.url}}
    for why, document in (
            ("it is not signed by the control we joined", control.document(bad, key="other", version=50)),
            ("its epoch is older", control.document(bad, epoch=2, version=99)),
            ("it is older than the one in force", control.document(bad, version=0)),
            ("it differs from the one in force", control.document(bad, version=1)),
            ("it is another node's", control.document(bad, version=51, node="ag-qrstuvwxyzabcdef")),
            ("it is another node's", control.document(bad, version=51, kind="gateway")),
            ("it is another node's", control.document(bad, version=51, org="others")),
            ("its hash is not that of its contents", wrong_bytes),
            ("its format is newer", control.document(bad, version=52, format=2))):
        count = len([m for m in control.messages if m["type"] == "refused"])
        control.say(document)
        refused = eventually(lambda: [m for m in control.messages if m["type"] == "refused"][count:], 10, f"not refused: {why}")
        assert why in refused[0]["reason"], (why, refused)
    assert visit(gate, "bad") != 200
    same(visit(gate, "app"), 200)
    agent.stop()
    t.programs.remove(agent)
    control.stop()
    again = member(t, control, None, "--name", "again")  # from what is stored
    served(gate, "app", again)
    assert visit(gate, "bad") != 200
