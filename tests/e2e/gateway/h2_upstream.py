"""HTTP/2 to upstreams: over TLS, in plain text, found out by a probe; many exchanges on few connections; trailers; ends."""

import os
import shutil
import socket
import struct
import subprocess
import threading
import time

from lib import backends, h2_client, wire
from lib.h2 import Frames
from lib.stage import eventually, free_port, same, within

ONE = {"workers": 1}

NODE = r"""
const http2 = require('http2'), fs = require('fs');
const options = process.env.CERT ? { cert: fs.readFileSync(process.env.CERT), key: fs.readFileSync(process.env.KEY),
                                     allowHTTP1: process.env.H1 === 'yes' } : {};
options.settings = { enableConnectProtocol: process.env.CONNECT === 'yes', maxConcurrentStreams: +(process.env.STREAMS || 100) };
const server = process.env.CERT ? http2.createSecureServer(options) : http2.createServer(options);
let open = 0, most = 0, aborted = 0, together = [];
const sessions = new Set();
server.on('stream', (stream, headers) => {
    const path = headers[':path'];
    sessions.add(stream.session);
    stream.path = path;
    open++; most = Math.max(most, open);
    stream.on('close', () => open--);
    stream.on('aborted', () => aborted++);
    stream.on('error', () => {});
    if (headers[':method'] === 'CONNECT') {
        stream.respond({ ':status': 200 });
        stream.on('data', (d) => stream.write(d));
        stream.on('end', () => stream.end());
        return;
    }
    if (path.startsWith('/stats')) {
        stream.respond({ ':status': 200 });
        return stream.end(JSON.stringify({ sessions: sessions.size, open: open - 1, most, aborted }));
    }
    if (path.startsWith('/echo')) {
        stream.respond({ ':status': 200, 'x-trailer-will': 'come' }, { waitForTrailers: true });
        let got = {};
        stream.on('trailers', (t) => { got = t; });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'x-got': got['x-sent'] || 'none' }));
        stream.on('data', (d) => { if (!stream.write(d)) { stream.pause(); stream.once('drain', () => stream.resume()); } });
        stream.on('end', () => setTimeout(() => stream.end(), 5));
        return;
    }
    if (path.startsWith('/trailers')) {
        let got = {};
        stream.on('trailers', (t) => { got = t; });
        stream.on('data', () => {});
        return stream.on('end', () => setTimeout(() => {
            if (!stream.destroyed) { stream.respond({ ':status': 200 }); stream.end(JSON.stringify(got)); }
        }, 5));
    }
    if (path.startsWith('/headers')) {
        stream.respond({ ':status': 200, 'content-type': 'application/json' });
        return stream.end(JSON.stringify(headers));
    }
    if (path.startsWith('/early')) {
        stream.additionalHeaders({ ':status': 103, link: '</a.css>; rel=preload' });
        stream.respond({ ':status': 200 });
        return stream.end('late');
    }
    if (path.startsWith('/big')) {
        stream.respond({ ':status': 200, 'content-length': String(64 << 20) });
        const piece = Buffer.alloc(1 << 20, 'x'); let left = 64;
        const more = () => { while (left > 0) { left--; if (!stream.write(piece)) return stream.once('drain', more); } stream.end(); };
        return more();
    }
    if (path.startsWith('/slow')) {
        stream.respond({ ':status': 200 });
        stream.write('first');
        return;
    }
    if (path.startsWith('/goaway')) {
        stream.respond({ ':status': 200 });
        setTimeout(() => stream.end('after'), 100);
        return stream.session.goaway(0);
    }
    if (path.startsWith('/together')) {  // answered when so many are there at a time
        together.push(stream);
        if (together.length >= +path.split('=')[1].split('&')[0]) {
            for (const s of together) { s.respond({ ':status': 200 }); s.end('node ' + s.path); }
            together = [];
        }
        return;
    }
    if (path.startsWith('/refuse')) return stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    if (path.startsWith('/cut')) {
        stream.respond({ ':status': 200 });
        stream.write('half');
        return setTimeout(() => stream.destroy(new Error('broken')), 20);
    }
    const wait = +(new URLSearchParams(path.split('?')[1]).get('wait') || 0);
    setTimeout(() => { if (!stream.destroyed) { stream.respond({ ':status': 200 }); stream.end('node ' + path); } }, wait);
});
if (process.env.H1 === 'yes') server.on('request', (req, res) => { if (req.httpVersion === '1.1') res.end('h1 ' + req.url); });
server.listen(+process.env.PORT, '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
"""


