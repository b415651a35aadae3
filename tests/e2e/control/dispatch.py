"""Requests sent out by agents: /api/execute (docs/protocol/dispatch.md)."""

import base64
import json
import os
import re
import sqlite3
import subprocess
import threading

from lib.control_role import Control
from lib.fleet import Agent, killed
from lib.patience import patient
from lib.stage import eventually, same

LOOPBACK = ["127.0.0.0/8"]


class Senders:
    """A control that dispatches, and agents that send from loopback addresses of their own."""

    def __init__(self, t, agents=(("home", ["127.0.0.2", "127.0.0.3"]),), allow=LOOPBACK, **dispatch):
        self.t = t
        self.control = Control(t, dispatch={"allow": LOOPBACK, **dispatch}).claim()
        token = self.control.join_token("agent", uses=len(agents))
        self.agents = {}
        for name, addresses in agents:
            config = t.folder / f"{name}.json"
            config.write_text(json.dumps({"agent": {"dispatch": {"allow": allow, "addresses": addresses}}}))
            config.chmod(0o600)
            self.agents[name] = Agent(t, name, t.folder / f"state-{name}", token, config)
        self.wait_available(sum(len(a) for _, a in agents))

    def wait_available(self, count):
        eventually(lambda: self.pool()["available_ips"] == count, 30, lambda: f"{self.pool()} of {count}")

    def look(self, path):
        a = self.control.ask("GET", "/api" + path)
        same(a.status, 200)
        return a.json

    def pool(self):
        return self.look("/pool/status")

    def execute(self, url, status=200, **more):
        a = self.control.ask("POST", "/api/execute", {"url": url, **more})
        assert a.status == status, a
        return a.json


def story_requests_go_out_in_turns(t, seconds=90):
    s = Senders(t, (("home", ["127.0.0.2", "127.0.0.3"]), ("work", ["127.0.0.4"])))
    up = t.sample()
    seen = {}
    for _ in range(9):
        r = s.execute(f"http://127.0.0.1:{up.port}/echo", method="POST", headers={"X-One": "1", "X-Two": ["a", "b"]}, params={"q": "x y"},
                      body={"k": [1, 2]})
        same((r["success"], r["status_code"]), (True, 200))
        source = r["metadata"]["source_ip"]
        seen[source] = seen.get(source, 0) + 1
    same(seen, {"127.0.0.2": 3, "127.0.0.3": 3, "127.0.0.4": 3})
    told = r["body"] if isinstance(r["body"], str) else json.dumps(r["body"])
    for part in ("/echo?q=x%20y", "X-One", '"k"', "application/json", f"127.0.0.1:{up.port}"):
        assert part.lower() in told.lower().replace("\\", ""), (part, told)
    assert "sekisho-" not in told.lower(), told
    pool = s.pool()
    same(sorted(x["requests_count"] for x in pool["ip_pool"]), [3, 3, 3])
    same(s.look("/stats")["total_requests_processed"], 9)


def story_what_comes_back_is_exact(t, seconds=90):
    s = Senders(t)

    def script(c, request):
        if "/bin" in request.target:
            c.send(b"HTTP/1.1 201 Made\r\nContent-Length: 4\r\nSet-Cookie: a=1\r\nX: y\r\nSet-Cookie: b=2\r\n\r\n\xff\x00\x01\x02")
        elif "/json" in request.target:
            c.send(b"HTTP/1.1 404 No\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{\"a\": 1.0}")
        else:
            c.send(b"HTTP/1.1 204 Nothing\r\nSekisho-Error: timeout\r\n\r\n")

    up = t.upstream(script)
    r = s.execute(f"http://127.0.0.1:{up.port}/bin")
    same((r["status_code"], r["body_encoding"], base64.b64decode(r["body"])), (201, "base64", b"\xff\x00\x01\x02"))
    same([v for n, v in r["headers_list"] if n.lower() == "set-cookie"], ["a=1", "b=2"])
    r = s.execute(f"http://127.0.0.1:{up.port}/json")
    same((r["success"], r["status_code"], r["is_json"], r["body"]), (True, 404, True, {"a": 1.0}))
    r = s.execute(f"http://127.0.0.1:{up.port}/none", method="DELETE")
    same((r["success"], r["status_code"], r["body"], r["error"]), (True, 204, "", None))
    raw = s.control.ask("POST", "/api/execute", {"url": f"http://127.0.0.1:{up.port}/bin"},
                        headers={"Accept": "application/octet-stream"})
    same((raw.status, raw.headers["dispatch-status"], raw.data), (200, "201", b"\xff\x00\x01\x02"))
    same([v for n, v in raw.pairs if n.lower() == "target-set-cookie"], ["a=1", "b=2"])


