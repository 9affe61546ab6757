"""Refuses a WARDSTREAM_ variable in compose.yaml that the service does not know, by the generated reference.

Usage: check_settings.py compose.yaml docs/configuration.md
"""

import pathlib
import re
import sys

import yaml


def reference(page):
    """Variables by program, from the tables under headings such as ## `wardstream-ingest`; those under
    ## Every service are known to all."""
    known, common, program = {}, set(), None
    for line in page.splitlines():
        heading = re.match(r"#+ (?:`(wardstream[\w-]*)`|Every service)", line)
        if heading:
            program = heading.group(1)
            section = known.setdefault(program, set()) if program else common
        elif line.startswith("| `"):
            section.update(re.findall(r"`(WARDSTREAM_\w+)`", line))
    return {program: section | common for program, section in known.items()}


def main():
    compose, page = (pathlib.Path(path).read_text(encoding="utf-8") for path in sys.argv[1:3])
    known = reference(page)
    faults = checked = 0
    for name, service in yaml.safe_load(compose)["services"].items():
        program = (service.get("command") or [""])[0]
        if not str(program).startswith("wardstream-"):
            continue
        if program not in known:
            print(f"{name}: {sys.argv[2]} has no table for {program}")
            faults += 1
            continue
        for variable in service.get("environment", {}):
            checked += 1
            if variable not in known[program]:
                print(f"{name}: {program} knows no {variable}")
                faults += 1
    return 1 if faults or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
