"""Versions over the operations: what each answers, and which version it is about."""

import base64
import hashlib

import pytest

from s3proxy.catalog.records import NULL_VERSION
from tests.ops.deletions import delete, delete_document
from tests.ops.lab import Lab
from tests.ops.uploads import completion
from tests.s3.heads import raises_s3

ENABLED = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
SUSPENDED = ENABLED.replace(b"Enabled", b"Suspended")
ABSENT = "0" * 32


async def put(lab: Lab, key: str = "k", data: bytes = b"x") -> str:
    return (await lab.put(f"/www/{key}", data)).headers["x-amz-version-id"]


@pytest.fixture
async def versioned(lab: Lab) -> Lab:
    assert (await lab.put("/www?versioning", ENABLED)).status == 200
    return lab


async def test_bucket_versioning_goes_on_and_is_suspended_but_never_off(lab: Lab) -> None:
    assert (await lab.get("/www?versioning")).texts("Status") == []
    await lab.put("/www?versioning", ENABLED)
    assert (await lab.get("/www?versioning")).text("Status") == "Enabled"
    await lab.put("/www?versioning", SUSPENDED)
    assert (await lab.get("/www?versioning")).text("Status") == "Suspended"


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b"", "MalformedXML"),
        (b"<VersioningConfiguration/>", "IllegalVersioningConfigurationException"),
        (ENABLED.replace(b"Enabled", b"enabled"), "MalformedXML"),
        (ENABLED.replace(b"</V", b"<MfaDelete>Enabled</MfaDelete></V"), "NotImplemented"),
    ],
)
async def test_put_bucket_versioning_of_anything_else_is_refused(
    lab: Lab, document: bytes, code: str
) -> None:
    with raises_s3(code):
        await lab.put("/www?versioning", document)


async def test_put_bucket_versioning_of_a_directory_is_refused(lab: Lab) -> None:
    with raises_s3("NotImplemented"):
        await lab.put("/files?versioning", ENABLED)
    assert (await lab.get("/files?versioning")).texts("Status") == []


async def test_get_object_names_a_version(versioned: Lab) -> None:
    lab = versioned
    first, second = await put(lab, data=b"one"), await put(lab, data=b"two" * 10_000)
    current = await lab.get("/www/k")
    assert (current.headers["x-amz-version-id"], len(current.body)) == (second, 30_000)
    old = await lab.get(f"/www/k?versionId={first}", range="bytes=1-")
    assert (old.headers["x-amz-version-id"], old.body, old.status) == (first, b"ne", 206)
    head = await lab.ask("HEAD", f"/www/k?versionId={first}")
    assert (head.headers["x-amz-version-id"], head.length) == (first, 3)
    unchanged = await lab.get("/www/k", if_none_match=current.headers["etag"])
    assert (unchanged.status, unchanged.headers["x-amz-version-id"]) == (304, second)
    attributes = await lab.get(
        f"/www/k?attributes&versionId={first}", x_amz_object_attributes="ObjectSize"
    )
    assert (attributes.text("ObjectSize"), attributes.headers["x-amz-version-id"]) == ("3", first)


async def test_get_object_of_no_version(versioned: Lab) -> None:
    await put(versioned)
    for target in ("/www/k", "/www/absent", "/files/absent"):
        with raises_s3("NoSuchVersion"):
            await versioned.get(f"{target}?versionId={ABSENT}")
    with raises_s3("NoSuchVersion"):
        await versioned.get("/www/k?versionId=null")
    with raises_s3("InvalidArgument"):
        await versioned.get("/www/k?versionId=other")


