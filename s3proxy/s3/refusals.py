"""Headers that promise what the gateway does not keep: refused by name, never accepted and dropped.

A client that sends `x-amz-server-side-encryption: AES256` and gets 200 believes its bytes are
encrypted. So each header with a meaning is either kept, or refused here with NotImplemented.
Headers without a meaning for the stored bytes (`x-amz-user-agent`, `x-amz-request-payer`,
`amz-sdk-*`, unknown ones) are ignored, as S3 does.
"""

from typing import Final

from s3proxy.s3.encryption import refuse_algorithm
from s3proxy.s3.errors import invalid_argument, not_implemented_header
from s3proxy.s3.headers import Headers

_READS: Final = frozenset({"get_object", "head_object", "get_object_attributes"})
_WRITES: Final = frozenset(
    {
        *("complete_multipart_upload", "copy_object", "create_bucket", "create_multipart_upload"),
        *("delete_bucket", "delete_object", "delete_objects", "put_object"),
        *("upload_part", "upload_part_copy"),
    }
)
_GRANTS: Final = ("x-amz-grant-",)
# Headers of some operations that keep them; a copy is routed as the PUT that it looks like.
_OF_OBJECT: Final = ("x-amz-acl", "x-amz-tagging", *_GRANTS)
_KEPT: Final = {
    "copy_object": _OF_OBJECT,
    "create_bucket": ("x-amz-acl", "x-amz-object-ownership", *_GRANTS),
    "create_multipart_upload": _OF_OBJECT,
    "put_object": _OF_OBJECT,
}
# Where the operation itself reads what is said of encryption; a copy is routed as the PUT.
_ENCRYPTED: Final = frozenset({"create_multipart_upload", "put_object"})
_WITH_CUSTOMER_KEYS: Final = frozenset(
    {*_ENCRYPTED, "complete_multipart_upload", "upload_part", *_READS}
)
_ENCRYPTION: Final = "x-amz-server-side-encryption"
_CUSTOMER_KEYS: Final = (
    "x-amz-copy-source-server-side-encryption-customer-",
    "x-amz-server-side-encryption-customer-",
)

_REFUSED_PREFIXES: Final = (
    "x-amz-copy-source-server-side-encryption",
    *_GRANTS,
    "x-amz-if-match-",
    "x-amz-server-side-encryption",
)
_REFUSED: Final = frozenset(
    {
        "x-amz-mfa",
        "x-amz-rename-source",
        "x-amz-write-offset-bytes",
    }
)
_OBJECT_ACLS: Final = frozenset({"private", "bucket-owner-full-control", "bucket-owner-read"})
_OTHER_ACLS: Final = frozenset(
    {
        "public-read",
        "public-read-write",
        "authenticated-read",
        "aws-exec-read",
        "log-delivery-write",
    }
)
# Headers that are kept when they ask for what is the case anyway.
_HARMLESS_VALUES: Final = {
    "x-amz-tagging": frozenset({""}),
    "x-amz-object-ownership": frozenset({"BucketOwnerEnforced"}),
    "x-amz-bucket-namespace": frozenset({"global"}),
}
# What `refuse_unkept_headers` may refuse, depending on value and operation.
REFUSABLE: Final = (*_REFUSED, *_HARMLESS_VALUES, "x-amz-acl")
REFUSABLE_PREFIXES: Final = _REFUSED_PREFIXES


def refuse_unkept_headers(headers: Headers, operation: str) -> None:
    """Check the `x-amz-*` headers of an operation.

    Raises:
        S3Error: NotImplemented naming the header; InvalidArgument for an unknown canned ACL, and
            for a way to encrypt where none is chosen.
    """
    if operation in _WITH_CUSTOMER_KEYS - _ENCRYPTED:
        refuse_algorithm(headers)
    if operation in _WRITES:
        for name, value in headers.prefixed(b"x-amz-"):
            if not _is_kept(name, operation):
                _check_header(name, value)


def _is_kept(name: str, operation: str) -> bool:
    """Whether the operation reads the header, whatever its value."""
    if name.startswith(_KEPT.get(operation, ())):
        return True
    if name.startswith(_CUSTOMER_KEYS):
        return operation in _WITH_CUSTOMER_KEYS
    return name.startswith(_ENCRYPTION) and operation in _ENCRYPTED


def _check_header(name: str, value: str) -> None:
    if name.startswith(_REFUSED_PREFIXES) or name in _REFUSED:
        raise not_implemented_header(name)
    if name in _HARMLESS_VALUES and value not in _HARMLESS_VALUES[name]:
        raise not_implemented_header(name)
    if name == "x-amz-acl" and value not in _OBJECT_ACLS:
        if value in _OTHER_ACLS:
            raise not_implemented_header(name)
        raise invalid_argument("Invalid canned ACL", "x-amz-acl", value)
