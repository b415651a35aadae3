"""make run, as far as it is control, a gateway and an agent: publish, paste, again, control killed, ended."""

import json
import os
import re
import signal
import subprocess

from lib import proc
from lib.stage import ROOT, eventually, free_port, same


AT_A_TERMINAL = ["env", "--default-signal=INT"]  # a runner in the background ignores Ctrl-C, and bash cannot undo that


def run_of(t):
    return t.folder / "state"


def make_run(t, *args, env=None, first=True):
    """tools/run with the story's state folder; the program, once it is up."""
    ports = ["--listen", f"127.0.0.1:{free_port()}", "--admin", f"127.0.0.1:{free_port()}"] if first else []
    program = t.start("run", [*AT_A_TERMINAL, ROOT / "tools/run", "--probe", "none", "--no-tailscale", *ports, *args],
                      env={"SEKISHO_BUILD": str(t.build), "SEKISHO_SAMPLE_PORT": str(free_port()),
                           "SEKISHO_CONTROL_PORT": str(free_port()), "SEKISHO_TLS_PORT": str(free_port()), **(env or {})})

    def is_up():
        assert program.process.poll() is None, program.text() + logs(t)
        return "Ctrl-C ends it." in program.text()

    eventually(is_up, 90, lambda: program.text() + logs(t))
    return program


def logs(t):
    return "".join(f"\n--- {p.name}\n{p.read_text()[-2000:]}" for p in sorted((run_of(t) / "log").glob("*.log")))


def call_of(program, host):
    (found,) = [line.strip() for line in program.text().splitlines() if line.startswith("  curl ") and f"https://{host}:" in line]
    return found


def paste(program, *lines):
    """With the exports that were printed, in a shell that stops at the first failure; curl says so with -f."""
    exports = [line.strip() for line in program.text().splitlines() if line.startswith("  export ")]
    script = "\n".join(["set -e", *exports, *[line.replace("curl ", "curl -sSf ", 1) for line in lines]])
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120,
                          env={"PATH": os.environ["PATH"], "HOME": "/"})


def pasted(program, *lines):
    done = paste(program, *lines)
    same(done.returncode, 0, done.stderr)
    return done.stdout


def kept(t):
    """Secrets of the run, which no log may hold; its own key at control."""
    key = json.loads((run_of(t) / "client/sekisho/client.json").read_text())["token"]
    t.secrets.append(key)
    return key


def link_of(program):
    return re.search(r"login '(\S+)'", program.text())


def end(program, number=signal.SIGINT):
    children = proc.tree(program.pid)
    program.signal(number)
    same(program.wait(60), 0, program.text())
    eventually(lambda: not any(proc.is_alive(p) for p in children), 10, "something it started is left")


def pid_of(t, program, role):
    for pid in proc.tree(program.pid):
        try:
            words = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"sekisho") and role.encode() in words[1:2]:
            return pid
    raise AssertionError(f"no {role}: {program.text()}")


def ids(t, program):
    nodes = json.loads(t.sekisho_run("node", "list", "--json", env=own(t)).stdout)
    return sorted((n["kind"], n["name"], n["id"]) for n in nodes)


def own(t):
    return {"XDG_CONFIG_HOME": str(run_of(t) / "client")}


def story_publish_and_paste(t, seconds=120, alone=True):
    app = t.sample()
    program = make_run(t, "--publish", f"app={app.port}")
    kept(t)
    assert pasted(program, call_of(program, "app.localhost"))
    same(app.stats()["requests"] > 0, True)
    # A model server's own service asks for the token that was printed.
    assert '"sample-1"' in pasted(program, call_of(program, "sample.localhost"))
    bare = call_of(program, "sample.localhost").split(" -H ")[0]
    assert "401" in paste(program, bare).stderr
    # The person at the terminal owns it, once by this link.
    login = t.sekisho_run("login", link_of(program)[1])
    same(login.returncode, 0, login.stderr)
    t.secrets.append(json.loads((t.folder / ".config/sekisho/client.json").read_text())["token"])
    same(t.sekisho_run("login", link_of(program)[1]).returncode, 3)
    server = re.search(r"SEKISHO_SERVER=(\S+)", program.text())[1]
    listed = t.sekisho_run("node", "list", env={"SEKISHO_SERVER": server, "SEKISHO_TOKEN": "sk-of-the-gateway"})
    assert re.search(r"^home +agent +active +yes", listed.stdout, re.M), listed
    # What is looked at without saying where: with this story's home and no other state.
    apart = {"SEKISHO_STATE": "", "XDG_STATE_HOME": str(t.folder / "usual")}
    (t.folder / "usual" / "sekisho").mkdir(parents=True)
    (t.folder / "usual" / "sekisho" / "run").symlink_to(run_of(t))
    assert "control_started" in t.sekisho_run("logs", "control", env=apart).stdout
    if not (os.geteuid() == 0 and os.path.exists("/var/lib/sekisho")):
        seen = t.sekisho_run("doctor", env=apart, seconds=60).stdout
        assert "the gateway gateway" in seen and "the agent home" in seen, seen
    end(program)
    assert "skown-" not in (run_of(t) / "log/gateway.log").read_text()


