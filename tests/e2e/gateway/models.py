"""The model APIs: what callers send reaches the provider as it was, but for the model's name and the key."""

import json
import time

from lib import wire
from lib.stage import eventually, same, sha256, within
from lib.upstream import ok

HELLO = [{"role": "user", "content": "Hello there"}]
CHAT = {"model": "sample-1", "messages": HELLO}
WORDS = "This is sample-1, the bundled sample model. You said: Hello there."


def openai(up, **more):
    return {"kind": "openai", "baseUrl": up.url + "/v1", **more}


def anthropic(up, **more):
    return {"kind": "anthropic", "baseUrl": up.url, **more}


def both(up, **more):
    return {"kind": "openai", "baseUrl": up.url + "/v1", "dialects": ["openai", "anthropic"], **more}


def story_every_endpoint_answers(t):
    gate = t.gateway(providers={"home": both(t.sample("--tokens", "14"))})
    for path, body, find in (
            ("/v1/chat/completions", CHAT, lambda a: a["choices"][0]["message"]["content"]),
            ("/v1/completions", {"model": "sample-1", "prompt": "Hello there"}, lambda a: a["choices"][0]["text"]),
            ("/v1/responses", {"model": "sample-1", "input": "Hello there"}, lambda a: a["output"][0]["content"][0]["text"]),
            ("/v1/messages", {**CHAT, "max_tokens": 50}, lambda a: a["content"][0]["text"])):
        a = gate.post(path, body)
        same(a.status, 200, f"{path} {a}")
        assert find(a.json).startswith(WORDS), a
    same(gate.post("/v1/messages/count_tokens", CHAT).json, {"input_tokens": 2})
    same(len(gate.post("/v1/embeddings", {"model": "sample-1", "input": ["a", "b"]}).json["data"]), 2)
    names = [m["id"] for m in gate.get("/v1/models").json["data"]]
    assert {"sample-1", "sample-small"} <= set(names), names
    same(gate.get("/v1/models/sample-1").json["id"], "sample-1")
    same(gate.get("/v1/models/nobody").status, 404)


def story_the_provider_gets_its_key_and_never_the_callers(t):
    key = t.secret("provider")
    model = t.sample("--api-key", key, "--record")
    gate = t.gateway(env={"PROVIDER_KEY": key}, providers={"a": openai(model, apiKey={"env": "PROVIDER_KEY"})})
    for fields in ({"Authorization": f"Bearer {gate.token}"}, {"x-api-key": gate.token}):
        same(gate.post("/v1/chat/completions", CHAT, fields, token=False).status, 200)
        seen = model.last()
        assert gate.token not in json.dumps(seen), "the caller's token went to the provider"
        same([v for n, v in seen["headers"] if n.lower() in ("authorization", "x-api-key")], [f"Bearer {key}"])
    claude = t.sample("--api-key", key, "--record", "--strict")
    gate = t.gateway(env={"PROVIDER_KEY": key}, providers={"b": anthropic(claude, apiKey={"env": "PROVIDER_KEY"})})
    a = gate.post("/v1/messages", {**CHAT, "max_tokens": 50}, {"anthropic-version": "2023-06-01", "anthropic-beta": "x"})
    same(a.status, 200)
    seen = {n.lower(): v for n, v in claude.last()["headers"]}
    same((seen["x-api-key"], seen["anthropic-version"], seen["anthropic-beta"]), (key, "2023-06-01", "x"))
    assert "authorization" not in seen, seen


BODIES = [
    ("an unknown field", b'{"model":"alias","messages":[],"top_k":40,"x_new":{"a":[1,2]}}'),
    ("numbers as they were written", b'{"temperature":1.00,"seed":12345678901234567890,"p":1E-2,"model":"alias","messages":[]}'),
    ("blanks and order", b'\n{ "messages" : [ ] ,\t"model" : "alias" ,  "stream" :false }\n'),
    ("escapes", b'{"messages":[{"role":"user","content":"\\u00e9\\/\\ud83d\\ude00 \\"model\\":\\"alias\\""}],"model":"alias"}'),
    ("a model inside", b'{"messages":[{"model":"alias"}],"metadata":{"model":"alias"},"model":"alias"}'),
    ("UTF-8", '{"messages":[{"role":"user","content":"日本語 é 😀"}],"model":"alias"}'.encode()),
    ("the name first in a long body", b'{"model":"alias","messages":[{"role":"user","content":"' + b"long " * 40000 + b'"}]}'),
    ("the name last in a long body", b'{"messages":[{"role":"user","content":"' + b"long " * 40000 + b'"}],"model":"alias"}'),
]


