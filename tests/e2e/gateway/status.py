"""`sekisho status`: what a running gateway says of itself."""

import json
import os
import signal

from lib import proc
from lib.stage import eventually, free_port, merge, same


def ask(t, gate, *more, code=0):
    done = t.sekisho_run("status", "--config", gate.config_path, *more)
    same(done.returncode, code, done.stdout + done.stderr)
    return done.stdout


def story_status_says_how_it_is(t):
    gate = t.proxy(t.sample(), f"http://127.0.0.1:{free_port()}", gateway={"workers": 2})
    s = json.loads(ask(t, gate, "--json"))
    same(s["pid"], gate.pid)
    same(s["config"]["number"], 1)
    same(s["reload"], None)
    same(sorted(w["pid"] for w in s["workers"]), sorted(p for p in proc.tree(gate.pid) if p != gate.pid))
    assert all(w["isolation"]["seccomp"] and w["isolation"]["noNewPrivileges"] for w in s["workers"]), s
    same([x["admin"] for x in s["listeners"]], [False, True])
    same(len(s["upstreams"][0]["targets"]), 2)
    with gate.conn():
        eventually(lambda: sum(w["connections"] for w in json.loads(ask(t, gate, "--json"))["workers"]) >= 1, 5,
                   "the open connection is not counted")
    text = ask(t, gate)
    assert "seccomp" in text and "listens" in text and "upstream" in text, text


def story_status_knows_the_last_reload(t):
    gate = t.gateway(gateway={"workers": 1}, routes=[{"path": "/", "respond": {"body": "x"}, "access": "public"}])
    gate.reload(merge(gate.config, {"gateway": {"limits": {"headerLines": 60}}}))
    s = json.loads(ask(t, gate, "--json"))
    assert s["reload"]["ok"] and s["config"]["number"] == 2 and s["workers"][0]["config"] == 2, s
    good = gate.config
    gate.reload('{"gateway": {"prot": 1}}')
    done = t.sekisho_run("status", "--admin", f"127.0.0.1:{gate.admin}", "--json")
    s = json.loads(done.stdout)
    assert not s["reload"]["ok"] and "prot" in s["reload"]["text"] and s["config"]["number"] == 2, s
    gate.write(good)
    os.kill(s["workers"][0]["pid"], signal.SIGKILL)
    eventually(lambda: json.loads(t.sekisho_run("status", "--config", gate.config_path, "--json").stdout or "{}")
               .get("workers", [{}])[0].get("deaths") == 1, 10, "the death is not counted")


def story_status_without_a_gateway(t):
    config = t.config(routes=[{"path": "/", "respond": {"body": "x"}, "access": "public"}])
    path = t.folder / "lonely.json"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    done = t.sekisho_run("status", "--config", path)
    same(done.returncode, 6)
    assert "nobody answers" in done.stderr, done.stderr
