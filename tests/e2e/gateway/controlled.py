"""A gateway that belongs to a control: joining, what is pushed, what must never be taken, and going on alone."""

import os
import signal
import socket
import ssl
import subprocess

from gateway.upgrade import Line
from lib import proc, wire
from lib.control import Control
from lib.stage import eventually, free_port, same

OWN = [{"name": "own", "host": ["own.example"], "respond": {"body": "own"}, "access": "public"}]


def service(host, **more):
    """One that has no target yet: its answer says that it is known."""
    return {"name": host.split(".")[0], "kind": "http", "hosts": [host], "path": "/", "access": {"kind": "public"},
            "targets": [], "settings": {}, **more}


def sections(*hosts, **more):
    return {"services": {f"sv-{host.split('.')[0]}": service(host, **more) for host in hosts}}


def joined(t, control, **more):
    gate = t.gateway(options=["--join", control.token_url, "--name", "edge"], routes=OWN, **more)
    control.wait_open()
    return gate


def serving(t, *hosts):
    """A control and its gateway that serves those hosts."""
    control = Control(t)
    gate = joined(t, control)
    control.publish(sections(*hosts))
    for host in hosts:
        serves(gate, host)
    return control, gate


def again(t, gate):
    """The same gateway, started anew, without a token: its state folder knows."""
    gate.stop()
    other = type(gate)(t, t._name("gateway"), gate.config)
    t.programs.append(other)
    return other


def comes(control, count):
    """The connection that comes after that many, when it has said hello."""
    return eventually(lambda: len(control.channels) > count and control.channels[-1].hello and control.channels[-1], 60,
                      f"none has come after {count} connections")


def code(gate, host):
    a = gate.get("/", {"Host": host}, token=False)
    return a.json["error"]["code"] if a.status == 503 else a.status


def serves(gate, host, seconds=15):
    eventually(lambda: code(gate, host) == "no_target", seconds, lambda: f"{host}: {code(gate, host)}")


def misses(gate, host, seconds=15):
    eventually(lambda: code(gate, host) in (404, 421), seconds, lambda: f"{host}: {code(gate, host)}")


def own_goes_on(gate):
    same(gate.get("/", {"Host": "own.example"}, token=False).text, "own")


def said(gate, event, **members):
    return eventually(lambda: next((x for x in gate.lines() if x.get("event") == event and
                                    all(x.get(k) == v for k, v in members.items())), None), 15,
                      lambda: f"no {event} {members} in the log")


def story_a_gateway_joins_and_is_told_what_to_serve(t):
    control = Control(t)
    gate = joined(t, control)
    same(control.wait("hello")["have"], None)
    first = control.publish(sections("a.example"))
    serves(gate, "a.example")
    same(control.wait_applied()["version"], 1)
    own_goes_on(gate)
    control.publish(sections("a.example", "b.example"))  # as a change
    serves(gate, "b.example")
    same(control.wait_applied()["version"], 2)
    control.publish(sections("b.example"))
    misses(gate, "a.example")
    serves(gate, "b.example")
    assert not [m for m in control.messages if m["type"] == "resync"], control.messages
    gate.counted("sekisho_control_connected", 1)
    gate.counted("sekisho_control_document_version", 3)
    status = wire.get(gate.admin, "/status").json["control"]
    same((status["connected"], status["version"]), (True, 3))
    assert first["hash"] != control.current["hash"]


def story_the_operators_file_is_right(t):
    control = Control(t)
    gate = joined(t, control)
    control.publish({"services": {"sv-own": service("own.example"), "sv-a": service("a.example")}})
    serves(gate, "a.example")
    own_goes_on(gate)


def story_a_gateway_starts_without_its_control(t):
    control, gate = serving(t, "a.example")
    control.wait_applied()
    control.stop()
    own_goes_on(gate)
    serves(gate, "a.example")
    gate = again(t, gate)
    serves(gate, "a.example", 1)
    own_goes_on(gate)
    control.start()
    channel = comes(control, 1)
    same(channel.hello["have"]["hash"], control.current["hash"])


