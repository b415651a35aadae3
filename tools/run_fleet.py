#!/usr/bin/env python3
"""The questions tools/run asks about a fleet of one machine, and what it says at the end.

usage: tools/run_fleet.py check [NAME=PORT]... | value FILE KEY... | ports STATE CONTROL TLS | joined STATE KIND |
       health URL PID | nodes FILE | wanted WORK SAMPLE_PORT [NAME=PORT]... | unclaimed FILE | say WORK STATE SEKISHO TLS_PORT
"""

import json
import os
import re
import shlex
import socket
import ssl
import sys
import time
import urllib.parse
import urllib.request

OURS = "make-run"  # the key of tools/run at control


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def write(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


def problem(text):
    print(f"make run: {text}", file=sys.stderr)
    return 1


# ---- what was asked for ----

def published(words):
    """(name, port) of each --publish; None where one is none, which was said."""
    found = []
    for word in words:
        name, _, port = word.partition("=")
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name) or not re.fullmatch(r"[0-9]{1,5}", port) \
                or not 1 <= int(port) <= 65535:
            problem(f'--publish "{word}": write a name of a-z, 0-9 and -, and a port of this machine, as --publish web=8080')
            return None
        if name in (n for n, _ in found):
            problem(f'--publish: "{name}" is there twice')
            return None
        found.append((name, int(port)))
    return found


def check(*words):
    return 0 if published(words) is not None else 1


def value(path, *keys):
    found = read(path)
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    print("" if found is None else found)


# ---- ports ----

def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def first_free(port):
    while not is_free(port):
        port += 1
    return port


def ports(state, control, tls):
    """Chosen at the first run, and kept. The gateway's may move: agents are told where it is."""
    path = os.path.join(state, "ports.json")
    kept = read(path) if os.path.exists(path) else {}
    if "control" in kept and not is_free(kept["control"]):
        return problem(f"port {kept['control']}, where control was, is taken by another program; end that, or begin anew: rm -r {state}")
    chosen = {"control": kept.get("control") or first_free(int(control))}
    chosen["tls"] = first_free(kept.get("tls") or int(tls))
    write(path, chosen)
    write(os.path.join(state, "control.json"),
          {"control": {"listen": f"127.0.0.1:{chosen['control']}", "state": state}, "log": {"access": "off"}})
    return 0


# ---- nodes ----

def joined(state, kind):
    try:
        papers = read(os.path.join(state, kind, "node.json"))
    except (OSError, ValueError):
        papers = {"gone": "it has not joined"}
    print("no" if papers.get("gone") else "yes")


def health(url, pid):
    anyone = ssl._create_unverified_context()  # only: is it there?
    for _ in range(600):
        try:
            os.kill(int(pid), 0)
            if not url or urllib.request.urlopen(url + "/health", timeout=2, context=anyone).status == 200:
                return 0
        except ProcessLookupError:
            return 1
        except OSError:
            time.sleep(0.05)
    return 1


def nodes(path):
    """Both are connected, have what they should have, and the agent has a link."""
    found = {n["kind"]: n for n in read(path) if n["connected"]}
    if set(found) != {"gateway", "agent"}:
        return 1
    links = (found["agent"].get("report") or {}).get("links") or []
    behind = any(n["version"] < n["wanted_version"] for n in found.values())
    return 1 if behind or not any(link.get("up") for link in links) else 0


# ---- services ----

def wanted(work, sample_port, *words):
    """Lines of: add, change or keep; name; access; address at the agent."""
    services = {}
    for server in read(os.path.join(work, "setup.json"))["servers"]:
        url = urllib.parse.urlsplit(server["baseUrl"])
        services.setdefault(server["kind"], ("token", f"http://{url.hostname}:{url.port}"))
    if sample_port:
        services["sample"] = ("token", f"http://127.0.0.1:{sample_port}")
    for name, port in published(words):
        services[name] = ("public", f"http://localhost:{port}")
    there = {s["name"]: s for s in read(os.path.join(work, "services.json"))}
    for name, (access, url) in services.items():
        deed = "add"
        if name in there:
            is_same = [t["url"] for t in there[name]["targets"]] == [url] and there[name]["access"]["kind"] == access
            deed = "keep" if is_same else "change"
        print(deed, name, access, url, sep="\t")


