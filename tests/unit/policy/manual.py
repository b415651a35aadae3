#!/usr/bin/env python3
"""docs/policy.md and docs/policy-facts.schema.json against the program: every policy of the page is checked and its tests
hold for the facts below; the example of facts fits the schema; the schema and the program know the same keys.

usage: manual.py PROGRAM DOCS
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

PROGRAM, DOCS = sys.argv[1], pathlib.Path(sys.argv[2])
SCHEMA = json.loads((DOCS / "policy-facts.schema.json").read_text())
FACTS = {
    "users": [{"id": "1", "email": "alice@example.com", "role": "owner"},
              {"id": "2", "email": "bob@example.com", "role": "member"}],
    "nodes": [{"id": "1", "name": "laptop", "user": "1", "addresses": ["100.64.0.1"]},
              {"id": "2", "name": "ops", "user": "2", "addresses": ["100.64.0.2"]},
              {"id": "3", "name": "web", "tags": ["tag:web"], "addresses": ["100.64.0.3"]},
              {"id": "4", "name": "db", "tags": ["tag:db"], "addresses": ["100.64.0.4"]}],
    "services": ["wiki", {"name": "console", "node": "3"}],
    "models": [{"name": "gpt-4o", "provider": "openai"}],
    "providers": ["openai"],
    "tools": ["github.issues"],
    "time": "2027-02-01T09:00:00Z",
}


def fits(value, schema, where="facts"):
    """Why the value does not fit, by the few words of JSON Schema that ours uses; nothing when it does."""
    if "$ref" in schema:
        schema = {**SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]], **{k: v for k, v in schema.items() if k != "$ref"}}
    if "anyOf" in schema:
        return [] if any(not fits(value, s, where) for s in schema["anyOf"]) else [f"{where}: fits none"]
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{where}: {value!r}"]
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    known = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool,
             "null": type(None)}
    if not any(isinstance(value, known[t]) for t in types):
        return [f"{where}: is no {types}"]
    faults = []
    if isinstance(value, list):
        for i, item in enumerate(value):
            faults += fits(item, schema["items"], f"{where}[{i}]")
    if isinstance(value, dict):
        faults += [f"{where}: lacks {key}" for key in schema.get("required", []) if key not in value]
        for key, item in value.items():
            inner = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            faults += [f"{where}: {key} is unknown"] if not inner else fits(item, inner, f"{where}.{key}")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        faults.append(f"{where}: {value!r}")
    return faults


def run(*args):
    return subprocess.run([PROGRAM, "policy", *args], capture_output=True, text=True, timeout=60)


class Manual(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def test_policies_of_the_page(self):
        blocks = re.findall(r"```hujson\n(.*?)```", (DOCS / "policy.md").read_text(), re.S)
        self.assertGreaterEqual(len(blocks), 3)
        facts = self.file("facts.json", json.dumps(FACTS))
        for block in blocks:
            policy = self.file("policy.hujson", block)
            tested = run("test", policy, "--facts", facts)
            self.assertEqual(tested.returncode, 0, block + tested.stderr)
            self.assertNotIn("0 tests", tested.stdout)
            checked = run("check", policy, "--facts", facts, "--json")
            self.assertEqual(json.loads(checked.stdout)["warnings"], [], block)

    def test_commands_of_the_page(self):
        lines = re.findall(r"^    sekisho policy (.*?)(?: +#.*)?$", (DOCS / "policy.md").read_text(), re.M)
        self.assertGreaterEqual(len(lines), 5)
        names = {"policy.hujson": str(DOCS / "examples/policy.hujson"), "new.hujson": str(DOCS / "examples/policy.hujson"),
                 "facts.json": str(DOCS / "examples/policy-facts.json")}
        for line in lines:
            done = run(*[names.get(word, word) for word in line.split()])
            self.assertEqual(done.returncode, 0, line + done.stderr)

    def test_facts_fit_the_schema(self):
        self.assertEqual(fits(FACTS, SCHEMA), [])
        self.assertEqual(fits(json.loads((DOCS / "examples/policy-facts.json").read_text()), SCHEMA), [])
        self.assertNotEqual(fits({"nodes": [{"adresses": []}]}, SCHEMA), [])

    def test_the_schema_knows_the_keys(self):
        """Each key of the schema is taken by the program, and one that neither knows is refused."""
        values = {"user": {"id": "9", "email": "x@example.com"}, "node": {"id": "9", "tags": ["tag:web"]},
                  "service": {"name": "s"}, "model": {"name": "m"}}
        policy = self.file("policy.hujson", "{}")
        for kind, least in values.items():
            for key in [*SCHEMA["$defs"][kind]["properties"], "bogus"]:
                item = {**least, key: least.get(key, None)}
                facts = self.file("facts.json", json.dumps({kind + "s": [item]}))
                known = run("check", policy, "--facts", facts).returncode == 0
                self.assertEqual(known, key != "bogus", (kind, key))
        for key in [*SCHEMA["properties"], "bogus"]:
            done = run("check", policy, "--facts", self.file("facts.json", json.dumps({key: None})))
            self.assertEqual(done.returncode == 0, key != "bogus", (key, done.stderr))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
