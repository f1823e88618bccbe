"""What the configuration opens, as the layers below take it: sockets, files, TLS, limits.

What this machine does not allow is a StartError that names the setting.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from hashlib import blake2b

import msgspec
import trio

from s3proxy.backends.errors import BackendError
from s3proxy.backends.options import BackendOptions, LocalOptions, S3Options
from s3proxy.backends.registry import open_backends
from s3proxy.backends.s3 import S3Backend
from s3proxy.backends.store import Backend
from s3proxy.bootstrap import StartError, connections_limit
from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.elsewhere import backend_name
from s3proxy.catalog.errors import UnknownBackend
from s3proxy.config import BackendConfig, Config, LocalBackendConfig, RegionConfig, names_in
from s3proxy.http.client import Client
from s3proxy.http.errors import TlsConfigError
from s3proxy.http.limits import ServerLimits
from s3proxy.http.readiness import Readiness
from s3proxy.http.tls import TlsContext, client_context
from s3proxy.log import AccessLog, get_logger
from s3proxy.ops.backups import BackupPlace, Backups
from s3proxy.ops.lanes import LaneLimits, Lanes
from s3proxy.ops.region_table import Region
from s3proxy.ops.scrub import ScrubOptions
from s3proxy.placement import known_places
from s3proxy.s3.proxies import Networks

logger = get_logger("service")
DEFAULT_REGION = "us-east-1"  # what endpoints without regions of their own sign for


def backend_options(config: BackendConfig) -> BackendOptions:
    """A backend of the configuration as the registry takes it."""
    if isinstance(config, LocalBackendConfig):
        return LocalOptions(name=config.name, root=config.root, durability=config.durability)
    return S3Options(
        name=config.name,
        endpoint=config.endpoint.rstrip("/"),
        region=config.signing_region or config.region or DEFAULT_REGION,
        access_key=config.access_key,
        secret_key=config.secret_key,
        addressing=config.addressing,
        verifies_payload=config.verifies_payload,
        attaching=config.new_buckets == "attached",
        physical_bucket=config.physical_bucket,
    )


@asynccontextmanager
async def open_transport(config: Config) -> AsyncIterator[tuple[Readiness, Client]]:
    """The readiness set and the client of everything that speaks HTTP."""
    readiness = Readiness()
    async with trio.open_nursery() as nursery:
        await nursery.start(readiness.run)
        client = Client(readiness, config.upstream.limits(), upstream_trust(config))
        nursery.start_soon(client.run)
        try:
            yield readiness, client
        finally:
            with trio.CancelScope(shield=True):
                await client.aclose()
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_backup_place(config: Config, name: str) -> AsyncIterator[BackupPlace]:
    """Where the backups of the catalog are at the backend of that name, for a command.

    Raises:
        UnknownBackend: it is not configured.
        StartError: it cannot be opened.
    """
    options = [backend_options(one) for one in config.backends() if one.name == name]
    if not options:
        raise UnknownBackend(name, (backend.name for backend in config.backends()))
    async with open_transport(config) as (_, client):
        try:
            backend = open_backends(options, client)[name]
        except (BackendError, OSError, ValueError) as error:
            raise StartError(f"backend: {error}") from error
        yield BackupPlace(backend, config.backup.container, config.backup.prefix)
        await backend.aclose()


def backups_of(
    config: Config, catalog: Catalog, backends: Mapping[str, Backend], container_seed: int
) -> Backups | None:
    """What makes backups of the catalog; None where none are configured."""
    backup = config.backup
    if not backup.backend:
        return None
    return Backups(
        catalog,
        BackupPlace(backends[backup.backend], backup.container, backup.prefix),
        directory=config.data.dir,
        keep=backup.keep,
        deployment=blake2b(container_seed.to_bytes(8, "big"), digest_size=8).hexdigest(),
    )


def region_table(configs: Iterable[RegionConfig], client: Client) -> dict[str, Region]:
    """The gateways of other regions, by name."""
    return {config.name: _region(config, client) for config in configs}


def _region(config: RegionConfig, client: Client) -> Region:
    endpoint = config.endpoint.rstrip("/")
    options = S3Options(
        name=backend_name(config.name),
        endpoint=endpoint,
        region=config.name,
        access_key=config.access_key,
        secret_key=config.secret_key,
        addressing=config.addressing,
        attaching=True,
        relaying=True,
    )
    backend = S3Backend(options, client) if config.mode == "forward" else None
    return Region(config.name, endpoint, config.addressing, backend)


def replication_lanes(config: Config) -> Lanes:
    """What bounds copies to and from each backend."""
    limits = {
        backend.name: LaneLimits(backend.replication_concurrency, backend.replication_bytes_per_s)
        for backend in config.backends()
    }
    return Lanes(config.replication.workers, limits)


def scrub_options(config: Config) -> ScrubOptions:
    """How the gateway scrubs by itself."""
    return ScrubOptions(
        deep=config.scrub.deep,
        remove_unknown=config.scrub.remove_unknown,
        objects_per_s=config.scrub.objects_per_s,
        unknown_grace_s=config.scrub.unknown_grace_s,
    )


def server_limits(config: Config) -> ServerLimits:
    """The server's limits, with as many connections as files may be opened for."""
    limits = config.server.limits()
    allowed = connections_limit(limits.connections_max)
    if allowed < limits.connections_max:
        logger.warning(
            "the limit on open files allows fewer connections than configured",
            configured=limits.connections_max,
            allowed=allowed,
        )
    return msgspec.structs.replace(limits, connections_max=allowed)


def signed_regions(config: Config) -> set[str]:
    """What clients sign for beside the gateway's region: what GetBucketLocation may tell them."""
    places = known_places([backend.facts() for backend in config.backends()])
    return {*places, *map(str.upper, places), *(region.name for region in config.region)}


def trusted_networks(config: Config) -> Networks | None:
    """The networks of trusted proxies; None: there are none."""
    networks = names_in(config.server.trusted_proxies)
    return Networks(networks) if networks else None


def listen(address: str, backlog: int) -> socket.socket:
    """A socket that listens on "host:port".

    Raises:
        StartError: the system refuses.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family, backlog=backlog)
    except OSError as error:
        raise StartError(f"server.listen {address}: {reason_of(error)}") from error


def open_access_log(path: str) -> AccessLog:
    """The access log at `path`.

    Raises:
        StartError: it cannot be written.
    """
    try:
        return AccessLog(path)
    except OSError as error:
        raise StartError(f"log.access {path}: {error.strerror}") from error


def server_tls(config: Config) -> TlsContext | None:
    """What the S3 port speaks TLS with; None: it does not.

    Raises:
        StartError: certificate or key cannot be used.
    """
    if not config.server.tls_cert:
        return None
    try:
        return TlsContext(config.server.tls_cert, config.server.tls_key)
    except TlsConfigError as error:
        raise StartError(f"server.tls_cert: {error}") from error


def upstream_trust(config: Config) -> ssl.SSLContext:
    """Whom connections to S3 backends trust.

    Raises:
        StartError: the file of authorities cannot be used.
    """
    try:
        return client_context(config.upstream.ca_file or None)
    except TlsConfigError as error:
        raise StartError(f"upstream.ca_file: {error}") from error


def reason_of(error: OSError) -> str:
    """What the system says, without the address that the line names already."""
    return (error.strerror or str(error)).partition(" (while ")[0]