def unclaimed(path):
    """Whether nobody but tools/run has a key that owns control."""
    return 1 if any(k["name"] != OURS and "admin" in k["scopes"] and k["state"] == "good" for k in read(path)) else 0


def answers(host, port, authority):
    """The status at the gateway of a visit by that name; 0: none, or a certificate that is not good."""
    context = ssl.create_default_context(cafile=authority)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as raw, \
                context.wrap_socket(raw, server_hostname=host) as sock:
            sock.sendall(f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
            return int(sock.recv(64).split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def wait_served(host, port, authority):
    """Until the gateway has its certificate and its route; 404 may be the service's own word, so it is believed after a while."""
    status, end = 0, time.monotonic() + 60
    believed = time.monotonic() + 5
    while time.monotonic() < end:
        status = answers(host, port, authority)
        if status not in (0, 404, 503) or (status and time.monotonic() > believed):
            break
        time.sleep(0.1)
    return status


# ---- what is said ----

def say_services(work, state, tls_port):
    authority = os.path.join(state, "authority.pem")
    with open(authority, "w", encoding="utf-8") as file:
        file.write(read(os.path.join(state, "gateway", "node.json"))["authority"])
    calls = []
    for service in sorted(read(os.path.join(work, "services.json")), key=lambda s: s["name"]):
        if service["kind"] != "http" or not service["hosts"] or not service["enabled"]:
            continue
        host = service["hosts"][0]
        status = wait_served(host, tls_port, authority)
        is_open = service["access"]["kind"] == "public"
        path = "/" if is_open else "/v1/models"
        bearer = "" if is_open else ' -H "Authorization: Bearer $SEKISHO_TOKEN"'
        note = {0: "   # the gateway does not serve it yet", 502: "   # nothing listens there yet"}.get(status, "")
        calls.append(f"  curl --cacert {shlex.quote(authority)} --resolve {host}:{tls_port}:127.0.0.1 "
                     f"https://{host}:{tls_port}{path}{bearer}{note}")
    if calls:
        print("\nWhat stands beside the agent, by name, through the gateway and the agent's link (TLS of control's own authority):\n")
        print("\n".join(calls))


def say(work, state, sekisho, tls_port):
    setup, made = read(os.path.join(work, "setup.json")), os.path.join(work, "token")
    token = open(made, encoding="utf-8").read().strip() if os.path.exists(made) else ""
    link = os.path.join(work, "link.json")
    print("\nControl, a gateway and an agent are running. In another terminal (paste as it is):\n")
    print(f"  export SEKISHO_SERVER={setup['server']}")
    if token:
        print(f"  export SEKISHO_TOKEN={token}")
    for call in setup["calls"]:
        print(f"  {call['command']}")
    say_services(work, state, int(tls_port))
    if token:
        print("\nThe token is shown this once; the configuration holds only its SHA-256.")
    else:
        print("\n$SEKISHO_TOKEN is the token that was shown when it was made; another: build/sekisho token new --add --name NAME")
    far = setup.get("tailnetServer")
    if far:
        print(f"\nFrom another machine of the tailnet:\n  sekisho connect {far}")
    if os.path.exists(link):
        sign_in = read(link)["link"]
        print("\nYou own this control server. Your one-time link to sign in, for a browser or for the commands, good for a day:\n")
        print(f"  {sign_in}\n  {sekisho} login '{sign_in}'\n")
        print(f"and then {sekisho} status, {sekisho} node list, {sekisho} service add, {sekisho} share 3000.")
    else:
        print(f"\nControl has its owner: {sekisho} status, {sekisho} node list. Another link: {sekisho} owner link")
    print(f"Logs: {state}/log. Another service: make run ARGS=\"--publish NAME=PORT\", or {sekisho} service add.")
    print("\nCtrl-C ends it.\n", flush=True)


DEEDS = {f.__name__: f for f in (check, value, ports, joined, health, nodes, wanted, unclaimed, say)}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in DEEDS:
        sys.exit(__doc__)
    sys.exit(DEEDS[sys.argv[1]](*sys.argv[2:]))
