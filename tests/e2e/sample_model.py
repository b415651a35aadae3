"""The sample model server itself: what the other stories look through must be true."""

import re
import time

from lib import wire
from lib.stage import eventually, same, within

CHAT = {"model": "sample-1", "messages": [{"role": "user", "content": "Hello there"}]}
WORDS = "This is sample-1, the bundled sample model. You said: Hello there. I count: 1 2 3"


def story_says_the_same_in_every_form(t):
    model = t.sample("--tokens", "16")
    ask = lambda path, body: wire.post(model.port, path, body).json  # noqa: E731
    same(ask("/v1/chat/completions", CHAT)["choices"][0]["message"]["content"], WORDS)
    same(ask("/v1/messages", {**CHAT, "max_tokens": 99})["content"][0]["text"], WORDS)
    same(ask("/v1/completions", {"model": "sample-1", "prompt": "Hello there"})["choices"][0]["text"], WORDS)
    same(ask("/v1/responses", {"model": "sample-1", "input": "Hello there"})["output"][0]["content"][0]["text"], WORDS)
    same(ask("/api/chat", {**CHAT, "stream": False})["message"]["content"], WORDS)
    same(ask("/api/generate", {"model": "sample-1", "prompt": "Hello there", "stream": False})["response"], WORDS)


def story_paces_its_words(t):
    model = t.sample("--tokens", "5", "--delay-ms", "200", "--interval-ms", "50")

    def lateness():
        """Of the word that came latest after its time. None may come before its time."""
        with wire.Conn(model.port) as c:
            begin = time.monotonic()
            c.send(wire.request_bytes("POST", "/v1/messages", body={**CHAT, "max_tokens": 9, "stream": True}))
            same(c.head().status, 200)
            times = [at - begin for at, event in c.events() if "text_delta" in event]
        same(len(times), 5)
        late = [took - (0.2 + 0.05 * i) for i, took in enumerate(times)]
        assert min(late) >= 0, f"a word came too early: {times}"
        return max(late)

    def lateness_of_a_whole():
        begin = time.monotonic()
        wire.post(model.port, "/v1/chat/completions", CHAT)
        took = time.monotonic() - begin
        assert took >= 0.4, f"an unstreamed answer takes as long: {took}"
        return took - 0.4

    within(0.04, lateness, "words come late")
    within(0.1, lateness_of_a_whole, "an unstreamed answer comes late")


def story_takes_pipelined_requests_in_one_send(t):
    model = t.sample()
    one = wire.request_bytes("GET", "/bytes/1000")
    with wire.Conn(model.port) as c:
        c.send(one * 200)
        for _ in range(200):
            same(len(c.answer().body), 1000)


