#!/usr/bin/env bash
# Puts FHIR validators that others use (crates helios-fhir-validator, rh-validator; Python's fhir.resources; all pinned)
# into a cache folder that git ignores and measures the project's validator against them in one run. The last lines are
# the ratios. Usage: fhir.sh [--rounds 5] [--seconds 1] [--core 0]
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
folder="$root/.cache/peers/fhir"

fail() {
    printf 'fhir: %s\n' "$1" >&2
    exit 1
}

command -v python3 >/dev/null 2>&1 || fail 'python3 is needed (Debian: apt-get install python3 python3-venv)'
command -v taskset >/dev/null 2>&1 || fail 'taskset is needed to give each contender one core (Debian: apt-get install util-linux)'
if ! cmp -s "$here/fhir/requirements.txt" "$folder/python/.requirements"; then
    rm -rf "$folder/python"
    mkdir -p "$folder/python"
    python3 -m venv "$folder/python"
    "$folder/python/bin/python" -m pip install --quiet --disable-pip-version-check \
        --requirement "$here/fhir/requirements.txt" >&2
    cp "$here/fhir/requirements.txt" "$folder/python/.requirements"
fi
cargo build --quiet --release --locked --manifest-path "$here/fhir/Cargo.toml" --target-dir "$folder/target" >&2
exec "$folder/python/bin/python" "$here/fhir/compare.py" --binary "$folder/target/release/wardstream-fhir-peers" \
    --resources "$root/shared/fhir/benches" "$@"