def story_not_an_open_proxy(t, seconds=90):
    """Who may, and where to: judged at control by name, and at the agent by the address that is dialled."""
    s = Senders(t, allow=["127.0.0.1:1-65535"])
    up = t.sample()
    a = s.control.ask("POST", "/api/execute", {"url": f"http://127.0.0.1:{up.port}/bytes/1"}, key=None)
    same(a.status, 401)
    reader = s.control.made("/api-keys", {"name": "reader", "scopes": ["read"]})
    t.secrets.append(reader["key"])
    a = s.control.ask("POST", "/api/execute", {"url": f"http://127.0.0.1:{up.port}/bytes/1"}, key=reader["key"])
    same(a.status, 403)
    sender = s.control.made("/api-keys", {"name": "sender", "scopes": ["dispatch"]})
    t.secrets.append(sender["key"])
    same(s.control.ask("POST", "/api/execute", {"url": f"http://127.0.0.1:{up.port}/bytes/1"}, key=sender["key"]).status, 200)
    same(s.control.ask("GET", "/nodes", key=sender["key"]).status, 403)
    for url in ("http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://[::1]:80/", "http://100.64.0.1/"):
        same(s.execute(url, 403)["error"], "destination_denied")
    same(s.execute(f"http://127.0.0.9:{up.port}/", 403)["error"], "destination_denied")  # control would; this agent's owner does not
    for body in ({}, {"url": "ftp://x/"}, {"url": f"http://127.0.0.1:{up.port}/", "headers": {"Host": "other"}}, {"url": "http://h/", "metod": "GET"}):
        same(s.control.ask("POST", "/api/execute", body).status, 400)
    same(s.execute("http://127.0.0.1:1/", 502)["error"], "unreachable")


def story_a_dead_agent_is_tried_around(t, seconds=120):
    s = Senders(t, (("home", ["127.0.0.2"]), ("work", ["127.0.0.4"])))
    up = t.sample()
    same({s.execute(f"http://127.0.0.1:{up.port}/bytes/1")["metadata"]["source_ip"] for _ in range(4)}, {"127.0.0.2", "127.0.0.4"})
    killed(t, s.agents["home"])
    for _ in range(6):
        same(s.execute(f"http://127.0.0.1:{up.port}/bytes/1")["metadata"]["source_ip"], "127.0.0.4")
    eventually(lambda: s.pool()["available_ips"] == 1, 20, "the dead agent's address stays")
    same(s.execute(f"http://127.0.0.1:{up.port}/bytes/1", 503, agent="home")["error"], "no_address_available")
    before = {x["ip"]: x["requests_count"] for x in s.pool()["ip_pool"]}
    t.programs.append(s.agents["home"].again())
    s.wait_available(2)
    after = {x["ip"]: x["requests_count"] for x in s.pool()["ip_pool"]}
    assert after["127.0.0.2"] >= before["127.0.0.2"], (before, after)
    same({s.execute(f"http://127.0.0.1:{up.port}/bytes/1")["metadata"]["source_ip"] for _ in range(4)}, {"127.0.0.2", "127.0.0.4"})


