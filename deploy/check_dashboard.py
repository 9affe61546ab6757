"""Has promtool parse every query of a Grafana dashboard, and refuses metrics that no code exports.

Usage: check_dashboard.py DASHBOARD.json
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

SOURCES = pathlib.Path("shared/telemetry/src/metrics")
RULES = pathlib.Path("deploy/prometheus/rules.yml")


def exported():
    text = (SOURCES / "registry.rs").read_text(encoding="utf-8")
    names = re.findall(r'r\.register\(\s*"(\w+)"', text)
    known = set()
    for name in names:
        known |= {f"wardstream_{name}{suffix}" for suffix in ("", "_total", "_info", "_bucket", "_sum", "_count")}
    return known


def main():
    dashboard = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    queries = [
        (panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", ())
    ]
    if not queries:
        print("the dashboard has no query")
        return 1
    rules = RULES.read_text(encoding="utf-8")
    known, recorded = exported(), set(re.findall(r"record: (\S+)", rules))
    if not known or not recorded:
        print("found no exported or no recorded metric to compare with")
        return 1
    faults = 0
    everything = queries + [("rules.yml", rules)]
    for title, query in everything:
        for name in set(re.findall(r"\bwardstream_\w+", query)) - known:
            print(f"{title}: no code exports {name}")
            faults += 1
        for name in set(re.findall(r"\bwardstream:[\w:]+", query)) - recorded:
            print(f"{title}: no rule records {name}")
            faults += 1
    group = {"name": "dashboard", "rules": []}
    for number, (_, query) in enumerate(queries):
        # Grafana fills these in before Prometheus sees the query.
        query = query.replace("$__rate_interval", "1m").replace("$stage", ".*")
        group["rules"].append({"record": f"dashboard:{number}", "expr": query})
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        # JSON is YAML.
        json.dump({"groups": [group]}, file)
        file.flush()
        done = subprocess.run(["promtool", "check", "rules", file.name], capture_output=True, text=True)
    if done.returncode:
        print(done.stdout, done.stderr)
        faults += 1
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
