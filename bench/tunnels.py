"""The tunnels that bench/link compares: each is two processes, one beside the visitors and one beside the service, on one CPU."""

import base64
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/e2e"))

from lib import certs, links, proc  # noqa: E402
from lib.stage import free_port  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent


def program(name):
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin:/usr/local/go/bin")
    if not found:
        raise SystemExit(f"bench/link: {name} is not installed; `tools/deps bench test` installs it")
    return found


def required(name):
    """(module, version) that bench/rivals/NAME/go.mod asks for."""
    line = next(x for x in (HERE / f"rivals/{name}/go.mod").read_text().splitlines() if x.startswith("require "))
    return line.split()[1:]


def go_build(build, name, package):
    """A command of the rival's module, built once for each version."""
    module, version = required(name)
    folder = build / "rival" / f"{name}-{version}"
    to = folder / pathlib.PurePath(package).name
    if not to.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for file in ("go.mod", "go.sum"):
            shutil.copy(HERE / "rivals" / name / file, folder / file)
        print(f"building {package} {version}", flush=True)
        subprocess.run([program("go"), "build", "-mod=mod", "-o", to, package], cwd=folder, check=True)
    return to


class Tunnel:
    """Visitors come to `http_port` and `tcp_port`; behind it are the upstream and the sink of bytes."""

    name = "?"

    def __init__(self, folder, cpu, build):
        self.folder, self.cpu, self.build = folder / self.name, cpu, build
        self.folder.mkdir()
        self.http_port, self.tcp_port = free_port(), free_port()
        self.processes = []

    def start(self, upstream, sink):
        raise NotImplementedError

    def spawn(self, *command, **more):
        with open(self.folder / f"output-{len(self.processes)}", "wb") as log:
            process = subprocess.Popen(["taskset", "-c", self.cpu, *map(str, command)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **more)
        self.processes.append(process)
        return process

    @property
    def pids(self):
        return [p.pid for p in self.processes]

    def memory_kib(self):
        return sum(proc.rss_kib(p) for p in self.pids)

    def output(self):
        return "\n".join(f.read_text(errors="replace")[-1500:] for f in sorted(self.folder.glob("output-*")))

    def wait(self, ports, asks=False):
        """Until something listens there, or even answers through the tunnel."""
        end = time.monotonic() + 20
        for port in ports:
            while True:
                try:
                    with socket.create_connection(("127.0.0.1", port), 2) as c:
                        if not asks:
                            break
                        c.sendall(b"GET /bytes/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                        if c.recv(100).startswith(b"HTTP/1.1 200"):
                            break
                except OSError:
                    pass
                if any(p.poll() is not None for p in self.processes) or time.monotonic() > end:
                    raise SystemExit(f"bench/link: {self.name} does not serve:\n{self.output()}")
                time.sleep(0.05)

    def stop(self):
        for p in reversed(self.processes):
            p.terminate()
        for p in reversed(self.processes):
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        self.processes.clear()


class Sekisho(Tunnel):
    """A gateway with one worker and an agent with one link; a way past the link for comparison at `direct_port`."""

    name = "sekisho"
    links = 1

    def version(self):
        return subprocess.run([self.build / "sekisho", "version"], capture_output=True, text=True).stdout.split()[1]

    def config(self, name, value):
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(value, indent=2))
        path.chmod(0o600)
        return path

    def start(self, upstream, sink):
        nodes = links.Nodes(types.SimpleNamespace(folder=self.folder))
        public = certs.Authority(self.folder).issue("localhost")
        cert, key = nodes.node("gateway", "gw-bench")
        agent_cert, agent_key = nodes.node("agent", "ag-bench")
        link_port, self.direct_port = free_port(), free_port()
        self.spawn(self.build / "sekisho", "gateway", "--config", self.config("gateway", {
            "gateway": {"host": "127.0.0.1", "port": self.http_port, "workers": 1,
                        "listen": [{"address": f"127.0.0.1:{link_port}", "tls": True},
                                   {"address": f"127.0.0.1:{self.tcp_port}", "upstream": "bytes"}],
                        "certificates": [{"cert": str(public[0]), "key": str(public[1])}],
                        "links": {"authority": str(nodes.cert), "cert": cert, "key": key},
                        "apiTokens": [{"name": "bench", "sha256": hashlib.sha256(os.urandom(32)).hexdigest()}],
                        "limits": {"idleTimeout": "10m", "connectionsPerAddress": 0}},
            "upstreams": {"app": {"targets": ["link://ag-bench/tg-app"]}, "bytes": {"targets": ["link://ag-bench/tg-bytes"]},
                          "near": {"targets": [f"http://127.0.0.1:{upstream}"], "keepAlive": {"connections": 512}}},
            "routes": [{"host": "direct.localhost", "upstream": "near", "access": "public"}, {"path": "/", "upstream": "app", "access": "public"}],
            "admin": {"listen": f"127.0.0.1:{free_port()}"},
            "log": {"level": "warning", "access": "off"}}))
        self.wait([link_port])
        self.spawn(self.build / "sekisho", "agent", "--config", self.config("agent", {
            "upstreams": {"tg-app": {"targets": [f"http://127.0.0.1:{upstream}"], "keepAlive": {"connections": 512}},
                          "tg-bytes": {"targets": [f"tcp://127.0.0.1:{sink}"]}},
            "agent": {"gateways": [f"127.0.0.1:{link_port}"], "authority": str(nodes.cert), "cert": agent_cert, "key": agent_key,
                      "links": self.links, "services": {"tg-app": "tg-app", "tg-bytes": "tg-bytes"}},
            "log": {"level": "warning", "access": "off"}}))
        self.wait([self.http_port], asks=True)

    @property
    def agent_pid(self):
        return self.pids[1]


class Ssh(Tunnel):
    name = "ssh -R"
    cipher = "aes128-gcm@openssh.com"

    def version(self):
        said = subprocess.run([program("ssh"), "-V"], capture_output=True, text=True)
        return (said.stderr + said.stdout).split()[0].rstrip(",") + f", {self.cipher}"

    def start(self, upstream, sink):
        port = free_port()
        for name in ("host", "client"):
            subprocess.run([program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name], check=True)
        keys = self.folder / "authorized"
        keys.write_text((self.folder / "client.pub").read_text())
        keys.chmod(0o600)
        config = self.folder / "sshd_config"
        config.write_text(f"ListenAddress 127.0.0.1:{port}\nHostKey \"{self.folder}/host\"\nAuthorizedKeysFile \"{keys}\"\nPasswordAuthentication no\n"
                          f"UsePAM no\nStrictModes no\nPidFile none\nPermitRootLogin prohibit-password\nMaxSessions 1\n")
        pathlib.Path("/run/sshd").mkdir(exist_ok=True)
        self.spawn(program("sshd"), "-D", "-e", "-f", config)
        self.wait([port])
        user = os.environ.get("USER") or "root"
        self.spawn(program("ssh"), "-F", "none", "-N", "-p", port, "-i", self.folder / "client", "-c", self.cipher, "-o", "StrictHostKeyChecking=no",
                   "-o", "UserKnownHostsFile=/dev/null", "-o", "ExitOnForwardFailure=yes", "-R", f"127.0.0.1:{self.http_port}:127.0.0.1:{upstream}",
                   "-R", f"127.0.0.1:{self.tcp_port}:127.0.0.1:{sink}", f"{user}@127.0.0.1")
        self.wait([self.http_port], asks=True)


class Frp(Tunnel):
    """As it comes: TLS between the two, several streams on one connection."""

    name = "frp"

    def version(self):
        return required("frp")[1]

    def start(self, upstream, sink):
        port = free_port()
        secret = base64.b16encode(os.urandom(16)).decode()
        common = f'auth.token = "{secret}"\nlog.level = "error"\n'
        server, client = self.folder / "frps.toml", self.folder / "frpc.toml"
        server.write_text(f'bindAddr = "127.0.0.1"\nbindPort = {port}\nproxyBindAddr = "127.0.0.1"\n{common}')
        client.write_text(f'serverAddr = "127.0.0.1"\nserverPort = {port}\n{common}' + "".join(
            f'[[proxies]]\nname = "{name}"\ntype = "tcp"\nlocalIP = "127.0.0.1"\nlocalPort = {to}\nremotePort = {at}\n'
            for name, to, at in (("http", upstream, self.http_port), ("bytes", sink, self.tcp_port))))
        self.spawn(go_build(self.build, "frp", "github.com/fatedier/frp/cmd/frps"), "-c", server, env=self.environment())
        self.wait([port])
        self.spawn(go_build(self.build, "frp", "github.com/fatedier/frp/cmd/frpc"), "-c", client, env=self.environment())
        self.wait([self.http_port], asks=True)

    @staticmethod
    def environment():
        return {**os.environ, "GOMAXPROCS": "1"}


class Chisel(Tunnel):
    name = "chisel"

    def version(self):
        return required("chisel")[1]

    def start(self, upstream, sink):
        port, binary = free_port(), go_build(self.build, "chisel", "github.com/jpillora/chisel")
        self.spawn(binary, "server", "--host", "127.0.0.1", "--port", port, "--reverse", env=Frp.environment())
        self.wait([port])
        self.spawn(binary, "client", f"http://127.0.0.1:{port}", f"R:127.0.0.1:{self.http_port}:127.0.0.1:{upstream}",
                   f"R:127.0.0.1:{self.tcp_port}:127.0.0.1:{sink}", env=Frp.environment())
        self.wait([self.http_port], asks=True)


ALL = (Sekisho, Ssh, Frp, Chisel)
