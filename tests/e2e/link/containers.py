"""Labelled containers of a real Docker Engine become services, as far as the owner granted it."""

import json
import re
import shutil
import socket
import time

from link.joined import house, visit
from lib.engine import Engine
from lib.stage import ROOT, eventually, free_port, same, within


def harbour(t, publish=None, engine=None, socket=None, **agent_more):
    """(engine, control, gateway, agent): the agent asks the engine."""
    engine = engine or Engine(t)
    control, gate, agent = house(t, workers=1)
    agent.stop()
    t.programs.remove(agent)
    config = t.folder / "agent.json"
    config.write_text(json.dumps({"agent": {"docker": f"unix:{socket or engine.socket}", "inference": "off", **agent_more}}))
    config.chmod(0o600)
    agent = t.start("harbour", [t.sekisho, "agent", "--config", config])
    if publish is not None:
        grant(control, publish)
    return engine, control, gate, agent


def grant(control, publish):
    node = control.get("/nodes?kind=agent")["items"][0]["id"]
    answer = control.ask("PATCH", f"/nodes/{node}", {"settings": {"publish": publish}})
    same(answer.status, 200, answer)


def offers(control):
    return {o["name"]: o for o in control.get("/offers")["items"]}


def seen(gate, host):
    return visit(gate, "/index.html", host)


def story_a_labelled_container_is_published_and_goes_with_it(t, seconds=240):
    engine, control, gate, agent = harbour(t)
    port, host = free_port(), "wiki.home.example.com"
    engine.run("wiki", port, host=host, port=port, access="public")
    eventually(lambda: offers(control), 20, lambda: agent.text()[-3000:])
    one = offers(control)["home-wiki"]
    same((one["state"], one["source"], one["hosts"], one["url"]), ("waiting", "container", [host], f"http://127.0.0.1:{port}"))
    same(control.get("/services")["items"], [])  # nobody granted it a name
    grant(control, {"hosts": ["*.home.example.com"], "access": ["token", "public"]})
    eventually(lambda: seen(gate, host) == 200, 30, lambda: f"{offers(control)}\n{gate.text()[-2000:]}")
    same(control.get("/services")["items"][0]["name"], "home-wiki")

    def gone_and_back():
        start = time.monotonic()
        engine.docker("kill", "wiki")
        eventually(lambda: seen(gate, host) in (404, 421), 20, "it is served still")
        took = time.monotonic() - start
        start = time.monotonic()
        engine.docker("start", "wiki")
        eventually(lambda: seen(gate, host) == 200, 20, lambda: f"{offers(control)}")
        return max(took, time.monotonic() - start)

    within(2.0, gone_and_back, "a container comes or goes slowly, in s", tries=4)
    # The engine is restarted: its containers end with it, and are found again.
    engine.stop()
    eventually(lambda: "docker_away" in agent.text(), 20, "it was not noticed")
    engine.start()
    engine.docker("start", "wiki")
    eventually(lambda: seen(gate, host) == 200, 40, lambda: agent.text()[-3000:])
    # The grant is taken back, and so is the service.
    grant(control, {})
    eventually(lambda: seen(gate, host) in (404, 421), 20, "it is served still")
    engine.remove("wiki")


