"""Links through the lives of what they connect: reloads, upgrades, deaths of an agent, a worker, a gateway."""

import os
import signal
import time

from gateway.reload import Load
from gateway.upgrade import Line
from lib import links, proc, wire
from lib.stage import eventually, merge, same


def story_a_reload_of_either_end_loses_nothing(t):
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app"], workers=2)
    agent = links.agent(t, nodes, [gate], {"tg-app": t.sample().url})
    links.links_open(gate, 2)
    load = Load(gate)
    for n in range(6):
        gate.reload(merge(gate.config, {"gateway": {"limits": {"headerLines": 50 + n}}}))
        agent.reload({**agent.config, "gateway": {"limits": {"headerLines": 50 + n}, "auth": False}})
        time.sleep(0.1)
    load.stop()
    assert load.asked > 100 and not load.wrong, (load.asked, load.wrong[:5])
    same(len(agent.events("link_open")), 2, "links made")


def story_a_reload_changes_services_and_gateways_by_their_differences(t):
    nodes = links.Nodes(t)
    one = links.gateway(t, nodes, ["ag-one/tg-app"], name="gw-one", workers=1)
    two = links.gateway(t, nodes, ["ag-one/tg-new"], name="gw-two", workers=1)
    app = t.sample()
    agent = links.agent(t, nodes, [one], {"tg-app": app.url})
    links.links_open(one, 1)
    more = {**agent.config, "upstreams": {"app": {"targets": [app.url]}},
            "agent": {**agent.config["agent"], "services": {"tg-new": "app"},
                      "gateways": [f"127.0.0.1:{one.tls_port}", f"127.0.0.1:{two.tls_port}"]}}
    same(agent.reload(more)["event"], "config_applied")
    links.links_open(two, 1)
    same(two.get("/bytes/3", token=False).status, 200)
    same(one.get("/bytes/3", token=False).status, 502)  # tg-app is offered no more
    same(len(agent.events("link_open")), 2, "the first link stayed")
    same(agent.reload({**more, "agent": {**more["agent"], "gateways": [f"127.0.0.1:{two.tls_port}"]}})["event"], "config_applied")
    links.links_open(one, 0)
    same(two.get("/bytes/3", token=False).status, 200)
    same(agent.reload({**more, "agent": {**more["agent"], "services": {"tg-new": "nobody"}}})["event"], "config_reload_refused")
    same(two.get("/bytes/3", token=False).status, 200)


def story_an_upgrade_of_the_gateway_loses_nothing(t):
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app"], workers=2, drainTimeout="20s")
    links.agent(t, nodes, [gate], {"tg-app": t.sample().url})
    links.links_open(gate, 2)
    line, load = Line(gate), Load(gate)
    for _ in range(3):
        same(line.upgrade()["event"], "upgrade_done")
        time.sleep(1)
    load.stop()
    assert load.asked > 100 and not load.wrong, (load.asked, load.wrong[:5])
    line.end()


def story_a_killed_agent_costs_less_than_a_second(t):
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app", "ag-two/tg-app"], workers=1, upstream={"retries": 2})
    app = t.sample()
    one = links.agent(t, nodes, [gate], {"tg-app": app.url}, name="ag-one")
    links.agent(t, nodes, [gate], {"tg-app": app.url}, name="ag-two")
    links.links_open(gate, 2)
    load = Load(gate)
    time.sleep(0.5)
    os.kill(one.pid, signal.SIGKILL)
    t.programs.remove(one)
    one.process.wait()
    time.sleep(1.5)
    load.stop()
    assert load.asked > 100 and not load.wrong, (load.asked, load.wrong[:5])  # all of them are safe to repeat
    same(gate.post("/echo", "x", token=False).status, 200)
    links.links_open(gate, 1)


def story_a_frozen_agent_is_found_dead_within_three_seconds(t):
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app"], workers=1, upstream={"retries": 0})
    agent = links.agent(t, nodes, [gate], {"tg-app": t.sample().url})
    links.links_open(gate, 1)
    same(gate.get("/bytes/3", token=False).status, 200)
    os.kill(agent.pid, signal.SIGSTOP)
    try:
        time.sleep(1.1)
        begin = time.monotonic()
        answer = gate.get("/bytes/3", token=False, timeout=20)
        took = time.monotonic() - begin
    finally:
        os.kill(agent.pid, signal.SIGCONT)
    assert answer.status in (502, 503, 504), answer
    assert took < 8, took  # dead after 3 s, then a link is waited for 3 s
    closed = [x for x in gate.lines() if x.get("event") == "link_closed"]
    assert closed, "the link was not given up"
    links.links_open(gate, 1)
    eventually(lambda: gate.get("/bytes/3", token=False).status == 200, 10, "it did not come back")


