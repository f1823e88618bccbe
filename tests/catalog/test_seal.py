from pathlib import Path

import pytest

from s3proxy.catalog.errors import BadMasterKey
from s3proxy.catalog.master_keys import MASTER_KEY_NAME, open_sealer
from s3proxy.catalog.seal import AesGcmSealer

KEY = bytes(range(32))


def test_seal_opens_in_its_place_only() -> None:
    sealer = AesGcmSealer(KEY)
    sealed = sealer.seal(b"secret", table="keys", row="A")
    assert sealer.unseal(sealed, table="keys", row="A") == b"secret"
    assert sealer.seal(b"secret", table="keys", row="A") != sealed
    for table, row in (("keys", "B"), ("users", "A")):
        with pytest.raises(BadMasterKey, match="does not open"):
            sealer.unseal(sealed, table=table, row=row)


def test_unseal_any_byte_changed_is_refused() -> None:
    sealer = AesGcmSealer(KEY)
    sealed = sealer.seal(b"s", table="keys", row="A")
    for position in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[position] ^= 1
        with pytest.raises(BadMasterKey):
            sealer.unseal(bytes(damaged), table="keys", row="A")
    for length in range(len(sealed)):
        with pytest.raises(BadMasterKey):
            sealer.unseal(sealed[:length], table="keys", row="A")


def test_unseal_other_master_key_says_so() -> None:
    sealed = AesGcmSealer(KEY).seal(b"s", table="keys", row="A")
    with pytest.raises(BadMasterKey, match="another master key"):
        AesGcmSealer(bytes(32)).unseal(sealed, table="keys", row="A")


def test_open_sealer_first_start_makes_a_private_key_file(tmp_path: Path) -> None:
    sealed = open_sealer(tmp_path).seal(b"s", table="keys", row="A")
    path = tmp_path / MASTER_KEY_NAME
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_bytes()) == 32
    assert [entry.name for entry in tmp_path.iterdir()] == [MASTER_KEY_NAME]
    assert open_sealer(tmp_path).unseal(sealed, table="keys", row="A") == b"s"


@pytest.mark.parametrize("length", [0, 31, 33])
def test_open_sealer_wrong_length_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / MASTER_KEY_NAME
    path.write_bytes(bytes(length))
    path.chmod(0o600)
    with pytest.raises(BadMasterKey, match="32 bytes"):
        open_sealer(tmp_path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_open_sealer_readable_by_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / MASTER_KEY_NAME
    path.write_bytes(KEY)
    path.chmod(mode)
    with pytest.raises(BadMasterKey, match="chmod 600"):
        open_sealer(tmp_path)
