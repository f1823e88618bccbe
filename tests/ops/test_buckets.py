from pathlib import Path

import pytest

from s3proxy.ops.call import Settings
from s3proxy.s3.auth import Identity
from tests.ops.lab import ALICE, Lab, location_document, open_lab
from tests.s3.heads import raises_s3

BOB = Identity("AKIDBOB", "user-2", "bob", "other")


async def test_list_buckets_shows_both_kinds_with_their_dates(lab: Lab) -> None:
    found = await lab.get("/")
    assert found.texts("Name") == ["files", "www"]
    assert found.texts("CreationDate") == ["2020-09-13T12:26:40.000Z", "2023-11-14T22:13:20.000Z"]
    assert (found.text("ID"), found.text("DisplayName")) == ("user-1", "alice")


async def test_list_buckets_pages(lab: Lab) -> None:
    page = await lab.get("/?max-buckets=1")
    assert page.texts("Name") == ["files"]
    assert page.texts("BucketRegion") == ["us-east-1"]
    rest = await lab.get(f"/?max-buckets=1&continuation-token={page.text('ContinuationToken')}")
    assert rest.texts("Name") == ["www"]
    assert rest.texts("ContinuationToken") == []
    assert (await lab.get("/?prefix=w")).texts("Name") == ["www"]
    assert (await lab.get("/?bucket-region=eu-north-1")).texts("Name") == []


async def test_buckets_of_another_tenant_are_apart(lab: Lab) -> None:
    await lab.catalog.create_tenant("other")
    assert (await lab.ask("GET", "/", sender=BOB)).texts("Name") == []
    with raises_s3("NoSuchBucket"):
        await lab.ask("GET", "/www", sender=BOB)
    await lab.ask("PUT", "/www", sender=BOB)
    await lab.ask("PUT", "/www/k", b"bob's", sender=BOB)
    with raises_s3("NoSuchKey"):
        await lab.get("/www/k")


@pytest.mark.parametrize("body", [b"", location_document("us-east-1"), location_document("disk")])
async def test_create_bucket_makes_a_managed_one(lab: Lab, body: bytes) -> None:
    created = await lab.ask("PUT", "/new-bucket", body)
    assert (created.status, created.headers["location"]) == (200, "/new-bucket")
    record = lab.bucket("new-bucket")
    assert (record.kind, record.backend, record.owner) == ("managed", "disk", ALICE.user_id)
    assert record.container.startswith("s3gw-")
    head = await lab.ask("HEAD", "/new-bucket")
    assert (head.status, head.headers["x-amz-bucket-region"]) == (200, "us-east-1")


@pytest.mark.parametrize("body", [b"", location_document("us-east-1"), location_document("disk")])
async def test_create_bucket_again_in_us_east_1_changes_nothing(lab: Lab, body: bytes) -> None:
    before = lab.catalog.get_bucket("www")
    again = await lab.ask("PUT", "/www", body)
    assert (again.status, again.headers["location"]) == (200, "/www")
    assert lab.catalog.get_bucket("www") == before


async def test_create_bucket_of_somebody_else_or_attached_is_refused(lab: Lab) -> None:
    colleague = Identity("AKIDOTHER", "user-2", "carol", "main")
    with raises_s3("BucketAlreadyExists"):
        await lab.ask("PUT", "/www", sender=colleague)
    with raises_s3("BucketAlreadyOwnedByYou"):
        await lab.ask("PUT", "/files")


async def test_create_bucket_again_in_another_region_is_refused(tmp_path: Path) -> None:
    settings = Settings(region="eu-north-1")
    async with open_lab(tmp_path, settings=settings) as elsewhere:
        with raises_s3("BucketAlreadyOwnedByYou"):
            await elsewhere.ask("PUT", "/www")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (location_document("mars"), "InvalidLocationConstraint"),
        (b"<CreateBucketConfiguration>", "MalformedXML"),
        (b"x" * 70_000, "MaxMessageLengthExceeded"),
    ],
)
async def test_create_bucket_bad_configuration_makes_none(lab: Lab, body: bytes, code: str) -> None:
    with raises_s3(code):
        await lab.ask("PUT", "/new-bucket", body)
    assert lab.catalog.get_bucket("new-bucket") is None


async def test_delete_bucket_needs_an_empty_one(lab: Lab) -> None:
    await lab.put("/www/k", b"1")
    with raises_s3("BucketNotEmpty"):
        await lab.ask("DELETE", "/www")
    await lab.ask("DELETE", "/www/k")
    upload = (await lab.ask("POST", "/www/k?uploads")).text("UploadId")
    part = f"/www/k?partNumber=1&uploadId={upload}"
    await lab.put(part, b"part")
    assert (await lab.ask("DELETE", "/www")).status == 204
    with raises_s3("NoSuchBucket"):
        await lab.get("/www")
    assert (await lab.ask("PUT", "/www")).status == 200
    with raises_s3("NoSuchUpload"):
        await lab.put(part, b"part")


async def test_delete_bucket_attached_is_refused(lab: Lab) -> None:
    with raises_s3("InvalidBucketState"):
        await lab.ask("DELETE", "/files")
    assert lab.catalog.get_bucket("files") is not None


async def test_get_bucket_location_is_the_constraint_it_was_made_with(lab: Lab) -> None:
    await lab.ask("PUT", "/second", location_document("us-east-1"))
    await lab.ask("PUT", "/third", location_document("disk"))
    for bucket, location in (("www", ""), ("files", ""), ("second", ""), ("third", "disk")):
        assert (await lab.get(f"/{bucket}?location")).text("LocationConstraint") == location


async def test_bucket_of_a_backend_that_is_gone_is_unavailable(lab: Lab) -> None:
    await lab.attach("lost", "gone", "x")
    with raises_s3("ServiceUnavailable"):
        await lab.get("/lost/k")


async def test_expected_bucket_owner_is_checked(lab: Lab) -> None:
    with raises_s3("AccessDenied"):
        await lab.get("/www", x_amz_expected_bucket_owner="111122223333")
    for owner in (ALICE.user_id, "main"):
        assert (await lab.get("/www", x_amz_expected_bucket_owner=owner)).status == 200


async def test_operation_on_a_missing_bucket_is_no_such_bucket(lab: Lab) -> None:
    for method, target in (
        ("GET", "/absent"),
        ("HEAD", "/absent"),
        ("DELETE", "/absent"),
        ("GET", "/absent/k"),
        ("PUT", "/absent/k"),
        ("DELETE", "/absent/k"),
        ("POST", "/absent/k?uploads"),
        ("POST", "/absent?delete"),
        ("GET", "/absent?versioning"),
    ):
        with raises_s3("NoSuchBucket") as refused:
            await lab.ask(method, target)
        assert refused.value.fields == {"BucketName": "absent"}
