"""Kept answers: what is served again, to whom, for how long; and what never is."""

import threading
import time

from lib import wire
from lib.patience import PATIENCE
from lib.stage import eventually, same
from lib.upstream import always, ok

MAX = "Cache-Control: max-age=60\r\n"


def gate_of(t, up, cache=True, gateway=None, **route):
    return t.gateway(upstreams={"app": {"targets": [up.url]}}, gateway={"workers": 1, **(gateway or {})},
                     routes=[{"path": "/", "upstream": "app", "access": "public", "cache": cache, **route}])


def get(gate, path="/", fields=(), method="GET"):
    return wire.ask(gate.port, method, path, list(fields))


def counted(fields=MAX, body=None):
    """Each answer says which one it is."""
    count = [0]

    def script(peer, request):
        count[0] += 1
        peer.send(ok(body or f"answer {count[0]}", fields))

    return script


def story_a_fresh_answer_is_served_again(t):
    up = t.upstream(counted(MAX + 'ETag: "v1"\r\n'))
    gate = gate_of(t, up)
    a, b = get(gate), get(gate)
    same((a.text, b.text, len(up.requests)), ("answer 1", "answer 1", 1))
    same((a.get("cache-status"), a.get("age")), ("sekisho; fwd=uri-miss; fwd-status=200; stored", None))
    same(b.get("cache-status")[:16], "sekisho; hit; tt")
    assert int(b.get("age")) < PATIENCE, b
    h = get(gate, method="HEAD")
    same((h.status, h.get("content-length"), h.body, len(up.requests)), (200, "8", b"", 1))
    n = get(gate, fields=[("If-None-Match", '"v0", W/"v1"')])
    same((n.status, n.body, n.get("etag"), n.get("content-length"), len(up.requests)), (304, b"", '"v1"', None, 1))
    same(get(gate, "/other").text, "answer 2")
    same(get(gate, "/?x=1").text, "answer 3")
    gate.counted('sekisho_cache_total{result="hit"}', 3)
    gate.counted('sekisho_cache_total{result="miss"}', 3)
    assert gate.metrics()["sekisho_cache_bytes"] > 0
    eventually(lambda: gate.metrics()["sekisho_cache_entries"] == 3, 5, "not three kept answers")


def story_what_is_never_kept(t):
    for name, fields in {"no-store": "Cache-Control: no-store\r\n", "private": "Cache-Control: private, max-age=60\r\n",
                         "cookie": MAX + "Set-Cookie: a=b\r\n", "nothing said": "", "everything varies": MAX + "Vary: *\r\n",
                         "in the past": "Expires: Thu, 01 Jan 1970 00:00:00 GMT\r\n", "no date": "Expires: 0\r\n"}.items():
        up = t.upstream(counted(fields))
        gate = gate_of(t, up)
        same([get(gate).text for _ in range(3)], ["answer 1", "answer 2", "answer 3"], name)
        gate.stop()


def story_credentials_share_only_what_is_public(t):
    up = t.upstream(counted())
    gate = gate_of(t, up)
    for field in (("Authorization", "Bearer x"), ("Cookie", "a=b"), ("X-Api-Key", "k")):
        path = "/" + field[0]
        first = get(gate, path, [field]).text
        assert get(gate, path, [field]).text != first, field
        assert get(gate, path).text != first, field
        kept = get(gate, path).text
        assert get(gate, path, [field]).text != kept, field
    public = t.upstream(counted("Cache-Control: public, max-age=60\r\n"))
    gate = gate_of(t, public)
    same({get(gate, "/", f).text for f in ([("Authorization", "Bearer x")], [("Cookie", "c=d")], [])}, {"answer 1"})


def story_tokens_of_the_gateway_do_not_share(t):
    up = t.upstream(counted())
    gate = t.gateway(upstreams={"app": {"targets": [up.url]}}, gateway={"workers": 1},
                     routes=[{"path": "/", "upstream": "app", "access": "proxy", "cache": True}])
    same([gate.get("/").text for _ in range(2)], ["answer 1", "answer 2"])
    same(gate.get("/", token=False).status, 401)


def story_variants_are_told_apart(t):
    up = t.upstream(lambda peer, r: peer.send(ok(r.get("accept-language") or "none", MAX + "Vary: Accept-Language\r\n")))
    gate = gate_of(t, up)
    for _ in range(2):
        same([get(gate, "/", [("Accept-Language", x)]).text for x in ("ja", "en")], ["ja", "en"])
        same(get(gate).text, "none")
    same(len(up.requests), 3)


def story_a_coded_answer_goes_to_who_takes_it(t):
    up = t.upstream(lambda peer, r: peer.send(ok(r.get("accept-encoding") or "plain", MAX +
                    ("Content-Encoding: gzip\r\n" if r.get("accept-encoding") else ""))))
    gate = gate_of(t, up)
    same(get(gate, "/", [("Accept-Encoding", "gzip")]).text, "gzip")
    same(get(gate).text, "plain")


