"""The documents of Veeam's Smart Object Storage API, in every bucket that has none of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3proxy._fast.checksum import digest
from s3proxy.catalog.records import ObjectRecord
from s3proxy.s3.sosapi import CAPACITY_KEY, SYSTEM_KEY, capacity_info, system_info

if TYPE_CHECKING:
    from s3proxy.ops.call import Call

MODEL = "s3proxy"
_NOTHING = (None, None)


async def find_document(call: Call) -> tuple[ObjectRecord | None, bytes | None]:
    """What stands at a key where the bucket has no object; (None, None) for nothing.

    Raises:
        BackendError: its backend does not say how full it is.
    """
    key = call.route.key
    asked = call.services.settings.sosapi and key in (SYSTEM_KEY, CAPACITY_KEY)
    if not asked or "versionId" in call.route.query:
        return _NOTHING
    capacity = await call.services.backend(call.bucket.backend).capacity()
    if key == SYSTEM_KEY:
        document = system_info(MODEL, capacity=capacity is not None)
    elif capacity is None:
        return _NOTHING
    else:
        document = capacity_info(*capacity)
    record = ObjectRecord(
        size=len(document),
        etag=digest("md5", document).hex(),
        modified_ns=call.services.now_ns(),
        system={"content-type": "application/xml"},
    )
    return record, document
