"""No operation is performed for somebody who may not: the whole table, and what else is asked."""

import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest

from s3proxy.catalog.tables import KEYSPACES
from s3proxy.ops.bucket_access import POLICY
from s3proxy.ops.table import OPERATIONS
from s3proxy.s3.auth import ANONYMOUS, Identity
from s3proxy.s3.policy import parse_policy
from tests.ops.forwarding import forwarding
from tests.ops.lab import ALICE, Answer, Lab, md5
from tests.ops.provider_acls import PRIVATE
from tests.ops.requests import requests
from tests.s3 import policies
from tests.s3.heads import raises_s3

BOB = Identity("AKIDBOB", "user-2", "bob", "main")
ROOT = Identity("AKIDROOT", "user-0", "root", "main")
WWW = ["arn:aws:s3:::www", "arn:aws:s3:::www/*"]
DENY_ALL = policies.document(policies.deny("s3:*", WWW, Principal="*"))
# What the owner can always do, so that a policy can be taken back.
OF_POLICY = {"get_bucket_policy", "put_bucket_policy", "delete_bucket_policy"}
ON_BUCKETS = sorted(set(OPERATIONS) - {"list_buckets", "create_bucket"})
DELETE_K = b"<Delete><Object><Key>k</Key></Object></Delete>"


def with_policy(identity: Identity, *statements: dict[str, Any]) -> Identity:
    policy = parse_policy(policies.document(*statements))
    return msgspec.structs.replace(identity, policy=policy)


OTHERS = {
    "another": BOB,
    "nobody": ANONYMOUS,
    "another, allowed elsewhere": with_policy(BOB, policies.allow("s3:*", "arn:aws:s3:::my*")),
    "the owner, allowed elsewhere": with_policy(ALICE, policies.allow("s3:*", "arn:aws:s3:::my*")),
    "the owner, denied": with_policy(
        ALICE, policies.allow("s3:*", "*"), policies.deny("s3:*", WWW)
    ),
}


def state_of(lab: Lab) -> dict[str, list[tuple[bytes, bytes]]]:
    with lab.catalog.engine.read() as view:
        return {name: list(view.scan(name, b"")) for name in KEYSPACES}


async def put_policy(lab: Lab, *statements: dict[str, Any], bucket: str = "www") -> None:
    """Past what the operation would check."""
    found = lab.bucket(bucket)
    await lab.catalog.put_bucket_config(found, POLICY, policies.document(*statements))


def bob_may(*actions: str, **elements: Any) -> dict[str, Any]:
    principal = {"AWS": "arn:aws:iam::main:user/bob"}
    return policies.allow([*actions], WWW, Principal=principal, **elements)


async def ask(lab: Lab, operation: str, sender: Identity, *, upload_id: str = "0") -> Answer:
    asked = requests(upload_id)[operation]
    return await lab.ask(asked.method, f"/www{asked.target}", sender=sender, **asked.headers)


async def require_denied(lab: Lab, operation: str, sender: Identity) -> None:
    await lab.put("/www/k", b"secret")
    upload = await lab.ask("POST", "/www/k?uploads")
    before = state_of(lab)
    if operation == "delete_objects":
        digest = base64.b64encode(bytes.fromhex(md5(DELETE_K))).decode()
        answer = await lab.ask("POST", "/www?delete", DELETE_K, sender=sender, content_md5=digest)
        assert (answer.texts("Code"), answer.texts("Deleted")) == (["AccessDenied"], [])
    else:
        with raises_s3("AccessDenied"):
            await ask(lab, operation, sender, upload_id=upload.text("UploadId"))
    assert state_of(lab) == before


def test_requests_cover_the_whole_table() -> None:
    assert set(requests("1")) == set(OPERATIONS) - {"list_buckets"}


