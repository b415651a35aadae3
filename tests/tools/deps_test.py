#!/usr/bin/env python3
"""tools/deps with stand-ins for dpkg-query, apt-get and id, so that nothing is installed."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"

LIST = """# Words that open the file. A line is a name and why.

# build
gcc            the compiler
meson          the build

# test
curl           speaks HTTP
"""

STAND_INS = {
    "dpkg-query": '#!/bin/sh\nfor last; do :; done\ngrep -qx "$last" "$HAVE" && printf installed\n',
    "apt-get": '#!/bin/sh\necho "$*" >>"$ASKED"\n[ "$1" = update ] || exit "$APT_STATUS"\n',
    "id": '#!/bin/sh\necho "$UID_SHOWN"\n',
}


class Deps(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "tools").mkdir()
        (self.folder / "bin").mkdir()
        shutil.copy(TOOLS / "deps", self.folder / "tools/deps")
        (self.folder / "tools/packages.txt").write_text(LIST)
        for name, text in STAND_INS.items():
            (self.folder / "bin" / name).write_text(text)
            (self.folder / "bin" / name).chmod(0o755)

    def run_deps(self, *groups, have="", uid="0", apt_status="0"):
        (self.folder / "have").write_text(have)
        (self.folder / "asked").write_text("")
        env = {"PATH": f"{self.folder}/bin:{os.environ['PATH']}", "HAVE": str(self.folder / "have"),
               "ASKED": str(self.folder / "asked"), "UID_SHOWN": uid, "APT_STATUS": apt_status}
        done = subprocess.run([str(self.folder / "tools/deps"), *groups], env=env, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr, (self.folder / "asked").read_text()

    def test_quiet_when_all_is_there(self):
        self.assertEqual(self.run_deps("build", "test", have="gcc\nmeson\ncurl\n"), (0, "", ""))

    def test_installs_only_what_is_missing_and_says_why(self):
        status, output, asked = self.run_deps("build", have="gcc\n")
        self.assertEqual(status, 0, output)
        self.assertIn("meson", output)
        self.assertIn("the build", output)
        self.assertNotIn("curl", output)
        install = asked.splitlines()[-1]
        self.assertTrue(install.startswith("install "), asked)
        self.assertTrue(install.endswith(" meson"), asked)

    def test_several_groups(self):
        _, _, asked = self.run_deps("build", "test", have="gcc\n")
        self.assertTrue(asked.splitlines()[-1].endswith(" meson curl"), asked)

    def test_without_root_says_the_command_and_fails(self):
        status, output, asked = self.run_deps("build", "test", uid="1000")
        self.assertEqual(status, 1)
        self.assertIn("sudo apt-get update && sudo apt-get install -y --no-install-recommends gcc meson curl\n", output)
        self.assertEqual(asked, "")

    def test_without_root_but_nothing_missing(self):
        self.assertEqual(self.run_deps("test", have="curl\n", uid="1000"), (0, "", ""))

    def test_failed_installation(self):
        status, output, _ = self.run_deps("build", apt_status="100")
        self.assertEqual(status, 1)
        self.assertIn("apt-get install failed", output)

    def test_unknown_group(self):
        status, output, asked = self.run_deps("cellar")
        self.assertEqual((status, asked), (2, ""))
        self.assertIn('no group "cellar"', output)

    def test_the_real_list_has_each_package_once(self):
        lines = (TOOLS / "packages.txt").read_text().splitlines()
        names = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
        self.assertEqual(sorted(names), sorted(set(names)))
        for line in lines:
            if line.strip() and not line.startswith("#"):
                self.assertGreater(len(line.split()), 1, f"{line}: say why")


if __name__ == "__main__":
    unittest.main()
