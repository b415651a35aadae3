"""Several controls on one PostgreSQL: any of them takes changes and nodes, one leads, and whichever dies, nothing acknowledged does."""

import http.client
import json
import os
import signal
import threading
import time

from lib import wire
from lib.control_role import Control, unverified
from lib.patience import patient
from lib.postgres import Postgres
from lib.stage import eventually, free_port, same

MOVE_SECONDS = 5


def controls(t, count):
    """(server, [control, …]): the first made the store; the others have a copy of its key."""
    server = Postgres(t)
    first = Control(t, "control1", store=server.place()).claim()
    return server, [first] + [first.beside(f"control{n}") for n in range(2, count + 1)]


def leader(all_controls):
    """The one that leads, by its own word."""
    def look():
        items = next(c for c in all_controls if c.process.poll() is None).get("/controls")["items"]
        led = [x["url"] for x in items if x["leads"]]
        return next((c for c in all_controls if [c.url] == led and c.process.poll() is None), None)
    return eventually(look, 20, "nobody leads")


def kill(t, control):
    os.kill(control.pid, signal.SIGKILL)
    control.process.wait()
    control.codes = (-9,)


def service(control, name):
    return control.made("/services", {"name": name, "hosts": [f"{name}.example.com"], "access": {"kind": "public"}})


def has_service(node, name):
    return any(s["name"] == name for s in node.sections.get("services", {}).values())


def story_any_control_takes_changes_and_nodes(t, seconds=90):
    _, (one, two) = controls(t, 2)
    same([x["alive"] for x in two.get("/controls")["items"]], [True, True])
    same(leader([one, two]), one)
    same(one.get("/status")["epoch"], two.get("/status")["epoch"])
    assert "/setup#" not in two.text()  # it is owned already
    gateway, agent = one.node("gateway", "edge"), two.node("agent", "home")
    # Each node is told of all controls, and hears what was said to any of them.
    for node in (gateway, agent):
        node.until(lambda n: {x["url"] for x in n.sections.get("controls", {}).values()} == {one.url, two.url})
    service(two, "app")
    gateway.until(lambda n: has_service(n, "app"))
    made = service(one, "web")
    one.made(f"/services/{made['id']}/targets", {"agent": "home", "url": "http://localhost:8080"})
    agent.until(lambda n: has_service(n, "web"))
    gateway.until(lambda n: has_service(n, "web"))
    for control in (one, two):
        eventually(lambda: [(x["name"], x["connected"], x["version"] == x["wanted_version"] > 0) for x in control.get("/nodes")["items"]] ==
                   [("edge", True, True), ("home", True, True)], 15, lambda: control.get("/nodes"))
    same({c.get("/status")["counts"]["connected"] for c in (one, two)}, {2})
    agent.close()
    for control in (one, two):
        eventually(lambda: [x["connected"] for x in control.get("/nodes")["items"]] == [True, False], 15, lambda: control.get("/nodes"))


def story_etags_idempotency_keys_and_events_hold_across_controls(t, seconds=90):
    _, (one, two) = controls(t, 2)
    made = service(one, "app")
    etag = one.ask("GET", f"/services/{made['id']}").headers["etag"]
    same(two.ask("GET", f"/services/{made['id']}").headers["etag"], etag)
    same(two.ask("PATCH", f"/services/{made['id']}", {"hosts": ["two.example.com"]}, headers={"If-Match": etag}).status, 200)
    same(one.ask("PATCH", f"/services/{made['id']}", {"hosts": ["one.example.com"]}, headers={"If-Match": etag}).status, 412)
    # The same request at another control is answered as the first one was, secret and all.
    asked = ("POST", "/join-tokens", {"kind": "agent"})
    first, again = (c.ask(*asked, headers={"Idempotency-Key": "once"}) for c in (one, two))
    same((first.status, again.status), (201, 201))
    t.secrets.append(first.json["token"].split("@")[0])
    same(again.json, first.json)
    same(again.headers.get("idempotency-replayed"), "true")
    same(two.ask("POST", "/join-tokens", {"kind": "gateway"}, headers={"Idempotency-Key": "once"}).status, 422)
    # A stream goes on at another control where it was.
    at_one = Events(one)
    changed = service(two, "web")
    last = at_one.wait(f"services/{changed['id']}")
    at_one.close()
    missed = service(one, "missed")
    at_two = Events(two, last)
    at_two.wait(f"services/{missed['id']}")
    live = service(one, "live")
    at_two.wait(f"services/{live['id']}")
    numbers = [n for n, _ in at_two.seen]
    assert numbers == sorted(set(numbers)) and numbers[0] > last, at_two.seen
    at_two.close()


