"""The master key is exchanged while clients write: no request fails, nothing needs the old key."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import httpx
import pytest

from tests.gateways import ACCESS_KEY, REGION, SECRET_KEY, Gateway

pytestmark = pytest.mark.slow

LARGE = 300_000
ROTATIONS = 4
SSE = {"ServerSideEncryption": "AES256"}


class Writers:
    """Threads that put, read back and complete uploads until told to stop."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._stop = threading.Event()
        self.written: dict[str, bytes] = {}
        self.errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._run, args=(self._put, "put")),
            threading.Thread(target=self._run, args=(self._put, "more")),
            threading.Thread(target=self._run, args=(self._upload, "parts")),
        ]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, write: Callable[[Any, str, bytes], None], name: str) -> None:
        client = self._gateway.client()
        number = 0
        try:
            while not self._stop.is_set():
                key = f"{name}-{number}"
                body = key.encode() * (1 if number % 2 else LARGE // len(key))
                write(client, key, body)
                assert read(client, key) == body
                self.written[key] = body
                number += 1
        except BaseException as error:
            self.errors.append(error)

    def _put(self, client: Any, key: str, body: bytes) -> None:
        client.put_object(Bucket="www", Key=key, Body=body, **SSE)

    def _upload(self, client: Any, key: str, body: bytes) -> None:
        upload = client.create_multipart_upload(Bucket="www", Key=key, **SSE)
        named = {"Bucket": "www", "Key": key, "UploadId": upload["UploadId"]}
        part = client.upload_part(**named, PartNumber=1, Body=body)
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        client.complete_multipart_upload(**named, MultipartUpload=parts)


def read(client: Any, key: str) -> bytes:
    body: bytes = client.get_object(Bucket="www", Key=key)["Body"].read()
    return body


class SlowPut:
    """A PUT whose body begins at once and ends when told to."""

    def __init__(self, gateway: Gateway, key: str) -> None:
        self._url = f"{gateway.url}/www/{key}"
        self._begun, self._end = threading.Event(), threading.Event()
        self.status, self.answer = 0, ""
        self._thread = threading.Thread(target=self._send)
        self._thread.start()
        self._begun.wait()

    def _send(self) -> None:
        request = botocore.awsrequest.AWSRequest(
            method="PUT",
            url=self._url,
            headers={
                "x-amz-server-side-encryption": "AES256",
                "content-length": str(LARGE),
            },
            data=b"s" * LARGE,
        )
        credentials = botocore.credentials.Credentials(ACCESS_KEY, SECRET_KEY)
        botocore.auth.S3SigV4Auth(credentials, "s3", REGION).add_auth(request)

        def body() -> Any:
            yield b"s" * (LARGE - 1)
            self._begun.set()
            self._end.wait()
            yield b"s"

        answer = httpx.put(self._url, headers=dict(request.headers), content=body(), timeout=60)
        self.status, self.answer = answer.status_code, answer.text

    def finish(self) -> None:
        self._end.set()
        self._thread.join()


def test_rotation_under_load_fails_no_request_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with Gateway(tmp_path / "gateway") as gateway:
        client = gateway.client()
        client.create_bucket(Bucket="www")
        upload = client.create_multipart_upload(Bucket="www", Key="early", **SSE)
        named = {"Bucket": "www", "Key": "early", "UploadId": upload["UploadId"]}
        slow = SlowPut(gateway, "slow")
        with Writers(gateway) as writers:
            for _ in range(ROTATIONS):
                before = len(writers.written)
                rotated = gateway.run("master-key", "rotate")
                assert rotated.returncode == 0, rotated.stderr
                for former in (gateway.folder / "data").glob("master.key.*"):
                    former.unlink()
                while len(writers.written) < before + 6 and not writers.errors:
                    writers._stop.wait(0.01)
        assert writers.errors == []
        slow.finish()
        assert slow.status == 200, slow.answer
        part = client.upload_part(**named, PartNumber=1, Body=b"part")
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        client.complete_multipart_upload(**named, MultipartUpload=parts)
        assert gateway.run("master-key", "reseal").stdout == "sealed anew: 0\n"
        gateway.stop()
        gateway.start()
        expected = {**writers.written, "slow": b"s" * LARGE, "early": b"part"}
        for key, body in expected.items():
            assert read(client, key) == body, key
