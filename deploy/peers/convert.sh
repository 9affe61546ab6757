#!/usr/bin/env bash
# Puts hl7v2-fhir-bridge (PyPI, pinned) into a cache folder that git ignores, and measures this project's conversion of
# HL7 v2 to FHIR against it: same messages, same core, in turns. The last lines are the ratios.
# Usage: convert.sh [options of convert.py, such as --repetitions 5 --seconds 2]
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
folder="$root/.cache/peers/convert"

fail() {
    printf 'convert: %s\n' "$1" >&2
    exit 1
}

command -v python3 >/dev/null 2>&1 || fail 'python3 is needed (Debian: apt-get install python3 python3-venv)'
command -v taskset >/dev/null 2>&1 || fail 'taskset is needed to give each contender one core (Debian: apt-get install util-linux)'
if ! cmp -s "$here/convert.requirements.txt" "$folder/.requirements"; then
    rm -rf "$folder"
    mkdir -p "$folder"
    python3 -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: \
        --requirement "$here/convert.requirements.txt" >&2
    cp "$here/convert.requirements.txt" "$folder/.requirements"
fi
cd "$root"
cargo build --release --locked --quiet --package wardstream-v2-to-fhir --example throughput
core="$(taskset -cp $$ | sed 's/.*: *//; s/[-,].*//')"
exec taskset -c "$core" "$folder/bin/python" "$here/convert.py" \
    --own "${CARGO_TARGET_DIR:-$root/target}/release/examples/throughput" "$@" \
    shared/hl7v2/benches/oru_r01.hl7 shared/v2-to-fhir/tests/messages/adt_a01.hl7
