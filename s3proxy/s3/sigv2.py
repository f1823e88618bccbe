"""Signature Version 2, for clients that know no other: in a header, or in a URL that expires.

It signs the method, three headers, the `x-amz-*` headers and the sub-resources of SIGNED, with
HMAC-SHA1: neither the body nor the other parameters, nor the host. So it is off unless configured,
and a write may name no sub-resource that the signature does not cover.

Source: AWS, "Signing and authenticating REST requests (Signature Version 2)".
"""

import base64
import hmac
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import msgspec

from s3proxy._fast.sigv4 import compare_digest
from s3proxy.s3 import subresources
from s3proxy.s3.errors import S3Error, invalid_argument
from s3proxy.s3.hosts import Hosts, place_of
from s3proxy.s3.time import iso_seconds
from s3proxy.s3.uri import parse_query

if TYPE_CHECKING:
    from s3proxy._fast.http1 import RequestHead
    from s3proxy.s3.auth import Credential

SKEW_S_MAX: Final = 15 * 60
_SCHEME: Final = "AWS "
_EXPIRES_DIGITS_MAX: Final = 12
# Parameters that are part of the resource.
SIGNED: Final = frozenset(
    {
        *("accelerate", "acl", "analytics", "cors", "defaultObjectAcl", "delete", "inventory"),
        *("lifecycle", "location", "logging", "metrics", "notification", "object-lock"),
        *("partNumber", "policy", "replication", "requestPayment", "restore", "select"),
        *("select-type", "storageClass", "tagging", "torrent", "uploadId", "uploads"),
        *("versionId", "versioning", "versions", "website"),
        *("response-cache-control", "response-content-disposition", "response-content-encoding"),
        *("response-content-language", "response-content-type", "response-expires"),
    }
)
_SUBRESOURCES: Final = frozenset((*subresources.BUCKET, *subresources.OBJECT))


class Claim(msgspec.Struct, frozen=True):
    """What a request says of its signature; not yet verified.

    Attributes:
        expires: seconds since the epoch as sent; "" for a signature in the header.
        query: the decoded parameters.
    """

    access_key: str
    signature: str
    expires: str
    query: dict[str, str]


def parse(head: "RequestHead") -> Claim | None:
    """Read the signature of a request; None where it has none of this version.

    Raises:
        S3Error: InvalidArgument (malformed, or both ways), AccessDenied (an incomplete URL).
    """
    header = head.get(b"authorization")
    query = parse_query(head.query)
    in_query = "Signature" in query and "AWSAccessKeyId" in query
    if header is None:
        if not in_query:
            return None
        if "Expires" not in query:
            message = "Query-string authentication requires the Signature, Expires and"
            raise S3Error("AccessDenied", f"{message} AWSAccessKeyId parameters")
        return Claim(query["AWSAccessKeyId"], query["Signature"], query["Expires"], query)
    if not header.startswith(_SCHEME):
        return None
    if in_query:
        message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
        message += "Signature query string parameter or the Authorization header should be"
        raise invalid_argument(f"{message} specified", "Authorization", header)
    access_key, _, signature = header[len(_SCHEME) :].strip().partition(":")
    if not access_key or not signature:
        message = "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature"
        raise invalid_argument(message, "Authorization", header)
    return Claim(access_key, signature, "", query)


class VersionTwo:
    """Checks requests against a secret.

    Args:
        hosts: as the gateway's: the resource that is signed has the bucket that the host names.
    """

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    def verify(
        self, head: "RequestHead", claim: Claim, credential: "Credential", now_s: float
    ) -> None:
        """Check time, then signature, then that the signature covers what is asked.

        Raises:
            S3Error: AccessDenied, RequestTimeTooSkewed, SignatureDoesNotMatch.
        """
        date = _check_expires(claim, now_s) if claim.expires else _check_date(head, now_s)
        named, secret_key = self._hosts.bucket(head.host), credential.secret()
        bucket = place_of(named, credential.identity.tenant.__eq__).bucket
        resource = (f"/{bucket}" if bucket else "").encode() + head.path
        texts = [_string_to_sign(head, claim, date, resource)]
        if resource.count(b"/") == 1 and len(resource) > 1:
            # Clients that add the slash when they sign do not all send it.
            texts.append(_string_to_sign(head, claim, date, resource + b"/"))
        provided = claim.signature.encode()
        matches = [compare_digest(sign(text, secret_key), provided) for text in texts]
        if not any(matches):
            raise S3Error(
                "SignatureDoesNotMatch",
                AWSAccessKeyId=claim.access_key,
                StringToSign=texts[0].decode("latin-1"),
                SignatureProvided=claim.signature,
                StringToSignBytes=texts[0].hex(" "),
            )
        _check_covered(head, claim)


