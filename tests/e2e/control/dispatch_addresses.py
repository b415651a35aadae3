"""The addresses an agent sends from, where nobody names them: those of its machine, as they come and go."""

import json
import re

from lib import net
from lib.stage import eventually


def story_addresses_come_and_go(t, seconds=120):
    net.needs(t, "ip", "unshare", "nsenter", "curl")
    box, far = net.Machine(t, "box"), net.Machine(t, "far")
    net.wire(far, box, "lan", "eth0", ["198.18.0.254/24"], ["198.18.0.1/24"])
    box.run("ip", "route", "add", "default", "via", "198.18.0.254")
    box.run("ip", "-6", "route", "add", "default", "dev", "eth0")
    env = {"SEKISHO_STATE": str(t.folder / "state-control")}
    allow = {"dispatch": {"allow": ["198.18.0.0/24"]}}
    config = t.private_file("control.json", json.dumps({"control": {"publicUrl": "https://127.0.0.1:8000", **allow}}))
    program = box.start("control", t.sekisho, "control", "--config", config, env=env)
    link = eventually(lambda: re.search(r"https://\S+/setup#\S+", program.text()), 20, program.text)[0].strip("'")

    def owner(*words):
        return box.run(t.sekisho, *words, env=env).stdout

    owner("login", link)
    key = json.loads(owner("key", "new", "reader", "--scopes", "dispatch,read", "--json"))["key"]
    token = re.search(r"skauth-\S+@https://\S+", owner("node", "invite", "agent"))[0].strip("'\"")
    t.secrets += [key, token.split("@")[0]]
    box.start("agent", t.sekisho, "agent", "--config", t.private_file("agent.json", json.dumps({"agent": allow})), "--join", token,
              env={"SEKISHO_STATE": str(t.folder / "state-agent")})

    def pool():
        said = box.run("curl", "-sk", "https://127.0.0.1:8000/api/pool/status", "-H", f"Authorization: Bearer {key}").stdout
        return sorted(a["ip"] for a in json.loads(said)["ip_pool"])

    def becomes(*wanted):
        eventually(lambda: pool() == sorted(wanted), 30, lambda: f"{pool()}, not {wanted}")

    becomes("198.18.0.1")  # and never loopback
    box.run("ip", "addr", "add", "198.18.0.2/24", "dev", "eth0")
    becomes("198.18.0.1", "198.18.0.2")
    box.run("ip", "addr", "add", "2600:7::1/64", "dev", "eth0", "nodad")
    becomes("198.18.0.1", "198.18.0.2", "2600:7::1")
    box.run("ip", "addr", "del", "2600:7::1/64", "dev", "eth0")
    box.run("ip", "addr", "del", "198.18.0.2/24", "dev", "eth0")
    becomes("198.18.0.1")