def story_time_and_redirects(t, seconds=90):
    s = Senders(t)

    def script(c, request):
        if "/slow" in request.target:
            c.wait_closed()
        elif "/to" in request.target:
            c.send(b"HTTP/1.1 302 Found\r\nLocation: /there?x=1\r\nContent-Length: 0\r\n\r\n")
        elif "/inside" in request.target:
            c.send(b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n")
        else:
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    up = t.upstream(script)
    base = f"http://127.0.0.1:{up.port}"
    r = s.execute(f"{base}/slow", 504, timeout=0.3)
    same((r["success"], r["error"], r["status_code"]), (False, "timeout", None))
    assert r["metadata"]["duration_ms"] >= 300, r
    same(s.execute(f"{base}/to")["status_code"], 302)
    r = s.execute(f"{base}/to", followRedirects=True)
    same((r["status_code"], r["body"], r["metadata"]["url"]), (200, "ok", f"{base}/there?x=1"))
    same(s.execute(f"{base}/inside", 403, followRedirects=True)["error"], "destination_denied")


def story_history_and_counts_outlive_a_restart(t, seconds=120):
    s = Senders(t)
    up = t.sample()
    for _ in range(4):
        s.execute(f"http://127.0.0.1:{up.port}/bytes/10")
    s.execute("http://127.0.0.1:1/", 502)
    same(s.control.ask("GET", "/api/config/request").status, 404)
    same(s.control.ask("POST", "/api/config/request", {"method": "GET"}).status, 400)
    same(s.control.ask("POST", "/api/config/request", {"url": f"http://127.0.0.1:{up.port}/echo", "headers": {"X-Default": "yes"}}).status, 200)
    r = s.control.ask("POST", "/api/execute", {}).json
    assert "x-default" in json.dumps(r["body"]).lower(), r
    s.control.stop()
    again = Control(t, "control-again", s.control.port, dispatch={"allow": LOOPBACK})
    again.key, s.control = s.control.key, again
    s.wait_available(2)
    same(s.look("/stats")["total_requests_processed"] >= 6, True)
    same(sum(x["requests_count"] for x in s.pool()["ip_pool"]), s.look("/stats")["total_requests_processed"])
    history = s.look("/history?limit=3")
    same([h["status_code"] for h in history["history"]], [200, None, 200])
    same((history["history"][1]["error"], history["history"][1]["success"]), ("unreachable", False))
    same(len(s.look(f"/history?before={history['next']}")["history"]), 3)
    same(s.look("/config/request")["headers"], {"X-Default": "yes"})
    same(s.control.ask("GET", "/api/history?limit=0").status, 400)


def story_bodies_are_kept_if_asked(t, seconds=120):
    """Off at first; then bounded, and shown to who may send."""
    s = Senders(t)

    def script(c, request):
        if "/bin" in request.target:
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\x00\x01\x02")
        else:
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"a" * 2000)

    up = t.upstream(script)
    base = f"http://127.0.0.1:{up.port}"
    s.execute(f"{base}/x", method="POST", body="never kept")
    eventually(lambda: s.look("/history?bodies=true")["history"], 20, "no history")
    assert not [k for k in s.look("/history?bodies=true")["history"][0] if "body" in k]
    s.control.stop()
    again = Control(t, "control-again", s.control.port, dispatch={"allow": LOOPBACK, "historyBodies": 1024, "historyBodiesTotal": 4000})
    again.key, s.control = s.control.key, again
    s.wait_available(2)
    s.execute(f"{base}/x", method="POST", body="p" * 1500)
    s.execute(f"{base}/bin")
    raw = s.control.ask("POST", "/api/execute", {"url": f"{base}/x"}, headers={"Accept": "application/octet-stream"})
    same(raw.data, b"a" * 2000)
    found = eventually(lambda: (h := s.look("/history?bodies=true")["history"]) and len(h) == 4 and h, 20, lambda: s.look("/history"))
    same([(h.get("request_body"), h.get("request_body_is_cut")) for h in found], [("", False), ("", False), ("p" * 1024, True), (None, None)])
    same([(h.get("body"), h.get("body_encoding"), h.get("body_is_cut")) for h in found],
         [("a" * 1024, "text", True), (base64.b64encode(b"\xff\x00\x01\x02").decode(), "base64", False), ("a" * 1024, "text", True), (None, None, None)])
    assert not [k for k in s.look("/history")["history"][0] if "body" in k]  # asked for, each time
    reader = s.control.new_key("reader", "read")
    same(s.control.ask("GET", "/api/history", key=reader).status, 200)
    same(s.control.ask("GET", "/api/history?bodies=true", key=reader).status, 403)
    same(s.control.ask("GET", "/api/history?bodies=true&limit=21").status, 400)
    for _ in range(3):  # the newest of 4000 bytes
        s.execute(f"{base}/x")
    eventually(lambda: ["body" in h for h in s.look("/history?bodies=true")["history"]] == [True] * 3 + [False] * 4, 20, lambda: s.look("/history?bodies=true"))


