"""Strict HTTP/1.1 heads and framing, after RFC 9110 and RFC 9112.

What two readers may take differently is refused: it is how requests are smuggled. Heads that are
not complete yet cost one search for line ends in what is new.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.string cimport memcmp

from s3proxy._fast.message_head cimport (
    HEADERS_LIMIT,
    HeaderSpan,
    MessageHead,
    SEEN_EXPECT,
    SEEN_HOST,
    find_end,
    refuse,
)
from s3proxy._fast.octets cimport (
    octets_equal,
    octets_find,
    octets_is_authority,
    octets_is_target,
    octets_is_text,
    octets_token,
)

from s3proxy._fast.head_writer import build_request_head, build_response_head
from s3proxy._fast.message_head import HeaderNames
from s3proxy._fast.transfer_coding import ChunkedDecoder

__all__ = (
    "REQUEST_LINE_BYTES_MAX",
    "ChunkedDecoder",
    "HeaderNames",
    "RequestHead",
    "ResponseHead",
    "build_request_head",
    "build_response_head",
    "parse_request",
    "parse_response",
)

# A 1,024 byte key can be 3 KiB when percent-encoded; a presigned query carries a session token too.
REQUEST_LINE_BYTES_MAX = 16384

cdef Py_ssize_t LINE_MAX = REQUEST_LINE_BYTES_MAX
cdef Py_ssize_t METHOD_MAX = 32                     # the longest registered one has 17
cdef Py_ssize_t HEAD_LIMIT = 1 << 30                # offsets are 32 bits wide

cdef str GET = "GET", PUT = "PUT", HEAD = "HEAD", POST = "POST"
cdef str DELETE = "DELETE", OPTIONS = "OPTIONS"


cdef str method_of(const char* text, Py_ssize_t length):
    """The token as a str, the usual ones without making it."""
    if length == 3:
        if memcmp(text, b"GET", 3) == 0:
            return GET
        if memcmp(text, b"PUT", 3) == 0:
            return PUT
    elif length == 4:
        if memcmp(text, b"HEAD", 4) == 0:
            return HEAD
        if memcmp(text, b"POST", 4) == 0:
            return POST
    elif length == 6 and memcmp(text, b"DELETE", 6) == 0:
        return DELETE
    elif length == 7 and memcmp(text, b"OPTIONS", 7) == 0:
        return OPTIONS
    return PyUnicode_DecodeLatin1(text, length, NULL)


cdef class RequestHead(MessageHead):
    """A request's head."""

    def __init__(self):
        raise TypeError("made by parse_request")

    @property
    def target(self):
        return self.raw[self.target_start:self.target_stop]

    @property
    def bodyless(self):
        return self.content_length <= 0 and not self.chunked and not self.expect_continue

    cdef int parse_line(self, Py_ssize_t length) except -1:
        """method SP request-target SP HTTP-version (RFC 9112, section 3)."""
        cdef const char* text = self.base
        cdef Py_ssize_t method_length = octets_token(text, length)
        cdef Py_ssize_t version = length - 8
        if length > LINE_MAX:
            refuse(414, "the request line is too long")
        if method_length == 0 or text[method_length] != c" ":
            refuse(400, "malformed method")
        if method_length > METHOD_MAX:
            refuse(501, "unknown method")
        self.target_start = method_length + 1
        self.target_stop = version - 1
        if self.target_stop <= self.target_start or text[self.target_stop] != c" ":
            refuse(400, "malformed request line")
        if not octets_is_target(text + self.target_start, self.target_stop - self.target_start):
            refuse(400, "byte in the request target that must be percent-encoded")
        self.parse_version(version, length)
        self.method = method_of(text, method_length)
        if method_length == 7 and memcmp(text, b"CONNECT", 7) == 0:
            refuse(501, "CONNECT is not offered")
        return self.split_target()

    cdef int parse_version(self, Py_ssize_t start, Py_ssize_t stop) except -1:
        cdef const char* text = self.base + start
        if (stop - start != 8 or memcmp(text, b"HTTP/", 5) != 0 or text[6] != c"."
                or not c"0" <= text[5] <= c"9" or not c"0" <= text[7] <= c"9"):
            refuse(400, "malformed HTTP version")
        if text[5] != c"1" or text[7] > c"1":
            refuse(505, "HTTP version other than 1.0 and 1.1")
        self.http_minor = text[7] - c"0"
        return 0

    cdef int split_target(self) except -1:
        """Origin, absolute or asterisk form into path and query (RFC 9112, section 3.2)."""
        cdef const char* text = self.base
        cdef Py_ssize_t start = self.target_start
        cdef Py_ssize_t stop = self.target_stop
        cdef Py_ssize_t mark
        if text[start] == c"*":
            if stop - start != 1 or self.method is not OPTIONS:
                refuse(400, "malformed request target")
        elif text[start] != c"/":
            start = self.split_authority()
        mark = octets_find(text, start, stop, c"?")
        self.query = b""
        if mark >= 0:
            self.query = PyBytes_FromStringAndSize(text + mark + 1, stop - mark - 1)
            stop = mark
        self.path = PyBytes_FromStringAndSize(text + start, stop - start) if stop > start else b"/"
        return 0

    cdef Py_ssize_t split_authority(self) except -1:
        """Take the host of an absolute form; return where the path starts."""
        cdef const char* text = self.base
        cdef Py_ssize_t start = self.target_start
        cdef Py_ssize_t stop
        if self.target_stop - start > 7 and scheme_is(text + start, b"http", 4):
            start += 7
        elif self.target_stop - start > 8 and scheme_is(text + start, b"https", 5):
            start += 8
        else:
            refuse(400, "malformed request target")
        stop = start
        while stop < self.target_stop and text[stop] != c"/" and text[stop] != c"?":
            stop += 1
        if not octets_is_authority(text + start, stop - start):
            refuse(400, "malformed host in the request target")
        self.host = PyUnicode_DecodeLatin1(text + start, stop - start, NULL)
        return stop

    cdef int settle_host(self) except -1:
        """Exactly one Host in HTTP/1.1, the same as in the target (RFC 9112, section 3.2)."""
        cdef HeaderSpan* span
        cdef str named
        if not self.seen & SEEN_HOST:
            if self.http_minor == 1:
                refuse(400, "missing header host")
            if self.host is None:
                self.host = ""
            return 0
        span = &self.spans[self.find(b"host", 4)]
        if not octets_is_authority(self.base + span.value, span.value_length):
            refuse(400, "malformed Host")
        named = PyUnicode_DecodeLatin1(self.base + span.value, span.value_length, NULL)
        if self.host is not None and self.host.lower() != named.lower():
            refuse(400, "Host differs from the request target")
        self.host = named
        return 0

    cdef int settle_expect(self) except -1:
        # RFC 9110, 10.1.1: other expectations may be passed over, and S3 does. An HTTP/1.0 client
        # would take the interim response for the final one.
        cdef HeaderSpan* span
        if not self.seen & SEEN_EXPECT or self.http_minor != 1:
            return 0
        span = &self.spans[self.find(b"expect", 6)]
        self.expect_continue = span.value_length == 12 and octets_equal(
            self.base + span.value, b"100-continue", 12
        )
        return 0


