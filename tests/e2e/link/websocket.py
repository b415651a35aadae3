"""Links as WebSockets, where something on the way ends TLS and lets nothing but HTTP through: nginx, and some that mean no good."""

import base64
import hashlib
import os
import shutil
import signal
import socket
import ssl
import threading

from gateway.reload import Load
from gateway.upgrade import Line
from lib import links, proc
from lib.stage import Program, eventually, free_port, same
from link.upgrade import Posts
from link.ways import Proxy, problems

SECRET = "moss-under-the-fern"


class Middlebox(Program):
    """nginx with a certificate of its own; what it got in the clear goes on to `to` (port), over TLS or not."""

    def __init__(self, t, to, tls=True, port=None, authority=None):
        name = t._name("nginx")
        folder = t.folder / f"{name}-{os.urandom(4).hex()}"
        folder.mkdir()
        self.port, self.log_asked = port or free_port(), folder / "asked.log"
        cert, key = (authority or t.certs()).issue("middlebox.example.net")
        temp = "".join(f"{x}_temp_path {folder}/{x};" for x in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (folder / "nginx.conf").write_text(f"""
            daemon off; master_process off; error_log stderr; pid {folder}/pid; worker_rlimit_nofile 1024;
            events {{}}
            http {{
              {temp} log_format ask '$request_method $uri $status'; access_log {folder}/asked.log ask;
              map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
              server {{
                listen 127.0.0.1:{self.port} ssl; ssl_certificate {cert}; ssl_certificate_key {key};
                location / {{
                  proxy_pass {"https" if tls else "http"}://127.0.0.1:{to}; proxy_http_version 1.1; proxy_read_timeout 1h;
                  proxy_set_header Host $http_host; proxy_set_header Upgrade $http_upgrade;
                  proxy_set_header Connection $connection_upgrade;
                }}
              }}
            }}""")
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        assert program, "nginx is not installed; `tools/deps test` installs it"
        super().__init__(t, name, [program, "-p", folder, "-c", folder / "nginx.conf"])
        t.programs.append(self)
        eventually(self.listens, 10, lambda: self.text())

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def asked(self):
        return self.log_asked.read_text().split("\n")


class Listener:
    """Passes bytes on to `to`, and keeps all of them, each way by itself."""

    def __init__(self, to):
        self.to, self.heard = to, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            far = socket.create_connection(("127.0.0.1", self.to))
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    def pump(self, a, b):
        heard = bytearray()
        self.heard.append(heard)
        try:
            while data := a.recv(1 << 16):
                heard += data
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def pair(t, make=lambda t, gate: Middlebox(t, gate.tls_port), websocket="always", **more):
    """(gateway, what is on the way, agent)"""
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app"], workers=2)
    way = make(t, gate)
    agent = links.agent(t, nodes, [f"127.0.0.1:{way.port}"], {"tg-app": t.sample("--record").url}, websocket=websocket, **more)
    return gate, way, agent


def ways(agent):
    return {e["way"] for e in agent.events("link_open")}


def connections(gate):
    return gate.metrics().get("sekisho_connections") - 1  # who asks for this


def works(gate):
    same(gate.get("/bytes/3", token=False).status, 200)
    size = 8 << 20
    same(len(gate.get(f"/bytes/{size}", token=False).body), size)
    same(gate.post("/sink", os.urandom(size), token=False).json["bytes"], size)


def story_through_a_box_that_ends_tls(t):
    gate, box, agent = pair(t)
    links.links_open(gate, 2, 20)
    works(gate)
    same(ways(agent), {"websocket"})
    same(problems(agent), set())
    eventually(lambda: len(asked := [x for x in gate.access_log() if "target" in x]) >= 3 and {x.get("way") for x in asked} == {"websocket"},
               10, lambda: f"{gate.access_log()}")
    # Both end when the box does, and come back with it.
    os.kill(box.pid, signal.SIGKILL)
    t.programs.remove(box)
    box.process.wait()
    links.links_open(gate, 0, 20)
    again = Middlebox(t, gate.tls_port, port=box.port)
    links.links_open(gate, 2, 60)
    works(gate)
    # The agent ends: nothing is left of it at the gateway, and the box saw upgrades and nothing else.
    agent.stop()
    links.links_open(gate, 0, 20)
    eventually(lambda: connections(gate) == 0, 20, lambda: f"{connections(gate)} connections are left")
    eventually(lambda: set(filter(None, again.asked())) == {"GET /.sekisho/link 101"}, 10, lambda: f"{again.asked()}")


def story_the_straight_way_is_tried_first_and_then_the_other(t):
    gate, box, agent = pair(t, websocket="fallback")
    links.links_open(gate, 2, 60)
    works(gate)
    same(ways(agent), {"websocket"})
    changes = agent.events("gateway_way")
    same(changes[0]["way"], "websocket")
    assert changes[0]["reason"], changes
    # With nothing in between it stays straight.
    nodes = links.Nodes(t, "others")
    other = links.gateway(t, nodes, ["ag-two/tg-app"], name="gw-two")
    second = links.agent(t, nodes, [other], {"tg-app": t.sample().url}, name="ag-two")
    links.links_open(other, 1)
    same((ways(second), second.events("gateway_way")), ({"straight"}, []))
    same(other.get("/bytes/3", token=False).status, 200)
    eventually(lambda: [(x["way"], x["way_reason"]) for x in other.access_log() if "target" in x] == [("straight", "no_overlay")], 10,
               lambda: f"{other.access_log()}")


def story_a_gateway_that_is_down_is_not_asked_another_way(t):
    nodes = links.Nodes(t)
    port = free_port()
    agent = links.agent(t, nodes, [f"127.0.0.1:{port}"], {"tg-app": "http://127.0.0.1:1"})
    eventually(lambda: len(agent.events("gateway_not_reached")) >= 3, 30, lambda: agent.text())
    same(agent.events("gateway_way"), [])


def story_through_a_proxy_and_a_box(t):
    proxy = Proxy(t)
    gate, box, agent = pair(t, proxy=f"http://127.0.0.1:{proxy.port}")
    links.links_open(gate, 2, 20)
    works(gate)
    assert f"CONNECT 127.0.0.1:{box.port}" in proxy.text(), proxy.text()


def story_a_box_reads_nothing_of_it(t):
    ears = []

    def make(t, gate):
        ears.append(Listener(gate.port))
        return Middlebox(t, ears[0].port, tls=False)

    gate, box, agent = pair(t, make)
    links.links_open(gate, 2, 20)
    same(gate.post(f"/sink?{SECRET}", SECRET.encode() * 100, {"X-Kept": SECRET}, token=False).status, 200)
    said = [bytes(x).partition(b"\r\n\r\n") for x in ears[0].heard]
    said = [(head, b"".join(frames(Said(rest)))) for head, _, rest in said]
    same(sum(head.startswith(b"GET /.sekisho/link ") for head, _ in said), len(said) / 2)
    assert sum(len(inside) for _, inside in said) > 5000, said
    for head, inside in said:
        assert inside.startswith(b"\x16\x03"), inside[:100]  # TLS records, and nothing before them
        for word in (SECRET, "ag-one", "gw-one", "tg-app", "PRI * HTTP/2.0"):
            assert word.encode() not in head + inside, word


def upgrade(sock, protocol="sekisho-link.1"):
    key = base64.b64encode(os.urandom(16)).decode()
    more = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
    sock.sendall(f"GET /.sekisho/link HTTP/1.1\r\nHost: app.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{more}\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        got = sock.recv(4096)
        assert got, head
        head += got
    return int(head.split()[1])


def frame(data, masked=True):
    head = bytes([0x82]) + (bytes([len(data) | masked << 7]) if len(data) < 126
                            else bytes([126 | masked << 7]) + len(data).to_bytes(2, "big"))
    if not masked:
        return head + data
    mask = os.urandom(4)
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data))


