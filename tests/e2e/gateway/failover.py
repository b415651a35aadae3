"""Several targets: who is asked, what happens when one fails, and that nothing is ever asked twice for one answer."""

import threading
import time

from lib import wire
from lib.patience import PATIENCE
from lib.stage import eventually, free_port, same, within
from lib.upstream import ok

ONE = {"workers": 1}


def named(t, name, script=None):
    """An upstream that answers with its name."""
    up = t.upstream(script or (lambda peer, request: peer.send(ok(name))))
    up.name = name
    return up


def ask(gate, times=1, method="GET"):
    bodies = [wire.ask(gate.port, method, "/", body=b"x" if method == "POST" else None).text for _ in range(times)]
    return bodies[0] if times == 1 else bodies


def story_targets_take_turns_by_weight(t):
    a, b = named(t, "a"), named(t, "b")
    gate = t.proxy({"url": a.url, "weight": 3}, {"url": b.url, "weight": 1}, gateway=ONE,
                   upstream={"balance": "round-robin"})
    got = ask(gate, 40)
    same((got.count("a"), got.count("b")), (30, 10))


def story_least_requests_goes_where_less_is_under_way(t):
    over = threading.Event()
    busy = named(t, "busy", lambda peer, request: (over.wait(PATIENCE), peer.send(ok("busy"))))
    free = named(t, "free")
    gate = t.proxy(busy, free, upstream={"balance": "least-requests"}, gateway=ONE)
    held = []
    while len(busy.requests) == 0:
        c = gate.conn()
        c.send(wire.request_bytes("GET", "/"))
        held.append(c)
        time.sleep(0.05)
    same(set(ask(gate, 10)), {"free"})
    over.set()
    same({c.answer().status for c in held}, {200})


def story_a_target_that_is_not_there_costs_nothing(t):
    b = named(t, "b")
    gate = t.proxy(f"http://127.0.0.1:{free_port()}", b, gateway=ONE)
    same(set(ask(gate, 10)), {"b"})
    same(set(ask(gate, 10, "POST")), {"b"})


def story_a_target_that_breaks_before_the_first_byte_is_passed_over(t):
    broken = named(t, "broken", lambda peer, request: peer.reset())
    good = named(t, "good")
    gate = t.proxy(broken, good, upstream={"passive": {"failures": 0}}, gateway=ONE)
    same(set(ask(gate, 10)), {"good"})


def story_nothing_is_asked_again_once_an_answer_began(t):
    def script(peer, request):
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        peer.reset()

    broken, other = named(t, "broken", script), named(t, "other")
    gate = t.proxy(broken, {"url": other.url, "backup": True}, upstream={"passive": {"failures": 0}}, gateway=ONE)
    for _ in range(5):
        a = gate.get("/", token=False)
        same((a.status, a.ended), (200, "cut"))
    same(len(other.requests), 0)


def story_a_post_that_was_sent_is_not_sent_again(t):
    broken = named(t, "broken", lambda peer, request: peer.reset())
    other = named(t, "other")
    gate = t.proxy(broken, {"url": other.url, "backup": True}, upstream={"passive": {"failures": 0}}, gateway=ONE)
    same(wire.post(gate.port, "/", b"pay").status, 502)
    same((len(broken.requests), len(other.requests)), (1, 0))


def story_a_kept_connection_that_was_closed_is_no_failure(t):
    def script(peer, request):
        peer.send(ok("here"))
        if request.target == "/last":
            peer.close()

    up = named(t, "here", script)
    gate = t.proxy(up, gateway=ONE)
    for _ in range(20):
        same(wire.get(gate.port, "/last").text, "here")
        same(wire.get(gate.port, "/first").text, "here")


def story_a_backup_stands_in_only_while_all_others_fail(t):
    main, backup = t.sample(), named(t, "backup")
    gate = t.proxy(main, {"url": backup.url, "backup": True}, gateway=ONE,
                   upstream={"health": {"path": "/health", "interval": "100ms", "timeout": "10s", "rise": 2, "fall": 2}})
    same(gate.get("/bytes/3", token=False).body, b"abc")
    main.set_fault("status=503;path=/health")
    eventually(lambda: gate.get("/bytes/3", token=False).text == "backup", 5, "the backup is not asked")
    main.set_fault("")
    eventually(lambda: gate.get("/bytes/3", token=False).body == b"abc", 5, "the main target does not come back")


def story_a_failing_target_is_left_alone_for_a_while(t):
    failing = named(t, "failing", lambda peer, request: peer.send(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"))
    good = named(t, "good")
    gate = t.proxy(failing, good, gateway=ONE, upstream={"balance": "round-robin",
                                                             "passive": {"failures": 3, "window": "10s", "ejectTime": "4s"}})
    for _ in range(20):
        gate.get("/", token=False)
    asked = len(failing.requests)
    assert 3 <= asked <= 6, f"asked {asked} times"
    eventually(lambda: gate.get("/", token=False) and len(failing.requests) > asked, 10, "never asked again")


def story_when_all_are_down_the_answer_comes_soon(t):
    gate = t.proxy(f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}", gateway=ONE)

    def took():
        begin = time.monotonic()
        a = gate.get("/", token=False)
        assert a.status in (502, 503) and a.json["error"]["message"], a
        return time.monotonic() - begin

    within(1, took, "the answer comes late")
