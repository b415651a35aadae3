"""Codings on the way out: what curl, brotli, zstd and gzip read back, and what must not be coded."""

import gzip
import subprocess
import threading
import time

from lib import wire
from lib.patience import PATIENCE
from lib.stage import eventually, same, within
from lib.upstream import always, ok

PAGE = b"".join(b"<p>line %d of a page that says much the same again and again</p>\n" % i for i in range(2000))
HTML = "Content-Type: text/html\r\n"


def gate_of(t, up, compress=True, **more):
    return t.gateway(upstreams={"app": {"targets": [up.url]}},
                     routes=[{"path": "/", "upstream": "app", "access": "public", "compress": compress, **more}])


def unpack(coding, data):
    if coding == "gzip":
        return gzip.decompress(data)
    tool = {"br": ["brotli", "-dc"], "zstd": ["zstd", "-dcq"]}[coding]
    return subprocess.run(tool, input=data, capture_output=True, check=True).stdout


def ask(gate, coding, fields=(), method="GET", path="/"):
    return wire.ask(gate.port, method, path, [("Accept-Encoding", coding), *fields])


def story_each_coding_is_read_back(t):
    up = t.upstream(always(ok(PAGE, HTML + 'ETag: "v1"\r\nAccept-Ranges: bytes\r\n')))
    gate = gate_of(t, up)
    for coding in ("gzip", "br", "zstd"):
        a = ask(gate, coding)
        same((a.status, a.get("content-encoding"), a.get("vary"), a.get("etag"), a.get("content-length"),
              a.get("accept-ranges")), (200, coding, "Accept-Encoding", 'W/"v1"', None, None))
        assert len(a.body) < len(PAGE) / 4, len(a.body)
        assert unpack(coding, a.body) == PAGE, coding
        h = ask(gate, coding, method="HEAD")
        same((h.get("content-encoding"), h.get("vary"), h.get("etag"), h.get("content-length"), h.body),
             (coding, "Accept-Encoding", 'W/"v1"', None, b""))
    a = ask(gate, "identity")
    same((a.get("content-encoding"), a.get("vary"), a.get("etag"), a.body == PAGE), (None, "Accept-Encoding", '"v1"', True))
    for c in ("gzip", "br", "zstd"):
        gate.counted(f'sekisho_compressed_total{{coding="{c}"}}', 2)
    gate.counted("sekisho_compress_in_bytes_total", 3 * len(PAGE))
    assert 0 < gate.metrics()["sekisho_compress_out_bytes_total"] < len(PAGE)


def story_curl_sees_the_same_page(t):
    up = t.upstream(always(ok(PAGE, HTML)))
    gate = gate_of(t, up)
    got = subprocess.run(["curl", "-sS", "--compressed", gate.url + "/"], capture_output=True, check=True)
    assert got.stdout == PAGE, got


def story_what_must_not_be_coded_is_not(t):
    cases = {"/small": ok(b"x" * 500, HTML), "/png": ok(PAGE, "Content-Type: image/png\r\n"),
             "/coded": ok(gzip.compress(PAGE), HTML + "Content-Encoding: gzip\r\n"),
             "/fixed": ok(PAGE, HTML + "Cache-Control: no-transform\r\n"),
             "/part": ok(PAGE, HTML + "Content-Range: bytes 0-9/10\r\n").replace(b"200 OK", b"206 Partial Content"),
             "/events": ok(PAGE, "Content-Type: text/event-stream\r\n")}
    up = t.upstream(lambda peer, request: peer.send(cases[request.target]))
    gate = gate_of(t, up)
    for path, answer in cases.items():
        a = ask(gate, "gzip, br, zstd", path=path)
        assert answer.endswith(b"\r\n\r\n" + a.body), path
        same(a.get("content-length"), str(len(a.body)), path)


def story_a_cookie_from_elsewhere_gets_plain_pages(t):
    up = t.upstream(always(ok(PAGE, HTML)))
    gate = gate_of(t, up)
    cookie = ("Cookie", "session=1")
    same(ask(gate, "gzip", [cookie]).get("content-encoding"), None)
    same(ask(gate, "gzip", [cookie, ("Sec-Fetch-Site", "cross-site")]).get("content-encoding"), None)
    same(ask(gate, "gzip", [cookie, ("Sec-Fetch-Site", "same-origin")]).get("content-encoding"), "gzip")
    same(ask(gate_of(t, up, {"withCookies": True}), "gzip", [cookie]).get("content-encoding"), "gzip")


def story_not_modified_speaks_of_the_weak_tag(t):
    up = t.upstream(always(b'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\n\r\n'))
    a = ask(gate_of(t, up), "gzip", [("If-None-Match", 'W/"v1"')])
    same((a.status, a.get("etag"), a.get("vary"), a.body), (304, 'W/"v1"', "Accept-Encoding", b""))


