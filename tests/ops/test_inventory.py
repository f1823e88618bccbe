"""Inventory configurations as requests see them."""

import pytest

from s3proxy.ops import inventory as module
from s3proxy.s3.inventory import Inventory, inventory_configuration
from tests.ops.lab import Lab
from tests.s3.heads import raises_s3


def body(identifier: str = "one", target: str = "www", **more: object) -> bytes:
    return inventory_configuration(
        Inventory(id=identifier, enabled=True, target=target, **more)  # type: ignore[arg-type]
    )


async def test_configuration_is_kept_listed_and_deleted(lab: Lab) -> None:
    for name in ("two", "one"):
        answer = await lab.put(f"/www?inventory&id={name}", body(name, weekly=True))
        assert answer.status == 204
    assert (await lab.get("/www?inventory&id=one")).text("Frequency") == "Weekly"
    assert (await lab.get("/www?inventory")).texts("Id") == ["one", "two"]
    assert (await lab.ask("DELETE", "/www?inventory&id=one")).status == 204
    for method in ("GET", "DELETE"):
        with raises_s3("NoSuchConfiguration"):
            await lab.ask(method, "/www?inventory&id=one")
    assert (await lab.get("/www?inventory")).texts("Id") == ["two"]


async def test_list_comes_in_pages(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LISTED_MAX", 2)
    for name in "abcde":
        await lab.put(f"/www?inventory&id={name}", body(name))
    seen: list[str] = []
    token = ""
    while True:
        page = await lab.get(f"/www?inventory{token}")
        seen += page.texts("Id")
        if page.text("IsTruncated") == "false":
            break
        token = f"&continuation-token={page.text('NextContinuationToken')}"
    assert seen == list("abcde")
    with raises_s3("InvalidArgument"):
        await lab.get("/www?inventory&continuation-token=moon")


async def test_put_that_cannot_be_kept_is_refused(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for target in ("absent", "files"):
        with raises_s3("InvalidS3DestinationBucket"):
            await lab.put("/www?inventory&id=one", body(target=target))
    with raises_s3("InvalidS3DestinationBucket"):
        await lab.put("/www?inventory&id=one", body(account="stranger"))
    with raises_s3("InvalidArgument"):
        await lab.put("/www?inventory&id=other", body())
    with raises_s3("InvalidArgument"):
        await lab.put("/www?inventory", body())
    with raises_s3("NotImplemented"):
        await lab.put("/files?inventory&id=one", body())
    monkeypatch.setattr(module, "CONFIGURATIONS_MAX", 1)
    await lab.put("/www?inventory&id=one", body())
    await lab.put("/www?inventory&id=one", body(account="main"))
    with raises_s3("TooManyConfigurations"):
        await lab.put("/www?inventory&id=two", body("two"))
