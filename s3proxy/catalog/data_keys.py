"""Data keys of encrypted objects, sealed under the master key."""

from s3proxy.catalog.seal import Sealer

# Of the associated data; the row is the id that the key has in its Encryption.
DATA_KEYS = "data_keys"


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
