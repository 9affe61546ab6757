"""Refuses an alert that no test mentions.

Usage: check_alerts.py RULES.yml RULES.test.yml
"""

import pathlib
import re
import sys


def main():
    rules, tests = (pathlib.Path(path).read_text(encoding="utf-8") for path in sys.argv[1:3])
    alerts = re.findall(r"^\s*- alert: (\w+)", rules, re.MULTILINE)
    untested = [alert for alert in alerts if not re.search(rf"\b{alert}\b", tests)]
    for alert in untested:
        print(f"{alert}: no test")
    if not alerts:
        print("found no alert")
    return 1 if untested or not alerts else 0


if __name__ == "__main__":
    sys.exit(main())
