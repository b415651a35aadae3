"""HTTP/2 as it should not be: nothing of it reaches an upstream, floods end their connection, others go on."""

import struct
import threading
import time

from lib import h2_client as h2
from lib import wire
from lib.stage import eventually, same
from lib.upstream import ok

GET = h2.request()
POST = h2.request(method="POST")


def without(name, fields=GET):
    return [f for f in fields if f[0] != name]


# RFC 9113 8.1.1: a stream error, before anything went up. Reason, fields, a body to follow.
MALFORMED = [
    ("a line in a value", [*GET, ("x", "a\r\nevil: 1")]),
    ("a request in a value", [*GET, ("x", "a\r\n\r\nGET /admin HTTP/1.1\r\nhost: b")]),
    ("LF in a value", [*GET, ("x", "a\nb")]),
    ("NUL in a value", [*GET, ("x", "a\0b")]),
    ("blank before a value", [*GET, ("x", " a")]),
    ("a line in a name", [*GET, ("x\r\nevil", "a")]),
    ("colon in a name", [*GET, ("x:y", "a")]),
    ("space in a name", [*GET, ("x y", "a")]),
    ("empty name", [*GET, ("", "a")]),
    ("upper case", [*GET, ("X-Upper", "a")]),
    ("transfer-encoding", [*POST, ("transfer-encoding", "chunked")]),
    ("connection", [*GET, ("connection", "close")]),
    ("upgrade", [*GET, ("upgrade", "websocket")]),
    ("keep-alive", [*GET, ("keep-alive", "5")]),
    ("proxy-connection", [*GET, ("proxy-connection", "close")]),
    ("te", [*GET, ("te", "gzip")]),
    ("no method", without(":method")),
    ("no scheme", without(":scheme")),
    ("no path", without(":path")),
    ("empty path", h2.request(path="")),
    ("space in the path", h2.request(path="/a HTTP/1.1")),
    ("a line in the path", h2.request(path="/ HTTP/1.1\r\nhost: b\r\nx: y")),
    ("absolute path", h2.request(path="http://b/")),
    ("a line in the method", h2.request(method="GET / HTTP/1.1\r\nx:")),
    ("space in the method", h2.request(method="GET /x")),
    ("a line in the authority", h2.request(authority="a\r\nx: y")),
    ("space in the authority", h2.request(authority="a b")),
    ("path in the authority", h2.request(authority="a/b")),
    ("path twice", [*GET, (":path", "/b")]),
    ("pseudo late", [*without(":path"), ("x", "y"), (":path", "/")]),
    ("unknown pseudo", [*GET, (":evil", "1")]),
    ("a status", [*GET, (":status", "200")]),
    ("two lengths", [*POST, ("content-length", "5"), ("content-length", "5")]),
    ("list of lengths", [*POST, ("content-length", "5,5")]),
    ("length but no body", [*POST, ("content-length", "5")]),
]


def story_nothing_malformed_goes_up(t):
    upstream = t.upstream(lambda peer, request: peer.send(ok()))
    gate = t.proxy(upstream)
    with h2.Conn(gate.port) as c:
        for i, (why, fields) in enumerate(MALFORMED):
            c.ask(2 * i + 1, fields)
            same(c.end_of(2 * i + 1), ("reset", h2.PROTOCOL_ERROR), why)
        same(upstream.received, b"")
        c.ask(1001)  # the connection is as good as before
        same(c.end_of(1001)[:2], ("answer", 200))


def story_refused_with_an_answer(t):
    upstream = t.upstream(lambda peer, request: peer.send(ok()))
    gate = t.proxy(upstream)
    cases = [
        ("Host is another", [*GET, ("host", "b")], 400),
        ("user in the authority", h2.request(authority="u@a"), 400),
        ("dots", h2.request(path="/a/../b"), 400),
        ("encoded slash", h2.request(path="/a%2fb"), 400),
        ("CONNECT", [(":method", "CONNECT"), (":authority", "a:443")], 405),
        ("another protocol", [(":method", "CONNECT"), (":protocol", "connect-udp"), *GET[1:]], 501),
        ("expectation", [*POST, ("expect", "x")], 417),
        ("long target", h2.request(path="/" + "a" * 9000), 414),
        ("many fields", [*GET, *((f"x{i}", "y") for i in range(150))], 431),
        ("large list", [*GET, *((f"x{i}", "y" * 1000) for i in range(32))], 431),
    ]
    with h2.Conn(gate.port) as c:
        for i, (why, fields, status) in enumerate(cases):
            c.ask(2 * i + 1, fields)
            same(c.end_of(2 * i + 1)[:2], ("answer", status), why)
        same(upstream.received, b"")
        c.ask(1001)
        same(c.end_of(1001)[:2], ("answer", 200))


