"""Who is let in: the address first, then the token, then what the token may do, then how often."""

from lib import wire
from lib.stage import same, sha256


def closed(t, up, **more):
    """A gateway whose one route needs a token with the scope proxy."""
    return t.gateway(upstreams={"app": {"targets": [up.url]}},
                     routes=[{"path": "/", "upstream": "app", "access": {"token": "proxy"}}], **more)


def story_health_is_open_and_the_rest_is_not(t):
    gate = closed(t, t.sample())
    same(gate.get("/health", token=False).status, 200)
    a = gate.get("/bytes/3", token=False)
    same((a.status, a.json["error"]["type"]), (401, "unauthorized"))
    assert a.get("www-authenticate", "").startswith("Bearer"), a
    assert a.json["error"]["message"] and a.json["error"]["request_id"], a
    same(gate.get("/bytes/3", token="sk-wrong").status, 401)
    same(gate.get("/bytes/3").body, b"abc")
    same(gate.get("/bytes/3", {"x-api-key": gate.token}, token=False).body, b"abc")


def story_the_scheme_may_be_spelt_in_any_case_and_only_once(t):
    gate = closed(t, t.sample())
    for value, status in ((f"bearer {gate.token}", 200), (f"BEARER {gate.token}", 200), (f"Basic {gate.token}", 401),
                          (gate.token, 401), ("Bearer ", 401), ("Bearer", 401), (f"Bearer {gate.token}x", 401),
                          (f"Bearer {gate.token[:-1]}", 401)):
        same(gate.get("/bytes/3", {"Authorization": value}, token=False).status, status, value[:10])
    two = [("Authorization", f"Bearer {gate.token}"), ("x-api-key", "sk-another")]
    assert gate.get("/bytes/3", two, token=False).status in (400, 401), "two that differ"
    assert gate.get("/bytes/3", [("Authorization", f"Bearer {gate.token}")] * 2, token=False).status in (400, 401), "twice"
    same(gate.get(f"/bytes/3?token={gate.token}&api_key={gate.token}", token=False).status, 401, "never in the address")


def story_the_address_is_asked_before_the_token(t):
    gate = closed(t, t.sample(), gateway={"allowedIps": ["127.0.0.1", "127.0.1.0/24"]})
    same(gate.get("/bytes/3").status, 200)
    same(gate.get("/bytes/3", source="127.0.1.9").status, 200)
    for token in (True, False, "sk-wrong"):
        a = gate.get("/bytes/3", token=token, source="127.0.0.2")
        same((a.status, a.json["error"]["type"]), (403, "forbidden"), f"token {token}")
    same(gate.get("/bytes/3", {"X-Forwarded-For": "127.0.0.1"}, source="127.0.0.2").status, 403)


def story_an_ipv6_caller_in_ipv4_clothes_is_the_same_caller(t):
    up = t.sample()
    gate = closed(t, up, gateway={"host": "::", "allowedIps": ["127.0.0.1"]})
    same(wire.get(("127.0.0.1", gate.port), "/bytes/3", {"Authorization": f"Bearer {gate.token}"}).status, 200)
    same(wire.get(("::1", gate.port), "/bytes/3", {"Authorization": f"Bearer {gate.token}"}).status, 403)


def story_a_token_may_do_what_it_says(t):
    narrow, old, far = t.secret("narrow"), t.secret("old"), t.secret("far")
    gate = closed(t, t.sample(), gateway={"apiTokens": [
        {"name": "story", "sha256": sha256(t.token)},
        {"name": "narrow", "sha256": sha256(narrow), "scopes": ["llm"]},
        {"name": "old", "sha256": sha256(old), "expires": "2020-01-01T00:00:00Z"},
        {"name": "far", "sha256": sha256(far), "allowedIps": ["127.0.0.2"]}]})
    same(gate.get("/bytes/3").status, 200)
    same(gate.get("/bytes/3", token=narrow).status, 403)
    same(gate.get("/bytes/3", token=old).status, 401)
    same(gate.get("/bytes/3", token=far).status, 403)
    same(gate.get("/bytes/3", token=far, source="127.0.0.2").status, 200)


