"""Byte classes of RFC 9110 and searches over them, in C: they wrap on purpose and cannot raise.

Each function reads exactly the `length` bytes it is given.
"""

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    /* Token bytes in lower case (RFC 9110, 5.6.2); 0: no token byte, as all from 0x80 up. */
    static const unsigned char octets_lower[256] = {
          0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,
          0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0,
          0,  33,   0,  35,  36,  37,  38,  39,   0,   0,  42,  43,   0,  45,  46,   0,
         48,  49,  50,  51,  52,  53,  54,  55,  56,  57,   0,   0,   0,   0,   0,   0,
          0,  97,  98,  99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111,
        112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122,   0,   0,   0,  94,  95,
         96,  97,  98,  99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111,
        112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122,   0, 124,   0, 126,   0,
    };

    /* Offset of the first such byte from `start` on; -1: none. */
    static inline Py_ssize_t octets_find(
        const char *text, Py_ssize_t start, Py_ssize_t length, char byte
    ) {
        const char *found;
        if (start >= length) return -1;
        found = (const char *)memchr(text + start, byte, (size_t)(length - start));
        return found == NULL ? -1 : (Py_ssize_t)(found - text);
    }

    /* Bytes at the start that belong to a token. */
    static inline Py_ssize_t octets_token(const char *text, Py_ssize_t length) {
        Py_ssize_t i = 0;
        while (i < length && octets_lower[(unsigned char)text[i]]) i++;
        return i;
    }

    /* Compare a name in any case with a lower-case one of the same length. */
    static inline int octets_equal(const char *name, const char *lower, Py_ssize_t length) {
        for (Py_ssize_t i = 0; i < length; i++)
            if (octets_lower[(unsigned char)name[i]] != (unsigned char)lower[i]) return 0;
        return 1;
    }

    /* Length, first and last letter of a non-empty name in one word: equal for equal names. */
    static inline uint32_t octets_tag(const char *name, Py_ssize_t length) {
        return ((uint32_t)length << 16)
            | ((uint32_t)octets_lower[(unsigned char)name[0]] << 8)
            | (uint32_t)octets_lower[(unsigned char)name[length - 1]];
    }

    static inline uint32_t octets_slot(uint32_t tag) {
        return (tag * UINT32_C(2654435761)) >> 16;
    }

    #define OCTETS_ONES UINT64_C(0x0101010101010101)
    #define OCTETS_TOPS UINT64_C(0x8080808080808080)

    /* True when one of eight bytes is below 0x20 or is DEL ("Bit Twiddling Hacks", hasless). */
    static inline int octets_eight_controls(uint64_t word) {
        uint64_t below = (word - OCTETS_ONES * 0x20) & ~word;
        uint64_t other = word ^ (OCTETS_ONES * 0x7f);
        return ((below | ((other - OCTETS_ONES) & ~other)) & OCTETS_TOPS) != 0;
    }

    static inline int octets_is_control(unsigned char byte) {
        return (byte < 0x20 && byte != '\t') || byte == 0x7f;
    }

    /* Whether no byte is a control other than HTAB (RFC 9110, 5.5: field-value with obs-text). */
    static inline int octets_is_text(const char *text, Py_ssize_t length) {
        Py_ssize_t i = 0;
        for (; length - i >= 8; i += 8) {
            uint64_t word;
            memcpy(&word, text + i, 8);
            if (!octets_eight_controls(word)) continue;
            for (int j = 0; j < 8; j++)
                if (octets_is_control((unsigned char)text[i + j])) return 0;
        }
        for (; i < length; i++)
            if (octets_is_control((unsigned char)text[i])) return 0;
        return 1;
    }

    /* Whether every byte may stand in a request target: visible ASCII, and no fragment. */
    static inline int octets_is_target(const char *text, Py_ssize_t length) {
        for (Py_ssize_t i = 0; i < length; i++) {
            unsigned char byte = (unsigned char)text[i];
            if (byte <= 0x20 || byte >= 0x7f || byte == '#') return 0;
        }
        return 1;
    }

    /* 1*DIGIT as a number; -1 for anything else and for what does not fit. */
    static inline long long octets_decimal(const char *text, Py_ssize_t length) {
        long long value = 0;
        if (length == 0) return -1;
        for (Py_ssize_t i = 0; i < length; i++) {
            int digit = (unsigned char)text[i] - '0';
            if (digit < 0 || digit > 9 || value > (INT64_MAX - digit) / 10) return -1;
            value = value * 10 + digit;
        }
        return value;
    }

    /* Value of a HEXDIG in either case (RFC 5234, B.1); -1: none. */
    static inline int octets_hex(unsigned char byte) {
        unsigned char lower = byte | 0x20;
        if (byte >= '0' && byte <= '9') return byte - '0';
        if (lower >= 'a' && lower <= 'f') return lower - 'a' + 10;
        return -1;
    }

    static inline int octets_is_alnum(unsigned char byte) {
        return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
    }

    /* Length of the host part of an authority: a registered name, or an IP literal in brackets. */
    static inline Py_ssize_t octets_host_name(const char *text, Py_ssize_t length) {
        Py_ssize_t i = 0;
        if (length && text[0] == '[') {
            for (i = 1; i < length && text[i] != ']'; i++)
                if (!octets_is_alnum((unsigned char)text[i]) && text[i] != ':' && text[i] != '.')
                    return 0;
            return i < length && i > 1 ? i + 1 : 0;
        }
        while (i < length && (octets_is_alnum((unsigned char)text[i]) || text[i] == '-'
                              || text[i] == '.' || text[i] == '_' || text[i] == '~')) i++;
        return i;
    }

    /* Whether it is a host with an optional port and nothing else: no user, list, path, escape. */
    static inline int octets_is_authority(const char *text, Py_ssize_t length) {
        Py_ssize_t i = octets_host_name(text, length);
        if (i == 0) return 0;
        if (i == length) return 1;
        if (text[i] != ':' || length - i > 6) return 0;
        for (i++; i < length; i++)
            if (text[i] < '0' || text[i] > '9') return 0;
        return 1;
    }
    """
    Py_ssize_t octets_find(
        const char* text, Py_ssize_t start, Py_ssize_t length, char byte
    ) noexcept nogil
    Py_ssize_t octets_token(const char* text, Py_ssize_t length) noexcept nogil
    bint octets_equal(const char* name, const char* lower, Py_ssize_t length) noexcept nogil
    unsigned int octets_tag(const char* name, Py_ssize_t length) noexcept nogil
    unsigned int octets_slot(unsigned int tag) noexcept nogil
    bint octets_is_text(const char* text, Py_ssize_t length) noexcept nogil
    bint octets_is_target(const char* text, Py_ssize_t length) noexcept nogil
    long long octets_decimal(const char* text, Py_ssize_t length) noexcept nogil
    int octets_hex(unsigned char byte) noexcept nogil
    bint octets_is_authority(const char* text, Py_ssize_t length) noexcept nogil
    const unsigned char[256] octets_lower
