"""Clients of the chaos test: boto3 as people use it, each answer held against the model."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.faults.chaos_model import State, Truth
from tests.faults.healing import Placed, places_of
from tests.gateways import Gateway, client

BUCKET = "chaos"
KIB, MIB = 1 << 10, 1 << 20
SIZES = (0, 10, 2 * KIB, 2 * KIB, 20 * KIB, 20 * KIB, 100 * KIB, 300 * KIB)
LARGE, LARGE_SHARE = 3 * MIB, 0.03  # more than the gateway keeps to send it once more
MULTIPART_SHARE = 0.01
OWN_KEYS_READ = 0.7  # of the reads; the others are of keys that somebody else is writing
AFTER_FAILURE_S = 0.2  # as somebody would who is not a test
# What botocore raises from a body that ends too early, beside its own errors.
BROKEN = (BotoCoreError, OSError)
# LMDB opens a file once in a process.
_ONE_CATALOG = threading.Lock()


@dataclass(frozen=True)
class Failure:
    """A request that default retries did not save; times are of the monotonic clock.

    Attributes:
        places: of a read, where the bytes of the object were just after it; None: it needs none.
    """

    action: str
    key: str
    error: Exception
    started: float
    ended: float
    places: list[list[Placed]] | None = None

    def __str__(self) -> str:
        took_s = self.ended - self.started
        return f"{self.action} {self.key} after {took_s:.1f} s: {self.error!r}"


@dataclass
class Record:
    """What all clients saw.

    Attributes:
        wrong: answers that no order of what was asked for explains.
    """

    done: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Client(threading.Thread):
    """Writes and removes its own keys, reads anybody's, until it is told to stop.

    Attributes:
        first: how many objects to write before anything else; then it is `filled`.
    """

    def __init__(
        self,
        gateway: Gateway,
        number: int,
        *,
        truth: Truth,
        record: Record,
        seed: str,
        keys: int,
    ) -> None:
        super().__init__(daemon=True, name=f"client-{number}")
        # Default retries and default time-outs: they are what is promised to be enough.
        self._s3 = client(gateway.url, retries={})
        self._gateway = gateway
        self._random = random.Random(f"{seed} {number}")
        self._truth, self._record = truth, record
        self._number, self._keys = number, keys
        self._turn = 0
        self._made = 0
        self.stopping = threading.Event()
        self.filled = threading.Event()
        self.pause_s = 0.02
        self.first = 0

    def run(self) -> None:
        try:
            while self._made < self.first:
                self._put_new()
            self.filled.set()
            self._act()
        except Exception as error:  # a thread tells its error by the test
            self._record.wrong.append(f"{self.name} ended: {error!r}")
            raise
        finally:
            self.filled.set()
            self._s3.close()

    def _act(self) -> None:
        weighted = {
            self._put_new: 12,
            self._put_again: 3,
            self._get: 6,
            self._get_range: 3,
            self._head: 2,
            self._list: 1,
            self._remove: 2,
            self._copy: 1,
        }
        actions, weights = list(weighted), list(weighted.values())
        while not self.stopping.wait(self.pause_s * self._random.random() * 2):
            chosen = self._random.choices(actions, weights)[0]
            (self._multipart if self._random.random() < MULTIPART_SHARE else chosen)()

    def _own_key(self) -> str:
        return f"c{self._number}/{self._random.randrange(max(self._made, 1)):05} ü"

    def _new_key(self) -> str:
        if self._made >= self._keys:
            return self._own_key()
        self._made += 1
        return f"c{self._number}/{self._made - 1:05} ü"

    def _any_key(self) -> str:
        if self._random.random() < OWN_KEYS_READ:
            return self._own_key()
        keys = self._truth.known_keys()
        return self._random.choice(keys) if keys else self._own_key()

    @contextlib.contextmanager
    def _counted(self, action: str, key: str, mark: int | None = None) -> Iterator[None]:
        """A failed request is recorded, and what the client meant to do next is not done."""
        started = time.monotonic()
        try:
            yield
            self._record.done[action] += 1
        except (ClientError, *BROKEN) as error:
            ended = time.monotonic()
            with _ONE_CATALOG:
                places = None if mark is None else places_of(self._gateway, BUCKET, key)
            failure = Failure(action, key, error, started, ended, places)
            self._record.failures.append(failure)
            self.stopping.wait(AFTER_FAILURE_S)

    def _new_state(self, key: str, sizes: tuple[int, ...]) -> State:
        self._turn += 1
        return State(key, self._turn, sizes)

    def _change(self, action: str, key: str, state: State | None, do: Callable[[], Any]) -> None:
        change = self._truth.tried(key, state)
        with self._counted(action, key):
            do()
            self._truth.acknowledged(key, change)

    def _put_new(self) -> None:
        self._put(self._new_key())

    def _put_again(self) -> None:
        self._put(self._own_key())

    def _put(self, key: str) -> None:
        large = self._random.random() < LARGE_SHARE
        state = self._new_state(key, (LARGE if large else self._random.choice(SIZES),))
        put = {"Bucket": BUCKET, "Key": key, "Body": state.body}
        self._change("put", key, state, lambda: self._s3.put_object(**put))

    def _remove(self) -> None:
        key = self._own_key()
        self._change("delete", key, None, lambda: self._s3.delete_object(Bucket=BUCKET, Key=key))

    def _copy(self) -> None:
        """A copy has the content of its source, of which only one may be possible."""
        source = self._own_key()
        (found, *more) = self._truth.allowed(source)
        if found is None or more or len(found.sizes) > 1:
            return
        key = self._new_key()
        state = State(found.key, found.turn, found.sizes)
        copy = {"Bucket": BUCKET, "Key": key, "CopySource": {"Bucket": BUCKET, "Key": source}}
        change = self._truth.tried(key, state)
        with self._counted("copy", source, self._truth.mark(source)):
            self._s3.copy_object(**copy)
            self._truth.acknowledged(key, change)

    def _multipart(self) -> None:
        key = self._own_key()
        state = self._new_state(key, (5 * MIB, self._random.choice(SIZES) + 1))
        change = self._truth.tried(key, state)
        upload = {"Bucket": BUCKET, "Key": key}
        with self._counted("multipart", key):
            upload["UploadId"] = self._s3.create_multipart_upload(**upload)["UploadId"]
            sent = []
            for number, piece in enumerate(state.pieces, 1):
                part = self._s3.upload_part(**upload, PartNumber=number, Body=piece)
                sent.append({"PartNumber": number, "ETag": part["ETag"]})
            self._s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": sent})
            self._truth.acknowledged(key, change)

    def _get(self) -> None:
        key = self._any_key()
        mark = self._truth.mark(key)
        with self._counted("get", key, mark):
            body = self._read(key)
            allowed = self._truth.allowed(key, mark)
            if not any(body == (state.body if state else None) for state in allowed):
                self._wrong("get", key, allowed, body)

    def _get_range(self) -> None:
        key = self._own_key()
        mark = self._truth.mark(key)
        sizes = [state.size for state in self._truth.allowed(key) if state]
        if not sizes or min(sizes) < 10:
            return
        first = self._random.randrange(min(sizes) - 1)
        last = self._random.randrange(first, min(sizes))
        with self._counted("get range", key, mark):
            body = self._read(key, Range=f"bytes={first}-{last}")
            allowed = self._truth.allowed(key, mark)
            parts = [state.body[first : last + 1] if state else None for state in allowed]
            if body not in parts:
                self._wrong(f"get {first}-{last}", key, allowed, body)

    def _read(self, key: str, **options: str) -> bytes | None:
        """The body; None: there is no such object."""
        try:
            read: bytes = self._s3.get_object(Bucket=BUCKET, Key=key, **options)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            return None
        return read

    def _head(self) -> None:
        key = self._any_key()
        mark = self._truth.mark(key)
        with self._counted("head", key):
            try:
                found = self._s3.head_object(Bucket=BUCKET, Key=key)["ETag"].strip('"')
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                    raise
                found = None
            allowed = self._truth.allowed(key, mark)
            if not any(found == (state.etag if state else None) for state in allowed):
                self._wrong("head", key, allowed, found)

    def _list(self) -> None:
        """Its own keys, which nobody else changes meanwhile."""
        prefix = f"c{self._number}/"
        with self._counted("list", prefix):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
            items = [item for page in pages for item in page.get("Contents", ())]
            listed = {item["Key"]: item["ETag"].strip('"') for item in items}
            for key in [key for key in self._truth.known_keys() if key.startswith(prefix)]:
                allowed = self._truth.allowed(key)
                found = listed.pop(key, None)
                if not any(found == (state.etag if state else None) for state in allowed):
                    self._wrong("list", key, allowed, found)
            if listed:
                self._record.wrong.append(f"list shows what nobody wrote: {sorted(listed)[:10]}")

    def _wrong(
        self, action: str, key: str, allowed: list[State | None], found: bytes | str | None
    ) -> None:
        seen = found if isinstance(found, str) or found is None else f"{len(found)} bytes"
        turns = [(state.turn, state.sizes) if state else None for state in allowed]
        self._record.wrong.append(f"{action} {key}: {seen}, where {turns} were possible")
