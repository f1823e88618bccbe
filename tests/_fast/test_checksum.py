import hashlib
import os
import threading
import zlib
from base64 import b64encode
from collections.abc import Callable
from itertools import pairwise

import pytest
from awscrt import checksums as awscrt
from hypothesis import given
from hypothesis import strategies as st

from s3proxy._fast.checksum import ALGORITHMS, Hasher, crc_combine, crc_with_level, digest

CRCS = ("crc32", "crc32c", "crc64nvme")
ORACLES: dict[str, Callable[[bytes], bytes]] = {
    "md5": lambda data: hashlib.md5(data).digest(),
    "sha1": lambda data: hashlib.sha1(data).digest(),
    "sha256": lambda data: hashlib.sha256(data).digest(),
    "crc32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "crc32c": lambda data: awscrt.crc32c(data).to_bytes(4, "big"),
    "crc64nvme": lambda data: awscrt.crc64nvme(data).to_bytes(8, "big"),
}
# Every boundary of the block, lane and fold sizes, and of the GIL and cache thresholds.
SIZES = sorted(
    {0, 1, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 127, 128, 129, 255, 256, 257, 383, 384, 511}
    | {512, 513, 639, 767, 768, 769, 1023, 1024, 1025, 4095, 4096, 4097, 16383, 16384, 16385}
    | {65535, 100003}
)
DATA = os.urandom(100003)
# The check value of every catalogue of CRCs.
CHECK = b"123456789"


def test_algorithms_are_those_of_s3_and_md5() -> None:
    assert ALGORITHMS == ("md5", "sha1", "sha256", "crc32", "crc32c", "crc64nvme")


@pytest.mark.parametrize(
    ("algorithm", "value"),
    [("crc32", "cbf43926"), ("crc32c", "e3069283"), ("crc64nvme", "ae8b14860a799888")],
)
def test_digest_of_check_string_is_the_catalogued_value(algorithm: str, value: str) -> None:
    assert digest(algorithm, CHECK).hex() == value


def test_digest_of_empty_input_is_known() -> None:
    assert b64encode(digest("crc64nvme", b"")) == b"AAAAAAAAAAA="
    assert digest("md5", b"").hex() == "d41d8cd98f00b204e9800998ecf8427e"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", SIZES)
def test_digest_equals_oracle(algorithm: str, size: int) -> None:
    assert digest(algorithm, DATA[:size]) == ORACLES[algorithm](DATA[:size])


@pytest.mark.parametrize("algorithm", CRCS)
@pytest.mark.parametrize("level", [0, 1, 2])
def test_crc_by_every_technique_equals_oracle(algorithm: str, level: int) -> None:
    for size in range(1200):
        data = DATA[size : 2 * size]
        assert crc_with_level(algorithm, data, level) == ORACLES[algorithm](data)
    assert crc_with_level(algorithm, DATA, level) == ORACLES[algorithm](DATA)


@given(data=st.binary(max_size=3000), cuts=st.lists(st.integers(0, 3000), max_size=6))
def test_hasher_any_split_equals_oracles(data: bytes, cuts: list[int]) -> None:
    hasher = Hasher(ALGORITHMS)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, stop in pairwise(edges):
        hasher.update(memoryview(data)[start:stop])
    for algorithm in ALGORITHMS:
        assert hasher.digest(algorithm) == ORACLES[algorithm](data)


def test_hasher_byte_by_byte_equals_oracles() -> None:
    hasher = Hasher(ALGORITHMS)
    for i in range(700):
        hasher.update(DATA[i : i + 1])
    for algorithm in ALGORITHMS:
        assert hasher.digest(algorithm) == ORACLES[algorithm](DATA[:700])


def test_hasher_digest_leaves_room_for_more() -> None:
    hasher = Hasher(["sha256", "crc32c"])
    hasher.update(bytearray(b"one"))
    assert hasher.digest("sha256") == ORACLES["sha256"](b"one")
    assert hasher.digest("sha256") == ORACLES["sha256"](b"one")
    hasher.update(memoryview(b" two"))
    assert hasher.digest("crc32c") == ORACLES["crc32c"](b"one two")


def test_hasher_copy_is_independent() -> None:
    hasher = Hasher(ALGORITHMS)
    hasher.update(b"common ")
    other = hasher.copy()
    hasher.update(b"left")
    other.update(b"right")
    for algorithm in ALGORITHMS:
        assert hasher.digest(algorithm) == ORACLES[algorithm](b"common left")
        assert other.digest(algorithm) == ORACLES[algorithm](b"common right")


def test_hasher_two_threads_at_once_keep_their_own_state() -> None:
    data = os.urandom(1 << 21)
    results: dict[int, bytes] = {}

    def work(number: int) -> None:
        hasher = Hasher(["md5", "sha256"])
        hasher.update(data[number:])
        results[number] = hasher.digest("sha256")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {i: hashlib.sha256(data[i:]).digest() for i in range(4)}


def test_hasher_unknown_algorithm_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown checksum algorithm 'sha512'"):
        Hasher(["md5", "sha512"])
    with pytest.raises(ValueError, match="unknown checksum algorithm"):
        digest("SHA256", b"")


def test_hasher_digest_not_asked_for_is_refused() -> None:
    with pytest.raises(ValueError, match="not asked for"):
        Hasher(["md5"]).digest("sha1")


def test_hasher_discontiguous_buffer_is_refused() -> None:
    with pytest.raises(BufferError):
        Hasher(["md5"]).update(memoryview(b"abcdef")[::2])


def test_hasher_without_algorithms_takes_bytes() -> None:
    Hasher(()).update(DATA)


@pytest.mark.parametrize("algorithm", CRCS)
@given(first=st.binary(max_size=400), second=st.binary(max_size=400))
def test_crc_combine_equals_crc_of_both(algorithm: str, first: bytes, second: bytes) -> None:
    combined = crc_combine(
        algorithm, digest(algorithm, first), digest(algorithm, second), len(second)
    )
    assert combined == digest(algorithm, first + second)


@pytest.mark.parametrize("algorithm", CRCS)
def test_crc_combine_of_terabytes_is_associative(algorithm: str) -> None:
    one, two, three = (digest(algorithm, bytes([i]) * 50) for i in range(3))
    size = 5 * 1024**4 + 3
    left = crc_combine(algorithm, crc_combine(algorithm, one, two, size), three, size)
    right = crc_combine(algorithm, one, crc_combine(algorithm, two, three, size), 2 * size)
    assert left == right


def test_crc_combine_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="not a CRC"):
        crc_combine("md5", bytes(16), bytes(16), 1)
    with pytest.raises(ValueError, match="has 8 bytes"):
        crc_combine("crc64nvme", bytes(8), bytes(4), 1)
    with pytest.raises(ValueError, match="negative"):
        crc_combine("crc32", bytes(4), bytes(4), -1)
    with pytest.raises(OverflowError):
        crc_combine("crc32", bytes(4), bytes(4), 1 << 64)
