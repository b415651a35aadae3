"""What can be wrong with control's store: said clearly, with what to do, and nothing is lost by it."""

import os
import subprocess
import threading

from lib.control_role import Control
from lib.stage import eventually, same

MOUNTS = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]


def in_mounts(t, script):
    """What a program is started under so that it sees other file systems, which go with it."""
    if subprocess.run([*MOUNTS, "sh", "-c", "mount -t tmpfs none /mnt"], capture_output=True).returncode != 0:
        t.leave_out("this machine permits no mounts of one's own")
    return [*MOUNTS, "sh", "-c", f'{script} && exec "$@"', "sh"]


def service(control, name):
    return control.ask("POST", "/services", {"name": name, "hosts": [f"{name}.example.com"], "access": {"kind": "public"}})


def refused(control, *words):
    """It does not start, and says why and what to do."""
    control.codes = (1, 2)
    assert control.wait(20) in (1, 2)
    for word in words:
        assert word in control.text(), control.text()[-3000:]


def story_a_full_disk_stops_changes_and_nothing_else(t, seconds=90):
    state = t.folder / "control-state"
    state.mkdir(mode=0o700)
    control = Control(t, state=state, under=in_mounts(t, f"mount -t tmpfs -o size=8m,mode=700 none {state}")).claim()
    same(service(control, "before").status, 201)
    pid = control.pid
    seen = f"/proc/{pid}/root{state}"
    if not os.path.isdir(seen):
        t.leave_out("another's mounts cannot be looked at here")
    gateway = control.node("gateway", "edge")
    gateway.until(lambda n: n.sections.get("services"))
    try:
        with open(f"{seen}/filler", "wb", buffering=0) as f:
            while True:
                f.write(bytes(4096))
    except OSError:
        pass
    last = None
    for n in range(400):  # what the journal already has is used up first
        last = service(control, f"full{n}")
        if last.status != 201:
            break
    same(last.status, 507, last)
    assert "Free some space" in last.json["error"]["message"]
    names = {s["name"] for s in control.get("/services?limit=1000")["items"]}
    assert "before" in names and f"full{n}" not in names
    same({f"full{i}" for i in range(n)} - names, set())  # all that was acknowledged
    os.unlink(f"{seen}/filler")
    eventually(lambda: service(control, "after").status == 201, 20, "it does not go on")
    gateway.until(lambda g: any(s["name"] == "after" for s in g.sections.get("services", {}).values()))
    same(control.ask("GET", "/store/verify").status, 200)


def story_a_folder_that_is_read_only(t):
    control = Control(t).claim()
    control.stop()
    state = control.state
    locked = Control(t, "control-locked", wait=False, state=state,
                     under=in_mounts(t, f"mount --bind {state} {state} && mount -o remount,bind,ro {state}"))
    refused(locked, "Read-only file system", "can be written to")
    back = Control(t, "control-back", port=control.port, state=state)
    back.key = control.key
    back.get("/status")


def story_a_folder_of_somebody_else(t):
    if os.geteuid() != 0:
        t.leave_out("only root can be somebody else")
    control = Control(t).claim()
    control.stop()
    t.folder.chmod(0o711)
    control.state.chmod(0o755)
    other = Control(t, "control-other", wait=False, state=control.state, under=["sh", "-c", f'chown 65534 {t.folder}/control-other.json && exec setpriv '
                    '--reuid=65534 --regid=65534 --clear-groups "$@"', "sh"])
    refused(other, "Permission denied", "must belong to the user control runs as")
    control.state.chmod(0o700)


def story_a_second_control_on_one_file(t):
    control = Control(t).claim()
    second = Control(t, "control-second", wait=False, state=control.state)
    refused(second, f"in use by process {control.pid}", "stop it first")
    same(service(control, "app").status, 201)


def story_a_damaged_page_and_the_way_back(t, seconds=120):
    """A backup taken while others write, a store that is damaged afterwards, and the backup in its place: nodes take its word."""
    control = Control(t).claim()
    gateway = control.node("gateway", "edge")
    stop, made = threading.Event(), []

    def write():
        n = 0
        while not stop.is_set() and n < 2000:
            n += 1
            if service(control, f"app{n}").status == 201:
                made.append(f"app{n}")

    writer = threading.Thread(target=write)
    writer.start()
    eventually(lambda: len(made) > 5, 20, "nothing is written")
    backups = []
    for _ in range(3):
        before = list(made)
        a = control.ask("POST", "/store/backup")
        same(a.status, 201, a)
        backups.append((before, a.json["path"]))
        eventually(lambda: len(made) > len(before) + 3, 20, "writing does not go on")
    stop.set()
    writer.join()
    gateway.until(lambda n: any(s["name"] == made[-1] for s in n.sections.get("services", {}).values()))
    old = (gateway.header["epoch"], gateway.header["version"])
    gateway.close()
    control.stop()
    # Bytes in the middle of the file are lost.
    path = control.state / "control.db"
    size = path.stat().st_size
    with open(path, "r+b") as f:
        for at in range(size // 3 // 4096 * 4096, size - 4096, 4096):
            f.seek(at)
            f.write(os.urandom(4096))
    damaged = Control(t, "control-damaged", wait=False, state=control.state)
    refused(damaged, "damaged", "restore a backup")
    # As it says.
    before, backup = backups[-1]
    for name in ("control.db", "control.db-wal", "control.db-shm"):
        if (control.state / name).exists():
            (control.state / name).rename(control.state / f"{name}.damaged")
    for saved in backups:
        copy = t.folder / f"check-{len(saved[0])}.db"
        same(t.sekisho_run("restore", saved[1], "--store", f"sqlite:{copy}").returncode, 0)
        same(t.sekisho_run("store", "verify", "--store", f"sqlite:{copy}").returncode, 0)
    a = t.sekisho_run("restore", backup, env={"SEKISHO_STATE": str(control.state)})
    same(a.returncode, 0, a.stderr)
    back = Control(t, "control-back", port=control.port, state=control.state)
    back.key = control.key
    names = {s["name"] for s in back.get("/services?limit=1000")["items"]}
    same(set(before) - names, set())
    gateway.control = back
    gateway.connect()
    same(service(back, "new").status, 201)
    gateway.until(lambda n: any(s["name"] == "new" for s in n.sections.get("services", {}).values()))
    assert (gateway.header["epoch"], gateway.header["version"]) > old and gateway.header["epoch"] > old[0]
    same({s["name"] for s in gateway.sections["services"].values()}, names | {"new"})
