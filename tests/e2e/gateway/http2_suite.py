"""h2spec, all of its cases. Its module and version are pinned here; Go builds it once into BUILD/h2spec."""

import os
import re
import shutil
import subprocess

from gateway.http2 import secure
from lib.stage import same
from lib.upstream import ok

MODULE = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"


def h2spec(t):
    program = t.build.resolve() / "h2spec" / "h2spec"
    if program.exists():
        return program
    go = shutil.which("go")
    if not go:
        t.leave_out("go is not installed (golang-go of tools/packages.txt)")
    home = os.environ.get("HOME", "/")
    done = subprocess.run([go, "install", MODULE], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "HOME": home, "GOBIN": str(program.parent), "GOFLAGS": "-mod=mod"})
    if done.returncode:
        t.leave_out(f"h2spec could not be built: {done.stderr.strip().splitlines()[-1:]}")
    return program


def story_h2spec(t, seconds=300):
    program = h2spec(t)
    gate = secure(t, t.upstream(lambda peer, request: peer.send(ok("hello"))))
    for port, more in ((gate.tls_port, ["-t", "-k"]), (gate.port, [])):
        done = subprocess.run([program, "-h", "localhost", "-p", str(port), "-S", "-o", "20", *more], capture_output=True, text=True, timeout=700)
        counts = re.search(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed", done.stdout)
        assert counts, done.stdout + done.stderr
        failures = done.stdout[done.stdout.find("Failures:"):]
        if more:
            same(counts.groups(), ("146", "146", "0", "0"), failures)
        else:
            # In the clear a connection that does not begin as HTTP/2 is one of HTTP/1.1, and answered so.
            same(counts.groups(), ("146", "145", "0", "1"), failures)
            assert "invalid connection preface" in failures, failures