def frames(sock):
    """The payloads of frames until the end."""
    def exactly(n):
        found = b""
        while len(found) < n:
            got = sock.recv(n - len(found))
            if not got:
                raise EOFError
            found += got
        return found
    try:
        while True:
            first, length = exactly(2)
            size = length & 127
            size = int.from_bytes(exactly(2), "big") if size == 126 else int.from_bytes(exactly(8), "big") if size == 127 else size
            mask = exactly(4) if length & 128 else bytes(4)
            data = bytes(b ^ mask[i % 4] for i, b in enumerate(exactly(size)))
            if first & 15 == 8:
                return
            if first & 15 in (0, 2):
                yield data
    except (EOFError, OSError):
        return


class Said:
    """Bytes that were said, to be read as from a socket."""

    def __init__(self, data):
        self.data = data

    def recv(self, n):
        found, self.data = self.data[:n], self.data[n:]
        return found


def hello(name, cert=None):
    """A TLS client without a socket: its connection, and the first bytes that it says."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if cert:
        context.load_cert_chain(*cert)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return tls, incoming, outgoing


def story_a_stranger_gets_no_further_than_at_the_front_door(t):
    gate, box, agent = pair(t)
    links.links_open(gate, 2, 20)
    same(gate.get("/.sekisho/link", token=False).status, 426)

    def dial():
        return socket.create_connection(("127.0.0.1", gate.port), 20)

    for protocol in (None, "chat"):
        with dial() as sock:
            same(upgrade(sock, protocol), 426)
    other = links.Nodes(t, "strangers").node("agent", "ag-evil")
    for why, name, cert in (("a visitor's name", "app.example.com", None), ("no name", None, None), ("no certificate", "link.sekisho.internal", None),
                            ("another authority's", "link.sekisho.internal", other), ("a worker that there is not", "w99.link.sekisho.internal", other)):
        with dial() as sock:
            same((why, upgrade(sock)), (why, 101))
            tls, incoming, outgoing = hello(name, cert)
            sock.sendall(frame(outgoing.read()))
            for data in frames(sock):
                incoming.write(data)
                try:
                    tls.do_handshake()
                    tls.read(1)
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLError:
                    break
                if outgoing.pending:
                    sock.sendall(frame(outgoing.read()))
    for bad in (frame(b"x", masked=False), b"\x81\x80abcd", b"\xf2\x80abcd", frame(b"GET / HTTP/1.1\r\n\r\n")):
        with dial() as sock:
            same(upgrade(sock), 101)
            sock.sendall(bad)
            for _ in frames(sock):
                pass
    same(gate.metrics().get("sekisho_links"), 2)
    works(gate)
    eventually(lambda: connections(gate) <= 2, 20, lambda: f"{connections(gate)} connections are left")


class Impostor:
    """Takes the WebSocket as a gateway would, and inside of it shows a certificate of its own."""

    def __init__(self, t, cert):
        self.outer = t.certs().server("middlebox.example.net")
        self.inner = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.inner.load_cert_chain(*cert)
        self.inner.set_alpn_protocols(["h2"])
        self.met, self.asked = 0, b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            sock, _ = self.listener.accept()
            try:
                self.serve(self.outer.wrap_socket(sock, server_side=True))
            except (OSError, EOFError, ValueError):
                pass

    def serve(self, sock):
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(4096) or b"\r\n\r\n"
        key = next(x.split(b": ")[1] for x in head.split(b"\r\n") if x.lower().startswith(b"sec-websocket-key"))
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
        sock.sendall(f"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
                     "Sec-WebSocket-Protocol: sekisho-link.1\r\n\r\n".encode())
        self.met += 1
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.inner.wrap_bio(incoming, outgoing, server_side=True)
        for data in frames(sock):
            incoming.write(data)
            try:
                tls.do_handshake()
                self.asked += tls.read(1)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                return
            if outgoing.pending:
                sock.sendall(frame(outgoing.read(), masked=False))


def story_nobody_on_the_way_can_be_the_gateway(t):
    nodes = links.Nodes(t)
    forged = links.Nodes(t, "forged").node("gateway", "gw-one")
    own = nodes.node("agent", "ag-two")  # true, but an agent's
    for cert in (forged, own):
        impostor = Impostor(t, cert)
        agent = links.agent(t, nodes, [f"127.0.0.1:{impostor.port}"], {"tg-app": t.sample().url}, websocket="always")
        eventually(lambda: impostor.met >= 2 and problems(agent), 40, lambda: agent.text())
        same((agent.events("link_open"), impostor.asked), ([], b""))
        agent.stop()


def story_no_gateway_for_agents_has_no_such_door(t):
    gate = t.proxy(t.upstream())
    with socket.create_connection(("127.0.0.1", gate.port), 20) as sock:
        same(upgrade(sock), 404)


def story_upgrades_of_either_end_lose_nothing(t, seconds=180):
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app"], workers=2, upstream={"retries": 0}, drainTimeout="100s")
    agent = links.agent(t, nodes, [gate], {"tg-app": t.sample().url}, websocket="always")
    links.links_open(gate, 2, 20)
    load, posts = Load(gate, 2), Posts(gate)
    doors, serves = Line(gate), Line(agent)
    for line in (doors, serves, doors):
        old = line.pid
        same(line.upgrade()["event"], "upgrade_done")
        eventually(lambda p=old: not proc.is_alive(p), 60, f"{line.gate.name}: the old one does not end")
    for x in (load, posts):
        x.stop()
        assert x.asked > 20 and not x.wrong, (x.asked, x.wrong[:5])
    links.links_open(gate, 2, 20)
    serves.end()
    doors.end()
