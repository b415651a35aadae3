"""Tunnels where UDP does not pass, or not whole: relay, STUN, path MTU. Two machines, a router between them that also relays."""

import re
import time

import wg
from lib import net
from lib.stage import eventually, same, within

NEEDS = ("wg", "ip", "ping", "nft", "unshare", "nsenter", "openssl")

HOLE = "table inet hole {\n chain f {\n type filter hook forward priority 0\n meta length > 1400 drop\n }\n}\n"
BLOCK_UDP = "table inet block {\n chain f {\n type filter hook forward priority 0\n meta l4proto udp drop\n }\n}\n"


class Relayed(net.Tunnel):
    """One end of ours, with a relay."""

    def __init__(self, machine, name, addresses, url, authority):
        self.machine, self.name, self.port, self.is_ours = machine, name, 51820, True
        self.private, self.public = net.key_pair()
        machine.t.secrets.append(self.private)
        self.process = machine.start(name, machine.t.sekisho, "wg", "run", name, "--foreground", "--relay", url,
                                     "--relay-ca", authority)
        eventually(lambda: machine.run("wg", "show", name, code=None).returncode == 0, 10,
                   f"{name} does not answer:\n{self.process.text()}")
        self.set("private-key", "/dev/stdin", "listen-port", self.port, stdin=self.private)
        for address in addresses:
            machine.run("ip", "addr", "add", address, "dev", name)
        machine.run("ip", "link", "set", name, "mtu", "1420", "up")


def routed(t):
    """a - r - b, by the router only."""
    a, r, b = net.Machine(t, "a"), net.Machine(t, "r"), net.Machine(t, "b")
    net.wire(a, r, "up0", "ra", ["10.1.0.2/24"], ["10.1.0.1/24"])
    net.wire(b, r, "up0", "rb", ["10.2.0.2/24"], ["10.2.0.1/24"])
    a.run("ip", "route", "add", "default", "via", "10.1.0.1")
    b.run("ip", "route", "add", "default", "via", "10.2.0.1")
    r.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    return a, r, b


def relay(t, machine, *groups):
    """Serves on 443 of the router; `groups` are lines of keys. The process and its file of keys."""
    certificate, key = t.certs().issue("relay.test", "10.1.0.1", "10.2.0.1")
    keys = t.private_file("peers.txt", "# who may talk to whom\n" + "\n".join(groups) + "\n")
    process = machine.start("relay", t.sekisho, "wg", "relay", "--certificate", certificate, "--key", key, "--peers", keys,
                            "--stun", "3478")
    eventually(lambda: "serving" in process.text(), 10, f"no relay:\n{process.text()}")
    return process, keys


