// gf_avx512.c
//
// Field kernels with AVX-512 shuffles: the same four look-ups as AVX2, with a whole block in one
// register. Each half is looked up in the table for its own half of the product ("straight") and in
// the one for the other half ("crossed"), which is then swapped over.

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "gf_kernels.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl"))), \
                             apply_to = function)

typedef __m512i block;

/// Lower half: tables for the low bytes of a block; upper half: for its high bytes.
typedef struct loaded_factor {
  __m512i straight_even, straight_odd, crossed_even, crossed_odd;
} loaded_factor;

#define LEVEL_FACTOR_BYTES 128

static inline block block_zero(void) { return _mm512_setzero_si512(); }

static inline block block_load(const uint8_t *p) { return _mm512_loadu_si512(p); }

static inline void block_store(uint8_t *p, block b) { _mm512_storeu_si512(p, b); }

static inline block block_xor(block a, block b) { return _mm512_xor_si512(a, b); }

/// Two 16-byte tables, each in two of the four lanes.
static inline __m512i table_pair(const uint8_t *tables) {
  __m512i pair = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)tables));
  return _mm512_shuffle_i64x2(pair, pair, 0x50);
}

/// The form in memory: low product of nibble 0, high product of nibble 2; low of 1, high of 3;
/// high of 0, low of 2; high of 1, low of 3.
static void factor_make(const uint16_t products[16], void *factor) {
  static const size_t order[8] = {0, 5, 2, 7, 1, 4, 3, 6};
  uint8_t tables[128];
  gf_shuffle_factor_make(products, tables);
  for (size_t i = 0; i < 8; i++) memcpy((uint8_t *)factor + 16 * i, tables + 16 * order[i], 16);
}

static inline loaded_factor factor_load(const uint8_t *p) {
  return (loaded_factor){table_pair(p), table_pair(p + 32), table_pair(p + 64),
                         table_pair(p + 96)};
}

static inline block block_add_product(block a, block b, loaded_factor factor) {
  const __m512i mask = _mm512_set1_epi8(15);
  __m512i even = _mm512_and_si512(b, mask);
  __m512i odd = _mm512_and_si512(_mm512_srli_epi16(b, 4), mask);
  __m512i straight = _mm512_ternarylogic_epi64(
      a, _mm512_shuffle_epi8(factor.straight_even, even),
      _mm512_shuffle_epi8(factor.straight_odd, odd), 0x96);
  __m512i crossed = _mm512_xor_si512(_mm512_shuffle_epi8(factor.crossed_even, even),
                                     _mm512_shuffle_epi8(factor.crossed_odd, odd));
  return _mm512_xor_si512(straight, _mm512_shuffle_i64x2(crossed, crossed, 0x4e));
}

#include "gf_lanes.h"

#pragma clang attribute pop

GF_LANES_KERNELS(gf_avx512, factor_make);

#endif
