"""Callers that are known by the tailnet: tailscaled says who is at the other end of a connection, and no token is asked for."""

import json
import os
import signal
import threading

from gateway import websocket
from lib import fake_tailscaled, net, wire
from lib.fake_tailscaled import tagged, user
from lib.stage import eventually, same
from lib.upstream import always, ok

ALICE, BOB, CI, STRANGER = "127.0.0.21", "127.0.0.22", "127.0.0.23", "127.0.0.99"
WHO = {ALICE: user("alice@example.com", "laptop"), BOB: user("bob@example.com"), CI: tagged("tag:ci", "tag:linux")}


def serve(t, tailnet, who=WHO, up=None, gateway=None, source=ALICE, **route):
    """A gateway with one route for those of the tailnet, and its tailscaled."""
    daemon = fake_tailscaled.start(t, t.folder / "tailscaled.sock", who=who)
    up = up or t.upstream(always(ok()))
    gate = t.gateway(gateway={"tailnet": {"socket": daemon.path}, "allowedIps": [], **(gateway or {})},
                     upstreams={"app": {"targets": [up.url], "protocol": "h1"}},
                     routes=[{"path": "/app/*", "upstream": "app", "access": {"tailnet": tailnet}, **route}])
    eventually(lambda: gate.get("/app/", source=source, token=False).status != 503, 20, "tailscaled was not found")
    return gate, daemon, up


def ask(gate, source, path="/app/x", fields=(), token=False):
    return gate.get(path, fields, token=token, source=source)


def story_a_route_for_some_of_the_tailnet(t):
    gate, daemon, up = serve(t, ["alice@example.com", "tag:ci"])
    same(ask(gate, ALICE).status, 200)
    asked = up.wait_request()
    same(asked.all("X-Sekisho-Tailnet-Login"), ["alice@example.com"])
    same(asked.all("X-Sekisho-Tailnet-Node"), ["laptop.tail1234.ts.net"])
    same(asked.all("X-Sekisho-Tailnet-Tags"), [])
    same(ask(gate, CI).status, 200)
    refused = ask(gate, BOB)
    same(refused.status, 403)
    refused = ask(gate, STRANGER)
    same(refused.status, 403)
    same(ask(gate, BOB, token=True).status, 403, "a token says nothing here")
    lines = {r["client"]: r for r in gate.access_log()}
    same(lines[ALICE].get("caller"), "alice@example.com")
    same(lines[CI].get("caller"), "tag:ci")
    assert "caller" not in lines[STRANGER]
    same([lines[BOB]["reason"], lines[STRANGER]["reason"]], ["caller_not_allowed", "caller_unknown"])
    found = gate.metrics()
    assert found['sekisho_tailnet_lookups_total{result="ok"}'] >= 3 and found['sekisho_tailnet_lookups_total{result="unknown"}'] == 1


def story_nobody_says_who_they_are_themselves(t):
    gate, daemon, up = serve(t, ["alice@example.com"])
    forged = {"Tailscale-User-Login": "alice@example.com", "X-Sekisho-Tailnet-Login": "alice@example.com",
              "X-Forwarded-For": ALICE, "Tailscale-User-Name": "Alice"}
    same(ask(gate, STRANGER, fields=forged).status, 403)
    same(ask(gate, BOB, fields=forged).status, 403)
    same(ask(gate, ALICE, fields={**forged, "X-Sekisho-Tailnet-Login": "root"}).status, 200)
    (asked,) = [r for r in up.requests if r.get("X-Sekisho-Tailnet-Login") and r.target == "/app/x"]
    same(asked.all("X-Sekisho-Tailnet-Login"), ["alice@example.com"])
    same([n for n, v in asked.fields if n.lower().startswith("tailscale-")], [])


def story_serve_in_front(t):
    """Its fields count from this machine, where the configuration says so, and where tailscaled itself does not know better."""
    gate, daemon, up = serve(t, ["alice@example.com"], gateway={"tailnet": {"socket": str(t.folder / "tailscaled.sock"), "serve": True}})
    login = {"Tailscale-User-Login": "alice@example.com"}
    same(ask(gate, STRANGER, fields=login).status, 200)
    same(ask(gate, STRANGER, fields={"Tailscale-User-Login": "bob@example.com"}).status, 403)
    same(ask(gate, STRANGER, fields={"Tailscale-Funnel-Request": "?1"}).status, 403, "from the internet")
    same(ask(gate, BOB, fields=login).status, 403, "a connection that is somebody's")
    same(ask(gate, STRANGER, fields=[*login.items(), *login.items()]).status, 403, "said twice")
    same(ask(gate, STRANGER, fields={"Tailscale-User-Login": "tag:ci"}).status, 403)


