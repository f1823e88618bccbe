"""Multipart uploads on a managed bucket and an attached directory alike."""

import base64
import hashlib

import pytest
import trio

from s3proxy._fast.checksum import digest
from s3proxy.ops.chunk_cipher import ObjectCipher
from s3proxy.ops.encryption import open_range
from s3proxy.ops.managed import ManagedNamespace
from s3proxy.ops.payload_source import ObjectPayload
from s3proxy.s3.auth import Identity
from s3proxy.workers.collect import Collector
from tests.ops.lab import Answer, Lab, md5
from tests.s3 import policies
from tests.s3.heads import raises_s3

BUCKETS = pytest.mark.parametrize("bucket", ["www", "files"])
PIECES = (b"a" * 3000, b"b" * 2500, b"c")


class Upload:
    """One upload of `key` and the parts sent so far."""

    def __init__(self, lab: Lab, path: str, upload_id: str) -> None:
        self.lab = lab
        self.path = path
        self.id = upload_id
        self.parts: dict[int, Answer] = {}

    async def part(self, number: int, data: bytes, **headers: str) -> Answer:
        target = f"{self.path}?partNumber={number}&uploadId={self.id}"
        answer = await self.lab.put(target, data, **headers)
        self.parts[number] = answer
        return answer

    def document(self, numbers: list[int] | None = None, checksum: str = "") -> bytes:
        text = ""
        for number in numbers or sorted(self.parts):
            part = self.parts[number]
            value = part.headers[f"x-amz-checksum-{checksum}"] if checksum else ""
            extra = f"<Checksum{checksum.upper()}>{value}</Checksum{checksum.upper()}>"
            text += f"<Part><PartNumber>{number}</PartNumber><ETag>{part.etag}</ETag>"
            text += f"{extra if checksum else ''}</Part>"
        return f"<CompleteMultipartUpload>{text}</CompleteMultipartUpload>".encode()

    async def complete(
        self, numbers: list[int] | None = None, checksum: str = "", **headers: str
    ) -> Answer:
        target = f"{self.path}?uploadId={self.id}"
        return await self.lab.ask("POST", target, self.document(numbers, checksum), **headers)


async def start(lab: Lab, path: str, **headers: str) -> Upload:
    answer = await lab.ask("POST", f"{path}?uploads", **headers)
    return Upload(lab, path, answer.text("UploadId"))


async def sent(lab: Lab, path: str, pieces: tuple[bytes, ...] = PIECES) -> Upload:
    upload = await start(lab, path)
    for number, data in enumerate(pieces, 1):
        await upload.part(number, data)
    return upload


def multipart_etag(*pieces: bytes) -> str:
    digests = b"".join(hashlib.md5(data, usedforsecurity=False).digest() for data in pieces)
    return f"{md5(digests)}-{len(pieces)}"


@BUCKETS
async def test_complete_makes_one_object_of_the_parts(lab: Lab, bucket: str) -> None:
    upload = await start(lab, f"/{bucket}/k", content_type="text/x", x_amz_meta_a="1")
    for number in (3, 1, 2):  # in any order
        await upload.part(number, PIECES[number - 1])
    with raises_s3("NoSuchKey"):
        await lab.get(f"/{bucket}/k")
    done = await upload.complete()
    etag = multipart_etag(*PIECES)
    assert done.text("ETag") == f'"{etag}"'
    assert (done.text("Bucket"), done.text("Key")) == (bucket, "k")
    assert done.text("Location") == f"http://s3.example:9000/{bucket}/k"
    got = await lab.get(f"/{bucket}/k")
    assert (got.body, got.etag) == (b"".join(PIECES), etag)
    assert (got.headers["content-type"], got.headers["x-amz-meta-a"]) == ("text/x", "1")


@BUCKETS
async def test_complete_is_idempotent(lab: Lab, bucket: str) -> None:
    upload = await sent(lab, f"/{bucket}/k")
    first = await upload.complete()
    again = await upload.complete()
    assert again.text("ETag") == first.text("ETag")
    with raises_s3("NoSuchUpload"):
        await upload.complete([1, 2])
    with raises_s3("NoSuchUpload"):
        await upload.part(1, b"late" * 10)


