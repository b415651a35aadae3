"""The official npm SDKs, installed once by their lock file, and the scripts of tests/e2e/sdk run in node."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess

# Debian's node 18 forgets to pass an abort on once its garbage collector ran: with room, it does not run in a story.
ROOM = ("--min-semi-space-size=64", "--max-semi-space-size=128")
HERE = pathlib.Path(__file__).resolve().parent.parent / "sdk"


def folder(build):
    return pathlib.Path(build) / "e2e-sdk"


def prepare(build):
    """Installs what package-lock.json names, when it is not there yet. Says why not in a file when it cannot."""
    to = folder(build)
    to.mkdir(parents=True, exist_ok=True)
    lock = (HERE / "package-lock.json").read_bytes()
    stamp, why = to / "installed", to / "why-not"
    digest = hashlib.sha256(lock).hexdigest()
    why.unlink(missing_ok=True)
    for command in ("node", "npm"):
        if not shutil.which(command):
            why.write_text(f"{command} is not installed (Debian packages nodejs and npm)")
            return
    if not stamp.exists() or stamp.read_text() != digest:
        print("installing the SDKs named in tests/e2e/sdk/package-lock.json", flush=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, to / name)
        run = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], cwd=to,
                             stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if run.returncode != 0:
            lines = run.stderr.strip().splitlines()
            why.write_text("npm ci failed: " + (lines[0] if lines else "it said nothing"))
            return
        stamp.write_text(digest)
    for script in HERE.glob("*.mjs"):
        shutil.copy(script, to / script.name)


def run(t, script, *args, **env):
    """Runs a script of tests/e2e/sdk; it prints one JSON value as its last line, which this gives."""
    to = folder(os.environ["SEKISHO_BUILD"])
    why = to / "why-not"
    if why.exists():
        t.leave_out(why.read_text())
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "ANTHROPIC_"))}
    out = subprocess.run(["node", *ROOM, str(to / script), *args], capture_output=True, text=True, timeout=240, cwd=to,
                         env={**clean, **{k: str(v) for k, v in env.items()}})
    print(out.stdout, out.stderr, sep="")
    assert out.returncode == 0, f"{script} {args} ended with {out.returncode}: {out.stderr[-2000:]}"
    return json.loads(out.stdout.strip().splitlines()[-1])
