import threading
from pathlib import Path

import pytest

from s3proxy.catalog.errors import BadMasterKey
from s3proxy.catalog.master_keys import (
    MASTER_KEY_NAME,
    former_keys,
    open_sealer,
    replace_master_key,
)
from s3proxy.catalog.seal import AesGcmSealer

PLACE = {"table": "keys", "row": "A"}


def test_replaced_key_still_opens_and_the_new_one_seals(tmp_path: Path) -> None:
    before = open_sealer(tmp_path)
    old = before.seal(b"s", **PLACE)
    kept = replace_master_key(tmp_path)
    assert former_keys(tmp_path) == [kept]
    assert kept.stat().st_mode & 0o777 == 0o600
    after = open_sealer(tmp_path)
    assert (after.unseal(old, **PLACE), after.is_current(old)) == (b"s", False)
    new = after.seal(b"t", **PLACE)
    assert after.is_current(new)
    assert (new[1:5], old[1:5].hex()) != (old[1:5], "")
    assert kept.name == f"{MASTER_KEY_NAME}.{old[1:5].hex()}"


def test_sealer_that_was_open_before_sees_the_new_key(tmp_path: Path) -> None:
    reader, writer = open_sealer(tmp_path), open_sealer(tmp_path)
    old = writer.seal(b"s", **PLACE)
    replace_master_key(tmp_path)
    new = writer.seal(b"s", **PLACE)
    assert new[1:5] != old[1:5]
    assert reader.unseal(new, **PLACE) == reader.unseal(old, **PLACE) == b"s"


def test_key_that_was_taken_away_opens_no_more(tmp_path: Path) -> None:
    old = open_sealer(tmp_path).seal(b"s", **PLACE)
    replace_master_key(tmp_path).unlink()
    with pytest.raises(BadMasterKey, match="another master key"):
        open_sealer(tmp_path).unseal(old, **PLACE)


def test_many_rotations_at_once_lose_no_key(tmp_path: Path) -> None:
    sealed = [open_sealer(tmp_path).seal(b"s", **PLACE)]

    def rotate() -> None:
        for _ in range(10):
            replace_master_key(tmp_path)
            sealed.append(open_sealer(tmp_path).seal(b"s", **PLACE))

    threads = [threading.Thread(target=rotate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sealer = open_sealer(tmp_path)
    assert len(sealed) == 41
    assert {sealer.unseal(one, **PLACE) for one in sealed} == {b"s"}
    assert len(former_keys(tmp_path)) == 40
    assert not list(tmp_path.glob(".*"))


def test_files_that_only_look_like_keys_are_left_alone(tmp_path: Path) -> None:
    open_sealer(tmp_path)
    for name in ("bak", "0123456", "0123456z", "tmp.01234567"):
        (tmp_path / f"{MASTER_KEY_NAME}.{name}").write_bytes(b"no key")
    assert former_keys(tmp_path) == []
    open_sealer(tmp_path)


def test_former_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    open_sealer(tmp_path)
    replace_master_key(tmp_path).chmod(0o644)
    with pytest.raises(BadMasterKey, match="chmod 600"):
        open_sealer(tmp_path)


def test_former_key_of_another_length_is_refused() -> None:
    with pytest.raises(BadMasterKey, match="32 bytes"):
        AesGcmSealer(bytes(32), bytes(31))


def test_former_key_that_was_read_opens_after_its_file_is_gone(tmp_path: Path) -> None:
    sealer = open_sealer(tmp_path)
    first = sealer.seal(b"1", **PLACE)
    replace_master_key(tmp_path).unlink()
    second = sealer.seal(b"2", **PLACE)
    replace_master_key(tmp_path).unlink()
    third = sealer.seal(b"3", **PLACE)
    assert [sealer.is_current(one) for one in (first, second, third)] == [False, False, True]
    assert [sealer.unseal(one, **PLACE) for one in (first, second, third)] == [b"1", b"2", b"3"]