@pytest.mark.parametrize("who", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("operation", ON_BUCKETS)
async def test_operation_for_somebody_who_may_not_changes_nothing(
    lab: Lab, operation: str, who: Identity
) -> None:
    await require_denied(lab, operation, who)


@pytest.mark.parametrize("who", [ALICE, ROOT], ids=["the owner", "root"])
@pytest.mark.parametrize("operation", sorted(set(ON_BUCKETS) - OF_POLICY))
async def test_operation_that_the_bucket_denies_to_all_changes_nothing(
    lab: Lab, operation: str, who: Identity
) -> None:
    await lab.put("/www/k", b"secret")
    upload = await lab.ask("POST", "/www/k?uploads")
    await put_policy(lab, policies.deny("s3:*", WWW, Principal="*"))
    before = state_of(lab)
    if operation == "delete_objects":
        digest = base64.b64encode(bytes.fromhex(md5(DELETE_K))).decode()
        answer = await lab.ask("POST", "/www?delete", DELETE_K, sender=who, content_md5=digest)
        assert answer.texts("Code") == ["AccessDenied"]
    else:
        with raises_s3("AccessDenied"):
            await ask(lab, operation, who, upload_id=upload.text("UploadId"))
    assert state_of(lab) == before


@pytest.mark.parametrize("who", [ALICE, ROOT], ids=["the owner", "root"])
async def test_policy_that_denies_all_can_be_read_replaced_and_removed(
    lab: Lab, who: Identity
) -> None:
    await put_policy(lab, policies.deny("s3:*", WWW, Principal="*"))
    assert (await ask(lab, "get_bucket_policy", who)).body == DENY_ALL
    assert (await lab.ask("PUT", "/www?policy", DENY_ALL, sender=who)).status == 204
    assert (await ask(lab, "delete_bucket_policy", who)).status == 204
    assert (await ask(lab, "list_objects", who)).status == 200


@pytest.mark.parametrize("who", [OTHERS["nobody"], OTHERS["another, allowed elsewhere"]])
@pytest.mark.parametrize("operation", ON_BUCKETS)
async def test_operation_on_a_providers_bucket_is_not_passed_on_for_somebody_who_may_not(
    tmp_path: Path, operation: str, who: Identity
) -> None:
    async with forwarding(tmp_path, PRIVATE) as (lab, there):
        asked = requests("upload")[operation]
        headers = dict(asked.headers)
        data = b""
        if operation == "delete_objects":
            data = DELETE_K
            headers["content_md5"] = base64.b64encode(bytes.fromhex(md5(data))).decode()
        with raises_s3("AccessDenied"):
            target = f"/near{asked.target}"
            await lab.ask(asked.method, target, data, sender=who, **headers)
        # The object's ACL may be what allows it.
        assert [(head.method, head.query) for head in there.heads] in ([], [("GET", b"acl=")])


async def test_service_operations_are_not_for_nobody_or_the_disallowed(lab: Lab) -> None:
    limited = with_policy(BOB, policies.allow("s3:*Object", "*"))
    for who in (ANONYMOUS, limited):
        for method, target in (("GET", "/"), ("PUT", "/made")):
            with raises_s3("AccessDenied"):
                await lab.ask(method, target, sender=who)
    assert lab.catalog.get_bucket("made") is None
    allowed = with_policy(BOB, policies.allow("s3:CreateBucket", "arn:aws:s3:::made"))
    with raises_s3("AccessDenied"):
        await lab.ask("PUT", "/made", sender=allowed, x_amz_object_ownership="ObjectWriter")
    with raises_s3("AccessDenied"):
        await lab.ask("PUT", "/other", sender=allowed)
    assert (await lab.ask("PUT", "/made", sender=allowed)).status == 200


async def test_list_buckets_shows_ones_own_and_those_of_the_tenant_and_root_all(lab: Lab) -> None:
    await lab.ask("PUT", "/bobs", sender=BOB)
    for who, names in ((ALICE, ["files", "www"]), (BOB, ["bobs", "files"])):
        assert (await lab.ask("GET", "/", sender=who)).texts("Name") == names
    assert (await lab.ask("GET", "/", sender=ROOT)).texts("Name") == ["bobs", "files", "www"]
    for owner, other in ((ALICE, "bobs"), (BOB, "www")):
        with raises_s3("BucketAlreadyExists"):
            await lab.ask("PUT", f"/{other}", sender=owner)


@pytest.mark.parametrize("operation", ["copy_object", "upload_part_copy"])
async def test_copy_needs_to_read_its_source(lab: Lab, operation: str) -> None:
    await lab.put("/www/k", b"secret", x_amz_tagging="a=1")
    await lab.ask("PUT", "/bobs", sender=BOB)
    upload = await lab.ask("POST", "/bobs/to?uploads", sender=BOB)
    target = "/bobs/to"
    if operation == "upload_part_copy":
        target += f"?partNumber=1&uploadId={upload.text('UploadId')}"

    async def copy(**headers: str) -> Answer:
        return await lab.ask("PUT", target, sender=BOB, x_amz_copy_source="www/k", **headers)

    with raises_s3("AccessDenied"):
        await copy()
    await put_policy(lab, bob_may("s3:GetObject"))
    if operation == "copy_object":
        with raises_s3("AccessDenied"):
            await copy()  # its tags would come along
        assert (await copy(x_amz_tagging_directive="REPLACE")).status == 200
    await put_policy(lab, bob_may("s3:GetObject", "s3:GetObjectTagging"))
    assert (await copy()).status == 200
    with raises_s3("AccessDenied"):
        await lab.ask("PUT", "/www/new", sender=BOB, x_amz_copy_source="bobs/to")


async def test_copy_of_ones_own_bucket_onto_itself_is_open(lab: Lab) -> None:
    await lab.put("/www/k", b"mine")
    assert (await lab.ask("PUT", "/www/two", x_amz_copy_source="www/k")).status == 200


async def test_key_that_is_not_there_is_told_to_whoever_may_list_it(lab: Lab) -> None:
    await put_policy(lab, bob_may("s3:GetObject", "s3:GetObjectVersion"))
    for target in ("/www/absent", "/www/absent?versionId=null"):
        with raises_s3("AccessDenied"):
            await lab.ask("GET", target, sender=BOB)
    listed = {"StringLike": {"s3:prefix": "public/*"}}
    await put_policy(lab, bob_may("s3:ListBucket", Condition=listed))
    with raises_s3("NoSuchKey"):
        await lab.ask("HEAD", "/www/public/absent", sender=BOB)
    with raises_s3("AccessDenied"):
        await lab.ask("HEAD", "/www/private/absent", sender=BOB)


@pytest.mark.parametrize(
    ("headers", "action"),
    [
        ({"x_amz_tagging": "a=1"}, "s3:PutObjectTagging"),
        ({"if_match": "*"}, "s3:GetObject"),
        ({"x_amz_bypass_governance_retention": "true"}, "s3:BypassGovernanceRetention"),
    ],
)
async def test_header_of_a_write_needs_an_action_of_its_own(
    lab: Lab, headers: dict[str, str], action: str
) -> None:
    await lab.put("/www/k", b"1")
    await put_policy(lab, bob_may("s3:PutObject"))
    assert (await lab.ask("PUT", "/www/k", b"2", sender=BOB)).status == 200
    with raises_s3("AccessDenied"):
        await lab.ask("PUT", "/www/k", b"3", sender=BOB, **headers)
    await put_policy(lab, bob_may("s3:PutObject", action))
    assert (await lab.ask("PUT", "/www/k", b"3", sender=BOB, **headers)).status == 200


async def test_version_that_is_named_needs_the_action_on_versions(lab: Lab) -> None:
    await lab.put("/www/k", b"1")
    await put_policy(lab, bob_may("s3:GetObject"))
    assert (await lab.ask("GET", "/www/k", sender=BOB)).body == b"1"
    with raises_s3("AccessDenied"):
        await lab.ask("GET", "/www/k?versionId=null", sender=BOB)
    await put_policy(lab, bob_may("s3:GetObjectVersion", "s3:DeleteObject"))
    assert (await lab.ask("GET", "/www/k?versionId=null", sender=BOB)).body == b"1"
    with raises_s3("AccessDenied"):
        await lab.ask("DELETE", "/www/k?versionId=null", sender=BOB)


async def test_conditions_on_tags_look_at_the_object_and_at_the_request(lab: Lab) -> None:
    for name, tags in (("open", "s=public"), ("shut", "s=private"), ("bare", "")):
        await lab.put(f"/www/{name}", b"1", x_amz_tagging=tags)
    public = {"StringEquals": {"s3:ExistingObjectTag/s": "public"}}
    await put_policy(lab, bob_may("s3:GetObject", Condition=public))
    assert (await lab.ask("GET", "/www/open", sender=BOB)).body == b"1"
    for name in ("shut", "bare"):
        with raises_s3("AccessDenied"):
            await lab.ask("GET", f"/www/{name}", sender=BOB)
    wanted = {"StringEquals": {"s3:RequestObjectTag/s": "public"}}
    await put_policy(lab, bob_may("s3:PutObject*", Condition=wanted))
    await lab.ask("PUT", "/www/new", b"1", sender=BOB, x_amz_tagging="s=public")
    with raises_s3("AccessDenied"):
        await lab.ask("PUT", "/www/new", b"2", sender=BOB, x_amz_tagging="s=private")


async def test_tags_that_are_put_can_be_a_condition(lab: Lab) -> None:
    await lab.put("/www/k", b"1")
    wanted = {"StringEquals": {"s3:RequestObjectTag/s": "public"}}
    await put_policy(lab, bob_may("s3:PutObjectTagging", Condition=wanted))
    for value, code in (("private", "AccessDenied"), ("public", "")):
        tag = f"<Tag><Key>s</Key><Value>{value}</Value></Tag>"
        document = f"<Tagging><TagSet>{tag}</TagSet></Tagging>".encode()
        digest = base64.b64encode(bytes.fromhex(md5(document))).decode()
        put = lab.ask("PUT", "/www/k?tagging", document, sender=BOB, content_md5=digest)
        if code:
            with raises_s3(code):
                await put
        else:
            assert (await put).status == 200
    assert (await lab.get("/www/k?tagging")).texts("Value") == ["public"]


async def test_anonymous_request_gets_what_everyone_may_and_overrides_nothing(lab: Lab) -> None:
    await lab.put("/www/k", b"1")
    await put_policy(lab, policies.allow("s3:GetObject", WWW, Principal="*"))
    with raises_s3("AccessDenied"):  # public access is blocked from the start
        await lab.ask("GET", "/www/k", sender=ANONYMOUS)
    await lab.ask("DELETE", "/www?publicAccessBlock")
    assert (await lab.ask("GET", "/www/k", sender=ANONYMOUS)).body == b"1"
    with raises_s3("InvalidRequest"):
        await lab.ask("GET", "/www/k?response-content-type=text%2Fhtml", sender=ANONYMOUS)
    with raises_s3("AccessDenied"):
        await lab.ask("PUT", "/www/k", b"2", sender=ANONYMOUS)


async def test_user_policy_opens_buckets_of_others_and_bounds_ones_own(lab: Lab) -> None:
    await lab.put("/www/k", b"1")
    reader = with_policy(BOB, policies.allow("s3:GetObject", "arn:aws:s3:::www/*"))
    assert (await lab.ask("GET", "/www/k", sender=reader)).body == b"1"
    with raises_s3("AccessDenied"):
        await lab.ask("PUT", "/www/k", b"2", sender=reader)
    bounded = with_policy(ALICE, policies.allow("s3:GetObject", "arn:aws:s3:::www/*"))
    assert (await lab.ask("GET", "/www/k", sender=bounded)).body == b"1"
    with raises_s3("AccessDenied"):
        await lab.ask("PUT", "/www/k", b"2", sender=bounded)


async def test_delete_objects_decides_key_by_key(lab: Lab) -> None:
    for key in ("mine/a", "other"):
        await lab.put(f"/www/{key}", b"1")
    principal = {"AWS": "arn:aws:iam::main:user/bob"}
    allowed = policies.allow("s3:DeleteObject", "arn:aws:s3:::www/mine/*", Principal=principal)
    await put_policy(lab, allowed)
    rows = "".join(f"<Object><Key>{key}</Key></Object>" for key in ("mine/a", "other"))
    document = f"<Delete>{rows}</Delete>".encode()
    digest = base64.b64encode(bytes.fromhex(md5(document))).decode()
    answer = await lab.ask("POST", "/www?delete", document, sender=BOB, content_md5=digest)
    assert answer.texts("Key") == ["mine/a", "other"]
    assert answer.texts("Code") == ["AccessDenied"]
    assert (await lab.get("/www?list-type=2")).texts("Key") == ["other"]


async def test_upload_is_its_initiators_to_list_and_abort(lab: Lab) -> None:
    await put_policy(lab, bob_may("s3:PutObject"))
    upload = await lab.ask("POST", "/www/k?uploads", sender=BOB)
    target = f"/www/k?uploadId={upload.text('UploadId')}"
    assert (await lab.ask("GET", target, sender=BOB)).status == 200
    other = Identity("AKIDCAROL", "user-3", "carol", "main")
    for method in ("GET", "DELETE"):
        with raises_s3("AccessDenied"):
            await lab.ask(method, target, sender=other)
    assert (await lab.ask("DELETE", target, sender=BOB)).status == 204
