"""The API by its own description: every route, every role, somebody else's objects, and everything a body can have wrong."""

import http.client
import json
import os
import re
import socket

from lib import h2_client
from lib.control_role import Control, unverified
from lib.stage import eventually, same

ROLES = {"read": ["read"], "services": ["services"], "nodes": ["nodes"], "audit": ["audit"], "owner": ["admin"], "visitor": ["use"]}


def sample_body(operation):
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    return None if schema is None else {}


def story_every_route_and_role_and_foreign_object(t, seconds=120):
    """T13: nobody without a scope gets a 2xx, and an id that is none of ours is a 404 for who may ask."""
    control = Control(t).claim()
    keys = {role: control.new_key(f"role-{role}", *scopes) for role, scopes in ROLES.items()}
    api = control.get("/openapi.json")
    checked = 0
    for path, methods in api["paths"].items():
        if path in ("/owner", "/events") or "servers" in methods:  # what stands elsewhere is off here: control/dispatch.py
            continue
        for method, operation in methods.items():
            place = re.sub(r"\{\w+\}", "sv-aaaaaaaaaaaaaaaa", path)
            body = sample_body(operation)
            same(control.ask(method.upper(), place, body, key=None).status, 401, (method, path))
            for role, scopes in ROLES.items():
                if role == "visitor":
                    continue
                a = control.ask(method.upper(), place, body, key=keys[role])
                may = not operation["x-sekisho-scopes"] or set(scopes) & set(operation["x-sekisho-scopes"])
                if not may:
                    same(a.status, 403, (method, path, role, a))
                elif "{" in path:
                    assert a.status in (400, 404), (method, path, role, a)
                elif method == "get":
                    same(a.status, 200, (method, path, role, a))
                else:
                    assert a.status in (200, 201, 400), (method, path, role, a)
                if a.status >= 400:
                    same(set(a.json["error"]), {"type", "message", "request_id"})
                checked += 1
    assert checked > 150, checked
    same(control.ask("GET", "/status", key=keys["visitor"]).status, 401)  # what opens services opens nothing here
    # Ids of one kind are none of another's.
    token = control.made("/join-tokens", {"kind": "agent"})
    same(control.ask("GET", f"/services/{token['id']}").status, 404)
    same(control.ask("GET", "/join-tokens/" + token["id"].replace("jt-", "sv-")).status, 404)
    # A method a path has not, a path nobody has.
    same(control.ask("PUT", "/services").status, 405)
    same(control.ask("GET", "/servces").status, 404)


