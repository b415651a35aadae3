"""TLS that gateways pass on unopened: found by the name its first message asks for, ended by what stands beside an agent."""

import os
import socket
import ssl
import struct
import subprocess

from lib.patience import PATIENCE
from lib.control_role import Control
from lib.stage import eventually, same
from link.joined import house, visit
from link.streams import Server


class Tls(Server):
    """Ends TLS with a certificate of its own, says which bytes came before it, and echoes."""

    def __init__(self, t, host):
        self.cert, self.key = t.certs().issue(host)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.cert, self.key)
        self.heads = []
        super().__init__(self.echo)

    def echo(self, sock, seen):
        head = b""
        while sock.recv(1, socket.MSG_PEEK) == b"P":  # of the PROXY protocol, version 1
            while not head.endswith(b"\r\n"):
                head += sock.recv(1)
        self.heads.append(head)
        with self.context.wrap_socket(sock, server_side=True) as tls:
            while data := tls.recv(65536):
                tls.sendall(data)
            seen.append("end")


def asked(port, host, data=b"ping", alpn=None):
    """(the certificate's name, what came back) of a TLS connection that asks for the name; None: there was none."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    try:
        with context.wrap_socket(socket.create_connection(("127.0.0.1", port), PATIENCE), server_hostname=host) as s:
            der = s.getpeercert(True)
            s.sendall(data)
            got = b""
            while len(got) < len(data) and (more := s.recv(65536)):
                got += more
            return der, got
    except (OSError, ssl.SSLError):
        return None


def der_of(path):
    return ssl.PEM_cert_to_DER_cert(open(path).read())


def made(control, name, hosts, port, access=None, settings=None, target=None):
    return control.made("/services", {"name": name, "kind": "passthrough", "hosts": hosts, "access": access or {"kind": "public"},
                                      "settings": settings or {},
                                      "targets": [{"agent": "home", "url": f"tcp://localhost:{port}", **(target or {})}]})


def passes(gate, agent, host, server):
    eventually(lambda: asked(gate.tls_port, host) == (der_of(server.cert), b"ping"), 30,
               lambda: f"not passed on:\n{gate.text()[-3000:]}\n{agent.text()[-3000:]}")


def counted(gate, metric, label):
    return sum(v for k, v in gate.metrics().items() if k.startswith(metric) and f'"{label}"' in k)


def gateways_own(gate, host):
    """The gateway ends it: its certificate, and HTTP."""
    found = asked(gate.tls_port, host, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return found and found[0]


def story_tls_is_passed_on_by_the_name_it_asks_for(t, seconds=150):
    control, gate, agent = house(t)
    server = Tls(t, "db.example.com")
    service = made(control, "db", ["db.example.com", "*.db.example.com"], server.port)
    passes(gate, agent, "db.example.com", server)
    passes(gate, agent, "one.db.example.com", server)
    passes(gate, agent, "DB.Example.com", server)
    data = os.urandom(50_000)
    same(asked(gate.tls_port, "db.example.com", data)[1], data)
    assert gateways_own(gate, "app.example.com") not in (None, der_of(server.cert))
    for host in ("other.example.com", "example.com", None):  # a name nobody has is refused, or meets the gateway's certificate
        assert gateways_own(gate, host) != der_of(server.cert), host
    assert visit(gate, "/", "db.example.com") in (404, 421), "asked for in the clear"
    openssl = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{gate.tls_port}", "-servername", "db.example.com",
                              "-CAfile", str(t.certs().cert), "-verify_return_error", "-brief"], input=b"", capture_output=True,
                             timeout=PATIENCE)
    same(openssl.returncode, 0, openssl.stderr)
    eventually(lambda: counted(gate, "sekisho_requests_total", service["id"]) >= 3, 10, "not counted under its name")
    control.ask("PATCH", f"/services/{service['id']}", {"hosts": ["moved.example.com"]})
    passes(gate, agent, "moved.example.com", server)
    eventually(lambda: asked(gate.tls_port, "db.example.com", b"GET / HTTP/1.1\r\n\r\n") is None or
               gateways_own(gate, "db.example.com") != der_of(server.cert), 20, "still passed on")


def hello_of(host):
    """The first flight of a client that asks for the name: one record."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    inside, outside = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(inside, outside, server_hostname=host)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return tls, inside, outside, outside.read()


def records(hello, size):
    """The same handshake message, in records of so many bytes."""
    message, out = hello[5:], b""
    for at in range(0, len(message), size):
        piece = message[at:at + size]
        out += hello[:3] + struct.pack(">H", len(piece)) + piece
    return out


def answered(port, host, pieces):
    """The certificate that a client sees whose first message came in these pieces."""
    tls, inside, outside, hello = hello_of(host)
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces(hello):
            s.sendall(piece)
        while True:
            try:
                tls.do_handshake()
                return tls.getpeercert(True)
            except ssl.SSLWantReadError:
                data = s.recv(65536)
                if not data:
                    return None
                inside.write(data)
            except (OSError, ssl.SSLError):
                return None


