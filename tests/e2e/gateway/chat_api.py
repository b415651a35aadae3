"""POST /api/v1/chat and /api/v1/chat/stream, in the predecessor's shape."""

import json
import time

from lib import wire
from lib.stage import eventually, same, sha256, within

WORDS = "This is sample-1, the bundled sample model. You said:"


def home(t, *options, **more):
    model = t.sample("--record", *options)
    gate = t.gateway(providers={"home": {"kind": "openai", "baseUrl": model.url + "/v1"}},
                     models={"sample-1": [{"provider": "home"}]}, **more)
    gate.model = model
    return gate


def events(answer):
    """The objects of a stream that has only data lines."""
    blocks = [b for b in answer.text.split("\n\n") if b.strip()]
    assert all(b.startswith("data: ") and "\n" not in b for b in blocks), answer.text
    return [json.loads(b[6:]) for b in blocks]


def story_a_message_is_answered(t):
    a = home(t).post("/api/v1/chat", {"message": "Hello there", "session_id": "my-session"})
    same((a.status, a.json["session_id"]), (200, "my-session"))
    assert a.json["response"].startswith(WORDS + " Hello there."), a
    same(a.json["model_used"], "sample-1")
    assert a.json["output_tokens"] == 32 and a.json["input_tokens"] > 0, a


def story_any_reasonable_session_id_will_do(t):
    gate = home(t)
    for name in ("my-session", "macbook", "alice", "test", "tailscale-test", "api:1234", "a", "日本", "with blank", "x" * 128):
        a = gate.post("/api/v1/chat", {"message": "Hi", "session_id": name})
        same((a.status, a.json["session_id"]), (200, name), name)
    a = gate.post("/api/v1/chat", {"message": "Hi"})
    assert a.status == 200 and a.json["session_id"], a


def story_a_stream_has_the_predecessors_events(t):
    a = home(t).post("/api/v1/chat/stream", {"message": "Hello there", "session_id": "s"})
    same((a.status, a.get("content-type").split(";")[0]), (200, "text/event-stream"))
    got = events(a)
    kinds = [e["type"] for e in got]
    same((kinds[0], kinds[-2:]), ("start", ["content", "done"]))
    same(set(kinds[1:-2]), {"content_chunk"})
    whole = "".join(e["text"] for e in got if e["type"] == "content_chunk")
    same(next(e["content"] for e in got if e["type"] == "content"), whole)
    assert whole.startswith(WORDS + " Hello there."), whole
    same(got[0]["session_id"], "s")


def story_a_conversation_is_remembered_for_its_token_and_session(t):
    other = t.secret("other")
    gate = home(t, gateway={"workers": 1, "apiTokens": [{"name": "story", "sha256": sha256(t.token)}, {"name": "other", "sha256": sha256(other)}]})
    gate.post("/api/v1/chat", {"message": "My name is Ada", "session_id": "s"})
    gate.post("/api/v1/chat", {"message": "What is my name?", "session_id": "s"})
    sent = json.loads(gate.model.last()["body"])["messages"]
    same([m["content"] for m in sent if m["role"] == "user"][-2:], ["My name is Ada", "What is my name?"])
    same(sum(1 for m in sent if m["role"] == "assistant"), 1)
    for session, token in (("another", True), ("s", other)):
        gate.post("/api/v1/chat", {"message": "What is my name?", "session_id": session}, token=token)
        assert "Ada" not in gate.model.last()["body"], f"{session} of another sees it"


def story_a_conversation_has_a_bound(t):
    gate = home(t, gateway={"workers": 1, "limits": {"chatTurns": 4}})
    for n in range(12):
        same(gate.post("/api/v1/chat", {"message": f"message {n}", "session_id": "s"}).status, 200)
    sent = [m for m in json.loads(gate.model.last()["body"])["messages"] if m["role"] != "system"]
    assert len(sent) <= 5 and sent[-1]["content"] == "message 11", sent


def story_errors_have_real_status_codes(t):
    gate = home(t, "--tokens", "5")
    post = lambda body, **more: gate.post("/api/v1/chat", body, **more)  # noqa: E731
    same(post({"message": "Hi"}, token=False).status, 401)
    same(post({"message": ""}).status, 400)
    same(post({"message": "   "}).status, 400)
    same(post({}).status, 400)
    same(post({"message": 5}).status, 400)
    same(post(b"{").status, 415)
    same(post(b"{", fields={"Content-Type": "application/json"}).status, 400)
    same(post({"message": "x" * 32001}).status, 413)
    same(post({"message": "Hi", "model": "nobody"}).status, 404)
    gate.model.set_fault("status=500;path=/v1/chat")
    a = post({"message": "Hi"})
    assert a.status >= 500 and a.json["error"]["message"], a
    a = gate.post("/api/v1/chat/stream", {"message": "Hi"})
    assert a.status >= 500 or events(a)[-1]["type"] == "error", a


def story_a_provider_of_another_form_will_do(t):
    model = t.sample("--strict")
    gate = t.gateway(providers={"claude": {"kind": "anthropic", "baseUrl": model.url, "models": ["sample-1"]}})
    a = gate.post("/api/v1/chat", {"message": "Hello there", "model": "sample-1"})
    assert a.status == 200 and a.json["response"].startswith(WORDS), a
    kinds = [e["type"] for e in events(gate.post("/api/v1/chat/stream", {"message": "Hello there", "model": "sample-1"}))]
    same((kinds[0], kinds[-1]), ("start", "done"))


