"""64 clients race conditional writes on one key through a real gateway: one winner each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.gateways import Gateway

RACERS = 64


def race(gateway: Gateway, attempt: Callable[[Any, int], Any]) -> list[str]:
    """Run `attempt(client, n)` from all racers at once; returns "won" or the error code of each."""
    barrier = threading.Barrier(RACERS)
    s3 = gateway.client(max_pool_connections=RACERS)
    outcomes = [""] * RACERS

    def run(number: int) -> None:
        barrier.wait()
        try:
            attempt(s3, number)
            outcomes[number] = "won"
        except ClientError as error:
            outcomes[number] = error.response["Error"]["Code"]

    threads = [threading.Thread(target=run, args=(n,)) for n in range(RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def only_one_won(outcomes: list[str], losses: set[str]) -> None:
    assert outcomes.count("won") == 1, outcomes
    assert set(outcomes) <= {"won"} | losses, outcomes


def race_rounds(gateway: Gateway, rounds: int) -> None:
    s3 = gateway.client()
    s3.create_bucket(Bucket="race")
    for number in range(rounds):
        where = {"Bucket": "race", "Key": f"key{number}"}
        size = 100 if number % 2 else 100_000  # inline, and a blob of its own

        def create(client: Any, n: int, where: Any = where, size: int = size) -> None:
            client.put_object(**where, Body=bytes([n]) * size, IfNoneMatch="*")

        only_one_won(race(gateway, create), {"PreconditionFailed", "ConditionalRequestConflict"})
        head = s3.get_object(**where)
        winner = head["Body"].read()
        assert winner == winner[:1] * size

        def replace(client: Any, n: int, where: Any = where, etag: str = head["ETag"]) -> None:
            client.put_object(**where, Body=b"new%d" % n, IfMatch=etag)

        only_one_won(race(gateway, replace), {"PreconditionFailed", "ConditionalRequestConflict"})
        race_completes(gateway, s3, {"Bucket": "race", "Key": f"parts{number}"})


def race_completes(gateway: Gateway, s3: Any, where: dict[str, str]) -> None:
    """Each racer completes an upload of its own on the same key, `If-None-Match: *`."""
    uploads = [
        {**where, "UploadId": s3.create_multipart_upload(**where)["UploadId"]}
        for _ in range(RACERS)
    ]
    etags = [
        s3.upload_part(**u, PartNumber=1, Body=b"p%d" % n)["ETag"] for n, u in enumerate(uploads)
    ]

    def complete(client: Any, n: int) -> None:
        parts = {"Parts": [{"PartNumber": 1, "ETag": etags[n]}]}
        client.complete_multipart_upload(**uploads[n], MultipartUpload=parts, IfNoneMatch="*")

    outcomes = race(gateway, complete)
    only_one_won(outcomes, {"PreconditionFailed", "ConditionalRequestConflict"})
    assert s3.get_object(**where)["Body"].read() == b"p%d" % outcomes.index("won")


@pytest.mark.slow
def test_conditional_writes_have_one_winner(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        race_rounds(gateway, 4)


@pytest.mark.soak
def test_conditional_writes_have_one_winner_1000_rounds(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        race_rounds(gateway, 1000)
