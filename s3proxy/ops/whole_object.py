"""Small objects of a store, read whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3proxy.backends.errors import Unavailable

if TYPE_CHECKING:
    from s3proxy.backends.store import Store
    from s3proxy.http.body import Body


class TooLarge(Unavailable):
    """An object has more bytes than any that is looked for."""


async def read_whole(store: Store, name: str, bytes_max: int) -> bytes:
    """The bytes of an object of at most `bytes_max`.

    Raises:
        NotFound, BackendError, TransportError; TooLarge.
    """
    reading = await store.open(name)
    try:
        size = reading.stat.size
        if not 0 <= size <= bytes_max:
            raise TooLarge("read", name, f"it has {size} bytes, more than {bytes_max}", "")
        return await read_body(reading.body, size, name)
    finally:
        await reading.body.aclose()


async def read_body(body: Body, size: int, name: str) -> bytes:
    """The `size` bytes of a body, which stays the caller's to close.

    Raises:
        TransportError; Unavailable: it ended early.
    """
    data = bytearray(size)
    view, filled = memoryview(data), 0
    while filled < size:
        count = await body.read_into(view[filled:])
        if not count:
            raise Unavailable("read", name, "it ended early", "")
        filled += count
    return bytes(data)