def node(t, tls=None, **env):
    """node's own HTTP/2 server; `tls` is a pair of files."""
    if not shutil.which("node"):
        t.leave_out("no node here")
    port = free_port()
    script = t.folder / "server.js"
    script.write_text(NODE)
    env = {"PORT": str(port), **env}
    if tls:
        env.update(CERT=str(tls[0]), KEY=str(tls[1]))
    program = t.start("node", ["node", script], env=env)
    program.port = port
    program.url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
    eventually(lambda: is_open(port), 10, "node did not start")
    return program


def is_open(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def h2c(t, *targets, upstream=None, **sections):
    return t.proxy(*targets, upstream={"protocol": "h2c", **(upstream or {})}, gateway=ONE, **sections)


def story_an_answer_that_is_over_with_its_head_ends(t):
    """A bodiless answer over HTTP/2 to an HTTP/1 client: it was kept for a room that was there already."""
    if not shutil.which("lighttpd", path=os.environ["PATH"] + ":/usr/sbin"):
        t.leave_out("needs lighttpd")
    backends.available()
    gate = h2c(t, backends.Backend(t, "lighttpd"))
    for method, body in (("GET", None), ("HEAD", None), ("DELETE", None), ("POST", b"hello")):
        a = wire.ask(gate.port, method, "/a", body=body)
        same((a.status, a.get("location")), (307, "http://back/a"), method)
    eventually(lambda: [x["outcome"] for x in gate.access_log()] == ["answered"] * 4, 5, "an answer did not end")


def stats(gate):
    return gate.get("/stats", token=False).json


def at_once(gate, paths):
    """The answers to requests made side by side, each on a connection of its own."""
    answers = [None] * len(paths)

    def ask(i):
        answers[i] = wire.get(gate.port, paths[i])
    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(paths))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def story_an_answer_over_h2c(t):
    gate = h2c(t, node(t))
    a = gate.get("/hello", token=False)
    same((a.status, a.text, a.ended), (200, "node /hello", "chunked"))
    seen = gate.get("/headers", {"X-One": "1", "Cookie": "a=b"}, token=False).json
    same((seen[":method"], seen[":scheme"], seen["x-one"], seen["cookie"]), ("GET", "http", "1", "a=b"))
    assert "connection" not in seen and "host" not in seen and "transfer-encoding" not in seen, seen


def story_64_requests_at_a_time_on_one_connection(t):
    gate = h2c(t, node(t))
    gate.get("/warm", token=False)
    answers = at_once(gate, [f"/together?of=64&n={i}" for i in range(64)])
    for i, a in enumerate(answers):
        same((a.status, a.text), (200, f"node /together?of=64&n={i}"))
    same(stats(gate)["sessions"], 1)
    assert stats(gate)["most"] >= 64, stats(gate)


def story_a_second_connection_when_the_first_is_full(t):
    gate = h2c(t, node(t, STREAMS="8"))
    gate.get("/warm", token=False)
    answers = at_once(gate, [f"/together?of=20&n={i}" for i in range(20)])
    same({a.status for a in answers}, {200})
    assert 3 <= stats(gate)["sessions"] <= 20, stats(gate)


def story_bodies_and_trailers_go_both_ways(t):
    gate = h2c(t, node(t))
    body = os.urandom(3 << 20)
    a = gate.post("/echo", body, token=False)
    same((a.status, a.body == body, a.ended), (200, True, "chunked"))
    with gate.conn() as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: x-sent\r\n\r\n"
               b"5\r\nhello\r\n0\r\nx-sent: yes\r\n\r\n")
        head = c.head()
        trailers = []
        got = b"".join(c.chunks(trailers))
        same((head.status, got), (200, b"hello"))
        same(dict(trailers), {"grpc-status": "0", "x-got": "yes"})


