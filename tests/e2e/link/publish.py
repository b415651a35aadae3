"""A service behind NAT, published through a gateway by an agent that dials out: from configuration files alone."""

from lib import links
from lib.stage import eventually, same


def story_a_request_reaches_a_service_behind_an_agent(t):
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app"], workers=2)
    app = t.sample("--record")
    agent = links.agent(t, nodes, [gate], {"tg-app": app.url})
    links.links_open(gate, 2)
    for n in range(20):
        same(gate.get(f"/bytes/{n * 1000}", token=False).status, 200)
    answer = gate.post("/echo", "hello", token=False, fields=[("sekisho-target", "tg-other"), ("Sekisho_Client", "9.9.9.9")])
    same(answer.status, 200)
    seen = {n.lower(): v for n, v in app.last()["headers"]}
    assert not any(str(k).lower().startswith("sekisho") for k in seen), seen
    # One id names the request at the service and in both logs.
    ids = [eventually(lambda: next((x["id"] for x in program.lines() if x.get("path") == "/echo" and "status" in x), None), 10,
                      "no line of the request") for program in (gate, agent)]
    same([*ids, seen["x-request-id"]], [ids[0]] * 3)
