"""The official SDKs, unmodified, through the gateway."""

import json

from lib import sdk
from lib.stage import same, within

WORDS = 'This is sample-1, the bundled sample model. You said: Hello "there", é 日本. I count: 1 2 3 4 5 6 7'


def way(t, *options, **more):
    model = t.sample("--strict", *options)
    gate = t.gateway(providers={"home": {"kind": "openai", "baseUrl": model.url + "/v1", "dialects": ["openai", "anthropic"]}}, **more)
    gate.model = model
    return gate


def openai(gate, case, **env):
    return sdk.run(gate.t, "openai.mjs", case, BASE_URL=gate.url, API_KEY=gate.token, **env)


def anthropic(gate, case, **env):
    return sdk.run(gate.t, "anthropic.mjs", case, BASE_URL=gate.url, API_KEY=gate.token, **env)


def fault(spec):
    return json.dumps({"x-sample-fault": spec})


def abort_is_soon(client, gate):
    def took():
        before = gate.model.stats()["aborted"]
        got = client(gate, "abort")
        found = gate.model.wait_aborts(before + 1)[-1]["mono_us"] - got["at"]
        assert found >= 0, found
        return found

    within(150_000, took, "the provider knows late, in us", tries=5)


def story_openai_whole_and_streamed(t):
    gate = way(t, "--tokens", "22")
    got = openai(gate, "chat")
    same((got["text"], got["finish"]), (WORDS, "stop"))
    assert got["requestId"] and got["requestId"] == got["own"], got
    same(openai(gate, "stream")["text"], WORDS)
    same(openai(gate, "helper")["joined"], WORDS)


def story_openai_tools(t):
    gate = way(t)
    same(openai(gate, "toolStream")["arguments"], {"city": "use the tool for Oslo", "days": 42, "unit": "c"})
    same(len(openai(gate, "toolLoop")["asked"]), 1)
    same(openai(gate, "parse")["days"], 42)
    same(openai(gate, "responsesTool")["arguments"]["days"], 42)


def story_openai_other_endpoints(t):
    gate = way(t, "--tokens", "14")
    got = openai(gate, "embeddings")
    same(got["packed"], got["plain"])
    assert "sample-1" in openai(gate, "models")["names"]
    same(openai(gate, "completions")["text"], openai(gate, "responsesStream")["final"])


def story_openai_errors_retries_and_aborts(t):
    gate = way(t, "--tokens", "500", "--interval-ms", "5")
    got = openai(gate, "error", WRONG_MODEL="nobody")
    same((got["kind"], got["code"]), ("NotFoundError", "model_not_found"))
    same(openai(gate, "error", HEADERS=fault("status=429"))["kind"], "RateLimitError")
    same(openai(gate, "error", HEADERS=fault("status=400"))["kind"], "BadRequestError")
    got = sdk.run(t, "openai.mjs", "error", BASE_URL=gate.url, API_KEY="sk-wrong")
    same((got["kind"], got["status"]), ("AuthenticationError", 401))
    quick = {"x-sample-tokens": "5", "x-sample-fault": "status=503;until-retry=2"}
    same(openai(gate, "error", RETRIES=2, HEADERS=json.dumps(quick))["kind"], None)
    assert openai(gate, "brokenStream", HEADERS=fault("error-after=3"))["kind"]
    assert openai(gate, "brokenStream", HEADERS=fault("cut-after=3"))["kind"]
    abort_is_soon(openai, gate)


def story_anthropic_whole_streamed_and_tools(t):
    gate = way(t, "--tokens", "22")
    got = anthropic(gate, "message")
    same((got["text"], got["stop"]), (WORDS, "end_turn"))
    assert got["requestId"] and got["requestId"] == got["own"], got
    same(anthropic(gate, "message", BEARER=1)["text"], WORDS)
    same(anthropic(gate, "stream")["text"], WORDS)
    same(anthropic(gate, "helper")["joined"], WORDS)
    same(anthropic(gate, "toolStream")["input"], {"city": "use the tool for Oslo", "days": 42})
    assert "You said: sunny in" in anthropic(gate, "toolLoop")["text"]
    same(anthropic(gate, "countTokens")["input_tokens"], got["usage"]["input_tokens"])
    assert "sample-1" in anthropic(gate, "models")["names"]


def story_anthropic_errors_and_aborts(t):
    gate = way(t, "--tokens", "500", "--interval-ms", "5")
    got = anthropic(gate, "error", WRONG_MODEL="nobody")
    same((got["kind"], got["type"]), ("NotFoundError", "not_found_error"))
    got = anthropic(gate, "error", HEADERS=fault("status=529"))
    same((got["status"], got["type"]), (529, "overloaded_error"))
    got = sdk.run(t, "anthropic.mjs", "error", BASE_URL=gate.url, API_KEY="sk-wrong")
    same((got["kind"], got["type"]), ("AuthenticationError", "authentication_error"))
    assert got["requestId"], got
    assert anthropic(gate, "brokenStream", HEADERS=fault("error-after=3"))["kind"]
    assert anthropic(gate, "brokenStream", HEADERS=fault("cut-after=3"))["kind"]
    abort_is_soon(anthropic, gate)