class Events:
    """A stream of events, read as they come."""

    def __init__(self, control, last=None):
        self.seen = []  # (number, object)
        self.connection = http.client.HTTPSConnection("127.0.0.1", control.port, context=unverified(), timeout=patient(20))
        fields = {"Authorization": f"Bearer {control.key}"}
        if last:
            fields["Last-Event-ID"] = str(last)
        self.connection.request("GET", "/api/v1/events", headers=fields)
        self.response = self.connection.getresponse()
        same(self.response.status, 200)
        while not last and not self.response.readline().startswith(b"id:"):  # it says where it begins: what comes now is not missed
            pass
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        number = None
        try:
            for line in self.response:
                if line.startswith(b"id: "):
                    number = int(line[4:])
                if line.startswith(b"data: ") and b"object" in line:
                    self.seen.append((number, json.loads(line[6:])["object"]))
        except (OSError, ValueError, http.client.HTTPException, AttributeError):
            pass

    def wait(self, wanted):
        return eventually(lambda: next((n for n, o in self.seen if o == wanted), None), 20, lambda: f"no {wanted}: {self.seen}")

    def close(self):
        self.connection.sock and self.connection.sock.close()


class Traffic:
    """A visitor that asks on and on; every answer is kept."""

    def __init__(self, port, host):
        self.port, self.host, self.answers, self.is_over = port, host, [], False
        self.thread = threading.Thread(target=self._ask)
        self.thread.start()

    def _ask(self):
        while not self.is_over:
            try:
                self.answers.append(wire.ask(self.port, "GET", "/bytes/3", fields=[("Host", self.host)]).status)
            except (OSError, wire.Lost) as e:
                self.answers.append(repr(e))
            time.sleep(0.02)

    def end(self):
        self.is_over = True
        self.thread.join()
        assert len(self.answers) > 10 and set(self.answers) == {200}, {x: self.answers.count(x) for x in set(self.answers)}


def house(t, control):
    """A gateway, an agent and a service, all of them real, at that control: (gateway, agent, traffic)."""
    cert, key = t.certs().issue("app.example.com")
    tls_port, app = free_port(), t.sample()
    gate = t.gateway(["--join", control.join_token("gateway"), "--name", "edge"], gateway={
        "workers": 1, "listen": [{"address": f"127.0.0.1:{tls_port}", "tls": True}],
        "certificates": [{"cert": str(cert), "key": str(key)}]})
    node = eventually(lambda: control.get("/nodes?kind=gateway")["items"], 20, "the gateway did not join")[0]
    same(control.ask("PATCH", f"/nodes/{node['id']}", {"settings": {"addresses": [f"127.0.0.1:{tls_port}"]}}).status, 200)
    agent = t.start("agent", [t.sekisho, "agent", "--config", t.folder / "no-such.json", "--join", control.join_token("agent"), "--name", "home"])
    eventually(lambda: control.get("/nodes?kind=agent")["items"], 20, "the agent did not join")
    control.made("/services", {"name": "app", "hosts": ["app.example.com"], "access": {"kind": "public"},
                               "targets": [{"agent": "home", "url": f"http://localhost:{app.port}"}]})

    def visit():
        try:
            return wire.ask(gate.port, "GET", "/bytes/3", fields=[("Host", "app.example.com")]).status
        except (OSError, wire.Lost):
            return None

    eventually(lambda: visit() == 200, 30, lambda: f"not served:\n{gate.text()[-3000:]}\n{agent.text()[-3000:]}")
    return gate, agent, Traffic(gate.port, "app.example.com")


def connections(program):
    return [x["control"] for x in program.lines() if x.get("event") == "control_connected"]


def knows_controls(t, program, count):
    """What it has stored names so many controls."""
    kind = "gateway" if program.name.startswith("gateway") else "agent"

    def look():
        try:
            stored = json.loads((t.folder / "state" / kind / "document.json").read_text())
        except (OSError, ValueError):
            return False
        return len(stored["document"]["sections"].get("controls", {})) == count
    eventually(look, 20, f"{program.name} was not told of {count} controls")


def known(control, host):
    return control.made("/services", {"name": host.split(".")[0], "hosts": [host], "access": {"kind": "public"}})


def serves(gate, host):
    def code():
        a = gate.get("/", {"Host": host}, token=False)
        return a.json["error"]["code"] if a.status == 503 else a.status
    eventually(lambda: code() == "no_target", 30, lambda: f"{host}: {code()}\n{gate.text()[-2000:]}")


