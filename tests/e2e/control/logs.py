"""sekisho logs: control's trail and the files of roles, with what comes."""

import json

from lib.control_role import Control
from lib.stage import eventually, same


def story_what_was_done_at_control(t):
    control = Control(t).claim()
    env = {"SEKISHO_SERVER": f"{control.url}#{control.get('/status')['authority_sha256'][:32]}", "SEKISHO_TOKEN": control.key}
    for n in range(5):
        control.made("/join-tokens", {"kind": "agent", "label": f"n{n}"})
    lines = t.sekisho_run("logs", "--lines", "3", env=env).stdout.splitlines()
    same(len(lines), 3)
    assert all("join-token.add" in line for line in lines) and lines == sorted(lines), lines
    whole = [json.loads(line) for line in t.sekisho_run("logs", "--json", env=env).stdout.splitlines()]
    same([r["seq"] for r in whole], sorted(r["seq"] for r in whole))
    same([r["action"] for r in whole][-5:], ["join-token.add"] * 5)
    follow = t.start("follow", [t.sekisho, "logs", "--follow", "-n", "1"], env=env)
    follow.codes = (-15,)
    eventually(lambda: "join-token.add" in follow.text(), 20, follow.text)
    key = control.new_key("reader", "read")
    eventually(lambda: "api-key.add" in follow.text(), 20, follow.text)
    same(follow.text().count("join-token.add"), 1)
    # Who may not read the trail is told so.
    same(t.sekisho_run("logs", env={**env, "SEKISHO_TOKEN": key}).returncode, 7)
    for wrong in ("0", "x", "10001"):
        same(t.sekisho_run("logs", "-n", wrong, env=env).returncode, 2)


def story_the_file_of_a_role(t):
    same(t.sekisho_run("logs", "gateway").returncode, 4)
    same(t.sekisho_run("logs", "gatway").returncode, 2)
    folder = t.folder / "state" / "log"
    folder.mkdir(parents=True)
    log = folder / "gateway.log"
    events = [json.dumps({"time": f"2026-11-21T00:00:{n:02}Z", "level": "info", "event": "counted", "n": n, "who": "a\u001bb"}) for n in range(30)]
    log.write_text("".join(e + "\n" for e in [*events, "no JSON"]))
    lines = t.sekisho_run("logs", "gateway", "-n", "3").stdout.splitlines()
    same(lines[0], "2026-11-21T00:00:28Z info    counted n=28 who=a\\x1bb")
    same(lines[1:], ["2026-11-21T00:00:29Z info    counted n=29 who=a\\x1bb", "no JSON"])
    same(t.sekisho_run("logs", "gateway", "-n", "2", "--json").stdout, events[-1] + "\nno JSON\n")
    same(len(t.sekisho_run("logs", "gateway", "-n", "100").stdout.splitlines()), 31)
    follow = t.start("follow", [t.sekisho, "logs", "gateway", "--follow", "--json", "-n", "1"])
    follow.codes = (-15,)
    eventually(lambda: follow.text() == "no JSON\n", 10, follow.text)
    with log.open("a") as f:
        f.write("half ")
        f.flush()
        f.write("a line\n")
    eventually(lambda: follow.text() == "no JSON\nhalf a line\n", 10, follow.text)
    log.rename(folder / "gateway.log.1")
    log.write_text("anew\n")
    eventually(lambda: follow.text() == "no JSON\nhalf a line\nanew\n", 10, follow.text)
