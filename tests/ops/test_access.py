"""The decision on access against an independent reading of its rules, case by case and at large."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.catalog.records import ObjectRecord
from s3proxy.ops.access import Question, may, may_in_service
from s3proxy.ops.bucket_access import Access
from s3proxy.s3.acl import ALL_USERS, AUTHENTICATED_USERS, Acl, Grant, Owners, pack
from s3proxy.s3.auth import ANONYMOUS, Identity
from s3proxy.s3.policy import Policy, is_public, parse_policy
from s3proxy.s3.xml_acl import ENFORCED, WRITER, PublicAccessBlock
from tests.s3 import policies

OWNER = Identity("K1", "owner", "olga", "main")
BOB = Identity("K2", "bob", "bob", "main")
ROOT = Identity("K0", "root", "root", "main")
ARN = "arn:aws:s3:::b"
ACTIONS = ["s3:GetObject", "s3:PutObject", "s3:GetObjectAcl", "s3:ListBucket", "s3:PutBucketPolicy"]
PERMISSIONS = {
    "s3:GetObject": "READ",
    "s3:PutObject": "WRITE",
    "s3:GetObjectAcl": "READ_ACP",
    "s3:ListBucket": "READ",
}
OBJECTS = {"s3:GetObject", "s3:GetObjectAcl"}


def policy_of(effect: str, principal: str = "") -> Policy | None:
    """A policy that says one thing of every action; "" for no policy."""
    if not effect:
        return None
    make = policies.allow if effect == "Allow" else policies.deny
    elements: dict[str, Any] = {}
    if principal:
        elements["Principal"] = "*" if principal == "*" else {"AWS": principal}
    document = policies.document(make("s3:*", [ARN, ARN + "/*"], **elements))
    return parse_policy(document, bucket="b" if principal else "")


def access(
    policy: Policy | None = None, acl: Acl | None = None, owner: str = "owner", **fields: Any
) -> Access:
    enforced = fields.get("ownership", ENFORCED) == ENFORCED
    fields.setdefault("ownership", ENFORCED)
    return Access(
        revision=0,
        owner=owner,
        owner_id=owner or "main",
        acl=Owners(owner or "main").private if acl is None else acl,
        policy=policy,
        policy_public=policy is not None and is_public(policy),
        enforced=enforced,
        **fields,
    )


def ask(
    sender: Identity, found: Access, action: str = "s3:GetObject", record: Any = None, **fields: Any
) -> bool:
    resource = ARN if "Bucket" in action else ARN + "/k"
    return may(Question(sender, found, action, resource, lambda key: (), record, **fields))


def record(owner: str = "", acl: bytes = b"") -> ObjectRecord:
    return ObjectRecord(size=1, etag="e", modified_ns=1, owner=owner, acl=acl)


def with_policy(identity: Identity, effect: str) -> Identity:
    return Identity(
        identity.access_key, identity.user_id, identity.user_name, "main", policy_of(effect)
    )


@given(
    who=st.sampled_from([OWNER, BOB, ROOT, ANONYMOUS]),
    user=st.sampled_from(["", "Allow", "Deny"]),
    bucket=st.sampled_from(["", "Allow", "Deny"]),
    restrict=st.booleans(),
    ignore=st.booleans(),
    acls=st.booleans(),
    granted=st.sampled_from([None, "bob", ALL_USERS, AUTHENTICATED_USERS]),
    writer=st.sampled_from(["", "bob", "somebody"]),
    action=st.sampled_from(ACTIONS),
    tenants=st.booleans(),
)
def test_may_is_what_the_rules_say(**case: Any) -> None:
    who: Identity = case["who"]
    if who not in (ANONYMOUS, ROOT):
        who = with_policy(who, case["user"])
    action, ignore = case["action"], case["ignore"]
    grants = () if case["granted"] is None else (Grant(case["granted"], "FULL_CONTROL"),)
    owners = Owners("main" if case["tenants"] else "owner")
    found = access(
        policy_of(case["bucket"], "*"),
        (*owners.private, *grants),
        "" if case["tenants"] else "owner",
        block=PublicAccessBlock(
            ignore_public_acls=ignore, restrict_public_buckets=case["restrict"]
        ),
        ownership=WRITER if case["acls"] else ENFORCED,
    )
    stored = Owners(case["writer"] or found.owner_id)
    thing = record(case["writer"], pack((*stored.private, *grants), stored))
    assert ask(who, found, action, thing) == _model(who, found, case)


def _model(who: Identity, found: Access, case: dict[str, Any]) -> bool:
    """The rules once more, each on its own line."""
    action = case["action"]
    anonymous, root = who is ANONYMOUS, who is ROOT
    owner = not anonymous and (case["tenants"] or who.user_id == "owner")
    said = "" if anonymous or root else case["user"]
    somebody_elses = case["acls"] and action in OBJECTS and bool(case["writer"])
    if said == "Deny":
        return False
    if case["bucket"] == "Deny" and not (action == "s3:PutBucketPolicy" and (owner or root)):
        return False
    if root or said == "Allow":
        return True
    if owner and not said and not somebody_elses:
        return True
    restricted = case["restrict"] and not owner
    if case["bucket"] == "Allow" and not somebody_elses and not restricted:
        return True
    if not case["acls"] or (owner and said) or action not in PERMISSIONS:
        return False
    if action in OBJECTS and not anonymous and who.user_id == case["writer"]:
        return True
    if action in OBJECTS and not case["writer"] and who.user_id == found.owner_id:
        return True
    if action not in OBJECTS and who.user_id == found.owner_id:
        return True
    if case["granted"] == who.user_id:
        return not anonymous
    if case["ignore"]:
        return False
    return case["granted"] == ALL_USERS or (
        case["granted"] == AUTHENTICATED_USERS and not anonymous
    )


def test_may_owner_of_a_bucket_cannot_read_what_another_wrote_but_replace_it() -> None:
    found = access(ownership=WRITER)
    theirs = record("bob")
    for action in ("s3:GetObject", "s3:GetObjectAcl", "s3:PutObjectTagging"):
        assert not ask(OWNER, found, action, theirs)
        assert ask(BOB, found, action, theirs)
    for action in ("s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"):
        assert ask(OWNER, found, action, theirs)
        assert not ask(BOB, found, action, theirs)


def test_may_enforced_ownership_makes_every_object_the_bucket_owners() -> None:
    found = access(acl=(Grant(ALL_USERS, "FULL_CONTROL"),))
    theirs = record("bob", pack((Grant("bob", "FULL_CONTROL"),), Owners("x")))
    assert ask(OWNER, found, "s3:GetObject", theirs)
    assert not ask(BOB, found, "s3:GetObject", theirs)
    assert not ask(BOB, found, "s3:ListBucket")


@pytest.mark.parametrize(
    ("permission", "actions"),
    [
        ("READ", {"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"}),
        ("WRITE", {"s3:PutObject", "s3:DeleteObject"}),
        ("READ_ACP", {"s3:GetBucketAcl"}),
        ("WRITE_ACP", {"s3:PutBucketAcl"}),
    ],
)
def test_may_grant_on_a_bucket_is_these_actions(permission: str, actions: set[str]) -> None:
    found = access(acl=(Grant("bob", permission),), ownership=WRITER)
    every = {
        *("s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"),
        *("s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject"),
        *("s3:GetBucketAcl", "s3:PutBucketAcl", "s3:PutBucketPolicy", "s3:DeleteBucket"),
    }
    assert {action for action in every if ask(BOB, found, action, record())} == actions


def test_may_write_of_a_bucket_lets_the_writer_tag_what_it_writes() -> None:
    found = access(acl=(Grant("bob", "WRITE"),), ownership=WRITER)
    assert ask(BOB, found, "s3:PutObjectTagging", being_written=True)
    assert not ask(BOB, found, "s3:PutObjectTagging", record())


def test_may_upload_belongs_to_who_began_it() -> None:
    for action in ("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"):
        assert ask(BOB, access(), action, initiator="bob")
        assert not ask(BOB, access(), action, initiator="somebody")
        assert not ask(ANONYMOUS, access(), action, initiator=ANONYMOUS.user_id)
        denied = access(policy_of("Deny", "*"))
        assert not ask(BOB, denied, action, initiator="bob")


def test_is_open_only_to_owner_and_root_where_nothing_else_has_a_say() -> None:
    for who in (OWNER, ROOT):
        assert access().is_open_to(who)
    for who in (BOB, ANONYMOUS, with_policy(OWNER, "Allow")):
        assert not access().is_open_to(who)
    assert access(owner="").is_open_to(BOB)
    assert not access(owner="").is_open_to(ANONYMOUS)
    assert not access(ownership=WRITER).is_open_to(OWNER)
    assert not access(policy_of("Allow", "*")).is_open_to(OWNER)


def test_may_in_service_is_for_users_as_their_policy_has_it() -> None:
    def asked(who: Identity) -> bool:
        return may_in_service(who, "s3:CreateBucket", ARN, lambda key: ())

    assert [asked(who) for who in (OWNER, ROOT, ANONYMOUS)] == [True, True, False]
    assert asked(with_policy(BOB, "Allow"))
    assert not asked(with_policy(BOB, "Deny"))
