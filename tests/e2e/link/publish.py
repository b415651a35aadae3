"""A service behind NAT, published through a gateway by an agent that dials out: from configuration files alone."""

from lib import links
from lib.stage import same


def story_a_request_reaches_a_service_behind_an_agent(t):
    nodes = links.Nodes(t)
    gate = links.gateway(t, nodes, ["ag-one/tg-app"], workers=2)
    app = t.sample("--record")
    links.agent(t, nodes, [gate], {"tg-app": app.url})
    links.links_open(gate, 2)
    for n in range(20):
        same(gate.get(f"/bytes/{n * 1000}", token=False).status, 200)
    answer = gate.post("/echo", "hello", token=False, fields=[("sekisho-target", "tg-other"), ("Sekisho_Client", "9.9.9.9")])
    same(answer.status, 200)
    seen = {k.lower(): v for k, v in app.last()["headers"].items()} if isinstance(app.last().get("headers"), dict) else app.last()
    assert not any(str(k).lower().startswith("sekisho") for k in seen), seen
