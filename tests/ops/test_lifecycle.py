"""Lifecycle rules as requests see them: kept, refused, told in answers about objects."""

import hashlib
from pathlib import Path

import pytest

from s3proxy.ops.call import Settings
from s3proxy.s3.lifecycle import DAY_NS
from s3proxy.s3.time import http_date
from tests.ops.lab import Lab, open_lab
from tests.ops.uploads import completion
from tests.s3.documents import parse
from tests.s3.heads import raises_s3

MIDNIGHT_NS = 1_700_006_400_000_000_000  # the one after the lab's clock
RULES = (
    b"<LifecycleConfiguration>"
    b"<Rule><ID>a b</ID><Filter><Prefix>logs/</Prefix></Filter><Status>Enabled</Status>"
    b"<Expiration><Days>3</Days></Expiration></Rule>"
    b"<Rule><ID>tagged</ID><Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>"
    b"<Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule>"
    b"<Rule><ID>up</ID><Filter/><Status>Enabled</Status><AbortIncompleteMultipartUpload>"
    b"<DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>"
    b"</LifecycleConfiguration>"
)
MOVE = (
    b"<LifecycleConfiguration><Rule><ID>m</ID><Filter/><Status>Enabled</Status><Transition>"
    b"<Days>1</Days><StorageClass>GLACIER_IR</StorageClass></Transition></Rule>"
    b"</LifecycleConfiguration>"
)


def told(days: int, rule: str) -> str:
    return f'expiry-date="{http_date(MIDNIGHT_NS + days * DAY_NS)}", rule-id="{rule}"'


async def put_rules(lab: Lab, body: bytes = RULES, bucket: str = "www", **headers: str):
    signed = hashlib.sha256(body).hexdigest()
    return await lab.ask("PUT", f"/{bucket}?lifecycle", body, payload_hash=signed, **headers)


async def test_rules_are_given_back_until_they_are_deleted(lab: Lab) -> None:
    with raises_s3("NoSuchLifecycleConfiguration"):
        await lab.get("/www?lifecycle")
    header = "x-amz-transition-default-minimum-object-size"
    assert (await put_rules(lab)).headers[header] == "all_storage_classes_128K"
    found = await lab.get("/www?lifecycle")
    assert found.headers[header] == "all_storage_classes_128K"
    seen = parse("GetBucketLifecycleConfiguration", found.body)
    assert [rule["ID"] for rule in seen["Rules"]] == ["a b", "tagged", "up"]
    varies = "varies_by_storage_class"
    await put_rules(lab, x_amz_transition_default_minimum_object_size=varies)
    assert (await lab.get("/www?lifecycle")).headers[header] == varies
    for _ in range(2):
        assert (await lab.ask("DELETE", "/www?lifecycle")).status == 204
    with raises_s3("NoSuchLifecycleConfiguration"):
        await lab.get("/www?lifecycle")


async def test_rules_of_a_bad_document_are_refused_and_the_old_ones_stay(lab: Lab) -> None:
    await put_rules(lab)
    with raises_s3("MalformedXML"):
        await put_rules(lab, RULES.replace(b"Enabled", b"On"))
    with raises_s3("InvalidRequest"):  # no digest of the body
        await lab.ask("PUT", "/www?lifecycle", RULES)
    with raises_s3("MaxMessageLengthExceeded"):
        await put_rules(lab, b" " * 600_000)
    with raises_s3("InvalidStorageClass"):
        await put_rules(lab, MOVE)
    seen = parse("GetBucketLifecycleConfiguration", (await lab.get("/www?lifecycle")).body)
    assert len(seen["Rules"]) == 3


async def test_transition_to_a_class_with_a_place_is_kept(tmp_path: Path) -> None:
    settings = Settings(storage_classes={"GLACIER_IR": "disk"})
    async with open_lab(tmp_path, settings=settings) as lab:
        await put_rules(lab, MOVE)
        assert (await lab.get("/www?lifecycle")).text("StorageClass") == "GLACIER_IR"


async def test_rules_of_an_attached_bucket_are_refused(lab: Lab) -> None:
    with raises_s3("NotImplemented"):
        await put_rules(lab, bucket="files")
    with raises_s3("NoSuchLifecycleConfiguration"):
        await lab.get("/files?lifecycle")


async def test_expiration_is_told_of_objects_that_a_rule_will_delete(lab: Lab) -> None:
    await lab.put("/www/logs/before", b"1")
    assert "x-amz-expiration" not in (await lab.get("/www/logs/before")).headers
    await put_rules(lab)
    expected = told(3, "a%20b")
    assert (await lab.put("/www/logs/1", b"1")).headers["x-amz-expiration"] == expected
    for method in ("GET", "HEAD"):
        for key in ("1", "before"):
            answer = await lab.ask(method, f"/www/logs/{key}")
            assert answer.headers["x-amz-expiration"] == expected
    copied = await lab.put("/www/logs/2", b"", x_amz_copy_source="/www/logs/1")
    assert copied.headers["x-amz-expiration"] == expected
    assert "x-amz-expiration" not in (await lab.put("/www/kept", b"1")).headers
    tagged = await lab.put("/www/kept", b"1", x_amz_tagging="k=v")
    assert tagged.headers["x-amz-expiration"] == told(1, "tagged")
    assert (await lab.get("/www/kept")).headers["x-amz-expiration"] == told(1, "tagged")


async def test_abortion_is_told_of_uploads(lab: Lab) -> None:
    await put_rules(lab)
    made = await lab.ask("POST", "/www/logs/1?uploads")
    upload_id = made.text("UploadId")
    listed = await lab.get(f"/www/logs/1?uploadId={upload_id}")
    for answer in (made, listed):
        assert answer.headers["x-amz-abort-date"] == http_date(MIDNIGHT_NS + 7 * DAY_NS)
        assert answer.headers["x-amz-abort-rule-id"] == "up"
    part = await lab.put(f"/www/logs/1?uploadId={upload_id}&partNumber=1", b"1" * 10)
    complete = completion(part.etag)
    done = await lab.ask("POST", f"/www/logs/1?uploadId={upload_id}", complete)
    assert done.headers["x-amz-expiration"] == told(3, "a%20b")
    again = await lab.ask("POST", f"/www/logs/1?uploadId={upload_id}", complete)
    assert "x-amz-expiration" not in again.headers


@pytest.mark.parametrize("bucket", ["www", "files"])
async def test_objects_of_buckets_without_rules_cost_no_look(lab: Lab, bucket: str) -> None:
    await lab.put(f"/{bucket}/k", b"1")
    answer = await lab.get(f"/{bucket}/k")
    assert "x-amz-expiration" not in answer.headers
    record = lab.bucket(bucket)
    assert not record.may_have("lifecycle")
