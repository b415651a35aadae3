"""Which fields reach an upstream, and which never do (reliability finding 2, T3)."""

from gateway import h2_upstream
from lib import h2_client as h2
from lib.stage import same
from lib.upstream import always, ok

EVIL = "evil-value"

RESERVED = ["X-Sekisho-User", "X-Sekisho-Token", "X-Sekisho-Anything", "Tailscale-User-Login", "Tailscale-User-Name",
            "Tailscale-Headers-Info", "Tailscale-App-Capabilities", "Tailscale-Funnel-Request"]
FORWARDING = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-User", "X-Forwarded-Uri", "Forwarded",
              "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP", "X-Original-URL", "X-Rewrite-URL",
              "X-Cluster-Client-IP", "Fastly-Client-IP", "X-Original-Host", "X-Forwarded-Prefix"]


def spellings(name):
    """Ways others write the name, hoping that a back end takes it for the same."""
    last = name.rfind("-")
    zigzag = "".join(c.upper() if i % 2 else c.lower() for i, c in enumerate(name))
    yield from {name, name.lower(), name.upper(), name.replace("-", "_"), name.upper().replace("-", "_"),
                name.replace("-", "_", 1), name.swapcase(), zigzag, zigzag.replace("-", "_"),
                name[:last] + "_" + name[last + 1:] if last > 0 else name, name.lower().replace("-", "_")}


ALL = [(name, spelt) for name in RESERVED + FORWARDING for spelt in spellings(name)]


def seen(answer):
    return [(n.lower().replace("_", "-"), v) for n, v in answer.json["headers"]]


def story_no_spelling_of_a_reserved_name_gets_through(t):
    model = t.sample()
    gate = t.proxy(model)
    assert len(ALL) >= 200, len(ALL)
    for _name, spelt in ALL:
        a = gate.get("/echo", {spelt: EVIL, "X-Own": "mine"}, token=False)
        if a.status == 400:
            continue
        same(a.status, 200, spelt)
        assert EVIL not in a.text, f"{spelt} got through: {a.text}"
        assert ("x-own", "mine") in seen(a), a.text


def story_no_handshake_of_a_websocket_brings_them(t):
    up = t.upstream(always(ok("no")))
    gate = t.proxy(up)
    for _name, spelt in ALL:
        gate.get("/ws", {"Upgrade": "websocket", "Connection": f"Upgrade, {spelt}", "Sec-WebSocket-Version": "13",
                         "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", spelt: EVIL, "X-Own": "mine"}, token=False)
    assert up.requests and all(r.get("x-own") == "mine" and r.get("upgrade") for r in up.requests), up.requests[:1]
    assert EVIL.encode() not in up.received, [r.head for r in up.requests if EVIL.encode() in r.head][:1]


def story_no_trailer_brings_them_either(t):
    model = t.sample()
    gate = t.proxy(model)
    for name in RESERVED + FORWARDING + ["Authorization", "Cookie"]:
        for spelt in spellings(name):
            with gate.conn() as c:
                c.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: "
                       f"{spelt}\r\n\r\n5\r\nhello\r\n0\r\n{spelt}: {EVIL}\r\n\r\n")
                a = c.answer()
            assert a.status == 400 or EVIL not in a.text, f"{spelt} got through as a trailer: {a.text}"


def asked_over_http2(gate, fields_of, trailers=False):
    """What became of a request with each spelling, all of them on one connection: {spelling: outcome}"""
    found = {}
    with h2.Conn(gate.port) as c:
        for i, (_name, spelt) in enumerate(ALL):
            stream, fields = 2 * i + 1, fields_of(spelt)
            if trailers:
                c.ask(stream, fields, is_end=False, data=b"hello")
                c.send(h2.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, stream, h2.block([(spelt, EVIL)])))
            else:
                c.ask(stream, fields, is_end=(":method", "CONNECT") not in fields)
            found[spelt] = c.end_of(stream)
    for spelt, outcome in found.items():
        if spelt != spelt.lower():  # RFC 9113 8.2.1: no capitals
            same(outcome, ("reset", h2.PROTOCOL_ERROR), spelt)
    assert len(found) >= 200, len(found)
    return {spelt: outcome for spelt, outcome in found.items() if spelt == spelt.lower()}


