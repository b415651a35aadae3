"""Datagrams that control publishes: each client's flow goes over a link to what an agent reaches, and back."""

import os
import shutil
import socket
import struct
import subprocess
import threading
import time

from control.pass_through import counted
from lib.patience import PATIENCE
from lib.stage import eventually, free_port, same
from link.joined import house

LARGEST = 65507  # what IPv4 takes


class Echo:
    """A UDP server: what it heard, from which ports, and what `answer` makes of it (a list of datagrams)."""

    def __init__(self, answer=lambda data: [data], port=0):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.sock.bind(("127.0.0.1", port))
        self.port = self.sock.getsockname()[1]
        self.answer, self.heard, self.froms = answer, [], []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                data, peer = self.sock.recvfrom(65536)
            except OSError:
                return
            self.heard.append(data)
            self.froms.append(peer)
            for answer in self.answer(data):
                try:
                    self.sock.sendto(answer, peer)
                except OSError:
                    pass

    def close(self):
        self.sock.close()


def client(port, host="127.0.0.1", source=None):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    if source:
        s.bind((source, 0))
    s.connect((host, port))
    return s


def asked(s, data, seconds=1.0):
    """What comes back, or None: a datagram may be lost, so whoever wants it asks again."""
    s.settimeout(seconds)
    try:
        s.send(data)
        while (got := s.recv(65536)) != data:
            pass
        return got
    except (TimeoutError, ConnectionRefusedError):
        return None


def made(control, name, listen, to, access=None, settings=None):
    return control.made("/services", {"name": name, "kind": "udp", "listen": listen, "access": access or {"kind": "public"},
                                      "settings": settings or {}, "targets": [{"agent": "home", "url": f"udp://localhost:{to}"}]})


def answers(gate, agent, port, data=b"ping", **more):
    with client(port, **more) as s:
        eventually(lambda: asked(s, data) == data, 30, lambda: f"no answer:\n{gate.text()[-3000:]}\n{agent.text()[-3000:]}")


def story_datagrams_go_there_and_back(t, seconds=180):
    control, gate, agent = house(t)
    server, port, moved = Echo(), free_port(), free_port()
    service = made(control, "echo", [f"127.0.0.1:{port}"], server.port)
    answers(gate, agent, port)
    with client(port) as s:
        for size in (0, 1, 63, 64, 1200, 1473, 16383, 16384, 50_000, LARGEST):
            data = os.urandom(size)
            eventually(lambda data=data: asked(s, data) == data, 20, f"{size} bytes do not come back")
    # one flow, one port towards the target; another client, another one
    with client(port) as a, client(port) as b:
        for name, s in ((b"a", a), (b"b", b)):
            for i in range(3):
                eventually(lambda s=s, name=name, i=i: asked(s, name + b"%d" % i), 10, "lost")
    froms = {name: {peer for data, peer in zip(server.heard, server.froms) if data[:1] == name and len(data) == 2} for name in (b"a", b"b")}
    same([len(v) for v in froms.values()], [1, 1], froms)
    assert not froms[b"a"] & froms[b"b"], froms
    same(sum(v for k, v in gate.metrics().items() if k.startswith("sekisho_udp_flows")) >= 3, True)
    assert counted(gate, "sekisho_udp_datagrams_total", "from_client") > 10
    control.ask("PATCH", f"/services/{service['id']}", {"listen": [f"127.0.0.1:{moved}"]})
    answers(gate, agent, moved)
    with client(port) as s:
        eventually(lambda: asked(s, b"x", 0.3) is None, 20, "the old port still answers")
    control.ask("DELETE", f"/services/{service['id']}")
    with client(moved) as s:
        eventually(lambda: asked(s, b"x", 0.3) is None, 20, "a service that was removed still answers")


def story_a_flow_lives_through_the_edits_of_others(t, seconds=150):
    control, gate, agent = house(t)
    server, port = Echo(), free_port()
    service = made(control, "echo", [f"127.0.0.1:{port}"], server.port)
    with client(port) as s:
        eventually(lambda: asked(s, b"ping"), 30, lambda: gate.text()[-3000:])
        at = server.froms[-1]
        for i in range(3):
            made(control, f"other{i}", [f"127.0.0.1:{free_port()}"], server.port)
            eventually(lambda i=i: len([x for x in gate.lines() if x.get("event") == "config_applied"]) > i + 1, 20, "not applied")
            eventually(lambda: asked(s, b"again"), 10, "lost")
        same(server.froms[-1], at, "the flow was begun anew")
        control.ask("PATCH", f"/services/{service['id']}", {"access": {"kind": "public", "denied_ips": ["127.0.0.0/8"]}})
        eventually(lambda: asked(s, b"more", 0.3) is None, 20, "who may not come any more is still served")


