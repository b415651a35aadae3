"""Programs of a fleet with an overlay are replaced, told anew and cut off while visitors ask; and each reason for a way."""

import json
import pathlib
import signal

from control import lab
from control.overlay import UDP, Field, Papers, cut, mend
from gateway.upgrade import Line
from lib import proc
from lib.stage import eventually, same, within

# Visitors on a machine of their own, who ask on kept connections until they are told to stop; each answer is a line.
VISITORS = """
import json, signal, ssl, sys, threading, time
where, address, host, *methods = sys.argv[1:]
sys.path.insert(0, where)
from lib import wire
over, lock = threading.Event(), threading.Lock()
signal.signal(signal.SIGTERM, lambda *_: over.set())
context = ssl._create_unverified_context()

def run(method):
    conn = None
    while not over.is_set():
        begin = time.monotonic()
        body = "x" * 500 if method == "POST" else None
        try:
            conn = conn or wire.Conn((address, 443), tls=context, name=host)
            a = conn.send(wire.request_bytes(method, "/echo" if body else "/bytes/100", body=body, host=host)).answer(method)
            said = str(a.status) if body or a.status != 200 or len(a.body) == 100 else "cut"
            if (a.get("connection") or "").lower() == "close":
                conn.close()
                conn = None
        except (OSError, wire.Lost) as e:
            said, conn = repr(e), None
        with lock:
            print(json.dumps({"method": method, "said": said, "s": time.monotonic() - begin}), flush=True)
        over.wait(0.01)

threads = [threading.Thread(target=run, args=[m]) for m in methods]
for t in threads:
    t.start()
for t in threads:
    while t.is_alive():
        t.join(0.1)
"""


class Visitors:
    def __init__(self, field, *methods):
        script = field.t.private_file("visitors.py", VISITORS)
        self.program = field.visitor.start("visitors", "python3", script, pathlib.Path(__file__).parents[1], lab.GATES[0], lab.HOST, *methods)
        self.asked_more(10)

    def asked_more(self, count):
        """Waits until so many more were answered."""
        so_far = len(self.program.lines())
        eventually(lambda: len(self.program.lines()) >= so_far + count, 30, self.program.text)

    def stop(self):
        self.program.stop(30)
        return self.program.lines()

    def all_right(self):
        found = self.stop()
        wrong = [x for x in found if x["said"] != "200"]
        assert found and not wrong, (len(found), wrong[:5])


def overlay_only(field):
    """Of TCP the agent gets to control and to nobody else."""
    cut(field.inet, "notcp", f"iifname \"i-rhome0\" ip daddr {lab.GATES[0]} meta l4proto tcp drop;")
    field.stop("home0")
    field.start(field.home, "agent", "home0")
    field.goes("overlay", "no_own_link")


class Held:
    """A stream of events that lasts for so long, and says whether all of it came."""

    def __init__(self, field, events=40, ms=100):
        self.events = events
        self.program = field.visitor.start("held", "curl", "-skN", "--max-time", "300", "--resolve", f"{lab.HOST}:443:{lab.GATES[0]}",
                                           f"https://{lab.HOST}/sse?events={events}&interval_ms={ms}&size=10")
        eventually(lambda: "data" in self.program.text(), 20, "the stream does not begin")

    def is_whole(self):
        same((self.program.wait(120), self.program.text().count("data:")), (0, self.events))


def upgraded_under_load(t, name):
    """Twice, while visitors ask and a stream is under way, none of which loses anything; then the overlay carries again."""
    field = Field(t)
    field.goes("overlay", "preferred")
    line, visitors = Line(field.programs[name]), Visitors(field, "GET", "GET", "POST")
    for _ in range(2):
        old, held = line.pid, Held(field)
        same(line.upgrade()["event"], "upgrade_done")
        held.is_whole()
        eventually(lambda p=old: not proc.is_alive(p), 60, f"{old} does not end")
        field.goes("overlay", "preferred", 90)
        visitors.asked_more(20)
    visitors.all_right()
    line.end()
    return field


def story_an_agent_is_upgraded_while_the_overlay_carries(t, seconds=300):
    same({way for way, _ in upgraded_under_load(t, "home0").asked()}, {"overlay", "straight"})


def story_a_gateway_is_upgraded_while_the_overlay_carries(t, seconds=300):
    upgraded_under_load(t, "edge0")


