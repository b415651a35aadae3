"""An agent, and a gateway, whose every frame is the story's: with papers that are good, and nothing else that is."""

import socket
import ssl
import threading
import time

from lib import h2, h2_client, links, wire
from lib.stage import eventually, same
from link.hostile import FallenGateway

REFUSED = ("dance", "target", "allowlist", "dial", "down")


class FallenAgent:
    """Dials a gateway as an agent does, takes the requests of one link, and answers as the story says."""

    def __init__(self, nodes, gate, name, script=None):
        self.gate, self.script = gate, script
        self.context = ssl.create_default_context(cafile=str(nodes.cert))
        self.context.load_cert_chain(*nodes.node("agent", name))
        self.context.set_alpn_protocols(["h2"])
        self.requests, self.is_over = [], threading.Event()
        sock = socket.create_connection(("127.0.0.1", gate.tls_port), timeout=60)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self.context.wrap_socket(sock, server_hostname="link.sekisho.internal")
        self.frames = h2.Frames(self.sock)
        assert self.frames.preface()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        try:
            self.frames.serve(self._take)
        except OSError:
            pass
        self.is_over.set()

    def _take(self, frames, stream):
        self.requests.append(stream)
        if len(self.requests) == 1:  # which worker it reached; what is asked next is visitors'
            frames.send(h2.HEADERS, h2.END | h2.DONE, stream, h2.literal((":status", "204")))
        elif self.script:
            self.script(frames, stream)

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)  # a thread reads
        except OSError:
            pass
        assert self.is_over.wait(60)
        self.sock.close()


def answer(frames, stream, *fields, status="200", body=b"mallory", trailers=None):
    frames.send(h2.HEADERS, h2.DONE, stream, h2.literal((":status", status), *fields))
    frames.send(h2.DATA, 0 if trailers else h2.END, stream, body)
    if trailers:
        frames.send(h2.HEADERS, h2.END | h2.DONE, stream, h2.literal(*trailers))


def head(status="200", *fields):
    return h2.literal((":status", status), *fields)


def visit(gate, host="app.example.com", path="/bytes/3", fields=(), **more):
    return wire.ask(gate.port, "GET", path, [("Host", host), *fields], **more)


def two_hosts(t, nodes, **more):
    """A gateway with a service of ag-victim and one of ag-mallory."""
    tls_port, sections = links.gateway_sections(t, nodes, ["ag-victim/tg-app"], workers=1, **more)
    sections["upstreams"] = {"app": {"targets": ["link://ag-victim/tg-app"]}, "own": {"targets": ["link://ag-mallory/tg-own"]}}
    sections["routes"] = [{"host": "app.example.com", "path": "/", "upstream": "app", "access": "public"},
                          {"host": "own.example.com", "path": "/", "upstream": "own", "access": "public"}]
    gate = t.gateway(**sections)
    gate.tls_port = tls_port
    return gate


def story_an_agent_serves_its_own_targets_only(t):
    """The victim away, mallory there: what is the victim's is served by nobody."""
    nodes = links.Nodes(t)
    gate = two_hosts(t, nodes)
    mallory = FallenAgent(nodes, gate, "ag-mallory", answer)
    links.links_open(gate, 1)
    same(visit(gate, "own.example.com").body, b"mallory")
    before = len(mallory.requests)
    for _ in range(3):
        assert visit(gate).status in (502, 503)
    same(len(mallory.requests), before, "a request of another's service came to it")
    app = t.sample()
    links.agent(t, nodes, [gate], {"tg-app": app.url}, name="ag-victim")
    links.links_open(gate, 2)
    same(visit(gate).status, 200)
    same(len(mallory.requests), before)
    mallory.close()


