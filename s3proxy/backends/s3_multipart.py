"""Native multipart uploads at an S3 endpoint, and copies too large for one request."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import trio

from s3proxy.backends.errors import NoSuchUpload, NotFound, Unavailable
from s3proxy.backends.s3_headers import (
    condition_headers,
    length_line,
    metadata_headers,
    stat_of,
)
from s3proxy.backends.s3_request import Ask, S3Requests
from s3proxy.backends.s3_xml import read_complete_etag, read_copy, read_upload_id, write_complete
from s3proxy.backends.store import PutOptions, Stat

COPY_BYTES_MAX = 5 << 30  # AWS: the most that one CopyObject or UploadPartCopy takes
COPY_PART_BYTES = 1 << 30  # 5 TiB need 5,120 of them, below the 10,000 parts that may be

ABORT_TIMEOUT_S = 10.0  # a cancelled copy may take this long to tidy up


def multipart_etag(etags: Sequence[str]) -> str:
    """ETag of an object made of parts with these ETags; "" when one of them is no MD5."""
    try:
        digests = b"".join(bytes.fromhex(etag) for etag in etags)
    except ValueError:
        return ""
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(etags)}"


class Multipart:
    """Uploads into one container."""

    def __init__(self, requests: S3Requests, container: str) -> None:
        self._requests = requests
        self._container = container

    async def create(self, key: str, options: PutOptions) -> str:
        """See `Store.create_upload`. Repeated on failure: a spare upload is only a spare upload."""
        ask = Ask(
            op="create_upload",
            method="POST",
            container=self._container,
            key=key,
            query=[("uploads", "")],
            headers=metadata_headers(options),
            raw=length_line(0),
        )
        answer = await self._requests.call(ask)
        try:
            return read_upload_id(answer.body)
        except ValueError as error:
            raise self._garbage("create_upload", key, error) from error

    async def complete(
        self, key: str, upload_id: str, parts: Sequence[tuple[int, str]], options: PutOptions
    ) -> Stat:
        """See `Store.complete_upload`; one that had succeeded unheard succeeds again."""
        body = write_complete(parts)
        ask = Ask(
            op="complete_upload",
            method="POST",
            container=self._container,
            key=key,
            query=[("uploadId", upload_id)],
            headers=[("Content-Type", "application/xml"), *condition_headers(options)],
            raw=length_line(len(body)),
            payload_hash=hashlib.sha256(body).hexdigest(),
        )
        if options.published is not None:
            await options.published()
        try:
            answer = await self._requests.call(ask, body)
        except NoSuchUpload:
            return await self._completed_before(key, parts)
        try:
            etag = read_complete_etag(answer.body)
        except ValueError as error:
            raise self._garbage("complete_upload", key, error) from error
        stat = await self.head(key)
        stat.etag = etag
        return stat

    async def abort(self, key: str, upload_id: str) -> None:
        """See `Store.abort_upload`."""
        query = [("uploadId", upload_id)]
        ask = Ask(
            op="abort_upload", method="DELETE", container=self._container, key=key, query=query
        )
        try:
            await self._requests.call(ask)
        except NotFound:
            return

    async def head(self, key: str) -> Stat:
        """Stat of a key."""
        ask = Ask(
            op="head",
            method="HEAD",
            container=self._container,
            key=key,
            headers=[("x-amz-checksum-mode", "ENABLED")],
        )
        answer = await self._requests.call(ask)
        return stat_of(answer.exchange.head)

    async def copy_large(self, source: str, size: int, key: str, options: PutOptions) -> Stat:
        """Copy inside the endpoint in parts.

        Args:
            source: value of x-amz-copy-source.
        An upload that cannot be completed is aborted.
        """
        upload_id = await self.create(key, options)
        try:
            parts = []
            for number, first in enumerate(range(0, size, COPY_PART_BYTES), 1):
                last = min(first + COPY_PART_BYTES, size) - 1
                span = f"bytes={first}-{last}"
                parts.append((number, await self._copy_part(key, upload_id, number, source, span)))
            return await self.complete(key, upload_id, parts, options)
        except BaseException:
            deadline = trio.current_time() + ABORT_TIMEOUT_S
            with trio.CancelScope(deadline=deadline, shield=True):
                await self.abort(key, upload_id)
            raise

    async def _copy_part(
        self, key: str, upload_id: str, number: int, source: str, span: str
    ) -> str:
        ask = Ask(
            op="copy",
            method="PUT",
            container=self._container,
            key=key,
            query=[("partNumber", str(number)), ("uploadId", upload_id)],
            headers=[("x-amz-copy-source", source), ("x-amz-copy-source-range", span)],
            raw=length_line(0),
        )
        answer = await self._requests.call(ask)
        try:
            return read_copy(answer.body, "CopyPartResult").etag
        except ValueError as error:
            raise self._garbage("copy", key, error) from error

    async def _completed_before(self, key: str, parts: Sequence[tuple[int, str]]) -> Stat:
        expected = multipart_etag([etag for _, etag in parts])
        try:
            stat = await self.head(key)
        except NotFound:
            stat = None
        if stat is None or not expected or stat.etag != expected:
            hint = "the endpoint knows no such upload"
            raise NoSuchUpload("complete_upload", key, hint, self._requests.backend)
        return stat

    def _garbage(self, op: str, key: str, error: ValueError) -> Unavailable:
        return Unavailable(op, key, f"the endpoint's answer: {error}", self._requests.backend)