def story_a_stream_that_breaks_says_so(t):
    gate = home(t, "--interval-ms", "5")
    gate.model.set_fault("cut-after=3;path=/v1/chat")
    a = gate.post("/api/v1/chat/stream", {"message": "Hello there"})
    kinds = [e["type"] for e in events(a)]
    assert kinds[-1] == "error" and "done" not in kinds, kinds


def story_workers_share_what_was_said(t):
    gate = home(t, gateway={"workers": 4})
    for n in range(10):  # each on a connection of its own: whichever worker takes it
        same(gate.post("/api/v1/chat", {"message": f"message {n}", "session_id": "s"}).status, 200)
    sent = [m["content"] for m in json.loads(gate.model.last()["body"])["messages"] if m["role"] == "user"]
    same(sent, [f"message {n}" for n in range(10)])


def story_a_worker_that_dies_takes_no_conversation_along(t):
    import os
    import signal
    from lib import proc
    gate = home(t, gateway={"workers": 2})
    gate.post("/api/v1/chat", {"message": "My name is Ada", "session_id": "s"})
    workers = [p for p in proc.tree(gate.pid) if p != gate.pid]
    os.kill(workers[0], signal.SIGKILL)

    def remembered():
        try:
            gate.post("/api/v1/chat", {"message": "What is my name?", "session_id": "s"})
        except (OSError, wire.Lost):
            return False
        return "Ada" in gate.model.last()["body"]

    eventually(remembered, 5, "it is forgotten")


def story_an_abort_reaches_the_provider(t):
    gate = home(t, "--tokens", "10000", "--interval-ms", "20")

    def took(path):
        before = gate.model.stats()["aborted"]
        c = gate.conn()
        c.send(wire.request_bytes("POST", path, {"Authorization": f"Bearer {gate.token}", "Content-Type": "application/json"},
                                  json.dumps({"message": "Hello"}).encode()))
        eventually(lambda: gate.model.stats()["running"] == 1, 5, "the provider was not asked")
        time.sleep(0.1)
        left = time.monotonic()
        c.close()
        found = gate.model.wait_aborts(before + 1)[-1]["mono_us"] / 1e6 - left
        assert found >= 0, found
        eventually(lambda: gate.model.stats()["running"] == 0, 5, "the provider still runs")
        return found

    for path in ("/api/v1/chat/stream", "/api/v1/chat"):
        within(0.3, lambda: took(path), f"the provider knows late, {path}")


def story_a_provider_that_fails_is_replaced_before_the_first_byte_only(t):
    first, second = t.sample("--models", "one"), t.sample("--models", "two")
    sections = {"models": {"chat": [{"provider": "a", "model": "one"}, {"provider": "b", "model": "two"}]},
                "providers": {"a": {"kind": "openai", "baseUrl": first.url + "/v1"},
                              "b": {"kind": "openai", "baseUrl": second.url + "/v1", "models": ["two"]}}}
    gate = t.gateway(gateway={"workers": 1}, **sections)
    for fault in ("status=503", "reset"):
        first.set_fault(fault + ";path=/v1/chat")
        a = gate.post("/api/v1/chat", {"message": "Hi", "model": "chat"})
        same((a.status, a.json["model_used"]), (200, "two"), fault)
        same(events(gate.post("/api/v1/chat/stream", {"message": "Hi", "model": "chat"}))[-1]["type"], "done", fault)
    first.set_fault("cut-after=3;path=/v1/chat")
    before = second.stats()["requests"]
    gate = t.gateway(gateway={"workers": 1}, **sections)  # one that holds nothing against the first
    kinds = [e["type"] for e in events(gate.post("/api/v1/chat/stream", {"message": "Hi", "model": "chat"}))]
    same(kinds[-1], "error")
    assert second.stats()["requests"] - before <= 2, "asked again for one answer"


def story_a_token_chats_with_its_models_only(t):
    narrow = t.secret("narrow")
    gate = home(t, gateway={"apiTokens": [{"name": "narrow", "sha256": sha256(narrow), "models": ["other-*"]}]})
    a = gate.post("/api/v1/chat", {"message": "Hi", "model": "sample-1"}, token=narrow)
    same(a.status, 404)
    assert gate.post("/api/v1/chat", {"message": "Hi"}, token=narrow).status in (404, 503)
    same(gate.model.last().get("target") == "/v1/chat/completions", False)


def story_a_refused_key_is_not_quoted(t):
    key = t.secret("wrong")
    words = json.dumps({"error": {"message": f"Incorrect API key provided: {key}", "type": "invalid_request_error"}})
    up = t.upstream(lambda peer, request: peer.send(
        f"HTTP/1.1 401 No\r\nContent-Type: application/json\r\nContent-Length: {len(words)}\r\n\r\n{words}"))
    gate = t.gateway(env={"K": key}, providers={"home": {"kind": "openai", "baseUrl": up.url + "/v1", "models": ["m"], "apiKey": {"env": "K"}}})
    for path in ("/api/v1/chat", "/api/v1/chat/stream"):
        a = gate.post(path, {"message": "Hi"})
        same((a.status, key in a.text), (502, False), path)