def story_frames_on_streams_that_nobody_opened_end_the_link_and_nothing_else(t, seconds=120):
    """While the victim holds an answer back, mallory says one for every stream there could be, on a link of its own."""
    nodes = links.Nodes(t)
    gate = two_hosts(t, nodes)
    held, go = threading.Event(), threading.Event()

    def slow(peer):
        while peer.request() is not None:
            held.set()
            go.wait(60)
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nvictim")

    app = t.upstream(on_connect=slow)
    links.agent(t, nodes, [gate], {"tg-app": app.url}, name="ag-victim", upstream={"protocol": "h1"})
    links.links_open(gate, 1)
    # What ends the link; (kind, flags, stream, payload).
    deadly = {
        "an answer on a stream to come": [(h2.HEADERS, h2.DONE, 101, head()), (h2.DATA, h2.END, 101, b"mallory")],
        "data on a stream to come": [(h2.DATA, h2.END, 99, b"mallory")],
        "a reset of a stream to come": [(h2.RST_STREAM, 0, 97, b"\0\0\0\0")],
        "a window for a stream to come": [(h2.WINDOW_UPDATE, 0, 95, b"\0\0\1\0")],
        "a stream of its own": [(h2.HEADERS, h2.DONE | h2.END, 2, h2.literal((":method", "GET"), (":scheme", "http"), (":path", "/"),
                                                                          (":authority", "own.example.com")))],
        "a promise": [(5, h2.DONE, 1, b"\0\0\0\2" + h2.literal((":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "x")))],
        "an answer on no stream": [(h2.HEADERS, h2.DONE, 0, head())],
        "an endless head": [(h2.HEADERS, 0, 1, head()), (h2.DATA, 0, 1, b"x")],
        "a window past its bound": [(h2.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff")] * 2,
        "a frame over the bound": [(h2.DATA, 0, 1, bytes(1 << 20))],
        "no HPACK": [(h2.HEADERS, h2.DONE, 1, b"\xff\xff\xff\xff\xff\xff")],
    }
    with gate.conn() as c:
        c.send(wire.request_bytes("GET", "/", host="app.example.com"))
        assert held.wait(60)
        for why, frames in deadly.items():
            mallory = FallenAgent(nodes, gate, "ag-mallory")
            eventually(lambda m=mallory: m.requests, 20, f"{why}: no link")
            begin = time.monotonic()
            for frame in frames:
                mallory.frames.send(*frame)
            assert mallory.is_over.wait(60), f"the link goes on after {why}"
            print(f"{why}: the link ended after {time.monotonic() - begin:.2f} s")
            mallory.close()
        links.links_open(gate, 1)
        go.set()
        a = c.answer()
        same((a.status, a.body), (200, b"victim"))
    same(visit(gate).body, b"victim")
    ends = [x["error"] for x in gate.lines() if x.get("event") == "link_closed" and x["agent"] == "ag-mallory"]
    same(len(ends), len(deadly))
    assert "no way to the other end" not in ends, ends  # that is silence: it was not waited for
    same([x for x in gate.lines() if x.get("event") == "worker_died"], [])


def story_what_an_agent_says_beside_its_answer_stays_here(t, seconds=120):
    """Fields of ours in its answers and trailers, and refusals that it may not give, never come to a visitor."""
    nodes = links.Nodes(t)
    gate = two_hosts(t, nodes)
    lies = [("sekisho-target", "tg-app"), ("sekisho-client", "127.0.0.1"), ("sekisho-anything", "1"), ("x-sekisho-request-id", "mallory"),
            ("x-sekisho-user", "root"), ("tailscale-user-login", "root@example.com")]

    def script(frames, stream):
        frames.send(h2.HEADERS, h2.DONE, stream, head("103", *lies, ("link", "</x>")))
        answer(frames, stream, *lies, ("x-own", "1"))

    mallory = FallenAgent(nodes, gate, "ag-mallory", script)
    links.links_open(gate, 1)
    for n in range(4):
        a = visit(gate, "own.example.com", fields=[("TE", "trailers")])
        same((a.status, a.body, a.get("x-own")), (200, b"mallory", "1"))
        names = {name.lower() for name, value in a.fields if value in ("tg-app", "127.0.0.1", "mallory", "root", "root@example.com") or
                 name.lower().startswith("sekisho-")}
        same(names, set(), a.fields)
    mallory.close()
    links.links_open(gate, 0)
    # In trailers they make a broken answer: it never ends cleanly, and they come to nobody.
    mallory = FallenAgent(nodes, gate, "ag-mallory", lambda f, s: answer(f, s, trailers=[("sekisho-anything", "planted"), ("x-end", "1")]))
    links.links_open(gate, 1)
    with gate.conn() as c:
        c.send(wire.request_bytes("GET", "/", [("TE", "trailers")], host="own.example.com"))
        got = c.to_end()
        assert b"planted" not in got and b"\r\n0\r\n" not in got, got
    mallory.close()
    links.links_open(gate, 0)
    # A word of refusal is believed of requests that did not get to a service; it makes no other agent's target worse, and is not passed on.
    for n, word in enumerate(REFUSED):
        mallory = FallenAgent(nodes, gate, "ag-mallory", lambda f, s, w=word: answer(f, s, ("sekisho-refused", w), status="502", body=b"secret"))
        links.links_open(gate, 1)
        a = visit(gate, "own.example.com")
        assert a.status in (502, 503) and a.get("sekisho-refused") is None, (word, a)
        mallory.close()
        links.links_open(gate, 0)
    app = t.sample()
    links.agent(t, nodes, [gate], {"tg-app": app.url}, name="ag-victim")
    links.links_open(gate, 1)
    same(visit(gate).status, 200)


def story_a_visitors_fields_are_never_ours(t):
    """sekisho-* of a visitor choose no target, no client and no id, and come to no service, however they are written."""
    nodes = links.Nodes(t)
    gate = two_hosts(t, nodes)
    app = t.sample("--record")
    links.agent(t, nodes, [gate], {"tg-app": app.url}, name="ag-victim")
    mallory = FallenAgent(nodes, gate, "ag-mallory", answer)
    links.links_open(gate, 2)
    before = len(mallory.requests)
    for spelling in ("sekisho-target", "Sekisho-Target", "SEKISHO-TARGET"):
        a = visit(gate, fields=[(spelling, "tg-own"), ("Sekisho-Client", "203.0.113.9"), ("sekisho-service", "own"), ("Sekisho-Refused", "target"),
                                ("sekisho-request-id", "a" * 22), ("sekisho-worker", "0/1"), ("sekisho-state", "leaving"),
                                ("sekisho-local", "1.2.3.4:5"), ("sekisho-client-port", "1"), ("Connection", "Sekisho-Service, close")])
        same((a.status, len(a.body)), (200, 3))
        seen = str(app.last())
        assert "203.0.113.9" not in seen and "sekisho-" not in seen.lower().replace("x-sekisho-", "").replace("via': 'sekisho", ""), seen
    context = ssl.create_default_context(cafile=str(t.certs().cert))
    c = h2_client.Conn(gate.tls_port, context=context, name="app.example.com")
    c.ask(1, h2_client.request("/bytes/3", authority="app.example.com", more=[("sekisho-target", "tg-own"), ("sekisho-client", "203.0.113.9")]))
    same(c.end_of(1)[:2], ("answer", 200))
    assert "203.0.113.9" not in str(app.last())
    # What the link itself is asked, a visitor cannot ask.
    a = wire.ask(gate.port, "POST", "/.sekisho/link", [("Host", "app.example.com"), ("sekisho-worker", "0/1"), ("sekisho-state", "serving")], body="")
    assert a.status not in (204,), a
    same(len(mallory.requests), before)
    mallory.close()


def story_a_gateway_makes_an_agent_dial_nothing_else(t, seconds=120):
    """CONNECT and its kin to addresses, ports and ids that are not offered: refused, and nobody is dialled."""
    nodes = links.Nodes(t)
    fallen = FallenGateway(t, nodes, nodes.node("gateway", "gw-one"))
    dialled = []
    beside = socket.create_server(("127.0.0.1", 0))
    beside.settimeout(60)
    threading.Thread(target=lambda: _note(beside, dialled), daemon=True).start()
    port = beside.getsockname()[1]
    app = t.sample("--record")
    agent = links.agent(t, nodes, [fallen], {"tg-app": app.url}, allow=[f"127.0.0.1:{app.port}"])
    c = h2_client.Conn.on(fallen.accept())
    places = ["169.254.169.254:80", f"127.0.0.1:{port}", f"[::1]:{port}", f"localhost:{port}", f"0.0.0.0:{port}", f"[::ffff:127.0.0.1]:{port}",
              f"2130706433:{port}", f"127.1:{port}", f"0x7f000001:{port}", f"127.0.0.1:{app.port}", "10.0.0.1:22", "metadata.google.internal:80"]
    number = 1

    def ask(fields, is_end=True):
        nonlocal number
        c.ask(number, fields, is_end=is_end)
        got = c.end_of(number)
        number += 2
        return got

    for place in places:
        for more in ([], [("sekisho-target", place)], [("sekisho-target", "tg-app")], [("sekisho-target", f"http://{place}")]):
            for kind in ([], [("host", place)], [("sekisho-service", place)], [("x-forwarded-host", place)]):
                got = ask([(":method", "CONNECT"), (":authority", place), *more, *kind], is_end=False)
                assert got[0] == "reset" or got[0] == "answer" and got[1] >= 400, (place, more, kind, got)
        for protocol in ("websocket", "connect-udp"):
            got = ask([(":method", "CONNECT"), (":protocol", protocol), (":scheme", "https"), (":path", f"/.well-known/masque/udp/{place.rsplit(':', 1)[0]}/53/"),
                       (":authority", place), ("capsule-protocol", "?1")], is_end=False)
            assert got[0] == "reset" or got[0] == "answer" and got[1] >= 400, (place, protocol, got)
        # A place in the fields of a request for what is offered is no place to dial: its own target is asked, or nobody.
        got = ask(h2_client.request("/bytes/3", authority=place, more=[("sekisho-target", "tg-app"), ("sekisho-service", place)]))
        assert got[:2] in (("answer", 200), ("answer", 400)), (place, got)
    for path in (f"http://127.0.0.1:{port}/", f"//127.0.0.1:{port}/", f"/@127.0.0.1:{port}/"):
        got = ask(h2_client.request(path, authority="tg-app.sekisho.internal", more=[("sekisho-target", "tg-app")]))
        assert got[0] in ("answer", "reset"), (path, got)
    # Ids that are none, another agent's, too long; two of them; from an address that is none.
    for fields in ([("sekisho-target", "tg-other")], [("sekisho-target", "")], [("sekisho-target", "tg-app,tg-other")], [("sekisho-target", "TG-APP")],
                   [("sekisho-target", "x" * 4000)], [("sekisho-target", "../tg-app")], [("sekisho-target", "tg-other"), ("sekisho-target", "tg-app")],
                   [("sekisho-service", "tg-app")], [("sekisho-target", "tg-app"), ("sekisho-client", "::ffff:127.0.0.1:1")],
                   [("sekisho-target", "tg-app"), ("sekisho-request-id", "A" * 22)]):
        got = ask(h2_client.request("/bytes/3", authority="tg-app.sekisho.internal", more=fields))
        assert got[0] == "reset" or got[0] == "answer" and got[1] in (400, 403, 404), (fields, got)
    same(ask(h2_client.request("/bytes/3", authority="tg-app.sekisho.internal", more=[("sekisho-target", "tg-app")]))[:2], ("answer", 200))
    same(dialled, [], "an agent dialled what it does not offer")
    same(agent.process.poll(), None)
    beside.close()


def _note(listener, dialled):
    while True:
        try:
            dialled.append(listener.accept()[1])
        except OSError:
            return
