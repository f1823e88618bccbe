/* CRC-32, CRC-32C, CRC-64/NVME: one reflected model, slicing by 8, folding by carry-less products.
 *
 * All three are "reflected, initial value all ones, final xor all ones" and at most 64 bits wide:
 * one set of functions on 64-bit words does for all; a W-bit remainder is in the low W bits. Bit i
 * of a word of message stands for x^(63-i), and of a remainder too once it is moved to the top.
 *
 * Folding keeps a 128-bit value congruent to the message so far. Moving A*x^64 + B ahead by D bits
 * is A*(x^(D+64) mod P) + B*(x^D mod P); a carry-less product of two reflected words comes out one
 * bit low, so the constants are x^(D+63) and x^(D-1).
 *
 * Source: V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ", 2009;
 * M. Kounavis, F. Berry, "A Systematic Approach to Building High Performance CRC Generators", 2005.
 */
#ifndef S3PROXY_CRC_H
#define S3PROXY_CRC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define S3PROXY_CRC_FOLDING 1
#include <immintrin.h>
#else
#define S3PROXY_CRC_FOLDING 0
#endif

typedef struct {
    uint64_t k_first;  /* multiplies the word that comes first in memory (the higher powers) */
    uint64_t k_second;
} crc_fold;

typedef struct {
    int width;           /* 32 or 64 bits */
    uint64_t polynomial; /* reflected, without the leading term */
    uint64_t ones;       /* initial value and final xor */
    uint64_t table[8][256];
    crc_fold by_128, by_512, by_1024, by_2048;
} crc_model;

/* 0: tables, 1: PCLMULQDQ, 2: VPCLMULQDQ on 512-bit registers. Set by crc_detect. */
static int crc_level = 0;

static void crc_detect(void) {
#if S3PROXY_CRC_FOLDING
    __builtin_cpu_init();
    if (__builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1")) {
        crc_level = 1;
        if (__builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx512f")) {
            crc_level = 2;
        }
    }
#endif
}

/* a * b mod P on W-bit reflected remainders. */
static uint64_t crc_multiply(const crc_model *model, uint64_t a, uint64_t b) {
    uint64_t product = 0;
    uint64_t bit = (uint64_t)1 << (model->width - 1);
    while (bit != 0) {
        if (a & bit) {
            product ^= b;
        }
        b = (b >> 1) ^ ((b & 1) ? model->polynomial : 0);
        bit >>= 1;
    }
    return product;
}

/* x^n mod P. */
static uint64_t crc_power(const crc_model *model, uint64_t n) {
    uint64_t result = (uint64_t)1 << (model->width - 1); /* x^0 */
    uint64_t square = result >> 1;                       /* x^1 */
    while (n != 0) {
        if (n & 1) {
            result = crc_multiply(model, result, square);
        }
        square = crc_multiply(model, square, square);
        n >>= 1;
    }
    return result;
}

static crc_fold crc_fold_by(const crc_model *model, uint64_t bits) {
    crc_fold fold;
    fold.k_first = crc_power(model, bits + 63) << (64 - model->width);
    fold.k_second = crc_power(model, bits - 1) << (64 - model->width);
    return fold;
}

static void crc_prepare(crc_model *model, int width, uint64_t polynomial) {
    int i, slice;
    model->width = width;
    model->polynomial = polynomial;
    model->ones = ~(uint64_t)0 >> (64 - width);
    for (i = 0; i < 256; i++) {
        uint64_t remainder = (uint64_t)i;
        int bit;
        for (bit = 0; bit < 8; bit++) {
            remainder = (remainder >> 1) ^ ((remainder & 1) ? polynomial : 0);
        }
        model->table[0][i] = remainder;
    }
    for (slice = 1; slice < 8; slice++) {
        for (i = 0; i < 256; i++) {
            uint64_t before = model->table[slice - 1][i];
            model->table[slice][i] = (before >> 8) ^ model->table[0][before & 255];
        }
    }
    model->by_128 = crc_fold_by(model, 128);
    model->by_512 = crc_fold_by(model, 512);
    model->by_1024 = crc_fold_by(model, 1024);
    model->by_2048 = crc_fold_by(model, 2048);
}

static uint64_t crc_load(const unsigned char *data) {
    uint64_t word = 0;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(&word, data, 8);
#else
    int i;
    for (i = 7; i >= 0; i--) {
        word = word << 8 | data[i];
    }
#endif
    return word;
}

static uint64_t crc_by_table(const crc_model *model, uint64_t crc, const unsigned char *data,
                             size_t length) {
    const uint64_t(*table)[256] = model->table;
    while (length >= 8) {
        uint64_t word = crc_load(data) ^ crc;
        crc = table[7][word & 255] ^ table[6][word >> 8 & 255] ^ table[5][word >> 16 & 255] ^
              table[4][word >> 24 & 255] ^ table[3][word >> 32 & 255] ^ table[2][word >> 40 & 255] ^
              table[1][word >> 48 & 255] ^ table[0][word >> 56];
        data += 8;
        length -= 8;
    }
    while (length-- > 0) {
        crc = (crc >> 8) ^ table[0][(crc ^ *data++) & 255];
    }
    return crc;
}

#if S3PROXY_CRC_FOLDING

#define CRC_128 __attribute__((target("pclmul,sse4.1")))
#define CRC_512 __attribute__((target("pclmul,sse4.1,avx512f,vpclmulqdq")))

CRC_128 static inline __m128i crc_constants(crc_fold fold) {
    return _mm_set_epi64x((long long)fold.k_second, (long long)fold.k_first);
}

