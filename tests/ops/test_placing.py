"""Where buckets and objects go by rules of placement, asked of a lab with backends in places."""

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from s3proxy.catalog import containers
from s3proxy.catalog.errors import NoSuchBucket
from s3proxy.ops.call import Settings
from s3proxy.ops.containers import FOREIGN_MAX, adopt_containers, containers_of
from s3proxy.ops.drain import drain_bucket, left_on, start_drain
from s3proxy.ops.explain import explain
from s3proxy.ops.placing import container_on, plan_of, rules_of, set_rules, set_tenant_rules
from s3proxy.ops.storage_classes import class_writer
from s3proxy.placement import container_name
from s3proxy.s3.auth import Identity
from s3proxy.s3.placement import Rules
from tests.ops.lab import Lab, location_document
from tests.ops.places import FACTS, backend, bucket, made, open_places
from tests.s3.heads import raises_s3

BOB = Identity("AKIDBOB", "user-2", "bob", "other")


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with open_places(tmp_path) as lab:
        yield lab


@pytest.mark.parametrize(
    ("location", "home"), [("fi,de", "hel"), ("DE , fi", "nbg"), ("fi-1,nbg", "hel"), ("us", "iad")]
)
async def test_create_bucket_in_regions_lies_in_the_first(
    lab: Lab, location: str, home: str
) -> None:
    record = await made(lab, location)
    assert (record.kind, record.backend, record.location) == ("managed", home, location)
    assert record.placement == Rules(regions=tuple(name.strip() for name in location.split(",")))
    answer = await lab.get("/placed?location")
    assert answer.text("LocationConstraint") == location
    await lab.ask("PUT", "/placed", location_document(location))
    with raises_s3("BucketAlreadyOwnedByYou"):
        await lab.ask("PUT", "/placed", location_document("iad"))
    plan = plan_of(lab.services, record)
    assert plan is not None
    assert plan.targets[0] == home


@pytest.mark.parametrize(
    "location",
    ["fi,mars", "fi,", ",", "mars", "us-east-1,fi", ",".join(["fi"] * 65), "\ufb01"],
)
async def test_create_bucket_in_an_unknown_place_is_refused(lab: Lab, location: str) -> None:
    with raises_s3("InvalidLocationConstraint"):
        await made(lab, location)


async def test_create_bucket_in_a_region_that_is_named_often_has_it_once(lab: Lab) -> None:
    record = await made(lab, "fi,de,fi")
    assert record.placement == Rules(regions=("fi", "de"))


async def test_create_bucket_at_a_backend_is_no_rule_unless_there_are_some(lab: Lab) -> None:
    record = await made(lab, "nbg")
    assert (record.backend, record.placement, record.location) == ("nbg", None, "nbg")
    assert plan_of(lab.services, record) is None
    lab.services.default_rules = Rules(jurisdictions=("eu",))
    record = await made(lab, "hel", "second")
    assert (record.backend, record.placement) == ("hel", Rules(regions=("hel",)))
    with raises_s3("InvalidRequest") as refused:
        await made(lab, "iad", "third")
    assert "jurisdictions" in refused.value.message
    assert bucket(lab, "www").backend == "disk"
    plan = plan_of(lab.services, bucket(lab, "www"))
    assert plan is not None
    assert set(plan.targets) == {"hel", "nbg"}


async def test_create_bucket_where_rules_leave_too_few_is_refused(lab: Lab) -> None:
    lab.services.default_rules = Rules(replicas=2)
    with raises_s3("InvalidRequest") as refused:
        await made(lab, "fi")
    assert "The placement rule regions cannot be kept: 2 copies wanted" in refused.value.message
    assert lab.catalog.get_bucket("placed") is None
    assert not backend(lab, "hel").made


async def test_create_bucket_passes_over_a_backend_that_fails(lab: Lab) -> None:
    backend(lab, "hel").down = True
    assert (await made(lab, "fi,de")).backend == "nbg"
    backend(lab, "nbg").down = True
    lab.services.default_rules = None
    with raises_s3("ServiceUnavailable"):
        await made(lab, "fi,de", "second")
    assert lab.catalog.get_bucket("second") is None


async def test_rules_of_a_bucket_are_over_those_of_the_server(lab: Lab) -> None:
    assert rules_of(lab.services, bucket(lab, "www")) is None
    default = Rules(replicas=2, regions=("us",), countries_forbidden=("us",))
    lab.services.default_rules = default
    assert rules_of(lab.services, bucket(lab, "www")) == default
    own = msgspec.structs.replace(bucket(lab, "www"), placement=Rules(regions=("fi", "de")))
    assert rules_of(lab.services, own) == Rules(
        replicas=2, regions=("fi", "de"), countries_forbidden=("us",)
    )


