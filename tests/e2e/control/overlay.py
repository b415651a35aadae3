"""A gateway that dials agents over the overlay: machines of their own, an agent behind NAT, and what happens to requests when a way is cut."""

import json
import re
import subprocess

from control import lab
from lib import net
from lib.stage import eventually, same

UDP, INSIDE = 51820, 8443


class Field(lab.Lab):
    """Control, one gateway, one agent at home behind NAT; both in the overlay."""

    def __init__(self, t, use="prefer", workers=2, port=UDP, **agent):
        net.needs(t, "nft", "ip", "unshare", "nsenter", "curl", "wg")
        self.t, self.programs = t, {}
        self.inet = net.Machine(t, "inet")
        lab.forwards(self.inet)
        self.control = lab.on_the_net(t, self.inet, "control", lab.CONTROL)
        self.gate = lab.on_the_net(t, self.inet, "gate0", lab.GATES[0])
        self.visitor = lab.on_the_net(t, self.inet, "visitor", lab.VISITOR)
        self.home, self.router = lab.behind_nat(t, self.inet, "home0", 10)
        self.env = {"SEKISHO_STATE": str(t.folder / "state-control")}
        config = t.private_file("control.json", json.dumps({"control": {"publicUrl": f"https://{lab.CONTROL}:8000"}}))
        self.program = self.control.start("sekisho", t.sekisho, "control", "--config", config, env=self.env)
        link = eventually(lambda: re.search(r"https://\S+/setup#\S+", self.program.text()), 20, self.program.text)[0].strip("'")
        self.sekisho("login", link)
        cert, key = t.certs().issue(lab.HOST)
        self.configs = {
            "edge0": t.private_file("edge0.json", json.dumps({
                "gateway": {"auth": False, "listen": [{"address": ":443", "tls": True}], "workers": workers,
                            "certificates": [{"cert": str(cert), "key": str(key)}],
                            "overlay": {"port": port, "use": use}},
                "admin": {"listen": "127.0.0.1:9900"}, "log": {"access": "stdout"}})),
            "home0": t.private_file("home0.json", json.dumps({"agent": {"overlay": UDP, "websocket": "never", **agent}})),
        }
        self.start(self.gate, "gateway", "edge0", "--join", self.invite("gateway"), "--name", "edge0")
        self.start(self.home, "agent", "home0", "--join", self.invite("agent"), "--name", "home0")
        self.home.start("app", t.build / "sekisho-sample-model", "--listen", "127.0.0.1:8080")
        eventually(lambda: "edge0" in (nodes := self.sekisho("node", "list")) and "home0" in nodes, 60, self.said)
        self.sekisho("service", "add", "app", "--host", lab.HOST, "--to", "agent/home0:localhost:8080", "--access", "public")

    def start(self, machine, role, name, *words):
        self.programs[name] = machine.start(role, self.t.sekisho, role, "--config", self.configs[name], *words,
                                            env={"SEKISHO_STATE": str(self.t.folder / f"state-{name}")})
        return self.programs[name]

    def said(self):
        return "".join(f"--- {n}\n{p.text()[-3000:]}\n" for n, p in self.programs.items())

    def asked(self):
        """(way, reason) of each answered request for the agent's target."""
        return [(x.get("way"), x.get("way_reason")) for x in self.programs["edge0"].lines() if "target" in x and x.get("status") == 200]

    def goes(self, way, reason, seconds=60):
        """Requests are answered, and the last of them went that way."""
        def look():
            return self.visit(0) == "200" and self.asked()[-1:] == [(way, reason)]
        eventually(look, seconds, lambda: f"wanted {way}, {reason}: {self.asked()[-5:]}\n{self.said()}")


def cut(machine, name, rule):
    machine.run("nft", "-f", "-", stdin=f"table ip {name} {{\n chain c {{\n type filter hook forward priority -10;\n {rule}\n }}\n}}\n")


def mend(machine, name):
    machine.run("nft", "delete", "table", "ip", name)


def story_an_agent_that_is_reached_over_the_overlay_alone(t, seconds=240):
    field = Field(t)
    # Of TCP the agent gets to control and to nobody else: it makes no link.
    cut(field.inet, "notcp", f"iifname \"i-rhome0\" ip daddr {lab.GATES[0]} meta l4proto tcp drop;")
    field.stop("home0")
    field.start(field.home, "agent", "home0")
    field.goes("overlay", "no_own_link")
    same(field.visitor.run("curl", "-s", "--max-time", "1", "http://10.77.10.2:8443/", code=None).returncode, 28)
    eventually(lambda: "over the overlay" in field.sekisho("status"), 30, lambda: field.sekisho("status"))
    mend(field.inet, "notcp")
    field.goes("overlay", "preferred")


def story_the_overlay_is_cut_and_requests_go_on(t, seconds=300):
    field = Field(t)
    field.goes("overlay", "preferred")
    cut(field.inet, "noudp", f"udp dport {UDP} drop; udp sport {UDP} drop;")
    for _ in range(10):
        same(field.visit(0), "200")
    field.goes("straight", "overlay_down")
    mend(field.inet, "noudp")
    field.goes("overlay", "preferred", 90)
    # And the other way round: the agent's own links are cut.
    cut(field.inet, "notcp", f"iifname \"i-rhome0\" ip daddr {lab.GATES[0]} meta l4proto tcp drop;")
    field.goes("overlay", "no_own_link")
    for _ in range(5):
        same(field.visit(0), "200")


