"""sekisho doctor: an installation that is well, and each thing that may be wrong with it, with what to mend."""

import json
import os
import re
import socket

from lib.fleet import Fleet
from lib.stage import eventually, free_port, same


def doctor(t, *args, code, env=None):
    done = t.sekisho_run("doctor", "--json", *args, env=env, seconds=60)
    same(done.returncode, code, done.stdout + done.stderr)
    found = json.loads(done.stdout)
    for f in found["findings"]:
        assert f["level"] == "good" or f["remedy"] or f["part"] in ("configuration", "state"), f
    return {level: [(f["part"], f["text"]) for f in found["findings"] if f["level"] == level] for level in ("good", "warning", "error")}


def has(found, part, pattern):
    assert any(p == part and re.search(pattern, text) for p, text in found), (part, pattern, found)


def house(t):
    fleet = Fleet(t)
    control = fleet.control
    env = {"SEKISHO_SERVER": f"{control.url}#{control.get('/status')['authority_sha256'][:32]}", "SEKISHO_TOKEN": control.key}
    gate = fleet.gates[0]
    return fleet, ["--config", gate.config_path, "--state", gate.state], ["--state", fleet.agents["home"].state], env


def says(t, asked, env, pattern):
    """Until that is found, in whatever time the fleet takes to come to it."""
    def found():
        return re.search(pattern, t.sekisho_run("doctor", *asked, env=env, seconds=60).stdout, re.M)
    eventually(found, 60, lambda: t.sekisho_run("doctor", *asked, env=env, seconds=60).stdout)


def story_a_fleet_that_is_well(t, seconds=120):
    fleet, gate, agent, env = house(t)
    fleet.publish({"home": t.sample().url}, "app.localhost")
    says(t, gate, env, "^all is well$")
    found = doctor(t, *gate, code=0, env=env)["good"]
    for part, pattern in [("configuration", "can be used"), ("state", "owner's alone"), ("node", "^the gateway edge0"),
                          ("certificate", "is good until"), ("document", "is good until"), ("control", "answers, and is the one"),
                          ("port", r"listens on \d"), ("clock", "agree"), ("fleet", "2 nodes and 1 services"), ("store", "chain holds")]:
        has(found, part, pattern)
    assert not any("app.localhost" in text for _, text in found)
    found = doctor(t, *agent, code=0)["good"]  # without a key of control
    for part, pattern in [("node", "^the agent home"), ("control", "answers, and is the one"), ("fleet", "not known where")]:
        has(found, part, pattern)


def story_each_thing_that_is_wrong(t, seconds=180):
    fleet, gate, agent, env = house(t)
    control, home, state = fleet.control, fleet.agents["home"], fleet.agents["home"].state
    # A service without a target, a name that is not there.
    control.made("/services", {"name": "app", "hosts": ["app.nowhere.invalid"], "targets": []})
    says(t, gate, env, "app has no target")
    says(t, gate, env, "app.nowhere.invalid of the service app is not in DNS")
    # Another's eyes.
    os.chmod(state / "agent" / "seal.key", 0o644)
    has(doctor(t, *agent, code=1)["error"], "node", "agent")
    os.chmod(state / "agent" / "seal.key", 0o600)
    os.chmod(state, 0o755)
    has(doctor(t, *agent, code=1)["error"], "state", "can be read by others")
    os.chmod(state, 0o700)
    # The agent goes, and comes back as one that control wants no more.
    home.stop()
    t.programs.remove(home)
    says(t, gate, env, "the agent home is not connected")
    same(t.sekisho_run("node", "remove", "home", env=env).returncode, 0)
    again = home.again()
    again.codes = (0, 1)
    says(t, agent, {}, "control wants the agent home no more")
    # The file was changed behind the gateway's back.
    path = fleet.gates[0].config_path
    config = json.loads(path.read_text())
    config["gateway"]["listen"].append(f"127.0.0.1:{free_port()}")
    path.write_text(json.dumps(config))
    has(doctor(t, *gate, code=1, env=env)["error"], "port", "does not listen on")
    config["gateway"]["prot"] = 1
    path.write_text(json.dumps(config))
    has(doctor(t, *gate, code=1, env=env)["error"], "configuration", "prot")
    # Control is away: nodes go on, and it is said.
    control.stop()
    t.programs.remove(control)
    found = doctor(t, *gate, code=1, env=env)["error"]
    has(found, "control", "does not answer")
    has(found, "fleet", "could not be asked")


def story_before_there_is_anything(t):
    found = doctor(t, code=0)
    has(found["good"], "configuration", "no configuration file")
    has(found["good"], "state", "is no control and has not joined one")
    has(found["good"], "fleet", "not known where control is")
    same(t.sekisho_run("setup", "--probe", "none", "--no-tailscale", "--listen", f"127.0.0.1:{free_port()}", "--admin",
                       f"127.0.0.1:{free_port()}").returncode, 0)
    has(doctor(t, code=0)["warning"], "port", "no gateway runs")


def story_a_port_that_is_another_programs(t):
    port = free_port()
    same(t.sekisho_run("setup", "--probe", "none", "--no-tailscale", "--listen", f"127.0.0.1:{port}", "--admin",
                       f"127.0.0.1:{free_port()}").returncode, 0)
    with socket.create_server(("127.0.0.1", port)):
        has(doctor(t, code=1)["error"], "port", f"127.0.0.1:{port} is taken")