def story_a_body_that_is_refused_at_once(t):
    """Head and body come in one piece, and the answer is out before the body was given whole."""
    gate = t.gateway(providers={"a": {"kind": "openai", "baseUrl": t.sample().url + "/v1"}}, models={"m": [{"provider": "a", "model": "m"}]})
    token = ("authorization", f"Bearer {gate.token}")
    for why, path, more, body, status in (
            ("no JSON", "/v1/chat/completions", [token, ("content-type", "application/json")], b"{", 400),
            ("no model", "/v1/chat/completions", [token, ("content-type", "application/json")], b"{}", 400),
            ("a form", "/v1/chat/completions", [token, ("content-type", "application/x-www-form-urlencoded")], b"a=b", None),
            ("no key", "/v1/chat/completions", [("content-type", "application/json")], b"{}", 401),
            ("no JSON, the other way", "/api/v1/chat", [token, ("content-type", "application/json")], b"{", 400)):
        with h2.Conn(gate.port) as c:
            c.send(h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.block(h2.request(path, "POST", more=more))) +
                   h2.frame(h2.DATA, h2.END_STREAM, 1, body))
            found = c.end_of(1)
            assert found[0] == "answer" and (found[1] == status or status is None and found[1] >= 400), (why, found)
    assert not [x for x in gate.lines() if x.get("event") == "worker_died"]


def story_body_and_length_disagree(t):
    upstream = t.upstream(lambda peer, request: peer.send(ok()))
    gate = t.proxy(upstream)
    with h2.Conn(gate.port) as c:
        c.ask(1, [*POST, ("content-length", "5")], data=b"123456")
        same(c.end_of(1), ("reset", h2.PROTOCOL_ERROR))
        c.ask(3, [*POST, ("content-length", "5")], data=b"1234")
        same(c.end_of(3), ("reset", h2.PROTOCOL_ERROR))
        # trailers that decide something, or do not end the stream
        c.ask(5, POST, is_end=False, data=b"x")
        c.send(h2.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 5, h2.block([("x-sekisho-user", "root")])))
        same(c.end_of(5), ("reset", h2.PROTOCOL_ERROR))
        c.ask(7, POST, is_end=False, data=b"x")
        c.send(h2.frame(h2.HEADERS, h2.END_HEADERS, 7, h2.block([("x", "y")])))
        same(c.end_of(7), ("reset", h2.PROTOCOL_ERROR))
    same(len(upstream.requests), 0)  # none was ever whole


def resets(c):
    for i in range(2000):
        stream = 2 * i + 1
        if not c.send(h2.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, stream, h2.block(GET)) +
                      h2.frame(h2.RST_STREAM, 0, stream, struct.pack(">I", h2.CANCEL))):
            return


def made_resets(c):
    """The server is made to reset: a window that overflows."""
    for i in range(2000):
        stream = 2 * i + 1
        if not c.send(h2.frame(h2.HEADERS, h2.END_HEADERS, stream, h2.block(POST)) +
                      h2.frame(h2.WINDOW_UPDATE, 0, stream, struct.pack(">I", 0x7fffffff))):
            return
        if i % 50 == 49:
            c.read(0.01)


def malformed(c):
    for i in range(2000):
        if not c.send(h2.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 2 * i + 1, h2.block([*GET, ("X", "y")]))):
            return


def repeat(count, data):
    def flood(c):
        for _ in range(count // 100):
            if not c.send(data * 100):
                return
    return flood


def continuations(c):
    c.send(h2.frame(h2.HEADERS, h2.END_STREAM, 1, h2.block(GET)))
    for _ in range(100):
        if not c.send(h2.frame(h2.CONTINUATION, 0, 1, h2.block([("x", "y")]))):
            return


def large_block(c):
    c.send(h2.frame(h2.HEADERS, h2.END_STREAM, 1, h2.block([*GET, ("x", "y" * 16000)])))
    for _ in range(3):
        c.send(h2.frame(h2.CONTINUATION, 0, 1, h2.block([("x", "y" * 16000)])))


def empty_data(c):
    c.ask(1, POST, is_end=False)
    repeat(1000, h2.frame(h2.DATA, 0, 1))(c)


FLOODS = {
    "h2_resets": [resets, made_resets, malformed],
    "h2_continuation": [continuations],
    "h2_header_block": [large_block],
    "h2_ping": [repeat(2000, h2.frame(h2.PING, 0, 0, b"12345678"))],
    "h2_settings": [repeat(1000, h2.frame(h2.SETTINGS))],
    "h2_priority": [repeat(3000, h2.frame(h2.PRIORITY, 0, 3, struct.pack(">IB", 1, 5)))],
    "h2_empty_data": [empty_data],
    "h2_window_update": [repeat(8000, h2.frame(h2.WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)))],
    "h2_unknown_frames": [repeat(1000, h2.frame(0x77, 0, 0, b"x"))],
}


