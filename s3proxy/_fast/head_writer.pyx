"""Heads of responses and upstream requests: checked and measured, then written in one go."""

from http import HTTPStatus

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdio cimport snprintf
from libc.string cimport memcpy

from s3proxy._fast.octets cimport (
    octets_equal,
    octets_find,
    octets_is_target,
    octets_is_text,
    octets_token,
)

cdef extern from "Python.h":
    int PyUnicode_KIND(object text)
    int PyUnicode_1BYTE_KIND
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef enum:
    LENGTH_CHUNKED = -1
    LENGTH_NONE = -2

cdef dict REASONS = {status.value: status.phrase for status in HTTPStatus}

# Everything up to the value of Date, by status.
cdef list STATUS_LINES = [
    f"HTTP/1.1 {status} {REASONS.get(status, '')}\r\nServer: s3proxy\r\nDate: ".encode("ascii")
    for status in range(600)
]


cdef struct Text:
    const char* start
    Py_ssize_t length


cdef int text_of(object value, Text* text) except -1:
    """Point at the bytes of a str; CPython stores text up to U+00FF as Latin-1."""
    if not isinstance(value, str):
        raise TypeError("header names and values are str")
    if PyUnicode_KIND(value) != PyUnicode_1BYTE_KIND:
        raise ValueError("a header value beyond Latin-1")
    text.start = <const char*>PyUnicode_DATA(value)
    text.length = PyUnicode_GET_LENGTH(value)
    return 0


cdef Text text_of_bytes(bytes value) noexcept:
    cdef Text text
    text.start = PyBytes_AS_STRING(value)
    text.length = PyBytes_GET_SIZE(value)
    return text


cdef bint is_framing(const char* name, Py_ssize_t length) noexcept nogil:
    if length == 10:
        return octets_equal(name, b"connection", 10)
    if length == 14:
        return octets_equal(name, b"content-length", 14)
    return length == 17 and octets_equal(name, b"transfer-encoding", 17)


cdef int check_name(const char* name, Py_ssize_t length, bint framed) except -1:
    if length == 0 or octets_token(name, length) != length:
        raise ValueError("a header name that is not a token")
    if framed and is_framing(name, length):
        raise ValueError("framing headers are written by the builder")
    return 0


cdef int check_value(const char* value, Py_ssize_t length) except -1:
    if not octets_is_text(value, length):
        raise ValueError("control byte in a header value")
    return 0


cdef Py_ssize_t measure_headers(list headers, bint framed) except -1:
    """Check the pairs; bytes they take as lines."""
    cdef Py_ssize_t total = 0
    cdef Text name, value
    for pair in headers:
        if type(pair) is not tuple or len(<tuple>pair) != 2:
            raise TypeError("headers are (name, value) tuples")
        text_of((<tuple>pair)[0], &name)
        text_of((<tuple>pair)[1], &value)
        check_name(name.start, name.length, framed)
        check_value(value.start, value.length)
        total += name.length + value.length + 4
    return total


cdef int check_lines(bytes raw, bint framed) except -1:
    """Check that a block of header lines holds whole lines and nothing else."""
    cdef const char* text = PyBytes_AS_STRING(raw)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(raw)
    cdef Py_ssize_t position = 0, length, stop
    while position < size:
        length = octets_token(text + position, size - position)
        stop = octets_find(text, position, size, c"\n") - 1
        if stop <= position + length or text[position + length] != c":" or text[stop] != c"\r":
            raise ValueError("raw header lines are malformed")
        check_name(text + position, length, framed)
        check_value(text + position + length, stop - position - length)
        position = stop + 2
    return 0


cdef char* put(char* out, const char* text, Py_ssize_t length) noexcept nogil:
    memcpy(out, text, <size_t>length)
    return out + length


cdef char* put_text(char* out, Text text) noexcept nogil:
    return put(out, text.start, text.length)


cdef char* put_headers(char* out, list headers) except NULL:
    cdef Text name, value
    for pair in headers:
        text_of((<tuple>pair)[0], &name)
        text_of((<tuple>pair)[1], &value)
        out = put_text(out, name)
        out = put(out, b": ", 2)
        out = put_text(out, value)
        out = put(out, b"\r\n", 2)
    return out


