"""TLS towards clients and towards upstreams."""

import socket
import ssl
import time

from lib import wire
from lib.stage import eventually, free_port, merge, same
from lib.upstream import always, ok


def pair(found):
    return {"cert": str(found[0]), "key": str(found[1])}


def secure(t, *names, **more):
    """A gateway that speaks TLS on its port, with one certificate for each name."""
    ca = t.certs()
    certificates = [pair(ca.issue(name)) for name in names]
    sections = merge({"gateway": {"certificates": certificates, "listen": [{"address": f"127.0.0.1:{free_port()}", "tls": True}]},
                      "routes": [{"path": "/", "respond": {"body": "the-app"}, "access": "public"}]}, more)
    gate = t.gateway(**sections)
    gate.tls_port = int(gate.config["gateway"]["listen"][0]["address"].rsplit(":", 1)[1])
    return gate, ca


def names_of(conn):
    return {value for _, value in conn.sock.getpeercert()["subjectAltName"]}


def story_the_name_asked_chooses_the_certificate(t):
    gate, ca = secure(t, "a.example", "b.example", "*.c.example")
    for name, certificate in (("a.example", "a.example"), ("b.example", "b.example"), ("x.c.example", "*.c.example")):
        with wire.Conn(gate.tls_port, ca.client(), name) as c:
            same(names_of(c), {certificate})
            same(c.send(wire.request_bytes("GET", "/", host=name)).answer().text, "the-app")


def story_another_name_than_the_one_asked_is_misdirected(t):
    gate, ca = secure(t, "a.example", "b.example", routes=[{"host": "a.example", "path": "/", "respond": {"body": "a"}, "access": "public"},
                                                           {"host": "b.example", "path": "/", "respond": {"body": "b"}, "access": "public"}])
    with wire.Conn(gate.tls_port, ca.client(), "a.example") as c:
        same(c.send(wire.request_bytes("GET", "/", host="a.example")).answer().text, "a")
        same(c.send(wire.request_bytes("GET", "/", host="b.example")).answer().status, 421)
    with wire.Conn(gate.tls_port, ca.client(), "a.example") as c:
        assert c.send(wire.request_bytes("GET", "/", host="c.example")).answer().status in (404, 421)


def story_old_versions_are_refused(t):
    gate, ca = secure(t, "a.example")
    for version, good in ((ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_1, False)):
        context = ca.client()
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        try:
            wire.Conn(gate.tls_port, context, "a.example").close()
            assert good, f"{version.name} was accepted"
        except ssl.SSLError:
            assert not good, f"{version.name} was refused"


def story_plain_text_on_the_tls_port_gets_no_answer_of_the_app(t):
    gate, _ = secure(t, "a.example")
    with wire.Conn(gate.tls_port) as c:
        c.send(wire.request_bytes("GET", "/"))
        got = c.to_end()
        assert b"the-app" not in got, got


def story_alpn_is_agreed(t):
    gate, ca = secure(t, "a.example")
    context = ca.client()
    context.set_alpn_protocols(["http/1.1"])
    with wire.Conn(gate.tls_port, context, "a.example") as c:
        same(c.sock.selected_alpn_protocol(), "http/1.1")
    context = ca.client()
    context.set_alpn_protocols(["nonsense"])
    try:
        wire.Conn(gate.tls_port, context, "a.example").close()
        raise AssertionError("no protocol in common, and yet a connection")
    except ssl.SSLError:
        pass


def resumed(gate, context, name, session):
    raw = socket.create_connection(("127.0.0.1", gate.tls_port), 5)
    with context.wrap_socket(raw, server_hostname=name, session=session) as s:
        s.sendall(wire.request_bytes("GET", "/", host=name))
        s.recv(65536)
        return s.session_reused, s.session


def story_a_session_is_resumed_under_its_own_name_only(t):
    gate, ca = secure(t, "a.example", "b.example", gateway={"workers": 1})
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ca.client()
        context.minimum_version = context.maximum_version = version
        reused, session = resumed(gate, context, "a.example", None)
        same(reused, False)
        same(resumed(gate, context, "a.example", session)[0], True, version.name)
        try:
            reused, _ = resumed(gate, context, "b.example", session)
        except (ValueError, ssl.SSLError):
            reused = False
        same(reused, False, f"{version.name} under another name")


