"""ACLs as a provider tells them."""

from s3proxy.s3.acl import ALL_USERS
from tests.backends.endpoint import answer

XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
THEIRS = f'<Grantee {XSI} xsi:type="CanonicalUser"><ID>theirs</ID></Grantee>'
STRANGER = f'<Grantee {XSI} xsi:type="CanonicalUser"><ID>user-2</ID></Grantee>'
EVERYONE = f'<Grantee {XSI} xsi:type="Group"><URI>{ALL_USERS}</URI></Grantee>'


def acl(owner: str, **grants: str) -> bytes:
    """The document of an ACL; grants by permission, the grantee's element each."""
    rows = "".join(
        f"<Grant>{grantee}<Permission>{permission}</Permission></Grant>"
        for permission, grantee in grants.items()
    )
    return (
        f"<AccessControlPolicy><Owner><ID>{owner}</ID></Owner>"
        f"<AccessControlList>{rows}</AccessControlList></AccessControlPolicy>"
    ).encode()


PRIVATE = answer("200 OK", acl("theirs", FULL_CONTROL=THEIRS))
SHARED = answer("200 OK", acl("theirs", FULL_CONTROL=THEIRS, READ=EVERYONE, WRITE=STRANGER))
