"""Requests to sign and verify: AWS's documentation examples and heads made by hand."""

import hashlib
import hmac
from collections.abc import Iterable

from s3proxy._fast.http1 import RequestHead, parse_request
from s3proxy._fast.sigv4 import (
    Authorization,
    SigningKey,
    derive_signing_key,
    parse_authorization,
    verify,
)

# Public constants of AWS's documentation; they open nothing.
ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
REGION = "us-east-1"
DATE = "20130524"
AMZ_DATE = "20130524T000000Z"
SCOPE = f"{DATE}/{REGION}/s3/aws4_request"
TIMESTAMP_S = 1369353600
EMPTY_SHA256 = hashlib.sha256().hexdigest()
EXAMPLE_HOST = "examplebucket.s3.amazonaws.com"

KEY = derive_signing_key(SECRET_KEY, DATE, REGION)


def head_of(
    method: str, target: str | bytes, headers: Iterable[tuple[str, str]] = ()
) -> RequestHead:
    raw = target if isinstance(target, bytes) else target.encode()
    lines = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in headers)
    data = method.encode() + b" " + raw + b" HTTP/1.1\r\n" + lines + b"\r\n"
    head = parse_request(data, len(data))
    assert head is not None
    return head


def credentials(signed_headers: str, signature: str, *, scope: str = SCOPE) -> tuple[str, str]:
    return (
        "Authorization",
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope},SignedHeaders={signed_headers},"
        f"Signature={signature}",
    )


def parsed(head: RequestHead) -> Authorization:
    authorization = parse_authorization(head)
    assert authorization is not None
    return authorization


def check(head: RequestHead, key: SigningKey = KEY) -> Authorization:
    authorization = parsed(head)
    verify(head, authorization, key)
    return authorization


def python_signature(string_to_sign: str, secret_key: str = SECRET_KEY) -> str:
    """The signature as the documentation writes it, by hmac and hashlib."""
    key = b"AWS4" + secret_key.encode()
    for part in (DATE, REGION, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, string_to_sign.encode(), "sha256").hex()


def python_request_signature(canonical_request: str) -> str:
    digest = hashlib.sha256(canonical_request.encode("latin-1")).hexdigest()
    return python_signature(f"AWS4-HMAC-SHA256\n{AMZ_DATE}\n{SCOPE}\n{digest}")
