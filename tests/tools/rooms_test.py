#!/usr/bin/env python3
"""tools/rooms on small houses: each case changes one thing in a sound house and names the fault it must find."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools/rooms"

PICTURE = """# Architecture
```
            main.c                      picks a role
floor 6     gateway cli                 roles
floor 3     io                          sockets
floor 2     http                        engines
floor 1     crypto json                 doors
floor 0     base                        memory
```
"""


def page(first):
    return first + "\n" + "words\n" * 12


SOUND = {
    "docs/architecture.md": PICTURE,
    "src/main.c": '#include "gateway/role.h"\n#include <stdio.h>\n',
    "src/base/ROOM.md": page("includes: nothing but the C library"),
    "src/base/str.h": "#include <stddef.h>\n",
    "src/json/ROOM.md": page("includes: base"),
    "src/json/reader.h": '#include "base/str.h"\n',
    "src/json/reader_priv.h": '#include "json/reader.h"\n',
    "src/json/reader.c": '#include "json/reader_priv.h"\n#include <string.h>\n',
    "src/crypto/ROOM.md": page("includes: base"),
    "src/crypto/aead.c": '#include "base/str.h"\n#include <openssl/evp.h>\n',
    "src/http/ROOM.md": page("includes: base json"),
    "src/http/url.c": '#include "base/str.h"\n#include "json/reader.h"\n#include <sys/uio.h>\n',
    "src/io/ROOM.md": page("includes: base"),
    "src/io/loop.c": '#include <sys/epoll.h>\n#include "base/str.h"\nint x(void) { return clock_gettime(0, 0); }\n',
    "src/gateway/ROOM.md": page("includes: base http io"),
    "src/gateway/role.h": '#include "http/url_types.h"\n',
    "src/http/url_types.h": "",
    "src/cli/ROOM.md": page("includes: base"),
    "src/cli/help.c": '  #  include "base/str.h"\n',
}

# (what is changed, file, its new text or None to remove it, what the complaint must name)
FAULTS = [
    ("an include that points up", "src/json/reader.c", '#include "http/url_types.h"\n',
     ["src/json/reader.c:1:", "down only"]),
    ("an include that points far up", "src/base/str.h", '\n#include "io/loop.c"\n', ["src/base/str.h:2:", "down only"]),
    ("an include of a neighbour", "src/json/reader.c", '#include "crypto/aead.c"\n', ["src/json/reader.c:1:", "down only"]),
    ("a lower room that ROOM.md does not allow", "src/io/loop.c", '#include "json/reader.h"\n',
     ["src/io/loop.c:1:", "src/io/ROOM.md does not allow json"]),
    ("a private header of another room", "src/http/url.c", '#include "json/reader_priv.h"\n',
     ["src/http/url.c:1:", "only for the room json"]),
    ("a private header in main.c", "src/main.c", '#include "json/reader_priv.h"\n', ["src/main.c:1:", "only for the room"]),
    ("an include without its room", "src/json/reader.c", '#include "reader.h"\n', ["src/json/reader.c:1:", "with the room"]),
    ("a header that is not there", "src/json/reader.c", '#include "base/none.h"\n', ["src/json/reader.c:1:", "no src/base/none.h"]),
    ("a ROOM.md that allows a neighbour", "src/json/ROOM.md", page("includes: base crypto"),
     ["src/json/ROOM.md:1:", "may not include crypto"]),
    ("a ROOM.md that allows a higher floor", "src/http/ROOM.md", page("includes: base json io"),
     ["src/http/ROOM.md:1:", "may not include io"]),
    ("a ROOM.md that allows an unknown room", "src/json/ROOM.md", page("includes: base cellar"),
     ["src/json/ROOM.md:1:", '"cellar" is no room']),
    ("a room without ROOM.md", "src/cli/ROOM.md", None, ["src/cli/ROOM.md", "every room has a ROOM.md"]),
    ("a ROOM.md without its first line", "src/cli/ROOM.md", page("# cli"), ["src/cli/ROOM.md:1:", "first line"]),
    ("a ROOM.md of 9 lines", "src/cli/ROOM.md", "includes: base\n" + "x\n" * 8, ["9 lines; a ROOM.md has 10 to 40"]),
    ("a ROOM.md of 41 lines", "src/cli/ROOM.md", "includes: base\n" + "x\n" * 40, ["41 lines; a ROOM.md has 10 to 40"]),
    ("a room on no floor", "src/attic/ROOM.md", page("includes: base"), ["src/attic", "no floor"]),
    ("a room on two floors", "docs/architecture.md", PICTURE.replace("floor 3     io", "floor 3     io json"),
     ["docs/architecture.md", '"json" stands on two floors']),
    ("an engine with sockets", "src/http/url.c", "#include <sys/socket.h>\n", ["src/http/url.c:1:", "<sys/socket.h>"]),
    ("an engine with epoll", "src/http/url.c", "#include <sys/epoll.h>\n", ["<sys/epoll.h>"]),
    ("an engine with files", "src/json/reader.c", "#include <fcntl.h>\n", ["<fcntl.h>"]),
    ("an engine with threads", "src/base/str.h", "#include <pthread.h>\n", ["<pthread.h>"]),
    ("an engine with a clock", "src/http/url.c", "#include <time.h>\n", ["<time.h>"]),
    ("addresses outside ip.c", "src/http/url.c", "#include <arpa/inet.h>\n", ["<arpa/inet.h>"]),
    ("an engine that reads a clock", "src/http/url.c", "\nint x(void) { return clock_gettime(0, 0); }\n",
     ["src/http/url.c:2:", "clock_gettime()"]),
    ("an engine that reads the environment", "src/base/str.h", 'char *p = getenv("X");\n', ["getenv()"]),
]

# Changes that are no fault.
FINE = [
    ("ip.c may use arpa/inet.h", "src/base/ip.c", "#include <arpa/inet.h>\n"),
    ("metrics.c may share memory", "src/base/metrics.c", "#include <sys/mman.h>\n#include <sched.h>\n"),
    ("crypto has the random source", "src/crypto/random.c", "#include <sys/random.h>\nint x = getrandom(0, 0, 0);\n"),
    ("a name in a comment or a text is no call", "src/http/url.c", '/* getenv("x") */\nchar *s = "getenv(";\n'),
    ("a room may be named in the picture before it is built", "src/io/loop.c", ""),
]


def run(changes):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in {**SOUND, **changes}.items():
            if text is None:
                continue
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        done = subprocess.run([sys.executable, str(TOOL), folder], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr


class Rooms(unittest.TestCase):
    def test_sound_house(self):
        status, output = run({})
        self.assertEqual(output, "7 rooms, 10 includes, 0 wrong\n")
        self.assertEqual(status, 0)

    def test_faults(self):
        for why, name, text, wanted in FAULTS:
            with self.subTest(why):
                status, output = run({name: text})
                self.assertEqual(status, 1, output)
                for words in wanted:
                    self.assertIn(words, output)
                self.assertNotIn(" 0 wrong", output)

    def test_fine(self):
        for why, name, text in FINE:
            with self.subTest(why):
                status, output = run({name: text})
                self.assertEqual(status, 0, output)


if __name__ == "__main__":
    unittest.main()
