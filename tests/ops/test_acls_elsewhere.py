"""ACLs of a provider's objects, against an endpoint that says what it is told to."""

import json
from pathlib import Path

import pytest

from s3proxy.ops.bucket_access import OWNERSHIP, POLICY
from s3proxy.s3.acl import ALL_USERS
from s3proxy.s3.auth import ANONYMOUS
from s3proxy.s3.xml_acl import ENFORCED, ownership_controls
from tests.backends.endpoint import answer, error
from tests.ops.forwarding import OK, forwarding
from tests.ops.lab import Lab
from tests.ops.provider_acls import EVERYONE, PRIVATE, SHARED, THEIRS, acl
from tests.s3.heads import raises_s3


async def enforce(lab: Lab) -> None:
    bucket = lab.bucket("near")
    await lab.catalog.put_bucket_config(bucket, OWNERSHIP, ownership_controls(ENFORCED))


@pytest.mark.parametrize("name", ["private", "public-read", "bucket-owner-full-control"])
async def test_canned_acl_of_a_write_passes(tmp_path: Path, name: str) -> None:
    async with forwarding(tmp_path, OK) as (lab, there):
        await lab.put("/near/k", b"1", x_amz_acl=name)
        assert there.heads[0].get(b"x-amz-acl") == name


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x_amz_grant_read": "id=user-1"}, "NotImplemented"),
        ({"x_amz_acl": "nonsense"}, "InvalidArgument"),
    ],
)
async def test_acl_of_a_write_that_cannot_be_kept_is_refused(
    tmp_path: Path, headers: dict[str, str], code: str
) -> None:
    async with forwarding(tmp_path, OK) as (lab, there):
        with raises_s3(code):
            await lab.put("/near/k", b"1", **headers)
        assert there.heads == []


async def test_acl_of_a_copy_through_the_gateway_is_refused(tmp_path: Path) -> None:
    async with forwarding(tmp_path, OK) as (lab, there):
        await lab.put("/www/s", b"data")
        await lab.put("/near/k", b"", x_amz_copy_source="/www/s", x_amz_acl="private")
        before = len(there.heads)
        with raises_s3("NotImplemented"):
            await lab.put("/near/k", b"", x_amz_copy_source="/www/s", x_amz_acl="public-read")
        assert len(there.heads) == before


async def test_acl_where_they_are_off_is_refused(tmp_path: Path) -> None:
    async with forwarding(tmp_path, OK) as (lab, there):
        await enforce(lab)
        with raises_s3("AccessControlListNotSupported"):
            await lab.put("/near/k", b"1", x_amz_acl="public-read")
        with raises_s3("AccessControlListNotSupported"):
            await lab.put("/near/k?acl", b"", x_amz_acl="public-read")
        assert there.heads == []


async def test_acl_that_the_provider_refuses_is_told(tmp_path: Path) -> None:
    async with forwarding(tmp_path, error("403 Forbidden", "AccessDenied")) as (lab, _):
        with raises_s3("AccessDenied"):
            await lab.put("/near/k", b"1", x_amz_acl="public-read")
        with raises_s3("AccessDenied"):
            await lab.put("/near/k?acl", b"", x_amz_acl="public-read")


async def test_get_object_acl_names_the_bucket_owner_and_groups(tmp_path: Path) -> None:
    async with forwarding(tmp_path, SHARED) as (lab, there):
        found = await lab.get("/near/k?acl&versionId=v")
        assert found.texts("ID") == ["main", "main"]
        assert found.texts("URI") == [ALL_USERS]
        assert found.texts("Permission") == ["READ", "FULL_CONTROL"]
        (head,) = there.heads
        assert (head.path, head.query) == (b"/target/k", b"acl=&versionId=v")


async def test_get_object_acl_where_they_are_off_asks_for_the_object(tmp_path: Path) -> None:
    async with forwarding(tmp_path, OK, answer("404 Not Found")) as (lab, there):
        await enforce(lab)
        assert (await lab.get("/near/k?acl")).texts("Permission") == ["FULL_CONTROL"]
        with raises_s3("NoSuchKey"):
            await lab.get("/near/k?acl")
        assert {(head.method, head.query) for head in there.heads} == {("HEAD", b"")}