def story_what_is_not_controls_is_never_taken(t):
    control = Control(t)
    control.epoch = 3
    gate = joined(t, control)
    control.publish(sections("a.example"))
    serves(gate, "a.example")
    control.wait_applied()
    bad = sections("bad.example")
    wrong_bytes = control.document(bad, version=60)
    wrong_bytes["document"]["sections"]["services"]["sv-bad"]["hosts"] = ["other.example"]
    for why, document in (
            ("it is not signed by the control we joined", control.document(bad, key="other", version=50)),
            ("its epoch is older", control.document(bad, epoch=2, version=99)),
            ("it is older than the one in force", control.document(bad, version=0)),
            ("it differs from the one in force", control.document(bad, version=1)),
            ("it is another node's", control.document(bad, version=51, node="gw-qrstuvwxyzabcdef")),
            ("it is another node's", control.document(bad, version=51, org="others")),
            ("its hash is not that of its contents", wrong_bytes),
            ("its format is newer", control.document(bad, version=52, format=2))):
        count = len([m for m in control.messages if m["type"] == "refused"])
        control.say(document)
        refused = eventually(lambda: [m for m in control.messages if m["type"] == "refused"][count:], 10,
                             f"not refused: {why}")
        assert why in refused[0]["reason"], (why, refused)
    serves(gate, "a.example")
    misses(gate, "bad.example")
    same(control.open()[-1].is_open, True)
    control.publish(sections("a.example", "good.example"))
    serves(gate, "good.example")
    gate = again(t, gate)
    serves(gate, "good.example")
    misses(gate, "bad.example")


def story_a_document_that_makes_no_configuration_is_refused(t):
    control, gate = serving(t, "a.example")
    control.wait_applied()
    good = control.current
    bad = control.publish(sections("a.example", "b.example", settings={"nonsense": 1}, targets=[
        {"id": "tg-a", "agent": "ag-a"}]))
    refused = control.wait("refused", version=bad["document"]["version"])
    assert "nonsense" in refused["reason"], refused
    serves(gate, "a.example")
    misses(gate, "b.example")
    control.current = good
    gate = again(t, gate)  # what is stored is the one that was in force
    serves(gate, "a.example")
    misses(gate, "b.example")


def story_hostile_bytes_end_a_connection_and_nothing_else(t):
    control, gate = serving(t, "a.example")
    for harm in (lambda c: c.raw(os.urandom(300)),                      # no frames at all
                 lambda c: c.write(2, b"binary"),                       # not text
                 lambda c: c.write(1, b"\xff\xfe"),                     # no UTF-8
                 lambda c: c.write(1, b"", size=1 << 40),               # larger than any message
                 lambda c: c.raw(b"\x81\x05hel"),                       # cut in a message
                 lambda c: c.cut()):
        channel = control.wait_open()
        count = len(control.channels)
        harm(channel)
        channel.cut()
        comes(control, count)
        own_goes_on(gate)
    for text in ("no JSON", "{}", "[]", '{"type":"dance"}', '{"type":"welcome","epoch":-1}', '{"type":"change"}',
                 '{"type":"document"}', '{"type":"certificate","certificate":"x","authority":"y"}'):
        control.wait_open().say(text)
    serves(gate, "a.example")
    control.publish(sections("a.example", "b.example"))
    serves(gate, "b.example")


def story_a_lease_ends_and_is_renewed(t):
    control = Control(t)
    gate = joined(t, control)
    control.publish(sections("a.example"), lease=4)
    serves(gate, "a.example")
    eventually(lambda: code(gate, "a.example") == "lease_expired", 20, lambda: f"still {code(gate, 'a.example')}")
    own_goes_on(gate)
    said(gate, "lease_expired")
    control.current = control.document(sections("a.example"))  # the same version, issued anew
    control.say(control.current)
    serves(gate, "a.example")


def story_a_gateway_that_is_gone_serves_its_own_only(t):
    control, gate = serving(t, "a.example")
    count = len(control.channels)
    control.say({"type": "gone", "reason": "removed"})
    misses(gate, "a.example")
    own_goes_on(gate)
    said(gate, "node_gone")
    gate = again(t, gate)
    misses(gate, "a.example")
    own_goes_on(gate)
    same(len(control.channels), count, "it came back although it was told to go")


def story_a_join_waits_for_approval(t):
    control = Control(t)
    control.is_pending = True
    gate = t.gateway(options=["--join", control.token_url], routes=OWN)
    said(gate, "join_waits")
    own_goes_on(gate)
    gate = again(t, gate)  # goes on waiting, without the token
    same([r for r in control.requests if r[1] == "/api/v1/join"], [("POST", "/api/v1/join")])
    control.is_pending = False
    control.wait_open(60)
    control.publish(sections("a.example"))
    serves(gate, "a.example")


