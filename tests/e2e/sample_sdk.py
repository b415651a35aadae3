"""The official SDKs against the sample model itself: it speaks as the real ones do."""

from lib import sdk
from lib.stage import same, within

WORDS = 'This is sample-1, the bundled sample model. You said: Hello "there", é 日本. I count: 1 2 3 4 5 6 7'


def openai(t, case, model, **env):
    return sdk.run(t, "openai.mjs", case, BASE_URL=model.url, **env)


def anthropic(t, case, model, **env):
    return sdk.run(t, "anthropic.mjs", case, BASE_URL=model.url, **env)


def abort_is_soon(client, t, model):
    def took():
        before = model.stats()["aborted"]
        got = client(t, "abort", model, HEADERS='{"x-sample-tokens":"500"}')
        found = model.wait_aborts(before + 1)[-1]["mono_us"] - got["at"]
        assert found >= 0, found
        return found

    within(100_000, took, "the server knows late, in us", tries=5)


def story_openai_whole_and_streamed(t):
    model = t.sample("--tokens", "22")
    got = openai(t, "chat", model)
    same((got["text"], got["finish"]), (WORDS, "stop"))
    same(got["usage"]["prompt_tokens"] + 22, got["usage"]["total_tokens"])
    assert got["requestId"] == got["own"] and got["own"].startswith("req_"), got
    streamed = openai(t, "stream", model)
    same((streamed["text"], streamed["usage"], streamed["finish"]), (WORDS, got["usage"], "stop"))
    helped = openai(t, "helper", model)
    same((helped["text"], helped["joined"], helped["finish"]), (WORDS, WORDS, "stop"))


def story_openai_tools(t):
    model = t.sample()
    got = openai(t, "toolStream", model)
    same(got["arguments"], {"city": "use the tool for Oslo", "days": 42, "unit": "c"})
    same((got["name"], got["finish"]), ("weather", "tool_calls"))
    loop = openai(t, "toolLoop", model)
    same(len(loop["asked"]), 1)
    assert "You said: sunny in Oslo." in loop["text"], loop
    same(openai(t, "parse", model)["days"], 42)


def story_openai_other_endpoints(t):
    model = t.sample("--tokens", "14")
    got = openai(t, "embeddings", model)
    same(got["packed"], got["plain"])
    assert got["plain"][0] != got["plain"][1] and len(got["plain"][0]) == 8, got
    same(openai(t, "models", model)["names"], ["sample-1", "sample-small"])
    got = openai(t, "completions", model)
    same(got["whole"], got["text"])
    whole, streamed = openai(t, "responses", model), openai(t, "responsesStream", model)
    same(whole["text"], got["text"])
    same((streamed["text"], streamed["final"]), (whole["text"], whole["text"]))
    assert "response.completed" in streamed["kinds"], streamed
    same(openai(t, "responsesTool", model)["arguments"]["days"], 42)


def story_openai_errors(t):
    model = t.sample("--tokens", "9", "--interval-ms", "20")
    got = openai(t, "error", model, WRONG_MODEL="nobody")
    same((got["kind"], got["status"], got["code"]), ("NotFoundError", 404, "model_not_found"))
    got = openai(t, "error", model, HEADERS='{"x-sample-fault":"status=429"}')
    same((got["kind"], got["type"]), ("RateLimitError", "rate_limit_error"))
    assert got["requestId"].startswith("req_"), got
    same(openai(t, "error", model, RETRIES=2, HEADERS='{"x-sample-fault":"status=503;until-retry=2"}')["kind"], None)
    assert openai(t, "brokenStream", model, HEADERS='{"x-sample-fault":"error-after=3"}')["kind"], "an error was sent"
    assert openai(t, "brokenStream", model, HEADERS='{"x-sample-fault":"cut-after=3"}')["kind"], "the stream was cut"
    abort_is_soon(openai, t, model)


def story_anthropic_whole_and_streamed(t):
    model = t.sample("--tokens", "22", "--strict")
    got = anthropic(t, "message", model)
    same((got["text"], got["stop"], got["usage"]["output_tokens"]), (WORDS, "end_turn", 22))
    assert got["requestId"] == got["own"] and got["own"].startswith("req_"), got
    streamed = anthropic(t, "stream", model)
    same((streamed["text"], streamed["usage"]["output_tokens"]), (WORDS, 22))
    same(streamed["kinds"], ["message_start", "content_block_start", "content_block_delta", "content_block_stop",
                             "message_delta", "message_stop"])
    helped = anthropic(t, "helper", model)
    same((helped["text"], helped["joined"], helped["stop"]), (WORDS, WORDS, "end_turn"))
    same(anthropic(t, "countTokens", model)["input_tokens"], got["usage"]["input_tokens"])
    same(anthropic(t, "models", model)["one"]["type"], "model")


def story_anthropic_tools_and_errors(t):
    model = t.sample("--tokens", "9", "--interval-ms", "20")
    got = anthropic(t, "toolStream", model)
    same((got["name"], got["stop"], got["input"]), ("weather", "tool_use", {"city": "use the tool for Oslo", "days": 42}))
    assert "You said: sunny in" in anthropic(t, "toolLoop", model, HEADERS='{"x-sample-tokens":"20"}')["text"]
    got = anthropic(t, "error", model, HEADERS='{"x-sample-fault":"status=529"}')
    same((got["status"], got["type"]), (529, "overloaded_error"))
    assert got["requestId"].startswith("req_"), got
    assert anthropic(t, "brokenStream", model, HEADERS='{"x-sample-fault":"error-after=3"}')["kind"], "an error was sent"
    abort_is_soon(anthropic, t, model)
