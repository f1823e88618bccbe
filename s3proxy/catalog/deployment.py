"""What tells this deployment from others that keep their bytes in the same places."""

import secrets

from s3proxy.catalog.tables import META
from s3proxy.kv.engine import Engine, Transaction

_SEED = b"container_seed"
_SEED_BYTES = 8


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
