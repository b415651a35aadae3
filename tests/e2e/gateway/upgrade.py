"""A new program takes over (SIGUSR2), reloads come in between, and no client notices."""

import os
import signal
import threading
import time

from gateway.reload import Load
from gateway.service import Manager
from gateway.websocket import HELLO, echo
from lib import proc, wire
from lib.stage import eventually, same

class Line:
    """The present supervisor of a line of them."""

    def __init__(self, gate):
        self.gate, self.pid, self.all = gate, gate.pid, [gate.pid]

    def upgrade(self, seconds=30):
        before = len(self.gate.lines())
        os.kill(self.pid, signal.SIGUSR2)
        over = ("upgrade_done", "upgrade_failed", "upgrade_refused")
        event = eventually(lambda: next((x for x in self.gate.lines()[before:] if x.get("event") in over), None), seconds,
                           "no word of the upgrade in the log")
        if event["event"] == "upgrade_done":
            self.pid = event["pid"]
            self.all.append(self.pid)
        return event

    def reload(self):
        before = len(self.gate.lines())
        os.kill(self.pid, signal.SIGHUP)
        eventually(lambda: any(x.get("event") == "config_applied" for x in self.gate.lines()[before:]), 20, "no reload")

    def end(self):
        """Whoever is the last one now ends like the first would have; those before it are drained."""
        if self.pid != self.gate.pid:
            os.kill(self.pid, signal.SIGTERM)
            same(self.gate.wait(40), 0)
            for pid in self.all:
                eventually(lambda p=pid: not proc.is_alive(p), 40, f"{pid} does not end")


def story_an_upgrade_loses_nothing(t):
    gate = t.proxy(t.sample(), gateway={"workers": 2, "drainTimeout": "20s"})
    line, load = Line(gate), Load(gate)
    first = line.pid
    for n in range(10 if t.is_slow else 4):
        same(line.upgrade()["event"], "upgrade_done")
        time.sleep(0.2)
        line.reload()
        time.sleep(0.2)
    load.stop()
    assert load.asked > 100 and not load.wrong, (load.asked, load.wrong[:5])
    same(gate.wait(30), 0)
    assert line.pid != first
    same(gate.get("/bytes/3", token=False).status, 200)
    line.end()


def story_a_websocket_goes_on_through_an_upgrade(t):
    gate = t.proxy(t.upstream(on_connect=echo), gateway={"workers": 1, "drainTimeout": "20s"})
    line = Line(gate)
    with gate.conn() as c:
        same(c.send(HELLO).answer().status, 101)
        for n in range(3):
            c.send(b"message %d" % n)
            same(c.exactly(9), b"message %d" % n)
            if n == 0:
                same(line.upgrade()["event"], "upgrade_done")
            if n == 1:
                line.reload()
    same(gate.wait(20), 0)
    line.end()


def story_an_idle_connection_hears_of_the_end_with_its_next_answer(t):
    gate = t.proxy(t.sample(), gateway={"workers": 1, "drainTimeout": "20s"})
    line = Line(gate)
    with gate.conn() as c:
        same(c.send(wire.request_bytes("GET", "/bytes/3")).answer().status, 200)
        same(line.upgrade()["event"], "upgrade_done")

        def is_told():
            a = c.send(wire.request_bytes("GET", "/bytes/3")).answer()
            same(a.status, 200)
            return (a.get("connection") or "").lower() == "close"

        eventually(is_told, 5, "it does not hear of the end")
    same(gate.wait(20), 0)
    line.end()


def story_a_new_one_that_cannot_start_changes_nothing(t):
    gate = t.proxy(t.sample(), gateway={"workers": 1})
    line, good = Line(gate), gate.config
    gate.write('{"gateway": {"prot": 1}}')
    same(line.upgrade()["event"], "upgrade_failed")
    same(gate.get("/bytes/3", token=False).status, 200)
    same(gate.process.poll(), None)
    gate.write(good)
    same(line.upgrade()["event"], "upgrade_done")
    same(gate.wait(40), 0)
    same(gate.get("/bytes/3", token=False).status, 200)
    line.end()


def story_secrets_of_the_environment_reach_the_new_one(t):
    secret = t.secret("env")
    gate = t.gateway(gateway={"workers": 1, "apiTokens": [{"name": "e", "env": "STORY_TOKEN"}]}, env={"STORY_TOKEN": secret},
                     routes=[{"path": "/", "respond": {"body": "in"}}])
    line = Line(gate)
    same(gate.get("/", token=secret).text, "in")
    same(line.upgrade()["event"], "upgrade_done")
    same(gate.wait(40), 0)
    same(gate.get("/", token=secret).text, "in")
    for where, data in proc.texts_of(line.pid):
        assert secret.encode() not in data, where
    line.end()


def story_the_manager_is_told_who_is_the_service_now(t):
    manager = Manager(t)
    gate = t.gateway(routes=[{"path": "/", "respond": {"body": "x"}, "access": "public"}], env={"NOTIFY_SOCKET": manager.path})
    line = Line(gate)
    manager.hears("READY=1")
    same(line.upgrade()["event"], "upgrade_done")
    manager.hears(f"MAINPID={line.pid}")
    same(gate.wait(40), 0)
    assert "STOPPING=1" not in manager.words(), manager.heard
    line.end()
    manager.hears("STOPPING=1")


def story_counters_go_on_through_upgrades(t, seconds=120):
    """Whoever reads the page while programs follow each other sees counters that never fall, and in the end all that was answered."""
    gate = t.proxy(t.sample(), gateway={"workers": 2, "drainTimeout": "20s"})
    line, load = Line(gate), Load(gate)
    over, seen = threading.Event(), []

    def counted(family):
        return sum(v for n, v in gate.metrics().items() if n.startswith(family + "{") and 'upstream="app"' in n)

    def scrape():
        while not over.is_set():
            try:
                seen.append(gate.metrics())
            except (OSError, wire.Lost):
                pass
            time.sleep(0.02)

    reader = threading.Thread(target=scrape)
    reader.start()
    for n in range(3):
        eventually(lambda n=n: load.asked > 50 * (n + 1), 20, "nothing is asked")
        if n == 1:  # one that fails in between takes nothing away
            config = gate.config
            gate.write('{"gateway": {"prot": 1}}')
            same(line.upgrade()["event"], "upgrade_failed")
            gate.write(config)
        same(line.upgrade()["event"], "upgrade_done")
    load.stop()
    assert not load.wrong, load.wrong[:5]
    for pid in line.all[:-1]:
        eventually(lambda p=pid: not proc.is_alive(p), 40, f"{pid} does not end")
    eventually(lambda: counted("sekisho_requests_total") == load.asked, 20,
               lambda: f"{counted('sekisho_requests_total')} counted, {load.asked} asked")
    over.set()
    reader.join()
    for name in seen[-1]:
        if name.split("{")[0].endswith(("_total", "_count", "_sum", "_bucket")) and "process_" not in name:
            values = [page[name] for page in seen if name in page]
            fell = [(a, b) for a, b in zip(values, values[1:]) if b < a]
            assert not fell, (name, fell[:3])
    line.end()
