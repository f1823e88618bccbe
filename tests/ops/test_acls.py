"""ACLs, object ownership and public access block of buckets, as operations."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from s3proxy.ops.call import Settings
from s3proxy.s3.acl import ALL_USERS
from s3proxy.s3.auth import ANONYMOUS, Identity
from s3proxy.s3.xml_acl import (
    ALL_BLOCKED,
    ENFORCED,
    PREFERRED,
    WRITER,
    PublicAccessBlock,
    ownership_controls,
    public_access_block,
    read_ownership_controls,
    read_public_access_block,
)
from tests.ops.lab import ALICE, Lab, open_lab
from tests.ops.uploads import put_parts
from tests.s3 import policies
from tests.s3.heads import raises_s3

BUCKETS = pytest.mark.parametrize("bucket", ["www", "files"])
TO_BUCKET_OWNER = "bucket-owner-full-control"


@pytest.fixture
async def open_to_acls(tmp_path: Path) -> AsyncIterator[Lab]:
    """A lab where ACLs are on and nothing is blocked, as before April 2023."""
    settings = Settings(inline_bytes_max=1000, part_bytes_min=10, default_ownership=WRITER)
    async with open_lab(tmp_path, settings=settings) as lab:
        yield lab


async def user(lab: Lab, name: str) -> Identity:
    made = await lab.catalog.create_user(name)
    return Identity(f"AKID{name}", made.user_id, name, "main")


def grants(answer: object) -> list[tuple[str, str]]:
    names = [*answer.texts("URI"), *answer.texts("ID")[1:]]  # type: ignore[attr-defined]
    return list(zip(names, answer.texts("Permission"), strict=True))  # type: ignore[attr-defined]


async def test_new_bucket_has_no_acls_and_is_not_public(lab: Lab) -> None:
    ownership = (await lab.get("/www?ownershipControls")).body
    assert read_ownership_controls(ownership) == ENFORCED
    block = (await lab.get("/www?publicAccessBlock")).body
    assert read_public_access_block(block) == ALL_BLOCKED
    found = await lab.get("/www?acl")
    assert (found.texts("ID"), found.text("Permission")) == (["user-1"] * 2, "FULL_CONTROL")


@pytest.mark.parametrize("ownership", [ENFORCED, PREFERRED, WRITER])
async def test_new_bucket_of_an_ownership_that_is_asked_for(
    open_to_acls: Lab, ownership: str
) -> None:
    await open_to_acls.ask("PUT", "/made", x_amz_object_ownership=ownership)
    body = (await open_to_acls.get("/made?ownershipControls")).body
    assert read_ownership_controls(body) == ownership
    with raises_s3("NoSuchPublicAccessBlockConfiguration"):
        await open_to_acls.get("/made?publicAccessBlock")
    with raises_s3("OwnershipControlsNotFoundError"):
        await open_to_acls.get("/www?ownershipControls")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x_amz_object_ownership": "Nobody"}, "InvalidArgument"),
        ({"x_amz_acl": "public-read"}, "InvalidBucketAclWithObjectOwnership"),
        ({"x_amz_acl": "nonsense"}, "InvalidArgument"),
        ({"x_amz_grant_read": "id=nobody"}, "InvalidArgument"),
        ({"x_amz_acl": "public-read", "x_amz_object_ownership": WRITER}, "AccessDenied"),
    ],
)
async def test_new_bucket_that_cannot_have_its_acl_is_not_made(
    lab: Lab, headers: dict[str, str], code: str
) -> None:
    with raises_s3(code):
        await lab.ask("PUT", "/made", **headers)
    assert lab.catalog.get_bucket("made") is None


async def test_bucket_that_is_made_again_gets_the_acl_asked_for(open_to_acls: Lab) -> None:
    lab = open_to_acls
    await lab.ask("PUT", "/made", x_amz_acl="public-read")
    assert grants(await lab.get("/made?acl"))[0] == (ALL_USERS, "READ")
    assert (await lab.ask("PUT", "/made")).status == 200
    assert grants(await lab.get("/made?acl")) == [("user-1", "FULL_CONTROL")]


@pytest.mark.parametrize("name", ["public-read", "bucket-owner-read", "private"])
async def test_acl_where_they_are_off_is_refused_but_the_owners_own(lab: Lab, name: str) -> None:
    await lab.put("/www/k", b"1")
    for target in ("/www?acl", "/www/k?acl"):
        with raises_s3("AccessControlListNotSupported"):
            await lab.ask("PUT", target, x_amz_acl=name)
    if name == "public-read":
        with raises_s3("AccessControlListNotSupported"):
            await lab.put("/www/k", b"2", x_amz_acl=name)
    else:
        assert (await lab.put("/www/k", b"2", x_amz_acl=name)).status == 200
    assert (await lab.put("/www/k", b"3", x_amz_acl=TO_BUCKET_OWNER)).status == 200
    assert (await lab.put("/www/k", b"4", x_amz_grant_full_control="id=user-1")).status == 200


@BUCKETS
async def test_acl_of_an_object_changes_nothing_else_of_it(open_to_acls: Lab, bucket: str) -> None:
    lab, path = open_to_acls, f"/{bucket}/k"
    await lab.put(path, b"1", x_amz_tagging="a=1", x_amz_meta_a="b", content_type="text/x")
    before = await lab.get(path)
    lab.clock.ns += 10**12
    assert (await lab.ask("PUT", f"{path}?acl", x_amz_acl="public-read")).status == 200
    assert grants(await lab.get(f"{path}?acl"))[0] == (ALL_USERS, "READ")
    after = await lab.get(path)
    assert (after.headers, after.body) == (before.headers, before.body)
    assert (await lab.ask("GET", path, sender=ANONYMOUS)).body == b"1"
    await lab.ask("PUT", f"{path}?acl", x_amz_acl="private")
    with raises_s3("AccessDenied"):
        await lab.ask("GET", path, sender=ANONYMOUS)


@BUCKETS
async def test_acl_of_a_write_is_kept_and_not_copied(open_to_acls: Lab, bucket: str) -> None:
    lab = open_to_acls
    await lab.put(f"/{bucket}/k", b"1", x_amz_acl="public-read")
    assert (await lab.ask("GET", f"/{bucket}/k", sender=ANONYMOUS)).body == b"1"
    await lab.ask("PUT", f"/{bucket}/copy", x_amz_copy_source=f"{bucket}/k")
    with raises_s3("AccessDenied"):
        await lab.ask("GET", f"/{bucket}/copy", sender=ANONYMOUS)
    await put_parts(lab, f"/{bucket}/parts", b"part", x_amz_acl="public-read")
    assert (await lab.ask("GET", f"/{bucket}/parts", sender=ANONYMOUS)).body == b"part"
    await lab.put(f"/{bucket}/k", b"2")
    with raises_s3("AccessDenied"):
        await lab.ask("GET", f"/{bucket}/k", sender=ANONYMOUS)


@pytest.mark.parametrize(
    ("ownership", "acl", "bobs"),
    [
        (WRITER, "", True),
        (WRITER, TO_BUCKET_OWNER, True),
        (PREFERRED, "", True),
        (PREFERRED, TO_BUCKET_OWNER, False),
        (ENFORCED, "", False),
        (ENFORCED, TO_BUCKET_OWNER, False),
    ],
)
async def test_owner_of_what_another_writes(
    open_to_acls: Lab, ownership: str, acl: str, bobs: bool
) -> None:
    lab = open_to_acls
    bob = await user(lab, "bob")
    everything = policies.allow("*", ["arn:aws:s3:::www", "arn:aws:s3:::www/*"], Principal="*")
    await lab.put("/www?policy", policies.document(everything))
    await lab.put("/www?ownershipControls", ownership_controls(ownership))
    headers = {"x_amz_acl": acl} if acl else {}
    await lab.ask("PUT", "/www/k", b"1", sender=bob, **headers)
    upload = await lab.ask("POST", "/www/m?uploads", sender=bob, **headers)
    named = await lab.ask("GET", f"/www/m?uploadId={upload.text('UploadId')}", sender=bob)
    owner = bob if bobs else ALICE
    assert (named.texts("ID")[0], named.texts("ID")[1]) == (bob.user_id, owner.user_id)
    found = await lab.ask("GET", "/www/k?acl", sender=bob)
    assert found.texts("ID")[0] == owner.user_id
    assert found.texts("DisplayName")[0] == ("bob" if bobs else "user-1")
    if bobs and not acl:
        with raises_s3("AccessDenied"):
            await lab.get("/www/k")
        with raises_s3("AccessDenied"):
            await lab.get("/www/k?acl")
    else:
        assert (await lab.get("/www/k")).body == b"1"
    assert (await lab.ask("DELETE", "/www/k")).status == 204


async def test_what_nobody_signed_is_the_bucket_owners(open_to_acls: Lab) -> None:
    lab = open_to_acls
    await lab.ask("PUT", "/www?acl", x_amz_acl="public-read-write")
    await lab.ask("PUT", "/www/k", b"1", sender=ANONYMOUS, x_amz_acl="public-read")
    assert (await lab.get("/www/k")).body == b"1"
    assert grants(await lab.get("/www/k?acl"))[1] == ("user-1", "FULL_CONTROL")
    upload = await lab.ask("POST", "/www/m?uploads", sender=ANONYMOUS)
    target = f"/www/m?uploadId={upload.text('UploadId')}"
    with raises_s3("AccessDenied"):
        await lab.ask("DELETE", target, sender=ANONYMOUS)
    assert (await lab.ask("DELETE", target)).status == 204


async def test_acl_of_a_bucket_gives_users_what_it_grants(open_to_acls: Lab) -> None:
    lab = open_to_acls
    bob = await user(lab, "bob")
    await lab.put("/www/k", b"1")
    with raises_s3("AccessDenied"):
        await lab.ask("GET", "/www", sender=bob)
    grant = f"id={bob.user_id}"
    await lab.ask("PUT", "/www?acl", x_amz_grant_read=grant, x_amz_grant_write=grant)
    assert (await lab.ask("GET", "/www", sender=bob)).texts("Key") == ["k"]
    assert (await lab.ask("PUT", "/www/k", b"2", sender=bob)).status == 200
    with raises_s3("AccessDenied"):
        await lab.ask("GET", "/www?acl", sender=bob)
    found = await lab.get("/www?acl")  # the owner is left without a grant, and may all the same
    assert grants(found) == [(bob.user_id, "READ"), (bob.user_id, "WRITE")]
    await lab.put("/www?acl", found.body)
    assert (await lab.get("/www?acl")).body == found.body


async def test_put_acl_needs_one_acl_and_no_more(open_to_acls: Lab) -> None:
    lab = open_to_acls
    document = (await lab.get("/www?acl")).body
    with raises_s3("MissingSecurityHeader"):
        await lab.put("/www?acl", b"")
    with raises_s3("UnexpectedContent"):
        await lab.put("/www?acl", document, x_amz_acl="private")
    with raises_s3("NoSuchKey"):
        await lab.ask("PUT", "/www/absent?acl", x_amz_acl="private")


async def test_ownership_without_acls_is_not_for_a_bucket_that_grants(open_to_acls: Lab) -> None:
    lab = open_to_acls
    await lab.ask("PUT", "/www?acl", x_amz_acl="public-read")
    with raises_s3("InvalidBucketAclWithObjectOwnership"):
        await lab.put("/www?ownershipControls", ownership_controls(ENFORCED))
    await lab.ask("PUT", "/www?acl", x_amz_acl="private")
    assert (await lab.put("/www?ownershipControls", ownership_controls(ENFORCED))).status == 200
    for body in (b"<OwnershipControls/>", ownership_controls("Nobody")):
        with raises_s3("MalformedXML"):
            await lab.put("/www?ownershipControls", body)
    for _ in range(2):
        assert (await lab.ask("DELETE", "/www?ownershipControls")).status == 204


async def test_public_access_block_refuses_and_ignores(open_to_acls: Lab) -> None:
    lab = open_to_acls
    bob = await user(lab, "bob")
    await lab.ask("PUT", "/www?acl", x_amz_acl="public-read")
    await lab.put("/www/k", b"1", x_amz_acl="public-read")

    async def block(**settings: bool) -> None:
        await lab.put("/www?publicAccessBlock", public_access_block(PublicAccessBlock(**settings)))

    await block(block_public_acls=True)
    for target in ("/www?acl", "/www/k?acl", "/www/new"):
        with raises_s3("AccessDenied"):
            await lab.ask("PUT", target, x_amz_acl="authenticated-read")
    assert (await lab.ask("GET", "/www", sender=bob)).status == 200
    await block(ignore_public_acls=True)
    for target in ("/www", "/www/k"):
        with raises_s3("AccessDenied"):
            await lab.ask("GET", target, sender=bob)
    everyone = policies.allow("s3:GetObject", "arn:aws:s3:::www/*", Principal="*")
    document = policies.document(everyone)
    await block(block_public_policy=True)
    with raises_s3("AccessDenied"):
        await lab.put("/www?policy", document)
    await block()
    await lab.put("/www?policy", document)
    assert (await lab.get("/www?policyStatus")).text("IsPublic") == "true"
    assert (await lab.ask("GET", "/www/k", sender=ANONYMOUS)).body == b"1"
    await lab.ask("PUT", "/www/k?acl", x_amz_acl="private")
    await block(restrict_public_buckets=True)
    for who in (ANONYMOUS, bob):
        with raises_s3("AccessDenied"):
            await lab.ask("GET", "/www/k", sender=who)
    assert (await lab.get("/www/k")).body == b"1"
    await lab.ask("DELETE", "/www?publicAccessBlock")
    assert (await lab.ask("GET", "/www/k", sender=ANONYMOUS)).body == b"1"


async def test_bucket_policy_is_kept_as_sent_and_goes(lab: Lab) -> None:
    with raises_s3("NoSuchBucketPolicy"):
        await lab.get("/www?policyStatus")
    principal = {"AWS": "arn:aws:iam::main:user/bob"}
    statement = policies.allow("s3:GetObject", "arn:aws:s3:::www/*", Principal=principal)
    document = policies.document(statement).replace(b", ", b" ,  ")
    assert (await lab.put("/www?policy", document)).status == 204
    found = await lab.get("/www?policy")
    assert (found.body, found.headers["content-type"]) == (document, "application/json")
    assert (await lab.get("/www?policyStatus")).text("IsPublic") == "false"
    for bad in (b"", b"{}", policies.document(policies.allow("s3:Get", "*", Principal="*"))):
        with raises_s3("MalformedPolicy"):
            await lab.put("/www?policy", bad)
    assert (await lab.ask("DELETE", "/www?policy")).status == 204
    with raises_s3("NoSuchBucketPolicy"):
        await lab.get("/www?policy")
