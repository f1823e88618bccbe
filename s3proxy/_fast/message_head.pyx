"""What request and response heads share: header lines, framing, lookup (RFC 9112, sections 5 to 7).

A head owns one copy of its bytes and an array of offsets into it; Python objects are made for what
is asked for.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.string cimport memcpy

from s3proxy._fast.octets cimport (
    octets_decimal,
    octets_equal,
    octets_find,
    octets_is_text,
    octets_slot,
    octets_tag,
    octets_token,
)

from s3proxy._fast.errors import HeadError

# Far above any use; the hash of a name has 16 bits.
cdef Py_ssize_t NAMES_MAX = 4096


cdef int refuse(int status, str reason) except -1:
    """Raise the refusal; in a function of its own so that parsing stays small."""
    raise HeadError(status, reason)


cdef Py_ssize_t find_end(const char* data, Py_ssize_t start, Py_ssize_t length) noexcept nogil:
    """Find the empty line that ends a head, looking at the line ends from `start` on.

    Returns the offset after it; 0: not there yet; -1: a line end without CR.
    """
    cdef Py_ssize_t position = octets_find(data, start, length, c"\n")
    while position >= 0:
        if position == 0 or data[position - 1] != c"\r":
            return -1
        if position >= 2 and data[position - 2] == c"\n":
            return position + 1
        position = octets_find(data, position + 1, length, c"\n")
    return 0


cdef unsigned int singleton_of(const char* name, unsigned int length) noexcept nogil:
    """Bit of the header in `MessageHead.seen`; 0: a header of no concern here."""
    if length == 4:
        if octets_equal(name, b"host", 4):
            return SEEN_HOST
        return SEEN_DATE if octets_equal(name, b"date", 4) else 0
    elif length == 6:
        return SEEN_EXPECT if octets_equal(name, b"expect", 6) else 0
    elif length == 10:
        if octets_equal(name, b"connection", 10):
            return SEEN_CONNECTION
        return SEEN_AMZ_DATE if octets_equal(name, b"x-amz-date", 10) else 0
    elif length == 11:
        return SEEN_CONTENT_MD5 if octets_equal(name, b"content-md5", 11) else 0
    elif length == 13:
        return SEEN_AUTHORIZATION if octets_equal(name, b"authorization", 13) else 0
    elif length == 14:
        return SEEN_CONTENT_LENGTH if octets_equal(name, b"content-length", 14) else 0
    elif length == 17:
        if octets_equal(name, b"transfer-encoding", 17):
            return SEEN_TRANSFER_ENCODING
        return SEEN_COPY_SOURCE if octets_equal(name, b"x-amz-copy-source", 17) else 0
    elif length == 20:
        if octets_equal(name, b"x-amz-content-sha256", 20):
            return SEEN_PAYLOAD_HASH
        return SEEN_SECURITY_TOKEN if octets_equal(name, b"x-amz-security-token", 20) else 0
    elif length == 28:
        return SEEN_DECODED_LENGTH if octets_equal(name, b"x-amz-decoded-content-length", 28) else 0
    return 0


cdef list tokens(object words):
    cdef list found = sorted({given.lower().encode("ascii", "replace") for given in words})
    cdef bytes word
    for word in found:
        if octets_token(word, len(word)) != len(word) or not word:
            raise ValueError("not a header name")
    if len(found) > NAMES_MAX:
        raise ValueError("too many header names")
    return found


cdef class HeaderNames:
    """Exact names in a hash table, prefixes in a list; both lower-case."""

    def __cinit__(self, names, prefixes=()):
        cdef list exact = tokens(names)
        cdef list starts = tokens(prefixes)
        self.text = b"".join(exact + starts)
        self.letters = PyBytes_AS_STRING(self.text)
        self.place_names(exact)
        self.place_prefixes(starts, sum(map(len, exact)))

    def __dealloc__(self):
        PyMem_Free(self.slots)
        PyMem_Free(self.prefixes)

    cdef int place_names(self, list names) except -1:
        cdef unsigned int slot
        cdef Py_ssize_t start = 0
        cdef bytes name
        cdef unsigned int size = 8
        while size < 4 * <unsigned int>len(names):
            size *= 2
        self.mask = size - 1
        self.slots = <HeaderSpan*>PyMem_Calloc(size, sizeof(HeaderSpan))
        if self.slots == NULL:
            raise MemoryError
        for name in names:
            slot = octets_slot(octets_tag(name, len(name))) & self.mask
            while self.slots[slot].name_length:
                slot = (slot + 1) & self.mask
            fill_name(&self.slots[slot], self.letters, start, len(name))
            start += len(name)
        return 0

    cdef int place_prefixes(self, list prefixes, Py_ssize_t start) except -1:
        cdef bytes prefix
        self.prefixes = <HeaderSpan*>PyMem_Calloc(len(prefixes) + 1, sizeof(HeaderSpan))
        if self.prefixes == NULL:
            raise MemoryError
        for prefix in prefixes:
            fill_name(&self.prefixes[self.prefix_count], self.letters, start, len(prefix))
            self.prefix_count += 1
            start += len(prefix)
        return 0

    cdef bint matches(self, const char* name, const HeaderSpan* span) noexcept nogil:
        cdef unsigned int slot = octets_slot(span.tag) & self.mask
        cdef const HeaderSpan* known
        cdef int i
        while self.slots[slot].name_length:
            known = &self.slots[slot]
            if (known.tag == span.tag and known.name_length == span.name_length
                    and octets_equal(name, self.letters + known.name, known.name_length)):
                return True
            slot = (slot + 1) & self.mask
        for i in range(self.prefix_count):
            known = &self.prefixes[i]
            if (known.name_length <= span.name_length
                    and octets_equal(name, self.letters + known.name, known.name_length)):
                return True
        return False


cdef void fill_name(
    HeaderSpan* span, const char* text, Py_ssize_t start, Py_ssize_t length
) noexcept nogil:
    span.name = <unsigned int>start
    span.name_length = <unsigned int>length
    span.tag = octets_tag(text + start, length)


cdef inline void trim(const char* text, Py_ssize_t* first, Py_ssize_t* last) noexcept nogil:
    """Leave optional white space out of a run of bytes (RFC 9110, 5.6.3)."""
    while first[0] < last[0] and (text[first[0]] == c" " or text[first[0]] == c"\t"):
        first[0] += 1
    while last[0] > first[0] and (text[last[0] - 1] == c" " or text[last[0] - 1] == c"\t"):
        last[0] -= 1


cdef class MessageHead:
    """Header lines and framing of one message."""

    def __cinit__(self):
        self.spans = self.inline_spans
        self.capacity = SPANS_INLINE
        self.content_length = -1

    def __dealloc__(self):
        if self.spans != self.inline_spans:
            PyMem_Free(self.spans)

    cdef int find(self, const char* name, Py_ssize_t length) noexcept nogil:
        return self.find_from(0, name, length)

    cdef int find_from(self, int start, const char* name, Py_ssize_t length) noexcept nogil:
        cdef unsigned int tag
        cdef HeaderSpan* span
        cdef int i
        if length <= 0 or length > 0xFFFF:
            return -1
        tag = octets_tag(name, length)
        for i in range(start, self.count):
            span = &self.spans[i]
            if (span.tag == tag and <Py_ssize_t>span.name_length == length
                    and octets_equal(self.base + span.name, name, length)):
                return i
        return -1

    cdef bint has_prefix(self, int index, const char* prefix, Py_ssize_t length) noexcept nogil:
        cdef HeaderSpan* span = &self.spans[index]
        return (<Py_ssize_t>span.name_length >= length
                and octets_equal(self.base + span.name, prefix, length))

    cdef str name_at(self, int index):
        cdef HeaderSpan* span = &self.spans[index]
        return PyUnicode_DecodeLatin1(self.base + span.name, span.name_length, NULL).lower()

    cdef str value_at(self, int index):
        cdef HeaderSpan* span = &self.spans[index]
        return PyUnicode_DecodeLatin1(self.base + span.value, span.value_length, NULL)

    def get(self, bytes name not None, /):
        cdef const char* text = PyBytes_AS_STRING(name)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(name)
        cdef int index = self.find(text, length)
        cdef list values
        if index < 0:
            return None
        values = [self.value_at(index)]
        index = self.find_from(index + 1, text, length)
        if index < 0:
            return values[0]
        while index >= 0:
            values.append(self.value_at(index))
            index = self.find_from(index + 1, text, length)
        return ",".join(values)

    def prefixed(self, bytes prefix not None, /):
        cdef dict found = {}
        cdef str name
        cdef int i
        for i in range(self.count):
            if not self.has_prefix(i, PyBytes_AS_STRING(prefix), PyBytes_GET_SIZE(prefix)):
                continue
            name = self.name_at(i)
            if name in found:
                (<list>found[name]).append(self.value_at(i))
            else:
                found[name] = [self.value_at(i)]
        return [(name, ",".join(values)) for name, values in found.items()]

    def items(self):
        return [(self.name_at(i), self.value_at(i)) for i in range(self.count)]

    def has_any(self, HeaderNames names not None, /):
        cdef int i
        for i in range(self.count):
            if names.matches(self.base + self.spans[i].name, &self.spans[i]):
                return True
        return False

    def select(self, HeaderNames names not None, /):
        cdef unsigned char[HEADERS_LIMIT] chosen
        cdef Py_ssize_t total = 0
        cdef HeaderSpan* span
        cdef bytes lines
        cdef char* out
        cdef int i
        for i in range(self.count):
            span = &self.spans[i]
            chosen[i] = names.matches(self.base + span.name, span)
            if chosen[i]:
                total += <Py_ssize_t>span.name_length + <Py_ssize_t>span.value_length + 4
        lines = PyBytes_FromStringAndSize(NULL, total)
        out = PyBytes_AS_STRING(lines)
        for i in range(self.count):
            if chosen[i]:
                out = copy_line(out, self.base, &self.spans[i])
        return lines

    cdef HeaderSpan* push(self, int headers_max, bint response) except NULL:
        """Make room for one more header."""
        cdef HeaderSpan* grown
        cdef size_t size
        if self.count >= headers_max:
            refuse(502 if response else 431, "too many header lines")
        if self.count == self.capacity:
            size = <size_t>self.capacity * 2 * sizeof(HeaderSpan)
            if self.spans == self.inline_spans:
                grown = <HeaderSpan*>PyMem_Malloc(size)
                if grown != NULL:
                    memcpy(grown, self.inline_spans, sizeof(self.inline_spans))
            else:
                grown = <HeaderSpan*>PyMem_Realloc(self.spans, size)
            if grown == NULL:
                raise MemoryError
            self.spans = grown
            self.capacity *= 2
        self.count += 1
        return &self.spans[self.count - 1]

    cdef int parse_lines(self, Py_ssize_t start, int headers_max, bint response) except -1:
        """Take the header lines of `raw` from `start`; `find_end` has seen every line end."""
        cdef const char* text = self.base
        cdef Py_ssize_t size = PyBytes_GET_SIZE(self.raw)
        cdef Py_ssize_t position = start
        cdef Py_ssize_t length, first, last, line_end
        cdef int malformed = 502 if response else 400
        cdef HeaderSpan* span
        while position < size - 2:
            length = octets_token(text + position, size - position)
            if length == 0 or text[position + length] != c":":
                refuse(malformed, "malformed header name, or a folded line")
            first = position + length + 1
            line_end = octets_find(text, first, size, c"\n")
            last = line_end - 1
            if not octets_is_text(text + first, last - first):
                refuse(malformed, "control byte in a header value")
            trim(text, &first, &last)
            span = self.push(headers_max, response)
            fill_name(span, text, position, length)
            span.value = <unsigned int>first
            span.value_length = <unsigned int>(last - first)
            self.note(self.count - 1, response)
            position = line_end + 1
        return 0

    cdef int note(self, int index, bint response) except -1:
        """Keep what frames the message; refuse the second of a header that may come once."""
        cdef HeaderSpan* span = &self.spans[index]
        cdef const char* value = self.base + span.value
        cdef unsigned int bit = singleton_of(self.base + span.name, span.name_length)
        if bit == 0:
            return 0
        if bit == SEEN_CONNECTION:
            return self.note_connection(value, span.value_length)
        if bit == SEEN_TRANSFER_ENCODING:
            # A tab after it is white space to RFC 9110, part of the coding to some readers.
            if (self.seen & bit or span.value_length != 7 or not octets_equal(value, b"chunked", 7)
                    or value[7] == c"\t"):
                self.foreign_coding = True
            self.chunked = True
        elif response and bit != SEEN_CONTENT_LENGTH:
            return 0
        elif self.seen & bit:
            refuse(502 if response else 400, f"repeated header {self.name_at(index)}")
        elif bit == SEEN_CONTENT_LENGTH:
            self.content_length = octets_decimal(value, span.value_length)
            if self.content_length < 0:
                refuse(502 if response else 400, "malformed Content-Length")
        self.seen |= bit
        return 0

    cdef int note_connection(self, const char* value, Py_ssize_t length) noexcept nogil:
        """Read the list of connection options; others than close and keep-alive do not matter."""
        cdef Py_ssize_t position = 0, first, last
        while position < length:
            first = position
            while position < length and value[position] != c",":
                position += 1
            last = position
            position += 1
            trim(value, &first, &last)
            if last - first == 5 and octets_equal(value + first, b"close", 5):
                self.close_asked = True
            elif last - first == 10 and octets_equal(value + first, b"keep-alive", 10):
                self.keep_alive_asked = True
        return 0

    cdef int settle_framing(self, bint response) except -1:
        """Decide how the body is delimited, or refuse what two readers may decide differently."""
        cdef int malformed = 502 if response else 400
        if self.seen & SEEN_TRANSFER_ENCODING:
            if self.content_length >= 0:
                refuse(malformed, "both Content-Length and Transfer-Encoding")
            if self.http_minor == 0:
                refuse(malformed, "Transfer-Encoding in HTTP/1.0")
            if self.foreign_coding:
                refuse(502 if response else 501, "a transfer coding other than chunked")
        self.keep_alive = not self.close_asked and (self.http_minor == 1 or self.keep_alive_asked)
        return 0


cdef char* copy_line(char* out, const char* base, const HeaderSpan* span) noexcept nogil:
    memcpy(out, base + span.name, span.name_length)
    out += span.name_length
    memcpy(out, b": ", 2)
    out += 2
    memcpy(out, base + span.value, span.value_length)
    out += span.value_length
    memcpy(out, b"\r\n", 2)
    return out + 2
