"""The body of a request: what was announced, and whether the bytes keep it.

`plan_payload` reads the headers once; `PayloadVerifier` decodes and hashes the bytes as they come.
A body that turns out bad raises before its last bytes are released, so it never becomes an object.
Source: AWS, "Transferring Payload in Multiple Chunks", "Checking object integrity".
"""

import base64
import binascii
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import msgspec

from s3proxy._fast.aws_chunked import Decoder
from s3proxy._fast.checksum import Hasher
from s3proxy._fast.errors import ChunkError
from s3proxy._fast.sigv4 import compare_digest
from s3proxy.s3 import checksums
from s3proxy.s3.errors import S3Error, invalid_argument, not_implemented_header

if TYPE_CHECKING:
    from s3proxy._fast.http1 import RequestHead
    from s3proxy.s3.auth import Verified
    from s3proxy.s3.headers import Headers

PAYLOAD_BYTES_MAX: Final = 5 * 2**30

# x-amz-content-sha256 -> form of the body.
_FORMS: Final = {
    "UNSIGNED-PAYLOAD": "unsigned",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": "streaming-signed",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": "streaming-signed-trailer",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER": "streaming-unsigned-trailer",
}
_ASYMMETRIC: Final = frozenset(
    {
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
    }
)
_LOWER_HEX: Final = frozenset("0123456789abcdef")


class PayloadPlan(msgspec.Struct, frozen=True):
    """What the head announces of the body.

    Attributes:
        form: "unsigned", "signed", "streaming-signed", "streaming-signed-trailer" or
            "streaming-unsigned-trailer".
        length: bytes of payload, without chunk framing.
        sha256: lower-case hex of the signed form; "" otherwise.
        content_md5: 16 bytes; b"" when not sent.
        checksum: (algorithm, base64 value), the value "" when it comes in the trailer; None: no
            checksum.
        trailer: the body ends with a trailer.
    """

    form: str
    length: int
    sha256: str = ""
    content_md5: bytes = b""
    checksum: tuple[str, str] | None = None
    trailer: bool = False

    @property
    def streaming(self) -> bool:
        """The body comes in aws-chunked framing."""
        return self.form.startswith("streaming-")


class Digests(msgspec.Struct, frozen=True):
    """Digests of a verified body.

    Attributes:
        md5: 16 bytes; b"" when it was not asked for.
        checksums: algorithm -> base64, of the checksum the client declared and the extra ones asked
            for.
    """

    md5: bytes
    checksums: dict[str, str]


def plan_payload(
    head: "RequestHead",
    verified: "Verified",
    *,
    headers: "Headers | None" = None,
    length_required: bool = True,
) -> PayloadPlan:
    """Read what the head says of the body.

    Args:
        head: the request head, for its framing.
        verified: for the form in x-amz-content-sha256.
        headers: the route's headers, where those of a presigned URL are among them; the head's by
            default.
        length_required: False where no body at all is fine (CreateBucket): no length then means 0.

    Raises:
        S3Error: MissingContentLength, EntityTooLarge, InvalidDigest, InvalidArgument,
            NotImplemented, InvalidRequest (checksum headers that contradict, are unknown or
            malformed).
    """
    if headers is None:
        headers = head
    form, sha256 = parse_form(verified.authorization.payload_hash)
    trailer = form.endswith("-trailer")
    length = _length(head, form, length_required=length_required)
    if length > PAYLOAD_BYTES_MAX:
        raise S3Error(
            "EntityTooLarge", ProposedSize=str(length), MaxSizeAllowed=str(PAYLOAD_BYTES_MAX)
        )
    content_md5 = headers.get(b"content-md5")
    return PayloadPlan(
        form=form,
        length=length,
        sha256=sha256,
        content_md5=b"" if content_md5 is None else _parse_md5(content_md5),
        checksum=_checksum(headers, trailer=trailer),
        trailer=trailer,
    )


