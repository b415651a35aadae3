"""`sekisho control` for stories, and a node of its own kind: a client of the protocol written from its page alone."""

import base64
import hashlib
import http.client
import json
import re
import secrets
import socket
import ssl
import struct
import subprocess
import time

from .patience import patient
from .stage import Program, eventually, free_port

INTERNAL = "control.sekisho.internal"


def unverified():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.pairs = response.getheaders()
        self.headers = {k.lower(): v for k, v in self.pairs}
        self.data = response.read()
        self.text = self.data.decode(errors="replace")
        try:
            self.json = json.loads(self.text)
        except ValueError:
            self.json = None

    def __repr__(self):
        return f"{self.status} {self.text}"


class Control(Program):
    def __init__(self, t, name="control", port=None, state=None, wait=True, env=None, under=(), **more):
        self.port = port or free_port()
        self.state = state or t.folder / "control-state"
        self.key = None
        if getattr(t, "store", None):  # a story that is played on another store: control/on_postgres.py
            more.setdefault("store", t.store)
        self.store = more.get("store")
        config = {"control": {"listen": f"127.0.0.1:{self.port}", "state": str(self.state), **more}, "log": {"access": "off"}}
        self.config_path = t.folder / f"{name}.json"
        self.config_path.write_text(json.dumps(config))
        self.config_path.chmod(0o600)
        self.url = f"https://127.0.0.1:{self.port}"
        super().__init__(t, name, [*under, t.sekisho, "control", "--config", self.config_path], env)
        t.programs.append(self)
        if wait:
            self.wait_ready()

    def beside(self, name):
        """Another control on the same store: it has a copy of the key."""
        state = self.t.folder / f"{name}-state"
        state.mkdir(mode=0o700)
        key = state / "control.key"
        key.write_bytes((self.state / "control.key").read_bytes())
        key.chmod(0o600)
        other = Control(self.t, name, state=state, store=self.store)
        other.key = self.key
        return other

    def wait_ready(self):
        def is_ready():
            assert self.process.poll() is None, f"control ended with {self.process.returncode}:\n{self.text()}"
            return "control_started" in self.text()

        eventually(is_ready, 20, "control is not ready")

    def owner_token(self):
        return eventually(lambda: re.findall(r"/setup#(skown-[\w-]+)", self.text()), 10, "no link for the owner")[-1]

    def claim(self):
        """Becomes the owner; the key is one no log may hold."""
        a = self.ask("POST", "/owner", {"token": self.owner_token()}, key=None)
        assert a.status == 201, a
        self.key = a.json["key"]
        self.t.secrets.append(self.key)
        return self

    def ask(self, method, path, body=None, key=True, headers=None, raw=None, timeout=None):
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=unverified(), timeout=timeout or patient(10))
        fields = dict(headers or {})
        key = self.key if key is True else key
        if key:
            fields["Authorization"] = f"Bearer {key}"
        if body is not None or raw is not None:
            fields.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path if path.startswith("/api/") else "/api/v1" + path,
                               raw if raw is not None else None if body is None else json.dumps(body), fields)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def page(self, path):
        """What stands beside the API, as text."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=unverified(), timeout=patient(10))
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.key}"})
            a = Answer(connection.getresponse())
        finally:
            connection.close()
        assert a.status == 200, a
        return a.text

    def get(self, path, **more):
        a = self.ask("GET", path, **more)
        assert a.status == 200, a
        return a.json

    def made(self, path, body, **more):
        a = self.ask("POST", path, body, **more)
        assert a.status == 201, a
        return a.json

    def new_key(self, name, *scopes):
        found = self.made("/api-keys", {"name": name, "scopes": list(scopes)})["key"]
        self.t.secrets.append(found)
        return found

    def join_token(self, kind, **more):
        found = self.made("/join-tokens", {"kind": kind, **more})["token"]
        self.t.secrets.append(found.split("@")[0])
        return found

    def node(self, kind, name=None, **more):
        """A node that joined, and is connected."""
        node = Node(self.t, self, kind, name)
        assert node.join(self.join_token(kind, **more)).status == 201
        return node.connect()


def openssl(*args, data=None):
    return subprocess.run(["openssl", *map(str, args)], input=data, capture_output=True, check=True).stdout


class Node:
    """What a gateway or an agent does at control."""

    count = 0

    def __init__(self, t, control, kind, name=None):
        Node.count += 1
        self.control, self.kind, self.name = control, kind, name or f"{kind}{Node.count}"
        self.folder = t.folder / f"node{Node.count}"
        self.folder.mkdir(exist_ok=True)
        self.key = self.folder / "identity.pem"
        self.key.write_bytes(openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"))
        self.spki = openssl("pkey", "-in", self.key, "-pubout", "-outform", "DER")
        self.seal, self.tunnel = secrets.token_bytes(32), secrets.token_bytes(32)
        self.sections, self.have, self.messages = {}, None, []
        self.sock = None
        self.buffer = b""

    # -- joining

    def _connection(self, context=None):
        sock = socket.create_connection(("127.0.0.1", self.control.port), timeout=patient(10))
        return (context or unverified()).wrap_socket(sock, server_hostname=INTERNAL)

    def post(self, path, body, raw=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.control.port)  # the other kind reads all authorities of the system for each
        connection.sock = self._connection()
        try:
            connection.request("POST", path, raw if raw is not None else json.dumps(body),
                               {"Host": INTERNAL, "Content-Type": "application/json"})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def request(self, token):
        return json.dumps({
            "token": token.split("@")[0].split(".")[0], "kind": self.kind, "name": self.name, "program": "story/1",
            "keys": {"identity": base64.b64encode(self.spki).decode(), "seal": base64.b64encode(self.seal).decode(),
                     "tunnel": base64.b64encode(self.tunnel).decode()}})

    def sign(self, challenge, body):
        message = b"sekisho join 1\n" + challenge + hashlib.sha256(body.encode()).digest()
        return base64.b64encode(openssl("dgst", "-sha256", "-sign", self.key, data=message)).decode()

    def begin(self, token):
        self.body = self.request(token)
        return self.post("/api/v1/join", None, raw=self.body)

    def finish(self, challenge):
        self.signature = self.sign(base64.b64decode(challenge["challenge"]), self.body)
        return self.again(challenge["join"])

    def again(self, join):
        a = self.post(f"/api/v1/join/{join}", {"signature": self.signature})
        if a.status == 201:
            self.taken(a.json)
        return a

    def join(self, token):
        a = self.begin(token)
        if a.status != 200:
            return a
        self.join_id = a.json["join"]
        return self.finish(a.json)

    def taken(self, result):
        self.id, self.name = result["node"]["id"], result["node"]["name"]
        self.state = result["state"]
        if self.state == "active":
            self.document_key = base64.b64decode(result["documentKey"])
            (self.folder / "cert.pem").write_text(result["certificate"])
            (self.folder / "authority.pem").write_text(result["authority"])

    # -- the channel

    def context(self):
        context = ssl.create_default_context(cafile=str(self.folder / "authority.pem"))
        context.load_cert_chain(str(self.folder / "cert.pem"), str(self.key))
        return context

    def upgrade(self, context=None):
        """The connection, the answer's head, and what came behind it."""
        sock = self._connection(context or self.context())
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        sock.sendall((f"GET /api/v1/node/channel HTTP/1.1\r\nHost: {INTERNAL}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                      f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: sekisho.1\r\n\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            part = sock.recv(4096)
            if not part:
                break
            head += part
        head, _, rest = head.partition(b"\r\n\r\n")
        return sock, head.decode(), rest

    def connect(self, hello=True):
        self.sock, head, self.buffer = self.upgrade()
        assert head.startswith("HTTP/1.1 101 "), head
        assert "sekisho.1" in head
        if hello:
            self.say({"type": "hello", "program": "story/1", "format": 1, "have": self.have})
            assert self.hear("welcome")["epoch"] >= 1
        return self

    def frame(self, opcode, payload):
        mask = secrets.token_bytes(4)
        length = len(payload)
        head = bytes([0x80 | opcode])
        if length < 126:
            head += bytes([0x80 | length])
        elif length < 65536:
            head += bytes([0x80 | 126]) + struct.pack(">H", length)
        else:
            head += bytes([0x80 | 127]) + struct.pack(">Q", length)
        self.sock.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def say(self, message):
        self.frame(1, json.dumps(message).encode())

    def _more(self, count):
        while len(self.buffer) < count:
            part = self.sock.recv(65536)
            if not part:
                raise EOFError
            self.buffer += part

    def _frame(self):
        self._more(2)
        opcode, length, at = self.buffer[0] & 15, self.buffer[1] & 127, 2
        if length == 126:
            self._more(4)
            length, at = struct.unpack(">H", self.buffer[2:4])[0], 4
        elif length == 127:
            self._more(10)
            length, at = struct.unpack(">Q", self.buffer[2:10])[0], 10
        self._more(at + length)
        payload, self.buffer = self.buffer[at:at + length], self.buffer[at + length:]
        return opcode, payload

    def receive(self, seconds=10):
        """The next message; documents and changes are applied and acknowledged. None: the channel was closed."""
        end = time.monotonic() + patient(seconds)  # pings are no messages, however many come
        while True:
            self.sock.settimeout(max(end - time.monotonic(), 0.001))
            try:
                opcode, payload = self._frame()
                if opcode == 9:
                    self.frame(10, payload)
                if opcode != 1:
                    if opcode == 8:
                        return None
                    continue
                message = json.loads(payload)
                if message["type"] in ("document", "change"):
                    self.apply(message)
            except (EOFError, ConnectionError, ssl.SSLError):
                return None  # also when it ended under what we were about to say
            return message

    def apply(self, message):
        if message["type"] == "document":
            header = message["document"]
            self.sections = header["sections"]
        else:
            header = message["header"]
            for section, items in message["set"].items():
                self.sections.setdefault(section, {}).update(items)
            for section, ids in message["remove"].items():
                for i in ids:
                    self.sections.get(section, {}).pop(i, None)
        assert header["node"] == self.id and header["kind"] == self.kind
        self.header = header
        self.have = {"epoch": header["epoch"], "version": header["version"], "hash": message["hash"],
                     "items": self.items_hash(), "issued": header["issued"]}
        self.say({"type": "applied", **self.have})

    def items_hash(self):
        """As docs/protocol/nodes.md has it; the items' bytes are control's own, written compactly."""
        lines = "".join(f"{s} {i} {hashlib.sha256(json.dumps(v, separators=(',', ':'), ensure_ascii=False).encode()).hexdigest()}\n"
                        for s in sorted(self.sections) for i, v in sorted(self.sections[s].items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    def hear(self, kind, seconds=10):
        """The next message of that type; others on the way are kept."""
        return self.hear_of(kind, seconds=seconds)

    def hear_of(self, *kinds, seconds=10):
        end = time.monotonic() + patient(seconds)
        while time.monotonic() < end:
            message = self.receive(seconds)
            assert message, f"the channel ended; wanted {kinds}"
            self.messages.append(message)
            if message["type"] in kinds:
                return message
        raise AssertionError(f"no {kinds} came")

    def until(self, condition, seconds=10):
        """Receives until it holds."""
        end = time.monotonic() + patient(seconds)
        while not condition(self):
            assert time.monotonic() < end, self.sections
            assert self.receive(seconds), "the channel ended"
        return self

    def is_closed(self, seconds=10):
        end = time.monotonic() + patient(seconds)
        while time.monotonic() < end:
            message = self.receive(seconds)
            if message is None:
                return True
            self.messages.append(message)
        return False

    def close(self):
        if self.sock:
            self.sock.close()
        self.sock = None


