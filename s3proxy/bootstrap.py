"""What must be in place before the gateway serves: data directory, catalog, root key."""

from __future__ import annotations

import fcntl
import os
import resource
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import trio

from s3proxy.catalog.access_keys import NewKey
from s3proxy.catalog.catalog import Catalog
from s3proxy.catalog.master_keys import MASTER_KEY_NAME, known_ids, open_sealer
from s3proxy.catalog.resealing import sealers
from s3proxy.catalog.seal import Sealer
from s3proxy.catalog.tables import KEYSPACES
from s3proxy.config import DataConfig
from s3proxy.kv.lmdb_engine import LmdbEngine
from s3proxy.s3.tenants import ROOT_USER

LOCK_NAME = "gateway.lock"
CATALOG_NAME = "catalog.lmdb"

# Descriptors that are not for clients: catalog, logs, threads, the collector, idle upstreams.
FILES_KEPT = 256
# A client's connection, and for every other one a file that it is answered from; connections to
# upstreams, and their pipes, are far fewer.
FILES_PER_CONNECTION = 1.5


class StartError(Exception):
    """The gateway cannot start; the text tells a person what to do."""


def connections_limit(wanted: int) -> int:
    """Raise the limit on open files as far as it goes; how many of `wanted` connections it allows.

    Beyond that number new connections take the place of idle ones, while files can still be opened.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = int(wanted * FILES_PER_CONNECTION) + FILES_KEPT
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
    return min(wanted, max(1, int((allowed - FILES_KEPT) / FILES_PER_CONNECTION)))


@contextmanager
def data_directory(config: DataConfig) -> Iterator[Path]:
    """The data directory, made when absent and locked: one gateway at a time serves from it.

    Commands such as `key create` do not take the lock; LMDB lets several processes in.
    """
    data = _made(config)
    try:
        lock = os.open(data / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(f"data.dir {data}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise StartError(
            f"data.dir {data} is in use by another s3proxy; stop it or choose another data.dir"
        ) from error
    try:
        yield data
    finally:
        os.close(lock)


def has_catalog(config: DataConfig) -> bool:
    """Whether a catalog is in the data directory."""
    return (Path(config.dir) / CATALOG_NAME).exists()


def is_served(config: DataConfig) -> bool:
    """Whether a gateway, or a command that takes its place, has the data directory now."""
    try:
        lock = os.open(Path(config.dir) / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def _made(config: DataConfig) -> Path:
    data = Path(config.dir)
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"data.dir {data}: {error.strerror}") from error
    return data


def _sealer(data: Path, engine: LmdbEngine, *, keys_lost: bool) -> Sealer:
    try:
        if not keys_lost and not (data / MASTER_KEY_NAME).exists():
            _require_none_sealed(data, engine)
        return open_sealer(data)
    except OSError as error:
        raise StartError(f"data.dir {data}: master key: {error.strerror}") from error


def _require_none_sealed(data: Path, engine: LmdbEngine) -> None:
    """Refuse to make a master key where one is missing: what it sealed would stay closed.

    Raises:
        StartError: names the key.
    """
    engine.open_keyspaces(KEYSPACES)
    with engine.read() as view:
        sealed = sealers(view)
    # Looked for now: another process that opens the catalog may have just made it.
    missing = sorted(sealed - known_ids(data))
    if missing:
        raise StartError(
            f"{data / MASTER_KEY_NAME} is not there: put the file back that is the master key"
            f" {', '.join(missing)}, which the catalog's secrets are sealed under; where it is lost"
            " for ever, `s3proxy catalog restore --without-keys` goes on without them"
        )


@asynccontextmanager
async def open_catalog(
    config: DataConfig, *, protected_s: float = 0.0
) -> AsyncIterator[tuple[Catalog, LmdbEngine]]:
    """The catalog with its writer running; everything queued is durable when the block ends.

    Commands open it beside a running gateway; LMDB lets several processes in.

    Args:
        protected_s: how long blobs stay that nothing points at, for backups that still name them.
    """
    path = _made(config) / CATALOG_NAME
    async with open_catalog_file(config, path, protected_s=protected_s) as opened:
        yield opened


@asynccontextmanager
async def open_catalog_file(
    config: DataConfig, path: Path, *, protected_s: float = 0.0, keys_lost: bool = False
) -> AsyncIterator[tuple[Catalog, LmdbEngine]]:
    """The catalog in a file of the data directory; see open_catalog.

    Args:
        keys_lost: a new master key takes the place of one that is not there and sealed something.
    """
    garbage_delay_s = max(config.garbage_grace_s, protected_s)
    engine = LmdbEngine(path, map_size_bytes=config.map_size_bytes)
    try:
        sealer = _sealer(path.parent, engine, keys_lost=keys_lost)
        catalog = Catalog(engine, sealer, garbage_delay_s=garbage_delay_s)
        async with trio.open_nursery() as nursery:
            await nursery.start(engine.run)
            await catalog.index_keys()
            yield catalog, engine
            nursery.cancel_scope.cancel()
    finally:
        engine.close()


async def ensure_root(catalog: Catalog, environ: Mapping[str, str]) -> NewKey | None:
    """See that the root user has a key; return it when it was made now, with its secret.

    S3PROXY_ROOT_ACCESS_KEY and S3PROXY_ROOT_SECRET_KEY preset it, at every start, so that a changed
    secret takes effect.
    """
    access_key = environ.get("S3PROXY_ROOT_ACCESS_KEY", "")
    secret_key = environ.get("S3PROXY_ROOT_SECRET_KEY", "")
    if bool(access_key) != bool(secret_key):
        raise StartError(
            "S3PROXY_ROOT_ACCESS_KEY and S3PROXY_ROOT_SECRET_KEY must both be set, or neither"
        )
    if access_key:
        await catalog.create_key(ROOT_USER, access_key, secret_key, replace=True)
        return None
    root = catalog.get_user(ROOT_USER)
    if root is not None and catalog.list_tenant_keys(root.tenant, root.user_id, limit=1):
        return None
    return await catalog.create_key(ROOT_USER)
