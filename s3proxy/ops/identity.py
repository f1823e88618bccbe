"""Who an access key belongs to, with what the operator allows the user, compiled."""

from __future__ import annotations

from functools import lru_cache

from s3proxy.catalog.records import KeyRecord
from s3proxy.ops.bucket_access import asks_for_tags
from s3proxy.s3.auth import Identity
from s3proxy.s3.errors import S3Error
from s3proxy.s3.limits import RateLimits
from s3proxy.s3.policy import Policy, parse_policy


def identity_of(
    key: KeyRecord, policy: bytes, default_limits: RateLimits | None = None
) -> Identity:
    """The identity of the key's user.

    Args:
        policy: the document that is kept with the user; b"" for none.
        default_limits: of keys that have none of their own.

    Raises:
        S3Error: InternalError for a document that cannot be read.
    """
    compiled = _compiled(policy) if policy else None
    return Identity(
        access_key=key.access_key,
        user_id=key.user_id,
        user_name=key.user_name,
        tenant=key.tenant,
        policy=compiled,
        by_tags=compiled is not None and asks_for_tags(policy),
        limits=(default_limits if key.limits is None else key.limits) or None,
    )


@lru_cache(maxsize=256)
def _compiled(document: bytes) -> Policy:
    try:
        return parse_policy(document)
    except S3Error as error:
        raise S3Error("InternalError", "The policy of the user cannot be read.") from error
