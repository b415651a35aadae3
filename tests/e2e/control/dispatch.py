"""Requests sent out by agents: /api/execute (docs/protocol/dispatch.md)."""

import base64
import json

from lib.control_role import Control
from lib.fleet import Agent, killed
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
