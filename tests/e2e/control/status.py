"""sekisho status for a fleet: who is there, who is behind, links, health, and what is wrong."""

import json
import re

from lib.control_role import Control, Node
from lib.stage import eventually, same


def owned(t):
    """A control whose owner is the person of the story."""
    control = Control(t)
    link = eventually(lambda: re.findall(r"sekisho login '([^']+)'", control.text()), 10, "no link")[-1]
    same(t.sekisho_run("login", link).returncode, 0)
    control.key = json.loads((t.folder / ".config" / "sekisho" / "client.json").read_text())["token"]
    t.secrets.append(control.key)
    return control


def status(t, *args, code=0):
    done = t.sekisho_run("status", *args)
    same(done.returncode, code, done.stdout + done.stderr)
    return done.stdout


def problems(t):
    return [p["text"] for p in json.loads(status(t, "--json"))["problems"]]


def up_to_date(control, *nodes):
    """Each node of the story takes what there is for it."""
    for node in nodes:
        node.until(lambda n: n.have and n.have["version"] >= control.get(f"/nodes/{n.id}")["wanted_version"], 20)


def report(**more):
    return {"type": "report", "links": [], "health": [], "models": [], "addresses": [],
            "versions": {"program": "sekisho/story", "system": "Linux"}, **more}


def story_links_health_and_who_is_behind(t):
    control = owned(t)
    assert "there is no gateway" in status(t)
    gateway, agent = control.node("gateway", "edge"), control.node("agent", "home")
    made = control.made("/services", {"name": "app", "hosts": ["app.example.com"],
                                      "targets": [{"agent": "home", "url": "http://localhost:8080"}]})
    target = made["targets"][0]["id"]
    gateway.until(lambda n: n.sections.get("services"))
    agent.until(lambda n: n.sections.get("services"))
    agent.say(report(links=[{"peer": gateway.id, "up": 2, "wanted": 2, "detail": ""}],
                     health=[{"target": target, "up": True, "detail": ""}]))
    gateway.say(report(addresses=["203.0.113.7:443"]))
    eventually(lambda: "target   home  http://localhost:8080  up" in status(t), 20, lambda: status(t))
    eventually(lambda: "203.0.113.7:443" in status(t), 20, lambda: status(t))
    eventually(lambda: up_to_date(control, gateway, agent) or problems(t) == [], 20, lambda: status(t))
    text = status(t)
    for line in (r"^gateway +edge  connected from 127\.0\.0\.1", r"^  link     home → edge  2 of 2 up$",
                 r"^service    app  http  app\.example\.com  public$", "2 of 2 nodes connected", "nothing is wrong"):
        assert re.search(line, text, re.M), (line, text)
    # Half a link, and a target that is down.
    agent.say(report(links=[{"peer": gateway.id, "up": 0, "wanted": 2, "detail": "refused"}],
                     health=[{"target": target, "up": False, "detail": "no answer"}]))
    eventually(lambda: "home has 0 of 2 links to edge: refused" in problems(t), 20, lambda: status(t))
    assert "app: http://localhost:8080 at home is down: no answer" in problems(t)
    assert "app has no target that is up" in problems(t)
    gateway.say(report(addresses=["203.0.113.7:443"], problems=["0.0.0.0:22 cannot be listened on"]))
    eventually(lambda: "gateway edge: 0.0.0.0:22 cannot be listened on" in problems(t), 20, lambda: status(t))
    # One that is away, and what it misses.
    agent.close()
    eventually(lambda: any("agent home is not connected" in p for p in problems(t)), 20, lambda: status(t))
    assert "AGENT AWAY" in status(t)
    whole = json.loads(status(t, "--json"))
    same(sorted(whole), ["control", "nodes", "problems", "services"])
    same({n["name"] for n in whole["nodes"]}, {"edge", "home"})


def story_control_as_a_target(t):
    """It needs no agent, so none is away."""
    control = owned(t)
    control.made("/services", {"name": "api", "hosts": ["api.example.com"], "targets": [{"url": "control"}]})
    assert re.search(r"target +control +asked by each gateway itself", status(t)), status(t)
    same([p for p in problems(t) if "api" in p], [])


def story_a_node_that_refused_is_behind(t):
    control = owned(t)
    gateway = control.node("gateway", "edge")
    gateway.apply = lambda message: gateway.say({"type": "refused", "epoch": (message.get("document") or message.get("header"))["epoch"],
                                                 "version": (message.get("document") or message.get("header"))["version"],
                                                 "reason": "the story says so"})
    control.made("/services", {"name": "app", "hosts": ["app.example.com"], "targets": []})
    gateway.receive(10)
    eventually(lambda: any(re.search(r"gateway edge is \d+ versions? behind", p) for p in problems(t)), 20, lambda: status(t))
    assert "app has no target: it answers 503" in problems(t)


def story_one_that_waits_for_approval(t):
    control = owned(t)
    node = Node(t, control, "gateway", "edge")
    same(node.join(control.join_token("gateway", approval=True)).status, 201)
    assert any("edge waits to be let in" in p for p in problems(t)), status(t)


def story_which_one_is_meant(t):
    gate = t.gateway(providers={"home": {"kind": "openai", "baseUrl": t.sample().url + "/v1"}})
    assert "upstream" in status(t, "--config", gate.config_path) or "worker" in status(t, "--config", gate.config_path)
    control = owned(t)
    up_to_date(control, control.node("gateway", "edge"))
    assert re.search(r"^control ", status(t), re.M)
    assert re.search(r"^worker ", status(t, "--config", gate.config_path), re.M)  # a file or an address: the one here
    control.stop()
    t.programs.remove(control)
    same("nobody answers" in t.sekisho_run("status").stderr, True)
    status(t, code=6)
