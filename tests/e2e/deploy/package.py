"""The Debian package: clean, installed by dpkg on a machine that systemd runs, upgraded under connections, removed, purged."""

import re
import shutil
import subprocess

from lib.machine import Machine
from lib.stage import ROOT, eventually, same


def package(t):
    """The file's path."""
    for program in ("dh", "dpkg-deb"):
        if not shutil.which(program):
            t.leave_out(f"needs {program} (Debian package debhelper)")
    done = subprocess.run([ROOT / "tools/package", "deb", t.sekisho.parent, t.folder], capture_output=True, text=True)
    same(done.returncode, 0, done.stderr)
    return t.folder / done.stdout.strip().rsplit("/", 1)[1]


def next_version(t, made):
    """The same under a higher number."""
    tree, path = t.folder / "tree", t.folder / "next.deb"
    subprocess.run(["dpkg-deb", "-R", made, tree], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^(Version: .*)$", r"\1+1", control.read_text()))
    subprocess.run(["dpkg-deb", "-z1", "--root-owner-group", "-b", tree, path], check=True, capture_output=True)
    return path


def story_lintian_finds_nothing(t, seconds=90):
    if not shutil.which("lintian"):
        t.leave_out("needs lintian")
    made = package(t)
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", made], capture_output=True, text=True)
    same((done.returncode, done.stdout), (0, ""), done.stdout + done.stderr)
    listed = subprocess.run(["dpkg-deb", "-c", made], capture_output=True, text=True, check=True).stdout
    for path in ("usr/bin/sekisho", "lib/systemd/system/sekisho-agent.service", "usr/share/man/man1/sekisho.1.gz",
                 "usr/share/bash-completion/completions/sekisho", "usr/share/zsh/vendor-completions/_sekisho"):
        assert "root/root" in next(x for x in listed.splitlines() if x.endswith("./" + path)), path
    needs = subprocess.run(["dpkg-deb", "-f", made, "Depends"], capture_output=True, text=True, check=True).stdout
    for library in ("libssl3", "libsodium23", "libnghttp2-14", "libsqlite3-0", "libpq5", "adduser"):
        assert library in needs, needs


def story_installed_upgraded_removed_purged(t, seconds=120):
    machine = Machine(t)
    made = package(t)
    machine.put("/srv/one.deb", made.read_bytes())
    machine.put("/srv/two.deb", next_version(t, made).read_bytes())
    dpkg = ["dpkg", "--force-confdef", "--no-triggers"]
    machine.run(*dpkg, "-i", "/srv/one.deb")
    # There, and nothing of it runs.
    same(machine.out("sekisho", "daemon", "status", code=6).count("inactive (dead), does not start at boot"), 3)
    same(machine.out("stat", "-c", "%U:%G %a", "/etc/sekisho/agent.json"), "root:sekisho-agent 640")
    # As the page says: control, then a gateway and an agent by a file with their token.
    machine.sh("sed -i 's|// \"listen\".*|\"listen\": \"127.0.0.1:8000\"|' /etc/sekisho/control.json")
    machine.run("sekisho", "daemon", "start", "control")
    link = eventually(lambda: re.search(r"(https://\S*/setup#skown-[\w.-]+)", machine.out("sekisho", "daemon", "logs", "control")), 10,
                      "no link for the owner")[1]
    machine.run("sekisho", "login", link)
    for role in ("gateway", "agent"):
        token = re.search(r"skauth-\S+@https://\S+", machine.out("sekisho", "node", "invite", role))[0]
        t.secrets.append(token.split("@")[0])
        machine.sh(f"install -m 640 -g sekisho-{role} /dev/stdin /etc/sekisho/{role}.join", input=token + "\n")
        machine.run("sekisho", "daemon", "start", role)
        eventually(lambda: machine.sh(f"test -e /var/lib/sekisho/{role}/{role}/node.json", code=None).returncode == 0, 30, f"{role} has not joined")
        machine.run("rm", f"/etc/sekisho/{role}.join")
    # The next version: what ran runs, the gateway handed over, the operator's file is the operator's.
    before = {r: machine.show(f"sekisho-{r}", "MainPID") for r in ("control", "gateway", "agent")}
    machine.run(*dpkg, "-i", "/srv/two.deb")
    for role, pid in before.items():
        eventually(lambda: machine.show(f"sekisho-{role}", "MainPID") not in (pid, "0"), 30, f"{role} is the old program")
        eventually(lambda: machine.show(f"sekisho-{role}", "ActiveState") == "active", 30, f"{role} does not serve")
        same(machine.show(f"sekisho-{role}", "NRestarts"), "0", role)
    eventually(lambda: "upgrade_done" in machine.journal("sekisho-gateway"), 10, "the gateway did not hand over")
    assert '"listen": "127.0.0.1:8000"' in machine.out("cat", "/etc/sekisho/control.json")
    same(machine.out("dpkg-query", "-W", "-f", "${Version}", "sekisho"), machine.out("dpkg-deb", "-f", "/srv/two.deb", "Version"))
    # install.sh knows that it is not wanted here.
    done = machine.run(ROOT / "install.sh", "control", "--build", t.sekisho.parent, code=1)
    assert "Debian package" in done.stderr, done.stderr
    # Removed: stopped, and all an operator would miss is there. Purged: nothing is.
    machine.run(*dpkg, "-r", "sekisho")
    machine.sh("! pgrep -x sekisho && ! test -e /usr/bin/sekisho")
    machine.sh("test -e /etc/sekisho/control.json && test -e /var/lib/sekisho/control/control.db && test -e /var/lib/sekisho/agent/agent/node.json")
    machine.run(*dpkg, "-i", "/srv/two.deb")
    machine.run("sekisho", "daemon", "start", "control")
    machine.run("sekisho", "node", "list")  # the same fleet
    machine.run(*dpkg, "-P", "sekisho")
    same(machine.out("find", "/etc/systemd/system", "-name", "sekisho*"), "")
    machine.sh("! test -e /etc/sekisho && ! test -e /var/lib/sekisho && ! getent passwd sekisho-control sekisho-gateway sekisho-agent")