def story_nothing_but_the_model_is_changed(t):
    up = t.upstream(lambda peer, request: peer.send(ok(b'{"choices":[]}', "Content-Type: application/json\r\n")))
    gate = t.gateway(providers={"home": openai(up, models=["real-model-name"])},
                     models={"alias": [{"provider": "home", "model": "real-model-name"}]})
    for why, body in BODIES:
        a = gate.post("/v1/chat/completions", body, {"Content-Type": "application/json"})
        same(a.status, 200, f"{why}: {a}")
        depth = body.rindex(b'"model"') if why != "the name first in a long body" else body.index(b'"model"')
        want = body[:depth] + body[depth:].replace(b"alias", b"real-model-name", 1)
        same(up.requests[-1].body, want, why)
        same(up.requests[-1].target, "/v1/chat/completions")


def story_a_model_named_as_its_provider_names_it_is_not_touched(t):
    up = t.upstream(lambda peer, request: peer.send(ok(b'{"choices":[]}')))
    gate = t.gateway(providers={"home": openai(up, models=["sample-1"])})
    body = b'{ "messages":[], "model" : "sample-1" , "a":1.0 }'
    same(gate.post("/v1/chat/completions", body).status, 200)
    same(up.requests[-1].body, body)


def story_the_bytes_of_a_stream_are_the_providers(t):
    sent = (b'data: {"choices":[{"delta":{"content":"a"}}],"x":1.00}\n\n: comment\n\ndata: {"choices":[]}\r\n\r\n'
            b'event: odd\ndata: {"a":"\xe6\x97\xa5"}\n\ndata: [DONE]\n\n')

    def script(peer, request):
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Request-Id: req_theirs\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(0, len(sent), 7):
            piece = sent[i:i + 7]
            peer.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            time.sleep(0.002)
        peer.send(b"0\r\n\r\n")

    gate = t.gateway(providers={"home": openai(t.upstream(script), models=["m"])})
    a = gate.post("/v1/chat/completions", {"model": "m", "messages": [], "stream": True})
    same((a.status, a.body, a.ended), (200, sent, "chunked"))
    same((a.get("x-request-id"), a.get("content-type")), ("req_theirs", "text/event-stream"))


def story_tokens_of_a_stream_come_as_they_are_said(t):
    gate = t.gateway(providers={"home": openai(t.sample("--tokens", "20", "--interval-ms", "25"))})

    def longest_gap():
        """Endless when they came in one go."""
        with gate.conn() as c:
            c.send(wire.request_bytes("POST", "/v1/chat/completions", {"Authorization": f"Bearer {gate.token}"}, {**CHAT, "stream": True}))
            same(c.head().status, 200)
            times = [at for at, event in c.events() if '"content":"' in event]
        assert len(times) >= 20, times
        gaps = [b - a for a, b in zip(times[1:], times[2:])]
        return max(gaps) if sum(gaps) / len(gaps) > 0.015 else float("inf")

    within(0.1, longest_gap, "tokens are held back")


def story_an_abort_reaches_the_provider(t):
    model = t.sample("--tokens", "10000", "--interval-ms", "20")
    gate = t.gateway(providers={"home": openai(model)})

    def took(stream):
        before = model.stats()["aborted"]
        c = gate.conn()
        c.send(wire.request_bytes("POST", "/v1/chat/completions", {"Authorization": f"Bearer {gate.token}"}, {**CHAT, "stream": stream}))
        eventually(lambda: model.stats()["running"] == 1, 5, "the provider was not asked")
        left = time.monotonic()
        c.close()
        found = model.wait_aborts(before + 1)[-1]["mono_us"] / 1e6 - left
        assert found >= 0, found
        eventually(lambda: model.stats()["running"] == 0, 5, "it still runs")
        return found

    for stream in (True, False):
        within(0.1, lambda: took(stream), f"the provider knows late, stream {stream}")


