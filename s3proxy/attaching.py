"""Attached buckets of the configuration: their records, and targets that backends can hold."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from s3proxy.backends.errors import BackendError
from s3proxy.backends.store import Backend
from s3proxy.bootstrap import StartError
from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.elsewhere import backend_name
from s3proxy.catalog.records import BucketRecord
from s3proxy.config import BucketConfig, Config
from s3proxy.ops.new_bucket import first_configs


async def attach_buckets(catalog: Catalog, config: Config) -> None:
    """Make the operator's attached buckets in the catalog those of the configuration.

    One that is no longer configured is detached: its record and its multipart uploads go, its bytes
    stay where they are. What users attached by CreateBucket has an owner, and stays.
    """
    wanted = {bucket.name: bucket for bucket in config.bucket}
    for record in catalog.list_buckets():
        bucket = wanted.get(record.name)
        created = record.kind == "managed" or bool(record.owner)
        if bucket is not None and created:
            raise StartError(
                f"[[bucket]] {bucket.name}: a bucket that a user made has that name; "
                "delete it or choose another"
            )
        if not created and not _same(record, bucket):
            await _detach(catalog, record)
    for bucket in wanted.values():
        if catalog.get_bucket(bucket.name) is None:
            record = _attached(bucket, config.server.region)
            await catalog.create_bucket(record, first_configs("", config.s3.default_ownership))


def check_targets(buckets: Sequence[BucketConfig], backends: Mapping[str, Backend]) -> None:
    """Refuse targets that their backend can never hold; one that is only not there yet may come.

    Raises:
        StartError: names the bucket, what was found and the rule.
    """
    for bucket in buckets:
        if bucket.region:
            continue
        try:
            backends[bucket.backend].files(bucket.target or bucket.name)
        except BackendError as error:
            found = bucket.target or bucket.name
            raise StartError(f"[[bucket]] {bucket.name}: target {found!r}: {error.hint}") from error


async def _detach(catalog: Catalog, record: BucketRecord) -> None:
    while uploads := catalog.list_uploads(record).entries:
        for upload in uploads:
            await catalog.abort_upload(record, upload.key, upload.upload_id)
    await catalog.delete_bucket(record.name)


def _same(record: BucketRecord, bucket: BucketConfig | None) -> bool:
    return bucket is not None and (record.backend, record.container) == _place(bucket)


def _place(bucket: BucketConfig) -> tuple[str, str]:
    """Backend and container of an attached bucket."""
    if bucket.region:
        return backend_name(bucket.region), bucket.name
    return bucket.backend, bucket.target or bucket.name


def _attached(bucket: BucketConfig, region: str) -> BucketRecord:
    backend, container = _place(bucket)
    return BucketRecord(
        name=bucket.name,
        kind="attached",
        backend=backend,
        container=container,
        region=bucket.region or region,
        created_ns=time.time_ns(),
    )
