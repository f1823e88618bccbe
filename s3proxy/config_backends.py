"""Typed configuration of the backends: where they are, how they are reached, what they are.

Part of the reference that config.py is.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from s3proxy.placement import Facts

Names = str | tuple[str, ...]  # one, several separated by commas, or a list
Weight = Annotated[int, Meta(ge=0, le=1_000_000)]


class BackendFactsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What rules of placement ask of a backend; what is not said meets no rule that asks for it."""

    name: str
    provider: str = ""
    region: str = ""
    country: str = ""  # ISO 3166, two letters
    jurisdiction: str = ""  # whose law reaches it, such as "eu"
    features: Names = ""
    certifications: Names = ""
    weight: Weight = 100  # of those that are as good, the heavier comes first
    read_only: bool = False  # takes no new data; what it holds is served
    replication_concurrency: Annotated[int, Meta(ge=0, le=1024)] = 0  # 0: replication.workers
    replication_bytes_per_s: Annotated[int, Meta(ge=0, le=1 << 40)] = 0  # 0: no bound

    def facts(self) -> Facts:
        """The same as rules of placement take it."""
        return Facts(
            name=self.name,
            type=str(self.__struct_config__.tag),
            provider=self.provider,
            region=self.region,
            country=self.country,
            jurisdiction=self.jurisdiction,
            features=frozenset(names_in(self.features)),
            certifications=frozenset(names_in(self.certifications)),
            weight=self.weight,
            read_only=self.read_only,
        )


class LocalBackendConfig(BackendFactsConfig, frozen=True, tag_field="type", tag="local"):
    """A directory on this machine."""

    root: str
    durability: Literal["fsync", "none"] = "fsync"


class S3BackendConfig(BackendFactsConfig, frozen=True, tag_field="type", tag="s3"):
    """Another S3 endpoint, whose requests are signed anew with these keys."""

    endpoint: str
    signing_region: str = ""  # where that is not the region; neither: us-east-1
    access_key: str = ""
    access_key_file: str = ""
    access_key_env: str = ""
    secret_key: str = ""
    secret_key_file: str = ""
    secret_key_env: str = ""
    addressing: Literal["path", "virtual"] = "path"
    verifies_payload: bool = (
        False  # it checks x-amz-content-sha256, so signed bodies may be spliced
    )
    new_buckets: Literal["managed", "attached"] = "managed"  # what CreateBucket makes
    bucket_mode: Literal["bucket", "prefix"] = "bucket"  # one for each of ours, or one for all
    physical_bucket: str = ""  # which one, with prefix


class RegionConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another gateway, which serves the buckets of a region."""

    name: str  # as CreateBucket has it as LocationConstraint, and the gateway there as its region
    endpoint: str
    mode: Literal["redirect", "forward"] = "redirect"
    addressing: Literal["path", "virtual"] = "path"
    access_key: str = ""  # what requests are signed with that are forwarded
    access_key_file: str = ""
    access_key_env: str = ""
    secret_key: str = ""
    secret_key_file: str = ""
    secret_key_env: str = ""


BackendConfig = LocalBackendConfig | S3BackendConfig


def names_in(value: Names) -> tuple[str, ...]:
    """The names of a setting that may hold several."""
    names = value.split(",") if isinstance(value, str) else value
    return tuple(name.strip() for name in names if name.strip())
