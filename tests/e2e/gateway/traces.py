"""Traces: which one a request belongs to, and what a collector gets of it.

The collector is a stand-in: a scripted upstream that reads OTLP/HTTP JSON by the published mapping and refuses what is not.
"""

import json
import re
import threading
import time

from lib.stage import eventually, same
from lib.upstream import always, ok

from gateway import websocket

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def value_of(attribute):
    """One attribute's value; the mapping has 64-bit numbers as texts."""
    (kind, value), = attribute["value"].items()
    assert kind in ("stringValue", "intValue", "boolValue", "doubleValue"), attribute
    assert isinstance(value, str) if kind in ("stringValue", "intValue") else True, attribute
    return int(value) if kind == "intValue" else value


def attributes(item):
    names = [a["key"] for a in item["attributes"]]
    assert len(names) == len(set(names)), f"a key twice: {names}"
    return {a["key"]: value_of(a) for a in item["attributes"]}


def nanoseconds(text):
    assert isinstance(text, str) and re.fullmatch(r"\d{19}", text), text
    assert abs(int(text) / 1e9 - time.time()) < 60, text
    return int(text)


def span_check(span):
    unknown = set(span) - {"traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano",
                           "attributes", "status"}
    assert not unknown, unknown
    assert re.fullmatch("[0-9a-f]{32}", span["traceId"]) and re.fullmatch("[0-9a-f]{16}", span["spanId"]), span
    assert re.fullmatch("[0-9a-f]{16}", span.get("parentSpanId", "0" * 16)), span
    assert span["kind"] in (2, 3) and span["name"], span
    assert nanoseconds(span["startTimeUnixNano"]) <= nanoseconds(span["endTimeUnixNano"]), span
    assert span.get("status", {}) in ({}, {"code": 2}), span
    return {**span, "attributes": attributes(span)}


def log_check(record):
    assert set(record) <= {"timeUnixNano", "severityNumber", "severityText", "body", "traceId", "spanId"}, record
    nanoseconds(record["timeUnixNano"])
    same((record["severityNumber"], record["severityText"]), (9, "INFO"))
    return {**record, "body": json.loads(record["body"]["stringValue"])}


class Collector:
    """A stand-in for an OpenTelemetry collector."""

    def __init__(self, t):
        self.spans, self.logs, self.requests, self.wrong = [], [], [], []
        self.answers = []  # what it says next; empty: 200
        self.lock = threading.Lock()
        self.up = t.upstream(self.script)
        self.url = self.up.url

    def take(self, request):
        same(request.method, "POST")
        same(request.get("content-type"), "application/json")
        body = json.loads(request.body)
        if request.target.endswith("/v1/traces"):
            (one,), into, check = body["resourceSpans"], self.spans, span_check
            (scope,), items = one["scopeSpans"], "spans"
        else:
            same(request.target.rsplit("/v1", 1)[1], "/logs")
            (one,), into, check = body["resourceLogs"], self.logs, log_check
            (scope,), items = one["scopeLogs"], "logRecords"
        resource = attributes(one["resource"])
        assert resource["service.name"] and resource["service.instance.id"], resource
        same(scope["scope"], {"name": "sekisho.gateway"})
        into += [{**check(i), "service": resource["service.name"]} for i in scope[items]]

    def script(self, peer, request):
        with self.lock:
            self.requests.append(request)
            status = self.answers.pop(0) if self.answers else 200
            if status == 200:
                try:
                    self.take(request)
                except BaseException as e:
                    self.wrong.append(repr(e))
        peer.send(f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}")

    def wait(self, spans=0, logs=0, seconds=10):
        eventually(lambda: self.wrong or (len(self.spans) >= spans and len(self.logs) >= logs), seconds,
                   f"{len(self.spans)} spans and {len(self.logs)} logs came")
        assert not self.wrong, self.wrong[:3]
        return self.spans


def proxy(t, up, collector, route=None, **trace):
    return t.gateway(upstreams={"app": {"targets": [up.url], "protocol": "h1"}, "otel": {"targets": [collector.url], "protocol": "h1"}},
                     routes=[{"name": "all", "path": "/", "upstream": "app", "access": "public", **(route or {})}],
                     trace={"upstream": "otel", "oneIn": 1, **trace})


