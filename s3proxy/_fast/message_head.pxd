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
    HEADERS_LIMIT = 1024            # bounds what a caller may set headers_max to


# Headers that frame a message or that a request may carry once, as bits of `MessageHead.seen`.
cdef enum:
    SEEN_HOST = 0x1
    SEEN_DATE = 0x2
    SEEN_EXPECT = 0x4
    SEEN_CONNECTION = 0x8
    SEEN_AMZ_DATE = 0x10
    SEEN_CONTENT_MD5 = 0x20
    SEEN_AUTHORIZATION = 0x40
    SEEN_CONTENT_LENGTH = 0x80
    SEEN_TRANSFER_ENCODING = 0x100
    SEEN_COPY_SOURCE = 0x200
    SEEN_PAYLOAD_HASH = 0x400
    SEEN_SECURITY_TOKEN = 0x800
    SEEN_DECODED_LENGTH = 0x1000


cdef class HeaderNames:
    cdef bytes text                 # all names and prefixes, lower-case, end to end
    cdef HeaderSpan* slots          # open addressing by tag; name_length 0 marks a free slot
    cdef HeaderSpan* prefixes
    cdef const char* letters        # first byte of `text`
    cdef unsigned int mask
    cdef int prefix_count

    cdef int place_names(self, list names) except -1
    cdef int place_prefixes(self, list prefixes, Py_ssize_t start) except -1
    cdef bint matches(self, const char* name, const HeaderSpan* span) noexcept nogil


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

    # Index of the first header of that lower-case name, or of the first from `start`; -1: none.
    cdef int find(self, const char* name, Py_ssize_t length) noexcept nogil
    cdef int find_from(self, int start, const char* name, Py_ssize_t length) noexcept nogil
    cdef bint has_prefix(self, int index, const char* prefix, Py_ssize_t length) noexcept nogil
    cdef str name_at(self, int index)
    cdef str value_at(self, int index)
    cdef int parse_lines(self, Py_ssize_t start, int headers_max, bint response) except -1
    cdef HeaderSpan* push(self, int headers_max, bint response) except NULL
    cdef int note(self, int index, bint response) except -1
    cdef int note_connection(self, const char* value, Py_ssize_t length) noexcept nogil
    cdef int settle_framing(self, bint response) except -1


cdef Py_ssize_t find_end(const char* data, Py_ssize_t start, Py_ssize_t length) noexcept nogil
cdef int refuse(int status, str reason) except -1