@BUCKETS
async def test_part_sent_again_replaces_the_earlier_one(lab: Lab, bucket: str) -> None:
    upload = await sent(lab, f"/{bucket}/k")
    old = upload.parts[2]
    await upload.part(2, b"new" * 1000)
    document = upload.document().replace(upload.parts[2].etag.encode(), old.etag.encode())
    with raises_s3("InvalidPart"):
        await lab.ask("POST", f"/{bucket}/k?uploadId={upload.id}", document)
    await upload.complete()
    assert (await lab.get(f"/{bucket}/k")).body == PIECES[0] + b"new" * 1000 + PIECES[2]


@BUCKETS
async def test_complete_with_some_parts_drops_the_others(lab: Lab, bucket: str) -> None:
    upload = await sent(lab, f"/{bucket}/k")
    await upload.complete([1, 3])
    assert (await lab.get(f"/{bucket}/k")).body == PIECES[0] + PIECES[2]
    if bucket == "www":
        assert len(lab.garbage()) == 1
        assert len(set(lab.blobs()) - set(lab.garbage())) == 1


@BUCKETS
@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [("bytes=2990-3010", 2990, 3010), ("bytes=5499-", 5499, 5500), ("bytes=0-5500", 0, 5500)],
)
async def test_get_object_range_across_parts(
    lab: Lab, bucket: str, wanted: str, first: int, last: int
) -> None:
    await (await sent(lab, f"/{bucket}/k")).complete()
    got = await lab.get(f"/{bucket}/k", range=wanted)
    assert (got.status, got.body) == (206, b"".join(PIECES)[first : last + 1])


@BUCKETS
async def test_get_object_part_number_gives_that_part(lab: Lab, bucket: str) -> None:
    await (await sent(lab, f"/{bucket}/k")).complete()
    for number, data in enumerate(PIECES, 1):
        got = await lab.get(f"/{bucket}/k?partNumber={number}")
        assert (got.status, got.body) == (206, data)
        assert got.headers["x-amz-mp-parts-count"] == "3"
    head = await lab.ask("HEAD", f"/{bucket}/k?partNumber=2")
    assert (head.length, head.headers["content-range"]) == (2500, "bytes 3000-5499/5501")
    with raises_s3("InvalidPartNumber"):
        await lab.get(f"/{bucket}/k?partNumber=4")


@BUCKETS
async def test_complete_small_part_before_the_last_is_refused(lab: Lab, bucket: str) -> None:
    upload = await sent(lab, f"/{bucket}/k", (b"tiny", b"x" * 20))
    with raises_s3("EntityTooSmall") as refused:
        await upload.complete()
    assert refused.value.fields == {
        "ProposedSize": "4",
        "MinSizeAllowed": "10",
        "PartNumber": "1",
        "ETag": md5(b"tiny"),
    }
    await upload.complete([2])
    assert (await lab.get(f"/{bucket}/k")).body == b"x" * 20


@BUCKETS
async def test_complete_bad_lists_are_refused(lab: Lab, bucket: str) -> None:
    upload = await sent(lab, f"/{bucket}/k")
    path = f"/{bucket}/k?uploadId={upload.id}"
    for code, document in (
        ("MalformedXML", b""),
        ("MalformedXML", b"<CompleteMultipartUpload/>"),
        ("MalformedXML", b"no xml"),
        ("InvalidPartOrder", upload.document([2, 1])),
        ("InvalidPart", upload.document().replace(b">3<", b">4<")),
    ):
        with raises_s3(code):
            await lab.ask("POST", path, document)
    await upload.complete()


@BUCKETS
async def test_complete_announced_size_is_checked(lab: Lab, bucket: str) -> None:
    upload = await sent(lab, f"/{bucket}/k")
    with raises_s3("InvalidRequest"):
        await upload.complete(x_amz_mp_object_size="5500")
    with raises_s3("InvalidArgument"):
        await upload.complete(x_amz_mp_object_size="many")
    await upload.complete(x_amz_mp_object_size="5501")


@BUCKETS
async def test_complete_conditions_are_checked(lab: Lab, bucket: str) -> None:
    upload = await sent(lab, f"/{bucket}/k")
    await lab.put(f"/{bucket}/k", b"first")
    with raises_s3("PreconditionFailed"):
        await upload.complete(if_none_match="*")
    with raises_s3("PreconditionFailed"):
        await upload.complete(if_match='"other"')
    assert (await lab.get(f"/{bucket}/k")).body == b"first"
    await upload.complete(if_match=f'"{md5(b"first")}"')
    assert (await lab.get(f"/{bucket}/k")).body == b"".join(PIECES)


