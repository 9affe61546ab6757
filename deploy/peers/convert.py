"""HL7 v2 to FHIR, from bytes to JSON text, by this project and by hl7v2-fhir-bridge: same messages, one core, in turns.

Prints for each message what both make of it, and one line a ratio of the medians.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import time
from datetime import datetime, timezone

from v2fhir.config import load_config
from v2fhir.convert import convert
from v2fhir.hl7.parser import parse_bytes


def peer(raw, seconds):
    """Messages a second, entries and bytes of hl7v2-fhir-bridge."""
    config = load_config(overrides={"default_timezone": "UTC"})
    now = datetime(2025, 3, 3, tzinfo=timezone.utc)

    def once():
        # Compact, as this project writes it.
        return json.dumps(convert(parse_bytes(raw), config, now).bundle, separators=(",", ":"))

    text = once()
    entries = len(json.loads(text)["entry"])
    # Processor time, as on the other side.
    start, count = time.thread_time(), 0
    while time.thread_time() - start < seconds:
        for _ in range(20):
            once()
        count += 20
    return count / (time.thread_time() - start), entries, len(text.encode())


def own(binary, path, seconds):
    """The same of this project."""
    out = subprocess.run([binary, path, str(seconds)], check=True, capture_output=True, text=True).stdout
    rate, entries, size = out.split()
    return float(rate), int(entries), int(size)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--own", required=True)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("messages", nargs="+")
    return parser.parse_args()


def main():
    options = arguments()
    ratios = []
    for path in options.messages:
        raw = pathlib.Path(path).read_bytes()
        ours, theirs = [], []
        for _ in range(options.repetitions):
            ours.append(own(options.own, path, options.seconds))
            theirs.append(peer(raw, options.seconds))
        name = raw.replace(b"\n", b"\r").split(b"\r")[0].split(b"|")[8].decode()[:7]
        print(f"{name}, {len(raw)} bytes, median of {options.repetitions} runs of {options.seconds} s")
        medians = []
        for who, runs in (("wardstream", ours), ("hl7v2-fhir-bridge", theirs)):
            medians.append(statistics.median(run[0] for run in runs))
            low, high = min(run[0] for run in runs), max(run[0] for run in runs)
            _, entries, size = runs[0]
            print(f"  {who}: {medians[-1]:.0f} messages/s ({low:.0f} to {high:.0f}), {entries} entries, {size} bytes")
        ratios.append(f"{name}: {medians[0] / medians[1]:.1f} × hl7v2-fhir-bridge")
    print("\n".join(ratios))


if __name__ == "__main__":
    main()
