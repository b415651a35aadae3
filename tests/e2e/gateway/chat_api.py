"""POST /api/v1/chat and /api/v1/chat/stream, in the predecessor's shape."""

import json

from lib.stage import same, sha256

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
