"""The canonical request of Signature Version 4, as S3 reads it.

 * The path is decoded and encoded once; "." and "//" stay.
 * Query parameters are decoded, encoded, and sorted by name, then value. A bare "+" is a space,
   as Amazon S3, Ceph and MinIO take it, and as the query is read later; a plus sign must be sent as
   %2B. In a path "+" is a plus.
 * Header values are trimmed, inner runs of spaces become one, repeated headers are joined with ",".

Source: AWS, "Create a signed AWS API request", "Signature Calculations ... Single Chunk".
"""

from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memchr, memcmp, memcpy

from s3proxy._fast.message_head cimport HeaderSpan, MessageHead
from s3proxy._fast.octets cimport octets_hex

cdef enum:
    PARAMETERS_INLINE = 32
    KEEP = 1
    SLASH = 2

cdef struct Parameter:
    # Offsets in the text of encoded pairs, made into pointers once that text has stopped growing.
    Py_ssize_t start
    Py_ssize_t name_length
    Py_ssize_t length           # of "name=value"
    const char* pair

cdef const char* SIGNATURE_NAME = b"X-Amz-Signature"
cdef const char* HEX = b"0123456789ABCDEF"
cdef unsigned char byte_class[256]


cdef int prepare_tables() except -1:
    cdef int i
    for i in range(256):
        byte_class[i] = 0
    for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~":
        byte_class[<unsigned char>byte] = KEEP
    byte_class[47] = SLASH
    return 0


prepare_tables()


cdef void text_start(Text* text, char* array, Py_ssize_t capacity) noexcept nogil:
    text.data = array
    text.length = 0
    text.capacity = capacity
    text.on_heap = False


cdef void text_free(Text* text) noexcept nogil:
    if text.on_heap:
        free(text.data)
        text.on_heap = False


cdef int text_reserve(Text* text, Py_ssize_t more) except -1 nogil:
    cdef Py_ssize_t capacity = 2 * (text.length + more)
    cdef char* data
    if text.length + more <= text.capacity:
        return 0
    data = <char*>malloc(capacity)
    if data == NULL:
        with gil:
            raise MemoryError
    memcpy(data, text.data, text.length)
    text_free(text)
    text.data = data
    text.capacity = capacity
    text.on_heap = True
    return 0


cdef int put(Text* text, const char* data, Py_ssize_t length) except -1 nogil:
    text_reserve(text, length)
    memcpy(text.data + text.length, data, length)
    text.length += length
    return 0


cdef int put_byte(Text* text, char byte) except -1 nogil:
    text_reserve(text, 1)
    text.data[text.length] = byte
    text.length += 1
    return 0


cdef int put_lower(Text* text, const char* data, Py_ssize_t length) except -1 nogil:
    cdef Py_ssize_t i
    cdef char byte
    text_reserve(text, length)
    for i in range(length):
        byte = data[i]
        if 65 <= byte <= 90:
            byte += 32
        text.data[text.length + i] = byte
    text.length += length
    return 0


cdef inline Py_ssize_t decode_byte(
    const unsigned char* data, Py_ssize_t left, unsigned char* byte
) noexcept nogil:
    # Returns how many bytes the next decoded byte took; a "%" without two digits stands for itself.
    byte[0] = data[0]
    if data[0] != 37 or left < 3 or octets_hex(data[1]) < 0 or octets_hex(data[2]) < 0:
        return 1
    byte[0] = <unsigned char>(octets_hex(data[1]) << 4 | octets_hex(data[2]))
    return 3


cdef inline char* encode_byte(char* target, unsigned char byte, bint keep_slash) noexcept nogil:
    if byte_class[byte] == KEEP or (keep_slash and byte_class[byte] == SLASH):
        target[0] = <char>byte
        return target + 1
    target[0] = 37
    target[1] = HEX[byte >> 4]
    target[2] = HEX[byte & 15]
    return target + 3


cdef int put_encoded(
    Text* text, const char* data, Py_ssize_t length, bint keep_slash
) except -1 nogil:
    cdef char* target
    cdef Py_ssize_t i
    text_reserve(text, 3 * length)
    target = text.data + text.length
    for i in range(length):
        target = encode_byte(target, <unsigned char>data[i], keep_slash)
    text.length = target - text.data
    return 0


cdef int put_decoded(Text* text, const char* data, Py_ssize_t length) except -1 nogil:
    cdef Py_ssize_t i = 0
    cdef unsigned char byte
    text_reserve(text, length)
    while i < length:
        i += decode_byte(<const unsigned char*>data + i, length - i, &byte)
        text.data[text.length] = <char>byte
        text.length += 1
    return 0


cdef int put_path(Text* text, const char* path, Py_ssize_t length) except -1 nogil:
    cdef Py_ssize_t i = 0
    cdef unsigned char byte
    cdef char* target
    if length == 0:
        return put_byte(text, 47)
    text_reserve(text, 3 * length)
    target = text.data + text.length
    while i < length:
        if byte_class[<unsigned char>path[i]]:
            target[0] = path[i]
            target += 1
            i += 1
            continue
        i += decode_byte(<const unsigned char*>path + i, length - i, &byte)
        target = encode_byte(target, byte, True)
    text.length = target - text.data
    return 0


cdef int put_query_part(Text* text, const char* part, Py_ssize_t length) except -1 nogil:
    cdef Py_ssize_t i = 0
    cdef unsigned char byte
    cdef char* target
    text_reserve(text, 3 * length)
    target = text.data + text.length
    while i < length:
        if part[i] == 43:       # a bare "+"
            byte = 32
            i += 1
        else:
            i += decode_byte(<const unsigned char*>part + i, length - i, &byte)
        target = encode_byte(target, byte, False)
    text.length = target - text.data
    return 0