async def test_put_object_acl_names_the_providers_account(tmp_path: Path) -> None:
    owner = THEIRS.replace("theirs", "main")
    async with forwarding(tmp_path, PRIVATE, answer("200 OK")) as (lab, there):
        await lab.put("/near/k?acl", acl("main", READ=EVERYONE, READ_ACP=owner))
        assert [head.method for head in there.heads] == ["GET", "PUT"]
        assert there.bodies[1].count(b"<ID>theirs</ID>") == 2
        assert b"main" not in there.bodies[1]
        assert ALL_USERS.encode() in there.bodies[1]


async def test_put_object_acl_by_its_name_passes(tmp_path: Path) -> None:
    async with forwarding(tmp_path, answer("200 OK")) as (lab, there):
        await lab.put("/near/k?acl&versionId=v", b"", x_amz_acl="public-read")
        (head,) = there.heads
        assert (head.method, head.query) == ("PUT", b"acl=&versionId=v")
        assert (head.get(b"x-amz-acl"), head.get(b"content-length")) == ("public-read", "0")


async def test_put_object_acl_for_another_user_is_refused(tmp_path: Path) -> None:
    async with forwarding(tmp_path, PRIVATE) as (lab, there):
        user = (await lab.catalog.create_key("carol")).record
        with raises_s3("NotImplemented"):
            carol = THEIRS.replace("theirs", user.user_id)
            await lab.put("/near/k?acl", acl("main", READ=carol))
        assert there.heads == []


async def test_object_that_is_public_there_is_public_here(tmp_path: Path) -> None:
    async with forwarding(tmp_path, SHARED, OK, SHARED) as (lab, there):
        got = await lab.ask("GET", "/near/k", sender=ANONYMOUS)
        assert got.body == b"body"
        assert [head.query for head in there.heads] == [b"acl=", b"", b"acl="]


async def test_object_made_private_meanwhile_is_not_given(tmp_path: Path) -> None:
    async with forwarding(tmp_path, SHARED, OK, PRIVATE) as (lab, _):
        with raises_s3("AccessDenied"):
            await lab.ask("GET", "/near/k", sender=ANONYMOUS)


@pytest.mark.parametrize("said", [PRIVATE, error("501 Not Implemented", "NotImplemented")])
async def test_object_that_is_private_there_is_private_here(tmp_path: Path, said: bytes) -> None:
    async with forwarding(tmp_path, said) as (lab, there):
        with raises_s3("AccessDenied"):
            await lab.ask("GET", "/near/k", sender=ANONYMOUS)
        assert [head.query for head in there.heads] == [b"acl="]


@pytest.mark.parametrize("enforced", [False, True])
async def test_tags_of_the_version_that_is_named_decide(tmp_path: Path, enforced: bool) -> None:
    shut, allowed = tags("shut"), tags("open")
    acls = [] if enforced else [PRIVATE]
    script = [*acls, shut, *acls, allowed, OK, *acls, allowed]
    async with forwarding(tmp_path, *script) as (lab, there):
        bucket = lab.bucket("near")
        if enforced:
            await enforce(lab)
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObjectVersion",
            "Resource": "arn:aws:s3:::near/*",
            "Condition": {"StringEquals": {"s3:ExistingObjectTag/s": "open"}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": statement}).encode()
        await lab.catalog.put_bucket_config(bucket, POLICY, policy)
        with raises_s3("AccessDenied"):
            await lab.ask("GET", "/near/k?versionId=old", sender=ANONYMOUS)
        got = await lab.ask("GET", "/near/k?versionId=new", sender=ANONYMOUS)
        assert got.body == b"body"
        asked = [head.query for head in there.heads if b"tagging" in head.query]
        versions = (b"old", b"new", b"new")
        assert asked == [b"tagging=&versionId=" + version for version in versions]


def tags(value: str) -> bytes:
    tag = f"<Tag><Key>s</Key><Value>{value}</Value></Tag>"
    return answer("200 OK", f"<Tagging><TagSet>{tag}</TagSet></Tagging>".encode())