def story_guessing_is_slowed_down(t):
    gate = closed(t, t.sample(), gateway={"workers": 1, "limits": {"failedAuthPerMinute": 5}})
    statuses = [gate.get("/bytes/3", token=f"sk-guess-{n}").status for n in range(8)]
    same(statuses[:5], [401] * 5)
    same(statuses[-1], 429)
    assert 1 <= int(gate.get("/bytes/3", token="sk-guess").get("retry-after")) <= 60
    same(gate.get("/bytes/3").status, 200, "whoever has a token is not shut out by his neighbour's guesses")
    same(gate.get("/bytes/3", source="127.0.0.2").status, 200, "another address")
    same(gate.get("/health", token=False).status, 200)


def story_a_token_has_its_rate(t):
    fast = t.secret("fast")
    gate = closed(t, t.sample(), gateway={"workers": 1, "apiTokens": [
        {"name": "slow", "sha256": sha256(t.token), "rateLimit": "3/min"}, {"name": "fast", "sha256": sha256(fast)}]})
    same([gate.get("/bytes/3").status for _ in range(5)], [200, 200, 200, 429, 429])
    a = gate.get("/bytes/3")
    assert 1 <= int(a.get("retry-after")) <= 60, a
    same(a.json["error"]["type"], "rate_limited")
    same([gate.get("/bytes/3", token=fast).status for _ in range(5)], [200] * 5)


def story_an_address_has_its_rate(t):
    gate = t.proxy(t.sample(), gateway={"workers": 1, "limits": {"ratePerAddress": "3/min"}})
    same([gate.get("/bytes/3", token=False).status for _ in range(4)], [200, 200, 200, 429])
    same(gate.get("/bytes/3", token=False, source="127.0.0.2").status, 200)


def story_only_so_many_requests_at_a_time(t):
    model = t.sample()
    gate = t.proxy(model, gateway={"workers": 1, "limits": {"concurrentRequests": 3}})
    held = []
    for _ in range(3):
        c = gate.conn()
        c.send(wire.request_bytes("GET", "/sse?events=100000&interval_ms=50"))
        same(c.head().status, 200)
        held.append(c)
    a = gate.get("/bytes/3", token=False)
    same(a.status, 503)
    assert int(a.get("retry-after")) >= 1, a
    held.pop().close()
    from lib.stage import eventually

    eventually(lambda: gate.get("/bytes/3", token=False).status == 200, 5, "the place of one that left stays taken")


def story_errors_have_the_form_of_the_api(t):
    gate = t.gateway(providers={"home": {"kind": "openai", "baseUrl": t.sample().url + "/v1"}})
    chat = {"model": "sample-1", "messages": [{"role": "user", "content": "x"}]}
    a = gate.post("/v1/chat/completions", chat, token=False).json
    same(set(a), {"error"})
    assert {"message", "type", "param", "code"} <= set(a["error"]), a
    a = gate.post("/v1/messages", {**chat, "max_tokens": 5}, token=False)
    same((a.json["type"], a.json["error"]["type"]), ("error", "authentication_error"))
    assert a.get("request-id") and a.json["request_id"], a


def story_nothing_starts_half_open(t):
    import json
    import os

    good = t.config(routes=[{"path": "/", "respond": {"body": "hi"}, "access": "public"}])
    cases = [
        ("no token", {"gateway": {**good["gateway"], "apiTokens": []}}, "apiTokens"),
        ("half a TLS pair", {"gateway": {**good["gateway"], "tlsCert": "x.pem", "tlsKey": None}}, "tls"),
        ("an unreadable secret", {"gateway": {**good["gateway"], "apiTokens": [{"name": "a", "file": "/nonexistent"}]}}, "nonexistent"),
        ("an unset variable", {"gateway": {**good["gateway"], "apiTokens": [{"name": "a", "env": "NOT_THERE"}]}}, "NOT_THERE"),
        ("an unknown key", {"gateway": {**good["gateway"], "alowedIps": ["10.0.0.0/8"]}}, "allowedIps"),
        ("no such upstream", {"routes": [{"path": "/", "upstream": "nobody"}]}, "nobody"),
    ]
    for why, part, word in cases:
        file = t.folder / "bad.json"
        file.write_text(json.dumps({**good, **part}))
        os.chmod(file, 0o600)
        run = t.sekisho_run("gateway", "--config", file)
        same(run.returncode, 2, why + run.stderr)
        assert word.lower() in (run.stderr + run.stdout).lower() and "bad.json" in run.stderr + run.stdout, (why, run.stderr)
