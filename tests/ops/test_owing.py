"""What makes a walk over a bucket due, in whatever process it is asked."""

import os
import subprocess
import sys

import pytest

DIGEST = """
from types import SimpleNamespace
from s3proxy.catalog.records import BucketRecord
from s3proxy.ops.owing import walk_rules
from s3proxy.placement import Facts
from s3proxy.s3.placement import Rules

bucket = BucketRecord(
    name="b", kind="managed", backend="a", container="c", region="", created_ns=1,
    placement=Rules(countries=("fi",)),
)
facts = {"a": Facts("a", features=frozenset(map(str, range(20))))}
catalog = SimpleNamespace(get_tenant=lambda name: None)
services = SimpleNamespace(catalog=catalog, facts=facts, default_rules=None)
print(walk_rules(services, bucket).hex())
"""


@pytest.mark.parametrize("seed", ["1", "2"])
def test_walk_rules_in_another_process_are_the_same(seed: str) -> None:
    environ = {**os.environ, "PYTHONHASHSEED": seed}
    run = [sys.executable, "-c", DIGEST]
    told = subprocess.run(run, env=environ, capture_output=True, text=True, check=True).stdout
    first = {**os.environ, "PYTHONHASHSEED": "0"}
    assert told == subprocess.run(run, env=first, capture_output=True, text=True).stdout != ""
