"""`sekisho connect` against a scripted gateway: each way in, each way it can fail, each with its own end and advice."""

import json
import os
import pty
import re
import subprocess

from lib.stage import free_port, same

ERROR = '{"error":{"type":"%s","message":"%s","request_id":"r1"}}'


def reply(status, body="{}", fields=""):
    return (f"HTTP/1.1 {status} Word\r\nContent-Type: application/json\r\nContent-Length: {len(body.encode())}\r\n{fields}\r\n"
            f"{body}").encode()


def gateway(t, token, models=("m-1", "m-2"), closed=401, chat=None, health=200, **more):
    """Answers as our gateway does; `chat` and the like change one answer."""

    def script(peer, request):
        path, sent = request.target.split("?")[0], request.get("authorization")
        if path == "/health":
            peer.send(reply(health, '{"status":"ok"}'))
        elif sent is None and closed != 200:
            peer.send(reply(closed, ERROR % ("authentication_error", "a token is needed")))
        elif sent is not None and sent != f"Bearer {token}":
            peer.send(reply(401, ERROR % ("authentication_error", "unknown token")))
        elif path == "/v1/models":
            peer.send(reply(200, json.dumps({"object": "list", "data": [{"id": m, "object": "model"} for m in models]})))
        elif path == "/api/v1/chat":
            asked = json.loads(request.body)
            peer.send(chat or reply(200, json.dumps({"response": f"You said: {asked['message']} (\x1b[31m)", "session_id": asked["session_id"],
                                                     "model_used": asked["model"]})))
        else:
            peer.send(reply(404, ERROR % ("not_found", "no such path")))

    return t.upstream(script, **more)


def connect(t, where, *args, code=0, token=None, env=None, **more):
    env = {**(env or {}), **({"SEKISHO_TOKEN": token} if token else {})}
    done = t.sekisho_run("connect", where, *args, env=env, **more)
    same(done.returncode, code, done.stdout + done.stderr)
    return done


def steps(text):
    return [(m[1], m[0]) for m in re.findall(r"^  (ok|no)\s+(no token|\w+)\s+\d+\.\d ms", text, re.M)]


ALL = ["name", "TCP", "health", "no token", "token", "chat"]


def story_all_is_well(t):
    gate = gateway(t, t.token)
    done = connect(t, f"127.0.0.1:{gate.port}", token=t.token)
    same(steps(done.stdout), [(s, "ok") for s in ALL])
    assert "You said: Hello from sekisho connect!" in done.stdout
    assert "\x1b" not in done.stdout, "what a model says does not steer a terminal"
    assert f"export SEKISHO_SERVER=http://127.0.0.1:{gate.port}\n" in done.stdout
    assert t.token not in done.stdout + done.stderr, "the reader has it in the environment already"
    same([r.get("host") for r in gate.requests], [f"127.0.0.1:{gate.port}"] * 4)
    same(json.loads(gate.requests[-1].body)["model"], "m-1")
    same(len(gate.peers), 1, "connections")


def story_json_for_programs(t):
    gate = gateway(t, t.token)
    done = json.loads(connect(t, f"http://localhost:{gate.port}/", "--json", "--model", "m-2", "--message", 'say "x"', token=t.token).stdout)
    same((done["ok"], done["exit"], [s["step"] for s in done["steps"]], done["model"]), (True, 0, ALL, "m-2"))
    same(json.loads(gate.requests[-1].body)["message"], 'say "x"')
    failed = json.loads(connect(t, f"127.0.0.1:{gate.port}", "--json", token="sk-wrong", code=3).stdout)
    same((failed["ok"], failed["exit"], failed["steps"][-1]["ok"]), (False, 3, False))
    assert failed["advice"]


def story_where_the_token_comes_from(t):
    gate = gateway(t, t.token)
    where = f"127.0.0.1:{gate.port}"
    assert f"export SEKISHO_TOKEN={t.token}" in connect(t, where, "--token", t.token, env={"SEKISHO_TOKEN": "sk-other"}).stdout
    connect(t, where, code=3)
    path = t.folder / "sekisho.json"
    path.write_text(json.dumps({"gateway": {"apiTokens": [t.token]}}))
    path.chmod(0o600)
    assert "the token is that of sekisho.json" in connect(t, where).stderr
    path.write_text(json.dumps({"gateway": {"apiTokens": [{"sha256": "0" * 64}]}}))
    assert "there is no token" in connect(t, where, code=3).stderr


def story_a_typed_token_does_not_show(t):
    gate = gateway(t, t.token)
    master, slave = pty.openpty()
    child = subprocess.Popen([str(t.sekisho), "connect", f"127.0.0.1:{gate.port}"], stdin=slave, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, env={**t.env, "TERM": "xterm"})
    os.close(slave)
    same(child.stderr.read(19), b"token (not shown): ")
    os.write(master, t.token.encode() + b"\n")
    out, _ = child.communicate(timeout=60)
    same(child.returncode, 0, out.decode())
    os.set_blocking(master, False)
    try:
        echoed = os.read(master, 1000)
    except (BlockingIOError, OSError):
        echoed = b""
    os.close(master)
    assert t.token.encode() not in echoed