def story_a_request_is_two_spans(t):
    up, collector = t.upstream(always(ok("hello"))), Collector(t)
    gate = proxy(t, up, collector, service="edge-1", path="/otlp", headers={"X-Key": t.secret("collector")})
    same(gate.get('/x?secret="1"', {"User-Agent": 'a"\\\x01b'.replace("\x01", "")}, token=False).status, 200)
    ours, theirs = sorted(collector.wait(spans=2), key=lambda s: s["kind"])
    sent = up.wait_request().get("traceparent").split("-")
    same(sent, ["00", ours["traceId"], theirs["spanId"], "01"])
    same(theirs["parentSpanId"], ours["spanId"])
    assert "parentSpanId" not in ours and ours["traceId"] == theirs["traceId"] and "status" not in ours, ours
    same((ours["name"], theirs["name"], ours["service"]), ("GET all", "GET", "edge-1"))
    found = ours["attributes"]
    same((found["http.request.method"], found["url.path"], found["http.response.status_code"], found["http.route"],
          found["http.response.body.size"], found["client.address"]), ("GET", "/x", 200, "all", 5, "127.0.0.1"))
    assert "secret" not in json.dumps(collector.spans), collector.spans
    same(theirs["attributes"]["sekisho.upstream"], "app")
    same(theirs["attributes"]["server.port"], up.port)
    assert int(ours["startTimeUnixNano"]) <= int(theirs["startTimeUnixNano"]) + 1000, (ours, theirs)
    assert int(theirs["endTimeUnixNano"]) <= int(ours["endTimeUnixNano"]) + 1000, (ours, theirs)
    same(collector.requests[0].target, "/otlp/v1/traces")
    assert collector.requests[0].get("x-key").startswith("sk-collector")
    line = eventually(lambda: next((x for x in gate.access_log() if x.get("path") == "/x"), None), 5, "no line")
    same(line["trace"], ours["traceId"])
    eventually(lambda: gate.metrics().get('sekisho_exported_total{signal="traces"}') == 1, 5, "not counted")


def story_a_tunnel_keeps_its_trace_to_its_end(t):
    parents = []

    def serve(peer):
        while head := (peer.until(b"\r\n\r\n") or b"").decode():
            if head.startswith("GET /chat "):
                parents.append(re.search(r"(?i)^traceparent: (.*)\r$", head, re.M)[1].split("-"))
                peer.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          f"Sec-WebSocket-Accept: {websocket.accept_of(websocket.KEY)}\r\n\r\n")
                peer.send(peer.exactly(1))
                peer.wait_closed()
                break
            peer.send(ok())
        peer.close()

    gate = proxy(t, t.upstream(on_connect=serve), collector := Collector(t))
    with gate.conn() as c:
        same(c.send(websocket.HELLO).answer().status, 101)
        c.send(b"x")
        same(c.exactly(1), b"x")  # what only its request needed was given back
        for _ in range(3):        # and others have it now
            same(gate.get("/other", token=False).status, 200)
    line = eventually(lambda: next((x for x in gate.access_log() if x.get("path") == "/chat"), None), 5, "no line")
    same([line["trace"]], [p[1] for p in parents])
    spans = [s for s in collector.wait(spans=8) if s["traceId"] == line["trace"]]
    same(sorted(s["kind"] for s in spans), [2, 3])
    same([s["spanId"] for s in spans if s["kind"] == 3], [p[2] for p in parents])


def story_a_stranger_does_not_choose_the_trace(t):
    up, collector = t.upstream(always(ok())), Collector(t)
    gate = proxy(t, up, collector, oneIn=0)
    gate.get("/x", {"traceparent": PARENT, "tracestate": "a=1"}, token=False)
    request = up.wait_request()
    parents = request.all("traceparent")
    assert len(parents) == 1 and TRACE not in parents[0] and parents[0].endswith("-00"), parents
    same(request.all("tracestate"), [])
    time.sleep(1.5)
    same(collector.spans, [])


