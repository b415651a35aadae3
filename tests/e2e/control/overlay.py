"""A gateway that dials agents over the overlay: machines of their own, an agent behind NAT, and what happens to requests when a way is cut."""

import json
import re

from control import lab
from lib import net
from lib.stage import eventually, same

UDP, INSIDE = 51820, 8443


class Field(lab.Lab):
    """Control, one gateway, one agent at home behind NAT; both in the overlay."""

    def __init__(self, t, use="prefer", **agent):
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
                "gateway": {"auth": False, "listen": [{"address": ":443", "tls": True}], "workers": 2,
                            "certificates": [{"cert": str(cert), "key": str(key)}],
                            "overlay": {"port": UDP, "use": use}},
                "log": {"access": "stdout"}})),
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
