"""A control that says what the story wants, wrong things too: joins, the push channel, signed documents (docs/protocol/nodes.md)."""

import base64
import hashlib
import json
import os
import socket
import ssl
import struct
import subprocess
import threading
import time

from .patience import PATIENCE
from .stage import eventually, free_port

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def _openssl(*args, data=None):
    return subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, input=data).stdout


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class Gone(Exception):
    pass


class Channel:
    """One node's push channel, from control's side."""

    def __init__(self, control, sock):
        self.control, self.sock, self.rest = control, sock, b""
        self.hello, self.is_open, self.has = None, True, None
        self.lock = threading.Lock()

    def _exactly(self, count):
        while len(self.rest) < count:
            try:
                got = self.sock.recv(1 << 16)
            except OSError:
                got = b""
            if not got:
                raise Gone
            self.rest += got
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def _frame(self):
        first, second = self._exactly(2)
        size = second & 0x7f
        if size == 126:
            size, = struct.unpack(">H", self._exactly(2))
        elif size == 127:
            size, = struct.unpack(">Q", self._exactly(8))
        assert second & 0x80, "a client's frame is not masked"
        mask = self._exactly(4)
        body = self._exactly(size)
        return first & 15, bytes(b ^ mask[i % 4] for i, b in enumerate(body))

    def write(self, opcode, body, size=None):
        size = len(body) if size is None else size
        head = bytes([0x80 | opcode])
        if size < 126:
            head += bytes([size])
        elif size < 65536:
            head += b"\x7e" + struct.pack(">H", size)
        else:
            head += b"\x7f" + struct.pack(">Q", size)
        self.raw(head + body)

    def raw(self, data):
        with self.lock:
            try:
                self.sock.sendall(data)
            except OSError:
                pass

    def say(self, message):
        self.write(1, (message if isinstance(message, str) else compact(message)).encode())

    def cut(self):
        self.is_open = False
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def run(self):
        try:
            while True:
                opcode, body = self._frame()
                if opcode == 9:
                    self.write(10, body)
                elif opcode == 8:
                    raise Gone
                elif opcode == 1:
                    self._message(json.loads(body))
        except Gone:
            pass
        self.is_open = False

    def _message(self, message):
        self.control.messages.append(message)
        if message["type"] == "hello":
            self.hello = message
            self.has = message["have"] and message["have"]["hash"]
            self.say({"type": "welcome", "program": "story", "epoch": self.control.epoch, "heartbeat": 15})
            if self.control.current and self.has != self.control.current["hash"]:
                self.say(self.control.current)
        elif message["type"] == "applied":
            self.has = message["hash"]


