"""HTTP/1 that is wrong, from clients and from upstreams: reliability's table, a line a case, the reason first."""

import time

from lib import wire
from lib.stage import eventually, same
from lib.upstream import always, ok

HOST = b"Host: x\r\n"


def get(line=b"GET / HTTP/1.1", fields=b"", host=HOST):
    return line + b"\r\n" + host + fields + b"\r\n"


def post(fields, body=b""):
    return b"POST / HTTP/1.1\r\n" + HOST + fields + b"\r\n" + body


def length(value):
    return post(b"Content-Length: " + value + b"\r\n", b"hello")


def coding(value, line=b"POST / HTTP/1.1"):
    return line + b"\r\n" + HOST + b"Transfer-Encoding: " + value + b"\r\n\r\n0\r\n\r\n"


def path(target):
    return get(b"GET " + target + b" HTTP/1.1")


# (why, bytes, statuses that are right): refused before the upstream hears a byte, and the connection is closed
FRAMING = [
    ("both lengths", post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), {400}),
    ("both lengths, the other way round", post(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n"), {400}),
    ("two equal lengths", post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"), {400}),
    ("two different lengths", post(b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello"), {400}),
    ("a list of lengths", length(b"5,5"), {400}),
    ("an empty length", length(b""), {400}),
    ("a plus sign", length(b"+5"), {400}),
    ("a minus sign", length(b"-5"), {400}),
    ("a hexadecimal length", length(b"0x5"), {400}),
    ("an underscore", length(b"5_0"), {400}),
    ("a second number behind a blank", length(b"5 5"), {400}),
    ("a vertical tab", length(b"\x0b5"), {400}),
    ("twenty digits", length(b"9" * 20), {400}),
    ("past 2^64", length(b"18446744073709551621"), {400}),
    ("an empty first coding", coding(b",chunked"), {400, 501}),
    ("chunked twice", coding(b"chunked, chunked"), {400}),
    ("chunked in two lines", post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), {400}),
    ("a parameter", coding(b"chunked;q=1"), {400, 501}),
    ("a vertical tab before chunked", coding(b"\x0bchunked"), {400, 501}),
    ("an unknown coding", coding(b"xchunked"), {400, 501}),
    ("identity", coding(b"identity"), {400, 501}),
    ("another coding before chunked", coding(b"gzip, chunked"), {400, 501}),
    ("chunked not last", coding(b"chunked, gzip"), {400, 501}),
    ("a coding in HTTP/1.0", coding(b"chunked", b"POST / HTTP/1.0"), {400}),
    ("an unknown expectation", post(b"Content-Length: 5\r\nExpect: 200-ok\r\n"), {417}),
    ("an obscured expectation", post(b"Content-Length: 5\r\nExpect: 100-continue, x\r\n"), {417}),
]

FIELDS = [
    ("a bare LF", b"GET / HTTP/1.1\nHost: x\n\n", {400}),
    ("a bare LF behind a field", b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", {400}),
    ("a bare CR in a value", get(fields=b"A: b\rC: d\r\n"), {400}),
    ("NUL in a value", get(fields=b"A: b\0c\r\n"), {400}),
    ("DEL in a value", get(fields=b"A: b\x7fc\r\n"), {400}),
    ("a control in a value", get(fields=b"A: b\x01c\r\n"), {400}),
    ("a blank before the colon", get(fields=b"A : b\r\n"), {400}),
    ("a tab before the colon", get(fields=b"A\t: b\r\n"), {400}),
    ("an empty name", get(fields=b": b\r\n"), {400}),
    ("no colon", get(fields=b"Ab\r\n"), {400}),
    ("a blank before the first field", b"GET / HTTP/1.1\r\n Host: x\r\n\r\n", {400}),
    ("a folded line", get(fields=b"A: b\r\n c\r\n"), {400}),
    ("a folded line with a tab", get(fields=b"A: b\r\n\tc\r\n"), {400}),
    ("a byte that is no token in a name", get(fields=b"A(b: c\r\n"), {400}),
    ("an 8-bit byte in a name", get(fields=b"A\xe9: c\r\n"), {400}),
    ("a quote in a name", get(fields=b"A\"b: c\r\n"), {400}),
]

LINES = [
    ("two blanks", get(b"GET  / HTTP/1.1"), {400}),
    ("a tab for a blank", get(b"GET\t/ HTTP/1.1"), {400}),
    ("a blank at the end", get(b"GET / HTTP/1.1 "), {400}),
    ("HTTP/0.9", b"GET /\r\n\r\n", {400, 505}),
    ("HTTP/1.10", get(b"GET / HTTP/1.10"), {400, 505}),
    ("HTTP/2.0 in text", get(b"GET / HTTP/2.0"), {505}),
    ("HTTP/3.0 in text", get(b"GET / HTTP/3.0"), {505}),
    ("lower case", get(b"GET / http/1.1"), {400}),
    ("a method that is no token", get(b"G@T / HTTP/1.1"), {400}),
    ("a fragment", path(b"/a#b"), {400}),
    ("an 8-bit byte", path(b"/caf\xe9"), {400}),
    ("a control", path(b"/a\x01b"), {400}),
    ("another host in the target", get(b"GET http://y/ HTTP/1.1"), {400}),
    ("userinfo in the target", get(b"GET http://u@x/ HTTP/1.1"), {400}),
    ("an authority without CONNECT", get(b"GET x:80 HTTP/1.1"), {400}),
    ("a star without OPTIONS", get(b"GET * HTTP/1.1"), {400}),
    ("CONNECT", b"CONNECT y:443 HTTP/1.1\r\nHost: y:443\r\n\r\n", {400, 405}),
    ("no blank at all", b"GET\r\n\r\n", {400}),
    ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400}),
]

HOSTS = [
    ("none", get(host=b""), {400}),
    ("two", get(host=HOST + b"Host: x\r\n"), {400}),
    ("two that differ", get(host=HOST + b"Host: y\r\n"), {400}),
    ("a slash", get(host=b"Host: x/y\r\n"), {400}),
    ("a question mark", get(host=b"Host: x?y\r\n"), {400}),
    ("a hash", get(host=b"Host: x#y\r\n"), {400}),
    ("an at sign", get(host=b"Host: u@x\r\n"), {400}),
    ("a backslash", get(host=b"Host: x\\y\r\n"), {400}),
    ("a blank", get(host=b"Host: x y\r\n"), {400}),
    ("a port past 65535", get(host=b"Host: x:65536\r\n"), {400}),
    ("a port that is no number", get(host=b"Host: x:8o\r\n"), {400}),
    ("empty", get(host=b"Host: \r\n"), {400}),
    ("a name beyond ASCII", get(host="Host: é\r\n".encode()), {400}),
    ("a list", get(host=b"Host: x, y\r\n"), {400}),
]

PATHS = [
    ("dots", path(b"/a/../b"), {400}),
    ("one dot", path(b"/a/./b"), {400}),
    ("encoded dots", path(b"/a/%2e%2e/b"), {400}),
    ("half encoded dots", path(b"/a/.%2E/b"), {400}),
    ("an encoded slash", path(b"/a%2fb"), {400}),
    ("an encoded backslash", path(b"/a%5cb"), {400}),
    ("a backslash", path(b"/a\\b"), {400}),
    ("an encoded NUL", path(b"/a%00b"), {400}),
    ("a semicolon", path(b"/a;x=y/b"), {400}),
    ("an empty segment", path(b"/a//b"), {400}),
    ("an empty first segment", path(b"//a"), {400}),
    ("overlong UTF-8", path(b"/a%c0%ae%c0%ae/b"), {400}),
    ("a double encoding", path(b"/a%252e%252e/b"), {400}),
    ("a bad escape", path(b"/a%zz"), {400}),
    ("a cut escape", path(b"/a%2"), {400}),
]

LIMITS = [
    ("a target over 8 KiB", path(b"/" + b"a" * 9000), {414}),
    ("101 fields", get(fields=b"".join(b"A%d: b\r\n" % i for i in range(101))), {431}),
    ("fields over 32 KiB", get(fields=b"A: " + b"b" * 33000 + b"\r\n"), {431}),
    ("a body over the limit, said before", length(b"1000001"), {413}),
]


def story_refuses_what_is_ambiguous(t):
    up = t.upstream(always(ok()))
    gate = t.proxy(up, gateway={"limits": {"requestBytes": "1MB"}})
    wrong = []
    for table in (FRAMING, FIELDS, LINES, LIMITS, HOSTS, PATHS):
        for why, data, statuses in table:
            wrong += refused(gate, why, data, statuses)
    wrong += [f"the upstream heard: {up.received[:500]!r}"] if up.received else []
    same(gate.get("/health", token=False).status, 200)
    assert not wrong, "\n" + "\n".join(wrong)


def refused(gate, why, data, statuses):
    """What is wrong with the answer to this, in lines."""
    try:
        with gate.conn() as c:
            answer = c.send(data).answer()
            if answer.status not in statuses:
                return [f"{why}: {answer.status}, not {sorted(statuses)}: {answer.body[:120]!r}"]
            return [] if c.is_closed() else [f"{why}: {answer.status}, but the connection stays open"]
    except (OSError, wire.Lost, AssertionError) as e:
        return [f"{why}: {type(e).__name__} {e}"]


# What is wrong only in the body: the upstream may have heard the beginning, but never a whole request.
CHUNKS = [
    ("an empty size", b"\r\nhello\r\n0\r\n\r\n"),
    ("a plus sign", b"+5\r\nhello\r\n0\r\n\r\n"),
    ("0x", b"0x5\r\nhello\r\n0\r\n\r\n"),
    ("a minus sign", b"-1\r\nhello\r\n0\r\n\r\n"),
    ("a blank behind the size", b"5 \r\nhello\r\n0\r\n\r\n"),
    ("seventeen digits", b"00000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("past 2^64", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("a bare LF behind the size", b"5\nhello\r\n0\r\n\r\n"),
    ("a bare CR behind the size", b"5\rhello\r\n0\r\n\r\n"),
    ("more data than said", b"5\r\nhello!\r\n0\r\n\r\n"),
    ("a bare LF behind the data", b"5\r\nhello\n0\r\n\r\n"),
    ("LF in an extension", b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    ("an extension over 1 KiB", b"5;" + b"a" * 1100 + b"\r\nhello\r\n0\r\n\r\n"),
    ("extensions over 16 KiB", (b"1;" + b"a" * 1000 + b"\r\nx\r\n") * 17 + b"0\r\n\r\n"),
    ("Host in the trailers", b"0\r\nHost: y\r\n\r\n"),
    ("a length in the trailers", b"0\r\nContent-Length: 5\r\n\r\n"),
    ("a coding in the trailers", b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("authorization in the trailers", b"0\r\nAuthorization: Bearer x\r\n\r\n"),
    ("a bare LF in the trailers", b"0\r\nA: b\n\r\n"),
    ("trailers over the limit", b"0\r\nA: " + b"b" * 40000 + b"\r\n\r\n"),
]


def story_never_ends_a_broken_body_well(t):
    up = t.upstream(always(ok()))
    gate = t.proxy(up)
    wrong = []
    for why, body in CHUNKS:
        before = len(up.requests)
        with gate.conn() as c:
            try:
                answer = c.send(post(b"Transfer-Encoding: chunked\r\n") + body).answer()
                if answer.status not in (400, 431):
                    dropped = "trailers" in why and answer.status == 200 and not up.requests[-1].trailers
                    wrong += [] if dropped else [f"{why}: {answer.status}"]
                    continue
                if not c.is_closed():
                    wrong.append(f"{why}: the connection stays open")
            except (OSError, wire.Lost) as e:
                wrong.append(f"{why}: {type(e).__name__} {e}")
        if len(up.requests) != before:
            wrong.append(f"{why}: the upstream got a whole request")
    assert not wrong, "\n" + "\n".join(wrong)


def story_a_client_that_stops_in_its_body_ends_nothing_well(t):
    up = t.upstream(always(ok()))
    gate = t.proxy(up)
    for fields, body in ((b"Content-Length: 100\r\n", b"x" * 50), (b"Transfer-Encoding: chunked\r\n", b"32\r\n" + b"x" * 50 + b"\r\n")):
        with gate.conn() as c:
            c.send(post(fields) + body)
            time.sleep(0.2)
            c.shut()
            c.to_end()
    eventually(lambda: all(p.wait_closed() for p in up.peers), 5, "an upstream connection stays")
    same(up.requests, [])


def story_answers_pipelined_requests_in_order(t):
    model = t.sample()
    gate = t.proxy(model)
    with gate.conn() as c:
        c.send(b"".join(path(b"/bytes/%d" % n) for n in range(1, 301)))
        for n in range(1, 301):
            same(len(c.answer().body), n)
        c.send(path(b"/bytes/7") + path(b"/a/../b") + path(b"/bytes/9"))
        same((c.answer().status, c.answer().status), (200, 400))
        assert c.is_closed(), "what stood behind a bad request was read"
    with gate.conn() as c:  # a request inside a body is a body
        inside = path(b"/bytes/7")
        c.send(b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(inside) + inside + path(b"/bytes/3"))
        same(c.answer().json["body"].encode(), inside)
        same(c.answer().body, b"abc")


def story_waits_only_so_long(t):
    up = t.upstream(always(ok()))
    gate = t.proxy(up, gateway={"limits": {"headerTimeout": "500ms", "bodyIdleTimeout": "500ms", "idleTimeout": "1s"}})
    for why, data, status in (("half a head", b"GET / HTTP/1.1\r\nHost: x\r\n", 408),
                              ("half a body", post(b"Content-Length: 10\r\n", b"hello"), 408)):
        begin = time.monotonic()
        with gate.conn() as c:
            same(c.send(data).answer().status, status, why)
            assert c.is_closed() and time.monotonic() - begin >= 0.5, why
    with gate.conn() as c:  # a byte now and then does not help
        try:
            c.send(get(fields=b"A: " + b"b" * 100 + b"\r\n"), piece=1, pause=0.05)
            raise AssertionError("a slow head was waited for")
        except OSError:
            pass
    with gate.conn() as c:
        same(c.send(get()).answer().status, 200)
        assert c.is_closed(), "an idle connection is not closed"
    same(len(up.requests), 1)


# (why, the upstream's bytes, the status before the client has seen a byte): "cut" once the head was passed on
ANSWERS = [
    ("no status line", b"hello\r\n\r\n", 502),
    ("a status of two digits", b"HTTP/1.1 20 OK\r\n\r\n", 502),
    ("HTTP/2 in text", b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", 502),
    ("a blank before the colon", b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", 502),
    ("a folded line", b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok", 502),
    ("both lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 502),
    ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", 502),
    ("101 unasked", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 502),
    ("a flood of 103", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000 + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", {200, 502}),
    ("a head of 1 MB", b"HTTP/1.1 200 OK\r\nA: " + b"b" * 1000000 + b"\r\nContent-Length: 2\r\n\r\nok", 502),
    ("closed in the head", b"HTTP/1.1 200 OK\r\nContent-Le", 502),
    ("closed at once", b"", 502),
    ("a short body", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "cut"),
    ("a cut chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "cut"),
    ("no last chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "cut"),
    ("a bad chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", "cut"),
]


def story_believes_no_broken_upstream(t):
    def script(peer, request):
        data, _ = now[0]
        peer.send(data)
        peer.close()

    now = [None]
    up = t.upstream(script)
    gate = t.proxy(up, upstream={"passive": {"failures": 0}, "retries": 0})
    wrong = []
    for why, data, expected in ANSWERS:
        now[0] = (data, expected)
        with gate.conn() as c:
            try:
                a = c.send(get()).answer()
                got = "cut" if a.ended == "cut" else a.status
            except (wire.Lost, OSError) as e:
                got = "cut" if expected == "cut" else f"{type(e).__name__} {e}"
            if got != expected and not (isinstance(expected, set) and got in expected):
                wrong.append(f"{why}: {got}, not {expected}")
    assert not wrong, "\n" + "\n".join(wrong)


def story_does_not_keep_a_connection_with_surplus_bytes(t):
    model = t.sample()
    gate = t.proxy(model)
    with gate.conn() as c:
        for n in range(20):
            fault = b"x-sample-fault: surplus\r\n" if n % 2 == 0 else b""
            a = c.send(b"GET /bytes/%d HTTP/1.1\r\nHost: x\r\n%s\r\n" % (n, fault)).answer()
            same((a.status, len(a.body)), (200, n))


def story_a_body_until_close_ends_with_it(t):
    def script(peer, request):
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        time.sleep(0.1)
        peer.send(b" there")
        peer.close()

    gate = t.proxy(t.upstream(script))
    a = gate.get("/", token=False)
    same((a.body, a.ended), (b"hello there", "chunked"))


def story_an_upstream_that_says_nothing_is_given_up(t):
    up = t.upstream(lambda peer, request: peer.wait_closed())
    gate = t.proxy(up, upstream={"timeouts": {"firstByte": "300ms"}, "retries": 0})
    begin = time.monotonic()
    same(gate.get("/", token=False).status, 504)
    assert time.monotonic() - begin >= 0.3
    assert up.wait_peer().wait_closed(), "the upstream's connection is still open"


def story_a_broken_answer_is_seen_at_every_byte(t):
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nhello"
    cut = [0]

    def script(peer, request):
        peer.send(whole[:cut[0]])
        peer.reset()

    up = t.upstream(script)
    gate = t.proxy(up, upstream={"passive": {"failures": 0}, "retries": 0})
    head = whole.index(b"hello")
    for cut[0] in [*range(len(whole)), *range(head, len(whole))] * 5:
        try:
            a = gate.get("/", token=False)
            good = a.status == 502 or (a.status == 200 and a.ended == "cut" and cut[0] >= head)
        except wire.Lost:
            a, good = None, cut[0] >= head
        assert good, f"cut behind {cut[0]} bytes: {a}"