def story_aliases_wildcards_and_unknown_names(t):
    model = t.sample("--models", "sample-1,other-*", "--record")
    gate = t.gateway(providers={"home": both(model)}, models={
        "chat": [{"provider": "home", "model": "sample-1"}], "other-*": [{"provider": "home"}]})
    same(gate.post("/v1/chat/completions", {**CHAT, "model": "chat"}).json["model"], "sample-1")
    same(gate.post("/v1/chat/completions", {**CHAT, "model": "other-x"}).json["model"], "other-x")
    a = gate.post("/v1/chat/completions", {**CHAT, "model": "sample-1"})
    same((a.status, a.json["error"]["code"]), (404, "model_not_found"), "only what models{} names may be named")
    a = gate.post("/v1/messages", {**CHAT, "model": "nobody", "max_tokens": 5})
    same((a.status, a.json["error"]["type"]), (404, "not_found_error"))


def story_a_token_may_use_its_models_only(t):
    narrow = t.secret("narrow")
    gate = t.gateway(gateway={"apiTokens": [{"name": "narrow", "sha256": sha256(narrow), "models": ["sample-s*"]}]},
                     providers={"home": both(t.sample())})
    same(gate.post("/v1/chat/completions", {**CHAT, "model": "sample-small"}, token=narrow).status, 200)
    a = gate.post("/v1/chat/completions", CHAT, token=narrow)
    assert a.status in (403, 404), a
    a = gate.post("/v1/messages", {**CHAT, "max_tokens": 5}, token=narrow)
    assert a.status in (403, 404) and a.json["type"] == "error", a
    same([m["id"] for m in gate.get("/v1/models", token=narrow).json["data"]], ["sample-small"])


def story_what_is_no_request_gets_a_clear_refusal(t):
    gate = t.gateway(providers={"home": both(t.sample())})
    for why, body in (("not JSON", b"hello"), ("cut", b'{"model":"sample-1"'), ("no model", b'{"messages":[]}'),
                      ("no object", b'["model"]'), ("empty", b""), ("model is a number", b'{"model":1}'),
                      ("two models", b'{"model":"sample-1","model":"sample-small","messages":[]}'),
                      ("bad UTF-8", b'{"model":"sample-1\xff","messages":[]}')):
        for path in ("/v1/chat/completions", "/v1/messages"):
            a = gate.post(path, body)
            same((a.status, a.json["error"]["type"]), (400, "invalid_request_error"), f"{why} to {path}")
    same(gate.get("/v1/chat/completions").status, 405)


def story_a_provider_that_fails_before_the_first_byte_is_replaced(t):
    first, second = t.sample("--record"), t.sample("--tokens", "14")
    gate = t.gateway(providers={"first": openai(first), "second": openai(second)}, gateway={"workers": 1}, models={
        "chat": [{"provider": "first", "model": "sample-1"}, {"provider": "second", "model": "sample-1"}]})
    for fault in ("status=503", "status=500", "status=429", "reset", "close"):
        first.set_fault(fault + ";path=/v1/chat")
        for stream in (True, False):
            a = gate.post("/v1/chat/completions", {**CHAT, "model": "chat", "stream": stream})
            same((a.status, a.ended), (200, "chunked" if stream else "length"), f"{fault}, stream {stream}")
            assert b"You said:" in a.body.replace(b'"}', b"") or stream, a
    assert second.stats()["requests"] >= 10, second.stats()


def story_a_provider_that_fails_later_is_not(t):
    first, second = t.sample(), t.sample()
    gate = t.gateway(providers={"first": openai(first), "second": openai(second, models=["sample-1"])}, models={
        "chat": [{"provider": "first", "model": "sample-1"}, {"provider": "second", "model": "sample-1"}]})
    before = second.stats()["requests"]
    for fault in ("cut-after=3", "reset-after=3"):
        first.set_fault(fault + ";path=/v1/chat")
        a = gate.post("/v1/chat/completions", {**CHAT, "model": "chat", "stream": True})
        same((a.status, a.ended, a.body.count(b'"content":"')), (200, "cut", 4), fault)
    first.set_fault("status=400;path=/v1/chat")
    same(gate.post("/v1/chat/completions", {**CHAT, "model": "chat"}).status, 400, "the caller's own mistake is not tried elsewhere")
    assert second.stats()["requests"] - before <= 2, "the second provider was asked"


