"""Inventory configurations: what is to be reported of a bucket, how often, and where to.

Source: Amazon S3 API Reference, "PutBucketInventoryConfiguration"; User Guide, "Cataloging and
analyzing your data with S3 Inventory".
"""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from s3proxy.s3.errors import S3Error, invalid_argument
from s3proxy.s3.lifecycle import DAY_NS
from s3proxy.s3.xml import document, element
from s3proxy.s3.xml_read import CONFIGURATION_BYTES_MAX, Node, parse, single_children

CONFIGURATIONS_MAX: Final = 1000
LISTED_MAX: Final = 100
# In the order of their columns.
FIELDS: Final = (
    *("Size", "LastModifiedDate", "ETag", "StorageClass", "IsMultipartUploaded"),
    *("ReplicationStatus", "EncryptionStatus", "ObjectLockRetainUntilDate", "ObjectLockMode"),
    *("ObjectLockLegalHoldStatus", "IntelligentTieringAccessTier", "BucketKeyStatus"),
    *("ChecksumAlgorithm", "ObjectOwner", "LifecycleExpirationDate"),
)
_REFUSED_FIELDS: Final = frozenset(
    {
        *("ObjectAccessControlList", "ObjectLockEventHoldStatus", "ObjectLockEventHoldDuration"),
        "IntelligentTieringReferenceDate",
    }
)
_ARN: Final = "arn:aws:s3:::"
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_ROOT: Final = frozenset(
    {
        *("Destination", "IsEnabled", "Filter", "Id", "IncludedObjectVersions"),
        *("OptionalFields", "Schedule"),
    }
)
_DESTINATION: Final = frozenset({"AccountId", "Bucket", "Format", "Prefix", "Encryption"})
# 1970-01-01 was a Thursday; weeks begin on Sunday.
_WEEK_SHIFT_DAYS: Final = 4


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """One configuration.

    Attributes:
        target: name of the bucket that gets the reports.
        account: who that has to belong to; "" for not said.
        prefix: of the reports' keys; None: no Prefix.
        encrypted: the reports are, whatever their bucket says.
        all_versions: False: current objects only.
        scope: prefix of the keys that are reported; None: no Filter.
    """

    id: str
    enabled: bool
    target: str
    account: str = ""
    prefix: str | None = None
    encrypted: bool = False
    all_versions: bool = False
    scope: str | None = None
    fields: tuple[str, ...] = ()
    weekly: bool = False

    def round_of(self, now_ns: int) -> int:
        """The day, or the week, that a report belongs to."""
        day = now_ns // DAY_NS
        return (day + _WEEK_SHIFT_DAYS) // 7 if self.weekly else day


def check_id(query: dict[str, str]) -> str:
    """The id that a request names.

    Raises:
        S3Error: InvalidArgument.
    """
    identifier = query.get("id", "")
    if not _ID.fullmatch(identifier):
        raise invalid_argument("The id of a configuration is not valid.", "id", identifier)
    return identifier


def read_inventory(body: bytes) -> Inventory:
    """An InventoryConfiguration.

    Raises:
        S3Error: MalformedXML; NotImplemented for formats, fields and keys that there are not.
    """
    root = parse(body, "InventoryConfiguration", CONFIGURATION_BYTES_MAX)
    singles = single_children(root, _ROOT)
    place = single_children(_child(singles, "Destination"), {"S3BucketDestination"})
    target = single_children(_child(place, "S3BucketDestination"), _DESTINATION)
    arn = _leaf(target, "Bucket")
    if not arn.startswith(_ARN) or not arn.removeprefix(_ARN):
        raise S3Error("MalformedXML")
    _check_format(_leaf(target, "Format"))
    return Inventory(
        id=_leaf(singles, "Id"),
        enabled=_choice(singles, "IsEnabled", ("false", "true")),
        target=arn.removeprefix(_ARN),
        account=_leaf(target, "AccountId") if "AccountId" in target else "",
        prefix=_leaf(target, "Prefix") if "Prefix" in target else None,
        encrypted="Encryption" in target and _encrypted(target["Encryption"]),
        all_versions=_choice(singles, "IncludedObjectVersions", ("Current", "All")),
        scope=_scope(singles.get("Filter")),
        fields=_fields(singles.get("OptionalFields")),
        weekly=_choice(
            single_children(_child(singles, "Schedule"), {"Frequency"}),
            "Frequency",
            ("Daily", "Weekly"),
        ),
    )