def story_bodies_are_strict(t):
    control = Control(t).claim()
    control.node("agent", "home")
    good = {"name": "app", "hosts": ["app.example.com"], "targets": [{"agent": "home", "url": "http://localhost:8080"}]}
    cases = [
        ("unknown member", {**good, "hots": []}, "hosts"),
        ("unknown in a target", {**good, "targets": [{"agent": "home", "ulr": "x"}]}, "url"),
        ("the id of the row", {**good, "id": "sv-x"}, "id"),
        ("another's organisation", {**good, "org": 2}, "org"),
        ("a name that is none", {**good, "name": "App!"}, "name"),
        ("a host that is none", {**good, "hosts": ["a b"]}, "a b"),
        ("one of ours", {**good, "hosts": ["link.sekisho.internal"]}, "link.sekisho.internal"),
        ("no host", {**good, "hosts": []}, "hosts"),
        ("an agent nobody knows", {**good, "targets": [{"agent": "away", "url": "http://localhost:1"}]}, "away"),
        ("a target with a path", {**good, "targets": [{"agent": "home", "url": "http://localhost:1/x"}]}, "url"),
        ("a target of another kind", {**good, "targets": [{"agent": "home", "url": "tcp://localhost:1"}]}, "tcp://"),
        ("tcp without a port", {"name": "ssh", "kind": "tcp"}, "listen"),
        ("a prefix that is none", {**good, "access": {"allowed_ips": ["10.0.0.0/33"]}}, "10.0.0.0/33"),
    ]
    for why, body, word in cases:
        a = control.ask("POST", "/services", body)
        same(a.status, 400, (why, a))
        assert word in a.json["error"]["message"], (why, a)
    for why, raw in [("no JSON", "{"), ("two keys", '{"name":"a","name":"b"}'), ("a NUL", '{"name":"a\\u0000"}'), ("no object", "[]"),
                     ("deep", "[" * 1000 + "]" * 1000)]:
        same(control.ask("POST", "/services", raw=raw).status, 400, why)
    same(control.ask("POST", "/services", raw="x" * 300000).status, 413)
    same(control.ask("POST", "/services", raw="{}", headers={"Content-Type": "text/plain"}).status, 415)
    same(control.get("/services")["items"], [])  # nothing of it was done
    control.made("/services", good)
    same(control.ask("POST", "/services", {**good, "name": "two"}).status, 409)  # the same name and path
    same(control.ask("POST", "/services", {**good, "hosts": ["b.example.com"]}).status, 409)  # the same name
    for text in ("'", '"', "'; DROP TABLE nodes; --", "\\", "%", "\u202e", "é", "x" * 200):  # T14
        a = control.ask("POST", "/join-tokens", {"kind": "agent", "label": text})
        assert a.status in (201, 400), a
        if a.status == 201:
            same(control.get(f"/join-tokens/{a.json['id']}")["label"], text)
        control.ask("GET", "/audit", headers={"X-Forwarded-For": text.encode("utf-8", "replace").decode("latin-1")})


def story_a_body_that_is_refused_at_once_over_http2(t):
    """Head and body in one piece, as curl sends them, and the answer is there before the body was given whole: nobody's key is needed for it."""
    control = Control(t).claim()
    asks = (
        ("a form", [("content-type", "application/x-www-form-urlencoded")], b"{}", 415),
        ("no type", [], b"{}", 415),
        ("no key", [("content-type", "application/json")], b"{}", 401),
        ("no JSON", [("content-type", "application/json"), ("authorization", f"Bearer {control.key}")], b"{", 400),
        ("large", [("content-type", "application/json")], b"[" + b"1," * 5000 + b"1]", 401),
    )
    for stop in (True, False):  # each on a connection of its own, and all on one
        c = None
        for n, (why, more, body, status) in enumerate(asks):
            if not c or stop:
                c, n = h2_client.Conn(control.port, context=unverified()), 0 if stop else n
            fields = [f if f[0] != ":scheme" else (":scheme", "https") for f in h2_client.request("/api/v1/services", "POST", "localhost", more)]
            c.send(h2_client.frame(h2_client.HEADERS, h2_client.END_HEADERS, 2 * n + 1, h2_client.block(fields)) +
                   h2_client.frame(h2_client.DATA, h2_client.END_STREAM, 2 * n + 1, body))
            same(c.end_of(2 * n + 1)[:2], ("answer", status), why)
    same(control.get("/services")["items"], [])


