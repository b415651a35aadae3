"""An agent that comes and goes a hundred times, and links that do: nothing is left behind anywhere."""


from lib.fleet import Cable, Fleet, holdings, killed, visit
from lib.stage import eventually, same


def is_up(fleet, name="home"):
    return fleet.node(name)["connected"]


def settled(gate, links):
    eventually(lambda: gate.metrics().get("sekisho_links") == links, 20, lambda: f"{gate.metrics().get('sekisho_links')} links:\n{gate.text()[-2000:]}")


def still(before, after, what):
    """What leaks grows without end; the sanitizer remembers for a while what was freed."""
    assert after[0] < before[0] * 1.3 + 8192, f"{what}: {before[0]} KiB before, {after[0]} after"
    assert after[1] <= before[1] + 2, f"{what}: {before[1]} descriptors before, {after[1]} after"


def story_an_agent_killed_and_started_a_hundred_times(t, seconds=400):
    t.measure_memory()
    fleet = Fleet(t)
    gate, app = fleet.gates[0], t.sample()
    fleet.publish({"home": app.url})

    def one_life(n):
        agent = fleet.agents["home"]
        if n % 2:
            killed(t, agent)
        else:
            agent.stop()
            t.programs.remove(agent)
        settled(gate, 0)
        if n % 10 == 0:  # no route to where nobody is: said, after the time an agent is waited for
            eventually(lambda: visit(gate) in (502, 503), 20, lambda: f"{visit(gate)} from an agent that is away")
            eventually(lambda: not is_up(fleet), 30, "control thinks it is there")
        fleet.agents["home"] = agent.again()
        settled(gate, 1)
        same(visit(gate), 200)

    for n in range(15):
        one_life(n)
    eventually(lambda: is_up(fleet), 30, "it did not come back")
    before = holdings(gate), holdings(fleet.control)
    for n in range(100):
        one_life(n)
    eventually(lambda: is_up(fleet), 30, "it did not come back")
    still(before[0], holdings(gate), "the gateway")
    still(before[1], holdings(fleet.control), "control")
    same(len(fleet.nodes("agent")), 1)
    node = fleet.node("home")
    eventually(lambda: (f := fleet.node("home")) and f["version"] == f["wanted_version"], 20, node)


def story_links_cut_a_hundred_times(t, seconds=300):
    t.measure_memory()
    fleet = Fleet(t, agents=())
    gate, app = fleet.gates[0], t.sample()
    cable = Cable(gate.tls_port)
    node = fleet.node("edge0")
    same(fleet.control.ask("PATCH", f"/nodes/{node['id']}", {"settings": {"addresses": [f"127.0.0.1:{cable.port}"]}},
                           headers={"If-Match": fleet.control.ask("GET", f"/nodes/{node['id']}").headers["etag"]}).status, 200)
    from lib.fleet import Agent
    agent = fleet.agents["home"] = Agent(t, "home", t.folder / "state-home", fleet.control.join_token("agent"))
    eventually(lambda: fleet.node("home"), 20, "it did not join")
    fleet.publish({"home": app.url})

    def one_cut(n):
        count = len([x for x in gate.lines() if x.get("event") == "link_closed"]) if n % 10 == 0 else None
        cable.drop()
        if count is not None:
            eventually(lambda: len([x for x in gate.lines() if x.get("event") == "link_closed"]) > count, 20, "the gateway does not notice")
        eventually(lambda: cable.pairs, 20, "it does not dial again")
        eventually(lambda: visit(gate) == 200, 20, lambda: f"{visit(gate)}:\n{gate.text()[-2000:]}")

    for n in range(15):
        one_cut(n)
    settled(gate, 1)
    before = holdings(gate), holdings(agent), holdings(fleet.control)
    for n in range(100):
        one_cut(n)
    settled(gate, 1)
    still(before[0], holdings(gate), "the gateway")
    still(before[1], holdings(agent), "the agent")
    still(before[2], holdings(fleet.control), "control")
    # A wire that stays cut: no route is left that looks like one.
    cable.cut()
    settled(gate, 0)
    eventually(lambda: visit(gate) in (502, 503), 20, lambda: visit(gate))
    cable.mend()
    eventually(lambda: visit(gate) == 200, 60, lambda: agent.text()[-2000:])
    cable.close()
    settled(gate, 0)
