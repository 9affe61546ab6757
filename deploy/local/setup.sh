#!/usr/bin/env bash
# Sets this machine up for `make demo` or `make test`. What is there is left alone.
# Usage: setup.sh demo|test
# As root on Debian or Ubuntu it installs system packages; elsewhere it names what is missing and ends with 1.
set -euo pipefail
goal="${1:?usage: setup.sh demo|test}"
here="$(cd "$(dirname "$0")" && pwd)"

missing=()
need() { # command, Debian packages that bring it
    command -v "$1" >/dev/null 2>&1 || missing+=("${@:2}")
}
library() { # pkg-config module, Debian package
    command -v pkg-config >/dev/null 2>&1 && pkg-config --exists "$1" || missing+=("$2")
}

need cc gcc
need c++ g++
need make make
need cmake cmake
need perl perl
need pkg-config pkg-config
library openssl libssl-dev
library zlib zlib1g-dev
need python3 python3
python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
if [[ "$goal" == test ]]; then
    need java openjdk-17-jre-headless
    need mvn maven
    need chromium chromium
    need chromedriver chromium-driver
    need node nodejs
    need npx npm
    need promtool prometheus
    need shellcheck shellcheck
    need jq jq
    need pdftotext poppler-utils
    python3 -c 'import yaml' 2>/dev/null || missing+=(python3-yaml)
fi

if ((${#missing[@]})); then
    if [[ "$(id -u)" == 0 ]] && command -v apt-get >/dev/null 2>&1; then
        echo "setup: installing ${missing[*]}"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        # A package may bring a service that wants to start; nothing of ours needs it running.
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    else
        echo "setup: this machine lacks: ${missing[*]}" >&2
        echo "setup: on Debian or Ubuntu: sudo apt-get install ${missing[*]}" >&2
        exit 1
    fi
fi
command -v cargo >/dev/null 2>&1 || {
    echo "setup: cargo is missing; install a Rust toolchain (https://rustup.rs), 1.95 or later" >&2
    exit 1
}

"$here/models/fetch.sh" "$here/../../.cache/models"
if [[ "$goal" == test ]]; then
    "$here/tools/install.sh"
    "$here/kafka/install.sh"
    "$here/seaweedfs/install.sh" >/dev/null
    "$here/duckdb/install.sh"
fi
