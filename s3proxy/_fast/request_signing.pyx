"""Signing of upstream requests: the Authorization header and presigned queries.

Source: AWS, "Authenticating Requests: Using the Authorization Header", "... Query Parameters".
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memchr, memcmp

from s3proxy._fast.canonical cimport (
    TEXT_INLINE_BYTES,
    Text,
    put,
    put_byte,
    put_collapsed,
    put_encoded,
    put_lower,
    put_path,
    put_query,
    text_free,
    text_start,
)
from s3proxy._fast.libcrypto cimport SHA256_HEX
from s3proxy._fast.signing_key cimport SigningKey, sign_canonical
from s3proxy._fast.span cimport Span, trimmed
from s3proxy._fast.timestamp cimport DATE_BYTES, STAMP_BYTES, write_stamp

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef enum:
    ENTRIES_INLINE = 32

# Last second of the year 9999: a timestamp has four digits for the year.
cdef long long TIMESTAMP_S_MAX = 253402300799

cdef struct Entry:
    # One header line to sign. Names are offsets until their text has stopped growing.
    const char* name
    Py_ssize_t name_start
    Py_ssize_t name_length
    Span value
    Py_ssize_t order

cdef struct Entries:
    Entry* items
    Py_ssize_t count
    Text names


cdef struct Scope:
    char stamp[STAMP_BYTES]
    Span text


cdef Span span_of(object value, list kept) except *:
    # Bytes of a str as the head carries them (Latin-1); `kept` owns what had to be made.
    cdef Span span
    cdef bytes encoded
    if PyUnicode_IS_ASCII(value):
        span.data = PyUnicode_AsUTF8AndSize(value, &span.length)
        return span
    encoded = (<str>value).encode("latin-1")
    kept.append(encoded)
    span.data = PyBytes_AS_STRING(encoded)
    span.length = PyBytes_GET_SIZE(encoded)
    return span


cdef int add_entry(Entries* entries, Span name, Span value) except -1:
    cdef Entry* entry = &entries.items[entries.count]
    entry.name_start = entries.names.length
    entry.name_length = name.length
    entry.value = trimmed(value)
    entry.order = entries.count
    put_lower(&entries.names, name.data, name.length)
    entries.count += 1
    return 0


cdef bint starts(const Entries* entries, Py_ssize_t start, const char* text, Py_ssize_t length):
    return (
        entries.names.length - start >= length
        and memcmp(entries.names.data + start, text, length) == 0
    )


cdef int add_raw_line(Entries* entries, const char* line, Py_ssize_t length) except -1:
    # Signs it where it is x-amz-* or Content-Type; other lines travel unsigned.
    cdef const char* colon = <const char*>memchr(line, 58, length)
    cdef Py_ssize_t start = entries.names.length
    cdef Span name, value
    if colon == NULL:
        raise ValueError("a raw header line without a colon")
    name.data = line
    name.length = colon - line
    value.data = colon + 1
    value.length = length - name.length - 1
    add_entry(entries, name, value)
    if starts(entries, start, b"x-amz-", 6) or (
        name.length == 12 and starts(entries, start, b"content-type", 12)
    ):
        return 0
    entries.count -= 1
    entries.names.length = start
    return 0


cdef int add_raw(Entries* entries, bytes raw) except -1:
    cdef const char* line = PyBytes_AS_STRING(raw)
    cdef const char* stop = line + PyBytes_GET_SIZE(raw)
    cdef const char* end
    while line < stop:
        end = <const char*>memchr(line, 10, stop - line)
        if end == NULL or end == line or (end - 1)[0] != 13:
            raise ValueError("raw header lines must each end with CRLF")
        add_raw_line(entries, line, end - 1 - line)
        line = end + 1
    return 0


cdef int compare_entries(const void* a, const void* b) noexcept nogil:
    cdef const Entry* left = <const Entry*>a
    cdef const Entry* right = <const Entry*>b
    cdef int order = memcmp(left.name, right.name, min(left.name_length, right.name_length))
    if order != 0:
        return order
    if left.name_length != right.name_length:
        return -1 if left.name_length < right.name_length else 1
    return (left.order > right.order) - (left.order < right.order)


cdef int sort_entries(Entries* entries) except -1:
    cdef Py_ssize_t i
    for i in range(entries.count):
        entries.items[i].name = entries.names.data + entries.items[i].name_start
    qsort(entries.items, entries.count, sizeof(Entry), compare_entries)
    return 0


cdef bint repeats(const Entries* entries, Py_ssize_t i) noexcept nogil:
    cdef const Entry* entry = &entries.items[i]
    cdef const Entry* before = entry - 1
    return (
        i > 0
        and entry.name_length == before.name_length
        and memcmp(entry.name, before.name, entry.name_length) == 0
    )


cdef int put_entries(Text* text, const Entries* entries) except -1:
    cdef Py_ssize_t i
    for i in range(entries.count):
        if repeats(entries, i):
            put_byte(text, 44)
        else:
            if i:
                put_byte(text, 10)
            put(text, entries.items[i].name, entries.items[i].name_length)
            put_byte(text, 58)
        put_collapsed(text, entries.items[i].value.data, entries.items[i].value.length)
    return put_byte(text, 10)


cdef int put_names(Text* text, const Entries* entries) except -1:
    cdef Py_ssize_t i
    for i in range(entries.count):
        if repeats(entries, i):
            continue
        if i:
            put_byte(text, 59)
        put(text, entries.items[i].name, entries.items[i].name_length)
    return 0


cdef int put_request(Text* text, str method, bytes path, bytes query) except -1:
    # The first three lines of the canonical request.
    cdef Span span = span_of(method, None)
    put(text, span.data, span.length)
    put_byte(text, 10)
    put_path(text, PyBytes_AS_STRING(path), PyBytes_GET_SIZE(path))
    put_byte(text, 10)
    put_query(text, PyBytes_AS_STRING(query), PyBytes_GET_SIZE(query))
    return put_byte(text, 10)


cdef int set_scope(
    Scope* scope, Text* text, str region, str service, long long timestamp_s
) except -1:
    # The scope is written at the start of `text`, which is not written to again.
    cdef Span span = span_of(region, None)
    cdef Span service_span = span_of(service, None)
    if not 0 <= timestamp_s <= TIMESTAMP_S_MAX:
        raise ValueError("a timestamp beyond the year 9999, or before 1970")
    write_stamp(timestamp_s, scope.stamp)
    put(text, scope.stamp, DATE_BYTES)
    put_byte(text, 47)
    put(text, span.data, span.length)
    put_byte(text, 47)
    put(text, service_span.data, service_span.length)
    put(text, b"/aws4_request", 13)
    scope.text.data = text.data
    scope.text.length = text.length
    return 0


cdef int put_lines(
    Text* lines, const Entries* entries, const Scope* scope, Span access_key, Span payload
) except -1:
    # Everything of the three header lines but the signature's digits.
    put(lines, b"x-amz-date: ", 12)
    put(lines, scope.stamp, STAMP_BYTES)
    put(lines, b"\r\nx-amz-content-sha256: ", 24)
    put(lines, payload.data, payload.length)
    put(lines, b"\r\nAuthorization: AWS4-HMAC-SHA256 Credential=", 45)
    put(lines, access_key.data, access_key.length)
    put_byte(lines, 47)
    put(lines, scope.text.data, scope.text.length)
    put(lines, b",SignedHeaders=", 15)
    put_names(lines, entries)
    return put(lines, b",Signature=", 11)


cdef class _Signing:
    """The inputs of one signature, and the buffers that its making needs."""

    cdef SigningKey key
    cdef Span access_key
    cdef Span payload
    cdef Scope scope
    cdef Entries entries
    cdef Text scope_text
    cdef list kept

    cdef char scope_array[256]
    cdef char names_array[512]
    cdef Entry items_array[ENTRIES_INLINE]

    def __cinit__(self):
        self.kept = []
        self.entries.items = self.items_array
        text_start(&self.entries.names, self.names_array, sizeof(self.names_array))
        text_start(&self.scope_text, self.scope_array, sizeof(self.scope_array))

    def __dealloc__(self):
        if self.entries.items != self.items_array:
            free(self.entries.items)
        text_free(&self.entries.names)
        text_free(&self.scope_text)

    cdef int reserve(self, Py_ssize_t count_max) except -1:
        if count_max > ENTRIES_INLINE:
            self.entries.items = <Entry*>malloc(count_max * sizeof(Entry))
            if self.entries.items == NULL:
                self.entries.items = self.items_array
                raise MemoryError
        return 0

    cdef int add(self, str name, str value) except -1:
        return add_entry(&self.entries, span_of(name, self.kept), span_of(value, self.kept))

    cdef int add_made(self, const char* name, Py_ssize_t length, Span value) except -1:
        cdef Span span
        span.data = name
        span.length = length
        return add_entry(&self.entries, span, value)

    cdef bytes lines(self, Text* canonical):
        cdef char array[TEXT_INLINE_BYTES]
        cdef char signature[SHA256_HEX]
        cdef Text lines
        put_entries(canonical, &self.entries)
        put_byte(canonical, 10)
        put_names(canonical, &self.entries)
        put_byte(canonical, 10)
        put(canonical, self.payload.data, self.payload.length)
        sign_canonical(&self.key.hmac, canonical, self.scope.stamp, self.scope.text, signature)
        text_start(&lines, array, TEXT_INLINE_BYTES)
        try:
            put_lines(&lines, &self.entries, &self.scope, self.access_key, self.payload)
            put(&lines, signature, SHA256_HEX)
            put(&lines, b"\r\n", 2)
            return lines.data[:lines.length]
        finally:
            text_free(&lines)


def sign(
    str method not None,
    bytes path not None,
    bytes query not None,
    headers,
    str payload_hash not None,
    /,
    *,
    SigningKey key not None,
    str access_key not None,
    str region not None,
    long long timestamp_s,
    bytes raw not None=b"",
    str service not None="s3",
):
    cdef char array[TEXT_INLINE_BYTES]
    cdef Text canonical
    cdef Span stamp
    cdef _Signing signing = _Signing.__new__(_Signing)
    signing.key = key
    signing.access_key = span_of(access_key, signing.kept)
    signing.payload = span_of(payload_hash, signing.kept)
    set_scope(&signing.scope, &signing.scope_text, region, service, timestamp_s)
    signing.reserve(len(headers) + raw.count(b"\n") + 3)
    for name, value in headers:
        signing.add(name, value)
    add_raw(&signing.entries, raw)
    stamp.data = signing.scope.stamp
    stamp.length = STAMP_BYTES
    signing.add_made(b"x-amz-date", 10, stamp)
    signing.add_made(b"x-amz-content-sha256", 20, signing.payload)
    sort_entries(&signing.entries)
    text_start(&canonical, array, TEXT_INLINE_BYTES)
    try:
        put_request(&canonical, method, path, query)
        return signing.lines(&canonical)
    finally:
        text_free(&canonical)


def presign(
    str method not None,
    str host not None,
    bytes path not None,
    bytes query not None,
    /,
    *,
    SigningKey key not None,
    str access_key not None,
    str region not None,
    long long timestamp_s,
    long long expires_s,
):
    cdef char array[TEXT_INLINE_BYTES]
    cdef char signature[SHA256_HEX]
    cdef char scope_array[256]
    cdef Text canonical, scope_text
    cdef Scope scope
    cdef Py_ssize_t start, stop
    text_start(&canonical, array, TEXT_INLINE_BYTES)
    text_start(&scope_text, scope_array, sizeof(scope_array))
    try:
        set_scope(&scope, &scope_text, region, "s3", timestamp_s)
        credential = f"{access_key}/".encode() + scope.text.data[:scope.text.length]
        whole = b"&".join((
            *((query,) if query else ()),
            b"X-Amz-Algorithm=AWS4-HMAC-SHA256",
            b"X-Amz-Credential=" + encode_value(credential),
            b"X-Amz-Date=" + scope.stamp[:STAMP_BYTES],
            b"X-Amz-Expires=%d" % expires_s,
            b"X-Amz-SignedHeaders=host",
        ))
        put_request(&canonical, method, path, whole)
        stop = canonical.length - 1
        start = stop
        while canonical.data[start - 1] != 10:
            start -= 1
        line = b"host:" + host.encode("latin-1") + b"\n\nhost\nUNSIGNED-PAYLOAD"
        put(&canonical, <const char*>line, len(line))
        sign_canonical(&key.hmac, &canonical, scope.stamp, scope.text, signature)
        return (
            canonical.data[start:stop] + b"&X-Amz-Signature=" + signature[:SHA256_HEX]
        )
    finally:
        text_free(&canonical)
        text_free(&scope_text)


cdef bytes encode_value(bytes value):
    cdef char array[TEXT_INLINE_BYTES]
    cdef Text text
    text_start(&text, array, TEXT_INLINE_BYTES)
    try:
        put_encoded(&text, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), False)
        return text.data[:text.length]
    finally:
        text_free(&text)