def story_reloads_leave_the_overlay_as_it_is(t, seconds=240):
    field = Field(t)
    field.goes("overlay", "preferred")
    before, visitors = len(field.asked()), Visitors(field, "GET", "POST")
    for n in range(6):
        for name, more in (("edge0", {"gateway": {"limits": {"headerLines": 50 + n}}}), ("home0", {"agent": {"links": 1 + n % 2}})):
            path, program = field.configs[name], field.programs[name]
            config = json.loads(pathlib.Path(path).read_text())
            for section, keys in more.items():
                config[section].update(keys)
            pathlib.Path(path).write_text(json.dumps(config))
            so_far = len(program.lines())
            program.signal(signal.SIGHUP)
            eventually(lambda p=program, s=so_far: any(x.get("event") == "config_applied" for x in p.lines()[s:]), 20, field.said)
        visitors.asked_more(10)
    visitors.all_right()
    same(set(field.asked()[before:]), {("overlay", "preferred")})


def story_a_gateway_says_its_port_itself(t, seconds=240):
    """The agent's file has another."""
    field = Field(t, port=51900)
    field.goes("overlay", "preferred", 120)


def story_the_overlay_is_cut_under_load(t, seconds=300):
    """What is safe is asked again, on the agent's own links; nobody waits longer than a dead link takes to be found."""
    field = Field(t)
    field.goes("overlay", "preferred")

    def slowest():
        visitors = Visitors(field, "GET", "GET", "GET", "GET")
        cut(field.inet, "noudp", f"udp dport {UDP} drop; udp sport {UDP} drop;")
        field.goes("straight", "overlay_down")
        visitors.asked_more(20)
        found = visitors.stop()
        t.programs.remove(visitors.program)
        same([x for x in found if x["said"] != "200"], [])
        mend(field.inet, "noudp")
        field.goes("overlay", "preferred", 120)
        return max(x["s"] for x in found)

    within(4, slowest, "seconds of the slowest answer across the cut", tries=5)
    counts = field.gate.run("curl", "-s", "http://127.0.0.1:9900/metrics").stdout
    for way, reason in (("overlay", "preferred"), ("straight", "overlay_down")):
        assert f'sekisho_link_streams_total{{way="{way}",reason="{reason}"}}' in counts, counts


def story_upgrades_where_the_overlay_is_the_only_way(t, seconds=400):
    field = Field(t)
    overlay_only(field)
    for name in ("home0", "edge0"):
        line = Line(field.programs[name])
        old, held = line.pid, Held(field)
        same(line.upgrade()["event"], "upgrade_done")
        held.is_whole()
        eventually(lambda p=old: not proc.is_alive(p), 60, f"{old} does not end")
        field.goes("overlay", "no_own_link", 90)
        line.end()
        field.programs.pop(name)
        field.start(field.home if name == "home0" else field.gate, "agent" if name == "home0" else "gateway", name)
        field.goes("overlay", "no_own_link", 90)


# An agent with an own link that takes one stream at a time, and answers none.
NARROW = """
import socket, ssl, sys
where, address, cert, key = sys.argv[1:]
sys.path.insert(0, where)
from lib import h2
context = ssl._create_unverified_context()
context.set_alpn_protocols(["h2"])
context.load_cert_chain(cert, key)
tls = context.wrap_socket(socket.create_connection((address, 443)), server_hostname="link.sekisho.internal")
frames, streams = h2.Frames(tls), []

def script(frames, stream):
    streams.append(stream)
    if len(streams) == 1:  # the gateway's announcement
        frames.send(h2.HEADERS, h2.END | h2.DONE, stream, h2.literal((":status", "204")))
    else:
        print("holds", flush=True)

assert frames.preface((3).to_bytes(2, "big") + (1).to_bytes(4, "big"))
print("open", flush=True)
frames.serve(script)
"""


def story_an_own_link_that_is_full_is_passed_over(t, seconds=240):
    field = Field(t, use="spare", workers=1)
    overlay_only(field)
    papers = Papers(field, "home0", "agent")
    narrow = field.visitor.start("narrow", "python3", t.private_file("narrow.py", NARROW), pathlib.Path(__file__).parents[1], lab.GATES[0], papers.cert, papers.key)
    narrow.codes = (0, -signal.SIGTERM)
    eventually(lambda: "open" in narrow.text(), 20, narrow.text)

    def is_held():
        """The announcement may still have the one stream there is: then it went over the overlay, and is answered."""
        waits = field.visitor.start("waits", "curl", "-sk", "--max-time", "300", "--resolve", f"{lab.HOST}:443:{lab.GATES[0]}", f"https://{lab.HOST}/bytes/10")
        waits.codes = (0, -signal.SIGTERM)
        eventually(lambda: "holds" in narrow.text() or waits.process.poll() is not None, 30, field.said)
        return "holds" in narrow.text()

    eventually(is_held, 30, lambda: narrow.text() + field.said())
    field.goes("overlay", "preferred_full")
