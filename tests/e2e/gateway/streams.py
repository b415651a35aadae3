"""What streams: nothing is held back, nothing grows, and whoever leaves, the other end knows."""

import json
import socket
import time

from lib import wire
from lib.stage import eventually, same, within
from lib.upstream import ok


def story_each_event_passes_at_once(t):
    gate = t.proxy(t.sample())

    def slowness():
        """1 is as slow as it may be; endless when two events came in one piece."""
        with gate.conn() as c:
            c.send(wire.request_bytes("GET", "/sse?events=100&interval_ms=10&size=200"))
            a = c.head()
            same((a.status, a.get("content-type")), (200, "text/event-stream"))
            found = [(at, at - json.loads(event[6:])["t"] / 1e9) for at, event in c.events()]
        same(len(found), 100)
        if len({at for at, _ in found}) < 100:
            return float("inf")
        delays = sorted(delay for _, delay in found)
        return max(delays[50] / 0.005, delays[95] / 0.030)

    within(1, slowness, "events are held back")


def abort_while(t, path, leave):
    """A client asks through a gateway, waits a little, and leaves. The upstream must know within 100 ms."""
    model = t.sample()
    gate = t.proxy(model)

    def took():
        before = model.stats()["aborted"]
        c = gate.conn()
        c.send(wire.request_bytes("GET", path))
        eventually(lambda: model.stats()["running"] == 1, 5, "the upstream was not asked")
        time.sleep(0.1)
        left = time.monotonic()
        leave(c)
        found = model.wait_aborts(before + 1)[-1]["mono_us"] / 1e6 - left
        assert found >= 0, found
        eventually(lambda: model.stats()["running"] == 0, 5, "it still runs")
        return found

    within(0.1, took, "the upstream knows late")


def story_the_upstream_of_a_client_that_leaves_its_stream_knows(t):
    abort_while(t, "/sse?events=10000&interval_ms=20", wire.Conn.close)


def story_the_upstream_of_a_client_that_leaves_before_the_answer_knows(t):
    abort_while(t, "/sse?events=10&delay_ms=60000", wire.Conn.close)


def story_the_upstream_of_a_client_that_resets_knows(t):
    abort_while(t, "/sse?events=10000&interval_ms=20", wire.Conn.reset)


def story_an_upload_that_breaks_off_breaks_off_upstream(t):
    up = t.upstream(lambda peer, request: None)
    gate = t.proxy(up)

    def took():
        c, before = gate.conn(), len(up.peers)
        c.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100000)
        peer = up.wait_peer(before + 1)
        eventually(lambda: len(peer.received) > 50000, 5, "the upload did not begin")
        left = time.monotonic()
        c.close()
        eventually(lambda: peer.closed_at, 5, "the upstream does not know")
        return peer.closed_at - left

    within(0.1, took, "the upstream knows late")
    same(up.requests, [])


def story_a_cut_stream_does_not_end_well(t):
    model = t.sample()
    gate = t.proxy(model)
    for fault in ("cut-after=3", "reset-after=3", "garbage-after=3"):
        with gate.conn() as c:
            c.send(wire.request_bytes("GET", f"/sse?events=10&interval_ms=10&fault={fault}"))
            a = c.answer()
        same((a.status, a.ended, a.body.count(b"data:")), (200, "cut", 3), fault)


def story_a_stream_that_falls_silent_is_given_up(t):
    gate = t.proxy(t.sample(), upstream={"timeouts": {"idle": "1500ms"}})
    with gate.conn() as c:
        begin = time.monotonic()
        c.send(wire.request_bytes("GET", "/sse?events=10&interval_ms=10&fault=stall-after=3"))
        a = c.answer()
        same((a.ended, a.body.count(b"data:")), ("cut", 3))
        assert time.monotonic() - begin >= 1.5, "given up too early"


def story_a_client_that_does_not_read_costs_little(t):
    t.measure_memory()
    model = t.sample()
    gate = t.proxy(model, gateway={"workers": 1})
    gate.get("/bytes/1000", token=False)
    before = gate.rss_kib()
    held = []
    for _ in range(20):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", gate.port))
        s.sendall(wire.request_bytes("GET", "/bytes/100MiB"))
        held.append(s)
    time.sleep(1)
    grown = gate.rss_kib() - before
    assert grown < 20 * 400, f"{grown} KiB for 20 clients that do not read"
    same(gate.get("/bytes/10", token=False).status, 200)
    for s in held:
        s.close()


