"""Data keys of encrypted objects, sealed under the master key."""

from typing import TypeVar

import msgspec

from s3proxy.catalog.records import ObjectRecord, UploadRecord
from s3proxy.catalog.seal import Sealer
from s3proxy.s3.encryption import AES256

# Of the associated data; the row is the id that the key has in its Encryption.
DATA_KEYS = "data_keys"

R = TypeVar("R", ObjectRecord, UploadRecord)


class DataKeys:
    """Seals and opens data keys; stores nothing."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def seal_data_key(self, data_key: bytes, identifier: bytes) -> bytes:
        """Return the key sealed under that id."""
        return self._sealer.seal(data_key, table=DATA_KEYS, row=identifier.hex())

    def unseal_data_key(self, sealed: bytes, identifier: bytes) -> bytes:
        """Return the key.

        Raises:
            BadMasterKey: it was sealed under another master key or id, or is damaged.
        """
        return self._sealer.unseal(sealed, table=DATA_KEYS, row=identifier.hex())

    def renewed(self, record: R) -> R:
        """The record with its data key sealed under the master key in place.

        For the transaction that stores what a request has brought, which may have begun under a
        former key. A rotation waits for the transactions that are open, and all later ones see the
        new key: so what they store does not need a former one.

        Returns:
            The very same where nothing has to be done.

        Raises:
            BadMasterKey: the key does not open.
        """
        encryption = record.encryption
        if encryption is None or encryption.kind != AES256:
            return record
        if self._sealer.is_current(encryption.sealed_key):
            return record
        data_key = self.unseal_data_key(encryption.sealed_key, encryption.id)
        sealed = self.seal_data_key(data_key, encryption.id)
        encryption = msgspec.structs.replace(encryption, sealed_key=sealed)
        return msgspec.structs.replace(record, encryption=encryption)
