"""Customers' keys as clients send them."""

import hashlib
from base64 import b64encode


def customer(byte: int = 1, *, source: bool = False) -> dict[str, str]:
    """The three headers of the key of 32 equal bytes; `source`: of a copy's source."""
    key = bytes([byte]) * 32
    prefix = "x_amz_" + ("copy_source_" if source else "") + "server_side_encryption_customer_"
    digest = hashlib.md5(key, usedforsecurity=False).digest()
    return {
        prefix + "algorithm": "AES256",
        prefix + "key": b64encode(key).decode(),
        prefix + "key_MD5": b64encode(digest).decode(),
    }


AES256 = {"x_amz_server_side_encryption": "AES256"}
