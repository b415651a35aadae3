"""HTTPS with the certificate that tailscaled gets for this machine's name in the tailnet."""

import json
import os
import shutil
import signal
import socket
import ssl
import threading
import time

from gateway.keys import events, holds, openssl, secrets_of, status
from gateway.upgrade import Line
from lib import fake_tailscaled
from lib.stage import eventually, free_port, same

NAME, OURS = "gpu.tail1234.ts.net", "127.0.0.77"


def issue(t, label, *names):
    """A pair of its own: the authority writes each name's to the same place."""
    folder = t.folder / label
    folder.mkdir()
    return [shutil.copy(path, folder / path.name) and folder / path.name for path in t.certs().issue(*(names or (NAME,)))]


def serve(t, wait=True, workers=2, **what):
    """A gateway on the tailnet's address, and on one of this machine's, with nothing but the tailnet's certificate."""
    what = {"v4": OURS, "v6": None, **what}
    daemon = fake_tailscaled.start(t, t.folder / "tailscaled.sock", **what)
    ports = free_port(), free_port()
    gate = t.gateway(gateway={"tailnet": {"socket": daemon.path}, "workers": workers, "certificates": ["tailnet"],
                              "listen": [{"address": f"tailnet:{ports[0]}", "tls": True}, {"address": f"127.0.0.1:{ports[1]}", "tls": True}]},
                     routes=[{"path": "/", "respond": {"body": "hello"}, "access": "public"}])
    gate.there, gate.here = (OURS, ports[0]), ("127.0.0.1", ports[1])
    if wait:
        eventually(lambda: serial(t, gate.there), 30, gate.text)
    return gate, daemon


def serial(t, place):
    """Of the certificate shown there, once it was verified; None: nobody listens."""
    try:
        raw = socket.create_connection(place, timeout=30)
    except ConnectionRefusedError:
        return None
    with raw, t.certs().client().wrap_socket(raw, server_hostname=NAME) as c:
        c.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
        assert c.recv(100).startswith(b"HTTP/1.1 200 "), "no answer"
        return c.getpeercert()["serialNumber"]


def is_closed(t, place):
    """Not while connections that came to it before are reset."""
    try:
        return serial(t, place) is None
    except OSError:
        return False


def number(pair):
    return ssl._ssl._test_decode_cert(str(pair[0]))["serialNumber"]


def story_it_is_issued_renewed_and_outlives_tailscaled(t, seconds=120):
    first, second = issue(t, "first"), issue(t, "second")
    gate, daemon = serve(t, pair=first)
    same(serial(t, gate.there), number(first))
    eventually(lambda: serial(t, gate.here) == number(first), 10, "a listener elsewhere has it, too")
    said = status(gate)["tailnet"]
    same((said["connected"], said["ipv4"], said["certificate"]["name"], said["certificate"]["problem"]), (True, OURS, NAME, None))
    assert said["certificate"]["until"] and said["isolation"]["seccomp"], said
    shown = t.sekisho_run("status", "--config", gate.config_path).stdout
    assert f"certificate {NAME}, good until" in shown and f"connected, {OURS}" in shown, shown
    assert gate.metrics()["sekisho_certificate_expiry_seconds"] > 0
    daemon.pair = second
    asked = daemon.pairs_count()
    gate.reload()
    eventually(lambda: serial(t, gate.there) == number(second), 20, "the new one is not presented")
    eventually(lambda: serial(t, gate.here) == number(second), 20, "the new one is not presented")
    gate.reload()
    eventually(lambda: daemon.pairs_count() > asked + 1, 20, "a reload asks for it")
    same(len(events(gate, "tailnet_certificate")), 2, "the same again is no news")
    if os.geteuid() == 0:
        now, secrets = status(gate), secrets_of(second[1])
        assert holds(now["keyHolder"]["pid"], secrets), "this test looks in the wrong place"
        for pid in (gate.pid, now["tailnet"]["pid"], *(w["pid"] for w in now["workers"])):
            same(holds(pid, secrets), set(), f"process {pid} has the private key")
    daemon.stop()
    eventually(lambda: is_closed(t, gate.there), 30, "nobody says that the address is ours")
    same(gate.reload()["event"], "config_applied")
    same(serial(t, gate.here), number(second))
    os.kill(status(gate)["keyHolder"]["pid"], signal.SIGKILL)
    eventually(lambda: events(gate, "key_holder_back"), 20, "no key holder")
    same(serial(t, gate.here), number(second))


def short(t, seconds):
    """A pair whose certificate ends soon, as the openssl command makes one only with a folder of its own."""
    ca, folder = t.certs(), t.folder / "short"
    folder.mkdir()
    key, request, cert, config, index = (folder / name for name in ("key", "csr", "pem", "cnf", "index"))
    index.write_text("")
    config.write_text(f"[ca]\ndefault_ca=it\n[it]\ndatabase={index}\nnew_certs_dir={folder}\nrand_serial=yes\ndefault_md=sha256\npolicy=any\n"
                      f"[any]\ncommonName=supplied\n[ext]\nsubjectAltName=DNS:{NAME}\n")
    when = lambda s: time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + s))  # noqa: E731
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={NAME}", "-keyout", key, "-out", request)
    openssl("ca", "-batch", "-notext", "-config", config, "-keyfile", ca.key, "-cert", ca.cert, "-in", request, "-out", cert, "-extensions", "ext",
            "-startdate", when(-60), "-enddate", when(seconds))
    return cert, key


