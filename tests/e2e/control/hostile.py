"""What a node that has fallen can do at control: nothing to others' services, names, routes, and little to control itself."""

import json
import time

from lib.control_role import Control
from lib.stage import eventually, same


def fleet(t):
    control = Control(t).claim()
    control.made("/domains", {"name": "example.com", "wildcard": True})
    gateway, victim, mallory = control.node("gateway", "edge"), control.node("agent", "victim"), control.node("agent", "mallory")
    made = control.made("/services", {"name": "app", "hosts": ["app.example.com"], "access": {"kind": "public"},
                                      "targets": [{"agent": "victim", "url": "http://localhost:8080"}]})
    gateway.until(lambda n: made["id"] in n.sections.get("services", {}) and mallory.id in n.sections.get("agents", {}))
    victim.until(lambda n: made["id"] in n.sections.get("services", {}))
    return control, gateway, victim, mallory, made


def item(node, section, i):
    return json.dumps(node.sections[section][i], sort_keys=True)


def fence(control, *nodes):
    """What was said before has come through: each node is told of a service made now, and has heard everything before it."""
    mark = control.made("/services", {"name": f"mark{time.monotonic_ns()}", "hosts": [f"m{time.monotonic_ns()}.example.com"],
                                      "targets": [{"agent": "victim", "url": "http://localhost:1"}]})["id"]
    for n in nodes:
        n.until(lambda x: mark in x.sections.get("services", {}))


def story_a_node_speaks_for_nobody_else(t, seconds=90):
    control, gateway, victim, mallory, made = fleet(t)
    target = made["targets"][0]["id"]
    before = item(gateway, "services", made["id"]), item(gateway, "agents", victim.id), item(victim, "services", made["id"])
    # Reports of another's target, of links and addresses it has not, of models at another's service.
    for harm in ({"health": [{"target": target, "up": False, "detail": "down"}]},
                 {"links": [{"peer": gateway.id, "up": 99, "wanted": 1, "detail": ""}]},
                 {"addresses": ["203.0.113.66:443", "10.0.0.1:443"]},
                 {"models": [{"target": target, "names": ["gpt-mallory"]}]},
                 {"node": victim.id, "id": victim.id, "peer": victim.id}):
        mallory.say({"type": "report", "links": [], "health": [], "models": [], "addresses": [], "versions": {}, **harm})
    # Words that only control says, and acknowledgements of what it was never sent.
    for harm in ({"type": "document", "document": {"node": victim.id}, "hash": "00" * 32, "signature": ""},
                 {"type": "gone", "reason": "removed"}, {"type": "welcome", "program": "x", "epoch": 99, "heartbeat": 1},
                 {"type": "shared", "ref": 1, "id": "sh-x", "host": "app.example.com", "url": ""},
                 {"type": "applied", "epoch": 1, "version": 2 ** 50, "hash": "00" * 32, "items": "00" * 32, "issued": 1}):
        mallory.say(harm)
    # Names that are another's, or nobody's of ours; targets that are no address of a service; ends of another's share.
    mallory.close()
    mallory.connect()
    for ref, (host, url) in enumerate((("app.example.com", "http://localhost:1"), ("APP.example.com", "http://localhost:1"),
                                       ("app.example.com.", "http://localhost:1"), ("victim.invalid/../x", "http://localhost:1"),
                                       ("ok.example.com", "javascript:alert(1)"), ("ok.example.com", "file:///etc/passwd"),
                                       ("ok.example.com", "http://a b"), ("x" * 60 + ".org", "http://localhost:1"),
                                       ("elsewhere.net", "http://localhost:1"), ("example.com", "http://localhost:1")), 1):
        mallory.say({"type": "share", "ref": ref, "kind": "http", "url": url, "host": host})
        same(mallory.hear("error")["ref"], ref, (host, url))
    victim.say({"type": "share", "ref": 1, "kind": "http", "url": "http://localhost:3000", "host": ""})
    share = victim.hear("shared")
    mallory.say({"type": "unshare", "ref": 50, "id": share["id"]})
    mallory.hear("unshared")
    same([s["id"] for s in control.get("/shares")["items"]], [share["id"]])
    fence(control, gateway, victim)
    same((item(gateway, "services", made["id"]), item(gateway, "agents", victim.id), item(victim, "services", made["id"])), before)
    assert not mallory.sections.get("services"), mallory.sections
    same({n["name"]: n["connected"] for n in control.get("/nodes")["items"]}, {"edge": True, "victim": True, "mallory": True})
    assert "203.0.113.66" not in json.dumps([gateway.sections, victim.sections]), "an agent's word became an address"


