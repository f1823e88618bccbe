"""Configurations with one state: told, put as they are, refused otherwise."""

import pytest

from tests.ops.lab import Lab
from tests.s3.heads import raises_s3

BUCKETS = pytest.mark.parametrize("bucket", ["www", "files"])


@BUCKETS
@pytest.mark.parametrize(
    ("query", "root", "name", "kept", "refused"),
    [
        ("requestPayment", "RequestPaymentConfiguration", "Payer", "BucketOwner", "Requester"),
        ("accelerate", "AccelerateConfiguration", "Status", "Suspended", "Enabled"),
        ("abac", "AbacStatus", "Status", "Disabled", "Enabled"),
    ],
)
async def test_settled_state_may_be_put_and_no_other(
    lab: Lab, bucket: str, query: str, root: str, name: str, kept: str, refused: str
) -> None:
    def body(value: str) -> bytes:
        return f"<{root}><{name}>{value}</{name}></{root}>".encode()

    before = (await lab.get(f"/{bucket}?{query}")).texts(name)
    assert before == ([] if query == "accelerate" else [kept])
    with raises_s3("NotImplemented"):
        await lab.put(f"/{bucket}?{query}", body(refused))
    for bad in (body("Moon"), f"<{root}/>".encode(), b"<Other/>", b""):
        with raises_s3("MalformedXML"):
            await lab.put(f"/{bucket}?{query}", bad)
    assert (await lab.put(f"/{bucket}?{query}", body(kept))).status == 200
    assert (await lab.get(f"/{bucket}?{query}")).text(name) == kept


@BUCKETS
@pytest.mark.parametrize("query", ["analytics", "metrics", "intelligent-tiering"])
async def test_configurations_by_id_that_do_not_exist(lab: Lab, bucket: str, query: str) -> None:
    assert (await lab.get(f"/{bucket}?{query}")).text("IsTruncated") == "false"
    for method in ("GET", "DELETE"):
        with raises_s3("NoSuchConfiguration"):
            await lab.ask(method, f"/{bucket}?{query}&id=1")
    with raises_s3("NotImplemented"):
        await lab.put(f"/{bucket}?{query}&id=1", b"<Any/>")


@BUCKETS
async def test_replication_is_refused_and_deleting_it_is_not(lab: Lab, bucket: str) -> None:
    with raises_s3("NotImplemented"):
        await lab.put(f"/{bucket}?replication", b"<ReplicationConfiguration/>")
    assert (await lab.ask("DELETE", f"/{bucket}?replication")).status == 204
    with raises_s3("ReplicationConfigurationNotFoundError"):
        await lab.get(f"/{bucket}?replication")
