"""C interface of the parsed heads, for the modules that read headers without Python objects."""

from s3proxy._fast.message_head cimport MessageHead


cdef class RequestHead(MessageHead):
    cdef readonly str method
    cdef readonly bytes path        # raw, still percent-encoded
    cdef readonly bytes query       # raw, without "?"
    cdef readonly str host
    cdef readonly bint expect_continue
    cdef Py_ssize_t target_start    # offsets in `raw`
    cdef Py_ssize_t target_stop

    cdef int parse_line(self, Py_ssize_t length) except -1
    cdef int parse_version(self, Py_ssize_t start, Py_ssize_t stop) except -1
    cdef int split_target(self) except -1
    cdef Py_ssize_t split_authority(self) except -1
    cdef int settle_host(self) except -1
    cdef int settle_expect(self) except -1


cdef class ResponseHead(MessageHead):
    cdef readonly int status
    cdef readonly str reason
    cdef readonly bint bodyless

    cdef int parse_line(self, Py_ssize_t length) except -1
    cdef int settle_body(self, str method) except -1
