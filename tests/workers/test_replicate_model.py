"""Puts, deletions, changed rules, failing backends and crashes in any order, against a model.

Whatever happens: no live record points at missing bytes; once all is collected nothing is stored
that is no place; and when all backends are up, every object is exactly where its rules want it.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trio
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from s3proxy.catalog.objects import Deletion
from s3proxy.s3.placement import Rules
from tests.workers.replicas import Replicas, open_replicas

NAMES = "abcd"
KEYS = st.sampled_from(["k", "l", "m"])


class ReplicaModel(RuleBasedStateMachine):
    """Each step is a run of the gateway of its own, on the same catalog and backends."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = TemporaryDirectory()
        self.numbers = itertools.count()
        self.objects: dict[str, bytes] = {}
        self.kept: Replicas | None = None
        self.ideal = "ab"

    def teardown(self) -> None:
        self.directory.cleanup()

    def step(self, action: Callable[[Replicas], Awaitable[object]]) -> None:
        async def run() -> None:
            path = Path(self.directory.name)
            name = f"run-{next(self.numbers)}"
            async with open_replicas(path, NAMES, before=self.kept, gateway=name) as replicas:
                self.kept = replicas
                await replicas.recover()
                await action(replicas)
                # What a run that was killed had left to the disk is there, or never will be.
                await replicas.catalog.engine.commit(lambda txn: None)
                self.check(replicas)

        trio.run(run)

    def check(self, replicas: Replicas) -> None:
        """Every place of what lives has its bytes."""
        for key, data in self.objects.items():
            for place in replicas.catalog.places_of(replicas.blob(key)):
                if place.backend:
                    assert replicas.memories[place.backend].blobs_kept[place.name] == data
                else:
                    assert replicas.catalog.get_inline(place.id) == data

    @initialize()
    def start(self) -> None:
        self.step(lambda replicas: replicas.recover())

    @rule(key=KEYS, on=st.sampled_from(["a", "b", "c", "ab", "cd", "abc"]), owed=st.booleans())
    def put(self, key: str, on: str, owed: bool) -> None:
        data = b"data %d" % next(self.numbers)
        self.objects[key] = data
        self.step(lambda replicas: replicas.put(key, data, on, ["b"] if owed else []))

    @rule(key=KEYS)
    def put_inline(self, key: str) -> None:
        async def write(replicas: Replicas) -> None:
            await replicas.put_inline(key, data)
            await replicas.owe()

        data = b"inline %d" % next(self.numbers)
        self.objects[key] = data
        self.step(write)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.objects.pop(key, None)
        self.step(lambda r: r.catalog.delete_object(r.bucket, Deletion(key)))

    @rule(order=st.permutations(NAMES), copies=st.integers(1, 3), allowed=st.integers(3, 4))
    def change_rules(self, order: list[str], copies: int, allowed: int) -> None:
        self.ideal = "".join(order[:copies])
        rules = Rules(regions=tuple(order[:allowed]), replicas=copies)
        self.step(lambda replicas: replicas.set_rules(rules))

    @rule(names=st.sets(st.sampled_from(NAMES), max_size=3))
    def fail(self, names: set[str]) -> None:
        async def go(replicas: Replicas) -> None:
            await replicas.up_all()
            for name in names:
                replicas.go_down(name)

        self.step(go)

    @rule()
    def owe(self) -> None:
        self.step(lambda replicas: replicas.owe())

    @rule()
    def settle(self) -> None:
        self.step(lambda replicas: replicas.settle())

    @rule(calls=st.integers(1, 8), owe=st.booleans())
    def crash(self, calls: int, owe: bool) -> None:
        async def die(replicas: Replicas) -> None:
            if owe:
                await replicas.owe()
            await replicas.settle_until_killed(calls)

        self.step(die)

    @rule()
    def collect(self) -> None:
        self.step(lambda replicas: replicas.collect())

    @rule()
    def converge(self) -> None:
        async def mend(replicas: Replicas) -> None:
            await replicas.up_all()
            await replicas.owe()
            await replicas.settle_all()
            await replicas.collect()
            stored = {
                (name, blob)
                for name, memory in replicas.memories.items()
                for blob in memory.blobs_kept
            }
            places = set()
            for key in self.objects:
                assert replicas.on(key) == "".join(sorted(self.ideal))
                found = replicas.catalog.places_of(replicas.blob(key))
                places |= {(place.backend, place.name) for place in found}
            assert stored == places
            assert replicas.catalog.list_debts() == []
            assert replicas.catalog.open_intents() == []

        self.step(mend)


TestReplicaModel = pytest.mark.slow(ReplicaModel.TestCase)
TestReplicaModel.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
