"""64 clients race conditional writes on one key through a real gateway: one winner each.

Every request has been sent but for its last byte before the last bytes go out together.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from tests.faults.conftest import Bucket, bucket_in
from tests.faults.wire import Answer, Wire, ask, signed_head
from tests.gateways import Gateway

RACERS = 64
PLACES = ("managed-disk", "attached-disk", "managed-inner", "attached-inner")
ROUNDS = 8
SOAK_ROUNDS = 1000
# What a loser may be told: the condition does not hold, or another write is just being made.
LOSSES = {"PreconditionFailed", "ConditionalRequestConflict"}


class Racers:
    """Connections that are kept from race to race, as clients keep theirs."""

    def __init__(self, gateway: Gateway, stack: ExitStack) -> None:
        self._gateway = gateway
        self._stack = stack
        self._wires = [self._connect() for _ in range(RACERS)]

    def _connect(self) -> Wire:
        return self._stack.enter_context(Wire(self._gateway.port, timeout_s=60))

    def race(
        self, method: str, targets: Sequence[str], headers: dict[str, str], bodies: Sequence[bytes]
    ) -> list[Answer]:
        """Send one request on each connection, all at once; the answers in order."""
        for wire, target, body in zip(self._wires, targets, bodies, strict=True):
            sent = {**headers, "Content-Length": str(len(body))}
            head = signed_head(self._gateway.port, method, target, sent).data
            wire.send(head, body[:-1])
        for wire, body in zip(self._wires, bodies, strict=True):
            wire.send(body[-1:])
        return [self._answer(number) for number in range(RACERS)]

    def _answer(self, number: int) -> Answer:
        answer = self._wires[number].read_answer()
        if not answer.keeps_open:
            self._wires[number] = self._connect()
        return answer


@contextmanager
def racers_of(gateway: Gateway) -> Iterator[Racers]:
    with ExitStack() as stack:
        yield Racers(gateway, stack)


def winner(answers: list[Answer]) -> int:
    """The number of the only one that won; all others lost properly."""
    won = [number for number, answer in enumerate(answers) if answer.status == 200]
    assert len(won) == 1, [answer.code for answer in answers]
    assert {answer.code for answer in answers} - {""} <= LOSSES
    assert {answer.status for answer in answers} <= {200, 409, 412}
    return won[0]


def race_round(racers: Racers, bucket: Bucket, number: int) -> None:
    """Create, replace, replace again what was replaced, and complete, on one new key each."""
    gateway, target = bucket.gateway, bucket.target(f"key{number}")
    size = 100 if number // len(PLACES) % 2 else 100_000  # inline where that is, or a blob
    bodies = [b"%02d" % n * (size // 2) for n in range(RACERS)]
    targets = [target] * RACERS
    won = winner(racers.race("PUT", targets, {"If-None-Match": "*"}, bodies))
    assert ask(gateway, "GET", target).body == bodies[won]
    etag = hashlib.md5(bodies[won]).hexdigest()
    bodies = [b"new%02d" % n for n in range(RACERS)]
    won = winner(racers.race("PUT", targets, {"If-Match": f'"{etag}"'}, bodies))
    assert ask(gateway, "GET", target).body == bodies[won]
    assert ask(gateway, "DELETE", target).status == 204
    race_completes(racers, bucket, f"parts{number}")


def race_completes(racers: Racers, bucket: Bucket, key: str) -> None:
    """Each racer completes an upload of its own on the same key, `If-None-Match: *`."""
    target = bucket.target(key)
    begun = racers.race("POST", [f"{target}?uploads"] * RACERS, {}, [b""] * RACERS)
    ids = [re.findall(rb"<UploadId>(.+)</UploadId>", answer.body)[0].decode() for answer in begun]
    bodies = [b"part%02d" % n for n in range(RACERS)]
    parts = [f"{target}?partNumber=1&uploadId={upload_id}" for upload_id in ids]
    for answer in racers.race("PUT", parts, {}, bodies):
        assert answer.status == 200, answer
    documents = [
        b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        b"<ETag>%s</ETag></Part></CompleteMultipartUpload>" % hashlib.md5(body).hexdigest().encode()
        for body in bodies
    ]
    completes = [f"{target}?uploadId={upload_id}" for upload_id in ids]
    won = winner(racers.race("POST", completes, {"If-None-Match": "*"}, documents))
    assert ask(bucket.gateway, "GET", target).body == bodies[won]
    assert ask(bucket.gateway, "DELETE", target).status == 204


def race_rounds(deployment: Gateway, rounds: int) -> None:
    buckets = [bucket_in(deployment, place) for place in PLACES]
    with racers_of(deployment) as racers:
        for number in range(rounds):
            race_round(racers, buckets[number % len(PLACES)], number)


@pytest.mark.slow
def test_conditional_writes_have_one_winner(deployment: Gateway) -> None:
    race_rounds(deployment, ROUNDS)


@pytest.mark.soak
def test_conditional_writes_have_one_winner_1000_rounds(deployment: Gateway) -> None:
    race_rounds(deployment, SOAK_ROUNDS)
