"""Waits for the emulators on two ports, and makes the bucket `flyte-test` in each."""

import base64
import email.utils
import hashlib
import hmac
import http.client
import socket
import sys
import time

BUCKET = "flyte-test"


def wait(port):
    end = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > end:
                sys.exit(f"nobody listens on port {port}")
            time.sleep(0.05)


def ask(port, method, path, headers=None):
    wait(port)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, headers=headers or {})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
        sys.exit(f"port {port}: {answer.status} {text!r}")


s3, azure = map(int, sys.argv[1:])
ask(s3, "PUT", f"/{BUCKET}")
date, version = email.utils.formatdate(usegmt=True), "2021-08-06"
signed = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:{version}\n/flyte/flyte/{BUCKET}\nrestype:container"
key = base64.b64decode("Zmx5dGU=")
signature = base64.b64encode(hmac.new(key, signed.encode(), hashlib.sha256).digest()).decode()
headers = {
    "x-ms-date": date,
    "x-ms-version": version,
    "authorization": f"SharedKey flyte:{signature}",
    "content-length": "0",
}
ask(azure, "PUT", f"/flyte/{BUCKET}?restype=container", headers)
