"""Bucket configurations that are one XML document: put, get and delete, alike for all.

A document is checked when it is put, and kept as the gateway understood it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from s3proxy.http.handler import Response
from s3proxy.ops.encryption import BUCKET_ENCRYPTION
from s3proxy.ops.payload_source import read_document
from s3proxy.ops.resolve import XML_HEADERS
from s3proxy.s3.bucket_encryption import bucket_encryption, read_bucket_encryption
from s3proxy.s3.cors import CorsRule, cors_configuration, read_cors
from s3proxy.s3.errors import S3Error
from s3proxy.s3.tagging import parse_tagging, tagging
from s3proxy.s3.website import read_website, website_configuration
from s3proxy.s3.xml_read import CONFIGURATION_BYTES_MAX

if TYPE_CHECKING:
    from s3proxy.catalog.records import BucketRecord
    from s3proxy.ops.call import Call, Services

Function = Callable[["Call"], Awaitable[Response]]
BUCKET_TAGS_MAX = 50


class Config(msgspec.Struct, frozen=True):
    """One kind of configuration.

    Attributes:
        name: of its operations, and in the catalog.
        understand: the document to keep, for one that was sent. Raises S3Error.
        absent: the S3 code for a bucket without it.
        actions: the IAM actions for get, put and delete; two where put's is delete's, too.
        put_status: of the answer to a put.
        managed_only: it says what happens to bytes that only managed buckets keep.
    """

    name: str
    understand: Callable[[bytes], bytes]
    absent: str
    actions: tuple[str, ...]
    put_status: int
    managed_only: bool = False

    async def put(self, call: Call) -> Response:
        """Check and store the document of the request.

        Raises:
            S3Error: what is wrong with it; InvalidBucketState for a bucket that cannot obey it.
        """
        if self.managed_only and call.bucket.kind != "managed":
            message = f"The bucket's objects are kept by others, without regard to {self.name}."
            raise S3Error("InvalidBucketState", message, BucketName=call.bucket.name)
        document = self.understand(await read_document(call, CONFIGURATION_BYTES_MAX))
        await call.services.catalog.put_bucket_config(call.bucket, self.name, document)
        return Response(self.put_status)

    async def get(self, call: Call) -> Response:
        """The document that is stored.

        Raises:
            S3Error: the code of its absence.
        """
        document = call.services.catalog.get_bucket_config(call.bucket, self.name)
        if document is None:
            raise S3Error(self.absent, BucketName=call.bucket.name)
        return Response(200, XML_HEADERS, document)

    async def delete(self, call: Call) -> Response:
        """Remove the document, whether it is there or not."""
        await call.services.catalog.delete_bucket_config(call.bucket, self.name)
        return Response(204)


_CONFIGS = (
    Config(
        "cors",
        lambda body: cors_configuration(read_cors(body)),
        "NoSuchCORSConfiguration",
        ("s3:GetBucketCORS", "s3:PutBucketCORS"),
        200,
    ),
    Config(
        BUCKET_ENCRYPTION,
        lambda body: bucket_encryption(read_bucket_encryption(body)),
        "ServerSideEncryptionConfigurationNotFoundError",
        ("s3:GetEncryptionConfiguration", "s3:PutEncryptionConfiguration"),
        200,
        managed_only=True,
    ),
    Config(
        "tagging",
        lambda body: tagging(parse_tagging(body, tags_max=BUCKET_TAGS_MAX)),
        "NoSuchTagSet",
        ("s3:GetBucketTagging", "s3:PutBucketTagging"),
        204,
    ),
    Config(
        "website",
        lambda body: website_configuration(read_website(body)),
        "NoSuchWebsiteConfiguration",
        ("s3:GetBucketWebsite", "s3:PutBucketWebsite", "s3:DeleteBucketWebsite"),
        200,
    ),
)

# operation -> (function, action)
CONFIGURATIONS: dict[str, tuple[Function, str]] = {
    f"{verb}_bucket_{config.name}": (getattr(config, verb), config.actions[index])
    for config in _CONFIGS
    for verb, index in (("get", 0), ("put", 1), ("delete", -1))
}


def cors_rules(services: Services, bucket: BucketRecord) -> tuple[CorsRule, ...] | None:
    """The rules of a bucket; None: it has none."""
    document = services.catalog.get_bucket_config(bucket, "cors")
    return None if document is None else _understood(document)


@lru_cache(maxsize=256)
def _understood(document: bytes) -> tuple[CorsRule, ...]:
    return tuple(read_cors(document))
