"""WireGuard beside another implementation of it: wireguard-go, in namespaces of this machine."""

import hashlib
import json
import subprocess
import time

from lib import net
from lib.stage import eventually, same, within

NEEDS = ("wg", "ip", "ping", "nft", "unshare", "nsenter")

# Sends and takes a stream in both directions at once, and prints the hash of what came.
STREAM = """
import hashlib, socket, sys, threading
kind, address, port, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
if kind == "listen":
    s = socket.create_server((address, port), family=family)
    print("ready", flush=True)
    c, _ = s.accept()
else:
    c = socket.create_connection((address, port), 10)
c.settimeout(60)
data = hashlib.shake_256((kind + str(size)).encode()).digest(size)
def send():
    c.sendall(data)
    c.shutdown(socket.SHUT_WR)
t = threading.Thread(target=send); t.start()
h, n = hashlib.sha256(), 0
while (b := c.recv(1 << 20)):
    h.update(b); n += len(b)
t.join()
print(n, h.hexdigest(), flush=True)
"""


def expected(kind, size):
    return f"{size} {hashlib.sha256(hashlib.shake_256((kind + str(size)).encode()).digest(size)).hexdigest()}"


def stream_both_ways(a, b, b_address, size=3_000_000, port=7000):
    """Bytes through TCP arrive as they were, both ways at once."""
    server = b.start(f"stream-{port}", "python3", "-c", STREAM, "listen", b_address, port, size)
    eventually(lambda: "ready" in server.text(), 10, "no server")
    got = a.run("python3", "-c", STREAM, "connect", b_address, port, size, seconds=90).stdout.strip()
    same(got, expected("listen", size))
    server.wait(30)
    same(server.text().split("ready\n")[1].strip(), expected("connect", size))
    b.t.programs.remove(server)


def pair(t, first, second, **more):
    """Two machines on a cable and a tunnel between them; each end knows where the other is."""
    a, b = net.Machine(t, "a"), net.Machine(t, "b")
    net.wire(a, b, "up0", "up0", ["192.0.2.1/24", "2001:db8::1/64"], ["192.0.2.2/24", "2001:db8::2/64"], **more)
    left = net.Tunnel(a, "wga", first, ["10.9.0.1/24", "fd99::1/64"])
    right = net.Tunnel(b, "wgb", second, ["10.9.0.2/24", "fd99::2/64"])
    left.add_peer(right, ["10.9.0.2/32", "fd99::2/128"], "192.0.2.2:51820")
    right.add_peer(left, ["10.9.0.1/32", "fd99::1/128"], "192.0.2.1:51820")
    return a, b, left, right


def end(*tunnels):
    for tunnel in tunnels:
        tunnel.end()


def both_sides(t, first, second):
    a, b, left, right = pair(t, first, second)
    a.ping("10.9.0.2")
    b.ping("10.9.0.1")
    a.ping("fd99::2")
    for size in (0, 1, 15, 16, 17, 1392, 1393, 4000, 20000):
        a.ping("10.9.0.2", count=2, size=size)
        b.ping("fd99::1", count=2, size=size)
    stream_both_ways(a, b, "10.9.0.2")
    stream_both_ways(b, a, "fd99::1", port=7001)
    endpoint, allowed, handshake, received, sent = left.dump()[right.public]
    same((endpoint, allowed), ("192.0.2.2:51820", "10.9.0.2/32,fd99::2/128"))
    assert abs(handshake - time.time()) < 60 and received > 3_000_000 and sent > 3_000_000
    end(left, right)


def story_we_ask_and_wireguard_go_answers(t, seconds=120):
    net.needs(t, *NEEDS)
    both_sides(t, "ours", net.wireguard_go(t))


def story_wireguard_go_asks_and_we_answer(t, seconds=120):
    net.needs(t, *NEEDS)
    both_sides(t, net.wireguard_go(t), "ours")


def story_two_of_ours(t, seconds=120):
    net.needs(t, *NEEDS)
    both_sides(t, "ours", "ours")


