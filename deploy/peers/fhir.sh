#!/usr/bin/env bash
# Puts FHIR validators that others use (crates helios-fhir-validator, rh-validator; Python's fhir.resources; all pinned)
# into a cache folder that git ignores and measures the project's validator against them in one run. The last lines are
# the ratios. Usage: fhir.sh [--rounds 5] [--seconds 1] [--core 0]
set -euo pipefail
# shellcheck source=deploy/peers/lib.sh
source "$(dirname "$0")/lib.sh" fhir

need_python
need_taskset
python_with "$folder/python" "$here/fhir/requirements.txt"
cargo build --quiet --release --locked --manifest-path "$here/fhir/Cargo.toml" --target-dir "$folder/target" >&2
exec "$folder/python/bin/python" "$here/fhir/compare.py" --binary "$folder/target/release/wardstream-fhir-peers" \
    --resources "$root/shared/fhir/benches" "$@"