cdef int compare_parameters(const void* a, const void* b) noexcept nogil:
    cdef const Parameter* left = <const Parameter*>a
    cdef const Parameter* right = <const Parameter*>b
    cdef Py_ssize_t shorter = min(left.name_length, right.name_length)
    cdef int order = memcmp(left.pair, right.pair, shorter)
    if order != 0:
        return order
    if left.name_length != right.name_length:
        return -1 if left.name_length < right.name_length else 1
    shorter = min(left.length, right.length)
    order = memcmp(left.pair, right.pair, shorter)
    if order != 0:
        return order
    return (left.length > right.length) - (left.length < right.length)


cdef int put_parameter(
    Text* text, Parameter* parameter, const char* pair, Py_ssize_t length
) except -1 nogil:
    # Returns 1 for a parameter that counts, 0 for one that is left out.
    cdef const char* equals = <const char*>memchr(pair, 61, length)
    cdef Py_ssize_t name_length = length if equals == NULL else equals - pair
    parameter.start = text.length
    put_query_part(text, pair, name_length)
    parameter.name_length = text.length - parameter.start
    if parameter.name_length == 15 and memcmp(
        text.data + parameter.start, SIGNATURE_NAME, 15
    ) == 0:
        text.length = parameter.start
        return 0
    put_byte(text, 61)
    if equals != NULL:
        put_query_part(text, equals + 1, length - name_length - 1)
    parameter.length = text.length - parameter.start
    return 1


cdef Py_ssize_t put_parameters(
    Text* text, Parameter* parameters, const char* query, Py_ssize_t length
) except -1 nogil:
    cdef const char* stop = query + length
    cdef const char* pair_stop
    cdef Py_ssize_t count = 0
    while query < stop:
        pair_stop = <const char*>memchr(query, 38, stop - query)
        if pair_stop == NULL:
            pair_stop = stop
        if pair_stop > query:
            count += put_parameter(text, &parameters[count], query, pair_stop - query)
        query = pair_stop + 1
    return count


cdef Py_ssize_t count_byte(const char* data, Py_ssize_t length, char byte) noexcept nogil:
    cdef Py_ssize_t i, count = 0
    for i in range(length):
        count += data[i] == byte
    return count


cdef int put_sorted(
    Text* text, Parameter* parameters, const char* query, Py_ssize_t length
) except -1 nogil:
    cdef char array[TEXT_INLINE_BYTES]
    cdef Text pairs
    cdef Py_ssize_t i, count
    text_start(&pairs, array, TEXT_INLINE_BYTES)
    try:
        count = put_parameters(&pairs, parameters, query, length)
        for i in range(count):
            parameters[i].pair = pairs.data + parameters[i].start
        qsort(parameters, count, sizeof(Parameter), compare_parameters)
        for i in range(count):
            if i:
                put_byte(text, 38)
            put(text, parameters[i].pair, parameters[i].length)
    finally:
        text_free(&pairs)
    return 0


cdef int put_query(Text* text, const char* query, Py_ssize_t length) except -1 nogil:
    cdef Parameter array[PARAMETERS_INLINE]
    cdef Parameter* parameters = array
    cdef Py_ssize_t count_max
    if length == 0:
        return 0
    count_max = count_byte(query, length, 38) + 1
    if count_max > PARAMETERS_INLINE:
        parameters = <Parameter*>malloc(count_max * sizeof(Parameter))
        if parameters == NULL:
            with gil:
                raise MemoryError
    try:
        put_sorted(text, parameters, query, length)
    finally:
        if parameters != array:
            free(parameters)
    return 0


cdef int put_collapsed(Text* text, const char* value, Py_ssize_t length) except -1 nogil:
    cdef Py_ssize_t i
    cdef char* target
    if length == 0 or memchr(value, 32, length) == NULL:
        return put(text, value, length)
    text_reserve(text, length)
    target = text.data + text.length
    for i in range(length):
        if value[i] == 32 and i and value[i - 1] == 32:
            continue
        target[0] = value[i]
        target += 1
    text.length = target - text.data
    return 0


cdef int put_header(
    Text* text,
    MessageHead head,
    const char* name,
    Py_ssize_t length,
    unsigned char* covered,
) except -1:
    # Returns 1 where the head lacks the header, or it was named before.
    cdef int index = head.find(name, length)
    cdef bint missing = index < 0 or covered[index]
    cdef bint first = True
    put(text, name, length)
    put_byte(text, 58)
    while index >= 0 and not missing:
        if not first:
            put_byte(text, 44)
        first = False
        covered[index] = 1
        put_collapsed(
            text, head.base + head.spans[index].value, head.spans[index].value_length
        )
        index = head.find_from(index + 1, name, length)
    put_byte(text, 10)
    return missing


cdef int put_headers(
    Text* text,
    MessageHead head,
    const char* names,
    Py_ssize_t names_length,
    unsigned char* covered,
) except -1:
    cdef const char* stop = names + names_length
    cdef const char* name_stop
    cdef int missing = 0
    while names < stop:
        name_stop = <const char*>memchr(names, 59, stop - names)
        if name_stop == NULL:
            name_stop = stop
        missing += put_header(text, head, names, name_stop - names, covered)
        names = name_stop + 1
        if missing > head.count:
            # Each further name is one more lookup for a request that is lost anyway.
            break
    return missing
