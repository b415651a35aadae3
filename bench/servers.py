"""The servers that are compared: each as one worker on one CPU, in front of the same upstream, with its logs off."""

import hashlib
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/e2e"))

from lib.stage import free_port  # noqa: E402

TOKEN = "sk-bench-0123456789abcdef0123456789abcdef"


class Server:
    """Listens at `port` in plain text and at `tls_port` with TLS."""

    name = "?"
    cases = None  # those it takes part in; None: all

    def __init__(self, folder, cpu):
        self.folder = folder / self.name
        self.folder.mkdir()
        self.port, self.tls_port = free_port(), free_port()
        self.cpu, self.process = cpu, None

    def start(self, upstream, cert, key):
        self.log = open(self.folder / "output", "wb")
        command = self.command(upstream, cert, key)
        self.process = subprocess.Popen(["taskset", "-c", self.cpu, *map(str, command)], stdout=self.log, stderr=self.log,
                                        stdin=subprocess.DEVNULL)
        self.pid = self.process.pid
        for port in filter(None, (self.port, self.tls_port)):
            self.wait(port)
        return self

    def environment(self):
        """What the load is told beside the case's own."""
        return {}

    def wait(self, port):
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"{self.name} does not listen: {(self.folder / 'output').read_text()[-2000:]}") from None
                time.sleep(0.05)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def command(self, upstream, cert, key):
        raise NotImplementedError


class Direct:
    """The upstream itself, on the load's CPU: what the measured delays begin from."""

    name = "direct"
    cases = None

    def __init__(self, port, pid):
        self.port, self.tls_port, self.pid = port, None, pid

    def environment(self):
        return {}

    def stop(self):
        pass


class Nginx(Server):
    name = "nginx"

    @staticmethod
    def version():
        return subprocess.run([program("nginx"), "-v"], capture_output=True, text=True).stderr.strip().split("/")[-1]

    def command(self, upstream, cert, key):
        (self.folder / "conf").write_text(f"""
            daemon off; master_process off; worker_processes 1; pid {self.folder}/pid; error_log {self.folder}/error;
            worker_rlimit_nofile 20000;
            events {{ worker_connections 19000; multi_accept on; }}
            http {{
                access_log off; keepalive_requests 100000000; keepalive_timeout 600s;
                client_body_temp_path {self.folder}; proxy_temp_path {self.folder}; fastcgi_temp_path {self.folder};
                uwsgi_temp_path {self.folder}; scgi_temp_path {self.folder};
                upstream up {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 100000000; }}
                upstream holder {{ server 127.0.0.1:{self.holder_port}; }}
                server {{
                    listen 127.0.0.1:{self.port} reuseport backlog=4096;
                    listen 127.0.0.1:{self.tls_port} ssl http2 reuseport backlog=4096;
                    ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;
                    ssl_session_cache off; ssl_session_tickets off;
                    location / {{
                        proxy_pass http://up; proxy_http_version 1.1; proxy_buffering off;
                        proxy_set_header Connection ""; proxy_set_header Host $host;
                        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                        proxy_set_header X-Forwarded-Proto $scheme;
                    }}
                    location /ws {{
                        proxy_pass http://holder; proxy_http_version 1.1; proxy_read_timeout 600s;
                        proxy_set_header Connection upgrade; proxy_set_header Upgrade websocket;
                    }}
                }}
            }}""")
        return [program("nginx"), "-p", self.folder, "-c", self.folder / "conf"]


class Haproxy(Server):
    name = "haproxy"

    @staticmethod
    def version():
        out = subprocess.run([program("haproxy"), "-v"], capture_output=True, text=True).stdout
        return out.split("version ")[1].split(" ")[0]

    def command(self, upstream, cert, key):
        pem = self.folder / "pem"
        pem.write_text(cert.read_text() + key.read_text())
        (self.folder / "conf").write_text(f"""
global
    nbthread 1
    maxconn 9500
    tune.ssl.cachesize 0
    ssl-default-bind-options no-tls-tickets ssl-min-ver TLSv1.2
defaults
    mode http
    timeout client 600s
    timeout server 600s
    timeout connect 5s
    option http-no-delay
    option forwardfor
    http-reuse always
frontend f
    bind 127.0.0.1:{self.port}
    bind 127.0.0.1:{self.tls_port} ssl crt {pem} alpn h2,http/1.1
    use_backend holder if {{ path /ws }}
    default_backend b
backend holder
    timeout tunnel 600s
    server h 127.0.0.1:{self.holder_port}
backend b
    server u 127.0.0.1:{upstream} pool-max-conn -1
""")
        return [program("haproxy"), "-db", "-f", self.folder / "conf"]


