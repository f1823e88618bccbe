"""Another S3 endpoint as a backend: containers are its buckets, or prefixes in one of them.

A container that is a prefix is `<physical bucket>/<name>/`; nothing is read or written beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from hashlib import sha256

from s3proxy.backends.errors import (
    AlreadyExists,
    BackendError,
    Conflict,
    NoSuchContainer,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from s3proxy.backends.options import S3Options
from s3proxy.backends.s3_headers import length_line
from s3proxy.backends.s3_request import Ask, S3Requests
from s3proxy.backends.s3_store import S3Store
from s3proxy.backends.s3_xml import read_buckets, write_location
from s3proxy.http.client import Client

OURS = "s3gw-"  # what the names of all our containers begin with
KEY_BYTES_MAX = 1024  # S3: of a key, encoded
_PREFIX_BYTES_MAX = 64  # of a bucket's name and a slash
_BUCKETS_BYTES_MAX = 4 << 20  # ListBuckets: 10,000 of them
# HeadBucket of a bucket that is another account's, or in another region.
_ELSEWHERE = frozenset({301, 307, 400, 403})
# What an endpoint says of a request that it does not take as ours, whatever the bucket.
_NOT_OURS = frozenset(
    {
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidSecurity",
        "InvalidToken",
        "NotSignedUp",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)
# A parameter of ListBuckets that the endpoint does not know.
_NOT_TAKEN = frozenset({400, 501})
_OWNED = "BucketAlreadyOwnedByYou"


class S3Backend:
    """See `Backend`. The client stays the caller's to close.

    Raises:
        ValueError: the endpoint is no http(s) URL.
    """

    type = "s3"

    def __init__(
        self, options: S3Options, client: Client, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.name = options.name
        self.requests = S3Requests(options, client, clock=clock)
        # A probe that had to wait behind other requests would tell about those.
        self._probes = S3Requests(options, client, clock=clock, lane="probes")
        self.attaching = options.attaching
        self.relaying = options.relaying
        self._physical_made = False
        self._pages_buckets = True
        self._options = options
        self._physical = options.physical_bucket
        self._stores: dict[tuple[str, str], S3Store] = {}

    def blobs(self, container: str) -> S3Store:
        """See `Backend.blobs`."""
        bucket, _, prefix = container.partition("/")
        return self._store(bucket, prefix)

    def files(self, target: str) -> S3Store:
        """See `Backend.files`; the target is the bucket's name there."""
        return self._store(target, "")

    def _store(self, bucket: str, prefix: str) -> S3Store:
        store = self._stores.get((bucket, prefix))
        if store is None:
            verifies = self._options.verifies_payload
            store = S3Store(self.requests, bucket, prefix=prefix, verifies_payload=verifies)
            self._stores[bucket, prefix] = store
        return store

    def blob_name(self, key: str, blob_id: str) -> str:
        """`<key>~<id>`, so that the data can be read without the catalog; cut to S3's length."""
        room = KEY_BYTES_MAX - len(blob_id) - 1 - (_PREFIX_BYTES_MAX if self._physical else 0)
        return f"{key.encode()[:room].decode(errors='ignore')}~{blob_id}"

    def container(self, name: str) -> str:
        """See `Backend.container`."""
        return f"{self._physical}/{name}/" if self._physical else name

    async def containers(self) -> list[str]:
        """All containers at the endpoint that a gateway may have made, by their names.

        Raises:
            BackendError: the endpoint does not tell.
        """
        if self._physical:
            try:
                return await self._prefixes(self._store(self._physical, ""))
            except NoSuchContainer:
                return []  # made with the first of them
        ask = Ask(op="containers", method="GET")
        answer = await self.requests.call(ask, bytes_max=_BUCKETS_BYTES_MAX)
        try:
            return [name for name in read_buckets(answer.body) if name.startswith(OURS)]
        except ValueError as error:
            hint = f"the endpoint's answer: {error}"
            raise Unavailable("containers", ask.path, hint, self.name) from error

    async def _prefixes(self, store: S3Store) -> list[str]:
        found, after = [], ""
        while True:
            page = await store.list(OURS, delimiter="/", after=after, limit=1000)
            found += [self.container(name.rstrip("/")) for name in page.common_prefixes]
            if not page.truncated:
                return found
            after = page.next_after

    async def has_container(self, container: str) -> bool:
        """Whether there is a bucket of that name, of whatever account.

        Raises:
            BackendError: the endpoint does not tell.
        """
        try:
            await self.requests.call(Ask(op="has_container", method="HEAD", container=container))
        except NotFound:
            return False
        except BackendError as error:
            if error.upstream_status not in _ELSEWHERE:
                raise
            if error.upstream_status in (400, 403):
                await self._require_known()
        return True

    async def _require_known(self) -> None:
        """See that it was not our signature that was refused: an answer to HEAD does not say.

        Raises:
            PermissionDenied: it is refused for whatever is asked.
        """
        try:
            await self.check()
        except BackendError as error:
            if error.upstream_code in _NOT_OURS:
                raise

    async def create_container(
        self, container: str, *, locks: bool = False, ownership: str = "", location: str = ""
    ) -> None:
        """See `Backend.create_container`; AlreadyExists when it is another account's.

        Args:
            locks: with object lock.
            ownership: ObjectOwnership; "" leaves it to the endpoint.
            location: LocationConstraint; "": the region that requests are signed for.
        """
        bucket, _, prefix = container.partition("/")
        if not prefix:
            await self._create_bucket(bucket, locks=locks, ownership=ownership, location=location)
        elif not self._physical_made:
            try:
                await self._create_bucket(bucket)
            except AlreadyExists as error:
                hint = "the physical bucket is another account's"
                raise PermissionDenied("create_container", bucket, hint, self.name) from error
            self._physical_made = True

    async def _create_bucket(
        self, container: str, *, locks: bool = False, ownership: str = "", location: str = ""
    ) -> None:
        body = write_location(location or self._options.region)
        headers = [("Content-Type", "application/xml")] if body else []
        if locks:
            headers.append(("x-amz-bucket-object-lock-enabled", "true"))
        if ownership:
            headers.append(("x-amz-object-ownership", ownership))
        ask = Ask(
            op="create_container",
            method="PUT",
            container=container,
            headers=headers,
            raw=length_line(len(body)),
            payload_hash=sha256(body).hexdigest(),
        )
        try:
            await self.requests.call(ask, body)
        except AlreadyExists as error:
            if error.upstream_code != _OWNED:
                raise

    async def delete_container(self, container: str) -> None:
        """See `Backend.delete_container`; Conflict when it is not empty."""
        if "/" in container:
            await self._require_empty(container)
            return
        try:
            await self.requests.call(
                Ask(op="delete_container", method="DELETE", container=container)
            )
        except NotFound:
            return

    async def _require_empty(self, container: str) -> None:
        try:
            page = await self.blobs(container).list("", delimiter="", after="", limit=1)
        except NotFound:
            return
        if page.objects:
            raise Conflict("delete_container", container, "it is not empty", self.name)

    async def check(self) -> None:
        """See `Backend.check`: the endpoint knows the credentials."""
        # Of an account with thousands of buckets one says as much; not every endpoint takes that.
        query = [("max-buckets", "1")] if self._pages_buckets else []
        ask = Ask(op="check", method="GET", query=query)
        try:
            await self._probes.call(ask, bytes_max=_BUCKETS_BYTES_MAX)
        except BackendError as error:
            if not query or error.upstream_status not in _NOT_TAKEN:
                raise
            self._pages_buckets = False
            await self.check()

    async def capacity(self) -> tuple[int, int] | None:
        """See `Backend.capacity`: S3 has no bounds, or does not tell them."""
        return None

    async def recover(self) -> int:
        """Nothing to remove: the endpoint leaves nothing half-written."""
        return 0

    async def forget_uploads(self, target: str, known: Collection[str]) -> int:
        """None: other clients of the endpoint have uploads there, too."""
        return 0

    def blob_ids(self) -> Iterator[str]:
        """None: buckets are listed through their stores."""
        return iter(())

    async def aclose(self) -> None:
        """Holds nothing open."""
