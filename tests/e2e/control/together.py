"""The real gateway at the real control."""

import os
import signal

from lib.control_role import Control
from lib.stage import eventually, free_port, same


def story_a_gateway_joins_and_starts_again_without_control(t, seconds=90):
    control = Control(t).claim()
    agent = control.node("agent", "home")
    token = control.join_token("gateway")
    cert, private = t.certs().issue("localhost")
    tls = {"listen": [{"address": f"127.0.0.1:{free_port()}", "tls": True}],
           "certificates": [{"cert": str(cert), "key": str(private)}]}
    port = free_port()
    gateway = t.gateway(options=["--join", token, "--name", "edge"], env={"SEKISHO_STATE": str(t.folder / "edge-state")},
                        gateway={"host": "127.0.0.1", "port": port, **tls})

    def edge():
        return next((n for n in control.get("/nodes")["items"] if n["name"] == "edge"), None)

    def is_current():
        node = edge()
        return node and node["connected"] and 0 < node["wanted_version"] == node["version"]

    eventually(is_current, 30, "the gateway did not apply its document")
    before = edge()["version"]
    control.made("/services", {"name": "app", "hosts": ["app.example.com"], "targets": [{"agent": "home", "url": "http://localhost:1"}]})
    eventually(lambda: is_current() and edge()["version"] > before, 30, "the edit was not applied")
    agent.until(lambda n: edge()["id"] in n.sections.get("gateways", {}) and n.sections.get("services"))
    same(gateway.get("/", {"Host": "app.example.com"}, token=False).status in (502, 503, 504), True)  # known here; its agent has no link
    # Control dies; what was published stays, also for a gateway that starts again.
    os.kill(control.pid, signal.SIGKILL)
    control.process.wait()
    control.codes = (-9,)
    assert gateway.get("/", {"Host": "app.example.com"}, token=False).status in (502, 503, 504)
    gateway.stop()
    again = t.gateway(env={"SEKISHO_STATE": str(t.folder / "edge-state")}, gateway={"host": "127.0.0.1", "port": port, **tls})
    eventually(lambda: again.get("/", {"Host": "app.example.com"}, token=False).status in (502, 503, 504), 20, "nothing was stored")
    # And comes back when control does.
    port, key = control.port, control.key
    control = Control(t, "control-again", port)
    control.key = key
    eventually(is_current, 60, "the gateway did not come back")
