"""Real servers as back ends that write down each request they saw: nginx, HAProxy, Apache, lighttpd and node.

Each answers with the target it saw (in the body or in Location), as leniently configured as it can be.
"""

import os
import shutil
import socket
import time

from .stage import eventually, free_port

NODE = """
const http = require('http'), fs = require('fs');
const [port, log] = process.argv.slice(2);
const out = fs.openSync(log, 'a');
http.createServer({ insecureHTTPParser: true, keepAliveTimeout: 60000 }, (request, answer) => {
    fs.writeSync(out, request.method + ' ' + request.url + '\\n');
    request.on('error', () => {}).resume().on('end', () => answer.end(request.url));
}).listen(port, '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
"""


class Backend:
    def __init__(self, t, name):
        self.name, self.port = name, free_port()
        self.folder = t.folder / f"back-{name}"
        self.folder.mkdir()
        self.seen_path = self.folder / "seen"
        self.program = getattr(self, f"_{name}")(t)
        eventually(self._listens, 15, f"{name} did not start:\n{self.program.text()}")

    def _listens(self):
        assert self.program.process.poll() is None, f"{self.name} ended:\n{self.program.text()}"
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def _write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def _nginx(self, t):
        root = "user root;" if os.geteuid() == 0 else ""
        temporary = "".join(f"{n}_temp_path {self.folder}/{n};" for n in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        conf = self._write("conf", f"""daemon off; {root} pid {self.folder}/pid; error_log {self.folder}/error info; worker_processes 1;
events {{ worker_connections 256; }}
http {{ {temporary} log_format seen '$request_method $request_uri'; access_log {self.seen_path} seen;
  keepalive_requests 1000000; ignore_invalid_headers off; underscores_in_headers on; merge_slashes off;
  server {{ listen 127.0.0.1:{self.port}; location / {{ return 200 "$request_uri"; }} }} }}""")
        return t.start("nginx", ["nginx", "-e", self.folder / "error", "-p", self.folder, "-c", conf])

    def _haproxy(self, t):
        # One thread: of two that log at the same time one drops its line.
        conf = self._write("conf", f"""global
  nbthread 1
  log stdout format raw local0
defaults
  mode http
  log global
  timeout client 20s
  timeout server 20s
  timeout connect 5s
  timeout http-request 20s
  option accept-invalid-http-request
frontend f
  bind 127.0.0.1:{self.port}
  log-format "SEEN %HM %HU"
  option http-buffer-request
  http-request return status 200 content-type text/plain lf-string "%[url]"
""")
        program = t.start("haproxy", ["haproxy", "-db", "-f", conf])
        program.codes = (0, 143, -15)  # as busy as it is when the signal comes
        self.seen_path = program.log
        return program

    def _apache2(self, t):
        modules = "/usr/lib/apache2/modules"
        user = "User www-data\nGroup www-data\n" if os.geteuid() == 0 else ""
        conf = self._write("conf", f"""ServerRoot {self.folder}
ServerName localhost
PidFile {self.folder}/pid
Listen 127.0.0.1:{self.port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule alias_module {modules}/mod_alias.so
LoadModule authz_core_module {modules}/mod_authz_core.so
{user}Mutex file:{self.folder} default
DefaultRuntimeDir {self.folder}
HttpProtocolOptions Unsafe LenientMethods Allow0.9
KeepAliveTimeout 60
MaxKeepAliveRequests 0
ErrorLog {self.folder}/error
LogFormat "%m %U%q" seen
CustomLog {self.seen_path} seen
RedirectMatch 307 ^(/.*)$ http://back$1
""")
        return t.start("apache2", ["apache2", "-D", "FOREGROUND", "-f", conf])

    def _lighttpd(self, t):
        conf = self._write("conf", f"""server.bind = "127.0.0.1"
server.port = {self.port}
server.document-root = "{self.folder}"
server.errorlog = "{self.folder}/error"
server.modules = ("mod_accesslog", "mod_redirect")
server.http-parseopts = ("header-strict" => "disable", "host-strict" => "disable", "method-get-body" => "enable")
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 60
accesslog.filename = "{self.seen_path}"
accesslog.format = "%r"
url.redirect = ("^(.*)$" => "http://back$1")
url.redirect-code = 307
""")
        program = t.start("lighttpd", ["lighttpd", "-D", "-f", conf])
        program.codes = (0, 1)
        return program

    def _node(self, t):
        script = self._write("server.js", NODE)
        return t.start("node", ["node", script, self.port, self.seen_path])

    def seen(self):
        """(method, target) of each request, as it read them. Ends the server: some write when they end."""
        self.program.stop()
        time.sleep(0.05)
        text = self.seen_path.read_bytes().decode("latin-1") if self.seen_path.exists() else ""
        origin = f"http://{self.name}.test/"  # HAProxy writes what came by HTTP/2 in absolute form
        lines = [line.removeprefix("SEEN ").strip('"').replace(origin, "/", 1) for line in text.splitlines()
                 if self.name != "haproxy" or line.startswith("SEEN ")]
        return [tuple((line.split(" ") + ["", ""])[:2]) for line in lines]


ALL = ("nginx", "haproxy", "apache2", "lighttpd", "node")


def available():
    found = [n for n in ALL
             if shutil.which(n, path=os.environ["PATH"] + ":/usr/sbin:/sbin")]
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    return found
