"""Secrets at rest: AES-256-GCM under master keys that lie beside the database (master_keys.py).

A sealed secret is `version (1) | key id (4) | nonce (12) | ciphertext | tag (16)`; the associated
data is `table|row|version`, so that a sealed value moved to another row does not open. The key id
names the master key.
"""

import hashlib
import secrets
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from s3proxy.catalog.errors import BadMasterKey, OtherMasterKey

MASTER_KEY_BYTES = 32
VERSION = 1
KEY_ID_BYTES = 4
_NONCE_BYTES = 12


class Sealer(Protocol):
    """Seals small secrets; `table` and `row` bind a sealed value to its place."""

    def seal(self, secret: bytes, *, table: str, row: str) -> bytes:
        """Return `secret` encrypted and authenticated."""

    def unseal(self, sealed: bytes, *, table: str, row: str) -> bytes:
        """Return the secret.

        Raises:
            BadMasterKey: sealed under another master key, for another place, or damaged.
        """

    def is_current(self, sealed: bytes) -> bool:
        """Whether the key that seals now sealed it."""


class AesGcmSealer:
    """A Sealer under master keys of 32 bytes: the first seals, the former ones open, too."""

    def __init__(self, master_key: bytes, *former: bytes) -> None:
        for key in (master_key, *former):
            if len(key) != MASTER_KEY_BYTES:
                raise BadMasterKey(f"a master key has {MASTER_KEY_BYTES} bytes, not {len(key)}")
        self._ciphers = {_head(key): AESGCM(key) for key in (master_key, *former)}
        self._head = _head(master_key)

    def seal(self, secret: bytes, *, table: str, row: str) -> bytes:
        """Return `secret` sealed for its place."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = self._ciphers[self._head]
        return self._head + nonce + cipher.encrypt(nonce, secret, _aad(table, row))

    def unseal(self, sealed: bytes, *, table: str, row: str) -> bytes:
        """Return the secret; see Sealer."""
        head, rest = sealed[: len(self._head)], sealed[len(self._head) :]
        cipher = self._ciphers.get(head)
        if cipher is None:
            raise OtherMasterKey(f"{table} {row}: sealed under another master key")
        try:
            nonce, ciphertext = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
            return cipher.decrypt(nonce, ciphertext, _aad(table, row))
        except (InvalidTag, ValueError) as error:
            raise BadMasterKey(f"{table} {row}: the sealed secret does not open") from error

    def is_current(self, sealed: bytes) -> bool:
        """Whether the key that seals now sealed it."""
        return sealed.startswith(self._head)


def key_id(master_key: bytes) -> bytes:
    """What names a master key in what it sealed."""
    return hashlib.sha256(b"s3proxy master key id" + master_key).digest()[:KEY_ID_BYTES]


def sealed_by(sealed: bytes) -> str:
    """What the master key is called (hex) that sealed it."""
    return sealed[1 : 1 + KEY_ID_BYTES].hex()


def _head(master_key: bytes) -> bytes:
    return bytes((VERSION,)) + key_id(master_key)


def _aad(table: str, row: str) -> bytes:
    return f"{table}|{row}|{VERSION}".encode()