def story_over_ipv6(t, seconds=120):
    net.needs(t, *NEEDS)
    a, b, left, right = pair(t, "ours", net.wireguard_go(t))
    left.add_peer(right, ["10.9.0.2/32"], "[2001:db8::2]:51820")
    right.add_peer(left, ["10.9.0.1/32"], "[2001:db8::1]:51820")
    a.ping("10.9.0.2")
    stream_both_ways(a, b, "10.9.0.2")
    same(right.dump()[left.public][0], "[2001:db8::1]:51820")
    end(left, right)


def story_keys_change(t, seconds=120):
    """A preshared key on one side cuts the tunnel at the next handshake, on both it joins it again; then a new private key."""
    net.needs(t, *NEEDS)
    a, b, left, right = pair(t, "ours", net.wireguard_go(t))
    a.ping("10.9.0.2")
    preshared = subprocess.run(["wg", "genpsk"], capture_output=True, text=True, check=True).stdout.strip()
    t.secrets.append(preshared)
    right.set("private-key", "/dev/stdin", stdin=right.private)  # the same again
    left.set("peer", right.public, "preshared-key", "/dev/stdin", stdin=preshared)
    right.set("peer", left.public, "preshared-key", "/dev/stdin", stdin=preshared)
    a.ping("10.9.0.2")

    new_private, new_public = net.key_pair()
    t.secrets.append(new_private)
    left.set("private-key", "/dev/stdin", stdin=new_private)
    same(a.run("wg", "show", "wga", "public-key").stdout.strip(), new_public)
    assert a.ping("10.9.0.2", count=2, loses=True) == 0
    right.set("peer", left.public, "remove")
    left.public = new_public
    right.add_peer(left, ["10.9.0.1/32"], "192.0.2.1:51820")
    right.set("peer", new_public, "preshared-key", "/dev/stdin", stdin=preshared)
    b.ping("10.9.0.1")
    end(left, right)


def story_roaming(t, seconds=120):
    """Either end moves to another address and port in mid-flow; the other follows."""
    net.needs(t, *NEEDS)
    a, b, left, right = pair(t, "ours", net.wireguard_go(t))
    a.ping("10.9.0.2")
    for mover, tunnel, other, address, target in ((a, left, right, "192.0.2.11", "10.9.0.2"), (b, right, left, "192.0.2.12", "10.9.0.1")):
        old = mover.run("ip", "-4", "-o", "addr", "show", "up0").stdout.split()[3]
        mover.run("ip", "addr", "del", old, "dev", "up0")
        mover.run("ip", "addr", "add", f"{address}/24", "dev", "up0")
        tunnel.set("listen-port", 40000)
        eventually(lambda: mover.ping(target, count=1, loses=True), 10, f"{mover.name} does not reach {target}")
        mover.ping(target)
        same(other.dump()[tunnel.public][0], f"{address}:40000")
    a.ping("10.9.0.2")
    b.ping("10.9.0.1")
    end(left, right)


def story_answers_leave_from_where_they_were_asked(t, seconds=120):
    """A host with two addresses answers from the one the peer wrote to, not from the one the route prefers."""
    net.needs(t, *NEEDS)
    a, b, left, right = pair(t, net.wireguard_go(t), "ours")
    b.run("ip", "addr", "add", "192.0.2.99/24", "dev", "up0")
    right.set("peer", left.public, "remove")
    right.add_peer(left, ["10.9.0.1/32"])
    left.add_peer(right, ["10.9.0.2/32"], "192.0.2.99:51820")
    a.ping("10.9.0.2")
    same(left.dump()[right.public][0], "192.0.2.99:51820")
    # The address goes away: answers must find another way.
    b.run("ip", "addr", "del", "192.0.2.99/24", "dev", "up0")
    eventually(lambda: b.ping("10.9.0.1", count=1, loses=True), 10, "b does not reach a")
    b.ping("10.9.0.1")
    same(left.dump()[right.public][0], "192.0.2.2:51820")
    end(left, right)


def masquerade(rule):
    return f"table ip nat {{\n chain post {{\n type nat hook postrouting priority 100\n {rule}\n }}\n}}\n"