class Control:
    """`token_url` is what a gateway is started with."""

    def __init__(self, t, org="default", kind="gateway"):
        self.t, self.org, self.kind = t, org, kind
        self.folder = t.folder / "control"
        self.folder.mkdir()
        self.port = free_port()
        self.messages, self.requests, self.channels, self.joins = [], [], [], {}
        self.epoch, self.version, self.current, self.sections = 1, 0, None, {}
        self.is_pending = False  # joins wait for approval
        self.node, self.listener = None, None
        self._keys()
        self.secret = "skauth-" + base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")
        t.secrets.append(self.secret)
        self.token_url = f"{self.secret}.{self.fingerprint[:32]}@https://127.0.0.1:{self.port}"
        self.start()

    # ---- keys and certificates ----

    def _keys(self):
        f = self.folder
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                 "/CN=story control", "-keyout", f / "ca.key", "-out", f / "ca.pem")
        self.fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert((f / "ca.pem").read_text())).hexdigest()
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=control", "-keyout",
                 f / "control.key", "-out", f / "control.csr")
        leaf = self._issue(f / "control.csr", f"URI:sekisho://{self.org}/control,DNS:control.sekisho.internal")
        (f / "chain.pem").write_text(leaf + (f / "ca.pem").read_text())
        for name in ("document", "other"):
            _openssl("genpkey", "-algorithm", "ed25519", "-out", f / f"{name}.key")
        self.document_key = _openssl("pkey", "-in", f / "document.key", "-pubout", "-outform", "DER")[-32:]

    def _issue(self, request, names, *more):
        extra = self.folder / "names.ext"
        extra.write_text(f"subjectAltName={names}\n")
        return _openssl("x509", "-req", "-in", request, "-CA", self.folder / "ca.pem", "-CAkey", self.folder / "ca.key",
                        "-set_serial", str(int.from_bytes(os.urandom(8), "big")), "-days", "2", "-extfile", extra,
                        *more).decode()

    def certificate(self, spki, node):
        """For a node's key, as control would issue it."""
        public = self.folder / "node.pub"
        public.write_bytes(_openssl("pkey", "-pubin", "-inform", "DER", data=spki))
        return self._issue(self.folder / "control.csr", f"URI:sekisho://{self.org}/{self.kind}/{node}" +
                           (",DNS:link.sekisho.internal,DNS:*.link.sekisho.internal" if self.kind == "gateway" else ""),
                           "-force_pubkey", public)

    def renew(self):
        """A new certificate for the node that joined last; gives its serial number as OpenSSL writes it."""
        asked = list(self.joins.values())[-1][0]
        text = self.certificate(base64.b64decode(asked["keys"]["identity"]), self.node)
        self.say({"type": "certificate", "certificate": text, "authority": (self.folder / "ca.pem").read_text()})
        return _openssl("x509", "-noout", "-serial", data=text.encode()).decode().strip().partition("=")[2]

    # ---- documents ----

    def document(self, sections, key="document", **header):
        """A signed one. `key="other"`: signed by somebody else; header members may be wrong on purpose."""
        h = {"format": 1, "kind": self.kind, "node": self.node, "org": self.org, "epoch": self.epoch, "version": self.version,
             "issued": int(time.time()), "lease": 2592000, **header}
        lines = "".join(f"{section} {item} {hashlib.sha256(compact(value).encode()).hexdigest()}\n"
                        for section in sorted(sections) for item, value in sorted(sections[section].items()))
        whole = "".join(f"{name} {h[name]}\n" for name in ("format", "kind", "node", "org", "epoch", "version"))
        digest = hashlib.sha256((whole + f"items {hashlib.sha256(lines.encode()).hexdigest()}\n").encode())
        message = self.folder / f"message-{os.urandom(4).hex()}"
        message.write_bytes(b"sekisho document 1\n" + digest.digest() + struct.pack(">QQ", h["issued"], h["lease"]))
        signature = _openssl("pkeyutl", "-sign", "-inkey", self.folder / f"{key}.key", "-rawin", "-in", message)
        message.unlink()
        return {"type": "document", "document": {**h, "sections": sections}, "hash": digest.hexdigest(),
                "signature": base64.b64encode(signature).decode()}

    def change(self, before, after):
        """What leads from one document to the other."""
        old, new = before["document"]["sections"], after["document"]["sections"]
        put = {s: {i: v for i, v in new[s].items() if old.get(s, {}).get(i) != v} for s in new}
        gone = {s: [i for i in old[s] if i not in new.get(s, {})] for s in old}
        return {"type": "change", "from": before["document"]["version"],
                "header": {k: v for k, v in after["document"].items() if k != "sections"}, "hash": after["hash"],
                "signature": after["signature"], "set": {s: v for s, v in put.items() if v},
                "remove": {s: v for s, v in gone.items() if v}}

    def publish(self, sections, **header):
        """The next version, to whoever is connected and whoever comes."""
        self.version += 1
        before, self.current = self.current, self.document(sections, **header)
        for channel in self.open():
            channel.say(self.change(before, self.current) if before and channel.has == before["hash"] else self.current)
        return self.current

    def say(self, message):
        for channel in self.open():
            channel.say(message)

    def open(self):
        return [c for c in self.channels if c.is_open and c.hello]

    def wait_open(self, seconds=10):
        return eventually(lambda: self.open() and self.open()[-1], seconds, "no node has come")

    def wait(self, kind, seconds=15, **members):
        """A message of that type with these members."""
        return eventually(lambda: next((m for m in self.messages if m["type"] == kind and
                                        all(m.get(k) == v for k, v in members.items())), None), seconds,
                          lambda: f"no {kind} {members}; there were {self.messages[-5:]}")

    def wait_applied(self, seconds=15):
        return self.wait("applied", seconds, hash=self.current["hash"])

    # ---- the server ----

    def start(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self.folder / "chain.pem", self.folder / "control.key")
        context.load_verify_locations(self.folder / "ca.pem")
        context.verify_mode = ssl.CERT_OPTIONAL
        listener = socket.create_server(("127.0.0.1", self.port), reuse_port=True)
        self.listener = listener
        threading.Thread(target=self._accept, args=(listener, context), daemon=True).start()

    def stop(self):
        """Nobody is there any more; what was said stays known."""
        listener, self.listener = self.listener, None
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for channel in self.channels:
            channel.cut()

    def _accept(self, listener, context):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock, context), daemon=True).start()

    def _serve(self, sock, context):
        try:
            sock.settimeout(PATIENCE)
            sock = context.wrap_socket(sock, server_side=True)
            data = b""
            while b"\r\n\r\n" not in data:
                got = sock.recv(1 << 16)
                if not got:
                    return
                data += got
            head, body = data.split(b"\r\n\r\n", 1)
            lines = head.decode().split("\r\n")
            fields = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
            while len(body) < int(fields.get("content-length", 0)):
                body += sock.recv(1 << 16)
            method, path, _ = lines[0].split(" ")
            self.requests.append((method, path))
            if path == "/api/v1/node/channel":
                self._channel(sock, fields)
            else:
                status, answer = self._join(path, body)
                text = compact(answer).encode()
                sock.sendall(b"HTTP/1.1 %d Story\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                             b"Connection: close\r\n\r\n%s" % (status, len(text), text))
                sock.close()
        except (OSError, ValueError):
            sock.close()

    def _channel(self, sock, fields):
        if not sock.getpeercert():
            sock.sendall(b"HTTP/1.1 403 No certificate\r\nContent-Length: 0\r\n\r\n")
            return
        accept = base64.b64encode(hashlib.sha1(fields["sec-websocket-key"].encode() + GUID).digest())
        sock.sendall(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
                     accept + b"\r\nSec-WebSocket-Protocol: sekisho.1\r\n\r\n")
        sock.settimeout(None)
        channel = Channel(self, sock)
        self.channels.append(channel)
        channel.run()
        sock.close()

    def _join(self, path, body):
        asked = json.loads(body)
        if path == "/api/v1/join":
            if asked["token"] != self.secret:
                return 401, {"error": {"code": "token", "message": "the token is unknown"}}
            name = f"jn-{len(self.joins)}"
            self.joins[name] = (asked, body, os.urandom(32))
            return 200, {"join": name, "challenge": base64.b64encode(self.joins[name][2]).decode()}
        asked_first, first_body, challenge = self.joins[path.rsplit("/", 1)[1]]
        spki = base64.b64decode(asked_first["keys"]["identity"])
        f = self.folder
        (f / "proof.pub").write_bytes(_openssl("pkey", "-pubin", "-inform", "DER", data=spki))
        (f / "proof.sig").write_bytes(base64.b64decode(asked["signature"]))
        (f / "proof.bin").write_bytes(b"sekisho join 1\n" + challenge + hashlib.sha256(first_body).digest())
        try:
            _openssl("dgst", "-sha256", "-verify", f / "proof.pub", "-signature", f / "proof.sig", f / "proof.bin")
        except subprocess.CalledProcessError:
            return 400, {"error": {"code": "proof", "message": "the signature is not that of the key"}}
        self.node = self.node or ("gw-" if self.kind == "gateway" else "ag-") + "abcdefghijklmnop"
        named = {"id": self.node, "name": asked_first["name"] or self.kind, "org": self.org}
        if self.is_pending:
            return 201, {"node": named, "state": "pending"}
        return 201, {"node": named, "state": "active", "certificate": self.certificate(spki, self.node),
                     "authority": (f / "ca.pem").read_text(), "documentKey": base64.b64encode(self.document_key).decode()}
