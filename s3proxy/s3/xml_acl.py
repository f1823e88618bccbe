"""The documents of access: AccessControlPolicy, OwnershipControls, PublicAccessBlock, PolicyStatus.

Source: Amazon S3 API Reference, "PutBucketAcl", "PutBucketOwnershipControls",
"PutPublicAccessBlock", "GetBucketPolicyStatus".
"""

from collections.abc import Callable
from typing import Final

import msgspec

from s3proxy.s3.acl import GROUPS, PERMISSIONS, Acl, Grant, Owners, checked, group, unresolvable
from s3proxy.s3.errors import S3Error
from s3proxy.s3.xml import SCHEMA_INSTANCE, Owner, document, element, escape, owner_element
from s3proxy.s3.xml_read import CONFIGURATION_BYTES_MAX, Node, parse

# 100 grants of the longest grantee and display name fit, with room.
ACL_BYTES_MAX: Final = 256 * 1024
ENFORCED: Final = "BucketOwnerEnforced"
PREFERRED: Final = "BucketOwnerPreferred"
WRITER: Final = "ObjectWriter"
OWNERSHIPS: Final = (ENFORCED, PREFERRED, WRITER)
# What a grantee is, by the element that names it.
_KINDS: Final = {"ID": "CanonicalUser", "URI": "Group", "EmailAddress": "AmazonCustomerByEmail"}


class PublicAccessBlock(msgspec.Struct, frozen=True):
    """The four settings of Block Public Access, in the order of their document."""

    block_public_acls: bool = False
    ignore_public_acls: bool = False
    block_public_policy: bool = False
    restrict_public_buckets: bool = False


ALL_BLOCKED: Final = PublicAccessBlock(True, True, True, True)
_SETTINGS: Final = {
    "BlockPublicAcls": "block_public_acls",
    "IgnorePublicAcls": "ignore_public_acls",
    "BlockPublicPolicy": "block_public_policy",
    "RestrictPublicBuckets": "restrict_public_buckets",
}


def access_control_policy(acl: Acl, owner: Owner, name_of: Callable[[str], str]) -> bytes:
    """The document of an ACL: groups first, then users.

    Args:
        name_of: the display name of a user id.
    """
    ordered = sorted(acl, key=lambda grant: not grant.is_group)
    rows = "".join(_grant_element(grant, name_of) for grant in ordered)
    content = f"{owner_element(owner)}<AccessControlList>{rows}</AccessControlList>"
    return document("AccessControlPolicy", content)


def read_acl(body: bytes, owners: Owners, known: Callable[[str], bool]) -> Acl:
    """The ACL in a body of PutBucketAcl or PutObjectAcl.

    Raises:
        S3Error: MalformedACLError; AccessDenied for another owner; InvalidArgument for a grantee
            that is not there; UnresolvableGrantByEmailAddress; InvalidRequest for too many grants.
    """
    try:
        root = parse(body, "AccessControlPolicy", ACL_BYTES_MAX)
    except S3Error as error:
        raise S3Error("MalformedACLError") if error.code == "MalformedXML" else error from None
    named = {child.name: child for child in root.children}
    if set(named) != {"Owner", "AccessControlList"} or len(root.children) != 2:
        raise S3Error("MalformedACLError")
    owner = (named["Owner"].child_text("ID") or "").strip()
    if not owner:
        raise S3Error("MalformedACLError")
    if owner != owners.owner:
        raise S3Error("AccessDenied")
    return checked(map(_read_grant, named["AccessControlList"].children), known)


class ForeignAcl(msgspec.Struct, frozen=True):
    """An ACL of another endpoint, whose grantees and owner are its own."""

    owner: str
    grants: Acl


