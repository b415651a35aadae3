"""Control's calls at a gateway: a service whose target is control itself (docs/protocol/dispatch.md 5)."""

import http.client
import json
import re
import socket
import ssl
import threading

from control.dispatch_gateway import ends_with_its_caller, sample_of_all, streams
from lib.control_role import Answer, Control, unverified
from lib.fleet import Agent, Fleet, killed
from lib.patience import patient
from lib.postgres import Postgres
from lib.stage import eventually, same

HOST = "api.example.com"
CALLERS = "callers.sekisho.internal"
LOOPBACK = {"allow": ["127.0.0.0/8"]}


class Public:
    """A gateway with a certificate the public knows, control behind it, and an agent that sends."""

    def __init__(self, t, control=None, **service):
        self.t = t
        self.control = control or Control(t, dispatch=LOOPBACK).claim()
        cert, key = t.certs().issue(HOST)
        self.fleet = Fleet(t, agents=(), control=self.control, certificates=[{"cert": str(cert), "key": str(key)}])
        self.gate = self.fleet.gates[0]
        config = t.folder / "home.json"
        config.write_text(json.dumps({"agent": {"dispatch": {**LOOPBACK, "addresses": ["127.0.0.2"]}}}))
        config.chmod(0o600)
        self.agent = Agent(t, "home", t.folder / "state-home", self.control.join_token("agent"), config)
        eventually(lambda: self.control.ask("GET", "/api/pool/status").json["available_ips"] == 1, 30, "the agent does not come")
        self.key = self.control.new_key("sender", "dispatch")
        if service is not None:
            self.made = self.control.made("/services", {"name": "api", "hosts": [HOST], "targets": [{"url": "control"}], **service})
            eventually(lambda: self.ask({}).status == 400, 30, lambda: f"{self.ask({})}\n{self.gate.text()[-2000:]}")

    def begin(self, body, key=True, path="/api/execute", method="POST", source="127.0.0.1", **headers):
        """As anybody on the Internet: the gateway's certificate is checked against public authorities."""
        context = ssl.create_default_context(cafile=str(self.t.certs().cert))
        c = http.client.HTTPSConnection(HOST, self.gate.tls_port, context=context, timeout=patient(30))
        plain = socket.create_connection(("127.0.0.1", self.gate.tls_port), timeout=patient(30), source_address=(source, 0))
        c.sock = context.wrap_socket(plain, server_hostname=HOST)
        key = self.key if key is True else key
        c.request(method, path, json.dumps(body) if body is not None else None,
                  {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {}), **headers})
        return c

    def ask(self, body, **more):
        c = self.begin(body, **more)
        try:
            return Answer(c.getresponse())
        finally:
            c.close()


def under(control, host=CALLERS):
    c = http.client.HTTPSConnection("127.0.0.1", control.port, timeout=patient(10))
    c.sock = unverified().wrap_socket(socket.create_connection(("127.0.0.1", control.port), timeout=patient(10)), server_hostname=host)
    return c


