#!/usr/bin/env python3
"""Dashboard and alert rules use only metrics that exist, with labels they have; promtool agrees with the rules and their cases.

What exists is docs/reference/metrics.md, which tests/unit/gateway/metrics_test.c compares with the tables in the code.
"""

import json
import pathlib
import re
import shutil
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MONITORING = ROOT / "deploy/monitoring"
RULES = [MONITORING / "prometheus" / name for name in ("alerts.yml", "fleet.yml", "dispatch.yml")]
BOARDS = sorted((MONITORING / "grafana").glob("*.json"))
OURS = r"(?:sekisho|http_dispatcher)_\w+"
OF_PROMETHEUS = {"instance", "job", "le"}  # labels that the one who scrapes adds, and the bucket's


def metrics():
    """{name: (kind, labels)}, the parts of a histogram under their own names."""
    found = {"up": ("gauge", set())}
    for name, kind, labels in re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \|", (ROOT / "docs/reference/metrics.md").read_text(), re.M):
        labels = set(re.findall(r"`(\w+)`", labels))
        for end in ("_bucket", "_sum", "_count") if kind == "histogram" else ("",):
            found[name + end] = (kind, labels)
    return found


KNOWN = metrics()


def problems(expr):
    """What is wrong with one expression."""
    names = set(re.findall(rf"\b{OURS}", expr)) | set(re.findall(r"\bup\b(?=\{)", expr))
    wrong = [f"no metric {name}" for name in names if name not in KNOWN]
    labels = set().union(OF_PROMETHEUS, *(KNOWN[n][1] for n in names if n in KNOWN))
    for name, selector in re.findall(rf"\b({OURS}|up)\{{([^}}]*)\}}", expr):
        own = KNOWN.get(name, ("", set()))[1] | OF_PROMETHEUS
        wrong += [f"{name} has no label {label}" for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", selector) if label not in own]
    for group in re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", expr):
        wrong += [f"none of {sorted(names)} has a label {label}" for label in re.findall(r"\w+", group) if label not in labels]
    for name in names:
        if KNOWN.get(name, ("",))[0] == "counter" and not re.search(rf"(?:rate|increase)\({name}\b", expr):
            wrong.append(f"{name} is a counter and is used without a rate")
    return wrong + ([] if names else ["it asks for nothing of ours"])


def rules():
    """[(alert, expression)] without a YAML library: the file is ours, and promtool reads it in full below."""
    found = []
    for block in [b for path in RULES for b in path.read_text().split("- alert: ")[1:]]:
        expr = re.search(r"expr: (?:\|\n((?: {10,}.*\n)+)|(.*)\n)", block)
        found.append((block.split("\n")[0], expr[1] or expr[2]))
    return found


class Deploy(unittest.TestCase):
    def test_the_check_itself(self):
        self.assertEqual(problems('rate(sekisho_requests_total{route="x"}[5m])'), [])
        for bad in ("sekisho_nothing_total", 'rate(sekisho_requests_total{colour="x"}[5m])', "sekisho_requests_total",
                    "sum by (colour) (rate(sekisho_requests_total[5m]))", "vector(1)", "sekisho_request_duration_seconds"):
            self.assertTrue(problems(bad), bad)

    def test_rules(self):
        self.assertGreater(len(rules()), 10)
        self.assertEqual([(name, p) for name, expr in rules() for p in problems(expr)], [])

    def test_each_word_of_a_rule(self):
        sources = "".join(p.read_text() for p in (ROOT / "src").rglob("*.c"))
        for name, expr in rules():
            for words in re.findall(r'reason=~?"([^"]*)"', expr):
                for word in words.split("|"):
                    self.assertTrue(f'"{word}"' in sources, f"{name}: nothing is refused because of {word}")

    def test_boards(self):
        self.assertEqual([b.stem for b in BOARDS], ["sekisho-operations", "sekisho-overview"])
        for path in BOARDS:
            with self.subTest(path.name):
                self.check_board(path)

    def check_board(self, path):
        board = json.loads(path.read_text())
        self.assertEqual(board["uid"], path.stem)
        panels = [p for p in board["panels"] if p["type"] not in ("row", "logs")]
        self.assertEqual(len({p["id"] for p in board["panels"]}), len(board["panels"]))
        self.assertGreater(len(panels), 12)
        for p in (p for p in board["panels"] if p["type"] == "logs"):
            self.assertEqual(p["datasource"]["uid"], "${logs}")
            self.assertTrue(all(t["expr"].startswith('{job="sekisho"') for t in p["targets"]))
        for p in panels:
            for target in p["targets"]:
                self.assertEqual(problems(target["expr"]), [], p["title"])
                for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                    named = set().union(*(KNOWN[n][1] for n in re.findall(rf"\b{OURS}", target["expr"]))) | OF_PROMETHEUS
                    self.assertIn(label, named, p["title"])
            self.assertEqual(p["datasource"]["uid"], "${source}", "a board for any data source")
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                name, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
                self.assertIn(label, KNOWN[name][1] | OF_PROMETHEUS)
        cells = [(x, y) for p in board["panels"] for x in range(p["gridPos"]["x"], p["gridPos"]["x"] + p["gridPos"]["w"])
                 for y in range(p["gridPos"]["y"], p["gridPos"]["y"] + p["gridPos"]["h"])]
        self.assertEqual(len(cells), len(set(cells)), "panels overlap")
        self.assertTrue(all(x < 24 for x, _ in cells))

    def run_clean(self, *command):
        run = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        return run.stdout

    @unittest.skipUnless(shutil.which("promtool"), "needs promtool (Debian package prometheus)")
    def test_promtool(self):
        said = self.run_clean("promtool", "check", "config", MONITORING / "prometheus/prometheus.yml")
        self.assertIn("3 rule files found", said)
        for path in RULES:
            self.run_clean("promtool", "test", "rules", path.with_name(path.stem + "_test.yml"))
        for name, expr in rules():
            self.assertNotIn("\t", expr, name)

    def test_each_rule_of_the_fleet_has_a_case(self):
        for path in RULES[1:]:
            self.check_cases(path)

    def check_cases(self, path):
        cases = path.with_name(path.stem + "_test.yml").read_text()
        for name in re.findall(r"- alert: (\w+)", path.read_text()):
            self.assertRegex(cases, rf"alertname: {name}\n\s+exp_alerts:\n\s+- ", f"{name} never fires in a case")

    @unittest.skipUnless(shutil.which("amtool"), "needs amtool (Debian package prometheus-alertmanager)")
    def test_alertmanager(self):
        config = MONITORING / "alertmanager/alertmanager.yml"
        self.run_clean("amtool", "check-config", config)
        for labels, receiver in ((("severity=critical", "alertname=SekishoDown"), "wake-up"), (("severity=warning",), "operators")):
            self.assertEqual(self.run_clean("amtool", "config", "routes", "test", f"--config.file={config}", *labels).strip(), receiver)
        alerts = {name for name, _ in rules()}
        for name in re.findall(r"\bSekisho\w+", config.read_text()):
            self.assertIn(name, alerts | {"Sekisho"}, "a rule that is not there")

    def test_logs_are_of_units_that_exist(self):
        alloy = (MONITORING / "loki/config.alloy").read_text()
        roles = re.search(r"sekisho-\(([\w|]+)\)", alloy)[1].split("|")
        self.assertEqual(sorted(f"sekisho-{r}.service" for r in roles), sorted(p.name for p in (ROOT / "deploy/systemd").glob("*.service")))
        for pair in ("{}", "()", "[]"):
            self.assertEqual(alloy.count(pair[0]), alloy.count(pair[1]))

    def test_nothing_is_open_and_nothing_has_a_password(self):
        for path in (p for p in MONITORING.rglob("*") if p.is_file()):
            text = re.sub(r"(?m)^\s*(#|//).*$", "", path.read_text())
            self.assertNotRegex(text, r"(?i)password|admin:admin|passwd|0\.0\.0\.0", path)
            for address in re.findall(r"[\w.-]+:\d{4,5}\b", text):
                self.assertTrue(address.startswith("127.0.0.1:"), f"{path}: {address}")


if __name__ == "__main__":
    unittest.main()
