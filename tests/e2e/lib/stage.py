"""The stage of one story: its folder, the programs it starts, and what must hold when it is over."""

import hashlib
import json
import os
import pathlib
import random
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import traceback

from . import certs, proc, upstream, wire
from .patience import patient

ROOT = pathlib.Path(__file__).resolve().parents[3]
LEFT_OUT = 77
PART_OUT = "left out in part: "
SANITIZER = re.compile(rb"ERROR: \w+Sanitizer|runtime error:|Assertion .* failed|WARNING: ThreadSanitizer")


def find_build():
    """The folder of the programs under test."""
    if "SEKISHO_BUILD" in os.environ:
        return pathlib.Path(os.environ["SEKISHO_BUILD"]).resolve()
    if "SEKISHO" in os.environ:
        return pathlib.Path(os.environ["SEKISHO"]).resolve().parent
    for name in ("build-asan", "build"):
        if (ROOT / name / "sekisho-sample-model").exists():
            return ROOT / name
    sys.exit("tests/e2e/run: no build found; run make build, or name one by SEKISHO_BUILD")


claims = []


def free_port():
    """
    Below the ports that the kernel gives to outgoing connections, which would take it away again. Until this story ends no
    other is given it: both would find it free before either listens. The claim is a name, of which there is only one.
    """
    while True:
        port = random.randrange(10000, 32000)
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0sekisho-e2e-port-{port}")
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            claim.close()
            continue
        claims.append(claim)
        return port


class LeftOut(Exception):
    pass


