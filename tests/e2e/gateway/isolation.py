"""Processes that meet strangers are closed in, and it can be seen."""

import os
import pwd

from lib import proc
from lib.stage import eventually, same


def status_of(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def children(gate):
    return [p for p in proc.tree(gate.pid) if p != gate.pid]


def event(gate, name):
    return eventually(lambda: next((x for x in gate.lines() if x.get("event") == name), None), 10, f"no {name} in the log")


def story_workers_are_closed_in(t):
    gate = t.proxy(t.sample(), gateway={"workers": 2})
    for _ in range(10):
        same(gate.get("/bytes/3", token=False).status, 200)
    told = event(gate, "isolation")
    for pid in children(gate):
        s = status_of(pid)
        same(s["NoNewPrivs"], "1", "NoNewPrivs")
        same(s["Seccomp"], "2", "Seccomp")
        same(int(s["CapEff"], 16) | int(s["CapPrm"], 16) | int(s["CapInh"], 16) | int(s["CapAmb"], 16), 0, "capabilities")
        with open(f"/proc/{pid}/limits") as f:
            core = next(line for line in f if line.startswith("Max core file size"))
        same(core.split()[4:6], ["0", "0"], "core")
    assert told["seccomp"] and told["no_new_privileges"] and told["no_capabilities"] and told["no_dumps"], told


def story_workers_are_another_user(t):
    if os.geteuid() != 0:
        t.leave_out("needs root, to have a user to leave")
    nobody = pwd.getpwnam("nobody")
    gate = t.proxy(t.sample(), gateway={"workers": 2, "user": "nobody"})
    same(gate.get("/bytes/3", token=False).status, 200)
    for pid in children(gate):
        same(status_of(pid)["Uid"].split(), [str(nobody.pw_uid)] * 4, "Uid")
        same(status_of(pid)["Gid"].split(), [str(nobody.pw_gid)] * 4, "Gid")
    same(event(gate, "isolation")["uid"], nobody.pw_uid)
    # A reload needs the files and ports that only the supervisor may have.
    gate.reload()
    same(gate.get("/bytes/3", token=False).status, 200)


def story_a_user_who_is_not_there_is_said(t):
    if os.geteuid() != 0:
        t.leave_out("needs root, who alone is asked whom to become")
    gate = t.gateway(wait=False, gateway={"user": "no-such-user"},
                     routes=[{"path": "/", "respond": {"body": "x"}, "access": "public"}])
    same(gate.wait(10), 2)
    assert "no-such-user" in gate.text(), gate.text()
    t.programs.remove(gate)
