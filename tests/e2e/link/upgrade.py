"""A new agent takes over from the old one (SIGUSR2), and no request is lost."""

import os
import shutil
import socket
import threading

from gateway.reload import Load
from gateway.upgrade import Line
from lib import links, proc, wire
from lib.stage import eventually, same
from link.joined import house, visit
from link.streams import Server, both_ways, echo


class Posts(threading.Thread):
    """Requests that nobody may repeat for us: each must be answered the first time."""

    def __init__(self, gate):
        super().__init__(daemon=True)
        self.gate, self.over, self.asked, self.wrong = gate, threading.Event(), 0, []
        self.start()

    def run(self):
        while not self.over.is_set():
            try:
                a = self.gate.post("/echo", "x" * 2000, token=False)
                if a.status != 200:
                    self.wrong.append(repr(a))
            except (OSError, wire.Lost) as e:
                self.wrong.append(repr(e))
            self.asked += 1

    def stop(self):
        self.over.set()
        self.join()
        return self


def story_an_upgrade_of_the_agent_loses_nothing(t, seconds=120):
    nodes = links.Nodes(t)
    app = t.sample()
    gates = [links.gateway(t, nodes, ["ag-one/tg-app"], name=f"gw-{n}", workers=2, upstream={"retries": 0}) for n in range(2)]
    agent = links.agent(t, nodes, gates, {"tg-app": app.url})
    for gate in gates:
        links.links_open(gate, 2)
    line, loads, posts = Line(agent), [Load(g, 2) for g in gates], Posts(gates[0])
    for _ in range(10 if t.is_slow else 4):
        old = line.pid
        same(line.upgrade()["event"], "upgrade_done")
        eventually(lambda p=old: not proc.is_alive(p), 30, f"{old} does not end")
    for x in (*loads, posts):
        x.stop()
        assert x.asked > 20 and not x.wrong, (x.asked, x.wrong[:5])
    for gate in gates:
        links.links_open(gate, 2)
    line.end()


def story_what_is_under_way_goes_on_with_the_old_agent(t):
    server = Server(echo)
    (_, port), gate, agent = both_ways(t, server.port)
    line = Line(agent)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        s.sendall(b"before")
        same(s.recv(100), b"before")
        same(line.upgrade()["event"], "upgrade_done")
        s.sendall(b"after")
        same(s.recv(100), b"after")
        with socket.create_connection(("127.0.0.1", port), timeout=20) as new:
            new.sendall(b"new")
            same(new.recv(100), b"new")
        assert proc.is_alive(agent.pid)
    eventually(lambda: not proc.is_alive(agent.pid), 30, "the old one stays though nothing is under way")
    line.end()


def story_a_new_agent_that_cannot_start_changes_nothing(t):
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app"], workers=1)
    agent = links.agent(t, nodes, [gate], {"tg-app": t.sample().url})
    links.links_open(gate, 1)
    line, good = Line(agent), agent.config
    agent.config_path.write_text('{"agent": {"gatways": []}}')
    same(line.upgrade()["event"], "upgrade_failed")
    same(gate.get("/bytes/3", token=False).status, 200)
    agent.write(good)
    same(line.upgrade()["event"], "upgrade_done")
    eventually(lambda: not proc.is_alive(agent.pid), 30, "the old one does not end")
    same(gate.get("/bytes/3", token=False).status, 200)
    same(len(proc.tree(line.pid)), 2)  # it, and what could start the next one
    line.end()


def story_a_program_that_was_replaced_is_the_new_one(t):
    """The file is replaced as a package does it: what runs is not what stands there."""
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app"], workers=1)
    mine = t.folder / "sekisho"
    shutil.copy(t.sekisho, mine)
    t.sekisho = mine
    agent = links.agent(t, nodes, [gate], {"tg-app": t.sample().url})
    links.links_open(gate, 1)
    shutil.copy(mine, t.folder / "next")
    os.rename(t.folder / "next", mine)
    line = Line(agent)
    same(line.upgrade()["event"], "upgrade_done")
    same(os.stat(f"/proc/{line.pid}/exe").st_ino, os.stat(mine).st_ino)
    same(gate.get("/bytes/3", token=False).status, 200)
    line.end()


def story_control_speaks_with_the_new_agent(t, seconds=120):
    control, gate, agent = house(t)
    app = t.sample()

    def add(name):
        control.made("/services", {"name": name, "hosts": [f"{name}.example.com"], "access": {"kind": "public"},
                                   "targets": [{"agent": "home", "url": f"http://localhost:{app.port}"}]})
        eventually(lambda: visit(gate, host=f"{name}.example.com") == 200, 30, lambda: f"{name}:\n{gate.text()[-2000:]}\n{agent.text()[-2000:]}")

    add("one")
    line = Line(agent)
    for name in ("two", "three"):
        same(line.upgrade()["event"], "upgrade_done")
        same(visit(gate, host="one.example.com"), 200)
        add(name)  # the new one has the folder, and control's ear
    node = next(n for n in control.get("/nodes?kind=agent")["items"])
    same((node["connected"], node["version"]), (True, node["wanted_version"]))
    assert "state_not_opened" not in agent.text(), agent.text()[-3000:]
    line.end()