def story_a_trusted_route_goes_on_with_the_trace(t):
    up, collector = t.upstream(always(ok())), Collector(t)
    gate = proxy(t, up, collector, route={"trustTrace": True}, oneIn=0)
    # (why, fields, the trace goes on, its state)
    cases = [
        ("ordinary", [("traceparent", PARENT), ("tracestate", "a=1,b=2")], True, "a=1,b=2"),
        ("two fields of state", [("TraceParent", PARENT), ("tracestate", "a=1"), ("TraceState", "b=2")], True, "a=1,b=2"),
        ("state that is not valid is dropped whole", [("traceparent", PARENT), ("tracestate", "a=1,B=2")], True, None),
        ("a later version", [("traceparent", "42-" + PARENT[3:] + "-more")], True, None),
        ("not sampled stays so", [("traceparent", PARENT[:-1] + "0")], True, None),
        ("two parents are none", [("traceparent", PARENT), ("traceparent", PARENT)], False, None),
        ("capitals", [("traceparent", PARENT.upper())], False, None),
        ("zeros", [("traceparent", f"00-{'0' * 32}-{SPAN}-01")], False, None),
        ("state without a parent", [("tracestate", "a=1")], False, None),
        ("nothing", [], False, None),
    ]
    for i, (why, fields, goes_on, state) in enumerate(cases):
        same(gate.get(f"/{i}", fields, token=False).status, 200, why)
        request = up.wait_request(i + 1)
        parent, = request.all("traceparent")
        assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", parent), parent
        same(parent.split("-")[1] == TRACE, goes_on, why)
        assert SPAN not in parent, why
        same(request.get("tracestate"), state, why)
        if goes_on:
            same(parent[-1], fields[0][1][54], why)
    spans = collector.wait(spans=8)  # the four sampled ones
    same({s["traceId"] for s in spans}, {TRACE})
    same({s["parentSpanId"] for s in spans if s["kind"] == 2}, {SPAN})
    same(len({s["spanId"] for s in spans}), 8)


def story_without_tracing_the_fields_pass(t):
    up = t.upstream(always(ok()))
    gate = t.proxy(up)
    gate.get("/x", {"traceparent": "what they like", "tracestate": "A=="}, token=False)
    request = up.wait_request()
    same((request.get("traceparent"), request.get("tracestate")), ("what they like", "A=="))


def story_errors_and_refusals_are_spans_too(t):
    broken = t.upstream(lambda peer, request: peer.reset())
    collector = Collector(t)
    gate = proxy(t, broken, collector)
    same(gate.get("/x", token=False).status, 502)
    spans = collector.wait(spans=2)
    for span in spans:
        same((span["status"], span["attributes"]["error.type"]), ({"code": 2}, "upstream_unreachable"))


def story_a_collector_that_is_away_costs_nobody_anything(t):
    up, collector = t.upstream(always(ok())), Collector(t)
    gate = proxy(t, up, collector, logs=True)
    collector.answers = [503, 503, 400] + [503] * 100
    times = []
    for i in range(200):
        begin = time.monotonic()
        same(gate.get(f"/{i}", token=False).status, 200)
        times.append(time.monotonic() - begin)
    assert sorted(times)[180] < 1, sorted(times)[180]
    eventually(lambda: sum(v for n, v in gate.metrics().items() if n.startswith("sekisho_export_dropped_total")) >= 1, 15,
               "what was refused was not counted")
    collector.answers = []
    gate.get("/again", token=False)
    eventually(lambda: any(s["attributes"].get("url.path") == "/again" for s in collector.spans), 15, "it does not go on")
    collector.wait()


def story_lines_go_to_the_collector_and_the_last_ones_too(t):
    up, collector = t.upstream(always(ok())), Collector(t)
    gate = proxy(t, up, collector, logs=True, oneIn=2)
    for i in range(50):
        gate.get(f"/{i}", token=False)
    gate.stop()  # within the second in which lines gather
    collector.wait(logs=50)
    same(sorted(x["body"]["path"] for x in collector.logs), sorted(f"/{i}" for i in range(50)))
    assert all(x["traceId"] == x["body"]["trace"] for x in collector.logs)
    sampled = {s["traceId"] for s in collector.spans}
    assert 5 < len(sampled) < 45 and sampled <= {x["traceId"] for x in collector.logs}, len(sampled)


def story_a_reload_loses_no_span(t):
    up, collector = t.upstream(always(ok())), Collector(t)
    gate = proxy(t, up, collector)
    for i in range(20):
        gate.get(f"/{i}", token=False)
        if i % 5 == 4:
            gate.reload()
    collector.wait(spans=40)
    same(len({s["spanId"] for s in collector.spans}), 40)
