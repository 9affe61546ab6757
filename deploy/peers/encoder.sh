#!/usr/bin/env bash
# Puts onnxruntime (pinned) into a cache folder that git ignores and measures the encoder against it on the same weights,
# fp32 and int8, in turns on the same cores. The last lines are the ratios.
# Usage: encoder.sh [--rounds 3] [--threads 1,2]
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
folder="$root/.cache/peers/encoder"

fail() {
    printf 'encoder: %s\n' "$1" >&2
    exit 1
}

command -v python3 >/dev/null 2>&1 || fail 'python3 is needed (Debian: apt-get install python3 python3-venv)'
if ! cmp -s "$here/encoder.requirements.txt" "$folder/.requirements"; then
    rm -rf "$folder"
    mkdir -p "$folder"
    python3 -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: \
        --requirement "$here/encoder.requirements.txt" >&2
    cp "$here/encoder.requirements.txt" "$folder/.requirements"
fi
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
