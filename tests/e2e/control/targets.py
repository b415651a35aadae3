"""What an agent can reach for a service: each form of address that control takes, dialled there and answered over a link."""

import json
import socket
import ssl
import threading

from lib import wire
from lib.fleet import Fleet
from lib.patience import patient
from lib.stage import eventually, same
from lib.upstream import ok


def story_every_form_of_a_target_is_reached(t, seconds=120):
    path = t.folder / "app.sock"
    plain = t.sample("--unix", path)
    cert, key = t.certs().issue("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    secure = t.upstream(lambda peer, request: peer.send(ok("secured")), tls=context)
    other = t.proxy(plain)  # stands for a server of HTTP/2 in plain text
    raw = socket.create_server(("127.0.0.1", 0))
    t.env["SSL_CERT_FILE"] = str(t.certs().cert)
    # A socket of the host is reached only where the agent's own file says so.
    t.private_file("no-such.json", json.dumps({"agent": {"allow": [f"unix:{path}", "127.0.0.0/8", "localhost:1-65535"]}}))
    fleet = Fleet(t)
    urls = {"plain": plain.url, "socket": f"unix:{path}", "secure": f"https://localhost:{secure.port}", "stranger": f"https://127.0.0.1:{secure.port}",
            "other": f"unix:{path}2", "magic": f"h2c://127.0.0.1:{raw.getsockname()[1]}", "clear": f"h2c://127.0.0.1:{other.port}", "name": f"http://localhost:{plain.port}"}
    for name, url in urls.items():
        fleet.control.made("/services", {"name": name, "hosts": [f"{name}.example.com"], "access": {"kind": "public"}, "targets": [{"agent": "home", "url": url}]})

    def asked(name):
        a = wire.ask(fleet.gates[0].port, "GET", "/bytes/7", host=f"{name}.example.com")
        return a.status, len(a.body) if a.status == 200 else 0

    for name in urls.keys() - {"magic"}:
        wanted = 502 if name in ("stranger", "other") else 200  # a certificate that is for another name; a socket that is not named
        eventually(lambda n=name, w=wanted: asked(n)[0] == w, 30, lambda n=name: f"{n}: {asked(n)}\n{fleet.agents['home'].text()[-2500:]}")
        same(asked(name)[1], 7 if wanted == 200 else 0, name)
    # What comes to such a server begins as HTTP/2 does.
    visitor = threading.Thread(target=asked, args=["magic"], daemon=True)
    visitor.start()
    raw.settimeout(patient(20))
    with raw.accept()[0] as conn:
        conn.settimeout(patient(20))
        same(conn.recv(14, socket.MSG_WAITALL), b"PRI * HTTP/2.0")
    raw.close()
    visitor.join()
