"""Requests sent out, when agents, targets and callers are not as they should be (docs/protocol/dispatch.md)."""

import http.client
import json
import shutil
import socket
import struct
import threading
import time

from control.dispatch import Senders
from lib.control_role import unverified
from lib.fleet import Agent, killed
from lib.patience import patient
from lib.stage import eventually, same


class Raw:
    """A caller that reads the answer as it comes, and leaves when it likes."""

    def __init__(self, s, body):
        self.connection = http.client.HTTPSConnection("127.0.0.1", s.control.port, context=unverified(), timeout=patient(20))
        self.connection.request("POST", "/api/execute", json.dumps(body), {"Authorization": f"Bearer {s.control.key}", "Content-Type": "application/json",
                                                                           "Accept": "application/octet-stream"})

    def answer(self):
        self.response = self.connection.getresponse()
        return self.response

    def leave(self):
        self.connection.sock.close() if not hasattr(self, "response") else self.response.close()
        self.connection.close()


def story_an_agent_takes_anothers_place(t, seconds=120):
    """It says another's address is its own, and answers what it was not asked."""
    s = Senders(t, (("home", ["127.0.0.2"]),))
    up = t.sample()
    evil = s.control.node("agent", "evil")
    evil.say({"type": "report", "addresses": ["127.0.0.2", "no address", "127.0.0.99"]})
    eventually(lambda: s.pool()["total_ips"] == 3, 20, lambda: s.pool())
    home = next(a["agent_id"] for a in s.look("/agents")["agents"] if a["name"] == "home")
    same({(x["ip"], x["status"]) for x in s.pool()["ip_pool"] if x["agent_id"] != home}, {("127.0.0.2", "unavailable"), ("127.0.0.99", "unavailable")})
    evil.say({"type": "result", "request_id": "00000000000000000000000000000001", "success": True, "status_code": 200, "body": "mine"})  # no such word
    for _ in range(4):
        r = s.execute(f"http://127.0.0.1:{up.port}/bytes/1")
        same((r["metadata"]["agent"], r["metadata"]["source_ip"]), ("home", "127.0.0.2"))
    same(s.execute(f"http://127.0.0.1:{up.port}/bytes/1", 503, agent="evil")["error"], "no_address_available")
    same(s.execute(f"http://127.0.0.1:{up.port}/bytes/1", 503, sourceAddress="127.0.0.99")["error"], "no_address_available")


def story_two_with_one_key_at_once(t, seconds=150):
    """A copy of an agent's state is started beside it: control hears one of them at a time, and the pool never has an address twice."""
    s = Senders(t, (("home", ["127.0.0.2"]), ("work", ["127.0.0.4"])))
    up = t.sample()
    url = f"http://127.0.0.1:{up.port}/bytes/1"
    home = s.agents["home"]
    killed(t, home)
    copy = t.folder / "state-copy"
    shutil.copytree(home.state, copy)
    both = [Agent(t, "one", home.state, config=home.config_path), Agent(t, "two", copy, config=home.config_path)]
    s.wait_available(2)
    end = time.monotonic() + 6
    while time.monotonic() < end:
        same(s.pool()["total_ips"] <= 2, True, s.pool())
        same(s.execute(url, agent="work")["success"], True)  # the other agent does not suffer
        same(s.execute(url)["success"], True)
    for a in both:
        killed(t, a)
    eventually(lambda: s.pool()["available_ips"] == 1, 30, lambda: s.pool())
    t.programs.append(home.again())
    s.wait_available(2)
    same({s.execute(url)["metadata"]["source_ip"] for _ in range(4)}, {"127.0.0.2", "127.0.0.4"})


def story_dying_in_the_middle_of_an_answer(t, seconds=120):
    s = Senders(t, (("home", ["127.0.0.2"]), ("work", ["127.0.0.4"])))
    begun = threading.Event()

    def script(c, request):
        if c.sock.getpeername()[0] == "127.0.0.2":
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            begun.set()
            c.wait_closed(60)
        else:
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole")

    up = t.upstream(script)
    url = f"http://127.0.0.1:{up.port}/x"
    answers = []
    posting = threading.Thread(target=lambda: answers.append(s.control.ask("POST", "/api/execute", {"url": url, "method": "POST", "body": "b", "agent": "home"},
                                                                           timeout=patient(60))))
    posting.start()
    assert begun.wait(patient(20))
    raw = Raw(s, {"url": url, "agent": "home"})
    same(raw.answer().read(4), b"half")
    begin = time.monotonic()
    killed(t, s.agents["home"])
    posting.join()
    assert time.monotonic() - begin < patient(20), "the caller waited for its own time"
    same((answers[0].status, answers[0].json["success"], answers[0].json["error"]), (502, False, "closed"))
    same(len([r for r in up.requests if r.method == "POST"]), 1)  # it is not done twice
    try:
        assert raw.response.read() is None, "a broken answer looks whole"
    except (http.client.IncompleteRead, ConnectionError, OSError):
        pass
    raw.leave()
    r = s.execute(url)
    same((r["body"], r["metadata"]["agent"]), ("whole", "work"))


