"""What the FHIR validator finds: everyday defects by seed, the specification's examples, the official suite.

`compare.py --validator PATH --packages FOLDER [--seed 1] [--count 500] [--suite FOLDER] [--misses]`
"""

import argparse
import collections
import os
import subprocess
import tempfile

from definitions import Definitions
from everyday import Everyday
from suite import Suite

# So many files are given to the validator at once.
BATCH = 200


def verdicts(validator, paths):
    """Whether each file is valid."""
    valid = {}
    for start in range(0, len(paths), BATCH):
        command = [validator, *paths[start : start + BATCH]]
        output = subprocess.run(command, capture_output=True, text=True, errors="replace").stdout
        for line in output.splitlines():
            path, _, verdict = line.rpartition(": ")
            if not line.startswith(" ") and verdict in ("valid", "invalid"):
                valid[path] = verdict == "valid"
    return [valid[path] for path in paths]


def share(found, all):
    return f"{found} of {all} ({100 * found / all:.1f} %)"


def everyday(options, definitions, examples):
    names = sorted(name for name in os.listdir(examples) if definitions.is_resource(name.split("-")[0]))
    valid = verdicts(options.validator, [os.path.join(examples, name) for name in names])
    refused = {name for name, valid in zip(names, valid) if not valid}
    print(f"examples of the specification: {len(names)}, with an error: {len(refused)}")
    made = Everyday(definitions, examples, refused, options.seed)
    cases = [*made.defects(options.count), *made.sound(options.count // 2)]
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, f"{number:05}.json") for number in range(len(cases))]
        for path, (_, _, text) in zip(paths, cases):
            with open(path, "wb") as file:
                file.write(text)
        valid = verdicts(options.validator, paths)
        found, total = collections.Counter(), collections.Counter()
        for path, (name, kind, text), valid in zip(paths, cases, valid):
            total[kind] += 1
            found[kind] += valid == (kind == "sound")
            if options.misses and valid != (kind == "sound"):
                print(f"  {name}: {text[:300]!r}")
    alarms = total.pop("sound") - found.pop("sound")
    for kind in sorted(total):
        print(f"defects of {kind}: {share(found[kind], total[kind])}")
    print(f"everyday defects found, seed {options.seed}: {share(found.total(), total.total())}")
    print(f"false alarms: {alarms} of {options.count // 2} sound variations")


def official(options, definitions):
    suite = Suite(options.suite, definitions)
    with tempfile.TemporaryDirectory() as folder:
        cases = list(suite.cases(folder))
        valid = verdicts(options.validator, [case.path for case in cases])
        agreed, missed, alarms = collections.Counter(), collections.Counter(), collections.Counter()
        for case, valid in zip(cases, valid):
            agreed[case.part] += valid == case.valid
            missed[case.part] += valid and not case.valid
            alarms[case.part] += not valid and case.valid
            if options.misses and case.part != "unseen" and valid != case.valid:
                print(f"  {case.name}: {'; '.join(case.errors[:2]) or 'valid'}")
    for part in ("looked at", "unseen"):
        total = agreed[part] + missed[part] + alarms[part]
        print(
            f"official suite, {part}: {share(agreed[part], total)} as the official validator; "
            f"missed {missed[part]}, false alarms {alarms[part]}"
        )


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--validator", required=True, help="the example `validate` of wardstream-fhir")
    parser.add_argument("--packages", required=True, help="where npm put definitions and examples")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--suite", help="a checkout of github.com/FHIR/fhir-test-cases")
    parser.add_argument("--misses", action="store_true", help="print what was not found")
    return parser.parse_args()


def main():
    options = arguments()
    modules = os.path.join(options.packages, "node_modules")
    definitions = Definitions(os.path.join(modules, "@medplum", "definitions", "dist", "fhir", "r4"))
    everyday(options, definitions, os.path.join(modules, "hl7.fhir.r4.examples"))
    if options.suite:
        official(options, definitions)


if __name__ == "__main__":
    main()
