"""The HL7 v2 parser against those that others use: the same message, the same six values, one core, in turns.

`compare.py --binary PATH` runs all contenders a few times and prints a line a ratio; every contender must read the same
values. `compare.py --measure NAME SECONDS FILE` measures one of Python's and prints what the Rust binary prints.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

# The contender, how it is called in the table, and the ratio that the project has set itself.
RUST = {
    "hl7-2": ("hl7-2 0.2.7", 20),
    "er7": ("er7 0.1.4", 20),
    "hl7-parser": ("hl7-parser 0.3.0", 20),
    "rust-hl7": ("rust-hl7 0.5.0", 20),
}
PYTHON = {"hl7": ("python hl7 0.4.5", 500), "hl7apy": ("python hl7apy 1.3.5", 500)}
OWN = "wardstream"
TARGET = 500_000

FIELDS = (("MSH", 10), ("PID", 3), ("PID", 5), ("OBR", 4), ("OBX", 3), ("OBX", 5))


def reader(name):
    """A function from the bytes of a message to the six values."""
    if name == "hl7":
        import hl7

        def read(raw):
            message = hl7.parse(raw.decode("utf-8"))
            return [message.extract_field(segment, 1, field, 1, 1, 1) for segment, field in FIELDS]

        return read
    from hl7apy.consts import VALIDATION_LEVEL
    from hl7apy.parser import parse_message

    def first(element):
        while element.children:
            element = element.children[0]
        return element.to_er7()

    def read(raw):
        message = parse_message(raw.decode("utf-8"), validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=False)
        return [first(getattr(getattr(message, segment)[0], f"{segment}_{field}")[0]) for segment, field in FIELDS]

    return read


def measure(name, seconds, path):
    with open(path, "rb") as file:
        raw = file.read()
    read = reader(name)
    values = read(raw)
    count, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        read(raw)
        count += 1
    print(f"{count / (time.process_time() - start):.1f}")
    print("\n".join(str(value) for value in values))


def run(options, name):
    """Messages a second of processor time, so that other work counts little, and the values; in a process of its own."""
    program = [sys.executable, __file__, "--measure"] if name in PYTHON else [options.binary]
    command = ["taskset", "-c", str(options.core), *program, name, str(options.seconds), options.message]
    rate, *values = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return float(rate), values


def compare(options):
    contenders = [OWN, *RUST, *PYTHON]
    rates, expected = {name: [] for name in contenders}, None
    for _ in range(options.rounds):
        for name in contenders:
            rate, values = run(options, name)
            expected = expected or values
            if values != expected:
                sys.exit(f"hl7: {name} reads other values than {OWN}")
            rates[name].append(rate)
    median = {name: statistics.median(measured) for name, measured in rates.items()}
    titles = {OWN: (OWN, None), **RUST, **PYTHON}
    size = os.path.getsize(options.message)
    print(f"An ORU^R01 of {size} bytes, split, and six values read; one core")
    print(f"Median, lowest and highest of {options.rounds} rounds of {options.seconds:g} s of processor time, in turns")
    for name in contenders:
        low, high = min(rates[name]), max(rates[name])
        print(f"{titles[name][0]:<20} {median[name]:>12,.0f} messages/s   ({low:,.0f} to {high:,.0f})")
    own = median[OWN]
    print(f"{OWN}: {own:,.0f} messages/s; target {TARGET:,}: {'met' if own >= TARGET else 'missed'}")
    for name in contenders[1:]:
        title, target = titles[name]
        ratio = own / median[name]
        verdict = "met" if ratio >= target else "missed"
        print(f"{OWN} / {title}: {ratio:,.1f} x; target {target} x: {verdict}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", nargs=3, metavar=("NAME", "SECONDS", "FILE"))
    parser.add_argument("--binary", help="the Rust contenders")
    parser.add_argument("--message", help="the file with the message")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--core", type=int, default=0)
    return parser.parse_args()


def main():
    options = arguments()
    if options.measure:
        name, seconds, path = options.measure
        measure(name, float(seconds), path)
    else:
        compare(options)


if __name__ == "__main__":
    main()