def story_tailscaled_goes_and_comes_back(t, seconds=60):
    gate, daemon, up = serve(t, ["alice@example.com"])
    same(ask(gate, ALICE).status, 200)
    daemon.stop()
    refused = ask(gate, ALICE)
    same(refused.status, 503, "nobody is let in whom nobody knows")
    same(refused.get("Retry-After"), "1")
    again = fake_tailscaled.start(t, t.folder / "tailscaled.sock", who=WHO)
    eventually(lambda: ask(gate, ALICE).status == 200, 20, "the new tailscaled is not asked")
    assert again.whois_count() > 0


def story_answers_that_cannot_be_used(t, seconds=60):
    gate, daemon, up = serve(t, ["*", "tag:*"])
    json_of = lambda value: fake_tailscaled.answer(200, json.dumps(value))  # noqa: E731
    bad = [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"Node\":", b"no HTTP at all\r\n\r\n", fake_tailscaled.answer(500, "broken"),
           fake_tailscaled.answer(200, "not json"), fake_tailscaled.answer(200, "[" * 5000), json_of({}), json_of({"Node": {}, "UserProfile": None}),
           json_of({"Node": {"Tags": "tag:ci"}, "UserProfile": {"LoginName": "alice@example.com"}}),
           json_of({"Node": {}, "UserProfile": {"LoginName": "tag:ci"}}), json_of({"Node": {}, "UserProfile": {"LoginName": "a\nb"}}),
           fake_tailscaled.answer(200, "x" * (2 << 20)), b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n"]
    for raw in bad:
        daemon.raw = raw
        same(ask(gate, ALICE).status, 503, raw[:60])
    daemon.raw = json_of({**WHO[ALICE], "New": [1, {"deep": None}], "CapMap": {"x": ["y"]}})
    same(ask(gate, ALICE).status, 200, "what nobody knows yet is passed over")
    daemon.raw = None
    same(ask(gate, ALICE).status, 200)


def story_slow_answers_hold_up_nobody_else(t, seconds=90):
    gate, daemon, up = serve(t, ["alice@example.com"])
    daemon.hold = threading.Event()
    got = []
    threads = [threading.Thread(target=lambda: got.append(ask(gate, ALICE).status)) for _ in range(30)]
    for thread in threads:
        thread.start()
    eventually(lambda: daemon.most >= 8, 20, "they are not asked about")
    same(gate.get("/health", token=False).status, 200)
    with gate.conn(source=ALICE) as left:
        left.send(b"GET /app/x HTTP/1.1\r\nHost: x\r\n\r\n")
    daemon.hold.set()
    for thread in threads:
        thread.join(60)
    same(len(got), 30)
    assert set(got) <= {200, 503}, got
    assert daemon.most <= 8, daemon.most
    daemon.hold = None
    same(ask(gate, ALICE).status, 200)
    daemon.hold = threading.Event()
    same(ask(gate, ALICE).status, 503, "it waits for so long, and no longer")
    daemon.hold.set()


def story_model_apis_without_a_token(t):
    daemon = fake_tailscaled.start(t, t.folder / "tailscaled.sock", who=WHO)
    gate = t.gateway(gateway={"tailnet": {"socket": daemon.path}, "ai": {"identity": "tailnet", "tailnet": ["*@example.com"]}},
                     providers={"home": {"kind": "openai", "baseUrl": t.sample().url + "/v1"}})
    eventually(lambda: ask(gate, ALICE, "/v1/models").status == 200, 20, "alice is not known")
    same(ask(gate, ALICE, "/v1/models", fields={"Authorization": "Bearer sk-whatever"}).status, 200, "what an SDK sends anyway")
    same(ask(gate, CI, "/v1/models").status, 403)
    same(ask(gate, STRANGER, "/v1/models").status, 401)
    same(ask(gate, STRANGER, "/v1/models", token=True).status, 200, "tokens go on")
    body = json.dumps({"model": "sample-1", "messages": [{"role": "user", "content": "Hello"}]}).encode()
    done = wire.post(gate.port, "/v1/chat/completions", body, {"Content-Type": "application/json"}, source=ALICE)
    assert done.status == 200 and "You said: Hello" in done.text
    daemon.stop()
    same(ask(gate, ALICE, "/v1/models").status, 503)
    same(ask(gate, ALICE, "/v1/models", token=True).status, 200)


def tunnel(gate, source):
    c = gate.conn(source=source)
    same(c.send(websocket.HELLO.replace("/chat", "/app/chat")).answer().status, 101)
    same(c.send(b"ping").exactly(4), b"ping")
    return c


def ended(gate, reason):
    return [x["client"] for x in gate.access_log() if x.get("reason") == reason]


def story_a_tunnel_ends_with_its_caller(t, seconds=300):
    """Who left the tailnet, or is another now, is asked about again; while tailscaled is gone nobody is believed for long."""
    up = t.upstream(on_connect=websocket.echo)
    gate, daemon, up = serve(t, ["*@example.com", "tag:ci"], up=up, source=STRANGER)
    stays, leaves, changes = [tunnel(gate, source) for source in (CI, ALICE, BOB)]
    del daemon.who[ALICE]
    daemon.who[BOB] = user("eve@example.com")
    eventually(lambda: sorted(ended(gate, "caller_revoked")) == [ALICE, BOB], 90, "their tunnels go on")
    assert leaves.is_closed() and changes.is_closed()
    same(stays.send(b"pong").exactly(4), b"pong")
    daemon.stop()
    same(stays.send(b"pong").exactly(4), b"pong", "a restart of tailscaled ends nothing")
    eventually(lambda: ended(gate, "caller_unavailable") == [CI], 150, "nobody knows who that is any more")
    assert stays.is_closed()


def story_its_process_is_replaced(t, seconds=60):
    gate, daemon, up = serve(t, ["alice@example.com"])
    line = next(r for r in gate.lines() if r.get("event") == "isolation" and r.get("process") == "tailnet")
    assert line["seccomp"], line
    there = lambda: [r["pid"] for r in gate.lines() if r.get("event") == "tailnet_there"]  # noqa: E731
    os.kill(there()[-1], signal.SIGKILL)
    eventually(lambda: len(there()) > 1, 20, "nobody took its place")
    eventually(lambda: ask(gate, ALICE).status == 200, 20, "its successor is not asked")


# ---- over addresses of its own ----

def machines(t):
    """A host of the tailnet with a gateway's addresses on it, and two others, on one cable."""
    if os.geteuid() != 0:
        t.leave_out("needs root, for network namespaces")
    host, other = net.Machine(t, "host"), net.Machine(t, "other")
    net.wire(host, other, "ts0", "ts0", ["100.64.0.1/24"], ["100.64.0.2/24", "100.64.0.3/24", "192.168.7.2/24"])
    host.run("ip", "addr", "add", "192.168.7.1/24", "dev", "ts0")
    return host, other


def code_of(machine, source, to):
    return machine.run("curl", "-s", "-o", "/dev/null", "-m", "20", "-w", "%{http_code}", "--interface", source, f"http://{to}/",
                       code=None).stdout


def story_a_listener_of_the_tailnet_follows_it(t, seconds=120):
    host, other = machines(t)
    who = {"100.64.0.2": user("alice@example.com"), "100.64.0.3": tagged("tag:ci")}
    daemon = fake_tailscaled.start(t, t.folder / "tailscaled.sock", who=who, state="NeedsLogin")
    conf = t.folder / "sekisho.json"
    conf.write_text(json.dumps({
        "gateway": {"auth": False, "listen": ["tailnet:8080", "192.168.7.1:8080"], "tailnet": {"socket": daemon.path}},
        "routes": [{"path": "/", "respond": {"body": "hello"}, "access": {"tailnet": ["alice@example.com"]}}],
        "admin": {"listen": "off"}}))
    gate = host.start("gateway", t.sekisho, "gateway", "--config", conf)
    eventually(lambda: "gateway_ready" in gate.text(), 30, gate.text)
    same(code_of(other, "100.64.0.2", "100.64.0.1:8080"), "000", "tailscaled has not said that it is ours")
    daemon.what.update(state="Running", v4="100.64.0.1", v6="fd7a:115c:a1e0::1")
    eventually(lambda: code_of(other, "100.64.0.2", "100.64.0.1:8080") == "200", 30, gate.text)
    same(code_of(other, "100.64.0.3", "100.64.0.1:8080"), "403")
    same(code_of(other, "100.64.0.2", "192.168.7.1:8080"), "403", "an address of the tailnet's range, by another way")
    host.run("ip", "addr", "add", "fd7a:115c:a1e0::1/64", "dev", "ts0", "nodad")
    other.run("ip", "addr", "add", "fd7a:115c:a1e0::2/64", "dev", "ts0", "nodad")
    daemon.who["fd7a:115c:a1e0::2"] = user("alice@example.com")
    eventually(lambda: code_of(other, "fd7a:115c:a1e0::2", "[fd7a:115c:a1e0::1]:8080") == "200", 30, gate.text)
    asked = daemon.whois_count()
    for _ in range(5):
        same(code_of(other, "100.64.0.2", "100.64.0.1:8080"), "200")
    same(daemon.whois_count(), asked, "what is known is kept for a while")
    host.run("ip", "addr", "add", "100.64.0.9/24", "dev", "ts0")
    daemon.what.update(v4="100.64.0.9")
    eventually(lambda: code_of(other, "100.64.0.2", "100.64.0.9:8080") == "200", 30, gate.text)
    eventually(lambda: code_of(other, "100.64.0.2", "100.64.0.1:8080") == "000", 30, "the address that was ours is listened on")
    daemon.stop()
    eventually(lambda: code_of(other, "100.64.0.2", "100.64.0.9:8080") == "000", 30, "nobody says that it is ours")
    same(code_of(other, "192.168.7.2", "192.168.7.1:8080"), "503")
