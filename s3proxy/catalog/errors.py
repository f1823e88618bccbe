"""The catalog's refusals. Those a client caused are S3 errors; the rest are the operator's."""

# ruff: noqa: N818 - named for what happened or was found; many are S3's own names

from collections.abc import Iterable

from s3proxy.s3.errors import S3Error


class CatalogError(Exception):
    """The catalog cannot do what the gateway asked; not the client's doing."""


class UnsupportedRecord(CatalogError):
    """A stored record is damaged or was written by a newer version."""


class IntentLost(CatalogError):
    """The intent was settled by a recovery meanwhile; the blob may be gone. Write it again."""


class ContainerLeft(IntentLost):
    """The bucket has left the backend that the blob was written to. Write it again."""


class NamesTaken(CatalogError):
    """Every name that a bucket's container may have on a backend is somebody else's."""


class BadMasterKey(CatalogError):
    """The master key file cannot be used, or is not the one that sealed a secret."""


class OtherMasterKey(BadMasterKey):
    """A secret was sealed under a master key that is not at hand."""


class Refused(CatalogError):
    """What an administrator asked for cannot be done; the text tells them why."""


class InvalidName(Refused):
    """Nothing may have that name."""


class InvalidQuota(Refused):
    """It would limit nothing."""


class UnknownTenant(Refused):
    """There is no such tenant."""


class UnknownUser(Refused):
    """There is no such user."""


class UnknownKey(Refused):
    """There is no such access key."""


class UnknownToken(Refused):
    """There is no such token."""


class UnknownDebt(Refused):
    """There is no such debt."""


class UnknownBackend(Refused):
    """There is no such backend; names those that there are."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"there is no backend {name}; there are: {', '.join(known)}")


class TenantExists(Refused):
    """The name of the tenant is taken."""


class UserExists(Refused):
    """The tenant has a user of that name."""


class KeyExists(Refused):
    """The access key is taken."""


class DeleteConflict(Refused):
    """Something that has to go first is still there."""


class LimitExceeded(Refused):
    """There are as many as there may be."""


class UnsupportedBucket(Refused):
    """A bucket of that kind has no such thing."""


class BucketExists(S3Error):
    """The tenant has a bucket of that name."""

    def __init__(self, name: str) -> None:
        super().__init__("BucketAlreadyOwnedByYou", BucketName=name)


class NoSuchBucket(S3Error):
    """The bucket is not there, or was deleted and made anew since it was looked up."""

    def __init__(self, name: str, message: str = "") -> None:
        super().__init__("NoSuchBucket", message, BucketName=name)


class BucketNotEmpty(S3Error):
    """The bucket holds objects or uploads."""

    def __init__(self, name: str) -> None:
        super().__init__("BucketNotEmpty", BucketName=name)


class NoSuchUpload(S3Error):
    """The upload was never there, was aborted, or was completed with other parts."""

    def __init__(self, upload_id: str) -> None:
        super().__init__("NoSuchUpload", UploadId=upload_id)


class InvalidPart(S3Error):
    """A part named in Complete is not there, or has another ETag."""

    def __init__(self, upload_id: str, number: int, etag: str) -> None:
        super().__init__("InvalidPart", UploadId=upload_id, PartNumber=str(number), ETag=etag)


class ObjectChanged(S3Error):
    """The object is no longer the one that was read before; read again and retry."""

    def __init__(self, key: str) -> None:
        super().__init__("ConditionalRequestConflict", Key=key)