async def test_plan_of_a_tag_overrides_the_bucket(lab: Lab) -> None:
    record = await made(lab, "fi,de")
    plan = plan_of(lab.services, record, {"replica-count": "2"})
    assert plan is not None
    assert (plan.replicas_tag, plan.decision.wanted) == (2, 2)
    with raises_s3("InvalidRequest") as refused:
        plan_of(lab.services, record, {"replica-count": "3"})
    assert "regions" in refused.value.message
    for wrong in ("0", "two", "65", "1 ", "٣", "999", ""):
        with raises_s3("InvalidTag"):
            plan_of(lab.services, record, {"replica-count": wrong})


async def test_bucket_at_a_backend_that_its_client_named_stays_there(lab: Lab) -> None:
    record = await made(lab, "hel")
    with raises_s3("InvalidRequest") as refused:
        await lab.put("/placed/k", b"x", x_amz_tagging="replica-count=3")
    assert "The placement rule regions cannot be kept: 3 copies" in refused.value.message
    plan = plan_of(lab.services, record, {"replica-count": "1"})
    assert plan is not None
    assert plan.targets == ("hel",)
    assert [one.source for one in explain(lab.services, record).rules] == ["LocationConstraint"]
    await start_drain(lab.services, "hel")
    assert (await left_on(lab.services, "hel")).stuck == ["placed"]
    assert not await drain_bucket(lab.services, record, "hel")
    with raises_s3("InvalidBucketState"):
        await lab.put("/placed/k", b"x")
    freed = await set_rules(lab.services, record, None)
    assert explain(lab.services, freed).rules == []
    assert await drain_bucket(lab.services, freed, "hel")
    assert bucket(lab, "placed").backend != "hel"


async def test_bucket_at_a_backend_has_the_rules_of_an_operator_instead(lab: Lab) -> None:
    record = await made(lab, "hel")
    await set_tenant_rules(lab.services, "main", Rules(replicas=2))
    plan = plan_of(lab.services, record)
    assert plan is not None
    assert len(plan.targets) == 4
    (said,) = explain(lab.services, record).rules
    assert (said.rule, said.source) == ("replicas", "tenant")


async def test_plan_of_a_tag_without_rules_begins_at_the_bucket(lab: Lab) -> None:
    assert plan_of(lab.services, bucket(lab, "www"), {"other": "3"}) is None
    plan = plan_of(lab.services, bucket(lab, "www"), {"replica-count": "3"})
    assert plan is not None
    assert plan.targets[:2] == ("disk", "iad")


async def test_container_on_is_made_once_and_known_both_ways(lab: Lab) -> None:
    record = await made(lab, "fi,de")
    assert await container_on(lab.services, record, "hel") == record.container
    name = await container_on(lab.services, record, "nbg")
    assert await container_on(lab.services, record, "nbg") == name
    assert backend(lab, "nbg").made == [name]
    record = bucket(lab, "placed")
    assert record.names == {"nbg": name}
    assert containers_of(record) == [("hel", record.container), ("nbg", name)]
    assert lab.catalog.bucket_of_container("nbg", name) == ("main", "placed")
    assert lab.catalog.bucket_of_container("hel", record.container) == ("main", "placed")
    assert lab.catalog.leftover_containers() == []
    await lab.ask("DELETE", "/placed")
    assert lab.catalog.bucket_of_container("nbg", name) is None
    with pytest.raises(NoSuchBucket):
        await container_on(lab.services, record, "iad")


async def test_container_name_that_is_taken_at_the_provider_moves_the_counter_on(lab: Lab) -> None:
    names = [container_name(0, "main", "placed", counter, "hel") for counter in range(3)]
    backend(lab, "hel").foreign = set(names[:2])
    record = await made(lab, "fi")
    assert record.container == names[2]
    assert lab.catalog.bucket_of_container("hel", names[0]) is None
    await lab.ask("DELETE", "/placed")
    backend(lab, "hel").foreign = set()
    assert (await made(lab, "fi")).container == names[2]


async def test_container_names_that_are_all_taken_are_asked_for_again(lab: Lab) -> None:
    names = [container_name(0, "main", "placed", n, "hel") for n in range(FOREIGN_MAX)]
    backend(lab, "hel").foreign = set(names)
    for _ in range(2):
        with raises_s3("ServiceUnavailable"):
            await made(lab, "fi")
    backend(lab, "hel").foreign = set()
    assert (await made(lab, "fi")).container == names[0]


async def test_container_names_that_are_all_others_by_the_catalog_are_an_error_of_the_backend(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "COUNTER_MAX", 2)
    for counter in range(2):
        await lab.catalog.disown_container(
            "hel", container_name(0, "main", "placed", counter, "hel")
        )
    with raises_s3("ServiceUnavailable"):
        await made(lab, "fi")


