"""install.sh, on a machine that systemd runs: three roles, an upgrade, a tailnet, and taking them away again."""

import json
import re
import shutil
import subprocess

from lib.machine import Machine
from lib.stage import ROOT, eventually, same


def archive(t):
    """A release archive of the program under test."""
    done = subprocess.run([ROOT / "tools/package", "dist", t.sekisho.parent, t.folder / "dist"], capture_output=True, text=True)
    same(done.returncode, 0, done.stderr)
    return t.folder / "dist" / done.stdout.strip().rsplit("/", 1)[1]


def unpacked(t, machine, path="/srv/release"):
    made = archive(t)
    machine.put("/srv/release.tar.gz", made.read_bytes())
    machine.sh(f"mkdir -p {path} && tar -C {path} --strip-components=1 -xzf /srv/release.tar.gz")
    return path + "/install.sh"


def from_build(t):
    """The checkout is on that machine, too."""
    return [ROOT / "install.sh", "--build", t.sekisho.parent]


def mode_of(machine, path):
    return machine.out("stat", "-c", "%U:%G %a", path)


def story_three_roles_of_one_machine(t, seconds=150):
    machine = Machine(t)
    install = unpacked(t, machine)
    # Control: up, the owner's link printed, closed to others.
    said = machine.out(install, "control", "--listen", "127.0.0.1:8000")
    assert "sekisho-control.service is up." in said, said
    link = re.search(r"sekisho login '(https://[^']*/setup#skown-[^']*)'", said)[1]
    same(mode_of(machine, "/etc/sekisho/control.json"), "root:sekisho-control 640")
    same(mode_of(machine, "/var/lib/sekisho/control"), "sekisho-control:sekisho-control 700")
    same(machine.out("stat", "-c", "%U", f"/proc/{machine.show('sekisho-control', 'MainPID')}"), "sekisho-control")
    machine.run("sekisho", "login", link)
    # A gateway and an agent that belong to it. The token comes on standard input and is not kept.
    tokens = {}
    for role in ("gateway", "agent"):
        invited = machine.out("sekisho", "node", "invite", role)
        tokens[role] = re.search(r"skauth-\S+@https://\S+", invited)[0]
        t.secrets.append(tokens[role].split("@")[0])
        more = ["--listen", "127.0.0.1:8443"] if role == "gateway" else ["--name", "home"]
        said = machine.out(install, role, *more, "--join", "-", input=tokens[role] + "\n")
        assert "It has joined https://" in said and f"sekisho-{role}.service is up." in said, said
        machine.sh(f"! test -e /etc/sekisho/{role}.join && ! grep -r skauth- /etc/sekisho /etc/systemd")
        same(mode_of(machine, f"/var/lib/sekisho/{role}/{role}/identity.key"), f"sekisho-{role}:sekisho-{role} 600")
    # Each role is a user of its own, and none can read what is another's.
    for role, other in (("agent", "control"), ("gateway", "agent")):
        machine.run("setpriv", f"--reuid=sekisho-{role}", f"--regid=sekisho-{role}", "--clear-groups", "ls", f"/var/lib/sekisho/{other}", code=2)
    # A service goes all the way: gateway, link, agent, a server beside it.
    machine.put("/srv/web/index.html", b"from behind\n")
    machine.sh("systemd-run --quiet --unit=web python3 -m http.server -b 127.0.0.1 -d /srv/web 8099")
    machine.run("sekisho", "service", "add", "app", "--host", "app.example.com", "--to", "agent/home:localhost:8099")
    ask = "curl -sk --max-time 5 --resolve app.example.com:8443:127.0.0.1 https://app.example.com:8443/"
    eventually(lambda: machine.sh(ask, code=None).stdout == "from behind\n", 30, "the service is not there")
    # The doctor, as each role's user, finds nothing to mend.
    for role, config in (("control", "control.json"), ("agent", "agent.json")):
        done = machine.run("setpriv", f"--reuid=sekisho-{role}", f"--regid=sekisho-{role}", "--clear-groups", "sekisho", "doctor",
                           "--state", f"/var/lib/sekisho/{role}", "--config", f"/etc/sekisho/{config}", code=None)
        same(done.returncode, 0, done.stdout + done.stderr)
    # Again, and nothing changes; with another program the gateway hands over without losing its place, the others start anew.
    before = {r: machine.show(f"sekisho-{r}", "MainPID") for r in ("control", "gateway", "agent")}
    files = "find /etc/sekisho /etc/systemd/system /usr/local/bin -type f | xargs sha256sum"
    state = machine.sh(files).stdout
    for role in before:
        assert "/setup#" not in machine.out(install, role)
        same(machine.show(f"sekisho-{role}", "MainPID"), before[role], role)
    same(machine.sh(files).stdout, state)
    machine.sh("printf x >>/srv/release/bin/sekisho")  # another build: the loader does not mind what follows
    said = machine.out(install, "gateway")
    assert "took over" in said, said + machine.journal("sekisho-gateway")
    assert machine.show("sekisho-gateway", "MainPID") != before["gateway"]
    same(machine.show("sekisho-gateway", "NRestarts"), "0")
    machine.run(install, "agent")
    eventually(lambda: machine.sh(ask, code=None).stdout == "from behind\n", 30, "the service did not come back")
    # Taken away: the state stays, and is found again; purged it is gone.
    machine.run(install, "--uninstall", "agent")
    same(machine.show("sekisho-agent", "LoadState"), "not-found")
    machine.sh("test -e /var/lib/sekisho/agent/agent/node.json && test -x /usr/local/bin/sekisho")
    machine.run(install, "agent")
    eventually(lambda: machine.sh(ask, code=None).stdout == "from behind\n", 30, "the agent is not the one it was")
    for role in before:
        machine.run(install, "--purge", role)
    same(machine.sh("find /etc/sekisho /var/lib/sekisho /usr/local/bin/sekisho /etc/systemd/system/sekisho*", code=None).stdout, "")
    machine.sh("! getent passwd | grep ^sekisho-")
    for path in (t.folder / "machine.log",):
        assert tokens["agent"].split("@")[0] not in path.read_text(errors="replace")


