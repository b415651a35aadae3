"""Private keys are in the key holder and nowhere else, and handshakes do not suffer from that."""

import base64
import os
import re
import signal
import ssl
import subprocess
import threading
import time

from gateway.upgrade import Line
from lib import proc, wire
from lib.stage import eventually, free_port, merge, same

KINDS = {
    "rsa": ["-newkey", "rsa:2048"],
    "ecdsa": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "ed25519": ["-newkey", "ed25519"],
}


PIECE = 1 << 20


def openssl(*args):
    return subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, text=True).stdout


def issue(ca, name, kind):
    """(certificate, key) paths; the key is of the kind asked for."""
    stem = ca.folder / f"{kind}-{name}"
    key, request, cert, extra = (stem.with_name(stem.name + end) for end in (".key", ".csr", ".pem", ".ext"))
    extra.write_text(f"subjectAltName=DNS:{name}\n")
    openssl("req", *KINDS[kind], "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
    openssl("x509", "-req", "-in", request, "-CA", ca.cert, "-CAkey", ca.key, "-CAcreateserial", "-days", "2",
            "-extfile", extra, "-out", cert)
    key.chmod(0o600)
    return cert, key


def secure(t, *pairs, **more):
    port = free_port()
    sections = {"gateway": {"certificates": [{"cert": str(c), "key": str(k)} for c, k in pairs], "workers": 2,
                            "listen": [{"address": f"127.0.0.1:{port}", "tls": True}]},
                "routes": [{"path": "/", "respond": {"body": "the-app"}, "access": "public"}]}
    gate = t.gateway(**merge(sections, more))
    gate.tls_port = port
    return gate


def events(gate, name):
    return [x for x in gate.lines() if x.get("event") == name]


def status(gate):
    return wire.get(gate.admin, "/status").json


def versions(ca):
    """A client's context for each version."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ca.client()
        context.minimum_version = context.maximum_version = version
        yield version.name, context


def ask(gate, context, name):
    with wire.Conn(gate.tls_port, context, name) as c:
        answer = c.send(wire.request_bytes("GET", "/", host=name)).answer()
        return answer.text, c.sock.getpeercert(True)


def der(cert):
    return base64.b64decode("".join(cert.read_text().split("-----")[2].split()))


def signed(gate):
    return gate.metrics().get('sekisho_signatures_total{result="ok"}', 0)


# ---- what stands in a process's memory ----

def secrets_of(key):
    """Byte strings that only somebody with the private key has: numbers as they are written and as a CPU keeps them, and the
    lines of its file."""
    lines = [line.encode() for line in key.read_text().splitlines() if "---" not in line]
    found = lines[1:-1:4] if len(lines) > 5 else lines
    text = openssl("pkey", "-in", key, "-noout", "-text")
    for name in ("priv", "privateExponent", "prime1", "prime2"):
        number = re.search(rf"^{name}:\n((?:    .*\n)+)", text, re.M)
        if number:
            raw = bytes.fromhex("".join(number.group(1).split()).replace(":", "")).lstrip(b"\0")
            found += [raw, raw[::-1]]
    # Each is looked for in everything: a few lines of a long file do.
    return [x for x in found if len(x) >= 24]


def holds(pid, secrets):
    """Which of these stand in the memory of a process."""
    found, overlap, zeros = set(), max(map(len, secrets)), bytes(PIECE)
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            span, rights = line.split()[:2]
            begin, end = (int(x, 16) for x in span.split("-"))
            if "r" not in rights or end - begin > 1 << 30 or "[v" in line:  # a sanitizer's shadow; the kernel's pages
                continue
            last = b""
            for at in range(begin, end, PIECE):
                try:
                    mem.seek(at)
                    piece = mem.read(min(PIECE, end - at))
                except OSError:
                    break
                if piece != zeros[:len(piece)]:  # never touched, most of it
                    content = last + piece
                    found |= {s for s in secrets if s in content}
                last = piece[-overlap:]
    return found


def story_no_process_but_one_has_a_private_key(t, seconds=120):
    if os.geteuid() != 0:
        t.leave_out("needs root, who alone may look into these processes")
    ca = t.certs()
    pairs = {kind: issue(ca, f"{kind}.example", kind) for kind in KINDS}
    gate = secure(t, *pairs.values())
    for _, context in versions(ca):
        for kind in KINDS:
            same(ask(gate, context, f"{kind}.example")[0], "the-app")
    gate.reload()
    victim = status(gate)["workers"][0]["pid"]
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: status(gate)["workers"][0]["pid"] not in (0, victim), 10, "the worker is not back")
    for kind in KINDS:
        same(ask(gate, ca.client(), f"{kind}.example")[0], "the-app")

    now = status(gate)
    holder, others = now["keyHolder"]["pid"], [gate.pid, *(w["pid"] for w in now["workers"])]
    same(sorted([holder, *others]), sorted(proc.tree(gate.pid)), "processes")
    secrets = {kind: secrets_of(key) for kind, (_, key) in pairs.items()}
    every = [s for some in secrets.values() for s in some]
    held = holds(holder, every)
    for kind, some in secrets.items():
        assert len(some) >= 3, (kind, len(some))
        assert held & set(some), f"this test looks in the wrong place: the key holder has no {kind} key"
    for pid in others:
        same(holds(pid, every), set(), "private keys in the supervisor" if pid == gate.pid else "private keys in a worker")


# ---- handshakes ----

def story_every_kind_of_key_in_both_versions(t):
    ca = t.certs()
    pairs = {kind: issue(ca, f"{kind}.example", kind) for kind in KINDS}
    gate = secure(t, *pairs.values())
    before = signed(gate)
    for version, context in versions(ca):
        for kind, (cert, _) in pairs.items():
            text, presented = ask(gate, context, f"{kind}.example")
            same(text, "the-app", f"{kind} {version}")
            same(presented, der(cert), f"certificate of {kind}, {version}")
    same(signed(gate) - before, 6.0)
    same(status(gate)["keyHolder"]["keys"], 3)
    same(status(gate)["keyHolder"]["signatures"], 6)
    assert gate.metrics()["sekisho_signature_wait_seconds_count"] == 6


def story_a_resumed_session_needs_no_signature(t):
    ca = t.certs()
    gate = secure(t, issue(ca, "a.example", "ecdsa"))
    for _, context in versions(ca):
        session = None
        before = signed(gate)
        for _ in range(5):
            with wire.Conn(gate.tls_port) as raw:
                with context.wrap_socket(raw.sock, server_hostname="a.example", session=session) as s:
                    s.sendall(wire.request_bytes("GET", "/", host="a.example"))
                    s.recv(65536)
                    session = s.session
        same(signed(gate) - before, 1.0)


def story_two_kinds_of_key_for_one_name(t):
    ca = t.certs()
    pairs = [issue(ca, "a.example", "ecdsa"), issue(ca, "a.example", "rsa")]
    gate = secure(t, *pairs)
    context = ca.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    for ciphers, (cert, _) in (("ECDHE+aECDSA", pairs[0]), ("ECDHE+aRSA", pairs[1])):
        context.set_ciphers(ciphers)
        same(ask(gate, context, "a.example"), ("the-app", der(cert)))


def story_the_key_holder_is_closed_in(t):
    ca = t.certs()
    gate = secure(t, issue(ca, "a.example", "ecdsa"))
    same(ask(gate, ca.client(), "a.example")[0], "the-app")
    k = status(gate)["keyHolder"]
    with open(f"/proc/{k['pid']}/status") as f:
        s = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    same((s["NoNewPrivs"], s["Seccomp"]), ("1", "2"))
    same(int(s["CapEff"], 16) | int(s["CapPrm"], 16) | int(s["CapInh"], 16) | int(s["CapAmb"], 16), 0, "capabilities")
    assert k["isolation"]["seccomp"] and k["isolation"]["noDumps"], k
    sockets = [os.readlink(f"/proc/{k['pid']}/fd/{fd}") for fd in os.listdir(f"/proc/{k['pid']}/fd")]
    same(sum(x.startswith("socket:") for x in sockets), 3, f"a mailbox and two channels, of {sockets}")
    assert not any(x.startswith("/memfd") for x in sockets), sockets
    text = t.sekisho_run("status", "--admin", f"127.0.0.1:{gate.admin}").stdout
    assert "keys       pid" in text and "1 keys, 1 signatures" in text, text


def story_without_tls_there_is_no_key_holder(t):
    ca = t.certs()
    gate = t.gateway(gateway={"workers": 2}, routes=[{"path": "/", "respond": {"body": "the-app"}, "access": "public"}])
    same(status(gate)["keyHolder"], None)
    same(len(proc.tree(gate.pid)), 3)
    # It comes with the first certificate.
    cert, key = issue(ca, "a.example", "ecdsa")
    gate.tls_port = free_port()
    gate.reload(merge(gate.config, {"gateway": {"certificates": [{"cert": str(cert), "key": str(key)}],
                                                "listen": [{"address": f"127.0.0.1:{gate.tls_port}", "tls": True}]}}))
    same(ask(gate, ca.client(), "a.example"), ("the-app", der(cert)))
    same(status(gate)["keyHolder"]["keys"], 1)


# ---- its death ----

class Handshakes:
    """Clients that shake hands for as long as they are let; each failure, and the longest handshake."""

    def __init__(self, gate, context, name, clients=4):
        self.gate, self.context, self.name = gate, context, name
        self.failures, self.count, self.longest, self.is_over = [], 0, 0.0, False
        self.threads = [threading.Thread(target=self.work) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def work(self):
        while not self.is_over:
            begin = time.monotonic()
            try:
                text, _ = ask(self.gate, self.context, self.name)
                assert text == "the-app", text
                self.count += 1
            except (OSError, wire.Lost, AssertionError) as e:
                self.failures.append(repr(e))
            self.longest = max(self.longest, time.monotonic() - begin)

    def end(self):
        self.is_over = True
        for thread in self.threads:
            thread.join()


def story_a_key_holder_that_is_killed_is_replaced(t, seconds=90):
    ca = t.certs()
    gate = secure(t, issue(ca, "a.example", "ecdsa"))
    with wire.Conn(gate.tls_port, ca.client(), "a.example") as kept:
        same(kept.send(wire.request_bytes("GET", "/", host="a.example")).answer().text, "the-app")
        load = Handshakes(gate, ca.client(), "a.example")
        for deaths in range(1, 4):
            time.sleep(0.5)
            victim = status(gate)["keyHolder"]["pid"]
            os.kill(victim, signal.SIGKILL)
            same(kept.send(wire.request_bytes("GET", "/", host="a.example")).answer().text, "the-app")
            eventually(lambda: len(events(gate, "key_holder_back")) == deaths, 10, "the key holder is not back")
            same(status(gate)["keyHolder"]["deaths"], deaths)
        time.sleep(0.5)
        load.end()
        same(kept.send(wire.request_bytes("GET", "/", host="a.example")).answer().text, "the-app")
    # What had been asked of the dead one is asked again of the next.
    same(load.failures, [])
    assert load.count > 50, load.count
    back = [x["after_ms"] for x in events(gate, "key_holder_back")]
    assert back[0] < 1000, back
    same(len(events(gate, "key_holder_died")), 3)


def story_handshakes_go_on_within_a_second(t, seconds=60):
    ca = t.certs()
    gate = secure(t, issue(ca, "a.example", "rsa"))
    same(ask(gate, ca.client(), "a.example")[0], "the-app")
    os.kill(status(gate)["keyHolder"]["pid"], signal.SIGKILL)
    begin = time.monotonic()
    same(ask(gate, ca.client(), "a.example")[0], "the-app")
    took = time.monotonic() - begin
    assert took < 1, f"{took:.2f} s"


def story_a_key_that_is_gone_is_not_served(t, seconds=90):
    """Fail closed: without its file there is no handshake, and the rest goes on; with it there is again."""
    ca = t.certs()
    cert, key = issue(ca, "a.example", "ecdsa")
    gate = secure(t, (cert, key))
    with wire.Conn(gate.tls_port, ca.client(), "a.example") as kept:
        text = key.read_text()
        key.unlink()
        os.kill(status(gate)["keyHolder"]["pid"], signal.SIGKILL)
        told = eventually(lambda: events(gate, "keys_not_read"), 10, "nobody says that the key is gone")
        assert str(key) in told[0]["problem"], told
        try:
            ask(gate, ca.client(), "a.example")
            raise AssertionError("a handshake without a key")
        except (OSError, wire.Lost):
            pass
        same(kept.send(wire.request_bytes("GET", "/", host="a.example")).answer().text, "the-app")
        assert gate.metrics()['sekisho_signatures_total{result="timeout"}'] >= 1
        key.write_text(text)
        key.chmod(0o600)
        eventually(lambda: events(gate, "key_holder_back"), 10, "the key holder is not back")
        same(ask(gate, ca.client(), "a.example")[0], "the-app")


def story_another_key_since_then_is_not_used(t, seconds=90):
    """The file has changed and nobody said so: the certificate in force has no key any more until a reload."""
    ca = t.certs()
    cert, key = issue(ca, "a.example", "ecdsa")
    gate = secure(t, (cert, key))
    issue(ca, "a.example", "ecdsa")
    os.kill(status(gate)["keyHolder"]["pid"], signal.SIGKILL)
    eventually(lambda: events(gate, "key_holder_back"), 10, "the key holder is not back")
    try:
        ask(gate, ca.client(), "a.example")
        raise AssertionError("a handshake with another key")
    except (OSError, wire.Lost):
        pass
    same(gate.metrics()['sekisho_signatures_total{result="unknown_key"}'], 1.0)
    gate.reload()
    same(ask(gate, ca.client(), "a.example"), ("the-app", der(cert)))


# ---- other keys ----

def story_a_reload_brings_new_keys_under_load(t, seconds=120):
    ca = t.certs()
    gate = secure(t, issue(ca, "a.example", "ecdsa"))
    load = Handshakes(gate, ca.client(), "a.example", 3)
    for kind in ("rsa", "ed25519", "ecdsa", "rsa"):
        cert, key = issue(ca, "a.example", kind)
        same(gate.reload(merge(gate.config, {"gateway": {"certificates": [{"cert": str(cert), "key": str(key)}]}}))["event"],
             "config_applied")
        same(ask(gate, ca.client(), "a.example")[1], der(cert), kind)
    load.end()
    same(load.failures, [])
    assert load.count > 20, load.count
    same(status(gate)["keyHolder"]["keys"], 1)


def story_refused_reloads_keep_the_key(t):
    """However often: what was staged never pushes out what is in force."""
    ca = t.certs()
    cert, key = issue(ca, "a.example", "ecdsa")
    gate = secure(t, (cert, key))
    other, good = issue(ca, "b.example", "ecdsa"), gate.config
    with wire.Conn(gate.admin):
        for _ in range(3):
            bad = merge(good, {"gateway": {"certificates": [{"cert": str(other[0]), "key": str(other[1])}],
                                           "listen": [{"address": "192.0.2.1:1", "tls": True}]}})
            same(gate.reload(bad)["event"], "config_reload_refused")
            same(ask(gate, ca.client(), "a.example"), ("the-app", der(cert)))
    gate.write(good)
    same(gate.reload()["event"], "config_applied")
    same(ask(gate, ca.client(), "a.example"), ("the-app", der(cert)))


def story_an_upgrade_takes_the_keys_along(t, seconds=120):
    ca = t.certs()
    gate = secure(t, issue(ca, "a.example", "ecdsa"), gateway={"drainTimeout": "10s"})
    old = status(gate)["keyHolder"]["pid"]
    load = Handshakes(gate, ca.client(), "a.example", 3)
    time.sleep(0.3)
    line = Line(gate)
    same(line.upgrade()["event"], "upgrade_done")
    eventually(lambda: not proc.is_alive(old), 20, "the old key holder stays")
    time.sleep(0.3)
    load.end()
    same(load.failures, [])
    assert load.count > 20, load.count
    same(ask(gate, ca.client(), "a.example")[0], "the-app")
    line.end()


def story_one_that_stands_still_is_killed(t, seconds=60):
    ca = t.certs()
    gate = secure(t, issue(ca, "a.example", "ecdsa"), gateway={"watchdog": "1s"})
    same(ask(gate, ca.client(), "a.example")[0], "the-app")
    os.kill(status(gate)["keyHolder"]["pid"], signal.SIGSTOP)
    same(ask(gate, ca.client(), "a.example")[0], "the-app", "it waited for the next one")
    eventually(lambda: events(gate, "key_holder_back"), 10, "the key holder is not back")
    same(len(events(gate, "key_holder_stuck")), 1)
