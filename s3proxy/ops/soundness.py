"""Whether a place has the bytes that were stored there, as far as can be told."""

from __future__ import annotations

from functools import partial
from hashlib import md5
from typing import TYPE_CHECKING, Final

import trio

from s3proxy.backends.errors import NoSuchContainer, NotFound

if TYPE_CHECKING:
    from s3proxy.backends.store import Store
    from s3proxy.catalog.records import BlobRef
    from s3proxy.ops.call import Services

READ_BYTES: Final = 1 << 20
_MD5_DIGITS: Final = 32


async def is_sound(services: Services, place: BlobRef, known: str) -> bool:
    """Ask for a place; its bytes are read only where its ETag speaks against them.

    Args:
        known: MD5 of the bytes, hexadecimal; "" where nobody knows it.
    Returns:
        False: the blob is missing there, or is another one.
    Raises:
        BackendError, TransportError, OSError: the backend cannot be asked, or has not even got the
            container, which says nothing of one blob.
    """
    store = services.backend(place.backend).blobs(place.container)
    attempt = services.health.attempt
    try:
        stat = await attempt(place.backend, partial(store.head, place.name))
        if stat.size != place.size:
            return False
        if not differs(known, stat.etag):
            return True
        return await attempt(place.backend, partial(md5_of, store, place)) == known
    except NoSuchContainer:
        raise
    except NotFound:
        return False


def is_md5(etag: str) -> bool:
    """Whether an ETag looks like the MD5 of what it is for; those of uploads in parts do not."""
    return len(etag) == _MD5_DIGITS and set(etag) <= set("0123456789abcdef")


def differs(known: str, etag: str) -> bool:
    """Whether an ETag speaks against the bytes; one that is no MD5 says nothing."""
    return bool(known) and is_md5(etag) and etag != known


async def md5_of(store: Store, place: BlobRef) -> str:
    """MD5 of what is there; a body that ends early has another.

    Raises:
        BackendError, TransportError, OSError: it cannot be read.
    """
    reading = await store.open(place.name)
    digest = md5(usedforsecurity=False)
    buffer = bytearray(READ_BYTES)
    try:
        left = reading.stat.size
        while left > 0:
            count = await reading.body.read_into(memoryview(buffer)[: min(left, READ_BYTES)])
            if not count:
                break
            await trio.to_thread.run_sync(digest.update, memoryview(buffer)[:count])
            left -= count
    finally:
        await reading.body.aclose()
    return digest.hexdigest()