def story_events_pass_one_by_one_through_the_encoder(t):
    model = t.sample()
    gate = gate_of(t, model, {"types": ["text/event-stream"]})
    def missing(coding):
        """How many of 20 events did not come in a piece of their own."""
        with gate.conn() as c:
            c.send(wire.request_bytes("GET", "/sse?events=20&interval_ms=20&size=50", [("Accept-Encoding", coding)]))
            a = c.head()
            same(a.get("content-encoding"), coding)
            data, pieces = c.more(), 0
            while not data.endswith(b"0\r\n\r\n"):
                got = c.more()
                assert got, "the stream broke off"
                data += got
                pieces += 1
        return 20 - pieces

    for coding in ("gzip", "br", "zstd"):
        within(6, lambda: missing(coding), f"{coding}: events come together")


def story_a_client_that_does_not_read_holds_the_upstream_back(t):
    def endless(peer, request):
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
        import os
        block = os.urandom(65536).hex().encode()
        peer.given = 0
        peer.sock.settimeout(2)
        try:
            for _ in range(2000):
                peer.sock.sendall(b"%x\r\n%s\r\n" % (len(block), block))
                peer.given += len(block)
        except OSError:
            pass

    up = t.upstream(endless)
    gate = gate_of(t, up)
    before = gate.rss_kib()
    with gate.conn() as c:
        c.send(wire.request_bytes("GET", "/", [("Accept-Encoding", "zstd")]))
        peer = up.wait_peer()
        time.sleep(2.5)
        given = peer.given
        assert given < 64 << 20, f"{given} bytes were taken of the upstream"
    assert gate.rss_kib() - before < 40000
    eventually(lambda: gate.metrics()["sekisho_requests_active"] <= 1, 5, "the exchange did not end")


def story_a_cut_answer_does_not_end_well(t):
    began = threading.Event()

    def cut(peer, request):
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100000\r\n\r\n" + PAGE[:50000])
        began.wait(PATIENCE)
        peer.reset()

    gate = gate_of(t, t.upstream(cut))
    for coding in ("gzip", "br", "zstd"):
        began.clear()
        with gate.conn() as c:
            a = c.send(wire.request_bytes("GET", "/", [("Accept-Encoding", coding)])).head()
            began.set()  # a reset before the head was read would be an answer 502
            same((a.get("content-encoding"), c.body_of(a).ended), (coding, "cut"))


def story_encoders_are_bounded_and_the_answer_is_not(t):
    up = t.upstream(always(ok(PAGE, HTML)))
    gate = t.gateway(upstreams={"app": {"targets": [up.url]}}, gateway={"limits": {"compressionBytes": 1000}},
                     routes=[{"path": "/", "upstream": "app", "access": "public", "compress": True}])
    a = ask(gate, "gzip")
    same((a.status, a.get("content-encoding"), a.get("vary"), a.body == PAGE), (200, None, "Accept-Encoding", True))
    gate.counted('sekisho_compress_skipped_total{reason="memory"}', 1)


def story_tokens_of_coded_answers_are_counted(t):
    answer = b'{"model":"m","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}' + b" " * 2000
    tools = {"gzip": ["gzip", "-c"], "br": ["brotli", "-c"], "zstd": ["zstd", "-qc"]}
    coded = {c: subprocess.run(tool, input=answer, capture_output=True, check=True).stdout for c, tool in tools.items()}

    def answer_in(peer, request):
        c = request.get("accept-encoding")
        peer.send(ok(coded[c], f"Content-Type: application/json\r\nContent-Encoding: {c}\r\n"))

    up = t.upstream(answer_in)
    gate = t.gateway(providers={"home": {"kind": "openai", "baseUrl": up.url + "/v1", "models": ["m"]}})
    for coding in tools:
        a = gate.post("/v1/chat/completions", {"model": "m", "messages": []}, [("Accept-Encoding", coding)])
        same((a.status, a.get("content-encoding"), a.body == coded[coding]), (200, coding, True))
    name = 'sekisho_llm_tokens_total{model="m",direction="%s"}'
    eventually(lambda: [gate.metrics().get(name % d) for d in ("in", "out")] == [33, 21], 5, "not all tokens were counted")


def story_http2_clients_read_it_too(t):
    def script(peer, r):
        if r.target == "/stream":  # no length, and its end alone
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n")
            for at in range(0, len(PAGE), 10000):
                piece = PAGE[at:at + 10000]
                peer.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                time.sleep(0.005)
            time.sleep(0.1)
            peer.send(b"0\r\n\r\n")
        else:
            peer.send(ok(PAGE, HTML + "Cache-Control: max-age=60\r\n"))

    gate = gate_of(t, t.upstream(script), cache=True)
    curl = ["curl", "-sS", "--http2-prior-knowledge", "-m", "90"]
    for path in ("/", "/", "/stream", "/stream"):
        for options in ([], ["--compressed"], ["--compressed", "--limit-rate", "300K"]):
            got = subprocess.run([*curl, *options, gate.url + path], capture_output=True)
            assert got.returncode == 0 and got.stdout == PAGE, (path, options, got.returncode, got.stderr, len(got.stdout))
    head = subprocess.run([*curl, "-I", "-H", "Accept-Encoding: gzip", gate.url + "/"], capture_output=True, text=True).stdout.lower()
    assert "content-encoding: gzip" in head and "vary: accept-encoding" in head and "content-length" not in head, head
    assert "cache-status: sekisho; hit" in head, head