CRC_128 static inline __m128i crc_advance(__m128i value, __m128i k, __m128i next) {
    __m128i first = _mm_clmulepi64_si128(value, k, 0x00);
    __m128i second = _mm_clmulepi64_si128(value, k, 0x11);
    return _mm_xor_si128(_mm_xor_si128(first, second), next);
}

/* Takes the whole 16-byte blocks of `data` into `value`, then everything else by table. */
CRC_128 static uint64_t crc_settle(const crc_model *model, __m128i value,
                                   const unsigned char *data, size_t length) {
    const __m128i k = crc_constants(model->by_128);
    unsigned char folded[16];
    while (length >= 16) {
        value = crc_advance(value, k, _mm_loadu_si128((const __m128i *)data));
        data += 16;
        length -= 16;
    }
    _mm_storeu_si128((__m128i *)folded, value);
    return crc_by_table(model, crc_by_table(model, 0, folded, 16), data, length);
}

/* length >= 16 */
CRC_128 static uint64_t crc_by_128(const crc_model *model, uint64_t crc,
                                   const unsigned char *data, size_t length) {
    const __m128i *blocks = (const __m128i *)data;
    __m128i lanes[8];
    int i;
    __m128i start = _mm_cvtsi64_si128((long long)crc);
    if (length < 256) {
        start = _mm_xor_si128(_mm_loadu_si128(blocks), start);
        return crc_settle(model, start, data + 16, length - 16);
    }
    for (i = 0; i < 8; i++) {
        lanes[i] = _mm_loadu_si128(blocks + i);
    }
    lanes[0] = _mm_xor_si128(lanes[0], start);
    data += 128;
    length -= 128;
    {
        const __m128i k = crc_constants(model->by_1024);
        while (length >= 128) {
            blocks = (const __m128i *)data;
            for (i = 0; i < 8; i++) {
                lanes[i] = crc_advance(lanes[i], k, _mm_loadu_si128(blocks + i));
            }
            data += 128;
            length -= 128;
        }
    }
    {
        const __m128i k = crc_constants(model->by_128);
        for (i = 1; i < 8; i++) {
            lanes[i] = crc_advance(lanes[i - 1], k, lanes[i]);
        }
    }
    return crc_settle(model, lanes[7], data, length);
}

CRC_512 static inline __m512i crc_constants_512(crc_fold fold) {
    return _mm512_broadcast_i32x4(crc_constants(fold));
}

CRC_512 static inline __m512i crc_advance_512(__m512i value, __m512i k, __m512i next) {
    __m512i first = _mm512_clmulepi64_epi128(value, k, 0x00);
    __m512i second = _mm512_clmulepi64_epi128(value, k, 0x11);
    return _mm512_ternarylogic_epi64(first, second, next, 0x96); /* three-way xor */
}

/* length >= 512 */
CRC_512 static uint64_t crc_by_512(const crc_model *model, uint64_t crc,
                                   const unsigned char *data, size_t length) {
    __m512i lanes[4];
    __m128i value;
    int i;
    for (i = 0; i < 4; i++) {
        lanes[i] = _mm512_loadu_si512((const void *)(data + 64 * i));
    }
    value = _mm_cvtsi64_si128((long long)crc);
    lanes[0] = _mm512_xor_si512(lanes[0], _mm512_zextsi128_si512(value));
    data += 256;
    length -= 256;
    {
        const __m512i k = crc_constants_512(model->by_2048);
        while (length >= 256) {
            for (i = 0; i < 4; i++) {
                __m512i next = _mm512_loadu_si512((const void *)(data + 64 * i));
                lanes[i] = crc_advance_512(lanes[i], k, next);
            }
            data += 256;
            length -= 256;
        }
    }
    {
        const __m512i k = crc_constants_512(model->by_512);
        for (i = 1; i < 4; i++) {
            lanes[i] = crc_advance_512(lanes[i - 1], k, lanes[i]);
        }
    }
    {
        const __m128i k = crc_constants(model->by_128);
        value = _mm512_extracti32x4_epi32(lanes[3], 0);
        value = crc_advance(value, k, _mm512_extracti32x4_epi32(lanes[3], 1));
        value = crc_advance(value, k, _mm512_extracti32x4_epi32(lanes[3], 2));
        value = crc_advance(value, k, _mm512_extracti32x4_epi32(lanes[3], 3));
    }
    return crc_settle(model, value, data, length);
}

#endif /* S3PROXY_CRC_FOLDING */

/* The raw remainder (without the final xor) after more bytes; `level` is at most crc_level. */
static uint64_t crc_update(const crc_model *model, int level, uint64_t crc, const void *bytes,
                           size_t length) {
    const unsigned char *data = (const unsigned char *)bytes;
#if S3PROXY_CRC_FOLDING
    if (level >= 2 && length >= 512) {
        return crc_by_512(model, crc, data, length);
    }
    if (level >= 1 && length >= 16) {
        return crc_by_128(model, crc, data, length);
    }
#endif
    (void)level;
    return crc_by_table(model, crc, data, length);
}

/* The (finished) CRC of two messages end to end, from their CRCs and the second one's length. */
static uint64_t crc_join(const crc_model *model, uint64_t first, uint64_t second,
                         uint64_t second_bytes) {
    uint64_t shifted = first;
    uint64_t factor = crc_power(model, 8);
    while (second_bytes != 0) {
        if (second_bytes & 1) {
            shifted = crc_multiply(model, shifted, factor);
        }
        factor = crc_multiply(model, factor, factor);
        second_bytes >>= 1;
    }
    return shifted ^ second;
}

#endif
