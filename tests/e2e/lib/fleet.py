"""A control, gateways and agents as programs of one machine, and visitors who notice everything."""

import socket
import threading
import time

from . import proc, wire
from .control_role import Control
from .stage import Program, eventually, free_port

HOST = "app.example.com"


class Visitors:
    """Clients of a gateway that ask all the time until told to stop; each answer is written down with its time."""

    def __init__(self, gate, host=HOST, method="GET", clients=2, to=None):
        self.gate, self.host, self.method = gate, host, method
        self.to = to or gate.port
        self.over, self.lock, self.found = threading.Event(), threading.Lock(), []
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        conn = None
        while not self.over.is_set():
            begin = time.monotonic()
            try:
                conn = conn or wire.Conn(self.to)
                body = "x" * 500 if self.method == "POST" else None
                path = "/echo" if body else "/bytes/100"
                a = conn.send(wire.request_bytes(self.method, path, body=body, host=self.host)).answer(self.method)
                said = a.status if a.status != 200 or body or len(a.body) == 100 else "cut"
                if (a.get("connection") or "").lower() == "close":
                    conn.close()
                    conn = None
            except (OSError, wire.Lost) as e:
                said, conn = type(e).__name__, None
                time.sleep(0.01)
            with self.lock:
                self.found.append((begin, time.monotonic(), said))

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()
        return self

    @property
    def asked(self):
        return len(self.found)

    @property
    def wrong(self):
        return [x for x in self.found if x[2] != 200]

    def all_right(self, at_least=20):
        assert self.asked >= at_least and not self.wrong, (self.asked, self.wrong[:5])


class Agent(Program):
    def __init__(self, t, name, state, join=None, config=None, env=None):
        self.state, self.config_path = state, config or t.folder / "no-such.json"
        more = ["--join", join, "--name", name] if join else []
        super().__init__(t, t._name(f"agent-{name}"), [t.sekisho, "agent", "--config", self.config_path, *more], {"SEKISHO_STATE": str(state), **(env or {})})
        self.node_name = name
        t.programs.append(self)

    def again(self):
        """The same agent, started anew from what it has stored."""
        found = Agent.__new__(Agent)
        found.__init__(self.t, self.node_name, self.state, config=self.config_path)
        return found


class Fleet:
    def __init__(self, t, gateways=1, agents=("home",), workers=1, control=None, **gateway):
        self.t, self.control = t, control or Control(t).claim()
        self.gates, self.agents = [], {}
        cert, key = t.certs().issue(HOST)
        token = self.control.join_token("gateway", uses=max(gateways, 1))
        for n in range(gateways):
            tls_port = free_port()
            gate = t.gateway(["--join", token, "--name", f"edge{n}"], env={"SEKISHO_STATE": str(t.folder / f"state-edge{n}")},
                             gateway={"workers": workers, "listen": [{"address": f"127.0.0.1:{tls_port}", "tls": True}],
                                      "certificates": [{"cert": str(cert), "key": str(key)}], **gateway})
            gate.tls_port, gate.state = tls_port, str(t.folder / f"state-edge{n}")
            self.gates.append(gate)
        eventually(lambda: len(self.nodes("gateway")) == gateways, 20, "the gateways did not join")
        token = self.control.join_token("agent", uses=max(len(agents), 1))
        for name in agents:
            self.agents[name] = Agent(t, name, t.folder / f"state-{name}", token)
        eventually(lambda: len(self.nodes("agent")) == len(agents), 20, "the agents did not join")

    def nodes(self, kind):
        return self.control.get(f"/nodes?kind={kind}")["items"]

    def node(self, name):
        return next((n for kind in ("agent", "gateway") for n in self.nodes(kind) if n["name"] == name), None)

    def publish(self, targets, host=HOST, **more):
        """A service of these targets: {agent's name: URL}. Waits until each gateway serves it."""
        made = self.control.made("/services", {"name": host.split(".")[0], "hosts": [host], "access": {"kind": "public"},
                                               "targets": [{"agent": a, "url": u} for a, u in targets.items()], **more})
        self.served(host)
        return made

    def served(self, host=HOST, gates=None):
        for gate in gates or self.gates:
            eventually(lambda g=gate: visit(g, host) == 200, 30, lambda g=gate: f"{g.name} does not serve {host}:\n{g.text()[-2500:]}")

    def again(self, gate):
        """The gateway started anew, from what it has stored."""
        found = type(gate)(self.t, self.t._name("gateway"), gate.config, env={"SEKISHO_STATE": gate.state})
        found.tls_port, found.state = gate.tls_port, gate.state
        self.t.programs.append(found)
        self.gates[self.gates.index(gate)] = found
        return found


def killed(t, program):
    """SIGKILL for the program and all below it."""
    program.kill()
    if program in t.programs:
        t.programs.remove(program)


def visit(gate, host=HOST, path="/bytes/3"):
    try:
        return wire.ask(gate.port, "GET", path, host=host).status
    except (OSError, wire.Lost):
        return None


class Cable:
    """Stands between agents and a gateway's listener; cutting it resets all that goes over it."""

    def __init__(self, to):
        self.to, self.pairs, self.is_cut = to, set(), False
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                a, _ = self.listener.accept()
            except OSError:
                return
            if self.is_cut:
                _reset(a)
                continue
            try:
                b = socket.create_connection(("127.0.0.1", self.to), 5)
            except OSError:
                _reset(a)
                continue
            b.settimeout(None)
            with self.lock:
                self.pairs.add((a, b))
            for x, y in ((a, b), (b, a)):
                threading.Thread(target=self._copy, args=(x, y, (a, b)), daemon=True).start()

    def _copy(self, x, y, pair):
        try:
            while data := x.recv(65536):
                y.sendall(data)
        except OSError:
            pass
        self._end(pair)

    def _end(self, pair):
        with self.lock:
            if pair not in self.pairs:
                return
            self.pairs.remove(pair)
        for s in pair:
            _reset(s)

    def drop(self):
        """All connections that are there now end; new ones may come."""
        with self.lock:
            pairs = list(self.pairs)
        for pair in pairs:
            self._end(pair)

    def cut(self):
        self.is_cut = True
        self.drop()

    def mend(self):
        self.is_cut = False

    def close(self):
        self.listener.close()
        self.cut()


def _reset(s):
    try:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    s.close()


def holdings(*programs):
    """(KiB, descriptors) of the programs with all below them."""
    return sum(proc.rss_kib(p.pid) for p in programs), sum(proc.fds_count(p.pid) for p in programs)
