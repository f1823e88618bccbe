"""Two tenants with equal names of buckets: to each it is as if there were no other.

Every operation of the table is tried by another tenant's users on a tenant's bucket, object, upload
and version, in three situations: the sender has no bucket of the name; refers to it from a bucket
of another name; has one of that name. What comes back is compared with what comes where the tenant
never was, and everything that is the tenant's has to be as before.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trio

from s3proxy.catalog.records import BucketRecord
from s3proxy.catalog.tables import KEYSPACES, META
from s3proxy.http.handler import Request
from s3proxy.ops.call import Call
from s3proxy.ops.post_object import read_form
from s3proxy.ops.table import OPERATIONS
from s3proxy.s3.auth import BodyClaim, Identity, Verified, anonymous_of
from s3proxy.s3.errors import S3Error
from s3proxy.s3.routing import Route
from tests.ops.lab import HOST, FakeBody, Lab, open_lab
from tests.ops.whole_requests import Names, Whole, whole_requests
from tests.s3.forms import BOUNDARY, upload
from tests.s3.heads import head_of

SECRET = b"acme's secret " * 100  # more than what the catalog keeps inline
ACME = Identity("AKIDACME", "user-acme", "alice", "acme")
SENDERS = {
    "namesake": Identity("AKIDOTHER", "user-other", "alice", "other"),
    "root": Identity("AKIDROOT", "user-root", "root", "other"),
    "nobody": anonymous_of("other"),
}
# What even the owner is answered, with a bucket that has all configurations but these.
OWNERS_ANSWERS = {
    "delete_bucket": "BucketNotEmpty",
    "get_object_retention": "NoSuchObjectLockConfiguration",
    "get_bucket_replication": "ReplicationConfigurationNotFoundError",
    "get_bucket_analytics_configuration": "NoSuchConfiguration",
    "get_bucket_intelligent_tiering_configuration": "NoSuchConfiguration",
    "get_bucket_metrics_configuration": "NoSuchConfiguration",
    "delete_bucket_analytics_configuration": "NoSuchConfiguration",
    "delete_bucket_intelligent_tiering_configuration": "NoSuchConfiguration",
    "delete_bucket_metrics_configuration": "NoSuchConfiguration",
}
_SPARED = ("put_bucket_acl", "put_bucket_ownership_controls")  # would turn ACLs off
# Drawn anew for everything that is made.
_RANDOM = re.compile(
    rb"<(UploadId|[A-Za-z]*VersionId|[A-Za-z]*VersionIdMarker|[A-Za-z]*UploadIdMarker)>[^<]*<"
)
_RANDOM_HEADERS = ("x-amz-version-id", "x-amz-copy-source-version-id")


class Theirs(NamedTuple):
    """What acme has: the names of it, as they are without acme, too."""

    upload_id: str = "2~nothing"
    version_id: str = "nothing.nothing.nothing.nothing0"
    etag: str = "d41d8cd98f00b204e9800998ecf8427e"

    def names(self, bucket: str, other: str, *, of_version: bool) -> Names:
        version_id = self.version_id if of_version else ""
        return Names(bucket, other, self.upload_id, version_id, self.etag)


@asynccontextmanager
async def world(directory: Path) -> AsyncIterator[Lab]:
    await trio.Path(directory).mkdir()
    async with open_lab(directory) as lab:
        await lab.catalog.create_tenant("other")
        yield lab


async def make(lab: Lab, bucket: str, sender: Identity) -> None:
    """A bucket that allows everything there is to do."""
    await lab.ask(
        "PUT",
        f"/{bucket}",
        sender=sender,
        x_amz_bucket_object_lock_enabled="true",
        x_amz_object_ownership="ObjectWriter",
    )


async def settle_acme(lab: Lab) -> Theirs:
    """Let acme have the bucket `photos` with all configurations, an object and an upload."""
    await lab.catalog.create_tenant("acme")
    await make(lab, "photos", ACME)
    first = await lab.ask("PUT", "/photos/k", SECRET, sender=ACME)
    started = await lab.ask("POST", "/photos/k?uploads", sender=ACME)
    upload_id = started.text("UploadId")
    part = await lab.ask("PUT", f"/photos/k?uploadId={upload_id}&partNumber=1", SECRET, sender=ACME)
    theirs = Theirs(upload_id, first.headers["x-amz-version-id"], part.etag)
    whole = whole_requests(theirs.names("photos", "photos", of_version=False))
    await send(lab, whole["put_bucket_policy"], ACME)  # which allows logs to be written
    for operation, asked in whole.items():
        if operation.startswith("put_bucket_") and operation not in _SPARED:
            await send(lab, asked, ACME)
    for operation in ("put_object_tagging", "put_object_legal_hold"):
        await send(lab, whole[operation], ACME)
    files = BucketRecord(
        name="files", kind="attached", backend="disk", container="files", tenant="acme",
        region="us-east-1", created_ns=1,
    )  # fmt: skip
    await lab.catalog.create_bucket(files)
    return theirs


async def send(lab: Lab, asked: Whole, sender: Identity) -> tuple[object, ...]:
    """All of an answer that is not drawn at random."""
    try:
        answer = await lab.ask(
            asked.method, asked.target, asked.data, sender=sender, **asked.headers
        )
    except S3Error as error:
        return error.code, error.message, dict(error.fields), list(error.headers)
    headers = {
        name: "" if name in _RANDOM_HEADERS else value for name, value in answer.headers.items()
    }
    headers.pop("last-modified", None)
    return answer.status, headers, _RANDOM.sub(rb"<\1><", answer.body)


async def post(lab: Lab, bucket: str, sender: Identity) -> tuple[object, ...]:
    """POST Object, as the gateway has it after the form was read."""
    sent = upload({"key": "k"}, b"new")
    pairs = [
        ("Host", HOST),
        ("Content-Length", str(len(sent))),
        ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"),
    ]
    body: Any = FakeBody(sent)
    body.remaining = len(sent)
    request = Request(head_of("POST", f"/{bucket}", pairs), body, "0" * 16)
    form = await read_form(request, bucket)
    route = Route("post_object", bucket, form.key, {}, form)
    call = Call(request, route, lab.services, Verified(sender, BodyClaim(), None))
    try:
        return ((await OPERATIONS["post_object"].function(call)).status,)
    except S3Error as error:
        return error.code, error.message, dict(error.fields)


async def attempt(
    lab: Lab, operation: str, names: Names, sender: Identity
) -> list[tuple[object, ...]]:
    if operation == "post_object":
        return [await post(lab, names.bucket, sender)]
    return [await send(lab, whole_requests(names)[operation], sender)]


async def try_all(
    lab: Lab, operation: str, theirs: Theirs, sender: Identity
) -> list[tuple[object, ...]]:
    """What a sender of another tenant gets, situation by situation."""
    seen = []
    for of_version in (False, True):
        for bucket in ("photos", "files"):
            names = theirs.names(bucket, bucket, of_version=of_version)
            seen += await attempt(lab, operation, names, sender)
    owner = SENDERS["namesake"] if sender.anonymous else sender
    await make(lab, "mine", owner)
    await lab.ask("PUT", "/mine/k", b"mine", sender=owner)
    for of_version in (False, True):
        names = theirs.names("mine", "photos", of_version=of_version)
        seen += await attempt(lab, operation, names, sender)
    if lab.catalog.get_bucket("photos", "other") is None:
        await make(lab, "photos", owner)
    for of_version in (False, True):
        names = theirs.names("photos", "photos", of_version=of_version)
        seen += await attempt(lab, operation, names, sender)
    return seen


def rows(lab: Lab) -> dict[tuple[str, bytes], bytes]:
    with lab.catalog.engine.read() as view:
        return {
            (name, key): value
            for name in KEYSPACES
            if name != META
            for key, value in view.scan(name, b"")
        }


def files(lab: Lab) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in lab.root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
async def test_operation_by_its_owner_does_something(tmp_path: Path, operation: str) -> None:
    """So that what the others are refused is not for the form of the request."""
    for of_version in (False, True):
        async with world(tmp_path / str(of_version)) as lab:
            theirs = await settle_acme(lab)
            names = theirs.names("photos", "photos", of_version=of_version)
            ((found, *_),) = await attempt(lab, operation, names, ACME)
            assert found in (200, 204, OWNERS_ANSWERS.get(operation))


@pytest.mark.parametrize("who", SENDERS)
@pytest.mark.parametrize("operation", sorted(OPERATIONS))
async def test_operation_by_another_tenant_is_as_if_there_were_none(
    tmp_path: Path, operation: str, who: str
) -> None:
    sender = SENDERS[who]
    async with world(tmp_path / "with") as lab:
        theirs = await settle_acme(lab)
        (lab.files / "k").write_bytes(SECRET)
        catalog_before, disk_before = rows(lab), files(lab)
        seen = await try_all(lab, operation, theirs, sender)
        assert rows(lab).items() >= catalog_before.items()
        assert files(lab).items() >= disk_before.items()
        assert (await lab.ask("GET", "/photos/k", sender=ACME)).body == SECRET
    async with world(tmp_path / "without") as lab:
        alone = await try_all(lab, operation, theirs, sender)
    assert seen == alone
    assert b"secret" not in repr(seen).encode()
