"""Commands on a tailnet: control is found among its machines, and Serve is put in front."""

import hashlib
import json
import ssl

from gateway.keys import openssl
from lib import fake_tailscaled
from lib.control_role import Control
from lib.fake_tailscaled import machine
from lib.stage import eventually, free_port, same
from lib.upstream import always, ok


def tailscaled(t, *peers, **what):
    return fake_tailscaled.start(t, t.folder / "tailscaled.sock", peers=peers, **what)


def discover(t, daemon, port, *args, **more):
    return t.sekisho_run("discover", "--tailscale-socket", daemon.path, "--port", port, *args, **more)


def story_control_is_found(t, seconds=90):
    control = Control(t).claim()
    fingerprint = control.join_token("agent").split("@")[0].split(".")[1]
    tagged = machine("kontor", "127.0.0.1", tags=["tag:sekisho-control"])
    daemon = tailscaled(t, machine("control", "127.0.0.9"), machine("asleep", "127.0.0.1", tags=["tag:sekisho-control"], online=False),
                        machine("sekisho-control-2", "127.0.0.1"), tagged, v4="100.101.102.103")
    done = discover(t, daemon, control.port, "--fingerprint", fingerprint)
    same(done.returncode, 0, done.stdout + done.stderr)
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"kontor.tail1234.ts.net  https://127.0.0.1:{control.port}  control, authority {fingerprint}"), done.stdout
    same(len(lines), 2, "exact names only, and nobody asleep")
    assert "control.tail1234.ts.net" in lines[1] and "authority" not in lines[1]
    other = discover(t, daemon, control.port, "--fingerprint", "0" * 32)
    same(other.returncode, 4, other.stdout)
    assert "certificate" in other.stdout
    unknown = discover(t, daemon, control.port)
    same(unknown.returncode, 7, "nobody said that it is theirs")
    same(discover(t, daemon, control.port, "--yes").returncode, 0)
    same(discover(t, daemon, control.port).returncode, 0, "it is remembered")
    found = json.loads(discover(t, daemon, control.port, "--json").stdout)["machines"]
    same([(m["control"], m["trusted"]) for m in found], [(True, True), (False, False)])
    liar = t.upstream(always(ok(b'{"sekisho":"control","authority":"' + b"0" * 64 + b'"}')))
    same(discover(t, daemon, liar.port).returncode, 4, "no TLS")
    same(discover(t, tailscaled_gone(t), 1).returncode, 6)


