"""A bucket at an S3 endpoint, or a prefix in one, in either role.

Writes are whole by the endpoint's own rule: a PUT whose body does not arrive to its last byte makes
no object. The last bytes leave only when the source has ended as announced and `published` is done;
a body that the endpoint verifies itself is passed on unseen instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from msgspec import structs

from s3proxy.backends.errors import InvalidRange, NotFound, Rejected, Unavailable, Unsupported
from s3proxy.backends.s3_errors import ERROR_BYTES_MAX
from s3proxy.backends.s3_headers import (
    condition_headers,
    digest_headers,
    length_line,
    metadata_headers,
    stat_of,
    written_stat,
)
from s3proxy.backends.s3_multipart import COPY_BYTES_MAX, Multipart
from s3proxy.backends.s3_request import (
    EMPTY_SHA256,
    UNSIGNED_PAYLOAD,
    Ask,
    S3Requests,
)
from s3proxy.backends.s3_source import WatchedSource
from s3proxy.backends.s3_xml import LIST_BYTES_MAX, read_copy, read_list
from s3proxy.backends.store import Features, PutOptions, Reading, Stat
from s3proxy.http.body import ByteSource
from s3proxy.http.request_body import RequestBody
from s3proxy.s3.errors import S3Error
from s3proxy.s3.listing import ListPage, common_prefix
from s3proxy.s3.tagging import TAGGING_BYTES_MAX, read_tagging

KEYS_MAX = 1000  # S3: the most that one ListObjectsV2 answers with
_HIGHEST = "\U0010ffff"  # sorts behind what any key in use continues a prefix with


class S3Store:
    """See `Store`. `requests` also serves operations that are relayed as they are."""

    def __init__(
        self, requests: S3Requests, container: str, *, prefix: str = "", verifies_payload: bool
    ) -> None:
        self.requests = requests
        self.container = container
        self._prefix = prefix
        self.features = Features(
            multipart=True,
            metadata=True,
            etags=True,
            copy=True,
            conditional=True,
            verifies_payload=verifies_payload,
            relays=True,
        )
        self._multipart = Multipart(requests, container)

    async def head(self, key: str) -> Stat:
        """See `Store.head`."""
        return await self._multipart.head(self._prefix + key)

    async def open(self, key: str, first: int = 0, last: int | None = None) -> Reading:
        """See `Store.open`; the body comes straight from the upstream connection."""
        whole = first == 0 and last is None
        span = f"bytes={first}-{'' if last is None else last}"
        ask = Ask(
            op="open",
            method="GET",
            container=self.container,
            key=self._prefix + key,
            headers=[] if whole else [("Range", span)],
        )
        exchange = await self.requests.open(ask)
        stat = stat_of(exchange.head)
        if not whole and exchange.head.status != 206:
            await exchange.aclose()
            # An empty object has no range to give, and some endpoints send it whole.
            if stat.size == 0:
                raise InvalidRange("open", ask.path, "the object is empty", self.requests.backend)
            hint = "the endpoint ignored the range"
            raise Unavailable("open", ask.path, hint, self.requests.backend)
        return Reading(stat=stat, body=exchange.body, head=exchange.head)

    async def get_tags(self, key: str, version_id: str = "") -> dict[str, str]:
        """The tags of an object, or a version; none where the endpoint does not have tags."""
        query = [("tagging", "")]
        if version_id:
            query.append(("versionId", version_id))
        ask = Ask(
            op="get_tags",
            method="GET",
            container=self.container,
            key=self._prefix + key,
            query=query,
        )
        try:
            answer = await self.requests.call(ask, bytes_max=TAGGING_BYTES_MAX)
        except (Unsupported, Rejected):
            return {}
        try:
            return dict(read_tagging(answer.body))
        except S3Error as error:
            hint = f"the endpoint's answer: {error}"
            raise Unavailable("get_tags", ask.path, hint, self.requests.backend) from error

    async def put(self, key: str, source: ByteSource, options: PutOptions) -> Stat:
        """See `Store.put`."""
        headers = [*metadata_headers(options), *condition_headers(options)]
        return await self._send("put", key, source, options, headers=headers)

    async def delete(self, key: str) -> None:
        """See `Store.delete`."""
        try:
            await self.requests.call(
                Ask(op="delete", method="DELETE", container=self.container, key=self._prefix + key)
            )
        except NotFound as error:
            if type(error) is not NotFound:
                raise

    async def copy(self, source_key: str, target_key: str, options: PutOptions) -> Stat:
        """See `Store.copy`; done by the endpoint, in parts above 5 GiB."""
        size = (await self.head(source_key)).size
        return await self.copy_from(self, source_key, target_key, options, size=size)

    @property
    def realm(self) -> tuple[str, str]:
        """Stores of the same endpoint and account can copy from one another."""
        return self.requests.realm

    async def copy_from(
        self, held: S3Store, source_key: str, target_key: str, options: PutOptions, *, size: int
    ) -> Stat:
        """Copy from another bucket of this endpoint; see `Store.copy`.

        Args:
            held: where the source is.
            size: of the source.
        """
        source = self.requests.copy_source(held.container, held._prefix + source_key)
        target = self._prefix + target_key
        if size > COPY_BYTES_MAX:
            return await self._multipart.copy_large(source, size, target, options)
        if options.published is not None:
            await options.published()
        ask = Ask(
            op="copy",
            method="PUT",
            container=self.container,
            key=target,
            headers=[
                ("x-amz-copy-source", source),
                ("x-amz-metadata-directive", "REPLACE"),
                *metadata_headers(options),
                *condition_headers(options),
            ],
            raw=length_line(0),
        )
        answer = await self.requests.call(ask)
        try:
            made = read_copy(answer.body)
        except ValueError as error:
            hint = f"the endpoint's answer: {error}"
            raise Unavailable("copy", ask.path, hint, self.requests.backend) from error
        return Stat(size=size, modified_ns=made.modified_ns, etag=made.etag)

    async def list(self, prefix: str, *, delimiter: str, after: str, limit: int) -> ListPage:
        """See `Store.list`; at most KEYS_MAX entries."""
        if limit <= 0:
            return ListPage(objects=[], common_prefixes=[], truncated=False, next_after="")
        after = self._prefix + after if after else ""
        page = await self._list(self._prefix + prefix, delimiter, after, limit)
        return page if not self._prefix else _below(page, self._prefix)

    async def _list(self, prefix: str, delimiter: str, after: str, limit: int) -> ListPage:
        # A page that ended with a common prefix goes on behind all that it covers.
        covered = bool(after) and after == common_prefix(after, prefix, delimiter)
        query = [("list-type", "2"), ("encoding-type", "url")]
        query += [("max-keys", str(min(limit, KEYS_MAX))), ("prefix", prefix)]
        if delimiter:
            query.append(("delimiter", delimiter))
        if after:
            query.append(("start-after", after + _HIGHEST if covered else after))
        ask = Ask(op="list", method="GET", container=self.container, query=query)
        answer = await self.requests.call(ask, bytes_max=LIST_BYTES_MAX)
        try:
            page = read_list(answer.body)
        except ValueError as error:
            hint = f"the endpoint's answer: {error}"
            raise Unavailable("list", ask.path, hint, self.requests.backend) from error
        if covered:
            page.common_prefixes = [found for found in page.common_prefixes if found != after]
        return page

    async def create_upload(self, key: str, options: PutOptions) -> str:
        """See `Store.create_upload`."""
        return await self._multipart.create(self._prefix + key, options)

    async def put_part(
        self, key: str, upload_id: str, number: int, source: ByteSource, options: PutOptions
    ) -> Stat:
        """See `Store.put_part`."""
        query = [("partNumber", str(number)), ("uploadId", upload_id)]
        return await self._send("put_part", key, source, options, query=query)

    async def complete_upload(
        self, key: str, upload_id: str, parts: Sequence[tuple[int, str]], options: PutOptions
    ) -> Stat:
        """See `Store.complete_upload`."""
        return await self._multipart.complete(self._prefix + key, upload_id, parts, options)

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """See `Store.abort_upload`."""
        await self._multipart.abort(self._prefix + key, upload_id)

    async def _send(
        self,
        op: str,
        key: str,
        source: ByteSource,
        options: PutOptions,
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Sequence[tuple[str, str]] = (),
    ) -> Stat:
        """PUT a body of known length, without retries, as its source is read once."""
        ask = Ask(
            op=op,
            method="PUT",
            container=self.container,
            key=self._prefix + key,
            query=query,
            headers=[*headers, *digest_headers(options)],
            raw=length_line(options.length),
            payload_hash=payload_hash(options),
        )
        # On a connection that turns out stale an unconditional PUT may simply be repeated.
        replayable = not (options.if_none_match_any or options.if_match)
        if isinstance(source, RequestBody):
            # Passed on unseen, so that it may be spliced: the endpoint verifies it.
            await _published(options.published)
            exchange = await self.requests.send(
                ask, source, length=options.length, replayable=replayable, splice=True
            )
        else:
            watched = WatchedSource(source, options.length, options.published)
            if not options.length:
                await watched.finish()
            exchange = await self.requests.send(
                ask, watched, length=options.length, replayable=replayable
            )
        await self.requests.finish(ask, exchange, ERROR_BYTES_MAX)
        return written_stat(exchange.head, options.length)


def payload_hash(options: PutOptions) -> str:
    """What a PUT signs for its body."""
    if not options.length:
        return EMPTY_SHA256
    return options.sha256 or UNSIGNED_PAYLOAD


async def _published(published: Callable[[], Awaitable[None]] | None) -> None:
    if published is not None:
        await published()


def _below(page: ListPage, prefix: str) -> ListPage:
    """A page of what is below a prefix, without it; whatever else an endpoint lists is left out."""
    length = len(prefix)
    return ListPage(
        objects=[
            structs.replace(entry, key=entry.key[length:])
            for entry in page.objects
            if entry.key.startswith(prefix)
        ],
        common_prefixes=[
            found[length:] for found in page.common_prefixes if found.startswith(prefix)
        ],
        truncated=page.truncated and page.next_after.startswith(prefix),
        next_after=page.next_after[length:] if page.next_after.startswith(prefix) else "",
    )
