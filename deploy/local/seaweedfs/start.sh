#!/usr/bin/env bash
# Starts SeaweedFS on loopback with the bucket `audit` under Object Lock, and returns when a write to it has succeeded.
#
# Environment:
#   WARDSTREAM_SEAWEEDFS    the weed binary (default: what install.sh installs)
#   SEAWEEDFS_DATA          data folder (default: .cache/seaweedfs/data)
#   SEAWEEDFS_BUCKET        bucket (default: audit)
#   SEAWEEDFS_S3_PORT       default 18333; SEAWEEDFS_MASTER_PORT 19333, SEAWEEDFS_VOLUME_PORT 18080, SEAWEEDFS_FILER_PORT 18888.
#                           Each port also takes the one 10000 above it, for gRPC.
#
# Leaves in the data folder: s3.json, admin.env and audit.env (keys made at the first start, readable by their owner only),
# weed.pid, weed.log.
set -euo pipefail
umask 077
here="$(cd "$(dirname "$0")" && pwd)"
data="${SEAWEEDFS_DATA:-$here/../../../.cache/seaweedfs/data}"
bucket="${SEAWEEDFS_BUCKET:-audit}"
master="${SEAWEEDFS_MASTER_PORT:-19333}"
volume="${SEAWEEDFS_VOLUME_PORT:-18080}"
filer="${SEAWEEDFS_FILER_PORT:-18888}"
s3="${SEAWEEDFS_S3_PORT:-18333}"
endpoint="http://127.0.0.1:$s3"
limit_s=90

weed="${WARDSTREAM_SEAWEEDFS:-}"
[[ -n "$weed" ]] || weed="$("$here/install.sh")"
mkdir -p "$data/store"
data="$(cd "$data" && pwd)"

if [[ -f "$data/weed.pid" ]] && pid="$(cat "$data/weed.pid")" && ps -p "$pid" -o args= 2>/dev/null | grep -qF -- "-dir=$data/store"; then
    echo "seaweedfs: running already at $endpoint, process $pid"
    exit 0
fi

random_key() { python3 -c 'import secrets; print(secrets.token_hex(20))'; }
for principal in admin audit; do
    file="$data/$principal.env"
    [[ -s "$file" ]] || printf 'AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\n' "$principal" "$(random_key)" >"$file"
done
secret() { sed -n 's/^AWS_SECRET_ACCESS_KEY=//p' "$data/$1.env"; }
# The audit principal writes, locks, reads and lists in one bucket. `Write` includes deleting, which the bucket's policy below denies.
cat >"$data/s3.json" <<JSON
{"identities": [
  {"name": "admin", "credentials": [{"accessKey": "admin", "secretKey": "$(secret admin)"}], "actions": ["Admin"]},
  {"name": "audit", "credentials": [{"accessKey": "audit", "secretKey": "$(secret audit)"}],
   "actions": ["Read:$bucket", "Write:$bucket", "List:$bucket", "PutObjectRetention:$bucket", "GetBucketObjectLockConfiguration:$bucket"]}
]}
JSON

# -filer.disableHttp matters: the filer's HTTP door would delete locked objects without asking who is there.
nohup "$weed" server -dir="$data/store" -ip=127.0.0.1 -ip.bind=127.0.0.1 -metricsPort=0 \
    -master.port="$master" -master.volumeSizeLimitMB=256 -master.telemetry=false \
    -volume.port="$volume" -volume.max=200 \
    -filer -filer.port="$filer" -filer.disableHttp -filer.localSocket="$data/filer.sock" \
    -s3 -s3.port="$s3" -s3.port.iceberg=0 -s3.port.lance=0 -s3.localSocket="$data/s3.sock" -s3.config="$data/s3.json" \
    >"$data/weed.log" 2>&1 </dev/null &
pid=$!
echo "$pid" >"$data/weed.pid"

disown "$pid"

if ! python3 "$here/ready.py" "$endpoint" "$bucket" "$data/admin.env" "$pid" "$limit_s"; then
    kill -KILL "$pid" 2>/dev/null || true
    rm -f "$data/weed.pid"
    echo "seaweedfs: last lines of $data/weed.log:" >&2
    tail -n 15 "$data/weed.log" >&2
    exit 1
fi
echo "seaweedfs: $endpoint, bucket $bucket under Object Lock, process $pid, keys of the audit principal in $data/audit.env"
