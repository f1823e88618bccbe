"""Signature Version 4 for S3: verifying requests, signing upstream ones, presigning.

A request is verified from its parsed head without a Python object: the canonical request is written
into a buffer on the stack, hashed, and signed with a ready HMAC state.

Source: AWS, "Authenticating Requests (AWS Signature Version 4)".
"""

from libc.string cimport memset

from s3proxy._fast.authorization cimport Authorization as Claim
from s3proxy._fast.canonical cimport (
    TEXT_INLINE_BYTES,
    Text,
    put,
    put_byte,
    put_encoded,
    put_headers,
    put_path,
    put_query,
    text_free,
    text_reserve,
    text_start,
)
from s3proxy._fast.http1 cimport RequestHead
from s3proxy._fast.libcrypto cimport (
    SHA256_BYTES,
    SHA256_HEX,
    Sha256State,
    equal_in_constant_time,
    sha256_finish,
    sha256_start,
    sha256_update,
    write_hex,
)
from s3proxy._fast.signing_key cimport SigningKey as Key
from s3proxy._fast.signing_key cimport sign_canonical

from s3proxy._fast.authorization import EXPIRES_S_MAX, Authorization, parse_authorization
from s3proxy._fast.errors import AuthError
from s3proxy._fast.request_signing import presign, sign
from s3proxy._fast.signing_key import SigningKey, SigningKeys, derive_signing_key

__all__ = (
    "EXPIRES_S_MAX",
    "Authorization",
    "SigningKey",
    "SigningKeys",
    "compare_digest",
    "derive_signing_key",
    "parse_authorization",
    "presign",
    "sign",
    "uri_encode",
    "verify",
)

cdef enum:
    HEADERS_INLINE = 256
    # Longer canonical requests are not shown in errors, which would multiply what a client sends.
    SHOWN_BYTES_MAX = 8192


cdef int put_canonical(
    Text* text, RequestHead head, Claim authorization, unsigned char* covered
) except -1:
    # Returns how many of the signed headers are missing.
    cdef bytes path = head.path, query = head.query
    cdef Py_ssize_t method_length = head.target_start - 1
    cdef int missing
    put(text, head.base, method_length)
    put_byte(text, 10)
    put_path(text, <const char*>path, len(path))
    put_byte(text, 10)
    put_query(text, <const char*>query, len(query))
    put_byte(text, 10)
    missing = put_headers(
        text, head, authorization.names.data, authorization.names.length, covered
    )
    put_byte(text, 10)
    put(text, authorization.names.data, authorization.names.length)
    put_byte(text, 10)
    put(text, authorization.payload.data, authorization.payload.length)
    return missing


cdef bint must_be_signed(RequestHead head, int index) noexcept nogil:
    return head.has_prefix(index, b"x-amz-", 6) or (
        head.spans[index].name_length == 4 and head.has_prefix(index, b"host", 4)
    )


cdef int check_covered(RequestHead head, const unsigned char* covered) except -1:
    cdef int i
    for i in range(head.count):
        if not covered[i] and must_be_signed(head, i):
            raise AuthError(
                "AccessDenied",
                "There were headers present in the request which were not signed",
                {"HeadersNotSigned": ", ".join(
                    head.name_at(j) for j in range(i, head.count)
                    if not covered[j] and must_be_signed(head, j)
                )},
            )
    return 0


cdef object mismatch(Claim authorization, const Text* canonical):
    cdef Sha256State state
    cdef unsigned char digest[SHA256_BYTES]
    cdef char text[SHA256_HEX]
    sha256_start(&state)
    sha256_update(&state, canonical.data, canonical.length)
    sha256_finish(&state, digest)
    write_hex(digest, SHA256_BYTES, text)
    string_to_sign = "\n".join((
        "AWS4-HMAC-SHA256",
        authorization.amz_date,
        authorization.scope,
        text[:SHA256_HEX].decode("ascii"),
    ))
    fields = {
        "AWSAccessKeyId": authorization.access_key,
        "StringToSign": string_to_sign,
        "SignatureProvided": authorization.signature,
        "StringToSignBytes": string_to_sign.encode("latin-1").hex(" "),
    }
    if canonical.length <= SHOWN_BYTES_MAX:
        request = canonical.data[:canonical.length]
        fields["CanonicalRequest"] = request.decode("latin-1")
        fields["CanonicalRequestBytes"] = request.hex(" ")
    return AuthError(
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
        fields,
    )


cdef int check(
    RequestHead head, Claim authorization, Key key, Text* text, Text* marks
) except -1:
    cdef char signature[SHA256_HEX]
    cdef unsigned char* covered
    cdef int missing
    text_reserve(marks, head.count)
    covered = <unsigned char*>marks.data
    memset(covered, 0, head.count)
    missing = put_canonical(text, head, authorization, covered)
    check_covered(head, covered)
    sign_canonical(
        &key.hmac, text, authorization.stamp, authorization.credential_scope, signature
    )
    if (
        missing
        or authorization.provided.length != SHA256_HEX
        or not equal_in_constant_time(signature, authorization.provided.data, SHA256_HEX)
    ):
        raise mismatch(authorization, text)
    return 0


def verify(
    RequestHead head not None, Claim authorization not None, Key key not None, /
):
    cdef char array[TEXT_INLINE_BYTES]
    cdef char marks_array[HEADERS_INLINE]
    cdef Text text, marks
    if authorization.head is not head:
        raise ValueError("the authorization was parsed from another head")
    text_start(&text, array, TEXT_INLINE_BYTES)
    text_start(&marks, marks_array, HEADERS_INLINE)
    try:
        check(head, authorization, key, &text, &marks)
    finally:
        text_free(&text)
        text_free(&marks)


def uri_encode(bytes text not None, /, *, bint keep_slash):
    cdef char array[TEXT_INLINE_BYTES]
    cdef Text encoded
    text_start(&encoded, array, TEXT_INLINE_BYTES)
    try:
        put_encoded(&encoded, <const char*>text, len(text), keep_slash)
        return encoded.data[:encoded.length]
    finally:
        text_free(&encoded)


def compare_digest(bytes a not None, bytes b not None, /):
    if len(a) != len(b):
        return False
    return bool(equal_in_constant_time(<const char*>a, <const char*>b, len(a)))
