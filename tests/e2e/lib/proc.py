"""What /proc says about processes: their memory, files, children."""

import os


def all_pids():
    return [int(d) for d in os.listdir("/proc") if d.isdigit()]


def _stat(pid):
    """The fields behind the name, from the state on; [] when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            text = f.read()
        return text[text.rindex(")") + 2:].split()
    except OSError:
        return []


def is_alive(pid):
    fields = _stat(pid)
    return bool(fields) and fields[0] not in "ZX"


def session_of(pid):
    fields = _stat(pid)
    return int(fields[3]) if fields and fields[0] not in "ZX" else None


def name_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f"{pid} " + f.read().replace(b"\0", b" ").decode(errors="replace").strip()[:100]
    except OSError:
        return f"{pid} (gone)"


def tree(pid):
    """The process and all below it."""
    parents = {}
    for p in all_pids():
        fields = _stat(p)
        if fields:
            parents.setdefault(int(fields[1]), []).append(p)
    found, todo = [], [pid]
    while todo:
        p = todo.pop()
        found.append(p)
        todo += parents.get(p, [])
    return found


def rss_kib(pid):
    """Memory of the tree in KiB: shared pages are counted once (PSS)."""
    total = 0
    for p in tree(pid):
        try:
            with open(f"/proc/{p}/smaps_rollup") as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        except OSError:
            pass
    return total


def fds_count(pid):
    total = 0
    for p in tree(pid):
        try:
            total += len(os.listdir(f"/proc/{p}/fd"))
        except OSError:
            pass
    return total


def cpu_seconds(pid):
    """(user, system) of the tree."""
    tick = os.sysconf("SC_CLK_TCK")
    user = system = 0
    for p in tree(pid):
        fields = _stat(p)
        if fields:
            user, system = user + int(fields[11]), system + int(fields[12])
    return user / tick, system / tick


def run_seconds(pid):
    """CPU time of the tree by the scheduler's own clock, which is finer than the ticks of cpu_seconds."""
    total = 0
    for p in tree(pid):
        try:
            for task in os.listdir(f"/proc/{p}/task"):
                with open(f"/proc/{p}/task/{task}/schedstat") as f:
                    total += int(f.read().split()[0])
        except (OSError, IndexError):
            pass
    return total / 1e9


def texts_of(pid):
    """What any other process of the machine could see of it: arguments and, for its owner, the environment."""
    texts = []
    for p in tree(pid):
        for part in ("cmdline", "environ", "comm"):
            try:
                with open(f"/proc/{p}/{part}", "rb") as f:
                    texts.append((f"/proc/{p}/{part}", f.read()))
            except OSError:
                pass
    return texts
