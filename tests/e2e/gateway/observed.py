"""What operators see: metrics, logs, the configuration in force; and what nobody may see in them."""

import json
import shutil
import subprocess
import time

from lib import proc, wire
from lib.stage import eventually, same, sha256, within
from lib.upstream import ok

CHAT = {"model": "sample-1", "messages": [{"role": "user", "content": "planted-prompt-word"}]}


def story_planted_secrets_are_nowhere(t):
    key, file_token, wrong = t.secret("provider"), t.secret("file"), t.secret("wrong")
    model = t.sample("--api-key", key)
    gate = t.gateway(
        providers={"home": {"kind": "openai", "baseUrl": model.url + "/v1", "apiKey": {"file": t.private_file("key", key)}}},
        upstreams={"app": {"targets": [model.url]}}, routes=[{"path": "/x/*", "upstream": "app", "stripPrefix": "/x"}],
        gateway={"apiTokens": [{"name": "story", "sha256": sha256(t.token)}, {"name": "file", "file": t.private_file("token", file_token)}]},
        log={"level": "debug"})
    for token in (True, file_token, wrong):
        gate.post("/v1/chat/completions", CHAT, token=token)
        gate.post("/v1/messages", {**CHAT, "max_tokens": 5}, token=token)
        gate.get("/x/bytes/3", token=token)
        gate.get(f"/x/bytes/3?token={wrong}", token=token)
        gate.get("/x/../y", {"Cookie": f"session={wrong}"}, token=token)
    model.set_fault("reset;path=/v1/")
    gate.post("/v1/chat/completions", CHAT)
    with gate.conn() as c:
        c.send(f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {wrong}\r\nBad Header: {wrong}\r\n\r\n").answer()
    gate.reload()
    places = [("/metrics", wire.get(gate.admin, "/metrics").body), ("/debug/config", wire.get(gate.admin, "/debug/config").body),
              ("log", gate.log.read_bytes())]
    places += proc.texts_of(gate.pid)
    for where, text in places:
        for value in t.secrets:
            assert value.encode() not in text, f"{where} has {value[:10]}... in it"
    assert b"planted-prompt-word" not in gate.log.read_bytes(), "the log has a prompt in it"
    same(wire.get(gate.admin, "/debug/config").status, 200)
    run = t.sekisho_run("config", "show", "--config", gate.config_path)
    for value in t.secrets:
        assert value not in run.stdout + run.stderr, "config show has a secret in it"


def story_each_request_has_one_line_and_one_id(t):
    gate = t.proxy(t.sample())
    a = gate.get("/bytes/10?q=1", token=False)
    line = eventually(lambda: next((x for x in gate.access_log() if "/bytes/10" in json.dumps(x)), None), 5,
                      "no line for the request")
    same(line["status"], 200)
    text = json.dumps(line)
    for word in ("127.0.0.1", "GET"):
        assert word in text, line
    ids = [v for n, v in a.fields if n.lower() == "x-request-id"]
    assert not ids or ids[0] in text, (ids, line)


def story_every_line_of_the_log_is_one_object(t):
    gate = t.proxy(t.sample())
    for byte in range(33, 256):
        with gate.conn() as c:
            try:
                c.send(b"GET /a" + bytes([byte]) + b"b HTTP/1.1\r\nHost: x\r\nUser-Agent: a" + bytes([byte]) + b"b\r\nReferer: \"\\\r\n\r\n").answer()
            except wire.Lost:
                pass
    for line in gate.log.read_bytes().splitlines():
        value = json.loads(line)
        assert isinstance(value, dict) and not any(b < 32 for b in line), line


def story_metrics_count_what_happened(t):
    gate = t.proxy(t.sample())
    before = gate.metrics()
    for _ in range(7):
        gate.get("/bytes/10", token=False)
    gate.get("/a/../b", token=False)

    def counted():
        after = gate.metrics()
        return [n for n in after if "requests_total" in n and after[n] - before.get(n, 0) == 7]

    eventually(counted, 5, "no counter of requests grew by seven")
    text = wire.get(gate.admin, "/metrics").text
    assert "# TYPE sekisho_" in text and "# HELP sekisho_" in text, text[:300]


def story_operators_pages_are_not_public(t):
    gate = t.proxy(t.sample())
    for path in ("/metrics", "/debug/config"):
        assert b"sekisho_" not in gate.get(path, token=False).body, path
    same(wire.get(gate.admin, "/ready").status, 200)
    same(wire.get(gate.admin, "/nothing").status, 404)


def story_metrics_say_where_the_time_went(t):
    def slow(peer, request):
        time.sleep(0.2)
        peer.send(ok("slow"))

    gate = t.proxy(t.upstream(slow), route={"name": "all"})
    counter = 'sekisho_requests_total{route="all",class="2xx",upstream="app"}'
    before = [0, 0, 0]

    def added_by_one():
        count = gate.metrics().get(counter, 0)
        same(gate.get("/x", token=False).status, 200)
        values = eventually(lambda: (v := gate.metrics()).get(counter) == count + 1 and v, 5, "the request was not counted")
        found = {n.split("{")[0]: v for n, v in values.items() if 'route="all"' in n and "_bucket" not in n}
        sums = [found[f"sekisho_request_{part}_seconds_sum"] for part in ("duration", "upstream", "added")]
        total, upstream, added = (now - then for now, then in zip(sums, before))
        before[:] = sums
        assert 0.2 <= upstream + 1e-6 and upstream <= total + 1e-6, found
        assert abs(total - upstream - added) < 0.0001, found
        return added

    within(0.1, added_by_one, "the gateway adds too much")
    assert gate.metrics()["sekisho_answer_bytes_total"] >= 4
    same(gate.post("/x", b"12345", token=False).status, 200)
    gate.counted("sekisho_request_bytes_total", 5)
    eventually(lambda: gate.metrics()["sekisho_upstream_connections"] >= 1, 5, "no connection is kept")


def story_metrics_count_who_broke_off_and_tls(t):
    cert, key = t.certs().issue("localhost")
    up = t.upstream(lambda peer, request: peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf") or peer.reset())
    gate = t.proxy(up, gateway={"tlsCert": str(cert), "tlsKey": str(key)})
    context = t.certs().client()
    for _ in range(2):
        with wire.Conn(gate.port, context, "localhost") as c:
            a = c.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").answer()
            same(a.ended, "cut")
    with wire.Conn(gate.port) as c:
        c.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").to_end()
    values = eventually(lambda: (v := gate.metrics()) and any("tls_failures" in n for n in v) and v, 5, "no failed handshake counted")
    same(values['sekisho_resets_total{by="upstream"}'], 2)
    same(values['sekisho_tls_handshakes_total{peer="client",version="TLSv1.3",resumed="no"}'], 2)


def story_promtool_finds_nothing_to_say(t):
    if not shutil.which("promtool"):
        t.leave_out("needs promtool (Debian package prometheus)")
    gate = t.proxy(t.sample(), t.sample())
    for path in ("/bytes/10", "/../x", "/bytes/3"):
        gate.get(path, token=False)
    page = wire.get(gate.admin, "/metrics").body
    run = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True)
    same((run.returncode, run.stdout + run.stderr), (0, b""))


OPENMETRICS = """
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    for sample in family.samples:
        print(family.type, sample.name, sorted(sample.labels.items()), sample.value)
"""


def story_a_scraper_gets_openmetrics_when_it_asks(t):
    python = "/usr/bin/python3"
    gate = t.proxy(t.sample(), t.sample(), route={"name": "all"})
    for path in ("/bytes/10", "/../x", "/bytes/3"):
        gate.get(path, token=False)
    gate.counted('sekisho_requests_total{route="all",class="2xx",upstream="app"}', 2)
    old, new = "text/plain; version=0.0.4; charset=utf-8", "application/openmetrics-text; version=1.0.0; charset=utf-8"
    prometheus = ("application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
                  "text/plain;version=0.0.4;q=0.3,*/*;q=0.2")
    for accept, form in ((None, old), ("*/*", old), ("text/plain", old), (prometheus, new), ("application/openmetrics-text", new),
                         ("application/openmetrics-text;q=0.2, text/plain", old), ("application/openmetrics-text;q=0", old)):
        a = wire.get(gate.admin, "/metrics", {"Accept": accept} if accept else {})
        same((a.status, a.get("content-type"), a.get("vary")), (200, form, "Accept"), accept)
        same(a.text.endswith("# EOF\n"), form == new, accept)
    if subprocess.run([python, "-c", "import prometheus_client.openmetrics.parser"], capture_output=True).returncode:
        t.leave_out("needs python3-prometheus-client")
    page = wire.get(gate.admin, "/metrics", {"Accept": prometheus}).body
    run = subprocess.run([python, "-c", OPENMETRICS], input=page, capture_output=True)
    same(run.returncode, 0, run.stderr.decode())
    assert b"counter sekisho_requests_total [('class', '2xx'), ('route', 'all'), ('upstream', 'app')] 2" in run.stdout, run.stdout
    plain = wire.get(gate.admin, "/metrics").text
    same(len(run.stdout.splitlines()), sum(1 for x in plain.splitlines() if not x.startswith("#")), "samples in both forms")
