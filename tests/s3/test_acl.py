"""ACLs: canned ones, headers, the document, and what a grant gives to whom."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.acl import (
    ALL_USERS,
    AUTHENTICATED_USERS,
    FULL_CONTROL,
    GRANTS_MAX,
    GROUPS,
    LOG_DELIVERY,
    PERMISSIONS,
    Acl,
    Grant,
    Owners,
    allows,
    canned,
    has_acl_headers,
    is_public,
    pack,
    parse_acl_headers,
    unpack,
)
from s3proxy.s3.xml import Owner
from s3proxy.s3.xml_acl import access_control_policy, read_acl
from tests.s3.heads import make_head, raises_s3

USERS = frozenset({"owner", "alice", "bob"})
BUCKET = Owners("owner")
OBJECT = Owners("alice", "owner")
GRANTS = st.builds(Grant, st.sampled_from(sorted(USERS | GROUPS)), st.sampled_from(PERMISSIONS))
ACLS = st.lists(GRANTS, max_size=6).map(tuple)


def parse(owners: Owners = BUCKET, /, **headers: str) -> Acl | None:
    head = make_head("PUT", "/b/k", **headers)
    assert has_acl_headers(head) == bool(headers)
    return parse_acl_headers(head, owners, USERS.__contains__)


@pytest.mark.parametrize(
    ("name", "granted"),
    [
        ("private", []),
        ("public-read", [(ALL_USERS, "READ")]),
        ("public-read-write", [(ALL_USERS, "READ"), (ALL_USERS, "WRITE")]),
        ("authenticated-read", [(AUTHENTICATED_USERS, "READ")]),
        ("log-delivery-write", [(LOG_DELIVERY, "WRITE"), (LOG_DELIVERY, "READ_ACP")]),
        ("bucket-owner-read", []),
        ("bucket-owner-full-control", []),
    ],
)
def test_canned_acl_of_a_bucket(name: str, granted: list[tuple[str, str]]) -> None:
    acl = canned(name, BUCKET)
    assert acl == (Grant("owner", FULL_CONTROL), *(Grant(*pair) for pair in granted))
    assert parse(x_amz_acl=name) == acl
    assert is_public(acl) == ("public" in name or "authenticated" in name)


@pytest.mark.parametrize(
    ("name", "permission"),
    [("bucket-owner-read", "READ"), ("bucket-owner-full-control", FULL_CONTROL)],
)
def test_canned_acl_of_an_object_names_the_owner_of_its_bucket(name: str, permission: str) -> None:
    assert canned(name, OBJECT) == (Grant("alice", FULL_CONTROL), Grant("owner", permission))
    assert canned(name, Owners("owner", "owner")) == (Grant("owner", FULL_CONTROL),)


def test_canned_acl_that_nobody_knows_or_can_keep_is_refused() -> None:
    for name in ("", "Private", "public"):
        with raises_s3("InvalidArgument"):
            canned(name, BUCKET)
    with raises_s3("InvalidArgument"):
        canned("log-delivery-write", OBJECT)
    with raises_s3("NotImplemented"):
        canned("aws-exec-read", BUCKET)


def test_headers_without_any_give_no_acl() -> None:
    assert parse() is None


def test_headers_that_grant_spell_out_the_whole_acl() -> None:
    acl = parse(
        x_amz_grant_read=f'id="alice", uri="{ALL_USERS}"',
        x_amz_grant_full_control="id=bob",
        x_amz_grant_write_acp='ID = "owner"',
    )
    assert acl == (
        Grant("alice", "READ"),
        Grant(ALL_USERS, "READ"),
        Grant("bob", FULL_CONTROL),
        Grant("owner", "WRITE_ACP"),
    )


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("id=nobody", "InvalidArgument"),
        ("id=", "InvalidArgument"),
        ("alice", "InvalidArgument"),
        ("", "InvalidArgument"),
        ("name=alice", "InvalidArgument"),
        ("uri=http://acs.amazonaws.com/groups/global/Friends", "InvalidArgument"),
        ("emailAddress=a@example.org", "UnresolvableGrantByEmailAddress"),
        (",".join(["id=alice"] * (GRANTS_MAX + 1)), "InvalidRequest"),
    ],
)
def test_headers_that_grant_to_nobody_known_are_refused(value: str, code: str) -> None:
    with raises_s3(code):
        parse(x_amz_grant_read=value)


def test_headers_of_both_kinds_or_of_an_unknown_permission_are_refused() -> None:
    with raises_s3("InvalidRequest"):
        parse(x_amz_acl="private", x_amz_grant_read="id=alice")
    with raises_s3("NotImplemented"):
        parse(x_amz_grant_everything="id=alice")


def test_allows_full_control_is_every_permission() -> None:
    acl = (Grant("alice", FULL_CONTROL), Grant("bob", "WRITE"))
    for permission in PERMISSIONS:
        assert allows(acl, "alice", permission)
        assert allows(acl, "bob", permission) == (permission == "WRITE")
        assert not allows(acl, None, permission)


def test_allows_groups_hold_who_signed_and_who_did_not() -> None:
    everyone, signed = (Grant(ALL_USERS, "READ"),), (Grant(AUTHENTICATED_USERS, "READ"),)
    assert allows(everyone, None, "READ")
    assert allows(everyone, "bob", "READ")
    assert allows(signed, "bob", "READ")
    assert not allows(signed, None, "READ")
    assert not allows((Grant(LOG_DELIVERY, "READ"),), "bob", "READ")
    for acl in (everyone, signed):
        assert not allows(acl, "bob", "READ", public=False)


@given(acl=ACLS, user=st.sampled_from([None, *sorted(USERS)]), wanted=st.sampled_from(PERMISSIONS))
def test_allows_never_more_without_the_public_grants(
    acl: Acl, user: str | None, wanted: str
) -> None:
    named = any(g.grantee == user and g.permission in (wanted, FULL_CONTROL) for g in acl)
    assert allows(acl, user, wanted, public=False) == named
    assert allows(acl, user, wanted) >= named
    if user is None and allows(acl, user, wanted):
        assert is_public(acl)


@given(acl=ACLS)
def test_acl_is_stored_and_written_as_it_was_given(acl: Acl) -> None:
    assert unpack(pack(acl, BUCKET), "owner") == acl
    document = access_control_policy(acl, Owner("owner", "o"), str.upper)
    ordered = sorted(acl, key=lambda grant: grant.grantee not in GROUPS)
    assert list(read_acl(document, BUCKET, USERS.__contains__)) == ordered


def test_acl_that_is_private_takes_no_room() -> None:
    assert pack(BUCKET.private, BUCKET) == b""
    assert pack((), BUCKET) != b""
    assert unpack(b"", "alice") == (Grant("alice", FULL_CONTROL),)


def document(grant: str, owner: str = "<Owner><ID>owner</ID></Owner>") -> bytes:
    return (
        '<AccessControlPolicy xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f"{owner}<AccessControlList>{grant}</AccessControlList></AccessControlPolicy>"
    ).encode()


def grantee(kind: str, inside: str, permission: str = "READ") -> str:
    who = f'<Grantee xsi:type="{kind}">{inside}</Grantee>'
    return f"<Grant>{who}<Permission>{permission}</Permission></Grant>"


def test_read_acl_without_grants_leaves_nobody_any() -> None:
    assert read_acl(document(""), BUCKET, USERS.__contains__) == ()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MalformedACLError"),
        (b"<AccessControlPolicy/>", "MalformedACLError"),
        (document("", owner=""), "MalformedACLError"),
        (document("", owner="<Owner/>"), "MalformedACLError"),
        (document("", owner="<Owner><ID>bob</ID></Owner>"), "AccessDenied"),
        (document("<Grant/>"), "MalformedACLError"),
        (document("<Other/>"), "MalformedACLError"),
        (document(grantee("CanonicalUser", "<ID>alice</ID>", "ALL")), "MalformedACLError"),
        (document(grantee("Group", "<ID>alice</ID>")), "MalformedACLError"),
        (document(grantee("", "<ID>alice</ID>")), "MalformedACLError"),
        (document(grantee("CanonicalUser", "<ID/>")), "MalformedACLError"),
        (document(grantee("CanonicalUser", "<ID>alice</ID><X/>")), "MalformedACLError"),
        (document(grantee("CanonicalUser", "<ID>nobody</ID>")), "InvalidArgument"),
        (document(grantee("Group", "<URI>http://example.org</URI>")), "InvalidArgument"),
        (
            document(grantee("AmazonCustomerByEmail", "<EmailAddress>a@b</EmailAddress>")),
            "UnresolvableGrantByEmailAddress",
        ),
        (
            document(grantee("CanonicalUser", "<ID>alice</ID>") * (GRANTS_MAX + 1)),
            "InvalidRequest",
        ),
    ],
)
def test_read_acl_what_is_wrong_is_named(body: bytes, code: str) -> None:
    with raises_s3(code):
        read_acl(body, BUCKET, USERS.__contains__)
