"""Trying again, waiting for room, and bodies that trickle: each has a bound and an answer."""

import collections
import threading
import time

from lib import wire
from lib.patience import PATIENCE
from lib.stage import eventually, same
from lib.upstream import ok

ONE = {"workers": 1}


def send(gate, method="GET", path="/", body=None):
    c = gate.conn()
    c.send(wire.request_bytes(method, path, body=body))
    return c


def story_retries_have_a_budget(t):
    broken = t.upstream(lambda peer, request: peer.reset())
    also = t.upstream(lambda peer, request: peer.reset())
    gate = t.proxy(broken, also, gateway=ONE, upstream={"protocol": "h1", "passive": {"failures": 0}, "retryBudgetPercent": 10, "retries": 1})
    begin = time.monotonic()
    for _ in range(200):
        same(gate.get("/", token=False).status, 502)
    asked, tens = len(broken.requests) + len(also.requests), int((time.monotonic() - begin) / 10) + 1
    assert 225 <= asked <= 225 + 30 * tens, f"200 requests became {asked}"  # a tenth, and 30 of ten quiet seconds
    reasons = collections.Counter(x["reason"] for x in gate.access_log())
    assert set(reasons) == {"upstream_unreachable", "retry_budget"} and reasons["retry_budget"] >= 200 - (asked - 200), reasons
    gate.counted('sekisho_refused_total{reason="retry_budget"}', reasons["retry_budget"])


def story_without_a_budget_nothing_is_repeated(t):
    broken = t.upstream(lambda peer, request: peer.reset())
    also = t.upstream(lambda peer, request: peer.reset())
    gate = t.proxy(broken, also, gateway=ONE, upstream={"protocol": "h1", "passive": {"failures": 0}, "retryBudgetPercent": 0, "retries": 1})
    for _ in range(10):
        same(gate.get("/", token=False).status, 502)
    same(len(broken.requests) + len(also.requests), 10)
    same({x["reason"] for x in gate.access_log()}, {"upstream_unreachable"})


def story_a_slow_try_is_given_up_for_another_target(t):
    slow = t.upstream(lambda peer, request: (time.sleep(3), peer.send(ok("slow"))))
    fast = t.upstream(lambda peer, request: peer.send(ok("fast")))
    gate = t.proxy(slow, fast, gateway=ONE, upstream={"balance": "round-robin", "tryTimeout": "700ms", "passive": {"failures": 0}})
    for _ in range(4):
        same(gate.get("/", token=False).text, "fast")
    # What may not be repeated waits for its answer, and so does what has nowhere else to go.
    same({wire.post(gate.port, "/", b"pay").text for _ in range(2)}, {"slow", "fast"})
    alone = t.proxy(slow, gateway=ONE, upstream={"tryTimeout": "700ms"})
    same(alone.get("/", token=False).text, "slow")


def story_a_route_has_timeouts_of_its_own(t):
    slow = t.upstream(lambda peer, request: (time.sleep(1), peer.send(ok("slow"))))  # well beyond the route's own
    gate = t.gateway(gateway=ONE, upstreams={"app": {"targets": [slow.url]}}, routes=[
        {"path": "/quick", "upstream": "app", "access": "public", "timeouts": {"firstByte": "200ms"}},
        {"path": "/", "upstream": "app", "access": "public"}])
    same(gate.get("/", token=False).text, "slow")
    same(gate.get("/quick", token=False).status, 504)


QUEUE = 'sekisho_upstream_queue{upstream="app"}'


def busy(t, seconds=0):
    """An upstream that knows how many requests it had at a time; without seconds each takes until state["over"] is set."""
    state, lock = {"now": 0, "most": 0, "over": threading.Event()}, threading.Lock()

    def script(peer, request):
        with lock:
            state["now"] += 1
            state["most"] = max(state["most"], state["now"])
        time.sleep(seconds) if seconds else state["over"].wait(PATIENCE)
        with lock:
            state["now"] -= 1
        peer.send(ok(request.target))

    return t.upstream(script), state


