// blake2b_avx512.c
//
// Eight BLAKE2b hashes at once with AVX-512. Message bytes are loaded under a mask, so the prefix
// byte costs nothing: blocks are read from one byte before, with that byte masked out.

#if defined(__x86_64__)

#include <immintrin.h>

#include "blake2b.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl"))), \
                             apply_to = function)

typedef __m512i words;
enum { LANES = 8 };

static inline words add(words a, words b) { return _mm512_add_epi64(a, b); }
static inline words exclusive_or(words a, words b) { return _mm512_xor_si512(a, b); }
static inline words rotate_32(words a) { return _mm512_ror_epi64(a, 32); }
static inline words rotate_24(words a) { return _mm512_ror_epi64(a, 24); }
static inline words rotate_16(words a) { return _mm512_ror_epi64(a, 16); }
static inline words rotate_63(words a) { return _mm512_ror_epi64(a, 63); }
static inline words shift_up(words a) { return _mm512_slli_epi64(a, 8); }
static inline words shift_down(words a) { return _mm512_srli_epi64(a, 56); }
static inline words broadcast(uint64_t word) { return _mm512_set1_epi64((long long)word); }

/// Rows become columns.
static inline void transpose(words r[8]) {
  words pairs[8], quads[8];
  for (size_t i = 0; i < 8; i += 2) {
    pairs[i] = _mm512_unpacklo_epi64(r[i], r[i + 1]);
    pairs[i + 1] = _mm512_unpackhi_epi64(r[i], r[i + 1]);
  }
  for (size_t i = 0; i < 8; i += 4) {
    for (size_t j = 0; j < 2; j++) {
      quads[i + j] = _mm512_shuffle_i64x2(pairs[i + j], pairs[i + j + 2], 0x88);
      quads[i + j + 2] = _mm512_shuffle_i64x2(pairs[i + j], pairs[i + j + 2], 0xdd);
    }
  }
  for (size_t i = 0; i < 4; i++) {
    r[i] = _mm512_shuffle_i64x2(quads[i], quads[i + 4], 0x88);
    r[i + 4] = _mm512_shuffle_i64x2(quads[i], quads[i + 4], 0xdd);
  }
}

/// Bytes of a 64-byte load whose positions lie in from ..< to.
static inline __mmask64 byte_mask(size_t from, size_t to) {
  uint64_t below_to = to >= 64 ? ~0ull : (1ull << to) - 1;
  uint64_t below_from = from >= 64 ? ~0ull : (1ull << from) - 1;
  return below_to & ~below_from;
}

static inline void load_block(words m[16], const uint8_t *const messages[], size_t length,
                              const words *prefixes, size_t start) {
  size_t shift = prefixes != NULL, total = length + shift;
  for (size_t half = 0; half < 2; half++) {
    size_t position = start + 64 * half;
    words *rows = m + 8 * half;
    size_t remaining = total > position ? total - position : 0;
    bool first = position == 0 && shift == 1;
    __mmask64 mask = byte_mask(first, remaining);
    for (size_t lane = 0; lane < LANES; lane++) {
      // Computed as an integer: the masked-out byte before the message is no part of it.
      uintptr_t address = (uintptr_t)messages[lane] + position - shift;
      rows[lane] = _mm512_maskz_loadu_epi8(mask, (const void *)address);
    }
    transpose(rows);
    if (first) rows[0] = _mm512_or_si512(rows[0], *prefixes);
  }
}

static inline void load_pair(words m[8], const uint8_t *const left[],
                             const uint8_t *const right[]) {
  for (size_t lane = 0; lane < LANES; lane++) {
    __m256i first = _mm256_loadu_si256((const __m256i *)left[lane]);
    __m256i second = _mm256_loadu_si256((const __m256i *)right[lane]);
    m[lane] = _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
  }
  transpose(m);
}

static inline void load_state(words state[8], ck_blake2b_strip *const strips[]) {
  for (size_t lane = 0; lane < LANES; lane++) {
    state[lane] = _mm512_loadu_si512(strips[lane]->state);
  }
  transpose(state);
}

static inline void store_state(words state[8], ck_blake2b_strip *const strips[]) {
  transpose(state);
  for (size_t lane = 0; lane < LANES; lane++) {
    _mm512_storeu_si512(strips[lane]->state, state[lane]);
  }
}

static inline void store_digests(const words state[8], uint8_t digests[][BLAKE2B_DIGEST_BYTES]) {
  words rows[8];
  for (size_t i = 0; i < 8; i++) rows[i] = state[i];
  transpose(rows);
  for (size_t lane = 0; lane < LANES; lane++) {
    _mm256_storeu_si256((__m256i *)digests[lane], _mm512_castsi512_si256(rows[lane]));
  }
}

#include "blake2b_lanes.h"

void blake2b_8_lanes_avx512(const uint8_t *const messages[], size_t length, int prefix,
                            uint8_t digests[][BLAKE2B_DIGEST_BYTES]) {
  hash_lanes(messages, length, prefix, digests);
}

void blake2b_8_pairs_avx512(const uint8_t *const left[], const uint8_t *const right[], int prefix,
                            uint8_t digests[][BLAKE2B_DIGEST_BYTES]) {
  hash_pairs(left, right, prefix, digests);
}

void blake2b_8_strips_avx512(ck_blake2b_strip *const strips[], const uint8_t *const messages[],
                             size_t length, uint64_t before, bool last,
                             uint8_t digests[][BLAKE2B_DIGEST_BYTES]) {
  hash_strips(strips, messages, length, before, last, digests);
}

#pragma clang attribute pop

#endif
