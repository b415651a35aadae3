"""HTTP/2 from clients: curl and nghttp as they come, over TLS and in the clear, to an HTTP/1.1 upstream."""

import random
import subprocess

from lib.stage import free_port, merge, same
from lib.upstream import ok


def curl(t, *args, seconds=20):
    done = subprocess.run(["curl", "-sS", "--max-time", str(seconds), *map(str, args)], capture_output=True, timeout=seconds + 5)
    same(done.returncode, 0, done.stderr.decode())
    return done.stdout


def story_curl_in_the_clear(t):
    gate = t.proxy(t.sample())
    same(curl(t, "--http2-prior-knowledge", "-o", t.folder / "body", "-w", "%{http_version} %{http_code}", f"{gate.url}/echo"), b"2 200")
    assert b"GET /echo HTTP/1.1" in (t.folder / "body").read_bytes()


def secure(t, *targets, **more):
    ca = t.certs()
    cert, key = ca.issue("localhost")
    port = free_port()
    start = t.proxy if targets else t.gateway
    gate = start(*targets, **merge({"gateway": {"certificates": [{"cert": str(cert), "key": str(key)}],
                                                  "listen": [{"address": f"127.0.0.1:{port}", "tls": True}]}}, more))
    gate.tls_port, gate.tls_url = port, f"https://localhost:{port}"
    gate.ca = ca
    return gate


def story_curl_over_tls(t):
    gate = secure(t, t.sample())
    trust = ["--cacert", gate.ca.cert]
    out = ["-o", t.folder / "body", "-w", "%{http_version} %{http_code}"]
    same(curl(t, "--http2", *trust, *out, f"{gate.tls_url}/echo"), b"2 200")
    same(curl(t, "--http1.1", *trust, *out, f"{gate.tls_url}/echo"), b"1.1 200")
    # a name the connection was not made for
    same(curl(t, "--http2", *trust, *out, "-H", "Host: other.example", f"{gate.tls_url}/echo"), b"2 421")
    # HEAD, and an answer of ours
    assert b"HTTP/2 200" in curl(t, "--http2", *trust, "-I", f"{gate.tls_url}/echo")


def story_large_both_ways(t):
    gate = secure(t, t.upstream(lambda peer, request: peer.send(ok(request.body))))
    big = t.folder / "big"
    big.write_bytes(random.Random(7).randbytes(3_000_000))
    for chunked in ([], ["-H", "Content-Length:"]):
        curl(t, "--http2", "--cacert", gate.ca.cert, "-o", t.folder / "body", "--data-binary", f"@{big}", *chunked, f"{gate.tls_url}/")
        assert big.read_bytes() == (t.folder / "body").read_bytes()


def story_switched_off(t):
    gate = secure(t, t.sample(), gateway={"http2": False})
    same(curl(t, "--http2", "--cacert", gate.ca.cert, "-o", t.folder / "body", "-w", "%{http_version}", f"{gate.tls_url}/echo"), b"1.1")
