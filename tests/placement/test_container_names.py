"""A million names of containers: legal everywhere, and never of two buckets."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from s3proxy.catalog.buckets import bucket_key
from s3proxy.catalog.containers import claim
from s3proxy.placement import container_name
from s3proxy.s3.names import check_bucket_name, is_creatable_bucket

BACKENDS = ("hel", "a-backend-with-a-name-of-31-char", "x-s3alias", "7")
BUCKETS = 250_000
CHUNK = 50_000


class Rows:
    """As much of a transaction as claiming a name takes."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[bytes, bytes]] = {"physical": {}, "containers": {}}

    def get(self, table: str, key: bytes) -> bytes | None:
        return self.tables[table].get(key)

    def put(self, table: str, key: bytes, value: bytes) -> None:
        self.tables[table][key] = value


def test_container_names_of_a_million_are_legal_and_differ() -> None:
    for backend in BACKENDS:
        names: set[str] = set()
        for start in range(0, BUCKETS, CHUNK):
            chunk = [
                container_name(7, f"tenant-{n % 100}", f"bucket-{n // 100}", 0, backend)
                for n in range(start, start + CHUNK)
            ]
            # What is behind the hash is the same for all of them.
            assert len({name[21:] for name in chunk}) == 1
            assert all(name.startswith("s3gw-") and name[5:21].isalnum() for name in chunk)
            assert all(map(is_creatable_bucket, chunk[:: CHUNK // 500]))
            names.update(chunk)
        assert len(names) == BUCKETS


def test_claim_of_names_that_collide_gives_each_bucket_its_own() -> None:
    txn: Any = Rows()
    claimed: dict[tuple[str, str], bytes] = {}
    for n in range(200_000):
        owner = bucket_key(f"tenant-{n % 10}", f"bucket-{n // 10}")

        def short(counter: int, text: str = owner.decode()) -> str:
            # 20 bits: one in ten of these collides, some more than once.
            return container_name(7, "", text, counter, "hel")[:10]

        name = claim(txn, owner, "hel", short)
        assert claimed.setdefault(("hel", name), owner) == owner
        if n % 1000 == 0:
            assert claim(txn, owner, "hel", short) == name
    assert len(claimed) == 200_000


@given(
    st.integers(0, 2**64 - 1),
    st.text(min_size=1, max_size=80),
    st.from_regex(r"[a-z0-9][a-z0-9-]{0,30}", fullmatch=True),
    st.integers(0, 1000),
)
def test_container_name_of_any_backend_is_legal(
    seed: int, bucket: str, backend: str, counter: int
) -> None:
    bucket = bucket.encode(errors="replace").decode()
    name = container_name(seed, "main", bucket, counter, backend)
    check_bucket_name(name)
    assert name == container_name(seed, "main", bucket, counter, backend)


@given(st.text(max_size=100))
def test_container_name_of_any_text_as_a_backend_is_legal(backend: str) -> None:
    check_bucket_name(container_name(7, "main", "bucket", 0, backend))


@given(st.sampled_from(["-s3alias", "--ol-s3", "--x-s3", "--table-s3"]), st.text("ab", max_size=60))
def test_container_name_with_a_reserved_ending_is_legal(ending: str, start: str) -> None:
    check_bucket_name(container_name(7, "main", "bucket", 0, start + ending))
