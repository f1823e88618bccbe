"""Cases that compare encrypted objects with plain ones, both on the gateway's local backend."""

from __future__ import annotations

from pathlib import Path

from bench.cases_transfer import Case
from bench.lab import MIB, SIZES, Lab
from bench.load import drive
from bench.report import Finding
from bench.signing import Request, sign

TARGET = 0.5  # of the plain rate


def get_encrypted(connections: int) -> Case:
    """GET 64 MiB that is decrypted on the way, against the same from a plain bucket."""
    return lambda lab, seconds: _compare(lab, seconds, "GET", "64m", None, connections=connections)


def put_encrypted(connections: int) -> Case:
    """PUT 64 MiB that is encrypted on the way, against the same into a plain bucket."""

    def case(lab: Lab, seconds: float) -> Finding:
        body = lab.folder / "origin" / "www" / "64m"
        return _compare(lab, seconds, "PUT", "put/64m", body, connections=connections)

    return case


def _compare(
    lab: Lab, seconds: float, method: str, name: str, body: Path | None, *, connections: int
) -> Finding:
    rates, errors = [], 0
    for bucket in ("encrypted", "managed"):
        request = sign(lab.gateway.port, Request(method, f"/{bucket}/{name}", body=body))
        measured = drive(lab.gateway, [request], connections=connections, seconds=seconds)
        rates.append(measured.rate * SIZES["64m"] / MIB)
        errors += measured.errors
    encrypted, plain = rates
    return Finding(
        f"{method} 64 MiB encrypted, {connections} connections", "the same, plain", encrypted,
        plain, "MiB/s", encrypted / plain, TARGET, at_least=True,
        note=f"{errors} errors" if errors else "", errors=errors,
    )  # fmt: skip
