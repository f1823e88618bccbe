"""Recovery at start: settles the intents that an earlier run left open.

An intent is durable before its blob becomes visible and removed in the transaction that publishes
the object, so an open one belongs to a write that was never acknowledged: its blob is garbage.
"""

from __future__ import annotations

from collections.abc import Mapping

from s3proxy.backends.errors import BackendError
from s3proxy.backends.store import Backend
from s3proxy.catalog.catalog import Catalog
from s3proxy.log import get_logger

logger = get_logger("recover")


async def recover(catalog: Catalog, backends: Mapping[str, Backend]) -> int:
    """Clear temporaries and settle open intents; return how many there were.

    Runs before the S3 port opens. A backend that does not answer keeps its blobs for the collector,
    which retries.
    """
    for name, backend in backends.items():
        try:
            await backend.recover()
        except (BackendError, OSError) as error:
            logger.warning("temporaries not cleared", backend=name, error=str(error))
    intents = catalog.open_intents()
    for intent in intents:
        await catalog.drop_intent(intent.blob.id, garbage=intent.blob)
    if intents:
        logger.info("settled writes that an earlier run left open", count=len(intents))
    return len(intents)