def counts(process):
    """The relay's counters, by the signal that prints them."""
    before = process.text().count("clients=")
    process.signal(10)
    eventually(lambda: process.text().count("clients=") > before, 5, "no counters")
    line = [x for x in process.text().splitlines() if "clients=" in x][-1]
    return {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", line)}


def longest_gap(text, interval):
    """The longest run of lost pings, in seconds."""
    seen = sorted(int(n) for n in re.findall(r"icmp_seq=(\d+) ttl", text))
    assert seen, text
    total = int(re.search(r"(\d+) packets transmitted", text)[1])
    marks = [0, *seen, total + 1]
    return max(b - a - 1 for a, b in zip(marks, marks[1:])) * interval


def two_ends(t, scheme):
    a, r, b = routed(t)
    authority = t.certs().cert
    left = Relayed(a, "wga", ["10.9.0.1/24"], f"{scheme}://10.1.0.1", authority)
    right = Relayed(b, "wgb", ["10.9.0.2/24"], f"{scheme}://10.2.0.1", authority)
    process, keys = relay(t, r, f"{left.public} {right.public}")
    left.add_peer(right, ["10.9.0.2/32"], "10.2.0.2:51820")
    right.add_peer(left, ["10.9.0.1/32"], "10.1.0.2:51820")
    eventually(lambda: counts(process)["clients"] == 2, 20, "not both are at the relay")
    return a, r, b, left, right, process, keys


def switching(t, scheme):
    a, r, b, left, right, process, _ = two_ends(t, scheme)
    a.ping("10.9.0.2")
    same(counts(process)["forwarded"], 0)  # by UDP


    def lost():
        """Seconds without an answer, while UDP is blocked and passes again."""
        pings = a.start("pings", "ping", "-n", "-i", "0.05", "-c", "300", "-W", "1", "10.9.0.2")
        time.sleep(4)
        before = counts(process)["forwarded"]
        r.run("nft", "-f", "-", stdin=BLOCK_UDP)
        time.sleep(5)
        eventually(lambda: counts(process)["forwarded"] > before + 50, 10, "the relay carries nothing")
        assert f"way_{right.public} relay" in shown(left), shown(left)
        r.run("nft", "flush", "ruleset")
        pings.wait(120)
        t.programs.remove(pings)
        eventually(lambda: f"way_{right.public} straight" in shown(left), 10, lambda: shown(left))
        return longest_gap(pings.text(), 0.05)

    within(1.01, lost, "the ways change slowly", tries=3)
    before = counts(process)["forwarded"]
    a.ping("10.9.0.2", count=20)
    same(counts(process)["forwarded"], before)  # by UDP again
    net_end(left, right)


def shown(tunnel):
    return tunnel.machine.run(tunnel.machine.t.sekisho, "wg", "show", tunnel.name, "--counters").stdout


def net_end(*tunnels):
    for tunnel in tunnels:
        tunnel.end()


def story_udp_is_blocked_and_passes_again(t, seconds=120):
    net.needs(t, *NEEDS)
    switching(t, "https")


def story_udp_is_blocked_and_passes_again_in_websocket(t, seconds=120):
    net.needs(t, *NEEDS)
    switching(t, "wss")


def story_udp_never_passed(t, seconds=120):
    """Blocked from the start: the handshake itself goes by the relay, soon."""
    net.needs(t, *NEEDS)
    a, r, b, left, right, process, _ = two_ends(t, "https")
    r.run("nft", "-f", "-", stdin=BLOCK_UDP)
    eventually(lambda: a.ping("10.9.0.2", count=1, loses=True), 10, "nothing gets through")
    a.ping("10.9.0.2", count=20, size=1300)
    b.ping("10.9.0.1", count=20)
    # No endpoint is claimed that is not used.
    same(left.dump()[right.public][0], "(none)")
    net_end(left, right)


def story_a_peer_without_an_address(t, seconds=120):
    """Neither end knows where the other is: the relay finds it by its key."""
    net.needs(t, *NEEDS)
    a, r, b = routed(t)
    authority = t.certs().cert
    left = Relayed(a, "wga", ["10.9.0.1/24"], "https://10.1.0.1", authority)
    right = Relayed(b, "wgb", ["10.9.0.2/24"], "wss://10.2.0.1/derp", authority)
    process, _ = relay(t, r, f"{left.public} {right.public}")
    left.add_peer(right, ["10.9.0.2/32"])
    right.add_peer(left, ["10.9.0.1/32"])
    eventually(lambda: counts(process)["clients"] == 2, 20, "not both are at the relay")
    eventually(lambda: a.ping("10.9.0.2", count=1, loses=True), 10, "nothing gets through")
    a.ping("10.9.0.2", count=10)
    net_end(left, right)


def story_a_relay_knows_whom_it_was_told(t, seconds=120):
    net.needs(t, *NEEDS)
    a, r, b, left, right, process, keys = two_ends(t, "https")
    r.run("nft", "-f", "-", stdin=BLOCK_UDP)
    eventually(lambda: a.ping("10.9.0.2", count=1, loses=True), 10, "nothing gets through")
    other = net.key_pair()[1]
    with open(keys, "w") as f:
        f.write(f"{left.public} {other}\n{right.public} {other}\n")
    process.signal(1)
    eventually(lambda: "2 groups" in process.text(), 5, "the file was not read again")
    before = counts(process)
    same(a.ping("10.9.0.2", count=5, loses=True), 0)
    after = counts(process)
    same(after["forwarded"], before["forwarded"])
    assert after["not_permitted"] > before["not_permitted"]
    same(after["clients"], 2)
    with open(keys, "w") as f:
        f.write(f"{left.public} {other}\n")  # the other end is known no more
    process.signal(1)
    eventually(lambda: counts(process)["clients"] == 1, 5, "it stayed")
    with open(keys, "w") as f:
        f.write("not-a-key\n")  # refused as a whole
    process.signal(1)
    eventually(lambda: '"not-a-key" is not a key' in process.text(), 5, process.text())
    same(counts(process)["clients"], 1)
    net_end(left, right)


def story_what_a_relay_does_not_answer(t, seconds=60):
    net.needs(t, *NEEDS)
    a, r, b = routed(t)
    process, _ = relay(t, r, f"{net.key_pair()[1]} {net.key_pair()[1]}")
    ask = """
import socket, ssl, sys
c = ssl.create_default_context(cafile=sys.argv[1])
if sys.argv[2] == "tls1.2":
    c.maximum_version = ssl.TLSVersion.TLSv1_2
s = c.wrap_socket(socket.create_connection(("10.1.0.1", 443), 5), server_hostname="10.1.0.1")
s.settimeout(5)
s.sendall(sys.argv[2].encode().decode("unicode_escape").encode("latin1"))
got = b""
try:
    while (b := s.recv(65536)):
        got += b
except (ConnectionError, ssl.SSLError):
    pass
sys.stdout.write(repr(got[:400]))
"""
    upgrade = r"GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n\r\n"
    for what, begins in ((r"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "b'HTTP/1.1 404"), (r"hello\r\n\r\n", "b'HTTP/1.1 400"),
                         (r"GET /derp HTTP/1.1\r\nHost: x\r\n\r\n", "b'HTTP/1.1 426"), ("tls1.2", "b''"),
                         # a frame before the key is proven; a frame that claims 64 MiB; a key without its box
                         (upgrade + r"\x04\0\0\0\x21" + "k" * 33, "b''"), (upgrade + r"\x04\x04\0\0\0", "b''"),
                         (upgrade + r"\x02\0\0\0\x80" + "k" * 128, "b''")):
        text = a.run("python3", "-c", ask, t.certs().cert, what).stdout
        assert text.startswith(begins), (what, text)
        assert len(text) < 500
    got = counts(process)
    same((got["clients"], got["old_tls"], got["not_proven"], got["forwarded"]), (0, 1, 1, 0))
    same(got["malformed"], 2)
    process.stop()


def story_stun(t, seconds=60):
    net.needs(t, *NEEDS)
    a, r, b = routed(t)
    process, _ = relay(t, r, f"{net.key_pair()[1]} {net.key_pair()[1]}")
    seen = a.run(t.sekisho, "wg", "address", "10.1.0.1").stdout.strip()
    assert re.fullmatch(r"10\.1\.0\.2:\d+", seen), seen
    silent = """
import os, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("10.1.0.1", 3478))
for n in range(200):
    s.send(os.urandom(n))
s.send(bytes.fromhex("000100002112a442") + os.urandom(12))  # no room for an answer
s.settimeout(0.5)
try:
    print("answered", s.recv(2000))
except TimeoutError:
    print("silence")
"""
    same(a.run("python3", "-c", silent).stdout.strip(), "silence")
    got = counts(process)
    same((got["stun_answered"], got["stun_too_small"], got["stun_malformed"]), (1, 1, 200))
    done = a.run(t.sekisho, "wg", "address", "10.1.0.1:3479", code=None, seconds=30)
    assert done.returncode != 0 and "no answer" in done.stderr, done
    process.stop()


def story_a_black_hole(t, seconds=120):
    """Large packets vanish in the middle, and no ICMP says so: within 3 s the tunnel's packets are small enough."""
    net.needs(t, *NEEDS)
    a, r, b = routed(t)
    left = net.Tunnel(a, "wga", "ours", ["10.9.0.1/24"])
    right = net.Tunnel(b, "wgb", "ours", ["10.9.0.2/24"])
    left.add_peer(right, ["10.9.0.2/32"], "10.2.0.2:51820")
    right.add_peer(left, ["10.9.0.1/32"], "10.1.0.2:51820")
    a.ping("10.9.0.2")
    mtu = lambda m, n: int(re.search(r"mtu (\d+)", m.run("ip", "link", "show", n).stdout)[1])
    pings = a.start("pings", "ping", "-n", "-i", "0.05", "10.9.0.2")
    time.sleep(1)

    def took():
        same(mtu(a, "wga"), 1420)
        r.run("nft", "-f", "-", stdin=HOLE)
        begin = time.monotonic()
        eventually(lambda: mtu(a, "wga") <= 1340 and mtu(b, "wgb") <= 1340, 10, "not found")
        found = time.monotonic() - begin
        assert mtu(a, "wga") >= 1300
        a.ping("10.9.0.2", count=3, size=mtu(a, "wga") - 28, extra=["-M", "do"])
        r.run("nft", "flush", "ruleset")
        eventually(lambda: mtu(a, "wga") == 1420 and mtu(b, "wgb") == 1420, 20, "larger packets pass again, and nobody looked")
        return found

    within(3, took, "it is found late", tries=4)
    pings.kill()
    t.programs.remove(pings)
    net_end(left, right)


def as_nobody(machine, text, *command, code=0):
    """A file of wg-quick in the machine, and the command in its tunnel, as a user without any right."""
    path = "/run/wireguard/wgr.conf"
    machine.run("sh", "-c", f"rm -f {path} && cat > {path} && chown 65534 {path} && chmod 600 {path}", stdin=text)
    return machine.run("setpriv", "--reuid", 65534, "--regid", 65534, "--clear-groups", "--inh-caps=-all",
                       machine.t.sekisho, "wg", "rootless", path, "--", *command, code=code, seconds=60)


def story_without_privileges(t, seconds=120):
    """Nobody's command talks through a tunnel: a private network with the kernel's own TCP, and the host as it was."""
    net.needs(t, *NEEDS, "setpriv")
    a, b, left, right = wg.pair(t, "ours", net.wireguard_go(t))
    right.end()
    private, public = net.key_pair()
    t.secrets.append(private)
    left.set("peer", right.public, "remove")
    left.set("peer", public, "allowed-ips", "10.9.0.2/32,fd99::2/128")
    text = (f"[Interface]\nPrivateKey = {private}\nAddress = 10.9.0.2/24, fd99::2/64\n\n"
            f"[Peer]\nPublicKey = {left.public}\nEndpoint = 192.0.2.1:51820\nAllowedIPs = 10.9.0.0/24, fd99::/64\n")
    probe = as_nobody(b, text, "sh", "-c", "exit 7", code=None)
    if "no private network" in probe.stderr:
        t.leave_out(probe.stderr.strip())
    same(probe.returncode, 7)
    names = lambda: re.findall(r"^\d+: (\w+)", b.run("ip", "-o", "link").stdout, re.M)
    interfaces = names()
    for n, address in enumerate(("10.9.0.1", "fd99::1")):
        server = a.start(f"server-{n}", "python3", "-c", wg.STREAM, "listen", address, 7000 + n, 3_000_000)
        eventually(lambda: "ready" in server.text(), 10, "no server")
        got = as_nobody(b, text, "python3", "-c", wg.STREAM, "connect", address, 7000 + n, 3_000_000).stdout.strip()
        same(got, wg.expected("listen", 3_000_000))
        server.wait(30)
        same(server.text().split("ready\n")[1].strip(), wg.expected("connect", 3_000_000))
        t.programs.remove(server)
    same(names(), interfaces)
    net_end(left)


def story_without_privileges_what_is_missing_is_said(t, seconds=60):
    net.needs(t, *NEEDS, "setpriv")
    a = net.Machine(t, "a")
    private, _ = net.key_pair()
    t.secrets.append(private)
    text = f"[Interface]\nPrivateKey = {private}\n"
    a.run("mount", "-t", "tmpfs", "none", "/dev/net")
    done = as_nobody(a, text, "true", code=None)
    same(done.returncode, 6)
    assert "there is no /dev/net/tun: load the kernel's module tun" in done.stderr, done.stderr
    a.run("mknod", "-m", "600", "/dev/net/tun", "c", "10", "200")
    done = as_nobody(a, text, "true", code=None)
    assert "chmod 0666 /dev/net/tun" in done.stderr, done.stderr
    a.run("chmod", "666", "/dev/net/tun", "/run/wireguard/wgr.conf")
    done = a.run("unshare", "-Ur", "sh", "-c", "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\" wg rootless "
                 "/run/wireguard/wgr.conf -- true", t.sekisho, code=None)
    assert "user namespaces are not permitted here" in done.stderr, done.stderr
