"""A stand-in for tailscaled's LocalAPI: HTTP over a Unix socket, with the refusals of the real one.

Host must be local-tailscaled.sock or empty, an Origin or Referer field is refused with 403, a status carries Go's field
names and Tailscale-Version. Only what our commands ask for is there.
"""

import json

VERSION = "1.86.2-t1234567"


def status(state="Running", name="gpu.tail1234.ts.net", v4="100.101.102.103", v6="fd7a:115c:a1e0::6735:6667"):
    addresses = [a for a in (v4, v6) if a] if state == "Running" else []
    return {
        "Version": VERSION, "TUN": True, "BackendState": state, "HaveNodeKey": state == "Running", "AuthURL": "",
        "TailscaleIPs": addresses or None,
        "Self": {
            "ID": "nABCDEF1CNTRL", "PublicKey": "nodekey:" + "0" * 64, "HostName": name.split(".")[0],
            "DNSName": name + "." if name else "", "OS": "linux", "UserID": 123, "TailscaleIPs": addresses or None,
            "AllowedIPs": [a + ("/128" if ":" in a else "/32") for a in addresses], "Addrs": [], "CurAddr": "", "Relay": "fra",
            "RxBytes": 0, "TxBytes": 0, "Online": state == "Running", "ExitNode": False, "Active": False, "InNetworkMap": True,
        },
        "Health": [], "MagicDNSSuffix": "tail1234.ts.net",
        "CurrentTailnet": {"Name": "someone@example.com", "MagicDNSSuffix": "tail1234.ts.net", "MagicDNSEnabled": True},
        "CertDomains": [name] if name else None, "Peer": None, "User": {"123": {"ID": 123, "LoginName": "someone@example.com"}},
    }


def answer(code, body, kind="application/json"):
    reason = {200: "OK", 403: "Forbidden", 404: "Not Found"}[code]
    body = body.encode()
    return (f"HTTP/1.1 {code} {reason}\r\nContent-Type: {kind}\r\nTailscale-Version: {VERSION}\r\nTailscale-Cap: 123\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def start(t, path, **what):
    """Listens on `path`; the keywords are those of status()."""

    def script(peer, request):
        fields = {n.lower(): v for n, v in request.fields}
        if fields.get("host", "") not in ("", "local-tailscaled.sock"):
            peer.send(answer(403, "invalid localapi request", "text/plain"))
        elif "origin" in fields or "referer" in fields:
            peer.send(answer(403, "invalid localapi request", "text/plain"))
        elif request.target.split("?")[0] == "/localapi/v0/status" and request.method == "GET":
            peer.send(answer(200, json.dumps(status(**what), indent="\t")))
        else:
            peer.send(answer(404, "404 page not found", "text/plain"))

    return t.upstream(script, unix=str(path))
