"""What S3 keeps beside an object's bytes: system headers, user metadata, storage class.

Header values are latin-1 text of the bytes that came; they leave as the same bytes.
"""

from collections.abc import Collection
from typing import Final

import msgspec

from s3proxy.s3.errors import S3Error
from s3proxy.s3.headers import Headers

USER_METADATA_BYTES_MAX: Final = 2048
_REDIRECT_BYTES_MAX: Final = 2048
# Kept as a system header; it means something where a bucket is served as a website.
WEBSITE_REDIRECT: Final = "x-amz-website-redirect-location"
DEFAULT_CONTENT_TYPE: Final = "binary/octet-stream"

# Lower-case name -> the spelling in answers.
SYSTEM_HEADERS: Final[dict[str, str]] = {
    "cache-control": "Cache-Control",
    "content-disposition": "Content-Disposition",
    "content-encoding": "Content-Encoding",
    "content-language": "Content-Language",
    "content-type": "Content-Type",
    "expires": "Expires",
    WEBSITE_REDIRECT: WEBSITE_REDIRECT,
}
_SYSTEM_NAMES: Final = tuple((name.encode(), name) for name in SYSTEM_HEADERS)
# What a reader may ask an answer to say -> the header.
RESPONSE_PARAMETERS: Final = {
    f"response-{name}": name for name in SYSTEM_HEADERS if name != WEBSITE_REDIRECT
}
_USER_PREFIX: Final = b"x-amz-meta-"


class ObjectMetadata(msgspec.Struct, frozen=True):
    """Metadata of an object to be written.

    Attributes:
        system: lower-case header name -> value; always has content-type.
        user: lower-case name without `x-amz-meta-` -> value.
        storage_class: STANDARD, or another that there is.
    """

    system: dict[str, str]
    user: dict[str, str]
    storage_class: str = "STANDARD"


def parse_metadata(headers: Headers, classes: Collection[str] = ()) -> ObjectMetadata:
    """Read the metadata of a PUT, a copy with REPLACE, or a new multipart upload.

    Args:
        classes: the storage classes that there are beside STANDARD.
    Raises:
        S3Error: MetadataTooLarge, InvalidStorageClass, InvalidRedirectLocation.
    """
    system = {}
    for raw_name, name in _SYSTEM_NAMES:
        value = headers.get(raw_name)
        if value:
            system[name] = value
    if "content-encoding" in system:
        _drop_transfer_framing(system)
    if WEBSITE_REDIRECT in system:
        _check_redirect(system[WEBSITE_REDIRECT])
    system.setdefault("content-type", DEFAULT_CONTENT_TYPE)
    return ObjectMetadata(system, _user_metadata(headers), parse_storage_class(headers, classes))


def parse_storage_class(headers: Headers, classes: Collection[str] = ()) -> str:
    """Storage class of an object to be written.

    Args:
        classes: as in `parse_metadata`.
    Raises:
        S3Error: InvalidStorageClass.
    """
    storage_class = headers.get(b"x-amz-storage-class")
    if not storage_class or storage_class == "STANDARD":
        return "STANDARD"
    if storage_class in classes:
        return storage_class
    known = ", ".join(("STANDARD", *sorted(classes)))
    message = f"The storage class you specified is not valid; here are {known}."
    raise S3Error("InvalidStorageClass", message, StorageClassRequested=storage_class)


def copied_system(source: dict[str, str], headers: Headers) -> dict[str, str]:
    """System headers of a copy that keeps its source's, but for the redirect: that is its own.

    Raises:
        S3Error: InvalidRedirectLocation.
    """
    system = without_redirect(source)
    redirect = headers.get(WEBSITE_REDIRECT.encode())
    if redirect:
        _check_redirect(redirect)
        system = {**system, WEBSITE_REDIRECT: redirect}
    return system


def without_redirect(system: dict[str, str]) -> dict[str, str]:
    """System headers that every endpoint takes; the same object where it has no other."""
    if WEBSITE_REDIRECT not in system:
        return system
    return {name: value for name, value in system.items() if name != WEBSITE_REDIRECT}


def parse_directive(headers: Headers) -> str:
    """x-amz-metadata-directive of a copy: COPY or REPLACE.

    Raises:
        S3Error: InvalidArgument for another value.
    """
    directive = headers.get(b"x-amz-metadata-directive") or "COPY"
    if directive not in ("COPY", "REPLACE"):
        raise S3Error(
            "InvalidArgument",
            "Unknown metadata directive.",
            ArgumentName="x-amz-metadata-directive",
            ArgumentValue=directive,
        )
    return directive


def response_headers(
    system: dict[str, str], user: dict[str, str], overrides: dict[str, str] | None = None
) -> list[tuple[str, str]]:
    """Headers of a GET or HEAD answer: system headers, overrides on top, then user metadata."""
    values = {**system, **overrides} if overrides else system
    headers = []
    for name, value in values.items():  # a comprehension would be one more call
        headers.append((SYSTEM_HEADERS[name], value))
    if "content-type" not in values:
        headers.append(("Content-Type", DEFAULT_CONTENT_TYPE))
    for name, value in user.items():
        headers.append(("x-amz-meta-" + name, value))
    return headers


def response_overrides(query: dict[str, str]) -> dict[str, str]:
    """The `response-*` parameters of a signed GET or HEAD, by the lower-case header they replace.

    Raises:
        S3Error: InvalidArgument for a value that cannot stand in a header.
    """
    overrides = {}
    for parameter, name in RESPONSE_PARAMETERS.items():
        value = query.get(parameter)
        if not value:
            continue
        if any(character < " " or character == "\x7f" for character in value):
            message = "Header value cannot be represented using ISO-8859-1."
            raise S3Error("InvalidArgument", message, ArgumentName=parameter, ArgumentValue=value)
        overrides[name] = value.encode().decode("latin-1")
    return overrides


def _check_redirect(location: str) -> None:
    if not location.startswith(("/", "http://", "https://")):
        raise S3Error("InvalidRedirectLocation")
    if len(location) > _REDIRECT_BYTES_MAX:
        message = "The length of website redirect location cannot exceed"
        raise S3Error("InvalidRedirectLocation", f"{message} {_REDIRECT_BYTES_MAX} characters.")


def _drop_transfer_framing(system: dict[str, str]) -> None:
    """Take aws-chunked, which describes only the transfer, out of content-encoding.

    The other codings keep the white space that they came with.
    """
    codings = system["content-encoding"].split(",")
    kept = [coding for coding in codings if coding.strip().lower() not in ("", "aws-chunked")]
    if kept:
        system["content-encoding"] = ",".join(kept).strip()
    else:
        del system["content-encoding"]


def _user_metadata(headers: Headers) -> dict[str, str]:
    user = {name[len(_USER_PREFIX) :]: value for name, value in headers.prefixed(_USER_PREFIX)}
    if user:
        size_bytes = sum(len(name) + len(value) for name, value in user.items())
        if size_bytes > USER_METADATA_BYTES_MAX:
            raise S3Error(
                "MetadataTooLarge",
                Size=str(size_bytes),
                MaxSizeAllowed=str(USER_METADATA_BYTES_MAX),
            )
    return user
