"""Signature Version 4 for S3: verifying requests, signing upstream ones, presigning.

Source: AWS, "Authenticating Requests (AWS Signature Version 4)".
"""

from s3proxy._fast.authorization import EXPIRES_S_MAX as EXPIRES_S_MAX
from s3proxy._fast.authorization import Authorization as Authorization
from s3proxy._fast.authorization import parse_authorization as parse_authorization
from s3proxy._fast.http1 import RequestHead
from s3proxy._fast.request_signing import presign as presign
from s3proxy._fast.request_signing import sign as sign
from s3proxy._fast.signing_key import SigningKey as SigningKey
from s3proxy._fast.signing_key import SigningKeys as SigningKeys
from s3proxy._fast.signing_key import derive_signing_key as derive_signing_key

__all__ = (
    "EXPIRES_S_MAX",
    "Authorization",
    "SigningKey",
    "SigningKeys",
    "compare_digest",
    "derive_signing_key",
    "parse_authorization",
    "presign",
    "sign",
    "uri_encode",
    "verify",
)

def verify(head: RequestHead, authorization: Authorization, key: SigningKey, /) -> None:
    """Check the signature of a request; neither its time nor its region.

    Args:
        head: the head that `authorization` was parsed from.
        authorization: what the request claims.
        key: derived for the date, region and service of `authorization`.
    Raises:
        AuthError: AccessDenied with HeadersNotSigned where `host` or an x-amz-* header is not
            signed; SignatureDoesNotMatch with AWSAccessKeyId, StringToSign, SignatureProvided,
            CanonicalRequest and both as hex bytes (canonical requests over 8 KiB are left out).
        ValueError: the authorization comes from another head.
    Cost: about 1 microsecond; no Python object is made on success.
    """

def uri_encode(text: bytes, /, *, keep_slash: bool) -> bytes:
    """Percent-encode everything but A-Z a-z 0-9 - . _ ~, and "/" where it is kept."""

def compare_digest(a: bytes, b: bytes, /) -> bool:
    """Whether two secrets are equal; the time depends on their lengths alone."""
