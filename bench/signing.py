"""Requests signed by botocore, so that the load generator only replays bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ACCESS_KEY = "AKIABENCHMARKKEY0000"
SECRET_KEY = "bench-secret-key-of-forty-characters-000"
REGION = "us-east-1"


@dataclass
class Request:
    """One request as the load generator sends it; `body` is a file, not to be kept twice."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: Path | None = None


class _HashKnown(S3SigV4Auth):
    """Takes a payload hash that is known instead of reading the body."""

    def __init__(self, payload_hash: str) -> None:
        super().__init__(Credentials(ACCESS_KEY, SECRET_KEY), "s3", REGION)
        self._payload_hash = payload_hash

    def payload(self, request: AWSRequest) -> str:
        return self._payload_hash


def sign(port: int, request: Request, *, payload_hash: str = "") -> Request:
    """`request` with Authorization for 127.0.0.1:`port`."""
    if not payload_hash:
        body = request.body.read_bytes() if request.body else b""
        payload_hash = hashlib.sha256(body).hexdigest()
    url = f"http://127.0.0.1:{port}{request.path}"
    prepared = AWSRequest(method=request.method, url=url, headers=dict(request.headers))
    _HashKnown(payload_hash).add_auth(prepared)
    signed = {name: value for name, value in prepared.headers.items() if name.lower() != "host"}
    return Request(request.method, request.path, signed, request.body)