def story_a_frozen_agent_of_two_costs_time_and_no_request(t):
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app", "ag-two/tg-app"], workers=1)
    app = t.sample()
    one = links.agent(t, nodes, [gate], {"tg-app": app.url}, name="ag-one")
    links.agent(t, nodes, [gate], {"tg-app": app.url}, name="ag-two")
    links.links_open(gate, 2)
    load = Load(gate)
    time.sleep(0.5)
    os.kill(one.pid, signal.SIGSTOP)
    try:
        eventually(lambda: any(x.get("event") == "link_closed" for x in gate.lines()), 10, "the link was not given up")
        time.sleep(0.5)
    finally:
        os.kill(one.pid, signal.SIGCONT)
    load.stop()
    assert load.asked > 100 and not load.wrong, (load.asked, load.wrong[:5])


def story_a_killed_worker_gets_its_link_back(t):
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app"], workers=2)
    links.agent(t, nodes, [gate], {"tg-app": t.sample().url})
    links.links_open(gate, 2)
    for _ in range(3):
        before = len([x for x in gate.lines() if x.get("event") == "worker_back"])
        workers = [p for p in proc.tree(gate.pid) if p != gate.pid and proc.is_alive(p)]
        os.kill(workers[0], signal.SIGKILL)
        eventually(lambda b=before: len([x for x in gate.lines() if x.get("event") in ("worker_back", "key_holder_back")]) > b,
                   15, "it is not replaced")
        eventually(lambda: gate.metrics().get("sekisho_links") == 2, 15, "the links did not come back")
        for _ in range(10):
            try:
                same(gate.get("/bytes/3", token=False).status, 200)
            except (OSError, wire.Lost):
                pass


def story_a_killed_gateway_is_served_again_when_it_is_back(t):
    nodes = links.Nodes(t)
    one = links.gateway(t, nodes, ["ag-one/tg-app"], name="gw-one", workers=1)
    two = links.gateway(t, nodes, ["ag-one/tg-app"], name="gw-two", workers=1)
    links.agent(t, nodes, [one, two], {"tg-app": t.sample().url})
    links.links_open(one, 1)
    links.links_open(two, 1)
    one.kill()
    t.programs.remove(one)
    same(two.get("/bytes/3", token=False).status, 200)
    again = t.start("again", [t.sekisho, "gateway", "--config", one.config_path])
    again.port, again.admin, again.token = one.port, one.admin, one.token
    eventually(lambda: _status(one) == 200, 15, "it is not served again")


def _status(gate):
    try:
        return wire.get(gate.port, "/bytes/3").status
    except (OSError, wire.Lost):
        return None


def story_a_flapping_agent_leaves_nothing_behind(t, seconds=180):
    t.measure_memory()
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app"], workers=1)
    app = t.sample()
    cert = nodes.node("agent", "ag-one")

    def one_life(n):
        agent = links.agent(t, nodes, [gate], {"tg-app": app.url}, cert=cert)
        links.links_open(gate, 1)
        if n % 10 == 0:
            same(gate.get("/bytes/3", token=False).status, 200)
        t.programs.remove(agent)
        (agent.kill if n % 2 else agent.stop)()
        links.links_open(gate, 0)

    for n in range(10):
        one_life(n)
    before = sum(proc.rss_kib(p) for p in proc.tree(gate.pid)), sum(proc.fds_count(p) for p in proc.tree(gate.pid))
    for n in range(100 if t.is_slow else 30):
        one_life(n)
    after = sum(proc.rss_kib(p) for p in proc.tree(gate.pid)), sum(proc.fds_count(p) for p in proc.tree(gate.pid))
    # The sanitizer keeps what was freed for a while, and remembers who asked for it; what leaks would grow without end.
    assert after[0] < before[0] * 1.3 + 4096 and after[1] <= before[1], (before, after)


def story_a_slow_reader_blocks_nobody_else(t):
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app"], workers=1)
    links.agent(t, nodes, [gate], {"tg-app": t.sample().url})
    links.links_open(gate, 1)
    slow = [gate.conn() for _ in range(30)]
    for c in slow:
        c.send(wire.request_bytes("GET", "/bytes/20000000"))  # and nobody reads
    time.sleep(1)
    begin = time.monotonic()
    for _ in range(20):
        a = gate.get("/bytes/100000", token=False)
        same((a.status, len(a.body)), (200, 100000))
    assert time.monotonic() - begin < 10
    for c in slow:
        c.close()
