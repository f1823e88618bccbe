"""What decides on access to a bucket: its ownership, ACL, policy and public access block, compiled.

Kept ready for every bucket that is in use: a request costs one look at a dictionary, which gives
the bucket too, while no bucket changes, and nothing is compiled again while no configuration does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from s3proxy.catalog.records import BucketRecord
from s3proxy.catalog.remembered import Remembered
from s3proxy.catalog.tables import BUCKETS
from s3proxy.s3.acl import Acl, unpack
from s3proxy.s3.auth import Identity
from s3proxy.s3.errors import S3Error
from s3proxy.s3.policy import Policy, is_public, parse_policy
from s3proxy.s3.xml_acl import (
    ENFORCED,
    WRITER,
    PublicAccessBlock,
    read_ownership_controls,
    read_public_access_block,
)

if TYPE_CHECKING:
    from s3proxy.catalog.catalog import Catalog

# Names of the configurations in the catalog.
ACL: Final = "acl"
OWNERSHIP: Final = "ownership_controls"
POLICY: Final = "policy"
PUBLIC_ACCESS_BLOCK: Final = "public_access_block"

_COMPILED: Final = frozenset({ACL, OWNERSHIP, POLICY, PUBLIC_ACCESS_BLOCK})
_TABLE_MAX: Final = 4096
_NOTHING_BLOCKED: Final = PublicAccessBlock()
_TAG_KEYS: Final = (b"existingobjecttag", b"requestobjecttag")


class Access(msgspec.Struct, frozen=True):
    """What decides on access to one bucket.

    Attributes:
        revision: of the bucket's configurations.
        owner: user id; "" for the tenant, each of whose users counts as the owner.
        owner_id: as ACLs and documents name the owner.
        ownership: ObjectOwnership.
        policy_public: the policy grants something to everyone.
        by_tags: the policy may ask for the tags that an object has, or is to have.
        alone: the bucket has no configuration but those that are compiled here.
    """

    revision: int
    owner: str
    owner_id: str
    ownership: str = WRITER
    acl: Acl = ()
    block: PublicAccessBlock = _NOTHING_BLOCKED
    policy: Policy | None = None
    policy_public: bool = False
    by_tags: bool = False
    enforced: bool = False
    alone: bool = False

    def owned_by(self, identity: Identity) -> bool:
        """Whether the identity, which is of the bucket's tenant, counts as the owner."""
        if not self.owner:
            return not identity.anonymous
        return identity.user_id == self.owner

    def is_open_to(self, identity: Identity) -> bool:
        """Whether the identity may do everything in the bucket, whatever object it is about."""
        return (
            self.enforced
            and self.policy is None
            and identity.policy is None
            and (identity.user_id == self.owner or self.owned_by(identity) or identity.is_root)
        )


class AccessTable:
    """The Access of each bucket that is in use.

    Attributes:
        by_name: (tenant, bucket name) -> the bucket and its Access; None: there is no such bucket.
            Raises as `find`.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known: dict[bytes, Access] = {}
        self.by_name = Remembered(catalog.engine, self._read, BUCKETS)

    def find(self, bucket: BucketRecord) -> Access:
        """The Access of a bucket that was just looked up.

        Raises:
            S3Error: InternalError where a configuration that is stored cannot be understood.
        """
        known = self._known.get(bucket.id)
        if known is not None and known.revision == bucket.revision:
            return known
        if len(self._known) >= _TABLE_MAX:
            self._known.clear()
        made = self._known[bucket.id] = self._make(bucket)
        return made

    def _read(self, named: tuple[str, str]) -> tuple[BucketRecord, Access] | None:
        tenant, name = named
        bucket = self._catalog.get_bucket(name, tenant)
        return None if bucket is None else (bucket, self.find(bucket))

    def _make(self, bucket: BucketRecord) -> Access:
        find = self._catalog.get_bucket_config
        acl, ownership = find(bucket, ACL), find(bucket, OWNERSHIP)
        block, policy = find(bucket, PUBLIC_ACCESS_BLOCK), find(bucket, POLICY)
        owner_id = bucket.owner or bucket.tenant
        chosen = WRITER if ownership is None else read_ownership_controls(ownership)
        compiled = None if policy is None else _compiled(policy, bucket.name)
        return Access(
            revision=bucket.revision,
            owner=bucket.owner,
            owner_id=owner_id,
            ownership=chosen,
            acl=unpack(acl or b"", owner_id),
            block=_NOTHING_BLOCKED if block is None else read_public_access_block(block),
            policy=compiled,
            policy_public=compiled is not None and is_public(compiled),
            by_tags=policy is not None and asks_for_tags(policy),
            enforced=chosen == ENFORCED,
            alone=bucket.configs is not None and _COMPILED.issuperset(bucket.configs),
        )


def asks_for_tags(document: bytes) -> bool:
    """Whether a policy may ask for the tags that an object has, or is to have."""
    lower = document.lower()
    return b"\\u" in lower or any(name in lower for name in _TAG_KEYS)


@lru_cache(maxsize=256)
def _compiled(document: bytes, bucket: str) -> Policy:
    try:
        return parse_policy(document, bucket=bucket)
    except S3Error as error:
        raise S3Error("InternalError", f"The policy of {bucket} cannot be read.") from error