def story_takes_requests_in_any_pieces(t):
    model = t.sample()
    chunked = (b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX-T: 1\r\n\r\n")
    for piece in (1, 2, 3, 7, len(chunked)):
        with wire.Conn(model.port) as c:
            got = c.send(chunked, piece, 0.001).answer().json
        same((got["body"], got["trailers"]), ("hello world", "X-T: 1\r\n"), f"pieces of {piece}")


def story_echoes_fields_as_they_came(t):
    model = t.sample()
    with wire.Conn(model.port) as c:
        got = c.send("GET /headers?a=%20b HTTP/1.1\r\nhOsT: x\r\nX_a: 1\r\nx-A:2  \r\nX-A: \r\n\r\n").answer().json
    same(got["headers"], [["hOsT", "x"], ["X_a", "1"], ["x-A", "2"], ["X-A", ""]])
    same(got["target"], "/headers?a=%20b")


def story_notices_a_client_that_leaves(t):
    model = t.sample("--tokens", "10000", "--interval-ms", "10")

    def leave():
        before = model.stats()["aborted"]
        c = wire.Conn(model.port)
        c.send(wire.request_bytes("POST", "/v1/chat/completions", body={**CHAT, "stream": True}))
        next(c.events() if c.head().status == 200 else iter(()))
        left = time.monotonic()
        c.close()
        abort = model.wait_aborts(before + 1)[-1]
        took = abort["mono_us"] / 1e6 - left
        assert took >= 0, abort
        same(abort["path"], "/v1/chat/completions")
        eventually(lambda: model.stats()["running"] == 0, 5, "it still runs")
        return took

    within(0.05, leave, "a client that left is noticed late")


def story_lets_only_so_many_talk_at_once(t):
    model = t.sample("--slots", "2", "--tokens", "10", "--interval-ms", "150")
    conns = [wire.Conn(model.port) for _ in range(5)]
    for c in conns:
        c.send(wire.request_bytes("POST", "/v1/chat/completions", body=CHAT))
    eventually(lambda: (s := model.stats())["running"] == 2 and s["waiting"] == 3, 2, "two talk, three wait")
    text = wire.get(model.port, "/metrics").text
    assert re.search(r'vllm:num_requests_running\{[^}]*sample-1"\} 2', text), text
    assert re.search(r"vllm:num_requests_waiting\{[^}]*\} 3", text), text
    assert re.search(r"vllm:kv_cache_usage_perc\{[^}]*\} 0\.0000[1-9]", text), text
    same([c.answer().status for c in conns], [200] * 5)


def story_asks_for_its_key(t):
    key = t.secret("provider")
    model = t.sample("--api-key", key)
    same(wire.post(model.port, "/v1/chat/completions", CHAT).json["error"]["code"], "invalid_api_key")
    same(wire.post(model.port, "/v1/messages", CHAT).json["error"]["type"], "authentication_error")
    same(wire.get(model.port, "/v1/models", {"Authorization": f"Bearer {key}"}).status, 200)
    same(wire.get(model.port, "/v1/models", {"x-api-key": key}).status, 200)
    same(wire.get(model.port, "/health").status, 200)


def story_fails_as_it_is_told(t):
    model = t.sample()
    with_fault = lambda spec, path="/bytes/100": wire.get(model.port, path, {"x-sample-fault": spec})  # noqa: E731
    a = with_fault("status=429;retry-after=7;should-retry=false")
    same((a.status, a.get("retry-after"), a.get("x-should-retry")), (429, "7", "false"))
    same((with_fault("cut-after=10").body, with_fault("cut-after=10").ended), (b"abcdefghij", "cut"))
    same(with_fault("cut-after=2", "/sse").ended, "cut")
    same(with_fault("no-such").status, 400)
    for spec in ("reset", "close"):
        try:
            with_fault(spec)
            raise AssertionError(f"{spec}: an answer came")
        except wire.Lost:
            pass
    model.set_fault("status=503;path=/health;first=2")
    same([wire.get(model.port, "/health").status for _ in range(3)], [503, 503, 200])
    same(wire.get(model.port, "/bytes/1").status, 200)


def story_refuses_what_is_wrong_in_the_form_asked(t):
    model = t.sample()
    post = lambda path, body: wire.post(model.port, path, body)  # noqa: E731
    same(post("/v1/chat/completions", "{\"model\":").json["error"]["type"], "invalid_request_error")
    same(post("/v1/chat/completions", {**CHAT, "model": "x"}).json["error"]["code"], "model_not_found")
    same(post("/v1/messages", {**CHAT, "model": "x", "max_tokens": 1}).json["error"]["type"], "not_found_error")
    same(post("/v1/messages", CHAT).json["error"]["message"], "max_tokens: Field required")
    same(post("/api/chat", {**CHAT, "model": "x"}).json, {"error": "model 'x' not found"})
    same(wire.get(model.port, "/v1/chat/completions").status, 405)
    same(wire.get(model.port, "/nothing").status, 404)


def story_keeps_no_body_it_only_counts(t):
    t.measure_memory()
    model = t.sample()
    before = model_rss(model)
    with wire.Conn(model.port, timeout=30) as c:
        c.send("POST /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 67108864\r\n\r\n")
        for _ in range(64):
            c.send(b"x" * 1048576)
        same(c.answer().json["bytes"], 67108864)
        c.send(wire.request_bytes("GET", "/bytes/64MiB"))
        same(len(c.answer().body), 67108864)
    assert model_rss(model) - before < 16 * 1024, "memory grew by the body"


def model_rss(model):
    from lib import proc

    return proc.rss_kib(model.pid)
