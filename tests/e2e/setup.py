"""`sekisho setup`: a configuration from nothing, and the one there is completed without a word of it lost."""

import hashlib
import json
import re
import stat

from lib import fake_tailscaled
from lib.stage import same

QUIET = ("--no-tailscale", "--probe", "none")


def config_of(t):
    return t.folder / ".config/sekisho/sekisho.json"


def plain(text):
    """huJSON as a value, for texts without '//' in strings but in URLs."""
    text = re.sub(r"(?m)(^|[\s,])//.*$", r"\1", text)
    return json.loads(re.sub(r",(\s*[\]}])", r"\1", text))


def setup(t, *args, code=0, **more):
    done = t.sekisho_run("setup", *args, **more)
    same(done.returncode, code, done.stderr)
    return done


def token_in(text):
    return re.search(r"sk-[0-9A-Za-z]{39}", text)[0]


def story_from_nothing(t):
    done = setup(t, *QUIET)
    path = config_of(t)
    same(stat.S_IMODE(path.stat().st_mode), 0o600)
    same(stat.S_IMODE(path.parent.stat().st_mode), 0o700)
    conf, token = plain(path.read_text()), token_in(done.stdout)
    same(conf["gateway"]["apiTokens"], [{"name": "default", "sha256": hashlib.sha256(token.encode()).hexdigest()}])
    same(conf["gateway"]["allowedIps"], ["127.0.0.1", "::1"])
    same(conf["gateway"]["host"], "127.0.0.1")
    assert token not in path.read_text()
    same(t.sekisho_run("config", "check").returncode, 0)
    assert "no inference server was found" in done.stdout


def story_a_second_run_changes_nothing_and_says_so(t):
    first = setup(t, *QUIET)
    before = config_of(t).read_bytes()
    again = setup(t, *QUIET)
    same(config_of(t).read_bytes(), before)
    assert "nothing was changed" in again.stdout
    assert not re.search(r"sk-[0-9A-Za-z]{39}", again.stdout), "a token that was made before is not known"
    assert token_in(first.stdout) not in again.stdout
    assert not config_of(t).with_name("sekisho.json.bak").exists()


def story_what_was_found_is_in_it(t):
    models = t.sample()
    done = setup(t, "--no-tailscale", "--probe", f"llamacpp={models.port}", env={"ANTHROPIC_API_KEY": t.secret("key")})
    conf = plain(config_of(t).read_text())
    urls = [p.get("baseUrl") for p in conf["providers"].values()]
    assert f"http://127.0.0.1:{models.port}/v1" in urls, urls
    same(conf["providers"]["anthropic"], {"kind": "anthropic", "apiKey": {"env": "ANTHROPIC_API_KEY"}})
    assert '"model":"sample-1"' in done.stdout, "the calls name a model that is there"
    before = config_of(t).read_bytes()
    setup(t, "--no-tailscale", "--probe", f"llamacpp={models.port}", env={"ANTHROPIC_API_KEY": "x"})
    same(config_of(t).read_bytes(), before)


def story_ollama_is_known_by_its_answer(t):
    models = t.sample()
    setup(t, "--no-tailscale", "--probe", f"ollama={models.port}")
    same(plain(config_of(t).read_text())["providers"],
         {"ollama": {"kind": "openai", "baseUrl": f"http://127.0.0.1:{models.port}/v1"}})


def story_engines_are_told_apart_by_what_they_say(t):
    from lib.upstream import always, ok

    owners = {"llamacpp": "llamacpp", "vllm": "vllm", "sglang": "sglang", "lmstudio": "organization_owner", "server": "me"}
    for name, owner in owners.items():
        body = json.dumps({"object": "list", "data": [{"id": "m", "object": "model", "owned_by": owner}]})
        up = t.upstream(always(ok(body, "Content-Type: application/json\r\n")))
        conf = plain(setup(t, "--no-tailscale", "--probe", f"vllm={up.port}", "--print").stdout)
        same(list(conf["providers"]), [name])


