"""The only module that knows every other: opens, starts, drains, closes.

Nurseries nest, and shutdown goes inside out, so that a request in flight finds everything below it
still running:

    catalog writer
      readiness, access log, HTTP client
        workers, control port
          S3 server        stops accepting first and drains within the grace period
"""

from __future__ import annotations

import signal
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass

import trio

from s3proxy import gauges
from s3proxy.attaching import attach_buckets, check_targets
from s3proxy.backends.errors import BackendError
from s3proxy.backends.health import Health
from s3proxy.backends.registry import open_backends
from s3proxy.backends.store import Backend
from s3proxy.bootstrap import (
    StartError,
    data_directory,
    ensure_root,
    open_catalog,
)
from s3proxy.catalog.access_keys import NewKey
from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.remembered import Remembered
from s3proxy.catalog.tables import KEYS, TENANTS, USERS
from s3proxy.config import Config, names_in
from s3proxy.control.app import build_app
from s3proxy.control.server import serve_control
from s3proxy.event_targets import delivery_workers, targets_of
from s3proxy.gateway import Gateway
from s3proxy.http.client import Client
from s3proxy.http.errors import TlsConfigError
from s3proxy.http.readiness import Readiness
from s3proxy.http.server import Server
from s3proxy.http.tls import TlsContext
from s3proxy.kv.errors import KvError
from s3proxy.log import AccessLog, get_logger
from s3proxy.metrics import Metrics
from s3proxy.ops.call import Services, Settings
from s3proxy.ops.containers import adopt_containers
from s3proxy.ops.identity import identity_of
from s3proxy.ops.rate_limits import RateLimiter
from s3proxy.ops.request_logs import RequestLogs
from s3proxy.resources import (
    backend_options,
    backups_of,
    listen,
    open_access_log,
    open_transport,
    reason_of,
    region_table,
    replication_lanes,
    scrub_options,
    server_limits,
    server_tls,
    signed_regions,
    trusted_networks,
)
from s3proxy.s3.auth import Authenticator, Credential
from s3proxy.s3.hosts import Hosts
from s3proxy.s3.limits import RateLimits
from s3proxy.s3.sigv2 import VersionTwo
from s3proxy.workers.backup import BackupWorker
from s3proxy.workers.collect import Collector
from s3proxy.workers.count_usage import UsageCounter
from s3proxy.workers.deliver_logs import LogDelivery
from s3proxy.workers.describe import Describer
from s3proxy.workers.drain import Drainer
from s3proxy.workers.inventory import InventoryWorker
from s3proxy.workers.lifecycle import LifecycleWorker
from s3proxy.workers.owe import Ower
from s3proxy.workers.probe import Prober, states_of
from s3proxy.workers.recover import recover
from s3proxy.workers.remove_containers import ContainerRemover
from s3proxy.workers.replicate import Replicator
from s3proxy.workers.scrub import Scrubber
from s3proxy.workers.worker import Supervised, Worker

LAST_LOGS_S = 5.0
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

logger = get_logger("service")


@dataclass(frozen=True)
class Started:
    """What a person wants to know once the gateway runs."""

    s3_url: str
    control_url: str
    region: str
    root: NewKey | None  # made at this start, with its secret


