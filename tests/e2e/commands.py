"""Commands that serve nothing: what they print, what they change, and how they end."""

import hashlib
import json
import os
import pty
import signal
import stat
import subprocess
import termios

from lib.stage import same


def run(t, *args, code=0, **more):
    done = t.sekisho_run(*args, **more)
    same(done.returncode, code, f"{args}: {done.stderr}")
    return done


def write(t, text, name="c.json", mode=0o600):
    path = t.folder / name
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    path.chmod(mode)
    return path


GOOD = {"gateway": {"apiTokens": [{"name": "a", "sha256": "0" * 64}]}}


def story_what_is_mistyped_is_said(t):
    for args, says in ((["confg"], 'did you mean "config"?'), (["config", "chek"], 'did you mean "check"?'),
                       (["config", "check", "--confg", "x"], "did you mean --config?"), (["config", "check", "--config"], "wants a value"),
                       (["config", "check", "x"], "an argument too many"), (["token", "new", "--json=1"], "takes no value")):
        done = run(t, *args, code=2)
        assert says in done.stderr, done.stderr
        same(done.stdout, "")


def story_every_command_has_help_with_examples(t):
    def commands(text):
        lines = text.split("\n\n")
        block = next((b for b in lines if b.startswith("commands:\n") or b.startswith("  ")), "")
        return [line.split()[0] for line in block.splitlines() if line.startswith("  ") and not line.startswith("   ")]

    for name in commands(run(t, "help").stdout):
        text = run(t, name, "--help").stdout
        same(run(t, "help", name).stdout, text)
        assert text.startswith(f"usage: sekisho {name}"), text
        below = commands(text) if "commands:\n" in text else []
        for sub in below:
            more = run(t, name, sub, "--help").stdout
            assert "examples:\n  " in more, f"{name} {sub}"
        assert below or "examples:\n  " in text, name
    same(run(t, code=2).stdout, run(t, "--help").stdout)
    same(run(t, "--version").stdout, run(t, "version").stdout)
    assert json.loads(run(t, "version", "--json").stdout)["version"] in run(t, "version").stdout


def story_check_says_where(t):
    path = write(t, '{\n  "gateway": { "prot": 3000 }\n}\n')
    done = run(t, "config", "check", "--config", path, code=2)
    assert done.stderr.startswith(f"{path}:2:16: error: gateway: there is no key \"prot\" (did you mean \"port\"?)\n"), done.stderr
    found = json.loads(run(t, "config", "check", "--config", path, "--json", code=2).stdout)
    same((found["ok"], found["errors"][0]["line"], found["errors"][0]["column"]), (False, 2, 16))
    assert "good" in run(t, "config", "check", "--config", write(t, GOOD)).stdout
    run(t, "config", "check", "--config", t.folder / "none.json", code=2)
    run(t, "config", "check", code=4)


def story_where_the_file_is_looked_for(t):
    home, xdg, here = t.folder / ".config/sekisho", t.folder / "xdg/sekisho", t.folder
    for folder in (home, xdg):
        folder.mkdir(parents=True)
    env = {"XDG_CONFIG_HOME": str(xdg.parent)}
    write(t, GOOD, ".config/sekisho/sekisho.json")
    assert str(home) in run(t, "config", "check").stdout
    write(t, GOOD, "xdg/sekisho/sekisho.json")
    assert str(xdg) in run(t, "config", "check", env=env).stdout
    write(t, GOOD, "sekisho.json")
    same(run(t, "config", "check", env=env).stdout, "sekisho.json: good\n")
    named = write(t, GOOD, "named.json")
    assert str(named) in run(t, "config", "check", env={**env, "SEKISHO_CONFIG": str(named)}).stdout
    assert "c.json" in run(t, "config", "check", "--config", write(t, GOOD), env={"SEKISHO_CONFIG": str(here / "none")}).stdout


def story_secrets_are_masked_and_modes_looked_at(t):
    key, token = t.secret("key"), t.secret("plain")
    private = write(t, key + "\n", "key", 0o600)
    path = write(t, {"gateway": {"apiTokens": [token]}, "providers": {
        "openai": {"apiKey": {"file": "key"}}, "groq": {"apiKey": {"env": "GROQ"}}, "deepseek": {"apiKey": key}}})
    done = run(t, "config", "show", "--config", path, env={"GROQ": key})
    shown = json.loads(done.stdout)
    assert key not in done.stdout + done.stderr and token not in done.stdout + done.stderr
    same(shown["providers"]["openai"]["apiKey"], {"file": "key"})
    same(shown["providers"]["deepseek"]["apiKey"], "***")
    same(shown["gateway"]["apiTokens"][0]["token"], "***")
    same(shown["gateway"]["limits"]["headerBytes"], "32KiB")
    path.chmod(0o644)
    assert "chmod 600" in run(t, "config", "check", "--config", path, env={"GROQ": key}).stderr
    private.chmod(0o644)
    assert "others can read" in run(t, "config", "check", "--config", path, env={"GROQ": key}, code=2).stderr
    private.chmod(0o600)
    assert "GROQ is not set" in run(t, "config", "check", "--config", path, code=2).stderr


def story_a_pair_of_certificates_that_does_not_fit(t):
    cert, key = t.certs().issue("a.example")
    _, other = t.certs().issue("b.example")
    base = {"apiTokens": GOOD["gateway"]["apiTokens"], "tlsCert": str(cert), "tlsKey": str(key)}
    run(t, "config", "check", "--config", write(t, {"gateway": base}))
    run(t, "config", "check", "--config", write(t, {"gateway": {**base, "tlsKey": str(other)}}), code=2)
    run(t, "config", "check", "--config", write(t, {"gateway": {**base, "tlsKey": None}}), code=2)
    key.chmod(0o644)
    assert "chmod 600" in run(t, "config", "check", "--config", write(t, {"gateway": base}), code=2).stderr


