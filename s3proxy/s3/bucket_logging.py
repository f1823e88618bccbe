"""Access logging of buckets: the configuration, and the names of the objects that it leads to.

Source: AWS, "Logging requests with server access logging", "PutBucketLogging".
"""

from collections.abc import Callable
from time import gmtime, strftime
from typing import Final, Literal

import msgspec

from s3proxy.s3.errors import S3Error, invalid_argument
from s3proxy.s3.xml import document, element
from s3proxy.s3.xml_read import CONFIGURATION_BYTES_MAX, Node, parse

PREFIX_BYTES_MAX: Final = 512
Partition = Literal["", "EventTime", "DeliveryTime"]
_KNOWN: Final = frozenset({"TargetBucket", "TargetPrefix", "TargetGrants", "TargetObjectKeyFormat"})


class BucketLogging(msgspec.Struct, frozen=True):
    """Where the log of a bucket goes.

    Attributes:
        partition: what the date in a partitioned key is of; "" for simple keys.
    """

    target: str
    prefix: str
    partition: Partition = ""


class Source(msgspec.Struct, frozen=True):
    """The bucket whose log it is."""

    account: str
    region: str
    bucket: str


def read_logging(body: bytes, owner_of: Callable[[str], str]) -> BucketLogging | None:
    """Body of PutBucketLogging; None turns logging off.

    Args:
        owner_of: the owner of a bucket by its name; that of the target may be granted full
            control: it has that anyway.
    Raises:
        S3Error: MalformedXML, InvalidArgument; NotImplemented for grants to others.
    """
    root = parse(body, "BucketLoggingStatus", CONFIGURATION_BYTES_MAX)
    if any(child.name != "LoggingEnabled" for child in root.children) or len(root.children) > 1:
        raise S3Error("MalformedXML")
    if not root.children:
        return None
    (enabled,) = root.children
    names = [child.name for child in enabled.children]
    target, prefix = enabled.child_text("TargetBucket"), enabled.child_text("TargetPrefix")
    if not _KNOWN.issuperset(names) or len(set(names)) != len(names):
        raise S3Error("MalformedXML")
    if not target or prefix is None:
        raise S3Error("MalformedXML")
    if len(prefix.encode()) > PREFIX_BYTES_MAX:
        message = f"A prefix of logs has at most {PREFIX_BYTES_MAX} bytes"
        raise invalid_argument(message, "TargetPrefix", prefix)
    partition: Partition = ""
    for child in enabled.children:
        if child.name == "TargetGrants":
            _check_grants(child, owner_of(target.strip()))
        elif child.name == "TargetObjectKeyFormat":
            partition = _partition(child)
    return BucketLogging(target.strip(), prefix, partition)


def logging_status(logging: BucketLogging | None) -> bytes:
    """The document of GetBucketLogging."""
    if logging is None:
        return document("BucketLoggingStatus", "")
    keys = "<SimplePrefix></SimplePrefix>"
    if logging.partition:
        source = element("PartitionDateSource", logging.partition)
        keys = f"<PartitionedPrefix>{source}</PartitionedPrefix>"
    content = (
        element("TargetBucket", logging.target)
        + element("TargetPrefix", logging.prefix)
        + f"<TargetObjectKeyFormat>{keys}</TargetObjectKeyFormat>"
    )
    return document("BucketLoggingStatus", f"<LoggingEnabled>{content}</LoggingEnabled>")


def log_key(logging: BucketLogging, source: Source, day: int, now_s: int, unique: str) -> str:
    """The key of a log object.

    Args:
        day: of the events, counted from 1970; of EventTime alone.
        now_s: of the delivery.
        unique: 16 characters that no other has.
    """
    stamp = strftime("%Y-%m-%d-%H-%M-%S", gmtime(now_s))
    if not logging.partition:
        return f"{logging.prefix}{stamp}-{unique}"
    if logging.partition == "EventTime":
        stamp = strftime("%Y-%m-%d-00-00-00", gmtime(day * 86_400))
    year, month, date = stamp.split("-")[:3]
    folder = f"{source.account}/{source.region}/{source.bucket}/{year}/{month}/{date}"
    return f"{logging.prefix}{folder}/{stamp}-{unique}"


def _partition(node: Node) -> Partition:
    if len(node.children) != 1:
        raise S3Error("MalformedXML")
    (child,) = node.children
    if child.name == "SimplePrefix" and not child.children:
        return ""
    source = (child.child_text("PartitionDateSource") or "").strip()
    if child.name != "PartitionedPrefix" or source not in ("EventTime", "DeliveryTime"):
        raise S3Error("MalformedXML")
    return "EventTime" if source == "EventTime" else "DeliveryTime"


def _check_grants(node: Node, owner: str) -> None:
    for grant in node.children:
        grantees = [child for child in grant.children if child.name == "Grantee"]
        permission = grant.child_text("Permission")
        if grant.name != "Grant" or len(grantees) != 1 or permission is None:
            raise S3Error("MalformedXML")
        if permission.strip() != "FULL_CONTROL" or grantees[0].child_text("ID") != owner:
            message = (
                "TargetGrants are not implemented: grant access to logs by the policy of the"
                " target bucket."
            )
            raise S3Error("NotImplemented", message, Element="TargetGrants")
