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
    """One request as the load generator sends it; `body` is a file, so that a large one is not kept twice."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: Path | None = None


class _Presigned(S3SigV4Auth):  # type: ignore[misc]
    """Takes the payload hash that the request already carries."""

    def payload(self, request: AWSRequest) -> str:
        return str(request.headers["X-Amz-Content-SHA256"])


def sign(port: int, request: Request, *, payload_hash: str = "") -> Request:
    """`request` with Authorization for 127.0.0.1:`port`."""
    if not payload_hash:
        body = request.body.read_bytes() if request.body else b""
        payload_hash = hashlib.sha256(body).hexdigest()
    url = f"http://127.0.0.1:{port}{request.path}"
    headers = {**request.headers, "X-Amz-Content-SHA256": payload_hash}
    prepared = AWSRequest(method=request.method, url=url, headers=headers)
    _Presigned(Credentials(ACCESS_KEY, SECRET_KEY), "s3", REGION).add_auth(prepared)
    signed = {name: value for name, value in prepared.headers.items() if name.lower() != "host"}
    return Request(request.method, request.path, signed, request.body)