def story_keys_of_tickets_are_shared_and_rotate(t):
    gate, ca = secure(t, "a.example", gateway={"workers": 2, "ticketRotation": "1h"})
    context = ca.client()
    _, session = resumed(gate, context, "a.example", None)
    same([resumed(gate, context, "a.example", session)[0] for _ in range(8)], [True] * 8, "any worker takes it up")
    gate.reload(merge(gate.config, {"gateway": {"ticketRotation": "3s"}}))
    time.sleep(3.5)
    same(resumed(gate, context, "a.example", session)[0], True, "the key before")
    eventually(lambda: not resumed(gate, context, "a.example", session)[0], 5, "an old key is good for ever")
    _, session = resumed(gate, context, "a.example", None)
    same(resumed(gate, context, "a.example", session)[0], True, "the present key")


def story_a_new_certificate_needs_no_restart(t):
    gate, ca = secure(t, "a.example")
    with wire.Conn(gate.tls_port, ca.client(), "a.example") as c:
        first = c.sock.getpeercert()["serialNumber"]
        ca.issue("a.example")
        gate.reload()
        same(c.send(wire.request_bytes("GET", "/", host="a.example")).answer().text, "the-app")

    def serial():
        with wire.Conn(gate.tls_port, ca.client(), "a.example") as again:
            return again.sock.getpeercert()["serialNumber"]

    from lib.stage import eventually

    eventually(lambda: serial() != first, 5, "the old certificate is still shown")


def story_a_handshake_that_hangs_is_ended(t):
    gate, ca = secure(t, "a.example", gateway={"limits": {"tlsTimeout": "500ms"}})
    with wire.Conn(gate.tls_port) as c:
        c.send(b"\x16\x03\x01\x02\x00\x01")
        assert c.is_closed() or c.at_end, "half a handshake is held for ever"
    with wire.Conn(gate.tls_port, ca.client(), "a.example") as c:
        same(c.send(wire.request_bytes("GET", "/", host="a.example")).answer().status, 200)


def story_http_is_sent_on_to_https(t):
    port = free_port()
    gate, _ = secure(t, "a.example", gateway={"redirectHttp": f"127.0.0.1:{port}"})
    a = wire.get(port, "/x?y=1", host="a.example")
    assert a.status in (301, 307, 308), a
    assert a.get("location").startswith("https://a.example") and a.get("location").endswith("/x?y=1"), a
    same(gate.process.poll(), None)


def story_big_bodies_pass_through_tls(t):
    model = t.sample()
    gate, ca = secure(t, "a.example", upstreams={"app": {"targets": [model.url]}},
                      routes=[{"path": "/", "upstream": "app", "access": "public"}])
    with wire.Conn(gate.tls_port, ca.client(), "a.example", timeout=30) as c:
        c.send(wire.request_bytes("GET", "/bytes/8MiB", host="a.example"))
        a = c.answer()
        same((len(a.body), a.body[:26]), (8 << 20, b"abcdefghijklmnopqrstuvwxyz"))
        c.send(wire.request_bytes("POST", "/sink", body=b"x" * 3000000, host="a.example"))
        same(c.answer().json["bytes"], 3000000)


def story_an_upstream_must_be_who_it_says(t):
    ca = t.certs()
    up = t.upstream(always(ok("secret")), tls=ca.server("127.0.0.1", "app.example"))
    good = t.proxy(up, upstream={"tls": {"ca": str(ca.cert)}})
    same(good.get("/", token=False).text, "secret")
    same(t.proxy(up).get("/", token=False).status, 502, "an authority nobody trusts")
    other = t.proxy(up, upstream={"tls": {"ca": str(ca.cert), "serverName": "other.example"}})
    same(other.get("/", token=False).status, 502, "another name")
    named = t.proxy(up, upstream={"tls": {"ca": str(ca.cert), "serverName": "app.example"}})
    same(named.get("/", token=False).text, "secret")
