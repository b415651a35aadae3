"""Servers of models beside agents: one catalogue at the gateway, over links."""

import json
import time

from link.joined import house
from lib import sdk, wire
from lib.stage import eventually, free_port, same, within

WORDS = 'This is sample-1, the bundled sample model. You said: Hello "there", é 日本. I count: 1 2 3 4 5 6 7'
HELLO = [{"role": "user", "content": "Hello"}]


def pool(control, *targets, name="gpus"):
    """A service of models with one target each: (agent's name, port)."""
    return control.made("/services", {"name": name, "kind": "llm",
                                      "targets": [{"agent": a, "url": f"http://localhost:{port}"} for a, port in targets]})


def names(gate, key, path="/v1/models"):
    answer = gate.get(path, token=key)
    if answer.status != 200:
        return None
    found = answer.json
    return sorted(m.get("id") or m["name"] for m in found.get("data", found.get("models")))


def listed(gate, key, *wanted, seconds=20, path="/v1/models"):
    """Waits until the catalogue is these; how long it took, in seconds."""
    start = time.monotonic()
    eventually(lambda: names(gate, key, path) == sorted(wanted), seconds,
               lambda: f"wanted {sorted(wanted)}, there is {names(gate, key, path)}:\n{gate.text()[-3000:]}")
    return time.monotonic() - start


def chat(gate, key, model, path="/v1/chat/completions", **more):
    return gate.post(path, {"model": model, "messages": HELLO, "max_tokens": 100, **more}, token=key)


def another_agent(t, control, name):
    agent = t.start(name, [t.sekisho, "agent", "--config", t.folder / "no-such.json", "--join", control.join_token("agent"),
                           "--name", name], env={"SEKISHO_STATE": str(t.folder / f"{name}-state")})
    eventually(lambda: [n for n in control.get("/nodes?kind=agent")["items"] if n["name"] == name], 20, "the agent did not join")
    return agent


def story_models_beside_an_agent_are_in_the_catalogue(t, seconds=150):
    control, gate, agent = house(t)
    box = t.sample("--models", "small,large", "--tokens", "12")
    key, other = control.new_key("caller", "use-models"), control.new_key("visitor", "use")
    made = pool(control, ("home", box.port))
    same((made["access"]["kind"], made["hosts"]), ("token", []))
    listed(gate, key, "small", "large")
    # Each form of call, whole and as a stream; the tokens are counted.
    same(chat(gate, key, "small").json["usage"]["completion_tokens"], 12)
    assert chat(gate, key, "small", stream=True).text.rstrip().endswith("data: [DONE]")
    eventually(lambda: chat(gate, key, "large", "/v1/messages").status == 200, 10, "Anthropic's form does not get there")
    same(chat(gate, key, "large", "/v1/messages").json["usage"]["output_tokens"], 12)
    listed(gate, key, "small", "large", path="/api/tags")
    whole = chat(gate, key, "small", "/api/chat", stream=False)
    same((whole.status, whole.json["eval_count"]), (200, 12))
    lines = [json.loads(x) for x in chat(gate, key, "small", "/api/chat").text.splitlines()]
    same((lines[-1]["done"], lines[-1]["eval_count"]), (True, 12))
    gate.counted('sekisho_llm_tokens_total{model="small",direction="out"}', 48 - 12)
    # Only a key for models opens them.
    same(gate.get("/v1/models", token=False).status, 401)
    same(gate.get("/v1/models", token=other).status, 403)
    same(chat(gate, key, "nobody").status, 404)
    same(gate.post("/api/chat", {"model": "nobody"}, token=key).json["error"][:10], "This model")