def story_a_flood_stays_small(t, seconds=120):
    s = Senders(t, (("home", ["127.0.0.2"]),), history=50)
    up = t.sample()
    long = "x" * 8000
    for n in range(120):
        s.execute(f"http://127.0.0.1:{up.port}/bytes/1?n={n}&{long}")
    eventually(lambda: "n=119&" in s.look("/history?limit=1")["history"][0]["url"], 30, "the last one is not written down")
    eventually(lambda: len(s.look("/history?limit=1000")["history"]) == 50, 30, lambda: len(s.look("/history?limit=1000")["history"]))
    newest = s.look("/history?limit=1")["history"][0]
    assert "n=119&" in newest["url"] and len(newest["url"]) == 2048, newest["url"][:60]
    same(s.look("/stats")["total_requests_processed"], 120)


def story_as_it_comes_and_no_longer_than_wanted(t, seconds=120):
    """Raw answers stream; who leaves is not sent for any more."""
    s = Senders(t, (("home", ["127.0.0.2"]),))
    more, closed = threading.Event(), threading.Event()

    def script(c, request):
        if "/parts" in request.target:
            c.send(b"HTTP/1.1 203 Fine\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            more.wait(60)
            c.send(b"6\r\nsecond\r\n0\r\n\r\n")
        else:
            if "/begun" in request.target:
                c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            if c.wait_closed(60):
                closed.set()

    up = t.upstream(script)
    raw = Raw(s, {"url": f"http://127.0.0.1:{up.port}/parts"})
    a = raw.answer()
    same((a.status, a.getheader("dispatch-status"), a.getheader("dispatch-source"), a.read(5)), (200, "203", "127.0.0.2", b"first"))
    more.set()
    same(a.read(), b"second")
    for path in ("/begun", "/silent"):
        closed.clear()
        count = len(up.requests)
        raw = Raw(s, {"url": f"http://127.0.0.1:{up.port}{path}", "timeout": 120})
        eventually(lambda: len(up.requests) > count, 20, "the request did not arrive")
        if path == "/begun":
            same(raw.answer().read(4), b"half")
        raw.leave()
        assert closed.wait(patient(20)), "the target is still asked"
        eventually(lambda: s.pool()["in_flight"] == 0, 20, lambda: s.pool())
    eventually(lambda: [h["error"] for h in s.look("/history?limit=2")["history"]] == ["caller_left"] * 2, 20, lambda: s.look("/history?limit=2"))


def story_gone_before_the_key_is_looked_up(t, seconds=90):
    """Nothing is sent for them, and nothing of them stays (the sanitizer's leak check at control's end)."""
    s = Senders(t, (("home", ["127.0.0.2"]),))
    up = t.sample()
    body = json.dumps({"url": f"http://127.0.0.1:{up.port}/bytes/1"})
    for n in range(150):
        c = http.client.HTTPSConnection("127.0.0.1", s.control.port, context=unverified(), timeout=patient(20))
        c.request("POST", "/api/execute", body, {"Authorization": f"Bearer {s.control.key}", "Content-Type": "application/json"})
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(n % 30 / 10000)  # a reset that comes sooner or later
        socket.socket(fileno=c.sock.detach()).close()
    same(s.execute(f"http://127.0.0.1:{up.port}/bytes/1")["success"], True)
    eventually(lambda: s.pool()["in_flight"] == 0, 20, lambda: s.pool())


def story_connections_are_kept_for_each_source(t, seconds=90):
    s = Senders(t, (("home", ["127.0.0.2", "127.0.0.3"]),))

    def script(c, request):
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    up = t.upstream(script)
    for _ in range(8):
        s.execute(f"http://127.0.0.1:{up.port}/")
    same((len(up.requests), len(up.peers)), (8, 2))  # one connection for each address


def story_another_address_before_the_first_byte(t, seconds=90):
    """Closed without a word: what may be repeated is, from another address; what may not is not."""
    s = Senders(t, (("home", ["127.0.0.2"]), ("work", ["127.0.0.4"])))

    def script(c, request):
        if c.sock.getpeername()[0] == "127.0.0.2":
            c.close()
        else:
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    up = t.upstream(script)
    for _ in range(4):
        r = s.execute(f"http://127.0.0.1:{up.port}/")
        same((r["body"], r["metadata"]["agent"]), ("ok", "work"))
    up.requests.clear()
    same(s.execute(f"http://127.0.0.1:{up.port}/", 502, method="POST", agent="home")["error"], "closed")
    same(len(up.requests), 1)
