"""C interface of the canonical request: a growing text, and what SigV4 writes into it."""

from s3proxy._fast.message_head cimport MessageHead

cdef enum:
    # Holds the canonical request of nearly every real request; longer ones move to the heap.
    TEXT_INLINE_BYTES = 4096


cdef struct Text:
    # `data` is the caller's array at first; text_reserve moves it to the heap when it is too small.
    char* data
    Py_ssize_t length
    Py_ssize_t capacity
    bint on_heap


cdef void text_start(Text* text, char* array, Py_ssize_t capacity) noexcept nogil
cdef void text_free(Text* text) noexcept nogil
# MemoryError is the one failure of all that follow.
cdef int text_reserve(Text* text, Py_ssize_t more) except -1 nogil
cdef int put(Text* text, const char* data, Py_ssize_t length) except -1 nogil
cdef int put_byte(Text* text, char byte) except -1 nogil
cdef int put_lower(Text* text, const char* data, Py_ssize_t length) except -1 nogil

cdef int put_encoded(
    Text* text, const char* data, Py_ssize_t length, bint keep_slash
) except -1 nogil
cdef int put_decoded(Text* text, const char* data, Py_ssize_t length) except -1 nogil
cdef int put_path(Text* text, const char* path, Py_ssize_t length) except -1 nogil
cdef int put_query(Text* text, const char* query, Py_ssize_t length) except -1 nogil
cdef int put_collapsed(Text* text, const char* value, Py_ssize_t length) except -1 nogil
# Writes the lines of the signed headers and marks (1) in `covered`, which has room for head.count,
# those of the head that they are. Returns how many signed names the head does not have.
cdef int put_headers(
    Text* text,
    MessageHead head,
    const char* names,
    Py_ssize_t names_length,
    unsigned char* covered,
) except -1