def story_a_reader_that_stops_stops_only_its_own_stream(t):
    up = node(t)
    gate = h2c(t, up)
    gate.get("/warm", token=False)
    before = gate.rss_kib()
    held = [gate.conn() for _ in range(8)]
    for c in held:
        c.send(wire.request_bytes("GET", "/big"))
    time.sleep(1)
    for _ in range(20):
        same(gate.get("/quick", token=False).status, 200)
    grown = gate.rss_kib() - before
    assert grown < 40 * 1024, f"{grown} KiB more"
    c = held[0]
    c.head()
    same(len(c.exactly(64 << 20)), 64 << 20)
    for c in held:
        c.close()
    eventually(lambda: stats(gate)["open"] == 0, 5, "streams of readers that left are still open")


def story_an_answer_that_is_here_outlives_its_connection(t):
    """The upstream has said all of it and left; the reader takes its time."""
    from lib.h2 import DATA, HEADERS, DONE, END, literal
    body, seen = b"z" * 65536, []

    def script(f, stream):
        seen.append(stream)
        f.send(HEADERS, DONE, stream, literal((":status", "200"), ("content-length", str(len(body)))))
        for at in range(0, len(body), 16384):
            f.send(DATA, END if at + 16384 == len(body) else 0, stream, body[at:at + 16384])
        f.sock.shutdown(socket.SHUT_WR)
    gate = h2c(t, scripted(t, script), upstream={"passive": {"failures": 0}})
    with h2_client.Conn(gate.port, window=0) as c:
        c.ask(1)
        gate.counted('sekisho_h2_streams{peer="upstream"}', 1)
        eventually(lambda: seen, 5, "the upstream was not asked")
        same(gate.get("/", token=False).body, body)
        # asked on a connection of its own, since the first is over; before that is known, perhaps on the first, in vain
        same([n for n in seen if n != 3], [1, 1])
        c.send(h2_client.frame(h2_client.WINDOW_UPDATE, 0, 1, struct.pack(">I", len(body))))
        c.send(h2_client.frame(h2_client.WINDOW_UPDATE, 0, 0, struct.pack(">I", len(body))))
        same(c.end_of(1), ("answer", 200, body))
    gate.counted('sekisho_h2_streams{peer="upstream"}', 0)


def story_a_client_that_leaves_is_told_at_once(t):
    gate = h2c(t, node(t))

    def took():
        c = gate.conn()
        c.send(wire.request_bytes("GET", "/slow"))
        c.head()
        same(stats(gate)["open"], 1)
        left = time.monotonic()
        c.close()
        eventually(lambda: stats(gate)["open"] == 0, 2, "the stream is still open")
        return time.monotonic() - left

    within(1, took, "the upstream is told late")
    resets = [v for n, v in gate.metrics().items() if n.startswith('sekisho_h2_resets_total{peer="upstream",by="gateway"')]
    assert sum(resets) >= 1, resets
    gate.counted('sekisho_h2_streams{peer="upstream"}', 0)
    same(stats(gate)["sessions"], 1)


def story_interim_answers_pass(t):
    gate = h2c(t, node(t))
    with gate.conn() as c:
        c.send(wire.request_bytes("GET", "/early"))
        got = c.until(b"late")
    assert got.startswith(b"HTTP/1.1 103"), got
    assert b"HTTP/1.1 200" in got


def story_a_stream_that_breaks_never_ends_cleanly(t):
    gate = h2c(t, node(t))
    a = gate.get("/cut", token=False)
    same((a.status, a.ended), (200, "cut"))
    same(gate.get("/next", token=False).status, 200)
    same(stats(gate)["sessions"], 1)


