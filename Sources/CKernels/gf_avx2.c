// gf_avx2.c
//
// Field kernels with AVX2: a product is the XOR of four table look-ups, one per nibble of the
// element, done for 32 elements at once by byte shuffles.

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "gf_kernels.h"

void gf_shuffle_factor_make(const uint16_t products[16], void *factor) {
  uint8_t *tables = factor;
  for (size_t nibble = 0; nibble < 4; nibble++) {
    for (size_t value = 0; value < 16; value++) {
      uint16_t product = 0;
      for (size_t bit = 0; bit < 4; bit++) {
        if (value >> bit & 1) product ^= products[4 * nibble + bit];
      }
      tables[32 * nibble + value] = (uint8_t)product;
      tables[32 * nibble + 16 + value] = (uint8_t)(product >> 8);
    }
  }
}

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)

typedef struct block {
  __m256i low, high;
} block;

/// Table i of gf_shuffle_factor_make, in both halves of the register.
typedef struct loaded_factor {
  __m256i tables[8];
} loaded_factor;

#define LEVEL_FACTOR_BYTES 128

static inline block block_zero(void) {
  return (block){_mm256_setzero_si256(), _mm256_setzero_si256()};
}

static inline block block_load(const uint8_t *p) {
  return (block){_mm256_loadu_si256((const __m256i *)p),
                 _mm256_loadu_si256((const __m256i *)(p + HALF_BYTES))};
}

static inline void block_store(uint8_t *p, block b) {
  _mm256_storeu_si256((__m256i *)p, b.low);
  _mm256_storeu_si256((__m256i *)(p + HALF_BYTES), b.high);
}

static inline block block_xor(block a, block b) {
  return (block){_mm256_xor_si256(a.low, b.low), _mm256_xor_si256(a.high, b.high)};
}

static inline loaded_factor factor_load(const uint8_t *p) {
  loaded_factor factor;
  for (size_t i = 0; i < 8; i++) {
    __m128i table = _mm_loadu_si128((const __m128i *)(p + 16 * i));
    factor.tables[i] = _mm256_broadcastsi128_si256(table);
  }
  return factor;
}

static inline block block_add_product(block a, block b, loaded_factor factor) {
  const __m256i mask = _mm256_set1_epi8(15);
  __m256i nibbles[4] = {
      _mm256_and_si256(b.low, mask), _mm256_and_si256(_mm256_srli_epi16(b.low, 4), mask),
      _mm256_and_si256(b.high, mask), _mm256_and_si256(_mm256_srli_epi16(b.high, 4), mask)};
  for (size_t i = 0; i < 4; i++) {
    a.low = _mm256_xor_si256(a.low, _mm256_shuffle_epi8(factor.tables[2 * i], nibbles[i]));
    a.high = _mm256_xor_si256(a.high, _mm256_shuffle_epi8(factor.tables[2 * i + 1], nibbles[i]));
  }
  return a;
}

#include "gf_lanes.h"

#pragma clang attribute pop

GF_LANES_KERNELS(gf_avx2, gf_shuffle_factor_make);

#endif