class Honest:
    """A client that goes on asking, and how long each answer took."""

    def __init__(self, port):
        self.port, self.times, self.failed, self.stop = port, [], [], False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        with wire.Conn(self.port) as c:
            while not self.stop:
                began = time.monotonic()
                if c.send(wire.request_bytes("GET", "/quick")).answer().status != 200:
                    self.failed.append(len(self.times))
                self.times.append(time.monotonic() - began)
                time.sleep(0.005)


def story_floods_end_their_connection(t, seconds=120, alone=True):
    most, now, lock = [0], [0], threading.Lock()

    def script(peer, request):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        peer.send(ok())
        with lock:
            now[0] -= 1

    t.measure_memory()
    gate = t.proxy(t.upstream(script))
    wire.get(gate.port, "/warm")
    before = gate.rss_kib()
    honest = Honest(gate.port)
    for reason, floods in FLOODS.items():
        for i, flood in enumerate(floods):
            label = f'sekisho_refused_total{{reason="{reason}"}}'
            counted = gate.metrics().get(label, 0)
            with h2.Conn(gate.port) as c:
                flood(c)
                code = c.goaway()
                assert code == h2.ENHANCE_YOUR_CALM or (code is None and c.is_closed), f"{reason} {i}: {code}"
            eventually(lambda: gate.metrics().get(label, 0) > counted, 5, f"{reason} {i} was not counted")
        eventually(lambda: any(x.get("reason") == reason for x in gate.access_log()), 5, f"{reason} is not in the log")
    eventually(lambda: len(honest.times) > 20, 5, "nobody is served")
    honest.stop = True
    honest.thread.join()
    same(honest.failed, [])
    assert sorted(honest.times)[len(honest.times) * 9 // 10] < 1.0, sorted(honest.times)[-20:]
    assert most[0] <= 101, most
    assert gate.rss_kib() < before + 40000, (before, gate.rss_kib())


def story_a_window_that_never_opens(t):
    gate = t.proxy(t.upstream(lambda peer, request: peer.send(ok(b"x" * 1_000_000))), gateway={"limits": {"bodyIdleTimeout": "1s"}})
    with h2.Conn(gate.port, window=0) as c:
        c.ask(1)
        same(c.end_of(1), ("reset", h2.CANCEL))
        c.send(h2.frame(h2.PING, 0, 0, b"alive..."))
        assert c.until(lambda kind, flags, *_: kind == h2.PING and flags & h2.ACK)
    eventually(lambda: gate.metrics()["sekisho_requests_active"] <= 1, 5, "it is still under way")
    gate.counted('sekisho_refused_total{reason="write_timeout"}', 1)


def story_a_list_that_never_ends(t):
    gate = t.proxy(t.upstream(lambda peer, request: peer.send(ok())), gateway={"limits": {"headerTimeout": "1s"}})
    with h2.Conn(gate.port) as c:
        c.send(h2.frame(h2.HEADERS, h2.END_STREAM, 1, h2.block(GET)))
        assert c.goaway() != -1
    gate.counted('sekisho_refused_total{reason="header_timeout"}', 1)


def story_a_body_that_never_ends(t):
    gate = t.proxy(t.upstream(lambda peer, request: peer.send(ok())), gateway={"limits": {"bodyIdleTimeout": "1s"}})
    with h2.Conn(gate.port) as c:
        c.ask(1, POST, is_end=False, data=b"x")
        same(c.end_of(1)[:2], ("answer", 408))


def story_a_reset_reaches_the_upstream(t):
    upstream = t.upstream(lambda peer, request: peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"))
    gate = t.proxy(upstream)
    with h2.Conn(gate.port) as c:
        c.ask(1)
        assert c.until(lambda kind, *_: kind == h2.DATA)
        c.send(h2.frame(h2.RST_STREAM, 0, 1, struct.pack(">I", h2.CANCEL)))
        assert upstream.wait_peer().wait_closed()
        c.ask(3)  # the other way: an upstream that breaks is a reset, never a clean end
        assert c.until(lambda kind, *_: kind == h2.DATA)
        gate.counted('sekisho_h2_streams{peer="client"}', 1)
        upstream.wait_peer(2).reset()
        same(c.end_of(3)[0], "reset")
    gate.counted('sekisho_h2_streams{peer="client"}', 0)
    gate.counted('sekisho_h2_resets_total{peer="client",by="peer",code="CANCEL"}', 1)
    gate.counted('sekisho_h2_resets_total{peer="client",by="gateway",code="INTERNAL_ERROR"}', 1)


def story_more_streams_than_there_may_be(t):
    upstream = t.upstream(lambda peer, request: None)  # never answers
    gate = t.proxy(upstream)
    with h2.Conn(gate.port) as c:
        for i in range(100):
            c.ask(2 * i + 1)
        upstream.wait_request(100, 10)
        c.ask(201)
        kind, code = c.end_of(201)
        assert (kind, code) in (("reset", h2.REFUSED_STREAM), ("gone", h2.PROTOCOL_ERROR)), (kind, code)
    eventually(lambda: gate.metrics()["sekisho_requests_active"] <= 1, 5, "some are still under way")
