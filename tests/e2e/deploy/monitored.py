"""A real Prometheus with our configuration, rules and boards, and a gateway to ask."""

import json
import shutil
import urllib.error
import urllib.parse
import urllib.request

from lib.stage import ROOT, Program, eventually, free_port, same

MONITORING = ROOT / "deploy/monitoring"


def story_prometheus_takes_it_all(t, seconds=60):
    if not shutil.which("prometheus"):
        t.leave_out("needs prometheus")
    gate = t.proxy(t.sample())
    for _ in range(5):
        gate.get("/bytes/3", token=False)
    folder = t.folder / "prometheus"
    shutil.copytree(MONITORING / "prometheus", folder)
    port = free_port()
    config = (folder / "prometheus.yml").read_text()
    (folder / "prometheus.yml").write_text(config.replace("interval: 15s", "interval: 1s").replace("127.0.0.1:9090", f"127.0.0.1:{port}"))
    (folder / "sekisho.targets.yml").write_text(f'- targets: ["127.0.0.1:{gate.admin}"]\n')
    prometheus = Program(t, "prometheus", ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={t.folder}/tsdb",
                                           f"--web.listen-address=127.0.0.1:{port}"])
    t.programs.append(prometheus)

    def ask(path, **query):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=20) as a:
                return json.load(a)["data"]
        except urllib.error.HTTPError as e:
            if e.code == 503:
                return None  # it starts
            raise AssertionError(f"{query}: {e.read().decode()}")
        except OSError:
            return None

    def value(expr):
        data = ask("query", query=expr)
        return float(data["result"][0]["value"][1]) if data and data["result"] else None

    eventually(lambda: value('up{job="sekisho"}') == 1, 30, "the gateway is not scraped")
    eventually(lambda: (value("sum(sekisho_requests_total)") or 0) >= 5, 30, "its requests are not counted")
    # Every rule was evaluated, and none has anything to complain about; every panel's expression is one.
    def evaluated():
        found = [r for g in ask("rules")["groups"] for r in g["rules"]]
        assert not [r for r in found if r["health"] == "err"], found
        return all(r["health"] == "ok" for r in found) and found

    rules = eventually(evaluated, 30, "rules are not evaluated")
    assert len(rules) > 20, rules
    same([r["name"] for r in rules if r["state"] == "firing"], [])
    for board in (MONITORING / "grafana").glob("*.json"):
        for panel in json.loads(board.read_text())["panels"]:
            for target in panel.get("targets", []) if panel["type"] != "logs" else []:
                expr = target["expr"].replace("$__rate_interval", "1m")
                for name in ("instance", "route"):
                    expr = expr.replace(f"${name}", ".*")
                assert ask("query", query=expr) is not None, (panel["title"], expr)
