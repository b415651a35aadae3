"""The image is built of a local base, and control, a gateway and an agent run in containers of it as compose.yml says."""

import json
import re
import shutil

from deploy.install import archive
from lib.machine import Machine
from lib.stage import ROOT, eventually, same

# A base from this machine's own files: the loader, the libraries the program is linked with, and what the recipe's RUN calls.
BASE = r"""
set -eu
mkdir -p /srv/base/bin /srv/base/tmp /srv/base/opt /srv/base/etc && cd /srv/base
ln -s bin sbin; mkdir usr; ln -s ../bin usr/bin
mkdir -p /srv/look && tar -C /srv/look --strip-components=1 -xzf /srv/build/sekisho.tar.gz
for program in sh cat mv rm mkdir chown chmod; do cp -L "$(command -v $program)" bin/$program; done
for file in bin/* /srv/look/bin/sekisho; do ldd $file | sed -n 's/^[^/]*\(\/[^ ]*\) (0x.*/\1/p'; done | sort -u | while read -r file; do
    mkdir -p ".$(dirname "$file")"
    cp -L "$file" ".$file"
done
printf 'root:x:0:0::/:/bin/sh\n' >etc/passwd
printf 'root:x:0:\n' >etc/group
tar -cf /srv/base.tar .
"""

# Limits that whoever may not raise them can set; no groups of their own in a machine that has no controllers for them.
SETTINGS = b"""[containers]
cgroups = "disabled"
default_ulimits = ["nofile=1024:1024", "nproc=512:512", "memlock=65536:65536"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


def story_control_gateway_and_agent_in_containers(t, seconds=120):
    for program in ("podman", "crun", "podman-compose", "iptables"):
        if not shutil.which(program):
            t.leave_out(f"needs {program}")
    machine = Machine(t)
    machine.put("/srv/build/sekisho.tar.gz", archive(t).read_bytes())
    for name in ("Containerfile", "compose.yml", "control.json"):
        machine.put(f"/srv/build/{name}", (ROOT / "deploy/container" / name).read_bytes())
    # Storage of its own, without an overlay upon an overlay.
    machine.put("/etc/containers/storage.conf", b'[storage]\ndriver = "vfs"\nrunroot = "/run/containers/storage"\ngraphroot = "/srv/storage"\n')
    machine.put("/etc/containers/containers.conf", SETTINGS)
    machine.sh(BASE)
    machine.run("podman", "import", "/srv/base.tar", "localhost/base")
    machine.run("podman", "build", "--isolation", "chroot", "--build-arg", "BASE=localhost/base", "-t", "sekisho", "/srv/build")
    same(machine.out("podman", "image", "inspect", "sekisho", "--format", "{{.Config.User}} {{.Config.Entrypoint}}"), "65532:65532 [/usr/bin/sekisho]")
    machine.run("podman", "run", "--rm", "--network", "none", "--read-only", "sekisho", "version")

    def compose(*words):
        return machine.sh("cd /srv/build && podman-compose " + " ".join(words))

    # As the head of compose.yml says; control is reached at the port it publishes.
    compose("up", "-d", "control")
    link = eventually(lambda: re.search(r"https://control(:8000/setup#skown-\S+)'", compose("logs", "control").stdout), 30, "no link for the owner")
    machine.run(t.sekisho, "login", "https://127.0.0.1" + link[1])
    for role in ("gateway", "agent"):
        token = re.search(r"skauth-\S+@https://control:8000", machine.out(t.sekisho, "node", "invite", role))[0]
        t.secrets.append(token.split("@")[0])
        machine.sh(f"install -m 640 -g 65532 /dev/stdin /srv/build/{role}.join", input=token + "\n")
    compose("up", "-d")

    def joined():
        found = [n for n in json.loads(machine.out(t.sekisho, "node", "list", "--json")) if n["connected"]]
        return sorted(n["kind"] for n in found) == ["agent", "gateway"] and found

    nodes = eventually(joined, 60, "they have not joined")
    # A service beside the agent, here on the machine that runs the containers, through the gateway's published port.
    machine.put("/srv/web/index.html", b"from behind\n")
    machine.sh("systemd-run --quiet --unit=web python3 -m http.server -d /srv/web 8099")
    host = machine.out("podman", "network", "inspect", "build_default", "--format", "{{(index .Subnets 0).Gateway}}")
    agent = next(x["name"] for x in nodes if x["kind"] == "agent")
    machine.run(t.sekisho, "service", "add", "app", "--host", "app.example.com", "--to", f"agent/{agent}:{host}:8099")

    def served():
        return machine.sh("curl -sk --max-time 5 --resolve app.example.com:443:127.0.0.1 https://app.example.com/", code=None).stdout == "from behind\n"

    eventually(served, 30, "the service is not there")
    # The containers go, the volumes stay; the tokens are used up and gone.
    machine.sh("for role in gateway agent; do : >/srv/build/$role.join; done")
    compose("down")
    same(machine.out("podman", "ps", "-aq"), "")
    compose("up", "-d")
    eventually(served, 60, "the fleet did not come back")
    compose("down")