cdef bint scheme_is(const char* text, const char* scheme, Py_ssize_t length) noexcept nogil:
    return octets_equal(text, scheme, length) and memcmp(text + length, b"://", 3) == 0


cdef class ResponseHead(MessageHead):
    """A response's head."""

    def __init__(self):
        raise TypeError("made by parse_response")

    cdef int parse_line(self, Py_ssize_t length) except -1:
        """HTTP-version SP status-code [SP reason-phrase] (RFC 9112, section 4)."""
        cdef const char* text = self.base
        if (length < 12 or memcmp(text, b"HTTP/1.", 7) != 0 or not c"0" <= text[7] <= c"1"
                or text[8] != c" " or not c"1" <= text[9] <= c"5" or not c"0" <= text[10] <= c"9"
                or not c"0" <= text[11] <= c"9" or (length > 12 and text[12] != c" ")):
            refuse(502, "malformed status line")
        self.http_minor = text[7] - c"0"
        self.status = (text[9] - c"0") * 100 + (text[10] - c"0") * 10 + (text[11] - c"0")
        if self.status == 101:
            refuse(502, "a protocol switch nobody asked for")
        self.reason = ""
        if length > 13:
            if not octets_is_text(text + 13, length - 13):
                refuse(502, "control byte in the reason phrase")
            self.reason = PyUnicode_DecodeLatin1(text + 13, length - 13, NULL)
        return 0

    cdef int settle_body(self, str method) except -1:
        """Whether and how a body follows (RFC 9112, section 6.3)."""
        cdef bint interim = self.status < 200
        cdef bint framed = self.chunked or self.content_length > 0
        if interim and framed:
            refuse(502, "an interim response with a body")
        self.bodyless = interim or self.status == 204 or self.status == 304 or method == HEAD
        if self.bodyless:
            # A 204 that announces a body may send one: what follows it cannot be trusted.
            if self.status == 204 and framed:
                self.keep_alive = False
            self.chunked = False
        elif not self.chunked and self.content_length < 0:
            self.keep_alive = False
        return 0