def story_the_token_leaves_the_command_line(t):
    gate = t.upstream(on_connect=lambda peer: peer.wait_closed(60))
    program = t.start("connect", [t.sekisho, "connect", f"127.0.0.1:{gate.port}", "--token", t.token])
    gate.wait_peer()
    with open(f"/proc/{program.pid}/cmdline", "rb") as f:
        assert t.token.encode() not in f.read()
    program.kill()


def story_nobody_listens(t):
    port = free_port()
    done = connect(t, f"127.0.0.1:{port}", token=t.token, code=6)
    same(steps(done.stdout), [("name", "ok"), ("TCP", "no")])
    assert f"nothing listens on port {port}" in done.stdout


def story_no_such_name(t):
    done = t.sekisho_run("connect", "nobody.invalid", env={"SEKISHO_TOKEN": t.token})
    assert done.returncode in (4, 6), done.stdout  # 6: no name server can be asked on this machine
    same(steps(done.stdout), [("name", "no")])
    for wrong in ("http://", "a b", "http://a:b:c", "http://x/y"):
        connect(t, wrong, token=t.token, code=2)


def story_a_wrong_token(t):
    gate = gateway(t, t.token)
    done = connect(t, f"127.0.0.1:{gate.port}", token="sk-wrong", code=3)
    same(steps(done.stdout), [(s, "ok") for s in ALL[:4]] + [("token", "no")])
    assert "401: unknown token" in done.stdout and "sekisho token new" in done.stdout
    made = t.sekisho_run("token", "new").stdout.strip()
    mistyped = made[:10] + ("x" if made[10] != "x" else "y") + made[11:]
    assert "mistyped" in connect(t, f"127.0.0.1:{gate.port}", token=mistyped, code=3).stdout
    connect(t, f"127.0.0.1:{gate.port}", token="two words", code=2)


def story_a_wrong_address(t):
    gate = t.upstream(lambda peer, request: peer.send(reply(403, ERROR % ("permission_error", "address not admitted"))))
    done = connect(t, f"127.0.0.1:{gate.port}", token=t.token, code=7)
    assert "gateway.allowedIps" in done.stdout and "403: address not admitted" in done.stdout
    gate = gateway(t, t.token, closed=403)
    connect(t, f"127.0.0.1:{gate.port}", token=t.token, code=7)


def story_what_stands_behind_it_fails(t):
    gate = gateway(t, t.token, chat=reply(502, ERROR % ("upstream_error", "the provider refused")))
    done = connect(t, f"127.0.0.1:{gate.port}", token=t.token, code=1)
    same(steps(done.stdout)[-1], ("chat", "no"))
    assert "502: the provider refused" in done.stdout and "inference server" in done.stdout
    gate = gateway(t, t.token, health=503)
    connect(t, f"127.0.0.1:{gate.port}", token=t.token, code=1)
    gate = gateway(t, t.token, models=())
    assert "serves no model" in connect(t, f"127.0.0.1:{gate.port}", token=t.token, code=4).stdout
    gate = gateway(t, t.token, chat=reply(200, '{"response": ""}'))
    connect(t, f"127.0.0.1:{gate.port}", token=t.token, code=1)


def story_an_open_gateway_is_pointed_out(t):
    gate = gateway(t, t.token, closed=200)
    done = connect(t, f"127.0.0.1:{gate.port}", token=t.token)
    assert "answers without a token" in done.stdout


def story_what_is_no_gateway(t):
    for data in (b"220 mail.example ESMTP\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", b""):
        gate = t.upstream(lambda peer, request: (peer.send(data), peer.close()))
        done = connect(t, f"127.0.0.1:{gate.port}", token=t.token, code=6)
        same(steps(done.stdout)[-1], ("health", "no"))


def story_a_connection_that_is_not_kept(t):
    def script(peer, request):
        served(peer, request)
        peer.close()

    gate = gateway(t, t.token)
    served = gate.script
    gate.script = script
    connect(t, f"127.0.0.1:{gate.port}", token=t.token)
    same(len(gate.peers), 4)


def story_over_tls(t):
    authority = t.certs()
    gate = gateway(t, t.token, tls=authority.server("localhost"))
    done = connect(t, f"https://localhost:{gate.port}", "--ca", authority.cert, token=t.token)
    assert "TLSv1.3, certificate good" in done.stdout
    assert f"export SEKISHO_SERVER=https://localhost:{gate.port}\n" in done.stdout
    assert "TLS failed" in connect(t, f"https://localhost:{gate.port}", token=t.token, code=1).stdout
    assert "TLS failed" in connect(t, f"https://127.0.0.1:{gate.port}", "--ca", authority.cert, token=t.token, code=1).stdout
    assert "not checked" in connect(t, f"https://127.0.0.1:{gate.port}", "--insecure", token=t.token).stdout
    connect(t, f"http://localhost:{gate.port}", token=t.token, code=6)


def story_colours_only_where_somebody_sees_them(t):
    gate = gateway(t, t.token)
    for env, coloured in (({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        master, slave = pty.openpty()
        child = subprocess.Popen([str(t.sekisho), "connect", f"127.0.0.1:{gate.port}"], stdin=subprocess.DEVNULL, stdout=slave,
                                 stderr=slave, env={**t.env, **env, "SEKISHO_TOKEN": t.token})
        os.close(slave)
        shown = b""
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:
                break
            if not part:
                break
            shown += part
        same(child.wait(10), 0)
        os.close(master)
        same(b"\x1b[32m" in shown, coloured, env)
        assert b"\x1b[31m" not in shown, "what the model said"
