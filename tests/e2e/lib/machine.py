"""A machine of one's own: systemd as process 1 over a copy of this one's files, in namespaces that end with the story.

What is written there goes into memory and is gone with it. It needs root, overlayfs and a cgroup of version 2; a machine
without these leaves the story out.
"""

import os
import shutil
import subprocess
import tempfile

from .stage import ROOT, eventually

# Of this machine's services none is wanted there: what is enabled in /etc goes, what /lib starts by itself is masked.
BEGIN = r"""
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount -t sysfs sysfs sys -o ro
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run -o mode=755
mount -t tmpfs tmpfs tmp -o mode=1777
for folder in $3; do # the checkout and the build, also where they are mounts of their own
    mkdir -p ".$folder"
    mount --bind "$folder" ".$folder"
    mount -o remount,bind,ro ".$folder"
done
mount -t tmpfs tmpfs dev -o mode=755
for node in null zero full random urandom tty; do
    touch dev/$node
    mount --bind /dev/$node dev/$node
done
mkdir dev/shm dev/pts
mount -t tmpfs tmpfs dev/shm -o mode=1777
mount -t devpts devpts dev/pts -o newinstance,ptmxmode=0666
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
rm -rf etc/systemd/system etc/fstab var/log/journal etc/init.d/* etc/rc?.d/* usr/sbin/policy-rc.d
mkdir etc/systemd/system
: >etc/machine-id
for unit in $2; do
    ln -s /dev/null etc/systemd/system/$unit
done
ip link set lo up
mkdir host
pivot_root . host
umount -l /host
exec env -i container=sekisho PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=multi-user.target --show-status=0
"""
MASKED = """systemd-logind.service getty.target console-getty.service systemd-udevd.service systemd-udev-trigger.service
systemd-networkd.service systemd-resolved.service networking.service systemd-timesyncd.service systemd-tmpfiles-setup.service
systemd-tmpfiles-clean.timer systemd-tmpfiles-setup-dev.service systemd-modules-load.service systemd-sysctl.service
systemd-remount-fs.service systemd-update-utmp.service systemd-journal-flush.service systemd-sysusers.service
systemd-binfmt.service systemd-random-seed.service apt-daily.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
logrotate.timer man-db.timer podman-auto-update.timer podman.service podman.socket podman-restart.service
podman-auto-update.service docker.service docker.socket dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount
sys-kernel-config.mount sys-fs-fuse-connections.mount systemd-pcrphase.service systemd-ask-password-wall.path
systemd-ask-password-console.path"""


class Machine:
    def __init__(self, t):
        if os.geteuid() != 0:
            t.leave_out("a machine of its own needs root")
        for program in ("/lib/systemd/systemd", "unshare", "nsenter", "ip"):
            if not shutil.which(program):
                t.leave_out(f"a machine of its own needs {program}")
        self.t = t
        self.folder = t.folder / "machine"
        self.folder.mkdir()
        self.hierarchy = tempfile.mkdtemp(prefix="sekisho-cgroup-")
        self.cgroup = None
        self.log = open(t.folder / "machine.log", "wb")
        try:
            subprocess.run(["mount", "-t", "cgroup2", "cgroup2", self.hierarchy], check=True, capture_output=True)
            self.cgroup = f"{self.hierarchy}/sekisho-{os.getpid()}"
            os.mkdir(self.cgroup)
        except (OSError, subprocess.CalledProcessError):
            self.stop()
            t.leave_out("a machine of its own needs a cgroup of version 2")
        command = ["unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--net", "--cgroup", "--kill-child",
                   "/bin/sh", "-c", BEGIN, "machine", str(self.folder), " ".join(MASKED.split()), f"{ROOT} {t.sekisho.parent}"]
        enter = f'echo $$ >"{self.cgroup}/cgroup.procs" && exec "$@"'
        self.process = subprocess.Popen(["/bin/sh", "-c", enter, "enter", *command], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log)
        t.programs.append(self)
        self.pid = self.process.pid

        def first():
            if self.process.poll() is not None:
                text = (t.folder / "machine.log").read_text(errors="replace")
                self.process = None
                t.programs.remove(self)
                self.stop()
                t.leave_out(f"a machine of its own could not be made: {text.strip().splitlines()[-1:]}")
            with open(f"/proc/{self.pid}/task/{self.pid}/children") as f:
                children = f.read().split()
            if not children or "systemd" not in os.readlink(f"/proc/{children[0]}/exe"):
                return None
            return int(children[0])

        self.first = eventually(first, 30, "systemd was not started")
        eventually(lambda: self.run("systemctl", "is-system-running", code=None).stdout.strip() in ("running", "degraded"), 60,
                   "the machine did not start")

    def run(self, *command, code=0, input=None, seconds=120):
        done = subprocess.run(["nsenter", "-t", str(self.first), "-m", "-u", "-i", "-n", "-p", "-C", "--", "/usr/bin/env", "-i", "HOME=/root",
                               "LC_ALL=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", *map(str, command)],
                              input=input, capture_output=True, text=True, timeout=seconds, cwd="/")
        if code is not None:
            assert done.returncode == code, f"{command} gave {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    def sh(self, text, **more):
        return self.run("/bin/sh", "-c", text, **more)

    def out(self, *command, **more):
        return self.run(*command, **more).stdout.strip()

    def put(self, path, data):
        """A file of ours, over there; bytes through a pipe, since what is mounted there cannot be seen from here."""
        subprocess.run(["nsenter", "-t", str(self.first), "-m", "-p", "--", "/bin/sh", "-c", f'mkdir -p "$(dirname "{path}")" && cat >"{path}"'],
                       input=data, check=True, capture_output=True, cwd="/")

    def show(self, unit, what):
        return self.out("systemctl", "show", "-p", what, "--value", unit)

    def journal(self, unit):
        return self.out("journalctl", "--no-pager", "-q", "-o", "cat", "-u", unit)

    # -- as the stage's other programs

    name = "machine"

    def text(self):
        return ""

    def stop(self):
        if getattr(self, "process", None):
            self.process.kill()  # --kill-child: process 1 and with it all there
            self.process.wait()
            self.process = None
        if self.cgroup:
            eventually(self._gone, 20, "processes of the machine are still there")
        subprocess.run(["umount", self.hierarchy], capture_output=True)
        os.rmdir(self.hierarchy)
        self.log.close()

    kill = stop

    def _gone(self):
        """systemd made groups below ours."""
        for folder, _below, _files in os.walk(self.cgroup, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                pass
        return not os.path.exists(self.cgroup)
