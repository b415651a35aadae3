#!/usr/bin/env python3
"""Every command of `sekisho policy` on the example of the manual: what it prints, and what it ends with.

usage: commands.py PROGRAM EXAMPLES      PROGRAM is build/sekisho, EXAMPLES is docs/examples
"""

import json
import os
import pathlib
import stat
import subprocess
import sys
import tempfile
import unittest

PROGRAM, EXAMPLES = sys.argv[1], pathlib.Path(sys.argv[2])
POLICY, FACTS = str(EXAMPLES / "policy.hujson"), str(EXAMPLES / "policy-facts.json")


def run(*args, stdin=""):
    return subprocess.run([PROGRAM, "policy", *args], input=stdin, capture_output=True, text=True, timeout=60)


class Commands(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def file(self, text, name="p.hujson"):
        path = pathlib.Path(self.folder.name, name)
        path.write_text(text)
        return str(path)

    def example(self, *changes):
        """The example with texts replaced, each of which must be there."""
        text = pathlib.Path(POLICY).read_text()
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        return text

    def without_tests(self, text):
        return text[:text.index('\t"tests":')] + "}\n"

    def answer(self, done, code=0):
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return json.loads(done.stdout)

    # check, test, compile

    def test_the_example_is_good(self):
        self.assertEqual(self.answer(run("check", POLICY, "--facts", FACTS, "--json")),
                         {"ok": True, "errors": [], "warnings": []})
        tested = self.answer(run("test", POLICY, "--facts", FACTS, "--json"))
        self.assertEqual((tested["tests"], tested["failed"]), (7, 0))

    def test_compile_tells_every_node(self):
        nodes = self.answer(run("compile", POLICY, "--facts", FACTS, "--json"))["nodes"]
        self.assertEqual(set(nodes), {"10", "11", "12", "20", "21", "22", "23"})
        for node in nodes.values():
            self.assertEqual(set(node), {"packet_filter_rules", "ssh_rules", "cap_map"})
        self.assertIn({"SrcIPs": ["100.64.0.20", "fd7a:115c:a1e0::14"],
                       "DstPorts": [{"IP": "100.64.0.21", "Ports": {"First": 5432, "Last": 5432}},
                                    {"IP": "fd7a:115c:a1e0::15", "Ports": {"First": 5432, "Last": 5432}}],
                       "IPProto": [6]},
                      nodes["21"]["packet_filter_rules"])

    def test_refusals_name_the_place(self):
        bad = self.file('{\n  "acls": [\n    {"action": "accept", "src": ["group:x"], "dst": ["*:*"]}\n  ]\n}\n')
        for command in ("check", "compile"):
            done = run(command, bad, "--facts", FACTS, "--json")
            refused = self.answer(done, 1)
            self.assertIn('line 3, column 34: src=group not found: "group:x"', refused["message"])
            self.assertEqual((refused["errors"][0]["line"], refused["errors"][0]["column"]), (3, 34))
            self.assertIn(bad + ":3:34: error: ", done.stderr)

    def test_names_of_the_facts(self):
        text = self.file(self.without_tests(self.example(('"service:wiki"', '"service:wikl"'),
                                                         ('"model:gpt-*"', '"model:gtp-*"'))))
        for command in ("check", "compile", "test"):
            done = run(command, text, "--facts", FACTS)
            self.assertEqual(done.returncode, 1)
            self.assertIn('service not found: "service:wikl" (did you mean "wiki"?)', done.stderr)
            self.assertIn('warning: "model:gtp-*" fits no model there is', done.stderr)
        self.assertEqual(run("check", text).returncode, 0)

    def test_own_tests_that_fail_refuse(self):
        bad = self.file(self.example(('"accept": ["tag:db:5432"]', '"accept": ["tag:db:5433"]')))
        done = run("test", bad, "--facts", FACTS, "--json")
        failed = self.answer(done, 1)
        self.assertEqual(failed["message"], "test(s) failed")
        self.assertEqual(failed["data"][0]["user"], "tag:web")
        self.assertIn('address "tag:db:5433": want: Accept, got: Drop', failed["data"][0]["errors"][0])
        self.assertIn("test(s) failed", self.answer(run("compile", bad, "--facts", FACTS, "--json"), 1)["message"])

    def test_warnings(self):
        text = self.file('{"groups": {"group:none": []}, "grants": [\n'
                         '{"src": ["group:none"], "dst": ["*"], "ip": ["22"]},\n'
                         '{"src": ["*"], "dst": ["*"], "ip": ["*"]},\n'
                         '{"src": ["*"], "dst": ["10.0.0.0/8"], "ip": ["443"]}]}')
        warnings = self.answer(run("check", text, "--json"))["warnings"]
        self.assertEqual([w["line"] for w in warnings], [2, 4])
        self.assertIn("never matches", warnings[0]["text"])
        self.assertIn("grants[2] adds nothing: the rule on line 3 covers it", warnings[1]["text"])

    def test_nobody_administers(self):
        text = self.file(self.without_tests(self.example(('"service:console"', '"service:wiki"'))))
        warnings = self.answer(run("check", text, "--facts", FACTS, "--json"))["warnings"]
        self.assertTrue(any("nobody can administer" in w["text"] for w in warnings), warnings)

    def test_wrong_use(self):
        for args in (["check"], ["compile", POLICY], ["compile", POLICY, "--facts", "/nowhere"], ["nothing"],
                     ["check", "/nowhere"], ["check", POLICY, "--nothing"], ["explain", POLICY, "--facts", FACTS],
                     ["preview", POLICY, "--facts", FACTS, "--type", "planet", "--for", "x"],
                     ["patch", POLICY], ["diff", POLICY, "--facts", FACTS], ["format"]):
            done = run(*args)
            self.assertEqual(done.returncode, 2, args)
            self.assertTrue(done.stderr.strip(), args)

    def test_facts_that_are_wrong(self):
        facts = self.file('{"users": [], "nodes": [\n{"id": "1", "tags": ["tag:a"], "adresses": []}]}', "f.json")
        done = run("compile", POLICY, "--facts", facts)
        self.assertEqual(done.returncode, 2)
        self.assertIn("f.json:2:", done.stderr)
        self.assertIn('did you mean "addresses"', done.stderr)

    # explain

    def explain(self, start, end, *more):
        return self.answer(run("explain", POLICY, "--facts", FACTS, "--from", start, "--to", end, "--json", *more))

    def test_explain_network(self):
        allowed = self.explain("web1", "db:5432/tcp")
        self.assertTrue(allowed["allowed"])
        self.assertEqual([r["rule"] for r in allowed["by"]], ["grants[1]"])
        self.assertTrue(all(f["holds"] for f in allowed["by"][0]["findings"]))

        line = pathlib.Path(POLICY).read_text().split("\n")[allowed["by"][0]["line"] - 1]
        self.assertIn('"src": ["tag:web"], "dst": ["tag:db"]', line)

        refused = self.explain("laptop", "db:5432")
        self.assertFalse(refused["allowed"])
        self.assertIn("grants[2]", [r["rule"] for r in refused["nearest"]])
        self.assertTrue(self.explain("ops-mac", "10.20.3.4:53/udp")["allowed"])
        self.assertFalse(self.explain("laptop", "10.20.3.4:53/udp")["allowed"])

    def test_explain_a_posture(self):
        by = self.explain("ops-mac", "db:22")["by"][0]
        self.assertIn({"what": "posture:managed", "asked": "custom:managed == true", "found": "true", "holds": True},
                      by["findings"])

    def test_explain_conditions(self):
        refused = self.explain("bob@example.com", "service:console")
        self.assertEqual(refused["nearest"][0]["rule"], "grants[6]")
        self.assertIn({"what": "auth", "asked": "mfa", "found": "sso", "holds": False},
                      refused["nearest"][0]["findings"])
        self.assertTrue(self.explain("bob@example.com", "service:console", "--given", '{"auth": "mfa"}')["allowed"])
        # 2027-01-31 is a Sunday, the next day a working day
        self.assertFalse(self.explain("bot", "tool:github.pulls")["allowed"])
        self.assertTrue(self.explain("bot", "tool:github.pulls", "--given",
                                     '{"time": "2027-02-01T09:00:00Z"}')["allowed"])
        self.assertFalse(self.explain("anonymous", "service:wiki")["allowed"])

    def test_explain_a_login(self):
        allowed = self.explain("ops-mac", "db", "--login", "root")
        self.assertEqual((allowed["by"][0]["rule"], allowed["by"][0]["action"]), ("ssh[0]", "check"))
        refused = self.explain("laptop", "phone", "--login", "root")
        self.assertEqual([f["what"] for f in refused["nearest"][0]["findings"] if not f["holds"]], ["login"])

    def test_explain_what_is_not_there(self):
        for start, end in (("nobody", "db:22"), ("laptop", "db"), ("laptop", "db:x"), ("nobody", "service:wiki"),
                           ("laptop", "service:wikl")):
            done = run("explain", POLICY, "--facts", FACTS, "--from", start, "--to", end)
            self.assertEqual(done.returncode, 2, (start, end))
            self.assertIn("sekisho: ", done.stderr)

    def test_explain_suggests_the_nearest(self):
        for start, end, near in (("lapto", "db:22", "laptop"), ("laptop", "bd:22", "db"), ("laptop", "ofice:22", "office"),
                                 ("alise@example.com", "db:22", "alice@example.com"), ("laptop", "service:wikl", "wiki")):
            done = run("explain", POLICY, "--facts", FACTS, "--from", start, "--to", end)
            self.assertEqual(done.returncode, 2, (start, end))
            self.assertIn(f'did you mean "{near}"?', done.stderr)

    # preview

    def test_preview(self):
        rules = self.answer(run("preview", POLICY, "--facts", FACTS, "--type", "ipport", "--for",
                                "100.64.0.21:5432", "--json"))
        self.assertEqual(rules["type"], "ipport")
        self.assertEqual([m["users"] for m in rules["matches"]], [["tag:web"], ["group:ops"]])
        rules = self.answer(run("preview", POLICY, "--facts", FACTS, "--type", "user", "--for",
                                "alice@example.com", "--json"))
        self.assertIn(["tag:web:tcp:80", "tag:web:tcp:443"], [m["ports"] for m in rules["matches"]])
        self.assertEqual(run("preview", POLICY, "--facts", FACTS, "--type", "user", "--for", "x@y").returncode, 4)

    # diff

    def test_diff_of_equals(self):
        text = self.file(self.example(("\t// Everybody reaches their own machines.\n", "")))
        same = self.answer(run("diff", POLICY, text, "--facts", FACTS, "--as", "bob@example.com", "--json"))
        self.assertEqual(same["changes"], [])
        self.assertEqual(same["lockout"]["able"], 1)

    def test_diff(self):
        text = self.file(self.without_tests(self.example(
            ('"dst": ["tag:db"], "ip": ["tcp:5432"]}', '"dst": ["tag:db"], "ip": ["tcp:5433"]}'))))
        changes = self.answer(run("diff", POLICY, text, "--facts", FACTS, "--json"))["changes"]
        self.assertEqual(changes, [
            {"who": "tag:web", "change": "loses", "where": "db (tag:db)", "what": "tcp:5432"},
            {"who": "tag:web", "change": "gains", "where": "db (tag:db)", "what": "tcp:5433"}])

    def test_diff_that_locks_out(self):
        text = self.file(self.without_tests(self.example(('"service:console"', '"service:wiki"'))))
        done = run("diff", POLICY, text, "--facts", FACTS, "--as", "bob@example.com", "--json")
        locked = self.answer(done, 1)["lockout"]
        self.assertEqual((locked["somebodyCan"], locked["callerCan"], locked["callerCould"]), (False, False, True))
        self.assertIn("nobody can administer", done.stderr)

    # format and patch

    def test_format(self):
        self.assertEqual(run("format", POLICY, "--check").returncode, 0)
        text = self.file('{"acls":[ // all\n{"action":"accept","src":["*"],"dst":["*:*"]}]}')
        os.chmod(text, 0o604)
        self.assertEqual(run("format", text, "--check").returncode, 1)
        shown = run("format", text).stdout
        self.assertIn("// all", shown)
        self.assertEqual(run("format", text, "--write").returncode, 0)
        self.assertEqual(pathlib.Path(text).read_text(), shown)
        self.assertEqual(stat.S_IMODE(os.stat(text).st_mode), 0o604)
        self.assertEqual(run("format", text, "--check").returncode, 0)
        self.assertEqual(run("format", self.file("{"), "--write").returncode, 1)
        self.assertEqual(run("format", "-", stdin="{}").stdout, "{}\n")

    def test_patch_keeps_the_rest(self):
        patch = '[{"op": "add", "path": "/groups/group:dev/-", "value": "dora@example.com"}]'
        done = run("patch", POLICY, "--patch", patch, "--facts", FACTS)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, self.example(
            ('["alice@example.com", "bob@example.com"]', '["alice@example.com", "bob@example.com", "dora@example.com"]')))

    def test_patch_that_breaks_is_refused(self):
        text = self.file(self.example())
        before = pathlib.Path(text).read_bytes()
        for patch in ('[{"op": "remove", "path": "/groups/group:dev"}]', '[{"op": "remove", "path": "/nothing"}]',
                      '[{"op": "replace", "path": "/grants/1/dst", "value": ["tag:web"]}]', '[{"op": "jump"}]'):
            done = run("patch", text, "--patch", self.file(patch, "patch.json"), "--facts", FACTS, "--write")
            self.assertEqual(done.returncode, 1, patch)
            self.assertTrue(done.stderr, patch)
            self.assertEqual(pathlib.Path(text).read_bytes(), before)
        self.assertEqual(run("patch", text, "--patch", '[{"op": "remove", "path": "/nodeAttrs"}]', "--write").returncode, 0)
        self.assertNotIn("nodeAttrs", pathlib.Path(text).read_text())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
