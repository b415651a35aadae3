"""What one held connection costs a server in memory: plain, TLS, and as a WebSocket tunnel with an upstream behind it."""

import select
import socket
import ssl
import subprocess
import sys
import time

HOLDER = r"""
import asyncio, base64, hashlib, sys

async def serve(reader, writer):
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return
    key = next(l.split(b":", 1)[1].strip() for l in head.split(b"\r\n") if l.lower().startswith(b"sec-websocket-key:"))
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                 b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    await reader.read(1)
    writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    await server.serve_forever()

asyncio.run(main())
"""
UPGRADE = (b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
PLAIN = b"GET /bytes/100 HTTP/1.1\r\nHost: localhost\r\n\r\n"


def holder_start(port):
    """An upstream that answers a WebSocket handshake and then says nothing."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(port)])
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return process
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the WebSocket upstream does not listen")


def answer_read(c, is_upgrade):
    got = b""
    while b"\r\n\r\n" not in got:
        got += more(c)
    head, body = got.split(b"\r\n\r\n", 1)
    if is_upgrade:
        assert b" 101 " in head.split(b"\r\n")[0], head
        return
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += more(c)


def more(c):
    data = c.recv(65536)
    if not data:
        raise RuntimeError("the server closed a connection that was to be held")
    return data


def hold(server, kind, count):
    """Opens `count` connections with one answered request each and gives them, still open."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    held = []
    for _ in range(count):
        c = socket.create_connection(("127.0.0.1", server.tls_port if kind == "tls" else server.port))
        if kind == "tls":
            c = context.wrap_socket(c)
        c.sendall(UPGRADE if kind == "websocket" else PLAIN)
        answer_read(c, kind == "websocket")
        held.append(c)
    return held


def still_open(held):
    """Python's poll, not select: there are more than 1024."""
    poll = select.poll()
    for c in held:
        poll.register(c, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
    return len(held) - len(poll.poll(0))
