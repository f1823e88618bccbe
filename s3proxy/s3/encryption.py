"""Server-side encryption: what requests ask for, and how answers tell of it.

Two kinds are kept. SSE-S3 (`x-amz-server-side-encryption: AES256`): the gateway holds the keys.
SSE-C: the client sends its key with every request and the gateway forgets it afterwards. Key
management services are refused by name.

Source: Amazon S3 User Guide, "Using server-side encryption with customer-provided keys", "... with
Amazon S3 managed keys"; answers observed from the service where the guide does not give them.
"""

from base64 import b64encode
from binascii import Error, a2b_base64
from hashlib import md5
from hmac import compare_digest
from typing import Final

import msgspec

from s3proxy.s3.errors import S3Error, invalid_argument, not_implemented_header
from s3proxy.s3.headers import Headers

AES256: Final = "AES256"
SSE_C: Final = "SSE-C"
KEY_BYTES: Final = 32

SSE: Final = b"x-amz-server-side-encryption"
CUSTOMER: Final = b"x-amz-server-side-encryption-customer-"
COPY_SOURCE_CUSTOMER: Final = b"x-amz-copy-source-server-side-encryption-customer-"
_KMS_KEY: Final = b"x-amz-server-side-encryption-aws-kms-key-id"
_KMS: Final = frozenset({"aws:kms", "aws:kms:dsse", "aws:fsx"})
# Headers that only mean something to a key management service.
_KMS_HEADERS: Final = (
    _KMS_KEY,
    b"x-amz-server-side-encryption-context",
    b"x-amz-server-side-encryption-bucket-key-enabled",
)

_WITH_CUSTOMER_KEYS = "Requests specifying Server Side Encryption with Customer provided keys must"
_NOT_VALID = "The encryption method specified is not supported"


class CustomerKey(msgspec.Struct, frozen=True):
    """A client's key of 32 bytes, and the base64 of its MD5."""

    key: bytes
    md5: str

    def __repr__(self) -> str:
        return f"CustomerKey(md5={self.md5!r})"


def parse_encryption(headers: Headers) -> CustomerKey | str | None:
    """What a write asks for: the client's key, AES256, or None for nothing.

    Raises:
        S3Error: InvalidArgument, InvalidEncryptionAlgorithmError; NotImplemented naming the header
            of a key management service.
    """
    algorithm = headers.get(SSE)
    customer_key = parse_customer_key(headers)
    if customer_key is not None and algorithm is not None:
        message = (
            "Server Side Encryption with Customer provided key is incompatible with the encryption"
            " method specified"
        )
        raise invalid_argument(message, SSE.decode(), algorithm)
    if algorithm not in (None, AES256, *_KMS):
        raise invalid_argument(_NOT_VALID, SSE.decode(), str(algorithm))
    if algorithm in _KMS:
        raise not_implemented_header(SSE.decode())
    key_id = headers.get(_KMS_KEY)
    if key_id is not None:
        message = (
            f"Server Side Encryption with AWS KMS managed key requires HTTP header {SSE.decode()} :"
            " aws:kms"
        )
        raise invalid_argument(message, SSE.decode(), algorithm or "")
    for name in _KMS_HEADERS:
        if headers.get(name) not in (None, "false"):
            raise not_implemented_header(name.decode())
    return customer_key or algorithm


def parse_customer_key(headers: Headers, prefix: bytes = CUSTOMER) -> CustomerKey | None:
    """The client's key of a request; None where it sends none.

    Args:
        prefix: of the three headers; COPY_SOURCE_CUSTOMER for the key of a copy's source.
    Raises:
        S3Error: InvalidArgument for a header that is missing, a key that is not one, another MD5;
            InvalidEncryptionAlgorithmError.
    """
    algorithm, key, digest = (
        headers.get(prefix + name) for name in (b"algorithm", b"key", b"key-md5")
    )
    if algorithm is None and key is None and digest is None:
        return None
    name = prefix.decode()
    if not algorithm:
        message = f"{_WITH_CUSTOMER_KEYS} provide a valid encryption algorithm."
        raise invalid_argument(message, name + "algorithm", "null")
    if algorithm != AES256:
        raise S3Error("InvalidEncryptionAlgorithmError", ArgumentValue=algorithm)
    if not key:
        message = f"{_WITH_CUSTOMER_KEYS} provide an appropriate secret key."
        raise invalid_argument(message, name + "key", "null")
    if not digest:
        message = f"{_WITH_CUSTOMER_KEYS} provide the client calculated MD5 of the secret key."
        raise invalid_argument(message, name + "key-MD5", "null")
    return CustomerKey(_decoded_key(key, name), _checked_digest(key, digest, name))


def require_secure(headers: Headers, *, secure: bool) -> None:
    """Refuse a key that came where others may read it.

    Args:
        secure: the request came over TLS, or plain HTTP is allowed to carry keys.
    Raises:
        S3Error: InvalidRequest.
    """
    if secure:
        return
    if headers.get(CUSTOMER + b"key") or headers.get(COPY_SOURCE_CUSTOMER + b"key"):
        raise S3Error("InvalidRequest", f"{_WITH_CUSTOMER_KEYS} be made over a secure connection.")


def refuse_algorithm(headers: Headers) -> None:
    """Refuse `x-amz-server-side-encryption` where only a write may say how to encrypt.

    Raises:
        S3Error: InvalidArgument.
    """
    algorithm = headers.get(SSE)
    if algorithm is not None:
        message = f"{SSE.decode()} header is not supported for this operation."
        raise invalid_argument(message, SSE.decode(), algorithm)


def encryption_headers(kind: str, customer_md5: str) -> list[tuple[str, str]]:
    """The headers of an answer about an object encrypted that way."""
    if kind == SSE_C:
        name = CUSTOMER.decode()
        return [(name + "algorithm", AES256), (name + "key-MD5", customer_md5)]
    return [(SSE.decode(), kind)]


def _decoded_key(text: str, name: str) -> bytes:
    key = _base64(text)
    if len(key) != KEY_BYTES:
        # Without the value: an answer is no place for what may be most of a key.
        message = "The secret key was invalid for the specified algorithm."
        raise invalid_argument(message, name + "key", "")
    return key


def _checked_digest(key_text: str, text: str, name: str) -> str:
    digest = md5(_base64(key_text), usedforsecurity=False).digest()
    if not compare_digest(_base64(text), digest):
        message = "The calculated MD5 hash of the key did not match the hash that was provided."
        raise invalid_argument(message, name + "key-MD5", text)
    return b64encode(digest).decode()


def _base64(text: str) -> bytes:
    try:
        return a2b_base64(text.encode("latin-1"), strict_mode=True)
    except (Error, ValueError):
        return b""