cdef list as_list(object headers):
    return <list>headers if type(headers) is list else list(headers)


cdef Text connection_line(bint keep_alive, int http_minor) noexcept:
    if not keep_alive:
        return text_of_bytes(b"Connection: close\r\n")
    if http_minor == 0:
        return text_of_bytes(b"Connection: keep-alive\r\n")
    return text_of_bytes(b"")


cdef int check_framing(int status, long long length, int http_minor) except -1:
    if not 100 <= status < 600:
        raise ValueError("status out of range")
    if length < LENGTH_NONE:
        raise ValueError("length out of range")
    if length == LENGTH_CHUNKED and http_minor == 0:
        raise ValueError("HTTP/1.0 has no chunked transfer coding")
    if (status < 200 or status == 204) and length != LENGTH_NONE and length != 0:
        raise ValueError("a body for a status that has none")
    return 0


cdef int framing_line(char* line, size_t room, int status, long long length) noexcept nogil:
    """Write the header that delimits the body; bytes of it."""
    if length == LENGTH_NONE or status < 200 or status == 204:
        return 0
    if length == LENGTH_CHUNKED:
        return snprintf(line, room, b"Transfer-Encoding: chunked\r\n")
    return snprintf(line, room, b"Content-Length: %lld\r\n", length)


def build_response_head(
    int status, headers, bytes raw not None, /, *, long long length, bint keep_alive,
    bytes date not None, str request_id not None, int http_minor=1
):
    cdef list pairs = as_list(headers)
    cdef char[64] framing
    cdef Text start, moment, request, connection, lines
    cdef Py_ssize_t framing_length, total
    cdef bytes head
    cdef char* out
    check_framing(status, length, http_minor)
    check_lines(raw, True)
    start = text_of_bytes(<bytes>STATUS_LINES[status])
    moment = text_of_bytes(date)
    text_of(request_id, &request)
    check_value(moment.start, moment.length)
    check_value(request.start, request.length)
    connection = connection_line(keep_alive, http_minor)
    framing_length = framing_line(framing, sizeof(framing), status, length)
    lines = text_of_bytes(raw)
    total = (start.length + moment.length + 20 + request.length + 2 + connection.length
             + framing_length + measure_headers(pairs, True) + lines.length + 2)
    head = PyBytes_FromStringAndSize(NULL, total)
    out = put_text(PyBytes_AS_STRING(head), start)
    out = put_text(out, moment)
    out = put(out, b"\r\nx-amz-request-id: ", 20)
    out = put_text(out, request)
    out = put(out, b"\r\n", 2)
    out = put_text(out, connection)
    out = put(out, framing, framing_length)
    out = put_headers(out, pairs)
    out = put_text(out, lines)
    put(out, b"\r\n", 2)
    return head


def build_request_head(str method not None, bytes target not None, headers, bytes raw=b"", /):
    cdef list pairs = as_list(headers)
    cdef Text verb, path, lines
    cdef bytes head
    cdef char* out
    if raw is None:
        raise TypeError("raw is bytes")
    text_of(method, &verb)
    path = text_of_bytes(target)
    lines = text_of_bytes(raw)
    if verb.length == 0 or octets_token(verb.start, verb.length) != verb.length:
        raise ValueError("a method that is not a token")
    if path.length == 0 or not octets_is_target(path.start, path.length):
        raise ValueError("byte in the request target that must be percent-encoded")
    check_lines(raw, False)
    head = PyBytes_FromStringAndSize(
        NULL, verb.length + path.length + 12 + measure_headers(pairs, False) + lines.length + 2
    )
    out = put_text(PyBytes_AS_STRING(head), verb)
    out = put(out, b" ", 1)
    out = put_text(out, path)
    out = put(out, b" HTTP/1.1\r\n", 11)
    out = put_headers(out, pairs)
    out = put_text(out, lines)
    put(out, b"\r\n", 2)
    return head