def story_the_overlay_as_a_spare(t, seconds=240):
    field = Field(t, use="spare")
    field.goes("straight", "preferred")
    cut(field.inet, "notcp", f"iifname \"i-rhome0\" ip daddr {lab.GATES[0]} meta l4proto tcp drop;")
    field.goes("overlay", "no_own_link")


# Whoever has a node's tunnel key and no more, or papers that are another's: begins TLS as a gateway or an agent would, and says what it hears.
EVIL = """
import socket, ssl, sys, time
role, address, cert, key = sys.argv[1:5]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if role == "gateway" else ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.set_alpn_protocols(["h2"])
context.load_cert_chain(cert, key)
end = time.monotonic() + 120
if role == "gateway":
    while True:
        try:
            plain = socket.create_connection((address, 8443), 5)
            break
        except OSError:
            if time.monotonic() > end:
                raise
else:
    listener = socket.create_server((address, 8443))
    listener.settimeout(120)
    plain = listener.accept()[0]
plain.settimeout(30)
try:
    tls = context.wrap_socket(plain, server_side=role == "gateway", server_hostname=None if role == "gateway" else "link.sekisho.internal")
    if role == "gateway":
        tls.sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + bytes(3) + b"\\4" + bytes(5))
    heard = tls.recv(1000)
except (ssl.SSLError, ConnectionError) as problem:
    heard = b""
print("heard", len(heard))
"""

PROBE = """
import socket, sys
for place in sys.argv[1:]:
    try:
        socket.create_connection((place, 8443), 4).close()
        print(place, "open")
    except OSError as problem:
        print(place, "closed")
"""


class Papers:
    """What a node keeps in its state folder, in the hands of somebody else."""

    def __init__(self, field, name, kind):
        folder = field.t.folder / f"state-{name}" / kind
        self.tunnel = (folder / "tunnel.key").read_text().strip()
        self.cert = field.t.private_file(f"{name}.stolen.pem", json.loads((folder / "node.json").read_text())["certificate"])
        self.key = field.t.private_file(f"{name}.stolen.key", (folder / "identity.key").read_text())
        self.public = subprocess.run(["wg", "pubkey"], input=self.tunnel, capture_output=True, text=True, check=True).stdout.strip()
        self.address = json.loads(field.sekisho("node", "show", name, "--json"))["address4"]
        field.t.secrets.append(self.tunnel)

    def rootless(self, field, machine, peer, words, port=None, endpoint=None, allowed=None):
        """Runs a program in an overlay that is set up with these keys; gives what it printed."""
        conf = field.t.private_file(f"evil-{machine.name}.conf", "\n".join([
            "[Interface]", f"PrivateKey = {self.tunnel}", f"Address = {self.address}/32", f"ListenPort = {port}" if port else "",
            "[Peer]", f"PublicKey = {peer.public}", f"AllowedIPs = {allowed or peer.address + '/32'}",
            f"Endpoint = {endpoint}\nPersistentKeepalive = 1" if endpoint else ""]) + "\n")
        return machine.run(field.t.sekisho, "wg", "rootless", conf, "--", "python3", *words, seconds=200).stdout


def story_nobody_poses_as_another_on_the_overlay(t, seconds=600):
    field = Field(t)
    field.goes("overlay", "preferred")
    # Two more nodes, whose papers are good: for what they are.
    for name, kind in (("edge1", "gateway"), ("home1", "agent")):
        field.configs[name] = field.configs[name[:-1] + "0"]
        field.start(field.visitor, kind, name, "--join", field.invite(kind), "--name", name)
        eventually(lambda n=name: n in field.sekisho("node", "list"), 60, field.said)
        eventually(lambda n=name, k=kind: (t.folder / f"state-{n}" / k / "node.json").exists(), 60, field.said)
        field.stop(name)
    edge0, edge1 = Papers(field, "edge0", "gateway"), Papers(field, "edge1", "gateway")
    home0, home1 = Papers(field, "home0", "agent"), Papers(field, "home1", "agent")
    evil, probe = (t.private_file(n, x) for n, x in (("evil.py", EVIL), ("probe.py", PROBE)))
    there = f"{lab.GATES[0]}:{UDP}"
    # An agent reaches neither the gateway nor another agent in there: nobody listens, and nothing is passed on.
    said = home1.rootless(field, field.visitor, edge0, [probe, edge0.address, home0.address], endpoint=there, allowed="0.0.0.0/0")
    same(said.split(), [edge0.address, "closed", home0.address, "closed"])
    # The agent's tunnel key with another agent's papers: the gateway dials it, and hangs up.
    field.stop("home0")
    said = home0.rootless(field, field.home, edge0, [evil, "agent", home0.address, home1.cert, home1.key], endpoint=there)
    same(said.strip(), "heard 0")
    refused = [x["reason"] for x in field.programs["edge0"].lines() if x.get("event") == "link_not_taken"]
    assert "link_other_agent" in refused, refused
    assert field.visit(0) != "200"
    field.start(field.home, "agent", "home0")
    field.goes("overlay", "preferred", 120)
    # The gateway's tunnel key, at its very place, with another gateway's papers: the agent does not serve it.
    field.stop("edge0")
    for cert, key, why in ((edge1.cert, edge1.key, "it is another gateway than was asked for"), (home1.cert, home1.key, None)):
        said = edge0.rootless(field, field.gate, home0, [evil, "gateway", home0.address, cert, key], port=UDP)
        same(said.strip(), "heard 0")
        problems = [x["problem"] for x in field.programs["home0"].lines() if x.get("event") == "overlay_link_not_opened"]
        assert problems and (why is None or why in problems), problems
    # And who they really are comes back.
    field.start(field.gate, "gateway", "edge0")
    field.goes("overlay", "preferred", 180)
