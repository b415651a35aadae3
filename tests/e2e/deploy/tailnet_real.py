"""A real tailnet: tailscaled in userspace-networking mode on a headscale of our own. `make test-tailnet` plays this."""

import json
import os
import shutil
import subprocess

from gateway import websocket
from lib.stage import eventually, free_port, same
from lib.upstream import always, ok


def programs(t):
    """Those in the path, or what tools/tailnet-programs has built."""
    found = []
    for name in ("headscale", "tailscaled", "tailscale"):
        built = t.build / "tailnet-programs" / name
        path = str(built) if built.exists() else shutil.which(name)
        if not path:
            t.leave_out(f"needs {name}: tools/tailnet-programs builds it")
        found.append(path)
    return found


class Headscale:
    def __init__(self, t, program):
        self.t, self.program, self.port = t, program, free_port()
        folder = self.folder = t.folder / "headscale"
        folder.mkdir()
        (folder / "derp.yaml").write_text("regions:\n  900:\n    regionid: 900\n    regioncode: none\n    regionname: none\n    nodes:\n"
                                          "      - {name: 900a, regionid: 900, hostname: 127.0.0.1, ipv4: 127.0.0.1, stunport: -1, derpport: 1}\n")
        self.config = folder / "config.yaml"
        self.config.write_text(json.dumps({
            "server_url": f"http://127.0.0.1:{self.port}", "listen_addr": f"127.0.0.1:{self.port}", "metrics_listen_addr": f"127.0.0.1:{free_port()}",
            "grpc_listen_addr": f"127.0.0.1:{free_port()}", "unix_socket": str(folder / "h.sock"), "unix_socket_permission": "0700",
            "noise": {"private_key_path": str(folder / "noise.key")}, "prefixes": {"v4": "100.64.0.0/10", "v6": "fd7a:115c:a1e0::/48"},
            "database": {"type": "sqlite", "sqlite": {"path": str(folder / "db.sqlite")}}, "disable_check_updates": True,
            "derp": {"server": {"enabled": False}, "urls": [], "paths": [str(folder / "derp.yaml")], "auto_update_enabled": False},
            "dns": {"magic_dns": True, "base_domain": "tail.example.com", "override_local_dns": False, "nameservers": {"global": []}},
            "policy": {"mode": "file", "path": str(folder / "policy.json")}, "log": {"level": "info"}}))
        (folder / "policy.json").write_text(json.dumps({"tagOwners": {"tag:ci": ["alice@"], "tag:sekisho-control": ["alice@"]},
                                                        "acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}))
        self.process = t.start("headscale", [program, "-c", self.config, "serve"])
        eventually(lambda: os.path.exists(folder / "h.sock"), 60, lambda: self.process.text()[-3000:])

    def ask(self, *args):
        done = subprocess.run([self.program, "-c", str(self.config), *map(str, args), "-o", "json"], capture_output=True, text=True, timeout=60,
                              env={**self.t.env})
        try:
            return json.loads(done.stdout) if done.returncode == 0 else None
        except ValueError:
            return None

    def key(self, user, *tags):
        made = self.ask("preauthkeys", "create", "-u", user, *(["--tags", ",".join(tags)] if tags else []))
        assert made, self.process.text()[-3000:]
        return made["key"]


class Machine:
    def __init__(self, t, scale, programs, name, key, serves=False):
        self.cli, folder = programs[2], t.folder / name
        folder.mkdir()
        self.socket, self.socks = str(folder / "tailscaled.sock"), free_port()
        self.process = t.start(f"tailscaled-{name}", [programs[1], "--tun=userspace-networking", f"--socket={self.socket}", f"--statedir={folder}",
                                                      "--port=0", "--no-logs-no-support", f"--socks5-server=127.0.0.1:{self.socks}"])
        eventually(lambda: os.path.exists(self.socket), 60, self.process.text)
        done = subprocess.run([self.cli, f"--socket={self.socket}", "up", f"--login-server=http://127.0.0.1:{scale.port}", f"--auth-key={key}",
                               f"--hostname={name}", "--timeout=60s"], capture_output=True, text=True, timeout=120)
        same(done.returncode, 0, done.stdout + done.stderr + self.process.text()[-3000:])
        self.ip = subprocess.run([self.cli, f"--socket={self.socket}", "ip", "-4"], capture_output=True, text=True, timeout=60).stdout.strip()

    def status_of(self, url, *fields):
        """As somebody there asks, over the tailnet."""
        return subprocess.run(["curl", "-s", "-o", "/dev/null", "-m", "30", "-w", "%{http_code}", "--socks5-hostname", f"127.0.0.1:{self.socks}",
                               *[x for f in fields for x in ("-H", f)], url], capture_output=True, text=True, timeout=60).stdout


def story_callers_of_a_real_tailnet(t, seconds=300, alone=True):
    found = programs(t)
    scale = Headscale(t, found[0])
    alice, bob = scale.ask("users", "create", "alice"), scale.ask("users", "create", "bob")
    host = Machine(t, scale, found, "gpu", scale.key(alice["id"]))
    laptop = Machine(t, scale, found, "laptop", scale.key(alice["id"]))
    other = Machine(t, scale, found, "other", scale.key(bob["id"]))
    runner = Machine(t, scale, found, "runner", scale.key(alice["id"], "tag:ci"))
    up = t.upstream(always(ok()))
    gate = t.gateway(gateway={"tailnet": {"socket": host.socket}},
                     upstreams={"app": {"targets": [up.url], "protocol": "h1"}},
                     routes=[{"path": "/app", "upstream": "app", "access": {"tailnet": ["alice*", "tag:ci"]}}])
    url = f"http://{host.ip}:{gate.port}/app"
    eventually(lambda: laptop.status_of(url) == "200", 90, lambda: gate.text()[-2000:] + host.process.text()[-2000:])
    assert up.requests[-1].get("X-Sekisho-Tailnet-Login").startswith("alice"), up.requests[-1].fields
    assert up.requests[-1].get("X-Sekisho-Tailnet-Node").startswith("laptop"), up.requests[-1].fields
    eventually(lambda: runner.status_of(url) == "200", 90, "the tagged machine is not let in")
    same(up.requests[-1].all("X-Sekisho-Tailnet-Tags"), ["tag:ci"])
    same(up.requests[-1].all("X-Sekisho-Tailnet-Login"), [])
    eventually(lambda: other.status_of(url) == "403", 90, "somebody else hears something else")
    same(other.status_of(url, "Tailscale-User-Login: alice@"), "403")
    same(gate.get("/app", token=False).status, 403, "from this machine, and not over the tailnet")
    host.process.stop()
    eventually(lambda: gate.get("/app", token=False).status == 503, 30, "tailscaled is gone, and somebody is let in")


def story_a_tunnel_over_a_real_tailnet(t, seconds=300, alone=True):
    """Who is at its other end is asked again while it is open: a real tailscaled knows a connection for as long as it lasts."""
    found = programs(t)
    scale = Headscale(t, found[0])
    alice = scale.ask("users", "create", "alice")
    host, laptop = Machine(t, scale, found, "gpu", scale.key(alice["id"])), Machine(t, scale, found, "laptop", scale.key(alice["id"]))
    gate = t.gateway(gateway={"tailnet": {"socket": host.socket}},
                     upstreams={"app": {"targets": [t.upstream(on_connect=websocket.echo).url], "protocol": "h1"}},
                     routes=[{"path": "/", "respond": {"body": "hello"}, "access": {"tailnet": ["alice*"]}},
                             {"path": "/chat", "upstream": "app", "access": {"tailnet": ["alice*"]}}])
    url = f"http://{host.ip}:{gate.port}"
    eventually(lambda: laptop.status_of(url + "/") == "200", 90, lambda: gate.text()[-2000:] + host.process.text()[-2000:])
    before = gate.metrics()['sekisho_tailnet_lookups_total{result="ok"}']
    tunnel = subprocess.Popen(["curl", "-s", "-N", "-o", "/dev/null", "--http1.1", "--socks5-hostname", f"127.0.0.1:{laptop.socks}", "-H",
                               "Upgrade: websocket", "-H", "Connection: Upgrade", "-H", f"Sec-WebSocket-Key: {websocket.KEY}", "-H",
                               "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Protocol: chat", url + "/chat"], stdin=subprocess.DEVNULL)
    try:
        eventually(lambda: gate.metrics()['sekisho_tailnet_lookups_total{result="ok"}'] >= before + 2, 120, "it is not asked about again")
        same(tunnel.poll(), None, "the tunnel has ended")
        same([x for x in gate.access_log() if x.get("reason") == "caller_revoked"], [])
    finally:
        tunnel.terminate()
        tunnel.wait(30)


def story_headscale_has_no_certificates(t, seconds=300, alone=True):
    """What a real tailscaled says then, to us and to who asks for one all the same."""
    found = programs(t)
    scale = Headscale(t, found[0])
    alice = scale.ask("users", "create", "alice")
    host = Machine(t, scale, found, "gpu", scale.key(alice["id"]))
    gate = t.gateway(gateway={"tailnet": {"socket": host.socket}, "certificates": ["tailnet"],
                              "listen": [{"address": f"tailnet:{free_port()}", "tls": True}]})
    (line,) = eventually(lambda: [x for x in gate.lines() if x.get("event") == "tailnet_certificate_not_offered"], 60, gate.text)
    assert "headscale" in line["why"], line
    asked = subprocess.run(["curl", "-s", "-m", "30", "-w", "\n%{http_code}", "--unix-socket", host.socket,
                            "http://local-tailscaled.sock/localapi/v0/cert/gpu.tail.example.com?type=pair"], capture_output=True, text=True, timeout=60)
    assert asked.stdout.endswith("\n500") and "acme" in asked.stdout, asked.stdout


def story_serve_of_a_real_tailscaled(t, seconds=300, alone=True):
    found = programs(t)
    scale = Headscale(t, found[0])
    alice = scale.ask("users", "create", "alice")
    host = Machine(t, scale, found, "gpu", scale.key(alice["id"]))
    path, port = t.folder / "sekisho.json", free_port()
    path.write_text(json.dumps({"gateway": {"port": port, "auth": False}}))
    serve = ["setup", "--serve", "--tailscale-socket", host.socket, "--config", path]
    shown = t.sekisho_run(*serve, "--print")
    same(shown.returncode, 0, shown.stdout + shown.stderr)
    assert f"http://127.0.0.1:{port}" in shown.stdout
    done = t.sekisho_run(*serve, "--yes")
    same(done.returncode, 0, done.stdout + done.stderr)
    said = subprocess.run([found[2], f"--socket={host.socket}", "serve", "status", "--json"], capture_output=True, text=True, timeout=60)
    assert f"http://127.0.0.1:{port}" in said.stdout, said.stdout + said.stderr
    assert "already" in t.sekisho_run(*serve, "--yes").stdout
