"""A real PostgreSQL for one story: a server of its own on a Unix socket, and places (schemas) in it."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import pathlib

from .proc import tree
from .stage import Program, eventually

PROGRAMS = pathlib.Path("/usr/lib/postgresql/15/bin")


class Postgres(Program):
    """Started before the programs that use it, so that the stage stops it after them."""

    count = 0

    def __init__(self, t):
        if not (PROGRAMS / "initdb").exists():
            t.leave_out("PostgreSQL (Debian: postgresql) is not installed")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sekisho-pg-", dir="/tmp"))
        self.places = 0
        self.prefix = []
        if os.geteuid() == 0:  # it does not run as root
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.folder.chmod(0o755)  # control gives up root's right to others' folders
            self.prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        subprocess.run([*self.prefix, PROGRAMS / "initdb", "-D", self.folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C",
                        "--no-sync", "--no-instructions"], check=True, capture_output=True, cwd="/")
        Postgres.count += 1
        self.start(t)
        t.programs.append(self)

    def start(self, t):
        super().__init__(t, f"postgres{Postgres.count}", [*self.prefix, PROGRAMS / "postgres", "-D", self.folder / "data", "-k", self.folder, "-c", "listen_addresses=",
                                           "-c", "max_connections=60", "-c", "shared_buffers=16MB", "-c", "log_min_messages=fatal"], cwd="/")
        eventually(lambda: self.sql("SELECT 1", check=False) == "1", 20, lambda: f"PostgreSQL is not ready:\n{self.text()[-2000:]}")

    def sql(self, statement, check=True):
        a = subprocess.run([PROGRAMS / "psql", "-h", self.folder, "-U", "postgres", "-d", "postgres", "-Atqc", statement], capture_output=True,
                           text=True, cwd="/", env={**os.environ, "PGCONNECT_TIMEOUT": "5"})
        assert a.returncode == 0 or not check, a.stderr
        return a.stdout.strip() if a.returncode == 0 else None

    def place(self):
        """The URL of a new, empty schema."""
        self.places += 1
        self.sql(f"CREATE SCHEMA place{self.places}")
        return f"postgresql://postgres@/postgres?host={self.folder}&options=-csearch_path%3Dplace{self.places}"

    def crash(self):
        """kill -9 of all of it, and a start on the same data."""
        for pid in reversed(tree(self.pid)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.start(self.t)

    def stop(self, seconds=10):
        if self.process.poll() is None:
            self.signal(signal.SIGINT)  # sessions are ended, not waited for
            self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)
