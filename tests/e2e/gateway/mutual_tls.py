"""Certificates both ways: what upstreams must prove, what we show them, and clients that prove who they are."""

import hashlib
import socket
import ssl
import subprocess

from lib import certs, wire
from lib.stage import free_port, same
from lib.upstream import ok

ONE = {"workers": 1}


def other_authority(t):
    (t.folder / "other").mkdir()
    return certs.Authority(t.folder / "other")


def tls_upstream(t, ca, *names, client_ca=None):
    """An upstream that answers with the name it was asked for (SNI) and who its client is."""
    context = ca.server(*names)
    seen = []
    context.sni_callback = lambda sock, name, ctx: seen.append(name)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(str(client_ca.cert))

    def script(peer, request):
        subject = dict(x[0] for x in (peer.sock.getpeercert() or {}).get("subject", ()))
        peer.send(ok(f"sni={seen[-1]} client={subject.get('commonName')}"))

    return t.upstream(script, tls=context)


def story_an_upstream_must_prove_its_name(t):
    ca, other = t.certs(), other_authority(t)
    cases = [
        # why, authority of the upstream, its names, host in the URL, tls keys, status
        ("its name and our authority", ca, ["localhost"], "localhost", {"ca": str(ca.cert)}, 200),
        ("an address in the certificate", ca, ["127.0.0.1"], "127.0.0.1", {"ca": str(ca.cert)}, 200),
        ("an address, and only a name in it", ca, ["localhost"], "127.0.0.1", {"ca": str(ca.cert)}, 502),
        ("another name", ca, ["elsewhere.example"], "localhost", {"ca": str(ca.cert)}, 502),
        ("another name that we ask for", ca, ["app.example"], "localhost", {"ca": str(ca.cert), "serverName": "app.example"}, 200),
        ("the host, where we ask for another", ca, ["localhost"], "localhost", {"ca": str(ca.cert), "serverName": "app.example"}, 502),
        ("another authority", other, ["localhost"], "localhost", {"ca": str(ca.cert)}, 502),
        ("the system's authorities only", ca, ["localhost"], "localhost", {}, 502),
        ("anything goes", other, ["elsewhere.example"], "localhost", {"skipVerify": True}, 200),
    ]
    for why, authority, names, host, keys, status in cases:
        up = tls_upstream(t, authority, *names)
        gate = t.proxy(f"https://{host}:{up.port}", upstream={"tls": keys, "protocol": "h1"}, gateway=ONE)
        a = gate.get("/", token=False)
        same(a.status, status, why)
        if status == 200:
            wanted = keys.get("serverName", host if not host[0].isdigit() else None)
            same(a.text, f"sni={wanted} client=None", why)
        else:
            same(len(up.requests), 0, why)  # not a byte of the request reaches who proved nothing
        gate.stop()


def story_we_show_our_certificate_to_an_upstream(t):
    ca, other = t.certs(), other_authority(t)
    up = tls_upstream(t, ca, "localhost", client_ca=ca)
    cert, key = ca.issue("gateway-7")
    tls = {"ca": str(ca.cert), "cert": str(cert), "key": str(key)}
    gate = t.proxy(f"https://localhost:{up.port}", upstream={"tls": tls, "protocol": "h1"}, gateway=ONE)
    for _ in range(3):
        same(gate.get("/", token=False).text, "sni=localhost client=gateway-7")
    # Without one, or with a stranger's, the upstream refuses us.
    without = t.proxy(f"https://localhost:{up.port}", upstream={"tls": {"ca": str(ca.cert)}}, gateway=ONE)
    assert without.get("/", token=False).status in (502, 503)
    cert, key = other.issue("gateway-7")
    tls.update(cert=str(cert), key=str(key))
    foreign = t.proxy(f"https://localhost:{up.port}", upstream={"tls": tls, "protocol": "h1"}, gateway=ONE)
    assert foreign.get("/", token=False).status in (502, 503)
    same(len(up.requests), 3)


def story_an_upstream_that_speaks_plain_where_tls_is_due(t):
    plain = t.upstream(lambda peer, request: peer.send(ok("plain")), on_connect=lambda peer: peer.send(ok("plain")))
    gate = t.proxy(f"https://127.0.0.1:{plain.port}", upstream={"tls": {"skipVerify": True}}, gateway=ONE)
    same(gate.get("/", token=False).status, 502)


# ---- clients ----

FAMILY = ("X-Sekisho-Client-Sha256", "X-Sekisho-Client-Subject", "X-Sekisho-Client-Names")


