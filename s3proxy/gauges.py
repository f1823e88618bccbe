"""What /metrics reads from each part of the process at a scrape, never on the request path."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from s3proxy.backends.health import Health
from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.debt_counts import NOTHING_OWED, TOO_FEW
from s3proxy.http.client import Client
from s3proxy.http.server import Server
from s3proxy.kv.lmdb_engine import LmdbEngine
from s3proxy.log import AccessLog
from s3proxy.metrics import Reading
from s3proxy.ops.backups import Backups
from s3proxy.ops.call import Services
from s3proxy.ops.request_logs import RequestLogs
from s3proxy.workers.deliver import Deliverer
from s3proxy.workers.deliver_logs import LogDelivery
from s3proxy.workers.describe import Describer
from s3proxy.workers.inventory import InventoryWorker
from s3proxy.workers.lifecycle import LifecycleWorker
from s3proxy.workers.replicate import Replicator
from s3proxy.workers.scrub import Scrubber
from s3proxy.workers.worker import Supervised

MANIFESTS_COUNTED_MAX = 10_000
# Of each of them there are four series at most.
USAGE_MAX = 1000


def of_engine(engine: LmdbEngine) -> Iterator[Reading]:
    """Group commit: how many changes share a commit, and how long one takes."""
    yield "counter", "kv_commits", "Group commits", engine.batches, {}
    yield "counter", "kv_changes", "Changes committed", engine.changes, {}
    yield "counter", "kv_commit_seconds", "Time spent in commits", engine.commit_s, {}
    yield "gauge", "kv_queued_changes", "Changes that wait for the writer", engine.queued, {}


def of_access_log(log: AccessLog) -> Iterator[Reading]:
    """What the access log could not take."""
    yield "counter", "access_lines_dropped", "Lines lost to a full disk", log.dropped_lines, {}


def of_server(server: Server) -> Iterator[Reading]:
    """The S3 port."""
    stats = server.stats
    yield "gauge", "connections_open", "Client connections", server.open_connections, {}
    yield "counter", "connections_accepted", "Client connections accepted", stats.accepted, {}
    yield (
        "counter",
        "accept_errors",
        "accept() that failed, as when files run out",
        stats.accept_errors,
        {},
    )
    yield "counter", "connections_evicted", "Idle ones closed for new ones", stats.evicted, {}
    yield "counter", "heads_refused", "Request heads refused", stats.refused, {}
    yield (
        "counter",
        "deadlines_exceeded",
        "Clients that were too slow",
        stats.deadlines_exceeded,
        {},
    )
    yield "counter", "handler_failures", "Connections lost to a bug", stats.handler_failures, {}
    yield (
        "counter",
        "proxy_headers_refused",
        "Connections of trusted proxies without a proper PROXY header",
        stats.proxy_headers_refused,
        {},
    )
    yield (
        "counter",
        "tls_handshake_failures",
        "TLS handshakes that failed",
        stats.tls_handshake_failures,
        {},
    )


def of_client(client: Client) -> Iterator[Reading]:
    """The pools of connections to S3 backends, by origin."""
    for pool in client.pools.values():
        origin = {"origin": str(pool.origin)}
        for name, text, value in (
            ("connections_idle", "Pooled, unused", pool.idle),
            ("connections_active", "In use", pool.active),
            ("waiting", "Requests that wait for a connection", pool.waiting),
        ):
            yield "gauge", f"upstream_{name}", text, value, origin
        for name, text, value in (
            ("connects", "Connections made", pool.stats.connects),
            ("connect_failures", "Connections that could not be made", pool.stats.connect_failures),
            ("reuses", "Requests on a pooled connection", pool.stats.reuses),
            ("retries", "Retries after a stale connection", pool.stats.retries),
            ("timeouts", "Requests that got no connection in time", pool.stats.timeouts),
        ):
            yield "counter", f"upstream_{name}", text, value, origin


def of_health(health: Health) -> Iterator[Reading]:
    """Which backends work, and what was done about those that failed."""
    for report in health.report():
        name = {"backend": report.name}
        up = report.state == "closed"
        yield "gauge", "backend_up", "1: its circuit breaker is closed", up, name
        yield "gauge", "backend_latency_seconds", "To the first byte", report.latency_s, name
        yield "gauge", "backend_active", "Attempts and bodies under way", report.active, name
        yield "counter", "backend_opened", "Times its breaker opened", report.opened, name
        yield "counter", "backend_failures", "Attempts and probes failed", report.failures, name
    counts = health.counts
    for kind, text, value in (
        ("read_failovers", "Reads answered by another copy", counts.read_failovers),
        ("write_failovers", "Writes that went to the next backend", counts.write_failovers),
        ("resumed_bodies", "Bodies that went on from another copy", counts.resumed_bodies),
        ("hedged_reads", "Reads for which a second copy was asked", counts.hedged_reads),
        ("hedges_won", "Of these, answered by the second", counts.hedges_won),
    ):
        yield "counter", kind, text, value, {}


def of_usage(catalog: Catalog) -> Iterator[Reading]:
    """What buckets and tenants with quotas hold and may hold; of each, the first USAGE_MAX."""
    for held in catalog.list_usage(USAGE_MAX):
        quota = None
        if held.bucket:
            kind, labels = "bucket", {"tenant": held.tenant, "bucket": held.bucket}
            bucket = catalog.get_bucket(held.bucket, held.tenant)
            quota = None if bucket is None else bucket.quota
        else:
            kind, labels = "tenant", {"tenant": held.tenant}
            tenant = catalog.get_tenant(held.tenant)
            quota = None if tenant is None else tenant.quota
        yield "gauge", f"{kind}_used_bytes", "Of all versions and parts", held.bytes, labels
        yield "gauge", f"{kind}_used_objects", "Versions", held.objects, labels
        if quota is not None and quota.bytes is not None:
            yield "gauge", f"{kind}_quota_bytes", "What it may hold", quota.bytes, labels
        if quota is not None and quota.objects is not None:
            yield "gauge", f"{kind}_quota_objects", "What it may hold", quota.objects, labels


def of_workers(workers: Sequence[Supervised]) -> Iterator[Reading]:
    """Background workers, by name."""
    for worker in workers:
        name = {"worker": worker.worker.name}
        yield "counter", "worker_rounds", "Rounds of work done", worker.rounds, name
        yield "counter", "worker_errors", "Rounds that failed and are retried", worker.errors, name


def of_lifecycle(worker: LifecycleWorker) -> Iterator[Reading]:
    """What lifecycle rules did."""
    for action, count in worker.counts.items():
        labels = {"action": action}
        yield "counter", "lifecycle_actions", "Done by lifecycle rules", count, labels


def of_inventory(worker: InventoryWorker) -> Iterator[Reading]:
    """Reports that were written, and those that could not be."""
    for outcome, count in worker.counts.items():
        yield "counter", "inventory_reports", "Inventory reports", count, {"outcome": outcome}


def of_scrub(scrubber: Scrubber) -> Iterator[Reading]:
    """What comparing the catalog with the backends found."""
    for outcome, count in scrubber.counts.items():
        yield "counter", "scrub", "Found by scrubs, by outcome", count, {"outcome": outcome}


def of_describer(catalog: Catalog, describer: Describer) -> Iterator[Reading]:
    """Manifests at providers: those that are to be written, and what was done."""
    due = catalog.count_due_manifests(MANIFESTS_COUNTED_MAX)
    yield "gauge", "manifests_due", f"To be written, up to {MANIFESTS_COUNTED_MAX}", due, {}
    for outcome, count in (
        ("written", describer.written),
        ("removed", describer.removed),
        ("failed", describer.failed),
    ):
        yield "counter", "manifests", "Manifests at providers", count, {"outcome": outcome}


def of_replication(services: Services, worker: Replicator) -> Iterator[Reading]:
    """What is owed to each backend, and what became of debts."""
    owed = services.catalog.debt_counts()
    now_ns = services.clock_ns()
    for name in {**dict.fromkeys((*services.backends, TOO_FEW)), **owed}:
        found = owed.get(name, NOTHING_OWED)
        labels = {"backend": name}
        lag_s = max(0.0, (now_ns - found.since_ns) / 1e9) if found.since_ns else 0.0
        yield "gauge", "replication_owed_objects", "Blobs owed to it", found.objects, labels
        yield "gauge", "replication_owed_bytes", "Bytes owed to it", found.bytes, labels
        yield "gauge", "replication_lag_seconds", "Age of the oldest debt", lag_s, labels
        yield "gauge", "replication_dead_letters", "Copies given up", found.dead, labels
        copied = worker.copied_bytes.get(name, 0)
        yield "counter", "replication_copied_bytes", "Bytes copied to it", copied, labels
    for outcome, count in worker.counts.items():
        yield "counter", "replication_debts", "What became of debts", count, {"outcome": outcome}


def of_bucket_logs(delivery: LogDelivery, logs: RequestLogs) -> Iterator[Reading]:
    """Access logs of buckets: what became of their lines."""
    for outcome, count in (
        ("delivered", delivery.delivered),
        ("refused", delivery.refused),
        ("dropped", logs.dropped),
    ):
        yield "counter", "bucket_log_lines", "Lines of access logs", count, {"outcome": outcome}


def of_events(catalog: Catalog, deliverers: Sequence[Deliverer]) -> Iterator[Reading]:
    """Events on their way, by target."""
    counts = catalog.event_counts()
    for deliverer in deliverers:
        target = deliverer.target
        name = {"target": target.name}
        found = counts.get(target.arn)
        oldest = catalog.pending_events(target.arn, 0, 1)
        age_s = max(0.0, time.time() - oldest[0].record.queued_ns / 1e9) if oldest else 0.0
        pending, dead, lost = (found.pending, found.dead, found.lost) if found else (0, 0, 0)
        yield "gauge", "events_pending", "Events that wait", pending, name
        yield "gauge", "events_oldest_seconds", "Age of the oldest that waits", age_s, name
        yield "gauge", "events_dead_letters", "Events given up and kept", dead, name
        yield "counter", "events_lost", "Dead letters no longer kept", lost, name
        yield "counter", "events_delivered", "Events delivered", deliverer.delivered, name
        yield "counter", "events_failed", "Tries that failed", deliverer.failed, name
        yield "counter", "events_died", "Events given up", deliverer.died, name


def of_backups(backups: Backups | None) -> Iterator[Reading]:
    """Backups of the catalog, where some are made."""
    if backups is None:
        return
    last = backups.last
    if last is not None:
        age_s = max(0.0, time.time() - last.made_s)
        yield "gauge", "backup_age_seconds", "Age of the last good backup", age_s, {}
        yield "gauge", "backup_bytes", "Its size", last.size, {}
    yield "counter", "backups", "Backups made", backups.made, {}
    yield "counter", "backup_failures", "Tries that failed", backups.failures, {}
