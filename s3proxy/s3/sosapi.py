"""Veeam's Smart Object Storage API: two objects that describe the storage behind a bucket.

Veeam reads `system.xml` to learn what the storage can do and how it likes to be used, and
`capacity.xml` for how full it is. Values that are texts stand in quotes, as in Veeam's examples.
Source: Veeam, "Smart Object Storage API"; what MinIO and SeaweedFS answer.
"""

from typing import Final

from s3proxy.s3.xml import DECLARATION, element

PREFIX: Final = ".system-d26a9498-cb7c-4a87-a44a-8ae204f5ba6c/"
SYSTEM_KEY: Final = PREFIX + "system.xml"
CAPACITY_KEY: Final = PREFIX + "capacity.xml"
# What DeleteObjects takes, and a block that suits blobs of their own.
_DELETES_MAX: Final = 1000
_BLOCK_KIB: Final = 4096


def system_info(model: str, *, capacity: bool) -> bytes:
    """The document `system.xml`.

    Args:
        model: names the storage.
        capacity: whether `capacity.xml` is there.
    """
    capabilities = (
        element("CapacityInfo", "true" if capacity else "false")
        + element("UploadSessions", "false")
        + element("IAMSTS", "false")
    )
    recommendations = (
        element("S3ConcurrentTaskLimit", "64")
        + element("S3MultiObjectDeleteLimit", str(_DELETES_MAX))
        + element("StorageCurrentTasksLimit", "0")
        + element("KbBlockSize", str(_BLOCK_KIB))
    )
    return (
        f"{DECLARATION}<SystemInfo>"
        f'<ProtocolVersion>"1.0"</ProtocolVersion><ModelName>"{model}"</ModelName>'
        f"<ProtocolCapabilities>{capabilities}</ProtocolCapabilities>"
        f"<SystemRecommendations>{recommendations}</SystemRecommendations></SystemInfo>"
    ).encode()


def capacity_info(capacity: int, available: int) -> bytes:
    """The document `capacity.xml`; all in bytes."""
    numbers = (
        element("Capacity", str(capacity))
        + element("Available", str(available))
        + element("Used", str(max(capacity - available, 0)))
    )
    return f"{DECLARATION}<CapacityInfo>{numbers}</CapacityInfo>".encode()