class Service:
    """One gateway process."""

    def __init__(self, config: Config, environ: Mapping[str, str]) -> None:
        self._config = config
        self._environ = environ
        self._metrics = Metrics()
        self._draining = trio.Event()

    async def run(
        self, *, task_status: trio.TaskStatus[Started] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until SIGTERM or SIGINT, then drain and return; cancelled, stop at once.

        Raises:
            StartError: the configuration is right but this machine does not allow it; says why.
        """
        config = self._config
        with (
            trio.open_signal_receiver(*SIGNALS) as signals,
            data_directory(config.data),
            listen(config.server.listen, config.server.backlog) as listener,
            closing(open_access_log(config.log.access)) as access_log,
        ):
            protected_s = config.backup.protected_s()
            async with open_catalog(config.data, protected_s=protected_s) as (catalog, engine):
                await attach_buckets(catalog, config)
                self._metrics.add_source(lambda: gauges.of_engine(engine))
                self._metrics.add_source(lambda: gauges.of_access_log(access_log))
                async with open_transport(config) as (readiness, client):
                    self._metrics.add_source(lambda: gauges.of_client(client))
                    logs = RequestLogs(config.bucket_logging.buffer_bytes_max)
                    parts = _Parts(catalog, readiness, client, access_log, listener, signals, logs)
                    await self._serve(parts, task_status)

    async def _serve(self, parts: _Parts, task_status: trio.TaskStatus[Started]) -> None:
        config = self._config
        tls = server_tls(config)
        async with self._backends(parts.client) as backends:
            await recover(parts.catalog, backends)
            services = self._services(parts, backends, await parts.catalog.container_seed())
            await adopt_containers(services)
            gateway = self._gateway(parts, services)
            speaking = trusted_networks(config) if config.server.proxy_protocol else None
            server = Server(gateway, parts.readiness, server_limits(config), tls, speaking)
            self._metrics.add_source(lambda: gauges.of_server(server))
            background = self._background(parts, services)
            async with background as control_url, trio.open_nursery() as nursery:
                # Last: a start that fails has made no secret that it could not show.
                root = await ensure_root(parts.catalog, self._environ)
                await nursery.start(server.serve, [parts.listener])
                url = _url(parts.listener, tls)
                task_status.started(Started(url, control_url, config.server.region, root))
                await _wait_for_stop(parts.signals, tls)
                self._draining.set()
                nursery.start_soon(_cut_short, parts.signals, tls, nursery.cancel_scope)
                await server.drain(config.server.grace_s)
                nursery.cancel_scope.cancel()

    @asynccontextmanager
    async def _background(self, parts: _Parts, services: Services) -> AsyncIterator[str]:
        """Workers, access log and control port; yields the control URL, "" without one."""
        config, catalog = self._config, parts.catalog
        lifecycle = LifecycleWorker(services, objects_per_s=config.lifecycle.objects_per_s)
        inventory = InventoryWorker(services, objects_per_s=config.inventory.objects_per_s)
        deliverers, unclaimed = delivery_workers(catalog, services.targets, config)
        collector = Collector(catalog, services.backends, services.health)
        remover = ContainerRemover(services)
        logs, interval_s = parts.request_logs, config.bucket_logging.interval_s
        delivery = LogDelivery(services, logs, interval_s=interval_s)
        describer = Describer(services, every_bucket=config.data.manifests == "all")
        counter = UsageCounter(catalog)
        replicator, ower = self._replication(services)
        work: list[Worker] = [collector, remover, lifecycle, inventory, delivery, describer]
        work += [replicator, ower, counter]
        scrubber = Scrubber(services, scrub_options(config), interval_s=config.scrub.interval_s)
        work += [scrubber, Drainer(services)]
        if services.backups is not None:
            work.append(BackupWorker(services.backups, interval_s=config.backup.interval_s))
        # One backend alone has none to fall over to: it is asked whatever a probe would say.
        backends = services.backends.values() if len(services.backends) > 1 else ()
        probers = [Prober(backend, services.health) for backend in backends]
        workers = [Supervised(worker) for worker in (*work, *deliverers, unclaimed, *probers)]
        self._metrics.add_source(lambda: gauges.of_workers(workers))
        self._metrics.add_source(lambda: gauges.of_describer(catalog, describer))
        self._metrics.add_source(lambda: gauges.of_usage(catalog))
        self._metrics.add_source(lambda: gauges.of_scrub(scrubber))
        self._metrics.add_source(lambda: gauges.of_lifecycle(lifecycle))
        self._metrics.add_source(lambda: gauges.of_inventory(inventory))
        self._metrics.add_source(lambda: gauges.of_events(catalog, deliverers))
        self._metrics.add_source(lambda: gauges.of_bucket_logs(delivery, logs))
        self._metrics.add_source(lambda: gauges.of_backups(services.backups))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(parts.access_log.run)
            for worker in workers:
                nursery.start_soon(worker.run)
            yield await self._start_control(nursery, services)
            # The last requests have been answered: what is known of them need not be lost.
            with trio.move_on_after(LAST_LOGS_S), suppress(OSError, BackendError, KvError):
                await delivery.work()
            nursery.cancel_scope.cancel()

    def _replication(self, services: Services) -> tuple[Replicator, Ower]:
        settings = self._config.replication
        replicator = Replicator(
            services,
            replication_lanes(self._config),
            workers=settings.workers,
            tries_max=settings.tries_max,
            retry_s_max=settings.retry_s_max,
        )
        self._metrics.add_source(lambda: gauges.of_replication(services, replicator))
        return replicator, Ower(services, objects_per_s=settings.objects_per_s)

    def _services(
        self, parts: _Parts, backends: Mapping[str, Backend], container_seed: int
    ) -> Services:
        config = self._config
        settings = Settings(
            region=config.server.region,
            inline_bytes_max=config.data.inline_bytes_max,
            container_seed=container_seed,
            storage_classes={entry.name: entry.backend for entry in config.storage_class},
            backup_backend=config.backup.backend,
            spool_dir=config.data.dir,
            sosapi=config.s3.sosapi,
            sse_c_over_http=config.s3.sse_c_over_http,
            default_ownership=config.s3.default_ownership,
            held_bytes_max=config.health.held_bytes_max,
        )
        targets = targets_of(config, parts.client)
        health = Health(backends, config.health.settings())
        self._metrics.add_source(lambda: gauges.of_health(health))
        return Services(
            parts.catalog,
            backends,
            settings,
            client=parts.client,
            facts={backend.name: backend.facts() for backend in config.backends()},
            default_rules=config.placement.rules(),
            targets=targets,
            health=health,
            regions=region_table(config.region, parts.client),
            backups=backups_of(config, parts.catalog, backends, container_seed),
        )

    def _gateway(self, parts: _Parts, services: Services) -> Gateway:
        config = self._config
        hosts = Hosts(names_in(config.server.domain), names_in(config.server.website_domain))
        authenticator = Authenticator(
            _lookup(parts.catalog, config.limits.rate_limits()),
            config.server.region,
            version_two=VersionTwo(hosts) if config.s3.sigv2 else None,
            tolerate_accept_encoding=config.server.tolerate_accept_encoding,
            other_regions=signed_regions(config),
        )
        return Gateway(
            services,
            authenticator,
            hosts=hosts,
            default_tenant=config.server.default_tenant,
            metrics=self._metrics,
            access_log=parts.access_log,
            proxies=trusted_networks(config),
            request_logs=parts.request_logs,
            limiter=RateLimiter(),
        )

    @asynccontextmanager
    async def _backends(self, client: Client) -> AsyncIterator[Mapping[str, Backend]]:
        options = [backend_options(backend) for backend in self._config.backends()]
        try:
            backends = open_backends(options, client)
        except (BackendError, OSError, ValueError) as error:
            raise StartError(f"backend: {error}") from error
        check_targets(self._config.bucket, backends)
        try:
            yield backends
        finally:
            with trio.CancelScope(shield=True):
                for backend in backends.values():
                    await backend.aclose()

    async def _start_control(self, nursery: trio.Nursery, services: Services) -> str:
        listen = self._config.control.listen
        if not listen:
            return ""
        app = build_app(self._metrics, lambda: self._ready(services), services)
        try:
            bound = await nursery.start(serve_control, app, listen)
        except OSError as error:
            raise StartError(f"control.listen {listen}: {reason_of(error)}") from error
        return str(bound[0])

    async def _ready(self, services: Services) -> tuple[bool, dict[str, str]]:
        draining = self._draining.is_set()
        ready, parts = await states_of(services)
        return ready and not draining, {"server": "draining" if draining else "ok", **parts}


@dataclass(frozen=True)
class _Parts:
    catalog: Catalog
    readiness: Readiness
    client: Client
    access_log: AccessLog
    listener: socket.socket
    signals: AsyncIterator[int]
    request_logs: RequestLogs


async def _wait_for_stop(signals: AsyncIterator[int], tls: TlsContext | None) -> None:
    """Return at SIGTERM or SIGINT; SIGHUP loads the certificate again."""
    async for number in signals:
        if number != signal.SIGHUP:
            return
        _reload(tls)


async def _cut_short(
    signals: AsyncIterator[int], tls: TlsContext | None, scope: trio.CancelScope
) -> None:
    """End the grace period at a second SIGTERM or SIGINT.

    Signals that nobody takes here would be raised again when their receiver closes, and end the
    process before the catalog is closed.
    """
    await _wait_for_stop(signals, tls)
    scope.cancel()


def _lookup(catalog: Catalog, limits: RateLimits) -> Callable[[str], Credential | None]:
    """How the authenticator finds the owner of an access key.

    A disabled key, user or tenant has none: to AWS, too, a key that is not active does not exist.
    """

    def read(access_key: str) -> Credential | None:
        record = catalog.get_key(access_key)
        if record is None or not record.enabled:
            return None
        user = catalog.get_user(record.user_name, record.tenant)
        tenant = catalog.get_tenant(record.tenant)
        if user is None or tenant is None or not (user.enabled and tenant.enabled):
            return None
        identity = identity_of(record, user.policy, limits)
        return Credential(identity, record.generation, lambda: catalog.unseal(record))

    return Remembered(catalog.engine, read, KEYS, USERS, TENANTS).__getitem__


def _reload(tls: TlsContext | None) -> None:
    if tls is None:
        return
    try:
        tls.reload()
        logger.info("certificate loaded again")
    except TlsConfigError as error:
        logger.error("certificate not loaded, the old one stays", error=str(error))


def _url(listener: socket.socket, tls: TlsContext | None) -> str:
    host, port = listener.getsockname()[:2]
    scheme = "https" if tls is not None else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