@BUCKETS
async def test_abort_forgets_upload_and_parts(lab: Lab, bucket: str) -> None:
    upload = await sent(lab, f"/{bucket}/k")
    path = f"/{bucket}/k?uploadId={upload.id}"
    assert (await lab.ask("DELETE", path)).status == 204
    for method in ("DELETE", "GET"):
        with raises_s3("NoSuchUpload"):
            await lab.ask(method, path)
    with raises_s3("NoSuchUpload"):
        await upload.complete()
    assert set(lab.blobs()) == set(lab.garbage())
    assert [path for path in lab.files.rglob("*") if path.is_file()] == []


@BUCKETS
async def test_upload_id_that_is_the_key_locks_nobody_out(lab: Lab, bucket: str) -> None:
    document = (
        b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        b"<ETag>0cc175b9c0f1b6a831c399e269772661</ETag></Part></CompleteMultipartUpload>"
    )
    with trio.fail_after(60):
        for method in ("POST", "DELETE"):
            with raises_s3("NoSuchUpload"):
                await lab.ask(method, f"/{bucket}/k?uploadId=k", document)
        await lab.put(f"/{bucket}/k", b"1")


@BUCKETS
async def test_upload_of_another_key_is_not_found(lab: Lab, bucket: str) -> None:
    upload = await sent(lab, f"/{bucket}/k")
    with raises_s3("NoSuchUpload"):
        await lab.put(f"/{bucket}/other?partNumber=1&uploadId={upload.id}", b"x")
    with raises_s3("InvalidArgument"):
        await lab.put(f"/{bucket}/k?partNumber=10001&uploadId={upload.id}", b"x")
    with raises_s3("NoSuchUpload"):
        await lab.put(f"/{bucket}/k?partNumber=1&uploadId=%C3%A9", b"x")


@BUCKETS
@pytest.mark.parametrize("algorithm", ["crc32", "sha256"])
async def test_composite_checksum_is_over_those_of_the_parts(
    lab: Lab, bucket: str, algorithm: str
) -> None:
    upload = await start(lab, f"/{bucket}/k", x_amz_checksum_algorithm=algorithm.upper())
    for number, data in enumerate(PIECES, 1):
        await upload.part(number, data)
    joined = b"".join(digest(algorithm, data) for data in PIECES)
    expected = base64.b64encode(digest(algorithm, joined)).decode() + "-3"
    with raises_s3("BadDigest"):
        await upload.complete(checksum=algorithm, **{f"x-amz-checksum-{algorithm}": "AAAAAA==-3"})
    done = await upload.complete(checksum=algorithm, **{f"x-amz-checksum-{algorithm}": expected})
    assert done.text(f"Checksum{algorithm.upper()}") == expected
    assert done.text("ChecksumType") == "COMPOSITE"
    got = await lab.get(f"/{bucket}/k", x_amz_checksum_mode="ENABLED")
    assert got.headers[f"x-amz-checksum-{algorithm}"] == expected
    part = await lab.get(f"/{bucket}/k?partNumber=2", x_amz_checksum_mode="ENABLED")
    value = base64.b64encode(digest(algorithm, PIECES[1])).decode()
    assert part.headers[f"x-amz-checksum-{algorithm}"] == value


@BUCKETS
@pytest.mark.parametrize("algorithm", ["crc32", "crc32c", "crc64nvme"])
async def test_full_object_checksum_is_that_of_the_bytes(
    lab: Lab, bucket: str, algorithm: str
) -> None:
    upload = await start(
        lab,
        f"/{bucket}/k",
        x_amz_checksum_algorithm=algorithm.upper(),
        x_amz_checksum_type="FULL_OBJECT",
    )
    for number, data in enumerate(PIECES, 1):
        await upload.part(number, data)
    with raises_s3("InvalidRequest"):
        await upload.complete(x_amz_checksum_type="COMPOSITE")
    done = await upload.complete(x_amz_checksum_type="FULL_OBJECT")
    expected = base64.b64encode(digest(algorithm, b"".join(PIECES))).decode()
    assert done.text(f"Checksum{algorithm.upper()}") == expected


