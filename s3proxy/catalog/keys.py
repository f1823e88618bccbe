"""Keys of up to 1,024 bytes in a store whose keys end at 511, in full byte order: a trie of pieces.

A node has an 8-byte id; the root node of a bucket is the bucket's id. A key of at most PIECE_BYTES
lies in its node as `node + key`. A longer one continues in a child node, linked at `node + first
PIECE_BYTES bytes + 0xFF`, whose value is the child's id. 0xFF occurs nowhere in UTF-8, so a link
sorts after the key that ends where the link starts and before every key that differs earlier:
scanning depth first visits keys in the byte order of the whole key. No piece is empty, and no
child node is: the last delete removes the link.
"""

from collections.abc import Iterator

from s3proxy.catalog.tables import ID_BYTES, allocate_id
from s3proxy.kv.engine import Snapshot, Transaction

PIECE_BYTES = 480
LINK = b"\xff"
_LINK_BYTES = ID_BYTES + PIECE_BYTES + 1


def successor(prefix: bytes) -> bytes | None:
    """Return the least bytes above everything that starts with `prefix`; None: there are none."""
    stripped = prefix.rstrip(b"\xff")
    if not stripped:
        return None
    return stripped[:-1] + bytes((stripped[-1] + 1,))


def get(view: Snapshot, keyspace: str, node: bytes, key: bytes) -> bytes | None:
    """Return the value under `key` (1 or more bytes of UTF-8) in the tree of `node`."""
    while len(key) > PIECE_BYTES:
        child = view.get(keyspace, node + key[:PIECE_BYTES] + LINK)
        if child is None:
            return None
        node, key = child, key[PIECE_BYTES:]
    return view.get(keyspace, node + key)


def put(txn: Transaction, keyspace: str, node: bytes, key: bytes, value: bytes) -> None:
    """Store `value` under `key`, making child nodes as needed."""
    while len(key) > PIECE_BYTES:
        link = node + key[:PIECE_BYTES] + LINK
        child = txn.get(keyspace, link)
        if child is None:
            child = allocate_id(txn)
            txn.put(keyspace, link, child)
        node, key = child, key[PIECE_BYTES:]
    txn.put(keyspace, node + key, value)


def delete(txn: Transaction, keyspace: str, node: bytes, key: bytes) -> bool:
    """Remove `key` and the child nodes it leaves empty; False when it was not there."""
    links: list[tuple[bytes, bytes]] = []
    while len(key) > PIECE_BYTES:
        link = node + key[:PIECE_BYTES] + LINK
        child = txn.get(keyspace, link)
        if child is None:
            return False
        links.append((link, child))
        node, key = child, key[PIECE_BYTES:]
    if not txn.delete(keyspace, node + key):
        return False
    for link, child in reversed(links):
        if not is_empty(txn, keyspace, child):
            break
        txn.delete(keyspace, link)
    return True


def is_empty(view: Snapshot, keyspace: str, node: bytes) -> bool:
    """Say whether the tree of `node` holds no key."""
    return next(view.scan(keyspace, node, successor(node)), None) is None


def scan(
    view: Snapshot, keyspace: str, node: bytes, start: bytes = b""
) -> Iterator[tuple[bytes, bytes]]:
    """Yield (key, value) of all keys >= `start` in the tree of `node`, in byte order of the key."""
    long_start = len(start) > PIECE_BYTES
    seek = start[:PIECE_BYTES] + LINK if long_start else start
    for stored, value in view.scan(keyspace, node + seek, successor(node)):
        if len(stored) != _LINK_BYTES or stored[-1] != 0xFF:
            yield stored[ID_BYTES:], value
            continue
        head = stored[ID_BYTES:-1]
        rest = start[PIECE_BYTES:] if long_start and start.startswith(head) else b""
        for tail, tail_value in scan(view, keyspace, value, rest):
            yield head + tail, tail_value