def story_format_keeps_comments_and_a_backup(t):
    text = '// mine\n{"gateway":{"apiTokens":[{"name":"a","sha256":"' + "0" * 64 + '"}], // one\n},}\n'
    path = write(t, text)
    run(t, "config", "format", "--config", path, "--check", code=1)
    laid_out = run(t, "config", "format", "--config", path, "--print").stdout
    same(path.read_text(), text)
    run(t, "config", "format", "--config", path)
    same(path.read_text(), laid_out)
    assert "// mine" in laid_out and "// one" in laid_out
    same(path.with_name("c.json.bak").read_text(), text)
    same(stat.S_IMODE(path.stat().st_mode), 0o600)
    run(t, "config", "format", "--config", path, "--check")
    assert ":1:3" in run(t, "config", "format", "--config", write(t, "{ ,"), code=2).stderr


def story_tokens_come_and_go(t):
    path = write(t, '{"gateway": {"apiTokens": [ // ours\n  {"name": "a", "sha256": "' + "0" * 64 + '"},\n]}}')
    where = ("--config", path)
    token = run(t, "token", "new", *where, "--add", "--name", "bob", "--models", "qwen*", "--scopes", "llm").stdout.strip()
    same((len(token), token[:3]), (42, "sk-"))
    assert hashlib.sha256(token.encode()).hexdigest() in path.read_text() and token not in path.read_text()
    assert "// ours" in path.read_text()
    names = {x["name"]: x for x in json.loads(run(t, "token", "list", *where, "--json").stdout)}
    same((list(names), names["bob"]["scopes"], names["bob"]["models"]), (["a", "bob"], ["llm"], ["qwen*"]))
    assert "bob" in run(t, "token", "new", *where, "--add", "--name", "bob", code=5).stderr
    run(t, "token", "new", *where, "--add", code=2)
    assert "no time" in run(t, "token", "new", *where, "--add", "--name", "c", "--expires", "soon", code=2).stderr
    run(t, "token", "remove", "bob", *where)
    run(t, "token", "remove", "bob", *where, code=4)
    before = path.read_bytes()
    assert "no token" in run(t, "token", "remove", "a", *where, code=2).stderr, "not the last one"
    same(path.read_bytes(), before)


def story_a_hash_of_what_is_piped_or_typed(t):
    wanted = hashlib.sha256(b"sk-typed-at-a-terminal").hexdigest()
    assert wanted in run(t, "token", "hash", stdin="sk-typed-at-a-terminal\n").stdout
    same(json.loads(run(t, "token", "hash", "--name", "x", "--json", stdin="sk-typed-at-a-terminal").stdout)["entry"]["name"], "x")
    run(t, "token", "hash", stdin="", code=2)
    run(t, "token", "hash", stdin="two words\n", code=2)
    run(t, "token", "hash", stdin="x" * 100000, code=2)
    master, slave = pty.openpty()
    child = subprocess.Popen([str(t.sekisho), "token", "hash"], stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=t.env)
    os.close(slave)
    same(child.stderr.read(7), b"token: ")
    os.write(master, b"sk-typed-at-a-terminal\n")
    out, _ = child.communicate(timeout=60)
    same(child.returncode, 0)
    assert wanted in out.decode()
    os.set_blocking(master, False)
    try:
        echoed = os.read(master, 1000)
    except (BlockingIOError, OSError):
        echoed = b""
    assert b"sk-typed" not in echoed, "what is typed does not show"
    os.close(master)


def story_a_prompt_that_is_interrupted_leaves_the_echo_on(t):
    master, slave = pty.openpty()
    child = subprocess.Popen([str(t.sekisho), "token", "hash"], stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=t.env, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a job in the background ignores it
    same(child.stderr.read(7), b"token: ")
    assert not termios.tcgetattr(slave)[3] & termios.ECHO
    child.send_signal(signal.SIGINT)
    same(child.wait(10), -signal.SIGINT)
    assert termios.tcgetattr(slave)[3] & termios.ECHO
    os.close(slave)
    os.close(master)


def story_a_pipe_that_closes_is_no_error(t):
    child = subprocess.Popen([str(t.sekisho), "config", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=t.env)
    child.stdout.read(10)
    child.stdout.close()
    same(child.stderr.read(), b"")
    same(child.wait(10), 0)
    with open("/dev/full", "wb") as full:
        done = subprocess.run([str(t.sekisho), "config", "schema"], stdout=full, stderr=subprocess.PIPE, env=t.env, timeout=60)
    same(done.returncode, 1)
    assert b"No space left" in done.stderr


def story_completion_is_made_from_the_table(t):
    for shell in ("bash", "zsh"):
        text = run(t, "completion", shell).stdout
        for word in ("setup", "no-tailscale", "config", "check", "token", "hash", "connect"):
            assert word in text, (shell, word)
    script = run(t, "completion", "bash").stdout + """
COMP_WORDS=(sekisho co) COMP_CWORD=1; _sekisho; echo "${COMPREPLY[*]}"
COMP_WORDS=(sekisho config sh) COMP_CWORD=2; _sekisho; echo "${COMPREPLY[*]}"
COMP_WORDS=(sekisho token new --na) COMP_CWORD=3; _sekisho; echo "${COMPREPLY[*]}"
"""
    done = subprocess.run(["bash", "-u", "-c", script], capture_output=True, text=True, timeout=60)
    same((done.stdout.splitlines(), done.stderr), (["control connect config completion", "show", "--name"], ""))
    run(t, "completion", "fish", code=2)
