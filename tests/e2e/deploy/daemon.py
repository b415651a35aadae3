"""`sekisho daemon` on a machine that systemd runs, and on one that it does not."""

import json
import os
import subprocess

from deploy.install import from_build
from lib.machine import Machine
from lib.stage import eventually, same


def story_the_units_are_driven(t, seconds=60):
    machine = Machine(t)
    machine.run(*from_build(t), "control", "--listen", "127.0.0.1:8000", "--no-start")

    def daemon(*words, code=0):
        return machine.run("sekisho", "daemon", *words, code=code)

    def status(code=0):
        return json.loads(daemon("status", "control", "--json", code=code).stdout)

    found = status(6)
    same((found["installed"], found["enabled"], found["active"], found["state"]), (True, False, False, "inactive"))
    assert "control  active (running), pid" in daemon("start", "control").stdout
    found = status()
    same((found["enabled"], found["active"], found["sub_state"], found["status"]), (True, True, "running", f"Serving {found['status'][8:]}"))
    assert found["pid"] > 1 and found["since"]
    machine.run("systemctl", "is-enabled", "sekisho-control")
    again = json.loads(daemon("restart", "control", "--json").stdout)
    assert again["pid"] != found["pid"] and again["active"]
    # All roles; those that are not here are said and are no fault.
    text = daemon("status").stdout
    assert "not installed" in text and "control  active" in text, text
    same([x["role"] for x in json.loads(daemon("status", "--json").stdout)], ["control", "gateway", "agent"])
    same(daemon("status", "agent", code=4).stderr.count("install.sh agent"), 1)
    same(daemon("start", "gateway", code=4).stdout, "")
    # What it wrote.
    eventually(lambda: "control_started" in daemon("logs", "control").stdout, 10, "the journal does not have it")
    same(len(daemon("logs", "control", "--lines", "2").stdout.splitlines()), 2)
    fields = [json.loads(x) for x in daemon("logs", "control", "-n", "100", "--json").stdout.splitlines()]
    assert any(x.get("_SYSTEMD_UNIT") == "sekisho-control.service" and "control_started" in str(x["MESSAGE"]) for x in fields), fields
    # It fails, and that is said with its last words.
    machine.sh("sed -i s/listen/lissen/ /etc/sekisho/control.json")
    done = daemon("restart", "control", code=1)
    assert "does not stay up" in done.stderr and "its last lines" in done.stderr, done.stderr
    machine.sh("sed -i s/lissen/listen/ /etc/sekisho/control.json")
    daemon("start", "control")
    assert "inactive (dead), does not start at boot" in daemon("stop", "control").stdout
    machine.run("systemctl", "is-enabled", "sekisho-control", code=1)
    # Somebody who may not.
    done = machine.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sekisho", "daemon", "start", "control", code=7)
    assert "sudo sekisho daemon start control" in done.stderr, done.stderr
    for words in (("start",), ("start", "controll"), ("logs", "control", "--lines", "x"), ("halt", "control")):
        same(daemon(*words, code=2).stdout, "", words)


def story_without_systemd_the_way_by_hand_is_said(t):
    if os.path.exists("/run/systemd/system"):
        t.leave_out("this machine is run by systemd")
    for words in (("status",), ("start", "agent"), ("logs", "agent")):
        done = subprocess.run([t.sekisho, "daemon", *words], capture_output=True, text=True)
        same(done.returncode, 6, words)
        assert "sekisho agent --config" in done.stderr or words == ("status",), done.stderr
        assert "not run by systemd" in done.stderr, done.stderr