class Program:
    """One process the story started, with its output in a file."""

    def __init__(self, t, name, command, env=None, cwd=None):
        self.t, self.name = t, name
        self.log = t.folder / f"{name}.log"
        self.out = open(self.log, "ab")
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=self.out,
                                        stderr=self.out, env={**t.env, **(env or {})}, cwd=cwd or t.folder)
        self.pid = self.process.pid

    def text(self):
        return self.log.read_text(errors="replace")

    def lines(self):
        """The log's lines that are JSON objects."""
        found = []
        for line in self.text().splitlines():
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict):
                found.append(value)
        return found

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=10):
        """Its exit code."""
        return self.process.wait(patient(seconds))

    codes = (0,)  # what a good end gives

    def stop(self, seconds=10):
        """SIGTERM; it must end well."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                code = self.process.wait(patient(seconds))
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{self.name} was still there {patient(seconds)} s after SIGTERM")
            assert code in self.codes, f"{self.name} ended with {code} after SIGTERM"

    def kill(self):
        for pid in reversed(proc.tree(self.pid)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()


class Sample(Program):
    """The sample model server."""

    def __init__(self, t, name, *options):
        super().__init__(t, name, [t.build / "sekisho-sample-model", "--listen", "127.0.0.1:0", *options])
        found = eventually(lambda: re.search(r"listening on 127\.0\.0\.1:(\d+)", self.text()), 10,
                           "the sample model server did not start")
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def stats(self):
        return wire.get(self.port, "/stats").json

    def last(self):
        """The last request it got (needs --record)."""
        return wire.get(self.port, "/last").json

    def set_fault(self, spec):
        answer = wire.ask(self.port, "PUT", "/fault", body=spec)
        assert answer.status == 200, answer

    def wait_aborts(self, count, seconds=5):
        """The aborts, once there are so many."""
        return eventually(lambda: (s := self.stats()) and s["aborted"] >= count and s["aborts"], seconds,
                          f"the upstream did not see {count} aborts")


class Gateway(Program):
    """`sekisho gateway --config FILE`, ready to be asked."""

    def __init__(self, t, name, config, options=(), env=None, wait=True):
        self.config_path = t.folder / f"{name}.json"
        self.write(config)
        self.port = config["gateway"].get("port")
        self.admin = int(config["admin"]["listen"].rsplit(":", 1)[1])
        self.token = t.token
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__(t, name, [t.sekisho, "gateway", "--config", self.config_path, *options], env)
        if wait:
            self.wait_ready()

    def write(self, config):
        if isinstance(config, dict):
            self.config = config
        text = config if isinstance(config, str) else json.dumps(config, indent=2)
        self.config_path.write_text(text)
        self.config_path.chmod(0o600)

    def wait_ready(self, seconds=20):
        """Until every worker is: the supervisor says so, and the admin listener answers."""
        def is_ready():
            assert self.process.poll() is None, f"the gateway ended with {self.process.returncode}:\n{self.text()}"
            if "gateway_ready" not in self.text():
                return False
            try:
                return wire.get(self.admin, "/metrics", timeout=5).status == 200
            except (OSError, wire.Lost):
                return False

        eventually(is_ready, seconds, "the gateway is not ready")

    def reload(self, config=None):
        """SIGHUP; waits until the new configuration is in force, or refused."""
        if config is not None:
            self.write(config)
        before = len(self.lines())
        self.signal(signal.SIGHUP)
        over = ("config_applied", "config_not_applied", "config_reload_refused")
        return eventually(lambda: next((x for x in self.lines()[before:] if x.get("event") in over), None), 10,
                          "no word of the reload in the log")

    def get(self, path, fields=(), token=True, **more):
        return wire.get(self.port, path, self._with_token(fields, token), **more)

    def post(self, path, body, fields=(), token=True, **more):
        return wire.post(self.port, path, body, self._with_token(fields, token), **more)

    def _with_token(self, fields, token):
        fields = list(fields.items() if isinstance(fields, dict) else fields)
        if token:
            fields.append(("Authorization", f"Bearer {self.token if token is True else token}"))
        return fields

    def conn(self, **more):
        return wire.Conn(self.port, **more)

    def metrics(self):
        """{'name{labels}': value}"""
        found = {}
        for line in wire.get(self.admin, "/metrics").text.splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                found[name] = float(value)
        return found

    def counted(self, name, value):
        """Waits until a metric has this value: an answer is with its client before it is counted."""
        eventually(lambda: self.metrics().get(name) == value, 10, lambda: f"{name} is {self.metrics().get(name)}, not {value}")

    def access_log(self):
        return [x for x in self.lines() if "status" in x]

    def rss_kib(self):
        return proc.rss_kib(self.pid)

    def fds_count(self):
        return proc.fds_count(self.pid)


class Stage:
    """What a story is given."""

    def __init__(self, folder):
        self.folder = folder
        self.build = pathlib.Path(os.environ["SEKISHO_BUILD"])
        self.sekisho = pathlib.Path(os.environ.get("SEKISHO", self.build / "sekisho")).resolve()
        self.is_slow = os.environ.get("SEKISHO_SLOW") == "1"
        self.programs, self.upstreams, self.secrets = [], [], []
        self.authority = None
        options = "abort_on_error=0:halt_on_error=1:detect_leaks=1"
        self.env = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8",
            "SEKISHO_STATE": str(folder / "state"),
            "ASAN_OPTIONS": options, "UBSAN_OPTIONS": options + ":print_stacktrace=1",
        }
        self.token = self.secret("token")

    def leave_out(self, why):
        """Ends the story: this machine cannot play it. The run counts it, and says why."""
        raise LeftOut(why)

    def leave_part_out(self, why):
        """The same for a part of the story; the rest goes on."""
        print(f"{PART_OUT}{why}", flush=True)

    def secret(self, name):
        """A fresh secret. No log of the story may hold it when it is over."""
        value = f"sk-{name}-{secrets.token_hex(16)}"
        self.secrets.append(value)
        return value

    def private_file(self, name, text):
        """The path of a file that only its owner may read."""
        path = self.folder / name
        path.write_text(text + "\n")
        path.chmod(0o600)
        return str(path)

    def certs(self):
        if not self.authority:
            (self.folder / "certs").mkdir()
            self.authority = certs.Authority(self.folder / "certs")
        return self.authority

    def _name(self, kind):
        count = sum(1 for p in self.programs if p.name.startswith(kind))
        return f"{kind}{count + 1}" if count else kind

    def start(self, name, command, **more):
        program = Program(self, self._name(name), command, **more)
        self.programs.append(program)
        return program

    def sample(self, *options):
        sample = Sample(self, self._name("sample"), *options)
        self.programs.append(sample)
        return sample

    def upstream(self, script=None, **more):
        found = upstream.Upstream(script, **more)
        self.upstreams.append(found)
        return found

    def config(self, **sections):
        """A configuration with one token, on free ports, that the sections are merged into."""
        base = {
            "gateway": {"host": "127.0.0.1", "port": free_port(), "apiTokens": [{"name": "story", "sha256": sha256(self.token)}],
                        "allowedIps": []},
            "admin": {"listen": f"127.0.0.1:{free_port()}"},
        }
        return merge(base, sections)

    def measure_memory(self):
        """Programs started from now on give freed memory back at once; the sanitizer would keep it to watch over it."""
        self.env["ASAN_OPTIONS"] += ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64"

    def gateway(self, options=(), env=None, wait=True, **sections):
        gateway = Gateway(self, self._name("gateway"), self.config(**sections), options, env, wait)
        self.programs.append(gateway)
        return gateway

    def proxy(self, *targets, route=None, upstream=None, **sections):
        """A gateway with one public route for everything, to these upstreams; HTTP/1.1 to them unless `upstream` says
        otherwise: scripted ones count what they are asked, and a probe for HTTP/2 would be among it."""
        urls = [x if isinstance(x, (str, dict)) else x.url for x in targets]
        routes = [{"path": "/", "upstream": "app", "access": "public", **(route or {})}]
        return self.gateway(upstreams={"app": {"targets": urls, "protocol": "h1", **(upstream or {})}}, routes=routes, **sections)

    def sekisho_run(self, *args, env=None, stdin=None, seconds=20):
        """One command to its end; gives its CompletedProcess."""
        return subprocess.run([str(self.sekisho), *map(str, args)], env={**self.env, **(env or {})}, cwd=self.folder,
                              capture_output=True, text=True, input=stdin, timeout=3 * patient(seconds))

    def end(self):
        """Everything stops in order; then no sanitizer may have spoken, and no secret have leaked."""
        problems = []
        for program in reversed(self.programs):
            try:
                program.stop()
            except AssertionError as e:
                problems.append(str(e))
        for u in self.upstreams:
            u.close()
        for log in self.folder.glob("*.log"):
            if log.name == "story.log":
                continue
            data = log.read_bytes()
            found = SANITIZER.search(data)
            if found:
                at = max(found.start() - 200, 0)
                problems.append(f"{log.name}: {data[at:at + 3000].decode(errors='replace')}")
            for value in self.secrets:
                if value.encode() in data:
                    problems.append(f"{log.name} has a secret in it: {value[:12]}...")
        assert not problems, "\n".join(problems)


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def merge(base, more):
    """`more` over `base`, object by object; None removes a member."""
    result = dict(base)
    for key, value in more.items():
        if value is None and key in result and not isinstance(result[key], dict):
            result[key] = None
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merge(result[key], value)
        else:
            result[key] = value
    return result


def eventually(probe, seconds, otherwise):
    """What the probe gives, once it is true. `seconds` is what it should take; a slow machine gets more."""
    end = time.monotonic() + patient(seconds)
    while True:
        found = probe()
        if found:
            return found
        assert time.monotonic() < end, otherwise() if callable(otherwise) else otherwise
        time.sleep(0.01)


def within(bound, measure, otherwise, tries=20):
    """
    That something is quick: `measure` does it once and gives the seconds it took, or what was measured otherwise; the best
    of `tries` must be under the bound. What else runs on the machine makes single ones slow, never all of them fast.
    """
    found = []
    for _ in range(tries):
        found.append(measure())
        if found[-1] < bound:
            return
    raise AssertionError(f"{otherwise}: the best of {tries} was {min(found):.3f}, wanted less than {bound}")


def same(actual, expected, what=""):
    assert actual == expected, f"{what}: got {actual!r}, wanted {expected!r}"


def play(story, folder):
    """Runs one story on a stage of its own. Gives the exit code."""
    t = Stage(folder)
    code = 0
    try:
        story(t)
    except LeftOut as why:
        print(why)
        code = LEFT_OUT
    except BaseException:
        traceback.print_exc()
        code = 1
    try:
        t.end()
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    os._exit(code)  # threads of scripted upstreams may still wait