async def test_container_name_that_another_bucket_has_moves_the_counter_on(lab: Lab) -> None:
    names = [container_name(0, "main", "placed", counter, "hel") for counter in range(2)]
    taken = lab.catalog.claim_container("other", "bucket", "hel", lambda counter: names[0])
    assert await taken == names[0]
    assert (await made(lab, "fi")).container == names[1]
    assert lab.catalog.bucket_of_container("hel", names[0]) == ("other", "bucket")


async def test_container_of_a_bucket_that_was_never_made_is_a_leftover(lab: Lab) -> None:
    name = await lab.catalog.claim_container("main", "never", "hel", lambda counter: "s3gw-never")
    (leftover,) = lab.catalog.leftover_containers()
    assert leftover == ("hel", name, "main", "never")
    await lab.ask("PUT", "/never", location_document("fi"))
    assert lab.catalog.leftover_containers() == [leftover]


async def test_container_claimed_again_by_its_bucket_is_the_same(lab: Lab) -> None:
    record = await made(lab, "fi")
    await lab.ask("DELETE", "/placed")
    await lab.catalog.create_tenant("other")
    await lab.ask("PUT", "/placed", location_document("fi"), sender=BOB)
    assert bucket(lab, "placed", "other").container != record.container
    assert (await made(lab, "fi")).container == record.container


async def test_adopt_containers_claims_those_of_before_once(lab: Lab) -> None:
    services = lab.services
    services.settings = Settings(storage_classes={"GLACIER_IR": "hel"})
    old = bucket(lab, "www")
    await lab.catalog.forget_container("disk", old.container, removed=True)
    await adopt_containers(services)
    adopted = bucket(lab, "www")
    assert adopted.names == {"hel": container_name(0, "main", "www", 0, "hel")}
    assert lab.catalog.bucket_of_container("disk", old.container) == ("main", "www")
    assert lab.catalog.bucket_of_container("hel", adopted.names["hel"]) == ("main", "www")
    await lab.catalog.forget_container("disk", old.container, removed=True)
    await adopt_containers(services)
    assert lab.catalog.bucket_of_container("disk", old.container) is None


async def test_rules_of_a_tenant_are_between_those_of_bucket_and_server(lab: Lab) -> None:
    rules = Rules(replicas=2, regions=("us",))
    await lab.catalog.update_tenant(
        "main", lambda tenant: msgspec.structs.replace(tenant, placement=rules)
    )
    assert rules_of(lab.services, bucket(lab, "www")) == rules
    lab.services.default_rules = Rules(replicas=3, write_quorum=2)
    own = await set_rules(lab.services, bucket(lab, "www"), Rules(regions=("fi", "de")))
    assert own.placement_revision == 1
    assert rules_of(lab.services, bucket(lab, "www")) == Rules(
        regions=("fi", "de"), replicas=2, write_quorum=2
    )


async def test_rules_of_a_tenant_that_its_buckets_could_not_keep_are_refused(lab: Lab) -> None:
    two = await made(lab, "fi,de")
    await made(lab, "fi,de,us", "second")
    with raises_s3("InvalidRequest") as refused:
        await set_tenant_rules(lab.services, "main", Rules(replicas=3))
    assert refused.value.message == "With the buckets' own rules they cannot be kept: placed."
    assert plan_of(lab.services, two) is not None
    assert (await set_tenant_rules(lab.services, "main", Rules(replicas=2))).placement is not None
    lab.services.default_rules = Rules(replicas=3)
    with raises_s3("InvalidRequest") as refused:
        await set_tenant_rules(lab.services, "main", None)
    assert ": placed." in refused.value.message


async def test_rules_of_a_tenant_may_change_where_a_bucket_cannot_keep_its_own(lab: Lab) -> None:
    await made(lab, "fi,de")
    lab.services.facts = {name: one for name, one in FACTS.items() if name not in ("hel", "nbg")}
    changed = await set_tenant_rules(lab.services, "main", Rules(replicas=2))
    assert changed.placement == Rules(replicas=2)


async def test_read_only_backend_takes_no_new_data(lab: Lab) -> None:
    await lab.put("/www/k", b"x")
    await lab.put("/files/k", b"x")
    closed = msgspec.structs.replace(FACTS["disk"], read_only=True)
    lab.services.facts = {**FACTS, "disk": closed}
    lab.services.plain_writers.clear()  # facts change with the process alone
    for target in ("/www/k", "/files/k", "/files/k?uploads", "/www/k?uploads"):
        method = "POST" if target.endswith("s") else "PUT"
        with raises_s3("InvalidBucketState"):
            await lab.ask(method, target, b"y")
    with raises_s3("InvalidBucketState"):
        await lab.put("/www/copy", b"", x_amz_copy_source="/www/k")
    with raises_s3("InvalidBucketState"):
        await made(lab, "disk")
    for target in ("/www/k", "/files/k"):
        assert (await lab.get(target)).body == b"x"
        await lab.ask("DELETE", target)
    await lab.ask("PUT", "/elsewhere")
    assert bucket(lab, "elsewhere").backend == "hel"


