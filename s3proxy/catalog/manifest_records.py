"""What is kept of manifests: small objects beside blobs that say what these alone cannot."""

from __future__ import annotations

from s3proxy.catalog.records import Record

Container = tuple[str, str]


class ManifestRecord(Record, frozen=True, kw_only=True):
    """The manifest of one version, or of a bucket: where it is, and whether it is to be written.

    Attributes:
        key: of the object; "" for the bucket's own.
        version_id: as S3 gives it; `sequence` is that of the version.
        changed: the metadata of the version was changed behind its blob's back.
        written: (backend, container) of each place where it may be.
        due_ns: when it is to be looked at; 0: it is as it should be.
        revision: another number whenever something changed that it tells of.
        told: of these, where it is as it should be, while others are still due.
        tries: how often in a row it could not be written.
    """

    bucket_id: bytes
    tenant: str
    bucket: str
    key: str = ""
    version_id: str = ""
    sequence: int = 0
    changed: bool = False
    written: tuple[Container, ...] = ()
    due_ns: int = 0
    revision: int = 0
    tries: int = 0
    told: tuple[Container, ...] = ()