def natted(t, first, second):
    """a behind a NAT that forgets what is silent, b in public."""
    a, n, b = net.Machine(t, "a"), net.Machine(t, "n"), net.Machine(t, "b")
    net.wire(a, n, "up0", "in0", ["192.168.1.2/24"], ["192.168.1.1/24"])
    net.wire(n, b, "out0", "up0", ["203.0.113.1/24"], ["203.0.113.2/24"])
    a.run("ip", "route", "add", "default", "via", "192.168.1.1")
    n.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    n.run("nft", "-f", "-", stdin=masquerade("oifname out0 masquerade random"))
    for name in ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"):
        n.run("sysctl", "-qw", f"net.netfilter.{name}=2")
    left = net.Tunnel(a, "wga", first, ["10.9.0.1/24"])
    right = net.Tunnel(b, "wgb", second, ["10.9.0.2/24"])
    right.add_peer(left, ["10.9.0.1/32"])  # first, since the other's keepalive begins at once
    left.add_peer(right, ["10.9.0.2/32"], "203.0.113.2:51820", keepalive=1)
    return a, n, b, left, right


def through_nat(t, first, second):
    a, n, b, left, right = natted(t, first, second)
    a.ping("10.9.0.2")
    time.sleep(4)  # longer than the NAT remembers: the keepalive holds it open
    b.ping("10.9.0.1")
    seen = right.dump()[left.public][0]
    assert seen.startswith("203.0.113.1:"), seen

    # The NAT forgets, and chooses another port: b follows at a's next word.
    n.run("nft", "flush", "ruleset")
    n.run("nft", "-f", "-", stdin=masquerade("oifname out0 meta l4proto udp masquerade to :30000-30100"))
    time.sleep(4)
    eventually(lambda: a.ping("10.9.0.2", count=1, loses=True), 20, "a does not reach b any more")
    b.ping("10.9.0.1")
    end(left, right)


def story_behind_a_nat(t, seconds=120):
    net.needs(t, *NEEDS)
    through_nat(t, "ours", net.wireguard_go(t))


def story_behind_a_nat_the_other_way(t, seconds=120):
    net.needs(t, *NEEDS)
    through_nat(t, net.wireguard_go(t), "ours")


def story_any_mtu(t, seconds=180):
    net.needs(t, *NEEDS)
    a, b, left, right = pair(t, "ours", net.wireguard_go(t), mtu=65535)
    for n, mtu in enumerate((1280, 1420, 9000, 30000)):
        for machine, name in ((a, "wga"), (b, "wgb")):
            machine.run("ip", "link", "set", name, "mtu", mtu)
        a.ping("10.9.0.2", size=mtu - 28, extra=["-M", "do"])
        b.ping("10.9.0.1", size=mtu - 28, extra=["-M", "do"])
        stream_both_ways(a, b, "10.9.0.2", size=1_000_000, port=7000 + n)
    end(left, right)


def story_a_smaller_path_than_thought(t, seconds=120):
    """The outer path takes less than the tunnel's MTU asks for: the host's fragments carry it."""
    net.needs(t, *NEEDS)
    a, b, left, right = pair(t, "ours", net.wireguard_go(t), mtu=1300)
    a.ping("10.9.0.2", size=1392)
    b.ping("10.9.0.1", size=1392)
    stream_both_ways(a, b, "10.9.0.2", size=500_000)
    end(left, right)


def story_strangers_hear_nothing(t, seconds=60):
    net.needs(t, *NEEDS)
    a, b, left, right = pair(t, "ours", "ours")
    a.ping("10.9.0.2")
    silent = """
import os, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("192.0.2.1", 51820))
for kind in range(6):
    for size in [0, 1, 3, 4, 16, 31, 32, 64, 91, 92, 93, 147, 148, 149, 1452, 60000]:
        s.send((bytes([kind, 0, 0, 0]) + os.urandom(size))[:size])
s.settimeout(1)
try:
    print("answered", s.recv(2000))
except (TimeoutError, ConnectionError) as e:
    print(type(e).__name__)
"""
    same(b.run("python3", "-c", silent).stdout.strip(), "TimeoutError")
    counted = dict(line.split("=") for line in a.run(t.sekisho, "wg", "show", "wga", "--counters").stdout.splitlines()
                   if "=" in line)
    # 96 datagrams and a reason for each: an initiation and a response of the right length do not know the public key.
    same(sum(int(v) for k, v in counted.items() if k.startswith("drop_") and k != "drop_no_peer"), 96)
    same((counted["drop_mac1"], counted["network_refused"]), ("2", "0"))
    a.ping("10.9.0.2")
    end(left, right)


