"""HTTP/2 frame by frame: a client that sends exactly what it is told, well-formed or not."""

import socket
import struct
import time

from .patience import PATIENCE

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 0, 1, 7, 8, 11
MAGIC = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
STATUS_OF_INDEX = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}
DIGIT_OF_CODE = {"00000": "0", "00001": "1", "00010": "2", "011001": "3", "011010": "4", "011011": "5", "011100": "6",
                 "011101": "7", "011110": "8", "011111": "9"}


def integer(n, prefix_bits, first=0):
    most = (1 << prefix_bits) - 1
    if n < most:
        return bytes([first | n])
    out, n = [first | most], n - most
    while n >= 128:
        out.append(n % 128 + 128)
        n //= 128
    return bytes([*out, n])


def block(fields):
    """A header block of literals, never indexed, no Huffman: any bytes at all."""
    out = b""
    for name, value in fields:
        name, value = (x if isinstance(x, bytes) else x.encode("latin-1") for x in (name, value))
        out += b"\x10" + integer(len(name), 7) + name + integer(len(value), 7) + value
    return out


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def request(path="/", method="GET", authority="localhost", more=()):
    return [(":method", method), (":scheme", "http"), (":path", path), (":authority", authority), *more]


def status_of(payload):
    """:status is the first field; our compression table is empty, so it is of the static one."""
    at = 0
    while payload[at] & 0xe0 == 0x20:  # table size updates
        at += 1
    if payload[at] & 0x80:
        return STATUS_OF_INDEX[payload[at] & 0x7f]
    text = payload[at + 2:at + 2 + (payload[at + 1] & 0x7f)]
    if not payload[at + 1] & 0x80:
        return int(text)
    bits, digits, code = "".join(f"{b:08b}" for b in text), "", ""
    for bit in bits:
        code += bit
        if code in DIGIT_OF_CODE:
            digits, code = digits + DIGIT_OF_CODE[code], ""
    return int(digits[:3])


class Conn:
    def __init__(self, port, settings=(), window=None, context=None, name="localhost"):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            context.set_alpn_protocols(["h2"])
            self.sock = context.wrap_socket(self.sock, server_hostname=name)
        self._begin(settings, window)

    @classmethod
    def on(cls, sock):
        """A client on a connection that is there already, whoever made it."""
        c = cls.__new__(cls)
        c.sock = sock
        c._begin((), None)
        return c

    def _begin(self, settings, window):
        self.rest, self.frames, self.is_closed = b"", [], False
        pairs = [(1, 0), *settings] + ([(4, window)] if window is not None else [])
        self.send(MAGIC + frame(SETTINGS, payload=b"".join(struct.pack(">HI", *p) for p in pairs)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        """False when the other end is gone."""
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            return False

    def ask(self, stream, fields=None, is_end=True, data=None):
        parts = block(fields or request())
        first, rest = parts[:16384], [parts[i:i + 16384] for i in range(16384, len(parts), 16384)]
        flags = (0 if rest else END_HEADERS) | (END_STREAM if is_end and data is None else 0)
        self.send(frame(HEADERS, flags, stream, first) + b"".join(
            frame(CONTINUATION, END_HEADERS if part is rest[-1] else 0, stream, part) for part in rest))
        if data is not None:
            self.send(frame(DATA, END_STREAM if is_end else 0, stream, data))
        return self

    def read(self, seconds=PATIENCE):
        """The next frame (kind, flags, stream, payload), or None at the end or when nothing came."""
        end = time.monotonic() + seconds
        while True:
            if len(self.rest) >= 9:
                length = int.from_bytes(self.rest[:3], "big")
                if len(self.rest) >= 9 + length:
                    kind, flags, stream = struct.unpack(">BBI", self.rest[3:9])
                    found = (kind, flags, stream, self.rest[9:9 + length])
                    self.rest = self.rest[9 + length:]
                    self.frames.append(found)
                    return found
            left = end - time.monotonic()
            if left <= 0 or self.is_closed:
                return None
            self.sock.settimeout(left)
            try:
                got = self.sock.recv(1 << 16)
            except TimeoutError:
                return None
            except OSError:
                got = b""
            self.is_closed = not got
            self.rest += got

    def until(self, wanted, seconds=PATIENCE):
        """The first frame from now on that `wanted` says yes to, or None."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            found = self.read(left)
            if found is None or wanted(*found):
                return found
        return None

    def end_of(self, stream, seconds=PATIENCE):
        """What became of a stream: ("answer", status, body), ("reset", code) or ("gone", GOAWAY's code or None)."""
        status, body = None, b""
        while (found := self.read(seconds)) is not None:
            kind, flags, of, payload = found
            if kind == GOAWAY and (code := struct.unpack(">I", payload[4:8])[0]) != NO_ERROR:
                return "gone", code
            if of != stream:
                continue
            if kind == RST_STREAM:
                return "reset", struct.unpack(">I", payload)[0]
            if kind == HEADERS and status in (None, 100, 103):
                status = status_of(payload)
            if kind == DATA:
                body += payload
            if kind in (HEADERS, DATA) and flags & END_STREAM:
                return "answer", status, body
        return "gone", None

    def goaway(self, seconds=PATIENCE):
        """The code of the GOAWAY that ends this, or None when it was closed without, or -1 when it goes on."""
        found = self.until(lambda kind, *_: kind == GOAWAY, seconds)
        if found:
            return struct.unpack(">I", found[3][4:8])[0]
        return None if self.is_closed else -1
