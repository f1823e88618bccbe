"""ListObjects of both versions, and DeleteObjects."""

import base64

import pytest

from tests.ops.deletions import delete, delete_document
from tests.ops.lab import Lab, md5
from tests.s3.heads import raises_s3

BUCKETS = pytest.mark.parametrize("bucket", ["www", "files"])
KEYS = ("a", "b/1", "b/2", "c&d", "e/f/g", "é")


async def filled(lab: Lab, bucket: str) -> None:
    for key in KEYS:
        await lab.put(f"/{bucket}/{_path(key)}", key.encode())


def _path(key: str) -> str:
    return "".join(f"%{byte:02X}" for byte in key.encode())


@BUCKETS
async def test_list_objects_v2_pages_through_everything(lab: Lab, bucket: str) -> None:
    await filled(lab, bucket)
    found: list[str] = []
    token = ""
    while True:
        more = f"&continuation-token={token}" if token else ""
        page = await lab.get(f"/{bucket}?list-type=2&max-keys=2{more}")
        found += page.texts("Key")
        assert page.text("KeyCount") == str(len(page.texts("Key")))
        if page.text("IsTruncated") == "false":
            break
        token = page.text("NextContinuationToken")
    assert found == sorted(KEYS)


@BUCKETS
@pytest.mark.parametrize(
    ("query", "count"), [("list-type=2", 0), ("list-type=2&fetch-owner=true", 1), ("marker=", 1)]
)
async def test_list_objects_shows_owners_where_asked_and_in_version_1(
    lab: Lab, bucket: str, query: str, count: int
) -> None:
    await lab.put(f"/{bucket}/a", b"a")
    assert len((await lab.get(f"/{bucket}?{query}")).texts("DisplayName")) == count


@BUCKETS
async def test_list_objects_groups_at_the_delimiter(lab: Lab, bucket: str) -> None:
    await filled(lab, bucket)
    page = await lab.get(f"/{bucket}?list-type=2&delimiter=/")
    assert page.texts("Key") == ["a", "c&d", "é"]
    assert page.texts("Prefix") == ["", "b/", "e/"]
    below = await lab.get(f"/{bucket}?list-type=2&delimiter=/&prefix=b/")
    assert below.texts("Key") == ["b/1", "b/2"]


@BUCKETS
async def test_list_objects_v1_goes_on_at_the_marker(lab: Lab, bucket: str) -> None:
    await filled(lab, bucket)
    page = await lab.get(f"/{bucket}?max-keys=2&delimiter=/")
    assert page.texts("Key") == ["a"]
    assert page.text("NextMarker") == "b/"
    rest = await lab.get(f"/{bucket}?delimiter=/&marker=b/")
    assert rest.texts("Key") == ["c&d", "é"]
    assert rest.texts("ID") == ["main" if bucket == "files" else "user-1"] * 2


@BUCKETS
async def test_list_objects_shows_size_etag_and_encoded_keys(lab: Lab, bucket: str) -> None:
    await filled(lab, bucket)
    page = await lab.get(f"/{bucket}?list-type=2&start-after=b/2&encoding-type=url")
    assert page.texts("Key") == ["c%26d", "e/f/g", "%C3%A9"]
    assert page.texts("ETag") == [f'"{md5(key.encode())}"' for key in KEYS[3:]]
    assert page.texts("Size") == ["3", "5", "2"]
    assert page.text("StartAfter") == "b/2"


@BUCKETS
async def test_list_objects_of_no_keys_is_empty(lab: Lab, bucket: str) -> None:
    await filled(lab, bucket)
    page = await lab.get(f"/{bucket}?list-type=2&max-keys=0")
    assert (page.texts("Key"), page.text("IsTruncated")) == ([], "false")
    with raises_s3("InvalidArgument"):
        await lab.get(f"/{bucket}?list-type=2&max-keys=x")


@BUCKETS
async def test_delete_objects_removes_each_and_says_so(lab: Lab, bucket: str) -> None:
    await filled(lab, bucket)
    done = await delete(lab, bucket, delete_document("a", "c&d", "absent"))
    assert done.texts("Key") == ["a", "c&d", "absent"]
    assert done.texts("Error") == []
    left = await lab.get(f"/{bucket}?list-type=2")
    assert left.texts("Key") == ["b/1", "b/2", "e/f/g", "é"]
    quiet = await delete(lab, bucket, delete_document("b/1", quiet=True))
    assert quiet.texts("Key") == []


@BUCKETS
async def test_delete_objects_fails_key_by_key(lab: Lab, bucket: str) -> None:
    await filled(lab, bucket)
    done = await delete(lab, bucket, delete_document("a", extra="<ETag>other</ETag>"))
    assert (done.text("Code"), done.text("Key")) == ("PreconditionFailed", "a")
    versioned = delete_document("a", extra="<VersionId>a b</VersionId>")
    assert (await delete(lab, bucket, versioned)).text("Code") == "InvalidArgument"
    long = await delete(lab, bucket, delete_document("k" * 1025))
    assert long.text("Code") == "KeyTooLongError"
    sized = await delete(lab, bucket, delete_document("a", extra="<Size>1</Size>"))
    assert sized.text("Code") == "NotImplemented"
    assert (await lab.get(f"/{bucket}/a")).body == b"a"
    right = delete_document("a", extra=f"<ETag>{md5(b'a')}</ETag>")
    assert (await delete(lab, bucket, right)).texts("Error") == []


@BUCKETS
async def test_delete_objects_needs_a_digest_and_a_document(lab: Lab, bucket: str) -> None:
    with raises_s3("InvalidRequest"):
        await lab.ask("POST", f"/{bucket}?delete", delete_document("a"))
    with raises_s3("MalformedXML"):
        await delete(lab, bucket, b"<Delete></Delete>")
    with raises_s3("MalformedXML"):
        await delete(lab, bucket, delete_document(*map(str, range(1001))))
    with raises_s3("BadDigest"):
        await lab.ask(
            "POST",
            f"/{bucket}?delete",
            delete_document("a"),
            content_md5=base64.b64encode(bytes(16)).decode(),
        )


async def test_list_objects_control_bytes_in_keys_break_nothing(lab: Lab) -> None:
    await lab.put("/www/a%01%1F%0D%7F", b"1")
    plain = await lab.get("/www?list-type=2")
    assert b"a&#x1;&#x1f;&#13;&#x7f;" in plain.body
    encoded = await lab.get("/www?list-type=2&encoding-type=url")
    assert encoded.texts("Key") == ["a%01%1F%0D%7F"]