async def test_deleted_object_is_told_by_its_marker(versioned: Lab) -> None:
    lab = versioned
    first = await put(lab)
    gone = await lab.ask("DELETE", "/www/k")
    marker = gone.headers["x-amz-version-id"]
    assert (gone.status, gone.headers["x-amz-delete-marker"]) == (204, "true")
    for method in ("GET", "HEAD"):
        with raises_s3("NoSuchKey") as missing:
            await lab.ask(method, "/www/k")
        assert dict(missing.value.headers) == {
            "x-amz-version-id": marker,
            "x-amz-delete-marker": "true",
        }
        with raises_s3("MethodNotAllowed") as refused:
            await lab.ask(method, f"/www/k?versionId={marker}")
        told = dict(refused.value.headers)
        assert (told["Allow"], told["x-amz-delete-marker"]) == ("DELETE", "true")
        assert "Last-Modified" in told
    with raises_s3("MethodNotAllowed"):
        await lab.get(f"/www/k?tagging&versionId={marker}")
    assert (await lab.get(f"/www/k?versionId={first}")).body == b"x"
    undone = await lab.ask("DELETE", f"/www/k?versionId={marker}")
    assert undone.headers["x-amz-delete-marker"] == "true"
    assert (await lab.get("/www/k")).headers["x-amz-version-id"] == first
    removed = await lab.ask("DELETE", f"/www/k?versionId={first}")
    assert removed.headers["x-amz-version-id"] == first
    assert "x-amz-delete-marker" not in removed.headers
    with raises_s3("NoSuchKey") as missing:
        await lab.get("/www/k")
    assert missing.value.headers == ()


async def test_suspended_bucket_names_the_null_version_only_to_readers(versioned: Lab) -> None:
    lab = versioned
    first = await put(lab)
    await lab.put("/www?versioning", SUSPENDED)
    assert "x-amz-version-id" not in (await lab.put("/www/k", b"null")).headers
    assert (await lab.get("/www/k")).headers["x-amz-version-id"] == NULL_VERSION
    assert (await lab.get("/www/k?versionId=null")).body == b"null"
    assert (await lab.get(f"/www/k?versionId={first}")).body == b"x"
    gone = await lab.ask("DELETE", "/www/k")
    assert gone.headers["x-amz-version-id"] == NULL_VERSION
    with raises_s3("MethodNotAllowed"):
        await lab.get("/www/k?versionId=null")


async def test_bucket_without_versions_says_nothing_of_them(lab: Lab) -> None:
    for bucket in ("www", "files"):
        answers = [
            await lab.put(f"/{bucket}/k", b"x"),
            await lab.get(f"/{bucket}/k"),
            await lab.get(f"/{bucket}/k?versionId=null"),
            await lab.ask("DELETE", f"/{bucket}/k"),
        ]
        assert all("x-amz-version-id" not in answer.headers for answer in answers)


async def test_copy_of_an_older_version_onto_its_own_key_restores_it(versioned: Lab) -> None:
    lab = versioned
    first = await put(lab, data=b"one")
    await put(lab, data=b"two")
    done = await lab.put("/www/k", b"", x_amz_copy_source=f"/www/k?versionId={first}")
    assert done.headers["x-amz-copy-source-version-id"] == first
    current = await lab.get("/www/k")
    assert current.body == b"one"
    assert current.headers["x-amz-version-id"] == done.headers["x-amz-version-id"] != first
    for version in (first, current.headers["x-amz-version-id"]):
        await lab.ask("DELETE", f"/www/k?versionId={version}")
    assert (await lab.get("/www/k")).body == b"two"


async def test_copy_onto_itself_makes_a_version_with_blobs_of_its_own(versioned: Lab) -> None:
    lab = versioned
    large = bytes(range(256)) * 400
    first = await put(lab, data=large)
    done = await lab.put(
        "/www/k", b"", x_amz_copy_source="/www/k", x_amz_metadata_directive="REPLACE"
    )
    assert done.headers["x-amz-version-id"] != first
    bucket = lab.bucket()
    blobs = [entry.record.blobs[0].id for entry in lab.catalog.list_versions(bucket).entries]
    assert len(set(blobs)) == 2
    with raises_s3("InvalidRequest"):
        await lab.put("/www/k", b"", x_amz_copy_source="/www/k")


async def test_copy_of_what_is_no_object_is_refused(versioned: Lab) -> None:
    lab = versioned
    await put(lab)
    marker = (await lab.ask("DELETE", "/www/k")).headers["x-amz-version-id"]
    for source, code in [
        ("/www/k", "NoSuchKey"),
        (f"/www/k?versionId={marker}", "InvalidRequest"),
        (f"/www/k?versionId={ABSENT}", "NoSuchVersion"),
        ("/www/k?versionId=other", "InvalidArgument"),
    ]:
        with raises_s3(code):
            await lab.put("/www/copy", b"", x_amz_copy_source=source)


