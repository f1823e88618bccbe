"""Requests to buckets with access logging, kept in memory until they are delivered.

As S3 has it, that is best effort: a crash loses what was not delivered, and what does not fit is
dropped and counted.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import trio

from s3proxy.s3.access_record import AccessRecord
from s3proxy.s3.errors import STATUSES

if TYPE_CHECKING:
    from s3proxy.catalog.records import BucketRecord
    from s3proxy.http.handler import Request, Response
    from s3proxy.s3.auth import Verified
    from s3proxy.s3.routing import Route

BUFFER_BYTES_MAX: Final = 16 << 20
# From here on a delivery does not wait for its time.
DELIVERED_BYTES_MIN: Final = 4 << 20
_LINE_BYTES: Final = 120  # what a line costs beside its text
_DAY_S: Final = 86_400


class Logged(msgspec.Struct, frozen=True):
    """A bucket with lines of one day."""

    tenant: str
    bucket: str
    bucket_id: bytes
    day: int


class RequestLogs:
    """Lines that wait for delivery.

    Attributes:
        dropped: lines that had no room.
        filled: set when a delivery is worth it before its time.
    """

    def __init__(self, bytes_max: int = BUFFER_BYTES_MAX) -> None:
        self.dropped = 0
        self.filled = trio.Event()
        self._bytes_max = bytes_max
        self._bytes = 0
        self._lines: dict[Logged, list[str]] = defaultdict(list)

    def add(self, bucket: BucketRecord, record: AccessRecord) -> None:
        """Keep the line of one request."""
        day = record.time_s // _DAY_S
        self.keep(Logged(bucket.tenant, bucket.name, bucket.id, day), [record.line()])

    def keep(self, logged: Logged, lines: list[str]) -> None:
        """Keep lines, also those that could not be delivered."""
        for line in lines:
            size = len(line) + _LINE_BYTES
            if self._bytes + size > self._bytes_max:
                self.dropped += 1
                continue
            self._bytes += size
            self._lines[logged].append(line)
        if self._bytes >= min(DELIVERED_BYTES_MIN, self._bytes_max // 2):
            self.filled.set()

    def take(self) -> dict[Logged, list[str]]:
        """All lines; they are the caller's now."""
        taken, self._lines = self._lines, defaultdict(list)
        self._bytes = 0
        self.filled = trio.Event()
        return taken


class Answered(msgspec.Struct, frozen=True):
    """A request that was answered, and how."""

    request: Request
    response: Response
    route: Route
    operation: str
    sender: Verified | None
    code: str
    sent_bytes: int
    duration_s: float

    def records(
        self, bucket: BucketRecord, batch: Sequence[tuple[str, str, str]]
    ) -> Iterator[AccessRecord]:
        """The line of the bucket's log, and one for each object of a batch.

        Args:
            batch: key, version id and error code of what a DeleteObjects named.
        """
        record = self._record(bucket)
        yield record
        for key, version_id, code in batch:
            yield msgspec.structs.replace(
                record,
                operation="batch_delete_object",
                key=key,
                uri="",
                status=STATUSES.get(code, 500) if code else 204,
                code=code,
                sent_bytes=0,
                version_id=version_id,
            )

    def _record(self, bucket: BucketRecord) -> AccessRecord:
        request, head, route = self.request, self.request.head, self.route
        signature, authentication = _signed(self)
        identity = None if self.sender is None else self.sender.identity
        query = f"?{head.query.decode('latin-1')}" if head.query else ""
        return AccessRecord(
            owner=bucket.owner or bucket.tenant,
            bucket=bucket.name,
            time_s=int(time.time()),
            remote=request.peer.rpartition(":")[0].strip("[]"),
            requester=identity.user_id if identity is not None and identity.access_key else "",
            request_id=request.id,
            operation=self.operation,
            method=head.method,
            key=route.key,
            uri=f"{head.method} {head.path.decode('latin-1')}{query} HTTP/1.1",
            status=self.response.status,
            code=self.code,
            sent_bytes=self.sent_bytes,
            object_bytes=_object_bytes(self),
            total_ms=int(self.duration_s * 1000),
            referrer=head.get(b"referer") or "",
            user_agent=head.get(b"user-agent") or "",
            version_id=route.query.get("versionId", ""),
            signature=signature,
            authentication=authentication,
            host=head.host or "",
            tls_version=request.tls_version,
        )


def _object_bytes(answered: Answered) -> int | None:
    """The size of the object that was read or written, where the exchange tells it."""
    operation, response = answered.route.operation, answered.response
    if operation in ("put_object", "upload_part"):
        decoded = answered.request.head.get(b"x-amz-decoded-content-length") or ""
        if decoded.isascii() and decoded.isdecimal():
            return int(decoded)
        length = answered.request.head.content_length
        return length if length >= 0 else None
    if operation not in ("get_object", "head_object") or response.status not in (200, 206):
        return None
    for name, value in response.headers:
        if name.lower() == "content-range":
            total = value.rpartition("/")[2]
            return int(total) if total.isdecimal() else None
    if response.length is not None:
        return response.length
    length = len(response.body) if isinstance(response.body, bytes) else response.body.length
    return length if length >= 0 else None


def _signed(answered: Answered) -> tuple[str, str]:
    """The version of the signature, and where it was."""
    authorization = answered.request.head.get(b"authorization")
    if authorization is not None:
        return ("SigV2" if authorization.startswith("AWS ") else "SigV4"), "AuthHeader"
    query = answered.route.query
    if "X-Amz-Signature" in query:
        return "SigV4", "QueryString"
    return ("SigV2", "QueryString") if "Signature" in query else ("", "")