def story_a_container_cannot_ask_for_more_than_was_granted(t, seconds=240):
    engine, control, gate, agent = harbour(t, {"hosts": ["*.home.example.com"], "access": ["token"]})
    control.made("/services", {"name": "mine", "hosts": ["mine.home.example.com"],
                               "targets": [{"agent": "home", "url": "http://localhost:1"}]})
    control.made("/services", {"name": "home-taken", "hosts": ["other.example.org"],
                               "targets": [{"agent": "home", "url": "http://localhost:1"}]})
    port = free_port()
    wanted = {
        "bank": ({"host": "bank.example.com", "port": port}, "not among those granted"),
        "all": ({"host": "a.b.home.example.com", "port": port}, "not among those granted"),
        "open": ({"host": "open.home.example.com", "port": port, "access": "public"}, "access is not among"),
        "thief": ({"host": "mine.home.example.com", "port": port}, "published at that host"),
        "taken": ({"host": "taken.home.example.com", "port": port}, "somebody else's"),
        "good": ({"host": "good.home.example.com", "port": port}, ""),
    }
    hostile = {  # these the agent itself refuses, with a word in its log
        "star": {"host": "*.home.example.com", "port": port},
        "odd": {"host": "odd.home.example.com\" }", "port": port},
        "none": {"host": "none.home.example.com", "port": 70000},
        "path": {"host": "path.home.example.com", "port": port, "path": "x/{id}"},
        "word": {"host": "word.home.example.com", "port": port, "hots": "x"},
        "acc": {"host": "acc.home.example.com", "port": port, "access": "everybody"},
    }
    for name, (labels, _) in wanted.items():
        engine.run(name, free_port(), **labels)
    for name, labels in hostile.items():
        engine.run(name, free_port(), **labels)
    eventually(lambda: len(offers(control)) == len(wanted), 40, lambda: f"{sorted(offers(control))}\n{agent.text()[-3000:]}")
    for name, (_, why) in wanted.items():
        one = offers(control)[f"home-{name}"]
        same((one["state"], why in one["reason"]), ("refused" if why else "published", True), one)
    same(sorted(s["name"] for s in control.get("/services")["items"]), ["home-good", "home-taken", "mine"])
    same(control.get("/services?name=home-good")["items"][0]["access"]["kind"], "token")

    def refused():
        return {x["container"] for x in agent.lines() if x.get("event") == "container_refused"}

    eventually(lambda: refused() == set(hostile), 20, lambda: f"refused: {refused()}")
    eventually(lambda: "offer_refused" in control.text(), 10, "control's log says nothing")


def story_an_agents_own_list_stands_above_labels(t, seconds=180):
    allowed, other = free_port(), free_port()
    engine, control, gate, agent = harbour(t, {"hosts": ["*.home.example.com"]}, allow=[f"127.0.0.1:{allowed}"])
    engine.run("yes", allowed, host="yes.home.example.com", port=allowed)
    engine.run("no", other, host="no.home.example.com", port=other)
    eventually(lambda: list(offers(control)) == ["home-yes"], 30, lambda: f"{offers(control)}\n{agent.text()[-2000:]}")
    eventually(lambda: [x for x in agent.lines() if x.get("event") == "container_refused" and x["container"] == "no"], 10,
               "nothing was said of it")


def filtered(t, engine):
    """(socket, log): docs/containers.md's nginx in front of the engine."""
    place, log = engine.socket.with_name("filtered.sock"), t.folder / "asked.log"
    text = re.search(r"```nginx\n(.*?)```", (ROOT / "docs/containers.md").read_text(), re.S)[1]
    text = text.replace("/run/sekisho-engine/docker.sock", str(place)).replace("/run/docker.sock", str(engine.socket))
    text = text.replace("http {", f"http {{ log_format ask '$request_method $uri'; access_log {log} ask;", 1)
    config = t.folder / "nginx.conf"
    config.write_text(f"daemon off; master_process off; error_log stderr; pid {t.folder}/nginx.pid;\n{text}")
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    assert program, "nginx is not installed; `tools/deps test` installs it"
    t.start("nginx", [program, "-p", t.folder, "-c", config])
    eventually(place.exists, 10, "nginx does not listen")
    return place, log


def status_of(place, request):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(str(place))
        s.sendall(f"{request} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
        return int(s.recv(100).split()[1])


def story_two_questions_are_all_an_agent_asks_of_the_engine(t, seconds=180):
    engine = Engine(t)
    place, log = filtered(t, engine)
    for more in ("POST /containers/create", "GET /containers/json/../../info", "GET /info", "DELETE /containers/json", "GET /v1.41/events"):
        same((more, status_of(place, more)), (more, 403))
    _, control, gate, agent = harbour(t, {"hosts": ["*.home.example.com"], "access": ["public"]}, engine, place)
    before, port, host = len(log.read_text().splitlines()), free_port(), "wiki.home.example.com"
    engine.run("wiki", port, host=host, port=port)
    eventually(lambda: seen(gate, host) == 200, 30, lambda: f"{offers(control)}\n{agent.text()[-2000:]}")
    engine.remove("wiki")
    eventually(lambda: seen(gate, host) in (404, 421), 20, "it is served still")
    agent.stop()
    asked = set(log.read_text().splitlines()[before:])
    eventually(lambda: asked | set(log.read_text().splitlines()[before:]) == {"GET /events", "GET /containers/json"}, 10,
               lambda: f"{asked}")
