"""Which bucket and tenant a host name means, and to whom."""

from __future__ import annotations

from typing import Any

import pytest

from s3proxy.ops.addresses import Addresses, require_enabled
from s3proxy.s3.auth import ANONYMOUS, Identity
from s3proxy.s3.hosts import Hosts
from tests.ops.lab import Lab
from tests.s3.heads import make_head, raises_s3

HOSTS = Hosts(["s3.test"], ["web.test"])


async def addresses(lab: Lab, own: str | None = None, default: str = "main") -> Addresses:
    for name in ("acme", "other"):
        if lab.catalog.get_tenant(name) is None:
            await lab.catalog.create_tenant(name)
    return Addresses(lab.catalog, HOSTS, lambda head: own, default)


@pytest.mark.parametrize(
    ("host", "own", "bucket", "tenant"),
    [
        # Nobody signed: the tenants that there are tell.
        ("photos.s3.test", None, "photos", "main"),
        ("photos.acme.s3.test", None, "photos", "acme"),
        ("Photos.ACME.s3.test:9000", None, "photos", "acme"),
        ("my.photos.acme.s3.test", None, "my.photos", "acme"),
        ("photos.nobody.s3.test", None, "photos.nobody", "main"),
        ("acme.photos.s3.test", None, "acme.photos", "main"),
        ("acme.s3.test", None, "", "acme"),
        ("photos.main.s3.test", None, "photos", "main"),
        # A key tells: of other tenants there is no trace.
        ("photos.other.s3.test", "other", "photos", "other"),
        ("photos.acme.s3.test", "other", "photos.acme", "other"),
        ("acme.s3.test", "other", "acme", "other"),
        ("other.s3.test", "other", "", "other"),
        ("photos.main.s3.test", "main", "photos", "main"),
        # No tenant is named: who it is from is the key's to say.
        ("photos.s3.test", "other", "photos", "main"),
        ("photos.nobody.s3.test", "other", "photos.nobody", "main"),
        ("nobody.s3.test", "other", "nobody", "main"),
        (f"{'x' * 400}.acme.s3.test", None, "x" * 400, "acme"),
    ],
)
async def test_host_means_a_bucket_and_a_tenant(
    lab: Lab, host: str, own: str | None, bucket: str, tenant: str
) -> None:
    found = (await addresses(lab, own)).find(make_head("GET", "/", host))
    assert found is not None
    assert (found.bucket, found.nobody.tenant, found.nobody.anonymous) == (bucket, tenant, True)


async def test_host_means_another_thing_once_there_is_a_tenant(lab: Lab) -> None:
    known, head = await addresses(lab), make_head("GET", "/", "photos.late.s3.test")
    for change, bucket in (
        (None, "photos.late"),
        (lab.catalog.create_tenant, "photos"),
        (lab.catalog.delete_tenant, "photos.late"),
    ):
        if change is not None:
            await change("late")
        found = known.find(head)
        assert found is not None
        assert found.bucket == bucket


@pytest.mark.parametrize("host", ["s3.test", "127.0.0.1:9000", "elsewhere.test", "[::1]"])
async def test_host_of_no_bucket_is_path_style_of_the_default_tenant(lab: Lab, host: str) -> None:
    known = await addresses(lab, default="acme")
    assert known.find(make_head("GET", "/b/k", host)) is None
    assert known.nobody.tenant == "acme"
    assert known.tenant(make_head("GET", "/b/k", host), None) == "acme"


@pytest.mark.parametrize(
    ("named", "bucket", "tenant"),
    [
        ("www", "www", "main"),
        ("www.acme", "www", "acme"),
        ("my.site.acme", "my.site", "acme"),
        ("www.nobody", "www.nobody", "main"),
        ("acme", "acme", "main"),
    ],
)
async def test_website_host_means_a_bucket_always(
    lab: Lab, named: str, bucket: str, tenant: str
) -> None:
    found = (await addresses(lab)).find_website(named)
    assert (found.bucket, found.nobody.tenant) == (bucket, tenant)


@pytest.mark.parametrize(
    ("host", "tenant", "same"),
    [
        ("photos.acme.s3.test", "acme", True),
        ("photos.acme.s3.test", "other", False),
        ("photos.nobody.s3.test", "other", True),
        ("acme.s3.test", "other", False),
        ("photos.s3.test", "other", True),
        ("s3.test", "other", True),
    ],
)
async def test_form_on_another_tenants_host_finds_no_bucket(
    lab: Lab, host: str, tenant: str, same: bool
) -> None:
    known, head = await addresses(lab), make_head("POST", "/", host)
    sender = Identity("AKID", "user-9", "eve", tenant)
    known.require_same(head, ANONYMOUS)
    if same:
        known.require_same(head, sender)
        return
    with raises_s3("NoSuchBucket"):
        known.require_same(head, sender)


async def test_require_enabled_of_a_disabled_tenant_is_refused(lab: Lab) -> None:
    services: Any = lab.services
    require_enabled(services, "main")
    require_enabled(services, "nobody")
    await lab.catalog.set_tenant_enabled("main", False)
    with raises_s3("AllAccessDisabled"):
        require_enabled(services, "main")