def story_poison_does_not_stick(t):
    """Fields that are no part of the key must not reach the upstream, or else be part of it."""
    def reflect(peer, r):
        peer.send(ok(" ".join(f"{n}={v}" for n, v in r.fields if "evil" in v.lower()) or "clean", MAX))

    up = t.upstream(reflect)
    gate = gate_of(t, up)
    for name in ("X-Forwarded-Host", "X-Forwarded-Proto", "X-Original-URL", "X-Rewrite-URL", "Forwarded", "X_Forwarded_Host",
                 "x-forwarded-host", "X-FORWARDED-HOST", "X-Real-IP"):
        path = "/" + name
        get(gate, path, [(name, "evil.test")])
        same(get(gate, path).text, "clean", name)
    c = gate.conn()
    c.send("GET /h HTTP/1.1\r\nHost: EVIL.test\r\n\r\n")
    c.answer()
    same(get(gate, "/h").text, "clean", "another host's answer")
    trusted = gate_of(t, up, gateway={"trustedProxies": ["127.0.0.1"]})
    get(trusted, "/t", [("X-Forwarded-Host", "evil.test")])
    same(get(trusted, "/t").text, "clean", "a trusted proxy's host is part of the key")
    trusted_port = trusted.port
    get(trusted, "/s", [("X-Forwarded-Proto", "https"), ("X-Marker", "evil")])
    same(get(trusted, "/s").text, "clean", trusted_port)


def story_a_stale_answer_is_checked(t):
    def script(peer, r):
        if r.get("if-none-match") == '"v1"':
            peer.send(b'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\nCache-Control: max-age=60\r\nX-New: 1\r\n\r\n')
        else:
            peer.send(ok("body", 'ETag: "v1"\r\nCache-Control: max-age=1\r\nX-New: 0\r\n'))

    up = t.upstream(script)
    gate = gate_of(t, up)
    same(get(gate).get("x-new"), "0")
    time.sleep(1.2)
    a = get(gate)
    same((a.status, a.text, a.get("x-new")), (200, "body", "1"))
    assert "fwd=stale" in a.get("cache-status"), a
    same((get(gate).get("x-new"), len(up.requests)), ("1", 2))
    same([get(gate, f"/other{i}").status for i in range(3)], [200] * 3)
    same(len(up.peers), 1, "the connection that brought the 304 is used again")


def story_no_cache_is_checked_each_time(t):
    up = t.upstream(lambda peer, r: peer.send(
        b'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\nCache-Control: no-cache\r\n\r\n' if r.get("if-none-match") else
        ok("body", 'ETag: "v1"\r\nCache-Control: no-cache\r\n')))
    gate = gate_of(t, up)
    same([get(gate).text for _ in range(3)], ["body"] * 3)
    same([r.get("if-none-match") for r in up.requests], [None, '"v1"', '"v1"'])
    n = get(gate, fields=[("If-None-Match", '"v1"')])
    same((n.status, n.body), (304, b""))
    same(get(gate, fields=[("If-None-Match", '"old"')]).status, 200)


def story_stale_is_served_while_it_is_fetched_anew(t):
    up = t.upstream(counted("Cache-Control: max-age=1, stale-while-revalidate=60\r\n"))
    gate = gate_of(t, up)
    same(get(gate).text, "answer 1")
    time.sleep(1.2)
    same(get(gate).text, "answer 1")
    up.wait_request(2)
    eventually(lambda: get(gate).text == "answer 2", 5, "the new answer is not there")
    same(up.requests[1].get("host"), up.requests[0].get("host"))


def story_stale_is_served_when_the_upstream_fails(t):
    state = ["good"]

    def script(peer, r):
        if state[0] == "good":
            peer.send(ok("good", "Cache-Control: max-age=1, stale-if-error=60\r\n"))
        elif state[0] == "503":
            peer.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        else:
            peer.reset()

    up = t.upstream(script)
    gate = gate_of(t, up)
    get(gate)
    time.sleep(1.2)
    for how in ("503", "reset"):
        state[0] = how
        a = get(gate)
        same((a.status, a.text), (200, "good"), how)
        assert "detail=error" in a.get("cache-status"), a
    up.close()
    same(get(gate).text, "good")


