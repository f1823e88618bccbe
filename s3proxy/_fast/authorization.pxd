"""C interface of a parsed, not yet verified authorization."""

from s3proxy._fast.message_head cimport MessageHead
from s3proxy._fast.span cimport Span
from s3proxy._fast.timestamp cimport STAMP_BYTES

cdef class Authorization:
    cdef readonly str access_key
    cdef readonly str date
    cdef readonly str region
    cdef readonly str service
    cdef readonly bint presigned
    cdef readonly long long timestamp_s
    cdef readonly long long expires_s
    cdef MessageHead head
    cdef bytes text             # decoded query parameters of a presigned request
    # Spans of `text`, of `head`, or of static text.
    cdef Span provided          # the signature as sent
    cdef Span names             # SignedHeaders as sent
    cdef Span credential_scope
    cdef Span payload           # last line of the canonical request
    cdef char stamp[STAMP_BYTES]

    cdef int take_credential(self, Span value) except -1
    cdef int take_stamp(self, Span value) except -1
    cdef int read_header(self, Span value) except -1
    cdef int take_component(self, Span component) except -1
    cdef int take_header_date(self) except -1
    cdef bint take_http_date(self, str value) except -1
    cdef int take_header_payload(self) except -1
    cdef int read_query(self, Span* found) except -1
    cdef int take_expires(self, Span value) except -1
    cdef int check_date(self) except -1
    cdef object malformed(self, str reason)