def story_a_providers_own_errors_pass(t):
    model = t.sample()
    gate = t.gateway(providers={"home": both(model)})
    model.set_fault("status=429;retry-after=9;should-retry=false;path=/v1/")
    a = gate.post("/v1/chat/completions", CHAT)
    same((a.status, a.get("retry-after"), a.get("x-should-retry")), (429, "9", "false"))
    assert a.get("x-request-id", "").startswith("req_"), a
    a = gate.post("/v1/messages", {**CHAT, "max_tokens": 9})
    same((a.status, a.json["error"]["type"]), (429, "rate_limit_error"))
    model.set_fault("status=529;path=/v1/")
    a = gate.post("/v1/messages", {**CHAT, "max_tokens": 9})
    same((a.status, a.json["error"]["type"]), (529, "overloaded_error"))


def story_a_redirect_of_a_provider_is_not_followed(t):
    trap = t.upstream(lambda peer, request: peer.send(ok("trapped")))
    up = t.upstream(lambda peer, request: peer.send(f"HTTP/1.1 302 Found\r\nLocation: {trap.url}/\r\nContent-Length: 0\r\n\r\n"))
    key = t.secret("provider")
    gate = t.gateway(env={"K": key}, providers={"home": openai(up, models=["m"], apiKey={"env": "K"})})
    a = gate.post("/v1/chat/completions", {"model": "m", "messages": []})
    same((a.status, a.get("location"), a.json["error"]["type"]), (502, None, "server_error"))
    same(trap.peers, [])


def story_no_caller_names_the_provider_by_a_field(t):
    trap = t.upstream(lambda peer, request: peer.send(ok("{}")))
    gate = t.gateway(providers={"home": openai(t.sample())})
    body = {**CHAT, "api_base": trap.url, "base_url": trap.url, "baseUrl": trap.url}
    gate.post("/v1/chat/completions", body, {"x-base-url": trap.url, "Host": f"127.0.0.1:{trap.port}"})
    same(trap.peers, [])


def story_a_provider_that_redirects_is_passed_over(t):
    up = t.upstream(lambda peer, request: peer.send("HTTP/1.1 307 Away\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"))
    gate = t.gateway(providers={"away": openai(up, models=["m"]), "home": openai(t.sample())}, models={
        "chat": [{"provider": "away", "model": "m"}, {"provider": "home", "model": "sample-1"}]})
    same(gate.post("/v1/chat/completions", {**CHAT, "model": "chat"}).json["model"], "sample-1")
    same(len(up.requests), 1)


def story_a_provider_that_asks_for_a_pause_gets_it(t):
    tired, other = t.sample(), t.sample()
    gate = t.gateway(providers={"tired": openai(tired, models=["sample-1"]), "other": openai(other, models=["sample-1"])}, models={
        "chat": [{"provider": "tired", "model": "sample-1"}, {"provider": "other", "model": "sample-1"}]})
    ask = lambda: same(gate.post("/v1/chat/completions", {**CHAT, "model": "chat"}).status, 200)  # noqa: E731
    tired.set_fault("status=429;retry-after=2;path=/v1/chat")
    ask()
    tired.set_fault("")
    before, begin = tired.stats()["requests"], time.monotonic()
    for _ in range(5):
        ask()
    assert tired.stats()["requests"] - before <= 2 or time.monotonic() - begin > 2, "asked again within its pause"
    time.sleep(2.2)
    before = other.stats()["requests"]
    for _ in range(5):
        ask()
    assert other.stats()["requests"] - before <= 2, "it does not come back"


def story_providers_share_by_weight(t):
    heavy, light = t.sample("--models", "heavy"), t.sample("--models", "light")
    gate = t.gateway(providers={"heavy": openai(heavy), "light": openai(light)}, models={
        "chat": [{"provider": "heavy", "model": "heavy", "weight": 3}, {"provider": "light", "model": "light", "weight": 1}]})
    got = [gate.post("/v1/chat/completions", {**CHAT, "model": "chat"}).json["model"] for _ in range(120)]
    assert 60 <= got.count("heavy") <= 110, got.count("heavy")


