"""Multipart uploads of an attached directory, written where they will stay.

    uploads/<id>/upload.json      the key
    uploads/<id>/sized.<s>        parts of s bytes, part n at offset (n - 1) * s
    uploads/<id>/part.<n>.<k>     a part that was sent again, or while the upload completes
    uploads/<id>/<n>.json         file and offset of part n, written when its bytes are durable

Parts of one size thus lie in order in one file, which becomes the object by a link; only a last,
shorter part is copied behind them, and parts of unequal sizes are copied into a new file, inside
the kernel. All of it outlives a restart; what an interrupted part wrote is overwritten by the next.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec

from s3proxy.backends.disk import Disk, sync_directory
from s3proxy.backends.errors import InvalidPart, NoSuchUpload
from s3proxy.backends.store import PutOptions, Stat
from s3proxy.http.body import ByteSource

UPLOAD_ID_BYTES = 16


class UploadState(msgspec.Struct, frozen=True):
    """What an upload is for."""

    key: str


class PartPlace(msgspec.Struct, frozen=True):
    """Where one part's bytes are."""

    file: str
    offset: int
    size: int


class Uploads:
    """The uploads of one attached directory."""

    def __init__(self, directory: Path, disk: Disk, *, backend: str, durable: bool) -> None:
        self._directory = directory
        self._disk = disk
        self._backend = backend
        self._durable = durable
        self._numbers = itertools.count()
        self._writing: dict[str, int] = {}  # upload id -> parts being written at their offsets
        self._completing: set[str] = set()

    async def create(self, key: str) -> str:
        """Begin an upload; its id is 32 hex digits."""
        upload_id = secrets.token_hex(UPLOAD_ID_BYTES)

        def make() -> None:
            directory = self._directory / upload_id
            directory.mkdir(parents=True)
            self._write(directory / "upload.json", msgspec.json.encode(UploadState(key)))
            if self._durable:
                sync_directory(str(directory))
                sync_directory(str(self._directory))

        await self._disk.run(make)
        return upload_id

    async def put_part(
        self, key: str, upload_id: str, number: int, source: ByteSource, options: PutOptions
    ) -> Stat:
        """Write a part and remember where; an earlier one of the same number stays until then."""
        directory = self._find(key, upload_id)
        with self._place(directory, upload_id, number, options.length) as place:
            fd = os.open(directory / place.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                size = await self._disk.write(
                    fd, source, length=options.length, offset=place.offset
                )
                place = msgspec.structs.replace(place, size=size)
                await self._disk.run(self._record, fd, directory, number, place)
                return Stat(size=size, modified_ns=os.fstat(fd).st_mtime_ns)
            finally:
                os.close(fd)

    @asynccontextmanager
    async def assembled(
        self, key: str, upload_id: str, numbers: Sequence[int]
    ) -> AsyncIterator[tuple[int, Path]]:
        """The file that holds the named parts one after the other, and its path, to be linked.

        Raises:
            NoSuchUpload, InvalidPart.
        When the block or the assembling fails, the upload is as it was and may be completed again.
        """
        directory = self._find(key, upload_id)
        if not numbers:
            raise InvalidPart("complete_upload", key, "no parts are named", self._backend)
        in_use = upload_id in self._completing or self._writing.get(upload_id, 0) > 0
        self._completing.add(upload_id)
        try:
            recorded = await self._disk.run(_recorded, directory)
            places = [self._part(key, recorded, number) for number in numbers]
            base = "" if in_use else _base(directory, recorded, numbers)
            name = base or f"whole.{next(self._numbers)}"
            fd = os.open(directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                await self._gather(directory, fd, places, base)
                yield fd, directory / name
            finally:
                os.close(fd)
                if not base:
                    (directory / name).unlink(missing_ok=True)
        finally:
            self._completing.discard(upload_id)

    async def remove(self, upload_id: str) -> None:
        """Forget an upload and its parts; one that is not there is no error."""
        if not _is_id(upload_id):
            return
        directory = self._directory / upload_id

        def remove() -> None:
            with contextlib.suppress(FileNotFoundError):
                # First out of sight in one step, so that no half-removed upload can be completed.
                gone = directory.rename(directory.with_name(f"removed.{upload_id}"))
                shutil.rmtree(gone)

        await self._disk.run(remove)

    def remove_leftovers(self) -> int:
        """Finish removals that were interrupted; how many. Blocks."""
        leftovers = list(self._directory.glob("removed.*"))
        for directory in leftovers:
            shutil.rmtree(directory, ignore_errors=True)
        return len(leftovers)

    def remove_unknown(self, known: Collection[str]) -> int:
        """Remove uploads whose ids are not among `known`; how many. Blocks."""
        unknown = [
            directory
            for directory in self._directory.glob("*")
            if _is_id(directory.name) and directory.name not in known
        ]
        for directory in unknown:
            shutil.rmtree(directory, ignore_errors=True)
        return len(unknown)

    def _write(self, path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data)
            if self._durable:
                file.flush()
                os.fsync(file.fileno())

    def _find(self, key: str, upload_id: str) -> Path:
        directory = self._directory / upload_id
        state = None
        if _is_id(upload_id):
            with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
                content = (directory / "upload.json").read_bytes()
                state = msgspec.json.decode(content, type=UploadState)
        if state is None or state.key != key:
            raise NoSuchUpload("multipart", key, "no such upload of this key", self._backend)
        return directory

    def _part(self, key: str, recorded: dict[int, PartPlace], number: int) -> PartPlace:
        if number not in recorded:
            raise InvalidPart("complete_upload", key, f"part {number} was not sent", self._backend)
        return recorded[number]

    @contextmanager
    def _place(
        self, directory: Path, upload_id: str, number: int, length: int
    ) -> Iterator[PartPlace]:
        """Where to write a part without touching what may already be part of something."""
        taken = f"{upload_id}/{number}"
        sized = f"sized.{length}"
        sent = (directory / f"{number}.json").exists() or taken in self._writing
        private = length > 0 and _is_private(directory / sized)
        if sent or not private or upload_id in self._completing:
            yield PartPlace(f"part.{number}.{secrets.token_hex(4)}", 0, length)
            return
        self._writing[upload_id] = self._writing.get(upload_id, 0) + 1
        self._writing[taken] = 1
        try:
            yield PartPlace(sized, (number - 1) * length, length)
        finally:
            del self._writing[taken]
            self._writing[upload_id] -= 1
            if not self._writing[upload_id]:
                del self._writing[upload_id]

    def _record(self, fd: int, directory: Path, number: int, place: PartPlace) -> None:
        path = directory / f"{number}.json"
        temporary = directory / f"{number}.{secrets.token_hex(4)}"
        self._write(temporary, msgspec.json.encode(place))
        if self._durable:
            os.fsync(fd)
        before = _read_place(path)
        temporary.rename(path)
        if self._durable:
            sync_directory(str(directory))
        if before is not None and before.file.startswith("part."):
            (directory / before.file).unlink(missing_ok=True)

    async def _gather(self, directory: Path, fd: int, places: list[PartPlace], base: str) -> None:
        at = 0
        for place in places:
            if place.file != base:
                source_fd = os.open(directory / place.file, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    span = (place.offset, place.offset + place.size)
                    await self._disk.copy(source_fd, fd, span, at)
                finally:
                    os.close(source_fd)
            at += place.size
        os.ftruncate(fd, at)


def _base(directory: Path, recorded: dict[int, PartPlace], numbers: Sequence[int]) -> str:
    """The file that can become the object as it stands, but for parts to be copied into it.

    That is the file of part 1, when every part in it is named and stands where the object has it.
    It must not have been linked by a Complete that a crash kept from removing the upload.
    """
    base = recorded[numbers[0]].file
    if recorded[numbers[0]].offset or not _is_private(directory / base):
        return ""
    named = set(numbers)
    if any(place.file == base and number not in named for number, place in recorded.items()):
        return ""
    at = 0
    for number in numbers:
        place = recorded[number]
        if place.file == base and place.offset != at:
            return ""
        at += place.size
    return base


def _is_private(path: Path) -> bool:
    """Whether writing to the file changes no object: it is new, or has no second name."""
    if not path.name.startswith("sized."):
        return False
    try:
        return path.stat().st_nlink == 1
    except FileNotFoundError:
        return True


def _recorded(directory: Path) -> dict[int, PartPlace]:
    places = {}
    for path in directory.glob("*.json"):
        place = _read_place(path) if path.stem.isdecimal() else None
        if place is not None:
            places[int(path.stem)] = place
    return places


def _read_place(path: Path) -> PartPlace | None:
    with contextlib.suppress(FileNotFoundError):
        return msgspec.json.decode(path.read_bytes(), type=PartPlace)
    return None


def _is_id(upload_id: str) -> bool:
    return len(upload_id) == 2 * UPLOAD_ID_BYTES and upload_id.isalnum() and upload_id.isascii()
