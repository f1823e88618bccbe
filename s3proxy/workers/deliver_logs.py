"""Delivery of buckets' access logs: what has gathered becomes objects in their targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from s3proxy.catalog.errors import CatalogError
from s3proxy.http.errors import TransportError
from s3proxy.log import get_logger
from s3proxy.ops.bucket_logging import deliver_log, logging_of
from s3proxy.s3.errors import S3Error

if TYPE_CHECKING:
    from s3proxy.ops.call import Services
    from s3proxy.ops.request_logs import Logged, RequestLogs

logger = get_logger("bucket logs")


class LogDelivery:
    """Worker that writes the log of each bucket, where there is something in it.

    Args:
        interval_s: between deliveries, while little gathers.

    Attributes:
        delivered, refused: lines that were written, and those that their target did not take.
    """

    name = "bucket logs"

    def __init__(self, services: Services, logs: RequestLogs, *, interval_s: float) -> None:
        self._services = services
        self._logs = logs
        self._interval_s = interval_s
        self.delivered = 0
        self.refused = 0

    async def work(self) -> bool:
        """Deliver what there is.

        Raises:
            OSError, BackendError, KvError: a log could not be written; its lines wait on.
        """
        waiting = self._logs.take()
        try:
            for logged in list(waiting):
                await self._deliver(logged, waiting[logged])
                del waiting[logged]
        finally:
            for logged, lines in waiting.items():
                self._logs.keep(logged, lines)
        return False

    async def wait_for_work(self) -> None:
        """Until much has gathered, or it is time."""
        with trio.move_on_after(self._interval_s):
            await self._logs.filled.wait()

    async def _deliver(self, logged: Logged, lines: list[str]) -> None:
        bucket = self._services.catalog.get_bucket(logged.bucket, logged.tenant)
        logging = None if bucket is None else logging_of(self._services, bucket)
        if bucket is None or bucket.id != logged.bucket_id or logging is None:
            self.refused += len(lines)  # logging was turned off meanwhile, or the bucket is gone
            return
        try:
            await deliver_log(self._services, bucket, logging, logged.day, lines)
        except (S3Error, CatalogError) as error:
            self.refused += len(lines)
            logger.warning("log not delivered", bucket=bucket.name, error=str(error))
        except TransportError as error:
            raise OSError(str(error)) from error
        else:
            self.delivered += len(lines)
