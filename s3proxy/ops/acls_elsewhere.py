"""ACLs of objects at a provider: kept there, read and written in terms of the users here.

The provider knows one account of the gateway, which owns every object: it stands for the owner of
the bucket. Groups are the same on both sides. Grants to other accounts of the provider mean nobody
here and are left out; grants to other users of the gateway cannot be kept there and are refused.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from s3proxy.backends.errors import BackendError, NotFound, Unsupported
from s3proxy.backends.s3_headers import length_line
from s3proxy.backends.s3_request import Answer, Ask
from s3proxy.backends.s3_store import S3Store
from s3proxy.http.handler import Response
from s3proxy.ops.acls import acl_response, check_owner_alone, check_public, knows_user, sent_acl
from s3proxy.s3.acl import Acl, Grant, Owners, has_acl_headers, parse_acl_headers
from s3proxy.s3.errors import S3Error
from s3proxy.s3.xml import Owner
from s3proxy.s3.xml_acl import ACL_BYTES_MAX, ForeignAcl, access_control_policy, read_foreign_acl

if TYPE_CHECKING:
    from s3proxy.ops.call import Call
    from s3proxy.s3.headers import Headers

_STRANGERS: Final = (
    "Objects of this bucket are at another provider, which does not know the users of this one:"
    " their ACLs may name the bucket's owner and groups."
)
# Where the owner of the bucket owns every object.
_PRIVATE: Final = (None, "private", "bucket-owner-read", "bucket-owner-full-control")
# What the provider says of the request, not of the gateway's credentials.
_TOLD: Final = frozenset({"AccessDenied", "MethodNotAllowed", "NoSuchVersion"})


def check_acl_elsewhere(call: Call) -> None:
    """Check the ACL that a write asks for in its headers, before it is passed on.

    Raises:
        S3Error: NotImplemented for what the provider cannot keep; as for managed buckets.
    """
    headers, access = call.route.headers, call.access
    if not has_acl_headers(headers):
        return
    if headers.prefixed(b"x-amz-grant-"):
        raise S3Error("NotImplemented", _STRANGERS)
    if access.enforced:
        check_owner_alone(call)
        return
    owners = Owners(access.owner_id, access.owner_id)
    acl = parse_acl_headers(headers, owners, knows_user(call))
    if acl is not None:
        check_public(access.block, acl)


def refuse_acl_of_carried(headers: Headers) -> None:
    """Refuse the ACL of a copy that the gateway carries to the provider, unless it is private.

    Raises:
        S3Error: NotImplemented.
    """
    if headers.get(b"x-amz-acl") not in _PRIVATE:
        message = "A copy from elsewhere to another provider takes its ACL by PutObjectAcl."
        raise S3Error("NotImplemented", message)


async def find_acl(store: S3Store, key: str, version_id: str, owner_id: str) -> Acl | None:
    """The ACL of an object at a provider; None: there is no such object.

    Args:
        owner_id: of the bucket here.
    """
    try:
        found = (await _read(store, key, version_id))[1]
    except NotFound:
        return None
    except Unsupported:
        return Owners(owner_id).private
    return _here(found, owner_id)


async def get_object_acl(call: Call, store: S3Store) -> Response:
    """GetObjectAcl.

    Raises:
        S3Error: NoSuchKey, NoSuchVersion, MethodNotAllowed for a delete marker.
    """
    key, version_id = call.route.key, call.route.query.get("versionId", "")
    owner_id = call.access.owner_id
    if call.access.enforced:
        answer = await _ask(store, "HEAD", key, _of(version_id))
        acl = Owners(owner_id).private
    else:
        answer, found = await _read(store, key, version_id)
        acl = _here(found, owner_id)
    return acl_response(call, acl, owner_id, _version(answer))


async def put_object_acl(call: Call, store: S3Store) -> Response:
    """PutObjectAcl.

    Raises:
        S3Error: NotImplemented for grants to users of the gateway but the bucket's owner; as for
            managed buckets, and what the provider says.
    """
    key, version_id = call.route.key, call.route.query.get("versionId", "")
    owner_id = call.access.owner_id
    acl = await sent_acl(call, Owners(owner_id, owner_id))
    if any(not grant.is_group and grant.grantee != owner_id for grant in acl):
        raise S3Error("NotImplemented", _STRANGERS)
    if call.access.enforced:
        return Response(200, _version(await _ask(store, "HEAD", key, _of(version_id))))
    query = [("acl", ""), *_of(version_id)]
    name = call.route.headers.get(b"x-amz-acl")
    if name is not None:  # needs no account, and more providers know it
        return Response(200, _version(await _ask(store, "PUT", key, query, name=name)))
    _, found = await _read(store, key, version_id)
    there = tuple(
        grant if grant.is_group else Grant(found.owner, grant.permission) for grant in acl
    )
    owner = Owner(found.owner, found.owner)
    document = access_control_policy(there, owner, lambda user_id: user_id)
    return Response(200, _version(await _ask(store, "PUT", key, query, document)))


async def _read(store: S3Store, key: str, version_id: str) -> tuple[Answer, ForeignAcl]:
    answer = await _ask(store, "GET", key, [("acl", ""), *_of(version_id)])
    return answer, read_foreign_acl(answer.body)


def _here(found: ForeignAcl, owner_id: str) -> Acl:
    return tuple(
        grant if grant.is_group else Grant(owner_id, grant.permission)
        for grant in found.grants
        if grant.is_group or grant.grantee == found.owner
    )


async def _ask(
    store: S3Store,
    method: str,
    key: str,
    query: list[tuple[str, str]],
    document: bytes = b"",
    *,
    name: str = "",
) -> Answer:
    headers = [("Content-Type", "application/xml")] if document else []
    if name:
        headers.append(("x-amz-acl", name))
    ask = Ask(
        op="object_acl",
        method=method,
        container=store.container,
        key=key,
        query=query,
        headers=headers,
        raw=length_line(len(document)) if method == "PUT" else b"",
        payload_hash=sha256(document).hexdigest(),
    )
    try:
        return await store.requests.call(ask, document, bytes_max=ACL_BYTES_MAX)
    except BackendError as error:
        if error.upstream_code in _TOLD:
            raise S3Error(error.upstream_code, error.upstream_message) from error
        raise


def _of(version_id: str) -> list[tuple[str, str]]:
    return [("versionId", version_id)] if version_id else []


def _version(answer: Answer) -> list[tuple[str, str]]:
    version_id = answer.exchange.head.get(b"x-amz-version-id")
    return [] if version_id is None else [("x-amz-version-id", version_id)]
