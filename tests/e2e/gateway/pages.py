"""What callers see when the gateway itself has to say no: JSON for programs, a page for browsers; and maintenance."""

import subprocess

from lib import wire
from lib.stage import free_port, same
from lib.upstream import ok

ONE = {"workers": 1}
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def story_programs_get_json_and_browsers_a_page(t):
    up = t.upstream(lambda peer, request: peer.send(ok("here")))
    gate = t.gateway(gateway=ONE, upstreams={"app": {"targets": [up.url]}},
                     routes=[{"path": "/here", "upstream": "app", "access": "public"}])
    for path, status, token in (("/nothing", 404, False), ("/v1/chat", 404, False)):
        a = gate.get(path, token=token)
        same((a.status, a.get("Content-Type")), (status, "application/json"))
        same(a.json["error"]["type"], "not_found")
        a = gate.get(path, BROWSER, token=token)
        same((a.status, a.get("Content-Type"), a.get("X-Content-Type-Options")), (status, "text/html; charset=utf-8", "nosniff"))
        assert "default-src 'none'" in a.get("Content-Security-Policy")
        assert a.text.startswith("<!doctype html>") and "404 Not Found" in a.text, a.text
        assert a.get("X-Sekisho-Request-Id") in a.text
    a = wire.ask(gate.port, "HEAD", "/nothing", BROWSER)
    same((a.status, a.body), (404, b""))
    # An API of ours speaks its own language, whoever asks.
    same(gate.post("/v1/chat/completions", "{}", BROWSER, token=False).get("Content-Type"), "application/json")
    same(gate.get("/here", BROWSER, token=False).text, "here")


def story_the_operator_has_pages_of_their_own(t):
    folder = t.folder / "pages"
    folder.mkdir()
    (folder / "404.html").write_text("<p>Nothing at {path} of {host}: {status} {reason}</p>")
    (folder / "any.html").write_text("<style>p{color:red}</style><p>{message}</p>{request_id}")
    gate = t.gateway(gateway={**ONE, "errorPages": [{"status": "404", "file": str(folder / "404.html")},
                                                    {"file": str(folder / "any.html")}]},
                     upstreams={"app": {"targets": [f"http://127.0.0.1:{free_port()}"]}},
                     routes=[{"path": "/down", "upstream": "app", "access": "public"}])
    a = wire.get(gate.port, "/a%3Cscript%3E'b", BROWSER, host="evil.example")
    same(a.status, 404)
    same(a.text, "<p>Nothing at /a%3Cscript%3E&#39;b of evil.example: 404 Not Found</p>")
    a = gate.get("/down", BROWSER, token=False)
    assert a.status in (502, 503) and a.text.startswith("<style>p{color:red}</style><p>The upstream"), a
    assert a.get("Content-Security-Policy") is None
    # Files are read when the configuration is: a page that is gone is a refused reload.
    (folder / "404.html").unlink()
    same(gate.reload()["event"], "config_reload_refused")
    same(wire.get(gate.port, "/x", BROWSER).text.startswith("<p>Nothing at /x"), True)


def story_maintenance_of_a_route_and_of_all(t):
    up = t.upstream(lambda peer, request: peer.send(ok("here")))
    gate = t.gateway(gateway=ONE, upstreams={"app": {"targets": [up.url], "protocol": "h1"}}, routes=[
        {"path": "/shop", "upstream": "app"},
        {"path": "/blog", "upstream": "app", "access": "public"}])
    same(gate.get("/shop").text, "here")
    config = gate.config
    config["routes"][0]["maintenance"] = True
    same(gate.reload(config)["event"], "config_applied")
    a = gate.get("/shop", BROWSER, token=False)  # nobody is asked for a token first
    same((a.status, a.get("Retry-After"), a.get("Content-Type")), (503, "60", "text/html; charset=utf-8"))
    a = gate.get("/shop")
    same((a.status, a.json["error"]["type"]), (503, "unavailable"))
    same(gate.get("/blog", token=False).text, "here")
    gate.counted('sekisho_refused_total{reason="maintenance"}', 2)

    config["gateway"]["maintenance"] = True
    gate.reload(config)
    same([gate.get(path).status for path in ("/shop", "/blog", "/v1/models", "/health")], [503, 503, 503, 200])
    asked = len(up.requests)
    config["gateway"]["maintenance"] = config["routes"][0]["maintenance"] = False
    gate.reload(config)
    same([gate.get(path).text for path in ("/shop", "/blog")], ["here", "here"])
    same(len(up.requests), asked + 2)


def story_curl_sees_what_it_asks_for(t):
    gate = t.gateway(gateway=ONE)
    url = f"http://127.0.0.1:{gate.port}/none"
    out = subprocess.run(["curl", "-sS", "-w", "%{http_code} %{content_type}", "-o", "/dev/null", url], capture_output=True, text=True)
    same(out.stdout, "404 application/json")
    out = subprocess.run(["curl", "-sS", "-H", "Accept: text/html", "-w", "%{http_code} %{content_type}", "-o", "/dev/null", url],
                         capture_output=True, text=True)
    same(out.stdout, "404 text/html; charset=utf-8")
