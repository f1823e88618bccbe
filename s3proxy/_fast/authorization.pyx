"""The Authorization header, or the X-Amz- query parameters, of Signature Version 4.

Parsing decides nothing about time, region or secret: the caller knows those. Refusals carry Amazon
S3's codes and wording, because SDKs and people act on them.

Source: AWS, "Authenticating Requests: Using the Authorization Header", "... Query Parameters".
"""

cimport cython

from datetime import timezone
from email.utils import parsedate_to_datetime

from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.string cimport memchr, memcmp, memcpy

from s3proxy._fast.canonical cimport (
    TEXT_INLINE_BYTES,
    Text,
    put_decoded,
    text_free,
    text_start,
)
from s3proxy._fast.http1 cimport RequestHead
from s3proxy._fast.message_head cimport SEEN_SECURITY_TOKEN, MessageHead
from s3proxy._fast.span cimport Span, cut, equals, to_str, trimmed
from s3proxy._fast.timestamp cimport STAMP_BYTES, is_date, read_stamp, write_stamp

from s3proxy._fast.errors import AuthError

cdef extern from "Python.h":
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    const void* PyUnicode_1BYTE_DATA(object text)

cdef extern from "string.h" nogil:
    void* memmem(const void* text, size_t length, const void* part, size_t part_length)

cdef enum:
    EXPIRES_LIMIT_S = 604800        # a week; AWS refuses longer lives of a presigned request

cdef enum:
    # Parameters of query authentication, in the order of PARAMETER_NAMES.
    ALGORITHM, CREDENTIAL, DATE, EXPIRES, SIGNED_HEADERS, SIGNATURE, CONTENT_SHA256, PARAMETERS
    REQUIRED_PARAMETERS = CONTENT_SHA256

cdef const char* PARAMETER_NAMES[PARAMETERS]
PARAMETER_NAMES[:] = [
    b"Algorithm", b"Credential", b"Date", b"Expires", b"SignedHeaders", b"Signature",
    b"Content-Sha256",
]
cdef Py_ssize_t[PARAMETERS] PARAMETER_LENGTHS
PARAMETER_LENGTHS[:] = [9, 10, 4, 7, 13, 9, 14]

cdef const char* UNSIGNED_PAYLOAD = b"UNSIGNED-PAYLOAD"
cdef const char* EMPTY_PAYLOAD = (
    b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)
EXPIRES_S_MAX = EXPIRES_LIMIT_S

cdef str S3 = "s3"
cdef str last_date = "", last_region = ""


cdef inline str reuse(str last, Span span):
    # Dates and regions repeat: the same object brings its hash along. All of them are Latin-1.
    if PyUnicode_GET_LENGTH(last) == span.length and memcmp(
        PyUnicode_1BYTE_DATA(last), span.data, span.length
    ) == 0:
        return last
    return to_str(span)


cdef object both_ways():
    return AuthError(
        "InvalidArgument",
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
        "Signature query string parameter or the Authorization header should be specified",
        {"ArgumentName": "Authorization"},
    )


cdef object unsupported_mechanism():
    return AuthError(
        "InvalidRequest",
        "The authorization mechanism you have provided is not supported. "
        "Please use AWS4-HMAC-SHA256.",
    )


cdef object bad_query(str reason, str code="AuthorizationQueryParametersError"):
    return AuthError(code, reason)