def story_a_first_message_comes_as_it_likes(t, seconds=150):
    control, gate, agent = house(t, workers=1)
    server = Tls(t, "db.example.com")
    made(control, "db", ["db.example.com"], server.port)
    passes(gate, agent, "db.example.com", server)
    theirs = der_of(server.cert)
    for why, pieces in (("one byte a segment", lambda h: [h[i:i + 1] for i in range(len(h))]),
                        ("records of 1 byte", lambda h: [records(h, 1)]),
                        ("records of 7 bytes", lambda h: [records(h, 7)]),
                        ("cut inside the name", lambda h: [h[:h.index(b"db.exam") + 3], h[h.index(b"db.exam") + 3:]])):
        same(answered(gate.tls_port, "db.example.com", pieces), theirs, why)
    before = len(server.heads)
    for why, data in (("plain HTTP", b"GET / HTTP/1.1\r\nHost: db.example.com\r\n\r\n"),
                      ("no handshake", b"\x17\x03\x03\x00\x05hello"),
                      ("a record of nothing", b"\x16\x03\x01\x00\x00"),
                      ("a message longer than any", b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + b"x" * 20000),
                      ("cut", hello_of("db.example.com")[3][:60])):
        with socket.create_connection(("127.0.0.1", gate.tls_port), PATIENCE) as s:
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except OSError:
                pass
    same(len(server.heads), before, "something of that got to the target")
    passes(gate, agent, "db.example.com", server)


def story_a_slow_first_message_is_not_waited_for(t, seconds=120):
    control, gate, agent = house(t, workers=1)
    server = Tls(t, "db.example.com")
    made(control, "db", ["db.example.com"], server.port)
    passes(gate, agent, "db.example.com", server)
    gate.config["gateway"].setdefault("limits", {})["tlsTimeout"] = "300ms"
    gate.reload(gate.config)
    before = len(server.heads)
    with socket.create_connection(("127.0.0.1", gate.tls_port), PATIENCE) as s:
        s.sendall(hello_of("db.example.com")[3][:20])
        try:
            same(s.recv(1), b"")
        except ConnectionResetError:
            pass
    same(len(server.heads), before)
    eventually(lambda: counted(gate, "sekisho_refused_total", "tls_timeout"), 10, "not counted")


def story_rules_of_addresses_and_limits_hold_for_what_is_passed_on(t, seconds=150):
    control, gate, agent = house(t, workers=2)
    server = Tls(t, "x.example.com")
    made(control, "ours", ["ours.example.com"], server.port)
    made(control, "theirs", ["theirs.example.com"], server.port, {"kind": "public", "allowed_ips": ["192.0.2.0/24"]})
    made(control, "not", ["not.example.com"], server.port, {"kind": "public", "denied_ips": ["127.0.0.0/8"]})
    made(control, "few", ["few.example.com"], server.port, settings={"maxConnections": 2})
    made(control, "slow", ["slow.example.com"], server.port, settings={"rateLimit": "2/h"})
    passes(gate, agent, "ours.example.com", server)
    passes(gate, agent, "few.example.com", server)
    for host in ("theirs.example.com", "not.example.com"):
        eventually(lambda host=host: asked(gate.tls_port, host, b"x") is None, 20, f"{host} was served")
    eventually(lambda: counted(gate, "sekisho_refused_total", "route_address") >= 2, 10, "not counted")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def opened():
        s = socket.create_connection(("127.0.0.1", gate.tls_port), PATIENCE)
        try:
            return context.wrap_socket(s, server_hostname="few.example.com")
        except OSError:
            return None

    def two():  # those before may still be counted
        found = [opened(), opened()]
        if all(found):
            return found
        for one in found:
            one and one.close()
        return None

    kept = eventually(two, 20, "not even two")
    same(opened(), None, "a third one")
    kept[0].close()
    eventually(lambda: asked(gate.tls_port, "few.example.com") is not None, 20, "none may come after one has gone")
    kept[1].close()
    found = [asked(gate.tls_port, "slow.example.com") is not None for _ in range(5)]
    assert sum(found) <= 2, found


def story_the_target_is_told_who_connects(t, seconds=120):
    control, gate, agent = house(t, workers=1)
    server = Tls(t, "db.example.com")
    made(control, "db", ["db.example.com"], server.port, target={"settings": {"proxyProtocol": "v1"}})
    passes(gate, agent, "db.example.com", server)
    head = server.heads[-1].decode().split()
    same(head[:4], ["PROXY", "TCP4", "127.0.0.1", "127.0.0.1"], head)
    same(head[5], str(gate.tls_port), head)


def story_what_control_will_not_take(t, seconds=60):
    control = Control(t).claim()
    good = {"name": "db", "kind": "passthrough", "hosts": ["db.example.com"]}
    for why, change, status, word in (
            ("a token nobody can show", {"access": {"kind": "token"}}, 400, "no key"),
            ("a path nobody sees", {"path": "/x"}, 400, "path"),
            ("no name", {"hosts": []}, 400, "hosts"),
            ("a port", {"listen": ["0.0.0.0:1"]}, 400, "listen"),
            ("a setting of routes", {"settings": {"compress": True}}, 400, "compress"),
            ("a limit that is none", {"settings": {"maxConnections": -1}}, 400, "maxConnections"),
            ("a rate that is none", {"settings": {"rateLimit": 5}}, 400, "rateLimit"),
            ("a prefix that is none", {"access": {"kind": "public", "denied_ips": ["10.0.0.0/33"]}}, 400, "10.0.0.0/33")):
        a = control.ask("POST", "/services", {**good, **change})
        same(a.status, status, f"{why}: {a}")
        assert word in a.text, (why, a)
    same(control.ask("POST", "/services", good).status, 201)
    a = control.ask("POST", "/services", {"name": "web", "kind": "http", "hosts": ["db.example.com"], "path": "/x"})
    same(a.status, 409, a)
    assert "\"db\"" in a.json["error"]["message"], a
