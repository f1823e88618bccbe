"""What an operator reads of a backend's error."""

from __future__ import annotations

import pytest

from s3proxy.backends.errors import Unavailable


@pytest.mark.parametrize(
    ("path", "text"),
    [("a b", "Unavailable: put 'a b' on far: away"), ("", "Unavailable: put on far: away")],
)
def test_error_names_operation_path_backend_and_hint(path: str, text: str) -> None:
    assert str(Unavailable("put", path, hint="away", backend="far")) == text