def inventory_configuration(inventory: Inventory) -> bytes:
    """The document of one configuration."""
    return document("InventoryConfiguration", _content(inventory))


def list_inventories(inventories: Iterable[Inventory], token: str, next_token: str) -> bytes:
    """ListInventoryConfigurationsResult.

    Args:
        token: the continuation token of the request.
        next_token: "" where the list ends.
    """
    content = element("ContinuationToken", token) if token else ""
    for inventory in inventories:
        content += f"<InventoryConfiguration>{_content(inventory)}</InventoryConfiguration>"
    content += element("IsTruncated", "true" if next_token else "false")
    content += element("NextContinuationToken", next_token) if next_token else ""
    return document("ListInventoryConfigurationsResult", content)


def _check_format(name: str) -> None:
    if name in ("ORC", "Parquet"):
        raise S3Error("NotImplemented", f"Inventory format {name} is not implemented; CSV is.")
    if name != "CSV":
        raise S3Error("MalformedXML")


def _encrypted(node: Node) -> bool:
    names = [child.name for child in node.children]
    if names == ["SSE-KMS"]:
        raise S3Error("NotImplemented", "Inventory encryption SSE-KMS is not implemented.")
    if names not in ([], ["SSE-S3"]):
        raise S3Error("MalformedXML")
    return bool(names)


def _scope(node: Node | None) -> str | None:
    return None if node is None else _leaf(single_children(node, {"Prefix"}), "Prefix")


def _fields(node: Node | None) -> tuple[str, ...]:
    if node is None:
        return ()
    names = [child.text.strip() for child in node.children]
    if any(child.name != "Field" or child.children for child in node.children):
        raise S3Error("MalformedXML")
    for name in names:
        if name in _REFUSED_FIELDS:
            raise S3Error("NotImplemented", f"Inventory field {name} is not implemented.")
        if name not in FIELDS:
            raise S3Error("MalformedXML")
    if len(set(names)) < len(names):
        raise S3Error("MalformedXML")
    return tuple(names)


def _child(singles: dict[str, Node], name: str) -> Node:
    if name not in singles:
        raise S3Error("MalformedXML")
    return singles[name]


def _leaf(singles: dict[str, Node], name: str) -> str:
    node = _child(singles, name)
    if node.children:
        raise S3Error("MalformedXML")
    return node.text if name == "Prefix" else node.text.strip()


def _choice(singles: dict[str, Node], name: str, choices: tuple[str, str]) -> bool:
    """Whether the element has the second of its two values."""
    text = _leaf(singles, name)
    if text not in choices:
        raise S3Error("MalformedXML")
    return text == choices[1]


def _content(inventory: Inventory) -> str:
    place = element("AccountId", inventory.account) if inventory.account else ""
    place += element("Bucket", _ARN + inventory.target) + element("Format", "CSV")
    place += "" if inventory.prefix is None else element("Prefix", inventory.prefix)
    place += "<Encryption><SSE-S3></SSE-S3></Encryption>" if inventory.encrypted else ""
    content = f"<Destination><S3BucketDestination>{place}</S3BucketDestination></Destination>"
    content += element("IsEnabled", "true" if inventory.enabled else "false")
    if inventory.scope is not None:
        content += f"<Filter>{element('Prefix', inventory.scope)}</Filter>"
    content += element("Id", inventory.id)
    content += element("IncludedObjectVersions", "All" if inventory.all_versions else "Current")
    if inventory.fields:
        fields = "".join(element("Field", name) for name in inventory.fields)
        content += f"<OptionalFields>{fields}</OptionalFields>"
    frequency = element("Frequency", "Weekly" if inventory.weekly else "Daily")
    return f"{content}<Schedule>{frequency}</Schedule>"
