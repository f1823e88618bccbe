"""Runs of bytes that somebody else owns, and cutting them up."""

from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.string cimport memchr, memcmp


cdef struct Span:
    const char* data
    Py_ssize_t length


cdef inline str to_str(Span span):
    return PyUnicode_DecodeLatin1(span.data, span.length, NULL)


cdef inline bint equals(Span span, const char* text, Py_ssize_t length) noexcept nogil:
    return span.length == length and memcmp(span.data, text, length) == 0


cdef inline Span trimmed(Span span) noexcept nogil:
    # Without spaces and tabs around it.
    while span.length and (span.data[0] == 32 or span.data[0] == 9):
        span.data += 1
        span.length -= 1
    while span.length and (
        span.data[span.length - 1] == 32 or span.data[span.length - 1] == 9
    ):
        span.length -= 1
    return span


cdef inline Span cut(Span* rest, char separator) noexcept nogil:
    # Takes what stands before the separator, or everything, off the front of `rest`.
    cdef const char* found = <const char*>memchr(rest.data, separator, rest.length)
    cdef Span part = rest[0]
    if found != NULL:
        part.length = found - rest.data
        rest.data = found + 1
        rest.length -= part.length + 1
    else:
        rest.data += rest.length
        rest.length = 0
    return part
