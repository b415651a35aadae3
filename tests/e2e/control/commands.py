"""The commands that ask control, as a person types them."""

import json
import os
import re
import signal
import stat

from lib.control_role import Control
from lib.stage import eventually, same


def link_of(control):
    return eventually(lambda: re.findall(r"sekisho login '([^']+)'", control.text()), 10, "no link")[-1]


def story_from_the_link_to_a_service(t):
    control = Control(t)
    a = t.sekisho_run("login", link_of(control))
    same(a.returncode, 0, a.stderr)
    kept = t.folder / ".config" / "sekisho" / "client.json"
    same(stat.S_IMODE(os.stat(kept).st_mode), 0o600)
    control.key = json.loads(kept.read_text())["token"]
    t.secrets.append(control.key)
    same(t.sekisho_run("login", link_of(control)).returncode, 3)  # used
    gateway, agent = control.node("gateway", "edge"), control.node("agent", "home")

    def run(*args, code=0):
        a = t.sekisho_run(*args)
        same(a.returncode, code, (args, a.stdout, a.stderr))
        return a.stdout

    assert re.search(r"^home +agent +active +yes", run("node", "list"), re.M)
    run("service", "add", "app", "--host", "app.example.com", "--to", "agent/home:localhost:8080")
    gateway.until(lambda n: any(s["name"] == "app" for s in n.sections.get("services", {}).values()))
    agent.until(lambda n: n.sections.get("services"))
    same(list(next(iter(agent.sections["services"].values()))["targets"].values())[0]["url"], "http://localhost:8080")
    run("service", "add", "ssh", "--kind", "tcp", "--listen", "0.0.0.0:2222", "--to", "home:22")
    services = json.loads(run("service", "list", "--json"))
    same([s["targets"][0]["url"] for s in services], ["http://localhost:8080", "tcp://localhost:22"])
    assert "app.example.com" in run("service", "list")
    # What is wrong has its code and its words.
    run("service", "add", "app", "--host", "b.example.com", code=5)
    run("service", "add", "two", "--host", "a b", code=2)
    run("service", "remove", "nothing", code=4)
    run("service", "add", "x", "--to", "nowhere", code=2)
    run("service", "disable", "app")
    gateway.until(lambda n: not any(s["name"] == "app" for s in n.sections["services"].values()))
    run("service", "remove", "ssh")
    token = re.search(r"--join (\S+)", run("node", "invite", "agent", "--expires", "10m"))[1]
    t.secrets.append(token.split("@")[0])
    run("node", "rename", "home", "attic")
    run("node", "disable", "attic")
    same(agent.hear("gone")["reason"], "disabled")
    key = run("key", "new", "reader", "--scopes", "read").strip()
    t.secrets.append(key)
    server = json.loads(kept.read_text())["server"]
    env = {"SEKISHO_SERVER": server, "SEKISHO_TOKEN": key}
    same(t.sekisho_run("node", "list", env=env).returncode, 0)
    same(t.sekisho_run("node", "remove", "edge", env=env).returncode, 7)
    same(t.sekisho_run("node", "list", env={**env, "SEKISHO_TOKEN": "skapi-" + "x" * 43}).returncode, 3)
    assert "node.change" in run("audit") and "service.add" in run("audit")
    # Without the fingerprint, or with another, nothing is sent to whoever answers there.
    same(t.sekisho_run("node", "list", env={**env, "SEKISHO_SERVER": server.split("#")[0]}).returncode, 1)
    same(t.sekisho_run("node", "list", env={**env, "SEKISHO_SERVER": server.split("#")[0] + "#" + "0" * 32}).returncode, 1)
    same(t.sekisho_run("node", "list", env={**env, "SEKISHO_SERVER": "https://127.0.0.1:1"}).returncode, 6)


def story_a_share_is_gone_with_its_command(t):
    control = Control(t)
    same(t.sekisho_run("login", link_of(control)).returncode, 0)
    control.key = json.loads((t.folder / ".config" / "sekisho" / "client.json").read_text())["token"]
    gateway = control.node("gateway")
    control.node("agent", "home")
    same(t.sekisho_run("domain", "add", "example.com", "--wildcard").returncode, 0)
    share = t.start("share", [t.sekisho, "share", "3000"])
    host = eventually(lambda: re.search(r"https://(\w+\.example\.com)", share.text()), 10, "no name")[1]
    gateway.until(lambda n: any(s["hosts"] == [host] for s in n.sections.get("services", {}).values()))
    share.signal(signal.SIGINT)
    same(share.wait(20), 0)
    gateway.until(lambda n: not n.sections.get("services"))
    same(control.get("/shares")["items"], [])


def story_a_name_is_said_with_the_port_it_is_reached_at(t):
    control = Control(t)
    same(t.sekisho_run("login", link_of(control)).returncode, 0)
    control.key = json.loads((t.folder / ".config" / "sekisho" / "client.json").read_text())["token"]
    control.node("agent", "home")
    same(t.sekisho_run("domain", "add", "example.com").returncode, 0)

    def added(name):
        done = t.sekisho_run("service", "add", name, "--host", f"{name}.example.com", "--to", "agent/home:8080")
        return re.search(r"https://(\S+)", done.stdout)[1]
    same(added("nobody"), "nobody.example.com/")  # no gateway yet
    for name, addresses, want in [("east", ["192.0.2.1:3443", "192.0.2.1:8443"], "east.example.com:3443/"),
                                  ("west", ["[2001:db8::7]:3443"], "west.example.com:3443/"),
                                  ("south", ["192.0.2.3"], "south.example.com/")]:
        node = control.node("gateway", name)
        same(control.ask("PATCH", f"/nodes/{node.id}", {"settings": {"addresses": addresses}}).status, 200)
        same(added(name), want, name)


def story_one_more_owner(t):
    control = Control(t)
    same(t.sekisho_run("login", link_of(control), "--name", "first").returncode, 0)
    kept = t.folder / ".config" / "sekisho" / "client.json"
    control.key = json.loads(kept.read_text())["token"]
    t.secrets.append(control.key)
    first, second, third = [json.loads(t.sekisho_run("owner", "link", "--json").stdout)["link"] for _ in range(3)]
    for old in (first, second):
        same(t.sekisho_run("login", old).returncode, 3)  # the newest alone is good
    elsewhere = {"XDG_CONFIG_HOME": str(t.folder / "elsewhere")}
    same(t.sekisho_run("login", third, env=elsewhere).returncode, 0)
    same(t.sekisho_run("login", third, env=elsewhere).returncode, 3)
    fourth = t.sekisho_run("owner", "link", env=elsewhere).stdout.strip()
    same(t.sekisho_run("login", fourth, env={"XDG_CONFIG_HOME": str(t.folder / "third")}).returncode, 0)
    same([k["name"] for k in json.loads(t.sekisho_run("key", "list", "--json").stdout)], ["first", "owner", "owner-2"])
    reader = t.sekisho_run("key", "new", "reader", "--scopes", "read,services,nodes,audit").stdout.strip()
    t.secrets.append(reader)
    same(t.sekisho_run("owner", "link", env={"SEKISHO_SERVER": json.loads(kept.read_text())["server"], "SEKISHO_TOKEN": reader}).returncode, 7)
    assert "owner.link" in t.sekisho_run("audit").stdout