def story_what_is_no_model_server_is_left_alone(t):
    from lib.upstream import always, ok

    bodies = [b"<html>hello</html>", b"{}", b'{"data": 1}', b'{"data": [1]}', b'{"data": [{"id": 7}]}', b"\xff\xfe", b"[" * 5000]
    for body in bodies:
        up = t.upstream(always(ok(body)))
        conf = plain(setup(t, "--no-tailscale", "--probe", f"vllm={up.port},ollama={up.port}", "--print").stdout)
        same(conf["providers"], {}, body[:20])
    silent = t.upstream(on_connect=lambda peer: peer.wait_closed(10))
    same(plain(setup(t, "--no-tailscale", "--probe", f"vllm={silent.port}", "--print").stdout)["providers"], {})
    closed = t.upstream(always(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 15\r\n\r\n{\"error\": \"no\"}"))
    done = setup(t, "--no-tailscale", "--probe", f"vllm={closed.port}")
    assert f"127.0.0.1:{closed.port} wants a key" in done.stdout


def story_the_tailnet_is_taken_in(t):
    sock = t.folder / "tailscaled.sock"
    daemon = fake_tailscaled.start(t, sock)
    done = setup(t, "--tailscale-socket", sock, "--probe", "none")
    conf = plain(config_of(t).read_text())["gateway"]
    same(conf["allowedIps"], ["127.0.0.1", "::1", "100.64.0.0/10", "fd7a:115c:a1e0::/48"])
    port = conf["port"]  # 3000, unless somebody has it
    same(conf["listen"], [f"100.101.102.103:{port}", f"[fd7a:115c:a1e0::6735:6667]:{port}"])
    same(conf["host"], "127.0.0.1")
    assert f"sekisho connect http://gpu.tail1234.ts.net:{port}" in done.stdout
    asked = daemon.wait_request()
    same(asked.get("host"), "local-tailscaled.sock")
    before = config_of(t).read_bytes()
    setup(t, "--tailscale-socket", sock, "--probe", "none")
    same(config_of(t).read_bytes(), before)


def story_a_tailnet_that_came_later(t):
    setup(t, *QUIET)
    sock = t.folder / "tailscaled.sock"
    fake_tailscaled.start(t, sock, v6=None)
    setup(t, "--tailscale-socket", sock, "--probe", "none")
    conf = plain(config_of(t).read_text())["gateway"]
    same(conf["allowedIps"], ["127.0.0.1", "::1", "100.64.0.0/10", "fd7a:115c:a1e0::/48"])
    same(conf["listen"], [f"100.101.102.103:{conf['port']}"])
    same(len(conf["apiTokens"]), 1)


def story_a_tailnet_that_is_down(t):
    sock = t.folder / "tailscaled.sock"
    fake_tailscaled.start(t, sock, state="NeedsLogin")
    done = setup(t, "--tailscale-socket", sock, "--probe", "none")
    same(plain(config_of(t).read_text())["gateway"]["allowedIps"], ["127.0.0.1", "::1"])
    assert "tailscale up" in done.stdout and "NeedsLogin" in done.stdout
    sock = t.folder / "nobody.sock"
    setup(t, "--tailscale-socket", sock, "--probe", "none")


def story_the_file_there_is_keeps_its_comments(t):
    path = t.folder / "mine.json"
    path.write_text('// our gateway\n{\n  "gateway": {\n    "port": 8443, // not the usual one\n    "allowedIps": ["10.0.0.0/8"],\n'
                    '  },\n  "log": { "level": "debug" }, // noisy\n}\n')
    done = setup(t, *QUIET, "--config", path)
    text = path.read_text()
    for kept in ("// our gateway", '"port": 8443, // not the usual one', '"allowedIps": ["10.0.0.0/8"]', "// noisy"):
        assert kept in text, text
    conf = plain(text)
    same(conf["gateway"]["allowedIps"], ["10.0.0.0/8"])
    same(len(conf["gateway"]["apiTokens"]), 1)
    assert token_in(done.stdout)
    assert path.with_name("mine.json.bak").read_text().startswith("// our gateway\n{\n  \"gateway\": {\n    \"port\": 8443, //")
    assert "apiTokens" not in path.with_name("mine.json.bak").read_text()
    same(stat.S_IMODE(path.stat().st_mode), 0o600)


def story_the_predecessors_file_is_completed(t):
    path = t.folder / "config.json"
    path.write_text(json.dumps({
        "agents": {"defaults": {"model": "anthropic/claude-opus-4-5"}}, "channels": {}, "tools": {},
        "providers": {"anthropic": {"apiKey": "", "apiBase": None}, "openai": {"apiKey": "", "apiBase": None}},
        "gateway": {"host": "0.0.0.0", "port": 18790, "apiTokens": ["3f1c9a52-7d0e-4b6a-9c15-5be2d8a40c77"], "allowedIps": [],
                    "tlsCert": None, "tlsKey": None}}, indent=2))
    done = setup(t, *QUIET, "--config", path, env={"ANTHROPIC_API_KEY": t.secret("key")})
    conf = plain(path.read_text())
    same(conf["providers"]["anthropic"], {"apiKey": {"env": "ANTHROPIC_API_KEY"}, "apiBase": None})
    same(conf["gateway"]["apiTokens"], ["3f1c9a52-7d0e-4b6a-9c15-5be2d8a40c77"])
    assert "every address may call" in done.stdout
    assert "http://127.0.0.1:18790" in done.stdout


def story_a_broken_file_is_left_alone(t):
    path = t.folder / "bad.json"
    for text, where in (('{"gateway": {"prot": 1}}', "bad.json:1:14"), ("{,}", "bad.json:1:2"), ("[]", "bad.json:1:1")):
        path.write_text(text)
        done = setup(t, *QUIET, "--config", path, code=2)
        assert where in done.stderr, done.stderr
        same(path.read_text(), text)
    setup(t, *QUIET, "--config", path, "--force")
    same(path.with_name("bad.json.bak").read_text(), "[]")
    same(len(plain(path.read_text())["gateway"]["apiTokens"]), 1)


def story_listen_where_told(t):
    setup(t, *QUIET, "--listen", "0.0.0.0:8080")
    conf = plain(config_of(t).read_text())["gateway"]
    same((conf["host"], conf["port"], conf.get("listen")), ("0.0.0.0", 8080, None))
    setup(t, *QUIET, "--listen", "[::1]:8081")
    conf = plain(config_of(t).read_text())["gateway"]
    same((conf["host"], conf["port"], conf["listen"]), ("0.0.0.0", 8080, ["[::1]:8081"]))
    before = config_of(t).read_bytes()
    for known in ("[::1]:8081", "127.0.0.1:8080"):
        setup(t, *QUIET, "--listen", known)
        same(config_of(t).read_bytes(), before)
    done = setup(t, *QUIET, "--listen", "somewhere", code=2)
    assert "--listen somewhere is no address" in done.stderr


def story_listen_does_not_lose_the_default_address(t):
    path = t.folder / "mine.json"
    path.write_text("{}")
    setup(t, *QUIET, "--config", path, "--listen", "127.0.0.1:8081")
    conf = plain(path.read_text())["gateway"]
    same((conf["host"], conf["port"], conf["listen"]), ("127.0.0.1", 3000, ["127.0.0.1:8081"]))


def story_print_writes_nothing(t):
    done = setup(t, *QUIET, "--print")
    assert not config_of(t).exists()
    conf = plain(done.stdout)
    same(conf["gateway"]["apiTokens"][0]["sha256"], hashlib.sha256(token_in(done.stderr).encode()).hexdigest())


def story_json_for_programs(t):
    models = t.sample()
    done = json.loads(setup(t, "--no-tailscale", "--probe", f"vllm={models.port}", "--json").stdout)
    port = plain(config_of(t).read_text())["gateway"]["port"]
    same((done["changed"], done["server"], done["tailnet"]), (True, f"http://127.0.0.1:{port}", None))
    same(done["servers"][0]["models"][0], "sample-1")
    assert done["token"] and any("/api/v1/chat" in c["command"] for c in done["calls"])
    again = json.loads(setup(t, "--no-tailscale", "--probe", f"vllm={models.port}", "--json").stdout)
    same((again["changed"], "token" in again), (False, False))


def story_the_sample_server_by_name(t):
    done = setup(t, *QUIET, "--sample", "http://127.0.0.1:18081")
    same(plain(config_of(t).read_text())["providers"]["sample"],
         {"kind": "openai", "baseUrl": "http://127.0.0.1:18081/v1", "dialects": ["openai", "anthropic"]})
    assert '"model":"sample-1"' in done.stdout
    before = config_of(t).read_bytes()
    setup(t, *QUIET, "--sample", "http://127.0.0.1:18081/")
    same(config_of(t).read_bytes(), before)


def story_ports_that_are_taken_are_gone_round(t):
    import socket

    taken = []
    for port in (3000, 9400):
        try:
            taken.append(socket.create_server(("127.0.0.1", port)))
        except OSError:
            pass  # somebody else has it, which is as good
    done = setup(t, *QUIET)
    conf = plain(config_of(t).read_text())
    assert conf["gateway"]["port"] > 3000 and int(conf["admin"]["listen"].rsplit(":", 1)[1]) > 9400, conf
    assert "3000 is taken by another program" in done.stdout
    before = config_of(t).read_bytes()
    for s in taken:
        s.close()
    setup(t, *QUIET)
    same(config_of(t).read_bytes(), before)
    setup(t, *QUIET, "--admin", "off")
    same(plain(config_of(t).read_text())["admin"], {"listen": "off"})
    setup(t, *QUIET, "--admin", "nowhere", code=2)
