#!/usr/bin/env bash
# Puts a usual Python pipeline (confluent-kafka, hl7apy, fhir.resources, pinned) into a cache folder that git ignores,
# and runs it against `ingest` and `validate`: same broker, same input, one core each, in turns. The last lines are the
# ratios. Usage: python-pipeline.sh [options of the benchmark, such as --repetitions 5 --seconds 8]
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
folder="$root/.cache/peers/python-pipeline"

fail() {
    printf 'python-pipeline: %s\n' "$1" >&2
    exit 1
}

command -v python3 >/dev/null 2>&1 || fail 'python3 is needed (Debian: apt-get install python3 python3-venv)'
command -v taskset >/dev/null 2>&1 || fail 'taskset is needed to give each contender one core (Debian: apt-get install util-linux)'
if ! cmp -s "$here/python-pipeline.requirements.txt" "$folder/.requirements"; then
    rm -rf "$folder"
    mkdir -p "$folder"
    python3 -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: \
        --requirement "$here/python-pipeline.requirements.txt" >&2
    cp "$here/python-pipeline.requirements.txt" "$folder/.requirements"
fi
cd "$root"
exec cargo bench --locked --package wardstream-load-tests --bench stream -- --sections peer \
    --peer "$folder/bin/python" --peer "$here/python-pipeline.py" "$@"
