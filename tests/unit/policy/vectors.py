#!/usr/bin/env python3
"""Runs every captured policy case through `sekisho policy compile` and compares: status, message, packet filters, SSH
rules and capability maps, as sets per node.

The cases stand beside the checkout (../shared/vectors/policy, or $SEKISHO_VECTORS/policy) and are not part of it; where
they are missing, this says so and succeeds.

usage: vectors.py PROGRAM [--case NAME] [--verbose]      PROGRAM is build/sekisho
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile


# Cases that differ on purpose, and why (docs/policy.md has the same table).
KNOWN = {
    "policytest-allpass-grants-only-tag-src-ipv6-literal-dst":
        "the addresses of this capture were replaced, the IPv6 literal in its policy was not: the real node had another",
}


def facts_of(topology):
    """The captured topology as facts."""
    users = [{"id": u["id"], "name": u["name"], "email": u["email"]} for u in topology["users"]]
    nodes = []
    for name, n in topology["nodes"].items():
        node = {
            "id": name,
            "name": n["hostname"],
            "tags": n["tags"],
            "addresses": [n["ipv4"], n["ipv6"]],
            "advertisedRoutes": n["routable_ips"] or [],
            "approvedRoutes": n["approved_routes"] or [],
        }
        if n.get("user"):
            node["user"] = n["user"]
        nodes.append(node)
    return {"users": users, "nodes": nodes}


def key(value):
    return json.dumps(value, sort_keys=True)


def filter_set(rules):
    """Filter rules with their lists sorted: order means nothing in them."""
    out = []
    for rule in rules or []:
        rule = dict(rule)
        for name in ("SrcIPs", "IPProto"):
            if rule.get(name) is not None:
                rule[name] = sorted(rule[name])
        if rule.get("DstPorts") is not None:
            rule["DstPorts"] = sorted(rule["DstPorts"], key=key)
        if rule.get("CapGrant") is not None:
            rule["CapGrant"] = sorted(({**g, "Dsts": sorted(g["Dsts"])} for g in rule["CapGrant"]), key=key)
        out.append(key(rule))
    return collections.Counter(out)


def ssh_set(rules):
    out = []
    for rule in rules or []:
        rule = dict(rule)
        rule["principals"] = sorted(rule.get("principals") or [], key=key)
        out.append(key(rule))
    return out


def differences(got, captures):
    """One line for each thing that differs, for nodes that were captured."""
    lines = []
    for name, capture in captures.items():
        if not capture and len(captures) > 1 and name not in got:
            lines.append(f"{name}: missing")
            continue
        node = got[name]
        want, have = filter_set(capture.get("packet_filter_rules")), filter_set(node["packet_filter_rules"])
        for rule in (want - have).elements():
            lines.append(f"{name}: filter lacks {rule}")
        for rule in (have - want).elements():
            lines.append(f"{name}: filter has   {rule}")
        if sorted(ssh_set(capture.get("ssh_rules"))) != sorted(ssh_set(node["ssh_rules"])):
            lines.append(f"{name}: ssh want {ssh_set(capture.get('ssh_rules'))}")
            lines.append(f"{name}: ssh have {ssh_set(node['ssh_rules'])}")
        if "cap_map" in capture and capture["cap_map"] != node["cap_map"]:
            lines.append(f"{name}: caps want {key(capture['cap_map'])}")
            lines.append(f"{name}: caps have {key(node['cap_map'])}")
    return lines


def run(program, case, folder):
    """The differences of one case; an empty list is a pass."""
    policy = case["input"]["full_policy"]
    (folder / "policy.hujson").write_text(policy if isinstance(policy, str) else json.dumps(policy))
    (folder / "facts.json").write_text(json.dumps(facts_of(case["topology"])))
    done = subprocess.run([program, "policy", "compile", folder / "policy.hujson", "--facts", folder / "facts.json", "--json"],
                          capture_output=True, text=True, check=False)
    if case["input"]["api_response_code"] != 200:
        message = (case["input"].get("api_response_body") or {}).get("message", "")
        if done.returncode != 1:
            return [f"exit {done.returncode}, wanted a refusal: {message}"]
        said = json.loads(done.stdout)["message"]
        lines = [] if message in said else [f"says {said!r}, wanted {message!r}"]
        if message not in done.stderr:
            lines.append(f"standard error {done.stderr!r} lacks {message!r}")
        return lines
    if done.returncode != 0:
        return [f"exit {done.returncode}: {done.stderr.strip()}"]
    return differences(json.loads(done.stdout)["nodes"], case["captures"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--case", default="")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parents[3]
    vectors = pathlib.Path(os.environ.get("SEKISHO_VECTORS", root.parent / "shared/vectors")) / "policy"
    if not vectors.is_dir() and (root.parent.parent / "shared/vectors/policy").is_dir():
        vectors = root.parent.parent / "shared/vectors/policy"
    if not vectors.is_dir():
        print(f"no captured cases at {vectors}: nothing to compare")
        return 0
    passed, failed, known = collections.Counter(), collections.Counter(), collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(vectors.glob("*/*.json")):
            if args.case not in path.stem:
                continue
            lines = run(args.program, json.loads(path.read_text()), pathlib.Path(folder))
            if lines and path.stem in KNOWN:
                known[path.parent.name] += 1
                print(f"{path.parent.name}/{path.stem}: differs: {KNOWN[path.stem]}")
                continue
            (failed if lines else passed)[path.parent.name] += 1
            if lines:
                print(f"{path.parent.name}/{path.stem}")
                for line in lines if args.verbose else lines[:3]:
                    print(f"    {line[:1000]}")
    for group in sorted(passed | failed | known):
        print(f"{group:20} {passed[group]:4} of {passed[group] + failed[group] + known[group]}")
    total = sum((passed + failed + known).values())
    print(f"{passed.total()} of {total} captured cases as captured, {known.total()} known to differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