def story_it_is_renewed_in_time(t, seconds=120):
    """Nobody asks for a reload: a twentieth of what is left of its life, and tailscaled is asked whether there is another."""
    first, second = short(t, 300), issue(t, "second")
    gate, daemon = serve(t, pair=first)
    same(serial(t, gate.there), number(first))
    daemon.pair = second
    eventually(lambda: serial(t, gate.there) == number(second), 60, "it is not asked for again")
    same(status(gate)["tailnet"]["certificate"]["problem"], None)


def story_https_is_not_offered(t, seconds=90):
    """Headscale, or a tailnet where it is not switched on: said once, clearly; once it is, nothing has to be started anew."""
    gate, daemon = serve(t, wait=False, https=False, pair=issue(t, "pair"))
    (line,) = eventually(lambda: events(gate, "tailnet_certificate_not_offered"), 20, gate.text)
    assert "headscale" in line["why"], line
    same([serial(t, gate.there), serial(t, gate.here)], [None, None], "no TLS without a certificate, and nothing in the clear")
    said = status(gate)["tailnet"]["certificate"]
    assert said["name"] is None and said["until"] is None and "HTTPS" in said["problem"], said
    found = json.loads(t.sekisho_run("doctor", "--json", "--config", gate.config_path, "--state", t.folder / "none",
                                     env={"SEKISHO_SERVER": ""}, seconds=60).stdout)["findings"]
    assert any(f["part"] == "tailnet" and "offers none" in f["text"] for f in found), found
    daemon.what["https"] = True
    eventually(lambda: serial(t, gate.there), 30, gate.text)
    eventually(lambda: serial(t, gate.here), 10, gate.text)
    same(len(events(gate, "tailnet_certificate_not_offered")), 1)


def story_what_cannot_be_a_certificate_changes_nothing(t, seconds=180):
    good, other = issue(t, "good"), issue(t, "other")
    wrong = issue(t, "wrong", "laptop.tail1234.ts.net")
    gate, daemon = serve(t, pair=good)
    text = {n: [p.read_text() for p in pair] for n, pair in (("good", good), ("other", other), ("wrong", wrong))}
    plain = lambda body: fake_tailscaled.answer(200, body, "text/plain")  # noqa: E731
    for raw, why in [(plain("x" * (1 << 20)), "too large"), (plain(text["wrong"][1] + text["wrong"][0]), f"not for {NAME}"),
                     (plain(text["good"][1] + text["other"][0]), "cannot be used"), (plain(text["other"][0]), "not a key and"),
                     (plain(text["other"][0] + text["other"][1]), "not a key and"), (plain(text["other"][1]), "not a key and"),
                     (plain(text["other"][1] + text["other"][0][:300]), "cannot be used"), (plain(""), "not a key and"),
                     (fake_tailscaled.answer(500, "acme: \x1b[31mrate limited\nsecret"), "answered 500: acme: "),
                     (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n-----BEGIN", "tailscaled: "), (b"", "tailscaled: ")]:
        daemon.raw_pair = raw
        gate.reload()
        eventually(lambda: any(why in x["why"] for x in events(gate, "tailnet_certificate_failed")[-1:]), 30,
                   lambda: (why, events(gate, "tailnet_certificate_failed")))
        same(serial(t, gate.there), number(good))
        daemon.raw_pair = None
        asked = daemon.pairs_count()
        gate.reload()
        eventually(lambda: daemon.pairs_count() > asked and status(gate)["tailnet"]["certificate"]["problem"] is None, 30, "it is not well again")
    same(len(events(gate, "tailnet_certificate")), 1)
    same(events(gate, "config_reload_refused"), [])


def story_tailscaled_keeps_its_keys(t):
    gate, daemon = serve(t, wait=False, may_have_keys=False, pair=issue(t, "pair"))
    (line,) = eventually(lambda: events(gate, "tailnet_certificate_failed"), 20, gate.text)
    assert "TS_PERMIT_CERT_UID" in line["why"], line
    same(serial(t, gate.there), None)
    daemon.may_have_keys = True
    eventually(lambda: serial(t, gate.there), 60, "it is not tried again")


def story_a_new_program_has_it_at_once(t, seconds=120):
    gate, daemon = serve(t, pair=issue(t, "pair"))
    line, lost, is_over = Line(gate), [], threading.Event()

    def visit():
        while not is_over.is_set():
            try:
                if not serial(t, gate.there):
                    lost.append("nobody listens")
            except (OSError, AssertionError) as e:
                lost.append(repr(e))

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        for _ in range(3):
            same(line.upgrade()["event"], "upgrade_done")
    finally:
        is_over.set()
        visitor.join(60)
    same(lost, [])
    assert serial(t, gate.there)
    line.end()