def story_must_revalidate_is_never_stale(t):
    state = ["good"]
    up = t.upstream(lambda peer, r: peer.send(
        ok("good", "Cache-Control: max-age=1, must-revalidate, stale-if-error=60\r\n") if state[0] == "good" else
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"))
    gate = gate_of(t, up)
    get(gate)
    time.sleep(1.2)
    state[0] = "bad"
    same(get(gate).status, 503)


def many(gate, count, path="/"):
    answers = []

    def one():
        answers.append(get(gate, path))

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, answers


def under_way(gate, count):
    """Waits until so many requests are in the gateway, beside the one that asks."""
    eventually(lambda: gate.metrics()["sekisho_requests_active"] >= count + 1, 5, f"not {count} requests under way")


def story_one_fetches_for_many(t):
    all_here = threading.Event()

    def slow(peer, r):
        all_here.wait(PATIENCE)
        peer.send(ok("slow", MAX))

    up = t.upstream(slow)
    gate = gate_of(t, up, {"wait": "60s"})
    threads, answers = many(gate, 20)
    under_way(gate, 20)
    all_here.set()
    for thread in threads:
        thread.join()
    same(({a.text for a in answers}, len(answers), len(up.requests)), ({"slow"}, 20, 1))
    gate.counted('sekisho_cache_total{result="collapsed"}', 19)


def story_nobody_waits_for_what_is_not_shared(t):
    all_here, together = threading.Event(), threading.Barrier(9)

    def slow(peer, r):
        if len(up.requests) == 1:
            all_here.wait(PATIENCE)
        else:
            together.wait(PATIENCE)  # fails when they ask one after the other
        peer.send(ok("mine", "Cache-Control: private\r\n"))

    up = t.upstream(slow)
    gate = gate_of(t, up, {"wait": "60s"})
    first = many(gate, 1)
    up.wait_request(1)
    others = many(gate, 9)
    under_way(gate, 10)
    all_here.set()
    for thread in first[0] + others[0]:
        thread.join()
    same((len(first[1] + others[1]), len(up.requests)), (10, 10))


def story_a_failed_leader_hands_on(t):
    began = threading.Event()

    def script(peer, r):
        if len(up.requests) == 1:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nCache-Control: max-age=60\r\n\r\nhalf")
            began.wait(PATIENCE)
            peer.reset()
        else:
            peer.send(ok("whole", MAX))

    up = t.upstream(script)
    gate = gate_of(t, up, {"wait": "60s"})
    leader = gate.conn()
    a = leader.send(wire.request_bytes("GET", "/")).head()
    threads, answers = many(gate, 9)
    under_way(gate, 10)
    began.set()
    same(leader.body_of(a).ended, "cut")
    for thread in threads:
        thread.join()
    same([(a.ended, a.text) for a in answers], [("length", "whole")] * 9)
    same(len(up.requests), 2)


def story_a_leader_whose_client_leaves_hands_on(t):
    left = threading.Event()

    def slow(peer, r):
        left.wait(PATIENCE)
        peer.send(ok("late", MAX))

    up = t.upstream(slow)
    gate = gate_of(t, up, {"wait": "60s"})
    leader = gate.conn()
    leader.send(wire.request_bytes("GET", "/"))
    up.wait_request(1)
    threads, answers = many(gate, 5)
    under_way(gate, 6)
    leader.close()
    up.wait_request(2)
    left.set()
    for thread in threads:
        thread.join()
    same([a.text for a in answers], ["late"] * 5)
    same(len(up.requests), 2)


def story_a_wait_has_an_end(t):
    answered = threading.Event()

    def never(peer, r):
        if len(up.requests) == 1:
            answered.wait(PATIENCE)
        peer.send(ok("x", MAX))

    up = t.upstream(never)
    gate = gate_of(t, up, {"wait": "300ms"})
    threads, answers = many(gate, 1)
    up.wait_request(1)
    began = time.monotonic()
    same(get(gate).text, "x")
    took = time.monotonic() - began
    assert 0.3 <= took < PATIENCE, took
    answered.set()
    for thread in threads:
        thread.join()


def story_a_cut_answer_is_never_kept(t):
    bad = [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nCache-Control: max-age=60\r\n\r\nhalf",
           b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCache-Control: max-age=60\r\n\r\n4\r\nhalf\r\n"]
    for answer in bad:
        began = threading.Event()

        def script(peer, r, answer=answer, began=began):
            if len(up.requests) == 1:
                peer.send(answer)
                began.wait(PATIENCE)
                peer.reset()
            else:
                peer.send(ok("whole", MAX))

        up = t.upstream(script)
        gate = gate_of(t, up)
        with gate.conn() as c:
            a = c.send(wire.request_bytes("GET", "/")).head()
            began.set()  # a reset before the head was read would be tried again
            same(c.body_of(a).ended, "cut")
        same((get(gate).text, get(gate).text, len(up.requests)), ("whole", "whole", 2))


def story_unsafe_methods_forget(t):
    up = t.upstream(counted())
    gate = gate_of(t, up)
    same([get(gate).text, get(gate).text], ["answer 1", "answer 1"])
    same(get(gate, method="DELETE").text, "answer 2")
    same(get(gate).text, "answer 3")


def story_unsafe_methods_forget_what_their_answers_name(t):
    """RFC 9111 4.4: Location and Content-Location, where they are of the same origin."""
    named = {}

    def script(peer, r):
        peer.send(ok("x", MAX) if r.method == "GET" else ok("x", "".join(f"{n}: {v}\r\n" for n, v in named.items())))

    up = t.upstream(script)
    gate = gate_of(t, up)

    def forgets(field, value):
        same([get(gate, "/list/items?page=2").status for _ in range(2)], [200, 200])
        named.clear()
        named[field] = value
        before = len(up.requests)
        get(gate, "/list/new", method="POST")
        get(gate, "/list/items?page=2")
        return len(up.requests) - before == 2

    for value, wanted in (("/list/items?page=2", True), ("items?page=2", True), ("/list/items?page=2#part", True),
                          ("/list/%69tems?page=2", True), ("http://localhost/list/items?page=2", True),
                          ("HTTP://LOCALHOST:80/list/items?page=2", True), ("//localhost/list/items?page=2", True),
                          ("/list/items?page=3", False), ("", False),
                          ("http://elsewhere.test/list/items?page=2", False), ("?page=2", False),
                          ("https://localhost/list/items?page=2", False), ("http://localhost:81/list/items?page=2", False),
                          ("/list//items?page=2", False)):
        for field in ("Location", "Content-Location"):
            same(forgets(field, value), wanted, f"{field}: {value}")


def story_parts_go_past_the_cache(t):
    up = t.upstream(counted())
    gate = gate_of(t, up)
    get(gate)
    a = get(gate, fields=[("Range", "bytes=0-1")])
    same((a.text, a.get("cache-status")), ("answer 2", "sekisho; fwd=bypass; fwd-status=200"))
    same(get(gate).text, "answer 1")


def story_the_store_is_bounded(t):
    body = "x" * 20000
    up = t.upstream(counted(body=body))
    gate = gate_of(t, up, gateway={"limits": {"cacheBytes": 100000}})
    for i in range(20):
        same(get(gate, f"/{i}").text, body)
    eventually(lambda: gate.metrics()["sekisho_requests_active"] <= 1, 5, "requests do not end")
    m = gate.metrics()
    assert 0 < m["sekisho_cache_bytes"] <= 100000, m["sekisho_cache_bytes"]
    same(m["sekisho_cache_entries"], 4)
    same(m["sekisho_cache_evictions_total"] > 10, True)
    assert get(gate, "/19").get("cache-status").startswith("sekisho; hit")
    big = gate_of(t, up, {"objectBytes": 1000})
    assert "stored" not in get(big).get("cache-status")


def story_kept_answers_are_coded_for_each_client(t):
    page = "the same words again and again " * 500
    up = t.upstream(always(ok(page, MAX + "Content-Type: text/plain\r\n")))
    gate = gate_of(t, up, compress=True)
    same(get(gate).text, page)
    for coding in ("gzip", "br", "zstd", "gzip"):
        a = get(gate, fields=[("Accept-Encoding", coding)])
        same((a.get("content-encoding"), a.get("cache-status")[:12]), (coding, "sekisho; hit"))
    same((get(gate).text, len(up.requests)), (page, 1))


def story_a_reload_forgets(t):
    up = t.upstream(counted())
    gate = gate_of(t, up)
    get(gate)
    gate.config["routes"][0]["responseHeaders"] = {"set": {"X-New": "1"}}
    gate.reload(gate.config)
    a = get(gate)
    same((a.text, a.get("x-new")), ("answer 2", "1"))


def story_the_operator_can_have_answers_forgotten(t):
    up = t.upstream(counted())
    gate = gate_of(t, up, gateway={"workers": 2})
    url = "http://localhost"

    def kept(path):
        """True when every one of many connections, so each worker, has it."""
        return all("hit" in get(gate, path).get("cache-status") for _ in range(12))

    for path in ("/a?x=1", "/b"):
        eventually(lambda: kept(path), 10, f"{path} is not kept")
    same(wire.ask(gate.admin, "DELETE", f"/cache?url={url}/a?x=1").status, 204)
    assert kept("/b"), "more was forgotten than was named"
    before = len(up.requests)
    eventually(lambda: kept("/a?x=1"), 10, "not kept again")
    assert before < len(up.requests) <= before + 2, "each worker forgets, once"
    same(wire.ask(gate.admin, "DELETE", "/cache").status, 204)
    before = len(up.requests)
    eventually(lambda: kept("/b"), 10, "not kept again")
    assert before < len(up.requests) <= before + 2
    same([wire.ask(gate.admin, "DELETE", f"/cache?{q}").status for q in ("url=nonsense", "what", "url=ftp://x/", "url=http://x")],
         [400] * 4)
    same(wire.ask(gate.port, "DELETE", "/cache").get("cache-status")[:19], "sekisho; fwd=bypass")
