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
RULES = ROOT / "deploy/prometheus/alerts.yml"
CASES = ROOT / "deploy/prometheus/alerts_test.yml"
BOARD = ROOT / "deploy/grafana/sekisho-gateway.json"
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
    names = set(re.findall(r"\bsekisho_\w+", expr)) | set(re.findall(r"\bup\b(?=\{)", expr))
    wrong = [f"no metric {name}" for name in names if name not in KNOWN]
    labels = set().union(OF_PROMETHEUS, *(KNOWN[n][1] for n in names if n in KNOWN))
    for name, selector in re.findall(r"\b(sekisho_\w+|up)\{([^}]*)\}", expr):
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
    for block in RULES.read_text().split("- alert: ")[1:]:
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

    def test_board(self):
        board = json.loads(BOARD.read_text())
        panels = [p for p in board["panels"] if p["type"] != "row"]
        self.assertEqual(len({p["id"] for p in board["panels"]}), len(board["panels"]))
        self.assertGreater(len(panels), 20)
        for p in panels:
            for target in p["targets"]:
                self.assertEqual(problems(target["expr"]), [], p["title"])
                for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                    named = set().union(*(KNOWN[n][1] for n in re.findall(r"\bsekisho_\w+", target["expr"]))) | OF_PROMETHEUS
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

    @unittest.skipUnless(shutil.which("promtool"), "needs promtool (Debian package prometheus)")
    def test_promtool(self):
        for command in (("check", "rules", RULES), ("test", "rules", CASES)):
            run = subprocess.run(["promtool", *command], capture_output=True, text=True)
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        for name, expr in rules():
            self.assertNotIn("\t", expr, name)


if __name__ == "__main__":
    unittest.main()
