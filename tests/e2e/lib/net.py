"""Machines on one: each is a network and a mount namespace that lives as long as the process that holds it."""

import os
import shutil
import subprocess
import time

from .stage import eventually


def needs(t, *programs):
    """Leaves the story out where it cannot be played."""
    if os.geteuid() != 0:
        t.leave_out("needs root, for network namespaces")
    if not os.path.exists("/dev/net/tun"):
        t.leave_out("needs /dev/net/tun")
    for program in programs:
        if not shutil.which(program):
            t.leave_out(f"needs {program}")


def wireguard_go(t):
    """The other implementation: $WIREGUARD_GO, or the one in the path."""
    found = os.environ.get("WIREGUARD_GO") or shutil.which("wireguard-go")
    if not found:
        t.leave_out("needs wireguard-go (or its path in WIREGUARD_GO)")
    return found


class Machine:
    def __init__(self, t, name):
        self.t, self.name = t, name
        self.holder = t.start(f"machine-{name}", ["unshare", "--net", "--mount", "--", "sh", "-c",
                                                  "mkdir -p /run/wireguard && mount -t tmpfs none /run/wireguard && "
                                                  "ip link set lo up && echo ready && trap 'kill $!; exit 0' TERM && "
                                                  "while :; do sleep 1000 & wait; done"])
        eventually(lambda: "ready" in self.holder.text(), 10, f"machine {name} did not come up:\n{self.holder.text()}")

    def _inside(self, command):
        return ["nsenter", "-t", str(self.holder.pid), "--net", "--mount", "--", *map(str, command)]

    def run(self, *command, code=0, stdin=None, seconds=90, env=None):
        """One command to its end; gives what it printed. `code` None: any."""
        done = subprocess.run(self._inside(command), capture_output=True, text=True, input=stdin, timeout=seconds,
                              env={**self.t.env, **(env or {})}, cwd=self.t.folder)
        assert code is None or done.returncode == code, \
            f"{self.name}: {' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def start(self, name, *command, env=None):
        return self.t.start(f"{self.name}-{name}", self._inside(command), env=env)

    def ping(self, address, count=3, size=56, loses=False, extra=()):
        """Answers got, of `count`."""
        done = self.run("ping", "-n", "-c", count, "-i", "0.05", "-W", "2" if loses else "20", "-s", size, *extra, address,
                        code=None, seconds=120)
        got = int(done.stdout.split(" received")[0].rsplit(" ", 1)[1]) if " received" in done.stdout else 0
        assert loses or got == count, f"{self.name} to {address}: {got} of {count} answers\n{done.stdout}{done.stderr}"
        return got

    def set_down(self, interface):
        self.run("ip", "link", "set", interface, "down")


def wire(a, b, a_name, b_name, a_addresses, b_addresses, mtu=1500):
    """A cable between two machines."""
    subprocess.run(["ip", "link", "add", a_name, "mtu", str(mtu), "netns", str(a.holder.pid), "type", "veth",
                    "peer", "name", b_name, "mtu", str(mtu), "netns", str(b.holder.pid)], check=True)
    for machine, name, addresses in ((a, a_name, a_addresses), (b, b_name, b_addresses)):
        for address in addresses:
            machine.run("ip", "addr", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
        machine.run("ip", "link", "set", name, "up")


def key_pair():
    private = subprocess.run(["wg", "genkey"], capture_output=True, text=True, check=True).stdout.strip()
    public = subprocess.run(["wg", "pubkey"], input=private, capture_output=True, text=True, check=True).stdout.strip()
    return private, public


class Tunnel:
    """One end of a WireGuard tunnel: ours, or the other implementation's; both are set up by `wg` and `ip`."""

    def __init__(self, machine, name, program, addresses, port=51820):
        self.machine, self.name, self.port = machine, name, port
        self.private, self.public = key_pair()
        machine.t.secrets.append(self.private)
        if program == "ours":
            self.process = machine.start(name, machine.t.sekisho, "wg", "run", name, "--foreground")
        else:
            self.process = machine.start(name, program, "-f", name, env={"WG_PROCESS_FOREGROUND": "1", "LOG_LEVEL": "error"})
        self.is_ours = program == "ours"
        eventually(lambda: machine.run("wg", "show", name, code=None).returncode == 0, 10,
                   f"{name} does not answer:\n{self.process.text()}")
        self.set("private-key", "/dev/stdin", "listen-port", port, stdin=self.private)
        for address in addresses:
            machine.run("ip", "addr", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
        machine.run("ip", "link", "set", name, "mtu", "1420", "up")

    def set(self, *words, stdin=None):
        self.machine.run("wg", "set", self.name, *words, stdin=stdin)

    def add_peer(self, other, allowed, endpoint=None, keepalive=0):
        words = ["peer", other.public, "allowed-ips", ",".join(allowed), "persistent-keepalive", keepalive]
        self.set(*words, *(["endpoint", endpoint] if endpoint else []))

    def dump(self):
        """The peers' lines of `wg show dump`: {public key: (endpoint, allowed, handshake, received, sent)}"""
        lines = self.machine.run("wg", "show", self.name, "dump").stdout.splitlines()[1:]
        return {f[0]: (f[2], f[3], int(f[4]), int(f[5]), int(f[6])) for f in (line.split("\t") for line in lines)}

    def end(self):
        """Deleting its device ends it; also the other implementation, whose way of ending by a signal is its own."""
        self.machine.run("ip", "link", "del", self.name, code=None)
        deadline = time.monotonic() + 30
        while self.process.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if not self.is_ours:
            self.process.kill()
            self.machine.t.programs.remove(self.process)