def story_a_packed_body_is_refused(t):
    gate = t.gateway(providers={"home": both(t.sample())})
    for path in ("/v1/chat/completions", "/v1/messages"):
        a = gate.post(path, b"\x1f\x8b", {"Content-Encoding": "gzip"})
        same((a.status, a.json["error"]["type"]), (415, "invalid_request_error"))
    same(gate.post("/v1/chat/completions", json.dumps(CHAT).encode(), {"Content-Encoding": "identity"}).status, 200)


def story_our_own_no_is_not_worth_a_retry(t):
    gate = t.gateway(providers={"home": both(t.sample())})
    for path, token, model, status in (("/v1/chat/completions", False, "sample-1", 401), ("/v1/messages", "sk-wrong", "sample-1", 401),
                                       ("/v1/chat/completions", True, "nobody", 404)):
        a = gate.post(path, {**CHAT, "model": model}, token=token)
        same((a.status, a.get("x-should-retry")), (status, "false"))


def story_without_authentication_no_credential_goes_on_either(t):
    model = t.sample("--record")
    gate = t.gateway(gateway={"auth": False, "apiTokens": []}, providers={"home": openai(model)})
    fields = {"Authorization": "Bearer sk-mine", "x-api-key": "sk-mine", "Cookie": "a=sk-mine", "api-key": "sk-mine"}
    same(gate.post("/v1/chat/completions", CHAT, fields, token=False).status, 200)
    assert "sk-mine" not in json.dumps(model.last()), model.last()


def story_tokens_are_counted(t):
    gate = t.gateway(providers={"home": both(t.sample("--tokens", "14"))}, models={
        "chat": [{"provider": "home", "model": "sample-1"}]}, gateway={"workers": 1})
    body = {**CHAT, "model": "chat"}
    used = gate.post("/v1/chat/completions", body).json["usage"]
    gate.post("/v1/chat/completions", {**body, "stream": True, "stream_options": {"include_usage": True}})
    again = gate.post("/v1/messages", {**body, "max_tokens": 50}).json["usage"]
    gate.post("/v1/messages", {**body, "max_tokens": 50, "stream": True})
    gate.post("/v1/chat/completions", {**CHAT, "model": "nobody"})
    want = {'sekisho_llm_requests_total{model="chat",provider="home",class="2xx"}': 4,
            'sekisho_llm_requests_total{model="other",provider="",class="4xx"}': 1,
            'sekisho_llm_tokens_total{model="chat",direction="in"}': 2 * used["prompt_tokens"] + 2 * again["input_tokens"],
            'sekisho_llm_tokens_total{model="chat",direction="out"}': 2 * used["completion_tokens"] + 2 * again["output_tokens"]}
    eventually(lambda: all(gate.metrics().get(k) == v for k, v in want.items()), 3,
               f"{ {k: v for k, v in gate.metrics().items() if 'llm' in k} } is not {want}")
    lines = [x for x in gate.access_log() if x.get("model") == "chat"]
    same([x["tokens_out"] for x in lines], [14] * 4)


def story_a_provider_has_so_many_calls_at_a_time(t):
    small, other = t.sample("--models", "small", "--tokens", "50", "--interval-ms", "20"), t.sample("--models", "other")
    providers = {"small": openai(small, maxConcurrency=2), "other": openai(other)}
    gate = t.gateway(gateway={"workers": 4}, providers=providers, models={
        "alone": [{"provider": "small", "model": "small"}],
        "both": [{"provider": "small", "model": "small"}, {"provider": "other", "model": "other"}]})
    held = []
    for n in range(2):
        c = gate.conn()
        c.send(wire.request_bytes("POST", "/v1/chat/completions", {"Authorization": f"Bearer {gate.token}", "x-sample-tokens": "100000"}, {**CHAT, "model": "alone", "stream": True}))
        same(c.head().status, 200)
        held.append(c)
    for n in range(5):
        same(gate.post("/v1/chat/completions", {**CHAT, "model": "both"}).json["model"], "other")
        a = gate.post("/v1/chat/completions", {**CHAT, "model": "alone"})
        same((a.status, a.get("retry-after")), (503, "1"))
    held[0].close()  # a call that ends gives its place back
    eventually(lambda: gate.post("/v1/chat/completions", {**CHAT, "model": "alone"}).status == 200, 3, "its place is lost")
