"""The first start: a link for the owner, nothing open before it is used, and everything there after a kill."""

import json
import os
import signal
import ssl
import subprocess
import time

from lib.control_role import Control
from lib.stage import same


def story_nothing_is_open_before_the_owner(t):
    control = Control(t)
    token = control.owner_token()
    for method, path in [("GET", "/status"), ("GET", "/nodes"), ("POST", "/join-tokens"), ("GET", "/audit"), ("POST", "/api-keys")]:
        same(control.ask(method, path, {} if method == "POST" else None).status, 401, path)
    same(control.ask("POST", "/owner", {"token": "skown-" + "a" * 43}).status, 401)
    same(control.ask("POST", "/owner", {"token": token, "scopes": ["admin"]}).status, 400)  # nobody says what the owner may
    control.claim()
    same(control.get("/status")["organisation"], "home")
    same(control.ask("POST", "/owner", {"token": token}).status, 401)
    same(control.get("/me")["scopes"], ["read", "services", "nodes", "audit", "admin", "dispatch"])


def story_the_link_is_renewed_until_it_is_used(t):
    first = Control(t)
    old = first.owner_token()
    first.stop()
    second = Control(t, "control-again", first.port)
    assert second.owner_token() != old
    same(second.ask("POST", "/owner", {"token": old}).status, 401)
    second.claim().stop()
    third = Control(t, "control-third", first.port)
    assert "/setup#" not in third.text()
    third.key = second.key
    same(third.get("/me")["name"], "owner")


def story_it_speaks_tls_with_a_certificate_of_its_own_authority(t):
    control = Control(t).claim()
    authority = control.join_token("agent").split("@")[0].split(".")[1]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    chain = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{control.port}", "-servername", "localhost", "-showcerts"],
                           input=b"", capture_output=True, timeout=30).stdout.decode()
    root = "-----BEGIN CERTIFICATE-----" + chain.split("-----BEGIN CERTIFICATE-----")[-1].split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    (t.folder / "root.pem").write_text(root)
    import hashlib
    same(hashlib.sha256(ssl.PEM_cert_to_DER_cert(root)).hexdigest()[:32], authority)
    for host in ("localhost", "127.0.0.1"):
        a = subprocess.run(["curl", "-sS", "--cacert", str(t.folder / "root.pem"), f"https://{host}:{control.port}/health"],
                           capture_output=True, text=True, timeout=30)
        same(json.loads(a.stdout)["status"], "ok", a.stderr)
    plain = subprocess.run(["curl", "-sS", f"http://127.0.0.1:{control.port}/health"], capture_output=True, text=True, timeout=30)
    assert "speaks HTTPS" in plain.stdout, plain


def story_what_was_acknowledged_is_there_after_a_kill(t):
    control = Control(t).claim()
    key = control.key
    made = [control.made("/join-tokens", {"kind": "agent", "label": f"n{i}"})["id"] for i in range(20)]
    os.kill(control.pid, signal.SIGKILL)
    control.process.wait()
    control.codes = (-9,)
    begin = time.monotonic()
    again = Control(t, "control-again", control.port)
    took = time.monotonic() - begin
    again.key = key
    same([x["id"] for x in again.get("/join-tokens")["items"]], made)
    assert again.get("/status")["epoch"] > 1
    assert took < 2 or "Sanitizer" in again.text() or t.is_slow or took < 10, took  # the sanitizer's build is slower
    same(again.ask("GET", "/audit?action=join-token.add").json["items"][0]["actor"][:4], "key/")


def story_without_its_key_the_store_opens_nothing(t):
    control = Control(t).claim()
    control.stop()
    (t.folder / "control-state" / "control.key").rename(t.folder / "elsewhere.key")
    lost = Control(t, "control-lost", control.port, wait=False)
    lost.codes = (2,)
    same(lost.wait(20), 2)
    assert "control.key is not there" in lost.text()
    (t.folder / "control-state" / "control.key").write_text("00" * 32 + "\n")
    os.chmod(t.folder / "control-state" / "control.key", 0o600)
    wrong = Control(t, "control-wrong", control.port, wait=False)
    wrong.codes = (2,)
    same(wrong.wait(20), 2)
    os.chmod(t.folder / "control-state" / "control.key", 0o644)
    shown = Control(t, "control-shown", control.port, wait=False)
    shown.codes = (2,)
    same(shown.wait(20), 2)
    assert "chmod 600" in shown.text()
    # The store alone: no private key, no secret in it.
    blob = b"".join(p.read_bytes() for p in (t.folder / "control-state").glob("control.db*"))
    assert b"PRIVATE KEY" not in blob and control.key.encode() not in blob and b"skown-" not in blob
