"""Access control lists: who was granted what on a bucket or an object.

An ACL is a tuple of grants, without the owner: the bucket and the object know theirs. The document
is in xml_acl.py.
Source: Amazon S3 User Guide, "Access control list (ACL) overview".
"""

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from s3proxy.s3.errors import S3Error, invalid_argument, not_implemented_header
from s3proxy.s3.headers import Headers

GRANTS_MAX: Final = 100

_GROUPS: Final = "http://acs.amazonaws.com/groups/"
ALL_USERS: Final = _GROUPS + "global/AllUsers"
AUTHENTICATED_USERS: Final = _GROUPS + "global/AuthenticatedUsers"
LOG_DELIVERY: Final = _GROUPS + "s3/LogDelivery"
GROUPS: Final = frozenset({ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY})
_PUBLIC: Final = frozenset({ALL_USERS, AUTHENTICATED_USERS})

FULL_CONTROL: Final = "FULL_CONTROL"
PERMISSIONS: Final = ("READ", "WRITE", "READ_ACP", "WRITE_ACP", FULL_CONTROL)


class Grant(msgspec.Struct, array_like=True, frozen=True):
    """One permission of one grantee, who is a user id or the URI of a group."""

    grantee: str
    permission: str

    @property
    def is_group(self) -> bool:
        """Whether the grantee is one of GROUPS."""
        return self.grantee in GROUPS


Acl = tuple[Grant, ...]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Acl).decode


class Owners(msgspec.Struct, frozen=True):
    """Whose ACL it is.

    Attributes:
        owner: user id of the owner of the bucket, or of the object.
        bucket_owner: of the object's bucket; "" for the ACL of a bucket.
    """

    owner: str
    bucket_owner: str = ""

    @property
    def private(self) -> Acl:
        """Full control of the owner, and nobody else."""
        return (Grant(self.owner, FULL_CONTROL),)


def pack(acl: Acl, owners: Owners) -> bytes:
    """The ACL as it is stored; b"" for the private one."""
    return b"" if acl == owners.private else _encode(acl)


def unpack(stored: bytes, owner: str) -> Acl:
    """The ACL that was stored for what `owner` owns."""
    return _decode(stored) if stored else (Grant(owner, FULL_CONTROL),)


def is_public(acl: Iterable[Grant]) -> bool:
    """Whether something is granted to all, or to whoever has an account."""
    return any(grant.grantee in _PUBLIC for grant in acl)


def allows(acl: Acl, user_id: str | None, permission: str, *, public: bool = True) -> bool:
    """Whether a user has the permission.

    Args:
        user_id: None for somebody who did not sign.
        public: False where grants to all, or to whoever has an account, are ignored.
    """
    grantees = {user_id} if user_id is not None else set()
    if public:
        grantees.add(ALL_USERS)
        if user_id is not None:
            grantees.add(AUTHENTICATED_USERS)
    return any(
        grant.permission in (permission, FULL_CONTROL) and grant.grantee in grantees
        for grant in acl
    )


def canned(name: str, owners: Owners) -> Acl:
    """The ACL of that name.

    Raises:
        S3Error: InvalidArgument; NotImplemented for one that grants to a service of AWS.
    """
    if name == "aws-exec-read":
        raise not_implemented_header("x-amz-acl")
    granted = _CANNED.get(name)
    if granted is not None:
        return (*owners.private, *granted)
    if name == "log-delivery-write" and not owners.bucket_owner:
        delivery = (Grant(LOG_DELIVERY, "WRITE"), Grant(LOG_DELIVERY, "READ_ACP"))
        return (*owners.private, *delivery)
    permission = _TO_BUCKET_OWNER.get(name)
    if permission is None:
        raise invalid_argument("", "x-amz-acl", name)
    # Of a bucket that is created S3 ignores these two.
    if owners.bucket_owner in ("", owners.owner):
        return owners.private
    return (*owners.private, Grant(owners.bucket_owner, permission))


_CANNED: Final[dict[str, Acl]] = {
    "private": (),
    "public-read": (Grant(ALL_USERS, "READ"),),
    "public-read-write": (Grant(ALL_USERS, "READ"), Grant(ALL_USERS, "WRITE")),
    "authenticated-read": (Grant(AUTHENTICATED_USERS, "READ"),),
}
_TO_BUCKET_OWNER: Final = {
    "bucket-owner-read": "READ",
    "bucket-owner-full-control": FULL_CONTROL,
}
_GRANT_HEADERS: Final = {
    f"x-amz-grant-{permission.lower().replace('_', '-')}": permission for permission in PERMISSIONS
}


def has_acl_headers(headers: Headers) -> bool:
    """Whether a request says something of an ACL in its headers."""
    return headers.get(b"x-amz-acl") is not None or bool(headers.prefixed(b"x-amz-grant-"))


def parse_acl_headers(headers: Headers, owners: Owners, known: Callable[[str], bool]) -> Acl | None:
    """The ACL that x-amz-acl names, or the x-amz-grant-* headers spell out; None: neither is there.

    Args:
        known: whether there is a user of that id.

    Raises:
        S3Error: InvalidArgument, InvalidRequest, UnresolvableGrantByEmailAddress, NotImplemented.
    """
    name = headers.get(b"x-amz-acl")
    granting = headers.prefixed(b"x-amz-grant-")
    if name is not None:
        if granting:
            message = "Specifying both Canned ACLs and Header Grants is not allowed"
            raise S3Error("InvalidRequest", message)
        return canned(name, owners)
    if not granting:
        return None
    grants = []
    for header, value in granting:
        permission = _GRANT_HEADERS.get(header)
        if permission is None:
            raise not_implemented_header(header)
        grants += [Grant(grantee, permission) for grantee in _grantees(header, value)]
    return checked(grants, known)


def checked(grants: Iterable[Grant], known: Callable[[str], bool]) -> Acl:
    """The grants as an ACL.

    Raises:
        S3Error: InvalidArgument for a grantee that is not there; InvalidRequest for too many.
    """
    acl = tuple(grants)
    if len(acl) > GRANTS_MAX:
        raise S3Error("InvalidRequest", f"The number of grants exceeds {GRANTS_MAX}.")
    for grant in acl:
        if grant.grantee not in GROUPS and not known(grant.grantee):
            raise invalid_argument("Invalid id", "CanonicalUser/ID", grant.grantee)
    return acl


def group(uri: str) -> str:
    """The URI of a group that grants may name.

    Raises:
        S3Error: InvalidArgument.
    """
    if uri not in GROUPS:
        raise invalid_argument("Invalid group uri", "Group/URI", uri)
    return uri


def unresolvable(email: str) -> S3Error:
    """What is answered to a grantee named by e-mail: users have no addresses here."""
    return S3Error("UnresolvableGrantByEmailAddress", EmailAddress=email)


def _grantees(header: str, value: str) -> list[str]:
    """Grantees of `id="…", uri="…"`; quotes may be left out."""
    found = []
    for item in value.split(","):
        kind, equals, text = item.strip().partition("=")
        text = text.strip().strip('"')
        kind = kind.strip().lower()
        if not equals or not text:
            raise invalid_argument("Argument format not recognized", header, value)
        if kind == "id":
            found.append(text)
        elif kind == "uri":
            found.append(group(text))
        elif kind == "emailaddress":
            raise unresolvable(text)
        else:
            raise invalid_argument("Argument format not recognized", header, value)
    return found
