"""Ways of a link that are not straight: through HTTP proxies, kind and unkind, and several to one gateway."""

import os
import queue
import shutil
import signal
import socket
import threading
import time

from gateway.reload import Load
from lib import links
from lib.stage import Program, eventually, free_port, same


class Proxy(Program):
    """tinyproxy on a port of its own. `ports`: where CONNECT may go."""

    def __init__(self, t, ports=(), credentials=None, port=None):
        self.port, name = port or free_port(), t._name("tinyproxy")
        config = t.folder / f"{name}.conf"
        words = ["Port %d" % self.port, "Listen 127.0.0.1", "Timeout 600", "MaxClients 100", "LogLevel Connect"]
        words += [f"ConnectPort {p}" for p in ports] + ([f"BasicAuth {credentials.replace(':', ' ')}"] if credentials else [])
        config.write_text("\n".join(words) + "\n")
        program = shutil.which("tinyproxy") or shutil.which("tinyproxy", path="/usr/sbin:/sbin")
        assert program, "tinyproxy is not installed; `tools/deps test` installs it"
        super().__init__(t, name, [program, "-d", "-c", config])
        t.programs.append(self)
        eventually(self.listens, 10, "the proxy does not listen")

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False


def pair(t, proxy_port, **more):
    """(gateway, agent): the agent reaches it through that proxy."""
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app"], workers=2)
    agent = links.agent(t, nodes, [gate], {"tg-app": t.sample().url}, proxy=f"http://127.0.0.1:{proxy_port}", **more)
    return gate, agent


def problems(agent):
    return {e["problem"] for e in agent.events("gateway_not_reached")}


def story_through_a_proxy(t):
    proxy = Proxy(t)
    gate, agent = pair(t, proxy.port)
    links.links_open(gate, 2)
    same(gate.get("/bytes/100000", token=False).status, 200)
    eventually(lambda: proxy.text().count(f"CONNECT 127.0.0.1:{gate.tls_port}") >= 2, 10, lambda: proxy.text())
    same(problems(agent), set())


def story_a_proxy_that_wants_credentials(t):
    proxy = Proxy(t, credentials="fern:moss-and-stone")
    gate, agent = pair(t, proxy.port)
    eventually(lambda: problems(agent) == {"the proxy asks for credentials"}, 20, lambda: agent.text())
    config = agent.config
    wrong = {**config, "agent": {**config["agent"], "proxyCredentials": "fern:sand"}}
    same(agent.reload(wrong)["event"], "config_applied")
    eventually(lambda: "the proxy does not take our credentials" in problems(agent), 60, lambda: agent.text())
    secret = t.folder / "proxy-credentials"
    secret.write_text("fern:moss-and-stone\n")
    secret.chmod(0o600)
    right = {**config, "agent": {**config["agent"], "proxyCredentials": {"file": str(secret)}}}
    same(agent.reload(right)["event"], "config_applied")
    links.links_open(gate, 2, 60)
    same(gate.get("/bytes/3", token=False).status, 200)
    assert "moss-and-stone" not in agent.text() + gate.text()


def story_a_proxy_that_refuses(t):
    proxy = Proxy(t, ports=[1])  # CONNECT to nowhere else
    gate, agent = pair(t, proxy.port)
    eventually(lambda: problems(agent) == {"the proxy refused"}, 20, lambda: agent.text())
    same(gate.metrics().get("sekisho_links", 0), 0)
    same(gate.get("/bytes/3", token=False).status, 502)


def story_a_proxy_that_dies_and_comes_back(t):
    proxy = Proxy(t)
    gate, agent = pair(t, proxy.port)
    links.links_open(gate, 2)
    os.kill(proxy.pid, signal.SIGKILL)
    t.programs.remove(proxy)
    proxy.process.wait()
    links.links_open(gate, 0, 20)
    eventually(lambda: problems(agent), 20, lambda: agent.text())
    again = Proxy(t, port=proxy.port)
    assert again.port == proxy.port
    links.links_open(gate, 2, 60)
    same(gate.get("/bytes/3", token=False).status, 200)


def story_several_links_to_one_gateway(t):
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app"], workers=2, upstream={"retries": 2})
    agent = links.agent(t, nodes, [gate], {"tg-app": t.sample().url}, links=3)
    links.links_open(gate, 6)
    wanted = {}
    for event in gate_events(gate, "link_open"):
        wanted[event["worker"]] = wanted.get(event["worker"], 0) + 1
    assert all(n >= 3 for n in wanted.values()) and len(wanted) == 2, wanted
    load = Load(gate)
    bulk = [threading.Thread(target=lambda: same(len(gate.get("/bytes/8MiB", token=False).body), 8 << 20)) for _ in range(4)]
    for b in bulk:
        b.start()
    for b in bulk:
        b.join(60)
    same(agent.reload({**agent.config, "agent": {**agent.config["agent"], "links": 1}})["event"], "config_applied")
    load.stop()
    assert load.asked > 10 and not load.wrong, (load.asked, load.wrong[:5])


def gate_events(gate, name):
    return [x for x in gate.lines() if x.get("event") == name]


class Far:
    """The way to a gateway that is far away: each byte comes `delay_ms` later, however many there are."""

    def __init__(self, to, delay_ms):
        self.to, self.delay = to, delay_ms / 1000
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.to))
            for a, b in ((near, far), (far, near)):
                b.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                waiting = queue.Queue()
                threading.Thread(target=self.take, args=(a, waiting), daemon=True).start()
                threading.Thread(target=self.give, args=(b, waiting), daemon=True).start()

    def take(self, sock, waiting):
        data = b"x"
        while data:
            try:
                data = sock.recv(1 << 18)
            except OSError:
                data = b""
            waiting.put((time.monotonic() + self.delay, data))

    def give(self, sock, waiting):
        while True:
            at, data = waiting.get()
            time.sleep(max(at - time.monotonic(), 0))
            try:
                if not data:
                    sock.shutdown(socket.SHUT_WR)
                    return
                sock.sendall(data)
            except OSError:
                return


def story_one_stream_fills_a_long_path(t):
    delay_ms, size, window = 50, 16 << 20, 64 << 10
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app"], workers=1)
    far = Far(gate.tls_port, delay_ms)
    agent = links.agent(t, nodes, [f"127.0.0.1:{far.port}"], {"tg-app": t.sample().url})
    links.links_open(gate, 1)
    fixed = size / window * 2 * delay_ms / 1000  # a window each round trip
    for way in ("down", "up"):
        begin = time.monotonic()
        if way == "down":
            same(len(gate.get(f"/bytes/{size}", token=False).body), size)
        else:
            same(gate.post("/sink", bytes(size), token=False).json["bytes"], size)
        took = time.monotonic() - begin
        assert took < fixed / 2, f"{way}: {took:.1f} s; windows that do not grow take {fixed:.1f} s"
    same(len(agent.events("link_open")), 1)
