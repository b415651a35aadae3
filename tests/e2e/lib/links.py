"""Agents behind a gateway: certificates of nodes, and the two programs with one configuration each."""

import json
import signal
import subprocess

from . import certs, stage
from .stage import eventually, free_port


def _openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


class Nodes(certs.Authority):
    """Control's authority, as far as links know of it."""

    def __init__(self, t, name="nodes", org="story"):
        folder = t.folder / name
        folder.mkdir()
        super().__init__(folder)
        self.org = org

    @classmethod
    def of(cls, control):
        """The authority of a stand-in control (lib/control.py)."""
        nodes = cls.__new__(cls)
        nodes.folder, nodes.org = control.folder, control.org
        nodes.key, nodes.cert = control.folder / "ca.key", control.folder / "ca.pem"
        return nodes

    def node(self, kind, name, uris=None, dns=(), days="2"):
        """(certificate, key) of a gateway or agent."""
        uris = uris or [f"sekisho://{self.org}/{kind}/{name}"]
        if kind == "gateway" and not dns:
            dns = ("link.sekisho.internal", "*.link.sekisho.internal")
        stem = self.folder / name
        key, request, cert, extra = (stem.with_name(stem.name + end) for end in (".key", ".csr", ".pem", ".ext"))
        names = [f"URI:{u}" for u in uris] + [f"DNS:{d}" for d in dns]
        extra.write_text("subjectAltName=" + ",".join(names) + "\n")
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                 "-keyout", key, "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days", days,
                 "-extfile", extra, "-out", cert)
        key.chmod(0o600)
        return str(cert), str(key)


class Agent(stage.Program):
    """`sekisho agent --config FILE`."""

    def __init__(self, t, name, config):
        self.config_path = t.folder / f"{name}.json"
        self.write(config)
        super().__init__(t, name, [t.sekisho, "agent", "--config", self.config_path])

    def write(self, config):
        self.config = config
        self.config_path.write_text(json.dumps(config, indent=2))
        self.config_path.chmod(0o600)

    def reload(self, config=None):
        if config is not None:
            self.write(config)
        before = len(self.lines())
        self.signal(signal.SIGHUP)
        over = ("config_applied", "config_reload_refused")
        return eventually(lambda: next((x for x in self.lines()[before:] if x.get("event") in over), None), 10,
                          "no word of the reload in the agent's log")

    def events(self, name):
        return [x for x in self.lines() if x.get("event") == name]


def agent(t, nodes, gateways, services, name="ag-one", upstream=None, cert=None, **more):
    """An agent that serves `services` (id → URL or list of targets) through these gateways."""
    cert, key = cert or nodes.node("agent", name)
    config = {
        "upstreams": {i: {"targets": u if isinstance(u, list) else [u], **(upstream or {})} for i, u in services.items()},
        "agent": {"gateways": [g if isinstance(g, (str, dict)) else f"127.0.0.1:{g.tls_port}" for g in gateways],
                  "authority": str(nodes.cert), "cert": cert, "key": key, "services": {i: i for i in services}, **more},
    }
    program = Agent(t, t._name(name), config)
    t.programs.append(program)
    return program


def gateway_sections(t, nodes, targets, name="gw-one", route=None, upstream=None, **gateway):
    """What a gateway's configuration needs for links; `targets` as "ag-one/tg-app"."""
    public_cert, public_key = t.certs().issue("app.example.com")
    cert, key = nodes.node("gateway", name)
    tls_port = free_port()
    more_links = gateway.pop("links", {})
    return tls_port, {
        "gateway": {"listen": [{"address": f"127.0.0.1:{tls_port}", "tls": True}],
                    "certificates": [{"cert": str(public_cert), "key": str(public_key)}],
                    "links": {"authority": str(nodes.cert), "cert": cert, "key": key, **more_links}, **gateway},
        "upstreams": {"app": {"targets": [x if "://" in x else f"link://{x}" for x in targets], **(upstream or {})}},
        "routes": [{"path": "/", "upstream": "app", "access": "public", **(route or {})}],
    }


def gateway(t, nodes, targets, wait=True, **more):
    tls_port, sections = gateway_sections(t, nodes, targets, **more)
    found = t.gateway(wait=wait, **sections)
    found.tls_port = tls_port
    return found


def links_open(gate, count, seconds=10):
    """Waits until the gateway's workers have so many links together."""
    try:
        eventually(lambda: gate.metrics().get("sekisho_links") == count, seconds, "")
    except AssertionError:
        raise AssertionError(f"wanted {count} links, there are {gate.metrics().get('sekisho_links')}:\n{gate.text()[-3000:]}")
