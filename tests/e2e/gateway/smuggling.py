"""Request smuggling, judged by what real servers behind the gateway saw (reliability T1).

A marker request stands where one reading of a message sees a body and another the next request. It may be refused or answered by
the gateway, but no back end may ever see it; every request a back end saw is one the gateway forwarded, and none more; and
an honest client who comes next over the same kept connection gets the answer to its own request. The same messages sent straight to the back ends show that these do read them in several ways.

SEKISHO_SEED chooses other mutants; `tests/e2e/run --slow` sends thousands.
"""

import collections
import os
import threading

from lib import backends, mutants, wire
from lib.stage import eventually


def attack(port, data, half_closes):
    """All that comes back, as long as it comes."""
    with wire.Conn(port, timeout=10) as c:
        try:
            c.send(data)
            if half_closes:
                c.shut()
            else:
                c.sock.settimeout(0.03)
        except OSError:
            pass
        got = b""
        try:
            while part := c.more():
                got += part
        except (TimeoutError, OSError):
            pass
        return got


METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"}  # which each of them takes and writes down


class Side:
    """The attack on one back end."""

    def __init__(self, gate, name, seed, count):
        self.gate, self.name, self.seed, self.count = gate, name, seed, count
        self.wrong, self.answers = [], collections.Counter()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            self.attack_all()
        except Exception as e:  # the story must hear of it
            self.wrong.append(f"{self.name}: {e!r}")

    def attack_all(self):
        host = f"{self.name}.test"
        for i, (parts, data) in enumerate(mutants.corpus(self.seed, self.count, host)):
            got = attack(self.gate.port, data, i % 4 != 0)
            self.answers[got[9:12]] += 1
            if b"http://back" + mutants.MARK.encode() in got or b"\r\n\r\n" + mutants.MARK.encode() in got:
                self.wrong.append(f"{self.name}: a back end answered the marker: {parts} {data[:300]!r} {got!r}")
            own = f"/honest/{i}"
            a = wire.get(self.gate.port, own, host=host)
            if a.status not in (200, 307) or own not in a.text + a.get("location", ""):
                self.wrong.append(f"{self.name}: the next client got {a} after {parts} {data[:300]!r}")


def compare(gate, back, wrong):
    """What it saw beside what the gateway says it forwarded."""
    lines = [x for x in gate.access_log() if x.get("upstream") == back.name]
    most, least = collections.Counter(), collections.Counter()
    for x in lines:
        most[x["method"], x["path"]] += x["attempts"]
        least[x["method"], x["path"]] += x["outcome"] == "answered" and x["method"] in METHODS
    # A WebSocket over HTTP/2 is a CONNECT (RFC 8441); PRI is the gateway asking whether HTTP/2 is spoken.
    seen = collections.Counter(("GET" if method == "CONNECT" else method, target.split("?")[0]) for method, target in back.seen()
                               if (method, target) != ("PRI", "*"))
    for what, count in seen.items():
        if mutants.MARK in what[1]:
            wrong.append(f"{back.name} saw the marker request: {what}")
        elif what[1] in ("", "-", "<BADREQ>"):
            continue  # a request cut off in its head or body: nothing it acted on
        elif count > most[what]:
            wrong.append(f"{back.name} saw {what} {count} times, the gateway forwarded it {most[what]} times")
    for what, count in least.items():
        if seen[what] < count:
            wrong.append(f"{back.name} saw {what} {seen[what]} times, the gateway had {count} answers to it")
    return sum(seen.values())


def story_no_back_end_sees_a_smuggled_request(t, seconds=600):
    smuggle(t, "h1", 30000 if t.is_slow else 2500)


def story_nor_where_back_ends_speak_http2(t, seconds=600):
    """What is found out by a probe: HAProxy and lighttpd speak HTTP/2 in plain text, the others do not."""
    smuggle(t, "auto", 10000 if t.is_slow else 500)


def several(t):
    """The back ends of this machine: at least three, better all."""
    names = backends.available()
    missing = [n for n in backends.ALL if n not in names]
    if len(names) < 3:
        t.leave_out(f"needs three of {', '.join(backends.ALL)}; found {names}")
    if missing:
        t.leave_part_out(f"no {', '.join(missing)} here")
    return names


def smuggle(t, protocol, count):
    names = several(t)
    seed = os.environ.get("SEKISHO_SEED", "sekisho")
    backs = [backends.Backend(t, name) for name in names]
    gate = t.gateway(
        gateway={"workers": 1, "limits": {"connectionsPerAddress": 0}},
        upstreams={b.name: {"targets": [b.url], "keepAlive": {"connections": 1, "idle": "50s"},
                            "passive": {"failures": 0}, "protocol": protocol} for b in backs},
        routes=[{"path": mutants.MARK + "*", "host": [f"{b.name}.test" for b in backs], "access": "public",
                 "respond": {"status": 403, "body": "not here"}}]
        + [{"host": f"{b.name}.test", "path": "/", "upstream": b.name, "access": "public"} for b in backs])
    sides = [Side(gate, b.name, seed, count) for b in backs]
    for side in sides:
        side.thread.join()
    wrong = [w for side in sides for w in side.wrong]
    eventually(lambda: gate.metrics()["sekisho_requests_active"] <= 1, 10, "requests are left over")
    for back in backs:
        seen = compare(gate, back, wrong)
        print(f"{back.name}: {count} messages, {seen} requests seen, {len(names)} back ends, seed {seed}")
    print({side.name: dict(side.answers) for side in sides})
    assert not wrong, f"{len(wrong)} wrong:\n" + "\n".join(w[:700] for w in wrong[:20])


def story_the_messages_are_read_in_several_ways(t):
    names = several(t)
    read = {}
    for back in [backends.Backend(t, name) for name in names]:
        for i, (_, data) in enumerate(mutants.corpus("sekisho", 400, "x.test")):
            try:
                attack(back.port, data, i % 4 != 0)
            except OSError:
                pass
        read[back.name] = {target for _, target in back.seen() if mutants.MARK in target}
        assert len(read[back.name]) > 10, f"{back.name} read {read[back.name]}"
    print({name: len(markers) for name, markers in read.items()})
    differing = set.union(*read.values()) - set.intersection(*read.values())
    assert len(differing) > 20, f"they agree but on {differing}"
