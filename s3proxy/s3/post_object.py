"""A browser's upload as the PutObject that it stands for: its form read as headers, and its answer.

Source: Amazon S3 API Reference, "POST Object", "Creating an HTML Form (Using AWS Signature V4)".
"""

from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from s3proxy.s3.errors import S3Error, invalid_argument
from s3proxy.s3.headers import header_value
from s3proxy.s3.names import check_key
from s3proxy.s3.payload import PAYLOAD_BYTES_MAX
from s3proxy.s3.post_form import FIELDS_BYTES_MAX, FormHead
from s3proxy.s3.refusals import refuse_unkept_headers
from s3proxy.s3.tagging import OBJECT_TAGS_MAX, parse_tagging
from s3proxy.s3.xml import DECLARATION, element

_HEADERS: Final = frozenset(
    {
        *("cache-control", "content-disposition", "content-encoding", "content-language"),
        *("content-md5", "content-type", "expires", "if-match", "if-none-match"),
    }
)
_NO_HEADERS: Final = frozenset(
    {
        *("x-amz-algorithm", "x-amz-copy-source", "x-amz-credential", "x-amz-date"),
        *("x-amz-security-token", "x-amz-signature", "x-amz-tagging"),
    }
)
_FILENAME: Final = "${filename}"
_STATUSES: Final = frozenset({"200", "201", "204"})


class PostForm:
    """The form of an upload; its fields can be read as the headers of a PutObject.

    Args:
        bucket: of the request.
        boundary: of its body.
        head: the form up to its file.

    Attributes:
        fields: by lower-case name, with `bucket`, and the file's name where `key` asks for it.
        length_range: least and greatest size that the file may have.
    """

    def __init__(self, bucket: str, boundary: bytes, head: FormHead) -> None:
        if "key" not in head.fields:
            raise missing_field("key")
        self.boundary = boundary
        self.rest = head.rest
        self.length_range = (0, PAYLOAD_BYTES_MAX)
        name = head.filename.replace("\\", "/").rpartition("/")[2]
        key = head.fields["key"].replace(_FILENAME, name)
        self.fields = {**head.fields, "bucket": bucket, "key": key}
        self._headers = _headers_of(self.fields)

    @property
    def key(self) -> str:
        """Of the object."""
        return self.fields["key"]

    def check(self) -> None:
        """Refuse what a PutObject with these headers would be refused for.

        Raises:
            S3Error: UserKeyMustBeSpecified, KeyTooLongError, InvalidArgument, InvalidToken,
                NotImplemented.
        """
        check_key(self.key)
        if "x-amz-security-token" in self.fields:
            token = self.fields["x-amz-security-token"]
            raise S3Error("InvalidToken", **{"Token-0": token})
        if "x-amz-copy-source" in self.fields:
            message = "POST requests take the object from the form."
            raise invalid_argument(message, "x-amz-copy-source", "")
        refuse_unkept_headers(self, "put_object")

    def get(self, name: bytes, /) -> str | None:
        """See `Headers.get`."""
        return self._headers.get(name.decode("latin-1"))

    def prefixed(self, prefix: bytes, /) -> list[tuple[str, str]]:
        """See `Headers.prefixed`."""
        start = prefix.decode("latin-1")
        return [pair for pair in self._headers.items() if pair[0].startswith(start)]

    def redirect(self, etag: str) -> str:
        """Where to send the browser after a success; "" for nowhere."""
        url = self.fields.get("success_action_redirect") or self.fields.get("redirect", "")
        if not url or not url.isprintable() or len(url) > FIELDS_BYTES_MAX:
            return ""
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            return ""
        if not usable:
            return ""
        named = {"bucket": self.fields["bucket"], "key": self.key, "etag": f'"{etag}"'}
        query = urlencode(named, quote_via=quote, safe="/")
        url = quote(url.partition("#")[0], safe="!$&'()*+,/:;=?@[]%~")
        return f"{url}{'&' if parts.query else '?'}{query}"

    @property
    def success_status(self) -> int:
        """Of the answer where there is no redirect."""
        status = self.fields.get("success_action_status", "")
        return int(status) if status in _STATUSES else 204


def missing_field(name: str) -> S3Error:
    """InvalidArgument for a field that the form has to have before its file."""
    message = f"Bucket POST must contain a field named '{name}'.  If it is specified, please"
    return invalid_argument(f"{message} check the order of the fields.", name, "")


def post_response(location: str, bucket: str, key: str, etag: str) -> bytes:
    """The document of a success with status 201; S3 gives it no namespace."""
    content = element("Location", location) + element("Bucket", bucket) + element("Key", key)
    etag_element = element("ETag", f'"{etag}"')
    return f"{DECLARATION}<PostResponse>{content}{etag_element}</PostResponse>".encode()


def _headers_of(fields: dict[str, str]) -> dict[str, str]:
    headers = {}
    for name, value in fields.items():
        if name in _HEADERS or (name.startswith("x-amz-") and name not in _NO_HEADERS):
            headers[name] = header_value(name, value)
    if "acl" in fields:
        headers["x-amz-acl"] = header_value("acl", fields["acl"])
    if "tagging" in fields:
        tags = parse_tagging(fields["tagging"].encode(), tags_max=OBJECT_TAGS_MAX)
        headers["x-amz-tagging"] = urlencode(tags, quote_via=quote)
    return headers
