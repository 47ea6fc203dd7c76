// blake2b_avx2.c
//
// Four BLAKE2b hashes at once with AVX2. Blocks that lie wholly inside a message are read from
// where they are, the first one behind a prefix and the last one through a copy.

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "blake2b.h"

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)

typedef __m256i words;
enum { LANES = 4 };

static inline words add(words a, words b) { return _mm256_add_epi64(a, b); }
static inline words exclusive_or(words a, words b) { return _mm256_xor_si256(a, b); }
static inline words rotate_32(words a) { return _mm256_shuffle_epi32(a, 0xb1); }
static inline words rotate_24(words a) {
  const __m256i order = _mm256_setr_epi8(3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10, 3, 4,
                                         5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10);
  return _mm256_shuffle_epi8(a, order);
}
static inline words rotate_16(words a) {
  const __m256i order = _mm256_setr_epi8(2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9, 2, 3,
                                         4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9);
  return _mm256_shuffle_epi8(a, order);
}
static inline words rotate_63(words a) {
  return _mm256_or_si256(_mm256_srli_epi64(a, 63), _mm256_add_epi64(a, a));
}
static inline words broadcast(uint64_t word) { return _mm256_set1_epi64x((long long)word); }

/// Rows become columns.
static inline void transpose(words r[4]) {
  words p0 = _mm256_unpacklo_epi64(r[0], r[1]), p1 = _mm256_unpackhi_epi64(r[0], r[1]);
  words p2 = _mm256_unpacklo_epi64(r[2], r[3]), p3 = _mm256_unpackhi_epi64(r[2], r[3]);
  r[0] = _mm256_permute2x128_si256(p0, p2, 0x20);
  r[1] = _mm256_permute2x128_si256(p1, p3, 0x20);
  r[2] = _mm256_permute2x128_si256(p0, p2, 0x31);
  r[3] = _mm256_permute2x128_si256(p1, p3, 0x31);
}

static inline void load_block(words m[16], const uint8_t *const messages[], size_t length,
                              int prefix, size_t start) {
  size_t shift = prefix >= 0, total = length + shift;
  uint8_t copies[LANES][BLAKE2B_BLOCK_BYTES];
  const uint8_t *blocks[LANES];
  bool inside = start >= shift && start + BLAKE2B_BLOCK_BYTES <= total;
  if (!inside) memset(copies, 0, sizeof copies);
  for (size_t lane = 0; lane < LANES; lane++) {
    if (inside) {
      blocks[lane] = messages[lane] + (start - shift);
      continue;
    }
    size_t front = start < shift;
    size_t end = total - start < BLAKE2B_BLOCK_BYTES ? total - start : BLAKE2B_BLOCK_BYTES;
    if (front == 1) copies[lane][0] = (uint8_t)prefix;
    // Nothing to copy also means that there may be no message to point into.
    if (end > front) {
      memcpy(copies[lane] + front, messages[lane] + (start + front - shift), end - front);
    }
    blocks[lane] = copies[lane];
  }
  for (size_t i = 0; i < 16; i += LANES) {
    for (size_t lane = 0; lane < LANES; lane++) {
      m[i + lane] = _mm256_loadu_si256((const __m256i *)(blocks[lane] + 8 * i));
    }
    transpose(m + i);
  }
}

static inline void store_digests(const words state[8], uint8_t digests[][BLAKE2B_DIGEST_BYTES]) {
  words rows[4] = {state[0], state[1], state[2], state[3]};
  transpose(rows);
  for (size_t lane = 0; lane < LANES; lane++) {
    _mm256_storeu_si256((__m256i *)digests[lane], rows[lane]);
  }
}

#include "blake2b_lanes.h"

void blake2b_4_lanes_avx2(const uint8_t *const messages[], size_t length, int prefix,
                          uint8_t digests[][BLAKE2B_DIGEST_BYTES]) {
  hash_lanes(messages, length, prefix, digests);
}

#pragma clang attribute pop

#endif