def sign(text: bytes, secret_key: str) -> bytes:
    """Base64 of the HMAC-SHA1 of a text."""
    return base64.b64encode(hmac.digest(secret_key.encode(), text, "sha1"))


def _check_expires(claim: Claim, now_s: float) -> str:
    text = claim.expires
    if not (text.isascii() and text.isdecimal() and len(text) <= _EXPIRES_DIGITS_MAX):
        message = f"Invalid date (should be seconds since epoch): {text}"
        raise S3Error("AccessDenied", message)
    if now_s > int(text):
        times = {"Expires": iso_seconds(int(text)), "ServerTime": iso_seconds(now_s)}
        raise S3Error("AccessDenied", "Request has expired", **times)
    return text


def _check_date(head: "RequestHead", now_s: float) -> str:
    """The Date line of what is signed: empty where x-amz-date, signed elsewhere, gives the time."""
    amz_date = head.get(b"x-amz-date")
    date = head.get(b"date") or ""
    sent = date if amz_date is None else amz_date
    moment_s = _seconds(sent)
    if moment_s is None:
        message = "AWS authentication requires a valid Date or x-amz-date header"
        raise S3Error("AccessDenied", message)
    if abs(now_s - moment_s) > SKEW_S_MAX:
        raise S3Error(
            "RequestTimeTooSkewed",
            RequestTime=sent,
            ServerTime=iso_seconds(now_s),
            MaxAllowedSkewMilliseconds=str(SKEW_S_MAX * 1000),
        )
    return date if amz_date is None else ""


def _seconds(text: str) -> float | None:
    """Seconds since the epoch of an HTTP date, or the short ISO form; None for anything else."""
    try:
        if text[8:9] == "T":
            moment = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        else:
            moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:  # "-0000": UTC, from a clock that knows no zone
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp() if 1970 <= moment.year <= 9999 else None


def _string_to_sign(head: "RequestHead", claim: Claim, date: str, resource: bytes) -> bytes:
    lines = [head.method, _value(head, claim, "content-md5"), _value(head, claim, "content-type")]
    lines.append(date)
    lines += [f"{name}:{value}" for name, value in sorted(_amz_headers(head, claim).items())]
    text = "\n".join(lines) + "\n"
    return text.encode("latin-1") + resource + _signed_parameters(head.query)


def _value(head: "RequestHead", claim: Claim, name: str) -> str:
    """A header; URLs may carry it as a parameter."""
    value = head.get(name.encode())
    if value is None and claim.expires:
        value = claim.query.get(name, "").encode().decode("latin-1")
    return value or ""


def _amz_headers(head: "RequestHead", claim: Claim) -> dict[str, str]:
    headers = {}
    if claim.expires:
        for name, value in claim.query.items():
            if name[:6].lower() == "x-amz-":
                headers[name.lower()] = value.encode().decode("latin-1")
    return {**headers, **dict(head.prefixed(b"x-amz-"))}


def _signed_parameters(query: bytes) -> bytes:
    """What of the query is part of the resource; decoded, as the parameters are read."""
    found = []
    for pair in query.split(b"&"):
        for name, value in parse_query(pair).items():
            if name in SIGNED:
                found.append((name, f"{name}={value}" if b"=" in pair else name))
    found.sort(key=lambda pair: pair[0])
    return ("?" + "&".join(text for _, text in found)).encode() if found else b""


def _check_covered(head: "RequestHead", claim: Claim) -> None:
    """Refuse parameters that change what is asked for and that the signature does not cover.

    Reads of other sub-resources pass where the header is signed: SDKs have calls for them, and who
    could add one sees the answer anyway. Whoever was given a URL did not sign it.
    """
    reads = head.method in ("GET", "HEAD") and not claim.expires
    for name in claim.query:
        if name in _SUBRESOURCES and name not in SIGNED and not reads:
            message = f"Signature Version 2 does not sign the sub-resource {name}."
            raise S3Error("AccessDenied", message)
        if not claim.expires and name[:6].lower() == "x-amz-":
            message = f"Signature Version 2 in a header does not sign the parameter {name}."
            raise S3Error("AccessDenied", message)
