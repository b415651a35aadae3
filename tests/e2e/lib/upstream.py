"""A scripted upstream: it keeps every byte it was sent, and answers what the script says, when it says so."""

import re
import socket
import threading
import time

from .patience import patient


class Request:
    def __init__(self, head, body, trailers=b""):
        self.head, self.body, self.trailers = head, body, trailers
        lines = head[:-4].decode("latin-1").split("\r\n")
        self.line = lines[0]
        self.method, self.target = (lines[0].split(" ") + ["", ""])[:2]
        self.fields = [tuple(p.strip() for p in line.split(":", 1)) for line in lines[1:] if ":" in line]

    def all(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def get(self, name):
        return next(iter(self.all(name)), None)


class Peer:
    """One connection, from the upstream's side."""

    def __init__(self, sock, number):
        self.sock, self.number = sock, number
        self.received = b""
        self.rest = b""
        self.thread = threading.current_thread()
        self.closed_at = None  # when the gateway closed it, on the monotonic clock

    def _more(self):
        try:
            got = self.sock.recv(1 << 16)
        except TimeoutError:
            raise
        except OSError:
            got = b""
        if not got:
            self.closed_at = self.closed_at or time.monotonic()
        self.received += got
        self.rest += got
        return got

    def until(self, mark):
        while mark not in self.rest:
            if not self._more():
                return None
        at = self.rest.index(mark) + len(mark)
        got, self.rest = self.rest[:at], self.rest[at:]
        return got

    def exactly(self, count):
        while len(self.rest) < count:
            if not self._more():
                return None
        got, self.rest = self.rest[:count], self.rest[count:]
        return got

    def request(self):
        """The next whole request, or None at the end."""
        head = self.until(b"\r\n\r\n")
        if head is None:
            return None
        if re.search(rb"\r\ntransfer-encoding:\s*chunked", head, re.I):
            body = b""
            while True:
                line = self.until(b"\r\n")
                if line is None:
                    return None
                size = int(line.split(b";")[0], 16)
                if size == 0:
                    break
                part = self.exactly(size + 2)
                if part is None:
                    return None
                body += part[:-2]
            trailers = b""
            while (line := self.until(b"\r\n")) not in (b"\r\n", None):
                trailers += line
            return Request(head, body, trailers)
        length = re.search(rb"\r\ncontent-length:\s*(\d+)", head, re.I)
        body = self.exactly(int(length[1])) if length else b""
        return None if body is None else Request(head, body)

    def send(self, data, piece=None, pause=0.0):
        data = data.encode() if isinstance(data, str) else data
        try:
            for i in range(0, len(data), piece or len(data) or 1):
                self.sock.sendall(data[i:i + (piece or len(data))])
                if pause:
                    time.sleep(pause)
        except OSError:
            self.closed_at = self.closed_at or time.monotonic()

    def wait_closed(self, seconds=5):
        """True when the gateway closes in that time. The connection's own thread reads for it; others only wait."""
        seconds = patient(seconds)
        if threading.current_thread() is not self.thread:
            end = time.monotonic() + seconds
            while self.closed_at is None and time.monotonic() < end:
                time.sleep(0.002)
            return self.closed_at is not None
        self.sock.settimeout(seconds)
        try:
            while self._more():
                pass
        except TimeoutError:
            return False
        finally:
            self.rest = b""
        return True

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        try:
            self.sock.shutdown(socket.SHUT_RD)  # wakes a thread that reads: it would keep the socket open
        except OSError:
            pass
        self.sock.close()

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self.sock.close()


class Upstream:
    """`script(peer, request)` is called for each whole request; or `on_connect(peer)` has the connection for itself."""

    def __init__(self, script=None, on_connect=None, tls=None, unix=None):
        self.script, self.on_connect, self.tls = script, on_connect, tls
        self.peers, self.requests, self.errors = [], [], []
        self.probes = 0
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        if unix:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.bind(unix)
            self.sock.listen(128)
            self.port, self.url = None, f"unix:{unix}"
        else:
            self.sock = socket.create_server(("127.0.0.1", 0), backlog=1024)
            self.port = self.sock.getsockname()[1]
            self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _is_probe(self, sock):
        """The gateway asks local servers whether they speak HTTP/2. We do not, and it counts for nothing."""
        try:
            if sock.recv(3, socket.MSG_PEEK) != b"PRI":
                return False
            sock.recv(1 << 16)
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            sock.close()
        except OSError:
            return False
        with self.changed:
            self.probes += 1
        return True

    def _serve(self, sock):
        try:
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
        except OSError as e:
            with self.changed:
                self.errors.append(e)
                self.changed.notify_all()
            return
        if self.script and not self.tls and self._is_probe(sock):
            return
        with self.changed:
            peer = Peer(sock, len(self.peers))
            self.peers.append(peer)
            self.changed.notify_all()
        try:
            if self.on_connect:
                self.on_connect(peer)
                while peer._more():
                    pass
                return
            while (request := peer.request()) is not None:
                with self.changed:
                    self.requests.append(request)
                    self.changed.notify_all()
                self.script(peer, request)
        except OSError as e:
            with self.changed:
                self.errors.append(e)
        except Exception as e:  # a broken script must be seen by the story
            with self.changed:
                self.errors.append(e)
            raise

    def wait_request(self, count=1, seconds=5):
        """The count-th request from the first; fails when it does not come."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.requests) >= count, patient(seconds)), \
                f"only {len(self.requests)} of {count} requests came"
            return self.requests[count - 1]

    def wait_peer(self, count=1, seconds=5):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.peers) >= count, patient(seconds)), "nobody connected"
            return self.peers[count - 1]

    @property
    def received(self):
        """Every byte of every connection."""
        return b"".join(p.received for p in self.peers)

    def close(self):
        self.sock.close()
        for p in self.peers:
            try:
                p.sock.close()
            except OSError:
                pass


def ok(body=b"ok", fields=""):
    """The bytes of a plain 200."""
    body = body.encode() if isinstance(body, str) else body
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode() + body


def always(data):
    """A script that says the same to everything."""
    return lambda peer, request: peer.send(data)