@BUCKETS
async def test_part_with_another_algorithm_than_the_upload_is_refused(
    lab: Lab, bucket: str
) -> None:
    upload = await start(lab, f"/{bucket}/k", x_amz_checksum_algorithm="SHA256")
    value = base64.b64encode(digest("crc32", b"x")).decode()
    with raises_s3("InvalidRequest"):
        await upload.part(1, b"x", x_amz_checksum_crc32=value)


@BUCKETS
async def test_list_parts_pages(lab: Lab, bucket: str) -> None:
    upload = await sent(lab, f"/{bucket}/k")
    page = await lab.get(f"/{bucket}/k?uploadId={upload.id}&max-parts=2")
    assert page.texts("PartNumber") == ["1", "2"]
    assert page.texts("Size") == ["3000", "2500"]
    assert (page.text("IsTruncated"), page.text("NextPartNumberMarker")) == ("true", "2")
    rest = await lab.get(f"/{bucket}/k?uploadId={upload.id}&part-number-marker=2")
    assert rest.texts("PartNumber") == ["3"]
    assert rest.texts("ETag") == [f'"{md5(PIECES[2])}"']
    assert rest.text("IsTruncated") == "false"


async def test_lists_name_who_began_an_upload_beside_the_owner(lab: Lab) -> None:
    colleague = Identity("AKIDOTHER", "user-2", "carol", "main")
    carol = {"AWS": "arn:aws:iam::main:user/carol"}
    what = ["arn:aws:s3:::www", "arn:aws:s3:::www/*"]
    allowed = policies.allow("s3:*", what, Principal=carol)
    await lab.put("/www?policy", policies.document(allowed))
    upload = await lab.ask("POST", "/www/k?uploads", sender=colleague)
    for target in ("/www?uploads", f"/www/k?uploadId={upload.text('UploadId')}"):
        assert (await lab.get(target)).texts("ID") == ["user-2", "user-1"]
        mine = await lab.ask("GET", target, sender=colleague)
        assert mine.texts("DisplayName") == ["carol", "user-1"]


@BUCKETS
async def test_list_multipart_uploads_shows_those_in_progress(lab: Lab, bucket: str) -> None:
    uploads = [await start(lab, f"/{bucket}/{key}") for key in ("a/1", "a/2", "b")]
    found = await lab.get(f"/{bucket}?uploads")
    assert found.texts("Key") == ["a/1", "a/2", "b"]
    assert found.texts("UploadId") == [upload.id for upload in uploads]
    grouped = await lab.get(f"/{bucket}?uploads&delimiter=/")
    assert grouped.texts("Key") == ["b"]
    assert grouped.texts("Prefix") == ["", "a/"]
    page = await lab.get(f"/{bucket}?uploads&max-uploads=1")
    assert (page.text("IsTruncated"), page.text("NextKeyMarker")) == ("true", "a/1")
    await uploads[2].part(1, b"x")
    await uploads[2].complete()
    assert (await lab.get(f"/{bucket}?uploads")).texts("Key") == ["a/1", "a/2"]


@pytest.mark.parametrize("encryption", ["", "AES256"])
async def test_completed_object_that_is_replaced_is_read_to_its_inline_end(
    lab: Lab, encryption: str
) -> None:
    headers = {"x_amz_server_side_encryption": encryption} if encryption else {}
    upload = await start(lab, "/www/k", **headers)
    for number, data in enumerate(PIECES, 1):
        await upload.part(number, data)
    await upload.complete()
    bucket = lab.bucket()
    namespace = ManagedNamespace(lab.services, bucket)
    record = await namespace.find("k")
    assert record is not None
    cipher = None
    if record.encryption is not None:
        found = record.encryption
        cipher = ObjectCipher(lab.catalog.unseal_data_key(found.sealed_key, found.id), found)
    body = await open_range(namespace, "k", record, cipher, (0, record.size - 1))
    await lab.put("/www/k", b"another")
    payload = ObjectPayload(body, record.size)
    assert await payload.read_all() == b"".join(PIECES)
    await body.aclose()
    old = record.blobs[-1].id
    assert lab.catalog.get_inline(old) is not None
    lab.clock.ns += 3600 * 1_000_000_000
    await Collector(lab.catalog, lab.services.backends, clock=lambda: lab.clock.ns / 1e9).work()
    assert lab.catalog.get_inline(old) is None
    assert lab.garbage() == lab.blobs() == []