cdef int check_arguments(
    Py_ssize_t length, Py_ssize_t available, Py_ssize_t head_bytes_max, int headers_max
) except -1:
    if not 0 <= length <= available:
        raise ValueError("length is not within the buffer")
    if not 0 < head_bytes_max <= HEAD_LIMIT or not 0 <= headers_max <= HEADERS_LIMIT:
        raise ValueError("bound of the head out of range")
    return 0


cdef int own(MessageHead head, const char* data, Py_ssize_t length) except -1:
    """Give the head its copy of the bytes."""
    head.raw = PyBytes_FromStringAndSize(data, length)
    head.base = PyBytes_AS_STRING(head.raw)
    return 0


cdef Py_ssize_t first_line(MessageHead head) noexcept:
    """Length of the start line without its CRLF."""
    return octets_find(head.base, 0, PyBytes_GET_SIZE(head.raw), c"\n") - 1


cdef int check_partial_request(const char* data, Py_ssize_t length, Py_ssize_t room) except -1:
    """Refuse at once what no further byte can mend: other protocols, what is over its bound."""
    cdef Py_ssize_t searched = min(length, LINE_MAX + 2)
    cdef Py_ssize_t method_length = octets_token(data, min(length, METHOD_MAX + 1))
    cdef bint line_ended
    if method_length > METHOD_MAX:
        refuse(501, "unknown method")
    if method_length < length and (method_length == 0 or data[method_length] != c" "):
        refuse(400, "malformed method")
    line_ended = octets_find(data, 0, searched, c"\n") >= 0
    if not line_ended and (searched == LINE_MAX + 2 or length >= room):
        refuse(414, "the request line is too long")
    if length >= room:
        refuse(431, "the head is too long")
    return 0


cdef RequestHead read_request(
    const char* data, Py_ssize_t length, Py_ssize_t head_bytes_max, int headers_max,
    Py_ssize_t scanned
):
    cdef Py_ssize_t skipped = 0, end, line_length
    cdef RequestHead head
    if length and data[0] == c"\r":
        # RFC 9112, 2.2: one empty line before the request line is let pass.
        if length == 1:
            return None
        skipped = 2
    end = find_end(data, max(scanned, skipped), min(length, head_bytes_max))
    if end < 0 or (skipped and data[1] != c"\n"):
        refuse(400, "a line end other than CRLF")
    if end == 0:
        if length > skipped:
            check_partial_request(data + skipped, length - skipped, head_bytes_max - skipped)
        return None
    head = RequestHead.__new__(RequestHead)
    own(head, data + skipped, end - skipped)
    head.head_bytes = end
    line_length = first_line(head)
    head.parse_line(line_length)
    head.parse_lines(line_length + 2, headers_max, False)
    head.settle_framing(False)
    head.settle_host()
    head.settle_expect()
    return head


cdef ResponseHead read_response(
    const char* data, Py_ssize_t length, str method, Py_ssize_t head_bytes_max, int headers_max,
    Py_ssize_t scanned
):
    cdef Py_ssize_t end, line_length
    cdef ResponseHead head
    if length == 0:
        return None
    if memcmp(data, b"HTTP/1.", <size_t>min(length, <Py_ssize_t>7)) != 0:
        refuse(502, "malformed status line")
    end = find_end(data, scanned, min(length, head_bytes_max))
    if end < 0:
        refuse(502, "a line end other than CRLF")
    if end == 0:
        if length >= head_bytes_max:
            refuse(502, "the head is too long")
        return None
    head = ResponseHead.__new__(ResponseHead)
    own(head, data, end)
    head.head_bytes = end
    line_length = first_line(head)
    head.parse_line(line_length)
    head.parse_lines(line_length + 2, headers_max, True)
    head.settle_framing(True)
    head.settle_body(method)
    return head


def parse_request(
    data, Py_ssize_t length, /, *, Py_ssize_t head_bytes_max=65536, int headers_max=128,
    Py_ssize_t scanned=0
):
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        check_arguments(length, view.len, head_bytes_max, headers_max)
        return read_request(
            <const char*>view.buf, length, head_bytes_max, headers_max, max(scanned, <Py_ssize_t>0)
        )
    finally:
        PyBuffer_Release(&view)


def parse_response(
    data, Py_ssize_t length, str method not None, /, *, Py_ssize_t head_bytes_max=65536,
    int headers_max=256, Py_ssize_t scanned=0
):
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        check_arguments(length, view.len, head_bytes_max, headers_max)
        return read_response(
            <const char*>view.buf, length, method, head_bytes_max, headers_max,
            max(scanned, <Py_ssize_t>0)
        )
    finally:
        PyBuffer_Release(&view)