def story_a_model_comes_and_goes_with_its_box(t, seconds=150):
    control, gate, agent = house(t)
    port, key = free_port(), control.new_key("caller", "use-models")
    pool(control, ("home", port))
    for models in ("small", "small,large", "other"):
        box = t.sample("--listen", f"127.0.0.1:{port}", "--models", models)
        listed(gate, key, *models.split(","))
        same(chat(gate, key, models.split(",")[0]).status, 200)
        box.stop()
        t.programs.remove(box)
    listed(gate, key)
    same(chat(gate, key, "other").status, 404)


def story_only_some_of_a_boxs_models_are_offered(t, seconds=120):
    control, gate, agent = house(t, workers=1)
    box, key = t.sample("--models", "small,large,secret"), control.new_key("caller", "use-models")
    body = {"name": "gpus", "kind": "llm", "targets": [{"agent": "home", "url": box.url, "settings": {"models": ["large", "none"]}}]}
    same(control.ask("POST", "/services", {**body, "targets": [{**body["targets"][0], "settings": {"models": "x"}}]}).status, 400)
    control.made("/services", body)
    listed(gate, key, "large")
    same(chat(gate, key, "secret").status, 404)
    for wrong in ({"access": {"kind": "public"}}, {"hosts": ["a.example.com"]}, {"path": "/x"}, {"settings": {"compress": True}}):
        same(control.ask("POST", "/services", {"name": "more", "kind": "llm", **wrong}).status, 400, wrong)


def story_boxes_with_the_same_model_stand_in_for_each_other(t, seconds=200):
    control, gate, agent = house(t)
    other_agent = another_agent(t, control, "attic")
    one, two = t.sample("--models", "small"), t.sample("--models", "small,only-two")
    key = control.new_key("caller", "use-models")
    pool(control, ("home", one.port), ("attic", two.port))
    listed(gate, key, "small", "only-two")

    def asked(box):
        return box.stats()["requests"]

    def both_work():
        before = asked(one), asked(two)
        for _ in range(12):
            same(chat(gate, key, "small").status, 200)
        return asked(one) > before[0] + 2 and asked(two) > before[1] + 2

    eventually(both_work, 20, "one of them is never asked")
    # A server ends: its agent says so, and the other is asked; with the agent, too.
    two.stop()
    t.programs.remove(two)
    for _ in range(12):
        same(chat(gate, key, "small").status, 200)
    listed(gate, key, "small")
    two = t.sample("--listen", f"127.0.0.1:{two.port}", "--models", "small,only-two")
    listed(gate, key, "small", "only-two")
    other_agent.process.kill()
    other_agent.process.wait()
    other_agent.codes = (-9,)
    for _ in range(12):
        same(chat(gate, key, "small").status, 200)
    listed(gate, key, "small", seconds=30)


def story_the_official_sdks_over_a_link(t, seconds=240):
    control, gate, agent = house(t)
    box = t.sample("--tokens", "22")
    key = control.new_key("caller", "use-models")
    pool(control, ("home", box.port))
    listed(gate, key, "sample-1", "sample-small")

    def openai(case, **env):
        return sdk.run(t, "openai.mjs", case, BASE_URL=gate.url, API_KEY=key, **env)

    def anthropic(case, **env):
        return sdk.run(t, "anthropic.mjs", case, BASE_URL=gate.url, API_KEY=key, **env)

    same((openai("chat")["text"], openai("stream")["text"]), (WORDS, WORDS))
    same(sorted(openai("models")["names"])[:2], ["sample-1", "sample-small"])
    same(len(openai("toolLoop")["asked"]), 1)
    eventually(lambda: chat(gate, key, "sample-1", "/v1/messages").status == 200, 10, "Anthropic's form does not get there")
    same(anthropic("message")["text"], WORDS)
    same(anthropic("stream")["text"], WORDS)

    def abort():
        before = box.stats()["aborted"]
        got = openai("abort", HEADERS='{"x-sample-tokens":"500","x-sample-interval-ms":"20"}')
        return box.wait_aborts(before + 1)[-1]["mono_us"] - got["at"]

    within(300_000, abort, "the box knows late that nobody listens, in us", tries=5)