def story_the_wg_tool_reads_and_writes(t, seconds=60):
    net.needs(t, *NEEDS)
    a = net.Machine(t, "a")
    tunnel = net.Tunnel(a, "wga", "ours", ["10.9.0.1/24"])
    _, friend = net.key_pair()
    other_private, other = net.key_pair()
    t.secrets.append(other_private)
    tunnel.set("fwmark", "0x1234", "peer", friend, "allowed-ips", "10.1.0.0/16,fd01::/16", "endpoint", "192.0.2.9:1",
               "persistent-keepalive", "25", "peer", other, "allowed-ips", "10.2.0.0/16")
    text = a.run("wg", "showconf", "wga").stdout
    for part in (f"PublicKey = {friend}", "AllowedIPs = 10.1.0.0/16, fd01::/16", "Endpoint = 192.0.2.9:1",
                 "PersistentKeepalive = 25", "FwMark = 0x1234", "ListenPort = 51820"):
        assert part in text, text
    tunnel.set("peer", other, "allowed-ips", "10.1.0.0/16")  # moves from the first
    assert "AllowedIPs = fd01::/16" in a.run("wg", "showconf", "wga").stdout
    tunnel.set("peer", other, "remove")
    same(list(tunnel.dump()), [friend])

    conf = t.folder / "sync.conf"
    conf.write_text(f"[Interface]\nPrivateKey = {tunnel.private}\nListenPort = 51820\n[Peer]\nPublicKey = {other}\n"
                    "AllowedIPs = 10.7.0.0/16\n")
    conf.chmod(0o600)
    a.run("wg", "syncconf", "wga", conf)
    same(list(tunnel.dump()), [other])
    # The same with our own commands.
    a.run(t.sekisho, "wg", "set", "wga", "peer", friend, "allowed-ips", "10.8.0.0/16", "endpoint", "192.0.2.7:7")
    same(tunnel.dump()[friend][:2], ("192.0.2.7:7", "10.8.0.0/16"))
    a.run(t.sekisho, "wg", "set", "wga", "peer", friend, "persistent-keepalive", "9")
    same(tunnel.dump()[friend][:2], ("192.0.2.7:7", "10.8.0.0/16"))
    a.run(t.sekisho, "wg", "syncconf", "wga", conf)
    same(list(tunnel.dump()), [other])
    shown = json.loads(a.run(t.sekisho, "wg", "show", "wga", "--json").stdout)[0]
    same((shown["name"], shown["listenPort"], [p["publicKey"] for p in shown["peers"]]), ("wga", 51820, [other]))
    same(shown["publicKey"], tunnel.public)
    text = a.run(t.sekisho, "wg", "show").stdout
    assert "(hidden)" in text and tunnel.private not in text and other in text, text
    end(tunnel)


def quick_file(t, name, text):
    path = t.folder / name
    path.write_text(text)
    path.chmod(0o600)
    return path


