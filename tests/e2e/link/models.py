"""Servers of models beside agents: one catalogue at the gateway, over links."""

import json
import time

from link.joined import house
from lib import sdk
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
    control, gate, agent = house(t, workers=1)
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
    control, gate, agent = house(t, workers=1)
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


def story_every_worker_has_the_catalogue(t, seconds=120):
    control, gate, agent = house(t, workers=2)
    box, key = t.sample("--models", "small"), control.new_key("caller", "use-models")
    pool(control, ("home", box.port))
    eventually(lambda: all(chat(gate, key, "small").status == 200 for _ in range(16)), 20, "a worker does not know it")


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
    control, gate, agent = house(t, workers=1)
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
    control, gate, agent = house(t, workers=1)
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


def found_house(t, **publish):
    """A house whose agent looks for models at a port of this story, and control allows `publish`."""
    port = free_port()
    config = t.folder / "agent.json"
    config.write_text(json.dumps({"agent": {"inference": f"vllm={port}"}}))
    config.chmod(0o600)
    control, gate, agent = house(t, workers=1)
    agent.stop()
    t.programs.remove(agent)
    agent = t.start("finder", [t.sekisho, "agent", "--config", config])
    agent.config_path = config
    return control, gate, agent, port


def offers(control):
    return control.get("/offers")["items"]


def story_what_an_agent_finds_is_published_when_the_owner_says_so(t, seconds=150):
    control, gate, agent, port = found_house(t)
    key = control.new_key("caller", "use-models")
    t.sample("--listen", f"127.0.0.1:{port}", "--models", "small,large")
    eventually(lambda: offers(control), 20, lambda: agent.text()[-3000:])
    one = offers(control)[0]
    same((one["agent"], one["source"], one["state"], one["url"]), ("home", "models", "waiting", f"http://localhost:{port}"))
    same(sorted(one["models"]), ["large", "small"])
    listed(gate, key)  # found, and nobody's yet
    same(control.get("/services")["items"], [])
    node = control.get("/nodes?kind=agent")["items"][0]["id"]
    for wrong in ({"models": "yes"}, {"hosts": ["not a name"]}, {"access": ["all"]}, {"host": []}):
        same(control.ask("PATCH", f"/nodes/{node}", {"settings": {"publish": wrong}}).status, 400, wrong)
    same(control.ask("PATCH", f"/nodes/{node}", {"settings": {"publish": {"models": True}}}).status, 200)
    listed(gate, key, "small", "large")
    service = control.get("/services")["items"][0]
    same((service["name"], service["kind"], sorted(service["models"])), ("home-models", "llm", ["large", "small"]))
    same(offers(control)[0]["state"], "published")
    audit = control.get("/audit")["items"]
    assert [a for a in audit if a["action"] == "offer.apply" and a["source"] == "report"], audit
    # Taken back: gone everywhere.
    same(control.ask("PATCH", f"/nodes/{node}", {"settings": {"publish": None}}).status, 200)
    listed(gate, key)
    same(control.get("/services")["items"], [])
    # For all agents; and a node that is removed takes its own with it.
    same(control.ask("PATCH", "/settings", {"publish_models": True}).status, 200)
    listed(gate, key, "small", "large")
    same(control.ask("DELETE", f"/nodes/{node}").status, 204)
    agent.codes = (0, 7)  # it is told so, and ends
    same(control.get("/services")["items"], [])
    same(agent.wait(), 7)  # sent away, it says so and ends
    t.programs.remove(agent)


def story_found_models_are_published_by_hand(t, seconds=150):
    control, gate, agent, port = found_house(t)
    key = control.new_key("caller", "use-models")
    same(control.ask("POST", "/services", {"name": "gpus", "kind": "llm", "targets": [{"agent": "home"}]}).status, 409)
    same(control.ask("POST", "/services", {"name": "app", "hosts": ["a.example.com"], "targets": [{"agent": "home"}]}).status, 400)
    t.sample("--listen", f"127.0.0.1:{port}", "--models", "small")
    eventually(lambda: offers(control), 20, lambda: agent.text()[-3000:])
    made = control.made("/services", {"name": "gpus", "kind": "llm", "targets": [{"agent": "home"}]})
    same([x["url"] for x in made["targets"]], [f"http://localhost:{port}"])
    listed(gate, key, "small")
    env = {"SEKISHO_SERVER": f"{control.url}#{control.get('/status')['authority_sha256'][:32]}", "SEKISHO_TOKEN": control.key}
    said = t.sekisho_run("service", "list", env=env).stdout
    assert "gpus" in said and "llm" in said and "small" in said, said
    assert "published" in t.sekisho_run("service", "found", env=env).stdout
    same(t.sekisho_run("service", "remove", "gpus", env=env).returncode, 0)
    listed(gate, key)
    same(t.sekisho_run("service", "add", "again", "--llm", "--to", "agent/home", env=env).returncode, 0)
    listed(gate, key, "small")
    same(t.sekisho_run("service", "remove", "again", env=env).returncode, 0)
    same(t.sekisho_run("node", "publish", "home", "--models", env=env).returncode, 0)
    listed(gate, key, "small")


def story_an_agent_that_is_to_look_for_nothing_asks_nobody(t, seconds=90):
    control, gate, agent, port = found_house(t)
    up = t.sample("--listen", f"127.0.0.1:{port}", "--models", "small")
    eventually(lambda: offers(control), 20, lambda: agent.text()[-3000:])
    agent.config_path.write_text(json.dumps({"agent": {"inference": "off"}}))
    agent.process.send_signal(1)
    eventually(lambda: not offers(control), 20, lambda: agent.text()[-3000:])
    before = up.stats()["requests"]
    time.sleep(7)  # twice the time in which it would have asked
    same(up.stats()["requests"] - before, 1)  # ours
    agent.config_path.write_text(json.dumps({"agent": {"inference": "everything"}}))
    agent.process.send_signal(1)
    eventually(lambda: "agent.inference" in agent.text(), 10, "a word that is none was not refused")
