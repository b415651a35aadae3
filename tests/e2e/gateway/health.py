"""Active checks: a target that says it is unwell gets no requests until it is well again."""

import threading
import time

from lib import wire
from lib.stage import eventually, same
from lib.upstream import ok


class Patient:
    """An upstream that is well or not, and says who answered."""

    def __init__(self, t, name):
        self.name, self.is_well, self.checks = name, threading.Event(), 0
        self.is_well.set()
        self.up = t.upstream(self.answer)

    def answer(self, peer, request):
        if request.target == "/healthz":
            self.checks += 1
            peer.send(ok(b"") if self.is_well.is_set() else
                      b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
        else:
            peer.send(ok(self.name.encode()))


def asked(gate, times=8):
    return {wire.get(gate.port, "/x").text for _ in range(times)}


def story_an_unwell_target_rests(t):
    a, b = Patient(t, "a"), Patient(t, "b")
    gate = t.proxy(a.up, b.up, upstream={"balance": "round-robin", "slowStart": "0s",
                                         "health": {"path": "/healthz", "interval": "100ms", "timeout": "10s", "rise": 2, "fall": 2}},
                   gateway={"workers": 2})
    same(asked(gate), {"a", "b"})
    a.is_well.clear()
    eventually(lambda: asked(gate) == {"b"}, 5, "requests still reach the unwell target")
    gate.counted(f'sekisho_upstream_up{{upstream="app",target="{a.up.url}"}}', 0)
    a.is_well.set()
    eventually(lambda: asked(gate) == {"a", "b"}, 5, "the target that is well again gets nothing")
    before = a.checks
    eventually(lambda: a.checks > before + 2, 5, "the checks have ended")


def story_checks_are_made_once_for_all_workers(t):
    a = Patient(t, "a")
    t.proxy(a.up, upstream={"health": {"path": "/healthz", "interval": "200ms"}}, gateway={"workers": 4})
    eventually(lambda: a.checks >= 5, 5, "no checks")
    first, begin = a.checks, time.monotonic()
    time.sleep(1)
    made, took = a.checks - first, time.monotonic() - begin
    assert made <= took / 0.2 + 2, f"{made} checks in {took:.1f} s: each worker makes its own"
