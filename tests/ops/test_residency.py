"""Whatever the rules, whatever fails: no byte reaches a backend that the rules do not allow."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

import msgspec
import trio
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from s3proxy.backends.errors import PermissionDenied, Unavailable
from s3proxy.catalog.records import BucketRecord
from s3proxy.ops.call import Settings
from s3proxy.placement import Facts
from s3proxy.s3.errors import S3Error
from s3proxy.s3.placement import Rules
from tests.ops.lab import Lab, open_lab
from tests.ops.memory_backend import MemoryBackend
from tests.placement.slow_reading import NAMES, fact_named, may_hold

Fault = Literal["down", "refuses", "after", ""]
FAULTS = st.fixed_dictionaries(
    {name: st.sampled_from(("", "", "down", "refuses", "after")) for name in NAMES}
)
# Rules that some of six backends are likely to satisfy.
RULES = st.builds(
    Rules,
    regions=st.sampled_from(((), (), ("fi", "de"), ("north", "c", "us"))),
    replicas=st.integers(1, 3),
    write_quorum=st.integers(0, 2),
    countries=st.sampled_from(((), (), ("fi", "de"), ("us",))),
    jurisdictions_forbidden=st.sampled_from(((), ("us",))),
    features=st.sampled_from(((), (), ("versions",))),
)
FACTS = st.tuples(*map(fact_named, NAMES))
CLASSES = {"GLACIER_IR": "a", "STANDARD_IA": "b"}
DATA = bytes(3000)


def break_down(backend: MemoryBackend, fault: Fault) -> None:
    async def refuse(op: str, key: str) -> None:
        raise PermissionDenied(op, key, "no", backend.name)

    async def lose(op: str, key: str) -> None:
        raise Unavailable(op, key, "the answer is lost", backend.name)

    backend.down = fault == "down"
    if fault == "refuses":
        backend.hook = refuse
    if fault == "after":
        backend.written = lose


async def attempt(lab: Lab, method: str, target: str, data: bytes, **headers: str) -> str:
    """Ask; the upload id of what is answered, "" where it is refused or has none."""
    try:
        answer = await lab.ask(method, target, data, **headers)
    except S3Error:
        return ""
    return answer.text("UploadId") if target.endswith("?uploads") else ""


async def write_all_ways(lab: Lab) -> None:
    await attempt(lab, "PUT", "/www/plain", DATA)
    await attempt(lab, "PUT", "/www/small", b"x")
    await attempt(lab, "PUT", "/www/two", DATA, x_amz_tagging="replica-count=2")
    for storage_class in CLASSES:
        await attempt(lab, "PUT", "/www/class", DATA, x_amz_storage_class=storage_class)
    await attempt(lab, "PUT", "/www/copy", b"", x_amz_copy_source="/www/plain")
    upload = await attempt(lab, "POST", "/www/parts?uploads", b"")
    if upload:
        await attempt(lab, "PUT", f"/www/parts?partNumber=1&uploadId={upload}", DATA)


async def run(
    rules: Rules, facts: tuple[Facts, ...], faults: dict[str, Fault]
) -> dict[str, list[str]]:
    """What each backend was asked to write."""
    backends = {fact.name: MemoryBackend(fact.name) for fact in facts}
    classes = {name: home for name, home in CLASSES.items() if home in backends}
    config = Settings(inline_bytes_max=1000, part_bytes_min=10, storage_classes=classes)
    with tempfile.TemporaryDirectory() as directory:
        async with open_lab(Path(directory), more=[*backends.values()], settings=config) as lab:
            lab.services.facts = {"disk": Facts("disk"), **{fact.name: fact for fact in facts}}

            def ruled(now: BucketRecord) -> BucketRecord:
                return msgspec.structs.replace(now, placement=rules)

            bucket = lab.catalog.get_bucket("www")
            assert bucket is not None
            await lab.catalog.update_bucket(bucket, ruled)
            for name, backend in backends.items():
                break_down(backend, faults[name])
            await write_all_ways(lab)
            stored = [path for path in (lab.root).glob("??/??/*") if path.is_file()]
            assert not stored or may_hold(rules, lab.services.facts["disk"])
    return {
        name: [op for op, _ in backend.asked if op in ("put", "put_part", "create_upload")]
        for name, backend in backends.items()
    }


@settings(max_examples=60, deadline=None)
@given(RULES, FACTS, FAULTS)
def test_writes_reach_only_backends_that_the_rules_allow(
    rules: Rules, facts: tuple[Facts, ...], faults: dict[str, Fault]
) -> None:
    left = [fact for fact in facts if may_hold(rules, fact) and not fact.read_only]
    assume(len(left) >= rules.replicas)
    asked = trio.run(run, rules, facts, faults)
    assert any(asked.values()) or any(faults[fact.name] for fact in left)
    for fact in facts:
        if asked[fact.name]:
            assert may_hold(rules, fact)
            assert not fact.read_only
