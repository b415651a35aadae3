"""Requests made to be read in two ways: a written list of forms, then mutants of them from a seed.

Each has a hidden request for MARK in what one reading takes for a body and another for the next request.
"""

import random

MARK = "/forbidden/"

# What stands for "this many bytes of body", as (lines of the head); @ is the body's length.
LENGTHS = [
    "Content-Length: @", "content-length:@", "Content-Length: 0", "Content-Length: 5", "Content-Length: @\r\nContent-Length: 0",
    "Content-Length: 0\r\nContent-Length: @", "Content-Length: @\r\nContent-Length: @", "Content-Length: @,@",
    "Content-Length: 0, @", "Content-Length: +@", "Content-Length: -1", "Content-Length: 0x@", "Content-Length: @ ",
    "Content-Length: 0@", "Content-Length: \x0b@", "Content-Length : @", "Content-Length\t: @", " Content-Length: @",
    "Content_Length: @", "Content-Length\r: @", "Content-Length: @\x00", "Content-Length:\r\n @", "Content-Length:\r\n\tLEN",
    "Content-Length:", "Content-Length: @;", "X: y\nContent-Length: @", "X: y\rContent-Length: @", "X:\r\n Content-Length: @",
    "\"Content-Length\": @", "Content-Length: \"@\"", "Content-Length: 1e1", "Content-Length: @\x0c", "Content-Length\x00: @",
    "Content-Length: 18446744073709551615", "Content-Length: 99999999999999999999", "Content\u00adLength: @", "CONTENT-LENGTH: @",
    "Content-Length: \xa0@", "Content-Length: @ @", "Content-Length: ０",
]

CODINGS = [
    "Transfer-Encoding: chunked", "transfer-encoding:chunked", "Transfer-Encoding: Chunked", "TRANSFER-ENCODING: CHUNKED",
    "Transfer-Encoding : chunked", "Transfer-Encoding\t: chunked", " Transfer-Encoding: chunked", "Transfer-Encoding:\tchunked",
    "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: identity", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: ,chunked",
    "Transfer-Encoding: chunked,", "Transfer-Encoding: \"chunked\"", "Transfer-Encoding: chunked;q=1", "Transfer-Encoding: chunk",
    "Transfer-Encoding: \x0bchunked", "Transfer-Encoding: chunked\x0b", "Transfer-Encoding: \x00chunked", "Transfer-Encoding: chunked\x00",
    "Transfer-Encoding: chunked\x0c", "Transfer-Encoding: \xa0chunked", "Transfer-Encoding\x0b: chunked", "Transfer-Encoding\x00: chunked",
    "Transfer_Encoding: chunked", "Transfer-Encoding:\r\n chunked", "Transfer-Encoding:\r\n\tchunked", "Transfer-Encoding\r\n : chunked",
    "X: y\nTransfer-Encoding: chunked", "X: y\rTransfer-Encoding: chunked", "X:\r\n Transfer-Encoding: chunked", "X: y\r\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, gzip", "Transfer-Encoding: deflate", "Transfer-Encoding",
    "Transfer-Encoding:", "Transfer-Encoding chunked", "Transfer-Encoding: cow\r\nContent-Length: 4", "tRANSFER-ENCODING: chunked",
    "Transfer-Encoding: chunked \r\nX: y", "Transfer\u2010Encoding: chunked", "Transfer-Encoding: ch\u212anked", "TE: chunked",
    "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked", "Connection: Content-Length\r\nContent-Length: @",
]

OTHERS = [
    "", "", "", "", "Expect: 100-continue", "Expect: 100-Continue, x", "Expect: 200-ok", "Expect:", "Expect: \t100-continue", "X: y\r\n z",
    "Connection: keep-alive", "Connection: close", "Connection: close, keep-alive", "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 777\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Trailer: Content-Length", "TE: trailers", "Host: HOST", "X" * 2000 + ": y", ": empty", "no colon at all", "\x7f: y", "X: \x00", "X: \x01\x02",
]

