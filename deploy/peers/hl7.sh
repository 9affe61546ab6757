#!/usr/bin/env bash
# Puts HL7 v2 parsers that others use (crates hl7-2, er7, hl7-parser, rust-hl7; Python's hl7, hl7apy; all pinned) into
# a cache folder that git ignores and measures the project's parser against them in one run. The last lines are the
# ratios. Usage: hl7.sh [--rounds 5] [--seconds 1] [--core 0]
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
folder="$root/.cache/peers/hl7"

fail() {
    printf 'hl7: %s\n' "$1" >&2
    exit 1
}

command -v python3 >/dev/null 2>&1 || fail 'python3 is needed (Debian: apt-get install python3 python3-venv)'
command -v taskset >/dev/null 2>&1 || fail 'taskset is needed to give each contender one core (Debian: apt-get install util-linux)'
if ! cmp -s "$here/hl7/requirements.txt" "$folder/python/.requirements"; then
    rm -rf "$folder/python"
    mkdir -p "$folder/python"
    python3 -m venv "$folder/python"
    "$folder/python/bin/python" -m pip install --quiet --disable-pip-version-check \
        --requirement "$here/hl7/requirements.txt" >&2
    cp "$here/hl7/requirements.txt" "$folder/python/.requirements"
fi
cargo build --quiet --release --locked --manifest-path "$here/hl7/Cargo.toml" --target-dir "$folder/target" >&2
exec "$folder/python/bin/python" "$here/hl7/compare.py" --binary "$folder/target/release/wardstream-hl7-peers" \
    --message "$root/shared/hl7v2/benches/oru_r01.hl7" "$@"
