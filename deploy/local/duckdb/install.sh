#!/usr/bin/env bash
# Fetches DuckDB's module for Python from PyPI, pinned by checksum, into a cache folder that git ignores: a test reads the
# Parquet files of `wardstream replay` with it. A second run does nothing. Usage: install.sh [FOLDER]
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
folder="${1:-$here/../../../.cache/duckdb}"
stamp="$folder/.requirements"
if PYTHONPATH="$folder" python3 -c 'import duckdb' 2>/dev/null && cmp -s "$here/requirements.txt" "$stamp"; then
    exit 0
fi
rm -rf "$folder"
python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    --requirement "$here/requirements.txt" --target "$folder" >&2
PYTHONPATH="$folder" python3 -c 'import duckdb'
cp "$here/requirements.txt" "$stamp"
