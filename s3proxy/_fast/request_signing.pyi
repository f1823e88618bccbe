"""Signing of upstream requests.

Source: AWS, "Authenticating Requests: Using the Authorization Header", "... Query Parameters".
"""

from collections.abc import Sequence

from s3proxy._fast.signing_key import SigningKey

def sign(
    method: str,
    path: bytes,
    query: bytes,
    headers: Sequence[tuple[str, str]],
    payload_hash: str,
    /,
    *,
    key: SigningKey,
    access_key: str,
    region: str,
    timestamp_s: int,
    raw: bytes = b"",
    service: str = "s3",
) -> bytes:
    """Sign a request; return the header lines to append to its head.

    Args:
        method: as sent.
        path: as sent, percent-encoded once.
        query: as sent, without "?"; a bare "+" counts as a space.
        headers: all of them are signed; `host` must be among them, x-amz-date and
            x-amz-content-sha256 must not.
        payload_hash: 64 hex digits, or one of the words for x-amz-content-sha256.
        key: derived for the day of `timestamp_s`, `region` and `service`.
        access_key: its id.
        region, service: of the credential scope, ASCII.
        timestamp_s: seconds since 1970.
        raw: lines ended by CRLF that are sent too; x-amz-* and Content-Type among them are signed.
    Returns:
        Lines ended by CRLF: x-amz-date, x-amz-content-sha256, Authorization.
    Raises:
        ValueError: a raw line is malformed, or the timestamp has no four-digit year.
        UnicodeEncodeError: a name or value is not Latin-1.
    """

def presign(
    method: str,
    host: str,
    path: bytes,
    query: bytes,
    /,
    *,
    key: SigningKey,
    access_key: str,
    region: str,
    timestamp_s: int,
    expires_s: int,
) -> bytes:
    """The whole query string of a presigned request, UNSIGNED-PAYLOAD, with `host` signed.

    Args:
        method: as it will be sent.
        host: as the Host header will say, with the port.
        path: as it will be sent, percent-encoded once.
        query: further parameters, raw.
        key: derived for the day of `timestamp_s` and `region`.
        access_key: its id.
        region: of the credential scope.
        timestamp_s: seconds since 1970, when the life of the request begins.
        expires_s: how long it lives; AWS takes 1 to 604800.
    Raises:
        ValueError: the timestamp has no four-digit year.
    """