def story_a_flood_of_one_node_leaves_control_to_the_others(t, seconds=120):
    control, gateway, victim, mallory, made = fleet(t)

    def flood(node, messages):
        """Says them all, or so many that the channel was closed on it."""
        for m in messages:
            try:
                node.say(m)
            except OSError:
                break  # sent away: that is an answer, too

    for more in ({"type": "share", "kind": "http", "url": "http://localhost:1", "host": ""}, {"type": "renew"}):
        flood(mallory, ({"ref": n, **more} for n in range(3000)))
        begin = time.monotonic()
        same(control.get("/me")["name"], "owner")
        name = f"during-{more['type']}"
        control.made("/services", {"name": name, "hosts": [f"{name}.example.com"], "targets": [{"agent": "victim", "url": "http://localhost:1"}]})
        print(f"a change beside three thousand of {more['type']}: {time.monotonic() - begin:.2f} s")
        gateway.until(lambda n: any(s["name"] == name for s in n.sections["services"].values()))
        eventually(lambda: said(control, "node_too_many_messages"), 10, "nothing is said of it")
        assert mallory.is_closed(), "three thousand requests at once are not too many"
        mallory.close()
        mallory.connect()
    count = len(control.get("/shares?limit=1000")["items"])
    assert count <= 64, f"{count} shares of one node"
    other = control.node("agent", "other")
    report = {"type": "report", "links": [], "health": [], "models": [], "addresses": [], "versions": {}}
    flood(other, ({**report, "addresses": [str(n)]} for n in range(20000)))
    assert other.is_closed(), "twenty thousand reports at once are not too many"
    flood(victim, ({"type": "resync"} for n in range(300)))  # as many as an honest one never says, and no more than it may
    same(victim.hear("document")["document"]["node"], victim.id)
    same(control.get("/me")["name"], "owner")
    assert len(control.lines()) < 3000, len(control.lines())


def said(control, event):
    return [x for x in control.lines() if x.get("event") == event]


def story_a_report_has_a_bound(t):
    control, gateway, victim, mallory, made = fleet(t)
    report = {"type": "report", "links": [], "health": [], "models": [], "versions": {}}
    mallory.say({**report, "addresses": ["a" * 100] * 2000})
    if mallory.is_closed(2):
        mallory.close()
        mallory.connect()
    mallory.say({**report, "addresses": ["kept"]})
    eventually(lambda: (control.get(f"/nodes/{mallory.id}").get("report") or {}).get("addresses") == ["kept"], 20,
               lambda: control.get(f"/nodes/{mallory.id}"))


def story_a_node_cannot_be_another(t, seconds=90):
    """Who comes is what the certificate says, and nothing in what is said; a place kept from before, or a future one, is no claim."""
    control, gateway, victim, mallory, made = fleet(t)
    mallory.close()
    mallory.connect(hello=False)
    mallory.say({"type": "hello", "program": "story/1", "format": 1, "have": victim.have, "node": victim.id, "id": victim.id})
    same(mallory.hear("welcome")["type"], "welcome")
    message = mallory.hear_of("document", "change")
    same((message.get("document") or message["header"])["node"], mallory.id)
    for have in ({**mallory.have, "version": 2 ** 40}, {**mallory.have, "epoch": 2 ** 40}, {**mallory.have, "hash": "00" * 32, "items": "00" * 32}):
        mallory.close()
        mallory.have = have
        mallory.connect()
        message = mallory.hear_of("document", "change")
        same((message.get("document") or message["header"])["node"], mallory.id)
        assert not mallory.sections.get("services"), mallory.sections
    # Removed, it is told so and nothing else, however long its certificate still holds.
    assert control.ask("DELETE", f"/nodes/{mallory.id}").status in (200, 204)
    assert mallory.is_closed()
    gateway.until(lambda n: mallory.id not in n.sections.get("agents", {}))
    for _ in range(2):
        mallory.connect(hello=False)
        mallory.messages = []
        mallory.say({"type": "hello", "program": "story/1", "format": 1, "have": None})
        assert mallory.is_closed()
        same([m["type"] for m in mallory.messages if m["type"] != "welcome"], ["gone"])
