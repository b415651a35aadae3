"""Configuration changes, ends and crashes while requests are under way."""

import os
import signal
import threading
import time

from lib import proc, wire
from lib.stage import eventually, merge, same, within


class Load:
    """Clients that ask all the time, on kept connections, until told to stop; every answer must be right."""

    def __init__(self, gate, clients=4):
        self.gate, self.over, self.asked, self.wrong = gate, threading.Event(), 0, []
        self.threads = [threading.Thread(target=self._run) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        conn = None
        while not self.over.is_set():
            try:
                conn = conn or self.gate.conn()
                a = conn.send(wire.request_bytes("GET", "/bytes/100")).answer()
                if a.status != 200 or len(a.body) != 100:
                    self.wrong.append(repr(a))
                self.asked += 1
                if (a.get("connection") or "").lower() == "close":
                    conn.close()
                    conn = None
            except (OSError, wire.Lost) as e:
                self.wrong.append(f"{type(e).__name__} {e}")
                conn = None
        if conn:
            conn.close()

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()
        return self


def story_a_reload_under_load_loses_nothing(t):
    gate = t.proxy(t.sample())
    load = Load(gate)
    for n in range(30 if t.is_slow else 8):
        gate.reload(merge(gate.config, {"gateway": {"limits": {"headerLines": 50 + n}}}))
        time.sleep(0.1)
    load.stop()
    assert load.asked > 100 and not load.wrong, (load.asked, load.wrong[:5])


def story_a_reload_changes_what_it_says(t):
    gate = t.gateway(routes=[{"path": "/", "respond": {"body": "old"}, "access": "public"}])
    same(gate.get("/", token=False).text, "old")
    gate.reload(merge(gate.config, {"routes": [{"path": "/", "respond": {"body": "new"}, "access": "public"}]}))
    eventually(lambda: gate.get("/", token=False).text == "new", 5, "the old configuration is still there")


def story_a_bad_configuration_changes_nothing(t):
    gate = t.gateway(routes=[{"path": "/", "respond": {"body": "old"}, "access": "public"}])
    event = gate.reload('{"gateway": {"prot": 1}}')
    assert event["level"] in ("error", "warning"), event
    assert "prot" in gate.text(), "the log does not say what was wrong"
    same(gate.get("/", token=False).text, "old")
    same(gate.process.poll(), None)


def story_a_request_keeps_the_rules_it_began_with(t):
    gate = t.proxy(t.sample())
    with gate.conn() as c:
        c.send(wire.request_bytes("GET", "/sse?events=60&interval_ms=20"))
        same(c.head().status, 200)
        gate.reload(merge(gate.config, {"upstreams": {}, "routes": []}))
        same(sum(1 for _ in c.events()), 60)


def story_the_end_waits_for_what_is_under_way(t):
    gate = t.proxy(t.sample(), gateway={"drainTimeout": "10s"})
    with gate.conn() as c:
        c.send(wire.request_bytes("GET", "/sse?events=100&interval_ms=20"))
        same(c.head().status, 200)
        time.sleep(0.1)
        gate.signal(signal.SIGTERM)

        def is_closed():
            try:
                wire.get(gate.port, "/health")
            except (ConnectionError, wire.Lost):
                return True

        eventually(is_closed, 5, "new connections are still taken")
        same(sum(1 for _ in c.events()), 100, "events of the stream")
    same(gate.wait(5), 0)


def story_the_end_does_not_wait_for_ever(t):
    gate = t.proxy(t.sample(), gateway={"drainTimeout": "1s"})
    with gate.conn() as c:
        c.send(wire.request_bytes("GET", "/sse?events=100000&interval_ms=20"))
        c.head()
        begin = time.monotonic()
        gate.signal(signal.SIGTERM)
        same(gate.wait(), 0)
        assert time.monotonic() - begin >= 1


def story_idle_connections_end_at_once(t):
    gate = t.proxy(t.sample(), gateway={"drainTimeout": "5m"})
    with gate.conn() as c:
        c.send(wire.request_bytes("GET", "/bytes/3")).answer()
        gate.signal(signal.SIGTERM)
        assert c.is_closed(), "an idle connection holds up the end"
    same(gate.wait(3), 0)


def story_a_worker_that_dies_is_replaced(t):
    gate = t.proxy(t.sample(), gateway={"workers": 2})
    alive = lambda: [p for p in proc.tree(gate.pid) if p != gate.pid and proc.is_alive(p)]  # noqa: E731
    back = lambda: [x["after_ms"] for x in gate.lines() if x.get("event") == "worker_back"]  # noqa: E731

    def took():
        workers, before = alive(), len(back())
        assert len(workers) >= 2, workers
        os.kill(workers[0], signal.SIGKILL)
        eventually(lambda: workers[0] not in alive() and len(alive()) >= 2, 5, "no new worker")
        eventually(lambda: len(back()) > before, 5, "it is not back")
        for _ in range(20):
            same(gate.get("/bytes/3", token=False).status, 200)
        return back()[-1]

    # The sanitizers make a fork and all that follows many times slower.
    within(1000 if b"__asan_init" in t.sekisho.read_bytes() else 100, took, "it is back late, in ms", tries=5)


def story_many_reloads_leave_nothing_behind(t):
    t.measure_memory()
    gate = t.proxy(t.sample(), gateway={"workers": 1})
    gate.get("/bytes/3", token=False)
    for n in range(3):
        gate.reload(merge(gate.config, {"gateway": {"limits": {"headerLines": 60 + n}}}))
    time.sleep(1)
    fds, rss = gate.fds_count(), gate.rss_kib()
    for n in range(60 if t.is_slow else 20):
        gate.reload(merge(gate.config, {"gateway": {"limits": {"headerLines": 70 + n}}}))
    eventually(lambda: gate.fds_count() <= fds + 2, 5, lambda: f"{gate.fds_count()} descriptors, before {fds}")
    eventually(lambda: gate.rss_kib() < rss * 1.5 + 4096, 5, lambda: f"{gate.rss_kib()} KiB, before {rss}")
