"""Whether a place has the bytes that were stored there, as far as can be told."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from hashlib import md5
from typing import TYPE_CHECKING, Final

import trio

from s3proxy.backends.errors import BackendError, NoSuchContainer, NotFound
from s3proxy.http.errors import TransportError

if TYPE_CHECKING:
    from s3proxy.backends.store import Stat, Store
    from s3proxy.catalog.records import BlobRef, ObjectRecord, PartRecord
    from s3proxy.ops.call import Services

READ_BYTES: Final = 1 << 20
_MD5_DIGITS: Final = 32


async def stat_of(store: Store, name: str) -> Stat | None:
    """What a store says of a blob; None: it does not have it.

    The answer to a HEAD has no body: its 404 may be about the blob or about the whole container. So
    what is not found is asked for once more, by a GET.

    Raises:
        BackendError, TransportError, OSError: it cannot be asked. NoSuchContainer among them: that
            says nothing of one blob.
    """
    try:
        return await store.head(name)
    except NoSuchContainer:
        raise
    except NotFound:
        pass
    try:
        reading = await store.open(name)
    except NoSuchContainer:
        raise
    except NotFound:
        return None
    await reading.body.aclose()
    return reading.stat


async def is_sound(services: Services, place: BlobRef, known: str, *, read: bool = False) -> bool:
    """Ask for a place; its bytes are read only where its ETag speaks against them.

    Args:
        known: MD5 of the bytes, hexadecimal; "" where nobody knows it.
        read: read them all the same; `known` is known.
    Returns:
        False: the blob is missing there, or is another one.
    Raises:
        BackendError, TransportError, OSError: the backend cannot be asked, or has not even got the
            container, which says nothing of one blob.
    """
    store = services.backend(place.backend).blobs(place.container)
    attempt = services.health.attempt
    try:
        stat = await attempt(place.backend, partial(stat_of, store, place.name))
        if stat is None or stat.size != place.size:
            return False
        if not (read or differs(known, stat.etag)):
            return True
        return await attempt(place.backend, partial(md5_of, store, place)) == known
    except NoSuchContainer:
        raise
    except NotFound:
        return False


async def told_md5(services: Services, places: Sequence[BlobRef]) -> str:
    """What a backend says is the MD5 of a blob: the ETag at the first place that has one; or ""."""
    for place in services.health.order(places):
        backend = services.backends.get(place.backend)
        if backend is None or not backend.blobs(place.container).features.etags:
            continue
        head = partial(backend.blobs(place.container).head, place.name)
        try:
            stat = await services.health.attempt(place.backend, head)
        except (BackendError, TransportError, OSError):
            continue
        if stat.size == place.size and is_md5(stat.etag) and not stat.opaque_etag:
            return stat.etag
    return ""


def known_md5(record: ObjectRecord, blob: BlobRef) -> str:
    """The MD5 of the bytes of a blob of an object, hexadecimal; "" where nobody knows it."""
    return next(
        (md5 for one, md5 in zip(record.blobs, known_md5s(record), strict=True) if one == blob), ""
    )


def known_md5s(record: ObjectRecord) -> list[str]:
    """Those of all its blobs: the ETag of an object that came whole, else those of its parts."""
    blobs, parts = record.blobs, record.parts
    if record.encryption is None and len(blobs) == 1 and not parts:
        return [record.etag if is_md5(record.etag) else ""]
    if record.encryption is None and len(blobs) == len(parts):
        return [part.md5.hex() for part in parts]
    return [""] * len(blobs)


def md5_of_part(part: PartRecord) -> str:
    """The MD5 of the bytes of a part that is a blob of its own; "" where nobody knows it."""
    known = part.blob is not None and not part.salt and is_md5(part.etag)
    return part.etag if known else ""


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
