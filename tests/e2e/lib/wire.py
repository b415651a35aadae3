"""A client that sends exactly the bytes it is given and says exactly what came back."""

import json
import re
import socket
import ssl
import time

from .patience import PATIENCE


class Answer:
    """One response. `ended` says how its body ended: "length", "chunked", "close", "none", or "cut" when it was not whole."""

    def __init__(self):
        self.status = 0
        self.reason = ""
        self.fields = []
        self.body = b""
        self.trailers = []
        self.ended = "cut"
        self.raw_head = b""

    def all(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def get(self, name, otherwise=None):
        return next(iter(self.all(name)), otherwise)

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {dict(self.fields)} {self.body[:300]!r} ended={self.ended}>"


class Lost(Exception):
    """The other end closed or reset before a whole head came."""


class Conn:
    """`to` is a port, (host, port), or a path for a Unix socket; `tls` an ssl.SSLContext with `name` as its SNI."""

    def __init__(self, to, tls=None, name=None, timeout=PATIENCE, source=None):
        if isinstance(to, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(to)
        else:
            address = ("127.0.0.1", to) if isinstance(to, int) else to
            self.sock = socket.create_connection(address, timeout, (source, 0) if source else None)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname=name)
        self.rest = b""
        self.at_end = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data, piece=None, pause=0):
        """All at once, or in pieces of so many bytes with a pause between."""
        data = data.encode() if isinstance(data, str) else data
        if not piece:
            self.sock.sendall(data)
            return self
        for i in range(0, len(data), piece):
            self.sock.sendall(data[i:i + piece])
            if pause:
                time.sleep(pause)
        return self

    def close(self):
        self.sock.close()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def shut(self):
        """No more from us; we go on reading."""
        self.sock.shutdown(socket.SHUT_WR)

    def more(self, timeout=None):
        """Whatever comes next; b"" at the end."""
        if self.rest:
            got, self.rest = self.rest, b""
            return got
        if self.at_end:
            return b""
        if timeout is not None:
            self.sock.settimeout(timeout)
        try:
            got = self.sock.recv(1 << 18)
        except (ConnectionError, ssl.SSLError):
            got = b""
        self.at_end = not got
        return got

    def until(self, mark):
        """Up to and with the mark; what follows stays. Lost when the end comes first."""
        got = b""
        while mark not in got:
            part = self.more()
            if not part:
                raise Lost(got)
            got += part
        at = got.index(mark) + len(mark)
        self.rest = got[at:] + self.rest
        return got[:at]

    def exactly(self, count):
        got = bytearray()
        while len(got) < count:
            part = self.more()
            if not part:
                raise Lost(bytes(got))
            got += part
        self.rest = bytes(got[count:]) + self.rest
        return bytes(got[:count])

    def to_end(self, timeout=None):
        """All that still comes, until the other end closes."""
        got = bytearray()
        while True:
            part = self.more(timeout)
            if not part:
                return bytes(got)
            got += part

    def is_closed(self, within=PATIENCE):
        """True when the other end closes, with nothing more said, in that time."""
        if self.rest:
            return False
        try:
            return self.more(within) == b"" and self.at_end
        except TimeoutError:
            return False

    def answer(self, method="GET", skip_interim=True):
        """Reads one response, whole. Raises Lost when not even its head comes."""
        while True:
            a = Answer()
            a.raw_head = self.until(b"\r\n\r\n")
            lines = a.raw_head[:-4].decode("latin-1").split("\r\n")
            found = re.fullmatch(r"HTTP/1\.[01] (\d{3})(?: (.*))?", lines[0])
            assert found, f"not a status line: {lines[0]!r}"
            a.status, a.reason = int(found[1]), found[2] or ""
            for line in lines[1:]:
                name, colon, value = line.partition(":")
                assert colon, f"not a field: {line!r}"
                a.fields.append((name, value.strip(" \t")))
            if a.status >= 200 or a.status == 101 or not skip_interim:
                break
        return self.body_of(a, method)

    def body_of(self, a, method="GET"):
        """Reads the body behind a head; gives the answer, whole now or cut."""
        if method == "HEAD" or a.status in (101, 204, 304) or a.status < 200:
            a.ended = "none"
            return a
        try:
            if "chunked" in (a.get("transfer-encoding") or "").lower():
                parts = []
                try:
                    for chunk in self.chunks(a.trailers):
                        parts.append(chunk)
                finally:
                    a.body = b"".join(parts)
                a.ended = "chunked"
            elif a.get("content-length") is not None:
                a.body = self.exactly(int(a.get("content-length")))
                a.ended = "length"
            else:
                a.body = self.to_end()
                a.ended = "close"
        except Lost as lost:
            a.body += lost.args[0] if lost.args else b""
        return a

    def chunks(self, trailers=None):
        """The chunks of a body, as they come. Lost when it does not end as it should."""
        while True:
            line = self.until(b"\r\n")
            size = int(line.split(b";")[0], 16)
            if size == 0:
                while (line := self.until(b"\r\n")) != b"\r\n":
                    if trailers is not None:
                        trailers.append(tuple(line[:-2].decode("latin-1").split(": ", 1)))
                return
            yield self.exactly(size)
            assert self.exactly(2) == b"\r\n", "no line end behind a chunk"

    def head(self):
        """Only the head; the body stays to be read by chunks(), events() or more()."""
        a = Answer()
        a.raw_head = self.until(b"\r\n\r\n")
        lines = a.raw_head[:-4].decode("latin-1").split("\r\n")
        a.status = int(lines[0].split(" ")[1])
        a.fields = [(n, v.strip()) for n, _, v in (line.partition(":") for line in lines[1:])]
        return a

    def events(self):
        """(seconds of the monotonic clock, event text) for each event of a chunked event stream, as it comes."""
        held = b""
        for chunk in self.chunks():
            now = time.monotonic()
            held += chunk
            while b"\n\n" in held:
                event, held = held.split(b"\n\n", 1)
                yield now, event.decode()


def head_of(method, path, fields, host="localhost"):
    lines = [f"{method} {path} HTTP/1.1"]
    if not any(n.lower() == "host" for n, _ in fields):
        lines.append(f"Host: {host}")
    lines += [f"{n}: {v}" for n, v in fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def request_bytes(method, path, fields=(), body=None, host="localhost"):
    fields = list(fields.items() if isinstance(fields, dict) else fields)
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
        fields.append(("Content-Type", "application/json"))
    elif isinstance(body, str):
        body = body.encode()
    if body is not None and not any(n.lower() == "content-length" for n, _ in fields):
        fields.append(("Content-Length", str(len(body))))
    return head_of(method, path, fields, host) + (body or b"")


def ask(to, method, path, fields=(), body=None, host="localhost", tls=None, name=None, timeout=PATIENCE, source=None):
    """One request on a connection of its own."""
    with Conn(to, tls, name, timeout, source) as c:
        c.send(request_bytes(method, path, fields, body, host))
        return c.answer(method)


def get(to, path, fields=(), **more):
    return ask(to, "GET", path, fields, **more)


def post(to, path, body, fields=(), **more):
    return ask(to, "POST", path, fields, body, **more)
