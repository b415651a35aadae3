"""How machines become nodes, and what must not get in."""

import concurrent.futures
import json
import re

from lib.control_role import Control, Node
from lib.stage import eventually, same


def story_a_node_joins_and_is_told_what_it_should_be(t):
    control = Control(t).claim()
    gateway, agent = control.node("gateway", "edge"), control.node("agent", "home")
    assert re.fullmatch(r"gw-[a-z2-7]{16}", gateway.id) and re.fullmatch(r"ag-[a-z2-7]{16}", agent.id)
    gateway.until(lambda n: agent.id in n.sections.get("agents", {}))
    agent.until(lambda n: gateway.id in n.sections.get("gateways", {}))
    item = gateway.sections["agents"][agent.id]
    same(item["name"], "home")
    import hashlib
    same(item["identity"], hashlib.sha256(agent.spki).hexdigest())
    assert item["address4"].startswith("100.") and item["address6"].startswith("fd")
    nodes = eventually(lambda: (n := control.get("/nodes")["items"]) and all(x["version"] == x["wanted_version"] > 0 for x in n) and n,
                       10, "the applied versions are not shown")
    same([(x["name"], x["kind"], x["state"], x["connected"]) for x in nodes],
         [("edge", "gateway", "active", True), ("home", "agent", "active", True)])
    same(len({x["address4"] for x in nodes}), 2)


def story_of_200_with_a_token_for_one_exactly_one_joins(t, seconds=120, alone=True):
    control = Control(t).claim()
    token = control.join_token("agent")
    nodes = [Node(t, control, "agent", f"n{i}") for i in range(200)]
    begun = [n.begin(token) for n in nodes]
    same([a.status for a in begun], [200] * 200)  # nothing is consumed yet
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda x: x[0].finish(x[1].json), zip(nodes, begun)))
    same(sorted(a.status for a in answers), [201] + [401] * 199)
    same(len(control.get("/nodes?limit=1000")["items"]), 1)
    same(control.get("/join-tokens")["items"][0]["state"], "used")


def story_what_is_no_join(t):
    control = Control(t).claim()
    token = control.join_token("agent", uses=10)
    node = Node(t, control, "agent")
    # Tokens that are none, of another kind, revoked.
    same(node.begin("skauth-" + "a" * 43 + ".").status, 401)
    same(node.begin(control.join_token("gateway")).status, 401)
    revoked = control.made("/join-tokens", {"kind": "agent"})
    t.secrets.append(revoked["token"].split("@")[0])
    same(control.ask("DELETE", f"/join-tokens/{revoked['id']}").status, 204)
    same(node.begin(revoked["token"]).status, 401)
    # A signature of another key; of another challenge; a challenge used from the start.
    other = Node(t, control, "agent")
    begun = node.begin(token)
    same(begun.status, 200)
    node.signature = other.sign(b"x" * 32, node.body)
    same(node.again(begun.json["join"]).status, 401)
    same(node.again("jn-aaaaaaaaaaaaaaaa").status, 404)
    same(control.get("/join-tokens")["items"][0]["uses_left"], 10)
    # Bodies.
    for body in ('{"token":1}', "[]", "{", '{"token":"x","kind":"agent","extra":1}', node.body.replace('"agent"', '"control"')):
        same(node.post("/api/v1/join", None, raw=body).status, 400, body)
    # The same join again gives the same node; its keys are taken now.
    same(node.finish(begun.json).status, 201)
    first = node.id
    same(node.again(begun.json["join"]).status, 201)
    same(node.id, first)
    same(node.join(token).status, 409)
    # Under another name than the internal one nobody joins.
    same(control.ask("POST", "/join", {}, key=None).status, 421)


