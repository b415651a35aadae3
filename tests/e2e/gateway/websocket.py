"""Upgraded connections: bytes pass both ways, as they are, until either side ends."""

import base64
import hashlib
import os
import time

from lib import h2_client as h2
from lib.stage import eventually, merge, same, sha256, within
from lib.upstream import ok

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HELLO = (f"GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: {KEY}\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\r\n")


def accept_of(key):
    return base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()


def echo_head(peer):
    """Takes the upgrade."""
    head = peer.until(b"\r\n\r\n").decode()
    key = next(line.split(":")[1].strip() for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key"))
    peer.send(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              f"Sec-WebSocket-Accept: {accept_of(key)}\r\nSec-WebSocket-Protocol: chat\r\n\r\n")


def echo(peer):
    """Takes the upgrade, then gives every byte back."""
    echo_head(peer)
    while True:
        if not peer.rest and not peer._more():
            peer.close()
            return
        data, peer.rest = peer.rest, b""
        peer.send(data)


def story_bytes_pass_both_ways(t):
    gate = t.proxy(t.upstream(on_connect=echo))
    with gate.conn() as c:
        a = c.send(HELLO).answer()
        same((a.status, a.get("sec-websocket-accept"), a.get("sec-websocket-protocol")), (101, accept_of(KEY), "chat"))
        same(a.get("upgrade", "").lower(), "websocket")
        for size in (1, 125, 70000, 500000):
            data = os.urandom(size)
            c.send(data)
            same(c.exactly(size) == data, True, f"{size} bytes")

        def took():
            begin = time.monotonic()
            c.send(b"x")
            c.exactly(1)
            return time.monotonic() - begin

        within(0.05, took, "a byte was held back")


def story_bytes_sent_with_the_upgrade_are_not_lost(t):
    gate = t.proxy(t.upstream(on_connect=echo))
    with gate.conn() as c:
        c.send(HELLO.encode() + b"early")
        same(c.answer().status, 101)
        same(c.exactly(5), b"early")


def story_either_end_may_end_it(t):
    up = t.upstream(on_connect=echo)
    gate = t.proxy(up)
    c = gate.conn()
    same(c.send(HELLO).answer().status, 101)
    c.close()
    assert up.wait_peer().wait_closed(), "the upstream does not know that the client left"
    with gate.conn() as c:
        same(c.send(HELLO).answer().status, 101)
        up.wait_peer(2).reset()
        assert c.is_closed(), "the client does not know that the upstream left"


def story_an_upstream_that_leaves_first_leaves_nothing_behind(t):
    def greet(peer):
        echo_head(peer)
        peer.send(b"bye")
        peer.close()

    gate = t.proxy(t.upstream(on_connect=greet))
    before = gate.metrics()["sekisho_requests_active"]
    for _ in range(20):
        with gate.conn() as c:
            same(c.send(HELLO).answer().status, 101)
            same(c.to_end(), b"bye")
    eventually(lambda: gate.metrics()["sekisho_requests_active"] <= before, 3, "exchanges of closed tunnels are still there")


def story_what_is_said_before_a_half_close_arrives(t):
    def farewell(peer):
        peer.until(b"\r\n\r\n")
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  b"Sec-WebSocket-Accept: " + accept_of(KEY).encode() + b"\r\n\r\n")
        while peer._more():
            pass
        peer.send(b"farewell")
        peer.close()

    gate = t.proxy(t.upstream(on_connect=farewell))
    with gate.conn() as c:
        same(c.send(HELLO).answer().status, 101)
        c.send(b"bye")
        c.shut()
        same(c.to_end(), b"farewell")


def story_a_refused_upgrade_is_an_ordinary_answer(t):
    up = t.upstream(lambda peer, request: peer.send(ok(b"no", "X-Why: not here\r\n")))
    gate = t.proxy(up)
    with gate.conn() as c:
        a = c.send(HELLO).answer()
        same((a.status, a.body, a.get("x-why")), (200, b"no", "not here"))
        inside = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        same(c.send(inside).answer().status, 200)
    same([r.target for r in up.requests], ["/chat", "/smuggled"])


def story_an_upgrade_is_asked_for_its_token(t):
    up = t.upstream(on_connect=echo)
    gate = t.gateway(upstreams={"app": {"targets": [up.url]}}, routes=[{"path": "/", "upstream": "app", "access": {"token": "proxy"}}])
    with gate.conn() as c:
        same(c.send(HELLO).answer().status, 401)
    same(up.peers, [])
    with gate.conn() as c:
        same(c.send(HELLO[:-2] + f"Authorization: Bearer {gate.token}\r\n\r\n").answer().status, 101)


def story_a_reload_ends_tunnels_whose_token_is_gone(t):
    other = t.secret("other")
    tokens = [{"name": "story", "sha256": sha256(t.token)}, {"name": "other", "sha256": sha256(other)}]
    up = t.upstream(on_connect=echo)
    gate = t.gateway(upstreams={"app": {"targets": [up.url], "protocol": "h1"}}, gateway={"apiTokens": tokens, "workers": 1}, routes=[
        {"path": "/open", "upstream": "app", "access": "public"}, {"path": "/", "upstream": "app", "access": {"token": "proxy"}}])

    def tunnel(token, path="/chat"):
        c = gate.conn()
        hello = HELLO.replace("/chat", path)
        same(c.send(hello[:-2] + f"Authorization: Bearer {token}\r\n\r\n").answer().status, 101)
        return c

    gone, stays, public = tunnel(t.token), tunnel(other), tunnel(t.token, "/open")
    over_http2 = h2.Conn(gate.port)
    over_http2.ask(1, [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/chat"), (":authority", "x"),
                       ("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat"), ("authorization", f"Bearer {t.token}")], is_end=False)
    same(h2.status_of(over_http2.until(lambda kind, *_: kind == h2.HEADERS)[3]), 200)
    gate.reload()  # nothing was taken away
    for c in (gone, stays, public):
        same(c.send(b"hello").exactly(5), b"hello")
    gate.reload(merge(gate.config, {"gateway": {"apiTokens": tokens[1:]}}))
    assert gone.is_closed(), "a revoked token's tunnel goes on"
    same(over_http2.end_of(1)[0], "reset")
    for c in (stays, public):
        same(c.send(b"hello").exactly(5), b"hello")
    gate.counted('sekisho_refused_total{reason="token_revoked"}', 2)
    same([x["token"] for x in gate.access_log() if x.get("reason") == "token_revoked"], ["story", "story"])
    eventually(lambda: sum(p.closed_at is not None for p in up.peers) == 2, 5, "the upstream does not know")
    gate.reload(merge(gate.config, {"gateway": {"apiTokens": [{**tokens[1], "scopes": ["llm"]}]}}))
    assert stays.is_closed(), "a token without the scope keeps its tunnel"
    same(public.send(b"hello").exactly(5), b"hello")


def story_a_quiet_tunnel_is_closed(t):
    gate = t.proxy(t.upstream(on_connect=echo), upstream={"timeouts": {"tunnel": "500ms"}})
    with gate.conn() as c:
        begin = time.monotonic()
        same(c.send(HELLO).answer().status, 101)
        assert c.is_closed() and time.monotonic() - begin >= 0.5