def story_none_gets_through_over_http2(t):
    up = t.upstream(always(ok("here")))
    gate = t.proxy(up)
    found = asked_over_http2(gate, lambda spelt: h2.request(more=[(spelt, EVIL), ("x-own", "mine")]))
    assert {x[:2] for x in found.values()} <= {("answer", 200), ("answer", 400)}, found
    assert EVIL.encode() not in up.received, [r.head for r in up.requests if EVIL.encode() in r.head][:1]
    same(len(up.requests), sum(x[1] == 200 for x in found.values()))
    assert len(up.requests) > 20 and all(r.get("x-own") == "mine" for r in up.requests), up.requests[:1]


def story_no_trailer_over_http2_brings_them(t):
    up = t.upstream(always(ok("here")))
    gate = t.proxy(up)
    found = asked_over_http2(gate, lambda spelt: h2.request(method="POST", more=[("trailer", spelt)]), trailers=True)
    whole = [x for x in found.values() if x[:2] == ("answer", 200)]
    assert all(x in (("reset", h2.PROTOCOL_ERROR), ("answer", 400)) or x in whole for x in found.values()), found
    assert EVIL.encode() not in up.received
    same(len(up.requests), len(whole))


def story_no_websocket_over_http2_brings_them(t):
    up = t.upstream(always(ok("no")))
    gate = t.proxy(up)
    found = asked_over_http2(gate, lambda spelt: [
        (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/ws"), (":authority", "x"),
        ("sec-websocket-version", "13"), (spelt, EVIL), ("x-own", "mine")])
    assert {x[:2] for x in found.values()} <= {("answer", 502), ("answer", 400)}, found
    assert EVIL.encode() not in up.received
    assert len(up.requests) > 20 and all(r.get("x-own") == "mine" and r.get("upgrade") for r in up.requests), up.requests[:1]


def story_none_gets_through_to_an_upstream_of_http2(t):
    gate = h2_upstream.h2c(t, h2_upstream.node(t))
    for _name, spelt in ALL:  # from clients of either protocol
        a = gate.get("/headers", {spelt: EVIL, "X-Own": "mine"}, token=False)
        assert a.status == 400 or (EVIL not in a.text and a.json["x-own"] == "mine"), f"{spelt} got through: {a}"
    found = asked_over_http2(gate, lambda spelt: h2.request(path="/headers", more=[(spelt, EVIL), ("x-own", "mine")]))
    for spelt, outcome in found.items():
        assert outcome[:2] == ("answer", 400) or (outcome[1] == 200 and EVIL.encode() not in outcome[2] and b"x-own" in outcome[2]), \
            f"{spelt} got through: {outcome}"
    found = asked_over_http2(gate, lambda spelt: h2.request(path="/trailers", method="POST"), trailers=True)
    for spelt, outcome in found.items():
        assert outcome == ("reset", h2.PROTOCOL_ERROR) or (outcome[1] == 200 and EVIL.encode() not in outcome[2]), \
            f"{spelt} got through: {outcome}"


def story_the_client_is_named_once_and_truly(t):
    gate = t.proxy(t.sample())
    a = gate.get("/echo", {"X-Forwarded-For": "9.9.9.9", "Connection": "close, X-Forwarded-For, X-Forwarded-Proto"},
                 token=False)
    fields = seen(a)
    same([v for n, v in fields if n == "x-forwarded-for"], ["127.0.0.1"])
    same([v for n, v in fields if n == "x-forwarded-proto"], ["http"])
    same([v for n, v in fields if n == "x-forwarded-host"], ["localhost"])
    assert len([v for n, v in fields if n == "forwarded"]) <= 1, fields


def story_a_trusted_proxy_is_believed(t):
    gate = t.proxy(t.sample(), gateway={"trustedProxies": ["127.0.0.2"], "allowedIps": ["127.0.0.1", "203.0.113.7"]})
    chain = {"X-Forwarded-For": "9.9.9.9, 203.0.113.7", "X-Forwarded-Proto": "https"}
    a = gate.get("/echo", chain, token=False, source="127.0.0.2")
    same(a.status, 200)
    same([v for n, v in seen(a) if n == "x-forwarded-for"], ["9.9.9.9, 203.0.113.7, 127.0.0.2"])
    same([v for n, v in seen(a) if n == "x-forwarded-proto"], ["https"])
    same(gate.get("/echo", {"X-Forwarded-For": "9.9.9.9"}, token=False, source="127.0.0.2").status, 403)
    same(gate.get("/echo", {"X-Forwarded-For": "203.0.113.7"}, token=False, source="127.0.0.3").status, 403)


def story_hop_by_hop_fields_end_here(t):
    gate = t.proxy(t.sample())
    a = gate.get("/echo", {"Connection": "keep-alive, X-Private", "X-Private": EVIL, "Keep-Alive": "timeout=5", "TE": "gzip",
                           "Proxy-Authorization": "Basic eA==", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__",
                           "X-Public": "yes"}, token=False)
    names = {n for n, _ in seen(a)}
    assert not names & {"x-private", "keep-alive", "te", "proxy-authorization", "upgrade", "http2-settings"}, names
    assert "x-public" in names, names


def story_what_is_not_ours_passes_unchanged(t):
    gate = t.proxy(t.sample())
    fields = [("X-b", "1"), ("x-A", "two  blanks"), ("COOKIE", "a=b; c=\"d\""), ("X-b", "2"), ("x-empty", ""),
              ("X-Utf", "caf\u00e9".encode().decode("latin-1")), ("Accept", "*/*"), ("Range", "bytes=0-10"), ("X-Under_Score", "u")]
    a = gate.get("/echo", fields, token=False)
    want = [[n, v.encode("latin-1").decode()] for n, v in fields]
    got = [f for f in a.json["headers"] if f in want]
    same(got, want, "order, case or bytes changed")


def story_answers_lose_hop_by_hop_fields_only(t):
    from lib.upstream import always

    up = t.upstream(always(b"HTTP/1.1 200 Fine\r\nx-LOWER: a\r\nX-Twice: 1\r\nSet-Cookie: a=b\r\nX-Twice: 2\r\nSet-Cookie: c=d\r\n"
                           b"Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nContent-Length: 2\r\n\r\nok"))
    a = t.proxy(up).get("/", token=False)
    kept = [(n, v) for n, v in a.fields if n.lower() in ("x-lower", "x-twice", "set-cookie")]
    same(kept, [("x-LOWER", "a"), ("X-Twice", "1"), ("Set-Cookie", "a=b"), ("X-Twice", "2"), ("Set-Cookie", "c=d")])
    same((a.get("x-hop"), a.get("keep-alive")), (None, None))


def story_route_rules_change_fields(t):
    gate = t.proxy(t.sample(), route={"requestHeaders": {"set": {"X-Set": "gate"}, "add": {"X-Add": "more"}, "remove": ["X-Gone"]},
                                      "responseHeaders": {"set": {"X-Frame-Options": "DENY"}, "remove": ["Server"]}})
    a = gate.get("/echo", {"X-Set": "client", "X-Add": "client", "X-Gone": "client"}, token=False)
    fields = seen(a)
    same([v for n, v in fields if n == "x-set"], ["gate"])
    same([v for n, v in fields if n == "x-add"], ["client", "more"])
    same([v for n, v in fields if n == "x-gone"], [])
    same((a.get("x-frame-options"), a.get("server")), ("DENY", None))


def story_route_authorise_and_forward_see_one_target(t):
    up = t.sample()
    gate = t.gateway(upstreams={"app": {"targets": [up.url]}}, routes=[
        {"path": "/echo/public/*", "upstream": "app", "access": "public"},
        {"path": "/*", "upstream": "app", "access": {"token": "proxy"}}])
    same(gate.get("/echo/public/x?y=%2e%2F", token=False).json["target"], "/echo/public/x?y=%2e%2F")
    same(gate.get("/echo/private", token=False).status, 401)
    same(gate.get("/echo/%70ublic/x", token=False).json["target"], "/echo/public/x")
    for path in ("/echo/public/../private", "/echo/public/%2e%2e/private", "/echo/public/..%2fprivate", "/echo/public/x/..;/../private",
                 "/echo/public//../private", "/echo/public\\..\\private", "/echo/public/%252e%252e/private"):
        status = gate.get(path, token=False).status
        assert status in (400, 401), f"{path}: {status}"
