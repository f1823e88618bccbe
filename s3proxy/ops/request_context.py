"""What the conditions of a policy can ask of a request: the values of its condition keys.

Each is looked up when a condition asks, and not before.
Source: Service Authorization Reference, "Condition keys for Amazon S3"; IAM User Guide, "AWS global
condition context keys".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from s3proxy.s3.auth import BodyClaim
from s3proxy.s3.errors import S3Error
from s3proxy.s3.object_lock import parse_date, read_legal_hold, read_retention
from s3proxy.s3.post_object import PostForm
from s3proxy.s3.tagging import parse_tagging_header
from s3proxy.s3.time import iso8601, iso_seconds
from s3proxy.s3.uri import percent_decode

if TYPE_CHECKING:
    from s3proxy.ops.call import Call

Values = tuple[str, ...]
_NONE: Final[Mapping[str, Values]] = MappingProxyType({})
_EXISTING_TAG: Final = "s3:existingobjecttag/"
_REQUEST_TAG: Final = "s3:requestobjecttag/"
_DAY_NS: Final = 86_400 * 1_000_000_000
# Operations of s3:PutObject: whether an object is there when they are done.
_MAKING: Final = {
    "complete_multipart_upload": "true",
    "copy_object": "true",
    "post_object": "true",
    "put_object": "true",
    "create_multipart_upload": "false",
    "upload_part": "false",
    "upload_part_copy": "false",
}


class RequestContext:
    """The condition keys of one request; called with one, in lower case.

    Args:
        tags: of the object that is there; None: there is none, or they were not needed.
        given: values that stand for what the request has.
    """

    __slots__ = ("_call", "_given", "_tags")

    def __init__(
        self,
        call: Call,
        *,
        tags: Mapping[str, str] | None = None,
        given: Mapping[str, Values] = _NONE,
    ) -> None:
        self._call = call
        self._tags = tags or {}
        self._given = given

    def __call__(self, name: str) -> Values:
        """The values of a condition key; () where the request has none."""
        if name in self._given:
            return self._given[name]
        if name.startswith(_EXISTING_TAG):
            return _one(self._tags.get(name[len(_EXISTING_TAG) :]))
        if name.startswith(_REQUEST_TAG):
            return _one(_request_tags(self._call).get(name[len(_REQUEST_TAG) :]))
        look = KEYS.get(name)
        if look is not None:
            return look(self._call)
        if name.startswith("s3:x-amz-"):
            return _one(self._call.route.headers.get(name[3:].encode()))
        return ()


def _one(value: str | None) -> Values:
    return () if value is None else (value,)


def _header(name: bytes) -> Callable[[Call], Values]:
    return lambda call: _one(call.route.headers.get(name))


def _sent_header(name: bytes) -> Callable[[Call], Values]:
    """A header of the request itself, where that is a form."""
    return lambda call: _one(call.request.head.get(name))


def _parameter(name: str) -> Callable[[Call], Values]:
    return lambda call: _one(call.route.query.get(name))


def _always(value: str) -> Callable[[Call], Values]:
    return lambda call: (value,)


def _request_tags(call: Call) -> Mapping[str, str]:
    """The tags that the request wants the object to have."""
    if call.request_tags is not None:
        return call.request_tags
    return parse_tagging_header(call.route.headers)


def _creation(call: Call) -> Values:
    """Whether s3:PutObject is asked for to make an object, not to begin one or add to it."""
    making = _MAKING.get(call.route.operation)
    return () if making is None else (making,)


def _retention(call: Call) -> tuple[str, int]:
    """Mode and end (ns) of the retention that the request asks for; "" and 0: of none."""
    if call.route.operation == "put_object_retention":
        asked = read_retention(call.document or b"", call.services.now_ns())
        return asked.mode, asked.until_ns
    headers = call.route.headers
    until = headers.get(b"x-amz-object-lock-retain-until-date")
    until_ns = None if until is None else parse_date(until)
    return headers.get(b"x-amz-object-lock-mode") or "", until_ns or 0


def _retained_until(call: Call) -> Values:
    _, until_ns = _retention(call)
    return (iso8601(until_ns),) if until_ns else ()


def _retention_days(call: Call) -> Values:
    """Days begun count: who asks for ten days asks for not quite ten when the request is here."""
    _, until_ns = _retention(call)
    return (str(-((call.services.now_ns() - until_ns) // _DAY_NS)),) if until_ns else ()


def _legal_hold(call: Call) -> Values:
    if call.route.operation == "put_object_legal_hold":
        return (read_legal_hold(call.document or b""),)
    return _one(call.route.headers.get(b"x-amz-object-lock-legal-hold"))


def _copy_source(call: Call) -> Values:
    value = call.route.headers.get(b"x-amz-copy-source")
    if value is None:
        return ()
    try:
        return (percent_decode(value.encode("latin-1")).removeprefix("/"),)
    except S3Error:
        return (value,)


def _source_ip(call: Call) -> Values:
    host, _, _ = call.request.peer.rpartition(":")
    host = host.strip("[]").removeprefix("::ffff:")
    return (host,) if host else ()


def _of_sender(value: Callable[[Call], str]) -> Callable[[Call], Values]:
    """A key that only requests which somebody signed have."""
    return lambda call: () if call.sender.identity.anonymous else (value(call),)


def _principal_type(call: Call) -> Values:
    return ("Anonymous" if call.sender.identity.anonymous else "User",)


def _user_id(call: Call) -> Values:
    identity = call.sender.identity
    return ("anonymous" if identity.anonymous else identity.user_id,)


def _arn(call: Call) -> str:
    identity = call.sender.identity
    return f"arn:aws:iam::{identity.tenant}:user/{identity.user_name}"


def _auth_type(call: Call) -> str:
    if isinstance(call.route.headers, PostForm):
        return "POST"
    query = call.route.query
    presigned = "X-Amz-Signature" in query or "Signature" in query
    return "REST-QUERY-STRING" if presigned else "REST-HEADER"


def _signature_version(call: Call) -> str:
    form = call.route.headers
    # Signature Version 2 leaves no key for the body; a form has none in any case.
    old = call.sender.key is None
    if isinstance(form, PostForm):
        old = "awsaccesskeyid" in form.fields
    return "AWS" if old else "AWS4-HMAC-SHA256"


def _signature_age(call: Call) -> Values:
    """Milliseconds since the request was signed."""
    claim = call.sender.authorization
    if isinstance(claim, BodyClaim):
        return ()
    return (str(max(call.services.clock_ns() // 1_000_000 - claim.timestamp_s * 1000, 0)),)


def _now_s(call: Call) -> int:
    return call.services.clock_ns() // 1_000_000_000


def _bucket_tenant(call: Call) -> Values:
    return (call.sender.identity.tenant,)


def _tag_keys(call: Call) -> Values:
    return tuple(_request_tags(call))


# The keys that are more than a header, each with how it is looked up.
KEYS: Final[dict[str, Callable[[Call], Values]]] = {
    "aws:currenttime": lambda call: (iso_seconds(_now_s(call)),),
    "aws:epochtime": lambda call: (str(_now_s(call)),),
    "aws:principalaccount": _of_sender(lambda call: call.sender.identity.tenant),
    "aws:principalarn": _of_sender(_arn),
    "aws:principalisawsservice": _always("false"),
    "aws:principaltype": _principal_type,
    "aws:referer": _sent_header(b"referer"),
    "aws:requestedregion": lambda call: (call.services.settings.region,),
    "aws:resourceaccount": _bucket_tenant,
    "aws:securetransport": lambda call: ("true" if call.request.secure else "false",),
    "aws:sourceip": _source_ip,
    "aws:useragent": _sent_header(b"user-agent"),
    "aws:userid": _user_id,
    "aws:username": _of_sender(lambda call: call.sender.identity.user_name),
    "aws:viaawsservice": _always("false"),
    "s3:authtype": _of_sender(_auth_type),
    "s3:delimiter": _parameter("delimiter"),
    "s3:if-match": _header(b"if-match"),
    "s3:if-none-match": _header(b"if-none-match"),
    "s3:max-keys": _parameter("max-keys"),
    "s3:object-lock-legal-hold": _legal_hold,
    "s3:object-lock-mode": lambda call: _one(_retention(call)[0] or None),
    "s3:object-lock-remaining-retention-days": _retention_days,
    "s3:object-lock-retain-until-date": _retained_until,
    "s3:objectcreationoperation": _creation,
    "s3:prefix": _parameter("prefix"),
    "s3:requestobjecttagkeys": _tag_keys,
    "s3:resourceaccount": _bucket_tenant,
    "s3:signatureage": _signature_age,
    "s3:signatureversion": _of_sender(_signature_version),
    "s3:tlsversion": lambda call: _one(call.request.tls_version or None),
    "s3:versionid": _parameter("versionId"),
    "s3:x-amz-copy-source": _copy_source,
}
