"""docs/performance.md: between the two marks of a script stand an introduction and one block for each case."""

import pathlib
import re

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs/performance.md"
CASE = re.compile(r"^\*\*([a-z0-9-]+)\*\*:", re.M)  # "**http**: ..." begins the block of a case


def marks(script):
    return f"<!-- written by {script} --write -->", f"<!-- end of what {script} wrote -->"


def blocks(text):
    """(introduction, {case: its block})"""
    begins = list(CASE.finditer(text))
    ends = [m.start() for m in begins[1:]] + [len(text)]
    return text[:begins[0].start()] if begins else text, {m[1]: text[m.start():end].rstrip() for m, end in zip(begins, ends)}


def merged(old, introduction, measured, order):
    """What was measured now, and of the other cases what stood there."""
    before, kept = blocks(old)
    when = re.search(r"20\d\d-\d\d-\d\d", before)  # an introduction that spoke of all blocks
    for name, block in kept.items():
        if when and "Measured 20" not in block:
            kept[name] = f"{block}\n\nMeasured {when[0]}."
    new = {**kept, **{name: text.rstrip() for name, text in measured.items()}}
    names = sorted(new, key=lambda name: order.index(name) if name in order else len(order))
    return "\n\n".join([introduction.strip(), *(new[name] for name in names)])


def write(script, introduction, measured, order, page=PAGE):
    """Cases that were not run keep their blocks. Without both marks in the page nothing is written."""
    begin, end = marks(script)
    old = page.read_text()
    if begin not in old or end not in old:
        raise SystemExit(f"{script}: {page} has no place for the tables ({begin}, {end}); nothing was written")
    before, rest = old.split(begin, 1)
    between, after = rest.split(end, 1)
    page.write_text(f"{before}{begin}\n\n{merged(between, introduction, measured, order)}\n\n{end}{after}")
    print(f"written to {page}: {', '.join(measured)}")
