#!/usr/bin/env bash
# Puts hl7v2-fhir-bridge (PyPI, pinned) into a cache folder that git ignores, and measures this project's conversion of
# HL7 v2 to FHIR against it: same messages, same core, in turns. The last lines are the ratios.
# Usage: convert.sh [options of convert.py, such as --repetitions 5 --seconds 2]
set -euo pipefail
# shellcheck source=deploy/peers/lib.sh
source "$(dirname "$0")/lib.sh" convert

need_python
need_taskset
python_with "$folder" "$here/convert.requirements.txt" --only-binary=:all:
cd "$root"
cargo build --release --locked --quiet --package wardstream-v2-to-fhir --example throughput
core="$(one_core)"
exec taskset -c "$core" "$folder/bin/python" "$here/convert.py" \
    --own "${CARGO_TARGET_DIR:-$root/target}/release/examples/throughput" "$@" \
    shared/hl7v2/benches/oru_r01.hl7 shared/v2-to-fhir/tests/messages/adt_a01.hl7