class PayloadVerifier:
    """Decodes and hashes a body, each byte once.

    Args:
        plan: of the body.
        verified: for the chunk signatures.
        extra: algorithms to digest besides what verification needs: "md5" for the ETag, or a
            checksum to store.
    """

    def __init__(
        self, plan: PayloadPlan, verified: "Verified", *, extra: Iterable[str] = ("md5",)
    ) -> None:
        self._plan = plan
        self._received = 0
        self._wanted = set(extra)
        needed = set(self._wanted)
        if plan.form == "signed":
            needed.add("sha256")
        if plan.content_md5:
            needed.add("md5")
        if plan.checksum is not None:
            needed.add(plan.checksum[0])
            self._wanted.add(plan.checksum[0])
        self._hasher = Hasher(sorted(needed)) if needed else None
        self._decoder = _decoder(plan, verified, self._hasher) if plan.streaming else None

    @property
    def finished(self) -> bool:
        """All of the body has been fed, its framing and trailer included."""
        if self._decoder is not None:
            return self._decoder.finished
        return self._received >= self._plan.length

    def feed(self, buffer: memoryview, length: int) -> int:
        """Take the next bytes as they came.

        Args:
            buffer: writable; decoded in place.
            length: how many of its bytes are valid.

        Returns:
            How many bytes of payload now stand at its start, decoded and hashed.

        Raises:
            S3Error: IncompleteBody (too many bytes), SignatureDoesNotMatch and the other faults of
                chunks.
        """
        if self._decoder is not None:
            try:
                length = self._decoder.feed(buffer, length)
            except ChunkError as error:
                raise S3Error(error.code, error.message) from error
        elif self._hasher is not None:
            self._hasher.update(buffer[:length])
        self._received += length
        if self._received > self._plan.length:
            raise S3Error("IncompleteBody", "The request body is longer than was announced.")
        return length

    def finish(self) -> Digests:
        """Compare the whole body with what was announced.

        Raises:
            S3Error: IncompleteBody, XAmzContentSHA256Mismatch, BadDigest, InvalidRequest or
                MalformedTrailerError (trailer).
        """
        declared = self._finish_framing()
        self._check_sha256()
        self._check_md5()
        if declared is not None:
            self._check_checksum(*declared)
        values = {
            algorithm: checksums.encode(self._digest(algorithm))
            for algorithm in sorted(self._wanted)
            if algorithm != "md5"
        }
        return Digests(self._digest("md5") if "md5" in self._wanted else b"", values)

    def _digest(self, algorithm: str) -> bytes:
        assert self._hasher is not None
        return self._hasher.digest(algorithm)

    def _finish_framing(self) -> tuple[str, str] | None:
        """End the decoding; return the checksum with its value, wherever that stood."""
        if self._decoder is not None:
            try:
                self._decoder.finish()
            except ChunkError as error:
                raise S3Error(error.code, error.message) from error
        if self._received != self._plan.length:
            raise S3Error("IncompleteBody")
        if self._decoder is None or not self._plan.trailer:
            return self._plan.checksum
        return _trailing_checksum(self._plan.checksum, self._decoder.trailers)

    def _check_sha256(self) -> None:
        if self._plan.form != "signed":
            return
        computed = self._digest("sha256").hex()
        if not compare_digest(computed.encode(), self._plan.sha256.encode()):
            raise S3Error(
                "XAmzContentSHA256Mismatch",
                ClientComputedContentSHA256=self._plan.sha256,
                S3ComputedContentSHA256=computed,
            )

    def _check_md5(self) -> None:
        expected = self._plan.content_md5
        if expected and not compare_digest(self._digest("md5"), expected):
            raise S3Error(
                "BadDigest",
                ExpectedDigest=checksums.encode(expected),
                CalculatedDigest=checksums.encode(self._digest("md5")),
            )

    def _check_checksum(self, algorithm: str, value: str) -> None:
        computed = checksums.encode(self._digest(algorithm))
        if not compare_digest(computed.encode(), value.encode()):
            raise S3Error(
                "BadDigest",
                f"The {algorithm.upper()} you specified did not match the calculated checksum.",
            )


