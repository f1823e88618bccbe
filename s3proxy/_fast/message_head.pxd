"""C interface of the part that request and response heads share: lookups scan arrays of offsets."""

cdef struct HeaderSpan:
    # Offsets count from `MessageHead.base`; values are trimmed of spaces and tabs.
    unsigned int name
    unsigned int name_length
    unsigned int value
    unsigned int value_length
    unsigned int tag                # length, first and last letter of the name: a cheap pre-check


cdef enum:
    SPANS_INLINE = 32               # boto3 sends about 12; more than this costs one malloc


cdef class HeaderNames:
    cdef bytes text                 # all names and prefixes, lower-case, end to end
    cdef HeaderSpan* slots          # open addressing by tag; name_length 0 marks a free slot
    cdef HeaderSpan* prefixes
    cdef unsigned int mask
    cdef int prefix_count

    cdef bint matches(self, const char* name, HeaderSpan* span) noexcept nogil


cdef class MessageHead:
    cdef readonly int http_minor
    cdef readonly long long content_length      # -1: absent
    cdef readonly bint chunked
    cdef readonly bint keep_alive
    cdef readonly Py_ssize_t head_bytes
    cdef bytes raw                  # the head as received, start line to the last CRLFCRLF
    cdef const char* base           # first byte of `raw`
    cdef HeaderSpan* spans
    cdef int count
    cdef int capacity
    cdef unsigned int seen          # bits of the singleton headers met so far
    cdef bint close_asked
    cdef bint keep_alive_asked
    cdef bint foreign_coding        # a transfer coding other than exactly one "chunked"
    cdef HeaderSpan inline_spans[SPANS_INLINE]

    # Index of the first header of that (lower-case) name, at or after `start` in the second form; -1: none.
    cdef int find(self, const char* name, Py_ssize_t length) noexcept nogil
    cdef int find_from(self, int start, const char* name, Py_ssize_t length) noexcept nogil
    cdef bint has_prefix(self, int index, const char* prefix, Py_ssize_t length) noexcept nogil
    cdef str name_at(self, int index)
    cdef str value_at(self, int index)
    cdef str joined_from(self, int index)
    cdef int parse_lines(self, Py_ssize_t start, int headers_max, bint response) except -1
    cdef HeaderSpan* push(self, int headers_max, int status) except NULL
    cdef int note(self, const HeaderSpan* span, bint response) except -1
    cdef int settle_framing(self, bint response) except -1


cdef Py_ssize_t find_end(const char* data, Py_ssize_t start, Py_ssize_t length) noexcept nogil
cdef int refuse(int status, str reason) except -1
