"""A real Docker Engine of the story's own: its folder, socket and image; no bridge, no firewall rules, nothing from a registry."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tarfile

from .patience import patient
from .stage import Program, eventually

BUSYBOX = pathlib.Path("/bin/busybox")
SBIN = "/usr/sbin:/sbin:/usr/local/sbin:"


class Dockerd(Program):
    """The first process of a process namespace: what it started ends with it, and it ends with the story, however that ends."""

    def stop(self, seconds=60):
        children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children")
        if self.process.poll() is None:  # unshare itself waits, deaf to signals
            for pid in children.read_text().split():
                os.kill(int(pid), signal.SIGTERM)
            try:
                self.process.wait(patient(seconds))
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"the Engine was still there {patient(seconds)} s after SIGTERM")


class Engine:
    def __init__(self, t):
        self.t = t
        for name in ("dockerd", "docker", "containerd", "runc", "unshare", "setpriv"):
            if not shutil.which(name, path=SBIN + os.environ["PATH"]):
                t.leave_out(f"{name} is not installed (Debian package docker.io)")
        if os.geteuid() != 0:
            t.leave_out("a Docker Engine needs root")
        if not BUSYBOX.exists() or b"statically" not in subprocess.run(["file", "-L", BUSYBOX], capture_output=True).stdout:
            t.leave_out("/bin/busybox is not the static one (Debian package busybox-static)")
        self.folder = t.folder / "engine"
        self.folder.mkdir()
        self.socket = t.folder / "docker.sock"
        self.start()
        self.image()

    def start(self):
        f = self.folder
        env = {**os.environ, "PATH": SBIN + os.environ["PATH"]}
        self.program = Dockerd(self.t, self.t._name("dockerd"), [
            "setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
            "--mount-proc", shutil.which("dockerd", path=env["PATH"]), "--iptables=false", "--ip6tables=false", "--bridge=none",
            "--storage-driver=vfs", "--group=root", "--data-root", f / "data", "--exec-root", f / "exec", "--pidfile", f / "pid", "--host",
            f"unix://{self.socket}"], env={"PATH": env["PATH"], "TMPDIR": str(f)})
        self.t.programs.append(self.program)

        def is_ready():
            if self.program.process.poll() is not None:
                self.t.programs.remove(self.program)
                self.t.leave_out("a Docker Engine cannot run here: " + self.program.text().strip().splitlines()[-1][:300])
            return self.answers()

        eventually(is_ready, 60, lambda: self.program.text()[-2000:])

    def answers(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(patient(5))
            try:
                s.connect(str(self.socket))
                s.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b" 200 " in s.recv(100)
            except OSError:
                return False

    def stop(self):
        self.program.stop()
        self.t.programs.remove(self.program)

    def docker(self, *args, check=True, **more):
        done = subprocess.run(["docker", *map(str, args)], capture_output=True, timeout=3 * patient(30),
                              env={**os.environ, "DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": str(self.folder)}, **more)
        assert not check or done.returncode == 0, done
        return done.stdout.decode().strip()

    def image(self):
        root = self.folder / "image.tar"
        page = self.folder / "index.html"
        page.write_text("from a container\n")
        with tarfile.open(root, "w") as tar:
            tar.add(BUSYBOX.resolve(), "bin/busybox")
            tar.add(page, "www/index.html")
        self.docker("import", root, "story/web")

    def run(self, name, at, **labels):
        """A web server on this machine's loopback, with labels sekisho.KEY=VALUE."""
        marks = [x for k, v in labels.items() for x in ("--label", f"sekisho.{k}={v}")]
        self.docker("run", "-d", "--name", name, "--network", "host", *marks, "story/web", "/bin/busybox", "httpd", "-f", "-p",
                    f"127.0.0.1:{at}", "-h", "/www")

    def remove(self, name):
        self.docker("rm", "-f", name)