def guarded(t, required, routes=None, people=None, crl=None, **gateway):
    """A gateway on TLS that asks for clients' certificates, before an upstream that tells what it saw of the client."""
    ca = t.certs()
    cert, key = ca.issue("a.example", "b.example")
    people = people or other_authority(t)
    asked = {"ca": str(people.cert), "required": required, **({"crl": crl} if crl else {})}
    port = free_port()
    up = t.upstream(lambda peer, request: peer.send(ok("|".join(",".join(request.all(n)) for n in FAMILY))))
    gate = t.gateway(gateway={**ONE, "listen": [{"address": f"127.0.0.1:{port}", "tls": True}],
                              "certificates": [{"cert": str(cert), "key": str(key)}],
                              "clientCertificates": asked, **gateway},
                     upstreams={"app": {"targets": [up.url], "protocol": "h1"}},
                     routes=routes or [{"path": "/", "upstream": "app", "access": "public"}])
    gate.tls_port = port
    return gate, ca, people, up


def client(ca, people=None, name="alice", version=None):
    context = ca.client()
    if people:
        context.load_cert_chain(*people.issue(name, f"{name}.people.example"))
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def ask(gate, context, path="/", fields=(), name="a.example"):
    with wire.Conn(gate.tls_port, context, name) as c:
        c.send(wire.request_bytes("GET", path, fields, host=name))
        return c.answer()


def is_refused(gate, context):
    try:
        return ask(gate, context).status is None
    except (OSError, wire.Lost, AssertionError):
        return True


def story_nobody_enters_without_a_certificate(t):
    gate, ca, people, up = guarded(t, True)
    stranger = certs_of_a_stranger(t)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        a = ask(gate, client(ca, people, version=version))
        sha, subject, names = a.text.split("|")
        der = ssl.PEM_cert_to_DER_cert((people.folder / "alice.pem").read_text())
        same((sha, subject, names), (hashlib.sha256(der).hexdigest(), "CN=alice", "DNS:alice,DNS:alice.people.example"))
        assert is_refused(gate, client(ca, version=version)), "in without a certificate"
        assert is_refused(gate, client(ca, stranger, version=version)), "in with a stranger's"
    same(len(up.requests), 2)


def certs_of_a_stranger(t):
    (t.folder / "stranger").mkdir()
    return certs.Authority(t.folder / "stranger")


def story_nobody_else_can_say_who_a_client_is(t):
    gate, ca, people, up = guarded(t, False)
    lies = [("X-Sekisho-Client-Subject", "CN=root"), ("x_sekisho_client_sha256", "0" * 64), ("X-SEKISHO-Client_Names", "DNS:root"),
            ("Connection", "X-Sekisho-Client-Subject")]
    same(ask(gate, client(ca), fields=lies).text, "||")
    subject = ask(gate, client(ca, people, "bob"), fields=lies).text.split("|")[1]
    same(subject, "CN=bob")
    assert b"root" not in up.received


def story_a_route_may_ask_for_one(t):
    gate, ca, people, up = guarded(t, False, [
        {"path": "/inner", "upstream": "app", "access": {"token": "public", "clientCertificate": True}},
        {"path": "/", "upstream": "app", "access": "public"}])
    anonymous, alice = client(ca), client(ca, people)
    same([ask(gate, anonymous, path).status for path in ("/", "/inner")], [200, 403])
    same([ask(gate, alice, path).status for path in ("/", "/inner")], [200, 200])
    same(wire.get(gate.port, "/inner").status, 403)  # nor on the plain listener
    gate.counted('sekisho_refused_total{reason="client_certificate"}', 2)


def story_a_connection_from_before_the_rule_is_not_let_in(t):
    gate, ca, people, up = guarded(t, False)
    with wire.Conn(gate.tls_port, client(ca), "a.example") as c:
        same(c.send(wire.request_bytes("GET", "/", host="a.example")).answer().status, 200)
        config = gate.config
        config["gateway"]["clientCertificates"]["required"] = True
        same(gate.reload(config)["event"], "config_applied")
        same(c.send(wire.request_bytes("GET", "/", host="a.example")).answer().status, 403)


def resumed(gate, context, session, name="a.example"):
    raw = socket.create_connection(("127.0.0.1", gate.tls_port), 5)
    with context.wrap_socket(raw, server_hostname=name, session=session) as s:
        s.sendall(wire.request_bytes("GET", "/", host=name))
        data = s.recv(65536)
        return s.session_reused, s.session, data