async def test_storage_class_where_rules_forbid_it_is_refused(tmp_path: Path) -> None:
    classes = {"GLACIER_IR": "iad", "STANDARD_IA": "nbg"}
    settings = Settings(inline_bytes_max=1000, part_bytes_min=10, storage_classes=classes)
    async with open_places(tmp_path, settings) as lab:
        record = await made(lab, "fi,de")
        plan = plan_of(lab.services, record, storage_class="STANDARD_IA")
        assert plan is not None
        assert plan.targets == ("nbg", "hel")
        with raises_s3("InvalidStorageClass"):
            plan_of(lab.services, record, storage_class="GLACIER_IR")
        for target in ("/placed/k", "/placed/k?uploads"):
            method = "POST" if target.endswith("s") else "PUT"
            with raises_s3("InvalidStorageClass"):
                await lab.ask(method, target, b"x", x_amz_storage_class="GLACIER_IR")
            await lab.ask(method, target, b"x", x_amz_storage_class="STANDARD_IA")
        with raises_s3("InvalidStorageClass"):
            await class_writer(lab.services, record, "GLACIER_IR")
        assert not lab.garbage()
        await put_lifecycle(lab, "STANDARD_IA")
        with raises_s3("InvalidStorageClass") as refused:
            await put_lifecycle(lab, "GLACIER_IR")
        assert "rules of placement" in refused.value.message


async def test_backend_that_is_emptied_takes_nothing_and_refuses_nothing(lab: Lab) -> None:
    record = await made(lab, "fi,de")
    lab.services.draining = frozenset({"hel"})
    plan = plan_of(lab.services, record, {"replica-count": "2"})
    assert plan is not None
    assert (plan.targets, plan.decision.wanted) == (("nbg",), 2)
    assert plan_of(lab.services, bucket(lab, "www")) is None
    lab.services.draining = frozenset({"hel", "disk", "nbg"})
    plain = plan_of(lab.services, bucket(lab, "www"))
    assert plain is not None
    assert plain.targets == ("iad",)
    with raises_s3("InvalidBucketState") as refused:
        plan_of(lab.services, record)
    assert {"hel is being emptied", "nbg is being emptied"} == set(
        refused.value.message.removeprefix("No new data is taken: ").rstrip(".").split(", ")
    )
    await lab.ask("PUT", "/elsewhere")
    assert bucket(lab, "elsewhere").backend == "iad"
    with raises_s3("InvalidBucketState") as refused:
        await made(lab, "hel", "third")
    assert refused.value.message == "No new data is taken: hel is being emptied."
    lab.services.draining = frozenset(FACTS)
    with raises_s3("InvalidBucketState"):
        await lab.ask("PUT", "/nowhere")
    assert lab.catalog.get_bucket("nowhere") is None
    await lab.ask("PUT", "/elsewhere")  # again: it is there


async def test_tag_that_asks_for_more_copies_than_rules_leave_is_refused(lab: Lab) -> None:
    await made(lab, "fi,de")
    await lab.put("/placed/k", bytes(5000))
    await tag(lab, "/placed/k", "colour", "red")
    assert not lab.catalog.list_debts()
    await tag(lab, "/placed/k", "replica-count", "2")
    assert [debt.key for debt in lab.catalog.list_debts()] == ["k"]
    for count, code in (("3", "InvalidRequest"), ("many", "InvalidTag")):
        with raises_s3(code):
            await tag(lab, "/placed/k", "replica-count", count)
    record = lab.catalog.get_object(bucket(lab, "placed"), "k")
    assert record is not None
    assert record.tags == {"replica-count": "2"}


async def tag(lab: Lab, target: str, name: str, value: str) -> None:
    document = (
        f"<Tagging><TagSet><Tag><Key>{name}</Key><Value>{value}</Value></Tag></TagSet></Tagging>"
    ).encode()
    digest = base64.b64encode(hashlib.md5(document, usedforsecurity=False).digest()).decode()
    await lab.put(f"{target}?tagging", document, content_md5=digest)


async def put_lifecycle(lab: Lab, storage_class: str) -> None:
    document = (
        "<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter/><Transition>"
        f"<Days>30</Days><StorageClass>{storage_class}</StorageClass></Transition></Rule>"
        "</LifecycleConfiguration>"
    ).encode()
    digest = base64.b64encode(hashlib.md5(document, usedforsecurity=False).digest()).decode()
    await lab.put("/placed?lifecycle", document, content_md5=digest)
