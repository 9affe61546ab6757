#!/usr/bin/env bash
# Makes the keys, passwords and certificates that compose.yaml mounts, in deploy/secrets, which git ignores.
# What is there already stays: a new deid_key would give every patient a new pseudonym.
# The folder is the owner's alone; the files in it are readable because each container reads them as its own user.
set -euo pipefail
cd "$(dirname "$0")"
command -v openssl >/dev/null || {
    echo "secrets: openssl is missing (Debian: apt-get install openssl)" >&2
    exit 1
}
umask 022
mkdir -p secrets
chmod 0700 secrets
cd secrets

make_hex() { # file, bytes
    [ -s "$1" ] || openssl rand -hex "$2" >"$1"
}
make_hex deid_key 32
make_hex deid_vault_key 32
make_hex s3_secret_key 24
make_hex smtp_password 16
make_hex grafana_admin 16

# The key that signs the audit log's checkpoints and the one that verifies them, Ed25519 in the encodings of C2SP signed-note, as
# `wardstream audit key` makes them: no image is built yet when this runs.
if [ ! -s checkpoint_key ]; then
    name=wardstream.compose/audit
    openssl genpkey -algorithm ed25519 -outform DER -out checkpoint.der
    public() { printf '\001' && openssl pkey -inform DER -in checkpoint.der -pubout -outform DER | tail -c 32; }
    id=$({ printf '%s\n' "$name" && public; } | openssl dgst -sha256 -r | cut -c1-8)
    printf 'PRIVATE+KEY+%s+%s+%s\n' "$name" "$id" \
        "$({ printf '\001' && tail -c 32 checkpoint.der; } | openssl base64 -A)" >checkpoint_key
    printf '%s+%s+%s\n' "$name" "$id" "$(public | openssl base64 -A)" >checkpoint_keys
    rm -f checkpoint.der
fi

if [ ! -s smtp_users ]; then
    printf 'wardstream:%s\n' "$(cat smtp_password)" >smtp_users
fi

if [ ! -s s3.json ]; then
    # One bucket and no other. `Admin` lets audit create it; a lock in compliance mode holds against `Admin` too.
    cat >s3.json <<JSON
{
  "identities": [
    {
      "name": "wardstream-audit",
      "credentials": [{ "accessKey": "wardstream-audit", "secretKey": "$(cat s3_secret_key)" }],
      "actions": [
        "Admin:wardstream-audit",
        "Read:wardstream-audit",
        "Write:wardstream-audit",
        "List:wardstream-audit"
      ]
    }
  ]
}
JSON
fi

if [ ! -s smtp_cert.pem ]; then
    # An authority of its own: a client that trusts a certificate as its own authority is refused by rustls.
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 825 -subj '/CN=Wardstream mail' \
        -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign' \
        -keyout smtp_ca.key -out smtp_ca.pem 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=mailpit' \
        -keyout smtp_key.pem -out smtp.csr 2>/dev/null
    openssl x509 -req -in smtp.csr -CA smtp_ca.pem -CAkey smtp_ca.key -CAcreateserial -days 825 -out smtp_cert.pem \
        -extfile <(printf 'subjectAltName=DNS:mailpit\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n') \
        2>/dev/null
    rm -f smtp_ca.key smtp.csr smtp_ca.srl
fi
chmod 0444 ./*
echo "secrets: $(find . -type f | wc -l) files in deploy/secrets"
