"""The PROXY header in front of our connections to upstreams: whose they are, and never anybody else's."""

import ipaddress
import socket
import struct
import threading

from lib import wire
from lib.stage import eventually, same
from lib.upstream import ok

ONE = {"workers": 1}
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


class Raw:
    """Reads from the socket what it is asked for and not a byte more: TLS comes behind it."""

    def __init__(self, sock):
        self.sock = sock

    def exactly(self, count):
        return self.sock.recv(count, socket.MSG_WAITALL)


def read_header(peer):
    """(source, port) of the PROXY header in front; or None for one without."""
    first = peer.exactly(12)
    if first == SIGNATURE:
        command, family, length = struct.unpack("!BBH", peer.exactly(4))
        body = peer.exactly(length)
        if command == 0x20:
            return None
        assert (command, family) == (0x21, 0x11), (command, family)
        return str(ipaddress.ip_address(body[:4])), struct.unpack("!H", body[8:10])[0]
    words = (first + peer.until(b"\r\n")).decode().split()
    assert words[0] == "PROXY", words
    return None if words[1] == "UNKNOWN" else (words[2], int(words[4]))


def teller(t, tls=None):
    """An upstream that answers with whom the header named; `seen` has what came on each connection."""
    seen, lock = [], threading.Lock()

    def on_connect(peer):
        who = read_header(Raw(peer.sock) if tls else peer)
        if tls:
            peer.sock = tls.wrap_socket(peer.sock, server_side=True)
        while (request := peer.request()) is not None:
            with lock:
                seen.append((who, request.target))
            peer.send(ok(str(who)))

    return t.upstream(on_connect=on_connect), seen


def story_the_upstream_learns_who_is_connected(t):
    for version in ("v1", "v2"):
        up, seen = teller(t)
        gate = t.proxy(up, gateway=ONE, upstream={"proxyProtocol": version})
        for source in ("127.0.0.1", "127.0.0.5", "127.0.0.9"):
            with wire.Conn(gate.port, source=source) as c:
                port = c.sock.getsockname()[1]
                for _ in range(2):
                    same(c.send(wire.request_bytes("GET", "/")).answer().text, str((source, port)), version)
        same(len(up.peers), 6, "a connection each")  # none serves a second request


def story_a_trusted_proxy_speaks_for_its_client(t):
    up, seen = teller(t)
    gate = t.proxy(up, gateway={**ONE, "trustedProxies": ["127.0.0.1"]}, upstream={"proxyProtocol": "v2"})
    same(gate.get("/", {"X-Forwarded-For": "203.0.113.7"}, token=False).text, str(("203.0.113.7", 0)))


def story_our_own_checks_are_nobodys(t):
    up, seen = teller(t)
    t.proxy(up, gateway=ONE, upstream={"proxyProtocol": "v1", "health": {"path": "/healthz", "interval": "100ms"}})
    eventually(lambda: len(seen) >= 2, 5, "no checks")
    same(set(seen), {(None, "/healthz")})


def story_the_header_stands_before_tls(t):
    ca = t.certs()
    up, seen = teller(t, tls=ca.server("localhost"))
    gate = t.proxy(f"https://localhost:{up.port}", gateway=ONE,
                   upstream={"proxyProtocol": "v2", "tls": {"ca": str(ca.cert)}})
    with wire.Conn(gate.port, source="127.0.0.6") as c:
        port = c.sock.getsockname()[1]
        same(c.send(wire.request_bytes("GET", "/")).answer().text, str(("127.0.0.6", port)))