def story_pages_tags_and_repeats(t):
    control = Control(t).claim()
    ids = [control.made("/join-tokens", {"kind": "agent", "label": str(i)})["id"] for i in range(7)]
    found, after = [], ""
    while True:
        page = control.get(f"/join-tokens?limit=3{after}")
        found += [x["id"] for x in page["items"]]
        if not page["next"]:
            break
        after = f"&after={page['next']}"
    same(found, ids)
    for bad in ("limit=0", "limit=x", "limit=1001", "after=x"):
        same(control.ask("GET", f"/join-tokens?{bad}").status, 400, bad)
    # ETag, If-Match.
    made = control.ask("POST", "/services", {"name": "app", "hosts": ["app.example.com"]})
    place, tag = f"/services/{made.json['id']}", made.headers["etag"]
    same(made.headers["location"], "/api/v1" + place)
    second = control.ask("PATCH", place, {"hosts": ["b.example.com"]}, headers={"If-Match": tag})
    same(second.status, 200)
    assert second.headers["etag"] != tag
    same(control.ask("PATCH", place, {"hosts": ["c.example.com"]}, headers={"If-Match": tag}).status, 412)
    same(control.ask("DELETE", place, headers={"If-Match": tag}).status, 412)
    same(control.get(place)["hosts"], ["b.example.com"])
    # The same request again: one effect, one answer, the secret too.
    body, again = {"kind": "agent", "label": "once"}, {"Idempotency-Key": "k-1"}
    one, two = control.ask("POST", "/join-tokens", body, headers=again), control.ask("POST", "/join-tokens", body, headers=again)
    t.secrets.append(one.json["token"].split("@")[0])
    same((one.status, two.status, one.json), (201, 201, two.json))
    same(two.headers["idempotency-replayed"], "true")
    same(control.ask("POST", "/join-tokens", {"kind": "gateway"}, headers=again).status, 422)
    same(len(control.get("/join-tokens?limit=100")["items"]), 8)
    blob = b"".join(p.read_bytes() for p in (t.folder / "control-state").glob("control.db*"))
    assert one.json["token"].split(".")[0].encode() not in blob
    # The last key that may do everything stays.
    me = control.get("/me")["id"]
    same(control.ask("DELETE", f"/api-keys/{me}").status, 409)
    control.new_key("second", "admin")
    same(control.ask("DELETE", f"/api-keys/{me}").status, 204)
    same(control.ask("GET", "/me").status, 401)  # at once


def story_guessing_is_bounded(t):
    control = Control(t).claim()
    statuses = [control.ask("GET", "/me", key="skapi-" + f"{i:043d}").status for i in range(40)]
    assert statuses[0] == 401 and statuses[-1] == 429, statuses
    same(control.ask("GET", "/me").status, 200)  # the right key always passes


def story_changes_are_streamed(t):
    control = Control(t).claim()
    connection = http.client.HTTPSConnection("127.0.0.1", control.port, context=unverified(), timeout=60)
    connection.request("GET", "/api/v1/events", headers={"Authorization": f"Bearer {control.key}"})
    response = connection.getresponse()
    same(response.getheader("content-type"), "text/event-stream")
    same(response.readline(), b": hello\n")
    eventually(lambda: True, 1, "")
    import time
    time.sleep(0.5)
    made = control.made("/services", {"name": "app", "hosts": ["app.example.com"]})
    seen = []
    while True:
        line = response.readline().decode().strip()
        if line.startswith("data: "):
            seen.append(json.loads(line[6:]))
            if seen[-1].get("object") == f"services/{made['id']}":
                break
    same(seen[-1]["operation"], "add")
    same(control.ask("GET", "/events", key=None).status, 401)
    connection.close()


def story_a_backup_is_recorded(t):
    control = Control(t).claim()
    made = control.made("/store/backup", {})
    assert os.path.getsize(made["path"]) == made["bytes"] > 0
    (record,) = control.get("/audit?action=store.backup")["items"]
    same(record["actor"][:4], "key/")
    assert made["path"] in json.dumps(record["detail"]), record
    assert control.ask("POST", "/store/backup", {}, key=control.new_key("reader", "read")).status == 403
    same(len(control.get("/audit?action=store.backup")["items"]), 1)
    # Whoever does not wait for the answer is in the trail all the same.
    asked = socket.create_connection(("127.0.0.1", control.port))
    secure = unverified().wrap_socket(asked)
    secure.sendall(f"POST /api/v1/store/backup HTTP/1.1\r\nHost: c\r\nAuthorization: Bearer {control.key}\r\nContent-Length: 0\r\n\r\n".encode())
    eventually(lambda: len(list(control.state.glob("control-*.db"))) == 2, 20, "no backup")
    secure.close()
    eventually(lambda: len(control.get("/audit?action=store.backup")["items"]) == 2, 20, "a backup without a record")
