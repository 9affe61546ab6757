"""Checks compose.yaml for what no schema knows: hardening of each container, and the separation of PHI.

Usage: check_compose.py compose.yaml
"""

import sys

import yaml

# What may stand on both sides: the broker and the registry carry both kinds of records, monitoring carries none.
ON_BOTH = {"kafka", "registry", "prometheus", "otel-collector"}
SEES_IDENTIFIERS = {"ingest", "validate", "redact", "audit"}
SEES_NONE = {"classify", "summarize", "notify"}


def faults(compose):
    services = compose["services"]
    for name in (SEES_IDENTIFIERS | SEES_NONE) - set(services):
        yield f"{name}: is missing"
    for name, service in services.items():
        networks = set(service.get("networks", ()))
        image = service.get("image", "")
        if ":" not in image or image.endswith(":latest"):
            yield f"{name}: the image has no pinned tag"
        if service.get("read_only") is not True:
            yield f"{name}: the root file system can be written"
        if service.get("cap_drop") != ["ALL"] or service.get("cap_add"):
            yield f"{name}: capabilities are not all dropped"
        if "no-new-privileges:true" not in service.get("security_opt", ()):
            yield f"{name}: may gain privileges"
        if str(service.get("user", "0")).split(":")[0] in ("0", "root"):
            yield f"{name}: runs as root"
        if service.get("privileged") or service.get("network_mode") == "host":
            yield f"{name}: is not contained"
        limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
        for limit in ("cpus", "memory", "pids"):
            if limit not in limits:
                yield f"{name}: has no limit of {limit}"
        for port in service.get("ports", ()):
            if not str(port).startswith("127.0.0.1:"):
                yield f"{name}: publishes {port} beyond this machine"
        if networks >= {"phi", "deid"} and name not in ON_BOTH:
            yield f"{name}: stands on both phi and deid"
        if name in SEES_IDENTIFIERS and "phi" not in networks:
            yield f"{name}: is not on phi"
        if name in SEES_NONE and ("phi" in networks or "deid" not in networks):
            yield f"{name}: belongs on deid alone"
        for volume in service.get("volumes", ()):
            if str(volume).startswith((".", "/")) and not str(volume).endswith(":ro"):
                yield f"{name}: can write to the host at {volume}"
    sides = [
        {name for name, service in services.items() if side in service.get("networks", ())} - ON_BOTH
        for side in ("phi", "deid")
    ]
    for network in compose["networks"]:
        members = {name for name, service in services.items() if network in service.get("networks", ())} - ON_BOTH
        if network != "edge" and members & sides[0] and members & sides[1]:
            yield f"network {network}: joins what phi and deid keep apart"
    on_edge = {name for name, service in services.items() if "edge" in service.get("networks", ())}
    if on_edge & sides[0] and on_edge & sides[1]:
        yield "network edge: joins what phi and deid keep apart"
    for name in ("phi", "deid", "worm", "mail", "observe"):
        if not (compose["networks"].get(name) or {}).get("internal"):
            yield f"network {name}: has a way out"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        found = list(faults(yaml.safe_load(file)))
    for fault in found:
        print(fault)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