def story_requests_wait_for_a_target_with_room(t):
    up, state = busy(t, 0.1)
    gate = t.proxy({"url": up.url, "maxConnections": 2}, gateway=ONE, upstream={"protocol": "h1", "queue": {"length": 20, "wait": "60s"}})
    held = []
    for i in range(16):
        held.append(send(gate, path=f"/{i}"))
        time.sleep(0.005)
    same([c.answer().text for c in held], [f"/{i}" for i in range(16)])
    same(state["most"], 2, "requests at the target at a time")
    order = [int(r.target[1:]) for r in up.requests]
    assert all(abs(n - i) <= 2 for i, n in enumerate(order)), order  # in their order, two at a time


def story_the_line_has_a_length_and_a_time(t):
    up, state = busy(t)
    gate = t.proxy({"url": up.url, "maxConnections": 1}, gateway=ONE, upstream={"protocol": "h1", "queue": {"length": 2, "wait": "4s"}})
    first = send(gate)
    eventually(lambda: state["now"] == 1, 5, "not asked")
    begin = time.monotonic()
    waiting = [send(gate), send(gate)]
    gate.counted(QUEUE, 2)
    a = send(gate).answer()  # at once: those who were there before wait still
    same((a.status, a.get("Retry-After")), (503, "1"))
    gate.counted('sekisho_refused_total{reason="queue_full"}', 1)
    for c in waiting:
        a = c.answer()
        same((a.status, a.get("Retry-After")), (503, "1"))
    assert time.monotonic() - begin >= 4, "they did not wait long enough"
    gate.counted(QUEUE, 0)
    gate.counted('sekisho_refused_total{reason="queue_timeout"}', 2)
    state["over"].set()
    same(first.answer().status, 200)


def story_who_leaves_the_line_holds_nobody_up(t):
    up, state = busy(t)
    gate = t.proxy({"url": up.url, "maxConnections": 1}, gateway=ONE, upstream={"protocol": "h1", "queue": {"length": 20, "wait": "60s"}})
    first = send(gate, path="/first")
    eventually(lambda: state["now"] == 1, 5, "not asked")
    gone = [send(gate, path="/gone") for _ in range(5)]
    last = send(gate, path="/last")
    gate.counted(QUEUE, 6)
    for c in gone:
        c.reset()
    gate.counted(QUEUE, 1)
    state["over"].set()
    same((first.answer().text, last.answer().text), ("/first", "/last"))
    same([r.target for r in up.requests], ["/first", "/last"])


def story_a_trickling_upload_is_cut_off_and_an_honest_one_is_not(t):
    up = t.upstream(lambda peer, request: peer.send(ok(str(len(request.body)))))
    gate = t.proxy(up, gateway=ONE, route={"minimumRate": "2KiB", "maxBodyBytes": "0"})
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    slow, honest = gate.conn(), gate.conn()
    slow.send(head)
    honest.send(head)

    def trickle():
        try:
            for _ in range(40):
                slow.send(b"x" * 100)
                time.sleep(0.25)
        except OSError:
            pass

    thread = threading.Thread(target=trickle)
    thread.start()
    for _ in range(28):
        honest.send(b"y" * 1000)
        time.sleep(0.25)
    honest.send(b"y" * (1000000 - 28000))
    same(honest.answer().text, "1000000")
    a = slow.answer()
    thread.join()
    same(a.status, 408)
    gate.counted('sekisho_refused_total{reason="minimum_rate"}', 1)


def story_who_does_not_take_the_answer_is_cut_off(t):
    big = b"z" * (64 << 20)
    up = t.upstream(lambda peer, request: peer.send(ok(big)))
    gate = t.proxy(up, gateway=ONE, route={"minimumRate": "1KiB"})
    c = gate.conn()
    c.send(wire.request_bytes("GET", "/"))
    c.until(b"\r\n\r\n")
    time.sleep(8)  # takes nothing
    eventually(lambda: gate.metrics().get('sekisho_refused_total{reason="minimum_rate"}') == 1, 5, "it was not cut off")
    same(len(gate.get("/", token=False).body), len(big))  # who takes it gets all of it
