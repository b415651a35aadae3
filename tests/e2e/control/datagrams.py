"""Datagrams that control publishes: each client's flow goes over a link to what an agent reaches, and back."""

import os
import shutil
import socket
import struct
import subprocess
import threading
import time

from control.pass_through import counted
from lib.fleet import Fleet
from lib.patience import PATIENCE
from lib.stage import Program, eventually, free_port, same
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
    try:
        s.setblocking(False)
        while s.recv(65536) is not None:  # answers that came late
            pass
    except OSError:
        pass
    s.settimeout(seconds)
    try:
        s.send(data)
        while (got := s.recv(65536)) != data:
            pass
        return got
    except (TimeoutError, ConnectionRefusedError):
        return None


def made(control, name, listen, to, access=None, settings=None, target=None, kind="udp"):
    return control.made("/services", {"name": name, "kind": kind, "listen": listen, "access": access or {"kind": "public"}, "settings": settings or {},
                                      "targets": [{"agent": "home", "url": f"{kind}://localhost:{to}", **(target or {})}]})


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
    answers(gate, agent, port)  # each worker has the port: which of them has a flow does not change any more
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


class NameServer(Program):
    """dnsmasq, which answers for example.com by UDP and TCP."""

    def __init__(self, t):
        self.port, name = free_port(), t._name("dnsmasq")
        program = shutil.which("dnsmasq") or shutil.which("dnsmasq", path="/usr/sbin:/sbin")
        assert program, "dnsmasq is not installed; `tools/deps test` installs it"
        super().__init__(t, name, [program, "--keep-in-foreground", "--conf-file=/dev/null", f"--port={self.port}", "--listen-address=127.0.0.1",
                                   "--bind-interfaces", "--edns-packet-max=4096", "--no-resolv", "--no-hosts", "--user=root", "--group=root", "--pid-file=",
                                   "--address=/example.com/192.0.2.7", *(f"--txt-record=big.test,{n:03}{'x' * 200}" for n in range(12))])
        t.programs.append(self)


def dig(port, name, *more):
    done = subprocess.run(["dig", "+short", "+tries=1", "+time=2", *more, "-p", str(port), "@127.0.0.1", name],
                          capture_output=True, text=True, timeout=PATIENCE)
    return done.stdout.split() if done.returncode == 0 else []


def story_a_name_server_beside_an_agent_answers_dig(t, seconds=150):
    control, gate, agent = house(t)
    server, port = NameServer(t), free_port()
    env = {"SEKISHO_SERVER": f"{control.url}#{control.get('/status')['authority_sha256'][:32]}", "SEKISHO_TOKEN": control.key}
    for name, kind in (("dns", "--udp"), ("dns-tcp", "--tcp")):
        done = t.sekisho_run("service", "add", name, kind, f"127.0.0.1:{port}", "--to", f"agent/home:localhost:{server.port}", env=env)
        same(done.returncode, 0, done)
        assert f"127.0.0.1:{port} at every gateway" in done.stdout, done
    eventually(lambda: dig(port, "www.example.com") == ["192.0.2.7"], 40, lambda: gate.text()[-3000:])
    eventually(lambda: dig(port, "www.example.com", "+tcp") == ["192.0.2.7"], 40, lambda: gate.text()[-3000:])
    found = [dig(port, f"n{i}.example.com") for i in range(20)]
    assert found.count(["192.0.2.7"]) >= 18, found  # datagrams: of a busy machine one may be late
    # 2.4 KiB: in one datagram where that is asked for, else cut short and asked for again by TCP
    eventually(lambda: len(dig(port, "big.test", "TXT", "+bufsize=4096", "+ignore")) == 12, 20, "a large answer does not come")
    eventually(lambda: len(dig(port, "big.test", "TXT", "+noedns")) == 12, 20, "an answer that was cut short does not come by TCP")
    same(t.sekisho_run("service", "remove", "dns", env=env).returncode, 0)
    eventually(lambda: dig(port, "www.example.com") == [], 20, "a service that was removed still answers")
    same(dig(port, "www.example.com", "+tcp"), ["192.0.2.7"], "the other service went with it")


def announced(data):
    """((source, port), (destination, port), rest) of a datagram with the header of the PROXY protocol's version 2."""
    same(data[:16], b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c", "no header of UDP over IPv4")
    a, b, p, q = struct.unpack(">4s4sHH", data[16:28])
    return (socket.inet_ntoa(a), p), (socket.inet_ntoa(b), q), data[28:]


def story_the_target_is_told_whose_datagrams_they_are(t, seconds=120):
    control, gate, agent = house(t)
    server, port = Echo(lambda data: [data[28:]]), free_port()
    made(control, "echo", [f"0.0.0.0:{port}"], server.port, target={"settings": {"proxyProtocol": "v2"}})
    answers(gate, agent, port)
    for host, source in (("127.0.0.1", "127.0.0.5"), ("127.0.0.7", "127.0.0.6")):
        with client(port, host, source) as s:
            for data in (b"one " + source.encode(), os.urandom(LARGEST - 28), b""):
                eventually(lambda s=s, data=data: asked(s, data) == data, 20, "lost")
            own = s.getsockname()
            heard = [announced(x)[1] for x in server.heard if announced(x)[0] == own]
            assert len(heard) >= 3 and set(heard) == {(host, port)}, heard
    a = control.ask("POST", "/services", {"name": "old", "kind": "udp", "listen": [f"127.0.0.1:{free_port()}"], "targets": [
        {"agent": "home", "url": "udp://localhost:1", "settings": {"proxyProtocol": "v1"}}]})
    same(a.status, 400, a)
    assert "v2" in a.text, a


def story_flows_come_back_whoever_was_restarted(t, seconds=180):
    fleet = Fleet(t)
    control, gate, agent = fleet.control, fleet.gates[0], fleet.agents["home"]
    server, port = Echo(), free_port()
    made(control, "echo", [f"127.0.0.1:{port}"], server.port)
    with client(port) as s:
        def back(why, seconds=60):
            eventually(lambda: asked(s, b"%s %d" % (why.encode(), time.monotonic_ns())), seconds, lambda: f"{why}:\n{gate.text()[-2000:]}\n{agent.text()[-2000:]}")

        back("no answer")
        agent.kill()
        t.programs.remove(agent)
        agent = agent.again()
        back("not after the agent was killed")
        control.stop()
        t.programs.remove(control)
        gate.stop()
        t.programs.remove(gate)
        gate = fleet.again(gate)
        back("not after the gateway was restarted, without control")
        agent.stop()
        t.programs.remove(agent)
        agent = agent.again()
        back("not after the agent was restarted, without control")


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
    port = free_port()
    slow = made(control, "slow", [f"127.0.0.1:{port}"], server.port, settings={"idleTimeout": "1h"})
    with client(port) as s:
        eventually(lambda: asked(s, b"ping"), 30, lambda: gate.text()[-3000:])
        same(control.ask("PATCH", f"/services/{slow['id']}", {"settings": {"idleTimeout": "1s"}}).status, 200)
        eventually(lambda: gate.metrics().get("sekisho_udp_flows") == 0, 20, "a flow ends by the rules it began with")
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
