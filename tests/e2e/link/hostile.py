"""What a fallen agent, or a fallen gateway, can and cannot do."""

import socket
import ssl

from lib import h2_client, links
from lib.stage import eventually, free_port, same


def refused(gate, reason, count=1):
    eventually(lambda: sum(x.get("event") == "link_not_taken" and x.get("reason") == reason for x in gate.lines()) >= count, 10,
               lambda: f"not refused for {reason}:\n{gate.text()[-2000:]}")


def story_only_agents_of_the_authority_come_in(t):
    nodes, others = links.Nodes(t), links.Nodes(t, "others")
    gate = links.gateway(t, nodes, ["ag-one/tg-app"], workers=1)
    app = t.sample()

    def comes(name, cert, reason):
        agent = links.agent(t, nodes, [gate], {"tg-app": app.url}, name=name, cert=cert)
        refused(gate, reason)
        t.programs.remove(agent)
        agent.stop()

    comes("ag-foreign", others.node("agent", "ag-foreign"), "link_handshake")
    same(gate.metrics().get("sekisho_links"), 0)


def story_a_certificate_of_two_agents_is_nobodys(t):
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app"], workers=1)
    two = nodes.node("agent", "ag-two", uris=["sekisho://story/agent/ag-two", "sekisho://story/agent/ag-one"])
    context = ssl.create_default_context(cafile=str(nodes.cert))
    context.load_cert_chain(*two)
    context.set_alpn_protocols(["h2"])
    elsewhere = nodes.node("agent", "ag-org", uris=["sekisho://elsewhere/agent/ag-one"])
    for cert, reason in ((two, "link_name"), (nodes.node("gateway", "gw-two"), "link_agent"), (elsewhere, "link_agent")):
        context.load_cert_chain(*cert)
        with socket.create_connection(("127.0.0.1", gate.tls_port)) as s:
            with context.wrap_socket(s, server_hostname="link.sekisho.internal") as tls:
                try:
                    assert tls.recv(100) == b""
                except (ConnectionResetError, ssl.SSLError):
                    pass
        refused(gate, reason, 2 if cert is elsewhere else 1)


def story_nobody_comes_without_a_certificate_and_no_visitor_is_asked_for_one(t):
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app"], workers=1)
    context = ssl.create_default_context(cafile=str(nodes.cert))
    with socket.create_connection(("127.0.0.1", gate.tls_port)) as s:
        try:
            with context.wrap_socket(s, server_hostname="link.sekisho.internal") as tls:
                assert tls.recv(100) == b""
        except ssl.SSLError:
            pass
    refused(gate, "link_handshake")
    public = ssl.create_default_context(cafile=str(t.certs().cert))
    with socket.create_connection(("127.0.0.1", gate.tls_port)) as s:
        with public.wrap_socket(s, server_hostname="app.example.com") as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
            assert tls.recv(100).startswith(b"HTTP/1.1 50")


def story_listed_agents_only_and_revoked_at_once(t):
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app"], workers=1, links={"agents": {"ag-one": {}}})
    app = t.sample()
    links.agent(t, nodes, [gate], {"tg-app": app.url}, name="ag-one")
    links.links_open(gate, 1)
    links.agent(t, nodes, [gate], {"tg-app": app.url}, name="ag-two")
    refused(gate, "link_agent")
    same(gate.get("/bytes/3", token=False).status, 200)
    config = gate.config
    config["gateway"]["links"]["agents"] = {"ag-one": {"identity": "0" * 64}}
    gate.reload(config)
    links.links_open(gate, 0)
    assert any(x.get("event") == "link_revoked" and x.get("reason") == "identity" for x in gate.lines())


class FallenGateway:
    """A listener that an agent takes for a gateway, whose requests are ours to write."""

    def __init__(self, t, nodes, cert):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*cert)
        self.context.load_verify_locations(str(nodes.cert))
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.context.set_alpn_protocols(["h2"])
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.tls_port = self.listener.getsockname()[1]

    def accept(self):
        self.listener.settimeout(20)
        sock, _ = self.listener.accept()
        return self.context.wrap_socket(sock, server_side=True)


def story_a_gateway_gets_only_what_is_offered(t):
    nodes = links.Nodes(t)
    fallen = FallenGateway(t, nodes, nodes.node("gateway", "gw-one"))
    app = t.sample("--record")
    closed = free_port()
    agent = links.agent(t, nodes, [fallen], {"tg-app": app.url, "tg-meta": "http://169.254.169.254", "tg-shut": f"http://127.0.0.1:{closed}"},
                        allow=[f"127.0.0.1:{app.port}", f"127.0.0.1:{closed}"])
    c = h2_client.Conn.on(fallen.accept())
    asks = (
        ("offered", [("sekisho-target", "tg-app")], 200),
        ("not offered", [("sekisho-target", "tg-none")], 404),
        ("no target", [], 404),
        ("a path for a target", [("sekisho-target", "tg-app/../tg-none")], 404),
        ("offered, and not allowed", [("sekisho-target", "tg-meta")], 403),
        ("nobody there", [("sekisho-target", "tg-shut")], 502),
        ("no address", [("sekisho-target", "tg-app"), ("sekisho-client", "nobody")], 400),
    )
    for n, (why, fields, status) in enumerate(asks):
        c.ask(2 * n + 1, h2_client.request("/bytes/3", authority="tg-app.sekisho.internal", more=fields))
        got = c.end_of(2 * n + 1)
        same(got[:2], ("answer", status), why)
    t.programs.remove(agent)
    agent.stop()


def story_an_agent_believes_only_its_gateway(t):
    nodes, others = links.Nodes(t), links.Nodes(t, "others")
    cases = ((others.node("gateway", "gw-one"), {}), (nodes.node("agent", "ag-two", dns=["link.sekisho.internal"]), {}),
             (nodes.node("gateway", "gw-two"), {"id": "gw-one"}),
             (nodes.node("gateway", "gw-three", uris=["sekisho://elsewhere/gateway/gw-three"]), {}))
    for n, (cert, more) in enumerate(cases):
        fallen = FallenGateway(t, nodes, cert)
        agent = links.agent(t, nodes, [{"address": f"127.0.0.1:{fallen.tls_port}", **more}], {"tg-app": t.sample().url},
                            name=f"ag-{n}")
        try:
            tls = fallen.accept()
            tls.settimeout(10)
            assert tls.recv(100) in (b"",), "the agent speaks"
        except (ssl.SSLError, ConnectionResetError):
            pass
        eventually(lambda a=agent: a.events("gateway_not_reached"), 10, "the agent does not say why")
        same(agent.events("link_open"), [])