def dns_answer(query):
    """Whatever is asked for: 192.0.2.7."""
    return [query[:2] + b"\x81\x80" + query[4:6] + struct.pack(">HHH", 1, 0, 0) + query[12:query.index(b"\0", 12) + 5] +
            b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x07"]


def dns_query(port, name):
    if shutil.which("dig"):
        done = subprocess.run(["dig", "+short", "+tries=1", "+time=2", "+noedns", "-p", str(port), "@127.0.0.1", name],
                              capture_output=True, text=True, timeout=PATIENCE)
        return done.stdout.strip()
    with client(port) as s:
        s.settimeout(2)
        try:
            s.send(b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" +
                   b"".join(bytes([len(x)]) + x.encode() for x in name.split(".")) + b"\0\x00\x01\x00\x01")
            return ".".join(map(str, s.recv(512)[-4:]))
        except OSError:
            return ""


def story_a_name_server_beside_an_agent_answers_dig(t, seconds=120):
    control, gate, agent = house(t)
    server, port = Echo(dns_answer), free_port()
    made(control, "dns", [f"127.0.0.1:{port}"], server.port)
    eventually(lambda: dns_query(port, "www.example.com") == "192.0.2.7", 30, lambda: gate.text()[-3000:])
    same({dns_query(port, f"n{i}.example.com") for i in range(20)}, {"192.0.2.7"})


def story_who_says_nothing_is_forgotten(t, seconds=120):
    control, gate, agent = house(t, workers=1)
    server, port = Echo(), free_port()
    made(control, "echo", [f"127.0.0.1:{port}"], server.port, settings={"idleTimeout": "1s"})
    with client(port) as s:
        eventually(lambda: asked(s, b"ping"), 30, lambda: gate.text()[-3000:])
        first = server.froms[-1]
        eventually(lambda: gate.metrics().get("sekisho_udp_flows") == 0, 20, "the flow stays")
        eventually(lambda: asked(s, b"later"), 10, "lost")
        assert server.froms[-1] != first, "the agent's end of an idle flow stayed"
    same([x for x in gate.access_log() if x["status"] >= 500], [], "an end that is no failure")


def story_rules_and_limits_hold_for_flows(t, seconds=150):
    control, gate, agent = house(t, workers=1)
    server = Echo()
    theirs, few, slow, ours = (free_port() for _ in range(4))
    made(control, "theirs", [f"127.0.0.1:{theirs}"], server.port, {"kind": "public", "allowed_ips": ["192.0.2.0/24"]})
    made(control, "few", [f"127.0.0.1:{few}"], server.port, settings={"maxConnectionsPerAddress": 2, "maxConnections": 3})
    made(control, "slow", [f"127.0.0.1:{slow}"], server.port, settings={"rateLimit": "2/h"})
    made(control, "ours", [f"127.0.0.1:{ours}"], server.port)
    answers(gate, agent, ours)
    before = len(server.heard)
    with client(theirs) as s:
        same(asked(s, b"x"), None)
    same(len(server.heard), before)
    assert counted(gate, "sekisho_refused_total", "route_address") >= 1

    def served(count, source):
        kept = [client(few, source=source) for _ in range(count)]
        return [s for s in kept if asked(s, b"f") or asked(s, b"f")], kept

    first, kept = served(4, "127.0.0.1")
    same(len(first), 2, "flows of one address")
    other, more = served(3, "127.0.0.2")
    same(len(other), 1, "flows of the service")
    for s in kept + more:
        s.close()
    clients = [client(slow) for _ in range(6)]
    same(sum(asked(s, b"s", 0.5) is not None for s in clients) <= 2, True)
    for s in clients:
        s.close()


def story_nobody_there_is_found_out_and_mended(t, seconds=120):
    control, gate, agent = house(t, workers=1)
    free, port = free_port(), free_port()
    made(control, "echo", [f"127.0.0.1:{port}"], free)
    made(control, "other", [f"127.0.0.1:{free_port()}"], free)
    with client(port) as s:
        eventually(lambda: asked(s, b"x", 0.2) is None and counted(gate, "sekisho_udp_datagrams_total", "from_client") > 3,
                   30, "nothing comes")
        server = Echo(port=free)
        eventually(lambda: asked(s, b"ping"), 30, lambda: f"not found again:\n{gate.text()[-3000:]}\n{agent.text()[-3000:]}")
        server.close()


def story_a_flood_of_one_flow_holds_up_nobody(t, seconds=150):
    control, gate, agent = house(t, workers=1)
    loud, quiet = Echo(lambda data: [data] * 20), Echo()
    loud_port, quiet_port = free_port(), free_port()
    made(control, "loud", [f"127.0.0.1:{loud_port}"], loud.port)
    made(control, "quiet", [f"127.0.0.1:{quiet_port}"], quiet.port)
    answers(gate, agent, loud_port)
    answers(gate, agent, quiet_port)
    stop = threading.Event()

    def flood():
        with client(loud_port) as s:
            s.setblocking(False)
            while not stop.is_set():
                try:
                    s.send(b"f" * 1400)
                except OSError:
                    time.sleep(0.001)

    threads = [threading.Thread(target=flood) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        until = time.monotonic() + 5
        with client(quiet_port) as s:
            good = 0
            while time.monotonic() < until:
                good += asked(s, b"q%d" % good) is not None
        assert good > 5, f"{good} answers while another flow was flooded"
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    answers(gate, agent, quiet_port)


def story_strange_datagrams_are_met_with_silence(t, seconds=120):
    control, gate, agent = house(t, workers=1)
    server, port = Echo(lambda data: []), free_port()
    made(control, "sink", [f"127.0.0.1:{port}"], server.port)
    with client(port) as s:
        eventually(lambda: asked(s, b"ping", 0.1) or server.heard, 30, lambda: gate.text()[-3000:])
    many = []
    for i in range(300):  # as many flows of one address as a service lets in by itself, and more
        s = client(port)
        s.send(b"%d" % i)
        many.append(s)
    eventually(lambda: counted(gate, "sekisho_refused_total", "route_concurrency") >= 1, 20, "no bound was met")
    for s in many:
        s.setblocking(False)
        try:
            raise AssertionError(f"answered: {s.recv(100)}")
        except (BlockingIOError, ConnectionRefusedError):
            s.close()
    same(len({x for x in server.froms}) <= 257, True)


def story_a_range_of_ports_goes_to_a_range(t, seconds=150):
    control, gate, agent = house(t)
    first, to = ports_in_a_row(3), ports_in_a_row(3, socket.SOCK_DGRAM)
    servers = [Echo(lambda data, i=i: [data, b"from %d" % i], port=to + i) for i in range(3)]
    made(control, "game", [f"127.0.0.1:{first}-{first + 2}"], f"{to}-{to + 2}")
    for i in range(3):
        answers(gate, agent, first + i)
        with client(first + i) as s:
            eventually(lambda s=s: asked(s, b"x"), 20, "lost")
            same(s.recv(100), b"from %d" % i)
    for why, listen, target, status in (
            ("partly the same", f"127.0.0.1:{first + 2}-{first + 5}", "udp://localhost:1", 409),
            ("the same by a wildcard", f"0.0.0.0:{first}", "udp://localhost:1", 409),
            ("of other lengths", "127.0.0.1:40000-40002", "udp://localhost:1-2", 400),
            ("one to many", "127.0.0.1:40000", "udp://localhost:1-2", 400),
            ("reversed", "127.0.0.1:40002-40000", "udp://localhost:1", 400),
            ("more than a range may have", "127.0.0.1:40000-40200", "udp://localhost:1", 400),
            ("both families in one socket", ":40000", "udp://localhost:1", 400)):
        a = control.ask("POST", "/services", {"name": "other", "kind": "udp", "listen": [listen],
                                              "targets": [{"agent": "home", "url": target}]})
        same(a.status, status, f"{why}: {a}")
    many = [control.ask("POST", "/services", {"name": f"many{i}", "kind": "tcp", "listen": [f"127.0.0.1:{41000 + 100 * i}-{41099 + 100 * i}"]})
            for i in range(2)]
    same([a.status for a in many], [201, 409], many)
    assert "200" in many[1].json["error"]["message"], many[1]
    same(control.ask("POST", "/services", {"name": "tcp", "kind": "tcp", "listen": [f"127.0.0.1:{first}"]}).status, 201,
         "TCP and UDP ports are not the same")


def ports_in_a_row(count, kind=socket.SOCK_STREAM):
    """The first of so many free ports."""
    def look():
        first, socks = free_port(), []
        try:
            for i in range(count):
                for k in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    socks.append(socket.socket(socket.AF_INET, k))
                    socks[-1].bind(("127.0.0.1", first + i))
            return first
        except (OSError, OverflowError):
            return None
        finally:
            for s in socks:
                s.close()
    return eventually(look, 20, "no ports in a row are free")
