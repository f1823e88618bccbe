"""Secrets at rest: AES-256-GCM under a master key that lies beside the database.

A sealed secret is `version (1) | key id (4) | nonce (12) | ciphertext | tag (16)`; the associated
data is `table|row|version`, so that a sealed value moved to another row does not open. The key id
names the master key, for rotation later.
"""

import hashlib
import os
import secrets
import stat
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from s3proxy.catalog.errors import BadMasterKey

MASTER_KEY_NAME = "master.key"
MASTER_KEY_BYTES = 32
VERSION = 1
_KID_BYTES = 4
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


class AesGcmSealer:
    """A Sealer under one master key of 32 bytes."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != MASTER_KEY_BYTES:
            raise BadMasterKey(f"a master key has {MASTER_KEY_BYTES} bytes, not {len(master_key)}")
        self._cipher = AESGCM(master_key)
        self._head = bytes((VERSION,)) + _key_id(master_key)

    def seal(self, secret: bytes, *, table: str, row: str) -> bytes:
        """Return `secret` sealed for its place."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return self._head + nonce + self._cipher.encrypt(nonce, secret, _aad(table, row))

    def unseal(self, sealed: bytes, *, table: str, row: str) -> bytes:
        """Return the secret; see Sealer."""
        head, rest = sealed[: len(self._head)], sealed[len(self._head) :]
        if head != self._head:
            raise BadMasterKey(f"{table} {row}: sealed under another master key")
        try:
            nonce, ciphertext = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
            return self._cipher.decrypt(nonce, ciphertext, _aad(table, row))
        except (InvalidTag, ValueError) as error:
            raise BadMasterKey(f"{table} {row}: the sealed secret does not open") from error


def open_sealer(data_dir: str | Path) -> AesGcmSealer:
    """Return the sealer of a data directory, making its master key at the first start.

    Raises:
        BadMasterKey: the file has the wrong length, or others than its owner may read it.
        OSError: it cannot be read or made.
    """
    path = Path(data_dir) / MASTER_KEY_NAME
    if not path.exists():
        _create(path)
    return AesGcmSealer(_load(path))


def _create(path: Path) -> None:
    """Make the key file whole or not at all, also beside another process that does the same."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(MASTER_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
        _sync_directory(path.parent)
    finally:
        temporary.unlink()


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _load(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise BadMasterKey(f"{path}: mode {mode:04o} lets others read it; chmod 600 it")
        master_key = file.read(MASTER_KEY_BYTES + 1)
    if len(master_key) != MASTER_KEY_BYTES:
        raise BadMasterKey(
            f"{path}: {MASTER_KEY_BYTES} bytes expected; restore the file that sealed the secrets"
        )
    return master_key


def _key_id(master_key: bytes) -> bytes:
    return hashlib.sha256(b"s3proxy master key id" + master_key).digest()[:_KID_BYTES]


def _aad(table: str, row: str) -> bytes:
    return f"{table}|{row}|{VERSION}".encode()
