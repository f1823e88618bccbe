"""`python -m bench`: every case of docs/performance.md, one table, one JSON."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from bench import cases_encryption as encryption
from bench import cases_placed as placed
from bench import cases_process as process
from bench import cases_transfer as transfer
from bench.lab import open_lab
from bench.report import Finding, machine, median_finding, table, write_json

CASES: dict[str, transfer.Case] = {
    "get-1k-attached": transfer.get_attached("1k", 32, 2.0),
    "get-64k-attached": transfer.get_attached("64k", 32, 1.8),
    "get-64m-attached": transfer.get_attached("64m", 8, 0.4),
    "get-1k-haproxy": transfer.get_attached_haproxy,
    "get-1k-managed": transfer.get_managed("1k", 32, 3.0),
    "get-64m-managed": transfer.get_managed("64m", 8, 1.2),
    "head-managed": transfer.head_managed,
    "put-1k-fsync": transfer.put_small_durable,
    "put-64m-sink": transfer.put_spliced,
    "put-64m-local": transfer.put_local(chunked=False),
    "put-64m-chunked": transfer.put_local(chunked=True),
    "get-64m-encrypted": encryption.get_encrypted(8),
    "put-64m-encrypted": encryption.put_encrypted(2),
    "get-one-down": placed.one_down("GET"),
    "put-one-down": placed.one_down("PUT"),
    "get-placed": placed.placed("GET"),
    "put-placed": placed.placed("PUT"),
    "replicate": placed.replicate,
    "replicate-rclone": placed.replicate_rclone,
    "list": process.list_objects,
    "sigv4": process.verify_signature,
    "idle": process.idle_memory,
    "idle-connections": process.idle_connections,
    "large-readers": process.large_readers,
}
# Rounds tell nothing more.
ONCE = {"replicate", "replicate-rclone"}
ONCE |= {"list", "sigv4", "idle", "idle-connections", "large-readers"}


def main() -> int:
    """Run the chosen cases; exit status 1 when one missed its target."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one run")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of runs; the median counts")
    parser.add_argument("--objects", type=int, default=5000, help="how many are replicated")
    parser.add_argument("--json", type=Path, default=Path("bench/results/latest.json"))
    parser.add_argument("--dir", type=Path, help="where to keep data meanwhile (default: here)")
    arguments = parser.parse_args()
    findings = []
    base = (arguments.dir or Path()).resolve()
    with (
        tempfile.TemporaryDirectory(dir=base, prefix=".bench-") as folder,
        open_lab(Path(folder)) as lab,
    ):
        lab.objects = arguments.objects
        for name in arguments.only:
            rounds = 1 if name in ONCE else arguments.rounds
            print(f"{name} …", file=sys.stderr, flush=True)
            finding = median_finding([CASES[name](lab, arguments.seconds) for _ in range(rounds)])
            print(_line(finding), file=sys.stderr, flush=True)
            findings.append(finding)
    print(", ".join(f"{key} {value}" for key, value in machine().items()))
    print(table(findings))
    write_json(findings, arguments.json)
    return 0 if all(finding.met for finding in findings) else 1


def _line(finding: Finding) -> str:
    verdict = "met" if finding.met else "NOT MET"
    return f"    {finding.ratio:.3g} (target {finding.target:g}) {verdict} {finding.note}"


if __name__ == "__main__":
    sys.exit(main())
