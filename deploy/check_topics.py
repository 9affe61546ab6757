"""Compares the topics that deploy/kafka/topics.sh creates with those that shared/contracts declares.

Usage: check_topics.py TOPICS.sh TOPICS.rs
"""

import pathlib
import re
import sys

KEEP = {"week": "7", "month": "30", "year": "365", "Retention::Compacted": "compact"}


def declared(source):
    found = {
        name: ("1" if partitions == "1" else "$partitions", KEEP.get(keep, keep))
        for name, partitions, keep in re.findall(r'\btopic\(\s*"([^"]+)",\s*(\w+),\s*([\w:]+),', source)
    }
    constants = dict(re.findall(r'(\w+): &str = "([^"]+)"', source))
    for constant, partitions, keep in re.findall(r"\btopic\(\s*([A-Z_]+),\s*(\w+),\s*([\w:]+),", source):
        found[constants[constant]] = ("1" if partitions == "1" else "$partitions", KEEP.get(keep, keep))
    stages = re.search(r"STAGES: \[&str; \d+\] = \[([^\]]*)\]", source)
    for kind in ("dead_letter", "parked"):
        keep = re.search(rf"topic\(&{kind}_topic\(stage\), partitions, (\w+),", source)
        if stages and keep:
            for stage in re.findall(r'"([^"]+)"', stages.group(1)):
                name = stage + constants[f"{kind.upper()}_SUFFIX"]
                found[name] = ("$partitions", KEEP.get(keep.group(1), keep.group(1)))
        else:
            print(f"cannot find the {kind} topics in the contracts")
    return found


def created(script):
    rows = re.search(r'topics="\n(.*?)\n"', script, re.DOTALL)
    return {name: (count, keep) for name, count, keep in (row.split() for row in rows.group(1).splitlines())}


def main():
    script, source = (pathlib.Path(path).read_text(encoding="utf-8") for path in sys.argv[1:3])
    here, there = created(script), declared(source)
    faults = 0
    for name in sorted(here.keys() | there.keys()):
        if here.get(name) != there.get(name):
            print(f"{name}: topics.sh has {here.get(name)}, the contracts have {there.get(name)}")
            faults += 1
    return 1 if faults or not there else 0


if __name__ == "__main__":
    sys.exit(main())
