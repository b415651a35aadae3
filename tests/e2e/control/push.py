"""From an edit to the nodes: each is told what is its own, as a difference, and acknowledged versions are shown."""

import base64
import time

from lib.control_role import Control
from lib.stage import eventually, same


def add_app(control, agent, **more):
    return control.made("/services", {"name": "app", "hosts": ["app.example.com"],
                                      "targets": [{"agent": agent.name, "url": "http://localhost:8080"}], **more})


def story_a_service_reaches_every_gateway_and_its_own_agent_only(t):
    control = Control(t).claim()
    gateways = [control.node("gateway") for _ in range(2)]
    home, other = control.node("agent", "home"), control.node("agent", "other")
    made = add_app(control, home, access={"kind": "token", "allowed_ips": ["10.0.0.0/8"]}, settings={"timeouts": {"total": "5s"}})
    target = made["targets"][0]["id"]
    for g in gateways:
        g.until(lambda n: made["id"] in n.sections.get("services", {}) and n.sections.get("certificates"))
        item = g.sections["services"][made["id"]]
        same(item, {"name": "app", "kind": "http", "hosts": ["app.example.com"], "path": "/", "listen": [],
                    "access": {"kind": "token", "allowedIps": ["10.0.0.0/8"]},
                    "targets": [{"id": target, "agent": home.id, "weight": 1}], "settings": {"timeouts": {"total": "5s"}}})
        # A certificate of control's authority, its key sealed to this gateway: 48 bytes around a PEM.
        certificate = next(iter(g.sections["certificates"].values()))
        same(certificate["hosts"], ["app.example.com"])
        assert b"PRIVATE" not in base64.b64decode(certificate["key"])
    chains = {next(iter(g.sections["certificates"].values()))["chain"] for g in gateways}
    same(len(chains), 2)  # each has a key of its own
    home.until(lambda n: made["id"] in n.sections.get("services", {}))
    same(home.sections["services"][made["id"]], {"name": "app", "kind": "http", "targets": {target: {"url": "http://localhost:8080", "health": {}}}})
    time.sleep(0.3)
    control.made("/join-tokens", {"kind": "agent"})  # no document changes by it
    assert not other.sections.get("services")
    # Changed, disabled, removed.
    same(control.ask("PATCH", f"/services/{made['id']}", {"hosts": ["app.example.com", "www.example.com"]}).status, 200)
    gateways[0].until(lambda n: len(n.sections["services"][made["id"]]["hosts"]) == 2)
    same(control.ask("PATCH", f"/services/{made['id']}", {"enabled": False}).status, 200)
    home.until(lambda n: not n.sections.get("services"))
    same(control.ask("DELETE", f"/services/{made['id']}").status, 204)
    gateways[1].until(lambda n: not n.sections.get("services") and not n.sections.get("certificates"))


def story_edits_travel_as_differences(t):
    control = Control(t).claim()
    gateway, agent = control.node("gateway"), control.node("agent", "home")
    gateway.until(lambda n: agent.id in n.sections.get("agents", {}))
    version = gateway.header["version"]
    add_app(control, agent)
    message = gateway.receive()
    same(message["type"], "change")
    assert "services" in message["set"] and "agents" not in message["set"], message
    assert message["header"]["version"] > version
    # A node that comes back with what it has is told nothing it knows; after a restart of control only the number.
    gateway.until(lambda n: n.sections.get("certificates"))
    eventually(lambda: (n := control.get(f"/nodes/{gateway.id}")) and n["version"] == n["wanted_version"], 10, "not applied")
    control.stop()
    again = Control(t, "control-again", control.port)
    again.key = control.key
    gateway.control = again
    gateway.connect()
    change = gateway.hear("change")
    same((change["set"], change["remove"]), ({}, {}))
    assert change["header"]["epoch"] > 1
    # One that asks for the whole gets it; one that refuses is left with what it had.
    gateway.say({"type": "resync"})
    same(gateway.hear("document")["hash"], gateway.have["hash"])


def story_fifty_edits_are_gathered(t):
    control = Control(t).claim()
    gateway, agent = control.node("gateway"), control.node("agent", "home")
    gateway.until(lambda n: agent.id in n.sections.get("agents", {}))
    for i in range(50):
        control.made("/services", {"name": f"s{i}", "hosts": [f"s{i}.example.com"], "targets": [{"agent": "home", "url": "http://localhost:1"}]})
    count = 0
    while len(gateway.sections.get("services", {})) < 50:
        assert gateway.receive()
        count += 1
    assert count < 110, count
    before = gateway.header["version"]
    begin = time.monotonic()
    control.made("/services", {"name": "last", "hosts": ["last.example.com"]})
    gateway.until(lambda n: len(n.sections["services"]) == 51)
    assert gateway.header["version"] > before
    print(f"one edit applied after {time.monotonic() - begin:.3f} s")


