"""The authorisation of a request that is not its bucket owner's own, plain business.

The table of operations asks `perform` here unless the bucket is open to the sender
(`Access.is_open_to`). What the decision is about is found out first: the actions the request needs
(needs.py), and the object where its owner, ACL or tags matter. Before a read is answered the
object is looked at again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from s3proxy.backends.errors import NotFound
from s3proxy.backends.s3_store import S3Store
from s3proxy.catalog.records import BucketRecord, ObjectRecord
from s3proxy.http.handler import Response
from s3proxy.ops.access import OF_OBJECT, Question, may, may_in_service
from s3proxy.ops.acls_elsewhere import find_acl
from s3proxy.ops.bucket_access import Access
from s3proxy.ops.call import LookedAt
from s3proxy.ops.needs import COPIES, Need, needs_of, needs_of_source, of_version
from s3proxy.ops.payload_source import read_document
from s3proxy.ops.request_context import RequestContext, Values
from s3proxy.ops.resolve import check_owner, find_bucket, open_namespace, store_elsewhere
from s3proxy.s3.acl import Acl, Owners, pack
from s3proxy.s3.copy_source import parse_copy_source
from s3proxy.s3.errors import S3Error
from s3proxy.s3.object_lock import bypasses_governance
from s3proxy.s3.tagging import OBJECT_TAGS_MAX, TAGGING_BYTES_MAX, parse_tagging
from s3proxy.s3.xml_read import CONFIGURATION_BYTES_MAX, DELETE_BYTES_MAX, read_delete

if TYPE_CHECKING:
    from s3proxy.ops.call import Call

Function = Callable[["Call"], Awaitable[Response]]

_ARN: Final = "arn:aws:s3:::"
# What an answer says of a key that is not there, to whoever may list the bucket.
_ABSENT: Final = frozenset({"NoSuchKey", "NoSuchVersion"})
_OF_UPLOAD: Final = frozenset({"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"})
_LOCKED_BY_DOCUMENT: Final = frozenset({"put_object_legal_hold", "put_object_retention"})
_TAGGING: Final = "s3:GetObjectTagging"
# Their action is asked for key by key, by the operation.
_BY_KEY: Final = frozenset({"delete_objects"})


class Place(msgspec.Struct, frozen=True):
    """A bucket and what decides on access to it."""

    bucket: BucketRecord
    access: Access


class Found(msgspec.Struct, frozen=True):
    """An object as it was when the decision was taken."""

    place: Place
    need: Need
    looked_at: LookedAt


async def perform(call: Call, action: str, function: Function) -> Response:
    """Perform an operation on `call.bucket` if the sender may.

    Raises:
        S3Error: AccessDenied; what the operation raises, but for what tells of keys to somebody who
            may not list them.
    """
    here = Place(call.bucket, call.access)
    looked_at = await _require(call, here, action)
    try:
        response = await function(call)
    except S3Error as error:
        if error.code in _ABSENT and not _may_list(call, here, call.route.key):
            raise S3Error("AccessDenied") from error
        raise
    if call.request.head.method in ("GET", "HEAD"):
        await _require_still(call, looked_at, response)
    return response


async def require_source(call: Call) -> None:
    """Check that the sender of a copy may read its source.

    Raises:
        S3Error: AccessDenied, NoSuchBucket, NoSuchKey; what is wrong with the header.
    """
    headers = call.route.headers
    source = parse_copy_source(headers)
    bucket = find_bucket(call, source.bucket)
    check_owner(call, bucket, b"x-amz-source-expected-bucket-owner")
    place = Place(bucket, call.services.access.find(bucket))
    if place.access.is_open_to(call.sender.identity):
        return
    found = None
    store = store_elsewhere(call.services, bucket)
    if store is None:
        need = Need("s3:GetObject", source.key, source.version_id)
        found = Found(place, need, await _look(call, place, need))
        call.source = found.looked_at
    record = None if found is None else found.looked_at.record
    tagged = call.route.operation == "copy_object" and (record is None or bool(record.tags))
    needs = needs_of_source(headers, source, tagged=tagged)
    for need in needs:
        if need.action == _TAGGING and store is not None:
            # Only an object that has tags needs the right to them; somebody may read this one.
            allowed = may(_question(call, place, need, None))
            if not allowed and not await store.get_tags(source.key, source.version_id):
                return
        await _require_need(call, place, need, found)


def require_service(call: Call, action: str, given: Mapping[str, Values] | None = None) -> None:
    """Check an action that concerns no bucket which is there: ListBuckets, CreateBucket.

    Args:
        given: condition keys that only the document of the request has.

    Raises:
        S3Error: AccessDenied.
    """
    resource = _ARN + (call.route.bucket or "*")
    context = RequestContext(call, given=given or {})
    if not may_in_service(call.sender.identity, action, resource, context):
        raise S3Error("AccessDenied")


def require_key(call: Call, action: str, key: str, version_id: str = "") -> None:
    """Check an action on one of the keys in the document of a request.

    Raises:
        S3Error: AccessDenied.
    """
    if call.access.is_open_to(call.sender.identity):
        return
    need = Need(of_version(action, version_id), key, version_id)
    if not may(_question(call, Place(call.bucket, call.access), need, None)):
        raise S3Error("AccessDenied")


async def _require(call: Call, here: Place, action: str) -> list[Found]:
    if call.sender.identity.anonymous:
        _refuse_overrides(call)
    await _take_document(call, here.access)
    looked_at = []
    if call.route.operation not in _BY_KEY:
        for need in needs_of(call, action):
            found = await _require_need(call, here, need)
            if found is not None:
                looked_at.append(found)
                call.target = found.looked_at
    elif store_elsewhere(call.services, here.bucket) is not None:
        await _require_keys(call)
    if call.route.operation in COPIES:
        await require_source(call)
    return looked_at


async def _require_keys(call: Call) -> None:
    """Check a DeleteObjects that is passed on as it is: all keys, or none.

    Raises:
        S3Error: AccessDenied, MalformedXML.
    """
    call.document = await read_document(call, DELETE_BYTES_MAX)
    bypass = bypasses_governance(call.route.headers)
    for entry in read_delete(call.document).entries:
        # A policy may take long for a thousand keys: others have their turn.
        await trio.lowlevel.checkpoint()
        require_key(call, "s3:DeleteObject", entry.key, entry.version_id)
        if bypass:
            require_key(call, "s3:BypassGovernanceRetention", entry.key)


async def _require_need(
    call: Call, place: Place, need: Need, found: Found | None = None
) -> Found | None:
    """Check one need; the object, where the decision was about it.

    Args:
        found: the object, where it was looked at already.

    Raises:
        S3Error: AccessDenied; NoSuchKey to whoever may list the bucket.
    """
    if found is None and _is_about_object(call, place, need):
        found = Found(place, need, await _look(call, place, need))
    if may(_question(call, place, need, None if found is None else found.looked_at.record)):
        return found
    if need.action in OF_OBJECT and not need.being_written and _may_list(call, place, need.key):
        record = await _find(call, place, need) if found is None else found.looked_at.record
        if record is None:
            raise S3Error("NoSuchKey", Key=need.key)
    raise S3Error("AccessDenied")


def _is_about_object(call: Call, place: Place, need: Need) -> bool:
    """Whether the owner, the ACL or the tags of the object may matter."""
    if need.action not in OF_OBJECT or need.being_written:
        return False
    if place.access.by_tags or call.sender.identity.by_tags:
        return True
    if place.access.enforced:
        return False
    if store_elsewhere(call.services, place.bucket) is None:
        return True
    # Every object there is the bucket owner's: its ACL matters to others.
    return not (place.access.owned_by(call.sender.identity) or call.sender.identity.is_root)


async def _look(call: Call, place: Place, need: Need) -> LookedAt:
    """The object, with what of it has a say in whether the sender may."""
    record, identity = await _find(call, place, need), call.sender.identity
    mine = identity.is_root
    if record is not None and not mine:
        mine = place.access.owned_by(identity)
        if record.owner:
            mine = record.owner == identity.user_id
    by_tags = place.access.by_tags or identity.by_tags
    return LookedAt(record, by_acl=not mine, by_tags=by_tags)


async def _find(call: Call, place: Place, need: Need) -> ObjectRecord | None:
    namespace = open_namespace(call.services, place.bucket)
    store = store_elsewhere(call.services, place.bucket)
    by_tags = place.access.by_tags or call.sender.identity.by_tags
    if store is not None and (by_tags or not place.access.enforced):
        return await _find_elsewhere(place, need, store, by_tags=by_tags)
    record = await namespace.find(need.key, need.version_id)
    return None if record is None or record.delete_marker else record


async def _find_elsewhere(
    place: Place, need: Need, store: S3Store, *, by_tags: bool
) -> ObjectRecord | None:
    """What decides on access to an object of another provider: its ACL and tags."""
    owner_id = place.access.owner_id
    acl: Acl | None = Owners(owner_id).private
    if not place.access.enforced:
        acl = await find_acl(store, need.key, need.version_id, owner_id)
    if acl is None:
        return None
    try:
        tags = await store.get_tags(need.key, need.version_id) if by_tags else {}
    except NotFound:
        return None
    packed = pack(acl, Owners(owner_id))
    return ObjectRecord(size=0, etag="", modified_ns=0, acl=packed, tags=tags)


def _question(call: Call, place: Place, need: Need, record: ObjectRecord | None) -> Question:
    resource = _ARN + place.bucket.name
    upload = None
    if need.action in _OF_UPLOAD:
        upload_id = call.route.query.get("uploadId", "")
        if upload_id and upload_id.isascii():
            upload = call.services.catalog.get_upload(place.bucket, need.key, upload_id)
    return Question(
        sender=call.sender.identity,
        access=place.access,
        action=need.action,
        resource=f"{resource}/{need.key}" if need.key else resource,
        context=RequestContext(call, tags=None if record is None else record.tags),
        record=record,
        being_written=need.being_written,
        initiator="" if upload is None else upload.owner,
    )


def _may_list(call: Call, place: Place, key: str) -> bool:
    """Whether the sender could learn from a list that the key is not there."""
    question = Question(
        sender=call.sender.identity,
        access=place.access,
        action="s3:ListBucket",
        resource=_ARN + place.bucket.name,
        context=RequestContext(call, given={"s3:prefix": (key,)}),
    )
    return may(question)


async def _require_still(call: Call, looked_at: list[Found], response: Response) -> None:
    """Let an answer go only if the object is still one that the sender may read.

    Another could have taken its place between the decision and the read.

    Raises:
        S3Error: AccessDenied.
    """
    for found in looked_at:
        record = await _find(call, found.place, found.need)
        if not found.looked_at.holds_for(record) and not may(
            _question(call, found.place, found.need, record)
        ):
            if not isinstance(response.body, bytes):
                await response.body.aclose()
            raise S3Error("AccessDenied")


async def _take_document(call: Call, access: Access) -> None:
    """Read the tags or the lock that an object is to have, where a policy may ask for them."""
    operation, identity = call.route.operation, call.sender.identity
    if operation in _LOCKED_BY_DOCUMENT and (access.policy or identity.policy):
        call.document = await read_document(call, CONFIGURATION_BYTES_MAX)
    if operation == "put_object_tagging" and (access.by_tags or identity.by_tags):
        call.document = await read_document(call, TAGGING_BYTES_MAX)
        call.request_tags = parse_tagging(call.document, tags_max=OBJECT_TAGS_MAX)


def _refuse_overrides(call: Call) -> None:
    if any(name.startswith("response-") for name in call.route.query):
        message = "Request specific response headers cannot be used for anonymous GET requests."
        raise S3Error("InvalidRequest", message)