def at_control(control, path, method="GET", host=CALLERS, key=None, **headers):
    """Straight to control, under the name that is for gateways."""
    c = under(control, host)
    try:
        c.request(method, path, "{}" if method == "POST" else None,
                  {"Host": host, "Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {}), **headers})
        return Answer(c.getresponse())
    finally:
        c.close()


def story_execute_under_a_public_name(t, seconds=180):
    p = Public(t)
    more, closed = threading.Event(), threading.Event()
    up = sample_of_all(t, more, closed)
    base = f"http://127.0.0.1:{up.port}"
    same((p.made["path"], p.made["targets"][0]["url"], p.made["targets"][0]["agent"]), ("/api", "control", ""))
    a = p.ask({"url": f"{base}/x"})
    same((a.status, a.json["status_code"], a.json["body_encoding"], a.json["metadata"]["source_ip"]), (200, 201, "base64", "127.0.0.2"))
    a = p.ask({"url": f"{base}/x"}, Accept="application/octet-stream")
    same((a.data, [v for k, v in a.pairs if k.lower() == "target-set-cookie"]), (b"\xff\x00\x01\x02", ["a=1", "b=2"]))
    # what the dispatcher has to tell is there too, each with the scope it asks for
    for path in ("/api/agents", "/api/pool/status", "/api/stats", "/api/history"):
        same(p.ask(None, path=path, method="GET").status, 200, path)
    same(p.ask(None, path="/api/config/request", method="GET").status, 404)  # none is stored
    # keys are asked for, and destinations judged, as at control
    same(p.ask({"url": f"{base}/x"}, key=None).status, 401)
    same(p.ask({"url": f"{base}/x"}, key="skapi-wrong").status, 401)
    same(p.ask({"url": f"{base}/x"}, key=p.control.new_key("reader", "read")).status, 403)
    same(p.ask({"url": "http://10.0.0.1/"}).json["error"], "destination_denied")
    same(p.ask({"url": f"{base}/x", "body": "x" * (256 << 10)}).status, 413)
    streams(p, base, more)
    ends_with_its_caller(p, base, up, closed)
    # control comes back, and so does the call
    p.control.stop()
    same(p.ask({"url": f"{base}/x"}).status, 502)
    again = Control(t, "control-again", p.control.port, dispatch=LOOPBACK)
    again.key, p.control = p.control.key, again
    eventually(lambda: p.ask({"url": f"{base}/x"}).status == 200, 40, lambda: f"{p.ask({'url': base})}")
    # and it is taken back like any service
    same(p.control.ask("DELETE", f"/services/{p.made['id']}").status, 204)
    eventually(lambda: p.ask({"url": f"{base}/x"}).status in (404, 421), 30, "still published")


def story_nothing_else_of_control_is_there(t, seconds=120):
    """An owner's key opens no more by way of a gateway than what is marked; also straight under the gateways' name."""
    p = Public(t)
    owner = p.control.key
    link = p.control.made("/owner/link", {}) if p.control.ask("POST", "/owner/link", {}).status == 201 else {"token": "skown-none"}
    for method, path in (("GET", "/api/v1/nodes"), ("GET", "/api/v1/services"), ("POST", "/api/v1/api-keys"), ("POST", "/api/v1/owner"),
                         ("POST", "/api/v1/owner/link"), ("POST", "/api/v1/join"), ("GET", "/api/v1/node/channel"), ("POST", "/api/v1/store/backup"),
                         ("GET", "/api/v1/events"), ("GET", "/api/v1/status"), ("GET", "/api/v1/openapi.json"), ("GET", "/api/v1/health"),
                         ("DELETE", "/api/agents/home"), ("POST", "/api/agents/register"), ("POST", "/api/config/request"), ("GET", "/api"),
                         ("GET", "/api/execute"), ("GET", "/api/execute/x"), ("POST", "/api/%65xecute/../v1/owner"), ("GET", "/api/../setup"),
                         ("GET", "/setup"), ("GET", "/health"), ("GET", "/metrics"), ("GET", "/.well-known/sekisho")):
        body = {"token": link.get("token", "")} if method == "POST" else None
        if path != "/health":  # the gateway has one of its own
            a = p.ask(body, path=path, method=method, key=owner)
            assert a.status == 404 or ".." in path and a.status == 400, (method, path, a)
        b = at_control(p.control, path, method, key=owner)
        assert b.status == 404 or ".." in path and b.status == 400, (method, path, b)
    same(p.ask(None, path="/api/stats", method="GET", key=owner).status, 200)  # the key is good
    same(p.control.get("/nodes")["items"][0]["state"], "active")
    # one that asks for another host on such a connection is told to make a new one
    same(at_control(p.control, "/api/stats", key=owner, Host="localhost").status, 421)


def story_what_leads_to_control(t, seconds=90):
    """What such a service may be; said when it is made, and when it is changed."""
    p = Public(t)
    token = p.control.made("/services", {"name": "web", "hosts": ["web.example.com"], "targets": [{"agent": "home", "url": "http://localhost:1"}]})
    for why, body in (("kind", {"kind": "tcp", "listen": ["127.0.0.1:2222"], "hosts": []}), ("access", {"access": {"kind": "token"}}), ("settings", {"settings": {"requestHeaders": {"set": {"X-Forwarded-For": "192.0.2.1"}}}}),
                      ("path", {"path": "/metrics"}), ("path", {"path": "/apix"}), ("one target", {"targets": [{"url": "control"}, {"agent": "home", "url": "http://localhost:1"}]}),
                      ("agent", {"targets": [{"agent": "home", "url": "control"}]}), ("agent", {"targets": [{"url": "http://localhost:1"}]})):
        a = p.control.ask("POST", "/services", {"name": "other", "hosts": ["other.example.com"], "targets": [{"url": "control"}], **body})
        assert a.status == 400 and why in a.json["error"]["message"], (why, a)
    one = f"/services/{p.made['id']}"
    for body in ({"access": {"kind": "owner"}}, {"path": "/x"}, {"settings": {"preserveHost": True}}):
        same(p.control.ask("PATCH", one, body).status, 400, body)
    same(p.control.ask("POST", one + "/targets", {"agent": "home", "url": "http://localhost:1"}).status, 400)
    same(p.control.ask("POST", f"/services/{token['id']}/targets", {"url": "control"}).status, 400)
    same(p.control.ask("PATCH", f"/targets/{token['targets'][0]['id']}", {"url": "control"}).status, 400)
    same(p.control.ask("PATCH", one, {"path": "/api/execute", "settings": {"rateLimit": "1000/s"}}).status, 200)
    eventually(lambda: p.ask(None, path="/api/stats", method="GET").status == 404, 30, "it is not less")
    same(p.ask({}).status, 400)
    # by hand
    same(p.control.ask("DELETE", one).status, 204)
    env = {"SEKISHO_SERVER": f"{p.control.url}#{p.control.get('/status')['authority_sha256'][:32]}", "SEKISHO_TOKEN": p.control.key}
    a = t.sekisho_run("service", "add", "api", "--host", HOST, "--to", "control", env=env)
    same(a.returncode, 0, a.stderr)
    assert f"https://{HOST}" in a.stdout and "/api" in a.stdout, a.stdout
    eventually(lambda: p.ask({}).status == 400, 30, "not published by hand")
    assert "control" in t.sekisho_run("service", "list", env=env).stdout


def story_whose_address_counts(t, seconds=150):
    """Wrong keys are bounded by the caller's address, which control believes of its gateways alone."""
    p = Public(t)

    def guess_until_refused(ask):
        for n in range(400):
            if ask().status == 429:
                return n
        raise AssertionError("nobody bounds wrong keys")

    assert guess_until_refused(lambda: p.ask({}, key="skapi-wrong", source="127.0.0.5")) >= 30
    same(p.ask({}, key="skapi-wrong", source="127.0.0.6").status, 401)
    same(p.ask({}, key="skapi-wrong", source="127.0.0.6", **{"X-Forwarded-For": "127.0.0.5"}).status, 401)
    same(p.ask({}, source="127.0.0.5").status, 400)  # the right key passes
    # who is no gateway is not believed, whatever it says
    at = (p.t.folder / "state-edge0" / "gateway" / "document.json").read_text()
    gateway = p.fleet.node("edge0")["id"]
    voucher = re.search(r'"voucher": ?"([0-9a-f]{64})"', at)[1]
    kept = under(p.control)
    n = 0

    def pretend(**fields):
        nonlocal n
        n += 1
        kept.request("GET", "/api/stats", headers={"Host": CALLERS, "Authorization": "Bearer skapi-wrong", "X-Forwarded-For": f"192.0.2.{n % 250}", **fields})
        return Answer(kept.getresponse())

    wrong = voucher[:-1] + ("0" if voucher[-1] != "0" else "1")
    # (each time another address: who is believed is never refused)
    for fields in ({"Gateway-Voucher": f"{gateway}:{wrong}"}, {}, {"Gateway-Voucher": "-"}, {"Gateway-Voucher": voucher}, {"Gateway-Voucher": f"{gateway}:"}, {"Gateway-Voucher": f"gw-aaaaaaaaaaaaaaaa:{voucher}"}):
        guess_until_refused(lambda: pretend(**fields))
    for _ in range(60):  # the gateway's own word would do
        same(pretend(**{"Gateway-Voucher": f"{gateway}:{voucher}"}).status, 401)
    # and not in another place, nor of a gateway that is none any more
    a = at_control(p.control, "/api/v1/nodes", host="localhost", key="skapi-wrong", **{"Gateway-Voucher": f"{gateway}:{voucher}", "X-Forwarded-For": "192.0.2.251"})
    assert a.status in (401, 429), a
    same(p.control.ask("DELETE", f"/nodes/{gateway}").status, 204)
    eventually(lambda: pretend(**{"Gateway-Voucher": f"{gateway}:{voucher}"}).status == 429, 20, "one that was removed is believed")
    kept.close()


def story_another_control_answers(t, seconds=180):
    """Of several controls a gateway asks the next when one is gone."""
    t.store = Postgres(t).place()
    first = Control(t, dispatch=LOOPBACK).claim()
    p = Public(t, control=first)
    up = sample_of_all(t, threading.Event(), threading.Event())
    state = t.folder / "second-state"
    state.mkdir(mode=0o700)
    (state / "control.key").write_bytes((first.state / "control.key").read_bytes())
    (state / "control.key").chmod(0o600)
    second = Control(t, "second", state=state, dispatch=LOOPBACK)
    second.key = first.key
    eventually(lambda: second.ask("GET", "/api/pool/status").json["available_ips"] == 1 or first.ask("GET", "/api/pool/status").json["available_ips"] == 1, 40, "no agent")
    eventually(lambda: second.port in [int(u.rsplit(":", 1)[1]) for u in re.findall(r'"url": ?"(https://[^"]+)"', (t.folder / "state-edge0" / "gateway" / "document.json").read_text())],
               40, "the gateway is not told of the second control")
    killed(t, first)
    url = f"http://127.0.0.1:{up.port}/x"
    eventually(lambda: p.ask({"url": url}).status == 200, 60, lambda: f"{p.ask({'url': url})}")