def story_it_proves_what_it_says(t):
    """A machine with an authority of its own, which says on the second connection that it is somebody else's."""
    folder = t.certs().folder
    key, request, cert, extra = (folder / f"liar.{end}" for end in ("key", "csr", "pem", "ext"))
    extra.write_text("subjectAltName=URI:sekisho://liar/control\n")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=liar", "-keyout", key, "-out", request)
    openssl("x509", "-req", "-in", request, "-CA", t.certs().cert, "-CAkey", t.certs().key, "-CAcreateserial", "-days", "2", "-extfile", extra,
            "-out", cert)
    chain = folder / "chain.pem"
    chain.write_text(cert.read_text() + t.certs().cert.read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    own = hashlib.sha256(ssl.PEM_cert_to_DER_cert(t.certs().cert.read_text())).hexdigest()
    says = [own, own]
    document = lambda peer, request: peer.send(ok(json.dumps(  # noqa: E731
        {"sekisho": "control", "authority": says[len(server.requests) % 2 - 1]}).encode()))
    server = t.upstream(document, tls=context)
    daemon = tailscaled(t, machine("control", "127.0.0.1"))
    same(discover(t, daemon, server.port, "--json", "--yes").returncode, 0, "an authority is anybody's to make")
    says[1] = "0" * 64
    done = discover(t, daemon, server.port, "--json", "--yes")
    same(done.returncode, 4, done.stdout)
    assert "0" * 64 not in done.stdout, done.stdout


def tailscaled_gone(t):
    daemon = fake_tailscaled.start(t, t.folder / "gone.sock")
    daemon.stop()
    return daemon


def story_an_agent_finds_its_control(t, seconds=120):
    control = Control(t).claim()
    daemon = tailscaled(t, machine("control", "127.0.0.1"))
    token = control.join_token("agent").split("@")[0]
    agent = t.start("agent", [t.sekisho, "agent", "--config", t.folder / "no-such.json", "--join", f"{token}@:{control.port}"],
                    env={"SEKISHO_TAILSCALE_SOCKET": daemon.path})
    eventually(lambda: control.get("/nodes?kind=agent")["items"], 30, agent.text)
    assert "control was found in the tailnet" in agent.text()


def config(t):
    path = t.folder / "sekisho.json"
    port = free_port()
    path.write_text(json.dumps({"gateway": {"port": port, "auth": False}}))
    return path, port


def serve(t, daemon, path, *args):
    return t.sekisho_run("setup", "--serve", "--tailscale-socket", daemon.path, "--config", path, *args)


def story_serve_is_shown_then_written(t):
    path, port = config(t)
    daemon = tailscaled(t)
    host = "gpu.tail1234.ts.net:443"
    daemon.serve = {"TCP": {"22": {"TCPForward": "127.0.0.1:22"}}, "Foreground": {"x": {}}, "New": [1]}
    before = json.dumps(daemon.serve)
    shown = serve(t, daemon, path, "--print")
    same(shown.returncode, 0, shown.stderr)
    assert f"+ https://gpu.tail1234.ts.net/ -> http://127.0.0.1:{port}" in shown.stdout
    same(serve(t, daemon, path).returncode, 2, "nobody to ask, and nobody said --yes")
    same(json.dumps(daemon.serve), before)
    done = serve(t, daemon, path, "--yes", "--json")
    same(done.returncode, 0, done.stderr)
    same(json.loads(done.stdout)["applied"], True)
    want = {**json.loads(before), "Web": {host: {"Handlers": {"/": {"Proxy": f"http://127.0.0.1:{port}"}}}}}
    want["TCP"]["443"] = {"HTTPS": True}
    same(daemon.serve, want, "what stood there stays")
    assert "already" in serve(t, daemon, path, "--yes").stdout
    same(serve(t, daemon, path, "--funnel", "--yes").returncode, 0)
    same(daemon.serve, {**want, "AllowFunnel": {host: True}})


def story_serve_that_cannot_be_written(t):
    path, port = config(t)
    daemon = tailscaled(t, may_write=False)
    denied = serve(t, daemon, path, "--yes")
    assert denied.returncode == 7 and "operator" in denied.stderr, denied.stderr
    daemon.serve = {"TCP": {"443": {"TCPForward": "127.0.0.1:22"}}}
    same(serve(t, daemon, path, "--yes").returncode, 5)
    daemon.stop()
    same(serve(t, daemon, path, "--yes").returncode, 6)
    down = fake_tailscaled.start(t, t.folder / "down.sock", state="NeedsLogin")
    assert "tailscale up" in serve(t, down, path, "--yes").stderr


def story_doctor_looks_at_the_tailnet(t, seconds=60):
    path, port = config(t)
    daemon = tailscaled(t, state="NeedsLogin", v4="127.0.0.77", v6=None)
    conf = json.loads(path.read_text())
    conf["gateway"].update(listen=[f"tailnet:{free_port()}"], tailnet={"socket": daemon.path})
    path.write_text(json.dumps(conf))

    def found():
        done = t.sekisho_run("doctor", "--json", "--config", path, "--state", t.folder / "none", env={"SEKISHO_SERVER": ""}, seconds=60)
        return [(f["level"], f["text"]) for f in json.loads(done.stdout)["findings"] if f["part"] == "tailnet"]

    ((level, text),) = found()
    assert level == "error" and "NeedsLogin" in text, text
    daemon.what.update(state="Running")
    same(found(), [("good", "this machine is gpu.tail1234.ts.net there, 127.0.0.77")])
    daemon.what.update(v4="100.101.102.103")
    same([level for level, _ in found()], ["good", "warning"], "no interface has it")
    daemon.stop()
    same([level for level, _ in found()], ["error"])
    conf["gateway"].update(listen=[])
    path.write_text(json.dumps(conf))
    same(found(), [], "nothing asks for the tailnet")
