"""Byte streams that control publishes: a gateway opens their ports, an agent has what stands behind them."""

import hashlib
import os
import socket
import struct
import threading

from gateway.controlled import said
from lib.stage import eventually, free_port, same
from link.joined import house, visit
from link.streams import Server, all_of, connect, echo


def made(control, name, port, to, access=None, **more):
    return control.made("/services", {"name": name, "kind": "tcp", "listen": [f"127.0.0.1:{port}"],
                                      "access": access or {"kind": "public"},
                                      "targets": [{"agent": "home", "url": f"tcp://localhost:{to}"}], **more})


def is_open(port, host="127.0.0.1"):
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except ConnectionRefusedError:
        return False
    except ConnectionResetError:  # it is being closed
        return True


def echoes(port, data=b"ping"):
    """What comes back after our end, or None."""
    got = []
    try:
        with connect(port) as s:
            reader = threading.Thread(target=lambda: got.append(all_of(s)))
            reader.start()
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            reader.join(30)
    except OSError:
        return None
    return got[0] if got else None


def opens(gate, agent, port):
    eventually(lambda: echoes(port) == b"ping", 30, lambda: f"not served:\n{gate.text()[-3000:]}\n{agent.text()[-3000:]}")


def story_a_port_opens_and_closes_as_control_says(t, seconds=150):
    control, gate, agent = house(t)
    server, port, moved = Server(echo), free_port(), free_port()
    service = made(control, "ssh", port, server.port)
    opens(gate, agent, port)
    data = os.urandom(3_000_000)
    same(hashlib.sha256(echoes(port, data) or b"").hexdigest(), hashlib.sha256(data).hexdigest())
    eventually(lambda: server.seen.count("end") >= 2, 5, "the server did not hear our end")
    same(visit(gate, "/", "nobody.example.com"), 404, "the listener of the file is gone")
    control.ask("PATCH", f"/services/{service['id']}", {"listen": [f"127.0.0.1:{moved}"]})
    opens(gate, agent, moved)
    eventually(lambda: not is_open(port), 10, "the old port is still open")
    control.ask("PATCH", f"/services/{service['id']}", {"listen": [f"0.0.0.0:{moved}"]})  # the same port, wider
    eventually(lambda: is_open(moved, "127.0.0.2"), 20, lambda: gate.text()[-3000:])
    opens(gate, agent, moved)
    control.ask("DELETE", f"/services/{service['id']}")
    eventually(lambda: not is_open(moved), 20, "the port of a removed service is still open")


def story_the_target_is_told_who_connects(t, seconds=120):
    control, gate, agent = house(t)

    def show(sock, seen):
        head = sock.recv(16, socket.MSG_WAITALL)
        body = sock.recv(struct.unpack(">H", head[14:])[0], socket.MSG_WAITALL)
        seen.append((head[:14], body))
        echo(sock, seen)

    server, port = Server(show), free_port()
    control.made("/services", {"name": "ssh", "kind": "tcp", "listen": [f"0.0.0.0:{port}"], "access": {"kind": "public"},
                               "targets": [{"agent": "home", "url": f"tcp://localhost:{server.port}", "settings": {"proxyProtocol": "v2"}}]})
    opens(gate, agent, port)
    for source, to in (("127.0.0.5", "127.0.0.1"), ("127.0.0.6", "127.0.0.7")):
        with socket.create_connection((to, port), timeout=20, source_address=(source, 0)) as s:
            own = s.getsockname()
            s.sendall(b"ping")
            same(s.recv(4, socket.MSG_WAITALL), b"ping")
        head, body = next(x for x in reversed(server.seen) if x != "end")
        same(head, b"\r\n\r\n\0\r\nQUIT\n\x21\x11", "no header of TCP over IPv4")
        a, b, p, q = struct.unpack(">4s4sHH", body[:12])
        same((socket.inet_ntoa(a), p, socket.inet_ntoa(b), q), (*own, to, port))


def story_addresses_are_judged_and_tokens_cannot_be(t, seconds=120):
    control, gate, agent = house(t, workers=1)
    server = Server(echo)
    ours, theirs, token = free_port(), free_port(), free_port()
    made(control, "theirs", theirs, server.port, {"kind": "public", "allowed_ips": ["192.0.2.0/24"]})
    refused = control.ask("POST", "/services", {"name": "some", "kind": "tcp", "listen": [f"127.0.0.1:{token}"],
                                                "access": {"kind": "token"}})
    same(refused.status, 400, refused)
    made(control, "ours", ours, server.port, {"kind": "public", "allowed_ips": ["127.0.0.0/8"]})
    opens(gate, agent, ours)
    eventually(lambda: is_open(theirs), 20, "the port of the others is closed")
    before = len(server.seen)
    assert not echoes(theirs), "an address that is not allowed was served"
    same(len(server.seen), before)
    assert not is_open(token), "a service for holders of a token is open to all"


def story_who_has_a_port_keeps_it_and_the_rest_is_served(t, seconds=120):
    control, gate, agent = house(t, workers=2)
    server, other, port = Server(echo), Server(echo), free_port()
    made(control, "own", gate.port, server.port)  # the operator's
    taken = made(control, "taken", other.port, server.port)  # another program's
    made(control, "ssh", port, server.port)
    opens(gate, agent, port)
    same(visit(gate, "/", "nobody.example.com"), 404)
    said(gate, "config_warning")
    said(gate, "listen_failed", address=f"127.0.0.1:{other.port}", published=True)
    def problems():
        (node,) = control.get("/nodes?kind=gateway")["items"]
        return (node["report"] or {}).get("problems", [])

    eventually(lambda: [p for p in problems() if f"127.0.0.1:{other.port} of the service {taken['id']}" in p], 20, problems)
    same(len(problems()), 1)
    same(echoes(other.port), b"ping")
    same(other.seen, ["end"], "the other program's port was shared")
    gate.stop()
    t.programs.remove(gate)
    again = type(gate)(t, t._name("gateway"), gate.config)  # nor does it keep the gateway from starting
    t.programs.append(again)
    opens(again, agent, port)
    other.listener.shutdown(socket.SHUT_RDWR)
    other.listener.close()
    control.ask("PATCH", f"/services/{taken['id']}", {"access": {"kind": "public", "allowed_ips": ["127.0.0.1"]}})
    before = len(server.seen)
    opens(again, agent, other.port)  # free now: the next change tries again
    eventually(lambda: len(server.seen) > before, 5, "somebody else answered")
    eventually(lambda: problems() == [], 20, problems)