def story_a_join_that_is_refused_is_said(t, seconds=60):
    machine = Machine(t)
    install = from_build(t)
    done = machine.run(*install, "agent", "--join", "skauth-" + "a" * 43 + "." + "0" * 32 + "@https://127.0.0.1:9", "--no-start")
    assert "Not started" in done.stdout, done.stdout
    same(mode_of(machine, "/etc/sekisho/agent.join"), "root:sekisho-agent 640")
    done = machine.run(*install, "agent", "--join", "skauth-x@https://127.0.0.1:9", code=1)
    assert "could not join https://127.0.0.1:9" in done.stderr and "join_not_started" in done.stderr, done.stderr
    done = machine.run(*install, "agent", "--uninstall")
    machine.sh("! test -e /etc/sekisho/agent.join && ! test -e /usr/local/bin/sekisho && test -e /etc/sekisho/agent.json")


def story_on_a_tailnet_it_listens_there(t, seconds=60):
    machine = Machine(t)
    install = from_build(t)
    machine.sh("ip link add tailscale0 type veth peer name other && ip address add 100.101.102.103/32 dev tailscale0 && ip link set tailscale0 up")
    said = machine.out(*install, "control")
    assert "listens on 100.101.102.103 only" in said, said
    listening = machine.out("ss", "-Hltn", "sport = :8000")
    assert "100.101.102.103:8000" in listening and "0.0.0.0:8000" not in listening, listening
    assert '"publicUrl": "https://100.101.102.103:8000"' in machine.out("cat", "/etc/sekisho/control.json")
    machine.run(*install, "--purge", "control")
    machine.run(*install, "control", "--bind", "any")
    assert "100.101.102.103" not in machine.out("ss", "-Hltn", "sport = :8000")
    # A gateway of its own, too; and a word it does not know touches nothing.
    said = machine.out(*install, "gateway", "--listen", "127.0.0.1:3000")
    assert re.search(r"sk-[0-9A-Za-z]{39}", said), said
    same(json.loads(machine.out("curl", "-s", "http://127.0.0.1:3000/health"))["status"], "ok")
    same(mode_of(machine, "/etc/sekisho/sekisho.json"), "root:sekisho-gateway 640")


# tailscaled's LocalAPI, as far as the installer asks it.
LOCAL_API = f"""import http.server, json, os, socketserver, sys
sys.path.insert(0, "{ROOT}/tests/e2e")
sys.dont_write_bytecode = True
from lib.fake_tailscaled import status
class Answer(http.server.BaseHTTPRequestHandler):
    def address_string(self):
        return "here"
    def do_GET(self):
        body = json.dumps(status()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
os.makedirs("/var/run/tailscale", exist_ok=True)
socketserver.UnixStreamServer("/var/run/tailscale/tailscaled.sock", Answer).serve_forever()
"""