async def test_tags_are_of_a_version(versioned: Lab) -> None:
    lab = versioned
    first, second = await put(lab), await put(lab)
    tags = b"<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"
    digest = base64.b64encode(hashlib.md5(tags, usedforsecurity=False).digest()).decode()
    done = await lab.put(f"/www/k?tagging&versionId={first}", tags, content_md5=digest)
    assert done.headers["x-amz-version-id"] == first
    assert (await lab.get(f"/www/k?tagging&versionId={first}")).texts("Value") == ["1"]
    current = await lab.get("/www/k?tagging")
    assert (current.texts("Value"), current.headers["x-amz-version-id"]) == ([], second)


async def test_delete_objects_names_versions_and_markers(versioned: Lab) -> None:
    lab = versioned
    first = await put(lab)
    done = await delete(lab, "www", delete_document("k", "absent"))
    assert done.texts("DeleteMarker") == ["true", "true"]
    marker = done.texts("DeleteMarkerVersionId")[0]
    for version in (first, marker, ABSENT):
        document = delete_document("k", extra=f"<VersionId>{version}</VersionId>")
        done = await delete(lab, "www", document)
        assert done.text("VersionId") == version
        assert done.texts("DeleteMarkerVersionId") == ([marker] if version == marker else [])
    assert (await lab.get("/www?versions")).texts("Key") == ["absent"]


async def test_list_object_versions_tells_objects_and_markers(versioned: Lab) -> None:
    lab = versioned
    first, second = await put(lab, "a"), await put(lab, "a")
    await put(lab, "b/c")
    await lab.ask("DELETE", "/www/b/c")
    listed = await lab.get("/www?versions&delimiter=/")
    assert listed.texts("VersionId") == [second, first]
    assert listed.texts("IsLatest") == ["true", "false"]
    assert listed.texts("Prefix") == ["", "b/"]
    inside = await lab.get("/www?versions&prefix=b/&max-keys=1")
    assert (inside.texts("IsTruncated"), len(inside.texts("IsLatest"))) == (["true"], 1)
    assert b"<DeleteMarker>" in inside.body
    rest = await lab.get(
        f"/www?versions&prefix=b/&key-marker={inside.text('NextKeyMarker')}"
        f"&version-id-marker={inside.text('NextVersionIdMarker')}"
    )
    assert (rest.texts("IsLatest"), rest.texts("IsTruncated")) == (["false"], ["false"])
    assert (await lab.get("/www?versions&max-keys=0")).texts("IsTruncated") == ["false"]
    with raises_s3("InvalidArgument"):
        await lab.get("/www?versions&version-id-marker=x")


async def test_list_object_versions_of_a_directory_are_null_versions(lab: Lab) -> None:
    for key in ("a", "b/c", "d"):
        await lab.put(f"/files/{key}", b"x")
    seen: list[str] = []
    target = "/files?versions&max-keys=1"
    marker = ""
    while True:
        page = await lab.get(target + marker)
        seen += page.texts("Key")
        assert set(page.texts("VersionId")) <= {NULL_VERSION}
        assert set(page.texts("IsLatest")) == {"true"}
        if page.text("IsTruncated") == "false":
            break
        marker = f"&key-marker={page.text('NextKeyMarker')}&version-id-marker=null"
    assert seen == ["a", "b/c", "d"]


async def test_multipart_upload_makes_a_version_and_says_so_again(versioned: Lab) -> None:
    lab = versioned
    first = await put(lab)
    upload = (await lab.ask("POST", "/www/k?uploads")).text("UploadId")
    part = await lab.put(f"/www/k?partNumber=1&uploadId={upload}", b"part")
    document = completion(part.etag)
    done = await lab.ask("POST", f"/www/k?uploadId={upload}", document)
    again = await lab.ask("POST", f"/www/k?uploadId={upload}", document)
    version = done.headers["x-amz-version-id"]
    assert again.headers["x-amz-version-id"] == version != first
    assert (await lab.get("/www/k")).headers["x-amz-version-id"] == version
    assert (await lab.get(f"/www/k?versionId={first}")).body == b"x"
