"""A newcomer's way: make run, paste a call; setup, gateway, connect from the other side."""

import json
import os
import re
import signal
import subprocess

from lib import proc, wire
from lib.stage import ROOT, eventually, free_port, same


def places():
    """Ports of its own: stories run beside each other."""
    return ["--listen", f"127.0.0.1:{free_port()}", "--admin", f"127.0.0.1:{free_port()}"]


def control_ports():
    return {"SEKISHO_CONTROL_PORT": str(free_port()), "SEKISHO_TLS_PORT": str(free_port())}


def make_run(t, *args):
    """tools/run in an empty home; gives the program and what it printed once it is up."""
    sample_port = free_port()
    program = t.start("run", ["env", "--default-signal=INT", ROOT / "tools/run", "--probe", "none", "--no-tailscale", *places(), *args],
                      env={"SEKISHO_BUILD": str(t.build), "SEKISHO_SAMPLE_PORT": str(sample_port), **control_ports()})

    def is_up():
        assert program.process.poll() is None, program.text()
        return "Ctrl-C ends it." in program.text()

    eventually(is_up, 90, "make run did not come up")
    return program, program.text()


def calls_of(text):
    """Calls to models; what is published has stories of its own (control/make_run.py)."""
    return [line.strip() for line in text.splitlines() if line.startswith(("  curl ", "  export ")) and "--cacert" not in line]


def paste(lines):
    """As pasted into a shell that stops at the first failure; curl says so with -f."""
    script = "\n".join(["set -e", *[line.replace("curl ", "curl -sSf ", 1) for line in lines]])
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120,
                          env={"PATH": os.environ["PATH"], "HOME": "/"})
    same(done.returncode, 0, done.stderr)
    return done.stdout


def story_make_run_and_paste(t, seconds=120, alone=True):
    program, text = make_run(t)
    exports = [c for c in calls_of(text) if c.startswith("export")]
    curls = [c for c in calls_of(text) if c.startswith("curl")]
    same(len(exports), 2)
    assert '"status":"ok"' in paste(exports + curls[:1])
    asked = {"/v1/models": '"sample-1"', "/api/v1/chat\"": '"response":', "/api/v1/chat/stream": '"type":"done"', "/v1/chat/completions": "You said: Hello"}
    for path, says in asked.items():
        (curl,) = [c for c in curls if path in c]
        assert says in paste(exports + [curl]), path
    assert "it runs no model" in text
    children = proc.tree(program.pid)
    program.signal(signal.SIGINT)
    same(program.wait(60), 0)
    eventually(lambda: not any(proc.is_alive(p) for p in children), 10, "something it started is left")


def story_make_run_again(t, seconds=120, alone=True):
    program, first = make_run(t)
    program.signal(signal.SIGTERM)
    same(program.wait(60), 0)
    token = re.search(r"SEKISHO_TOKEN=(\S+)", first)[1]
    conf = (t.folder / ".config/sekisho/sekisho.json").read_bytes()
    program, again = make_run(t)
    assert "SEKISHO_TOKEN=" not in again and token not in again
    same((t.folder / ".config/sekisho/sekisho.json").read_bytes(), conf, "what is there is taken as it is")
    exports = [c for c in calls_of(first) if c.startswith("export")]
    (curl,) = [c for c in calls_of(again) if "/v1/chat/completions" in c]
    assert "You said: Hello" in paste(exports + [curl])


def story_make_run_with_a_mistake_starts_nothing(t, alone=True):
    path = t.folder / "sekisho.json"
    path.write_text('{"gateway": {"prot": 1}}')
    done = subprocess.run([str(ROOT / "tools/run")], capture_output=True, text=True, timeout=120,
                          env={**t.env, "SEKISHO_BUILD": str(t.build), "SEKISHO_CONFIG": str(path)})
    same(done.returncode, 2, done.stdout)
    assert 'did you mean "port"' in done.stderr and "nothing was started" in done.stdout


def story_make_run_finds_what_is_there(t, seconds=120, alone=True):
    models = t.sample()
    program = t.start("run", ["env", "--default-signal=INT", ROOT / "tools/run", "--probe", f"llamacpp={models.port}", "--no-tailscale", *places()],
                      env={"SEKISHO_BUILD": str(t.build), **control_ports()})
    eventually(lambda: "Ctrl-C ends it." in program.text(), 90, "make run did not come up")
    assert "bundled" not in program.text()
    (curl,) = [c for c in calls_of(program.text()) if "/v1/chat/completions" in c]
    exports = [c for c in calls_of(program.text()) if c.startswith("export")]
    assert "You said: Hello" in paste(exports + [curl])
    assert models.stats()["requests"] > 0


def story_connect_to_a_gateway(t):
    gate = t.gateway(providers={"home": {"kind": "openai", "baseUrl": t.sample().url + "/v1"}})
    done = t.sekisho_run("connect", gate.url, env={"SEKISHO_TOKEN": t.token})
    same(done.returncode, 0, done.stdout)
    assert "This is sample-1" in done.stdout and "no token" in done.stdout
    same(t.sekisho_run("connect", gate.url, env={"SEKISHO_TOKEN": "sk-wrong"}).returncode, 3)
    found = json.loads(t.sekisho_run("connect", gate.url, "--json", env={"SEKISHO_TOKEN": t.token}).stdout)
    same([s["ok"] for s in found["steps"]], [True] * 6)


def story_connect_from_an_address_that_is_not_admitted(t):
    gate = t.gateway(gateway={"allowedIps": ["192.0.2.1"]}, wait=False)
    eventually(lambda: wire_status(gate) == 403, 20, "the gateway is not up")
    done = t.sekisho_run("connect", gate.url, env={"SEKISHO_TOKEN": t.token})
    same(done.returncode, 7, done.stdout)
    assert "gateway.allowedIps" in done.stdout


def wire_status(gate):
    try:
        return wire.get(gate.port, "/v1/models", timeout=2).status
    except (OSError, wire.Lost):
        return None


def story_a_token_made_while_it_runs(t):
    gate = t.gateway(providers={"home": {"kind": "openai", "baseUrl": t.sample().url + "/v1"}})
    made = json.loads(t.sekisho_run("token", "new", "--config", gate.config_path, "--add", "--name", "bob", "--json").stdout)["token"]
    same(gate.get("/v1/models", token=made).status, 401)
    gate.reload()
    same(gate.get("/v1/models", token=made).status, 200)
    same(t.sekisho_run("token", "remove", "bob", "--config", gate.config_path).returncode, 0)
    gate.reload()
    same(gate.get("/v1/models", token=made).status, 401)
