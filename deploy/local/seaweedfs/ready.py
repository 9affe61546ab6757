"""Makes a new SeaweedFS ready: a bucket under Object Lock whose policy denies deletion. Exits 0 once a write has succeeded.

Usage: ready.py ENDPOINT BUCKET KEYS_FILE PROCESS_ID LIMIT_SECONDS

Only the standard library: requests are signed with AWS Signature Version 4 (AWS General Reference, "Signing AWS API requests").
"""

import datetime
import hashlib
import hmac
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

REGION = "us-east-1"


def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Client:
    def __init__(self, endpoint, keys):
        self.endpoint = endpoint
        self.host = urllib.parse.urlsplit(endpoint).netloc
        self.id = keys["AWS_ACCESS_KEY_ID"]
        self.secret = keys["AWS_SECRET_ACCESS_KEY"]

    def request(self, method, path, query="", body=b"", headers=None):
        """Sends a signed request and returns the status; 0 if nobody answered."""
        now = datetime.datetime.now(datetime.timezone.utc)
        date, stamp = now.strftime("%Y%m%d"), now.strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(body).hexdigest()
        signed = {"host": self.host, "x-amz-content-sha256": digest, "x-amz-date": stamp, **(headers or {})}
        names = sorted(signed)
        lines = "".join(f"{name}:{signed[name]}\n" for name in names)
        canonical = "\n".join([method, f"/{path}", query, lines, ";".join(names), digest])
        scope = f"{date}/{REGION}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = f"AWS4{self.secret}".encode()
        for part in (date, REGION, "s3", "aws4_request"):
            key = sign(key, part)
        signature = sign(key, text).hex()
        signed["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.id}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
        )
        url = f"{self.endpoint}/{path}" + (f"?{query}" if query else "")
        request = urllib.request.Request(url, data=body or None, method=method, headers=signed)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0


def step(client, bucket):
    """What failed, or None. Each step may be done again."""
    exists = 200
    if client.request("HEAD", bucket) != exists:
        status = client.request("PUT", bucket, headers={"x-amz-bucket-object-lock-enabled": "true"})
        if status != 200:
            return f"creating the bucket: status {status}"
    # The port opens before the volumes register: only a write that succeeds shows that it can store.
    client.request("PUT", "start-probe")
    status = client.request("PUT", "start-probe/object", body=b"ready")
    if status != 200:
        return f"writing an object: status {status}"
    client.request("DELETE", "start-probe/object")
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "KeepTheLog",
                "Effect": "Deny",
                "Principal": "*",
                "Action": ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"],
                "Resource": f"arn:aws:s3:::{bucket}/*",
            }
        ],
    }
    status = client.request("PUT", bucket, query="policy=", body=json.dumps(policy).encode())
    if status not in (200, 204):
        return f"setting the bucket's policy: status {status}"
    return None


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def main():
    endpoint, bucket, keys_file, process, limit = sys.argv[1:]
    with open(keys_file, encoding="utf-8") as file:
        keys = dict(line.strip().split("=", 1) for line in file)
    client = Client(endpoint, keys)
    deadline = time.monotonic() + float(limit)
    while True:
        failed = step(client, bucket)
        if failed is None:
            return
        if not alive(int(process)):
            sys.exit("seaweedfs: it ended while starting")
        if time.monotonic() > deadline:
            sys.exit(f"seaweedfs: not ready within {limit} s; {failed}")
        time.sleep(0.1)


main()
