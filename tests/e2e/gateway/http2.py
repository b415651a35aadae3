"""HTTP/2 from clients: curl and nghttp as they come, over TLS and in the clear, to an HTTP/1.1 upstream."""

import random
import signal
import struct
import subprocess
import threading
import time

from gateway import h2_upstream
from gateway.websocket import accept_of
from lib import h2_client as h2
from lib.patience import PATIENCE
from lib.stage import eventually, free_port, merge, same
from lib.upstream import ok


def curl(t, *args, seconds=90):
    done = subprocess.run(["curl", "-sS", "--max-time", str(seconds), *map(str, args)], capture_output=True, timeout=seconds + 5)
    same(done.returncode, 0, done.stderr.decode())
    return done.stdout


def story_curl_in_the_clear(t):
    gate = t.proxy(t.sample())
    same(curl(t, "--http2-prior-knowledge", "-o", t.folder / "body", "-w", "%{http_version} %{http_code}", f"{gate.url}/echo"), b"2 200")
    assert b"GET /echo HTTP/1.1" in (t.folder / "body").read_bytes()


def secure(t, *targets, **more):
    ca = t.certs()
    cert, key = ca.issue("localhost")
    port = free_port()
    start = t.proxy if targets else t.gateway
    gate = start(*targets, **merge({"gateway": {"certificates": [{"cert": str(cert), "key": str(key)}],
                                                  "listen": [{"address": f"127.0.0.1:{port}", "tls": True}]}}, more))
    gate.tls_port, gate.tls_url = port, f"https://localhost:{port}"
    gate.ca = ca
    return gate


def story_curl_over_tls(t):
    gate = secure(t, t.sample())
    trust = ["--cacert", gate.ca.cert]
    out = ["-o", t.folder / "body", "-w", "%{http_version} %{http_code}"]
    same(curl(t, "--http2", *trust, *out, f"{gate.tls_url}/echo"), b"2 200")
    same(curl(t, "--http1.1", *trust, *out, f"{gate.tls_url}/echo"), b"1.1 200")
    # a name the connection was not made for
    same(curl(t, "--http2", *trust, *out, "-H", "Host: other.example", f"{gate.tls_url}/echo"), b"2 421")
    # HEAD, and an answer of ours
    assert b"HTTP/2 200" in curl(t, "--http2", *trust, "-I", f"{gate.tls_url}/echo")


def story_large_both_ways(t):
    gate = secure(t, t.upstream(lambda peer, request: peer.send(ok(request.body))))
    big = t.folder / "big"
    big.write_bytes(random.Random(7).randbytes(3_000_000))
    for chunked in ([], ["-H", "Content-Length:"]):
        curl(t, "--http2", "--cacert", gate.ca.cert, "-o", t.folder / "body", "--data-binary", f"@{big}", *chunked, f"{gate.tls_url}/")
        assert big.read_bytes() == (t.folder / "body").read_bytes()


def story_switched_off(t):
    gate = secure(t, t.sample(), gateway={"http2": False})
    same(curl(t, "--http2", "--cacert", gate.ca.cert, "-o", t.folder / "body", "-w", "%{http_version}", f"{gate.tls_url}/echo"), b"1.1")


def story_many_requests_on_one_connection(t):
    upstream = t.upstream(lambda peer, request: peer.send(ok(request.target)))
    gate = t.proxy(upstream)
    with h2.Conn(gate.port) as c:
        for i in range(100):
            c.ask(2 * i + 1, h2.request(path=f"/{i}"))
        answers = {}
        while len(answers) < 100 and (found := c.read()):
            kind, _, stream, payload = found
            if kind == h2.DATA:
                answers[stream] = answers.get(stream, b"") + payload
        same(answers, {2 * i + 1: f"/{i}".encode() for i in range(100)})


