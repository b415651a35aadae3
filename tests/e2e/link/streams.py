"""Byte streams through a listener of their own: to a server beside the gateway, and to one behind an agent."""

import hashlib
import os
import socket
import struct
import threading
import time

from lib import links
from lib.stage import eventually, free_port, same


class Server:
    """Accepts, and lets `serve` do with each connection what it likes."""

    def __init__(self, serve):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.serve, self.seen = serve, []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(sock,), daemon=True).start()

    def _one(self, sock):
        with sock:
            try:
                self.serve(sock, self.seen)
            except OSError as e:
                self.seen.append(type(e).__name__)


def echo(sock, seen):
    while data := sock.recv(65536):
        sock.sendall(data)
    seen.append("end")


def both_ways(t, port):
    """(port of a listener straight to it, of one through an agent), and the gateway."""
    nodes = links.Nodes(t)
    straight, behind = free_port(), free_port()
    tls_port, sections = links.gateway_sections(t, nodes, ["ag-one/tg-app"], workers=2)
    sections["gateway"]["listen"] += [{"address": f"127.0.0.1:{straight}", "upstream": "straight"},
                                      {"address": f"127.0.0.1:{behind}", "upstream": "behind"}]
    sections["upstreams"] |= {"straight": {"targets": [f"tcp://127.0.0.1:{port}"]}, "behind": {"targets": ["link://ag-one/tg-tcp"]}}
    gate = t.gateway(**sections)
    gate.tls_port = tls_port
    agent = links.agent(t, nodes, [gate], {"tg-tcp": f"tcp://127.0.0.1:{port}"})
    links.links_open(gate, 2)
    return (straight, behind), gate, agent


def connect(port):
    sock = socket.create_connection(("127.0.0.1", port), timeout=20)
    return sock


def all_of(sock):
    got = b""
    while data := sock.recv(65536):
        got += data
    return got


def story_bytes_go_both_ways_and_each_end_ends_by_itself(t):
    server = Server(echo)
    ports, gate, _agent = both_ways(t, server.port)
    for port in ports:
        for size in (0, 1, 1000, 5_000_000):
            data, got = os.urandom(size), []
            with connect(port) as s:
                reader = threading.Thread(target=lambda s=s, g=got: g.append(all_of(s)))
                reader.start()
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)  # the server hears the end, and its answer still comes
                reader.join(30)
            assert got and hashlib.sha256(got[0]).digest() == hashlib.sha256(data).digest(), (port, size, [len(x) for x in got])
    eventually(lambda: server.seen.count("end") == 8, 5, "the server did not hear the ends")
    eventually(lambda: gate.metrics().get("sekisho_requests_active") <= 1, 5, "exchanges are left")


def story_who_speaks_first_does_not_matter(t):
    def greet(sock, seen):
        sock.sendall(b"hello\n")
        sock.shutdown(socket.SHUT_WR)
        seen.append(all_of(sock))

    server = Server(greet)
    ports, _gate, _agent = both_ways(t, server.port)
    for port in ports:
        with connect(port) as s:
            same(all_of(s), b"hello\n")
            s.sendall(b"bye\n")
    eventually(lambda: server.seen == [b"bye\n"] * 2, 10, lambda: server.seen)


def story_a_reset_is_no_clean_end(t):
    def cut(sock, seen):
        sock.sendall(b"part")
        sock.recv(1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    server = Server(cut)
    ports, _gate, _agent = both_ways(t, server.port)
    for port in ports:
        with connect(port) as s:
            same(s.recv(4), b"part")
            s.sendall(b"x")
            try:
                same(s.recv(1), None, "an end instead of a reset")
            except ConnectionResetError:
                pass
    resets = Server(lambda sock, seen: (sock.recv(4), sock.recv(1)) and seen.append("end"))
    ports, _gate, _agent = both_ways_again(t, resets)
    for port in ports:
        with connect(port) as s:
            s.sendall(b"part")
            time.sleep(0.3)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    eventually(lambda: resets.seen == ["ConnectionResetError"] * 2, 10, "the server did not hear of the reset")


def both_ways_again(t, server):
    t.folder = t.folder / "again"
    t.folder.mkdir()
    t.authority = None
    return both_ways(t, server.port)


def story_nobody_there_is_a_reset_and_others_go_on(t):
    ports, gate, _agent = both_ways(t, free_port())
    for port in ports:
        try:
            with connect(port) as s:
                same(s.recv(1), None, "bytes from nowhere")
        except ConnectionResetError:
            pass
    same(gate.metrics().get("sekisho_links"), 2)


def story_a_stalled_stream_blocks_no_other(t):
    server = Server(lambda sock, seen: [sock.sendall(bytes(65536)) for _ in range(2000)])
    quick = Server(echo)
    nodes = links.Nodes(t)
    ports = [free_port(), free_port()]
    tls_port, sections = links.gateway_sections(t, nodes, ["ag-one/tg-app"], workers=1)
    sections["gateway"]["listen"] += [{"address": f"127.0.0.1:{p}", "upstream": f"up{n}"} for n, p in enumerate(ports)]
    sections["upstreams"] |= {f"up{n}": {"targets": [f"link://ag-one/tg-{n}"]} for n in range(2)}
    gate = t.gateway(**sections)
    gate.tls_port = tls_port
    links.agent(t, nodes, [gate], {"tg-0": f"tcp://127.0.0.1:{server.port}", "tg-1": f"tcp://127.0.0.1:{quick.port}"})
    links.links_open(gate, 1)
    stalled = [connect(ports[0]) for _ in range(50)]
    time.sleep(1)
    begin = time.monotonic()
    for _ in range(20):
        with connect(ports[1]) as s:
            s.sendall(b"ping")
            same(s.recv(4), b"ping")
    assert time.monotonic() - begin < 10
    for s in stalled:
        s.close()
