from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3proxy.catalog import keys
from s3proxy.catalog.listing import Range, walk

ROOT = (1).to_bytes(8, "big")
OTHER = (2).to_bytes(8, "big")
KEY_BYTES_MAX = 511


class Memory:
    """A transaction over a sorted dictionary, with LMDB's limit on keys."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, bytes], bytes] = {("meta", b"last_id"): (9).to_bytes(8, "big")}
        self.read = 0

    def get(self, keyspace: str, key: bytes, /) -> bytes | None:
        return self.rows.get((keyspace, key))

    def put(self, keyspace: str, key: bytes, value: bytes, /) -> None:
        assert 0 < len(key) <= KEY_BYTES_MAX
        self.rows[keyspace, key] = value

    def delete(self, keyspace: str, key: bytes, /) -> bool:
        return self.rows.pop((keyspace, key), None) is not None

    def scan(
        self, keyspace: str, start: bytes, stop: bytes | None = None, /
    ) -> Iterator[tuple[bytes, bytes]]:
        assert len(start) <= KEY_BYTES_MAX
        for (space, key), value in sorted(self.rows.items()):
            if space == keyspace and key >= start and (stop is None or key < stop):
                self.read += 1
                yield key, value

    def count(self, keyspace: str) -> int:
        return sum(space == keyspace for space, _ in self.rows)


# Pieces that meet at the node boundary, and every class of byte that UTF-8 can hold.
PIECES = st.sampled_from(["a", "b", "\x00", "\x01", "/", "é", "\U0010ffff", "p" * 480, "p" * 479])
KEYS = st.one_of(
    st.lists(PIECES, min_size=1, max_size=4).map("".join),
    st.text(min_size=1, max_size=300),
).filter(lambda key: 1 <= len(key.encode(errors="replace")) <= 1024 and _is_utf8(key))


def _is_utf8(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def tree(names: set[str]) -> Memory:
    memory = Memory()
    for name in sorted(names, key=hash):
        keys.put(memory, "t", ROOT, name.encode(), b"v:" + name.encode())
    keys.put(memory, "t", OTHER, b"other", b"v")
    return memory


@given(st.sets(KEYS, max_size=30))
@settings(max_examples=150, deadline=None)
def test_scan_any_keys_visits_in_byte_order(names: set[str]) -> None:
    memory = tree(names)
    expected = sorted(name.encode() for name in names)
    assert list(keys.scan(memory, "t", ROOT)) == [(key, b"v:" + key) for key in expected]


@given(st.sets(KEYS, max_size=30), KEYS)
@settings(max_examples=150, deadline=None)
def test_scan_from_start_skips_what_is_below(names: set[str], start: str) -> None:
    memory = tree(names)
    expected = sorted(name.encode() for name in names if name.encode() >= start.encode())
    assert [key for key, _ in keys.scan(memory, "t", ROOT, start.encode())] == expected
    for name in names:
        assert keys.get(memory, "t", ROOT, name.encode()) == b"v:" + name.encode()


@given(st.sets(KEYS, min_size=1, max_size=20), st.data())
@settings(max_examples=150, deadline=None)
def test_delete_leaves_the_others_and_no_empty_node(names: set[str], data: st.DataObject) -> None:
    memory = tree(names)
    gone = data.draw(st.sets(st.sampled_from(sorted(names))))
    for name in gone:
        assert keys.delete(memory, "t", ROOT, name.encode())
        assert not keys.delete(memory, "t", ROOT, name.encode())
    left = sorted(name.encode() for name in names - gone)
    assert [key for key, _ in keys.scan(memory, "t", ROOT)] == left
    for name in names - gone:
        assert keys.delete(memory, "t", ROOT, name.encode())
    assert memory.count("t") == 1


@given(
    st.sets(KEYS, max_size=30),
    st.one_of(st.just(""), KEYS),
    st.one_of(st.just(""), KEYS),
    st.sampled_from(["", "/", "a", "ab", "p"]),
)
@settings(max_examples=300, deadline=None)
def test_walk_any_range_matches_the_definition(
    names: set[str], prefix: str, after: str, delimiter: str
) -> None:
    wanted = Range(prefix.encode(), delimiter.encode(), after.encode())
    found = [(entry, value is None) for entry, value in walk(tree(names), "t", ROOT, wanted)]
    assert found == _expected(names, wanted)


def _expected(names: set[str], wanted: Range) -> list[tuple[bytes, bool]]:
    """Group by definition: what lies above `after`, or under a common prefix that is not it."""
    expected: list[tuple[bytes, bool]] = []
    for key in sorted(name.encode() for name in names):
        if not key.startswith(wanted.prefix) or key <= wanted.after:
            continue
        cut = key.find(wanted.delimiter, len(wanted.prefix)) if wanted.delimiter else -1
        entry = (key, False) if cut < 0 else (key[: cut + len(wanted.delimiter)], True)
        if entry not in expected and entry != (wanted.after, True):
            expected.append(entry)
    return expected


def test_walk_delimiter_skips_what_a_common_prefix_covers() -> None:
    memory = tree({f"{group}/{number:04d}" for group in "abc" for number in range(500)})
    found = list(walk(memory, "t", ROOT, Range(b"", b"/", b"")))
    assert found == [(b"a/", None), (b"b/", None), (b"c/", None)]
    assert memory.read == 3


@pytest.mark.parametrize("length", [1, 479, 480, 481, 960, 961, 1024])
def test_put_boundary_length_is_found_again(length: int) -> None:
    memory = Memory()
    key = b"k" * length
    keys.put(memory, "t", ROOT, key, b"v")
    assert keys.get(memory, "t", ROOT, key) == b"v"
    assert keys.get(memory, "t", ROOT, key + b"x") is None
    assert keys.get(memory, "t", ROOT, key[:-1] or b"z") is None
    assert memory.count("t") == (length - 1) // 480 + 1


def test_is_empty_only_other_nodes_is_true() -> None:
    memory = tree(set())
    assert keys.is_empty(memory, "t", ROOT)
    assert not keys.is_empty(memory, "t", OTHER)


@pytest.mark.parametrize(
    ("prefix", "expected"), [(b"a", b"b"), (b"a\xff", b"b"), (b"", None), (b"\xff\xff", None)]
)
def test_successor_is_the_least_above(prefix: bytes, expected: bytes | None) -> None:
    assert keys.successor(prefix) == expected
