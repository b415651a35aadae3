"""Control with many of each: what fits one page of the store, or one call's memory, is no bound on what may be there."""

import threading
import time

from lib import proc
from lib.control_role import Control, Node
from lib.stage import eventually, same


def all_of(control, path):
    found, after = [], ""
    while True:
        page = control.get(f"{path}?limit=200{after}")
        found += page["items"]
        if not page["next"]:
            return found
        after = f"&after={page['next']}"


def story_a_gateway_has_more_certificates_than_one_page(t, seconds=300):
    control = Control(t).claim()
    for n in range(11):
        control.made("/services", {"name": f"s{n}", "hosts": [f"h{n}-{i}.example.com" for i in range(95)]})
    node = control.node("gateway", "edge")

    def has_all():
        while len(node.sections.get("certificates", {})) < 1045:
            if not node.receive(60):
                return False
        return True

    assert has_all(), f"{len(node.sections.get('certificates', {}))} certificates"
    hosts = [h for c in node.sections["certificates"].values() for h in c["hosts"]]
    same(len(set(hosts)), 1045, "one for each name")
    control.made("/services", {"name": "last", "hosts": ["last.example.com"]})
    eventually(lambda: node.receive(60) and any(c["hosts"] == ["last.example.com"] for c in node.sections["certificates"].values()), 60,
               "no certificate for the last one")
    time.sleep(1)  # each change looks for names without one: there are none
    same(len(all_of(control, "/certificates")), 1046, "none twice")


def story_many_services_are_one_page_of_an_answer(t, seconds=120):
    control = Control(t).claim()
    agent = control.node("agent", "home")
    for n in range(200):
        control.made("/services", {"name": f"s{n}", "hosts": [f"s{n}.example.com"], "targets": [{"agent": agent.id, "url": "http://localhost:1"}]})
    page = control.get("/services?limit=1000")
    same(len(page["items"]), 200)
    same({len(s["targets"]) for s in page["items"]}, {1})


def story_a_service_has_so_many_targets_and_says_so(t, seconds=180):
    control = Control(t).claim()
    agent, gateway = control.node("agent", "home"), control.node("gateway", "edge")
    made = control.made("/services", {"name": "app", "hosts": ["app.example.com"]})
    for n in range(400):
        control.made(f"/services/{made['id']}/targets", {"agent": agent.id, "url": f"http://server-{n}.a.long.name.of.a.house.example.com:{10000 + n}"})
    a = control.ask("POST", f"/services/{made['id']}/targets", {"agent": agent.id, "url": "http://localhost:1"})
    same(a.status, 409, a)
    assert "another service" in a.json["error"]["message"], a
    # And so many fit what gateways and the agent are told.
    for node in (gateway, agent):
        node.until(lambda n: len(n.sections.get("services", {}).get(made["id"], {}).get("targets", ())) == 400)


def story_what_is_granted_to_all_agents_is_looked_at_for_each(t, seconds=120):
    control = Control(t).claim()
    agents = [control.node("agent", f"home{n}") for n in range(12)]
    control.made("/services", {"name": "app", "hosts": ["app.example.com"],
                               "targets": [{"agent": a.id, "url": "http://localhost:1"} for a in agents]})
    for grants in (True, False):
        a = control.ask("PATCH", "/settings", {"publish_models": grants})
        same((a.status, a.json.get("publish_models")), (200, grants), a)


def story_what_no_document_holds_keeps_nobody_from_being_told(t, seconds=120):
    control = Control(t).claim()
    agent, gateway = control.node("agent", "home"), control.node("gateway", "edge")
    models = {"models": [f"{n:03}" + "m" * 250 for n in range(100)]}
    control.made("/services", {"name": "large", "kind": "llm",
                               "targets": [{"agent": agent.id, "url": f"http://localhost:{n}", "settings": models} for n in (1, 2, 3)]})
    control.made("/services", {"name": "small", "hosts": ["small.example.com"]})

    def names():
        return {s["name"] for s in gateway.sections.get("services", {}).values()}

    gateway.until(lambda n: "small" in names())
    assert "large" not in names() and "item_left_out" in control.text()


def stays(node):
    """Answers pings and takes documents until the channel ends."""
    while node.receive(600):
        pass


def story_a_node_at_rest_costs_little(t, seconds=180):
    """Some 13 KiB each (bench/fleet); here with what the sanitizers put around every piece of memory, and what they give back later."""
    t.measure_memory()
    t.env["ASAN_OPTIONS"] += ":allocator_release_to_os_interval_ms=200"
    control = Control(t).claim()
    token, nodes = control.join_token("agent", uses=1000), []

    def used(count):
        for _ in range(count):
            node = Node(t, control, "agent")
            same(node.join(token).status, 201)
            nodes.append(node.connect())
            threading.Thread(target=stays, args=[node], daemon=True).start()
        eventually(lambda: all(n.have for n in nodes), 60, "not all were told")
        time.sleep(1)  # what comes behind the last answer
        return proc.rss_kib(control.pid)

    before = used(40)  # with what the first of everything takes
    after = used(60)
    eventually(lambda: (proc.rss_kib(control.pid) - before) / 60 < 60, 60, f"{(after - before) / 60:.1f} KiB a node")
    same(sum(n["connected"] for n in control.get("/nodes?limit=1000")["items"]), 100)
