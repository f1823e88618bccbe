"""Which key encrypts what a request writes, and which opens what it reads."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from s3proxy.catalog.records import Encryption, ObjectRecord
from s3proxy.http.body import Body, BytesBody
from s3proxy.ops.chunk_cipher import ObjectCipher
from s3proxy.ops.encrypted_bytes import DecryptingBody
from s3proxy.s3.bucket_encryption import BucketEncryption, read_bucket_encryption
from s3proxy.s3.encryption import (
    AES256,
    COPY_SOURCE_CUSTOMER,
    CUSTOMER,
    KEY_BYTES,
    SSE,
    SSE_C,
    CustomerKey,
    encryption_headers,
    parse_customer_key,
    parse_encryption,
    require_secure,
)
from s3proxy.s3.errors import S3Error, not_implemented_header

if TYPE_CHECKING:
    from s3proxy.catalog.records import BucketRecord, PartRecord, UploadRecord
    from s3proxy.ops.call import Call, Services
    from s3proxy.ops.namespace import Namespace
    from s3proxy.s3.headers import Headers

BUCKET_ENCRYPTION: Final = "encryption"  # the name of the configuration
ID_BYTES: Final = 16
_WRAPPING: Final = b"s3proxy customer key 1"
# The wrapping key is of this one data key: its nonce need not differ from others'.
_NONCE: Final = bytes(12)

_NOT_APPLICABLE = "The encryption parameters are not applicable to this object."
_OTHER_KEY = "The provided encryption key is not the one that the object is encrypted with."
_REQUIRED = (
    "The object was stored using a form of Server Side Encryption. The correct parameters must be"
    " provided to retrieve the object."
)
_PART_REQUIRED = (
    "The multipart upload initiate requested encryption. Subsequent part requests must include the"
    " appropriate encryption parameters."
)
_PART_DIFFERS = "The provided encryption parameters did not match the ones used originally."


def new_cipher(call: Call) -> ObjectCipher | None:
    """What a new object or upload of the call's bucket is to be encrypted with; None: nothing.

    Raises:
        S3Error: see `parse_encryption`; AccessDenied where the bucket blocks customers' keys;
            NotImplemented naming the header for a bucket whose bytes are not the gateway's.
    """
    asked = None if call.route.plain else _asked(call)
    if call.bucket.kind != "managed" or (asked is None and not call.configured):
        return None
    rule = _rule(call.services, call.bucket)
    if isinstance(asked, CustomerKey):
        if rule is not None and rule.blocks_customer_keys:
            raise S3Error("AccessDenied", "The bucket does not allow SSE-C encryption.")
        return _wrapping_cipher(call.services, asked)
    if asked is None and (rule is None or not rule.algorithm):
        return None
    return _sealing_cipher(call.services)


def default_cipher(
    services: Services, bucket: BucketRecord, *, asked: bool = False
) -> ObjectCipher | None:
    """What an object of a managed bucket is encrypted with that no request brings.

    Args:
        asked: by the gateway's own keys, whatever the bucket says.
    """
    rule = _rule(services, bucket)
    wanted = asked or (rule is not None and rule.algorithm)
    return _sealing_cipher(services) if wanted else None


def open_cipher(
    call: Call, encryption: Encryption | None, prefix: bytes = CUSTOMER
) -> ObjectCipher | None:
    """What opens an object; None where it is not encrypted.

    Args:
        prefix: of the headers with the client's key.
    Raises:
        S3Error: InvalidRequest for a key that is missing, is another one, or given without need;
            see `parse_customer_key`.
        BadMasterKey: the gateway's own key does not open it.
    """
    key = _needed_key(call, encryption, prefix, (_NOT_APPLICABLE, _REQUIRED))
    if encryption is None:
        return None
    return _sealed_cipher(call, encryption) if key is None else _wrapped_cipher(key, encryption)


def open_part_cipher(call: Call, encryption: Encryption | None) -> ObjectCipher | None:
    """What encrypts a part of an upload, by the key that came with the part.

    Raises:
        S3Error: InvalidRequest unless the key is the one that the upload was begun with.
    """
    key = _needed_key(call, encryption, CUSTOMER, (_PART_DIFFERS, _PART_REQUIRED))
    if encryption is None:
        return None
    if key is None:
        return _sealed_cipher(call, encryption)
    if key.md5 != encryption.customer_md5:
        raise S3Error("InvalidRequest", _PART_DIFFERS)
    return _wrapped_cipher(key, encryption)


def check_upload_key(call: Call, upload: UploadRecord, parts: Sequence[PartRecord]) -> None:
    """Compare the key that came with a Complete of `parts` with the upload's.

    As by AWS, it has to come where these have checksums.

    Raises:
        S3Error: InvalidRequest unless it is the one that the upload was begun with.
    """
    key = _customer_key(call, CUSTOMER)
    expected = "" if upload.encryption is None else upload.encryption.customer_md5
    if key is None and expected and any(part.checksums for part in parts):
        raise S3Error("InvalidRequest", _PART_REQUIRED)
    if key is not None and key.md5 != expected:
        raise S3Error("InvalidRequest", _PART_DIFFERS)


def open_source_cipher(
    call: Call, bucket: BucketRecord, record: ObjectRecord
) -> ObjectCipher | None:
    """What opens the source of a copy; see `open_cipher`.

    Raises:
        S3Error: NotImplemented naming the header, for an object whose bytes are not the gateway's.
    """
    sent = call.route.headers.prefixed(COPY_SOURCE_CUSTOMER)
    if sent and bucket.kind != "managed":
        raise not_implemented_header(sent[0][0])
    return open_cipher(call, record.encryption, COPY_SOURCE_CUSTOMER)


async def open_range(
    namespace: Namespace,
    key: str,
    record: ObjectRecord,
    cipher: ObjectCipher | None,
    span: tuple[int, int],
    *,
    inline: bytes | None = None,
) -> Body:
    """The plain bytes span[0]..span[1] (inclusive) of an object; the caller closes it.

    Args:
        inline: all that is stored, where it is at hand.
    Raises:
        S3Error: InternalError, the first bytes are not what was stored.
    """
    first, last = span
    if cipher is None:
        return await namespace.open(key, record, first, last)

    async def open_stored(start: int, stop: int) -> Body:
        if inline is not None:
            return BytesBody(memoryview(inline)[start : stop + 1])
        return await namespace.open(key, record, start, stop)

    body = DecryptingBody(cipher.pieces(record, first, last), open_stored, last - first + 1)
    try:
        await body.prepare()
    except BaseException:
        await body.aclose()
        raise
    return body


def check_key_transport(call: Call) -> None:
    """Refuse a client's key that came where others may read it, unless that is allowed.

    Raises:
        S3Error: InvalidRequest.
    """
    secure = call.request.secure or call.services.settings.sse_c_over_http
    require_secure(call.route.headers, secure=secure)


def answer_headers(encryption: Encryption | None) -> list[tuple[str, str]]:
    """What an answer says of the encryption of an object or upload."""
    if encryption is None:
        return []
    return encryption_headers(encryption.kind, encryption.customer_md5)


def asks_encryption(headers: Headers) -> bool:
    """Whether a request says how its object is to be encrypted."""
    return bool(headers.prefixed(SSE))


def _asked(call: Call) -> CustomerKey | str | None:
    headers = call.route.headers
    sent = headers.prefixed(SSE)
    if not sent:
        return None
    if call.bucket.kind != "managed":
        raise not_implemented_header(sent[0][0])
    check_key_transport(call)
    return parse_encryption(headers)


def _needed_key(
    call: Call, encryption: Encryption | None, prefix: bytes, refusals: tuple[str, str]
) -> CustomerKey | None:
    """The client's key, where there has to be one.

    Args:
        refusals: what to say of a key without need, and of one that is missing.
    """
    key = _customer_key(call, prefix)
    needed = encryption is not None and encryption.kind == SSE_C
    if needed != (key is not None):
        raise S3Error("InvalidRequest", refusals[needed])
    return key


def _customer_key(call: Call, prefix: bytes) -> CustomerKey | None:
    if call.route.plain:
        return None
    check_key_transport(call)
    return parse_customer_key(call.route.headers, prefix)


def _rule(services: Services, bucket: BucketRecord) -> BucketEncryption | None:
    document = services.catalog.get_bucket_config(bucket, BUCKET_ENCRYPTION)
    return None if document is None else _understood(document)


@lru_cache(maxsize=256)
def _understood(document: bytes) -> BucketEncryption:
    return read_bucket_encryption(document)


def _sealing_cipher(services: Services) -> ObjectCipher:
    data_key, identifier = os.urandom(KEY_BYTES), os.urandom(ID_BYTES)
    sealed = services.catalog.seal_data_key(data_key, identifier)
    chunk_bytes = services.settings.encrypted_chunk_bytes
    return ObjectCipher(data_key, Encryption(AES256, identifier, sealed, "", chunk_bytes))


def _wrapping_cipher(services: Services, key: CustomerKey) -> ObjectCipher:
    data_key, identifier = os.urandom(KEY_BYTES), os.urandom(ID_BYTES)
    sealed = _wrapping(key, identifier).encrypt(_NONCE, data_key, None)
    chunk_bytes = services.settings.encrypted_chunk_bytes
    return ObjectCipher(data_key, Encryption(SSE_C, identifier, sealed, key.md5, chunk_bytes))


def _wrapped_cipher(key: CustomerKey, encryption: Encryption) -> ObjectCipher:
    wrapping = _wrapping(key, encryption.id)
    try:
        data_key = wrapping.decrypt(_NONCE, encryption.sealed_key, None)
    except InvalidTag:
        raise S3Error("InvalidRequest", _OTHER_KEY) from None
    return ObjectCipher(data_key, encryption)


def _wrapping(key: CustomerKey, identifier: bytes) -> AESGCM:
    return AESGCM(hmac.digest(key.key, _WRAPPING + identifier, hashlib.sha256))


def _sealed_cipher(call: Call, encryption: Encryption) -> ObjectCipher:
    catalog = call.services.catalog
    data_key = catalog.unseal_data_key(encryption.sealed_key, encryption.id)
    return ObjectCipher(data_key, encryption)