LINES = [
    "POST /a HTTP/1.1", "POST /a HTTP/1.1", "POST /a HTTP/1.1", "GET /a HTTP/1.1", "HEAD /a HTTP/1.1", "PUT /a HTTP/1.1", "DELETE /a HTTP/1.1",
    "OPTIONS /a HTTP/1.1", "OPTIONS * HTTP/1.1", "POST /a HTTP/1.0", "GET /a HTTP/1.0", "GET /a", "POST http://HOST/a HTTP/1.1",
    "POST http://other/a HTTP/1.1", "GET http://HOST HTTP/1.1", "POST  /a HTTP/1.1", "POST /a  HTTP/1.1", "POST\t/a\tHTTP/1.1", "POST /a HTTP/1.1 ",
    " POST /a HTTP/1.1", "\r\nPOST /a HTTP/1.1", "\nPOST /a HTTP/1.1", "POST /a http/1.1", "POST /a HTTP/2.0", "POST /a HTTP/1.10", "POST /a HTTP/01.1",
    "POST /a\x0bHTTP/1.1", "POST /a\rHTTP/1.1", "POST /a?x HTTP/1.1", "POST /a#x HTTP/1.1", "POST /a/../b HTTP/1.1", "POST /a%2fb HTTP/1.1",
    "POST /a HTTP/1.1\r\n X: y", "CONNECT HOST:80 HTTP/1.1", "POST a HTTP/1.1", "POST //a HTTP/1.1", "PO\x00ST /a HTTP/1.1", "POST /\xff HTTP/1.1",
    "TRACE /a HTTP/1.1", "PRI * HTTP/2.0", "post /a HTTP/1.1", "POST /a HTTP/1.1\x00",
]

HIDDEN = "GET MARKNUMBER HTTP/1.1\r\nHost: HOST\r\nX: y"

# What follows the head; HIDDEN is the request that must not be read.
BODIES = [
    "HIDDEN\r\n\r\n", "0\r\n\r\nHIDDEN\r\n\r\n", "5\r\nhello\r\n0\r\n\r\nHIDDEN\r\n\r\n", "", "hello", "0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n",
    "0\r\nHIDDEN\r\n\r\n", "0\n\nHIDDEN\r\n\r\n", "0\r\n\nHIDDEN\r\n\r\n", "0\n\r\nHIDDEN\r\n\r\n", "00\r\n\r\nHIDDEN\r\n\r\n",
    "0;x\r\n\r\nHIDDEN\r\n\r\n", "0;x\nHIDDEN\r\n\r\n", "5;\nhello\r\n0\r\n\r\nHIDDEN\r\n\r\n", "5;x=\"\r\n\"\r\nhello\r\n0\r\n\r\nHIDDEN\r\n\r\n",
    "2;\n xx\r\n4d\r\n0\r\n\r\nHIDDEN\r\n\r\n", "5\rhello\r\n0\r\n\r\nHIDDEN\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\nHIDDEN\r\n\r\n",
    "+5\r\nhello\r\n0\r\n\r\nHIDDEN\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\nHIDDEN\r\n\r\n", "-1\r\nhello\r\n0\r\n\r\nHIDDEN\r\n\r\n",
    "5\r\nhelloXX0\r\n\r\nHIDDEN\r\n\r\n", "5\r\nhello0\r\n\r\nHIDDEN\r\n\r\n", "5\r\nhello\n0\r\n\r\nHIDDEN\r\n\r\n", "5\r\nhello\r0\r\n\r\nHIDDEN\r\n\r\n",
    "100000000000000005\r\nhello\r\n0\r\n\r\nHIDDEN\r\n\r\n", "fffffffffffffffb\r\nhello\r\n0\r\n\r\nHIDDEN\r\n\r\n", "\r\n5\r\nhello\r\n0\r\n\r\nHIDDEN\r\n\r\n",
    "5\r\nhello\r\n0\r\nContent-Length: 100\r\n\r\nHIDDEN\r\n\r\n", "5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\nHIDDEN\r\n\r\n",
    "5\r\nhello\r\n0\r\nHost: evil\r\n\r\nHIDDEN\r\n\r\n", "5\r\nhello\r\n0\r\nX: y\n\nHIDDEN\r\n\r\n", "5\r\nhello\r\n0\r\n X: y\r\n\r\nHIDDEN\r\n\r\n",
    "5\r\nhello\r\n0\r\nX : y\r\n\r\nHIDDEN\r\n\r\n", "5;x\rHIDDEN\r\n\r\nhello\r\n0\r\n\r\n", "3\r\nHIDDEN\r\n\r\n", "ff\r\nHIDDEN\r\n\r\n",
    "5\r\nhello\r\n", "5\r\nhel", "5", "G", "0", "0\r", "0\r\n", "0\r\n\r", "x\r\n\r\n", "a" * 4000 + "HIDDEN\r\n\r\n",
]

