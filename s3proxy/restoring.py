"""Putting a copy of the catalog in the place of the catalog, while no gateway runs.

The copy is brought beside the catalog first, checked and settled there, and then takes its name in
one step: whatever interrupts it, the catalog is the old one or the restored one, whole.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec
import trio

from s3proxy.bootstrap import CATALOG_NAME, StartError, data_directory, open_catalog_file
from s3proxy.catalog.checking import Report, check_file
from s3proxy.catalog.master_keys import MASTER_KEY_NAME, known_ids
from s3proxy.catalog.new_file import sync_directory
from s3proxy.config import DataConfig
from s3proxy.kv.errors import KvError

_INCOMING_NAME = f"{CATALOG_NAME}.restoring"
_LOCK = "-lock"
_SHOWN_MAX = 3


class Restored(msgspec.Struct, frozen=True):
    """A catalog that was put in place.

    Attributes:
        kept: the file that the catalog before is now; "" where there was none.
        intents: writes that were under way when the copy was made.
    """

    report: Report
    kept: str
    intents: int


async def restore(
    config: DataConfig,
    source: Path,
    *,
    replace: bool,
    without_keys: bool = False,
    called: str = "",
) -> Restored:
    """Make the catalog of a data directory the one in the file `source`.

    Args:
        called: what the file is called in errors, where it is not `source`.
        replace: also where there is a catalog, which is kept under another name.
        without_keys: also where the master keys that sealed its secrets are not there.
    Raises:
        StartError: nothing was changed; says why.
    """
    with data_directory(config) as data:
        catalog = _require_place(data, replace=replace)
        called = called or str(source)
        with _incoming(data, source, called) as incoming:
            report = await _checked(incoming, called)
            if not without_keys:
                _require_keys(data, report)
            intents = await _settled(config, incoming, keys_lost=without_keys)
            kept = _keep(catalog)
            _put(incoming, catalog)
        return Restored(report, kept, intents)


@contextmanager
def fetched(config: DataConfig, *, replace: bool) -> Iterator[IO[bytes]]:
    """A file without a name in the data directory, for a backup that comes from elsewhere.

    Raises:
        StartError: as `restore`, before anything is brought here.
    """
    with data_directory(config) as data:
        _require_place(data, replace=replace)
    try:
        file = tempfile.TemporaryFile(dir=data, buffering=0)  # noqa: SIM115 - the next line
    except OSError as error:
        raise StartError(f"{data}: {error.strerror}") from error
    with file:
        yield file


@contextmanager
def _incoming(data: Path, source: Path, called: str) -> Iterator[Path]:
    """The copy beside the catalog; gone at the end, unless it has another name by then."""
    path = data / _INCOMING_NAME
    _remove(path)  # a restore that was killed
    try:
        with source.open("rb") as reading:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as writing:
                shutil.copyfileobj(reading, writing, 1 << 20)
    except OSError as error:
        _remove(path)
        where = called if error.filename == str(source) else data
        raise StartError(f"restore {called}: {where}: {error.strerror}") from error
    try:
        yield path
    finally:
        _remove(path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    Path(f"{path}{_LOCK}").unlink(missing_ok=True)


def _require_place(data: Path, *, replace: bool) -> Path:
    catalog = data / CATALOG_NAME
    if catalog.exists() and not replace:
        raise StartError(
            f"{catalog} is there: --replace puts the restored one in its place and keeps it"
        )
    return catalog


async def _checked(incoming: Path, called: str) -> Report:
    try:
        report = await check_file(str(incoming), in_use=False)
    except KvError as error:
        raise StartError(f"restore {called}: {error.hint}") from error
    if report.sound:
        return report
    found = "; ".join(report.problems[:_SHOWN_MAX])
    raise StartError(f"restore {called}: {report.problems_count} rows are not sound: {found}")


def _require_keys(data: Path, report: Report) -> None:
    try:
        missing = sorted(report.master_keys.keys() - known_ids(data))
    except OSError as error:
        raise StartError(f"data.dir {data}: master key: {error.strerror}") from error
    if missing:
        names = ", ".join(missing)
        raise StartError(
            f"its secrets are sealed under the master key {names}, which is not in {data}: put that"
            f" file there as {MASTER_KEY_NAME}, or as {MASTER_KEY_NAME}.{missing[0]} beside the one"
            " in place; --without-keys restores all the same, and what it sealed stays closed"
        )


async def _settled(config: DataConfig, incoming: Path, *, keys_lost: bool) -> int:
    """Forget what was under way, and sync all of the file; how many writes that were."""
    async with open_catalog_file(config, incoming, keys_lost=keys_lost) as (catalog, _):
        intents = await catalog.forget_intents()
    descriptor = os.open(incoming, os.O_RDONLY | os.O_CLOEXEC)
    try:
        await trio.to_thread.run_sync(os.fsync, descriptor)
    finally:
        os.close(descriptor)
    return intents


def _put(incoming: Path, catalog: Path) -> None:
    try:
        incoming.replace(catalog)
        # It told of the other file's readers.
        Path(f"{catalog}{_LOCK}").unlink(missing_ok=True)
        sync_directory(catalog.parent)
    except OSError as error:
        raise StartError(f"{catalog}: {error.strerror}") from error


def _keep(catalog: Path) -> str:
    """A second name for the catalog in place; "" where there is none."""
    if not catalog.exists():
        return ""
    now_s, rest_ns = divmod(time.time_ns(), 1_000_000_000)
    made = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now_s))}.{rest_ns // 1000:06d}Z"
    kept = catalog.with_name(f"{CATALOG_NAME}.replaced-{made}")
    try:
        os.link(catalog, kept)
    except OSError as error:
        raise StartError(f"{kept}: {error.strerror}") from error
    return str(kept)