def story_bodies_lie_sealed(t, seconds=120):
    """Whoever has a copy of the database does not have what was sent; control.key opens it again, from a backup too."""
    s = Senders(t, historyBodies=1024)
    state = s.control.state
    up = t.upstream(lambda c, request: c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\nanswered-secret"))
    for n in range(3):
        s.execute(f"http://127.0.0.1:{up.port}/x", method="POST", body=f"asked-secret-{n}")

    def bodies():
        return [(h.get("request_body"), h.get("body"), h["body_encoding"]) for h in s.look("/history?bodies=true")["history"] if "body" in h]

    whole = [(f"asked-secret-{n}", "answered-secret", "text") for n in (2, 1, 0)]
    eventually(lambda: bodies() == whole, 20, bodies)
    backup = s.control.ask("POST", "/store/backup", {})
    same(backup.status, 201)
    for path in state.iterdir():
        assert path.is_dir() or b"-secret" not in path.read_bytes(), path
    s.control.stop()

    def again(name):
        control = Control(t, name, s.control.port, dispatch={"allow": LOOPBACK, "historyBodies": 1024})
        control.key, s.control = s.control.key, control

    db = sqlite3.connect(state / "control.db")  # a box is its own row's alone
    (one,), (other,) = db.execute("SELECT asked FROM dispatch_bodies ORDER BY id LIMIT 2").fetchall()
    with db:
        db.execute("UPDATE dispatch_bodies SET asked = ? WHERE asked = ?", (other, one))
    db.close()
    again("control-changed")
    same(bodies(), [*whole[:2], (None, "answered-secret", "text")])
    same([h["request_body_encoding"] for h in s.look("/history?bodies=true")["history"]], ["text", "text", "unreadable"])
    s.control.stop()
    for path in state.glob("control.db*"):
        path.unlink()
    p = subprocess.run([t.sekisho, "restore", backup.json["path"], "--store", f"sqlite:{state}/control.db"], capture_output=True, timeout=patient(60))
    same(p.returncode, 0, p.stderr)
    again("control-restored")
    same(bodies(), whole)


def story_agents_by_name_and_tag(t, seconds=120):
    s = Senders(t, (("home", ["127.0.0.2"]), ("work", ["127.0.0.4"]), ("attic", ["127.0.0.6"])))
    up = t.sample()
    url = f"http://127.0.0.1:{up.port}/bytes/1"
    sources = {n: a for n, a in (("home", "127.0.0.2"), ("work", "127.0.0.4"), ("attic", "127.0.0.6"))}
    nodes = {n["name"]: n["id"] for n in s.control.get("/agents")["items"]}
    for name, tags in (("home", ["eu", "fast"]), ("work", ["eu"])):
        same(s.control.ask("PATCH", f"/nodes/{nodes[name]}", {"settings": {"tags": tags}}).status, 200)
    same(s.control.ask("PATCH", f"/nodes/{nodes['home']}", {"settings": {"tags": ["No Tag"]}}).status, 400)
    same(s.control.ask("PATCH", f"/nodes/{nodes['home']}", {"settings": {"publish": {"models": False}}}).json["settings"],
         {"tags": ["eu", "fast"], "publish": {"models": False}})  # one member says nothing of the others
    eventually(lambda: {a["name"]: a["tags"] for a in s.look("/agents")["agents"]} == {"home": ["eu", "fast"], "work": ["eu"], "attic": []}, 20,
               lambda: s.look("/agents"))
    for name, address in sources.items():
        same({s.execute(url, agent=name)["metadata"]["source_ip"] for _ in range(2)}, {address})
    same({s.execute(url, tag="eu")["metadata"]["source_ip"] for _ in range(4)}, {"127.0.0.2", "127.0.0.4"})
    r = s.execute(url, tag="fast")
    same((r["metadata"]["source_ip"], r["metadata"]["agent"]), ("127.0.0.2", "home"))
    same(s.execute(url, sourceAddress="127.0.0.6")["metadata"]["agent"], "attic")
    same(s.execute(url, 404, tag="us")["error"], "no_such_address")
    same(s.execute(url, 404, agent="attic", tag="eu")["error"], "no_such_address")
    same(s.control.ask("POST", "/api/agents/register", {"agent_id": "x", "hostname": "x", "ipv6_addresses": []}, key=None).status, 410)
    same(s.control.ask("PATCH", f"/nodes/{nodes['attic']}", {"name": "roof"}).status, 200)
    eventually(lambda: s.control.ask("POST", "/api/execute", {"url": url, "agent": "roof"}).status == 200, 20, "the new name is not known")


def story_who_is_removed_is_gone(t, seconds=120):
    s = Senders(t, (("home", ["127.0.0.2"]), ("work", ["127.0.0.4"])))
    up = t.sample()
    url = f"http://127.0.0.1:{up.port}/bytes/1"
    for _ in range(4):
        s.execute(url)
    reader = s.control.made("/api-keys", {"name": "sender", "scopes": ["dispatch"]})
    t.secrets.append(reader["key"])
    same(s.control.ask("DELETE", "/api/agents/home", key=reader["key"]).status, 403)
    same(s.control.ask("DELETE", "/api/agents/nobody").status, 404)
    same(s.control.ask("DELETE", "/api/agents/home").json["status"], "success")
    eventually(lambda: s.pool()["total_agents"] == 1, 20, lambda: s.pool())
    same({s.execute(url)["metadata"]["source_ip"] for _ in range(3)}, {"127.0.0.4"})
    same(s.execute(url, 404, agent="home")["error"], "no_such_address")
    assert any(h["metadata"]["source_ip"] == "127.0.0.2" for h in eventually(lambda: s.look("/history")["history"], 20, "no history")), "what it did is not known any more"
    s.control.stop()
    again = Control(t, "control-again", s.control.port, dispatch={"allow": LOOPBACK})
    again.key, s.control = s.control.key, again
    s.wait_available(1)
    same(s.pool()["total_agents"], 1)


def story_so_many_and_no_more(t, seconds=120):
    """A caller's and an agent's share, and how long one waits for a turn."""
    s = Senders(t, (("home", ["127.0.0.2"]),), agentRequests=1, callerRequests=3, waitingTimeout="400ms", waiting=1)
    held = threading.Event()

    def script(c, request):
        if "/held" in request.target:
            held.wait(60)
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    up = t.upstream(script)
    base = f"http://127.0.0.1:{up.port}"
    answers = []
    first = threading.Thread(target=lambda: answers.append(s.execute(f"{base}/held")))
    first.start()
    try:
        eventually(lambda: s.pool()["in_flight"] == 1, 20, lambda: s.pool())
        r = s.execute(f"{base}/x", 503)  # waits, and its waiting ends
        same(r["error"], "queue_timeout")
        assert r["metadata"]["duration_ms"] >= 400, r
        waiting = [threading.Thread(target=lambda: answers.append(s.control.ask("POST", "/api/execute", {"url": f"{base}/x"}).status)) for _ in range(1)]
        for w in waiting:
            w.start()
        a = s.control.ask("POST", "/api/execute", {"url": f"{base}/x"})
        assert a.status == 503, a  # it waited, or the line was full
        for w in waiting:
            w.join()
    finally:
        held.set()
        first.join()
    same(answers[-1]["status_code"], 200)
    same(s.execute(f"{base}/x")["status_code"], 200)


def story_a_key_has_a_rate(t, seconds=90):
    s = Senders(t, (("home", ["127.0.0.2"]),), callerRate="2/h")
    up = t.sample()
    request = {"url": f"http://127.0.0.1:{up.port}/bytes/1"}
    for status in (200, 200, 429):
        a = s.control.ask("POST", "/api/execute", request)
        same(a.status, status, a)
    assert int(a.headers["retry-after"]) > 1000, a
    other = s.control.new_key("other", "dispatch")
    same(s.control.ask("POST", "/api/execute", request, key=other).status, 200)


def story_figures_for_its_dashboards(t, seconds=90):
    s = Senders(t, (("home", ["127.0.0.2", "127.0.0.3"]),))
    up = t.sample()
    for _ in range(3):
        s.execute(f"http://127.0.0.1:{up.port}/bytes/1000")
    s.execute("http://127.0.0.1:1/", 502, method="POST")
    same(s.control.ask("GET", "/api/metrics", key=None).status, 404)
    page = s.control.page("/metrics")
    agent = s.look("/agents")["agents"][0]["agent_id"]
    for line in (f'http_dispatcher_requests_total{{agent_id="{agent}",status_code="200",method="GET"}} 3',
                 f'http_dispatcher_requests_total{{agent_id="{agent}",status_code="none",method="POST"}} 1',
                 f'http_dispatcher_request_errors_total{{agent_id="{agent}",error_type="unreachable"}} 1',
                 f'http_dispatcher_response_size_bytes_count{{agent_id="{agent}"}} 3',
                 "http_dispatcher_agents_connected 1", "http_dispatcher_agents_total 1", "http_dispatcher_ip_pool_size 2",
                 "http_dispatcher_ip_pool_available 2", "http_dispatcher_websocket_connections 1",
                 f'http_dispatcher_queue_depth{{agent_id="{agent}"}} 0', 'http_dispatcher_queue_depth{agent_id="any"} 0'):
        assert line in page, (line, page)


def story_by_hand(t, seconds=120):
    """sekisho execute: what it sends, prints, and says when nothing came."""
    s = Senders(t, (("home", ["127.0.0.2"]), ("work", ["127.0.0.4"])))

    def script(c, request):
        if "/bin" in request.target:
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\x00\x01\n")
        elif "/json" in request.target:
            c.send(b'HTTP/1.1 404 No\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n {"a": 1.0}\n')
        elif "/slow" in request.target:
            c.wait_closed()
        else:
            said = f"{request.method} {request.target} {request.body.decode()} {[v for k, v in request.fields if k.lower() == 'x-a']}".encode()
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))

    up = t.upstream(script)
    base = f"http://127.0.0.1:{up.port}"
    env = {**os.environ, "SEKISHO_SERVER": s.control.url + "#" + re.search(r"/setup#[\w-]+\.([0-9a-f]{32})", s.control.text())[1], "SEKISHO_TOKEN": s.control.new_key("hand", "dispatch"),
           "XDG_CONFIG_HOME": str(t.folder / "cfg")}

    def run(*args, code=0, data=None):
        p = subprocess.run([t.sekisho, "execute", *args], env=env, input=data, capture_output=True, timeout=patient(30))
        same(p.returncode, code, (args, p.stdout, p.stderr))
        return p

    p = run(f"{base}/x?q=1", "-H", "X-A: one", "-H", "x-a: two", "--data", "hello", "--agent", "work")
    same(p.stdout, b"POST /x?q=1 hello ['one', 'two']")
    assert p.stderr.startswith(b"200 from 127.0.0.4 by work"), p.stderr
    same(run(f"{base}/x", "-X", "DELETE", "--source", "127.0.0.2").stdout, b"DELETE /x  []")
    given = t.folder / "given"
    given.write_bytes(b"from a file")
    same(run(f"{base}/x", "--data", f"@{given}").stdout, b"POST /x from a file []")
    same(run(f"{base}/x", "--data", "@-", data=b"from a pipe").stdout, b"POST /x from a pipe []")
    same(run(f"{base}/json").stdout.strip(), b'{"a": 1.0}')
    same(run(f"{base}/bin").stdout, b"\xff\x00\x01\n")
    kept = t.folder / "kept"
    p = run(f"{base}/bin", "--raw", "--output", kept)
    same((kept.read_bytes(), p.stdout, p.stderr), (b"\xff\x00\x01\n", b"", b"200\n"))
    same(run(f"{base}/json", "--raw").stdout, b' {"a": 1.0}\n')
    told = json.loads(run(f"{base}/json", "--json").stdout)
    same((told["status_code"], told["body"]), (404, {"a": 1.0}))
    for args, code, words in (((f"{base}/slow", "--timeout", "300ms"), 1, "--timeout"), ((f"{base}/x", "--tag", "us"), 4, "node list"),
                              (("http://10.0.0.1/",), 7, "control.dispatch.allow"), (("http://127.0.0.1:1/",), 1, "cannot reach"),
                              (("ftp://x/",), 2, "url"), ((f"{base}/x", "-H", "none"), 2, "Name: value"), ((), 2, "a URL"),
                              ((f"{base}/x", "--timeout", "soon"), 2, "30s"), ((f"{base}/x", "--raw", "--json"), 2, "choose one")):
        p = run(*args, code=code)
        assert words in p.stderr.decode(), (args, p.stderr)
    # what control would answer 413 to is said before it is sent
    for data in (b"x" * (256 << 10), b"\x01" * (64 << 10), b"\xff" * (192 << 10)):
        given.write_bytes(data)
        count = len(up.requests)
        assert b"256 KiB" in run(f"{base}/x", "--data", f"@{given}", code=2).stderr
        same(len(up.requests), count)
    same(s.control.ask("POST", "/api/execute", {"url": f"{base}/x", "body": "x" * (256 << 10)}).status, 413)
    for data in (b"x" * (255 << 10), b"\xff" * (191 << 10)):
        given.write_bytes(data)
        run(f"{base}/bin", "--data", f"@{given}", "-X", "POST")
        same(up.requests[-1].body, data)
    env["SEKISHO_TOKEN"] = s.control.new_key("reads", "read")
    run(f"{base}/x", code=7)
    env["SEKISHO_TOKEN"] = "skapi-nothing"
    run(f"{base}/x", code=3)