def story_controls_are_killed_and_nodes_move(t, seconds=240, alone=True):
    """Of three the one that the nodes are at dies, then the next: each time they are at another within five seconds."""
    _, all_controls = controls(t, 3)
    gate, agent, traffic = house(t, all_controls[0])
    for program in (gate, agent):
        knows_controls(t, program, 3)
    acknowledged, took, epochs = [], [], []
    for n in range(2):
        alive = [c for c in all_controls if c.process.poll() is None]
        led = leader(alive)
        epochs.append(alive[-1].get("/status")["epoch"])
        victim = next(c for c in alive if c.url == connections(gate)[-1])
        before = {p.name: len(connections(p)) for p in (gate, agent)}
        acknowledged.append(known(victim, f"last{n}.example.com"))  # and the next moment it is gone
        kill(t, victim)
        begin = time.monotonic()
        for program in (gate, agent):
            eventually(lambda: len(connections(program)) > before[program.name] or (program is agent and connections(agent)[-1] != victim.url), 30,
                       lambda: f"{program.name} did not move:\n{program.text()[-3000:]}")
            took.append(time.monotonic() - begin)
        rest = [c for c in alive if c is not victim]
        assert connections(gate)[-1] in [c.url for c in rest], connections(gate)
        # Whoever is left takes changes at once, and all that was acknowledged is there.
        known(rest[0], f"after{n}.example.com")
        for host in (f"last{n}.example.com", f"after{n}.example.com"):
            serves(gate, host)
        names = {s["name"] for s in rest[-1].get("/services")["items"]}
        assert {a["name"] for a in acknowledged} <= names, names
        new = leader(rest)
        assert (new is led) == (victim is not led)
        if victim is led:
            eventually(lambda: rest[0].get("/status")["epoch"] > epochs[-1], 15, "a new leader did not raise the epoch")
    assert min(took) < MOVE_SECONDS, took
    # The dead come back: as they were, one of several.
    last = next(c for c in all_controls if c.process.poll() is None)
    back = Control(t, "control1-again", port=all_controls[0].port, state=all_controls[0].state, store=all_controls[0].store)
    back.key = last.key
    eventually(lambda: {x["url"] for x in back.get("/controls")["items"] if x["alive"]} == {last.url, back.url}, 20, lambda: back.get("/controls"))
    same(len(back.get("/controls")["items"]), 3)
    known(back, "back.example.com")
    serves(gate, "back.example.com")
    traffic.end()
    for program in (gate, agent):
        told = [(x["epoch"], x["version"]) for x in program.lines() if x.get("event") == "document_received"]
        assert told == sorted(set(told)) and len(told) > 1, told  # only ever on, whichever control said it (several changes may come in one)
    for control in [*all_controls, back]:
        assert "node_refused_document" not in control.text(), control.text()[-3000:]


def story_a_leader_that_stops_hands_over(t, seconds=120):
    _, (one, two) = controls(t, 2)
    gateway = one.node("gateway", "edge")
    service(one, "app")
    gateway.until(lambda n: has_service(n, "app"))
    before = two.get("/status")["epoch"]
    one.stop()
    assert gateway.is_closed()
    same(leader([two]), two)
    assert two.get("/status")["epoch"] > before
    # What only the leader does is done by the next: a certificate for a host, at a gateway that comes back.
    gateway.control = two
    gateway.connect()
    service(two, "web")
    gateway.until(lambda n: has_service(n, "web") and any("web.example.com" in c["hosts"] for c in n.sections.get("certificates", {}).values()), 20)
    assert gateway.header["epoch"] > before
    # Versions go on from what it had: nothing is said twice, nothing is taken back.
    eventually(lambda: (n := two.get("/nodes")["items"][0]) and n["version"] == n["wanted_version"] == gateway.header["version"], 15, lambda: two.get("/nodes"))


def story_a_node_that_moves_is_told_only_what_is_new(t, seconds=120):
    _, (one, two) = controls(t, 2)
    gateway = one.node("gateway", "edge")
    gateway.until(lambda n: len(n.sections.get("controls", {})) == 2)
    for n, control in enumerate((two, one, two, one)):
        service(control, f"app{n}")
        gateway.until(lambda g: has_service(g, f"app{n}"))
        before = (gateway.header["epoch"], gateway.header["version"])
        gateway.close()
        gateway.control = control
        gateway.messages = []
        gateway.connect()
        service(control, f"more{n}")
        gateway.until(lambda g: has_service(g, f"more{n}"))
        assert (gateway.header["epoch"], gateway.header["version"]) > before
        kinds = [m["type"] for m in gateway.messages]
        assert "document" not in kinds, kinds  # differences alone


def story_postgres_is_killed_and_comes_back(t, seconds=240, alone=True):
    server, all_controls = controls(t, 2)
    one, two = all_controls
    gate, agent, traffic = house(t, one)
    for program in (gate, agent):
        knows_controls(t, program, 2)
    known(two, "before.example.com")
    serves(gate, "before.example.com")
    answers, stop = [], threading.Event()

    def edit(control, name):
        n = 0
        while not stop.is_set():
            n += 1
            try:
                a = control.ask("POST", "/services", {"name": f"{name}{n}", "hosts": [f"{name}{n}.example.com"], "access": {"kind": "public"}})
                answers.append((f"{name}{n}", a.status))
            except (OSError, http.client.HTTPException):
                answers.append((f"{name}{n}", None))
            time.sleep(0.05)

    editors = [threading.Thread(target=edit, args=x) for x in ((one, "left"), (two, "right"))]
    for e in editors:
        e.start()
    eventually(lambda: len(answers) > 10, 20, "no edits")
    server.crash()
    count = len(answers)
    eventually(lambda: sum(s == 201 for _, s in answers[count:]) > 10, 60, lambda: f"no edits after it came back: {answers[count:]}")
    stop.set()
    for e in editors:
        e.join()
    same({s for _, s in answers} - {201, 503, 500}, set())
    names = {s["name"] for s in one.get("/services?limit=1000")["items"]}
    lost = [n for n, s in answers if s == 201 and n not in names]
    same(lost, [])
    known(one, "after.example.com")
    serves(gate, "after.example.com")
    for control in all_controls:
        control.get("/store/verify")
    leader(all_controls)
    traffic.end()
