"""Inventory reports: a bucket's versions as CSV, gzipped, in files of bounded size.

One report is written at a time, file by file, then its manifest, which makes it one: what has no
manifest is no report. A report that was cut short is begun anew, and its files take the place of
those that were written.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import trio

from s3proxy.catalog.errors import CatalogError
from s3proxy.catalog.records import BucketRecord, ObjectRecord, ProgressRecord
from s3proxy.http.body import BytesBody
from s3proxy.log import get_logger
from s3proxy.ops.encryption import default_cipher
from s3proxy.ops.inventory import KIND, config_name, find_target
from s3proxy.ops.lifecycle import lifecycle_of
from s3proxy.ops.managed import ManagedNamespace
from s3proxy.ops.namespace import ObjectWrite
from s3proxy.ops.payload_source import ObjectPayload
from s3proxy.s3.errors import S3Error
from s3proxy.s3.inventory import Inventory, read_inventory
from s3proxy.s3.inventory_report import (
    Line,
    ReportFile,
    csv_line,
    data_key,
    manifest,
    manifest_prefix,
    schema,
    symlink_key,
    symlinks,
)
from s3proxy.s3.lifecycle import Version, expiration_of

if TYPE_CHECKING:
    from s3proxy.ops.call import Services

logger = get_logger("inventory")
PAGE_ROWS = 128  # made into CSV without a pause: about 1.5 ms
FILE_BYTES_MAX = 4 << 20  # compressed; some 300,000 lines
POLL_S = 60.0  # how soon a new configuration is noticed
_GZIP = 31  # zlib's window, and gzip's header
_COMPRESSION = 6

Row = tuple[str, ObjectRecord, bool]


class _Report:
    """One report under way."""

    def __init__(
        self, services: Services, bucket: BucketRecord, inventory: Inventory, rules: bytes
    ) -> None:
        self._services = services
        self.bucket = bucket
        self.inventory = inventory
        self.created_ns = services.now_ns()
        self.progress = ProgressRecord(
            round=inventory.round_of(self.created_ns), rules=rules, done=True
        )
        self._columns = schema(inventory)
        self._lifecycle = lifecycle_of(services, bucket)
        self._seed = f"{bucket.id.hex()}/{inventory.id}/{self.progress.round}"
        self._files: list[ReportFile] = []
        rows = _all_versions if inventory.all_versions else _current_objects
        self._rows = rows(services, bucket, inventory.scope or "")
        self._ended = False

    async def write_file(self, rate: int) -> bool:
        """Write the next file; False when there was nothing left to write."""
        packed = zlib.compressobj(_COMPRESSION, zlib.DEFLATED, _GZIP)
        data = bytearray()
        count = 0
        while len(data) < FILE_BYTES_MAX and not self._ended:
            text, rows = self._page()
            count += rows
            data += await trio.to_thread.run_sync(packed.compress, text)
            await trio.sleep(rows / rate)
        if not count:
            return False
        data += packed.flush()
        key = data_key(self.inventory, self.bucket.name, self._seed, len(self._files))
        etag = await self._put(key, bytes(data), "application/gzip")
        self._files.append(ReportFile(key, len(data), etag))
        return True

    async def write_manifest(self) -> None:
        """Make what was written a report."""
        named = (self.inventory, self.bucket.name, self.created_ns)
        links = symlinks(self.inventory, self._files)
        await self._put(symlink_key(*named), links, "text/plain")
        document = manifest(*named, self._files)
        prefix = manifest_prefix(*named)
        etag = await self._put(f"{prefix}manifest.json", document, "application/json")
        await self._put(f"{prefix}manifest.checksum", etag.encode(), "text/plain")

    def _page(self) -> tuple[bytes, int]:
        lines = []
        for key, record, latest in self._rows:
            lines.append(csv_line(self._line(key, record, latest=latest), self._columns))
            if len(lines) == PAGE_ROWS:
                break
        else:
            self._ended = True
        return "".join(lines).encode(), len(lines)

    async def _put(self, key: str, data: bytes, content_type: str) -> str:
        """Write one object of the report; returns its MD5."""
        target = find_target(self._services, self.bucket, self.inventory)
        cipher = default_cipher(self._services, target, asked=self.inventory.encrypted)
        write = ObjectWrite(system={"content-type": content_type}, user={}, cipher=cipher)
        payload = ObjectPayload(BytesBody(data), len(data))
        await ManagedNamespace(self._services, target).put(key, payload, write)
        return hashlib.md5(data, usedforsecurity=False).hexdigest()

    def _line(self, key: str, record: ObjectRecord, *, latest: bool) -> Line:
        lock = record.lock
        encryption = "NOT-SSE"
        if record.encryption is not None:
            encryption = "SSE-C" if record.encryption.kind == "SSE-C" else "SSE-S3"
        return Line(
            bucket=self.bucket.name,
            key=key,
            version_id=record.named_version,
            latest=latest,
            marker=record.delete_marker,
            size=record.size,
            modified_ns=record.modified_ns,
            etag=record.etag,
            storage_class=record.storage_class,
            multipart=bool(record.parts),
            encryption=encryption,
            owner=record.owner or self.bucket.owner or self.bucket.tenant,
            lock_mode="" if lock is None else lock.mode,
            retain_until_ns=0 if lock is None else lock.retain_until_ns,
            legal_hold="" if lock is None else lock.legal_hold,
            checksums=tuple(record.checksums),
            expires_ns=self._expires_ns(key, record) if latest else 0,
        )

    def _expires_ns(self, key: str, record: ObjectRecord) -> int:
        if self._lifecycle is None or record.delete_marker:
            return 0
        version = Version(
            key=key, size=record.size, modified_ns=record.modified_ns, tags=record.tags
        )
        due = expiration_of(self._lifecycle, version)
        return 0 if due is None else due.at_ns


class InventoryWorker:
    """Worker that writes the reports of all managed buckets.

    Args:
        objects_per_s: versions looked at in a second, at most.
    """

    name = "inventory"

    def __init__(self, services: Services, *, objects_per_s: int) -> None:
        self._services = services
        self._catalog = services.catalog
        self._rate = objects_per_s
        self._report: _Report | None = None
        self.counts = {"written": 0, "failed": 0}

    async def work(self) -> bool:
        """Write one file of one report, or its manifest."""
        report = self._report or self._next()
        self._report = None  # what fails is begun anew
        if report is None:
            return False
        try:
            if await report.write_file(self._rate):
                self._report = report
                return True
            await report.write_manifest()
            await self._settle(report)
        except (S3Error, CatalogError) as error:
            logger.warning(
                "inventory not written, tried again with the next one",
                bucket=report.bucket.name,
                id=report.inventory.id,
                error=str(error),
            )
            self.counts["failed"] += 1
            await self._give_up(report)
        else:
            self.counts["written"] += 1
        return True

    async def wait_for_work(self) -> None:
        """Reports fall due by time alone."""
        await trio.sleep(POLL_S)

    async def _settle(self, report: _Report) -> None:
        name = config_name(report.inventory.id)
        await self._catalog.put_progress(report.bucket, name, report.progress)

    async def _give_up(self, report: _Report) -> None:
        try:
            await self._settle(report)
        except S3Error:  # the bucket itself is gone
            return

    def _next(self) -> _Report | None:
        """The first configuration without a report of today, or of this week."""
        for bucket in self._catalog.scan_buckets():
            if bucket.kind != "managed" or not bucket.configs or KIND not in bucket.configs:
                continue
            for identifier, document in self._catalog.list_bucket_configs(bucket, KIND):
                inventory = read_inventory(document)
                rules = hashlib.blake2b(document, digest_size=16).digest()
                progress = self._catalog.get_progress(bucket, config_name(identifier))
                wanted = inventory.round_of(self._services.now_ns())
                current = progress is not None and (progress.round, progress.rules) == (
                    wanted,
                    rules,
                )
                if inventory.enabled and not current:
                    return _Report(self._services, bucket, inventory, rules)
        return None


def _current_objects(services: Services, bucket: BucketRecord, prefix: str) -> Iterator[Row]:
    for key, record in services.catalog.scan_objects(bucket, prefix=prefix):
        yield key, record, True


def _all_versions(services: Services, bucket: BucketRecord, prefix: str) -> Iterator[Row]:
    key_marker = version_id_marker = ""
    while True:
        page = services.catalog.list_versions(
            bucket,
            prefix=prefix,
            key_marker=key_marker,
            version_id_marker=version_id_marker,
            limit=PAGE_ROWS,
        )
        for entry in page.entries:
            yield entry.key, entry.record, entry.latest
        if not page.truncated:
            return
        key_marker, version_id_marker = page.next_key_marker, page.next_id_marker
