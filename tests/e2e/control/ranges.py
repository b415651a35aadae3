"""Ranges of ports that control publishes, of bytes and of datagrams; and ports that are taken already."""

import socket
import threading

from control.datagrams import Echo, answers, asked, client, made
from control.streams import echoes, opens
from gateway.controlled import said
from lib.stage import eventually, free_port, same
from link.joined import house
from link.streams import Server, all_of, connect, echo


def ports_in_a_row(count):
    """The first of so many ports that are free, of both kinds."""
    def look():
        first, socks = free_port(), []
        try:
            for i in range(count):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    socks.append(socket.socket(socket.AF_INET, kind))
                    socks[-1].bind(("127.0.0.1", first + i))
            return first
        except (OSError, OverflowError):
            return None
        finally:
            for s in socks:
                s.close()
    return eventually(look, 20, "no ports in a row are free")


def story_a_range_of_datagrams_goes_to_a_range(t, seconds=150):
    control, gate, agent = house(t)
    first, to = ports_in_a_row(3), ports_in_a_row(3)
    for i in range(3):
        Echo(lambda data, i=i: [data, b"from %d" % i], port=to + i)
    made(control, "game", [f"127.0.0.1:{first}-{first + 2}"], f"{to}-{to + 2}")
    for i in range(3):
        answers(gate, agent, first + i)
        with client(first + i) as s:
            eventually(lambda s=s: asked(s, b"x"), 20, "lost")
            same(s.recv(100), b"from %d" % i)
    for why, listen, target, status in (
            ("partly the same", f"127.0.0.1:{first + 2}-{first + 5}", "udp://localhost:1", 409),
            ("the same by a wildcard", f"0.0.0.0:{first}", "udp://localhost:1", 409),
            ("of other lengths", "127.0.0.1:40000-40002", "udp://localhost:1-2", 400),
            ("one to many", "127.0.0.1:40000", "udp://localhost:1-2", 400),
            ("reversed", "127.0.0.1:40002-40000", "udp://localhost:1", 400),
            ("more than a range may have", "127.0.0.1:40000-40200", "udp://localhost:1", 400),
            ("both families in one socket", ":40000", "udp://localhost:1", 400)):
        a = control.ask("POST", "/services", {"name": "other", "kind": "udp", "listen": [listen],
                                              "targets": [{"agent": "home", "url": target}]})
        same(a.status, status, f"{why}: {a}")
    many = [control.ask("POST", "/services", {"name": f"many{i}", "kind": "tcp", "listen": [f"127.0.0.1:{41000 + 100 * i}-{41099 + 100 * i}"]})
            for i in range(2)]
    same([a.status for a in many], [201, 409], many)
    assert "200" in many[1].json["error"]["message"], many[1]
    same(control.ask("POST", "/services", {"name": "tcp", "kind": "tcp", "listen": [f"127.0.0.1:{first}"]}).status, 201,
         "TCP and UDP ports are not the same")


class Named(Server):
    """A server of TCP that says its name, and then what it hears."""

    def __init__(self, name, port):
        def serve(sock, seen):
            sock.sendall(name)
            echo(sock, seen)

        self.listener = socket.create_server(("127.0.0.1", port), backlog=16)
        self.port, self.serve, self.seen = port, serve, []
        threading.Thread(target=self._accept, daemon=True).start()


def named(port):
    try:
        with connect(port) as s:
            s.sendall(b"!")
            s.shutdown(socket.SHUT_WR)
            return all_of(s)
    except OSError:
        return None


def story_a_range_of_bytes_goes_to_a_range(t, seconds=150):
    control, gate, agent = house(t)
    first, to, one = ports_in_a_row(3), ports_in_a_row(3), ports_in_a_row(2)
    servers = [Named(b"%d" % i, to + i) for i in range(3)]
    service = made(control, "game", [f"127.0.0.1:{first}-{first + 2}"], f"{to}-{to + 2}", kind="tcp")
    made(control, "same", [f"127.0.0.1:{one}-{one + 1}"], servers[1].port, kind="tcp")
    for port, name in ((first, b"0!"), (first + 1, b"1!"), (first + 2, b"2!"), (one, b"1!"), (one + 1, b"1!")):
        eventually(lambda port=port, name=name: named(port) == name, 30, lambda port=port: f"{port}: {named(port)}\n{gate.text()[-3000:]}")
    control.ask("PATCH", f"/services/{service['id']}", {"enabled": False})
    eventually(lambda: [named(first + i) for i in range(3)] == [None] * 3, 20, "ports of a service that is off are open")
    same(named(one), b"1!")
    control.ask("PATCH", f"/services/{service['id']}", {"enabled": True})
    eventually(lambda: [named(first + i) for i in range(3)] == [b"0!", b"1!", b"2!"], 30, "they do not open again")
    gate.stop()
    t.programs.remove(gate)
    again = type(gate)(t, t._name("gateway"), gate.config)
    t.programs.append(again)
    eventually(lambda: [named(first + i) for i in range(3)] == [b"0!", b"1!", b"2!"], 30, lambda: again.text()[-3000:])


def story_a_port_of_a_range_that_is_taken_keeps_no_other_shut(t, seconds=150):
    control, gate, agent = house(t)
    server, first = Echo(), ports_in_a_row(3)
    tcp = Server(echo)
    taken = [socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]
    for s in taken:
        s.bind(("127.0.0.1", first + 1))
    taken[1].listen()
    services = [made(control, "datagrams", [f"127.0.0.1:{first}-{first + 2}"], server.port),
                made(control, "bytes", [f"127.0.0.1:{first}-{first + 2}"], tcp.port, kind="tcp")]
    for port in (first, first + 2):
        answers(gate, agent, port)
        opens(gate, agent, port)
    for address in (f"udp:127.0.0.1:{first + 1}", f"127.0.0.1:{first + 1}"):
        said(gate, "listen_failed", address=address, published=True)

    def problems():
        (node,) = control.get("/nodes?kind=gateway")["items"]
        return (node["report"] or {}).get("problems", [])

    eventually(lambda: sorted(s["id"] for s in services for p in problems() if f"127.0.0.1:{first + 1}" in p and s["id"] in p) ==
               sorted(s["id"] for s in services), 20, problems)
    with client(first + 1) as s:
        same(asked(s, b"x", 0.3), None)
    for s in taken:
        s.close()
    made(control, "any", [f"127.0.0.1:{free_port()}"], server.port)  # each change tries again
    answers(gate, agent, first + 1)
    eventually(lambda: echoes(first + 1) == b"ping", 20, "not served")
    eventually(lambda: problems() == [], 20, problems)
