"""What decides on access to a bucket, compiled; and the object between decision and answer."""

import base64
from functools import partial
from typing import Any

import pytest

from s3proxy.catalog.records import KeyRecord
from s3proxy.http.handler import Response
from s3proxy.ops import authorization
from s3proxy.ops.bucket_access import POLICY, asks_for_tags
from s3proxy.ops.call import Call, Settings
from s3proxy.ops.identity import identity_of
from s3proxy.s3.auth import ANONYMOUS, Identity
from s3proxy.s3.xml_acl import WRITER
from tests.ops.lab import Lab, md5, open_lab
from tests.s3 import policies
from tests.s3.heads import raises_s3

BOB = Identity("AKIDBOB", "user-2", "bob", "main")


def digest(data: bytes) -> str:
    return base64.b64encode(bytes.fromhex(md5(data))).decode()


async def test_access_of_a_bucket_is_made_once_for_each_change(lab: Lab) -> None:
    find = lab.services.access.find
    first = find(lab.bucket())
    await lab.put("/www/k", b"1")
    assert find(lab.bucket()) is first
    await lab.ask("DELETE", "/www?publicAccessBlock")
    second = find(lab.bucket())
    assert (first.block.block_public_acls, second.block.block_public_acls) == (True, False)
    assert find(lab.bucket()) is second


async def test_policy_that_cannot_be_read_lets_nobody_in(lab: Lab) -> None:
    await lab.catalog.put_bucket_config(lab.bucket(), POLICY, b"{")
    for _ in range(2):
        with raises_s3("InternalError"):
            await lab.get("/www/k")


def key_record() -> KeyRecord:
    return KeyRecord(
        access_key="AKIDBOB", user_id="user-2", user_name="bob", sealed_secret=b"", created_ns=1
    )


def test_identity_of_a_user_has_the_policy_or_none() -> None:
    assert identity_of(key_record(), b"") == BOB
    document = policies.document(policies.allow("s3:*", "*"))
    found = identity_of(key_record(), document)
    assert found.policy is not None
    assert not found.by_tags
    with raises_s3("InternalError"):
        identity_of(key_record(), b"{")


@pytest.mark.parametrize(
    ("key", "asks"),
    [
        ("s3:ExistingObjectTag/a", True),
        ("s3:requestobjecttagkeys", True),
        ("s3:Existing\\u004fbjectTag/a", True),
        ("aws:SourceIp", False),
    ],
)
def test_policy_that_may_ask_for_tags_is_known(key: str, asks: bool) -> None:
    document = policies.document(policies.allow("s3:GetObject", "*", Condition={"X": {key: "1"}}))
    assert asks_for_tags(document.replace(b"\\\\", b"\\")) == asks


async def interrupted(
    lab: Lab, target: str, happens: Any, data: bytes = b"", **headers: str
) -> Any:
    """Ask as bob for what is changed between the decision and the operation."""
    performed = authorization.perform

    async def perform(call: Call, action: str, function: Any) -> Response:
        if call.sender.identity is not BOB:
            return await performed(call, action, function)

        async def late(call: Call) -> Response:
            await happens()
            return await function(call)

        return await performed(call, action, late)

    method = "PUT" if headers else "GET"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(authorization, "perform", perform)
        return await lab.ask(method, target, data, sender=BOB, **headers)


async def test_object_made_private_before_it_is_read_is_not_answered(tmp_path: Any) -> None:
    settings = Settings(inline_bytes_max=10, default_ownership=WRITER)
    async with open_lab(tmp_path, settings=settings) as lab:
        await lab.catalog.create_user("bob")
        for size in (5, 5000):
            await lab.put("/www/k", b"x" * size, x_amz_acl="public-read")
            assert (await lab.ask("GET", "/www/k", sender=ANONYMOUS)).status == 200
            private = partial(lab.put, "/www/k", b"secret" * size)
            with raises_s3("AccessDenied"):
                await interrupted(lab, "/www/k", private)
            await lab.put("/www/k", b"x" * size, x_amz_acl="public-read")
            again = partial(lab.put, "/www/k", b"y" * size, x_amz_acl="public-read")
            assert (await interrupted(lab, "/www/k", again)).body == b"y" * size


async def test_source_replaced_before_it_is_copied_is_not_read(tmp_path: Any) -> None:
    settings = Settings(inline_bytes_max=10, default_ownership=WRITER)
    async with open_lab(tmp_path, settings=settings) as lab:
        await lab.put("/www/k", b"1", x_amz_acl="public-read")
        await lab.ask("PUT", "/bobs", sender=BOB)
        private = partial(lab.put, "/www/k", b"secret")
        with raises_s3("ServiceUnavailable"):
            await interrupted(lab, "/bobs/to", private, x_amz_copy_source="www/k")
        with raises_s3("NoSuchKey"):
            await lab.ask("GET", "/bobs/to", sender=BOB)


async def test_object_replaced_before_it_is_changed_keeps_its_acl_and_tags(tmp_path: Any) -> None:
    settings = Settings(inline_bytes_max=10, default_ownership=WRITER)
    async with open_lab(tmp_path, settings=settings) as lab:
        await lab.catalog.create_user("bob")
        await lab.ask("PUT", "/www?acl", x_amz_acl="public-read-write")
        tags = b"<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"
        for target, data, headers in (
            ("/www/k?acl", b"", {"x_amz_acl": "public-read"}),
            ("/www/k?tagging", tags, {"content_md5": digest(tags)}),
        ):
            await lab.ask("PUT", "/www/k", b"bobs", sender=BOB)
            theirs = partial(lab.put, "/www/k", b"secret")
            with raises_s3("ServiceUnavailable"):
                await interrupted(lab, target, theirs, data, **headers)
            assert (await lab.get("/www/k?acl")).texts("URI") == []
            assert (await lab.get("/www/k?tagging")).texts("Key") == []