def story_an_upstream_that_does_not_read_stops_the_client(t):
    t.measure_memory()
    up = t.upstream(on_connect=lambda peer: (peer.until(b"\r\n\r\n"), time.sleep(3), peer.send(ok())))
    gate = t.proxy(up, gateway={"workers": 1})
    with gate.conn() as c:
        before = gate.rss_kib()
        c.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
        c.sock.settimeout(1)
        sent = 0
        try:
            while sent < 100000000:
                sent += c.sock.send(b"x" * 65536)
        except TimeoutError:
            pass
        assert sent < 50_000_000, f"{sent} bytes were taken for an upstream that takes none"
        assert gate.rss_kib() - before < 16 * 1024


def story_big_bodies_pass_in_constant_memory(t):
    t.measure_memory()
    size = (1024 if t.is_slow else 96) * 1024 * 1024
    model = t.sample()
    gate = t.proxy(model, gateway={"workers": 1})
    gate.get("/bytes/1000", token=False)
    before = gate.rss_kib()
    most = 0
    with gate.conn(timeout=50) as c:
        c.send(f"POST /sink HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n")
        for n in range(size >> 20):
            c.send(b"x" * 1048576)
            most = max(most, gate.rss_kib()) if n % 16 == 0 else most
        same(c.answer().json["bytes"], size)
    with gate.conn(timeout=50) as c:
        c.send(wire.request_bytes("GET", f"/bytes/{size}"))
        a = c.head()
        same(int(a.get("content-length")), size)
        got, pattern = 0, bytes(range(97, 123)) * 20000
        while got < size:
            part = c.more()
            assert part == pattern[got % 26:got % 26 + len(part)], f"other bytes at {got}"
            got += len(part)
            most = max(most, gate.rss_kib()) if (got >> 20) % 16 == 0 else most
    assert most - before < 16 * 1024, f"memory grew by {most - before} KiB"


def story_chunked_uploads_and_trailers_pass(t):
    model = t.sample()
    gate = t.proxy(model)
    with gate.conn() as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
               b"5\r\nhello\r\n6;a=b\r\n there\r\n0\r\nX-Sum: 11\r\n\r\n", piece=3, pause=0.002)
        a = c.answer()
    same(a.json["body"], "hello there")
    assert a.json["trailers"] in ("", "X-Sum: 11\r\n"), a.json["trailers"]


def story_expectations_are_met(t):
    gate = t.proxy(t.sample())
    with gate.conn() as c:
        c.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        same(c.answer(skip_interim=False).status, 100)
        same(c.send("hello").answer().json["body"], "hello")
        same(c.send(wire.request_bytes("GET", "/bytes/3")).answer().body, b"abc")


def story_head_and_empty_answers_have_no_body(t):
    up = t.upstream(lambda peer, r: peer.send({"/204": b"HTTP/1.1 204 No Content\r\n\r\n",
                                               "/304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"}.get(
        r.target, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + (b"" if r.method == "HEAD" else b"hello"))))
    gate = t.proxy(up)
    with gate.conn() as c:
        for method, path, status, body in (("HEAD", "/x", 200, b""), ("GET", "/204", 204, b""), ("GET", "/304", 304, b""),
                                           ("GET", "/x", 200, b"hello")):
            a = c.send(wire.request_bytes(method, path)).answer(method)
            same((a.status, a.body), (status, body), path)


def story_an_upstream_over_a_unix_socket(t):
    path = t.folder / "up.sock"
    model = t.sample("--unix", str(path))
    eventually(path.exists, 5, "no socket")
    gate = t.proxy(f"unix:{path}")
    same(gate.get("/bytes/26", token=False).body, b"abcdefghijklmnopqrstuvwxyz")
    same(model.stats()["bad_requests"], 0)


def story_connections_upstream_are_kept(t):
    model = t.sample()
    gate = t.proxy(model, gateway={"workers": 1})
    with gate.conn() as c:
        seen = {c.send(wire.request_bytes("GET", "/echo")).answer().json["connection"] for _ in range(50)}
    same(len(seen), 1, "connections for 50 requests one after the other")
