"""The access log: its forms and places, its rotation, and what strangers can make of it."""

import json
import re
import signal
import socket

from lib import wire
from lib.patience import PATIENCE
from lib.stage import eventually, same

COMBINED = re.compile(rb'^(\S+) - (\S+) \[(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000)\] "([^"]*)" (\d{3}) (\d+) "([^"]*)" "([^"]*)"$')


def lines_of(path, count, seconds=5):
    """The file's lines, once there are so many."""
    return eventually(lambda: path.exists() and (found := path.read_bytes().splitlines()) and len(found) >= count and found, seconds,
                      f"{path} has not {count} lines")


def story_combined_lines_survive_every_byte(t):
    path = t.folder / "access"
    gate = t.proxy(t.sample(), log={"access": str(path), "accessFormat": "combined"})
    gate.get("/bytes/10?token=q-secret", {"User-Agent": 'a"b\\c', "Referer": "https://r.example/x?r-secret"}, token=False)
    line = lines_of(path, 1)[0]
    found = COMBINED.match(line)
    assert found, line
    same((found[1], found[4], found[5], found[6], found[7], found[8]),
         (b"127.0.0.1", b"GET /bytes/10 HTTP/1.1", b"200", b"10", b"https://r.example/x", b"a\\x22b\\x5Cc"))
    sent = 0
    for byte in range(1, 256):
        with gate.conn() as c:
            try:
                c.send(b"GET /bytes/1 HTTP/1.1\r\nHost: x\r\nUser-Agent: a" + bytes([byte]) + b"b\r\nReferer: \"\\"
                       + bytes([byte]) + b"\r\n\r\n").answer()
                sent += 1
            except wire.Lost:
                pass
    for line in lines_of(path, sent + 1):
        assert COMBINED.match(line) and not any(b < 32 or b > 126 for b in line), line


def story_the_journal_gets_each_line(t):
    path = str(t.folder / "journal")
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)  # a stand-in for systemd-journald's socket
    journal.bind(path)
    journal.settimeout(PATIENCE)
    gate = t.proxy(t.sample(), log={"access": f"journal:{path}"})
    gate.get("/bytes/10", token=False)
    fields = dict(line.split(b"=", 1) for line in journal.recv(1 << 17).splitlines())
    same((fields[b"PRIORITY"], fields[b"SYSLOG_IDENTIFIER"]), (b"6", b"sekisho"))
    same(json.loads(fields[b"MESSAGE"])["path"], "/bytes/10")
    journal.close()  # gone: requests are served all the same, and the loss is counted
    same(gate.get("/bytes/10", token=False).status, 200)
    eventually(lambda: gate.metrics().get('sekisho_log_dropped_total{log="access",reason="full"}'), 5, "no loss was counted")


def story_a_rotated_log_is_opened_anew(t):
    path, old = t.folder / "access", t.folder / "access.1"
    gate = t.proxy(t.sample(), log={"access": str(path)})
    gate.get("/bytes/1", token=False)
    lines_of(path, 1)
    path.rename(old)
    gate.get("/bytes/2", token=False)
    lines_of(old, 2)
    gate.signal(signal.SIGUSR1)
    eventually(path.exists, 5, "the log was not opened anew")
    eventually(lambda: any(x.get("event") == "access_log_reopened" for x in gate.lines()), 5, "no word of it")

    def all_are_new():
        gate.get("/bytes/3", token=False)
        return b"/bytes/3" in path.read_bytes()

    eventually(all_are_new, 5, "lines still go to the old file")
    before = len(old.read_bytes().splitlines())
    for _ in range(20):
        gate.get("/bytes/4", token=False)
    eventually(lambda: path.read_bytes().count(b"/bytes/4") == 20, 5, "lines are missing")
    same(len(old.read_bytes().splitlines()), before)


def story_strangers_cannot_fill_the_log(t):
    gate = t.gateway(gateway={"workers": 1}, upstreams={"app": {"targets": [t.sample().url]}},
                     routes=[{"path": "/", "upstream": "app"}], log={"refusedLines": "5/h"})
    for i in range(40):
        same(gate.get("/x", token=False).status, 401)
        with gate.conn() as c:
            same(c.send("BAD\r\n\r\n").answer().status, 400)
    for _ in range(10):
        same(gate.get("/bytes/1").status, 200)  # who has a token is always written down
    eventually(lambda: sum(x["status"] == 200 for x in gate.access_log()) == 10, 5, "lines of good requests are missing")
    same(sum(x["status"] in (400, 401) for x in gate.access_log()), 5)
    gate.counted('sekisho_log_dropped_total{log="access",reason="rate"}', 75)
    gate.counted('sekisho_refused_total{reason="token_missing"}', 40)


def story_no_form_of_the_log_has_a_canary(t):
    """Secrets in every place a request has for them; t.end() looks into every log for them."""
    secret = t.secret("canary")
    model = t.sample()
    for form in ("json", "combined"):
        gate = t.gateway(upstreams={"app": {"targets": [model.url]}}, routes=[{"path": "/", "upstream": "app"}],
                         log={"level": "debug", "accessFormat": form, "access": str(t.folder / f"{form}.log")})
        fields = {"Cookie": f"s={secret}", "X-Api": secret, "Referer": f"http://x/?k={secret}", "Proxy-Authorization": f"Basic {secret}",
                  "Sec-WebSocket-Protocol": secret, "X-Forwarded-For": secret, "Forwarded": f"for={secret}"}
        for token in (True, secret, False):
            gate.post(f"/echo?token={secret}&x", secret, fields, token=token)
            gate.get(f"/a/../?{secret}", fields, token=token)
            gate.get(f"/%zz?{secret}", fields, token=token)
        with gate.conn() as c:
            c.send(f"GET / HTTP/1.1\r\nHost: x\r\nX-Key {secret}\r\n\r\n").answer()
        with gate.conn() as c:
            c.send(f"POST /echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {t.token}\r\nTransfer-Encoding: chunked\r\n\r\n"
                   f"5\r\n{secret}\r\n").to_end()
        with gate.conn() as c:
            c.send(f"GET / HTTP/1.1\r\nHost: {secret}@x\r\n\r\n").answer()
        assert secret.encode() not in wire.get(gate.admin, "/metrics").body
        gate.stop()
        assert (t.folder / f"{form}.log").read_bytes().count(b"\n") >= 10
