"""The redirect that an object is kept with, and the website configuration of a bucket."""

import pytest

from tests.ops.lab import Lab
from tests.ops.uploads import put_parts
from tests.s3.heads import raises_s3

NAME = "x-amz-website-redirect-location"


async def redirect_of(lab: Lab, target: str) -> str | None:
    got, seen = await lab.get(target), await lab.ask("HEAD", target)
    assert got.headers.get(NAME) == seen.headers.get(NAME)
    return got.headers.get(NAME)


@pytest.mark.parametrize("bucket", ["www", "files"])
async def test_redirect_location_is_kept_by_every_upload(lab: Lab, bucket: str) -> None:
    header = {NAME.replace("-", "_"): "/other"}
    await lab.put(f"/{bucket}/put", b"x", **header)
    assert await redirect_of(lab, f"/{bucket}/put") == "/other"
    await put_parts(lab, f"/{bucket}/parts", b"x" * 20, **header)
    assert await redirect_of(lab, f"/{bucket}/parts") == "/other"


@pytest.mark.parametrize("bucket", ["www", "files"])
async def test_redirect_location_is_a_copys_own(lab: Lab, bucket: str) -> None:
    await lab.put(f"/{bucket}/a", b"x", x_amz_website_redirect_location="/other")
    await lab.put(f"/{bucket}/b", b"", x_amz_copy_source=f"/{bucket}/a")
    assert await redirect_of(lab, f"/{bucket}/b") is None
    there = "https://example.org/"
    named = {"x_amz_copy_source": f"/{bucket}/b", "x_amz_website_redirect_location": there}
    await lab.put(f"/{bucket}/b", b"", **named)
    assert await redirect_of(lab, f"/{bucket}/b") == there
    await lab.put(f"/{bucket}/c", b"", **named, x_amz_metadata_directive="REPLACE")
    assert await redirect_of(lab, f"/{bucket}/c") == there


@pytest.mark.parametrize("location", ["other", "ftp://example.org", "/" + "x" * 2048])
async def test_redirect_location_of_another_form_is_refused(lab: Lab, location: str) -> None:
    with raises_s3("InvalidRedirectLocation"):
        await lab.put("/www/a", b"x", x_amz_website_redirect_location=location)
    await lab.put("/www/a", b"x")
    with raises_s3("InvalidRedirectLocation"):
        await lab.put(
            "/www/b",
            b"",
            x_amz_copy_source="/www/a",
            x_amz_website_redirect_location=location,
        )


async def test_redirect_location_cannot_be_overridden_by_a_reader(lab: Lab) -> None:
    await lab.put("/www/a", b"x", x_amz_website_redirect_location="/other")
    assert await redirect_of(lab, f"/www/a?response-{NAME}=%2Fevil") == "/other"


async def test_website_configuration_is_put_read_and_deleted(lab: Lab) -> None:
    index = b"<IndexDocument><Suffix>index.html</Suffix></IndexDocument>"
    body = b"<WebsiteConfiguration>" + index + b"</WebsiteConfiguration>"
    await lab.put("/www?website", body)
    assert index in (await lab.get("/www?website")).body
    await lab.ask("DELETE", "/www?website")
    with raises_s3("NoSuchWebsiteConfiguration"):
        await lab.get("/www?website")
