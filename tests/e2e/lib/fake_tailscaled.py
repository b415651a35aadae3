"""A stand-in for tailscaled's LocalAPI: HTTP over a Unix socket, with the refusals of the real one.

Host must be local-tailscaled.sock or empty, an Origin or Referer field is refused with 403, a status carries Go's field
names and Tailscale-Version. Only what we ask for is there.
"""

import hashlib
import json
import os
import threading
import urllib.parse

VERSION = "1.86.2-t1234567"


def status(state="Running", name="gpu.tail1234.ts.net", v4="100.101.102.103", v6="fd7a:115c:a1e0::6735:6667", https=True):
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
        "CertDomains": [name] if name and https else None, "Peer": None, "User": {"123": {"ID": 123, "LoginName": "someone@example.com"}},
    }


def user(login, node="pc"):
    """What whois says of a user's machine."""
    return {"Node": {"ID": 7, "StableID": "nX1CNTRL", "Name": f"{node}.tail1234.ts.net.", "User": 123, "Key": "nodekey:" + "1" * 64,
                     "Hostinfo": {"OS": "linux", "Hostname": node}, "Cap": 123},
            "UserProfile": {"ID": 123, "LoginName": login, "DisplayName": "Somebody", "ProfilePicURL": ""}, "CapMap": None}


def tagged(*tags, node="runner"):
    found = user("tagged-devices", node)
    found["Node"]["Tags"] = list(tags)
    return found


def machine(name, v4, tags=(), online=True):
    """An entry of a status' Peer."""
    return {"ID": "n" + name, "HostName": name, "DNSName": f"{name}.tail1234.ts.net.", "TailscaleIPs": [v4], "Online": online,
            **({"Tags": list(tags)} if tags else {})}


def answer(code, body, kind="application/json", fields=""):
    reason = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 412: "Precondition Failed",
              500: "Internal Server Error"}[code]
    body = body.encode()
    return (f"HTTP/1.1 {code} {reason}\r\nContent-Type: {kind}\r\nTailscale-Version: {VERSION}\r\nTailscale-Cap: 123\r\n"
            f"{fields}Content-Length: {len(body)}\r\n\r\n").encode() + body


class Daemon:
    """`who`: {address: what whois says of it}, changed at will; `raw`: bytes in place of every whois; `hold`: an event that answers wait for.
    `pair`: the (certificate, key) paths given for our name; `raw_pair`: bytes in their place."""

    def __init__(self, t, path, who=None, pair=None, may_write=True, may_have_keys=True, peers=(), **what):
        self.t, self.path, self.what, self.who, self.pair = t, str(path), what, dict(who or {}), pair
        self.peers, self.may_write, self.may_have_keys = list(peers), may_write, may_have_keys
        self.raw_pair = None
        self.raw, self.hold, self.serve, self.asked = None, None, {}, []
        self.is_gone = False
        self.most, self._now, self._lock = 0, 0, threading.Lock()
        self.up = t.upstream(self._script, unix=self.path)

    def wait_request(self):
        return self.up.wait_request()

    def stop(self):
        """As when the service is stopped: nobody is at the socket, and then there is none."""
        self.is_gone = True
        os.unlink(self.path)
        self.up.close()

    def etag(self):
        return hashlib.sha256(json.dumps(self.serve, sort_keys=True).encode()).hexdigest()

    def whois_count(self):
        return sum(1 for a in self.asked if "/whois" in a)

    def _script(self, peer, request):
        fields = {n.lower(): v for n, v in request.fields}
        if self.is_gone:
            peer.close()
            return
        self.asked.append(request.target)
        path, _, query = request.target.partition("?")
        if fields.get("host", "") not in ("", "local-tailscaled.sock") or "origin" in fields or "referer" in fields:
            peer.send(answer(403, "invalid localapi request", "text/plain"))
        elif path == "/localapi/v0/status" and request.method == "GET":
            found = status(**self.what)
            if "peers=false" not in query:
                found["Peer"] = {f"nodekey:{i}": m for i, m in enumerate(self.peers)}
            peer.send(answer(200, json.dumps(found, indent="\t")))
        elif path == "/localapi/v0/whois":
            self._whois(peer, urllib.parse.parse_qs(query).get("addr", [""])[0])
        elif path.startswith("/localapi/v0/cert/"):
            self._cert(peer, path.rsplit("/", 1)[1], query)
        elif path == "/localapi/v0/serve-config":
            self._serve(peer, request, fields)
        else:
            peer.send(answer(404, "404 page not found", "text/plain"))

    def _whois(self, peer, address):
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        if self.hold:
            self.hold.wait(60)
        with self._lock:
            self._now -= 1
        if self.raw is not None:
            peer.send(self.raw)
            peer.close()
            return
        host = address if address in self.who else address.rsplit(":", 1)[0].strip("[]")
        if host not in self.who:
            peer.send(answer(404, f"no match for {address}", "text/plain"))
        else:
            peer.send(answer(200, json.dumps(self.who[host])))

    def pairs_count(self):
        return sum(1 for a in self.asked if "/cert/" in a)

    def _cert(self, peer, name, query):
        offered = status(**self.what)["CertDomains"] or []
        if self.raw_pair is not None:
            peer.send(self.raw_pair)
            peer.close()
        elif not self.may_have_keys:
            peer.send(answer(403, "cert access denied", "text/plain"))
        elif name not in offered:
            peer.send(answer(500, "acme.GetReg: 404 Not Found\n", "text/plain"))  # the real one tries all the same
        elif urllib.parse.parse_qs(query).get("type") != ["pair"] or not self.pair:
            peer.send(answer(500, "acme: no certificate today\n", "text/plain"))
        else:
            cert, key = self.pair
            peer.send(answer(200, key.read_text() + cert.read_text(), "text/plain"))

    def _serve(self, peer, request, fields):
        if request.method == "GET":
            peer.send(answer(200, json.dumps(self.serve), fields=f"Etag: {self.etag()}\r\n"))
        elif not self.may_write:
            peer.send(answer(403, "serve config denied", "text/plain"))
        elif fields.get("if-match", self.etag()) != self.etag():
            peer.send(answer(412, "etag mismatch", "text/plain"))
        else:
            self.serve = json.loads(request.body)
            peer.send(answer(200, ""))


def start(t, path, **what):
    """Listens on `path`; the keywords are those of status(), or of Daemon."""
    return Daemon(t, path, **what)
