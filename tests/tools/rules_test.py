#!/usr/bin/env python3
"""tools/rules on small trees: what it must refuse, and what only looks like it."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools/rules"
HEADER = "/*\n * base/str.h - a slice.\n */\n"
NOTE = "TO" + "DO"

BREACHES = [
    ("unbounded copy", "src/a/b.c", "void f(void) { strcpy(a, b); }\n", "src/a/b.c:1: strcpy()"),
    ("with a blank before the bracket", "src/a/b.c", "\n\nint x = atoi (s);\n", "src/a/b.c:3: atoi()"),
    ("loose numbers", "src/a/b.c", "long x = strtol(s, 0, 10);\n", "strtol()"),
    ("a shell", "src/a/b.c", 'int x = system("ls");\n', "system()"),
    ("another shell", "src/a/b.c", 'FILE *f = popen("ls", "r");\n', "popen()"),
    ("weak random numbers", "src/a/b.c", "int x = rand();\n", "rand()"),
    ("the stack by size", "src/a/b.c", "char *x = alloca(n);\n", "alloca()"),
    ("a header without its first line", "src/base/str.h", "#pragma once\n", 'opens with "base/str.h - '),
    ("a header with another's name", "src/base/buf.h", HEADER, 'opens with "base/buf.h - '),
    ("a note to self", "docs/x.md", "words\n" + NOTE + ": more\n", "docs/x.md:2: " + NOTE),
    ("a tab", "src/a/b.c", "\tint x;\n", "a tab"),
    ("a blank at the end", "tests/a.c", "int x; \n", "tests/a.c:1: blanks"),
    ("the folder this copy lies in", "docs/x.md", "see @COPIES@/two/notes\n", "docs/x.md:1: a path of this machine"),
    ("a link to nothing", "docs/x.md", "see [it](y.md)\n", "docs/x.md:1: a link to y.md"),
    ("a file that is gone", "docs/x.md", "shown by `tests/unit/gone_test.c`\n", "tests/unit/gone_test.c, which is not"),
]

FINE = [
    ("the bounded sister", "src/a/b.c", "int n = snprintf(a, 4, b);\n"),
    ("a longer name", "src/a/b.c", "void f(void) { my_strcpy(a); file_system(); brand(1); }\n"),
    ("a member of a struct", "src/a/b.c", "void f(void) { x->system(1); y.rand(); }\n"),
    ("in a comment", "src/a/b.c", "/* not strcpy(a, b) */\n"),
    ("in a text", "src/a/b.c", 'char *s = "system(";\n'),
    ("tests may", "tests/a.c", "int x = atoi(s);\n"),
    ("a header as it should be", "src/base/str.h", HEADER),
    ("a link to the world", "docs/x.md", "see [it](https://example.com/y.md) and [here](#there)\n"),
    ("a link to itself", "docs/x.md", "see [it](x.md#part) and `docs/x.md`, `docs/*`, `docs/`\n"),
    ("a path on any machine", "docs/x.md", "see /etc/sekisho/sekisho.json and ~/work/notes\n"),
]


def run(name, text):
    with tempfile.TemporaryDirectory() as outside:
        root = pathlib.Path(outside).resolve() / "copies" / "one"
        folder = str(root)
        text = text.replace("@COPIES@", str(root.parent))
        subprocess.run(["git", "init", "-q", folder], check=True)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
        done = subprocess.run([sys.executable, str(TOOL), folder], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr


class Rules(unittest.TestCase):
    def test_breaches(self):
        for why, name, text, wanted in BREACHES:
            with self.subTest(why):
                status, output = run(name, text)
                self.assertEqual(status, 1, output)
                self.assertIn(wanted, output)
                self.assertEqual(output.count("\n"), 1, output)

    def test_fine(self):
        for why, name, text in FINE:
            with self.subTest(why):
                self.assertEqual(run(name, text), (0, ""))


if __name__ == "__main__":
    unittest.main()