def _decoder(plan: PayloadPlan, verified: "Verified", hasher: Hasher | None) -> Decoder:
    authorization = verified.authorization
    signed = plan.form != "streaming-unsigned-trailer"
    return Decoder(
        decoded_length=plan.length,
        signing_key=verified.key if signed else None,
        seed_signature=authorization.signature,
        amz_date=authorization.amz_date,
        scope=authorization.scope,
        trailer=plan.trailer,
        signed=signed,
        hasher=hasher,
    )


def parse_form(payload_hash: str) -> tuple[str, str]:
    """Form of the body, and its SHA-256 where that is signed.

    Raises:
        S3Error: InvalidArgument, InvalidRequest (empty), NotImplemented (asymmetric signatures).
    """
    if len(payload_hash) == 64 and _LOWER_HEX.issuperset(payload_hash.lower()):
        return "signed", payload_hash.lower()
    form = _FORMS.get(payload_hash)
    if form is not None:
        return form, ""
    if payload_hash in _ASYMMETRIC:
        raise not_implemented_header("x-amz-content-sha256")
    if not payload_hash:
        message = "Missing required header for this request: x-amz-content-sha256"
        raise S3Error("InvalidRequest", message)
    known = ", ".join([*_FORMS, *sorted(_ASYMMETRIC)])
    message = f"x-amz-content-sha256 must be {known} or a valid sha256 value."
    raise invalid_argument(message, "x-amz-content-sha256", payload_hash)


def _length(head: "RequestHead", form: str, *, length_required: bool) -> int:
    """Bytes of payload."""
    decoded = head.get(b"x-amz-decoded-content-length")
    if form.startswith("streaming-"):
        return _decoded_length(decoded)
    if decoded is not None and "aws-chunked" in (head.get(b"content-encoding") or "").lower():
        message = "aws-chunked content needs one of the STREAMING- values of x-amz-content-sha256."
        raise S3Error("InvalidRequest", message)
    if head.content_length >= 0:
        return head.content_length
    if head.chunked:
        if decoded is None:
            # A length that only shows at the end: S3 takes no such body.
            raise not_implemented_header("Transfer-Encoding")
        return _decoded_length(decoded)
    if length_required:
        raise S3Error("MissingContentLength")
    return 0


def _decoded_length(text: str | None) -> int:
    if text is None:
        raise S3Error("MissingContentLength")
    if not (text.isascii() and text.isdecimal() and len(text) <= 19):
        message = "The x-amz-decoded-content-length header must be a number of bytes."
        raise invalid_argument(message, "x-amz-decoded-content-length", text)
    return int(text)


def _parse_md5(value: str) -> bytes:
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 16:
        raise S3Error("InvalidDigest", **{"Content-MD5": value})
    return digest


def _checksum(headers: "Headers", *, trailer: bool) -> tuple[str, str] | None:
    """The checksum announced, its value "" when the trailer brings it."""
    sent = checksums.parse_checksum_header(headers)
    trailing = checksums.parse_trailer_header(headers)
    if trailing:
        if not trailer:
            message = "x-amz-trailer needs a STREAMING-…-TRAILER value of x-amz-content-sha256."
            raise S3Error("InvalidRequest", message.replace("…", "*"))
        if sent is not None:
            raise checksums.several_checksums()
        sent = (trailing, "")
    algorithm = checksums.parse_algorithm(headers, "x-amz-sdk-checksum-algorithm")
    if algorithm and sent is None:
        message = (
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or"
            " x-amz-trailer headers were found."
        )
        raise S3Error("InvalidRequest", message)
    if algorithm and sent is not None and sent[0] != algorithm:
        message = "Value for x-amz-sdk-checksum-algorithm header is invalid."
        raise S3Error("InvalidRequest", message)
    return sent


def _trailing_checksum(
    planned: tuple[str, str] | None, trailers: dict[str, str]
) -> tuple[str, str] | None:
    """The checksum with the value its trailer brought."""
    expected = {checksums.header_name(planned[0])} if planned is not None else set()
    if set(trailers) != expected:
        raise S3Error("MalformedTrailerError")
    if planned is None:
        return None
    name = checksums.header_name(planned[0])
    if checksums.decode(planned[0], trailers[name]) is None:
        raise S3Error("InvalidRequest", f"Value for {name} trailing header is invalid.")
    return planned[0], trailers[name]
