"""Questions that have one true answer on an unencrypted, private bucket.

SDKs and tools ask them before they do anything else; NotImplemented would stop them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from s3proxy.http.handler import Response
from s3proxy.s3.errors import S3Error

if TYPE_CHECKING:
    from s3proxy.ops.call import Call

Function = Callable[["Call"], Awaitable[Response]]


def _absent(code: str) -> Function:
    async def answer(call: Call) -> Response:
        raise S3Error(code, BucketName=call.bucket.name)

    return answer


# operation -> (function, action)
ANSWERS: dict[str, tuple[Function, str]] = {
    "get_bucket_replication": (
        _absent("ReplicationConfigurationNotFoundError"),
        "s3:GetReplicationConfiguration",
    ),
}