def read_foreign_acl(body: bytes) -> ForeignAcl:
    """The ACL that another endpoint tells of; groups that are not known here are left out.

    Raises:
        S3Error: MalformedXML.
    """
    root = parse(body, "AccessControlPolicy", ACL_BYTES_MAX)
    named = {child.name: child for child in root.children}
    if not {"Owner", "AccessControlList"} <= set(named):
        raise S3Error("MalformedXML")
    grants = []
    for node in named["AccessControlList"].children:
        permission = (node.child_text("Permission") or "").strip()
        for grantee in node.children:
            user, uri = grantee.child_text("ID"), (grantee.child_text("URI") or "").strip()
            if grantee.name == "Grantee" and permission in PERMISSIONS:
                known = uri if uri in GROUPS else ""
                name = known if user is None else user.strip()
                grants += [Grant(name, permission)] if name else []
    return ForeignAcl((named["Owner"].child_text("ID") or "").strip(), tuple(grants))


def ownership_controls(ownership: str) -> bytes:
    """The OwnershipControls document."""
    rule = f"<Rule>{element('ObjectOwnership', ownership)}</Rule>"
    return document("OwnershipControls", rule)


def read_ownership_controls(body: bytes) -> str:
    """The one ObjectOwnership of a document; also of what `ownership_controls` gave.

    Raises:
        S3Error: MalformedXML.
    """
    root = parse(body, "OwnershipControls", CONFIGURATION_BYTES_MAX)
    if len(root.children) != 1 or root.children[0].name != "Rule":
        raise S3Error("MalformedXML")
    rule = root.children[0]
    ownership = (rule.child_text("ObjectOwnership") or "").strip()
    if len(rule.children) != 1 or ownership not in OWNERSHIPS:
        raise S3Error("MalformedXML")
    return ownership


def public_access_block(block: PublicAccessBlock) -> bytes:
    """The PublicAccessBlockConfiguration document."""
    rows = (
        element(name, "true" if getattr(block, field) else "false")
        for name, field in _SETTINGS.items()
    )
    return document("PublicAccessBlockConfiguration", "".join(rows))


def read_public_access_block(body: bytes) -> PublicAccessBlock:
    """The settings of a document; those that are not in it are off.

    Raises:
        S3Error: MalformedXML.
    """
    root = parse(body, "PublicAccessBlockConfiguration", CONFIGURATION_BYTES_MAX)
    found: dict[str, bool] = {}
    for child in root.children:
        field = _SETTINGS.get(child.name, "")
        text = child.text.strip().lower()
        if not field or field in found or text not in ("true", "false"):
            raise S3Error("MalformedXML")
        found[field] = text == "true"
    return PublicAccessBlock(**found)


def policy_status(*, public: bool) -> bytes:
    """The PolicyStatus document."""
    return document("PolicyStatus", element("IsPublic", "true" if public else "false"))


def _grant_element(grant: Grant, name_of: Callable[[str], str]) -> str:
    if grant.is_group:
        kind, named = "Group", element("URI", grant.grantee)
    else:
        kind = "CanonicalUser"
        named = element("ID", grant.grantee) + element("DisplayName", name_of(grant.grantee))
    return (
        f'<Grant><Grantee xmlns:xsi="{SCHEMA_INSTANCE}" xsi:type="{kind}">{named}</Grantee>'
        f"<Permission>{escape(grant.permission)}</Permission></Grant>"
    )


def _read_grant(node: Node) -> Grant:
    named = {child.name: child for child in node.children}
    if node.name != "Grant" or len(node.children) != 2 or "Grantee" not in named:
        raise S3Error("MalformedACLError")
    permission = (node.child_text("Permission") or "").strip()
    if permission not in PERMISSIONS:
        raise S3Error("MalformedACLError")
    return Grant(_read_grantee(named["Grantee"]), permission)


def _read_grantee(node: Node) -> str:
    naming = [child for child in node.children if child.name in _KINDS]
    unknown = {child.name for child in node.children} - {*_KINDS, "DisplayName"}
    if len(naming) != 1 or unknown or node.kind != _KINDS[naming[0].name]:
        raise S3Error("MalformedACLError")
    text = naming[0].text.strip()
    if not text:
        raise S3Error("MalformedACLError")
    if node.kind == "AmazonCustomerByEmail":
        raise unresolvable(text)
    return group(text) if node.kind == "Group" else text