def story_approval_rename_disable_remove(t):
    control = Control(t).claim()
    token = control.join_token("agent", approval=True)
    node = Node(t, control, "agent", "GPU Box.local")
    same(node.join(token).status, 201)
    same((node.state, node.name), ("pending", "gpu-box"))
    assert not (node.folder / "cert.pem").exists()
    same(node.again(node.join_id).json["state"], "pending")
    control.stop()
    key, port = control.key, control.port
    control = Control(t, "control-again", port)  # it waits on, whatever happens to control
    control.key, node.control = key, control
    same(node.again(node.join_id).json["state"], "pending")
    same(control.ask("PATCH", f"/nodes/{node.id}", {"state": "active"}).status, 200)
    same(node.again(node.join_id).json["state"], "active")
    node.connect()
    same(control.ask("PATCH", f"/nodes/{node.id}", {"name": "Not A Name"}).status, 400)
    same(control.ask("PATCH", f"/nodes/{node.id}", {"name": "gpu"}).json["name"], "gpu")
    same(control.ask("PATCH", f"/nodes/{node.id}", {"id": "ag-x"}).status, 400)
    # Another of that name gets a number.
    second = Node(t, control, "agent", "gpu")
    same(second.join(control.join_token("agent")).status, 201)
    same(second.name, "gpu-2")
    # Disabled: sent away, and not let in again.
    same(control.ask("PATCH", f"/nodes/{node.id}", {"state": "disabled"}).status, 200)
    same(node.hear("gone")["reason"], "disabled")
    assert node.is_closed()
    node.connect(hello=False)
    node.say({"type": "hello", "program": "x", "format": 1, "have": None})
    same(node.hear("gone")["reason"], "disabled")
    same(control.ask("PATCH", f"/nodes/{node.id}", {"state": "active"}).status, 200)
    node.connect()
    same(control.ask("DELETE", f"/nodes/{node.id}").status, 204)
    same(node.hear("gone")["reason"], "removed")
    same(control.ask("GET", f"/nodes/{node.id}").status, 404)
    actions = [x["action"] for x in control.get("/audit?limit=500")["items"]]
    for action in ("node.join", "node.change", "node.remove", "join-token.add", "owner.claim"):
        assert action in actions, action


def story_a_node_is_there_until_its_time_ends(t, seconds=200):
    control = Control(t)
    link = eventually(lambda: re.findall(r"sekisho login '([^']+)'", control.text()), 10, "no link")[-1]
    same(t.sekisho_run("login", link).returncode, 0)
    control.key = json.loads((t.folder / ".config" / "sekisho" / "client.json").read_text())["token"]
    guest, busy, stays = (control.node("agent", n) for n in ("guest", "busy", "stays"))
    control.made("/services", {"name": "app", "hosts": ["app.example.com"], "targets": [{"agent": busy.id, "url": "http://localhost:1"}]})
    for name, when in (("guest", "1s"), ("busy", "2027-01-31T00:00:00Z"), ("busy", "1s"), ("stays", "1h"), ("stays", "never"), ("stays", "1d")):
        same(t.sekisho_run("node", "expire", name, when).returncode, 0)
    a = t.sekisho_run("node", "expire", "stays", "soon")
    same((a.returncode, "is no time" in a.stderr), (2, True), a.stderr)
    # Looked at once a minute.
    same(guest.hear("gone", 120)["reason"], "removed")
    same(control.ask("GET", f"/nodes/{guest.id}").status, 404)
    eventually(lambda: control.get(f"/nodes/{busy.id}")["state"] == "disabled", 120, "what services name is not out of use")
    left = control.get(f"/nodes/{stays.id}")
    same((left["state"], bool(left["expires"])), ("active", True))
    assert "node.expire" in [x["action"] for x in control.get("/audit?limit=500")["items"]]


def story_who_may_use_the_channel(t):
    control = Control(t).claim()
    node = control.node("agent", "home")
    # No certificate; a certificate of another authority; another node's key in our name.
    from lib.control_role import unverified
    _, head, _ = node.upgrade(unverified())
    assert head.startswith("HTTP/1.1 403 "), head
    other = control.node("agent", "other")
    own = (node.folder / "cert.pem").read_text()
    context = unverified()
    stranger = t.certs()
    cert, key = stranger.issue("x")
    context.load_cert_chain(str(cert), str(key))
    try:
        _, head, _ = node.upgrade(context)
        assert not head.startswith("HTTP/1.1 101"), head
    except OSError:
        pass  # the handshake is refused
    # The newer connection takes the place of the older.
    again = Node(t, control, "agent")
    again.__dict__.update({k: v for k, v in node.__dict__.items() if k not in ("sock", "buffer")})
    again.connect()
    assert node.is_closed()
    assert (node.folder / "cert.pem").read_text() == own
    # A certificate is renewed on the channel, for the same key.
    again.say({"type": "renew"})
    fresh = again.hear("certificate")["certificate"]
    assert fresh != own
    (again.folder / "cert.pem").write_text(fresh)
    again.connect()
    # What is no message ends nothing but itself; what is no frame ends the channel.
    again.say({"type": "nonsense"})
    again.say({"type": "report", "links": [], "health": [], "models": [], "addresses": [], "versions": {"program": "story/2", "system": "x"}})
    eventually(lambda: control.get(f"/nodes/{again.id}")["program"] == "story/2", 10, "the report is not shown")
    other.sock.sendall(b"\xff\xff\xff\xff")
    assert other.is_closed()
