"""What tells this deployment from others that keep their bytes in the same places.

Also what it is about to leave in one of them that no bucket has.
"""

import secrets

import msgspec

from s3proxy.catalog.tables import META
from s3proxy.kv.engine import Engine, Transaction

_SEED = b"container_seed"
_SEED_BYTES = 8
_UPLOAD = b"backup_upload"


class BackupUpload(msgspec.Struct, array_like=True, frozen=True):
    """A multipart upload of a backup of the catalog, which is not completed yet."""

    backend: str
    container: str
    key: str
    upload_id: str


class DeploymentTable:
    """One random seed, made at the first start and never changed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def container_seed(self) -> int:
        """Return the seed of physical bucket names, making it when it is not there.

        Without it two deployments with one provider account would give their buckets of one name
        the same physical bucket.
        """
        fresh = secrets.token_bytes(_SEED_BYTES)

        def change(txn: Transaction) -> bytes:
            value = txn.get(META, _SEED)
            if value is None:
                txn.put(META, _SEED, fresh)
                return fresh
            return value

        return int.from_bytes(await self._engine.commit(change), "big")

    def backup_upload(self) -> BackupUpload | None:
        """Return the upload that was noted last, if it is not forgotten."""
        value = self._engine.get(META, _UPLOAD)
        return None if value is None else msgspec.msgpack.decode(value, type=BackupUpload)

    async def note_backup_upload(self, upload: BackupUpload | None) -> None:
        """Note an upload that is begun, in place of the one before; None: it has ended."""

        def change(txn: Transaction) -> None:
            if upload is None:
                txn.delete(META, _UPLOAD)
            else:
                txn.put(META, _UPLOAD, msgspec.msgpack.encode(upload))

        await self._engine.commit(change)