# One is made for each request and dropped with it.
@cython.freelist(16)
cdef class Authorization:

    def __init__(self):
        raise TypeError("made by parse_authorization")

    @property
    def signed_headers(self):
        return tuple(self.names.data[:self.names.length].split(b";"))

    @property
    def scope(self):
        return to_str(self.credential_scope)

    @property
    def signature(self):
        return to_str(self.provided)

    @property
    def amz_date(self):
        return PyUnicode_DecodeLatin1(self.stamp, STAMP_BYTES, NULL)

    @property
    def payload_hash(self):
        return to_str(self.payload)

    @property
    def payload_plain(self):
        return equals(self.payload, UNSIGNED_PAYLOAD, 16) or equals(
            self.payload, EMPTY_PAYLOAD, 64
        )

    def in_order(self, str region not None, double now_s, double skew_s_max, /):
        cdef bytes query = (<RequestHead>self.head).query
        return (
            not self.presigned
            and -skew_s_max <= now_s - <double>self.timestamp_s <= skew_s_max
            and self.region == region
            and not self.head.seen & SEEN_SECURITY_TOKEN
            and memmem(<const char*>query, len(query), b"X-Amz-Security-Token", 20) == NULL
        )

    cdef object malformed(self, str reason):
        if self.presigned:
            return bad_query("Error parsing the X-Amz-Credential parameter; " + reason)
        return AuthError(
            "AuthorizationHeaderMalformed", "The authorization header is malformed; " + reason
        )

    cdef int take_credential(self, Span value) except -1:
        global last_date, last_region
        cdef Span rest = value
        cdef Span access_key = cut(&rest, 47)
        self.credential_scope = rest
        cdef Span date = cut(&rest, 47)
        cdef Span region = cut(&rest, 47)
        cdef Span service = cut(&rest, 47)
        if access_key.length == 0 or region.length == 0 or rest.length == 0 \
                or memchr(rest.data, 47, rest.length) != NULL:
            raise self.malformed(
                'the Credential is mal-formed; expecting '
                '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
            )
        if not is_date(date.data, date.length):
            raise self.malformed(
                f'incorrect date format "{to_str(date)}". '
                'This date in the credential must be in the format "yyyyMMdd".'
            )
        if not equals(service, b"s3", 2):
            raise self.malformed(
                f'incorrect service "{to_str(service)}". This endpoint belongs to "s3".'
            )
        if not equals(rest, b"aws4_request", 12):
            raise self.malformed(
                f'incorrect terminal "{to_str(rest)}". This endpoint uses "aws4_request".'
            )
        self.access_key = to_str(access_key)
        last_date = reuse(last_date, date)
        last_region = reuse(last_region, region)
        self.date = last_date
        self.region = last_region
        self.service = S3
        return 0

    cdef int take_stamp(self, Span value) except -1:
        # Returns 0 where `value` is no timestamp.
        self.timestamp_s = read_stamp(value.data, value.length)
        if self.timestamp_s < 0:
            return 0
        memcpy(self.stamp, value.data, STAMP_BYTES)
        return 1

    cdef int check_date(self) except -1:
        # The day of the scope is that of the timestamp.
        if memcmp(self.stamp, self.credential_scope.data, 8) == 0:
            return 0
        reason = (
            f'Invalid credential date "{self.date}". '
            f'This date is not the same as X-Amz-Date: "{self.amz_date[:8]}".'
        )
        if self.presigned:
            raise bad_query(reason)
        raise self.malformed(reason)

    cdef int read_header(self, Span value) except -1:
        cdef Span rest = value
        cdef Span scheme = cut(&rest, 32)
        if not equals(scheme, b"AWS4-HMAC-SHA256", 16):
            if equals(scheme, b"AWS", 3) or equals(scheme, b"AWS4-ECDSA-P256-SHA256", 22):
                raise unsupported_mechanism()
            raise AuthError(
                "InvalidArgument",
                "Unsupported Authorization Type",
                {"ArgumentName": "Authorization", "ArgumentValue": to_str(scheme)},
            )
        while rest.length:
            self.take_component(cut(&rest, 44))
        if self.access_key is None:
            raise self.malformed("missing Credential.")
        if self.names.length == 0:
            raise self.malformed("missing SignedHeaders.")
        if self.provided.length == 0:
            raise self.malformed("missing Signature.")
        self.take_header_date()
        self.take_header_payload()
        return 0

    cdef int take_component(self, Span component) except -1:
        cdef Span value = trimmed(component)
        cdef Span whole = value
        cdef Span name = cut(&value, 61)
        if equals(name, b"Credential", 10) and self.access_key is None:
            self.take_credential(value)
        elif equals(name, b"SignedHeaders", 13) and self.names.length == 0:
            self.names = value
        elif equals(name, b"Signature", 9) and self.provided.length == 0:
            self.provided = value
        else:
            raise self.malformed(f'the authorization component "{to_str(whole)}" is malformed.')
        return 0

    cdef int take_header_date(self) except -1:
        cdef Span value
        cdef int index = self.head.find(b"x-amz-date", 10)
        if index < 0:
            index = self.head.find(b"date", 4)
        if index >= 0:
            value.data = self.head.base + self.head.spans[index].value
            value.length = self.head.spans[index].value_length
            if self.take_stamp(value) or self.take_http_date(to_str(value)):
                return 0
        raise AuthError(
            "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header"
        )

    cdef bint take_http_date(self, str value) except -1:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return False
        if moment.tzinfo is None:
            # RFC 5322, 3.3: "-0000" is UTC too, from a clock that knows no zone; botocore sends it.
            if not value.endswith("-0000"):
                return False
            moment = moment.replace(tzinfo=timezone.utc)
        if not 1970 <= moment.year <= 9998:
            return False
        self.timestamp_s = int(moment.timestamp())
        if self.timestamp_s < 0:
            return False
        write_stamp(self.timestamp_s, self.stamp)
        return True

    cdef int take_header_payload(self) except -1:
        cdef int index = self.head.find(b"x-amz-content-sha256", 20)
        if index < 0:
            raise AuthError(
                "InvalidRequest",
                "Missing required header for this request: x-amz-content-sha256",
            )
        self.payload.data = self.head.base + self.head.spans[index].value
        self.payload.length = self.head.spans[index].value_length
        return 0

    cdef int read_query(self, Span* found) except -1:
        cdef int i
        for i in range(REQUIRED_PARAMETERS):
            if found[i].length == 0:
                raise bad_query(
                    "Query-string authentication version 4 requires the X-Amz-Algorithm, "
                    "X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, "
                    "and X-Amz-Expires parameters."
                )
        if not equals(found[ALGORITHM], b"AWS4-HMAC-SHA256", 16):
            raise bad_query('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
        self.take_credential(found[CREDENTIAL])
        if not self.take_stamp(found[DATE]):
            raise bad_query(
                'X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd\'T\'HHmmss\'Z\'"'
            )
        self.take_expires(found[EXPIRES])
        self.names = found[SIGNED_HEADERS]
        self.provided = found[SIGNATURE]
        if self.head.find(b"x-amz-content-sha256", 20) >= 0:
            self.take_header_payload()
        elif found[CONTENT_SHA256].length:
            self.payload = found[CONTENT_SHA256]
        else:
            self.payload.data = UNSIGNED_PAYLOAD
            self.payload.length = 16
        return 0

    cdef int take_expires(self, Span value) except -1:
        cdef Py_ssize_t i
        if value.data[0] == 45 and value.length > 1:
            raise bad_query("X-Amz-Expires must be non-negative", "AccessDenied")
        for i in range(value.length):
            if not 48 <= value.data[i] <= 57:
                raise bad_query("X-Amz-Expires should be a number")
            self.expires_s = 10 * self.expires_s + value.data[i] - 48
            if self.expires_s > EXPIRES_LIMIT_S:
                raise bad_query(
                    "X-Amz-Expires must be less than a week (in seconds); "
                    "that is, the given X-Amz-Expires must be less than 604800 seconds",
                    "AccessDenied",
                )
        if self.expires_s == 0:
            raise bad_query("X-Amz-Expires must be greater than 0", "AccessDenied")
        return 0


cdef int find_parameters(bytes query, Span* found) except -1:
    # Fills `found` with the raw values, the first of each name; returns whether one is there.
    cdef Span rest, value, name
    cdef int i
    cdef bint any_found = False
    for i in range(PARAMETERS):
        found[i].length = 0
    rest.data = <const char*>query
    rest.length = len(query)
    if memmem(rest.data, rest.length, b"X-Amz-", 6) == NULL:
        return 0
    while rest.length:
        value = cut(&rest, 38)
        name = cut(&value, 61)
        if name.length < 10 or memcmp(name.data, b"X-Amz-", 6) != 0:
            continue
        name.data += 6
        name.length -= 6
        for i in range(PARAMETERS):
            if found[i].length == 0 and equals(name, PARAMETER_NAMES[i], PARAMETER_LENGTHS[i]):
                found[i] = value
                # A payload hash or a date alone asks for nothing.
                any_found |= i == ALGORITHM or i == CREDENTIAL or i == SIGNATURE
    return any_found


cdef bytes decode_parameters(Span* found, Py_ssize_t* starts):
    cdef char array[TEXT_INLINE_BYTES]
    cdef Text text
    cdef int i
    text_start(&text, array, TEXT_INLINE_BYTES)
    try:
        for i in range(PARAMETERS):
            starts[i] = text.length
            put_decoded(&text, found[i].data, found[i].length)
            found[i].length = text.length - starts[i]
        return text.data[:text.length]
    finally:
        text_free(&text)


cdef bint is_version_2(bytes query) except -1:
    return b"Signature=" in query and b"AWSAccessKeyId=" in query and any(
        part.startswith(b"AWSAccessKeyId=") for part in query.split(b"&")
    )


def parse_authorization(RequestHead head not None, /):
    cdef Span found[PARAMETERS]
    cdef Py_ssize_t starts[PARAMETERS]
    cdef Span value
    cdef int index = head.find(b"authorization", 13)
    cdef int i
    cdef Authorization self
    cdef bint presigned = find_parameters(head.query, found)
    if index < 0 and not presigned:
        if is_version_2(head.query):
            raise unsupported_mechanism()
        return None
    if index >= 0 and presigned:
        raise both_ways()
    self = Authorization.__new__(Authorization)
    self.head = head
    self.presigned = presigned
    if presigned:
        self.text = decode_parameters(found, starts)
        for i in range(PARAMETERS):
            found[i].data = <const char*>self.text + starts[i]
        self.read_query(found)
    else:
        value.data = head.base + head.spans[index].value
        value.length = head.spans[index].value_length
        self.read_header(value)
    self.check_date()
    return self
