// blake2b_avx2.c
//
// Four BLAKE2b hashes at once with AVX2. Blocks that lie wholly inside a message are read from
// where they are, and a prefix is shifted in afterwards; only odd ends go through a copy.

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

/// Moves the bytes of each word. Written as assembly because the compiler takes one such shuffle
/// apart into two others, which costs a seventh of the whole hash.
static inline words shuffle_bytes(words a, const uint8_t order[32]) {
  words result;
  __asm__("vpshufb %2, %1, %0" : "=x"(result) : "x"(a), "m"(*(const words *)order));
  return result;
}

static inline words rotate_24(words a) {
  static const uint8_t order[32] __attribute__((aligned(32))) = {
      3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10,
      3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10};
  return shuffle_bytes(a, order);
}

static inline words rotate_16(words a) {
  static const uint8_t order[32] __attribute__((aligned(32))) = {
      2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9,
      2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9};
  return shuffle_bytes(a, order);
}

static inline words rotate_63(words a) {
  return _mm256_or_si256(_mm256_srli_epi64(a, 63), _mm256_add_epi64(a, a));
}
static inline words shift_up(words a) { return _mm256_slli_epi64(a, 8); }
static inline words shift_down(words a) { return _mm256_srli_epi64(a, 56); }
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

/// Words 0 ..< count (a multiple of LANES) of one block per lane.
static inline __attribute__((always_inline)) void load_words(words m[], size_t count,
                                                             const uint8_t *const blocks[]) {
#pragma clang loop unroll(full)
  for (size_t i = 0; i < count; i += LANES) {
    for (size_t lane = 0; lane < LANES; lane++) {
      m[i + lane] = _mm256_loadu_si256((const __m256i *)(blocks[lane] + 8 * i));
    }
    transpose(m + i);
  }
}

/// A block that begins with the prefix or reaches behind the end of the message.
static inline void load_copied(words m[16], const uint8_t *const messages[], size_t length,
                               const words *prefixes, size_t start) {
  size_t shift = prefixes != NULL, total = length + shift;
  bool front = start < shift;
  size_t end = total - start < BLAKE2B_BLOCK_BYTES ? total - start : BLAKE2B_BLOCK_BYTES;
  uint8_t copies[LANES][BLAKE2B_BLOCK_BYTES];
  const uint8_t *blocks[LANES];
  memset(copies, 0, sizeof copies);
  for (size_t lane = 0; lane < LANES; lane++) {
    if (front) copies[lane][0] = ((const uint8_t *)prefixes)[8 * lane];
    // Nothing to copy also means that there may be no message to point into.
    if (end > front) {
      memcpy(copies[lane] + front, messages[lane] + (start + front - shift), end - front);
    }
    blocks[lane] = copies[lane];
  }
  load_words(m, 16, blocks);
}

static inline void shift_in(words m[], size_t count, words prefixes);

static inline void load_block(words m[16], const uint8_t *const messages[], size_t length,
                              const words *prefixes, size_t start) {
  size_t shift = prefixes != NULL, total = length + shift;
  if (start >= shift && start + BLAKE2B_BLOCK_BYTES <= total) {
    const uint8_t *blocks[LANES];
    for (size_t lane = 0; lane < LANES; lane++) blocks[lane] = messages[lane] + (start - shift);
    load_words(m, 16, blocks);
  } else if (start < shift && length >= BLAKE2B_BLOCK_BYTES) {
    load_words(m, 16, messages);
    shift_in(m, 16, *prefixes);
  } else {
    load_copied(m, messages, length, prefixes, start);
  }
}

static inline void load_pair(words m[8], const uint8_t *const left[],
                             const uint8_t *const right[]) {
  load_words(m, 4, left);
  load_words(m + 4, 4, right);
}

static inline void load_state(words state[8], ck_blake2b_strip *const strips[]) {
  const uint8_t *rows[LANES];
  for (size_t lane = 0; lane < LANES; lane++) rows[lane] = (const uint8_t *)strips[lane]->state;
  load_words(state, 8, rows);
}

static inline void store_state(words state[8], ck_blake2b_strip *const strips[]) {
  for (size_t half = 0; half < 8; half += LANES) {
    transpose(state + half);
    for (size_t lane = 0; lane < LANES; lane++) {
      _mm256_storeu_si256((__m256i *)(strips[lane]->state + half), state[half + lane]);
    }
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

void blake2b_4_pairs_avx2(const uint8_t *const left[], const uint8_t *const right[], int prefix,
                          uint8_t digests[][BLAKE2B_DIGEST_BYTES]) {
  hash_pairs(left, right, prefix, digests);
}

void blake2b_4_strips_avx2(ck_blake2b_strip *const strips[], const uint8_t *const messages[],
                           size_t length, uint64_t before, bool last,
                           uint8_t digests[][BLAKE2B_DIGEST_BYTES]) {
  hash_strips(strips, messages, length, before, last, digests);
}

#pragma clang attribute pop

#endif
