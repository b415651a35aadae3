"""What a service manager hands over and hears, and a worker that stands still."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess

from lib import proc, wire
from lib.stage import Gateway, eventually, free_port, merge, same

UNITS = pathlib.Path(__file__).resolve().parents[3] / "deploy" / "systemd"


class Manager:
    """The manager's end of sd_notify."""

    def __init__(self, t):
        self.path = str(t.folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.heard = []

    def words(self):
        self.socket.setblocking(False)
        try:
            while True:
                self.heard += self.socket.recv(4096).decode().split("\n")
        except BlockingIOError:
            return self.heard

    def hears(self, word, seconds=10):
        eventually(lambda: any(w.startswith(word) for w in self.words()), seconds, f"{word} was not said: {self.heard}")


def story_the_manager_is_told(t):
    manager = Manager(t)
    gate = t.gateway(routes=[{"path": "/", "respond": {"body": "x"}, "access": "public"}],
                     env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"})
    manager.hears("READY=1")
    manager.hears("STATUS=Serving")
    manager.hears("WATCHDOG=1")
    manager.heard.clear()
    gate.reload()
    manager.hears("RELOADING=1")
    manager.hears("MONOTONIC_USEC=")
    manager.hears("READY=1")
    manager.heard.clear()
    gate.reload('{"gateway": {"prot": 1}}')
    manager.hears("STATUS=The reload was refused")
    manager.hears("READY=1")
    gate.write(gate.config)
    gate.signal(signal.SIGTERM)
    same(gate.wait(10), 0)
    manager.hears("STOPPING=1")


def handed_gateway(t, config, sockets, names):
    """A gateway started as systemd does: listening sockets from descriptor 3 on, its own number in LISTEN_PID."""
    wrapper = t.folder / "start"
    lines = ["#!/bin/bash", f"export LISTEN_PID=$$ LISTEN_FDS={len(sockets)} LISTEN_FDNAMES={':'.join(names)}"]
    lines += [f"exec {20 + i}<&{s.fileno()}" for i, s in enumerate(sockets)]
    lines += [f"exec {3 + i}<&{20 + i} {20 + i}<&-" for i in range(len(sockets))]
    wrapper.write_text("\n".join([*lines, f'exec {t.sekisho} "$@"', ""]))
    wrapper.chmod(0o755)
    keep, t.sekisho = t.sekisho, wrapper
    for s in sockets:
        os.set_inheritable(s.fileno(), True)
    popen = subprocess.Popen
    try:
        subprocess.Popen = lambda *a, **k: popen(*a, **{**k, "close_fds": False})
        gate = Gateway(t, "gateway", config)
    finally:
        subprocess.Popen, t.sekisho = popen, keep
    t.programs.append(gate)
    return gate


def story_sockets_of_the_manager_are_used(t):
    named, bound = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    config = t.config(gateway={"workers": 2, "listen": ["systemd:web"], "port": bound.getsockname()[1]},
                      routes=[{"path": "/", "respond": {"body": "handed"}, "access": "public"}])
    gate = handed_gateway(t, config, [named, bound], ["web", "other"])
    ports = [s.getsockname()[1] for s in (named, bound)]
    named.close()
    bound.close()
    for port in ports:
        for _ in range(4):
            same(wire.get(port, "/").text, "handed")
    # A reload keeps what was handed over, and takes it up again after it was left out.
    gate.reload(merge(config, {"gateway": {"listen": []}}))
    same(wire.get(ports[1], "/").text, "handed")
    gate.reload(config)
    same(wire.get(ports[0], "/").text, "handed")
    gate.signal(signal.SIGTERM)
    same(gate.wait(10), 0)


def story_a_socket_nobody_hands_over_is_said(t):
    gate = t.gateway(wait=False, gateway={"listen": ["systemd:web"], "port": free_port()},
                     routes=[{"path": "/", "respond": {"body": "x"}, "access": "public"}])
    same(gate.wait(10), 2)
    assert "FileDescriptorName=" in gate.text(), gate.text()
    t.programs.remove(gate)


def story_a_worker_that_stands_still_is_replaced(t):
    gate = t.proxy(t.sample(), gateway={"workers": 2, "watchdog": "3s"})
    workers = [p for p in proc.tree(gate.pid) if p != gate.pid]
    os.kill(workers[0], signal.SIGSTOP)
    eventually(lambda: any(x.get("event") == "worker_stuck" for x in gate.lines()), 15, "nobody noticed")
    eventually(lambda: not proc.is_alive(workers[0]), 5, "it is still there")
    for _ in range(20):
        same(gate.get("/bytes/3", token=False).status, 200)


def story_the_units_are_hardened(t):
    if not shutil.which("systemd-analyze"):
        t.leave_out("needs systemd-analyze")
    units = sorted(UNITS.iterdir())
    same([u.name for u in units], ["sekisho-agent.service", "sekisho-control.service", "sekisho-gateway.service", "sekisho-gateway.socket"])
    for unit in units[:3]:
        done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager", str(unit)],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    # They are read as they stand (the program is not installed here).
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *map(str, units)], capture_output=True, text=True)
    wrong = [x for x in (done.stdout + done.stderr).splitlines()
             if "sekisho" in x and "is not executable" not in x and "No such file" not in x]
    assert not wrong, wrong
