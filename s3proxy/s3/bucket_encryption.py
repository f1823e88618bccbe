"""A bucket's default encryption: its document, and what it says of the bucket's new objects.

Source: AWS, "PutBucketEncryption", "Setting default server-side encryption behavior".
"""

from typing import Final

import msgspec

from s3proxy.s3.encryption import AES256, SSE_C
from s3proxy.s3.errors import S3Error, invalid_argument
from s3proxy.s3.xml import document, element
from s3proxy.s3.xml_read import CONFIGURATION_BYTES_MAX, Node, parse

_ROOT: Final = "ServerSideEncryptionConfiguration"
_DEFAULT: Final = "ApplyServerSideEncryptionByDefault"
_KMS: Final = frozenset({"aws:kms", "aws:kms:dsse", "aws:fsx", "aws:backup"})


class BucketEncryption(msgspec.Struct, frozen=True):
    """The one rule of a bucket.

    Attributes:
        algorithm: of objects whose writers do not say: AES256, or "" for none.
        blocks_customer_keys: SSE-C is refused; None: the rule does not say.
    """

    algorithm: str
    blocks_customer_keys: bool | None = None


def read_bucket_encryption(body: bytes) -> BucketEncryption:
    """Body of PutBucketEncryption: one rule.

    Raises:
        S3Error: MalformedXML; InvalidArgument for a key id; NotImplemented naming an algorithm of a
            key management service.
    """
    root = parse(body, _ROOT, CONFIGURATION_BYTES_MAX)
    if len(root.children) != 1 or root.children[0].name != "Rule":
        raise S3Error("MalformedXML")
    rule = _children(root.children[0], _DEFAULT, "BucketKeyEnabled", "BlockedEncryptionTypes")
    if not rule:
        raise S3Error("MalformedXML")
    if "BucketKeyEnabled" in rule and _boolean(rule["BucketKeyEnabled"]):
        raise _not_implemented("BucketKeyEnabled", "true")
    algorithm = _algorithm(rule[_DEFAULT]) if _DEFAULT in rule else ""
    blocks = None
    if "BlockedEncryptionTypes" in rule:
        blocks = _blocks_customer_keys(rule["BlockedEncryptionTypes"])
    return BucketEncryption(algorithm, blocks)


def bucket_encryption(rule: BucketEncryption) -> bytes:
    """The document of GetBucketEncryption."""
    content = ""
    if rule.algorithm:
        content += f"<{_DEFAULT}>{element('SSEAlgorithm', rule.algorithm)}</{_DEFAULT}>"
    content += element("BucketKeyEnabled", "false")
    if rule.blocks_customer_keys is not None:
        blocked = element("EncryptionType", SSE_C if rule.blocks_customer_keys else "NONE")
        content += f"<BlockedEncryptionTypes>{blocked}</BlockedEncryptionTypes>"
    return document(_ROOT, f"<Rule>{content}</Rule>")


def _algorithm(node: Node) -> str:
    default = _children(node, "SSEAlgorithm", "KMSMasterKeyID")
    if "SSEAlgorithm" not in default:
        raise S3Error("MalformedXML")
    algorithm = default["SSEAlgorithm"].text.strip()
    if algorithm in _KMS:
        raise _not_implemented("SSEAlgorithm", algorithm)
    if algorithm != AES256:
        raise S3Error("MalformedXML")
    if "KMSMasterKeyID" in default:
        message = (
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or"
            " aws:kms:dsse"
        )
        raise invalid_argument(message, "KMSMasterKeyID", default["KMSMasterKeyID"].text)
    return algorithm


def _blocks_customer_keys(node: Node) -> bool:
    kinds = {child.text.strip() for child in node.children}
    if any(child.name != "EncryptionType" for child in node.children):
        raise S3Error("MalformedXML")
    if kinds not in ({SSE_C}, {"NONE"}):
        raise S3Error("MalformedXML")
    return kinds == {SSE_C}


def _children(node: Node, *names: str) -> dict[str, Node]:
    """The children by name, each at most once and none of another name."""
    found = {child.name: child for child in node.children}
    if len(found) != len(node.children) or not found.keys() <= set(names):
        raise S3Error("MalformedXML")
    return found


def _boolean(node: Node) -> bool:
    value = node.text.strip()
    if value not in ("true", "false"):
        raise S3Error("MalformedXML")
    return value == "true"


def _not_implemented(name: str, value: str) -> S3Error:
    return S3Error("NotImplemented", f"{name} {value} is not implemented.", Element=name)
