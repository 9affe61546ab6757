#!/usr/bin/env bash
# Stops the SeaweedFS that start.sh started with the same SEAWEEDFS_DATA. What is stored stays.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
data="${SEAWEEDFS_DATA:-$here/../../../.cache/seaweedfs/data}"
if [[ ! -f "$data/weed.pid" ]]; then
    echo "seaweedfs: not running"
    exit 0
fi
data="$(cd "$data" && pwd)"
pid="$(cat "$data/weed.pid")"
running() { ps -p "$pid" -o args= 2>/dev/null | grep -qF -- "-dir=$data/store"; }
# The number may be another process's by now, which is left alone.
if running; then
    kill -TERM "$pid"
    # On a polite signal it flushes at once but serves on for half a minute; stored objects and locks outlive a kill.
    for _ in $(seq 1 20); do
        running || break
        sleep 0.1
    done
    if running; then
        kill -KILL "$pid"
        for _ in $(seq 1 50); do
            running || break
            sleep 0.1
        done
    fi
fi
rm -f "$data/weed.pid"
echo "seaweedfs: stopped"