class H2o(Server):
    name = "h2o"
    cases = ("h2",)

    @staticmethod
    def version():
        return subprocess.run([program("h2o"), "--version"], capture_output=True, text=True).stdout.split("\n")[0].split()[-1]

    def command(self, upstream, cert, key):
        (self.folder / "conf").write_text(f"""
num-threads: 1
max-connections: 9500
listen:
  host: 127.0.0.1
  port: {self.port}
listen:
  host: 127.0.0.1
  port: {self.tls_port}
  ssl:
    certificate-file: {cert}
    key-file: {key}
    minimum-version: TLSv1.2
ssl-session-resumption:
  mode: off
hosts:
  default:
    paths:
      /:
        proxy.reverse.url: "http://127.0.0.1:{upstream}/"
        proxy.preserve-host: ON
        proxy.timeout.keepalive: 600000
""")
        return [program("h2o"), "-m", "worker", "-c", self.folder / "conf"]


class Sekisho(Server):
    name = "sekisho"
    program = None  # its path, set by bench/run

    @classmethod
    def version(cls):
        return subprocess.run([cls.program, "version"], capture_output=True, text=True).stdout.strip().split("\n")[0].split()[-1]

    def command(self, upstream, cert, key):
        config = {
            "gateway": {
                "host": "127.0.0.1", "port": self.port, "workers": 1,
                "listen": [{"address": f"127.0.0.1:{self.tls_port}", "tls": True}],
                "certificates": [{"cert": str(cert), "key": str(key)}],
                "apiTokens": [{"name": "bench", "sha256": hashlib.sha256(TOKEN.encode()).hexdigest()}],
                "limits": {"idleTimeout": "10m", "connectionsPerAddress": 0},
            },
            "upstreams": {"app": {"targets": [f"http://127.0.0.1:{upstream}"], "keepAlive": {"connections": 512}},
                          "holder": {"targets": [f"http://127.0.0.1:{self.holder_port}"], "protocol": "h1"}},
            "providers": {"home": {"kind": "openai", "baseUrl": f"http://127.0.0.1:{upstream}/v1"}},
            "routes": [{"path": "/", "upstream": "app", "access": "public"}, {"path": "/ws", "upstream": "holder", "access": "public"}],
            "admin": {"listen": f"127.0.0.1:{free_port()}"},
            "log": {"level": "warning", "access": "off"},
        }
        path = self.folder / "sekisho.json"
        path.write_text(json.dumps(config, indent=2))
        path.chmod(0o600)
        return [self.program, "gateway", "--config", path]


class Portkey(Server):
    """The npm AI gateway, as bench/npm/package-lock.json names it; it takes the upstream from each request."""

    name = "portkey"
    cases = ("model",)
    build = None  # where it is installed, set by bench/run

    @classmethod
    def folder_installed(cls):
        return cls.build / "bench-npm"

    @classmethod
    def install(cls):
        here, to = pathlib.Path(__file__).resolve().parent / "npm", cls.folder_installed()
        if (to / "node_modules/@portkey-ai/gateway").exists():
            return
        to.mkdir(exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(here / name, to / name)
        subprocess.run([program("npm"), "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], cwd=to, check=True)

    @classmethod
    def version(cls):
        return json.loads((cls.folder_installed() / "node_modules/@portkey-ai/gateway/package.json").read_text())["version"]

    def command(self, upstream, cert, key):
        self.install()
        self.upstream, self.tls_port = upstream, None
        script = self.folder_installed() / "node_modules/@portkey-ai/gateway/build/start-server.js"
        return [program("node"), script, f"--port={self.port}", "--headless"]

    def environment(self):
        return {"WRK_HEADERS": f"x-portkey-provider: openai|x-portkey-custom-host: http://127.0.0.1:{self.upstream}/v1"}


def program(name):
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if not found:
        raise SystemExit(f"bench/run: {name} is not installed; `tools/deps bench` installs it")
    return found


ALL = (Sekisho, Nginx, Haproxy, H2o, Portkey)