def story_nobody_else_gets_the_token(t):
    control = Control(t)
    other = control.token_url.replace(control.fingerprint[:32], "00" * 16)
    gate = t.gateway(options=["--join", other], routes=OWN)
    waits = said(gate, "join_waits")
    assert "authority" in waits["reason"], waits
    own_goes_on(gate)
    same(control.requests, [])


def story_a_used_up_token_is_said(t):
    control = Control(t)
    control_secret, control.secret = control.secret, "skauth-another"
    gate = t.gateway(options=["--join", control.token_url], routes=OWN)
    refused = said(gate, "join_refused")
    assert "unknown" in refused["reason"], refused
    own_goes_on(gate)
    assert control_secret not in proc_arguments(gate.pid), "the token stands in the process's arguments"


def proc_arguments(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as f:
        return f.read().decode(errors="replace")


def story_the_process_that_speaks_with_control_may_die(t):
    control, gate = serving(t, "a.example")
    count = len(control.channels)
    sockets = [p for p in proc.tree(gate.pid) if p != gate.pid and
               control_port_in(p, control.port)]
    same(len(sockets), 1, "processes that are connected to control")
    os.kill(sockets[0], signal.SIGKILL)
    comes(control, count)
    serves(gate, "a.example")
    control.publish(sections("b.example"))
    serves(gate, "b.example")


def control_port_in(pid, port):
    """Whether that process has a connection to the port."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            inodes.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            pass
    with open(f"/proc/{pid}/net/tcp") as f:
        for line in f.readlines()[1:]:
            parts = line.split()
            if parts[2].endswith(f":{port:04X}") and parts[3] == "01" and f"socket:[{parts[9]}]" in inodes:
                return True
    return False


def story_config_show_has_what_control_published(t):
    control, gate = serving(t, "a.example")
    done = t.sekisho_run("config", "show", "--config", gate.config_path)
    same(done.returncode, 0, done.stderr)
    assert "a.example" in done.stdout and "own.example" in done.stdout, done.stdout[-2000:]


def story_a_new_program_goes_on_where_the_old_one_was(t):
    control, gate = serving(t, "a.example")
    control.wait_applied()
    line = Line(gate)
    count = len(control.channels)
    same(line.upgrade()["event"], "upgrade_done")
    serves(gate, "a.example", 1)
    channel = comes(control, count)
    same(channel.hello["have"]["hash"], control.current["hash"])
    control.publish(sections("b.example"))
    serves(gate, "b.example")
    same(len(control.open()), 1, "connections of one gateway")
    line.end()


def without_file(t, *args):
    """A gateway of this machine that no file tells anything."""
    home = t.folder / "nobody"
    home.mkdir(exist_ok=True)
    env = {k: v for k, v in t.env.items() if k not in ("SEKISHO_CONFIG", "XDG_CONFIG_HOME")}
    log = open(home / "gateway.log", "w")
    return subprocess.Popen([str(t.sekisho), "gateway", *args], cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                            env={**env, "HOME": str(home), "SEKISHO_STATE": str(home / "state")}), home / "gateway.log"


def https_status(port, host):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with context.wrap_socket(socket.create_connection(("127.0.0.1", port), 5), server_hostname=host) as c:
            c.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            return int(c.recv(4096).split()[1])
    except (OSError, IndexError):
        return None


def story_a_gateway_without_a_file_serves_what_control_says(t):
    control, port = Control(t), free_port()
    control.sections = {}
    gate, log = without_file(t, "--join", control.token_url, "--listen", f"127.0.0.1:{port}")
    try:
        control.wait_open()
        same(gate.poll(), None)  # nothing to serve yet: it waits
        control.publish(sections("a.example"))
        eventually(lambda: https_status(port, "a.example") == 503, 20, log.read_text)
        eventually(lambda: any(m["type"] == "report" and m.get("addresses") == [f"127.0.0.1:{port}"] for m in control.messages), 15,
                   "agents are not told where it is")
    finally:
        gate.send_signal(signal.SIGTERM)
        same(gate.wait(30), 0)


def story_a_gateway_without_a_file_that_is_refused_says_so_and_ends(t):
    control = Control(t)
    url = control.token_url
    gate, log = without_file(t, "--join", ("A" if url[10] != "A" else "B").join((url[:10], url[11:])))
    same(gate.wait(30), 1)
    text = log.read_text()
    assert "join_refused" in text and "nothing was started" in text, text
