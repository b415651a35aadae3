"""`sekisho certificate`: what a person uploads is what gateways present."""

import json
import re
import ssl
import socket

from lib.control_role import unverified
from lib.stage import eventually, same
from link.joined import house

HOSTS = [f"h{n}.example.com" for n in range(6)]


def presented(gate, host):
    """The fingerprint of what the gateway shows to who asks for that name."""
    try:
        with socket.create_connection(("127.0.0.1", gate.tls_port), timeout=5) as plain, \
                unverified().wrap_socket(plain, server_hostname=host) as s:
            return s.getpeercert(binary_form=True)
    except OSError:
        return None


def der(cert):
    return ssl.PEM_cert_to_DER_cert(cert.read_text())


def commands(t, control):
    env = {"SEKISHO_SERVER": f"{control.url}#{control.get('/status')['authority_sha256'][:32]}", "SEKISHO_TOKEN": control.key}

    def run(*args, code=0, **more):
        a = t.sekisho_run("certificate", *args, env=env, **more)
        same(a.returncode, code, (args, a.stdout, a.stderr))
        return a.stdout + a.stderr

    return run


def story_what_is_uploaded_is_presented(t, seconds=180):
    control, gate, agent = house(t)
    run = commands(t, control)
    for n, host in enumerate(HOSTS):
        control.made("/services", {"name": f"s{n}", "hosts": [host], "targets": [{"agent": "home", "url": "http://localhost:1"}]})
    eventually(lambda: len(control.get("/certificates")["items"]) == len(HOSTS), 30, "control's authority certifies none")
    eventually(lambda: all(presented(gate, h) for h in HOSTS), 30, "no name has a certificate")
    cert, key = t.certs().issue(*HOSTS)
    said = run("add", cert, key, "--host", "h0.example.com,h5.example.com")
    assert "1 gateway has its key" in said and "h3.example.com" in said, said
    for host in HOSTS:
        eventually(lambda h=host: presented(gate, h) == der(cert), 30, f"{host}: not the one that was uploaded")
    assert re.search(r"^h0\.example\.com +h0\.example\.com,h1", run("list"), re.M)
    run("add", cert, key, code=5)  # every gateway has it
    old = json.loads(run("list", "--json"))
    same([(c["source"], c["name"], len(c["gateways"])) for c in old], [("uploaded", "h0.example.com", 1)])
    # Renewed, for the same names: the newer counts while both are there, then the old one goes, by its id.
    cert = t.certs().folder / "first.pem"
    cert.write_text((t.certs().folder / f"{HOSTS[0]}.pem").read_text())
    new, new_key = t.certs().issue(*HOSTS)
    run("add", new, new_key, "--name", "h0.example.com")
    for host in HOSTS:
        eventually(lambda h=host: presented(gate, h) == der(new), 30, f"{host}: not the renewed one")
    assert "by its id" in run("remove", "h0.example.com", code=5)
    run("remove", old[0]["id"])
    for host in HOSTS:
        eventually(lambda h=host: presented(gate, h) == der(new), 30, f"{host}: not the renewed one")
    # Gone, each name has one of control's authority again.
    run("remove", "h0.example.com")
    same(json.loads(run("list", "--json")), [])
    for host in HOSTS:
        eventually(lambda h=host: presented(gate, h) not in (None, der(cert), der(new)), 30, f"{host}: none, or the one that was removed")
    same({c["source"] for c in json.loads(run("list", "--all", "--json"))}, {"internal"})


def story_what_cannot_be_presented_is_refused_in_words(t, seconds=120):
    control, gate, agent = house(t)
    run = commands(t, control)
    cert, key = t.certs().issue("app.example.com")
    other, other_key = t.certs().issue("other.example.com")
    past, past_key = t.certs().issue("past.example.com", days="-1")
    empty = t.folder / "empty.pem"
    empty.write_text("nothing\n")
    for why, args, words in (
            ("another's key", (cert, other_key), "does not belong to the certificate"),
            ("expired", (past, past_key), "has expired: it was good until 20"),
            ("expired and another's key", (past, other_key), "does not belong to the certificate"),
            ("not for that name", (cert, key, "--host", "app.example.com,shop.example.com"), "not for shop.example.com: its names are"),
            ("the other order", (key, cert), "the chain comes first, then the key"),
            ("no key", (cert, cert), "no private key"),
            ("no file", (t.folder / "none.pem", key), "cannot be read"),
            ("no PEM", (empty, key), "no PEM text"),
            ("one argument", (cert,), "the key's file is missing")):
        said = run("add", *args, code=2)
        assert words in said, f"{why}: {said}"
    run("remove", "app.example.com", code=4)
    same(json.loads(run("list", "--json")), [])
    key.chmod(0o644)
    assert "chmod 600" in run("add", cert, key, "--name", "app")
    key.chmod(0o600)
    assert "removed app" in run("remove", "app")
    assert "fullchain.pem" in t.sekisho_run("certificate", "add", "--help").stdout