INSERTED = [b"\0", b"\t", b"\n", b"\r", b"\x0b", b"\x0c", b" ", b":", b";", b",", b"\x85", b"\xa0", b"\xff", b"\r\n", b"\r\n ", b"\n\n", b"\r\r\n",
            b"%0d%0a", b"_", b"-", b"0", b"\x7f"]


def _text(parts, host, number, mark):
    line, fields, body = parts
    body = body.replace("HIDDEN", HIDDEN).replace("MARK", mark).replace("NUMBER", str(number)).replace("HOST", host)
    fields = "\r\n".join(f for f in fields if f).replace("@", str(len(body.encode("utf-8"))))
    head = f"{line}\r\nHost: HOST\r\n{fields}\r\n" if fields else f"{line}\r\nHost: HOST\r\n"
    return (head.replace("HOST", host), body)


def _bytes(text):
    return b"".join(c.encode("latin-1") if ord(c) < 256 else c.encode("utf-8") for c in text)


def _mutate(random_, head):
    for _ in range(random_.choice((0, 0, 0, 1, 2))):
        at = random_.randrange(len(head))
        how = random_.randrange(3)
        piece = random_.choice(INSERTED)
        head = head[:at] + (piece + head[at:] if how == 0 else piece + head[at + 1:] if how == 1 else head[at + 1:])
    return head


def written(host):
    """The list: each coding and length with a plain body, each pair of the first ones, each body, each line, each other."""
    yield from (("POST /a HTTP/1.1", [f], b) for f in LENGTHS for b in BODIES[:1])
    yield from (("POST /a HTTP/1.1", [f], b) for f in CODINGS for b in BODIES[1:2])
    yield from (("POST /a HTTP/1.1", [LENGTHS[0], f], b) for f in CODINGS[:8] for b in BODIES[1:2])
    yield from (("POST /a HTTP/1.1", [f, "Content-Length: 4"], BODIES[1]) for f in CODINGS[:20])
    yield from (("POST /a HTTP/1.1", [CODINGS[0]], b) for b in BODIES)
    yield from ((line, [LENGTHS[0]], BODIES[0]) for line in LINES)
    yield from ((line, [CODINGS[0]], BODIES[1]) for line in LINES)
    yield from (("POST /a HTTP/1.1", [o, LENGTHS[0]], BODIES[0]) for o in OTHERS[4:])
    yield from (("GET /a HTTP/1.1", [LENGTHS[0]], b) for b in BODIES[:2])
    yield from (("GET /a HTTP/1.1", [o], BODIES[0]) for o in OTHERS[4:])


def corpus(seed, count, host, mark=MARK):
    """`count` of (what it was made of, bytes): the written list first, then mutants."""
    random_ = random.Random(f"{seed} {host}")
    made = 0
    for parts in written(host):
        if made == count:
            return
        head, body = _text(parts, host, made, mark)
        made += 1
        yield parts, _bytes(head) + b"\r\n" + _bytes(body)
    while made < count:
        if random_.random() < 0.6:  # a head that may well be taken, so that its body is read
            framing = random_.choice(([random_.choice(LENGTHS[:4])], [random_.choice(CODINGS[:4])], [""]))
            line = random_.choice(LINES[:8])
        else:
            framing = [random_.choice(LENGTHS + [""] * 20), random_.choice(CODINGS + [""] * 20)]
            line = random_.choice(LINES)
        fields = [random_.choice(OTHERS[:4] * 5 + OTHERS), *framing]
        random_.shuffle(fields)
        parts = (line, fields, random_.choice(BODIES))
        head, body = _text(parts, host, made, mark)
        made += 1
        yield parts, _mutate(random_, _bytes(head) + b"\r\n") + _bytes(body)