def story_up_and_down(t, seconds=120):
    """A wg-quick file with everything: hooks that use wg, MTU found, routes, rules for a default route; and all gone after."""
    net.needs(t, *NEEDS)
    a, b = net.Machine(t, "a"), net.Machine(t, "b")
    net.wire(a, b, "up0", "up0", ["192.0.2.1/24"], ["192.0.2.2/24"])
    right = net.Tunnel(b, "wgb", net.wireguard_go(t), ["10.9.0.2/24", "fd99::2/64", "198.51.100.9/32"])
    private, public = net.key_pair()
    t.secrets.append(private)
    right.set("peer", public, "allowed-ips", "10.9.0.1/32,fd99::1/128")
    log = t.folder / "hooks"
    conf = quick_file(t, "wgq.conf", f"""
[Interface]
PrivateKey = {private}
Address = 10.9.0.1/24, fd99::1/64
PreUp = echo pre-up %i >> {log}
PostUp = wg show %i public-key >> {log}; echo post-up %i >> {log}
PreDown = echo pre-down %i >> {log}
PostDown = echo post-down %i >> {log}

[Peer]
PublicKey = {right.public}
Endpoint = 192.0.2.2:51820
AllowedIPs = 0.0.0.0/0, fd99::2/128
""")
    before = a.run("ip", "rule").stdout + a.run("ip", "route", "show", "table", "all").stdout
    a.run(t.sekisho, "wg", "up", conf)
    a.ping("10.9.0.2")
    a.ping("fd99::2")
    a.ping("198.51.100.9")  # only a default route leads there
    a.ping("192.0.2.2")     # and local ones stay local
    shown = a.run("ip", "link", "show", "wgq").stdout
    assert "mtu 1420 " in shown and "qlen 1000" in shown, shown
    assert "table 51820" in a.run("ip", "rule").stdout or "lookup 51820" in a.run("ip", "rule").stdout
    done = a.run(t.sekisho, "wg", "up", conf, code=5)
    assert "already" in done.stderr, done.stderr
    a.run(t.sekisho, "wg", "down", conf)
    same(a.run("ip", "link", "show", "wgq", code=None).returncode, 1)
    after = a.run("ip", "rule").stdout + a.run("ip", "route", "show", "table", "all").stdout
    same(after, before)
    same(a.run("wg", "show").stdout, "")
    same(log.read_text().split("\n"), ["pre-up wgq", public, "post-up wgq", "pre-down wgq", "post-down wgq", ""])
    a.run(t.sekisho, "wg", "down", conf, code=4)
    end(right)


def story_up_that_fails_leaves_nothing(t, seconds=60):
    net.needs(t, *NEEDS)
    a = net.Machine(t, "a")
    private, _ = net.key_pair()
    _, other = net.key_pair()
    t.secrets.append(private)
    head = f"[Interface]\nPrivateKey = {private}\nAddress = 10.9.0.1/24\n"
    cases = (
        ("PostUp = false\n", 1, "this command failed (1): false"),
        ("PreUp = exit 7\n", 1, "this command failed (7): exit 7"),
        (f"[Peer]\nPublicKey = {other}\nEndpoint = no-such-name.invalid:1\n", 1, "no-such-name.invalid"),
        ("Addres = 1\n", 2, "did you mean Address?"),
        ("MTU = 5\n", 2, "wgx.conf:4:"),
    )
    for more, code, says in cases:
        conf = quick_file(t, "wgx.conf", head + more)
        done = a.run(t.sekisho, "wg", "up", conf, code=code)
        assert says in done.stderr, done.stderr
        assert private not in done.stderr
        same(a.run("ip", "link", "show", "wgx", code=None).returncode, 1)
        same(a.run("wg", "show").stdout, "")
    done = a.run(t.sekisho, "wg", "up", t.folder / "absent.conf", code=4)
    done = a.run(t.sekisho, "wg", "up", quick_file(t, "name-that-is-too-long.conf", head), code=2)
    assert "1 to 15" in done.stderr, done.stderr


def story_a_dead_tunnel_comes_back_with_new_keys(t, seconds=120):
    """kill -9 of the process that carries it; started again it speaks at once, and no old key is used."""
    net.needs(t, *NEEDS)
    a, b, left, right = pair(t, "ours", net.wireguard_go(t))
    a.ping("10.9.0.2")
    ends = [left]

    def took():
        ends[0].process.kill()
        t.programs.remove(ends[0].process)
        again = ends[0] = net.Tunnel(a, "wga", "ours", ["10.9.0.1/24", "fd99::1/64"])
        again.set("private-key", "/dev/stdin", stdin=left.private)
        again.public = left.public
        again.add_peer(right, ["10.9.0.2/32", "fd99::2/128"], "192.0.2.2:51820")
        begin = time.monotonic()
        eventually(lambda: a.ping("10.9.0.2", count=1, loses=True), 10, "the new process does not reach the peer")
        return time.monotonic() - begin

    within(3, took, "it takes long", tries=4)
    b.ping("10.9.0.1")
    end(ends[0], right)
