"""Who of several targets is asked: the faster, the same one again, and one question at a time after a failure."""

import collections
import threading
import time

from lib import wire
from lib.stage import eventually, same, within
from lib.upstream import ok

ONE = {"workers": 1}
BAD = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


def named(t, name, seconds=0.0):
    return t.upstream(lambda peer, request: (time.sleep(seconds), peer.send(ok(name))))


def answers(gate, times, fields=(), source=None):
    return collections.Counter(wire.get(gate.port, "/", fields, source=source).text for _ in range(times))


def at_once(gate, count):
    """The answers to so many requests sent at the same moment."""
    connections = [gate.conn() for _ in range(count)]
    for c in connections:
        c.send(wire.request_bytes("GET", "/"))
    return [c.answer() for c in connections]


def story_the_faster_target_is_asked_more(t):
    slow, fast = named(t, "slow", 0.5), named(t, "fast")
    gate = t.proxy(slow, fast, gateway=ONE)
    got = answers(gate, 60)
    assert 0 <= got["slow"] <= 10, got  # once to know it, and then now and again


def story_equal_targets_share_the_requests(t):
    ups = [named(t, name, 0.02) for name in "abc"]
    gate = t.proxy(*ups, gateway=ONE)

    def missing():
        got = answers(gate, 150)
        return max(0, 15 - min(got[name] for name in "abc"))

    within(1, missing, "one of them gets too few")


def story_a_header_chooses_the_target(t):
    ups = [named(t, name) for name in "abcd"]
    gate = t.proxy(*ups, gateway={"workers": 2}, upstream={"balance": "hash", "hashBy": "header:X-User"})
    where = {}
    for user in range(40):
        got = answers(gate, 3, {"X-User": f"user{user}"})
        same(len(got), 1, f"user{user}")
        where[user] = next(iter(got))
    same(set(where.values()), set("abcd"))
    assert len(answers(gate, 60)) > 1, "requests without the field all went to one"

    # Another start of the gateway, one target fewer: nobody else moves.
    fewer = t.proxy(*ups[:3], gateway=ONE, upstream={"balance": "hash", "hashBy": "header:x-user"})
    for user, before in where.items():
        now = next(iter(answers(fewer, 1, {"X-User": f"user{user}"})))
        assert now == before or before == "d", f"user{user} moved from {before} to {now}"


def story_a_cookie_or_an_address_chooses_the_target(t):
    ups = [named(t, name) for name in "abcd"]
    gate = t.proxy(*ups, gateway=ONE, upstream={"balance": "hash", "hashBy": "cookie:sid"})
    got = {n: answers(gate, 3, {"Cookie": f"theme=dark; sid=s{n}; x=y"}) for n in range(30)}
    assert all(len(x) == 1 for x in got.values()), got
    same({name for x in got.values() for name in x}, set("abcd"))

    gate = t.proxy(*ups, gateway=ONE, upstream={"balance": "hash"})
    got = {n: answers(gate, 3, source=f"127.0.0.{n}") for n in range(2, 32)}
    assert all(len(x) == 1 for x in got.values()), got
    same({name for x in got.values() for name in x}, set("abcd"))


def story_after_an_ejection_one_request_at_a_time_asks_again(t):
    state = {"answer": BAD, "now": 0, "most": 0, "asked": 0}
    lock = threading.Lock()

    def script(peer, request):
        with lock:
            state["asked"] += 1
            state["now"] += 1
            state["most"] = max(state["most"], state["now"])
        time.sleep(0.3)
        with lock:
            state["now"] -= 1
        peer.send(state["answer"])

    shaky, good = t.upstream(script), named(t, "good", 0.05)
    gate = t.proxy(shaky, good, gateway=ONE, upstream={
        "balance": "round-robin", "slowStart": "0s", "passive": {"failures": 1, "ejectTime": "500ms"}})
    ejections = f'sekisho_upstream_ejections_total{{upstream="app",target="{shaky.url}"}}'
    eventually(lambda: gate.get("/", token=False) and gate.metrics().get(ejections) == 1, 5, "not ejected")
    time.sleep(0.6)
    state.update(most=0, asked=0)
    at_once(gate, 12)
    same(state["most"], 1, "requests at the doubtful target at a time")
    gate.counted(ejections, 2)  # it failed again: out for longer
    state["answer"] = ok("shaky")
    time.sleep(1.2)
    eventually(lambda: gate.get("/", token=False).text == "shaky", 5, "never asked again")
    state.update(most=0)
    at_once(gate, 12)
    assert state["most"] > 1, "it is well and still gets one at a time"


def story_some_targets_always_stay(t):
    ups = [t.upstream(lambda peer, request: peer.send(BAD)) for _ in range(4)]
    gate = t.proxy(*ups, gateway=ONE, upstream={"balance": "round-robin",
                                                 "passive": {"failures": 1, "ejectTime": "60s", "maxEjectedPercent": 50}})
    for _ in range(20):
        same(gate.get("/", token=False).status, 500)
    up = [value for name, value in gate.metrics().items() if name.startswith("sekisho_upstream_up{")]
    same(sorted(up), [0, 0, 1, 1])