def story_shares_end_with_who_made_them(t):
    control = Control(t).claim()
    gateway, agent = control.node("gateway"), control.node("agent", "home")
    agent.say({"type": "share", "ref": 1, "kind": "http", "url": "http://localhost:3000", "host": ""})
    assert "domain" in agent.hear("error")["text"]
    control.made("/domains", {"name": "example.com", "wildcard": True})
    agent.say({"type": "share", "ref": 2, "kind": "http", "url": "http://localhost:3000", "host": ""})
    shared = agent.hear("shared")
    same(shared["ref"], 2)
    assert shared["host"].endswith(".example.com") and shared["url"] == f"https://{shared['host']}"
    gateway.until(lambda n: any(s["hosts"] == [shared["host"]] for s in n.sections.get("services", {}).values()))
    agent.say({"type": "unshare", "ref": 3, "id": shared["id"]})
    agent.hear("unshared")
    gateway.until(lambda n: not n.sections.get("services"))
    # By the API; another agent cannot end it.
    made = control.made("/shares", {"agent": "home", "url": "http://localhost:3000", "host": "demo.example.com"})
    same(made["public_url"], "https://demo.example.com")
    same(control.ask("POST", "/shares", {"agent": "home", "url": "http://localhost:3000", "host": "demo.example.com"}).status, 400)
    other = control.node("agent", "other")
    other.say({"type": "unshare", "ref": 1, "id": made["id"]})
    other.hear("unshared")
    same(len(control.get("/shares")["items"]), 1)
    same(control.ask("POST", f"/shares/{made['id']}/touch").status, 204)
    same(control.ask("DELETE", f"/shares/{made['id']}").status, 204)
    same(control.get("/services")["items"], [])


def story_an_uploaded_certificate_is_sealed_for_each_gateway(t):
    control = Control(t).claim()
    gateway = control.node("gateway")
    cert, key = t.certs().issue("app.example.com")
    chain, private = open(cert).read(), open(key).read()
    other = t.certs().issue("other.example.com")[1]
    same(control.ask("POST", "/certificates", {"chain": chain, "key": open(other).read()}).status, 400)
    made = control.made("/certificates", {"chain": chain, "key": private})
    same(made["gateways"], [gateway.id])
    assert "key" not in made and "PRIVATE" not in control.ask("GET", "/certificates").text
    gateway.until(lambda n: made["id"] in n.sections.get("certificates", {}))
    blob = b"".join(p.read_bytes() for p in (t.folder / "control-state").glob("control.db*"))
    assert b"PRIVATE KEY" not in blob


def story_a_gateway_that_joins_later_gets_an_uploaded_certificate(t):
    from control.status import owned, problems
    control = owned(t)
    first = control.node("gateway", "first")
    pair = [open(x).read() for x in t.certs().issue("app.example.com")]
    body = {"chain": pair[0], "key": pair[1]}
    made = control.made("/certificates", body)
    first.until(lambda n: made["id"] in n.sections.get("certificates", {}))
    sealed = first.sections["certificates"][made["id"]]["key"]
    same(control.ask("POST", "/certificates", body).status, 409)
    later = control.node("gateway", "later")

    def lacks():
        return any("later lacks the uploaded certificate" in text for text in problems(t))

    assert lacks(), problems(t)
    other = open(t.certs().issue("x.example.com")[1]).read()
    same(control.ask("POST", "/certificates", {**body, "key": other}).status, 400)
    again = control.made("/certificates", body)
    same((again["id"], sorted(again["gateways"])), (made["id"], sorted([first.id, later.id])))
    later.until(lambda n: made["id"] in n.sections.get("certificates", {}))
    assert later.sections["certificates"][made["id"]]["key"] != sealed
    first.say({"type": "resync"})
    first.hear("document")
    same(first.sections["certificates"][made["id"]]["key"], sealed)
    assert not lacks()
    same(control.ask("POST", "/certificates", body).status, 409)
    same([x["action"] for x in control.get("/audit?action=certificate.seal")["items"]], ["certificate.seal"])


def story_keys_for_services_reach_gateways_as_hashes(t):
    import hashlib
    control = Control(t).claim()
    gateway = control.node("gateway")
    same(control.ask("POST", "/api-keys", {"name": "both", "scopes": ["use", "read"]}).status, 400)
    made = control.made("/api-keys", {"name": "visitor", "scopes": ["use"]})
    t.secrets.append(made["key"])
    assert made["key"].startswith("sk-")
    gateway.until(lambda n: made["id"] in n.sections.get("tokens", {}))
    same(gateway.sections["tokens"][made["id"]], {"name": "visitor", "sha256": hashlib.sha256(made["key"].encode()).hexdigest(),
                                                  "scopes": ["token"], "expires": 0})
    same(control.ask("GET", "/status", key=made["key"]).status, 401)
    same(control.ask("DELETE", f"/api-keys/{made['id']}").status, 204)
    gateway.until(lambda n: not n.sections.get("tokens"))