def story_interim_answers_and_trailers(t):
    def script(peer, request):
        peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\nTrailer: grpc-status\r\n\r\n"
                  "5\r\nhello\r\n0\r\ngrpc-status: 0\r\ngrpc-message: fine\r\n\r\n")

    upstream = t.upstream(script)
    gate = t.proxy(upstream)
    said = subprocess.run(["nghttp", "-v", "-H", "te: trailers", "-H", "content-type: application/grpc", "-d", "/dev/null", gate.url],
                          capture_output=True, text=True, timeout=90).stdout
    assert ":status: 103" in said and ":status: 200" in said, said
    assert "grpc-status: 0" in said and "grpc-message: fine" in said, said
    assert "transfer-encoding" not in said
    same(upstream.wait_request().get("te"), "trailers")
    # trailers of a request, to a chunked body
    with h2.Conn(gate.port) as c:
        c.ask(1, h2.request(method="POST"), is_end=False, data=b"abc")
        c.send(h2.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 1, h2.block([("x-sum", "7")])))
        same(c.end_of(1), ("answer", 200, b"hello"))
    last = upstream.wait_request(2)
    same((last.body, last.trailers), (b"abc", b"x-sum: 7\r\n"))


def story_websocket_to_an_upgrade(t):
    def script(peer, request):
        key = request.get("sec-websocket-key")
        peer.send(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept_of(key)}\r\n\r\n")
        while (got := peer.exactly(1)):
            peer.send(got.upper())
        peer.close()

    upstream = t.upstream(script)
    gate = t.proxy(upstream)
    ask = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/chat"), (":authority", "x"), ("sec-websocket-version", "13")]
    with h2.Conn(gate.port) as c:
        c.ask(1, ask, is_end=False)
        kind, flags, _, payload = c.until(lambda kind, *_: kind == h2.HEADERS)
        same((h2.status_of(payload), flags & h2.END_STREAM), (200, 0))
        c.send(h2.frame(h2.DATA, 0, 1, b"hello"))
        got = b""
        while got != b"HELLO" and (found := c.until(lambda kind, *_: kind == h2.DATA)):
            got += found[3]
        same(got, b"HELLO")
        c.send(h2.frame(h2.DATA, h2.END_STREAM, 1, b""))  # a half close goes on upwards, and theirs comes back
        assert c.until(lambda kind, flags, *_: kind == h2.DATA and flags & h2.END_STREAM)
        # a version that is none, and an upstream that does not switch
        c.ask(3, [*ask[:-1], ("sec-websocket-version", "12")], is_end=False)
        same(c.end_of(3)[:2], ("answer", 426))
    first = upstream.requests[0]
    same((first.line, first.get("upgrade").lower(), len(first.get("sec-websocket-key"))), ("GET /chat HTTP/1.1", "websocket", 24))
    same(len(upstream.requests), 1)


