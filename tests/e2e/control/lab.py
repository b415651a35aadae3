"""Machines of their own: control, three gateways, and agents behind NAT, each in a network namespace, set up as a person would."""

import re
import time

from lib import net
from lib.stage import eventually, same

CONTROL, GATES, VISITOR = "10.77.1.2", ("10.77.2.2", "10.77.3.2", "10.77.4.2"), "10.77.5.2"
HOST = "app.example.com"


def forwards(machine):
    machine.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")


def on_the_net(t, inet, name, address):
    """A machine with an address of the open network, one cable to the middle of it."""
    machine = net.Machine(t, name)
    number = address.split(".")[2]
    net.wire(inet, machine, f"i-{name}", "eth0", [f"10.77.{number}.1/24"], [f"{address}/24"])
    machine.run("ip", "route", "add", "default", "via", f"10.77.{number}.1")
    return machine


def behind_nat(t, inet, name, number):
    """(machine, its router): a network at home, whose addresses everybody has; nothing comes in that was not asked for."""
    router, machine = on_the_net(t, inet, f"r{name}", f"10.77.{number}.2"), net.Machine(t, name)
    net.wire(router, machine, "lan", "eth0", ["192.168.1.1/24"], ["192.168.1.2/24"])
    machine.run("ip", "route", "add", "default", "via", "192.168.1.1")
    forwards(router)
    router.run("nft", "-f", "-", stdin="""
        table ip nat {
            chain post { type nat hook postrouting priority 100; oifname "eth0" masquerade random; }
        }
        table ip filter {
            chain forward { type filter hook forward priority 0; policy drop; ct state established,related accept; iifname "lan" accept; }
            chain input { type filter hook input priority 0; policy drop; ct state established,related accept; iifname "lo" accept; }
        }""")
    return machine, router


class Lab:
    def __init__(self, t):
        net.needs(t, "nft", "ip", "unshare", "nsenter", "curl")
        self.t = t
        self.inet = net.Machine(t, "inet")
        forwards(self.inet)
        self.control = on_the_net(t, self.inet, "control", CONTROL)
        self.gates = [on_the_net(t, self.inet, f"gate{n}", a) for n, a in enumerate(GATES)]
        self.visitor = on_the_net(t, self.inet, "visitor", VISITOR)
        self.homes = [behind_nat(t, self.inet, f"home{n}", 10 + n) for n in range(2)]
        self.env = {"SEKISHO_STATE": str(t.folder / "state-control")}
        config = t.private_file("control.json", f'{{"control": {{"publicUrl": "https://{CONTROL}:8000"}}}}')
        self.program = self.control.start("sekisho", t.sekisho, "control", "--config", config, env=self.env)
        link = eventually(lambda: re.search(r"https://\S+/setup#\S+", self.program.text()), 20, self.program.text)[0].strip("'")
        self.sekisho("login", link)
        self.programs = {}
        for n, machine in enumerate(self.gates):
            self.start(machine, "gateway", f"edge{n}", "--join", self.invite("gateway"), "--name", f"edge{n}")
        for n, (machine, _router) in enumerate(self.homes):
            self.start(machine, "agent", f"home{n}", "--join", self.invite("agent"), "--name", f"home{n}")
            machine.start("app", t.build / "sekisho-sample-model", "--listen", "127.0.0.1:8080")
        eventually(lambda: self.sekisho("node", "list").count("edge") >= 3 and self.sekisho("node", "list").count("home") >= 2, 60,
                   lambda: self.sekisho("node", "list") + "".join(p.text()[-800:] for p in self.programs.values()))

    def sekisho(self, *words):
        """A command of the person at control's machine."""
        return self.control.run(self.t.sekisho, *words, env=self.env).stdout

    def invite(self, kind):
        said = self.sekisho("node", "invite", kind)
        token = re.search(r"skauth-\S+@https://\S+", said)[0].strip("'\"")
        self.t.secrets.append(token.split("@")[0])
        return token

    def start(self, machine, role, name, *words):
        self.programs[name] = machine.start(role, self.t.sekisho, role, "--config", self.t.folder / "none.json", *words,
                                            env={"SEKISHO_STATE": str(self.t.folder / f"state-{name}")})
        return self.programs[name]

    def stop(self, name):
        program = self.programs.pop(name)
        program.kill()
        self.t.programs.remove(program)

    def visit(self, gate, host=HOST):
        """What a visitor on another machine gets at this gateway."""
        done = self.visitor.run("curl", "-sk", "--max-time", "10", "--resolve", f"{host}:443:{GATES[gate]}", "-o", "/dev/null", "-w", "%{http_code}",
                                f"https://{host}/bytes/1000", code=None)
        return done.stdout

    def served(self, gates=(0, 1, 2), seconds=60):
        for n in gates:
            eventually(lambda x=n: self.visit(x) == "200", seconds,
                       lambda x=n: f"edge{x} gives {self.visit(x)}\n{self.programs[f'edge{x}'].text()[-2000:]}\n{self.programs['home0'].text()[-2000:]}")


def story_a_service_behind_nat_is_served_by_every_gateway(t, seconds=240):
    lab = Lab(t)
    lab.sekisho("service", "add", "app", "--host", HOST, "--to", "agent/home0:localhost:8080,agent/home1:localhost:8080",
                "--access", "public")
    lab.served()
    # Nobody reaches an agent from outside: it is it that dials.
    same(lab.visitor.run("curl", "-s", "--max-time", "1", "http://10.77.10.2:8080/", code=None).returncode, 28)
    # A gateway's machine is cut off: the others serve, and it does again once it is back.
    lab.gates[0].set_down("eth0")
    lab.served((1, 2))
    lab.gates[0].run("ip", "link", "set", "eth0", "up")
    lab.gates[0].run("ip", "route", "add", "default", "via", "10.77.2.1")
    lab.served((0,))
    # A home loses its way out without a word, as when a router is unplugged: the other home answers.
    lab.homes[0][1].set_down("eth0")
    lab.served()
    for _ in range(5):
        same([lab.visit(n) for n in range(3)], ["200"] * 3)
    lab.homes[0][1].run("ip", "link", "set", "eth0", "up")
    lab.homes[0][1].run("ip", "route", "add", "default", "via", "10.77.10.1")
    # Control is gone, and every other program starts again.
    lab.program.kill()
    t.programs.remove(lab.program)
    lab.served()
    for n, machine in enumerate(lab.gates):
        lab.stop(f"edge{n}")
        lab.start(machine, "gateway", f"edge{n}")
    for n, (machine, _router) in enumerate(lab.homes):
        lab.stop(f"home{n}")
        lab.start(machine, "agent", f"home{n}")
    lab.served()


def story_a_router_forgets_and_the_links_come_back(t, seconds=240):
    """A home's router starts again: its memory of connections is empty, and what was open hears nothing any more."""
    lab = Lab(t)
    lab.sekisho("service", "add", "app", "--host", HOST, "--to", "agent/home0:localhost:8080", "--access", "public")
    lab.served()
    router = lab.homes[0][1]
    # From now on packets of the old connections are dropped on both sides; new ones come through.
    router.run("nft", "-f", "-", stdin="""
        table ip lost {
            chain forward {
                type filter hook forward priority -10
                tcp flags & (syn | ack) == syn ct mark set 1
                meta l4proto tcp ct mark != 1 drop
            }
        }""")
    begin = time.monotonic()
    lab.served(seconds=90)
    print(f"served again {time.monotonic() - begin:.1f} s after the router forgot")
