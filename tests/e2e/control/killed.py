"""Control is killed in each system call of a change: what was acknowledged is there, the rest whole or not at all, and it starts again."""

import http.client
import signal

from lib.control_role import Control
from lib.postgres import Postgres
from lib.stage import eventually, same

CALLS = 12  # of all of a change, by default


def change(control, number):
    """One edit of several rows; the same one again is the same one. None: control was gone before it answered."""
    try:
        a = control.ask("POST", "/services", {
            "name": f"app{number}", "hosts": [f"app{number}.example.com"], "access": {"kind": "public"},
            "targets": [{"agent": "home", "url": f"http://localhost:{8000 + n}"} for n in range(3)]},
            headers={"Idempotency-Key": f"change{number}"})
    except (OSError, http.client.HTTPException):
        return None
    same(a.status, 201, a)
    return a.json["id"]


class Killed:
    """A control that is started again and again on one store, each time to be killed at another call."""

    def __init__(self, t, store=None):
        self.t, self.store, self.starts, self.took = t, store, 0, []
        first = Control(t, "control0", store=store).claim() if store else Control(t, "control0").claim()
        agent = first.node("agent", "home")
        agent.close()
        self.port, self.state, self.key = first.port, first.state, first.key
        first.stop()
        t.programs.remove(first)

    def start(self, number, *options):
        self.starts += 1
        more = {"store": self.store} if self.store else {}
        control = Control(self.t, f"control{self.starts}", port=self.port, state=self.state, wait=False,
                          under=[self.t.build / "tests/tools/kill_at", *options, str(number)], **more)
        control.codes = tuple(range(-64, 256))
        control.key = self.key

        def is_ready():
            if "not permitted" in control.text():
                self.t.leave_out("this machine does not permit ptrace")
            assert control.process.poll() is None, control.text()[-3000:]
            return "control_started" in control.text()
        eventually(is_ready, 20, "control is not ready")
        control.signal(signal.SIGUSR1)
        eventually(lambda: "kill_at: counting" in control.text(), 20, control.text)
        return control

    def end(self, control):
        """As abruptly as the others; waits until its locks are gone with it."""
        control.stop()
        self.t.programs.remove(control)

    def calls(self, number):
        """The calls of a change that nobody disturbs, in their order."""
        control = self.start(0)
        assert change(control, number)
        control.signal(signal.SIGUSR2)
        found = eventually(lambda: [x.split()[2:] for x in control.text().splitlines() if x.startswith("kill_at: counted")], 20, control.text)[0]
        self.end(control)
        return found

    def judge(self, number, acknowledged):
        """By a control that was started anew: whole or not there, and the same request again makes it, or finds it, once."""
        control = self.start(0)
        services = [s for s in control.get("/services?limit=1000")["items"] if s["name"] == f"app{number}"]
        records = [r for r in control.get("/audit?action=service.add&limit=500")["items"] if f'"app{number}"' in r["detail"]]
        assert len(services) == len(records) <= 1, (services, records)
        if acknowledged:
            same([s["id"] for s in services], [acknowledged])
        for s in services:
            same(len(control.get(f"/services/{s['id']}/targets")["items"]), 3)
        again = change(control, number)
        assert again and again in (acknowledged, again)
        if services:
            same(again, services[0]["id"])
        same(len([s for s in control.get("/services?limit=1000")["items"] if s["name"] == f"app{number}"]), 1)
        return control


def killed_everywhere(t, store=None):
    k = Killed(t, store)
    seen = k.calls(0)
    count = len(seen)
    assert 8 <= count <= 2000, seen
    calls = list(range(1, count + 1))
    if not t.is_slow:  # the first and the last of each kind, and some between
        calls = sorted({1 + n * (count - 1) // (CALLS - 1) for n in range(CALLS)} | {1 + seen.index(x) for x in seen} |
                       {count - seen[::-1].index(x) for x in seen})
    outcomes, names = {True: 0, False: 0}, set()
    for number, call in enumerate(calls, 1):
        for options in ((), ("--unfinished",)) if t.is_slow else (((), ("--unfinished",))[number % 2],):
            mark = number if options else 10000 + number
            control = k.start(call, *options)
            acknowledged = change(control, mark)
            try:
                eventually(lambda: control.process.poll() is not None, 1 if acknowledged else 20, "it was not killed")
            except AssertionError:
                assert acknowledged  # this time it took fewer calls
            outcomes[bool(acknowledged)] += 1
            names |= {x.split()[-1] for x in control.text().splitlines() if x.startswith("kill_at: killed")}
            k.end(control)
            k.end(k.judge(mark, acknowledged))
    print(f"a change is {count} calls, {len(calls)} of them tried; killed in {sorted(names)}; acknowledged {outcomes[True]}, not {outcomes[False]}")
    assert outcomes[False] > 0 and names, (outcomes, names)
    last = Control(t, "control-last", port=k.port, state=k.state, **({"store": store} if store else {}))
    last.key = k.key
    same(last.ask("GET", "/store/verify").status, 200)


def story_killed_in_each_call_on_sqlite(t, seconds=240):
    killed_everywhere(t)


def story_killed_in_each_call_on_postgres(t, seconds=240):
    killed_everywhere(t, Postgres(t).place())
