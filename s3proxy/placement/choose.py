"""Which backend a new bucket lives on, and what it is called there."""

from __future__ import annotations

import re
from collections.abc import Mapping

import xxhash

from s3proxy.s3.errors import S3Error
from s3proxy.s3.names import is_creatable_bucket

# The rule for bucket names of every S3 provider; a backend's name is cut to fit.
_CONTAINER_CHARACTERS_MAX = 63
_BEGIN = re.compile("s3gw-[0-9a-f]{16}-")
_NOT_IN_A_BUCKET_NAME = re.compile(r"[^a-z0-9-]+")


def choose_backend(
    backends: Mapping[str, object], location: str, default: str = "", *, region: str = "us-east-1"
) -> str:
    """The name of the backend that a CreateBucket with this LocationConstraint means.

    Args:
        backends: by name, in the order of the configuration.
        location: the LocationConstraint; empty when the request has none.
        default: the backend of buckets that name none; empty: the first configured.
        region: the region this server answers for, which means the default too.
    Raises:
        S3Error: InvalidLocationConstraint.
    """
    if location in ("", region):
        if default in backends:
            return default
        return next(iter(backends))
    if location in backends:
        return location
    raise S3Error("InvalidLocationConstraint", LocationConstraint=location)


def container_name(seed: int, tenant: str, bucket: str, counter: int, backend: str) -> str:
    """The physical bucket: `s3gw-<16 hex>-<backend>`, the same for the same arguments.

    The hash is the upper half of xxh3-128 over tenant, bucket and a counter that the caller raises
    when the name is taken. NUL separates them: it occurs in none.
    """
    text = f"{tenant}\0{bucket}\0{counter}".encode()
    digest = xxhash.xxh3_128_hexdigest(text, seed=seed)[:16]
    return _ended(f"s3gw-{digest}-", backend)


def is_container_of(name: str, backend: str) -> bool:
    """Whether a physical bucket has a name that `container_name` gives for a backend."""
    begin = _BEGIN.match(name)
    return begin is not None and name == _ended(begin[0], backend)


def _ended(begin: str, backend: str) -> str:
    suffix = _NOT_IN_A_BUCKET_NAME.sub("-", backend.lower())
    name = (begin + suffix)[:_CONTAINER_CHARACTERS_MAX].rstrip("-")
    # Some endings are reserved: "a-s3alias" is the alias of an access point.
    return name if is_creatable_bucket(name) else f"{name[: _CONTAINER_CHARACTERS_MAX - 2]}-b"
