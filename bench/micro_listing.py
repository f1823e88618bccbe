"""Rows of a listing to XML: compiled, and by f-strings; `python -m bench.micro_listing`."""

import time
from collections.abc import Callable

from s3proxy._fast.listing_xml import contents
from s3proxy.s3.listing import ListedObject
from s3proxy.s3.time import iso8601
from s3proxy.s3.xml import escape

ROWS = 1000
ROUNDS = 200


def main() -> None:
    """Measure and print."""
    objects = [
        ListedObject(f"key/{number:08}", 4096, "e" * 32, 1_700_000_000_000_000_000 + number)
        for number in range(ROWS)
    ]
    for name, action in (
        ("compiled", lambda: contents(objects, b"", False)),
        ("formatted", lambda: "".join(map(_row, objects)).encode()),
    ):
        print(f"{ROWS} rows to XML, {name:10} {_best_us(action):8.1f} us")


def _row(entry: ListedObject) -> str:
    return (
        f"<Contents><Key>{escape(entry.key)}</Key>"
        f"<LastModified>{iso8601(entry.modified_ns)}</LastModified>"
        f"<ETag>&quot;{escape(entry.etag)}&quot;</ETag><Size>{entry.size}</Size>"
        f"<StorageClass>{escape(entry.storage_class)}</StorageClass></Contents>"
    )


def _best_us(action: Callable[[], object]) -> float:
    best_s = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        action()
        best_s = min(best_s, time.perf_counter() - started)
    return best_s * 1e6


if __name__ == "__main__":
    main()