def story_again_goes_on_with_what_is_there(t, seconds=180, alone=True):
    app = t.sample()
    program = make_run(t, "--publish", f"app={app.port}")
    kept(t)
    before = ids(t, program)
    end(program, signal.SIGTERM)
    again = make_run(t, "--publish", f"app={app.port}", first=False)
    same(ids(t, again), before)
    assert link_of(again)[1] != link_of(program)[1]  # the first was not used
    same(t.sekisho_run("login", link_of(program)[1]).returncode, 3)
    same(t.sekisho_run("login", link_of(again)[1]).returncode, 0)
    t.secrets.append(json.loads((t.folder / ".config/sekisho/client.json").read_text())["token"])
    assert pasted(again, call_of(again, "app.localhost"))
    end(again)
    other = t.sample()
    third = make_run(t, "--publish", f"app={other.port}", first=False)
    assert not link_of(third), "a used link is not made again"
    assert pasted(third, call_of(third, "app.localhost"))
    same(other.stats()["requests"] > 0, True)
    same(len(json.loads(t.sekisho_run("service", "list", "--json").stdout)), 2)
    end(third)


def story_control_is_killed(t, seconds=120, alone=True):
    app = t.sample()
    program = make_run(t, "--publish", f"app={app.port}")
    kept(t)
    os.kill(pid_of(t, program, "control"), signal.SIGKILL)
    assert pasted(program, call_of(program, "app.localhost"))
    eventually(lambda: "control ended (137)" in program.text(), 20, program.text)
    eventually(lambda: t.sekisho_run("node", "list", env=own(t)).returncode == 0, 30, lambda: logs(t))
    assert pasted(program, call_of(program, "app.localhost"))
    end(program)


def story_a_gateway_that_ends_ends_it(t, seconds=120, alone=True):
    program = make_run(t)
    kept(t)
    children = proc.tree(program.pid)
    os.kill(pid_of(t, program, "gateway"), signal.SIGTERM)
    program.codes = (1,)
    same(program.wait(60), 1)
    assert "the gateway ended (0)" in program.text()
    eventually(lambda: not any(proc.is_alive(p) for p in children), 10, "something it started is left")


def story_nothing_is_left_when_it_is_killed(t, seconds=120, alone=True):
    program = make_run(t)
    kept(t)
    children = [p for p in proc.tree(program.pid) if p != program.pid]
    program.codes = (-9,)
    program.signal(signal.SIGKILL)
    program.wait(10)
    eventually(lambda: not any(proc.is_alive(p) for p in children), 30, "something it started is left")


def story_mistakes_start_nothing(t, seconds=120, alone=True):
    def refused(code, *args, **env):
        done = subprocess.run([str(ROOT / "tools/run"), "--probe", "none", "--no-tailscale", *args], capture_output=True, text=True,
                              timeout=120, env={**t.env, "SEKISHO_BUILD": str(t.build), **env})
        same(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    for word in ("app", "app=", "app=0", "app=65536", "App=80", "-=1", "a b=80"):
        assert "write a name of" in refused(2, "--publish", word), word
    assert "write a name of" in refused(2, "--publish")
    assert "twice" in refused(2, "--publish", "a=1", "--publish=a=2")
    assert "nothing was started" in refused(2, "--publish", "app=http://x")
    same((t.folder / ".config").exists() or run_of(t).exists(), False)
    program = make_run(t)
    kept(t)
    assert "another make run" in refused(1)
    end(program)
    # Control's port stands in the nodes' papers: who has it now is said.
    port = json.loads((run_of(t) / "ports.json").read_text())["control"]
    taken = t.start("taken", ["python3", "-m", "http.server", str(port), "--bind", "127.0.0.1"])
    taken.codes = (-15,)
    eventually(lambda: "is taken by another program" in refused(1, SEKISHO_SAMPLE_PORT=str(free_port())), 20, "not refused")