def story_a_session_does_not_cross_a_client_policy(t):
    """Reliability finding 10: a ticket made where no certificate was asked for opens nothing where one is."""
    gate, ca, people, up = guarded(t, True)
    config = gate.config
    strict = dict(config["gateway"].pop("clientCertificates"))
    gate.reload(config)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        config["gateway"].pop("clientCertificates", None)
        gate.reload(config)
        anonymous = client(ca, version=version)
        _, session, _ = resumed(gate, anonymous, None)
        same(resumed(gate, anonymous, session)[0], True, f"{version.name}: the ticket is a good one")
        config["gateway"]["clientCertificates"] = strict
        gate.reload(config)
        asked = len(up.requests)
        try:
            reused, _, data = resumed(gate, anonymous, session)
            assert not reused and b" 200 " not in data, f"{version.name}: a ticket opened a door that asks for a certificate"
        except (OSError, ssl.SSLError):
            pass
        same(len(up.requests), asked, version.name)
        # And one that a certificate earned says who it was, and is worth nothing under another authority.
        alice = client(ca, people, version=version)
        _, session, _ = resumed(gate, alice, None)
        reused, _, data = resumed(gate, alice, session)
        same(reused, True, version.name)
        assert b"CN=alice" in data, data
    changed = certs_of_a_stranger(t)
    config["gateway"]["clientCertificates"] = {**strict, "ca": str(changed.cert)}
    gate.reload(config)
    asked = len(up.requests)
    try:
        reused, _, data = resumed(gate, alice, session)
        assert not reused and b" 200 " not in data, "a ticket outlived its authority"
    except (OSError, ssl.SSLError):
        pass
    same(len(up.requests), asked)


def story_a_revoked_certificate_opens_nothing(t):
    """`crl`: read at the start and at each reload; a list past its time, or of another authority, lets nobody in."""
    people = other_authority(t)
    alice, bob = (people.issue(name)[0] for name in ("alice", "bob"))
    lists = people.revoke(bob)
    gate, ca, people, up = guarded(t, True, people=people, crl=str(lists))
    as_alice, as_bob = ca.client(), ca.client()
    as_alice.load_cert_chain(alice, alice.with_suffix(".key"))
    as_bob.load_cert_chain(bob, bob.with_suffix(".key"))
    same(ask(gate, as_alice).status, 200)
    assert is_refused(gate, as_bob), "in with a revoked certificate"
    _, session, _ = resumed(gate, as_alice, None)
    same(resumed(gate, as_alice, session)[0], True, "the ticket is a good one")
    people.revoke(alice)
    same(gate.reload()["event"], "config_applied")
    asked = len(up.requests)
    assert is_refused(gate, as_alice), "in with a certificate revoked since"
    try:
        reused, _, data = resumed(gate, as_alice, session)
        assert not reused and b" 200 " not in data, "a ticket outlived its certificate"
    except (OSError, ssl.SSLError):
        pass
    same(len(up.requests), asked)
    carol = client(ca, people, "carol")
    same(ask(gate, carol).status, 200)
    people.revoke(hours="-1")
    gate.reload()
    check = subprocess.run([t.sekisho, "config", "check", "--config", gate.config_path], capture_output=True, text=True, env=t.env)
    assert check.returncode == 0 and "past its time" in check.stdout + check.stderr, check
    assert is_refused(gate, carol), "in though the list is too old to say"
    stranger = certs_of_a_stranger(t)
    lists.write_text(stranger.revoke().read_text())
    gate.reload()
    assert is_refused(gate, carol), "in though no list speaks of the authority"
    lists.write_text("nothing\n")
    same(gate.reload()["event"], "config_reload_refused")


def story_what_cannot_work_is_refused_at_the_start(t):
    ca = t.certs()
    cert, key = ca.issue("a.example")
    (t.folder / "empty.pem").write_text("nothing\n")
    tls = {"listen": [{"address": f"127.0.0.1:{free_port()}", "tls": True}], "certificates": [{"cert": str(cert), "key": str(key)}]}
    cases = [
        ({"clientCertificates": {"ca": str(ca.cert)}}, [], "nothing listens with TLS"),
        ({**tls, "clientCertificates": {"ca": str(t.folder / "empty.pem")}}, [], "client authorities: no certificate found"),
        (tls, [{"path": "/", "respond": {}, "access": {"clientCertificate": True}}], "names no authority"),
    ]
    for gateway, routes, says in cases:
        gate = t.gateway(wait=False, gateway=gateway, routes=routes)
        same(gate.wait(), 2)
        assert says in gate.text(), gate.text()
        t.programs.remove(gate)


def story_curl_shows_its_certificate(t):
    gate, ca, people, up = guarded(t, True)
    cert, key = people.issue("carol")
    command = ["curl", "-sS", "--cacert", str(ca.cert), "--resolve", f"a.example:{gate.tls_port}:127.0.0.1"]
    url = f"https://a.example:{gate.tls_port}/"
    out = subprocess.run([*command, "--cert", str(cert), "--key", str(key), url], capture_output=True, text=True)
    assert "|CN=carol|" in out.stdout, out
    assert subprocess.run([*command, url], capture_output=True).returncode != 0
