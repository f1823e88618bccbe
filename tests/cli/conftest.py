from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command works in a folder of its own, as a newcomer's would."""
    monkeypatch.chdir(tmp_path)
