"""Secrets stay where they belong: in no log, page, error or environment that others can read."""

import pathlib

from lib import proc, wire
from lib.stage import same
from lib.upstream import always, ok


def processes(gate):
    return proc.tree(gate.pid)


def story_the_environment_keeps_none(t):
    token, key = "sk-" + "t" * 40, "sk-" + "k" * 40
    up = t.upstream(always(ok(b"{}", "Content-Type: application/json\r\n")))
    gate = t.gateway(env={"STORY_TOKEN": token, "STORY_KEY": key},
                     gateway={"apiTokens": [{"name": "env", "env": "STORY_TOKEN"}]},
                     providers={"p": {"kind": "openai", "baseUrl": up.url, "apiKey": {"env": "STORY_KEY"}, "models": ["m"]}})
    for pid in processes(gate):
        for name in ("environ", "cmdline"):
            seen = pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
            assert token.encode() not in seen and key.encode() not in seen, f"/proc/{pid}/{name} shows a secret"
    a = wire.post(gate.port, "/v1/chat/completions", b'{"model":"m"}', {"Authorization": f"Bearer {token}"})
    same(a.status, 200)
    same(up.requests[-1].get("authorization"), f"Bearer {key}")
    for page in ("/metrics", "/debug/config"):
        text = wire.get(gate.admin, page).text
        assert token not in text and key not in text, f"{page} shows a secret"
    wire.get(gate.port, f"/nothing?token={token}")
    wire.get(gate.port, "/v1/models", {"Authorization": f"Bearer {token}x"})
    log = gate.text()
    assert token not in log and key not in log, "the log shows a secret"
