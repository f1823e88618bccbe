"""One request as a line of a bucket's access log.

Source: AWS, "Amazon S3 server access log format".
"""

import re
from time import gmtime, strftime
from typing import Final

import msgspec

from s3proxy.s3.xml_listings import url_encode

_URI_CHARACTERS_MAX: Final = 8192
_TEXT_CHARACTERS_MAX: Final = 1024
# What would let a reader of the log repeat the request while it holds.
_SECRETS: Final = re.compile(r"(?i)\b(X-Amz-Signature|X-Amz-Security-Token|Signature)=[^&\s]*")
_UNREADABLE: Final = re.compile(r"[^!#-~ ]")
_BREAKING: Final = re.compile(r"[^!#-~]")

# What AWS calls an operation, where that is not the method and the resource.
_NAMES: Final = {
    "abort_multipart_upload": "REST.DELETE.UPLOAD",
    "batch_delete_object": "BATCH.DELETE.OBJECT",
    "complete_multipart_upload": "REST.POST.UPLOAD",
    "copy_object": "REST.COPY.OBJECT",
    "create_bucket": "REST.PUT.BUCKET",
    "create_multipart_upload": "REST.POST.UPLOADS",
    "delete_bucket": "REST.DELETE.BUCKET",
    "delete_objects": "REST.POST.MULTI_OBJECT_DELETE",
    "head_bucket": "REST.HEAD.BUCKET",
    "list_multipart_uploads": "REST.GET.UPLOADS",
    "list_object_versions": "REST.GET.BUCKETVERSIONS",
    "list_objects": "REST.GET.BUCKET",
    "list_objects_v2": "REST.GET.BUCKET",
    "list_parts": "REST.GET.UPLOAD",
    "post_object": "REST.POST.OBJECT",
    "preflight": "REST.OPTIONS.PREFLIGHT",
    "upload_part": "REST.PUT.PART",
    "upload_part_copy": "REST.COPY.PART",
    "website": "WEBSITE.GET.OBJECT",
}
_RESOURCES: Final = {
    "bucket_lifecycle": "LIFECYCLE",
    "bucket_lifecycle_configuration": "LIFECYCLE",
    "bucket_logging": "LOGGING_STATUS",
    "bucket_notification_configuration": "NOTIFICATION",
    "bucket_policy": "BUCKETPOLICY",
    "object_acl": "ACL",
    "object_lock_configuration": "OBJECT_LOCK_CONFIGURATION",
    "object_legal_hold": "LEGAL_HOLD",
    "object_retention": "RETENTION",
    "object_tagging": "OBJECT_TAGGING",
}


class AccessRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a line tells of a request; empty texts and None stand as `-`.

    Attributes:
        operation: of the gateway's table, such as `get_object`.
        uri: method, path with query, and protocol, as sent.
        total_ms: from the head of the request to the end of the answer.
        signature: SigV4 or SigV2.
        authentication: AuthHeader or QueryString.
    """

    owner: str
    bucket: str
    time_s: int
    remote: str
    requester: str
    request_id: str
    operation: str
    method: str
    key: str
    uri: str
    status: int
    code: str
    sent_bytes: int
    object_bytes: int | None
    total_ms: int
    referrer: str
    user_agent: str
    version_id: str
    signature: str
    authentication: str
    host: str
    tls_version: str

    def line(self) -> str:
        """The line, with its end; always 26 fields."""
        before = (
            _word(self.owner),
            _word(self.bucket),
            strftime("[%d/%b/%Y:%H:%M:%S +0000]", gmtime(self.time_s)),
            _word(self.remote),
            _word(self.requester),
            _word(self.request_id),
            operation_name(self.operation, self.method),
            _word(url_encode(self.key)),
            _quoted(_SECRETS.sub(r"\1=-", self.uri[:_URI_CHARACTERS_MAX])),
            str(self.status),
            _word(self.code),
            str(self.sent_bytes or "-"),
            "-" if self.object_bytes is None else str(self.object_bytes),
            str(self.total_ms),
        )
        turn_around = cipher_suite = access_point = acl_required = "-"
        after = (
            turn_around,
            _quoted(self.referrer[:_TEXT_CHARACTERS_MAX]),
            _quoted(self.user_agent[:_TEXT_CHARACTERS_MAX]),
            _word(self.version_id),
            _word(self.request_id),
            _word(self.signature),
            cipher_suite,
            _word(self.authentication),
            _word(self.host),
            f"TLSv{self.tls_version}" if self.tls_version else "-",
            access_point,
            acl_required,
        )
        return " ".join((*before, *after)) + "\n"


def operation_name(operation: str, method: str) -> str:
    """What AWS's logs call an operation of the gateway."""
    if operation in _NAMES:
        return _NAMES[operation]
    noun = operation.partition("_")[2]
    resource = _RESOURCES.get(noun) or noun.removeprefix("bucket_").removesuffix("_configuration")
    return f"REST.{method}.{resource.upper()}"


def _quoted(text: str) -> str:
    return f'"{_UNREADABLE.sub(_escaped, text) or "-"}"'


def _escaped(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "replace"))


def _word(field: str) -> str:
    """A field that stays one: what would end it is encoded."""
    return _BREAKING.sub(_escaped, field) or "-"