def story_the_tailnets_name_is_controls(t, seconds=60):
    machine = Machine(t)
    machine.put("/srv/tailscaled.py", LOCAL_API.encode())
    machine.run("systemd-run", "--quiet", "--unit=tailscaled", "python3", "/srv/tailscaled.py")
    eventually(lambda: machine.sh("test -S /var/run/tailscale/tailscaled.sock", code=None).returncode == 0, 20, "no socket")
    # Without an interface there is nothing to bind to, and that is said.
    said = machine.out(*from_build(t), "control", "--no-start")
    assert "without an interface" in said, said
    machine.run(*from_build(t), "--purge", "control")
    machine.sh("ip link add tailscale0 type veth peer name other && ip address add 100.101.102.103/32 dev tailscale0 && ip link set tailscale0 up")
    machine.run(*from_build(t), "control")
    text = machine.out("cat", "/etc/sekisho/control.json")
    assert '"listen": "100.101.102.103:8000"' in text and '"publicUrl": "https://gpu.tail1234.ts.net:8000"' in text, text
    eventually(lambda: "https://gpu.tail1234.ts.net:8000/setup#" in machine.journal("sekisho-control"), 10, "the link has another name")


def story_below_a_root_nothing_is_started(t):
    root = t.folder / "root"
    install = [ROOT / "install.sh", "--root", root, "--build", t.sekisho.parent]
    for role, more in (("control", []), ("agent", ["--join", "skauth-abc.def@https://control:8000", "--name", "attic"]),
                       ("gateway", ["--bind", "2001:db8::1", "--join", "skauth-abc.def@https://control:8000"])):
        done = subprocess.run([*install, role, *more], capture_output=True, text=True)
        same(done.returncode, 0, done.stderr)
        assert "nothing was started" in done.stdout, done.stdout
    unit = (root / "etc/systemd/system/sekisho-gateway.service").read_text()
    assert re.search(r"ExecStart=/usr/local/bin/sekisho gateway .*\.join --listen \[2001:db8::1\]:443\n", unit), unit
    assert not (root / "etc/sekisho/sekisho.json").exists()
    assert '"listen": ":8000"' in (root / "etc/sekisho/control.json").read_text()
    same((root / "etc/sekisho/agent.join").stat().st_mode & 0o777, 0o640)
    unit = (root / "etc/systemd/system/sekisho-agent.service").read_text()
    assert re.search(r"ExecStart=/usr/local/bin/sekisho agent .* --name attic\n", unit), unit
    for role in ("control", "gateway", "agent"):
        same(subprocess.run([*install[:3], "--purge", role], capture_output=True).returncode, 0)
    same([p for p in root.rglob("*") if p.is_file()], [])


def story_a_wrong_word_touches_nothing(t):
    root = t.folder / "root"
    for words, said in ((["controll"], "no role"), (["control", "agent"], "one role"), (["control", "--join", "x"], "joins nobody"),
                        (["agent", "--listen", ":1"], "listens nowhere"), (["gateway", "--join", "abc"], "node invite gateway"),
                        (["gateway", "--listen"], "needs a value"), (["gateway", "--listen", 'a"b'], "characters"),
                        (["gateway", "--name", "x"], "goes with --join"), ([], "which role")):
        done = subprocess.run([ROOT / "install.sh", "--root", root, *words], capture_output=True, text=True)
        same(done.returncode, 2, words)
        assert said in done.stderr, (words, done.stderr)
    assert not root.exists()


def story_an_archive_that_was_changed_is_refused(t):
    made = archive(t)
    again = t.folder / "again"
    again.mkdir()
    subprocess.run([ROOT / "tools/package", "dist", t.sekisho.parent, again], check=True, capture_output=True)
    same((again / made.name).read_bytes(), made.read_bytes())  # of one build comes one archive
    install = [ROOT / "install.sh", "control", "--root", t.folder / "root", "--archive", made]
    same(subprocess.run(install, capture_output=True).returncode, 0)
    shutil.rmtree(t.folder / "root")
    with open(made, "ab") as f:
        f.write(b"\n")
    done = subprocess.run(install, capture_output=True, text=True)
    same(done.returncode, 1)
    assert "nothing was installed" in done.stderr, done.stderr
    assert not (t.folder / "root").exists()
