"""A balancer in front says who is connected: believed from listed peers only."""

import socket
import struct

from lib import wire
from lib.stage import free_port, same
from lib.upstream import always, ok

V1 = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n"
V2 = (b"\r\n\r\n\x00\r\nQUIT\n" + bytes([0x21, 0x11]) + struct.pack(">H", 12) +
      socket.inet_aton("203.0.113.8") + socket.inet_aton("192.0.2.1") + struct.pack(">HH", 4712, 443))
LOCAL = b"\r\n\r\n\x00\r\nQUIT\n" + bytes([0x20, 0x00]) + struct.pack(">H", 0)
ASK = b"GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n"


def front(t, up, trusted, **gateway):
    port = free_port()
    gate = t.proxy(up, gateway={"listen": [{"address": f"127.0.0.1:{port}", "proxyProtocol": True, **gateway.pop("listen", {})}],
                                "trustedProxies": trusted, "limits": {"headerTimeout": "5m"}, **gateway})
    return gate, port


def seen_address(up):
    return up.requests[-1].get("x-forwarded-for")


def story_a_listed_peer_says_who_it_is(t):
    up = t.upstream(always(ok()))
    gate, port = front(t, up, ["127.0.0.1"])
    for header, address in ((V1, "203.0.113.7"), (V2, "203.0.113.8"), (LOCAL, "127.0.0.1")):
        with wire.Conn(port) as c:
            same(c.send(header + ASK).answer().status, 200)
            same(seen_address(up), address)
        with wire.Conn(port) as c:  # in drops
            for byte in header + ASK:
                c.send(bytes([byte]))
            same(c.answer().status, 200)
            same(seen_address(up), address)


def story_a_listed_peer_without_the_header_is_dropped(t):
    up = t.upstream(always(ok()))
    gate, port = front(t, up, ["127.0.0.1"])
    for wrong in (ASK, b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 99999\r\n" + ASK, b"\r\n\r\n\x00\r\nQUIT\n\x31" + ASK):
        with wire.Conn(port) as c:
            c.send(wrong)
            assert c.is_closed(), "a connection without a proper header was kept"
    same(len(up.requests), 0)


def story_an_unlisted_peer_is_not_believed(t):
    up = t.upstream(always(ok()))
    gate, port = front(t, up, ["198.51.100.1"])
    with wire.Conn(port) as c:
        same(c.send(V1 + ASK).answer().status, 400)
    with wire.Conn(port) as c:
        same(c.send(ASK).answer().status, 200)
        same(seen_address(up), "127.0.0.1")


def story_the_address_rule_judges_the_client_behind(t):
    up = t.upstream(always(ok()))
    gate, port = front(t, up, ["127.0.0.1"], allowedIps=["203.0.113.7", "127.0.0.1"])
    with wire.Conn(port) as c:
        same(c.send(V1 + ASK).answer().status, 200)
    with wire.Conn(port) as c:
        same(c.send(V2 + ASK).answer().status, 403)
