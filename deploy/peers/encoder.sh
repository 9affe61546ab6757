#!/usr/bin/env bash
# Puts onnxruntime (pinned) into a cache folder that git ignores and measures the encoder against it on the same weights,
# fp32 and int8, in turns on the same cores. The last lines are the ratios.
# Usage: encoder.sh [--rounds 3] [--threads 1,2]
set -euo pipefail
# shellcheck source=deploy/peers/lib.sh
source "$(dirname "$0")/lib.sh" encoder

need_python
python_with "$folder" "$here/encoder.requirements.txt" --only-binary=:all:
cd "$root"
export WARDSTREAM_MODELS="${WARDSTREAM_MODELS:-$root/.cache/models}"
bench="$(cargo bench --locked --package wardstream-inference --bench encoder --no-run --message-format=json |
    "$folder/bin/python" -c 'import json, sys
for line in sys.stdin:
    artifact = json.loads(line)
    if artifact.get("executable") and artifact["target"]["name"] == "encoder":
        print(artifact["executable"])')"
[ -n "$bench" ] || fail 'the bench was not built'
exec "$folder/bin/python" "$here/encoder.py" --bench "$bench" --folder "$folder" "$@"
