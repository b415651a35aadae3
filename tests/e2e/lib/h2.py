"""HTTP/2 frames by hand, from a server's end: for what no honest server sends."""

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END, DONE, ACK = 1, 4, 1  # END_STREAM, END_HEADERS

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def _integer(value, prefix, first=0):
    most = (1 << prefix) - 1
    if value < most:
        return bytes([first | value])
    out = bytes([first | most])
    value -= most
    while value >= 128:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def literal(*fields):
    """A list in HPACK that uses no table (RFC 7541 6.2.2)."""
    out = b""
    for name, value in fields:
        out += b"\0"
        for text in (name, value):
            text = text.encode("latin-1") if isinstance(text, str) else text
            out += _integer(len(text), 7) + text
    return out


class Frames:
    def __init__(self, sock):
        self.sock, self.rest, self.mute = sock, b"", False

    def _exactly(self, count):
        while len(self.rest) < count:
            try:
                got = self.sock.recv(1 << 16)
            except OSError:
                return None
            if not got:
                return None
            self.rest += got
        got, self.rest = self.rest[:count], self.rest[count:]
        return got

    def send(self, kind, flags, stream, payload):
        if self.mute:
            return
        try:
            self.sock.sendall(len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload)
        except OSError:
            self.mute = True

    def preface(self, settings=b""):
        """Takes the client's preface, says our settings. False when it was none."""
        if self._exactly(len(PREFACE)) != PREFACE:
            return False
        self.send(SETTINGS, 0, 0, settings)
        return True

    def next(self):
        """(kind, flags, stream, payload), or None at the end."""
        head = self._exactly(9)
        if head is None:
            return None
        payload = self._exactly(int.from_bytes(head[:3], "big"))
        return None if payload is None else (head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7fffffff, payload)

    def serve(self, script):
        """Answers settings and pings; `script(self, stream)` for each request's HEADERS."""
        while (frame := self.next()) is not None:
            kind, flags, stream, payload = frame
            if kind == SETTINGS and not flags & ACK:
                self.send(SETTINGS, ACK, 0, b"")
            elif kind == PING and not flags & ACK:
                self.send(PING, ACK, 0, payload)
            elif kind == HEADERS:
                script(self, stream)
