"""What a fallen gateway or agent puts on a link instead of datagrams: the flow ends, and nothing else does."""

import socket
import ssl
import struct
import threading

from control.datagrams import Echo, asked, client
from control.pass_through import counted
from lib import h2_client, links
from lib.h2_client import ACK, DATA, END_HEADERS, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame
from lib.stage import eventually, free_port, same
from link.hostile import FallenGateway

PING = b"\0\5\0ping"
WRONG = (
    ("a datagram without a context", b"\0\0"),
    ("longer than any datagram", b"\0\x80\1\0\0"),
    ("as long as numbers go", b"\0" + b"\xff" * 8),
    ("a context that its length cuts", b"\0\1\x40\0"),
)
ODD = (  # RFC 9297 3.2, RFC 9298 4: passed over
    ("another kind of capsule", b"\x17\3abc" + PING),
    ("another context", b"\0\4\2abc" + PING),
    ("numbers written long", b"\x80\0\0\0\x80\0\0\5\0ping"),
    ("a datagram of nothing", b"\0\1\0" + PING),
)


def flow(target, path="/", protocol="connect-udp"):
    return [(":method", "CONNECT"), (":protocol", protocol), (":scheme", "https"), (":path", path),
            (":authority", f"{target}.sekisho.internal"), ("capsule-protocol", "?1"), ("sekisho-target", target)]


def opened(c, stream, fields):
    """The answer's status, or ("reset", code)."""
    c.ask(stream, fields, is_end=False)
    kind, _flags, _of, payload = c.until(lambda kind, flags, of, payload: of == stream and kind in (HEADERS, RST_STREAM))
    return h2_client.status_of(payload) if kind == HEADERS else ("reset", struct.unpack(">I", payload)[0])


def story_a_gateway_that_speaks_no_capsules(t):
    nodes, server = links.Nodes(t), Echo()
    fallen = FallenGateway(t, nodes, nodes.node("gateway", "gw-one"))
    links.agent(t, nodes, [fallen], {"tg-udp": f"udp://127.0.0.1:{server.port}", "tg-tcp": f"tcp://127.0.0.1:{free_port()}",
                                      "tg-meta": "udp://169.254.169.254:53"}, allow=[f"127.0.0.1:{server.port}"])
    c = h2_client.Conn.on(fallen.accept())
    c.until(lambda kind, flags, *_: kind == SETTINGS and not flags & ACK)
    same(opened(c, 1, flow("tg-udp")), 200)

    def pinged(stream, data=PING):
        c.send(frame(DATA, 0, stream, data))
        found = c.until(lambda kind, flags, of, payload: of == stream and kind in (DATA, RST_STREAM) and PING in payload + PING[:kind == RST_STREAM and 5])
        return found[0] == DATA

    assert pinged(1)
    at = 3
    for why, data in ODD:
        same(opened(c, at, flow("tg-udp")), 200, why)
        assert pinged(at, data), why
        at += 2
    same(set(server.heard), {b"ping", b""})
    heard = len(server.heard)
    for why, data in WRONG:
        same(opened(c, at, flow("tg-udp")), 200, why)
        c.send(frame(DATA, 0, at, data))
        kind = c.until(lambda kind, flags, of, payload: of == at and (kind == RST_STREAM or flags & 1))[0]
        same(kind, RST_STREAM, why)
        at += 2
    same(len(server.heard), heard, "something of it came to the target")
    for why, fields, status in (("a flow of a target of bytes", flow("tg-tcp"), 400), ("one that is not offered", flow("tg-none"), 404),
                                ("offered, and not allowed", flow("tg-meta"), 403),
                                ("a CONNECT of bytes", [(":method", "CONNECT"), (":authority", "tg-udp.sekisho.internal:0"), ("sekisho-target", "tg-udp")], 400),
                                ("a request", h2_client.request("/", authority="tg-udp.sekisho.internal", more=[("sekisho-target", "tg-udp")]), 400)):
        same(opened(c, at, fields), status, why)
        at += 2
    assert pinged(1), "the first flow went with the others"


class FallenAgent:
    """Comes to a gateway as an agent; answers every flow with 200 and what `says` gives for it, and again for each frame of data."""

    def __init__(self, nodes, gate, says, name="ag-one"):
        context = ssl.create_default_context(cafile=str(nodes.cert))
        context.load_cert_chain(*nodes.node("agent", name))
        context.set_alpn_protocols(["h2"])
        self.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", gate.tls_port)), server_hostname="link.sekisho.internal")
        self.says, self.resets, self.lock = says, [], threading.Lock()
        self.sock.sendall(frame(SETTINGS, payload=struct.pack(">HIHI", 1, 0, 8, 1)) + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 24)))
        threading.Thread(target=self._run, daemon=True).start()

    def _exactly(self, n):
        got = b""
        while len(got) < n:
            more = self.sock.recv(n - len(got))
            if not more:
                raise OSError("closed")
            got += more
        return got

    def _run(self):
        try:
            self._exactly(len(h2_client.MAGIC))
            while True:
                head = self._exactly(9)
                kind, flags, stream = struct.unpack(">BBI", head[3:])
                payload = self._exactly(int.from_bytes(head[:3], "big"))
                if kind == SETTINGS and not flags & ACK:
                    self.sock.sendall(frame(SETTINGS, ACK))
                elif kind == h2_client.PING and not flags & ACK:
                    self.sock.sendall(frame(h2_client.PING, ACK, 0, payload))
                elif kind == HEADERS:
                    self.sock.sendall(frame(HEADERS, END_HEADERS, stream, block([(":status", "200"), ("capsule-protocol", "?1")])))
                elif kind == DATA:
                    self.sock.sendall(frame(DATA, 0, stream, self.says(payload)))
                elif kind == RST_STREAM:
                    self.resets.append(stream)
        except OSError:
            pass


def story_an_agent_that_speaks_no_capsules(t):
    nodes, port = links.Nodes(t), free_port()
    tls_port, sections = links.gateway_sections(t, nodes, ["ag-one/tg-app"], workers=1)
    sections["gateway"]["listen"].append({"address": f"udp:127.0.0.1:{port}", "upstream": "behind"})
    sections["upstreams"]["behind"] = {"targets": ["link://ag-one/tg-udp"]}
    gate = t.gateway(**sections)
    gate.tls_port = tls_port
    now = [lambda data: data]
    agent = FallenAgent(nodes, gate, lambda data: now[0](data))
    links.links_open(gate, 1)
    with client(port) as s:
        eventually(lambda: asked(s, b"ping"), 20, lambda: gate.text()[-3000:])
        for n, (why, wrong) in enumerate(WRONG):
            now[0] = lambda data, wrong=wrong: wrong
            with client(port) as other:
                eventually(lambda: asked(other, b"x", 0.2) or counted(gate, "sekisho_udp_lost_total", "capsule") > n, 20, why)
                same(asked(other, b"x", 0.1), None, why)
            now[0] = lambda data: data
            eventually(lambda: asked(s, b"ping"), 10, f"{why}: the other flow went with it")
        for why, odd in ODD:
            now[0] = lambda data, odd=odd: odd
            with client(port) as other:
                eventually(lambda: asked(other, b"ping") == b"ping", 20, why)
    eventually(lambda: len(agent.resets) >= len(WRONG), 10, lambda: agent.resets)
    same(gate.metrics().get("sekisho_links"), 1, "the link went with its flows")
