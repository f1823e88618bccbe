"""Whether a file is a sound catalog: every row is read; run in a process of its own.

    python -m s3proxy.catalog.checking FILE in-use|alone

Records have to decode in the format that this version knows, inline bytes have to be there with
their size, and nothing may be of a kind that this version does not know. What is sealed is not
opened: the master keys that it needs are only named. Backends are not asked.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from s3proxy.catalog import tables
from s3proxy.catalog.errors import UnsupportedRecord
from s3proxy.catalog.records import BlobRef, ObjectRecord, PartRecord, UploadRecord
from s3proxy.catalog.seal import sealed_by
from s3proxy.kv.apart import answer, run_apart
from s3proxy.kv.engine import Snapshot
from s3proxy.kv.errors import InvalidStore
from s3proxy.kv.lmdb_open import open_snapshot
from s3proxy.s3.encryption import AES256

PROBLEMS_SHOWN_MAX = 100
# In trees of keys, ids lie between the records: they begin with 0, a record with its highest bit.
_RECORD_FIRST_BYTE = 0x80
_TREES = frozenset({tables.OBJECTS, tables.VERSIONS, tables.UPLOADS, tables.ATTRIBUTES})
# How the records of a keyspace decode, where that is not the codec of its own name.
_CODECS: dict[str, tables.Codec[Any]] = {
    tables.BUCKET_CONFIGS: tables.configs,
    tables.VERSIONS: tables.objects,
    tables.DEAD_EVENTS: tables.events,
}


def codec_of(keyspace: str) -> tables.Codec[Any] | None:
    """What decodes the records of a keyspace; None: its values are no records."""
    return _CODECS.get(keyspace) or getattr(tables, keyspace, None)


class Report(msgspec.Struct):
    """What a check found.

    Attributes:
        rows: of each keyspace.
        problems: the first of them, each a line; `problems_count` is of all.
        master_keys: ids (hex) of the master keys that sealed something, with how many rows.
    """

    rows: dict[str, int]
    problems: list[str]
    problems_count: int
    master_keys: dict[str, int]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems_count


async def check_file(path: str, *, in_use: bool) -> Report:
    """Read all of the catalog in the file `path`.

    Args:
        in_use: a gateway may be running on it; its file may grow while the check goes on.
    Raises:
        InvalidStore: the file is no database, no catalog, or so damaged that it cannot be read.
        KvError: it cannot be opened.
    """
    found = await run_apart(__name__, path, "in-use" if in_use else "alone")
    return msgspec.json.decode(found, type=Report)


class Checker:
    """Reads one snapshot; `report` has what was found so far."""

    def __init__(self, view: Snapshot) -> None:
        self._view = view
        self.report = Report({}, [], 0, {})
        self._more: dict[type, Callable[[str, msgspec.Struct], None]] = {
            ObjectRecord: self._object,
            UploadRecord: self._upload,
            PartRecord: self._part,
        }

    def check(self, names: list[str]) -> Report:
        """Read the keyspaces of these names."""
        for name in names:
            if name in tables.KEYSPACES:
                self.report.rows[name] = sum(1 for _ in self._read(name))
            else:
                self._problem(f"{name}: a keyspace that this version does not know")
        return self.report

    def _read(self, keyspace: str) -> Iterator[None]:
        codec = codec_of(keyspace)
        for key, value in self._view.scan(keyspace, b""):
            yield
            if codec is None or (keyspace in _TREES and value[:1] < bytes((_RECORD_FIRST_BYTE,))):
                continue
            try:
                record = codec.decode(value)
            except UnsupportedRecord as error:
                self._problem(f"{keyspace} {key!r}: {error}")
                continue
            where = f"{keyspace} {key!r}"
            more = self._more.get(type(record))
            if more is not None:
                more(where, record)
            elif keyspace == tables.KEYS:
                self._sealed(record.sealed_secret)

    def _object(self, where: str, record: msgspec.Struct) -> None:
        assert isinstance(record, ObjectRecord)
        for blob in record.blobs:
            self._inline(where, blob)
        if record.encryption is not None and record.encryption.kind == AES256:
            self._sealed(record.encryption.sealed_key)

    def _upload(self, where: str, record: msgspec.Struct) -> None:
        assert isinstance(record, UploadRecord)
        if record.encryption is not None and record.encryption.kind == AES256:
            self._sealed(record.encryption.sealed_key)

    def _part(self, where: str, record: msgspec.Struct) -> None:
        assert isinstance(record, PartRecord)
        if record.blob is not None:
            self._inline(where, record.blob)

    def _inline(self, where: str, blob: BlobRef) -> None:
        if blob.backend:
            return
        found = self._view.get(tables.INLINE, blob.id.encode())
        if found is None or len(found) != blob.size:
            size = "nothing" if found is None else f"{len(found)} bytes"
            self._problem(f"{where}: {blob.size} bytes belong in {blob.id}, found {size}")

    def _sealed(self, sealed: bytes) -> None:
        key_id = sealed_by(sealed)
        self.report.master_keys[key_id] = self.report.master_keys.get(key_id, 0) + 1

    def _problem(self, line: str) -> None:
        self.report.problems_count += 1
        if len(self.report.problems) < PROBLEMS_SHOWN_MAX:
            self.report.problems.append(line)


def _check(path: str, in_use: bool) -> bytes:
    with open_snapshot(path, in_use=in_use) as (view, names):
        if not {tables.META, tables.BUCKETS, tables.OBJECTS} <= set(names):
            raise InvalidStore("read", path, "a database, but no catalog of s3proxy")
        return msgspec.json.encode(Checker(view).check(names))


if __name__ == "__main__":
    answer(lambda: _check(sys.argv[1], sys.argv[2] == "in-use"))
