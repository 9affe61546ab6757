"""The FHIR validator against those that others use: the same resources, text in and findings out, one core, in turns.

`compare.py --binary PATH --resources FOLDER` runs all contenders a few times and prints a line a ratio. Beside each
rate stands whether the contender takes the resource, which is valid, for valid, and a copy with a defect for invalid.
`compare.py --measure SECONDS FILE` measures the one of Python's and prints what the Rust binary prints.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

OWN = "wardstream"
# How each is called in the table, and the ratio that the project has set itself.
CONTENDERS = {
    "helios": ("helios-fhir-validator 0.2.7", 20),
    "rh": ("rh-validator 0.3.0", 20),
    "fhir.resources": ("python fhir.resources 8.3.0", 10),
}
# The file, what it is, and the validations a second that the project has set itself.
RESOURCES = (("patient.json", "Patients", 60_000), ("bundle.json", "two-entry Bundles", 20_000))
# Both resources have it; the code is none of the required value set.
DEFECT = (b'"gender":"female"', b'"gender":"F"')


def measure(seconds, path):
    """As a service would use it: the text to a typed resource, or an error that names the place."""
    from fhir.resources.R4B import get_fhir_model_class
    from pydantic import ValidationError

    with open(path, "rb") as file:
        raw = file.read()
    model = get_fhir_model_class("Patient" if "patient" in os.path.basename(path) else "Bundle")

    def validate():
        try:
            model.model_validate_json(raw)
            return True
        except ValidationError:
            return False

    valid = validate()
    count, start = 0, time.process_time()
    while count == 0 or time.process_time() - start < seconds:
        validate()
        count += 1
    print(f"{count / (time.process_time() - start):.1f}")
    print("true" if valid else "false")


def run(options, name, path, seconds):
    """Validations a second of processor time in a process of its own on one core, and whether the resource is valid."""
    program = [options.binary, name] if name in (OWN, "helios", "rh") else [sys.executable, __file__, "--measure"]
    command = ["taskset", "-c", str(options.core), *program, str(seconds), path]
    rate, valid = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return float(rate), valid == "true"


def judge(options, name, path):
    """Whether the valid resource is taken for valid and the one with a defect for invalid."""
    with open(path, "rb") as file:
        raw = file.read()
    with tempfile.TemporaryDirectory() as folder:
        wrong = os.path.join(folder, os.path.basename(path))
        with open(wrong, "wb") as file:
            file.write(raw.replace(*DEFECT))
        verdicts = [run(options, name, file, 0)[1] for file in (path, wrong)]
    accepts = "accepts the valid one" if verdicts[0] else "refuses the valid one"
    finds = "misses the defect" if verdicts[1] else "finds the defect"
    return f"{accepts}, {finds}"


def compare(options):
    verdicts = []
    for file, title, target in RESOURCES:
        path = os.path.join(options.resources, file)
        names = [OWN, *CONTENDERS]
        rates = {name: [] for name in names}
        for _ in range(options.rounds):
            for name in names:
                rates[name].append(run(options, name, path, options.seconds)[0])
        median = {name: statistics.median(measured) for name, measured in rates.items()}
        size = os.path.getsize(path)
        print(f"{title} of {size} bytes, text to findings, with invariants; one core")
        print(f"Median, lowest and highest of {options.rounds} rounds of {options.seconds:g} s of processor time, in turns")
        for name in names:
            low, high = min(rates[name]), max(rates[name])
            label = CONTENDERS.get(name, (OWN,))[0]
            verdict = judge(options, name, path)
            print(f"{label:<28} {median[name]:>12,.0f} /s   ({low:,.0f} to {high:,.0f})   {verdict}")
        own = median[OWN]
        verdicts.append(f"{OWN}: {own:,.0f} {title}/s; target {target:,}: {'met' if own >= target else 'missed'}")
        for name, (label, ratio) in CONTENDERS.items():
            found = own / median[name]
            verdict = "met" if found >= ratio else "missed"
            verdicts.append(f"{OWN} / {label}, {title}: {found:,.1f} x; target {ratio} x: {verdict}")
    print("\n".join(verdicts))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", nargs=2, metavar=("SECONDS", "FILE"))
    parser.add_argument("--binary", help="the Rust contenders")
    parser.add_argument("--resources", help="the folder with the resources")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--core", type=int, default=0)
    return parser.parse_args()


def main():
    options = arguments()
    if options.measure:
        seconds, path = options.measure
        measure(float(seconds), path)
    else:
        compare(options)


if __name__ == "__main__":
    main()