def story_goaway_under_load_loses_nothing(t):
    gate = h2c(t, node(t))
    failed, stop = [], threading.Event()

    def load(i):
        n = 0
        while not stop.is_set():
            n += 1
            if i == 0 and n > 60:  # six times it said that it goes away
                stop.set()
            path = "/goaway" if i == 0 and n % 10 == 1 else f"/w?wait=5&n={n}"
            a = wire.ask(gate.port, "POST" if i % 2 else "GET", path, body=b"x" * 100 if i % 2 else None)
            if a.status != 200 or a.ended != "chunked":
                failed.append((path, a))
    threads = [threading.Thread(target=load, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(failed[:3], [])
    assert stats(gate)["sessions"] > 3, stats(gate)


def story_over_tls_the_handshake_decides(t):
    pair = t.certs().issue("127.0.0.1")
    up = node(t, tls=pair, H1="yes")
    ca = {"tls": {"ca": str(t.certs().cert)}}
    for protocol, want in (("auto", "node /x"), ("h2", "node /x"), ("h1", "h1 /x")):
        gate = t.proxy(up, upstream={"protocol": protocol, **ca}, gateway=ONE)
        same([gate.get("/x", token=False).text for _ in range(3)], [want] * 3)


def story_a_local_server_is_asked_once_what_it_speaks(t):
    up = t.upstream(lambda peer, request: peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh1"))
    gate = t.proxy(up, upstream={"protocol": "auto"}, gateway=ONE)
    for _ in range(20):
        same(gate.get("/", token=False).text, "h1")
        time.sleep(0.02)
    eventually(lambda: up.probes == 1, 5, "it was not asked")
    same((up.probes, len(up.requests)), (1, 20))


def story_a_local_server_that_speaks_both_is_found_out(t):
    """By the first bytes it tells which; the probe finds HTTP/2, and from then on that is spoken."""
    from lib.h2 import DATA, HEADERS, PREFACE, DONE, END, literal

    def on_connect(peer):
        if peer.sock.recv(3, socket.MSG_PEEK) == PREFACE[:3]:
            frames = Frames(peer.sock)
            frames.preface()
            frames.serve(lambda f, s: (f.send(HEADERS, DONE, s, literal((":status", "200"))), f.send(DATA, END, s, b"h2")))
            return
        while peer.request():
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh1")
    gate = t.proxy(t.upstream(on_connect=on_connect), upstream={"protocol": "auto"}, gateway=ONE)
    same(gate.get("/", token=False).text, "h1")
    eventually(lambda: gate.get("/", token=False).text == "h2", 5, "HTTP/2 was not found out")
    same({gate.get("/", token=False).text for _ in range(10)}, {"h2"})


def story_websocket_through_h2(t):
    gate = h2c(t, node(t, CONNECT="yes"))
    with gate.conn() as c:
        c.send(b"GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
               b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        head = c.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101") and b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head, head
        c.send(b"\x81\x85\0\0\0\0hello")
        same(c.exactly(11), b"\x81\x85\0\0\0\0hello")
        c.send(b"bytes" * 1000)
        same(c.exactly(5000), b"bytes" * 1000)
    eventually(lambda: stats(gate)["open"] == 0, 3, "the tunnel is still open")


def story_websocket_to_an_h2_upstream_without_tunnels(t):
    gate = h2c(t, node(t))
    a = wire.get(gate.port, "/chat", {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                                      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
    assert a.status in (502, 503), a


def story_a_killed_upstream_is_asked_again_elsewhere(t):
    a, b = node(t), node(t)
    gate = h2c(t, a, b, upstream={"passive": {"failures": 3, "ejectTime": "30s"}, "retries": 2})
    for _ in range(4):
        gate.get("/warm", token=False)
    answers = []
    threads = [threading.Thread(target=lambda i=i: answers.append(wire.get(gate.port, f"/w?wait=600&n={i}"))) for i in range(20)]
    for thread in threads:
        thread.start()
    time.sleep(0.25)
    a.kill()
    for thread in threads:
        thread.join()
    same({x.status for x in answers}, {200})


def story_nghttpd_and_h2load(t):
    if not shutil.which("nghttpd") or not shutil.which("h2load"):
        t.leave_out("no nghttpd or h2load here")
    docs = t.folder / "docs"
    docs.mkdir()
    (docs / "kilobyte").write_bytes(b"k" * 1024)
    port = free_port()
    t.start("nghttpd", ["nghttpd", "--no-tls", "-a", "127.0.0.1", "-d", docs, str(port)])
    eventually(lambda: is_open(port), 10, "nghttpd did not start")
    gate = h2c(t, f"http://127.0.0.1:{port}")
    done = subprocess.run(["h2load", "--h1", "-n", "3000", "-c", "32", f"http://127.0.0.1:{gate.port}/kilobyte"],
                          capture_output=True, text=True, timeout=240)
    assert "3000 succeeded, 0 failed" in done.stdout, done.stdout
    connects = [v for name, v in gate.metrics().items() if name.startswith("sekisho_upstream_connects_total")]
    assert 1 <= sum(connects) <= 2, connects
    for program in t.programs:
        if program.name == "nghttpd":  # knows no clean end
            program.kill()


# ---- upstreams that are hostile, frame by frame ----


def scripted(t, script):
    """An upstream that speaks frames: `script(frames, stream)` is called for each request's HEADERS."""
    def on_connect(peer):
        frames = Frames(peer.sock)
        if frames.preface():
            frames.serve(script)
    return t.upstream(on_connect=on_connect)


def answers(t, *pieces, then=None):
    def script(f, stream):
        for kind, flags, payload in pieces:
            f.send(kind, flags, stream, payload)
        if then:
            then(f, stream)
    return scripted(t, script)


def story_hostile_answers_are_not_passed_on(t):
    from lib.h2 import DATA, HEADERS, END, DONE, literal
    ok = literal((":status", "200"))
    cases = [
        ("no status", [(HEADERS, DONE | END, literal(("x", "y")))], 502),
        ("two statuses", [(HEADERS, DONE | END, literal((":status", "200"), (":status", "201")))], 502),
        ("status of two digits", [(HEADERS, DONE | END, literal((":status", "20")))], 502),
        ("a request's field", [(HEADERS, DONE | END, literal((":status", "200"), (":path", "/")))], 502),
        ("pseudo-field late", [(HEADERS, DONE | END, literal(("x", "y"), (":status", "200")))], 502),
        ("upper case", [(HEADERS, DONE | END, literal((":status", "200"), ("X-Y", "z")))], 502),
        ("a field of one connection", [(HEADERS, DONE | END, literal((":status", "200"), ("connection", "close")))], 502),
        ("a line end in a value", [(HEADERS, DONE | END, literal((":status", "200"), ("x", "a\r\nb: c")))], 502),
        ("101", [(HEADERS, DONE, literal((":status", "101")))], 502),
        ("two lengths", [(HEADERS, DONE | END, literal((":status", "200"), ("content-length", "1"), ("content-length", "2")))], 502),
        ("a length, and nothing", [(HEADERS, DONE | END, literal((":status", "200"), ("content-length", "5")))], 502),
        ("data first", [(DATA, END, b"hello")], 502),
        ("an interim answer that ends", [(HEADERS, DONE | END, literal((":status", "103")))], 502),
        ("a shorter body", [(HEADERS, DONE, literal((":status", "200"), ("content-length", "9"))), (DATA, END, b"short")], "cut"),
        ("a longer body", [(HEADERS, DONE, literal((":status", "200"), ("content-length", "3"))), (DATA, END, b"longer")], "cut"),
        ("trailers with framing", [(HEADERS, DONE, ok), (DATA, 0, b"x"), (HEADERS, DONE | END, literal(("content-length", "3")))], "cut"),
        ("a pseudo-field in trailers", [(HEADERS, DONE, ok), (DATA, 0, b"x"), (HEADERS, DONE | END, literal((":status", "200")))], "cut"),
        ("two heads", [(HEADERS, DONE, ok), (HEADERS, DONE, ok)], "cut"),
    ]
    for why, pieces, want in cases:
        gate = h2c(t, answers(t, *pieces), upstream={"passive": {"failures": 0}, "timeouts": {"idle": "60s", "firstByte": "60s"}})
        try:
            a = gate.get("/", token=False)
        except wire.Lost:  # what was wrong came with the head, and went with it
            a = None
        if want == "cut":
            assert a is None or (a.status == 200 and a.ended == "cut"), f"{why}: {a}"
        else:
            same(a and a.status, want, why)
        gate.stop()


def story_floods_from_an_upstream_end_its_connection(t):
    from lib.h2 import DATA, PING, SETTINGS, DONE, HEADERS, WINDOW_UPDATE, literal
    floods = [
        ("PING", lambda f, s: [f.send(PING, 0, 0, b"12345678") for _ in range(20000)]),
        ("SETTINGS", lambda f, s: [f.send(SETTINGS, 0, 0, b"") for _ in range(20000)]),
        ("empty DATA", lambda f, s: (f.send(HEADERS, DONE, s, literal((":status", "200"))), [f.send(DATA, 0, s, b"") for _ in range(20000)])),
        ("WINDOW_UPDATE", lambda f, s: [f.send(WINDOW_UPDATE, 0, 0, b"\0\0\0\1") for _ in range(20000)]),
        ("CONTINUATION", lambda f, s: (f.send(HEADERS, 0, s, b""), [f.send(9, 0, s, b"") for _ in range(20000)])),
        ("interim answers", lambda f, s: [f.send(HEADERS, DONE, s, literal((":status", "103"))) for _ in range(20000)]),
        ("a list of a megabyte", lambda f, s: (f.send(HEADERS, 0, s, literal((":status", "200"))),
                                             [f.send(9, 0, s, literal((f"x-{i}", "y" * 8000))) for i in range(130)])),
    ]
    for why, flood in floods:
        up = scripted(t, flood)
        gate = h2c(t, up, upstream={"passive": {"failures": 0}, "retries": 0, "timeouts": {"firstByte": "90s", "idle": "90s"}})
        a = gate.get("/", token=False)  # its patience is shorter than those timeouts
        assert a.status == 502 or a.ended == "cut", f"{why}: {a}"
        same(gate.get("/health", token=False).status, 200, why)
        gate.stop()


def story_refused_streams_go_again_whatever_their_method(t):
    from lib.h2 import HEADERS, RST_STREAM, DONE, END, literal
    seen = []

    def script(f, stream):
        seen.append(stream)
        if len(seen) == 1:
            f.send(RST_STREAM, 0, stream, (7).to_bytes(4, "big"))
        else:
            f.send(HEADERS, DONE | END, stream, literal((":status", "204")))
    gate = h2c(t, scripted(t, script))
    same(gate.post("/pay", b"once", token=False).status, 204)
    same(len(seen), 2)


def story_a_silent_connection_is_found_dead(t):
    """Nothing comes, not even an answer to a PING: the exchange does not wait for its own, longer timeout."""
    seen = []

    def script(f, stream):
        seen.append(stream)
        f.mute = True
    gate = h2c(t, scripted(t, script), upstream={"timeouts": {"firstByte": "60s"}, "retries": 0})
    started = time.monotonic()
    a = wire.ask(gate.port, "POST", "/", body=b"x", timeout=90)
    took = time.monotonic() - started
    same(a.status, 504)
    assert 12 < took < 55, f"{took:.1f} s"


# ---- HTTP/2 on both sides ----

GRPC_SERVER = r"""
import concurrent.futures, sys, time, grpc
def upper(request, context): return request.upper()
def fails(request, context): context.abort(grpc.StatusCode.FAILED_PRECONDITION, 'not today')
def count(request, context):
    for i in range(int(request)): yield str(i).encode()
def join(requests, context): return b''.join(requests)
def echo(requests, context):
    for r in requests: yield r
def slow(request, context):
    time.sleep(5); return b'late'
def one(f): return grpc.unary_unary_rpc_method_handler(f)
handlers = {'Upper': one(upper), 'Fails': one(fails), 'Slow': one(slow), 'Count': grpc.unary_stream_rpc_method_handler(count),
            'Join': grpc.stream_unary_rpc_method_handler(join), 'Echo': grpc.stream_stream_rpc_method_handler(echo)}
server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler('t.T', handlers),))
server.add_insecure_port('127.0.0.1:' + sys.argv[1])
server.start()
server.wait_for_termination()
"""

GRPC_CLIENT = r"""
import sys, grpc
channel = grpc.insecure_channel('127.0.0.1:' + sys.argv[1])
assert channel.unary_unary('/t.T/Upper')(b'hello', timeout=60) == b'HELLO'
big = b'x' * 3000000
assert channel.unary_unary('/t.T/Upper')(big, timeout=60) == big.upper()
try:
    channel.unary_unary('/t.T/Fails')(b'', timeout=60)
    assert False
except grpc.RpcError as e:
    assert e.code() == grpc.StatusCode.FAILED_PRECONDITION and e.details() == 'not today', e
assert [int(x) for x in channel.unary_stream('/t.T/Count')(b'1000', timeout=60)] == list(range(1000))
assert channel.stream_unary('/t.T/Join')((b'a%d,' % i for i in range(100)), timeout=60).count(b',') == 100
def turns():
    for i in range(50): yield b'%d' % i
assert [int(x) for x in channel.stream_stream('/t.T/Echo')(turns(), timeout=60)] == list(range(50))
try:
    channel.unary_unary('/t.T/Slow')(b'', timeout=0.3)
    assert False
except grpc.RpcError as e:
    assert e.code() == grpc.StatusCode.DEADLINE_EXCEEDED, e
assert channel.unary_unary('/t.T/Upper')(b'again', timeout=60) == b'AGAIN'
print('all calls well')
"""


def story_grpc_end_to_end(t):
    python = "/usr/bin/python3"
    if subprocess.run([python, "-c", "import grpc"], capture_output=True).returncode:
        t.leave_out("no python3-grpcio here")
    port = free_port()
    server = t.start("grpc", [python, "-c", GRPC_SERVER, port])
    eventually(lambda: is_open(port), 20, "the gRPC server did not start")
    gate = h2c(t, f"http://127.0.0.1:{port}")
    done = subprocess.run([python, "-c", GRPC_CLIENT, str(gate.port)], capture_output=True, text=True, timeout=280)
    assert "all calls well" in done.stdout, done.stdout + done.stderr
    server.kill()


def curl(gate, *options, path="/"):
    done = subprocess.run(["curl", "-sS", "-i", "--max-time", "90", *options, f"http://127.0.0.1:{gate.port}{path}"],
                          capture_output=True, timeout=120)
    return done.returncode, done.stdout


def story_both_protocols_on_both_sides(t):
    sample = t.upstream(lambda peer, r: peer.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n" + b"%x\r\n%s\r\n" % (len(r.body), r.body)
        + b"0\r\nX-End: yes\r\n\r\n" if r.body else b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnone"))
    up = node(t)
    body = t.folder / "body"
    body.write_bytes(os.urandom(200000))
    for name, gate, path in (("h1", t.proxy(sample, gateway=ONE), "/"), ("h2", h2c(t, up), "/echo")):
        for version in ("--http1.1", "--http2-prior-knowledge"):
            code, out = curl(gate, version, "--data-binary", f"@{body}", path=path)
            same(code, 0, f"{version} to {name}")
            assert body.read_bytes() in out, f"{version} to {name}: {out[:300]!r}"
            code, out = curl(gate, version, path="/quick" if name == "h2" else "/")
            same((code, b" 200" in out), (0, True), f"{version} to {name}")
    code, out = curl(gate, "--http2-prior-knowledge", path="/cut")
    assert code != 0 and b"half" in out, (code, out)
    code, out = curl(gate, "--http2-prior-knowledge", path="/early")
    assert code == 0 and b"HTTP/2 103" in out and b"late" in out, (code, out)


def story_many_streams_on_both_sides(t):
    if not shutil.which("h2load"):
        t.leave_out("no h2load here")
    gate = h2c(t, node(t))
    done = subprocess.run(["h2load", "-n", "4000", "-c", "4", "-m", "64", f"http://127.0.0.1:{gate.port}/x"],
                          capture_output=True, text=True, timeout=240)
    assert "4000 succeeded, 0 failed" in done.stdout, done.stdout
    assert stats(gate)["sessions"] <= 8, stats(gate)


def story_a_reload_under_load_loses_nothing(t):
    if not shutil.which("h2load"):
        t.leave_out("no h2load here")
    gate = h2c(t, node(t))
    load = subprocess.Popen(["h2load", "-n", "20000", "-c", "4", "-m", "16", f"http://127.0.0.1:{gate.port}/x"],
                            stdout=subprocess.PIPE, text=True)
    for _ in range(5):
        time.sleep(0.3)
        gate.reload()
    out = load.communicate(timeout=280)[0]
    assert "20000 succeeded, 0 failed" in out, out
