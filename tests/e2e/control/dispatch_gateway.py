"""POST /api/execute at a gateway: control published like any service by an agent (docs/protocol/dispatch.md 5 has the way without one)."""

import http.client
import json
import threading

from lib.control_role import Answer, Control
from lib.fleet import Agent, Fleet
from lib.patience import patient
from lib.stage import eventually, same

HOST = "api.example.com"


class Published:
    def __init__(self, t):
        cert, key = t.certs().issue(HOST)
        self.control = Control(t, dispatch={"allow": ["127.0.0.0/8"]}, certificates=[{"cert": str(cert), "key": str(key)}]).claim()
        self.fleet = Fleet(t, agents=(), control=self.control)
        self.gate = self.fleet.gates[0]
        config = t.folder / "home.json"
        config.write_text(json.dumps({"agent": {"dispatch": {"allow": ["127.0.0.0/8"], "addresses": ["127.0.0.2"]}}}))
        config.chmod(0o600)
        self.agent = Agent(t, "home", t.folder / "state-home", self.control.join_token("agent"), config, env={"SSL_CERT_FILE": str(t.certs().cert)})
        eventually(lambda: self.control.ask("GET", "/api/pool/status").json["available_ips"] == 1, 30, "the agent does not come")
        self.control.made("/services", {"name": "execute", "hosts": [HOST], "path": "/api/execute", "access": {"kind": "public"},
                                        "targets": [{"agent": "home", "url": f"https://127.0.0.1:{self.control.port}", "settings": {"tls": {"serverName": HOST}}}]})
        self.key = self.control.new_key("sender", "dispatch")
        eventually(lambda: self.ask({}).status == 400, 30, lambda: f"{self.ask({})}")

    def begin(self, body, key=True, path="/api/execute", **headers):
        c = http.client.HTTPConnection("127.0.0.1", self.gate.port, timeout=patient(30))
        key = self.key if key is True else key
        c.request("POST", path, json.dumps(body), {"Host": HOST, "Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {}), **headers})
        return c

    def ask(self, body, **more):
        c = self.begin(body, **more)
        try:
            return Answer(c.getresponse())
        finally:
            c.close()


def sample_of_all(t, more, closed):
    def script(c, request):
        if "/parts" in request.target:
            c.send(b"HTTP/1.1 203 Fine\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            more.wait(patient(60))
            c.send(b"6\r\nsecond\r\n0\r\n\r\n")
        elif "/silent" in request.target:
            if c.wait_closed(patient(60)):
                closed.set()
        else:
            c.send(b"HTTP/1.1 201 Made\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 4\r\n\r\n\xff\x00\x01\x02")

    return t.upstream(script)


def streams(p, base, more):
    c = p.begin({"url": f"{base}/parts"}, Accept="application/octet-stream")
    answer = c.getresponse()
    same((answer.status, answer.getheader("dispatch-status"), answer.read(5)), (200, "203", b"first"))
    more.set()
    same(answer.read(), b"second")
    c.close()


def ends_with_its_caller(p, base, up, closed):
    """Whoever leaves the gateway is not sent for any more."""
    count = len(up.requests)
    c = p.begin({"url": f"{base}/silent", "timeout": 120}, Accept="application/octet-stream")
    eventually(lambda: len(up.requests) > count, 30, "the request did not arrive")
    c.close()
    assert closed.wait(patient(30)), "the target is still asked"
    eventually(lambda: p.control.ask("GET", "/api/pool/status").json["in_flight"] == 0, 20, "something is still under way")


def story_execute_at_a_gateway(t, seconds=150):
    p = Published(t)
    more, closed = threading.Event(), threading.Event()
    up = sample_of_all(t, more, closed)
    base = f"http://127.0.0.1:{up.port}"
    a = p.ask({"url": f"{base}/x"})
    same((a.status, a.json["status_code"], a.json["body_encoding"], a.json["metadata"]["source_ip"]), (200, 201, "base64", "127.0.0.2"))
    # with a key that may, and nothing but this call
    same(p.ask({"url": f"{base}/x"}, key=None).status, 401)
    same(p.ask({"url": f"{base}/x"}, key=p.control.new_key("reader", "read")).status, 403)
    same(p.ask({"url": "http://10.0.0.1/"}).json["error"], "destination_denied")
    same(p.ask({}, path="/api/v1/nodes").status, 404)
    streams(p, base, more)
    ends_with_its_caller(p, base, up, closed)