def story_a_false_upgrade_is_no_tunnel(t):
    gate = t.proxy(t.upstream(lambda peer, request: peer.send(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n")))
    with h2.Conn(gate.port) as c:
        c.ask(1, [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/"), (":authority", "x"),
                  ("sec-websocket-version", "13")], is_end=False)
        same(c.end_of(1)[:2], ("answer", 502))


def story_an_answer_that_is_no_switch_opens_no_tunnel(t):
    """To a client of RFC 8441 any 2xx means that the tunnel is open."""
    up = t.upstream(lambda peer, request: peer.send(ok("not a tunnel") if request.target == "/chat" else
                                                    b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"))
    gate = t.gateway(upstreams={"app": {"targets": [up.url], "protocol": "h1"}}, routes=[
        {"path": "/here", "respond": {"body": "from here"}, "access": "public"}, {"path": "/", "upstream": "app", "access": "public"}])
    with h2.Conn(gate.port) as c:
        for stream, path, status in ((1, "/chat", 502), (3, "/no", 403), (5, "/here", 501)):
            c.ask(stream, [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", path), (":authority", "x"),
                           ("sec-websocket-version", "13")], is_end=False)
            same(c.end_of(stream)[:2], ("answer", status), path)
    gate.counted('sekisho_refused_total{reason="websocket_not_switched"}', 1)


def story_websocket_on_both_sides(t):
    """RFC 8441 to us and from us on: the bytes pass, and either end's end."""
    gate = h2_upstream.h2c(t, h2_upstream.node(t, CONNECT="yes"))
    ask = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/chat"), (":authority", "x"),
           ("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat")]
    with h2.Conn(gate.port) as c:
        for stream in (1, 3):  # side by side
            c.ask(stream, ask, is_end=False)
            kind, flags, of, payload = c.until(lambda kind, *_: kind == h2.HEADERS)
            same((of, h2.status_of(payload), flags & h2.END_STREAM), (stream, 200, 0))
        data = random.Random(8).randbytes(60000)
        for at in range(0, len(data), 10000):
            c.send(h2.frame(h2.DATA, 0, 1, data[at:at + 10000]))
        c.send(h2.frame(h2.DATA, 0, 3, b"other"))
        got = {1: b"", 3: b""}
        while len(got[1]) < len(data) or len(got[3]) < 5:
            kind, _, of, payload = c.until(lambda kind, *_: kind == h2.DATA)
            got[of] += payload
        same((got[1] == data, got[3]), (True, b"other"))
        c.send(h2.frame(h2.DATA, h2.END_STREAM, 1, b""))  # a half close goes up, and theirs comes back
        assert c.until(lambda kind, flags, of, _: of == 1 and kind == h2.DATA and flags & h2.END_STREAM)
        same(h2_upstream.stats(gate)["open"], 1)
        c.send(h2.frame(h2.RST_STREAM, 0, 3, struct.pack(">I", h2.CANCEL)))
        eventually(lambda: h2_upstream.stats(gate)["open"] == 0, 5, "the upstream does not know that the client left")
    same(h2_upstream.stats(gate)["sessions"], 1)


def story_draining_says_goodbye_twice(t):
    asked = threading.Event()
    up = t.upstream(lambda peer, request: (asked.wait(PATIENCE), peer.send(ok("late"))))
    gate = t.proxy(up)
    with h2.Conn(gate.port) as c:
        c.ask(1)
        c.until(lambda kind, *_: kind == h2.SETTINGS)
        up.wait_request()
        gate.signal(signal.SIGTERM)
        first = c.until(lambda kind, *_: kind == h2.GOAWAY)
        same(struct.unpack(">II", first[3][:8]), (0x7fffffff, h2.NO_ERROR))
        c.ask(3)  # it had left before we heard: served still
        up.wait_request(2)
        asked.set()
        is_ping = [f for f in c.frames if f[0] == h2.PING]
        ping = is_ping[0] if is_ping else c.until(lambda kind, *_: kind == h2.PING)
        c.send(h2.frame(h2.PING, h2.ACK, 0, ping[3]))
        second = c.until(lambda kind, *_: kind == h2.GOAWAY)
        same(struct.unpack(">II", second[3][:8]), (3, h2.NO_ERROR))
        while c.read():
            pass
        bodies = {of: b"".join(f[3] for f in c.frames if f[0] == h2.DATA and f[2] == of) for of in (1, 3)}
        same(bodies, {1: b"late", 3: b"late"})
        assert c.is_closed
    same(gate.wait(10), 0)


def story_reload_under_load_loses_nothing(t, seconds=120):
    gate = t.proxy(t.sample())
    load = subprocess.Popen(["h2load", "-n", "20000", "-c", "4", "-m", "10", f"{gate.url}/echo"], stdout=subprocess.PIPE, text=True)
    for _ in range(10):
        gate.reload()
        time.sleep(0.1)
    said = load.communicate(timeout=400)[0]
    assert "20000 succeeded, 0 failed, 0 errored, 0 timeout" in said, said
