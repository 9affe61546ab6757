#!/usr/bin/env bash
# Puts HL7 v2 parsers that others use (crates hl7-2, er7, hl7-parser, rust-hl7; Python's hl7, hl7apy; all pinned) into
# a cache folder that git ignores and measures the project's parser against them in one run. The last lines are the
# ratios. Usage: hl7.sh [--rounds 5] [--seconds 1] [--core 0]
set -euo pipefail
# shellcheck source=deploy/peers/lib.sh
source "$(dirname "$0")/lib.sh" hl7

need_python
need_taskset
python_with "$folder/python" "$here/hl7/requirements.txt"
cargo build --quiet --release --locked --manifest-path "$here/hl7/Cargo.toml" --target-dir "$folder/target" >&2
exec "$folder/python/bin/python" "$here/hl7/compare.py" --binary "$folder/target/release/wardstream-hl7-peers" \
    --message "$root/shared/hl7v2/benches/oru_r01.hl7" "$@"
